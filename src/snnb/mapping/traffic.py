"""The neurons that are placed on cores, the cores that they reach, and the traffic.

The *labels* (cores or groups) that each source of spikes reaches are found from the
geometry, without a list of edges. A connection has *units* of sources with the same
targets. With `dense` pairing, each channel is connected to each filter, so a unit is an
input position: its sources reach all filters at the output positions of its windows.
With `diagonal` pairing (pooling, depthwise convolution) a unit is a channel of an input
position, and with `grouped` pairing a group of its channels. Let a kernel of 3 taps
slide over 4 positions, with padding at both ends:

    output position    0    1    2    3
    labels             7    7    7 8  9     (of all filters at the position)

    unit 0 reaches the output positions 0 and 1         labels 7
    unit 1 reaches 0 to 2                               labels 7 8
    unit 2 reaches 1 to 3                               labels 7 8 9
    unit 3 reaches 2 and 3                              labels 7 8 9

So the labels at a position are found once, then united for each unit.
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

# Sum of the weights of the search for spikes that are not whole numbers
MOST_WEIGHT = 2.0**40


@dataclass(frozen=True, eq=False)
class MappableNetwork:
    """A graph to map: all neurons except the inputs are placed, and numbered from 0."""

    graph: SynapseGraph  # a graph with spike counts
    first: int  # id in the graph of the first placed neuron: the size of the inputs
    # (nodes,) float64: spikes of each node of the graph per sample; of a constant input
    # its current
    spikes: np.ndarray
    # (neurons,) int64: weights of the neurons in the search, in proportion to `spikes`:
    # the spikes over all samples, if these are whole numbers
    counts: np.ndarray

    @classmethod
    def of(cls, graph: SynapseGraph) -> "MappableNetwork":
        """Return the network of a graph; without spike counts, raise `UsageError`."""
        if graph.recording is None:
            raise UsageError(
                f"{graph.path} has no spike counts, which a mapping requires; create "
                "the graph of a simulation",
            )
        if not graph.number_of_neurons():
            raise UsageError(f"{graph.path} has inputs but no neurons to map")
        first_neuron = graph.layers[0].first
        spikes = np.concatenate(
            [np.asarray(p.spike_count).ravel() for p in graph.populations],
        )
        neuron_spikes = spikes[first_neuron:]
        counts = neuron_spikes.astype(np.int64)
        if (counts != neuron_spikes).any():
            scale = MOST_WEIGHT / neuron_spikes.sum()
            counts = np.rint(neuron_spikes * scale).astype(np.int64)
        samples = graph.recording.num_samples
        return cls(graph, first_neuron, spikes / samples, counts)

    @property
    def neurons(self) -> int:
        """Number of placed neurons."""
        return self.counts.size

    @cached_property
    def counts_per_spike(self) -> float:
        """`counts` of a spike per sample."""
        neuron_spikes = self.spikes[self.first :].sum()
        if neuron_spikes:
            return float(self.counts.sum() / neuron_spikes)
        return float(self.samples)

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
        """Synapses onto each neuron: int64, shape (neurons,).

        Those from a constant input are included, as they take synapse memory.
        """
        projections = self.graph.projections
        return np.concatenate([in_degrees(projections, p) for p in self.populations])

    @cached_property
    def fan_in(self) -> np.ndarray:
        """Distinct sources of spikes of each neuron: int64, shape (neurons,).

        A spiking input is included.
        """
        projections = [p for p in self.graph.projections if p.source in self.sources]
        degrees = np.concatenate([in_degrees(projections, p) for p in self.populations])
        if repeats(projections):  # a source with several delays is one
            for target in self.populations:
                neighbours = partial(sources_of, projections, target)
                _count_distinct(degrees[self.part(target)], neighbours)
        return degrees

    @cached_property
    def distinct_kernels(self) -> List[Tuple[GraphPopulation, List[Connection]]]:
        """Populations onto which all weights of shared kernels differ.

        Each is with the connections that have these kernels. Merged projections are
        left out: several connections of two neurons are one synapse.
        """
        result = []
        for population in self.populations:
            connections: List[Connection] = []
            for projection in self.projections_to(population):
                if not projection.merged:
                    connections += projection.connections
            connections = [c for c in connections if c.geometry.pairing == "dense"]
            kernels = [c.kernel.ravel() for c in connections if c.kernel is not None]
            if kernels and len(kernels) == len(connections):
                weights = np.concatenate(kernels)
                if np.unique(weights).size == weights.size:
                    result.append((population, connections))
        return result

    @cached_property
    def fan_out(self) -> np.ndarray:
        """Distinct targets of each neuron: int64, shape (neurons,)."""
        all_projections = self.graph.projections
        degrees = np.concatenate(
            [out_degrees(all_projections, source) for source in self.populations],
        )
        for source in self.populations:
            projections = self.projections_from(source)
            if repeats(projections):
                neighbours = partial(targets, projections, source)
                _count_distinct(degrees[self.part(source)], neighbours)
        return degrees

    @property
    def listed(self) -> bool:
        """Whether edges are listed, or there are none.

        Then no kernel defines which neurons share sources.
        """
        projections = self.graph.projections
        return not projections or any(not p.connections for p in projections)

    @property
    def populations(self) -> Tuple[GraphPopulation, ...]:
        """The placed populations, in the order of their neurons' numbers."""
        return self.graph.layers

    @property
    def sources(self) -> Tuple[GraphPopulation, ...]:
        """The populations whose neurons send spikes."""
        return tuple(
            population
            for population in self.graph.populations
            if population.first >= self.first or population.coding != "current"
        )

    def part(self, population: GraphPopulation) -> slice:
        """Return the slice of a placed population among all placed neurons."""
        start = population.first - self.first
        return slice(start, start + population.size)

    def spikes_of(self, population: GraphPopulation) -> np.ndarray:
        """Return the spikes per sample of each neuron of a source: float64, flat."""
        return self.spikes[nodes_of(population)]

    def projections_from(
        self,
        population: GraphPopulation,
    ) -> Tuple[GraphProjection, ...]:
        """Return the projections from a population, in the order of the graph."""
        return tuple(p for p in self.graph.projections if p.source is population)

    def projections_to(
        self,
        population: GraphPopulation,
    ) -> Tuple[GraphProjection, ...]:
        """Return the projections to a population, in the order of the graph."""
        return tuple(p for p in self.graph.projections if p.target is population)


