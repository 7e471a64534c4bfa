"""Graphs of pruned networks: a weight of zero is not a synapse."""

from dataclasses import replace

import numpy as np
import pytest

from snnb.conversion.rewriting import prune
from snnb.graph.build import build_graph
from snnb.network.keras_file import StoredLayer
from snnb.network.network import DROPPED, Population
from snnb.network.read_network import assemble

SHARE = 0.6


def prune_zeros(network, share):
    """Return a network without a share of the weights of each population."""
    volumes = tuple(
        prune(v, share) if isinstance(v, Population) else v for v in network.volumes
    )
    return replace(network, volumes=volumes, zeros=DROPPED)


def pruned_network():
    random = np.random.default_rng(3)

    def layer(name, kind, read, config, kernel, shape):
        bias = random.normal(
            size=shape[-1] if kind != "DepthwiseConv2D" else shape[-1] * shape[-2]
        )
        arrays = {
            kernel: random.normal(size=shape).astype(np.float32),
            "bias": bias.astype(np.float32),
        }
        return StoredLayer(name, kind, config, (read,), arrays)

    same = {"kernel_size": (3, 3), "padding": "same"}
    entries = [
        StoredLayer(
            "input", "InputLayer", {"batch_input_shape": [None, 6, 5, 2]}, (), {}
        ),
        layer(
            "one",
            "Conv2D",
            "input",
            {**same, "filters": 4, "activation": "relu"},
            "kernel",
            (3, 3, 2, 4),
        ),
        layer("long", "Conv2D", "one", {**same, "filters": 4}, "kernel", (3, 3, 4, 4)),
        layer(
            "short", "DepthwiseConv2D", "one", same, "depthwise_kernel", (3, 3, 4, 1)
        ),
        StoredLayer("add", "Add", {}, ("long", "short"), {}),
        StoredLayer("sum", "Activation", {"activation": "relu"}, ("add",), {}),
        StoredLayer(
            "pad", "ZeroPadding2D", {"padding": ((1, 0), (0, 1))}, ("sum",), {}
        ),
        StoredLayer(
            "pool",
            "AveragePooling2D",
            {"pool_size": (2, 2), "strides": (2, 2)},
            ("pad",),
            {},
        ),
        StoredLayer("flat", "Flatten", {}, ("pool",), {}),
        layer("out", "Dense", "flat", {"units": 3}, "kernel", (36, 3)),
    ]
    return assemble(entries)


@pytest.fixture(scope="module")
def graph():
    return build_graph(prune_zeros(pruned_network(), SHARE))


def _dense(projection):
    """All pairs, also those of weight 0."""
    matrix = np.zeros((projection.source.size, projection.target.size))
    for batch in projection.edge_batches():
        matrix[
            batch.source - projection.source.first,
            batch.target - projection.target.first,
        ] = batch.weight
    return matrix


def test_share_of_the_weights_is_zero():
    for population in pruned_network().populations:
        for before, after in zip(
            population.projections, prune(population, SHARE).projections
        ):
            if before.kernel is not None:
                is_there = after.kernel != 0
                assert np.count_nonzero(~is_there) == int(SHARE * before.kernel.size)
                assert (
                    np.abs(before.kernel[~is_there]).max()
                    <= np.abs(before.kernel[is_there]).min()
                )
                np.testing.assert_array_equal(
                    after.kernel[is_there], before.kernel[is_there]
                )


def test_percentage_is_not_rounded_down():
    dense = pruned_network().populations[-1]
    (projection,) = dense.projections
    hundred_projection = replace(
        projection, kernel=np.arange(1, 101, dtype=np.float32).reshape(25, 4)
    )
    (after,) = prune(
        replace(dense, projections=(hundred_projection,)), 0.29
    ).projections  # 0.29 * 100 < 29
    assert np.count_nonzero(after.kernel == 0) == 29


def test_degrees_and_neighbours_are_those_of_the_other_weights(graph, tmp_path):
    for projection in graph.projections:
        matrix = _dense(projection)
        weights = np.concatenate(
            [batch.weight.copy() for batch in projection.edge_batches()]
        )
        assert (weights != 0).all()
        np.testing.assert_array_equal(projection.out_degrees, (matrix != 0).sum(axis=1))
        np.testing.assert_array_equal(projection.in_degrees, (matrix != 0).sum(axis=0))
        np.testing.assert_array_equal(
            projection.to_scipy().toarray(), matrix.astype(np.float32)
        )
        expected_index = np.nonzero(matrix.T)[1] + projection.source.first
        np.testing.assert_array_equal(
            projection.sources_of_range(0, projection.target.size), expected_index
        )
        for target in range(0, projection.target.size, 7):
            nodes, found_weights = projection.predecessors(
                projection.target.first + target
            )
            np.testing.assert_array_equal(
                nodes - projection.source.first, np.flatnonzero(matrix[:, target])
            )
            np.testing.assert_array_equal(
                found_weights,
                matrix[nodes - projection.source.first, target].astype(np.float32),
            )
        part = projection.sources_of_range(1, 3)
        np.testing.assert_array_equal(
            part, np.nonzero(matrix.T[1:3])[1] + projection.source.first
        )


def test_many_neurons_in_a_row_without_synapses():
    """More synapses than a batch holds are skipped one after the other."""
    kernel = np.full((200, 400), 0.5, np.float32)
    kernel[:100] = 0
    arrays = {"kernel": kernel, "bias": np.zeros(400, np.float32)}
    entries = [
        StoredLayer("input", "InputLayer", {"batch_input_shape": [None, 200]}, (), {}),
        StoredLayer("out", "Dense", {"units": 400}, ("input",), arrays),
    ]
    network = replace(assemble(entries), zeros=DROPPED)
    (summary,) = build_graph(network).summary()
    assert (summary.edges, summary.zero_edges, summary.weight.sum) == (
        40_000,
        0,
        20_000,
    )
    assert (summary.out_degree.min, summary.weight.min, summary.weight.max) == (
        0,
        0.5,
        0.5,
    )


def test_counts_have_as_many_synapses(graph):
    leaving = prune_zeros(pruned_network(), SHARE).fan_out()
    for projection in (
        graph.projections
    ):  # of several connections between two neurons, `fan_out` counts each
        if not projection.merged:
            np.testing.assert_array_equal(
                leaving[projection.source.name].ravel(), projection.out_degrees
            )
