"""Graphs of one class in a run, mappings with the busiest time, and everything that says which class it is."""

import json
import shutil
from collections import defaultdict

import numpy as np
import pytest

from snnb import Mapping, Run, SynapseGraph
from snnb.cli.main import main
from snnb.core.errors import DamagedError, InputError, UsageError
from snnb.pipeline.open_run import described_with_repair, open_run
from snnb.pipeline.plan import bring_up_to_date, state_of_stages
from snnb.results.crosscheck import crosscheck
from tests.mapping.brute_force import csv_edges, route
from tests.pipeline.test_map import CHIP


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A run with a simulation that counts classes, and bins of unequal length."""
    from tests.end_to_end.conftest import RECORDED

    run = Run(path=shutil.copytree(RECORDED, tmp_path_factory.mktemp("classes") / "a run"))
    made = run.simulate(samples=40, duration=23, by="class", bins=4, engine="event", record_spikes=2)
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


def test_the_busiest_time_of_the_links(simulated, tmp_path):
    """Each spike walks to each core that it reaches, counted link by link from the edges that the csv export lists."""
    run, made = simulated
    (tmp_path / "chip.yaml").write_text(CHIP.replace("64", "40").replace("300", "400"))
    mapped = run.map(hardware=str(tmp_path / "chip.yaml"), method="sequential")
    said = json.loads((mapped.directory / "cost.json").read_text())["by_bin"]
    mapping = Mapping.open(mapped.directory)
    with np.load(made.directory / "spike_counts_by_bin.npz") as file:
        edges, counts = (
            file["bin_edges"],
            {name: file[name].reshape(4, -1) for name in file.files if file[name].ndim > 1},
        )
    assert said["bin_edges"] == edges.tolist() == [0, 5, 11, 17, 23]
    path = run.path / "graphs" / made.directory.name / "mini_network_graph.h5"
    with SynapseGraph.open(path) as graph:
        spikes = np.concatenate([counts[population.name] for population in graph.populations], axis=1)
        first = graph.populations[1].first
        reached = defaultdict(set)
        for source, target, *_ in csv_edges(graph, tmp_path):
            if source >= first and mapping.core_of(source) != mapping.core_of(target):
                reached[source].add(mapping.core_of(target))
    loads = np.zeros((4, 0))
    numbers = {}
    for source, cores in reached.items():
        for core in cores:
            for link in route(mapping.place_of(mapping.core_of(source)), mapping.place_of(core)):
                number = numbers.setdefault(link, len(numbers))
                if number == loads.shape[1]:
                    loads = np.pad(loads, [(0, 0), (0, 1)])
                loads[:, number] += spikes[:, source]
    expected = loads.max(axis=1) / 40 / np.diff(edges)
    np.testing.assert_allclose(said["link_load_max_per_step"], expected, rtol=1e-12)
    assert said["peak_bin"] == expected.argmax() != 0
    assert said["link_load_peak"] == mapped.record.metrics["link_load_peak"] == pytest.approx(expected.max())
    begin, end = edges[said["peak_bin"]], edges[said["peak_bin"] + 1] - 1
    assert (
        f"busiest time: steps {begin} to {end}, bin {said['peak_bin']} of 4"
        in (mapped.directory / "log.txt").read_text()
    )
    assert [file.path for file in mapped.record.inputs][1].endswith("spike_counts_by_bin.npz")
    page = run.report(tmp_path / "page.html").read_text()
    assert "link load peak" in page


def test_a_mapping_onto_loihi_says_what_each_step_takes(simulated):
    run, made = simulated
    graph = run.graph(simulation=made.directory.name).directory.name
    mapped = run.map(hardware="loihi", method="sequential", graph=graph)
    said = json.loads((mapped.directory / "cost.json").read_text())
    with np.load(made.directory / "spike_times.npz") as file:
        steps, rows = int(file["num_steps"]), {name: file[name] for name in file.files if file[name].ndim == 2}
    recorded = said["recorded"]
    with SynapseGraph.open(run.path / "graphs" / graph / "mini_network_graph.h5") as opened:
        placed = [population.name for population in opened.populations[1:]]
    assert recorded["samples"] == [0, 1]
    assert np.shape(recorded["step_ns"]) == (2, steps + len(placed) - 1)
    assert recorded["events"]["spike"] == sum(len(rows[name]) for name in placed) / 2
    spikes = sum(len(rows[name]) for name in placed if name != placed[-1])  # the last layer sends none
    assert recorded["events"]["axon_out"] == spikes / 2  # all on one core
    assert len(said["by_bin"]["step_ns"]) == 4
    assert [file.path.split("/")[-1] for file in mapped.record.inputs][1:] == [
        "spike_counts_by_bin.npz",
        "spike_times.npz",
        "loihi.yaml",
    ]
    log = (mapped.directory / "log.txt").read_text()
    assert "2 recorded samples: " in log
    assert "; the longest mean step of a bin takes " in log
    assert (mapped.directory / "events.png").exists()


def test_a_mapping_of_a_class_says_so_and_has_no_busiest_time(simulated, tmp_path):
    run, made = simulated
    name = run.graph(class_name="4").directory.name
    mapped = run.map(hardware="spinemap_5x5", method="sequential", graph=name)
    said = json.loads((mapped.directory / "cost.json").read_text())
    assert (said["class_name"], "by_bin" in said, mapped.record.details.graph) == ("4", False, name)
    with np.load(made.directory / "spike_counts_by_class.npz") as file:
        assert said["samples"] == file["samples_by_class"][4]
    log = (mapped.directory / "log.txt").read_text()
    assert "one class only: 4" in log
    assert "busiest time: not known of one class" in log


def test_counts_by_bin_that_are_not_those_of_the_graph(simulated):
    from snnb.mapping.hardware import read_hardware
    from snnb.mapping.map_network import map_network
    from snnb.mapping.time_costs import bin_loads
    from snnb.mapping.traffic import PlacedNetwork

    run, made = simulated
    path = run.path / "graphs" / run.graph(class_name="3").directory.name / "mini_network_graph.h5"
    with SynapseGraph.open(path) as graph:
        mapped = map_network(PlacedNetwork.of(graph), read_hardware("spinemap_5x5"), method="sequential")
        with pytest.raises(InputError, match="its counts do not sum to those of the graph"):
            bin_loads(mapped, made.directory / "spike_counts_by_bin.npz")


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
