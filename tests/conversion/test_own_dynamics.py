"""Networks with sums through our own parser: both engines, and the graph stepped alone, count the same spikes.

All numbers are small multiples of powers of two, also after composing, so that float32 adds them exactly in any order.
"""

import numpy as np
import pytest

from snnb.conversion.checks import check_convertible
from snnb.conversion.h5 import save_keras
from snnb.conversion.own_parser import parse_own
from snnb.graph.build import build_graph
from snnb.io.keras import keras
from snnb.network.read_network import read_network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.simulation_settings import SimulationSettings
from tests.conversion.conftest import slow_except
from tests.graph.edges import step_by_graph

L = keras.layers
SAMPLES, STEPS = 5, 40


def _norm():
    return L.BatchNormalization(epsilon=0)


def _blocks(random, x):
    """One block after another, each of another kind of sum."""
    channels = x.shape[-1]
    kind = random.choice(["residual", "bottleneck", "joined", "again", "inside", "kernels", "clipped"])
    if kind == "residual":
        y = _norm()(L.Conv2D(channels, 3, padding="same")(x))
        return L.ReLU()(L.Add()([y, x]))
    if kind == "bottleneck":  # sums of sums, and a sum that two populations read
        y = L.Conv2D(2, 1)(x)
        z = L.DepthwiseConv2D(3, padding="same", activation="relu")(L.Conv2D(3, 1, activation="relu")(y))
        return L.ReLU()(_norm()(L.Add()([y, L.Conv2D(2, 1)(z)])))
    if kind == "joined":
        y = L.Conv2D(2, 3, strides=2, padding="same", use_bias=False)(x)
        z = L.Conv2D(2, 1, strides=2)(x)
        return L.ReLU()(_norm()(L.Concatenate()([y, L.Add()([y, z])])))
    if kind == "again":
        layer = L.Conv2D(channels, (3, 1), padding="same")
        return L.ReLU()(L.Add()([layer(L.ReLU()(layer(x))), x]))
    if kind == "inside":
        first = L.Input(x.shape[1:])
        inside = keras.Model(first, L.ReLU()(L.Add()([L.Conv2D(channels, 1)(first), first])))
        return inside(inside(x))
    if kind == "kernels":
        return L.ReLU()(L.Conv2D(2, 2, padding="valid")(L.Conv2D(2, 2, strides=(1, 2))(x)))
    return L.ReLU(2.0)(L.Add()([x, L.DepthwiseConv2D(3, padding="same")(x)]))


def _network(seed):
    random = np.random.default_rng(seed)
    first = L.Input((9, 10, 2))
    x = L.Conv2D(3, 3, padding="same", activation="relu")(first)
    for _ in range(3):
        if min(x.shape[1:3]) > 3:
            x = _blocks(random, x)
    model = keras.Model(first, L.Dense(3)(L.Flatten()(x)))
    for layer in model.layers:
        layer.set_weights([_exact(random, weight) for weight in layer.weights])
    return model, (random.integers(0, 9, (SAMPLES, 9, 10, 2)) / 8).astype(np.float32)


def _exact(random, weight):
    if "variance" in weight.name:
        return random.choice([0.25, 1, 4], weight.shape)
    if "gamma" in weight.name:
        return random.choice([0.5, 1], weight.shape)
    if len(weight.shape) == 1:
        return random.choice([0, 0, 1, 2], weight.shape) / 8
    return random.choice([-2, -1, 0, 0, 1, 1, 2], weight.shape) / 8


@pytest.mark.parametrize("seed", slow_except({1}, range(30)))
def test_counts_of_both_engines_and_of_the_graph_alone(seed, tmp_path):
    model, x = _network(seed)
    assert check_convertible(model, parser="own") == "own"
    parsed = parse_own(model)
    np.testing.assert_allclose(parsed.predict(x), model.predict(x), rtol=1e-4, atol=1e-4)
    path = tmp_path / "net_parsed.h5"
    save_keras(parsed, path, "net_parsed")
    network = read_network(path)
    settings = SimulationSettings(samples=SAMPLES, duration=STEPS)
    engines = (EventEngine(network, settings), TensorFlowEngine(network, settings))
    event, tensorflow = (engine.simulate(x, 0, lambda *_: None).counts for engine in engines)
    with build_graph(path, tmp_path / "net_graph.h5") as graph:
        alone = step_by_graph(graph, np.broadcast_to(x.reshape(SAMPLES, -1).T, (STEPS, x[0].size, SAMPLES)), settings)
    assert set(alone) == set(event) == {population.name for population in network.populations}
    for name, counts in alone.items():
        np.testing.assert_array_equal(event[name].reshape(SAMPLES, -1), counts, err_msg=name)
        np.testing.assert_array_equal(tensorflow[name].reshape(SAMPLES, -1), counts, err_msg=name)
    if seed < 6:  # others may draw no sum, or a network that hardly spikes
        assert any(len(population.projections) > 1 for population in network.populations)
        spiking = [0 < counts.mean() < STEPS for counts in alone.values()]
        assert sum(spiking) > len(spiking) / 2
