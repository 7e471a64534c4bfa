"""Coarsening where sources share lists of synapses: patches, rectangles of positions with a chunk of channels.

A source has a list in the memory of a patch by which rows of the patch it meets over which taps, and by which columns,
so the memory is a product of sums along both axes, and of channels. With n rows the sum grows until n is the kernel's
size, and a patch of all rows has fewer lists, since no source lies beyond its border. Hence layers of many channels
take single rows, or all positions and few channels.
"""

from collections import Counter
from functools import partial
from itertools import chain, product
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from snnb.chips.hardware import Limits
from snnb.graph.connection import Connection
from snnb.graph.populations import GraphPopulation
from snnb.mapping.partition.groups import Grid, patch_of
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import MappableNetwork
from snnb.network.geometry import PADDING, Axis

ALL_SPIKES = 1 << 40  # sum of the spikes of a network by which grids are compared
Chunks = List[Tuple[Grid, int]]  # grid and number of channels of each chunk of a population


class _AxisParts(NamedTuple):
    """An axis of a connection in parts: the largest counts of a part, and the parts that each input reaches."""

    outputs: int
    entries: int  # of the distinct lists
    sources: int
    parts: np.ndarray  # (inputs,) int64: number of parts
    inside: np.ndarray  # (inputs,) int64: 1 if the input is in one of them


class _Candidate(NamedTuple):
    """A grid of patches that keeps the limits."""

    grid: Grid
    channels: int  # at most
    to_chunk: float  # spikes that the patches of a chunk of channels receive
    to_channel: float  # and further ones for each channel


def patches(
    network: MappableNetwork,
    limits: Limits,
    settings: SearchSettings,
    axons_out: Optional[int] = None,
    *,
    mixed: bool = True,
    same_grid: bool = False,
) -> Tuple[np.ndarray, int]:
    """Return the group of each neuron, int32, and the number of groups; each keeps the limits by an estimate.

    A group is a patch; a population takes the grid whose patches receive the fewest spikes. The limit of synapses is
    that of the entries of lists. `axons_out` limits the pairs of a neuron of a patch and a patch with one of its
    targets, so populations take their grids after their targets. With `mixed`, chunks of channels may have different
    grids, and a pooling joins the patches of the population that it reads if that saves spikes. Otherwise patches are
    to be merged: a population has equal ones, for the mean number of spikes. With `same_grid`, populations of one shape
    have the same patches, which may exceed `axons_out`.
    """
    poolings = _poolings(network) if mixed else {}
    chunks_of: Dict[str, Chunks] = {}
    candidates_of: Dict[Tuple[int, int, int], Dict[str, List[_Candidate]]] = {}  # by shape and population
    joined: Dict[str, Connection] = {}  # poolings, by the name of the population that they read
    for population in reversed(network.populations):
        pooling, name = poolings.get(population.name), population.name
        outgoing = [c for p in network.projections_from(population) for c in p.connections]
        filters = _volume(network, population)[2]
        room = None if axons_out is None else (axons_out, _patches_reached(network, population, outgoing, chunks_of))
        find = partial(_candidates, network, population, limits, settings.patch_sides, mixed)
        candidates = find(room)
        candidates_of.setdefault(_volume(network, population), {})[name] = candidates
        chunks_of[name], spikes = _chunks(candidates, filters, mixed)
        if pooling is not None:
            if axons_out is not None:
                other_connections = [connection for connection in outgoing if connection is not pooling]
                reached = _patches_reached(network, population, other_connections, chunks_of) + 1
                onward = [c for p in network.projections_from(pooling.target) for c in p.connections]
                row, column = _first_inputs(pooling.geometry.rows), _first_inputs(pooling.geometry.columns)
                reached[row[:, None], column] += _patches_reached(network, pooling.target, onward, chunks_of)
                room = axons_out, reached
            chunks_joined, spikes_joined = _chunks(find(room, pooling), filters, mixed)
            if spikes_joined < spikes + _spikes_at(network, pooling, mixed).sum():
                chunks_of[name], joined[name] = chunks_joined, pooling
    for (_, _, filters), by_name in candidates_of.items() if same_grid else ():
        common = _common(list(by_name.values()))
        if common:
            chunks_of.update(dict.fromkeys(by_name, _chunks(common, filters, mixed)[0]))
    return _numbered(network, chunks_of, joined)


