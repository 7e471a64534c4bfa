"""Calibrated and integer networks elsewhere: the same windows, starts and integers, and every spike the same."""

import csv
import json
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from snnb.chips.read_hardware import read_hardware
from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import spiking_network
from snnb.core.errors import UsageError
from snnb.crosscheck import brian2, sanafe, scipy
from snnb.crosscheck.consistency import first_inconsistent
from snnb.crosscheck.exported import exported_network
from snnb.formats.export_options import ExportOptions
from snnb.formats.request import Request, Simulated
from snnb.formats.write_export import export
from snnb.graph.build import build_graph
from snnb.mapping.map_network import map_network
from snnb.mapping.traffic import MappableNetwork
from snnb.network.read_network import read_network, write_spiking
from snnb.simulation.simulate import SimulationSettings
from tests.crosscheck.conftest import random_weights, residual
from tests.crosscheck.simulated import compare_spikes, graph_of_simulation
from tests.graph.networks import save

STEPS, SAMPLES = 8, 3
FLOATS = [("floats", "separated"), ("floats", "free")]
INTEGERS = [("integers", firing) for firing in ("usual", "separated", "free")]


def dynamics_of(scale):
    return Simulated(
        1.0, "subtraction", "constant", None, scale, None, None, STEPS, SAMPLES, 0
    )


@pytest.fixture(scope="module")
def simulation_case(request, parsed_path, tmp_path_factory):
    """Firing, folder of the simulation, pictures in [0, 1], and the graph; weights are floats or 6-bit integers."""
    numbers, firing = request.param
    folder = tmp_path_factory.mktemp(f"{numbers}_{firing}")
    random = np.random.default_rng(6)
    bits = {}
    path, scale = folder / "net_parsed.h5", 256.0
    if numbers == "floats":
        shutil.copyfile(str(parsed_path), str(path))
    else:
        model = residual()
        scale = 255.0
        bits = {"weight_bits": 6}
        model.set_weights(random_weights(model, random))
        save(model, path)
    x = random.integers(0, 256, (SAMPLES, 6, 5, 2)).astype(np.uint8)
    pixels = x.astype(np.float32) / np.float32(scale)
    if firing == "usual":
        network = spiking_network(
            read_network(path), pixels, ConversionSettings(**bits), scale
        )
        network = network.with_populations(
            [replace(network.output, initial_potential=None)]
        )  # all start at 0
    else:
        settings = ConversionSettings(calibrate=STEPS, firing=firing, **bits)
        network = calibrate(
            read_network(path), pixels, settings, pixel_scale=scale
        ).network
    write_spiking(network, path)
    dynamics = SimulationSettings(
        samples=SAMPLES, duration=STEPS, engine="event", record_spikes=SAMPLES
    )
    with graph_of_simulation(path, folder, x, scale, dynamics) as graph:
        yield firing, folder, pixels.reshape(SAMPLES, -1).astype(float), graph


@pytest.mark.parametrize(
    "simulation_case", FLOATS + INTEGERS, indirect=True, ids=" ".join
)
@pytest.mark.parametrize(
    "simulator", [scipy, brian2, sanafe], ids=["scipy", "brian2", "sanafe"]
)
def test_other_simulators_give_the_same_spikes(simulation_case, simulator, request):
    firing, folder, inputs, graph = simulation_case
    floats = request.node.callspec.params["simulation_case"][0] == "floats"
    network = exported_network(graph, dynamics_of(256.0 if floats else 255.0))
    assert network.integers != floats
    spike_record = compare_spikes(network, simulator, firing, folder, inputs, STEPS)
    if floats and spike_record is not None:
        assert all(rows.size for rows in spike_record.values())
    if floats and firing == "separated" and spike_record is not None:
        spikes = {
            **spike_record,
            "sum": spike_record["sum"] + [0, 0, STEPS],
        }  # a window too late
        steps = max(p.window[1] for p in network.populations if p.window)
        assert first_inconsistent(network, inputs, spikes, steps).population == "sum"


@pytest.mark.parametrize("simulation_case", FLOATS, indirect=True, ids=" ".join)
def test_rates_are_shares_of_the_window(simulation_case):
    firing, folder, _, graph = simulation_case
    with np.load(folder / "spike_rate_sums.npz") as sums:
        for population in graph.populations[1:]:
            np.testing.assert_allclose(
                population.rate, sums[population.name] / (STEPS * SAMPLES)
            )
            assert population.rate.max() <= 1
            depth = {"one": 1, "two": 2, "sum": 3}.get(population.name)
            if firing == "separated" and depth is not None:
                assert population.window == (depth * STEPS, (depth + 1) * STEPS)


