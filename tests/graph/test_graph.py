"""Queries of the graph, and what it says of itself."""

import shutil
import subprocess
import sys

import h5py
import networkx
import numpy as np
import pytest

from snnb.core.errors import ResourceError, UsageError
from snnb.graph.build import build_graph
from snnb.graph.synapse_graph import SynapseGraph, log_lines, seal
from tests.graph.edges import all_edges
from tests.graph.networks import LAYERS, SAMPLES, STEPS, counts_of, network_of_model
from tests.graph.recorded import keras


def test_populations_are_the_spiking_layers_in_network_order(graph):
    assert [(p.name, p.shape, p.first) for p in graph.populations] == [
        ("input", (7, 6, 2), 0),
        ("00Conv2D_4x3x3", (4, 3, 3), 84),
        ("02Conv2D_4x3x2", (4, 3, 2), 120),
        ("04AveragePooling2D_2x2x5", (2, 2, 5), 144),
        ("07Dense_4", (4,), 164),
    ]
    assert len(graph.nodes) == graph.number_of_nodes() == 168
    assert graph.number_of_neurons() == 84
    assert [(p.source.name, p.target.name) for p in graph.projections] == [
        ("input", "00Conv2D_4x3x3"),
        ("input", "02Conv2D_4x3x2"),
        ("00Conv2D_4x3x3", "04AveragePooling2D_2x2x5"),
        ("02Conv2D_4x3x2", "04AveragePooling2D_2x2x5"),
        ("04AveragePooling2D_2x2x5", "07Dense_4"),
    ]


def test_a_node_has_the_values_of_the_files(graph, model):
    counts = counts_of(model)
    node = graph.nodes[120 + np.ravel_multi_index((3, 1, 1), (4, 3, 2))]
    assert (node.population, node.index) == ("02Conv2D_4x3x2", (3, 1, 1))
    assert node.spike_count == counts["02Conv2D_4x3x2"][3, 1, 1]
    assert node.rate == node.spike_count / 100
    assert node.bias == model.get_layer("02Conv2D_4x3x2").get_weights()[1][1]
    assert graph.nodes[5].bias == 0
    assert graph.nodes[5].spike_count == counts["input"][0, 2, 1]


@pytest.mark.parametrize("node", [-1, 168])
def test_a_node_that_does_not_exist(graph, node):
    assert node not in graph.nodes
    queries = (
        graph.successors,
        graph.predecessors,
        graph.in_degree,
        graph.out_degree,
        graph.nodes.__getitem__,
    )
    for query in (*queries, graph.edges_of):
        with pytest.raises(KeyError, match="from 0 to 167"):
            query(node)


@pytest.mark.parametrize("node", [5, 84, 119, 125, 150, 166])
def test_the_edges_of_a_neuron_are_those_of_the_graph(graph, node):
    every_all_edges = all_edges(graph)
    for direction, column in (("out", 0), ("in", 1)):
        chosen_edges = np.stack(every_all_edges)[:, every_all_edges[column] == node]
        found_edges = np.stack(graph.edges_of(node, direction))
        assert found_edges.shape == chosen_edges.shape
        np.testing.assert_array_equal(
            found_edges[:, np.lexsort(found_edges[:2])],
            chosen_edges[:, np.lexsort(chosen_edges[:2])],
        )


def test_unknown_choices_are_refused_with_those_that_exist(graph):
    for query in (graph.to_scipy, graph.projections[0].to_scipy):
        with pytest.raises(
            UsageError, match="'weights' is unknown; use one of weight, edge"
        ):
            query("weights")
    with pytest.raises(
        UsageError, match="'kHz' is unknown; use one of step, hz, sample"
    ):
        graph.to_networkx(rate_unit="kHz")
    with pytest.raises(UsageError, match="use one of out, in"):
        graph.edges_of(5, "both")


def test_an_edge_is_rate_times_weight(graph, model):
    sources, _, weights, edges = all_edges(graph)
    rates = (
        np.concatenate([counts_of(model)[p.name].ravel() for p in graph.populations])
        / 100
    )
    assert (edges == rates.astype(np.float32)[sources] * weights).all()
    assert np.count_nonzero(edges) < edges.size


@pytest.mark.parametrize(
    ("unit", "factor"), [("step", 1), ("hz", 1000), ("sample", STEPS)]
)
def test_rate_units(graph, unit, factor):
    scale = graph.recording.rate_scale(unit)
    np.testing.assert_allclose(
        all_edges(graph, rate_scale=scale)[3], all_edges(graph)[3] * factor, rtol=1e-6
    )


def test_without_spike_counts_edges_are_weights(weights_graph):
    _, _, weights, edges = all_edges(weights_graph)
    assert (weights == edges).all()
    assert weights_graph.recording is None
    assert weights_graph.nodes[0].rate is None


def test_mean_pooling_divides_by_the_neurons_in_the_window(weights_graph):
    """7×6 inputs pooled 3×3 with padding: the corner windows hold 2×2 or 3×2 neurons of the 4×3 volume."""
    projection = weights_graph.projections[2]
    windows = np.array([[3 * 2, 3 * 2], [2 * 2, 2 * 2]])
    for row, column in np.ndindex(2, 2):
        node = projection.target.first + np.ravel_multi_index(
            (row, column, 0), (2, 2, 5)
        )
        sources, weights = projection.predecessors(node)
        assert sources.size == windows[row, column]
        assert (weights == np.float32(1 / windows[row, column])).all()


