"""Graphs that are built, and models that are refused before anything is written."""

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError, UsageError
from snnb.graph.build import build_graph
from snnb.graph.synapse_graph import SynapseGraph, log_lines
from snnb.network.read_network import read_network
from tests.graph.edges import all_edges
from tests.graph.networks import LAYERS, graph_of_model
from tests.graph.recorded import keras


def chain(shape, *layers):
    source = LAYERS.Input(shape, name="input")
    tensor = source
    for layer in layers:
        tensor = layer(tensor)
    return keras.Model(source, tensor)


def test_file_is_as_large_as_the_weights_not_the_edges(tmp_path):
    model = chain((40, 40, 8), LAYERS.Conv2D(16, 5, padding="same"))
    path = tmp_path / "net_graph.h5"
    with graph_of_model(model, tmp_path) as graph:
        assert graph.number_of_edges() > 4_000_000
    assert path.stat().st_size < 4 * model.count_params() + 30_000


def test_two_builds_are_equal_to_the_byte(parsed_path, counts, graph_path, tmp_path):
    path = tmp_path / "other.h5"
    network = read_network(parsed_path)
    build_graph(network, counts, pool_weight="one", path=path).close()
    assert path.read_bytes() == graph_path.read_bytes()


def test_a_graph_in_memory_is_that_of_the_file(parsed_path, counts, graph, tmp_path):
    network = read_network(parsed_path)
    memory_graph = build_graph(network, counts, pool_weight="one")
    memory_graph.write(tmp_path / "written.h5")
    with SynapseGraph.open(tmp_path / "written.h5") as written_graph:
        for built_graph in (memory_graph, written_graph):
            for found, expected in zip(all_edges(built_graph), all_edges(graph)):
                np.testing.assert_array_equal(found, expected)
            for node in (0, 100, 167):
                assert built_graph.nodes[node] == graph.nodes[node]
            found_lines, expected_lines = map(log_lines, (built_graph, graph))
            assert found_lines == expected_lines
    assert [path.name for path in tmp_path.iterdir()] == ["written.h5"]


def test_a_graph_in_memory_shares_its_kernels_with_the_network(parsed_path):
    network = read_network(parsed_path)
    graph = build_graph(network)
    kernels = [c.kernel for p in graph.projections for c in p.connections]
    for population in network.populations:
        for projection in population.projections:
            if projection.kernel is not None:
                assert any(
                    np.shares_memory(kernel, projection.kernel)
                    for kernel in kernels
                    if kernel is not None
                )


def test_other_weights_than_the_stored_ones_are_not_written(graph, tmp_path):
    graph.write(tmp_path / "copy.h5")
    assert (tmp_path / "copy.h5").read_bytes() == graph.path.read_bytes()
    with pytest.raises(UsageError, match="with_pool_weight"):
        graph.with_pool_weight("mean").write(tmp_path / "mean.h5")


def test_ids_of_64_bits_from_a_limit_on(
    parsed_path, graph, counts, tmp_path, monkeypatch
):
    """The limit lowered to 0, so that a small graph takes the way of one with more than 2³¹ nodes."""
    monkeypatch.setattr("snnb.graph.connection.INT32_LIMIT", 0)
    network, path = read_network(parsed_path), tmp_path / "net_graph.h5"
    with build_graph(network, counts, pool_weight="one", path=path) as wide_graph:
        with h5py.File(str(wide_graph.path), "r") as file:
            assert file["connections/0003/ids"].dtype == np.int64
        for found_edge, expected_edge in zip(all_edges(wide_graph), all_edges(graph)):
            assert (found_edge == expected_edge).all()
        assert wide_graph.predecessors(150).tolist() == graph.predecessors(150).tolist()


def test_a_layer_without_a_rule_is_named_before_anything_is_written(tmp_path):
    model = chain((4, 4, 2), LAYERS.Conv2D(2, 2), LAYERS.LeakyReLU(name="leak"))
    with pytest.raises(InputError, match=r"layer leak .LeakyReLU."):
        graph_of_model(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["net_parsed.h5"]
