"""Integer networks in other simulators, and in other formats: the same integers, and every spike the same."""

import csv
import json

import h5py
import numpy as np
import pytest

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import spiking_network
from snnb.core.errors import UsageError, VerificationError
from snnb.crosscheck import brian2, sanafe, scipy
from snnb.crosscheck.check import Expected, check
from snnb.crosscheck.exported import exported_network
from snnb.graph.build import build_graph
from snnb.graph.export.export_options import ExportOptions
from snnb.graph.export.request import Simulated
from snnb.graph.export.write_export import export
from snnb.network.read_network import read_network, write_spiking
from snnb.simulation.simulate import SimulationSettings
from tests.crosscheck.conftest import residual
from tests.crosscheck.simulated import compare_spikes, graph_of_simulation
from tests.graph.networks import save

STEPS, SAMPLES, INTEGERS = 8, 3, ExportOptions(integers=True)
SIMULATED = Simulated(1.0, "subtraction", "constant", None, 255.0, None, None, STEPS, SAMPLES, 0)


@pytest.fixture(scope="module", params=["usual", "separated", "free"])
def simulated(request, tmp_path_factory):
    """Firing, folder of the simulation, pictures in [0, 1], and the graph."""
    folder = tmp_path_factory.mktemp(request.param)
    model, random = residual(from_input=False), np.random.default_rng(6)
    shapes = [w.shape for w in model.get_weights()]
    model.set_weights([random.normal(0.2, 1, s) / np.sqrt(np.prod(s[:-1]) if len(s) > 1 else 8) for s in shapes])
    path = save(model, folder / "net_parsed.h5")
    x = random.integers(0, 256, (SAMPLES, 6, 5, 2)).astype(np.uint8)
    pixels = x.astype(np.float32) / np.float32(255)
    if request.param == "usual":
        write_spiking(spiking_network(read_network(path), pixels, ConversionSettings(weight_bits=6), 255), path)
    else:
        settings = ConversionSettings(calibrate=STEPS, firing=request.param, starts="zero", weight_bits=6)
        write_spiking(calibrate(read_network(path), pixels, settings, pixel_scale=255).network, path)
    dynamics = SimulationSettings(samples=SAMPLES, duration=STEPS, engine="event", record_spikes=SAMPLES)
    with graph_of_simulation(path, folder, x, 255.0, dynamics) as graph:
        yield request.param, folder, pixels.reshape(SAMPLES, -1).astype(float), graph


@pytest.mark.parametrize("simulator", [scipy, brian2, sanafe], ids=["scipy", "brian2", "sanafe"])
def test_other_simulators_give_the_same_spikes(simulated, simulator):
    firing, folder, inputs, graph = simulated
    network = exported_network(graph, SIMULATED)
    assert network.integers
    compare_spikes(network, simulator, firing, folder, inputs, STEPS)


def test_sums_of_integers_may_not_differ(simulated):
    _, folder, inputs, graph = simulated
    network = exported_network(graph, SIMULATED)
    steps = max((p.window[1] for p in network.populations if p.window), default=STEPS)
    with np.load(folder / "spike_rate_sums.npz") as arrays:
        sums = {p.name: arrays[p.name].ravel() for p in network.simulated}
    simulate = scipy.build(network)
    assert not any(one.differing for one in check(network, simulate, Expected(steps, 0, inputs, sums=sums), name="x"))
    last = network.simulated[-1].name
    sums[last] = sums[last] + np.eye(1, sums[last].size, dtype=np.int64)[0]
    with pytest.raises(VerificationError, match=f"{last} differs in x by 1 spikes, and sums of integers are exact"):
        check(network, simulate, Expected(steps, 0, inputs, sums=sums), name="x")


def test_formats_write_the_integers_of_the_parsed_network(simulated, tmp_path):
    firing, folder, _, graph = simulated
    network = read_network(folder / "net_parsed.h5")
    stored = {
        p.name: np.unique(np.concatenate([np.ravel(q.kernel) for q in p.projections])) for p in network.populations
    }
    export(graph, "csv", tmp_path / "net.csv", INTEGERS, simulated=SIMULATED)
    with (tmp_path / "net.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["weight"]) in stored[row["dest_group"]] for row in rows)
    thresholds = {p.name: set(p.threshold.tolist()) for p in network.populations}
    with (tmp_path / "net.csv.nodes.csv").open() as file:
        for row in csv.DictReader(file):
            assert row["population"] == "input" or float(row["threshold"]) in thresholds[row["population"]]
    stated = json.loads((tmp_path / "net.csv.json").read_text())
    assert (stated["weight_bits"], stated["neuron"]["input_spike_amplitude"]) == (6, 255)
    if firing == "separated":
        return
    export(graph, "nir", tmp_path / "net.nir", INTEGERS, simulated=SIMULATED)
    arrays = {"weight": [], "bias": [], "v_threshold": []}
    with h5py.File(tmp_path / "net.nir", "r") as file:
        file.visititems(lambda name, item: arrays.get(name.split("/")[-1], []).append(item))
        assert all(np.array_equal(item[()], np.rint(item[()])) for items in arrays.values() for item in items)
        assert {frozenset(np.unique(item[()])) for item in arrays["v_threshold"]} == set(
            map(frozenset, thresholds.values())
        )
    if firing == "free":  # all neurons start at 0
        export(graph, "sanafe", tmp_path / "net.net", INTEGERS, simulated=SIMULATED)
        lines = (tmp_path / "net.net").read_text().splitlines()
        numbers = [
            float(word.split("=")[1]) for line in lines if line[0] in "ne" for word in line.split() if "=" in word
        ]
        assert np.array_equal(numbers, np.rint(numbers))
    export(graph, "pynn", tmp_path / "pynn", INTEGERS, simulated=SIMULATED)
    lists = [np.loadtxt(path, ndmin=2) for path in (tmp_path / "pynn").glob("*.txt")]
    assert all(np.array_equal(rows, np.rint(rows)) for rows in lists)


def test_a_float_network_has_no_integers(parsed, tmp_path):
    with build_graph(parsed, tmp_path / "graph.h5") as graph, pytest.raises(UsageError, match="--weight-bits"):
        graph.with_integers()