def _count_distinct(
    degrees: np.ndarray,
    neighbours: Callable[[int, int], Tuple[np.ndarray, ...]],
) -> None:
    """Replace degrees by numbers of distinct neighbours.

    `neighbours` returns those of a range of neurons, in CSR form.
    """
    for start, stop in ranges(degrees, LIST_EDGES):
        indptr, ids = neighbours(start, stop)[:2]
        distinct_indptr, _ = distinct(indptr, ids)
        degrees[start:stop] = np.diff(distinct_indptr)


def nodes_of(population: GraphPopulation) -> slice:
    """Return the slice of a population among all nodes of its graph."""
    return slice(population.first, population.first + population.size)


class TargetSets(NamedTuple):
    """The labels (cores or groups) that the neurons of a population reach, as sets.

    Neurons that reach the same labels mostly share a set. If three neurons reach the
    labels 7 and 8, 9, and 7 and 8, then `set_of` can be 0, 1, 0, `start` 0, 2, 3, and
    `label` 7, 8, 9.
    """

    set_of: np.ndarray  # (sources,) int64: index of the set of each neuron
    start: np.ndarray  # (sets + 1,) int64: offset of each set in `label`
    label: np.ndarray  # int32: the distinct labels of each set, in no particular order


# Sets alone: `start` and `label` of `TargetSets`
Sets = Tuple[np.ndarray, np.ndarray]
NOTHING = np.empty(0, np.int32)


def take_sets(start: np.ndarray, label: np.ndarray, which: np.ndarray) -> Sets:
    """Return some of the sets, given their indices.

    The sets (7, 8), (9,) and (5,), and the indices 2 and 0, give the offsets 0, 1 and
    3, and the labels 5, 7, 8.
    """
    sizes = np.diff(start)[which]
    new_start = offsets_of(sizes)
    shift = start[which] - new_start[:-1]
    return new_start, label[np.repeat(shift, sizes) + np.arange(new_start[-1])]


