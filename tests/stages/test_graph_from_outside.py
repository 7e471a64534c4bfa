"""A run that begins with an external graph: its commands, when it is stale, and the same graph from Python."""

import json
import re
from pathlib import Path

import networkx
import numpy as np
import pytest
import yaml
from scipy.sparse import csr_matrix

from snnb import Mapping, Run, SynapseGraph
from snnb.core.errors import DamagedError, InputError, UsageError
from snnb.formats import import_graph
from snnb.stages.open_run import described_with_repair, open_run
from tests.chips.test_sanafe_architecture import architecture
from tests.stages.test_map import CHIP
from tests.stages.test_up_to_date import stale

# A cycle, a synapse of a neuron onto itself, parallel edges (0, 3), a weight of 0, a neuron without targets
EDGES = [
    (0, 3, 1.5),
    (0, 3, 0.25),
    (0, 4, 2),
    (1, 1, -1),
    (3, 1, 0.5),
    (4, 6, 1),
    (5, 0, 3),
    (6, 5, 1),
    (7, 2, 0),
]
SPIKES = np.array([8, 2, 4, 6, 0, 10, 12, 2])
CORE = [0, 0, 0, 1, 1, 2, 2, 2]
CSV = "source,target,weight\n" + "".join(f"{s},{t},{w}\n" for s, t, w in EDGES)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {
        "net.csv": CSV,
        "rates.txt": "\n".join(map(str, SPIKES)),
        "chip.yaml": CHIP,
    }
    for name, text in {**files, "cores.txt": "\n".join(map(str, CORE))}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def spikes_between_cores(edges):
    """Spikes per sample from a neuron to each core, other than its own, that has a target: by brute force."""
    return (
        sum(
            SPIKES[s]
            for s, core in {(s, CORE[t]) for s, t, *_ in edges}
            if core != CORE[s]
        )
        / 2
    )


def test_a_file_that_is_changed_while_it_is_read_makes_the_graph_stale(
    folder, monkeypatch
):
    written = import_graph.write_listed

    def write(*given):
        (folder / "net.csv").write_text(CSV.replace("1.5", "2.5"))
        (folder / "rates.txt").write_text("\n".join(map(str, SPIKES + 1)))
        return written(*given)

    monkeypatch.setattr(import_graph, "write_listed", write)
    Run.from_graph(folder / "net.csv", "run", rates=folder / "rates.txt")
    assert stale("run") == {"graphs/imported": f"{folder}/net.csv has changed"}
    (folder / "net.csv").write_text(CSV)
    assert stale("run") == {"graphs/imported": f"{folder}/rates.txt has changed"}


def test_every_command_from_import_to_report(folder, snnb):
    snnb(
        "graph --from net.csv --rates rates.txt --rate-samples 2 --rate-steps 5 --run-dir runs/theirs"
    )
    assert "up to date" in snnb("graph runs/theirs").stdout
    snnb(
        "map runs/theirs --hardware chip.yaml --partition cores.txt --graph imported --figures svg"
    )
    expected_cores = spikes_between_cores(EDGES)
    (stamp,) = Run(path="runs/theirs").mappings
    cost = json.loads((folder / f"runs/theirs/maps/{stamp}/cost.json").read_text())
    assert (cost["traffic"]["connectivity"], cost["samples"], cost["neurons"]) == (
        expected_cores,
        2,
        8,
    )
    assert "assumed_spikes" not in cost
    assert "8 edges" in snnb("export runs/theirs --format csv --output out.csv").stdout
    assert len((folder / "out.csv").read_text().splitlines()) == 1 + len(
        {edge[:2] for edge in EDGES}
    )
    page = folder / "runs/theirs/report.html"
    snnb("report runs/theirs")
    text = page.read_text()
    assert f"read from {folder}/net.csv (SHA-256 " in text
    assert "rates.txt (SHA-256 " in text
    assert not [
        word
        for word in ('id="training"', 'id="accuracy"', "None yet", "one spike")
        if word in text
    ]
    shown_text = snnb("compare runs/theirs --json").stdout
    (simulation,) = json.loads(shown_text)["simulations"]
    assert simulation["label"] == "external graph"
    assert simulation["statistics"]["mean_rate"] == pytest.approx(SPIKES.mean() / 10)
    distinct = {edge[:2] for edge in EDGES}
    operations = simulation["statistics"]["synaptic_operations_per_sample"]
    assert operations == pytest.approx(sum(SPIKES[s] for s, _ in distinct) / 2)
    assert (
        simulation["mappings"][0]["details"]["traffic"]["connectivity"]
        == expected_cores
    )
    assert "imported" in snnb("compare runs/theirs").stdout
    assert "an external graph" in snnb("status runs/theirs").stdout
    assert "all match the manifest" in snnb("verify runs/theirs").stdout


