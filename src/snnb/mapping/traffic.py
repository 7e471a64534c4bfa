"""The neurons of a graph that are placed on cores, the cores that their spikes reach, and the traffic between cores.

The cores (or other labels of neurons) that each source of spikes reaches are found from the geometry, without a list of
edges. With `dense` pairing, each channel is connected to each filter: all sources at one input position reach the same
targets, all filters at the output positions of its windows. Their labels are found once per position, from the distinct
labels at each output position. With `diagonal` pairing (pooling, depthwise convolution), a source has few targets, and
their labels are looked up.
"""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from snnb.core.compiled import compiled, inner
from snnb.core.errors import UsageError
from snnb.graph.connection import Connection, offsets_of, ranges
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import (
    LIST_EDGES,
    GraphProjection,
    distinct,
    in_degrees,
    joined_lists,
    out_degrees,
    repeats,
    targets,
)
from snnb.graph.projection import sources as sources_of
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.geometry import PADDING

MOST_WEIGHT = 2.0**40  # sum of the weights of the search for spikes that are not whole numbers


@dataclass(frozen=True, eq=False)
class MappableNetwork:
    """A graph to map: all neurons except the inputs are placed, and numbered from 0."""

    graph: SynapseGraph  # a graph with spike counts
    first: int  # id in the graph of the first placed neuron: the size of the inputs
    spikes: np.ndarray  # (nodes,) float64: spikes of each node of the graph per sample; of a constant input its current
    # (neurons,) int64: weights of the neurons in the search, in proportion to `spikes`: the spikes over all samples, if
    # these are whole numbers
    counts: np.ndarray

    @classmethod
    def of(cls, graph: SynapseGraph) -> "MappableNetwork":
        """Return the network of a graph; raise `UsageError` if the graph has no spike counts."""
        if graph.recording is None:
            raise UsageError(
                f"{graph.path} has no spike counts, which a mapping requires; create the graph of a simulation"
            )
        if not graph.number_of_neurons():
            raise UsageError(f"{graph.path} has inputs but no neurons to map")
        samples = graph.recording.num_samples
        spikes = np.concatenate([np.asarray(population.spike_count).ravel() for population in graph.populations])
        placed = spikes[graph.layers[0].first :]
        counts = placed.astype(np.int64)
        if (counts != placed).any():
            counts = np.rint(placed * (MOST_WEIGHT / placed.sum())).astype(np.int64)
        return cls(graph, graph.layers[0].first, spikes / samples, counts)

    @property
    def neurons(self) -> int:
        """Number of placed neurons."""
        return self.counts.size

    @property
    def samples(self) -> int:
        """Number of samples over which the spikes were counted."""
        assert self.graph.recording is not None  # `of` refuses such a graph
        return self.graph.recording.num_samples

    @cached_property
    def first_steps(self) -> Dict[str, int]:
        """First step of each population on a chip, where every synapse takes a step.

        All are 0 in an external graph, whose recorded spikes have the steps of a chip.
        """
        if "source_sha256" in self.graph.attributes:
            return {population.name: 0 for population in self.graph.populations}
        return self.graph.first_steps

    @property
    def latency(self) -> int:
        """Time steps until a sample has passed all populations on a chip."""
        first_steps = [self.first_steps[population.name] for population in self.sources]
        return self.graph.latency + max(first_steps)

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """Synapses onto each neuron: int64, shape (neurons,); a constant input's too, as they take synapse memory."""
        return np.concatenate([in_degrees(self.graph.projections, target) for target in self.populations])

    @cached_property
    def fan_in(self) -> np.ndarray:
        """Distinct sources of spikes of each neuron, including a spiking input: int64, shape (neurons,)."""
        projections = tuple(p for p in self.graph.projections if p.source in self.sources)
        degrees = np.concatenate([in_degrees(projections, target) for target in self.populations])
        for target in self.populations if repeats(projections) else ():  # a source with several delays is one
            _count_distinct(degrees[self.part(target)], partial(sources_of, projections, target))
        return degrees

    @cached_property
    def distinct_kernels(self) -> List[Tuple[GraphPopulation, List[Connection]]]:
        """Populations onto which all weights of shared kernels differ, and the connections with these kernels."""
        result = []
        for population in self.populations:
            projections = [p for p in self.projections_to(population) if not p.enumerated]
            connections = [c for p in projections for c in p.connections if c.geometry.pairing == "dense"]
            kernels = [c.kernel.ravel() for c in connections if c.kernel is not None]
            if kernels and len(kernels) == len(connections):
                weights = np.concatenate(kernels)
                if np.unique(weights).size == weights.size:
                    result.append((population, connections))
        return result

    @cached_property
    def fan_out(self) -> np.ndarray:
        """Distinct targets of each neuron: int64, shape (neurons,)."""
        degrees = np.concatenate([out_degrees(self.graph.projections, source) for source in self.populations])
        for source in self.populations:
            projections = self.projections_from(source)
            if repeats(projections):
                _count_distinct(degrees[self.part(source)], partial(targets, projections, source))
        return degrees

    @property
    def listed(self) -> bool:
        """Whether edges are listed, or there are none, so that no kernel defines which neurons share sources."""
        projections = self.graph.projections
        return not projections or any(not projection.connections for projection in projections)

    @property
    def populations(self) -> Tuple[GraphPopulation, ...]:
        """The placed populations, in the order of their neurons' numbers."""
        return self.graph.layers

    @property
    def sources(self) -> Tuple[GraphPopulation, ...]:
        """The populations whose neurons send spikes."""
        return tuple(p for p in self.graph.populations if p.first >= self.first or p.coding != "current")

    def part(self, population: GraphPopulation) -> slice:
        """Return the slice of a placed population among all placed neurons."""
        start = population.first - self.first
        return slice(start, start + population.size)

    def spikes_of(self, population: GraphPopulation) -> np.ndarray:
        """Return the spikes per sample of each neuron of one of `sources`: float64, flat."""
        return self.spikes[nodes_of(population)]

    def projections_from(self, population: GraphPopulation) -> Tuple[GraphProjection, ...]:
        """Return the projections from a population, in the order of the graph."""
        return tuple(p for p in self.graph.projections if p.source is population)

    def projections_to(self, population: GraphPopulation) -> Tuple[GraphProjection, ...]:
        """Return the projections to a population, in the order of the graph."""
        return tuple(p for p in self.graph.projections if p.target is population)


