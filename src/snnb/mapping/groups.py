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
Tiles = Tuple[int, int]  # into how many tiles rows and columns are cut


def grouped(network: PlacedNetwork, limits: Limits, side: int = 1) -> Tuple[np.ndarray, int]:
    """Group the neurons of each population.

    All channels at one position of a convolution read the same neurons, and as sources reach the same positions: so a
    group is a position and a chunk of channels. Of a dense layer, units are grouped. It is different with neurons that
    share no sources of spikes with others at their position, and on the way to a pooling: the first convolution of a
    network on a constant input, and the pooling that reads it. Their groups are tiles of a few channels, since many
    positions of few channels have less of a border than few positions of many channels.

    Parameters
    ----------
    network : PlacedNetwork
        One that `check_possible` lets pass.
    limits : Limits
        A group fits on a core.
    side : int
        So many groups of side 1, along rows and along columns, become one, where a core takes 16 of them.

    Returns
    -------
    group : ndarray of int32, shape (neurons,)
        Group of each neuron, numbered from population to population.
    groups : int
    """
    group, groups = np.empty(network.neurons, np.int32), 0
    thin: Dict[str, Tiles] = {}
    for population in network.populations:
        part = network.part(population)
        lists = SourceLists(network, population)
        synapses = max(int(network.in_degrees[part].max()), 1)
        most = min(MOST_CHANNELS, limits.neurons, limits.synapses // synapses)
        if lists.most_own:
            most = min(most, (limits.axons - lists.most_shared) // lists.most_own)
        tiles = _thin_tiles(network, population, thin)
        if tiles is not None and most >= THIN * TILE * TILE and lists.filters > THIN:
            thin[population.name] = tiles
            most = THIN
        else:
            tiles = None
        chunks = -(-lists.filters // most)
        chunk = np.arange(lists.filters) * chunks // lists.filters
        sources = lists.most_shared + lists.most_own * most
        size = most * (1 if tiles is None else TILE * TILE) * 16 * side * side
        fits = size <= limits.neurons and size * synapses <= limits.synapses and sources * side * side <= limits.axons
        place, places = _places(population.shape, tiles, side if fits else 1)
        group[part] = (groups + place[:, None] * chunks + chunk).ravel()
        groups += places * chunks
    return group, groups


def _thin_tiles(network: PlacedNetwork, population: GraphPopulation, thin: Dict[str, Tiles]) -> Optional[Tiles]:
    """Tell into how many tiles a population is cut; None where its neurons share sources, or no pooling follows."""
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


def _places(shape: Tuple[int, ...], tiles: Optional[Tiles], side: int) -> Tuple[np.ndarray, int]:
    """Return the number of the tile that each position is in, and how many there are."""
    rows, columns = (shape[0], shape[1]) if len(shape) == 3 else (1, int(np.prod(shape[:-1], dtype=np.int64)))
    down, across = (rows, columns) if tiles is None else (min(tiles[0], rows), min(tiles[1], columns))
    row, column = np.arange(rows) * down // rows // side, np.arange(columns) * across // columns // side
    across = int(column[-1]) + 1
    return (row[:, None] * across + column).ravel(), (int(row[-1]) + 1) * across