def test_files_of_spikes_are_added_up_and_recorded(folder, snnb):
    (folder / "more.csv").write_text(
        "id,spikes\n" + "".join(f"{k},{k}\n" for k in range(8))
    )
    line = "graph --from net.csv --rates rates.txt --rates more.csv --run-dir x"
    said = snnb(line).stderr
    files = [f"{folder}/rates.txt", f"{folder}/more.csv"]
    assert ", ".join(f"--rates {file}" for file in files) in said
    assert "9 edges are 8 synapses: the weights of parallel edges are summed" in said
    assert "up to date" in snnb(line).stdout
    assert "up to date" in snnb("graph x").stdout
    (record,) = open_run(Path("x")).records_of("graph").values()
    assert record.model_dump(mode="json")["params"]["rates"] == files
    again = Run.from_graph("net.csv", "y", rates=["rates.txt", Path("more.csv")])
    for run in (Run(path="x"), again):
        with SynapseGraph.open(run.path / "graphs/imported/net_graph.h5") as graph:
            assert (
                graph.populations[0].spike_count.tolist()
                == (SPIKES + np.arange(8)).tolist()
            )
    (folder / "more.csv").unlink()
    assert stale("x") == {}


RATE_OPTIONS = {
    "": "give --rate-samples and --rate-steps; rates must be in spikes",
    " --rate-samples 2": "give --rate-steps; rates",
    " --rate-steps 3": "give --rate-samples; rates",
    " --rate-steps 3 --rate-samples 1": "correct --rate-samples or --rate-steps; rates",
}


@pytest.mark.parametrize("options", RATE_OPTIONS)
def test_more_than_one_spike_per_step_is_named_with_the_missing_option(
    folder, snnb, options
):
    said = snnb(f"graph --from net.csv --rates rates.txt{options} --run-dir x").stderr
    steps = int(options.split()[1]) if options else 1  # samples × steps
    refusal = snnb("map x --hardware chip.yaml --method sequential").stderr
    for stage, text in (("graph", said), ("map", refusal)):
        (line,) = [
            line
            for line in text.splitlines()
            if "spikes per time step, more than" in line
        ]
        assert line.startswith(
            f"{stage}: a neuron has {SPIKES.max() / steps:g} spikes per time step"
        )
        assert RATE_OPTIONS[options] in line
    for log in Path("x").glob("*/*/log.txt"):
        assert line[5:] in log.read_text()


def test_at_most_one_spike_per_step_is_not_named(folder, snnb):
    steps = f"--rate-samples 2 --rate-steps {SPIKES.max() // 2}"
    texts = [snnb(f"graph --from net.csv --rates rates.txt {steps} --run-dir x").stderr]
    texts += [snnb("graph --from net.csv --run-dir assumed").stderr]
    texts += [
        snnb(f"map {run} --hardware chip.yaml --method sequential").stderr
        for run in ("x", "assumed")
    ]
    assert not [text for text in texts if "spikes per time step" in text]


def test_more_than_one_spike_per_step_in_python_and_in_a_graph_file(folder, snnb):
    face = Run.from_graph(csr_matrix(np.eye(8)), "arrays", spikes=SPIKES, samples=2)
    (warning,) = [
        one_warning
        for one_warning in face.graphs["imported"].record.warnings
        if "per time step" in one_warning
    ]
    assert warning.startswith("a neuron has 6 spikes per time step")
    assert warning.endswith("2 samples × 1 time steps: give steps")
    said = snnb(
        f"graph --from {face.path}/graphs/imported/arrays_graph.h5 --run-dir x"
    ).stderr
    assert "correct num_samples and num_timesteps in the file" in said


def test_a_graph_without_spikes_says_so_in_every_result(folder, snnb):
    words = "no spike counts: one spike per neuron is assumed"
    assert words in snnb("graph --from net.csv --run-dir x").stderr
    assert words in snnb("map x --hardware chip.yaml --method sequential").stderr
    assert words in snnb("export x --format csv --output out.csv").stderr
    snnb("report x")
    assert f"Warning: {words}." in (folder / "x/report.html").read_text()
    (result,) = Run(path="x").mappings.values()
    assert Mapping.open(result.directory).cost.assumed_spikes is True
    assert words in (result.directory / "log.txt").read_text()
    assert words in (folder / "x/graphs/imported/log.txt").read_text()
    assert Run(path="x").compare()[0].label == "external graph, spikes assumed"


