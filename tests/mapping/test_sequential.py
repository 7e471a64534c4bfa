"""The sequential mapping against a plain one over the list of edges."""

from collections import defaultdict

import numpy as np
import pytest

from snnb.chips.hardware import NO_LIMIT, Limits
from snnb.mapping.partition.initial import sequential
from snnb.mapping.traffic import MappableNetwork
from tests.graph.listed_graphs import random_graph, with_names
from tests.mapping.brute_force import csv_edges, spikes_of


def plainly(graph, edges, limits):
    first_neuron, spiking = graph.layers[0].first, spikes_of(graph)
    sources, degrees = defaultdict(set), defaultdict(int)
    for source, target, *_ in edges:
        degrees[target] += 1
        if source in spiking:
            sources[target].add(source)
    cores = []
    held = 0
    axons = set()
    synapses = 0
    for neuron in range(first_neuron, graph.number_of_nodes()):
        wanted_axons = axons | sources[neuron]
        if (
            held == limits.neurons
            or len(wanted_axons) > limits.axons
            or synapses + degrees[neuron] > limits.synapses
        ):
            cores.append((cores[-1] if cores else 0) + 1)
            held = 1
            axons = sources[neuron]
            synapses = degrees[neuron]
        else:
            cores.append(cores[-1] if cores else 0)
            held += 1
            axons = wanted_axons
            synapses += degrees[neuron]
    return cores


@pytest.mark.parametrize("binding", ["neurons", "axons", "synapses", "all"])
def test_a_new_core_begins_when_a_limit_would_be_exceeded(case, binding):
    assert_equal_costs(*case, binding)


@pytest.mark.parametrize("codings", [(), ("spikes",), ("current", "spikes")])
def test_a_core_of_listed_edges_too(tmp_path, codings):
    sizes = {
        "sizes": (9, 20, 31, 12),
        "inputs": len(codings),
        "codings": codings or ("spikes",),
    }
    graph, synapses = random_graph(tmp_path / "graph.h5", 3, density=0.1, **sizes)
    with graph:
        assert_equal_costs(
            graph, with_names(graph, synapses), MappableNetwork.of(graph), "all"
        )


def test_weights_of_a_pruned_network_that_are_0_take_no_axons(pruned_graph, tmp_path):
    assert_equal_costs(
        pruned_graph,
        csv_edges(pruned_graph, tmp_path),
        MappableNetwork.of(pruned_graph),
        "axons",
    )


def assert_equal_costs(graph, edges, network, binding):
    largest_counts = int(network.fan_in.max()), int(network.in_degrees.max())
    for slack in (0, 1, 7, 40):
        tight = Limits(slack + 1, largest_counts[0] + slack, largest_counts[1] + slack)
        limits = Limits(
            *(
                n if binding in (name, "all") else NO_LIMIT
                for name, n in zip(Limits._fields, tight)
            )
        )
        np.testing.assert_array_equal(
            sequential(network, limits), plainly(graph, edges, limits)
        )
