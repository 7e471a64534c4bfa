"""Tiles of positions and channels, for chips whose sources share lists of synapses.

A source has a list in the memory of a tile by which rows of the tile it meets over which taps, and by which columns, so
the memory is a product of sums along both axes, and of channels. With n rows the sum grows until n is the kernel's
size, and a tile of all rows has fewer lists, since no source lies beyond its border. Hence layers of many channels take
single rows, or all positions and few channels.
"""

from itertools import product
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

import numpy as np

from snnb.graph.connection import Connection
from snnb.graph.populations import GraphPopulation
from snnb.mapping.hardware import Limits
from snnb.mapping.traffic import PlacedNetwork
from snnb.network.geometry import PADDING, Axis

Tiles = Tuple[int, int]  # number of tiles along rows and columns
HEIGHTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # of tiles, in positions, and all


class _Cut(NamedTuple):
    """An axis of a connection that is cut into parts: the most of a part, and the parts that each input reaches."""

    outputs: int
    entries: int  # of the distinct lists
    sources: int
    parts: np.ndarray  # (inputs,) int64: number of parts
    own: np.ndarray  # (inputs,) int64: 1 if the input is in one of them


class _Form(NamedTuple):
    """A form of the tiles of a population."""

    tiles: Tiles
    channels: int  # at most
    to_chunk: float  # spikes that the tiles of a chunk of channels receive
    to_channel: float  # and further ones for each channel