def joined_sets(lists: Sequence[Sets]) -> Sets:
    """Concatenate lists of sets."""
    list_start = offsets_of(np.array([label.size for _, label in lists]))
    starts = [start[:-1] + shift for (start, _), shift in zip(lists, list_start)]
    start = np.concatenate([*starts, list_start[-1:]])
    return start, np.concatenate([label for _, label in lists])


def target_sets(
    projections: Sequence[GraphProjection],
    label: np.ndarray,
    labels: int,
    first_neuron: int,
) -> TargetSets:
    """Find the labels that each neuron of a population reaches.

    Parameters
    ----------
    projections : sequence of GraphProjection
        Some of the projections from the population, at least one.
    label : (neurons,) int32 array
        Label of each placed neuron, less than `labels`.
    first_neuron : int
        Id of the first placed neuron.
    """
    if any(projection.enumerated for projection in projections):
        # A pruned network lacks synapses of the geometry
        return _sets_by_edges(projections, label, labels, first_neuron)
    connections: List[Connection] = []
    for projection in projections:
        connections += projection.connections
    unit_sets = [_sets_by_unit(c, label, labels, first_neuron) for c in connections]
    if len(connections) == 1 and not connections[0].parallel:
        return _sets_by_position(connections[0], unit_sets[0])
    return _unite_connections(connections, unit_sets, labels)


def _sets_by_edges(
    projections: Sequence[GraphProjection],
    label: np.ndarray,
    labels: int,
    first_neuron: int,
) -> TargetSets:
    """Find the labels from listed edges: each source has a set."""
    source = projections[0].source
    lists: List[Sets] = [(np.zeros(1, np.int64), NOTHING)]
    for begin, end in ranges(out_degrees(projections, source), LIST_EDGES):
        indptr, target, _ = targets(projections, source, begin, end)
        lists.append(_distinct_labels(indptr, target - first_neuron, label, labels))
    start, set_label = joined_sets(lists)
    return TargetSets(np.arange(source.size), start, set_label)


def _sets_by_position(connection: Connection, unit_sets: Sets) -> TargetSets:
    """Assign the sets of the units to sources that have one input position, or none."""
    start, label = unit_sets
    position = connection.where
    unit = position // _unit_size(connection)
    if position.min() == PADDING:  # the last set is empty, for sources without position
        unit = np.where(position == PADDING, start.size - 1, unit)
        start = np.append(start, start[-1])
    return TargetSets(unit, start, label)


def _unite_connections(
    connections: Sequence[Connection],
    unit_sets: Sequence[Sets],
    labels: int,
) -> TargetSets:
    """Unite the sets of all units that a source belongs to.

    Consecutive sources that belong to the same units share a set.
    """
    unit_start, unit = _list_units(connections)
    counts = np.diff(unit_start)  # number of units of each source
    source = np.repeat(np.arange(counts.size), counts)
    # The unit of the same rank of the source before, if both have as many units
    unit_before = unit[np.arange(unit.size) - counts[source]]
    differences = np.bincount(source, unit != unit_before, counts.size)
    is_new = np.ones(counts.size, bool)
    is_new[1:] = (np.diff(counts) != 0) | (differences[1:] > 0)
    start, label = _collect_labels(
        labels,
        np.count_nonzero(is_new),
        _unite_sets,
        *take_sets(unit_start, unit, np.flatnonzero(is_new)),
        *joined_sets(unit_sets),
    )
    return TargetSets(np.cumsum(is_new) - 1, start, label)


def _distinct_labels(
    start: np.ndarray,
    neuron: np.ndarray,
    label: np.ndarray,
    labels: int,
) -> Sets:
    """Find the distinct labels of lists of neurons.

    List n has the neurons `neuron[start[n]:start[n + 1]]`.
    """
    lists = start.size - 1
    label_start = np.arange(label.size + 1)  # each neuron has a set of one label
    return _collect_labels(
        labels,
        lists,
        _unite_sets,
        start,
        neuron,
        label_start,
        label,
    )


