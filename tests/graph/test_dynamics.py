"""The graph is the network: neurons stepped with nothing but its edges spike as the simulator's do."""

import numpy as np
import pytest

from snnb.graph.build import build_graph
from snnb.simulation.simulation_settings import SimulationSettings
from tests.graph.networks import LAYERS, save
from tests.graph.recorded import TF as tf  # noqa: N811

SAMPLES, STEPS = 6, 40


def network():
    """Convolutions with a stride and in branches, padding, depthwise filters, pooling that overlaps, dense layers."""
    source = LAYERS.Input((9, 8, 2), name="input")
    first = LAYERS.Conv2D(4, 3, padding="same", activation="relu", name="00Conv2D_9x8x4")(source)
    padded = LAYERS.ZeroPadding2D(1, name="01ZeroPadding2D_11x10x4")(first)
    left = LAYERS.DepthwiseConv2D(3, activation="relu", name="02DepthwiseConv2D_9x8x4")(padded)
    right = LAYERS.Conv2D(3, (2, 3), padding="same", activation="relu", name="03Conv2D_9x8x3")(first)
    both = LAYERS.Concatenate(name="04Concatenate_9x8x7")([left, right])
    pooled = LAYERS.AveragePooling2D(2, strides=1, name="05AveragePooling2D_8x7x7")(both)
    strided = LAYERS.Conv2D(5, 3, strides=2, activation="relu", name="06Conv2D_3x3x5")(pooled)
    flat = LAYERS.Flatten(name="07Flatten_45")(strided)
    hidden = LAYERS.Dense(12, activation="relu", name="08Dense_12")(flat)
    return tf.keras.Model(source, LAYERS.Dense(3, activation="softmax", name="09Dense_3")(hidden))


def set_weights(model, exact):
    """Weights strong enough that every layer spikes; multiples of 2⁻⁸ make sums exact in any order."""
    rng = np.random.default_rng(5)
    weights = []
    for old in model.get_weights():
        fan_in = np.prod(old.shape[:-1]) if old.ndim > 1 else 8
        new = rng.normal(0.3, 1, old.shape) / np.sqrt(fan_in)
        weights.append(np.rint(new * 256) / 256 if exact else new)
    model.set_weights(weights)


def step_by_graph(graph, x, steps):
    """Spike counts of each population: membrane += W @ spikes + b, a spike at 1, reset by subtraction, no delay.

    A pooled sum is divided after adding, as TensorFlow does.
    """
    currents = {p: p.bias.ravel() for p in graph.populations}
    inbound = {p: [q for q in graph.projections if q.target is p] for p in graph.populations}
    matrices = {}
    for projection in graph.projections:
        matrix = projection.to_scipy().T.tocsr()
        if projection.connections[0].weighting == "mean":
            matrix.data[:] = 1
        matrices[projection] = matrix
    counts = {p.name: np.zeros((len(x), p.size), np.int64) for p in graph.populations[1:]}
    for sample, pixels in enumerate(x):
        membrane = {p: np.zeros(p.size, np.float32) for p in graph.populations}
        for _ in range(steps):
            active = {graph.populations[0]: pixels.ravel()}
            for population in graph.populations[1:]:
                sums = sum(matrices[q] @ active[q.source] for q in inbound[population])
                if inbound[population][0].connections[0].weighting == "mean":
                    sums = sums / sum(q.in_degrees for q in inbound[population])
                membrane[population] += (sums + currents[population]).astype(np.float32)
                active[population] = (membrane[population] >= 1).astype(np.float32)
                membrane[population] -= active[population]
                counts[population.name][sample] += active[population].astype(np.int64)
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("exact", [True, False], ids=["multiples of 1/256", "any weights"])
def test_spike_counts_neuron_by_neuron(tmp_path, exact):
    model = network()
    set_weights(model, exact)
    parsed = save(model, tmp_path / "net_parsed.h5")
    x = np.random.default_rng(2).integers(0, 256, (SAMPLES, 9, 8, 2)).astype(np.uint8)
    simulate = pytest.importorskip("snnb.simulation.simulate", reason="TensorFlow is not installed").simulate
    simulate(
        parsed,
        tmp_path,
        name="net",
        x=x,
        y=np.arange(SAMPLES) % 3,
        scale=256.0,
        class_names=["a", "b", "c"],
        num_classes=3,
        settings=SimulationSettings(engine="tensorflow", samples=SAMPLES, duration=STEPS),
    )
    with build_graph(parsed, tmp_path / "net_graph.h5", pool_weight="mean") as graph:
        found = step_by_graph(graph, x / np.float32(256), STEPS)
    with np.load(str(tmp_path / "spike_rate_sums.npz")) as sums:
        for name, counts in found.items():
            if name == "09Dense_3":  # the softmax layer's spikes are drawn at random
                continue
            expected = sums[name].ravel()
            assert 0.02 < expected.mean() / (SAMPLES * STEPS) < 0.98
            difference = np.abs(counts.sum(axis=0) - expected)
            if exact:
                assert not difference.any(), name
            else:  # other orders of summation: one spike in a thousand neurons and samples, at most one each
                assert difference.sum() <= max(1, SAMPLES * expected.size // 1000), name


@pytest.mark.slow
def test_rates_of_the_simulation_come_back_from_the_graph(tmp_path):
    """From the simulator's counts to node, edge and carried spikes."""
    model = network()
    set_weights(model, exact=True)
    parsed = save(model, tmp_path / "net_parsed.h5")
    x = np.random.default_rng(2).random((2, 9, 8, 2), np.float32)
    simulate = pytest.importorskip("snnb.simulation.simulate", reason="TensorFlow is not installed").simulate
    simulate(
        parsed,
        tmp_path,
        name="net",
        x=x,
        y=np.zeros(2, np.int64),
        scale=1.0,
        class_names=["a", "b", "c"],
        num_classes=3,
        settings=SimulationSettings(engine="tensorflow", samples=2, duration=30, warm_up=10),
    )
    counts = tmp_path / "spike_rate_sums.npz"
    with build_graph(parsed, tmp_path / "net_graph.h5", counts=counts, coding={"input": "current"}) as graph:
        assert graph.recording.num_timesteps == 20
        np.testing.assert_allclose(graph.populations[0].rate, x.mean(axis=0), rtol=1e-5)
        population = graph.populations[1]
        assert graph.nodes[population.first + 7].rate * 40 == population.spike_count.ravel()[7]
        carried = [summary.spikes_per_second for summary in graph.summary()]
        assert carried[0] == 0
        fan_out = sum(p.out_degrees for p in graph.projections if p.source is population)
        expected = 1000 * (population.spike_count.ravel() / 40 * fan_out).sum()
        np.testing.assert_allclose(carried[1] + carried[2], expected)
