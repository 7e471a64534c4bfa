"""Networks without a Dense layer, as SqueezeNet: the softmax of the means of feature maps."""

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.graph.build import build_graph
from snnb.io.keras import keras
from snnb.network.read_network import read_network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from tests.conversion.conftest import assert_computes, parsed, slow_except
from tests.converted import converted

L = keras.layers
CLASSES, SAMPLES, STEPS = 3, 6, 300
ENGINES = (TensorFlowEngine, EventEngine)


def _softmax(x):
    return L.Activation("softmax", name="end")(x)


ENDS = {
    "means": lambda x: _softmax(L.GlobalAveragePooling2D()(x)),
    "means, flattened again": lambda x: _softmax(L.Flatten()(L.Dropout(0.3)(L.GlobalAveragePooling2D()(x)))),
    "pooling over the map": lambda x: _softmax(L.Flatten()(L.AveragePooling2D(x.shape[1:3])(x))),
    "means as a map": lambda x: L.Flatten()(_softmax(L.Reshape((1, 1, CLASSES))(L.GlobalAveragePooling2D()(x)))),
}


def _model(end, randomise):
    x = L.Input((6, 7, 2))
    y = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    return randomise(keras.Model(x, end(L.Conv2D(CLASSES, 3, activation="relu")(y))))


@pytest.mark.parametrize("end", slow_except({"means, flattened again"}, ENDS))
def test_the_softmax_of_means_is_exact_and_simulated(end, randomise, tmp_path):
    model = _model(ENDS[end], randomise)
    x = np.random.default_rng(0).random((20, 6, 7, 2)).astype(np.float32)
    assert converted(model, tmp_path, x_norm=x).largest_difference < 1e-6
    network = read_network(tmp_path / "net_parsed.h5")
    # Normalised: the softmax must still see the trained network's own means, not what they are divided by.
    assert_computes(network, model, x)
    settings = SimulationSettings(samples=SAMPLES, duration=STEPS)
    one, two = (engine(network, settings).simulate(x[:SAMPLES], 0, lambda *_: None) for engine in ENGINES)
    for name, counts in one.counts.items():
        np.testing.assert_array_equal(counts, two.counts[name], err_msg=name)
    *_, means, _ = one.counts
    assert one.counts[means].any()
    with build_graph(tmp_path / "net_parsed.h5", tmp_path / "graph.h5") as graph:
        # Padded 3×3 kernels reach 16 · 19 inputs on 6×7 maps a pair of channels; then 9 taps; means; one each.
        assert graph.number_of_edges() == 16 * 19 * 2 * 4 + 20 * CLASSES * 9 * 4 + 20 * CLASSES + CLASSES


REFUSED = {
    "a flattened map": (lambda x: _softmax(L.Flatten()(x)), "end (Activation): softmax over Flatten, which has no"),
    "a Dense relu": (lambda x: _softmax(L.Dense(3, activation="relu")(L.Flatten()(x))), "insert a Dense layer between"),
    "positions": (lambda x: L.Flatten()(_softmax(x)), "end (Activation): softmax over positions: insert Flatten and a"),
}


@pytest.mark.parametrize("end", REFUSED)
def test_what_else_has_no_weights_before_the_softmax_is_refused_with_what_to_do(end, randomise):
    build, message = REFUSED[end]
    with pytest.raises(InputError) as raised:
        parsed(_model(build, randomise))
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
