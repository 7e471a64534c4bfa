"""A small network with every kind of junction, its spike counts, and its graph."""

import numpy as np
import pytest

from snnb.graph.build import build_graph
from tests.graph.networks import branched, counts_of, save, save_counts, set_random_weights

CODING = {"input": "current", "07Dense_4": "random"}


@pytest.fixture(scope="session")
def model():
    network = branched()
    set_random_weights(network)
    return network


@pytest.fixture(scope="session")
def parsed(model, tmp_path_factory):
    return save(model, tmp_path_factory.mktemp("parse") / "net_parsed.h5")


@pytest.fixture(scope="session")
def counts(model, tmp_path_factory):
    return save_counts(tmp_path_factory.mktemp("simulation") / "spike_rate_sums.npz", counts_of(model))


@pytest.fixture(scope="session")
def graph_path(parsed, counts, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "net_graph.h5"
    build_graph(parsed, path, counts=counts, coding=CODING, pool_weight="one").close()
    return path


@pytest.fixture(scope="session")
def graph(graph_path):
    from snnb.graph import SynapseGraph

    with SynapseGraph.open(graph_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def weights_graph(parsed, tmp_path_factory):
    with build_graph(parsed, tmp_path_factory.mktemp("weights") / "net_graph.h5") as opened:
        yield opened


@pytest.fixture(scope="session")
def spike_times(graph, tmp_path_factory):
    """Times of two samples, sorted by sample, neuron, step; the input is a current and has none."""
    rng = np.random.default_rng(9)
    times = {}
    for population in graph.populations[1:]:
        active = rng.random((2, population.size, 30)) < 0.2
        times[population.name] = np.argwhere(active).astype(np.int32)
    path = tmp_path_factory.mktemp("times") / "spike_times.npz"
    np.savez(path, **times, num_samples=2, num_steps=30)
    return path
