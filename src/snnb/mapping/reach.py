"""The cores or groups that each source of spikes reaches, as sets: found from the geometry, without a list of edges.

With `dense` pairing, each channel is connected to each filter: all sources at one input position reach the same
targets, all filters at the output positions of its windows. Their labels are found once per position, from the distinct
labels at each output position. With `diagonal` pairing (pooling, depthwise convolution), a source has few targets, and
their labels are looked up.

`contract` makes a network of groups of neurons from these sets.
"""

from typing import Callable, NamedTuple, Sequence, Tuple

import numpy as np

from snnb.graph.adjacency import out_degrees, targets
from snnb.graph.connection import Connection
from snnb.graph.edges import ranges
from snnb.graph.projection import LIST_EDGES, GraphProjection
from snnb.mapping import reach_kernels
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.reach_kernels import number_distinct
from snnb.network.geometry import PADDING

Sets = Tuple[np.ndarray, np.ndarray]  # offset of each set, and the labels


class Reached(NamedTuple):
    """The labels (cores or groups) that the neurons of a population reach, as sets.

    Neurons that reach the same labels mostly share a set.
    """

    set_of: np.ndarray  # (sources,) int64: index of the set of each neuron
    start: np.ndarray  # (sets + 1,) int64: offset of each set in `label`
    label: np.ndarray  # int32: the distinct labels of each set, in no particular order


class Contracted(NamedTuple):
    """A network of groups of neurons. Its cost equals that of the neurons if a mapping does not divide a group.

    Sources that reach the same groups form a *set*: with target groups, a number of sources (the axons that it needs on
    each core that it reaches), and for each group the spikes of those sources that are its members.
    """

    neurons: np.ndarray  # (groups,) int64: neurons of each group
    synapses: np.ndarray  # (groups,) int64: synapses onto them, or their entries of a limited memory
    axons: np.ndarray  # (sets,) int64: number of sources of each set
    total: np.ndarray  # (sets,) int64: spikes of the placed sources of a set, over all samples
    # int64, int32: the groups that each set reaches
    target_start: np.ndarray
    target: np.ndarray
    # int64, int32, int64: the groups of the sources of each set, and their spikes; without groups that do not spike
    source_start: np.ndarray
    source: np.ndarray
    source_weight: np.ndarray
    source_own: np.ndarray  # bool: whether the set reaches that group too
    # int64, int32: the sets that reach each group
    into_start: np.ndarray
    into: np.ndarray
    # int64, int32, int64, bool: the sets that the neurons of each group are sources of, and their spikes, as above
    from_start: np.ndarray
    from_set: np.ndarray
    from_weight: np.ndarray
    from_own: np.ndarray

    @property
    def groups(self) -> int:
        """Number of groups."""
        return self.neurons.size

    @property
    def pins(self) -> int:
        """Number of pairs of a set and a group that it reaches."""
        return self.target.size


def take_sets(start: np.ndarray, label: np.ndarray, which: np.ndarray) -> Sets:
    """Return some of the sets."""
    sizes = np.diff(start)[which]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return offsets, label[np.repeat(start[which] - offsets[:-1], sizes) + np.arange(offsets[-1])]


def joined_sets(found: Sequence[Sets]) -> Sets:
    """Concatenate lists of sets."""
    offsets = np.concatenate([[0], np.cumsum([label.size for _, label in found])])
    starts = [start[:-1] + offset for (start, _), offset in zip(found, offsets)]
    return np.concatenate([*starts, offsets[-1:]]), np.concatenate([label for _, label in found])


NOTHING = np.empty(0, np.int32)


class Marks:
    """An element for each label, in which loops mark the labels of the current set."""

    def __init__(self, labels: int) -> None:
        self._seen = np.full(labels, -1, np.int64)
        self._next = 0

    def collect(self, sets: int, loop: Callable[..., int], *arguments: object) -> Sets:
        """Run a loop of `reach_kernels` twice, to count the labels and to write them; `arguments` precede `seen`."""
        start = np.zeros(sets + 1, np.int64)
        label = np.empty(loop(*arguments, self._seen, self._next, start, NOTHING), np.int32)
        self._next += sets
        if label.size:
            loop(*arguments, self._seen, self._next, start, label)
            self._next += sets
        return start, label


