"""Graphs to map, built once: every network, with a constant input and with one that spikes."""

from functools import partial

import pytest

from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.placement import place
from snnb.mapping.traffic import MappableNetwork
from tests.graph.conftest import pruned_graph
from tests.mapping.brute_force import csv_edges
from tests.mapping.networks import NETWORKS, make_graph

__all__ = ["pruned_graph"]
QUICK = SearchSettings(swaps_per_core=1000)
FAST = [("summed", "spikes"), ("chained", "current")]
CASES = [
    pytest.param(
        (name, coding),
        id=f"{name}-{coding}",
        marks=() if (name, coding) in FAST else pytest.mark.slow,
    )
    for name in NETWORKS
    for coding in ("current", "spikes")
]


@pytest.fixture(autouse=True)
def quick_placement(request, monkeypatch):
    """Anneal for a twentieth of the time, except in slow tests."""
    if request.node.get_closest_marker("slow") is None:
        monkeypatch.setattr(
            "snnb.mapping.map_network.place", partial(place, settings=QUICK)
        )


@pytest.fixture(scope="session")
def graphs(tmp_path_factory):
    """Graph and edges of a network, by its name and the coding of its input."""
    made_graphs = {}

    def make(name, coding):
        if (name, coding) not in made_graphs:
            folder = tmp_path_factory.mktemp(f"{name}_{coding}")
            graph = make_graph(NETWORKS[name](), folder, coding)
            made_graphs[name, coding] = graph, csv_edges(graph, folder)
        return made_graphs[name, coding]

    yield make
    for graph, _ in made_graphs.values():
        graph.close()


@pytest.fixture(params=CASES)
def case(request, graphs):
    """Graph, its edges, and the network to place."""
    graph, edges = graphs(*request.param)
    return graph, edges, MappableNetwork.of(graph)