def test_another_file_replaces_the_graph_with_force_and_a_changed_one_makes_it_stale(
    folder, snnb
):
    snnb("graph --from net.csv --rates rates.txt --run-dir x")
    snnb("map x --hardware chip.yaml --method sequential")
    (stamp,) = Run(path="x").mappings
    (folder / "other.csv").write_text(CSV[:-1])
    found_output = snnb("graph --from other.csv --run-dir x --json --force")
    params = json.loads(found_output.stdout)["stages"][0]["params"]
    assert params["rates"] is None  # they were of the other file
    assert snnb("status x").stdout.startswith("x: other, an external graph")
    assert stale("x") == {f"maps/{stamp}": "graphs/imported/net_graph.h5 is missing"}
    (folder / "other.csv").write_text(CSV.replace("1.5", "2.5"))
    assert stale("x")["graphs/imported"] == f"{folder}/other.csv has changed"
    snnb("graph x --defaults")
    assert "graphs/imported" not in stale("x")
    (folder / "other.csv").unlink()
    assert "graphs/imported" not in stale("x")
    assert "is not available on this machine" in snnb("verify x").stderr
    assert "no such file" in snnb("graph x --force", code=3).stderr
    snnb("map x --hardware chip.yaml --method sequential")
    assert stale("x") == {}
    snnb("remove x imported --with-dependents --yes")
    assert "--from FILE" in snnb("export x --format csv", code=4).stderr
    snnb("report x")
    assert (
        "snnb graph --from FILE --run-dir x" in (folder / "x/report.html").read_text()
    )


def test_a_run_keeps_the_graph_that_it_was_made_from(folder, snnb):
    for name, text in (("a", CSV), ("b", CSV.replace("1.5", "2.5"))):
        (folder / name).mkdir()
        (folder / name / "net.csv").write_text(text)
    snnb("graph --from a/net.csv")
    weights, _ = edges_of(Run(path="runs/net"))
    assert f"{folder}/a/net.csv" in snnb("graph --from b/net.csv", code=2).stderr
    with pytest.raises(
        UsageError, match=f"runs/net has the graph of {folder}/a/net.csv; .*--force"
    ):
        Run.from_graph("b/net.csv")
    with pytest.raises(UsageError, match="another --run-dir"):
        Run.from_graph(source=[0], target=[1], path="runs/net")
    np.testing.assert_array_equal(edges_of(Run(path="runs/net"))[0], weights)
    Run.from_graph(source=[0], target=[1], path="arrays")
    with pytest.raises(UsageError, match="the graph of arrays"):
        Run.from_graph("b/net.csv", "arrays")
    Run.from_graph("b/net.csv", force=True)
    assert edges_of(Run(path="runs/net"))[0][0, 3] == weights[0, 3] + 1
    Run.from_graph("b/net.csv", "arrays", force=True)
    assert snnb("status arrays").stdout.startswith("arrays: net, ")
    run = Run.from_graph(source=[0], target=[1], path="arrays", force=True)
    assert edges_of(run)[0].shape == (2, 2)
    assert run.directory.model == "arrays"


def test_a_file_that_is_no_graph_leaves_no_run(folder, snnb):
    (folder / "README.md").write_text("# Notes")
    for file in ("README.md", "missing.csv"):
        assert file in snnb(f"graph --from {file}", code=3).stderr
        with pytest.raises(InputError, match=file):
            Run.from_graph(file, "runs/new")
    assert not (folder / "runs").exists()


def test_simulations_and_graphs_from_outside_side_by_side(folder, run, snnb):
    snnb(f"graph --from {next(run.path.glob('graphs/*/*_graph.h5'))} --run-dir theirs")
    assert Run(path="theirs").directory.model == "mini_network"
    simulation, outside = Run(path=run.path).compare("theirs")
    for key in (
        "num_samples",
        "num_timesteps",
        "synaptic_operations_per_sample",
        "mean_rate",
        "synapses",
    ):
        assert outside.metrics[key] == pytest.approx(simulation.metrics[key])
    assert "snn_accuracy" not in outside.metrics
    assert outside.differs == {}