def _numbered(
    network: MappableNetwork, chunks_of: Dict[str, Chunks], joined: Dict[str, Connection]
) -> Tuple[np.ndarray, int]:
    """Return the patch of each neuron, int32, and the number of patches."""
    group, groups = np.empty(network.neurons, np.int32), 0
    targets = [pooling.target for pooling in joined.values()]
    for population in network.populations:
        if population in targets:
            continue
        chunks, pooling, first = chunks_of[population.name], joined.get(population.name), 0
        rows, columns, filters = _volume(network, population)
        equal = len({grid for grid, _ in chunks}) == 1  # then the chunks of a patch have consecutive numbers
        for n, (grid, channels) in enumerate(chunks):
            patch, patches_of_chunk = patch_of((rows, columns, filters), grid)
            patch = groups + (patch * len(chunks) + n if equal else patch).reshape(rows, columns)
            chunk = slice(first, first + channels)
            group[network.part(population)].reshape(-1, filters)[:, chunk] = patch.reshape(-1, 1)
            if pooling is not None:
                patch = patch[_first_inputs(pooling.geometry.rows)][:, _first_inputs(pooling.geometry.columns)]
                group[network.part(pooling.target)].reshape(-1, filters)[:, chunk] = patch.reshape(-1, 1)
            groups, first = groups + (0 if equal else patches_of_chunk), first + channels
        groups += patches_of_chunk * len(chunks) if equal else 0
    return group, groups


def _volume(network: MappableNetwork, population: GraphPopulation) -> Tuple[int, int, int]:
    """Return the numbers of rows, columns and channels of a population."""
    rows, columns, filters = network.projections_to(population)[0].connections[0].geometry.output_volume
    return rows, columns, filters


