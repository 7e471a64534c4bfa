"""The CSV file of a graph with default options, stepped with numpy alone, gives the spike counts of the simulation."""

import csv
import json

import numpy as np
import pytest

from snnb import Run
from snnb.formats.write_export import export
from snnb.graph.build import build_graph
from snnb.network.read_network import read_network
from snnb.network.spike_counts import SpikeCounts
from snnb.simulation.simulate import SimulationSettings
from tests.crosscheck.conftest import residual
from tests.crosscheck.simulated import graph_of_simulation
from tests.end_to_end.conftest import RECORDED
from tests.graph.networks import LAYERS, save
from tests.graph.recorded import keras

SAMPLES, STEPS = 20, 30


def plain_model():
    source = LAYERS.Input((6, 5, 2), name="input")
    hidden = LAYERS.Dense(20, activation="relu", name="hidden")(
        LAYERS.Flatten(name="flat")(source)
    )
    return keras.Model(
        source, LAYERS.Dense(3, activation="softmax", name="out")(hidden)
    )


def simulate_network(build, folder):
    """Return pictures and steps of a simulated network, its graph, and the folder of the simulation.

    Weights are multiples of 2⁻⁸, so that sums are exact in any order.
    """
    model, rng = build(), np.random.default_rng(5)
    shapes = [weights.shape for weights in model.get_weights()]
    model.set_weights(
        [
            np.rint(rng.normal(20, 100, s) / np.sqrt(np.prod(s[:-1]) + 1)) / 256
            for s in shapes
        ]
    )
    x = rng.integers(0, 256, (SAMPLES, 6, 5, 2)).astype(np.uint8)
    settings = SimulationSettings(engine="event", samples=SAMPLES, duration=STEPS)
    graph = graph_of_simulation(
        save(model, folder / "net_parsed.h5"), folder, x, 256.0, settings
    )
    return x / 256, STEPS, graph, folder


def record_counts():
    """Return the same of the recorded run: a trained network with average pooling."""
    run = Run(path=RECORDED).directory
    (stamp,) = run.records_of("simulate")
    params, simulation = (
        run.records_of("simulate")[stamp].params,
        run.path / "simulations" / stamp,
    )
    network = read_network(simulation / "mini_network_parsed.h5")
    coding = json.loads((simulation / "sim_accuracies.json").read_text())["coding"]
    path = simulation / "spike_rate_sums.npz"
    counts = SpikeCounts.read(path, network.volume_names, coding)
    graph = build_graph(network, counts)
    pictures = (
        np.load(run.path / "dataset" / "x_test.npy")[: params.samples]
        / run.record_of("prepare").details.scale
    )
    return pictures, params.duration, graph, simulation


@pytest.mark.parametrize("network", [record_counts, residual, plain_model])
def test_the_default_csv_gives_the_counts_of_the_simulation(network, tmp_path):
    made_counts = (
        record_counts()
        if network is record_counts
        else simulate_network(network, tmp_path)
    )
    pictures, steps, graph, simulation = made_counts
    with graph:
        export(graph, "csv", tmp_path / "net.csv", origin={})
    with np.load(simulation / "spike_rate_sums.npz") as sums:
        for name, counts in step_neurons(tmp_path / "net.csv", pictures, steps).items():
            np.testing.assert_array_equal(counts, sums[name].ravel(), err_msg=name)
            assert counts.any()


def step_neurons(path, pictures, steps):
    """Return the spike counts by population of the neurons of a CSV export, without those drawn at random."""
    stated_neuron = json.loads(path.with_name("net.csv.json").read_text())["neuron"]
    assert (
        stated_neuron["reset"],
        stated_neuron["threshold"],
        stated_neuron["initial_potential"],
    ) == (
        "subtraction",
        1,
        0,
    )
    with path.with_name("net.csv.nodes.csv").open(newline="") as file:
        nodes = list(csv.DictReader(file))
    numbers = {(node["population"], node["index"]): int(node["id"]) for node in nodes}
    weights = np.zeros((len(nodes), len(nodes)))
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            ends = (
                numbers[row[f"{end}_group"], row[f"{end}_neuron"]]
                for end in ("source", "dest")
            )
            weights[tuple(ends)] = np.float32(row["weight"])
    bias = np.array([float(node["bias"]) for node in nodes])
    populations = {}
    for node in nodes:
        populations.setdefault((node["population"], node["coding"]), []).append(
            int(node["id"])
        )
    signal = np.zeros(
        (len(pictures), len(nodes))
    )  # pixels, and the spikes of the present step
    potential, counts = np.zeros_like(signal), np.zeros(len(nodes))
    signal[:, : pictures[0].size] = pictures.reshape(len(pictures), -1)
    spiking = {
        name: ids for (name, coding), ids in populations.items() if coding == "spikes"
    }
    for _ in range(steps):
        for ids in spiking.values():
            potential[:, ids] += signal @ weights[:, ids] + bias[ids]
            signal[:, ids] = potential[:, ids] >= 1
            potential[:, ids] -= signal[:, ids]
            counts[ids] += signal[:, ids].sum(axis=0)
    return {name: counts[ids] for name, ids in spiking.items()}