def tiled(network: PlacedNetwork, limits: Limits, *, mixed: bool = True) -> Tuple[np.ndarray, int]:
    """Return the group of each neuron, int32, and the number of groups; each keeps the limits by an estimate.

    Of the tiles that do, a population takes those that receive the fewest spikes. The limit of synapses is that of the
    entries of lists. With `mixed`, chunks of channels may have tiles of different forms, and a pooling joins the tiles
    of the population that it reads if that saves spikes. Otherwise tiles are to be merged: a population has equal ones,
    for the mean number of spikes, so that tiles of populations of one shape have the same borders.
    """
    group, groups = np.empty(network.neurons, np.int32), 0
    poolings = _poolings(network) if mixed else {}
    joined: List[GraphPopulation] = []
    for population in network.populations:
        if population in joined:
            continue
        pooling, first = poolings.get(population.name), 0
        rows, columns, filters = network.projections_to(population)[0].connections[0].geometry.output_volume
        chunks, spikes = _chunks(_forms(network, population, None, limits, mixed), filters, mixed)
        if pooling is not None:
            chunks_too, spikes_too = _chunks(_forms(network, population, pooling, limits, mixed), filters, mixed)
            if spikes_too < spikes + _spikes_at(network, pooling, mixed).sum():
                chunks = chunks_too
                joined.append(pooling.target)
            else:
                pooling = None
        alike = len({tiles for tiles, _ in chunks}) == 1  # then the chunks of a tile have consecutive numbers
        for n, ((down, across), channels) in enumerate(chunks):
            tile = (np.arange(rows) * down // rows)[:, None] * across + np.arange(columns) * across // columns
            tile = groups + (tile * len(chunks) + n if alike else tile)
            chunk = slice(first, first + channels)
            group[network.part(population)].reshape(-1, filters)[:, chunk] = tile.reshape(-1, 1)
            if pooling is not None:
                tile = tile[_first_inputs(pooling.geometry.rows)][:, _first_inputs(pooling.geometry.columns)]
                group[network.part(pooling.target)].reshape(-1, filters)[:, chunk] = tile.reshape(-1, 1)
            groups, first = groups + (0 if alike else down * across), first + channels
        groups += down * across * len(chunks) if alike else 0
    return group, groups


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


def _forms(
    network: PlacedNetwork, population: GraphPopulation, pooling: Optional[Connection], limits: Limits, mixed: bool
) -> List[_Form]:
    """Return the forms of tiles that keep the limits; the smallest is always one of them."""
    connections = [connection for p in network.projections_to(population) for connection in p.connections]
    rows, columns, filters = connections[0].geometry.output_volume
    connections += [] if pooling is None else [pooling]
    spikes = [_spikes_at(network, c, mixed) if c.source in network.sources else None for c in connections]
    forms: List[_Form] = []
    for (down, row_cuts), (across, column_cuts) in product(
        [(parts, [_cut(c.geometry.rows, parts, c is pooling) for c in connections]) for parts in _numbers(rows)],
        [(parts, [_cut(c.geometry.columns, parts, c is pooling) for c in connections]) for parts in _numbers(columns)],
    ):
        # Entries and axons of a channel, axons that all channels share; spikes to each chunk, and to all chunks
        entries, own, shared, to_each, to_all = 0, 0, 0, 0.0, 0.0
        for connection, row, column, sent in zip(connections, row_cuts, column_cuts, spikes):
            dense, channels = connection.geometry.pairing == "dense", connection.geometry.channels
            entries += row.entries * column.entries * (channels if dense else 1)
            if sent is not None:
                axons = row.sources * column.sources
                received = float(row.parts @ sent @ column.parts - row.own @ sent @ column.own)
                own, to_all = (own, to_all) if dense else (own + axons, to_all + received)
                shared, to_each = (shared + axons * channels, to_each + received) if dense else (shared, to_each)
        neurons = row_cuts[0].outputs * column_cuts[0].outputs
        neurons += 0 if pooling is None else row_cuts[-1].outputs * column_cuts[-1].outputs
        capacity = min(limits.neurons // neurons, limits.synapses // entries, (limits.axons - shared) // max(own, 1))
        if capacity > 0 or (down, across) == (rows, columns):
            forms.append(_Form((down, across), max(capacity, 1), to_each, to_all / filters))
    return forms


def _spikes_at(network: PlacedNetwork, connection: Connection, exact: bool) -> np.ndarray:
    """Return the spikes of all channels at each input position, or their mean: float64, shape (rows, columns)."""
    if not exact:
        rows, columns, channels = connection.geometry.input_volume
        return np.full((rows, columns), channels * network.spikes_of(connection.source).mean())
    ids, spikes = connection.ids, np.append(network.spikes_of(connection.source), 0.0)
    sent: np.ndarray = spikes[np.where(ids == PADDING, -1, ids - connection.source.first)].sum(axis=2)
    return sent


def _chunks(forms: List[_Form], filters: int, mixed: bool = True) -> Tuple[List[Tuple[Tiles, int]], float]:
    """Return tiles and number of channels of each of the chunks that receive the fewest spikes, and these spikes."""
    if not mixed:
        forms = [min(forms, key=lambda one: one.to_chunk * -(-filters // one.channels) + one.to_channel * filters)]
    capacity, to_chunk, to_channel = (np.array([form[n] for form in forms]) for n in (1, 2, 3))
    least, chosen = np.zeros(filters + 1), np.zeros(filters + 1, np.int64)  # by number of channels
    for channels in range(1, filters + 1):
        taken = np.minimum(capacity, channels)
        spikes = least[channels - taken] + to_chunk + to_channel * taken
        chosen[channels] = np.argmin(spikes)
        least[channels] = spikes[chosen[channels]]
    numbers: Dict[int, List[int]] = {}  # of channels of the chunks, by form
    received = float(least[filters])
    while filters > 0:
        form = int(chosen[filters])
        numbers.setdefault(form, []).append(min(int(capacity[form]), filters))
        filters -= numbers[form][-1]
    chunks = [
        (forms[form].tiles, sum(taken) * (n + 1) // len(taken) - sum(taken) * n // len(taken))
        for form, taken in numbers.items()
        for n in range(len(taken))
    ]
    return chunks, received


def _numbers(length: int) -> List[int]:
    """Return the numbers of tiles along an axis."""
    return sorted({-(-length // height) for height in (*HEIGHTS, length)})


def _first_inputs(axis: Axis) -> np.ndarray:
    order, starts = axis.by_output()
    return axis.input[order][starts[:-1]]


def _cut(axis: Axis, parts: int, pooling: bool = False) -> _Cut:
    """Cut an axis of outputs into equal parts; with `pooling`, the inputs, and an output is in its first input's."""
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
    return _Cut(int(np.bincount(part).max()), entries, int(sources), reached, inside)
