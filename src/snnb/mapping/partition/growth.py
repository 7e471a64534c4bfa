"""Coarsening by greedy growth of cores around shared sources.

It is for graphs without kernels, whose ids may have any order. The next neuron is the
one of whose spikes, received and sent, the core has the largest part already: greedy
growth of parts of a hypergraph, whose hyperedges are a neuron and its targets
(Çatalyürek and Aykanat, IEEE TPDS 10(7), 1999).

Let nodes 0 and 1 send spikes to the neurons 2 to 5, each of weight 1, with these edges:

    0 → 2, 3        hyperedge {0, 2, 3}
    1 → 3, 4, 5     hyperedge {1, 3, 4, 5}

The total of neuron 3 is 3: its own hyperedge, and those of nodes 0 and 1. When neuron
2 is on the core, the core has the hyperedge of node 0. So the part of neuron 3 is 1/3,
and those of neurons 4 and 5 are 0: neuron 3 is next.
"""

from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from snnb.chips.hardware import Limits
from snnb.core.compiled import compiled, inlined, inner
from snnb.graph.connection import offsets_of
from snnb.graph.projection import sources
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import MappableNetwork, nodes_of


class Edges(NamedTuple):
    """Synapses in CSR form, by source and by target."""

    # Node s sends spikes to `target[out_start[s] : out_start[s + 1]]`: int64 (nodes +
    # 1,); int32, numbers of placed neurons, ascending
    out_start: np.ndarray
    target: np.ndarray
    # Neuron v receives spikes from `source[in_start[v] : in_start[v + 1]]`: int64
    # (neurons + 1,); int64, ids of nodes
    in_start: np.ndarray
    source: np.ndarray


class Bounds(NamedTuple):
    """Limits of a core, and settings of the growth."""

    neurons: int
    axons: int
    synapses: int
    refusals: int  # neurons in a row that exceed a limit; then a core is full
    targets: int  # a source with more targets attracts none of them


class GrowthState(NamedTuple):
    """What is known of each neuron and node during the growth.

    "Has" and "attracts" are said of a core by its number; −1: of none.
    """

    total: np.ndarray  # (neurons,) float64: weight of the hyperedges of a neuron
    # (neurons,) float64: share of this weight in hyperedges that `part_core` has
    part: np.ndarray
    part_core: np.ndarray  # (neurons,) int32: the core that `part` is about
    # (neurons,) int32: number of neurons that were placed when `part` last grew
    grown_after: np.ndarray
    axon_core: np.ndarray  # (nodes,) int32: last core that has an axon for a node
    # (nodes,) int32: last core to which the hyperedge of a node attracts its targets
    attraction_core: np.ndarray
    grown_neurons: np.ndarray  # (neurons,) int32: buffer for neurons whose parts grow

    @classmethod
    def empty(cls, neurons: int, nodes: int) -> "GrowthState":
        """Return the state without neurons on cores, and `total` uninitialised."""
        return cls(
            total=np.empty(neurons),
            part=np.zeros(neurons),
            part_core=np.full(neurons, -1, np.int32),
            grown_after=np.zeros(neurons, np.int32),
            axon_core=np.full(nodes, -1, np.int32),
            attraction_core=np.full(nodes, -1, np.int32),
            grown_neurons=np.empty(neurons, np.int32),
        )


def grow_cores(
    network: MappableNetwork,
    loads: np.ndarray,
    limits: Limits,
    settings: SearchSettings,
) -> np.ndarray:
    """Return the core of each neuron, without gaps: int32, shape (neurons,).

    Cores keep the limits of neurons, axons and synapses. The network is one that
    `check_possible` accepts.

    Parameters
    ----------
    loads : (neurons,) int64 array
        The synapse loads, see `limits.synapse_loads`.
    limits : Limits
        Of a core; `synapses` is that of the loads.
    """
    weight = np.ones(network.graph.number_of_nodes())  # silent neurons take axons too
    for population in network.sources:
        weight[nodes_of(population)] += network.spikes_of(population) * network.samples
    bounds = Bounds(
        neurons=limits.neurons,
        axons=limits.axons,
        synapses=limits.synapses,
        refusals=settings.max_refusals,
        targets=settings.max_targets_that_attract,
    )
    core = np.full(network.neurons, -1, np.int32)
    edges = _list_edges(network)
    state = GrowthState.empty(network.neurons, weight.size)
    _grow(bounds, edges, network.first, weight, loads, state, core)
    return core


