"""Coarsening by greedy growth of cores around shared sources, for graphs without kernels, whose ids may have any order.

The next neuron is the one of whose spikes, received and sent, the core has the largest part already: greedy growth of
parts of a hypergraph, whose hyperedges are a neuron and its targets (Çatalyürek and Aykanat, IEEE TPDS 10(7), 1999).
"""

from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from snnb.chips.hardware import Limits
from snnb.core.compiled import compiled
from snnb.graph.connection import offsets_of
from snnb.graph.projection import sources
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import MappableNetwork, nodes_of


def grown(network: MappableNetwork, loads: np.ndarray, limits: Limits, settings: SearchSettings) -> np.ndarray:
    """Return the core of each neuron, int32, within the limits of neurons, axons and synapses, without gaps.

    `loads` (int64, shape (neurons,)) are the synapse loads, see `limits.synapse_loads`. The network is one that
    `check_possible` accepts.
    """
    weight = np.ones(network.graph.number_of_nodes())  # silent neurons take axons too
    for population in network.sources:
        weight[nodes_of(population)] += network.spikes_of(population) * network.samples
    spiking = [projection for projection in network.graph.projections if projection.source in network.sources]
    onto_each = [sources(spiking, target, 0, target.size) for target in network.populations]
    source = np.concatenate([listed for _, listed in onto_each])
    start = offsets_of(np.concatenate([np.diff(indptr) for indptr, _ in onto_each]))
    shape = network.neurons, weight.size
    onto = csr_matrix((np.ones(source.size, bool), source, start), shape).tocsc()
    edges = Edges(onto.indptr.astype(np.int64), onto.indices, start, source)
    core = np.full(network.neurons, -1, np.int32)
    bounds = np.array([*limits[:3], settings.max_refusals, settings.max_targets_that_attract], np.int64)
    _grow(bounds, edges, network.first, weight, loads, core)
    return core


class Edges(NamedTuple):
    """Synapses in CSR form."""

    # Targets (numbers of placed neurons) of each node that spikes, ascending
    out_start: np.ndarray
    target: np.ndarray
    # Sources of spikes (ids) of each placed neuron
    in_start: np.ndarray
    source: np.ndarray


@compiled
def _grow(
    bounds: np.ndarray,
    edges: Edges,
    first: int,
    weight: np.ndarray,
    loads: np.ndarray,
    core: np.ndarray,
) -> None:
    """Grow core after core.

    Parameters
    ----------
    bounds : maximum of neurons, axons and synapses of a core, of refusals in a row, and of targets that attract
    first : id of the first placed neuron
    weight : (nodes,) float64 array; weight of the spikes of each node
    loads : synapse loads
    core : (neurons,) int32 array, −1; output
    """
    neurons, nodes = core.size, weight.size
    total = np.empty(neurons)  # weight of the hyperedges of a neuron
    for v in range(neurons):
        total[v] = weight[first + v]
        for k in range(edges.in_start[v], edges.in_start[v + 1]):
            total[v] += weight[edges.source[k]]
    part = np.zeros(neurons)  # of the weight of a neuron's hyperedges, those that the core has
    core_of_part = np.full(neurons, -1, np.int32)  # the core that `part` is about
    grown_at, grown_neurons = np.zeros(neurons, np.int32), np.empty(neurons, np.int32)
    has_axon, attracts = np.full(nodes, -1, np.int32), np.full(nodes, -1, np.int32)  # cores
    # Negated parts and neurons; also former parts of a neuron whose part has grown, which are never first
    heap = [(0.0, np.int64(0)) for _ in range(0)]
    next_neuron, current = 0, 0
    load = np.zeros(3, np.int64)
    refused, spare, placed = 0, -1, 0
    while placed < neurons:
        if heap:
            v = int(heappop(heap)[1])
            while heap and heap[0][0] != -part[heap[0][1]]:
                heappop(heap)
        elif spare >= 0 and load[0] == 0:
            v = spare
        else:
            while core[next_neuron] >= 0:
                next_neuron += 1
            v = next_neuron
        axons = 0
        for k in range(edges.in_start[v], edges.in_start[v + 1]):
            axons += has_axon[edges.source[k]] != current
        full = load[0] == bounds[0]
        if load[0] and (full or load[1] + axons > bounds[1] or load[2] + loads[v] > bounds[2]):
            if refused == 0:
                spare = v
            refused += 1
            if full or refused >= bounds[3] or not heap:
                current, refused = current + 1, 0
                heap.clear()
                load[:] = 0
            continue
        core[v] = current
        placed += 1
        refused, spare = 0, -1
        load[0], load[1], load[2] = load[0] + 1, load[1] + axons, load[2] + loads[v]
        number = 0  # of the neurons whose parts grow
        for k in range(edges.in_start[v] - 1, edges.in_start[v + 1]):
            s = first + v if k < edges.in_start[v] else edges.source[k]
            if k >= edges.in_start[v]:
                has_axon[s] = current
            if attracts[s] == current:
                continue
            attracts[s] = current
            begin, end = edges.out_start[s], edges.out_start[s + 1]
            if end - begin > bounds[4]:
                continue
            for t in range(begin - 1, end):
                u = s - first if t < begin else edges.target[t]
                if u < 0 or core[u] >= 0:
                    continue
                if core_of_part[u] != current:
                    core_of_part[u], part[u] = current, 0.0
                if grown_at[u] != placed:
                    grown_at[u] = placed
                    grown_neurons[number] = u
                    number += 1
                part[u] += weight[s] / total[u]
        for u in grown_neurons[:number]:
            heappush(heap, (-part[u], np.int64(u)))
