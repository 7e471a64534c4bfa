"""Spikes of the exported graph in other simulators, against the spikes of the simulation of the network."""

import numpy as np
import pytest

from snnb.core.errors import UsageError
from snnb.crosscheck import brian2, sanafe, scipy
from snnb.crosscheck.check import first_inconsistent
from snnb.crosscheck.exported import counts_of, exported_network, in_order
from snnb.graph.build import build_graph
from tests.crosscheck.simulated import STEPS, simulated_graph, ways_to_simulate
from tests.graph.networks import LAYERS, save
from tests.graph.recorded import keras

SAMPLES = 3
START = {"subtraction": 0.0, "zero": 0.5}  # not a way of its own, since each takes seconds


def inputs_of(x, times, coding):
    if coding == "constant":
        return (x / np.float32(256)).reshape(SAMPLES, -1).astype(float)
    inputs = np.zeros((SAMPLES, 60, STEPS), bool)
    inputs[tuple(times["input"].T)] = True
    return inputs


@pytest.mark.parametrize("simulator", [scipy, brian2, sanafe], ids=["scipy", "brian2", "sanafe"])
@ways_to_simulate
def test_spikes_of_a_residual_network(parsed, tmp_path, simulator, reset, threshold, coding):
    x, simulated, built = simulated_graph(parsed, tmp_path, SAMPLES, reset, threshold, coding, START[reset])
    with built as graph:
        network = exported_network(graph, simulated)
    with np.load(tmp_path / "spike_times.npz") as times:
        inputs = inputs_of(x, times, coding)
        found = simulator.build(network)(inputs, STEPS)
        assert list(found) == ["one", "two", "sum", "pool", "hidden"]
        for name, spikes in found.items():
            assert spikes.size > 0, name
            rows = [np.array(sorted(map(tuple, each.tolist()))) for each in (spikes, times[name])]
            np.testing.assert_array_equal(rows[0], rows[1], err_msg=name)


@ways_to_simulate
def test_each_spike_follows_and_without_one_the_others_do_not(parsed, tmp_path, reset, threshold, coding):
    x, simulated, built = simulated_graph(parsed, tmp_path, SAMPLES, reset, threshold, coding, START[reset])
    with built as graph:
        network = exported_network(graph, simulated)
    with np.load(tmp_path / "spike_times.npz") as times:
        spikes = {name: in_order(times[name].astype(int)) for name in ("one", "two", "sum", "pool", "hidden")}
        inputs = inputs_of(x, times, coding)
    assert first_inconsistent(network, inputs, spikes, STEPS) is None
    missing = spikes["two"][40]
    found = first_inconsistent(network, inputs, {**spikes, "two": np.delete(spikes["two"], 40, axis=0)}, STEPS)
    assert (found.population, found.sample, found.neuron, found.step) == ("two", *missing)
    assert not found.spiked
    assert found.potential >= threshold + found.rounding


def test_spikes_are_counted_after_the_warm_up():
    spikes = np.array([[0, 1, 3], [0, 1, 4], [1, 0, 7], [1, 0, 8]])
    np.testing.assert_array_equal(counts_of(spikes, 3, 2, 4), [[0, 1], [2, 0], [0, 0]])


def test_max_pooling_is_refused(tmp_path):
    source = LAYERS.Input((4, 4, 1), name="input")
    pooled = LAYERS.MaxPooling2D(2, name="highest")(source)
    model = keras.Model(source, LAYERS.Dense(2, name="out")(LAYERS.Flatten(name="flat")(pooled)))
    built = build_graph(save(model, tmp_path / "net_parsed.h5"), tmp_path / "net_graph.h5")
    with built as graph, pytest.raises(UsageError, match="highest takes the maximum of each window"):
        exported_network(graph)
