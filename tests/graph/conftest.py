"""A small network with every kind of junction, its spike counts, and its graph; and a residual network's graph."""

from dataclasses import replace

import numpy as np
import pytest

from snnb.graph.build import build_graph
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.read_network import read_network
from snnb.network.spike_counts import SpikeCounts
from tests.graph.networks import (
    RECORDING,
    branched,
    counts_of,
    graph_of,
    network_of_model,
    residual,
    save,
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
def counts(model):
    return SpikeCounts(RECORDING, counts_of(model), CODING)


@pytest.fixture(scope="session")
def graph_path(parsed_path, counts, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "net_graph.h5"
    network = read_network(parsed_path)
    build_graph(network, counts, pool_weight="one", path=path).close()
    return path


@pytest.fixture(scope="session")
def graph(graph_path):
    with SynapseGraph.open(graph_path) as opened_file:
        yield opened_file


@pytest.fixture(scope="session")
def weights_graph(parsed_path, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net_graph.h5"
    with build_graph(read_network(parsed_path), path=path) as opened_graph:
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
    spike_counts = SpikeCounts(RECORDING, counts, {"input": "spikes"})
    network = network_of_model(model, folder)
    path = folder / "net_graph.h5"
    with build_graph(network, spike_counts, path=path) as opened_graph:
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