def test_weights_without_spikes_are_a_graph_of_assumed_spikes(folder, run, snnb):
    snnb(f"graph {run.path} --weights-only")
    snnb(f"graph --from {run.path}/graphs/weights/mini_network_graph.h5 --run-dir x")
    with SynapseGraph.open(folder / "x/graphs/imported/mini_network_graph.h5") as graph:
        assert graph.assumed_spikes
        assert all(
            (population.spike_count == 1).all() for population in graph.populations
        )


def edges_of(run):
    (path,) = run.path.glob("graphs/imported/*_graph.h5")
    with SynapseGraph.open(path) as graph:
        spikes = np.concatenate(
            [np.ravel(population.spike_count) for population in graph.populations]
        )
        return graph.to_scipy().toarray(), spikes


def test_arrays_matrices_and_networkx_are_the_same_graph(folder):
    source, target, weight = zip(*EDGES)
    dense = np.zeros((8, 8), np.float32)
    np.add.at(dense, (list(source), list(target)), weight)
    own_graph = networkx.DiGraph()
    own_graph.add_nodes_from((n, {"spikes": int(SPIKES[n])}) for n in range(8))
    own_graph.add_weighted_edges_from(
        (s, t, dense[s, t]) for s, t in zip(*np.nonzero(dense))
    )
    arrays = Run.from_graph(
        source=source, target=target, weight=weight, spikes=SPIKES, path="arrays"
    )
    matrix = Run.from_graph(csr_matrix(dense), "matrix", spikes=SPIKES)
    for run in (arrays, matrix, Run.from_graph(own_graph, "networkx")):
        weights, spikes = edges_of(run)
        np.testing.assert_array_equal(weights, dense)
        np.testing.assert_array_equal(spikes, SPIKES)
    same = Run.from_graph("net.csv", "file", rates="rates.txt", samples=2, steps=5)
    first_metric = arrays.map(
        hardware="chip.yaml", partition="cores.txt"
    ).record.metrics["connectivity"]
    second_metric = same.map(
        hardware="chip.yaml", partition="cores.txt"
    ).record.metrics["connectivity"]
    assert first_metric == 2 * second_metric == 2 * spikes_between_cores(EDGES)


def test_a_graph_of_arrays_has_their_hash_and_is_made_again_in_python_only(folder):
    made_runs = {
        "source": [0, 1, 2],
        "target": [1, 2, 3],
        "populations": {"in": 1, "rest": (1, 3)},
        "inputs": 1,
    }
    run = Run.from_graph(path="x", **made_runs)
    chip = {"hardware": "chip.yaml", "method": "sequential"}
    mapping = run.map(**chip)
    assert Mapping.open(mapping.directory).cost.neurons == 3  # without the input
    assert (
        Run.from_graph(path="x", **made_runs).map(**chip).directory == mapping.directory
    )
    assert stale("x") == {}
    run.report()
    with SynapseGraph.open(run.path / "graphs/imported/x_graph.h5") as graph:
        assert [population.shape for population in graph.populations] == [(1,), (1, 3)]
        digest = graph.attributes["source_sha256"]
    assert (
        f"made of arrays in Python (SHA-256 {digest})"
        in (run.path / "report.html").read_text()
    )
    assert (
        f"arrays of the graph: {digest}"
        in (run.path / "graphs/imported/log.txt").read_text()
    )
    Run.from_graph(path="x", **{**made_runs, "weight": [2, 1, 1]})
    assert list(stale("x")) == [f"maps/{mapping.directory.name}"]
    with pytest.raises(UsageError, match=r"Run\.from_graph"):
        run.graph(force=True)
    damaged_error = DamagedError(run.path / "graphs/imported/x_graph.h5", "modified")
    assert "`Run.from_graph` with path=" in described_with_repair(damaged_error)