def test_a_maximum_weighs_one_even_where_connections_are_parallel(tmp_path):
    source = LAYERS.Input((2, 2, 1), name="input")
    twice = LAYERS.Concatenate(axis=1)([source, source])
    model = keras.Model(source, LAYERS.MaxPooling2D((4, 1))(twice))
    graph = build_graph(network_of_model(model, tmp_path), pool_weight="mean")
    assert [values.tolist() for values in all_edges(graph)[:3]] == [
        [0, 1, 2, 3],
        [4, 5, 4, 5],
        [1, 1, 1, 1],
    ]


def test_networkx_has_metadata_and_codings(graph):
    """Nodes and edges are compared in test_export_readers.py."""
    found_graph = graph.to_networkx()
    assert isinstance(found_graph, networkx.DiGraph)
    assert found_graph.graph["num_samples"] == 4
    node = graph.nodes[100]
    assert found_graph.nodes[node.population, node.index]["coding"] == "spikes"


def test_networkx_refuses_more_nodes_and_edges_than_its_limit(graph):
    size = graph.number_of_nodes() + graph.number_of_edges()
    assert graph.to_networkx(limit=size).number_of_edges() == graph.number_of_edges()
    with pytest.raises(
        ResourceError, match=rf"{size:,} nodes and edges .* edge_batches"
    ):
        graph.to_networkx(limit=size - 1)


def test_summary_is_that_of_the_edges(graph, weights_graph):
    for each_graph in (graph, weights_graph):
        for projection, summary in zip(each_graph.projections, each_graph.summary()):
            sources, targets, weights, edges = (
                np.concatenate(columns)
                for columns in zip(
                    *([v.copy() for v in b] for b in projection.edge_batches())
                )
            )
            rates = (
                np.nan
                if projection.source.rate is None
                else projection.source.rate.ravel()
            )
            assert summary.edges == weights.size
            assert summary.zero_edges == np.count_nonzero(edges == 0)
            for found_weight, values in (
                (summary.weight, weights),
                (summary.edge, edges),
            ):
                assert (found_weight.min, found_weight.max) == (
                    values.min(),
                    values.max(),
                )
                np.testing.assert_allclose(
                    [found_weight.mean, found_weight.sum],
                    [values.mean(), values.sum()],
                    rtol=1e-5,
                    atol=1e-5,
                )
            for found_weight, nodes, population in (
                (summary.out_degree, sources, projection.source),
                (summary.in_degree, targets, projection.target),
            ):
                degrees = np.bincount(
                    nodes - population.first, minlength=population.size
                )
                assert (found_weight.min, found_weight.mean, found_weight.max) == (
                    degrees.min(),
                    degrees.mean(),
                    degrees.max(),
                )
            if each_graph.recording is None:
                assert summary.spikes_per_second is None
            elif projection.source.coding == "current":
                assert summary.spikes_per_second == 0
            else:
                carried_spikes = 1000 * rates[sources - projection.source.first].sum()
                np.testing.assert_allclose(summary.spikes_per_second, carried_spikes)


def test_spikes_per_second_are_those_of_a_sample_each_interval(graph_path, tmp_path):
    """With separated firing each population counts in a window, 25 steps here, and a sample begins every 50 steps."""
    shutil.copy(graph_path, tmp_path / "net_graph.h5")
    with h5py.File(str(tmp_path / "net_graph.h5"), "r+") as file:
        for number, depth in ((1, 1), (2, 1), (3, 2), (4, 3)):
            window = np.array([depth * STEPS, (depth + 1) * STEPS])
            file[f"populations/{number:04d}"].attrs["window"] = window
    seal(tmp_path / "net_graph.h5")
    with SynapseGraph.open(tmp_path / "net_graph.h5") as windowed_graph:
        assert windowed_graph.interval == 50
        for projection, summary in zip(
            windowed_graph.projections, windowed_graph.summary()
        ):
            if projection.source.coding == "spikes":
                spikes = projection.source.spike_count.ravel() @ projection.out_degrees
                assert summary.spikes_per_second == pytest.approx(
                    spikes / (SAMPLES * 50 * 0.001)
                )


def test_log_has_counts_and_coding(graph, weights_graph):
    text = "\n".join(log_lines(graph))
    assert f"synapses            {graph.number_of_edges():,}" in text
    assert "coding of input: current" in text
    assert "weights of average pooling: one" in text
    assert "over 4 samples of 25 steps counted after a warm-up of 5" in text
    assert "weights only" in "\n".join(log_lines(weights_graph))


def test_graphs_need_no_package_of_the_extras():
    """In a fresh interpreter in which these packages cannot be imported."""
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'snntoolbox', 'dask', 'brian2', 'sanafe', 'pandas', 'libsonata'):\n"
        "    sys.modules[name] = None\n"
        "import snnb.graph.build, snnb.graph.projection, snnb.formats\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
