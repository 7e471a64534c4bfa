"""A population that reads the constant input together with spikes: each is a part of its current, in every step."""

import numpy as np
import pytest

from snnb.io.keras import keras
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.simulation_settings import SimulationSettings
from tests.simulation.alike import network_of

Input, Model, layers = keras.Input, keras.Model, keras.layers

SAMPLES, STEPS = 12, 40


def _layer(kind, name):
    """A layer of an image, by what a row of the table below calls it."""
    return {
        "average": lambda: layers.AveragePooling2D(2, name=name),
        "average, overlapping": lambda: layers.AveragePooling2D((3, 2), (1, 2), "same", name=name),
        "maximum": lambda: layers.MaxPooling2D(2, name=name),
        "maximum, overlapping": lambda: layers.MaxPooling2D((3, 2), (1, 2), "same", name=name),
        "convolution": lambda: layers.Conv2D(5, (3, 2), (2, 1), "same", activation="relu", name=name),
        "dilated": lambda: layers.Conv2D(5, (3, 2), dilation_rate=(1, 2), activation="relu", name=name),
        "depthwise": lambda: layers.DepthwiseConv2D(3, 2, depth_multiplier=2, activation="relu", name=name),
        "dense": lambda: layers.Dense(4, activation="relu", name=name),
    }[kind]()


KINDS = ["average", "average, overlapping", "convolution", "dilated", "depthwise", "dense"]


def _network(folder, kind, axis=3, rounded=True):
    """The input, padded, beside a convolution of it along `axis`, both read by a layer of that kind; and pictures."""
    x = Input((7, 6, 2), name="input")
    padded = layers.ZeroPadding2D(((1, 0), (1, 1)), name="00ZeroPadding2D_8x8x2")(x)
    y = layers.Conv2D(2, 3, padding="same", activation="relu", name="01Conv2D_8x8x2")(padded)
    y = layers.Concatenate(axis, name="02Concatenate_0")([padded, y])
    y = _layer(kind, "03Layer_0")(y)
    y = layers.Dense(5, activation="relu", name="05Dense_5")(layers.Flatten(name="04Flatten_0")(y))
    model = Model(x, layers.Dense(3, activation="softmax", name="06Dense_3")(y))
    random = np.random.default_rng(8)
    weights = [random.normal(0.1, 1 / np.sqrt(np.prod(w.shape[:-1])), w.shape) for w in model.get_weights()]
    pictures = random.random((SAMPLES, 7, 6, 2))
    if rounded:  # so that float32 adds them exactly, in whatever order
        weights, pictures = [np.round(w * 256) / 256 for w in weights], np.round(pictures * 16) / 16
    model.set_weights(weights)
    return network_of(model, folder), pictures.astype(np.float32)


def _simulate(engine, network, pictures, **options):
    settings = SimulationSettings(samples=SAMPLES, duration=STEPS, **options)
    return engine(network, settings).simulate(pictures, 0, lambda *_: None).counts


def _toolbox(folder, pictures):
    from snnb.conversion.toolbox_simulator import run_toolbox

    y, options = np.zeros(SAMPLES, int), {"duration": STEPS, "batch_size": SAMPLES, "per_sample": True}
    return run_toolbox(folder / "n_parsed.h5", pictures, y, **options).counts


