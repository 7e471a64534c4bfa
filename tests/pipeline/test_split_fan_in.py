"""`snnb map --split-fan-in` on the recorded run: its files, what it states, and what it refuses."""

import json

import numpy as np
import pytest
import yaml

from snnb import Run
from snnb.graph.synapse_graph import SynapseGraph
from snnb.mapping.mapping import Mapping
from snnb.pipeline.map_split import UNKNOWN
from snnb.pipeline.open_run import open_run
from snnb.results.compare import mappings_of
from snnb.results.verify import verify_run
from tests.pipeline.test_map import CHIP, NEURONS, stamp_of


@pytest.fixture
def chip(tmp_path):
    path = tmp_path / "narrow.yaml"
    path.write_text(CHIP.replace("300", "20").replace("[4, 4]", "[16, 16]"))
    return path


def test_a_network_that_does_not_fit_is_mapped_with_relays(run, chip, snnb):
    line = ["map", run.path, "--hardware", chip, "--method", "sequential"]
    result = snnb(*line, "--split-fan-in")
    assert result.returncode == 0, result.stderr
    (directory,) = (run.path / "maps").iterdir()
    stated, log = json.loads((directory / "cost.json").read_text()), (directory / "log.txt").read_text()
    found = stated["split_fan_in"]
    assert found["layers"] == ["02Conv2D_2x2x8", "04Dense_10"]
    assert found["samples"] == 60
    text = f"{found['relays']:,} relay neurons onto 02Conv2D_2x2x8, 04Dense_10: {found['neurons']:,} neurons instead of"
    assert text in log
    assert text in result.stderr
    assert UNKNOWN in log
    accuracies = json.loads((run.path / "simulations" / stamp_of(run) / "sim_accuracies.json").read_text())
    assert found["unsplit_readout_accuracy"] == pytest.approx(accuracies["readout_accuracy"])
    assert f"{100 * found['readout_accuracy']:.2f}" in result.stdout
    with SynapseGraph.open(directory / "mini_network_graph.h5") as graph:
        assert (graph.number_of_neurons(), graph.number_of_edges()) == (found["neurons"], found["synapses"])
        assert found["neurons"] == NEURONS + found["relays"] == found["unsplit_neurons"] + found["relays"]
        assert graph.recording.num_samples == 60
        mapping = Mapping.open(directory)
        assert mapping.core.size == found["neurons"]
        sources = graph.to_scipy()[graph.populations[0].size :].tocsc()
        axons = [np.unique(sources[:, mapping.neurons_of(core)].indices).size for core in range(mapping.cores)]
        assert axons == mapping.per_core["axons"].tolist()
        assert max(axons) <= 20
    opened = open_run(run.path)
    assert opened.records_of("map")[directory.name].details.relays == found["relays"]
    assert mappings_of(opened)[0].row[4] == f"{stated['cores']} (with {found['relays']} relays)"
    assert verify_run(opened).problems == []
    before = {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "cost.json"}
    Run(path=run.path).map(force=True)  # with the recorded options
    assert {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "cost.json"} == before
    exported = snnb("export", run.path, "--format", "sanafe", "--map", directory.name)
    assert (exported.returncode, "give a mapping without --split-fan-in" in exported.stderr) == (2, True)


def test_a_network_that_fits_is_mapped_as_without(run):
    face = Run(path=run.path)
    plain = face.map(hardware="spinemap_5x5", method="sequential").directory
    split = face.map(split_fan_in=True).directory
    assert plain != split
    assert {path.name for path in plain.iterdir()} == {path.name for path in split.iterdir()}
    for name in ("partition.txt", "cores.csv", "traffic.npz"):
        assert (plain / name).read_bytes() == (split / name).read_bytes()
    assert "split_fan_in" not in json.loads((split / "cost.json").read_text())


def test_a_partition_is_of_the_neurons_of_the_graph(run, tmp_path, snnb):
    face = Run(path=run.path)
    face.map(hardware="loihi", method="sequential", split_fan_in=True)
    (tmp_path / "zero").write_text("0\n" * NEURONS)
    line = ["map", run.path, "--hardware", "loihi", "--partition", tmp_path / "zero"]
    assert snnb(*line).returncode == 0  # the recorded --split-fan-in is not used


@pytest.mark.parametrize(
    ("change", "keyword"),
    [
        ({"reset": "zero"}, "reset"),
        ({"input": "poisson", "record_spikes": 0}, "--record-spikes"),
        (None, "not in this"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_line(run, chip, snnb, change, keyword):
    path = run.path / "manifest.yaml"
    manifest = yaml.safe_load(path.read_text())
    if change is None:
        manifest["stages"]["simulations"] = {}
    else:
        manifest["stages"]["simulations"][stamp_of(run)]["params"].update(change)
    path.write_text(yaml.safe_dump(manifest))
    line = ["map", run.path, "--hardware", chip, "--split-fan-in", "--graph", stamp_of(run), "--quiet"]
    result = snnb(*line)
    assert result.returncode == 2, result.stderr
    assert keyword in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (run.path / "maps").exists()