@pytest.mark.parametrize("simulation_case", FLOATS, indirect=True, ids=" ".join)
@pytest.mark.parametrize("format", ["sanafe", "pynn", "nir"])
def test_formats_without_windows_refuse_them(simulation_case, tmp_path, format):
    firing, _, _, graph = simulation_case
    if firing == "separated":
        with pytest.raises(
            UsageError, match="cannot state firing windows of populations"
        ):
            export(
                graph, format, tmp_path / "net", Request(simulated=dynamics_of(256.0))
            )
    elif format == "sanafe":
        with pytest.raises(UsageError, match="initial potentials other than 0"):
            export(
                graph, format, tmp_path / "net", Request(simulated=dynamics_of(256.0))
            )


@pytest.mark.parametrize("simulation_case", FLOATS, indirect=True, ids=" ".join)
def test_a_mapping_counts_the_steps_between_two_samples(simulation_case):
    _, folder, _, graph = simulation_case
    document = json.loads((folder / "sim_accuracies.json").read_text())
    assert (graph.interval, graph.latency) == (
        document["interval_steps"],
        document["latency_steps"],
    )
    chip = read_hardware("loihi")
    cost = map_network(MappableNetwork.of(graph), chip, method="sequential").cost
    updates = cost.events
    assert (
        updates["neuron_active"] + updates["neuron_inactive"]
        == graph.number_of_neurons() * graph.interval
    )
    assert cost.step.sample_ns / cost.step.step_ns == pytest.approx(
        document["interval_steps"]
    )
    layers = len(graph.populations) - 1  # all are on the longest path
    on_chip = document["latency_steps"] + layers - 1
    assert cost.step.sample_latency_ns / cost.step.step_ns == pytest.approx(on_chip)


@pytest.mark.parametrize("simulation_case", INTEGERS, indirect=True, ids=" ".join)
def test_formats_write_the_integers_of_the_parsed_network(simulation_case, tmp_path):
    firing, folder, _, graph = simulation_case
    request = Request(ExportOptions(integers=True), simulated=dynamics_of(255.0))
    network = read_network(folder / "net_parsed.h5")
    stored_weights = {
        p.name: np.unique(np.concatenate([np.ravel(q.kernel) for q in p.projections]))
        for p in network.populations
    }
    export(graph, "csv", tmp_path / "net.csv", request)
    with (tmp_path / "net.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(
        float(row["weight"]) in stored_weights[row["dest_group"]] for row in rows
    )
    thresholds = {
        p.name: set(p.integer_threshold.tolist()) for p in network.populations
    }
    with (tmp_path / "net.csv.nodes.csv").open() as file:
        for row in csv.DictReader(file):
            assert (
                row["population"] == "input"
                or float(row["threshold"]) in thresholds[row["population"]]
            )
    document = json.loads((tmp_path / "net.csv.json").read_text())
    assert (document["weight_bits"], document["neuron"]["input_spike_amplitude"]) == (
        6,
        255,
    )
    if firing == "separated":
        return
    export(graph, "nir", tmp_path / "net.nir", request)
    arrays = {"weight": [], "bias": [], "v_threshold": []}
    with h5py.File(tmp_path / "net.nir", "r") as file:
        file.visititems(
            lambda name, item: arrays.get(name.split("/")[-1], []).append(item)
        )
        assert all(
            np.array_equal(item[()], np.rint(item[()]))
            for items in arrays.values()
            for item in items
        )
        assert {
            frozenset(np.unique(item[()])) for item in arrays["v_threshold"]
        } == set(map(frozenset, thresholds.values()))
    if firing == "usual":  # all neurons start at 0
        export(graph, "sanafe", tmp_path / "net.net", request)
        lines = (tmp_path / "net.net").read_text().splitlines()
        numbers = [
            float(word.split("=")[1])
            for line in lines
            if line[0] in "ne"
            for word in line.split()
            if "=" in word
        ]
        assert np.array_equal(numbers, np.rint(numbers))
    export(graph, "pynn", tmp_path / "pynn", request)
    lists = [np.loadtxt(path, ndmin=2) for path in (tmp_path / "pynn").glob("*.txt")]
    assert all(np.array_equal(rows, np.rint(rows)) for rows in lists)


def test_a_float_network_has_no_integers(parsed_path):
    message = "no integer weights; convert with weight bits to have them"
    graph = build_graph(read_network(parsed_path))
    with pytest.raises(UsageError, match=message):
        graph.with_integers()
