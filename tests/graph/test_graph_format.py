"""docs/graph-format.md is right: the reader of examples/graph_file.py finds the same edges."""

import runpy
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse

from snnb.graph.synapse_graph import SynapseGraph, log_lines, seal
from tests.formats.mapped import assert_refused, costs_of, import_anew
from tests.graph.edges import all_edges

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "graph-format.md").read_text(encoding="utf-8")
PROGRAM = runpy.run_path(str(ROOT / "examples" / "graph_file.py"))


def test_the_documented_reader_finds_the_same_edges(graph, graph_path, weights_graph):
    for opened_graph, path in (
        (graph, graph_path),
        (weights_graph, weights_graph.path),
    ):
        assert isinstance(opened_graph, SynapseGraph)
        merged_columns = {}
        for source, target, weight in PROGRAM["edges"](str(path)):
            merged_columns[source, target] = merged_columns.get(
                (source, target), 0.0
            ) + float(weight)
        sources, targets, weights, _ = all_edges(opened_graph)
        assert sorted(merged_columns) == sorted(zip(sources.tolist(), targets.tolist()))
        found_edges = np.array(
            [merged_columns[edge] for edge in zip(sources.tolist(), targets.tolist())]
        )
        assert (found_edges.astype(np.float32) == weights).all()


def test_every_attribute_and_dataset_is_documented(graph_path):
    with h5py.File(str(graph_path), "r") as file:
        names = set(file.attrs)
        file.visititems(
            lambda path, node: names.update(node.attrs, [path.rsplit("/", 1)[-1]])
        )
    assert {
        name
        for name in names
        if not name.isdigit() and f"`{name}`" not in PAGE and f"`/{name}" not in PAGE
    } == set()


def written_by_hand(path, **options):
    """Two populations with self-connections and a cycle, and an input, by the writer of the example."""
    rng = np.random.default_rng(5)
    spikes = {
        "in": rng.integers(0, 9, 4),
        "a": rng.random((3, 2)),
        "b": rng.integers(0, 9, 5),
    }
    pairs = [("a", "b"), ("in", "a"), ("b", "a"), ("a", "a")]
    matrices = {
        (k, to): scipy.sparse.random(
            spikes[k].size, spikes[to].size, 0.4, "coo", random_state=n
        )
        for n, (k, to) in enumerate(pairs)
    }
    PROGRAM["write_graph"](
        str(path), spikes, matrices, inputs=1, samples=2, steps=10, **options
    )
    return spikes, matrices


def test_a_graph_that_the_documented_writer_writes(tmp_path):
    path = tmp_path / "my_graph.h5"
    spikes, matrices = written_by_hand(path)
    graph, _ = import_anew(path, tmp_path / "again")
    with graph:
        assert [p.name for p in graph.inputs] == ["in"]
        for population in graph.populations:
            np.testing.assert_array_equal(
                population.spike_count, spikes[population.name]
            )
        for projection in graph.projections:
            matrix = matrices.pop((projection.source.name, projection.target.name))
            assert (projection.to_scipy() != matrix.astype(np.float32).tocsr()).nnz == 0
        assert not matrices
        edges = zip(*(column.tolist() for column in all_edges(graph)[:3]))
        assert list(edges) == list(PROGRAM["listed_edges"](str(path)))
        assert (
            "edge = rate of the source × weight, in thresholds per time step"
            in log_lines(graph)
        )
        assert (
            graph.to_networkx(rate_unit="hz").graph["edge_unit"]
            == "thresholds per second"
        )
        assert costs_of(graph, tmp_path / "partition")[1]["traffic"]["connectivity"] > 0


def delete(name):
    return lambda file: file.__delitem__(name)


def put(name, values):
    def alter(file):
        new = values(file[name][()]) if callable(values) else values
        del file[name]
        file[name] = new

    return alter


def element(name, index, value):
    return lambda file: file[name].__setitem__(index, value)


def attribute(group, name, value):
    return lambda file: file[group].attrs.__setitem__(name, value)


ALTERED = {
    "lists/0000: target 99, but the neurons of a are 4 to 9": element(
        "lists/0000/target", 0, 99
    ),
    "lists/0000: target 3, but the neurons of a are 4 to 9": element(
        "lists/0000/target", 0, 3
    ),
    "lists/0001: the targets of neuron": put(
        "lists/0001/target", lambda target: target[::-1]
    ),
    "lists/0000: weight has numbers that are not finite": element(
        "lists/0000/weight", 0, np.nan
    ),
    "lists/0000: start does not ascend from 0 to ": element("lists/0000/start", 0, 1),
    "lists/0001: start does not ascend from 0 to ": element(
        "lists/0001/start", 2, 10**12
    ),
    "lists/0000: start is int64 of shape (3,), not int64 of shape (5,)": put(
        "lists/0000/start", [0, 1, 2]
    ),
    "weight float64 of shape (2,); they must be integers and float32": put(
        "lists/0000/weight", [0.5, 0.5]
    ),
    "damaged (": delete("lists/0003"),
    "projections: rows are not sorted by target, source and delay": element(
        "projections", 0, [2, 1]
    ),
    "projections: row 0 leads to input in": element("projections", 0, [1, 0]),
    "populations/0001: the name 'in' is not valid or occurs twice": attribute(
        "populations/0001", "name", "in"
    ),
    "populations/0002: shape (5,) and first_id 9; first_id must be 10": attribute(
        "populations/0002", "first_id", 9
    ),
    "populations/0001: shape (3, 0)": attribute("populations/0001", "shape", [3, 0]),
    "populations/0000: coding 'rate' and spike_count": attribute(
        "populations/0000", "coding", "rate"
    ),
    "populations/0000: coding 'spikes' and spike_count of shape (3,)": put(
        "populations/0000/spike_count", [1, 2, 3]
    ),
    "populations/0002: spike_count has numbers that are negative": element(
        "populations/0002/spike_count", 0, -1
    ),
    "inputs: all populations are inputs": attribute("/", "inputs", 3),
    "num_samples, num_timesteps and dt_ms are not positive": attribute(
        "/", "num_samples", 0
    ),
}


LAYERS = {
    "connections/0001: rows: not as in a Conv2D": put(
        "connections/0001/rows", lambda rows: rows[1:]
    ),
    "connections/0004: kernel: not as in a Dense": put(
        "connections/0004/kernel", np.ones((1, 1, 39, 4), np.float32)
    ),
    "connections/0003: neuron 84 is of no source in projections": put(
        "projections", lambda table: np.delete(table, 2, axis=0)
    ),
}


@pytest.mark.parametrize("message", list(LAYERS))
def test_edges_of_layers_are_those_that_their_tables_list(
    message, graph_path, tmp_path
):
    path = tmp_path / "my_graph.h5"
    shutil.copy(graph_path, path)
    with h5py.File(str(path), "r+") as file:
        LAYERS[message](file)
    seal(path)
    assert_refused(path, message)


@pytest.mark.parametrize("rates", [False, True])
@pytest.mark.parametrize("message", list(ALTERED))
def test_a_graph_written_by_hand_is_checked(message, rates, tmp_path):
    path = tmp_path / "my_graph.h5"
    written_by_hand(path)
    with h5py.File(str(path), "r+") as file:
        ALTERED[message](file)
    seal(path)
    np.save(tmp_path / "rates.npy", np.ones(15))
    assert_refused(
        path, message, **({"rates": tmp_path / "rates.npy"} if rates else {})
    )