@pytest.mark.toolbox
@pytest.mark.parametrize(
    ("kind", "axis"),
    [
        pytest.param(kind, axis, marks=() if axis == 1 + i // 2 and i % 2 else pytest.mark.slow)
        for i, kind in enumerate(KINDS)
        for axis in (1, 2, 3)
    ],
)
def test_every_engine_counts_the_same(tmp_path, kind, axis):
    network, pictures = _network(tmp_path, kind, axis)
    toolbox = _toolbox(tmp_path, pictures)
    tensorflow, event = (_simulate(engine, network, pictures) for engine in (TensorFlowEngine, EventEngine))
    *fixed, _ = toolbox
    for name in fixed:
        assert toolbox[name].any(), name
        np.testing.assert_array_equal(tensorflow[name], toolbox[name], err_msg=name)
        np.testing.assert_array_equal(event[name], toolbox[name], err_msg=name)


POOLINGS = ["average", "average, overlapping", "maximum", "maximum, overlapping"]


@pytest.mark.parametrize(
    ("kind", "axis", "options"),
    [
        pytest.param(kind, axis, options, marks=() if j == i % 3 and axis == 1 + j else pytest.mark.slow)
        for i, kind in enumerate(POOLINGS)
        for axis in (1, 2, 3)
        for j, options in enumerate([{}, {"threshold": 0.7, "warm_up": 9}, {"reset": "zero"}])
    ],
    ids=str,
)
def test_pooling_rounds_as_tensorflow(tmp_path, kind, axis, options):
    """The convolution's current is constant, so its spikes are the same; what is pooled of them is then, too."""
    network, pictures = _network(tmp_path, kind, axis, rounded=False)
    one, two = (_simulate(engine, network, pictures, **options) for engine in (TensorFlowEngine, EventEngine))
    for name in ("01Conv2D_8x8x2", "03Layer_0"):
        assert one[name].any(), name
        np.testing.assert_array_equal(two[name], one[name], err_msg=name)


@pytest.mark.parametrize("kind", ["maximum, overlapping", "average"])
def test_pooling_of_the_constant_input_alone(tmp_path, kind):
    x = Input((7, 6, 2), name="input")
    pooled = _layer(kind, "00Pooling_0")(x)
    y = layers.Dense(3, activation="relu", name="02Dense_3")(layers.Flatten(name="01Flatten_0")(pooled))
    network = network_of(Model(x, y), tmp_path)
    pictures = np.random.default_rng(3).random((SAMPLES, 7, 6, 2), dtype=np.float32)
    one, two = (_simulate(engine, network, pictures) for engine in (TensorFlowEngine, EventEngine))
    np.testing.assert_array_equal(two["00Pooling_0"], one["00Pooling_0"])
    # A constant current of c spikes about c times a step.
    analogue = Model(x, pooled).predict(pictures)
    np.testing.assert_allclose(two["00Pooling_0"] / STEPS, analogue, atol=1.5 / STEPS)


@pytest.mark.toolbox
def test_through_layers_that_only_re_index(tmp_path):
    """The input beside itself and spikes, flattened, reshaped, padded and joined once more."""
    x = Input((4, 6, 2), name="input")
    y = layers.Conv2D(2, 3, padding="same", activation="relu", name="00Conv2D_4x6x2")(x)
    y = layers.Concatenate(name="01Concatenate_4x6x6")([x, y, x])
    y = layers.Reshape((6, 4, 6), name="02Reshape_6x4x6")(y)
    y = layers.ZeroPadding2D(1, name="03ZeroPadding2D_8x6x6")(y)
    pooled = layers.AveragePooling2D((3, 2), 1, name="04AveragePooling2D_6x5x6")(y)
    beside = layers.Conv2D(3, (3, 2), activation="relu", name="05Conv2D_6x5x3")(y)
    y = layers.Concatenate(name="06Concatenate_6x5x9")([pooled, beside])
    flat = [layers.Flatten(name=f"{i:02d}Flatten_0")(z) for i, z in ((7, y), (8, x))]
    y = layers.Concatenate(name="09Concatenate_318")(flat)
    y = layers.Dense(20, activation="relu", name="10Dense_20")(y)
    model = Model(x, layers.Dense(3, activation="softmax", name="11Dense_3")(y))
    random = np.random.default_rng(2)
    weights = [random.normal(0.01, 1 / np.sqrt(np.prod(w.shape[:-1])), w.shape) for w in model.get_weights()]
    model.set_weights([np.round(w * 256) / 256 for w in weights])
    network = network_of(model, tmp_path)
    pictures = (random.integers(0, 17, (SAMPLES, 4, 6, 2)) / 16).astype(np.float32)
    *fixed, _ = _toolbox(tmp_path, pictures).items()
    event = _simulate(EventEngine, network, pictures)
    for name, counts in fixed:
        assert 0 < counts.mean() < STEPS, name
        np.testing.assert_array_equal(event[name], counts, err_msg=name)