@pytest.mark.parametrize(
    ("options_given", "error", "subject"),
    [
        ({"source": [0], "target": [1, 2]}, UsageError, "1, 2 and 1 values"),
        ({"source": [0.5], "target": [1]}, UsageError, "source .* whole numbers"),
        (
            {"source": [0], "target": [1], "weight": ["a"]},
            UsageError,
            "weight is of type",
        ),
        (
            {
                "source": [0],
                "target": [1],
                "spikes": [1, 2, 3],
                "populations": {"a": 2},
            },
            UsageError,
            "3 neurons, .*",
        ),
        (
            {"source": [0], "target": [1], "populations": {"a": 0}},
            UsageError,
            "positive",
        ),
        (
            {"source": [0], "target": [1], "inputs": 1},
            UsageError,
            "at least one is not an input",
        ),
        ({"source": [0]}, UsageError, "source and target"),
        ({"graph": csr_matrix((2, 3))}, UsageError, "2 × 3"),
        (
            {"graph": networkx.Graph()},
            UsageError,
            r"undirected; graph\.to_directed\(\)",
        ),
        (
            {"graph": networkx.DiGraph([("a", "b")]), "spikes": [1, 2]},
            UsageError,
            "set_node_attributes",
        ),
        (
            {"graph": networkx.DiGraph([("1", 1)])},
            InputError,
            "2 neurons have the name '1'",
        ),
        ({"graph": networkx.DiGraph()}, UsageError, "the graph has no neurons"),
        ({"graph": {}}, UsageError, "dict is not a graph"),
        ({"graph": "net.csv", "source": [0]}, UsageError, "its own edges"),
        ({"graph": csr_matrix((2, 2)), "weight": [1]}, UsageError, "its own edges"),
        (
            {"source": [0], "target": [1], "rates": "rates.txt"},
            UsageError,
            "rates is for a graph in a file",
        ),
        ({"source": [0], "target": [-1]}, InputError, "neuron -1"),
        ({"source": [0], "target": [5], "populations": {"a": 3}}, InputError, "0 to 2"),
        ({"source": [0], "target": [1], "weight": [np.inf]}, InputError, "weight inf"),
        ({"source": [0], "target": [1], "spikes": [1, -2]}, InputError, "-2 spikes"),
        (
            {"source": [0], "target": [1], "spikes": [1, 1e30]},
            InputError,
            "neuron 1 has 1e\\+30 spikes",
        ),
        (
            {"source": [0], "target": [1], "samples": 10},
            UsageError,
            "^--rate-samples: no spike counts",
        ),
        (
            {
                "source": [1],
                "target": [0],
                "populations": {"a": 1, "b": 1},
                "inputs": 1,
            },
            InputError,
            "input 0",
        ),
    ],
)
def test_bad_arrays_leave_no_graph(folder, options_given, error, subject):
    with pytest.raises(error, match=subject):
        Run.from_graph(path="x", **options_given)
    assert not (folder / "x/graphs/imported").exists()
    assert not (folder / "x/manifest.yaml").exists() or not list(
        open_run(folder / "x").records()
    )


SANAFE = """
network:
  groups: [{name: a, neurons: [0..1: {bias: 1}]}, {name: b, neurons: [0: {}]}]
  edges: [a -> b: {type: dense, weight: [1, 2]}]
mappings: [a: {core: 2.1}, b: {core: 0.0}]
"""


def test_mapping_and_trace_of_sanafe(folder, snnb):
    """Spikes act where and when the files say: no step is added for the depth of the graph."""
    (folder / "net.yaml").write_text(SANAFE)
    (folder / "arch.yaml").write_text(yaml.safe_dump(architecture()))
    (folder / "spikes.csv").write_text("neuron,timestep\na.0,1\na.1,1\nb.0,2\na.1,4\n")
    snnb("graph --from net.yaml --run-dir silent")
    with pytest.raises(
        UsageError, match=r"requires spike times; give .* a spike trace of SANA-FE"
    ):
        Run(path="silent").export("spinemap")
    snnb("graph --from net.yaml --rates spikes.csv --rate-steps 5 --run-dir x")
    files = "--partition x/graphs/imported/partition.txt --placement x/graphs/imported/placement.txt"
    snnb(f"map x --hardware arch.yaml {files}")
    (stamp,) = Run(path="x").mappings
    mapping = Mapping.open(folder / f"x/maps/{stamp}")
    assert mapping.place[mapping.core].tolist() == [[3, 0], [3, 0], [0, 0]]
    # Two neurons are updated at 9.7 ns; a spike takes 30 and a message 5.1 ns. Two tiles end a step with 600 ns.
    assert mapping.cost.recorded.step_ns[0] == pytest.approx(
        [689.6, 639.7, 619.4, 654.5, 619.4]
    )
    assert mapping.cost.recorded.events["spike"] == mapping.cost.events["spike"] == 4
    snnb("report x")
    exported_path = Run(path="x").export("spinemap").path
    assert (
        exported_path / "spike_info.txt"
    ).read_text() == "0 0\n1 0 3\n2 1\n"  # steps from 0


