"""Groups of neurons to place together: a position and a chunk of channels, or a tile and a few channels.

Chips whose sources share lists of synapses take tiles of positions with a number of channels. A source has a list in
the memory of a tile by which rows of the tile it meets over which taps, and by which columns, so the memory is a
product of sums along both axes, and of channels. With n rows the sum grows until n is the kernel's size, and a tile
of all rows has fewer lists, since no source lies beyond its border. Hence layers of many channels take single rows,
or all positions and few channels.
"""

from itertools import product
from typing import Dict, List, NamedTuple, Optional, Set, Tuple

import numpy as np

from snnb.graph.populations import GraphPopulation
from snnb.mapping.limits import Limits
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.sequential import SourceLists
from snnb.network.geometry import Axis

MOST_CHANNELS = 64
THIN = 4  # channels of a group where channels are apart
TILE = 4  # rows and columns of a group in the first of such populations
Tiles = Tuple[int, int]  # number of tiles along rows and columns


def grouped(network: PlacedNetwork, loads: np.ndarray, limits: Limits) -> Tuple[np.ndarray, int]:
    """Group the neurons of each population so that a group fits on a core; return each neuron's group and their number.

    All channels at a position of a convolution have the same sources and reach the same positions, so a group is a
    position and a chunk of channels, or units of a dense layer. The first convolution of a network with a constant
    input, and a pooling that reads it, are different: their neurons share no sources with others at their position.
    Their groups are tiles of a few channels, which have a shorter border than few positions of many channels.

    `loads` (int64, shape (neurons,)) are the synapse loads, see `memory.synapse_loads`.
    """
    group, groups = np.empty(network.neurons, np.int32), 0
    thin: Dict[str, Tiles] = {}
    for population in network.populations:
        part = network.part(population)
        lists = SourceLists(network, population)
        synapses = max(int(loads[part].max()), 1)
        most = min(MOST_CHANNELS, limits.neurons, limits.synapses // synapses)
        if lists.most_own and not lists.sparse:
            most = min(most, (limits.axons - lists.most_shared) // lists.most_own)
        tiles = _thin_tiles(network, population, thin)
        if tiles is not None and most >= THIN * TILE * TILE and lists.filters > THIN:
            thin[population.name] = tiles
            most = THIN
        else:
            tiles = None
        chunks = -(-lists.filters // most)
        while lists.sparse and chunks < lists.filters and lists.most_of(chunks) > limits.axons:
            chunks = min(2 * chunks, lists.filters)
        chunk = np.arange(lists.filters) * chunks // lists.filters
        tile, number = tile_of(population.shape, tiles)
        group[part] = (groups + tile[:, None] * chunks + chunk).ravel()
        groups += number * chunks
    return group, groups


def _thin_tiles(network: PlacedNetwork, population: GraphPopulation, thin: Dict[str, Tiles]) -> Optional[Tiles]:
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


def tile_of(shape: Tuple[int, ...], tiles: Optional[Tiles]) -> Tuple[np.ndarray, int]:
    """Return the index of the tile of each position, and the number of tiles; by default a tile is a position."""
    rows, columns = (shape[0], shape[1]) if len(shape) == 3 else (1, int(np.prod(shape[:-1], dtype=np.int64)))
    down, across = (rows, columns) if tiles is None else (min(tiles[0], rows), min(tiles[1], columns))
    row, column = np.arange(rows) * down // rows, np.arange(columns) * across // columns
    return (row[:, None] * across + column).ravel(), down * across


HEIGHTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # of tiles, in positions, and all


class _Cut(NamedTuple):
    """An axis of a connection that is cut into parts: the most of a part, and the sum of all parts."""

    entries: int  # of the distinct lists
    sources: int
    all_sources: int


def tiled(network: PlacedNetwork, limits: Limits) -> Tuple[np.ndarray, int]:
    """Return the group of each neuron, int32, and the number of groups; each keeps the limits by an estimate.

    Of the tiles that do, a population takes those that receive the fewest spikes. The limit of synapses is that of the
    entries of lists.
    """
    group, groups = np.empty(network.neurons, np.int32), 0
    for population in network.populations:
        down, across, chunks = _best_tiles(network, population, limits)
        chunk = np.arange(population.shape[-1]) * chunks // population.shape[-1]
        tile, number = tile_of(population.shape, (down, across))
        group[network.part(population)] = (groups + tile[:, None] * chunks + chunk).ravel()
        groups += number * chunks
    return group, groups


def _best_tiles(network: PlacedNetwork, population: GraphPopulation, limits: Limits) -> Tuple[int, int, int]:
    """Return the number of tiles along rows and along columns, and of chunks of channels."""
    connections = [connection for p in network.projections_to(population) for connection in p.connections]
    rows, columns, filters = connections[0].geometry.output_volume
    mean = [network.spikes_of(c.source).mean() if c.source in network.sources else None for c in connections]
    best, least = (rows, columns, filters), np.inf
    for (down, row_cuts), (across, column_cuts) in product(
        [(parts, [_cut(c.geometry.rows, parts) for c in connections]) for parts in _numbers(rows)],
        [(parts, [_cut(c.geometry.columns, parts) for c in connections]) for parts in _numbers(columns)],
    ):
        # Entries and axons of a channel, axons that all channels share; spikes to each chunk, and to all chunks
        entries, own, shared, to_each, to_all = 0, 0, 0, 0.0, 0.0
        for connection, row, column, spikes in zip(connections, row_cuts, column_cuts, mean):
            dense, channels = connection.geometry.pairing == "dense", connection.geometry.channels
            entries += row.entries * column.entries * (channels if dense else 1)
            if spikes is not None:
                axons, received = row.sources * column.sources, row.all_sources * column.all_sources * channels * spikes
                own, to_all = (own, to_all) if dense else (own + axons, to_all + received)
                shared, to_each = (shared + axons * channels, to_each + received) if dense else (shared, to_each)
        positions = -(-rows // down) * -(-columns // across)
        most = min(limits.neurons // positions, limits.synapses // entries, (limits.axons - shared) // max(own, 1))
        chunks = -(-filters // max(most, 1))
        if most > 0 and to_each * chunks + to_all < least:
            best, least = (down, across, chunks), to_each * chunks + to_all
    return best


def _numbers(length: int) -> List[int]:
    """Return the numbers of tiles along an axis."""
    return sorted({-(-length // height) for height in (*HEIGHTS, length)})


def _cut(axis: Axis, parts: int) -> _Cut:
    part = (np.arange(axis.outputs) * parts // axis.outputs).tolist()
    lists: Dict[Tuple[int, int], List[Tuple[int, int]]] = {}  # by part and source
    for source, output, tap in zip(axis.input.tolist(), axis.output.tolist(), axis.tap.tolist()):
        lists.setdefault((part[output], source), []).append((output, tap))
    distinct: List[Set[Tuple[Tuple[int, int], ...]]] = [set() for _ in range(parts)]
    for (this, _), found in lists.items():
        distinct[this].add(tuple((output - found[0][0], tap) for output, tap in found))
    sources = np.bincount([this for this, _ in lists], minlength=parts)
    return _Cut(max(sum(map(len, one)) for one in distinct), int(sources.max()), int(sources.sum()))
