"""Graphs of calibrated networks: other simulators fire in the same windows and from the same initial potentials."""

import json
import shutil

import numpy as np
import pytest

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.core.errors import UsageError
from snnb.crosscheck import brian2, sanafe, scipy
from snnb.crosscheck.check import first_inconsistent
from snnb.crosscheck.exported import exported_network
from snnb.graph.export.request import Simulated
from snnb.graph.export.write_export import export
from snnb.mapping.hardware import read_hardware
from snnb.mapping.map_network import map_network
from snnb.mapping.traffic import PlacedNetwork
from snnb.network.read_network import read_network, write_spiking
from snnb.simulation.simulate import SimulationSettings
from tests.crosscheck.simulated import compare_spikes, graph_of_simulation

STEPS, SAMPLES = 6, 3


@pytest.fixture(scope="module", params=["separated", "free"])
def simulated(request, parsed, tmp_path_factory):
    """Firing, folder of the simulation, pictures in [0, 1], and the graph."""
    folder = tmp_path_factory.mktemp(request.param)
    model = folder / "net_parsed.h5"
    shutil.copyfile(str(parsed), str(model))
    x = np.random.default_rng(5).integers(0, 256, (SAMPLES, 6, 5, 2)).astype(np.uint8)
    pixels = (x / np.float32(256)).astype(np.float32)
    settings = ConversionSettings(calibrate=STEPS, firing=request.param)
    write_spiking(calibrate(read_network(model), pixels, settings).network, model)
    dynamics = SimulationSettings(samples=SAMPLES, duration=STEPS, engine="event", record_spikes=SAMPLES)
    with graph_of_simulation(model, folder, x, 256.0, dynamics) as graph:
        yield request.param, folder, pixels.reshape(SAMPLES, -1).astype(float), graph


SIMULATED = Simulated(1.0, "subtraction", "constant", None, 256.0, None, None, STEPS, SAMPLES, 0)


@pytest.mark.parametrize("simulator", [scipy, brian2, sanafe], ids=["scipy", "brian2", "sanafe"])
def test_other_simulators_give_the_same_spikes(simulated, simulator):
    firing, folder, inputs, graph = simulated
    network = exported_network(graph, SIMULATED)
    recorded = compare_spikes(network, simulator, firing, folder, inputs, STEPS)
    if recorded is not None:
        assert all(rows.size for rows in recorded.values())
    if firing == "separated" and recorded is not None:
        spikes = {**recorded, "sum": recorded["sum"] + [0, 0, STEPS]}  # a window too late
        steps = max(p.window[1] for p in network.populations if p.window)
        assert first_inconsistent(network, inputs, spikes, steps).population == "sum"


def test_rates_are_shares_of_the_window(simulated):
    firing, folder, _, graph = simulated
    with np.load(folder / "spike_rate_sums.npz") as sums:
        for population in graph.populations[1:]:
            np.testing.assert_allclose(population.rate, sums[population.name] / (STEPS * SAMPLES))
            assert population.rate.max() <= 1
            depth = {"one": 1, "two": 2, "sum": 3}.get(population.name)
            if firing == "separated" and depth is not None:
                assert population.window == (depth * STEPS, (depth + 1) * STEPS)


@pytest.mark.parametrize("format", ["sanafe", "pynn", "nir"])
def test_formats_without_windows_refuse_them(simulated, tmp_path, format):
    firing, _, _, graph = simulated
    if firing == "separated":
        with pytest.raises(UsageError, match="cannot state that populations fire in windows"):
            export(graph, format, tmp_path / "net", simulated=SIMULATED)
    elif format == "sanafe":
        with pytest.raises(UsageError, match="initial potentials other than 0"):
            export(graph, format, tmp_path / "net", simulated=SIMULATED)


def test_a_mapping_counts_the_steps_between_two_samples(simulated):
    _, folder, _, graph = simulated
    stated = json.loads((folder / "sim_accuracies.json").read_text())
    assert (graph.interval, graph.latency) == (stated["interval_steps"], stated["latency_steps"])
    chip = read_hardware("loihi")
    cost = map_network(PlacedNetwork.of(graph), chip, method="sequential").cost
    updates = cost.events
    assert updates["neuron_active"] + updates["neuron_inactive"] == graph.number_of_neurons() * graph.interval
    assert cost.sample_ns / cost.step_ns == pytest.approx(stated["interval_steps"])
    assert cost.sample_latency_ns / cost.step_ns == pytest.approx(stated["latency_steps"])
