"""Assign neurons to cores in the order of their ids, the baseline; and to groups, for the search."""

from collections import Counter
from itertools import chain, product
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

import numpy as np

from snnb.chips.hardware import Limits
from snnb.core.compiled import compiled, inner
from snnb.core.progress import Progress, Throttle, silent
from snnb.graph.connection import Connection
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection, joined_lists
from snnb.mapping.traffic import PlacedNetwork
from snnb.network.geometry import PADDING, Axis

MOST_SOURCES = 1 << 22  # in a list
MOST_CHANNELS = 64  # of a group
THIN = 4  # channels of a group where channels are apart
PATCH = 4  # rows and columns of a group in the first of such populations
Grid = Tuple[int, int]  # number of patches along rows and columns
Chunks = List[Tuple[Grid, int]]  # grid and number of channels of each chunk of a population


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


@inner
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
        shared = joined_lists([inputs.sources_of(first, last) for inputs in self._shared], last - first)
        first, last = first * self.filters, last * self.filters
        return Sources(*shared, *joined_lists([inputs.sources_of(first, last) for inputs in self._apart], last - first))


class _Inputs:
    """The sources over one connection: of each position, or with diagonal pairing of each neuron."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._by_position = connection.geometry.pairing == "dense"
        fan_in = connection.geometry.fan_in(connection.ids != PADDING)
        self.counts = (fan_in[:, :, 0] if self._by_position else fan_in).ravel()

    def sources_of(self, first: int, last: int) -> Tuple[np.ndarray, np.ndarray]:
        start = np.concatenate([[0], np.cumsum(self.counts[first:last])])
        source = np.empty(start[-1], np.int64)
        self._connection.sources_of_range(first, last, source, by_position=self._by_position)
        return start, source


class _SparseInputs:
    """The sources of each neuron in a pruned projection: those at a position are not the same."""

    def __init__(self, projection: GraphProjection) -> None:
        self._projection, self.counts = projection, projection.in_degrees

    def sources_of(self, first: int, last: int) -> Tuple[np.ndarray, np.ndarray]:
        start = np.concatenate([[0], np.cumsum(self.counts[first:last])])
        return start, self._projection.sources_of_range(first, last)


def grouped(network: PlacedNetwork, loads: np.ndarray, limits: Limits) -> Tuple[np.ndarray, int]:
    """Group the neurons of each population so that a group fits on a core; return each neuron's group and their number.

    All channels at a position of a convolution have the same sources and reach the same positions, so a group is a
    position and a chunk of channels, or units of a dense layer. The first convolution of a network with a constant
    input, and a pooling that reads it, are different: their neurons share no sources with others at their position.
    Their groups are patches of a few channels, which have a shorter border than few positions of many channels, unless
    groups have few channels in any case.

    `loads` (int64, shape (neurons,)) are the synapse loads, see `limits.synapse_loads`.
    """
    group, groups = np.empty(network.neurons, np.int32), 0
    thin: Dict[str, Grid] = {}
    for population in network.populations:
        part = network.part(population)
        lists = SourceLists(network, population)
        synapses = max(int(loads[part].max()), 1)
        channels = min(MOST_CHANNELS, limits.neurons, limits.synapses // synapses)
        if lists.most_own and not lists.sparse:
            channels = min(channels, (limits.axons - lists.most_shared) // lists.most_own)
        grid = _thin_grid(network, population, thin)
        if grid is not None and channels >= THIN * PATCH * PATCH and lists.filters > THIN:
            thin[population.name] = grid
            channels = THIN
        else:
            grid = None
        chunks = -(-lists.filters // channels)
        while lists.sparse and chunks < lists.filters and lists.most_of(chunks) > limits.axons:
            chunks = min(2 * chunks, lists.filters)
        chunk = np.arange(lists.filters) * chunks // lists.filters
        patch, number = patch_of(population.shape, grid)
        group[part] = (groups + patch[:, None] * chunks + chunk).ravel()
        groups += number * chunks
    return group, groups


def _thin_grid(network: PlacedNetwork, population: GraphPopulation, thin: Dict[str, Grid]) -> Optional[Grid]:
    """Return the grid of a population; None if its neurons share sources or no pooling follows."""
    into = [c for p in network.projections_to(population) if p.source in network.sources for c in p.connections]
    out = [c for p in network.projections_from(population) for c in p.connections]
    if len(population.shape) != 3 or any(connection.geometry.pairing == "dense" for connection in into):
        return None
    if not into and any(connection.geometry.pairing == "diagonal" for connection in out):
        rows, columns, _ = population.shape
        return -(-rows // PATCH), -(-columns // PATCH)
    if into and all(connection.source.name in thin for connection in into):
        return thin[into[0].source.name]
    return None


def patch_of(shape: Tuple[int, ...], grid: Optional[Grid]) -> Tuple[np.ndarray, int]:
    """Return the index of the patch of each position, and the number of patches; by default a patch is a position."""
    rows, columns = (shape[0], shape[1]) if len(shape) == 3 else (1, int(np.prod(shape[:-1], dtype=np.int64)))
    down, across = (rows, columns) if grid is None else (min(grid[0], rows), min(grid[1], columns))
    row, column = np.arange(rows) * down // rows, np.arange(columns) * across // columns
    return (row[:, None] * across + column).ravel(), down * across


# Where sources share lists of synapses, groups are patches. A source has a list in the memory of a patch by which rows
# of the patch it meets over which taps, and by which columns, so the memory is a product of sums along both axes, and
# of channels. With n rows the sum grows until n is the kernel's size, and a patch of all rows has fewer lists, since no
# source lies beyond its border. Hence layers of many channels take single rows, or all positions and few channels.
HEIGHTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # of patches, in positions, and all
ALL_SPIKES = 1 << 40  # sum of the spikes of a network by which grids are compared


class _AxisParts(NamedTuple):
    """An axis of a connection in parts: the largest counts of a part, and the parts that each input reaches."""

    outputs: int
    entries: int  # of the distinct lists
    sources: int
    parts: np.ndarray  # (inputs,) int64: number of parts
    own: np.ndarray  # (inputs,) int64: 1 if the input is in one of them


class _Candidate(NamedTuple):
    """A grid of patches that keeps the limits."""

    grid: Grid
    channels: int  # at most
    to_chunk: float  # spikes that the patches of a chunk of channels receive
    to_channel: float  # and further ones for each channel


def patches(
    network: PlacedNetwork,
    limits: Limits,
    axons_out: Optional[int] = None,
    *,
    mixed: bool = True,
    alike: bool = False,
) -> Tuple[np.ndarray, int]:
    """Return the group of each neuron, int32, and the number of groups; each keeps the limits by an estimate.

    A group is a patch; a population takes the grid whose patches receive the fewest spikes. The limit of synapses is
    that of the entries of lists. `axons_out` limits the pairs of a neuron of a patch and a patch with one of its
    targets, so populations take their grids after their targets. With `mixed`, chunks of channels may have different
    grids, and a pooling joins the patches of the population that it reads if that saves spikes. Otherwise patches are
    to be merged: a population has equal ones, for the mean number of spikes. With `alike`, populations of one shape
    have the same patches, which may exceed `axons_out`.
    """
    poolings = _poolings(network) if mixed else {}
    chunks_of: Dict[str, Chunks] = {}
    candidates_of: Dict[Tuple[int, int, int], Dict[str, List[_Candidate]]] = {}  # by shape and population
    joined: Dict[str, Connection] = {}  # poolings, by the name of the population that they read
    for population in reversed(network.populations):
        pooling, name = poolings.get(population.name), population.name
        out = [c for p in network.projections_from(population) for c in p.connections]
        filters = _volume(network, population)[2]
        room = None if axons_out is None else (axons_out, _patches_reached(network, population, out, chunks_of))
        candidates = _candidates(network, population, None, limits, room, mixed)
        candidates_of.setdefault(_volume(network, population), {})[name] = candidates
        chunks_of[name], spikes = _chunks(candidates, filters, mixed)
        if pooling is not None:
            if axons_out is not None:
                others = [connection for connection in out if connection is not pooling]
                reached = _patches_reached(network, population, others, chunks_of) + 1
                onward = [c for p in network.projections_from(pooling.target) for c in p.connections]
                row, column = _first_inputs(pooling.geometry.rows), _first_inputs(pooling.geometry.columns)
                reached[row[:, None], column] += _patches_reached(network, pooling.target, onward, chunks_of)
                room = axons_out, reached
            candidates = _candidates(network, population, pooling, limits, room, mixed)
            chunks_too, spikes_too = _chunks(candidates, filters, mixed)
            if spikes_too < spikes + _spikes_at(network, pooling, mixed).sum():
                chunks_of[name], joined[name] = chunks_too, pooling
    if alike:
        for (_, _, filters), by_name in candidates_of.items():
            common = _common(list(by_name.values()))
            if common:
                chunks_of.update(dict.fromkeys(by_name, _chunks(common, filters, mixed)[0]))
    group, groups = np.empty(network.neurons, np.int32), 0
    targets = [pooling.target for pooling in joined.values()]
    for population in network.populations:
        if population in targets:
            continue
        chunks, pooling, first = chunks_of[population.name], joined.get(population.name), 0
        rows, columns, filters = _volume(network, population)
        alike = len({grid for grid, _ in chunks}) == 1  # then the chunks of a patch have consecutive numbers
        for n, ((down, across), channels) in enumerate(chunks):
            patch = (np.arange(rows) * down // rows)[:, None] * across + np.arange(columns) * across // columns
            patch = groups + (patch * len(chunks) + n if alike else patch)
            chunk = slice(first, first + channels)
            group[network.part(population)].reshape(-1, filters)[:, chunk] = patch.reshape(-1, 1)
            if pooling is not None:
                patch = patch[_first_inputs(pooling.geometry.rows)][:, _first_inputs(pooling.geometry.columns)]
                group[network.part(pooling.target)].reshape(-1, filters)[:, chunk] = patch.reshape(-1, 1)
            groups, first = groups + (0 if alike else down * across), first + channels
        groups += down * across * len(chunks) if alike else 0
    return group, groups


def _volume(network: PlacedNetwork, population: GraphPopulation) -> Tuple[int, int, int]:
    """Return the numbers of rows, columns and channels of a population."""
    rows, columns, filters = network.projections_to(population)[0].connections[0].geometry.output_volume
    return rows, columns, filters


def _patches_reached(
    network: PlacedNetwork, population: GraphPopulation, out: Sequence[Connection], chunks_of: Dict[str, Chunks]
) -> np.ndarray:
    """Return the largest number of patches that a neuron at a position reaches: int64, shape (rows, columns).

    A target without chunks, as in recurrent networks, counts as one patch.
    """
    reached = np.zeros(population.size)
    for connection in out:
        geometry, ids = connection.geometry, connection.ids
        grids = Counter(grid for grid, _ in chunks_of.get(connection.target.name, []))
        each = np.ones((1, geometry.rows.size, geometry.columns.size), np.int64)
        if grids:
            parts = [(_axis_parts(geometry.rows, n).parts, _axis_parts(geometry.columns, m).parts) for n, m in grids]
            each = np.array([np.outer(*pair) for pair in parts])
        dense = geometry.pairing == "dense"  # each channel reaches all chunks, otherwise one
        most = np.tensordot(list(grids.values()) or [1], each, 1) if dense else each.max(axis=0)
        used = ids != PADDING
        at = np.broadcast_to(most[:, :, None], ids.shape)[used]
        reached += np.bincount(ids[used] - connection.source.first, at, population.size)
    reached_by: np.ndarray = reached.reshape(_volume(network, population)).max(axis=2).astype(np.int64)
    return reached_by


def _poolings(network: PlacedNetwork) -> Dict[str, Connection]:
    """Return connections of each source neuron to one target at most, at most one to and from a population.

    The keys are the names of the source populations.
    """
    poolings: Dict[str, Connection] = {}
    for population in network.populations:
        (connection, *others) = [c for p in network.projections_to(population) for c in p.connections]
        geometry, source = connection.geometry, connection.source
        taken = source.name in poolings or source in [pooling.target for pooling in poolings.values()]
        if others or taken or source not in network.populations or geometry.pairing == "dense":
            continue
        apart = all(np.unique(axis.input).size == axis.input.size for axis in (geometry.rows, geometry.columns))
        ordered = np.array_equal(connection.ids.ravel(), source.first + np.arange(source.size))
        if apart and ordered and geometry.multiplier == 1:
            poolings[source.name] = connection
    return poolings


def _candidates(
    network: PlacedNetwork,
    population: GraphPopulation,
    pooling: Optional[Connection],
    limits: Limits,
    room: Optional[Tuple[int, np.ndarray]],
    mixed: bool,
) -> List[_Candidate]:
    """Return the grids that keep the limits; the smallest is always one of them.

    `room` are the output axons of a core, and of a channel at each position.
    """
    connections = [connection for p in network.projections_to(population) for connection in p.connections]
    rows, columns, filters = connections[0].geometry.output_volume
    connections += [] if pooling is None else [pooling]
    spikes = [_spikes_at(network, c, mixed) if c.source in network.sources else None for c in connections]
    candidates: List[_Candidate] = []
    for (down, row_parts), (across, column_parts) in product(
        [(parts, [_axis_parts(c.geometry.rows, parts, c is pooling) for c in connections]) for parts in _numbers(rows)],
        [
            (parts, [_axis_parts(c.geometry.columns, parts, c is pooling) for c in connections])
            for parts in _numbers(columns)
        ],
    ):
        # Entries and axons of a channel, axons that all channels share; spikes to each chunk, and to all chunks
        entries, own, shared, to_each, to_all = 0, 0, 0, 0.0, 0.0
        for connection, row, column, sent in zip(connections, row_parts, column_parts, spikes):
            dense, channels = connection.geometry.pairing == "dense", connection.geometry.channels
            entries += row.entries * column.entries * (channels if dense else 1)
            if sent is not None:
                axons = row.sources * column.sources
                received = float(row.parts @ sent @ column.parts - row.own @ sent @ column.own)
                own, to_all = (own, to_all) if dense else (own + axons, to_all + received)
                shared, to_each = (shared + axons * channels, to_each + received) if dense else (shared, to_each)
        neurons = row_parts[0].outputs * column_parts[0].outputs
        neurons += 0 if pooling is None else row_parts[-1].outputs * column_parts[-1].outputs
        capacity = min(limits.neurons // neurons, limits.synapses // entries)
        if own or shared > limits.axons:
            capacity = min(capacity, (limits.axons - shared) // max(own, 1))
        if room is not None:
            capacity = min(capacity, room[0] // max(_largest_sum(room[1], down, across), 1))
        if capacity > 0 or (down, across) == (rows, columns):
            candidates.append(_Candidate((down, across), max(capacity, 1), to_each, to_all / filters))
    return candidates


def _largest_sum(at: np.ndarray, down: int, across: int) -> int:
    """Return the largest sum over a patch of numbers at each position."""
    starts = [-(-np.arange(parts) * size // parts) for parts, size in zip((down, across), at.shape)]
    return int(np.add.reduceat(np.add.reduceat(at, starts[0]), starts[1], axis=1).max())


def _spikes_at(network: PlacedNetwork, connection: Connection, exact: bool) -> np.ndarray:
    """Return the spikes of all channels at each input position, or their mean: float64, shape (rows, columns).

    They are integers, scaled so that the spikes of the network sum to about `ALL_SPIKES`. Their sums are exact, so that
    equally good grids are equal on every processor.
    """
    scale = ALL_SPIKES / max(network.spikes.sum(), 1.0)
    ids, spikes = connection.ids, np.rint(network.spikes_of(connection.source) * scale)
    if not exact:
        rows, columns, channels = connection.geometry.input_volume
        return np.full((rows, columns), np.rint(channels * spikes.mean()))
    sent: np.ndarray = np.append(spikes, 0.0)[np.where(ids == PADDING, -1, ids - connection.source.first)].sum(axis=2)
    return sent


def _chunks(candidates: List[_Candidate], filters: int, mixed: bool = True) -> Tuple[List[Tuple[Grid, int]], float]:
    """Return grid and number of channels of each of the chunks that receive the fewest spikes, and these spikes."""
    if not mixed:
        candidates = [
            min(candidates, key=lambda one: one.to_chunk * -(-filters // one.channels) + one.to_channel * filters)
        ]
    capacity, to_chunk, to_channel = (np.array([one[n] for one in candidates]) for n in (1, 2, 3))
    least, chosen = np.zeros(filters + 1), np.zeros(filters + 1, np.int64)  # by number of channels
    for channels in range(1, filters + 1):
        taken = np.minimum(capacity, channels)
        spikes = least[channels - taken] + to_chunk + to_channel * taken
        chosen[channels] = np.argmin(spikes)
        least[channels] = spikes[chosen[channels]]
    numbers: Dict[int, List[int]] = {}  # of channels of the chunks, by index of the candidate
    received = float(least[filters])
    while filters > 0:
        index = int(chosen[filters])
        numbers.setdefault(index, []).append(min(int(capacity[index]), filters))
        filters -= numbers[index][-1]
    chunks = [
        (candidates[index].grid, sum(taken) * (n + 1) // len(taken) - sum(taken) * n // len(taken))
        for index, taken in numbers.items()
        for n in range(len(taken))
    ]
    return chunks, received


def _common(several: Sequence[Sequence[_Candidate]]) -> List[_Candidate]:
    """Return the grids that are candidates of each population, with the least channels and the sums of the spikes."""
    by_grid: Dict[Grid, List[_Candidate]] = {}
    for one in chain.from_iterable(several):
        by_grid.setdefault(one.grid, []).append(one)
    return [
        _Candidate(
            grid,
            channels=min(one.channels for one in same),
            to_chunk=sum(one.to_chunk for one in same),
            to_channel=sum(one.to_channel for one in same),
        )
        for grid, same in by_grid.items()
        if len(same) == len(several)
    ]


def _numbers(length: int) -> List[int]:
    """Return the numbers of patches along an axis."""
    return sorted({-(-length // height) for height in (*HEIGHTS, length)})


def _first_inputs(axis: Axis) -> np.ndarray:
    order, starts = axis.by_output()
    return axis.input[order][starts[:-1]]


def _axis_parts(axis: Axis, parts: int, pooling: bool = False) -> _AxisParts:
    """Divide an axis of outputs into equal parts; with `pooling`, the inputs, and an output is in its first input's."""
    length = axis.size if pooling else axis.outputs
    equal = np.arange(length) * parts // length
    part = equal[_first_inputs(axis)] if pooling else equal
    lists: Dict[Tuple[int, int], List[Tuple[int, int]]] = {}  # by part and source
    for source, output, tap in zip(axis.input.tolist(), axis.output.tolist(), axis.tap.tolist()):
        lists.setdefault((int(part[output]), source), []).append((output, tap))
    distinct: List[Set[Tuple[Tuple[int, int], ...]]] = [set() for _ in range(parts)]
    for (this, _), pairs in lists.items():
        distinct[this].add(tuple((output - pairs[0][0], tap) for output, tap in pairs))
    sources = np.bincount([this for this, _ in lists]).max()
    entries = max(sum(map(len, one)) for one in distinct)
    reached = np.bincount([source for _, source in lists], minlength=axis.size)
    own = [source for this, source in lists if pooling and equal[source] == this]
    inside = np.bincount(np.array(own, np.int64), minlength=axis.size)
    return _AxisParts(int(np.bincount(part).max()), entries, int(sources), reached, inside)
