"""Graphs that are built, and models that are refused before anything is written."""

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.graph.build import build_graph
from tests.graph.edges import all_edges
from tests.graph.networks import LAYERS, graph_of_model, save
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
    with build_graph(save(model, tmp_path / "net_parsed.h5"), path) as graph:
        assert graph.number_of_edges() > 4_000_000
    assert path.stat().st_size < 4 * model.count_params() + 30_000


def test_two_builds_are_equal_to_the_byte(parsed_path, counts, graph_path, tmp_path):
    coding = {"input": "current", "07Dense_4": "random"}
    build_graph(
        parsed_path,
        tmp_path / "other.h5",
        counts=counts,
        coding=coding,
        pool_weight="one",
    ).close()
    assert (tmp_path / "other.h5").read_bytes() == graph_path.read_bytes()


def test_ids_of_64_bits_from_a_limit_on(
    parsed_path, graph, counts, tmp_path, monkeypatch
):
    """The limit lowered to 0, so that a small graph takes the way of one with more than 2³¹ nodes."""
    monkeypatch.setattr("snnb.graph.connection.INT32_LIMIT", 0)
    with build_graph(
        parsed_path, tmp_path / "net_graph.h5", counts=counts, pool_weight="one"
    ) as wide_graph:
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
