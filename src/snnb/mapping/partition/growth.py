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


class Hyperedges(NamedTuple):
    """The hyperedges of a network, one for each node, by source and by target.

    They are synapses over which spikes are sent, in CSR form.
    """

    # Node s sends spikes to `target[out_start[s] : out_start[s + 1]]`: int64 (nodes +
    # 1,); int32, numbers of placed neurons, ascending
    out_start: np.ndarray
    target: np.ndarray
    # Neuron v receives spikes from `source[in_start[v] : in_start[v + 1]]`: int64
    # (neurons + 1,); int64, ids of nodes
    in_start: np.ndarray
    source: np.ndarray
    weight: np.ndarray  # (nodes,) float64: weight of the spikes of each node
    first_neuron: int  # id of the first placed neuron; its number is 0


class Bounds(NamedTuple):
    """Limits of a core, and settings of the growth."""

    neurons: int
    axons: int
    synapses: int
    refusals: int  # neurons in a row that exceed a limit; then a core is full
    targets: int  # a node with more targets attracts none of its hyperedge


class GrowthState(NamedTuple):
    """What is known of each neuron and node during the growth.

    A core has the hyperedges of its neurons and of their sources. Cores are stated by
    their numbers; −1: no core.
    """

    total: np.ndarray  # (neurons,) float64: weight of the hyperedges of a neuron
    # (neurons,) float64: share of this weight in hyperedges that `part_core` has, and
    # that attract, see `Bounds`
    part: np.ndarray
    part_core: np.ndarray  # (neurons,) int32: the core that `part` is about
    # (neurons,) int32: number of neurons that were placed when `part` last grew
    grown_after: np.ndarray
    axon_core: np.ndarray  # (nodes,) int32: last core that has an axon for a node
    hyperedge_core: np.ndarray  # (nodes,) int32: last core that has a node's hyperedge
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
            hyperedge_core=np.full(nodes, -1, np.int32),
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
    state = GrowthState.empty(network.neurons, weight.size)
    _grow(bounds, _list_hyperedges(network, weight), loads, state, core)
    return core


def _list_hyperedges(network: MappableNetwork, weight: np.ndarray) -> Hyperedges:
    """List the hyperedges; `weight`, float64, shape (nodes,), is that of each node."""
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
    return Hyperedges(
        out_start=by_source.indptr.astype(np.int64),
        target=by_source.indices,
        in_start=in_start,
        source=source,
        weight=weight,
        first_neuron=network.first,
    )


@inner
def _sum_weights(edges: Hyperedges, total: np.ndarray) -> None:
    """Write the weight of the hyperedges of each neuron into `total`."""
    for neuron in range(total.size):
        total[neuron] = edges.weight[edges.first_neuron + neuron]
        for k in range(edges.in_start[neuron], edges.in_start[neuron + 1]):
            total[neuron] += edges.weight[edges.source[k]]


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


@inlined
def _add_hyperedge(
    node: int,
    current: int,
    n_placed: int,
    max_targets: int,
    edges: Hyperedges,
    state: GrowthState,
    core: np.ndarray,
    count: int,
) -> int:
    """Give the core `current` the hyperedge of a node; it attracts its other neurons.

    Append them to the `count` first of `grown_neurons`; return the new number.
    """
    state.hyperedge_core[node] = current
    begin = edges.out_start[node]
    end = edges.out_start[node + 1]
    if end - begin > max_targets:
        return count
    weight = edges.weight[node]
    own_neuron = node - edges.first_neuron  # negative: the node is an input
    if own_neuron >= 0 and core[own_neuron] < 0:
        part = weight / state.total[own_neuron]
        count = _attract(state, own_neuron, part, current, n_placed, count)
    for k in range(begin, end):
        target = edges.target[k]
        if core[target] < 0:
            part = weight / state.total[target]
            count = _attract(state, target, part, current, n_placed, count)
    return count


@compiled
def _grow(
    bounds: Bounds,
    edges: Hyperedges,
    loads: np.ndarray,
    state: GrowthState,
    core: np.ndarray,
) -> None:
    """Grow core after core.

    Parameters
    ----------
    bounds : Bounds
        Limits of a core.
    edges : Hyperedges
        Synapses over which spikes are sent.
    loads : (neurons,) int64 array
        Synapse loads.
    state : GrowthState
        The empty state; updated.
    core : (neurons,) int32 array
        Output, with −1 for each neuron.
    """
    _sum_weights(edges, state.total)
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
    while n_placed < core.size:
        if heap:
            neuron = int(heappop(heap)[1])
            while heap and heap[0][0] != -state.part[heap[0][1]]:
                heappop(heap)
        elif seed_neuron >= 0 and load_neurons == 0:
            neuron = seed_neuron
        else:
            while core[next_neuron] >= 0:
                next_neuron += 1
            neuron = next_neuron
        new_axons = 0
        for k in range(edges.in_start[neuron], edges.in_start[neuron + 1]):
            new_axons += state.axon_core[edges.source[k]] != current
        is_full = load_neurons == bounds.neurons
        exceeds_axons = load_axons + new_axons > bounds.axons
        exceeds_synapses = load_synapses + loads[neuron] > bounds.synapses
        if load_neurons > 0 and (is_full or exceeds_axons or exceeds_synapses):
            if refusals == 0:
                seed_neuron = neuron
            refusals += 1
            if is_full or refusals >= bounds.refusals or not heap:
                current += 1
                refusals = 0
                heap.clear()
                load_neurons = 0
                load_axons = 0
                load_synapses = 0
            continue
        core[neuron] = current
        n_placed += 1
        refusals = 0
        seed_neuron = -1
        load_neurons += 1
        load_axons += new_axons
        load_synapses += loads[neuron]
        count = 0  # of the neurons whose parts have grown
        node = edges.first_neuron + neuron
        if state.hyperedge_core[node] != current:
            count = _add_hyperedge(
                node, current, n_placed, bounds.targets, edges, state, core, count
            )
        for k in range(edges.in_start[neuron], edges.in_start[neuron + 1]):
            source = edges.source[k]
            state.axon_core[source] = current
            if state.hyperedge_core[source] != current:
                count = _add_hyperedge(
                    source, current, n_placed, bounds.targets, edges, state, core, count
                )
        for grown_neuron in state.grown_neurons[:count]:
            heappush(heap, (-state.part[grown_neuron], np.int64(grown_neuron)))