def _count_distinct(degrees: np.ndarray, neighbours: Callable[[int, int], Tuple[np.ndarray, ...]]) -> None:
    """Replace degrees by numbers of distinct neighbours, which are given in CSR form for a range of neurons."""
    for start, stop in ranges(degrees, LIST_EDGES):
        indptr, ids = neighbours(start, stop)[:2]
        degrees[start:stop] = np.diff(distinct(indptr, ids)[0])


def nodes_of(population: GraphPopulation) -> slice:
    """Return the slice of a population among all nodes of its graph."""
    return slice(population.first, population.first + population.size)


class TargetSets(NamedTuple):
    """The labels (cores or groups) that the neurons of a population reach, as sets.

    Neurons that reach the same labels mostly share a set.
    """

    set_of: np.ndarray  # (sources,) int64: index of the set of each neuron
    start: np.ndarray  # (sets + 1,) int64: offset of each set in `label`
    label: np.ndarray  # int32: the distinct labels of each set, in no particular order


Sets = Tuple[np.ndarray, np.ndarray]  # offset of each set, and the labels
NOTHING = np.empty(0, np.int32)


def take_sets(start: np.ndarray, label: np.ndarray, which: np.ndarray) -> Sets:
    """Return some of the sets."""
    sizes = np.diff(start)[which]
    taken = offsets_of(sizes)
    return taken, label[np.repeat(start[which] - taken[:-1], sizes) + np.arange(taken[-1])]


def joined_sets(found: Sequence[Sets]) -> Sets:
    """Concatenate lists of sets."""
    begins = offsets_of(np.array([label.size for _, label in found]))
    starts = [start[:-1] + begin for (start, _), begin in zip(found, begins)]
    return np.concatenate([*starts, begins[-1:]]), np.concatenate([label for _, label in found])