@pytest.mark.parametrize("weight", [1e39, -1e39, np.inf, np.nan])
def test_a_weight_that_float32_does_not_hold_is_refused(tmp_path, weight):
    arguments = {
        "source": [0, 1],
        "target": [1, 2],
        "weight": [1.0, weight],
        "path": tmp_path / "run",
    }
    with pytest.raises(
        InputError,
        match=rf"from neuron 1 to 2 has the weight {re.escape(str(weight))}; give finite",
    ):
        Run.from_graph(**arguments)
    largest = float(np.finfo(np.float32).max)
    run = Run.from_graph(**{**arguments, "weight": [1.0, largest]})
    with SynapseGraph.open(next(run.path.glob("graphs/*/*_graph.h5"))) as graph:
        assert graph.to_scipy("weight").data.tolist() == [1.0, largest]


def test_parallel_weights_whose_sum_float32_does_not_hold_are_refused(tmp_path):
    ends = {"source": [0, 1, 2, 2], "target": [1, 2, 0, 0]}
    with pytest.raises(
        InputError,
        match="edges from neuron 2 to 0 have a sum that float32 does not hold",
    ):
        Run.from_graph(**ends, weight=[1, 1, 3e38, 3e38], path=tmp_path / "run")


RATES = [0.0004, 0.25, 0.013, 0.5, 0.0, 0.0731, 0.125, 0.9]


@pytest.fixture
def with_rates(folder):
    """A run of a graph whose neurons have rates below 1 in the column `rate`."""
    rows = "".join(f"{s},{t},{w},{RATES[s]}\n" for s, t, w in EDGES)
    (folder / "net.csv").write_text("source,target,weight,rate\n" + rows)
    return Run.from_graph("net.csv", "with_rates")


def test_hyperedges_keep_rates_so_a_partition_costs_the_same(with_rates):
    with_rates.export("hmetis", output="net.hgr")
    head, *lines = [
        line.split()
        for line in Path("net.hgr").read_text().splitlines()
        if line[0] != "%"
    ]
    hyperedges = {
        int(pins[0]) - 1: (int(weight), pins) for weight, *pins in lines[: int(head[0])]
    }
    assert {node: weight for node, (weight, _) in hyperedges.items()} == {
        s: max(1, round(10_000 * RATES[s])) for s, *_ in EDGES
    }
    assert json.loads(Path("net.hgr.json").read_text())["spike_weight"] == 10_000
    options_given = {"hardware": "chip.yaml", "partition": "cores.txt"}
    cost = with_rates.map(**options_given).record.metrics["connectivity"]
    cut = {
        node: len({CORE[int(pin) - 1] for pin in pins}) - 1
        for node, (_, pins) in hyperedges.items()
    }
    edge_weights = (
        sum(weight * cut[node] for node, (weight, _) in hyperedges.items()) / 10_000
    )
    again = (
        Run.from_graph("net.hgr", "again")
        .map(**options_given)
        .record.metrics["connectivity"]
    )
    assert again == pytest.approx(edge_weights)
    assert cost == pytest.approx(
        edge_weights - 1 / 10_000, abs=1e-6
    )  # the least weight, 1, of a silent neuron


def test_edges_of_metis_keep_rates(with_rates):
    with_rates.export("metis", output="net.graph")
    lines = [
        line.split()
        for line in Path("net.graph").read_text().splitlines()
        if line[0] != "%"
    ]
    expected_rates = {}
    for s, t in {(s, t) for s, t, *_ in EDGES if s != t}:
        ends = min(s, t), max(s, t)
        expected_rates[ends] = expected_rates.get(ends, 0) + max(
            1, round(10_000 * RATES[s])
        )
    assert expected_rates == {
        (node, int(other_row) - 1): int(weight)
        for node, row in enumerate(lines[1:])
        for other_row, weight in zip(row[::2], row[1::2])
        if node < int(other_row) - 1
    }
    assert json.loads(Path("net.graph.json").read_text())["spike_weight"] == 10_000


def test_weights_of_rates_without_short_decimals_fill_the_sum_that_partitioners_hold(
    tmp_path,
):
    rates = np.random.default_rng(0).random(50) / 3
    ends = {"source": np.arange(50), "target": (np.arange(50) + 1) % 50}
    run = Run.from_graph(**ends, spikes=rates, path=tmp_path / "run")
    run.export("hmetis", output=tmp_path / "net.hgr")
    lines = (tmp_path / "net.hgr").read_text().splitlines()[2:52]
    weights = np.array([int(line.split()[0]) for line in lines])
    assert 2**29 < weights.sum() < 2**31
    scale = json.loads((tmp_path / "net.hgr.json").read_text())["spike_weight"]
    np.testing.assert_allclose(weights / scale, rates, rtol=1e-9, atol=0.5 / scale)