def _sets_by_unit(
    connection: Connection,
    label: np.ndarray,
    labels: int,
    first_neuron: int,
) -> Sets:
    """Find the labels of each unit of a connection."""
    geometry = connection.geometry
    target = connection.target
    target_start = target.first - first_neuron
    target_label = label[target_start : target_start + target.size]
    parts = geometry.parts  # units of a position
    filter_start = np.arange(0, target_label.size + 1, geometry.multiplier)
    neuron = np.arange(target_label.size)
    output_sets = _distinct_labels(filter_start, neuron, target_label, labels)
    windows = Windows(
        row_start=geometry.rows.starts(),
        row_output=geometry.rows.output,
        column_start=geometry.columns.starts(),
        column_output=geometry.columns.output,
    )
    return _collect_labels(
        labels,
        geometry.rows.size * geometry.columns.size * parts,
        _unite_windows,
        windows,
        geometry.columns.outputs,
        parts,
        *output_sets,
    )


def _collect_labels(
    labels: int,
    sets: int,
    loop: Callable[..., int],
    *arguments: object,
) -> Sets:
    """Run one of the loops below twice: to count the labels, and to write them.

    `arguments` are those of the loop before `seen`, which is −1 for each label. A loop
    writes sets one after another into `label`, and their offsets into `start`, and
    returns the number of labels. With an empty `label` it only counts.
    """
    start = np.zeros(sets + 1, np.int64)
    count = loop(*arguments, np.full(labels, -1, np.int64), start, NOTHING)
    label = np.empty(count, np.int32)
    if count > 0:
        loop(*arguments, np.full(labels, -1, np.int64), start, label)
    return start, label


def _unit_size(connection: Connection) -> int:
    """Return the number of consecutive input elements of a unit."""
    return connection.geometry.channels_read