def target_sets(projections: Sequence[GraphProjection], label: np.ndarray, labels: int, first: int) -> TargetSets:
    """Find the labels that each neuron of a population reaches over some of its projections, at least one.

    `label` (int32, shape (neurons,)) is the label of each placed neuron, less than `labels`, and `first` the id of the
    first of them.
    """
    if any(projection.enumerated for projection in projections):  # a pruned network lacks synapses of the geometry
        source, found = projections[0].source, [(np.zeros(1, np.int64), NOTHING)]
        for begin, end in ranges(out_degrees(projections, source), LIST_EDGES):
            indptr, target, _ = targets(projections, source, begin, end)
            found.append(_distinct_labels(indptr, target - first, label, labels))
        return TargetSets(np.arange(source.size), *joined_sets(found))
    connections = [connection for projection in projections for connection in projection.connections]
    sets = [_by_unit(connection, label, labels, first) for connection in connections]
    if len(connections) == 1 and not connections[0].parallel:  # each source has one input position, or none
        where, (start, label) = connections[0].where, sets[0]
        unit = where // _depth(connections[0])
        if where.min() == PADDING:
            unit = np.where(where == PADDING, start.size - 1, unit)
            start = np.append(start, start[-1])
        return TargetSets(unit, start, label)
    unit_start, unit = _units(connections)
    sizes = np.diff(unit_start)
    owner = np.repeat(np.arange(sizes.size), sizes)
    # Consecutive sources with equal units share a set: each has as many as the source before, none of which differs.
    differs = unit != unit[np.arange(unit.size) - sizes[owner]]
    begins = (np.diff(sizes, prepend=-1) != 0) | (np.bincount(owner, differs, sizes.size) > 0)
    units = take_sets(unit_start, unit, np.flatnonzero(begins))
    united = _collect(labels, units[0].size - 1, _united, *units, *joined_sets(sets))
    return TargetSets(np.cumsum(begins) - 1, *united)


def _distinct_labels(start: np.ndarray, neuron: np.ndarray, label: np.ndarray, labels: int) -> Sets:
    """Find the distinct labels of lists of neurons: list n is `neuron[start[n]:start[n + 1]]`."""
    return _collect(labels, start.size - 1, _united, start, neuron, np.arange(label.size + 1), label)


def _by_unit(connection: Connection, label: np.ndarray, labels: int, first: int) -> Sets:
    """Find the labels of each unit: an input position, or with diagonal pairing a channel of an input position."""
    geometry, target, diagonal = connection.geometry, connection.target, connection.geometry.pairing == "diagonal"
    label = label[target.first - first : target.first - first + target.size]
    rows, columns = geometry.rows, geometry.columns
    channels, filters = (geometry.channels, geometry.multiplier) if diagonal else (1, geometry.filters)
    at = _distinct_labels(np.arange(0, label.size + 1, filters), np.arange(label.size), label, labels)
    windows = Windows(rows.starts(), rows.output, columns.starts(), columns.output)
    return _collect(labels, rows.size * columns.size * channels, _in_windows, windows, columns.outputs, channels, *at)


def _collect(labels: int, sets: int, loop: Callable[..., int], *arguments: object) -> Sets:
    """Run one of the loops below twice, to count the labels and to write them.

    A loop writes sets one after another into `label`, and their offsets into `start`, and returns the number of labels.
    With an empty `label` it only counts. `seen` has −1 for each label.
    """
    start = np.zeros(sets + 1, np.int64)
    label = np.empty(loop(*arguments, np.full(labels, -1, np.int64), start, NOTHING), np.int32)
    if label.size:
        loop(*arguments, np.full(labels, -1, np.int64), start, label)
    return start, label


def _depth(connection: Connection) -> int:
    """Return the number of consecutive input elements of one unit."""
    return connection.geometry.channels if connection.geometry.pairing == "dense" else 1