def reached(projections: Sequence[GraphProjection], label: np.ndarray, first: int, marks: Marks) -> Reached:
    """Find the labels that each neuron of a population reaches over some of its projections, at least one.

    `label` (int32, shape (neurons,)) is the label of each placed neuron, `first` the id of the first of them.
    """
    if any(projection.enumerated for projection in projections):
        return _over_synapses(projections, label, first, marks)
    connections = [connection for projection in projections for connection in projection.connections]
    found = [_by_unit(connection, label, first, marks) for connection in connections]
    if len(connections) == 1 and not connections[0].positions.parallel:
        return _by_position(connections[0], *found[0])
    unit_start, unit = _units(connections)
    start, labels = joined_sets(found)
    run = np.empty(unit_start.size - 1, np.int64)
    runs = reach_kernels.runs_of_units(unit_start, unit, run)
    units_of_runs = take_sets(unit_start, unit, np.searchsorted(run, np.arange(runs)))
    return Reached(run, *marks.collect(runs, reach_kernels.united, *units_of_runs, start, labels))


def _over_synapses(projections: Sequence[GraphProjection], label: np.ndarray, first: int, marks: Marks) -> Reached:
    """Find the labels by listing the synapses: a pruned network lacks some of those that the geometry has."""
    source, every = projections[0].source, np.arange(label.size + 1)
    found = [(np.zeros(1, np.int64), NOTHING)]
    for start, stop in ranges(out_degrees(projections, source), LIST_EDGES):
        indptr, target, _ = targets(projections, source, start, stop)
        found.append(marks.collect(stop - start, reach_kernels.united, indptr, target - first, every, label))
    return Reached(np.arange(source.size), *joined_sets(found))


