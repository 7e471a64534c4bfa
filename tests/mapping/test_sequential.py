"""The sequential mapping against a plain one over the list of edges."""

from collections import defaultdict

import numpy as np
import pytest

from snnb.mapping.limits import NO_LIMIT, Limits
from snnb.mapping.sequential import sequential


def plainly(graph, edges, limits):
    first = graph.populations[0].size
    sources, degrees = defaultdict(set), defaultdict(int)
    for source, target, *_ in edges:
        degrees[target] += 1
        if source >= first or graph.populations[0].coding != "current":
            sources[target].add(source)
    cores, held, axons, synapses = [], 0, set(), 0
    for neuron in range(first, graph.number_of_nodes()):
        wanted = axons | sources[neuron]
        if held == limits.neurons or len(wanted) > limits.axons or synapses + degrees[neuron] > limits.synapses:
            cores.append((cores[-1] if cores else 0) + 1)
            held, axons, synapses = 1, sources[neuron], degrees[neuron]
        else:
            cores.append(cores[-1] if cores else 0)
            held, axons, synapses = held + 1, wanted, synapses + degrees[neuron]
    return cores


@pytest.mark.parametrize("binding", ["neurons", "axons", "synapses", "all"])
def test_a_new_core_begins_when_a_limit_would_be_exceeded(case, binding):
    graph, edges, network = case
    most = int(network.fan_in.max()), int(network.in_degrees.max())
    for slack in (0, 1, 7, 40):
        tight = Limits(slack + 1, most[0] + slack, most[1] + slack)
        limits = Limits(*(n if binding in (name, "all") else NO_LIMIT for name, n in zip(Limits._fields, tight)))
        np.testing.assert_array_equal(sequential(network, limits), plainly(graph, edges, limits))
