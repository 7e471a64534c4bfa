"""Random small networks: the engines against the toolbox's runner, and against each other where sums are exact."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from snnb.simulation.event_engine import EventEngine
from snnb.simulation.network import read_network
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.tensorflow_engine import TensorFlowEngine

SAMPLES, STEPS = 12, 25
# Building a network takes a second, so an example that fails is shown as it was found, not searched for a smaller one.
OPTIONS = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    "phases": [Phase.explicit, Phase.reuse, Phase.generate],
}


@st.composite
def image_layers(draw, kinds):
    """What makes a Keras layer of an image, as (kind, window, strides, padding)."""
    kind = draw(st.sampled_from(kinds))
    window = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    strides = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    return kind, window, strides, draw(st.sampled_from(["same", "valid"]))


@st.composite
def architectures(draw, kinds):
    """Input shape; layers of two branches, the second perhaps empty; seed of weights and pictures."""
    shape = draw(st.tuples(st.integers(4, 8), st.integers(4, 8), st.integers(1, 3)))
    branches = draw(st.tuples(*[st.lists(image_layers(kinds), min_size=low, max_size=2) for low in (1, 0)]))
    return shape, branches, draw(st.integers(0, 2**16))


def _layer(kind, window, strides, padding, name, filters):
    from tensorflow.keras import layers

    if kind == "ZeroPadding2D":
        return layers.ZeroPadding2D((window, strides), name=name)
    if kind in ("AveragePooling2D", "MaxPooling2D"):
        return getattr(layers, kind)(window, strides, padding, name=name)
    if kind == "DepthwiseConv2D":  # TensorFlow knows no other strides of it
        return layers.DepthwiseConv2D(window, strides[0], padding, depth_multiplier=2, activation="relu", name=name)
    return layers.Conv2D(filters, window, strides, padding, activation="relu", name=name)


def _network(architecture, path, rounded):
    """Write the network; return it and pictures. `rounded`: so that no float32 sum of it has to be rounded."""
    from tensorflow.keras import Input, Model, layers

    from snnb.conversion.h5 import save_keras

    shape, branches, seed = architecture
    random = np.random.default_rng(seed)
    x = Input(shape, name="input")
    stem = layers.Conv2D(4, 3, padding="same", activation="relu", name="00Conv2D_0")(x)
    ends, number = [], 1  # names as the toolbox's parser gives them: number, kind, and something after an underscore
    for branch in branches:
        y = stem
        for kind, window, strides, padding in branch:
            if padding == "valid" and any(size < taps for size, taps in zip(y.shape[1:3], window)):
                padding = "same"
            y = _layer(kind, window, strides, padding, f"{number:02d}{kind}_{number}", int(random.integers(1, 10)))(y)
            number += 1
        ends.append(layers.Flatten(name=f"{number:02d}Flatten_{number}")(y))
        number += 1
    y = layers.Concatenate(name=f"{number:02d}Concatenate_0")(ends)
    y = layers.Dense(int(random.integers(1, 40)), activation="relu", name=f"{number + 1:02d}Dense_0")(y)
    model = Model(x, layers.Dense(5, activation="softmax", name=f"{number + 2:02d}Dense_1")(y))
    weights = [random.normal(0.05, 1.5 / np.sqrt(np.prod(w.shape[:-1])), w.shape) for w in model.get_weights()]
    pictures = random.random((SAMPLES, *shape))
    if rounded:
        weights, pictures = [np.round(w * 256) / 256 for w in weights], np.round(pictures * 16) / 16
    model.set_weights(weights)
    save_keras(model, path, "random")
    return read_network(path), pictures.astype(np.float32)


@settings(max_examples=5, **OPTIONS)
@given(architectures(["Conv2D", "DepthwiseConv2D", "AveragePooling2D", "ZeroPadding2D"]))
def test_tensorflow_counts_as_the_toolbox_and_event_keeps_its_promise(tmp_path, architecture):
    from snnb.conversion.toolbox import run_toolbox

    network, pictures = _network(architecture, tmp_path / "r_parsed.h5", rounded=False)
    y = np.zeros(SAMPLES, int)
    reference = run_toolbox(tmp_path / "r_parsed.h5", pictures, y, duration=STEPS, batch_size=SAMPLES, per_sample=True)
    options = SimulationSettings(samples=SAMPLES, duration=STEPS)
    exact, event = (e(network, options).simulate(pictures, 0, lambda s: None) for e in (TensorFlowEngine, EventEngine))
    *fixed, _ = reference.counts
    for name in fixed:
        np.testing.assert_array_equal(exact.counts[name], reference.counts[name], err_msg=name)
    differences = np.concatenate([(event.counts[name] - reference.counts[name]).ravel() for name in fixed])
    assert np.abs(differences).max() <= 1
    assert np.count_nonzero(differences) <= max(1, differences.size // 1000)


@pytest.mark.parametrize("source", ["constant", "poisson"])
@settings(max_examples=10, **OPTIONS)
@given(
    architectures(["Conv2D", "DepthwiseConv2D", "MaxPooling2D", "ZeroPadding2D"]),  # averages of 3 or 9 are rounded
    st.sampled_from([0.5, 1.0, 2.0]),
    st.sampled_from(["subtraction", "zero"]),
)
def test_event_is_tensorflow_where_sums_are_exact(tmp_path, source, architecture, threshold, reset):
    network, pictures = _network(architecture, tmp_path / "r_parsed.h5", rounded=True)
    options = SimulationSettings(
        samples=SAMPLES, duration=STEPS, warm_up=5, threshold=threshold, reset=reset, input=source, seed=architecture[2]
    )
    one, two = (e(network, options).simulate(pictures, 0, lambda s: None) for e in (TensorFlowEngine, EventEngine))
    for name, counts in one.counts.items():
        np.testing.assert_array_equal(two.counts[name], counts, err_msg=name)
    np.testing.assert_array_equal(one.late, two.late)
