"""Relays of the format `sanafe`, loaded by SANA-FE itself; test_sanafe_chip.py compares spikes of exported files."""

import json

from snnb.formats.write_export import export
from snnb.graph.build import build_graph
from tests.crosscheck.sanafe_file import load


def test_relays_are_stated(parsed, tmp_path):
    """`one` goes on to `long` two steps later and to the sum and the pooling after it."""
    with build_graph(parsed, tmp_path / "net_graph.h5", coding={"input": "current"}) as graph:
        export(graph, "sanafe", tmp_path / "net", origin={"stamp": "s", "sha256": "0"})
        edges, nodes = graph.number_of_edges(), graph.number_of_nodes()
    stated = json.loads((tmp_path / "net.json").read_text())
    _, network = load(tmp_path / "net", tmp_path)
    added = stated["sanafe"]["added_neurons"]
    assert stated["sanafe"]["relays"] == [
        {"group": 7, "population": "one", "steps_later": 1, "size": 90},
        {"group": 8, "population": "one", "steps_later": 2, "size": 90},
    ]
    neurons = [neuron for group in network.groups.values() for neuron in group.neurons]
    assert len(neurons) == nodes + added == nodes + 180
    assert sum(len(neuron.edges_out) for neuron in neurons) == edges + stated["sanafe"]["added_edges"]