def _by_unit(connection: Connection, label: np.ndarray, first: int, marks: Marks) -> Sets:
    """Find the labels of each unit: an input position, or with diagonal pairing a channel of an input position."""
    geometry, target = connection.geometry, connection.target
    label = label[target.first - first : target.first - first + target.size]
    rows, columns = geometry.rows, geometry.columns
    windows = rows.starts(), rows.output, columns.starts(), columns.output, columns.outputs
    pixels = rows.size * columns.size
    if geometry.pairing == "diagonal":
        channels, multiplier = geometry.channels, geometry.multiplier
        loop = reach_kernels.by_channel
        return marks.collect(pixels * channels, loop, *windows, channels, multiplier, label)
    at = marks.collect(label.size // geometry.filters, reach_kernels.at_positions, label, geometry.filters)
    return marks.collect(pixels, reach_kernels.in_windows, *windows, *at)


def _by_position(connection: Connection, start: np.ndarray, label: np.ndarray) -> Reached:
    """Return the set of each source that has one input position or none; in the latter case, an empty set."""
    where = connection.positions.where
    unit = where // _depth(connection)
    if where.min() == PADDING:
        unit = np.where(where == PADDING, start.size - 1, unit)
        start = np.append(start, start[-1])
    return Reached(unit, start, label)


def _depth(connection: Connection) -> int:
    """Return the number of consecutive input elements of one unit."""
    return connection.geometry.channels if connection.geometry.pairing == "dense" else 1


def _units(connections: Sequence[Connection]) -> Sets:
    """List the units of each source over all connections; numbers continue from connection to connection."""
    sources, units, offset = [], [], 0
    for connection in connections:
        source, position = _places(connection)
        depth = _depth(connection)
        sources.append(source)
        units.append(offset + position // depth)
        offset += int(np.prod(connection.geometry.input_volume)) // depth
    source, unit = np.concatenate(sources), np.concatenate(units)
    order = np.argsort(source, kind="stable")
    return np.searchsorted(source[order], np.arange(connections[0].source.size + 1)), unit[order]


def _places(connection: Connection) -> Sets:
    """List the pairs of a source (index in its population) and an input element that it provides."""
    positions = connection.positions
    if positions.parallel:
        flat = positions.ids.ravel()
        position = np.flatnonzero(flat != PADDING)
        return flat[position] - connection.source.first, position
    source = np.flatnonzero(positions.where != PADDING)
    return source, positions.where[source]


class _Part(NamedTuple):
    """The sets of one source population."""

    axons: np.ndarray
    degrees: np.ndarray
    target: np.ndarray
    source_set: np.ndarray
    source: np.ndarray
    weight: np.ndarray


def contract(network: PlacedNetwork, group: np.ndarray, groups: int, loads: np.ndarray) -> Contracted:
    """Contract neurons into groups; `group` (int32, shape (neurons,)) is the group of each placed neuron.

    `loads` (int64, shape (neurons,)) are the synapse loads, see `memory.synapse_loads`.
    """
    ids, numbers = np.empty(0, np.int32), np.empty(0, np.int64)
    parts, marks, sets = [_Part(numbers, numbers, ids, numbers, ids, numbers)], Marks(groups), 0
    for population in network.sources:
        projections = network.projections_from(population)
        if not projections:
            continue
        members = network.part(population) if population.first >= network.first else slice(0)
        found = reached(projections, group, network.first, marks)
        part = _merge_sets(found, group[members], network.counts[members], groups)
        parts.append(part._replace(source_set=part.source_set + sets))
        sets += part.axons.size
    axons, degrees, target, source_set, source, weight = (np.concatenate(values) for values in zip(*parts))
    target_set = np.repeat(np.arange(sets, dtype=np.int32), degrees)
    into_start, into_order = _sorted_by(target, groups)
    from_start, from_order = _sorted_by(source, groups)
    target_start, source_start = (
        np.concatenate([[0], np.cumsum(degrees)]),
        np.searchsorted(source_set, np.arange(sets + 1)),
    )
    own = reach_kernels.own_sources(source_start, source, target_start, target, np.full(groups, -1, np.int32))
    return Contracted(
        neurons=np.bincount(group, minlength=groups),
        synapses=np.bincount(group, loads, minlength=groups).astype(np.int64),
        axons=axons,
        total=np.bincount(source_set, weight, minlength=sets).astype(np.int64),
        target_start=target_start,
        target=target,
        source_start=source_start,
        source=source,
        source_weight=weight,
        source_own=own,
        into_start=into_start,
        into=target_set[into_order],
        from_start=from_start,
        from_set=source_set[from_order].astype(np.int32),
        from_weight=weight[from_order],
        from_own=own[from_order],
    )


def _merge_sets(found: Reached, own: np.ndarray, counts: np.ndarray, groups: int) -> _Part:
    """Merge equal sets, leave out empty ones, and sum up the spikes of each group in each set."""
    number = np.empty(found.start.size - 1, np.int64)
    table = np.full(1 << int(2 * number.size).bit_length(), -1, np.int64)
    sets = number_distinct(found.start, found.label, table, number)
    first = np.flatnonzero(np.diff(np.maximum.accumulate(number), prepend=-1))
    start, target = take_sets(found.start, found.label, first)
    set_of = number[found.set_of]
    axons = np.bincount(set_of[set_of >= 0], minlength=sets)
    spiking = np.flatnonzero((set_of[: own.size] >= 0) & (counts > 0))
    key = set_of[spiking] * groups + own[spiking]
    order = np.argsort(key, kind="stable")
    key, begins = np.unique(key[order], return_index=True)
    weight = np.add.reduceat(counts[spiking][order], begins) if key.size else np.empty(0, np.int64)
    return _Part(axons, np.diff(start), target, key // groups, (key % groups).astype(np.int32), weight)


def _sorted_by(group: np.ndarray, groups: int) -> Tuple[np.ndarray, np.ndarray]:
    order = np.argsort(group, kind="stable")
    return np.concatenate([[0], np.cumsum(np.bincount(group, minlength=groups))]), order
