"""Neurons to cores, or to groups for the search, without a search.

Cores are filled in the order of the ids, which is the baseline, or grown around shared sources. Growth is for graphs
without kernels, whose ids may have any order. The next neuron is the one of whose spikes, received and sent, the core
has the largest part already: greedy growth of parts of a hypergraph, whose hyperedges are a neuron and its targets
(Çatalyürek and Aykanat, IEEE TPDS 10(7), 1999).

With kernels, groups are a position and a chunk of channels, or a tile and a few channels.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
from scipy.sparse import csr_matrix

from snnb.core.compiled import compiled
from snnb.core.progress import Progress, Throttle, silent
from snnb.graph.connection import Connection
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection, sources
from snnb.mapping.hardware import Limits
from snnb.mapping.traffic import PlacedNetwork, nodes_of
from snnb.network.geometry import PADDING

MOST_SOURCES = 1 << 22  # in a list
MOST_TARGETS = 1 << 14  # of a source that attracts its targets; more of them are on many cores anyway
MOST_REFUSALS = 64  # neurons in a row that exceed a limit, after which a core is full
MOST_CHANNELS = 64  # of a group
THIN = 4  # channels of a group where channels are apart
TILE = 4  # rows and columns of a group in the first of such populations


class Sources(NamedTuple):
    """The sources of the neurons at some positions of a population."""

    # Offset of each position, and the ids of the sources that its neurons share; a source may occur twice
    position_start: np.ndarray
    position_source: np.ndarray
    # Offset of each neuron, and its further sources
    neuron_start: np.ndarray
    neuron_source: np.ndarray


def sequential(network: PlacedNetwork, limits: Limits, progress: Progress = silent) -> np.ndarray:
    """Fill cores with neurons in the order of their ids, a new core when a limit would be exceeded.

    PACMAN (Galluppi et al., CF 2012) and AxonCUDA do the same. The result, int32, shape (neurons,), has no gaps. The
    network is one that `check_possible` accepts.
    """
    core = np.empty(network.neurons, np.int32)
    seen = np.full(network.graph.number_of_nodes(), -1, np.int32)
    state, most, throttle = np.zeros(4, np.int64), np.array(limits, np.int64), Throttle()
    for population in network.populations:
        lists = SourceLists(network, population)
        for first, last in lists.parts():
            part = slice(*(population.first - network.first + lists.filters * at for at in (first, last)))
            _fill_cores(state, most, lists.filters, *lists.of(first, last), network.in_degrees[part], seen, core[part])
            if throttle.due(last=part.stop == network.neurons):
                progress(part.stop, network.neurons, f"{state[0] + 1} cores")
    return core


class SourceLists:
    """Lists of the sources of a population's neurons, by position; there are `filters` neurons at a position."""

    def __init__(self, network: PlacedNetwork, population: GraphPopulation) -> None:
        projections = [p for p in network.projections_to(population) if p.source in network.sources]
        self.sparse = [p for p in projections if p.enumerated]
        connections = [c for projection in projections if projection not in self.sparse for c in projection.connections]
        self.filters, self._nodes = max(1, population.shape[-1]), network.graph.number_of_nodes()
        self.positions = population.size // self.filters
        self._shared = [_Inputs(one) for one in connections if one.geometry.pairing == "dense"]
        self._apart: List[Union[_Inputs, _SparseInputs]] = list(map(_SparseInputs, self.sparse))
        self._apart += [_Inputs(one) for one in connections if one.geometry.pairing != "dense"]

    @property
    def most_shared(self) -> int:
        """Largest number of sources that the neurons at a position share."""
        return int(np.max(sum((inputs.counts for inputs in self._shared), np.zeros(self.positions, np.int64))))

    @property
    def most_own(self) -> int:
        """Largest number of further sources of a neuron: over enumerated projections and those of diagonal pairing."""
        return int(np.max(sum((inputs.counts for inputs in self._apart), np.zeros(1, np.int64))))

    def parts(self) -> List[Tuple[int, int]]:
        """Return ranges of positions with at most about `MOST_SOURCES` sources each."""
        weights = sum((inputs.counts for inputs in self._shared), np.ones(self.positions, np.int64))
        for inputs in self._apart:
            weights = weights + inputs.counts.reshape(self.positions, -1).sum(axis=1)
        groups = np.cumsum(weights) // MOST_SOURCES
        ends = [*(np.flatnonzero(np.diff(groups)) + 1).tolist(), self.positions]
        return list(zip([0, *ends], ends))

    def most_of(self, chunks: int) -> int:
        """Return the largest number of sources of a position's neurons, divided into `chunks` chunks of channels."""
        most = 0
        for first, last in self.parts():
            sources, group = self.of(first, last), np.arange((last - first) * self.filters) // self.filters * chunks
            group += np.tile(np.arange(self.filters) * chunks // self.filters, last - first)
            owner = np.repeat(group, np.diff(sources.neuron_start))
            pairs = np.unique(owner * self._nodes + sources.neuron_source) // self._nodes
            own = np.bincount(pairs, minlength=(last - first) * chunks).reshape(last - first, chunks)
            most = max(most, int((own.max(axis=1) + np.diff(sources.position_start)).max()))
        return most

    def of(self, first: int, last: int) -> Sources:
        """List the sources of the neurons at positions `first` to `last` − 1."""
        shared = _joined_lists([inputs.listed(first, last) for inputs in self._shared], last - first)
        first, last = first * self.filters, last * self.filters
        return Sources(*shared, *_joined_lists([inputs.listed(first, last) for inputs in self._apart], last - first))


class _Inputs:
    """The sources over one connection: of each position, or with diagonal pairing of each neuron."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._by_position = connection.geometry.pairing == "dense"
        fan_in = connection.geometry.fan_in(connection.ids != PADDING)
        self.counts = (fan_in[:, :, 0] if self._by_position else fan_in).ravel()

    def listed(self, first: int, last: int) -> Tuple[np.ndarray, np.ndarray]:
        start = np.concatenate([[0], np.cumsum(self.counts[first:last])])
        source = np.empty(start[-1], np.int64)
        self._connection.sources_of_range(first, last, source, by_position=self._by_position)
        return start, source


class _SparseInputs:
    """The sources of each neuron in a pruned projection: those at a position are not the same."""

    def __init__(self, projection: GraphProjection) -> None:
        self._projection, self.counts = projection, projection.in_degrees

    def listed(self, first: int, last: int) -> Tuple[np.ndarray, np.ndarray]:
        start = np.concatenate([[0], np.cumsum(self.counts[first:last])])
        return start, self._projection.sources_of_range(first, last)


def _joined_lists(lists: Sequence[Tuple[np.ndarray, np.ndarray]], number: int) -> Tuple[np.ndarray, np.ndarray]:
    """Concatenate lists element by element: entry n of the result joins the entries n of all lists."""
    if not lists:
        return np.zeros(number + 1, np.int64), np.empty(0, np.int64)
    if len(lists) == 1:
        return lists[0]
    owners = np.concatenate([np.repeat(np.arange(number), np.diff(start)) for start, _ in lists])
    order = np.argsort(owners, kind="stable")
    return np.searchsorted(owners[order], np.arange(number + 1)), np.concatenate([s for _, s in lists])[order]


def grouped(network: PlacedNetwork, loads: np.ndarray, limits: Limits) -> Tuple[np.ndarray, int]:
    """Group the neurons of each population so that a group fits on a core; return each neuron's group and their number.

    All channels at a position of a convolution have the same sources and reach the same positions, so a group is a
    position and a chunk of channels, or units of a dense layer. The first convolution of a network with a constant
    input, and a pooling that reads it, are different: their neurons share no sources with others at their position.
    Their groups are tiles of a few channels, which have a shorter border than few positions of many channels.

    `loads` (int64, shape (neurons,)) are the synapse loads, see `limits.synapse_loads`.
    """
    group, groups = np.empty(network.neurons, np.int32), 0
    thin: Dict[str, Tuple[int, int]] = {}  # number of tiles along rows and columns
    for population in network.populations:
        part = network.part(population)
        lists = SourceLists(network, population)
        synapses = max(int(loads[part].max()), 1)
        channels = min(MOST_CHANNELS, limits.neurons, limits.synapses // synapses)
        if lists.most_own and not lists.sparse:
            channels = min(channels, (limits.axons - lists.most_shared) // lists.most_own)
        tiles = _thin_tiles(network, population, thin)
        if tiles is not None and channels >= THIN * TILE * TILE and lists.filters > THIN:
            thin[population.name] = tiles
            channels = THIN
        else:
            tiles = None
        chunks = -(-lists.filters // channels)
        while lists.sparse and chunks < lists.filters and lists.most_of(chunks) > limits.axons:
            chunks = min(2 * chunks, lists.filters)
        chunk = np.arange(lists.filters) * chunks // lists.filters
        tile, number = tile_of(population.shape, tiles)
        group[part] = (groups + tile[:, None] * chunks + chunk).ravel()
        groups += number * chunks
    return group, groups


def _thin_tiles(
    network: PlacedNetwork, population: GraphPopulation, thin: Dict[str, Tuple[int, int]]
) -> Optional[Tuple[int, int]]:
    """Return the number of tiles of a population; None if its neurons share sources or no pooling follows."""
    into = [c for p in network.projections_to(population) if p.source in network.sources for c in p.connections]
    out = [c for p in network.projections_from(population) for c in p.connections]
    if len(population.shape) != 3 or any(connection.geometry.pairing == "dense" for connection in into):
        return None
    if not into and any(connection.geometry.pairing == "diagonal" for connection in out):
        rows, columns, _ = population.shape
        return -(-rows // TILE), -(-columns // TILE)
    if into and all(connection.source.name in thin for connection in into):
        return thin[into[0].source.name]
    return None


def tile_of(shape: Tuple[int, ...], tiles: Optional[Tuple[int, int]]) -> Tuple[np.ndarray, int]:
    """Return the index of the tile of each position, and the number of tiles; by default a tile is a position."""
    rows, columns = (shape[0], shape[1]) if len(shape) == 3 else (1, int(np.prod(shape[:-1], dtype=np.int64)))
    down, across = (rows, columns) if tiles is None else (min(tiles[0], rows), min(tiles[1], columns))
    row, column = np.arange(rows) * down // rows, np.arange(columns) * across // columns
    return (row[:, None] * across + column).ravel(), down * across


def grown(network: PlacedNetwork, loads: np.ndarray, limits: Limits) -> np.ndarray:
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
    start = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(indptr) for indptr, _ in onto_each]))])
    shape = network.neurons, weight.size
    onto = csr_matrix((np.ones(source.size, bool), source, start), shape).tocsc()
    lists = onto.indptr.astype(np.int64), onto.indices, start, source
    core = np.full(network.neurons, -1, np.int32)
    _grow(np.array(limits[:3], np.int64), *lists, network.first, weight, loads, core)
    return core


@compiled
def _newly_seen(source: np.ndarray, seen: np.ndarray, core: int) -> int:
    """Count the sources without a mark of the core, and mark them."""
    new = 0
    for s in source:
        if seen[s] != core:
            seen[s] = core
            new += 1
    return new


@compiled
def _fill_cores(
    state: np.ndarray,
    limits: np.ndarray,
    filters: int,
    position_start: np.ndarray,
    position_source: np.ndarray,
    neuron_start: np.ndarray,
    neuron_source: np.ndarray,
    synapses: np.ndarray,
    seen: np.ndarray,
    core: np.ndarray,
) -> None:
    """Place neurons one by one; start a new core when a limit would be exceeded.

    Parameters
    ----------
    state : current core, and its neurons, axons and synapses; updated
    limits : maximum of neurons, axons and synapses of a core
    filters : number of neurons at a position; the first neuron is the first of its position
    seen : (nodes,) int32 array; the last core with an axon for each source; updated
    core : (neurons,) int32 array; output
    """
    shared = -1  # the position whose sources are all seen
    for neuron in range(core.size):
        position = neuron // filters
        at_position = position_source[position_start[position] : position_start[position + 1]]
        own = neuron_source[neuron_start[neuron] : neuron_start[neuron + 1]]
        new = _newly_seen(own, seen, state[0])
        if position != shared:
            new += _newly_seen(at_position, seen, state[0])
        full = state[1] == limits[0] or state[2] + new > limits[1] or state[3] + synapses[neuron] > limits[2]
        if full and state[1]:
            state[0] += 1
            state[1:] = 0
            new = _newly_seen(own, seen, state[0]) + _newly_seen(at_position, seen, state[0])
        shared = position
        core[neuron] = state[0]
        state[1] += 1
        state[2] += new
        state[3] += synapses[neuron]


@compiled
def _grow(
    limits: np.ndarray,
    out_start: np.ndarray,
    target: np.ndarray,
    in_start: np.ndarray,
    source: np.ndarray,
    first: int,
    weight: np.ndarray,
    loads: np.ndarray,
    core: np.ndarray,
) -> None:
    """Grow core after core.

    Parameters
    ----------
    limits : maximum of neurons, axons and synapses of a core
    out_start, target : targets (numbers of placed neurons) of each node that spikes, ascending, in CSR form
    in_start, source : sources of spikes (ids) of each placed neuron, in CSR form
    first : id of the first placed neuron
    weight : (nodes,) float64 array; weight of the spikes of each node
    loads : synapse loads
    core : (neurons,) int32 array, −1; output
    """
    neurons, nodes = core.size, weight.size
    total = np.empty(neurons)  # weight of the hyperedges of a neuron
    for v in range(neurons):
        total[v] = weight[first + v]
        for k in range(in_start[v], in_start[v + 1]):
            total[v] += weight[source[k]]
    part = np.zeros(neurons)  # of the weight of a neuron's hyperedges, those that the core has
    met = np.full(neurons, -1, np.int32)  # the core that `part` is about
    has_axon, attracts = np.full(nodes, -1, np.int32), np.full(nodes, -1, np.int32)  # cores
    heap, place = np.empty(neurons, np.int32), np.full(neurons, -1, np.int32)
    size, following, current = 0, 0, 0
    used = np.zeros(3, np.int64)
    refused, spare, placed = 0, -1, 0
    while placed < neurons:
        if size:
            v = heap[0]
            size = _pop(heap, place, part, size)
        elif spare >= 0 and used[0] == 0:
            v = spare
        else:
            while core[following] >= 0:
                following += 1
            v = following
        axons = 0
        for k in range(in_start[v], in_start[v + 1]):
            axons += has_axon[source[k]] != current
        full = used[0] == limits[0]
        if used[0] and (full or used[1] + axons > limits[1] or used[2] + loads[v] > limits[2]):
            if refused == 0:
                spare = v
            refused += 1
            if full or refused >= MOST_REFUSALS or size == 0:
                for k in range(size):
                    place[heap[k]] = -1
                current, size, refused = current + 1, 0, 0
                used[:] = 0
            continue
        core[v] = current
        placed += 1
        refused, spare = 0, -1
        used[0], used[1], used[2] = used[0] + 1, used[1] + axons, used[2] + loads[v]
        for k in range(in_start[v] - 1, in_start[v + 1]):
            s = first + v if k < in_start[v] else source[k]
            if k >= in_start[v]:
                has_axon[s] = current
            if attracts[s] == current:
                continue
            attracts[s] = current
            begin, end = out_start[s], out_start[s + 1]
            if end - begin > MOST_TARGETS:
                continue
            for t in range(begin - 1, end):
                u = s - first if t < begin else target[t]
                if u < 0 or core[u] >= 0:
                    continue
                if met[u] != current:
                    met[u], part[u] = current, 0.0
                part[u] += weight[s] / total[u]
                if place[u] < 0:
                    place[u], heap[size] = size, u
                    size += 1
                _rise(heap, place, part, place[u])


@compiled
def _rise(heap: np.ndarray, place: np.ndarray, part: np.ndarray, at: int) -> None:
    """Move an element of a heap up to its place."""
    v = heap[at]
    while at > 0:
        above = (at - 1) // 2
        if part[heap[above]] >= part[v]:
            break
        heap[at] = heap[above]
        place[heap[at]] = at
        at = above
    heap[at], place[v] = v, at


@compiled
def _pop(heap: np.ndarray, place: np.ndarray, part: np.ndarray, size: int) -> int:
    """Remove the largest element of a heap; return the new size."""
    place[heap[0]] = -1
    size -= 1
    if size:
        v, at = heap[size], 0
        while 2 * at + 1 < size:
            below = 2 * at + 1
            if below + 1 < size and part[heap[below + 1]] > part[heap[below]]:
                below += 1
            if part[heap[below]] <= part[v]:
                break
            heap[at] = heap[below]
            place[heap[at]] = at
            at = below
        heap[at], place[v] = v, at
    return size