def _list_edges(network: MappableNetwork) -> Edges:
    """List the edges over which spikes are sent."""
    projections = network.graph.projections
    spiking = [p for p in projections if p.source in network.sources]
    source_lists = []
    source_counts = []
    for population in network.populations:
        start, ids = sources(spiking, population, 0, population.size)
        source_lists.append(ids)
        source_counts.append(np.diff(start))
    source = np.concatenate(source_lists)
    in_start = offsets_of(np.concatenate(source_counts))
    shape = network.neurons, network.graph.number_of_nodes()
    by_target = csr_matrix((np.ones(source.size, bool), source, in_start), shape)
    by_source = by_target.tocsc()
    return Edges(
        out_start=by_source.indptr.astype(np.int64),
        target=by_source.indices,
        in_start=in_start,
        source=source,
    )


@inner
def _sum_weights(
    edges: Edges,
    first_neuron: int,
    weight: np.ndarray,
    total: np.ndarray,
) -> None:
    """Write the weight of the hyperedges of each neuron into `total`."""
    for v in range(total.size):
        total[v] = weight[first_neuron + v]
        for k in range(edges.in_start[v], edges.in_start[v + 1]):
            total[v] += weight[edges.source[k]]


@inlined
def _attract(
    state: GrowthState,
    neuron: int,
    part: float,
    core: int,
    n_placed: int,
    count: int,
) -> int:
    """Add a part of a neuron's hyperedges to those that the core has.

    Append the neuron to the `count` first of `grown_neurons` unless it is there; return
    the new number.
    """
    if state.part_core[neuron] != core:
        state.part_core[neuron] = core
        state.part[neuron] = 0.0
    if state.grown_after[neuron] != n_placed:
        state.grown_after[neuron] = n_placed
        state.grown_neurons[count] = neuron
        count += 1
    state.part[neuron] += part
    return count


@compiled
def _grow(
    bounds: Bounds,
    edges: Edges,
    first_neuron: int,
    weight: np.ndarray,
    loads: np.ndarray,
    state: GrowthState,
    core: np.ndarray,
) -> None:
    """Grow core after core.

    Parameters
    ----------
    bounds : Bounds
        Limits of a core.
    edges : Edges
        Synapses over which spikes are sent.
    first_neuron : int
        Id of the first placed neuron.
    weight : (nodes,) float64 array
        Weight of the spikes of each node.
    loads : (neurons,) int64 array
        Synapse loads.
    state : GrowthState
        The empty state; updated.
    core : (neurons,) int32 array
        Output, with −1 for each neuron.
    """
    neurons = core.size
    _sum_weights(edges, first_neuron, weight, state.total)
    # Negated parts and neurons, the largest part first. A neuron whose part has grown
    # has entries of its former parts too, which are dropped when they become first.
    heap = [(0.0, np.int64(0)) for _ in range(0)]
    next_neuron = 0  # all neurons before it are placed
    current = 0  # the core that grows
    load_neurons = 0
    load_axons = 0
    load_synapses = 0
    refusals = 0  # in a row
    seed_neuron = -1  # the first refused neuron, which begins the next core
    n_placed = 0
    while n_placed < neurons:
        if heap:
            v = int(heappop(heap)[1])
            while heap and heap[0][0] != -state.part[heap[0][1]]:
                heappop(heap)
        elif seed_neuron >= 0 and load_neurons == 0:
            v = seed_neuron
        else:
            while core[next_neuron] >= 0:
                next_neuron += 1
            v = next_neuron
        new_axons = 0
        for k in range(edges.in_start[v], edges.in_start[v + 1]):
            new_axons += state.axon_core[edges.source[k]] != current
        is_full = load_neurons == bounds.neurons
        exceeds_axons = load_axons + new_axons > bounds.axons
        exceeds_synapses = load_synapses + loads[v] > bounds.synapses
        if load_neurons > 0 and (is_full or exceeds_axons or exceeds_synapses):
            if refusals == 0:
                seed_neuron = v
            refusals += 1
            if is_full or refusals >= bounds.refusals or not heap:
                current += 1
                refusals = 0
                heap.clear()
                load_neurons = 0
                load_axons = 0
                load_synapses = 0
            continue
        core[v] = current
        n_placed += 1
        refusals = 0
        seed_neuron = -1
        load_neurons += 1
        load_axons += new_axons
        load_synapses += loads[v]
        # The core now has the hyperedges of the neuron and of its sources
        count = 0
        for k in range(edges.in_start[v] - 1, edges.in_start[v + 1]):
            if k < edges.in_start[v]:
                source = first_neuron + v
            else:
                source = edges.source[k]
                state.axon_core[source] = current
            if state.attraction_core[source] == current:
                continue
            state.attraction_core[source] = current
            begin = edges.out_start[source]
            end = edges.out_start[source + 1]
            if end - begin > bounds.targets:
                continue
            for t in range(begin - 1, end):
                member = source - first_neuron if t < begin else edges.target[t]
                if member >= 0 and core[member] < 0:
                    part = weight[source] / state.total[member]
                    count = _attract(state, member, part, current, n_placed, count)
        for neuron in state.grown_neurons[:count]:
            heappush(heap, (-state.part[neuron], np.int64(neuron)))