def _patches_reached(
    network: MappableNetwork, population: GraphPopulation, out: Sequence[Connection], chunks_of: Dict[str, Chunks]
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
        patches_at = np.tensordot(list(grids.values()) or [1], each, 1) if dense else each.max(axis=0)
        is_real = ids != PADDING
        at = np.broadcast_to(patches_at[:, :, None], ids.shape)[is_real]
        reached += np.bincount(ids[is_real] - connection.source.first, at, population.size)
    reached_by: np.ndarray = reached.reshape(_volume(network, population)).max(axis=2).astype(np.int64)
    return reached_by


def _poolings(network: MappableNetwork) -> Dict[str, Connection]:
    """Return connections of each source neuron to one target at most, at most one to and from a population.

    The keys are the names of the source populations.
    """
    poolings: Dict[str, Connection] = {}
    for population in network.populations:
        (connection, *further_connections) = [c for p in network.projections_to(population) for c in p.connections]
        geometry, source = connection.geometry, connection.source
        taken = source.name in poolings or source in [pooling.target for pooling in poolings.values()]
        if further_connections or taken or source not in network.populations or geometry.pairing == "dense":
            continue
        apart = all(np.unique(axis.input).size == axis.input.size for axis in (geometry.rows, geometry.columns))
        ordered = np.array_equal(connection.ids.ravel(), source.first + np.arange(source.size))
        if apart and ordered and geometry.multiplier == 1:
            poolings[source.name] = connection
    return poolings


def _candidates(
    network: MappableNetwork,
    population: GraphPopulation,
    limits: Limits,
    sides: Sequence[int],
    mixed: bool,
    axons_out: Optional[Tuple[int, np.ndarray]] = None,
    pooling: Optional[Connection] = None,
) -> List[_Candidate]:
    """Return the grids of a population that keep the limits; the smallest is always one of them.

    `axons_out` are the output axons of a core, and of a channel at each position; `pooling` joins the patches.
    """
    connections = [connection for p in network.projections_to(population) for connection in p.connections]
    rows, columns, filters = connections[0].geometry.output_volume
    connections += [] if pooling is None else [pooling]
    spikes = [_spikes_at(network, c, mixed) if c.source in network.sources else None for c in connections]
    by_rows, by_columns = (
        {
            parts: [_axis_parts(getattr(c.geometry, axis), parts, c is pooling) for c in connections]
            for parts in sorted({-(-length // side) for side in (*sides, length)})
        }
        for axis, length in (("rows", rows), ("columns", columns))
    )
    candidates: List[_Candidate] = []
    for down, across in product(by_rows, by_columns):
        row_parts, column_parts = by_rows[down], by_columns[across]
        # Entries and axons of a channel, axons that all channels share; spikes to each chunk, and to all chunks
        entries, axons, shared_axons, to_each, to_all = 0, 0, 0, 0.0, 0.0
        for connection, row, column, sent in zip(connections, row_parts, column_parts, spikes):
            dense, channels = connection.geometry.pairing == "dense", connection.geometry.channels
            entries += row.entries * column.entries * (channels if dense else 1)
            if sent is None:  # a constant current
                continue
            sources = row.sources * column.sources
            received = float(row.parts @ sent @ column.parts - row.inside @ sent @ column.inside)
            if dense:
                shared_axons, to_each = shared_axons + sources * channels, to_each + received
            else:
                axons, to_all = axons + sources, to_all + received
        neurons = row_parts[0].outputs * column_parts[0].outputs
        neurons += 0 if pooling is None else row_parts[-1].outputs * column_parts[-1].outputs
        capacity = min(limits.neurons // neurons, limits.synapses // entries)
        if axons or shared_axons > limits.axons:
            capacity = min(capacity, (limits.axons - shared_axons) // max(axons, 1))
        if axons_out is not None:
            capacity = min(capacity, axons_out[0] // max(_largest_sum(axons_out[1], down, across), 1))
        if capacity > 0 or (down, across) == (rows, columns):
            candidates.append(_Candidate((down, across), max(capacity, 1), to_each, to_all / filters))
    return candidates


def _largest_sum(at: np.ndarray, down: int, across: int) -> int:
    """Return the largest sum over a patch of numbers at each position."""
    starts = [-(-np.arange(parts) * size // parts) for parts, size in zip((down, across), at.shape)]
    return int(np.add.reduceat(np.add.reduceat(at, starts[0]), starts[1], axis=1).max())


def _spikes_at(network: MappableNetwork, connection: Connection, exact: bool) -> np.ndarray:
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
    fewest_spikes, chosen = np.zeros(filters + 1), np.zeros(filters + 1, np.int64)  # by number of channels
    for channels in range(1, filters + 1):
        taken = np.minimum(capacity, channels)
        spikes = fewest_spikes[channels - taken] + to_chunk + to_channel * taken
        chosen[channels] = np.argmin(spikes)
        fewest_spikes[channels] = spikes[chosen[channels]]
    numbers: Dict[int, List[int]] = {}  # of channels of the chunks, by index of the candidate
    received = float(fewest_spikes[filters])
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
    for candidate in chain.from_iterable(several):
        by_grid.setdefault(candidate.grid, []).append(candidate)
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
    for (number, _), pairs in lists.items():
        distinct[number].add(tuple((output - pairs[0][0], tap) for output, tap in pairs))
    sources = np.bincount([number for number, _ in lists]).max()
    entries = max(sum(map(len, one)) for one in distinct)
    reached = np.bincount([source for _, source in lists], minlength=axis.size)
    joined = [source for number, source in lists if pooling and equal[source] == number]
    inside = np.bincount(np.array(joined, np.int64), minlength=axis.size)
    return _AxisParts(int(np.bincount(part).max()), entries, int(sources), reached, inside)
