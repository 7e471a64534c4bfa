"""Graphs of one class in a run, and everything that says which class it is."""

import json
import shutil

import numpy as np
import pytest

from snnb import Run, SynapseGraph
from snnb.cli.main import main
from snnb.core.errors import DamagedError, UsageError
from snnb.pipeline.open_run import described_with_repair, open_run
from snnb.pipeline.plan import bring_up_to_date, state_of_stages
from snnb.results.crosscheck import crosscheck


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A run with a simulation that counts classes."""
    from tests.end_to_end.conftest import RECORDED

    run = Run(path=shutil.copytree(RECORDED, tmp_path_factory.mktemp("classes") / "a run"))
    made = run.simulate(samples=40, duration=23, by="class", engine="event", record_spikes=2)
    return run, made


def test_each_class_has_a_graph_beside_that_of_all(simulated):
    run, made = simulated
    whole, three, five = run.graph(), run.graph(class_name="3"), run.graph(class_name="5")
    stamp = made.directory.name
    assert [one.directory.name for one in (whole, three, five)] == [stamp, f"{stamp}-class-3", f"{stamp}-class-5"]
    with np.load(made.directory / "spike_counts_by_class.npz") as file:
        by_class, samples = {name: file[name] for name in file.files}, file["samples_by_class"]
    with SynapseGraph.open(three.directory / "mini_network_graph.h5") as graph:
        assert (graph.class_name, graph.recording.num_samples) == ("3", samples[3])
        source = graph.populations[1]
        np.testing.assert_array_equal(source.spike_count, by_class[source.name][3])
        rates = by_class[source.name][3].ravel() / (samples[3] * 23)
        edges, weights = graph.to_scipy("edge"), graph.to_scipy("weight")
        rows = slice(source.first, source.first + source.size)
        expected = weights[rows].multiply(np.float32(rates)[:, np.newaxis])
        np.testing.assert_allclose(edges[rows].toarray(), expected.toarray(), rtol=1e-6)
        assert edges[rows].nnz
    directory = run.directory
    with directory.locked():
        again = bring_up_to_date(directory, "graph", {"graph": {"class_name": "3"}})[-1]
    assert (again.reason, again.directory) == (None, three.directory)
    assert {state.reason for state in state_of_stages(open_run(run.path))} == {None}
    assert "one class only: 3" in (three.directory / "log.txt").read_text()
    assert "one class only" not in (whole.directory / "log.txt").read_text()


def test_everything_says_which_class_it_is(simulated, tmp_path, capsys):
    run, made = simulated
    name = run.graph(class_name="7").directory.name
    exported = run.export("sonata", tmp_path / "net", graph=name)
    stated = json.loads((exported.path / "description.json").read_text())
    assert (stated["class_name"], stated["class_number"], stated["graph"]["stamp"]) == ("7", 7, name)
    assert stated["simulation"]["duration"] == 23
    assert main(["status", str(run.path), "--json"]) == 0
    stages = {stage["stage"]: stage for stage in json.loads(capsys.readouterr().out)["stages"]}
    assert stages[f"graphs/{name}"]["class_name"] == "7"
    with pytest.raises(
        UsageError, match=rf"class 7 only, and all samples are compared; give --graph {made.directory.name}"
    ):
        crosscheck(open_run(run.path), "scipy", graph=name)
    with pytest.raises(UsageError, match="times of samples of all classes, and this graph is of 7 only"):
        run.export("spinemap", tmp_path / "spinemap", graph=name)


def test_the_graph_of_a_class_is_taken_out_of_the_run_alone(simulated):
    run, made = simulated
    name = run.graph(class_name="9").directory.name
    with pytest.raises(UsageError, match=rf"graphs/{name}.* made from it; give --with-dependents"):
        run.remove(made.directory.name)
    assert run.remove(f"graphs/{name}").removed == [f"graphs/{name}"]
    assert not (run.path / "graphs" / name).exists()
    assert run.verify().problems == []


def test_a_mapping_of_a_class_says_so_and_has_no_busiest_step(simulated, tmp_path):
    run, made = simulated
    name = run.graph(class_name="4").directory.name
    mapped = run.map(hardware="spinemap_5x5", method="sequential", graph=name)
    said = json.loads((mapped.directory / "cost.json").read_text())
    assert (said["class_name"], "by_step" in said, mapped.record.details.graph) == ("4", False, name)
    with np.load(made.directory / "spike_counts_by_class.npz") as file:
        assert said["samples"] == file["samples_by_class"][4]
    log = (mapped.directory / "log.txt").read_text()
    assert "one class only: 4" in log


def test_a_damaged_graph_of_a_class_is_made_again_by_the_name_of_the_class(simulated, tmp_path):
    """Where classes are named 1, 2, 3 …, the number of one is the name of another."""
    run, made = simulated
    damaged = run.graph(class_name="3").directory.relative_to(run.path)
    copy = shutil.copytree(run.path, tmp_path / "run")
    manifest = copy / "manifest.yaml"
    text = manifest.read_text()
    assert "class_name: '3'" in text
    manifest.write_text(text.replace("class_name: '3'", "class_name: '4'"))
    error = DamagedError(copy / damaged / "mini_network_graph.h5", "not as it was written")
    assert f"--simulation {made.directory.name} --class 4` makes it again" in described_with_repair(error)
