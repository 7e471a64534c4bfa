"""A small network with every kind of junction, its spike counts, and its graph; and a residual network's graph."""

from dataclasses import replace

import numpy as np
import pytest

from snnb.graph.build import build_graph
from snnb.graph.synapse_graph import SynapseGraph
from tests.graph.networks import (
    branched,
    counts_of,
    graph_of,
    residual,
    save,
    save_counts,
    save_spike_times,
    set_random_weights,
)
from tests.graph.test_pruned import SHARE, prune_zeros, pruned_network

CODING = {"input": "current", "07Dense_4": "random"}


@pytest.fixture(scope="session")
def model():
    network = branched()
    set_random_weights(network)
    return network


@pytest.fixture(scope="session")
def parsed_path(model, tmp_path_factory):
    return save(model, tmp_path_factory.mktemp("parse") / "net_parsed.h5")


@pytest.fixture(scope="session")
def counts(model, tmp_path_factory):
    return save_counts(
        tmp_path_factory.mktemp("simulation") / "spike_rate_sums.npz", counts_of(model)
    )


@pytest.fixture(scope="session")
def graph_path(parsed_path, counts, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "net_graph.h5"
    build_graph(
        parsed_path, path, counts=counts, coding=CODING, pool_weight="one"
    ).close()
    return path


@pytest.fixture(scope="session")
def graph(graph_path):
    with SynapseGraph.open(graph_path) as opened_file:
        yield opened_file


@pytest.fixture(scope="session")
def weights_graph(parsed_path, tmp_path_factory):
    with build_graph(
        parsed_path, tmp_path_factory.mktemp("weights") / "net_graph.h5"
    ) as opened_graph:
        yield opened_graph


@pytest.fixture(scope="session")
def residual_graph(tmp_path_factory):
    """A graph with a population that sums layers, and an input that spikes."""
    folder, model = tmp_path_factory.mktemp("residual"), residual()
    set_random_weights(model)
    counts = counts_of(model)
    for name, like in (
        ("sum", "two"),
        ("out", "out"),
    ):  # a sum's neurons are not those of a layer with a kernel
        counts[name] = np.abs(counts[like]) + 1
    counts["input"] = np.rint(counts["input"])
    saved_counts, parsed_path = (
        save_counts(folder / "counts.npz", counts),
        save(model, folder / "net_parsed.h5"),
    )
    with build_graph(
        parsed_path,
        folder / "net_graph.h5",
        counts=saved_counts,
        coding={"input": "spikes"},
    ) as opened_graph:
        yield opened_graph


@pytest.fixture(scope="session")
def spike_times(graph, tmp_path_factory):
    return save_spike_times(graph, tmp_path_factory.mktemp("times") / "spike_times.npz")


@pytest.fixture(scope="session")
def pruned_graph(tmp_path_factory):
    """A graph of a pruned integer network, with an input that spikes."""
    rng, network = np.random.default_rng(4), prune_zeros(pruned_network(), SHARE)
    integers = [
        replace(
            p, integer_threshold=rng.integers(20, 90, p.shape[-1]).astype(np.float32)
        )
        for p in network.populations
    ]
    integer = replace(network.with_populations(integers), weight_bits=8, pixel=255)
    counts = {
        v.name: np.maximum(rng.integers(-9, 60, v.shape), 0) for v in network.volumes
    }
    with graph_of(
        integer, tmp_path_factory.mktemp("pruned"), counts, {"input": "spikes"}
    ) as opened_graph:
        yield opened_graph
