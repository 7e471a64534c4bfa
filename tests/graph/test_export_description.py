"""What exports state beside the edges: one schema in all formats, the table of nodes, when each population begins."""

import ast
import csv
import json

import networkx
import numpy as np
import pytest

from snnb.core.errors import UsageError
from snnb.graph.build import build_graph
from snnb.graph.export.export_options import ExportOptions
from snnb.graph.export.request import Simulated
from snnb.graph.export.write_export import FORMATS, export
from tests.graph.networks import LAYERS, save, set_random_weights
from tests.graph.recorded import keras, recorded

SIMULATED = Simulated(0.5, "zero", "constant", None, 255.0, "dataset/x_test.npy", "0" * 64, 30, 2, 7)


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_every_format_states_all_that_a_simulator_needs(graph, tmp_path, spike_times, format):
    target = tmp_path / "out"
    export(graph, format, target, spike_times=spike_times, origin={"stamp": "s", "sha256": "0"}, simulated=SIMULATED)
    path = target / "description.json" if target.is_dir() else tmp_path / "out.json"
    stated = json.loads(path.read_text())
    neuron = stated["neuron"]
    assert [neuron[name] for name in ("threshold", "reset", "spike_amplitude")] == [0.5, "zero", 0.5]
    assert stated["simulation"]["pixel_scale"] == 255.0
    assert stated["simulation"]["recorded_samples"] == 2
    assert stated["input"] == {"population": "input", "coding": "current"}
    assert stated["pool_weight"] == ("mean" if FORMATS[format].simulates else "one")
    names = [population["name"] for population in stated["populations"]]
    assert names == [p.name for p in graph.populations[1 if FORMATS[format].partial else 0 :]]
    assert stated["nodes"] == sum(population["size"] for population in stated["populations"])
    assert stated["edges"] == sum(projection["edges"] for projection in stated["projections"])
    summary = {(s.source, s.target): s.edges for s in graph.summary()}
    for projection in stated["projections"]:
        assert projection["edges"] == summary[projection["source"], projection["target"]]


def test_ids_in_the_description_are_those_of_the_files(graph, tmp_path, spike_times):
    firsts = {}
    for format in ("csv", "metis", "sonata"):
        export(graph, format, tmp_path / format, origin={"stamp": "s", "sha256": "0"})
        path = tmp_path / "sonata" / "description.json" if format == "sonata" else tmp_path / f"{format}.json"
        firsts[format] = [population["first_id"] for population in json.loads(path.read_text())["populations"]]
    assert firsts == {"csv": [0, 84, 120, 144, 164], "metis": [0, 36, 60, 80], "sonata": [0, 0, 36, 60, 80]}


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("format", ["csv", "pynn", "spinemap"])
def test_nodes_stand_beside(model, graph, tmp_path, spike_times, format):
    export(graph, format, tmp_path / "out", spike_times=spike_times)
    rows = rows_of(tmp_path / "out.nodes.csv" if format == "csv" else tmp_path / "out" / "nodes.csv")
    first = 84 if format == "spinemap" else 0
    assert [int(row["id"]) for row in rows] == list(range(len(graph.nodes) - first))
    for number, row in enumerate(rows, first):
        node = graph.nodes[number]
        assert (row["population"], ast.literal_eval(row["index"])) == (node.population, node.index)
        assert float(row["spike_count"]) == node.spike_count
    biases = model.get_layer("02Conv2D_4x3x2").get_weights()[1]
    found = [float(row["bias"]) for row in rows if row["population"] == "02Conv2D_4x3x2"]
    assert found == biases.astype(float).tolist() * 12  # the same float64


def test_a_table_of_nodes_that_is_no_exports_is_kept(graph, tmp_path):
    (tmp_path / "net.csv.nodes.csv").write_text("mine")
    for force in (False, True):
        with pytest.raises(UsageError, match=r"net\.csv\.nodes\.csv was not made by an export"):
            export(graph, "csv", tmp_path / "net.csv", force=force)
    assert [path.name for path in tmp_path.iterdir()] == ["net.csv.nodes.csv"]
    (tmp_path / "net.csv.nodes.csv").unlink()
    export(graph, "csv", tmp_path / "net.csv")
    export(graph, "csv", tmp_path / "net.csv", force=True)


def test_exact_digits_of_csv_and_spinemap(graph, tmp_path, spike_times):
    for format in ("csv", "spinemap"):
        export(graph, format, tmp_path / format, spike_times=spike_times, options=ExportOptions(exact=True))
    sources, weights = (
        np.concatenate([getattr(batch, name).copy() for batch in graph.edge_batches()]) for name in ("source", "weight")
    )
    assert any(float(str(w)) != float(w) for w in weights)  # the short digits are those of another float64
    assert [float(row["weight"]) for row in rows_of(tmp_path / "csv")] == weights.astype(float).tolist()
    found = {}
    for line in (tmp_path / "spinemap" / "weight_info.txt").read_text().splitlines():
        found[int(line.split()[0]) + 84] = [float(word) for word in line.split()[1:]]
    for source, values in found.items():
        assert values == weights[sources == source].astype(float).tolist()


@recorded
def residual():
    """A block whose shortcut skips two layers, a connection from the input that skips all, and a sum."""
    source = LAYERS.Input((6, 6, 2), name="input")
    one = LAYERS.Conv2D(3, 3, padding="same", activation="relu", name="one")(source)
    two = LAYERS.Conv2D(3, 3, padding="same", activation="relu", name="two")(one)
    terms = [
        LAYERS.Conv2D(3, 3, padding="same", name="long")(two),
        LAYERS.DepthwiseConv2D(1, name="short")(one),
        LAYERS.Conv2D(3, 1, name="from_input")(source),
    ]
    total = LAYERS.Activation("relu", name="sum")(LAYERS.Add(name="add")(terms))
    pooled = LAYERS.AveragePooling2D(2, name="pool")(total)
    return keras.Model(source, LAYERS.Dense(3, name="out")(LAYERS.Flatten(name="flat")(pooled)))


@pytest.fixture(scope="module")
def sums(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sums")
    model = residual()
    set_random_weights(model)
    with build_graph(save(model, folder / "net_parsed.h5"), folder / "net_graph.h5") as graph:
        yield graph


def test_spikes_of_all_paths_meet(sums, tmp_path):
    """The delays along every path from the first spiking population to another add up to the same."""
    assert sums.path.read_bytes().startswith(b"snnb synapse graph 2\n")
    export(sums, "pynn", tmp_path / "net")
    stated = json.loads((tmp_path / "net" / "description.json").read_text())
    delays = {(p["source"], p["target"]): p["delay_steps"] for p in stated["projections"]}
    first = {p["name"]: p["first_step"] for p in stated["populations"]}
    assert first == {"input": -1, "one": 0, "two": 1, "sum": 2, "pool": 3, "out": 4}
    assert min(delays.values()) >= 1
    paths = networkx.DiGraph(list(delays))
    for target in first:
        for path in networkx.all_simple_paths(paths, "one", target):
            assert sum(delays[step] for step in zip(path, path[1:])) == first[target]
    for number, (source, target) in enumerate(delays):
        (listed, *_) = (tmp_path / "net").glob(f"{number:04d}_{source}__{target}_*.txt")
        assert set(np.loadtxt(listed, ndmin=2)[:, 3]) == {float(delays[source, target])}