def _units(connections: Sequence[Connection]) -> Sets:
    """List the units of each source over all connections; numbers continue from connection to connection."""
    lists, offset = [], 0
    for connection in connections:
        start, _, position = connection.positions
        lists.append((start, offset + position // _depth(connection)))
        offset += connection.ids.size // _depth(connection)
    return joined_lists(lists, connections[0].source.size)


@inner
def _note(found: int, mark: int, seen: np.ndarray, label: np.ndarray, filled: int) -> int:
    """Append a label to the first `filled` ones unless it has the mark; return the new number of labels."""
    if seen[found] != mark:
        seen[found] = mark
        if label.size:
            label[filled] = found
        filled += 1
    return filled


class Windows(NamedTuple):
    """The output rows and columns whose windows contain each input row and column, in CSR form."""

    row_start: np.ndarray
    row_output: np.ndarray
    column_start: np.ndarray
    column_output: np.ndarray


@compiled
def _in_windows(
    windows: Windows,
    columns: int,
    channels: int,
    at_start: np.ndarray,
    at: np.ndarray,
    seen: np.ndarray,
    start: np.ndarray,
    label: np.ndarray,
) -> int:
    """Unite, for each channel, the labels of the output positions whose windows contain each input position.

    `at[at_start[n]:at_start[n + 1]]` are the labels of channel n % `channels` of the output position n // `channels`.
    """
    filled, unit = np.int64(0), np.int64(0)
    for row in range(windows.row_start.size - 1):
        for column in range(windows.column_start.size - 1):
            for channel in range(channels):
                start[unit] = filled
                for i in range(windows.row_start[row], windows.row_start[row + 1]):
                    for j in range(windows.column_start[column], windows.column_start[column + 1]):
                        n = (windows.row_output[i] * columns + windows.column_output[j]) * channels + channel
                        for k in range(at_start[n], at_start[n + 1]):
                            filled = _note(at[k], unit, seen, label, filled)
                unit += 1
    start[unit] = filled
    return filled  # type: ignore[return-value]


@compiled
def _united(
    unit_start: np.ndarray,
    unit: np.ndarray,
    set_start: np.ndarray,
    set_label: np.ndarray,
    seen: np.ndarray,
    start: np.ndarray,
    label: np.ndarray,
) -> int:
    """Unite sets: set n of the result is the union of the sets unit[unit_start[n]:unit_start[n + 1]]."""
    filled = np.int64(0)
    for n in range(unit_start.size - 1):
        start[n] = filled
        for u in range(unit_start[n], unit_start[n + 1]):
            for k in range(set_start[unit[u]], set_start[unit[u] + 1]):
                filled = _note(set_label[k], n, seen, label, filled)
    start[unit_start.size - 1] = filled
    return filled  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class TrafficSums:
    """Traffic and contents of the cores for one assignment of neurons to cores."""

    network: MappableNetwork
    core: np.ndarray  # (neurons,) int32: core of each placed neuron, from 0
    sets: List[Tuple[GraphPopulation, TargetSets]]  # the cores that the neurons of each source population reach
    # (cores, cores) float64: spikes per sample from core (row) to other core (column), once for each core reached
    matrix: csr_matrix
    # See `Cost`; `outside` is its `outside_spikes`.
    connectivity: float
    cut: float
    outside: float
    by_source: Dict[str, np.ndarray]  # connectivity and cut of the spikes of each placed population, by its name
    neurons: np.ndarray  # (cores,) int64
    # (cores,) int64: distinct neurons whose spikes a core receives, including its own and neurons of a spiking input
    axons: np.ndarray
    synapses: np.ndarray  # (cores,) int64: synapses onto the neurons of a core, including those from a constant input
    method: str = ""  # of the partition: `sequential`, `groups`, `hypergraph` or `file`
    entries: Optional[np.ndarray] = None  # (cores,) int64: of the lists of each core that sources share, where counted

    @property
    def cores(self) -> int:
        """Number of cores, including empty ones."""
        return self.neurons.size

    @cached_property
    def rank(self) -> np.ndarray:
        """Rank of each placed neuron by id within its core: int64, shape (neurons,)."""
        order, rank = np.argsort(self.core, kind="stable"), np.empty(self.core.size, np.int64)
        rank[order] = np.arange(order.size) - (np.cumsum(self.neurons) - self.neurons)[self.core[order]]
        return rank

    def placed_sets(self) -> Iterator[Tuple[GraphPopulation, np.ndarray, TargetSets]]:
        """Yield each placed source population, the cores of its neurons, and the cores that they reach."""
        for population, sets in self.sets:
            if population.first >= self.network.first:
                yield population, self.core[self.network.part(population)], sets

    @cached_property
    def axons_out(self) -> np.ndarray:
        """Output axons of each core: pairs of a neuron of it and a core that holds a target; int64, shape (cores,)."""
        out = np.zeros(self.cores)
        for _, source_core, sets in self.placed_sets():
            count_messages(source_core, np.ones(source_core.size), sets, out, np.zeros(self.cores))
        return out.astype(np.int64)

    @property
    def contents(self) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Neurons, axons and synapses of each core."""
        return self.neurons, self.axons, self.synapses


@compiled
def count_messages(core: np.ndarray, spikes: np.ndarray, sets: TargetSets, out: np.ndarray, into: np.ndarray) -> None:
    """Add the spikes of sources to the messages that cores send and receive: one for each core reached, also their own.

    Parameters
    ----------
    core : (sources,) int32 array, or empty: cores of the sources
    spikes : (sources,) float64 array
    out, into : (cores,) float64 array
    """
    for source in range(spikes.size):
        weight = spikes[source]
        if weight == 0:
            continue
        begin, end = sets.start[sets.set_of[source]], sets.start[sets.set_of[source] + 1]
        if core.size:
            out[core[source]] += weight * (end - begin)
        for k in range(begin, end):
            into[sets.label[k]] += weight


def count_traffic(network: MappableNetwork, core: np.ndarray, cores: int) -> TrafficSums:
    """Sum up the traffic between cores, and the contents of the cores, for the core of each placed neuron (int32)."""
    sets: List[Tuple[GraphPopulation, TargetSets]] = []
    totals, outside, axons, by_source = np.zeros(2), 0.0, np.zeros(cores, np.int64), {}
    matrix = csr_matrix((cores, cores), dtype=np.float64)
    for population in network.sources:
        projections = network.projections_from(population)
        if not projections:
            continue
        reached = target_sets(projections, core, cores, network.first)
        sets.append((population, reached))
        sources = np.bincount(reached.set_of, minlength=reached.start.size - 1)
        axons += np.bincount(reached.label, np.repeat(sources, np.diff(reached.start)), cores).astype(int)
        if population.first < network.first:
            outside += float(network.spikes_of(population) @ np.diff(reached.start)[reached.set_of])
            continue
        source_core, spikes = core[network.part(population)], network.spikes_of(population)
        by_source[population.name], between = spikes_between(source_core, spikes, cores, reached)
        matrix = matrix + between
        totals += by_source[population.name]
    synapses = np.bincount(core, network.in_degrees, minlength=cores)  # float64: exact up to 2 ** 53
    connectivity, cut = totals.tolist()
    return TrafficSums(
        network,
        core,
        sets,
        matrix,
        connectivity,
        cut,
        outside,
        by_source,
        neurons=np.bincount(core, minlength=cores),
        axons=axons,
        synapses=synapses.astype(np.int64),
    )


def traffic_of(sums: TrafficSums, spikes: np.ndarray) -> csr_matrix:
    """Return `TrafficSums.matrix` for other spikes of each node of the graph, float64."""
    matrix = csr_matrix((sums.cores, sums.cores), dtype=np.float64)
    for population, source_core, sets in sums.placed_sets():
        matrix = matrix + spikes_between(source_core, spikes[nodes_of(population)], sums.cores, sets)[1]
    return matrix


def spikes_between(
    source_core: np.ndarray, spikes: np.ndarray, cores: int, sets: TargetSets
) -> Tuple[np.ndarray, csr_matrix]:
    """Sum up the spikes of one placed population, given core and spikes of its neurons.

    Return connectivity and cut, and the spikes from core to core: float64, shape (cores, cores).
    """
    order = np.argsort(source_core, kind="stable")
    core, set_of = source_core[order], sets.set_of[order]
    # Consecutive neurons of a core with the same set are one; `bincount` adds in this order, so sums are reproducible.
    first = np.flatnonzero((np.diff(core, prepend=-1) != 0) | (np.diff(set_of, prepend=-1) != 0))
    sent = np.bincount(np.repeat(np.arange(first.size), np.diff(first, append=order.size)), spikes[order])
    first, sent = first[sent != 0], sent[sent != 0]
    if not sent.size:
        return np.zeros(2), csr_matrix((cores, cores))
    core, set_of, sizes = core[first], set_of[first], np.diff(sets.start)
    cores_of_sets = csr_matrix((np.ones(sets.label.size), sets.label, sets.start), shape=(sizes.size, cores))
    n_others = sizes[set_of] - np.asarray(cores_of_sets[set_of, core]).ravel()
    totals = np.bincount(np.repeat((0, 1), sent.size), np.concatenate([sent * n_others, sent * (n_others > 0)]), 2)
    begins = np.searchsorted(core, np.arange(cores + 1))
    between = (csr_matrix((sent, set_of, begins), shape=(cores, sizes.size)) @ cores_of_sets).tocoo()
    away = between.row != between.col
    elements = between.data[away], (between.row[away], between.col[away])
    return totals, coo_matrix(elements, shape=(cores, cores)).tocsr()
