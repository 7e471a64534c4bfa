"""Groups for chips whose sources share lists of synapses: tiles of positions with a number of channels.

A source has a list in the memory of a tile by which rows of the tile it meets over which taps, and by which columns, so
the memory is a product of sums along both axes, and of channels. With n rows the sum grows until n is the kernel's
size, and a tile of all rows has fewer lists, since no source lies beyond its border. Hence layers of many channels take
single rows, or all positions and few channels.
"""

from itertools import product
from typing import Dict, List, NamedTuple, Set, Tuple

import numpy as np

from snnb.graph.populations import GraphPopulation
from snnb.mapping.groups import tile_of
from snnb.mapping.limits import Limits
from snnb.mapping.neurons import PlacedNetwork
from snnb.network.axis import Axis

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
