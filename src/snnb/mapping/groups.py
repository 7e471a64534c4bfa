"""Groups of neurons to place together: a position and a chunk of channels, or a tile and a few channels."""

from typing import Dict, Optional, Tuple

import numpy as np

from snnb.graph.populations import GraphPopulation
from snnb.mapping.limits import Limits
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.sequential import SourceLists

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

    `loads` (int64, shape (neurons,)) are those of the synapses, see `split.synapse_loads`.
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