def _list_units(connections: Sequence[Connection]) -> Sets:
    """List the units that each source belongs to, over all connections.

    Numbers of units continue from connection to connection.
    """
    lists = []
    first_unit = 0
    for connection in connections:
        start, _, position = connection.positions
        lists.append((start, first_unit + position // _unit_size(connection)))
        first_unit += connection.ids.size // _unit_size(connection)
    return joined_lists(lists, connections[0].source.size)


@inner
def _append_label(
    new_label: int,
    mark: int,
    seen: np.ndarray,
    label: np.ndarray,
    count: int,
) -> int:
    """Append a label to the `count` first ones unless it has the mark in `seen`.

    Return the new number of labels. An empty `label` is not written.
    """
    if seen[new_label] != mark:
        seen[new_label] = mark
        if label.size:
            label[count] = new_label
        count += 1
    return count


class Windows(NamedTuple):
    """The output rows and columns whose windows contain each input row and column.

    Input row r is in the windows of the output rows `row_output[row_start[r]]` to
    before `row_output[row_start[r + 1]]`; columns likewise.
    """

    row_start: np.ndarray  # (rows + 1,) int64
    row_output: np.ndarray  # int64
    column_start: np.ndarray  # (columns + 1,) int64
    column_output: np.ndarray  # int64


@compiled
def _unite_windows(
    windows: Windows,
    columns: int,
    parts: int,
    output_start: np.ndarray,
    output_label: np.ndarray,
    seen: np.ndarray,
    start: np.ndarray,
    label: np.ndarray,
) -> int:
    """Unite the labels of the output positions whose windows contain an input position.

    There is a set for each input position and part of its channels.

    Parameters
    ----------
    columns, parts : int
        Numbers of columns of output positions, and of parts of the channels.
    output_start, output_label : int64, int32 array
        Part c of the output position p has the labels `output_start[n]` to before
        `output_start[n + 1]` of `output_label`, where n is p × `parts` + c.
    seen, start, label : see `_collect_labels`
    """
    count = np.int64(0)
    unit = np.int64(0)
    for row in range(windows.row_start.size - 1):
        first_row = windows.row_start[row]
        end_row = windows.row_start[row + 1]
        for column in range(windows.column_start.size - 1):
            first_column = windows.column_start[column]
            end_column = windows.column_start[column + 1]
            for part in range(parts):
                start[unit] = count
                for i in range(first_row, end_row):
                    row_position = windows.row_output[i] * columns
                    for j in range(first_column, end_column):
                        position = row_position + windows.column_output[j]
                        n = position * parts + part
                        for k in range(output_start[n], output_start[n + 1]):
                            count = _append_label(
                                output_label[k],
                                unit,
                                seen,
                                label,
                                count,
                            )
                unit += 1
    start[unit] = count
    return count  # type: ignore[return-value]


@compiled
def _unite_sets(
    unit_start: np.ndarray,
    unit: np.ndarray,
    set_start: np.ndarray,
    set_label: np.ndarray,
    seen: np.ndarray,
    start: np.ndarray,
    label: np.ndarray,
) -> int:
    """Unite sets: set n of the result is the union of some of the sets.

    These have the indices `unit[unit_start[n]:unit_start[n + 1]]` in `set_start` and
    `set_label`. `seen`, `start` and `label`: see `_collect_labels`.
    """
    count = np.int64(0)
    for n in range(unit_start.size - 1):
        start[n] = count
        for u in range(unit_start[n], unit_start[n + 1]):
            for k in range(set_start[unit[u]], set_start[unit[u] + 1]):
                count = _append_label(set_label[k], n, seen, label, count)
    start[unit_start.size - 1] = count
    return count  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class TrafficSums:
    """Traffic and contents of the cores for one assignment of neurons to cores."""

    network: MappableNetwork
    core: np.ndarray  # (neurons,) int32: core of each placed neuron, from 0
    # The cores that the neurons of each source population reach
    sets: List[Tuple[GraphPopulation, TargetSets]]
    # (cores, cores) float64: spikes per sample from core (row) to other core (column),
    # once for each core reached
    matrix: csr_matrix
    # See `TrafficCost`; `outside` is its `outside_spikes`
    connectivity: float
    cut: float
    outside: float
    # Connectivity and cut of the spikes of each placed population, by its name: float64
    # (2,)
    by_source: Dict[str, np.ndarray]
    neurons: np.ndarray  # (cores,) int64
    # (cores,) int64: distinct neurons whose spikes a core receives, including its own
    # and neurons of a spiking input
    axons: np.ndarray
    # (cores,) int64: synapses onto the neurons of a core, including those from a
    # constant input
    synapses: np.ndarray
    # Of the partition: `sequential`, `groups`, `hypergraph` or `file`
    method: str = ""
    # (cores,) int64: entries of the lists that sources share, where counted
    entries: Optional[np.ndarray] = None

    @property
    def cores(self) -> int:
        """Number of cores, including empty ones."""
        return self.neurons.size

    @cached_property
    def rank(self) -> np.ndarray:
        """Rank of each placed neuron by id within its core: int64, shape (neurons,)."""
        order = np.argsort(self.core, kind="stable")
        core_start = np.cumsum(self.neurons) - self.neurons
        rank = np.empty(self.core.size, np.int64)
        rank[order] = np.arange(order.size) - core_start[self.core[order]]
        return rank

    def placed_sets(self) -> Iterator[Tuple[GraphPopulation, np.ndarray, TargetSets]]:
        """Yield each placed source population, its neurons' cores, and their targets'.

        The cores of the neurons are int32, shape (population's size,).
        """
        for population, sets in self.sets:
            if population.first >= self.network.first:
                yield population, self.core[self.network.part(population)], sets

    def input_sets(self) -> Iterator[Tuple[GraphPopulation, TargetSets]]:
        """Yield each spiking input, and the cores that its neurons reach."""
        for population, sets in self.sets:
            if population.first < self.network.first:
                yield population, sets

    def input_spikes(self, spikes: np.ndarray) -> np.ndarray:
        """Return the spikes of the inputs to each core: float64, shape (cores,).

        `spikes`, float64, shape (nodes,), are the spikes of each node of the graph. A
        spike counts once for each core that it reaches.
        """
        messages = np.zeros(self.cores)
        for population, sets in self.input_sets():
            n_sets = sets.start.size - 1
            set_spikes = np.bincount(sets.set_of, spikes[nodes_of(population)], n_sets)
            label_spikes = np.repeat(set_spikes, np.diff(sets.start))
            messages += np.bincount(sets.label, label_spikes, self.cores)
        return messages

    def messages(self, spikes: np.ndarray) -> np.ndarray:
        """Return the messages that each core sends and receives.

        They are float64, shape (2, cores), for the `spikes`, float64, shape (nodes,),
        of each node of the graph. A spike is a message to each core that it reaches,
        also to its own; those of a spiking input are only received.
        """
        messages = np.zeros((2, self.cores))
        for population, sets in self.sets:
            source_core = NOTHING
            if population.first >= self.network.first:
                source_core = self.core[self.network.part(population)]
            population_spikes = np.ascontiguousarray(spikes[nodes_of(population)])
            count_messages(source_core, population_spikes, sets, *messages)
        return messages

    @cached_property
    def axons_out(self) -> np.ndarray:
        """Output axons of each core: int64, shape (cores,).

        They are pairs of a neuron of the core and a core that holds a target of it.
        """
        out = np.zeros(self.cores)
        into = np.zeros(self.cores)
        for _, source_core, sets in self.placed_sets():
            count_messages(source_core, np.ones(source_core.size), sets, out, into)
        return out.astype(np.int64)

    @property
    def contents(self) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Neurons, axons and synapses of each core."""
        return self.neurons, self.axons, self.synapses


@compiled
def count_messages(
    core: np.ndarray,
    spikes: np.ndarray,
    sets: TargetSets,
    out: np.ndarray,
    into: np.ndarray,
) -> None:
    """Add the spikes of sources to the messages that cores send and receive.

    A spike is a message to each core that it reaches, also to its own.

    Parameters
    ----------
    core : (sources,) int32 array, or empty
        Core of each source.
    spikes : (sources,) float64 array
        Spikes of each source.
    sets : TargetSets
        The cores that the sources reach.
    out, into : (cores,) float64 array
        Messages that each core sends and receives; updated.
    """
    for source in range(spikes.size):
        weight = spikes[source]
        if weight == 0:
            continue
        begin = sets.start[sets.set_of[source]]
        end = sets.start[sets.set_of[source] + 1]
        if core.size:
            out[core[source]] += weight * (end - begin)
        for k in range(begin, end):
            into[sets.label[k]] += weight


def count_traffic(
    network: MappableNetwork,
    core: np.ndarray,
    cores: int,
) -> TrafficSums:
    """Sum up the traffic between cores, and the contents of the cores.

    `core` (int32, shape (neurons,)) is the core of each placed neuron, less than
    `cores`.
    """
    sets: List[Tuple[GraphPopulation, TargetSets]] = []
    by_source: Dict[str, np.ndarray] = {}
    totals = np.zeros(2)  # connectivity and cut
    outside = 0.0
    axons = np.zeros(cores, np.int64)
    matrix = csr_matrix((cores, cores), dtype=np.float64)
    for population in network.sources:
        projections = network.projections_from(population)
        if not projections:
            continue
        population_sets = target_sets(projections, core, cores, network.first)
        sets.append((population, population_sets))
        axons += _count_axons(population_sets, cores)
        spikes = network.spikes_of(population)
        if population.first < network.first:
            cores_of_set = np.diff(population_sets.start)
            outside += float(spikes @ cores_of_set[population_sets.set_of])
            continue
        source_core = core[network.part(population)]
        sums, between = spikes_between(source_core, spikes, cores, population_sets)
        by_source[population.name] = sums
        totals += sums
        matrix = matrix + between
    connectivity, cut = totals.tolist()
    # The sum of float64 is exact up to 2 ** 53
    synapses = np.bincount(core, network.in_degrees, minlength=cores)
    return TrafficSums(
        network=network,
        core=core,
        sets=sets,
        matrix=matrix,
        connectivity=connectivity,
        cut=cut,
        outside=outside,
        by_source=by_source,
        neurons=np.bincount(core, minlength=cores),
        axons=axons,
        synapses=synapses.astype(np.int64),
    )


def _count_axons(sets: TargetSets, cores: int) -> np.ndarray:
    """Count the sources that reach each core: int64, shape (cores,)."""
    sizes = np.diff(sets.start)
    sources = np.bincount(sets.set_of, minlength=sizes.size)
    return np.bincount(sets.label, np.repeat(sources, sizes), cores).astype(np.int64)


def traffic_of(sums: TrafficSums, spikes: np.ndarray) -> csr_matrix:
    """Return `TrafficSums.matrix` for other spikes.

    `spikes`, float64, shape (nodes,), are those of each node of the graph.
    """
    matrix = csr_matrix((sums.cores, sums.cores), dtype=np.float64)
    for population, source_core, sets in sums.placed_sets():
        population_spikes = spikes[nodes_of(population)]
        _, between = spikes_between(source_core, population_spikes, sums.cores, sets)
        matrix = matrix + between
    return matrix


def spikes_between(
    source_core: np.ndarray,
    spikes: np.ndarray,
    cores: int,
    sets: TargetSets,
) -> Tuple[np.ndarray, csr_matrix]:
    """Sum up the spikes of one placed population.

    Parameters
    ----------
    source_core : (sources,) int32 array
        Core of each neuron of the population.
    spikes : (sources,) float64 array
        Spikes of each neuron.
    sets : TargetSets
        The cores that the neurons reach.

    Returns
    -------
    totals : (2,) float64 array
        Connectivity and cut.
    between : (cores, cores) csr_matrix of float64
        Spikes from core to other core.
    """
    senders = join_senders(source_core, spikes, sets)
    if senders.spikes.size == 0:
        return np.zeros(2), csr_matrix((cores, cores))
    sizes = np.diff(sets.start)
    is_target = csr_matrix(
        (np.ones(sets.label.size), sets.label, sets.start),
        shape=(sizes.size, cores),
    )
    reaches_own_core = np.asarray(is_target[senders.set, senders.core]).ravel()
    other_cores = sizes[senders.set] - reaches_own_core
    connectivity = _sum_in_order(senders.spikes * other_cores)
    cut = _sum_in_order(senders.spikes * (other_cores > 0))
    core_start = np.searchsorted(senders.core, np.arange(cores + 1))
    spikes_to_sets = csr_matrix(
        (senders.spikes, senders.set, core_start),
        shape=(cores, sizes.size),
    )
    between = (spikes_to_sets @ is_target).tocoo()
    is_between = between.row != between.col
    row = between.row[is_between]
    column = between.col[is_between]
    elements = coo_matrix((between.data[is_between], (row, column)), between.shape)
    return np.array([connectivity, cut]), elements.tocsr()


class Senders(NamedTuple):
    """Neurons of the same core and set as one, by core.

    A core and set may occur more than once, see `join_senders`.
    """

    core: np.ndarray  # int32
    set: np.ndarray  # int64: index in `TargetSets`
    spikes: np.ndarray  # float64, not 0: the sum of the neurons


def join_senders(
    source_core: np.ndarray,
    spikes: np.ndarray,
    sets: TargetSets,
) -> Senders:
    """Join consecutive neurons of a core with the same set, and drop silent ones.

    `bincount` adds in the order of the neurons, so sums are reproducible.
    """
    order = np.argsort(source_core, kind="stable")
    core = source_core[order]
    set_of = sets.set_of[order]
    is_first = np.ones(order.size, bool)
    is_first[1:] = (np.diff(core) != 0) | (np.diff(set_of) != 0)
    sums = np.bincount(np.cumsum(is_first) - 1, spikes[order])
    senders = Senders(core=core[is_first], set=set_of[is_first], spikes=sums)
    has_spikes = senders.spikes != 0
    return Senders(*(column[has_spikes] for column in senders))


def _sum_in_order(numbers: np.ndarray) -> float:
    """Sum up numbers one after another; `np.sum` has another order of its own."""
    return float(np.bincount(np.zeros(numbers.size, np.int64), numbers)[0])
