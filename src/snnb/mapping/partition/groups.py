"""Coarsening: groups of neurons with the same sources or targets."""

from typing import Dict, List, Optional, Tuple

import numpy as np

from snnb.chips.hardware import Limits
from snnb.graph.connection import Connection
from snnb.graph.populations import GraphPopulation
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.partition.source_lists import SourceLists
from snnb.mapping.traffic import MappableNetwork

# How the positions of a population are divided into patches: the number of patches
# along its rows, and along its columns. (2, 3) divides 4 rows and 6 columns into six
# patches of 2 × 2 positions. Patches of a grid differ by at most one row and one
# column; see `patch_positions`.
Grid = Tuple[int, int]


def group_neurons(
    network: MappableNetwork,
    loads: np.ndarray,
    limits: Limits,
    settings: SearchSettings,
) -> Tuple[np.ndarray, int]:
    """Group the neurons of each population so that a group fits on a core.

    All channels at a position of a convolution have the same sources and reach the same
    positions, so a group is a position and a chunk of channels, or units of a dense
    layer. The first convolution of a network with a constant input, and a pooling that
    reads it, are different: their neurons share no sources with others at their
    position. Their groups are *thin patches*, of a few channels, which have a shorter
    border than few positions of many channels, unless groups have few channels in any
    case.

    Parameters
    ----------
    loads : (neurons,) int64 array
        The synapse loads, see `limits.synapse_loads`.
    limits : Limits
        Of a core; `synapses` is that of the loads.

    Returns
    -------
    group : (neurons,) int32 array
        The group of each neuron, from 0.
    groups : int
        The number of groups.
    """
    group = np.empty(network.neurons, np.int32)
    groups = 0
    thin_grids: Dict[str, Grid] = {}  # of the populations in thin patches, by name
    thin_channels = settings.channels_per_thin_patch
    thin_side = settings.side_of_thin_patch
    min_channels = thin_channels * thin_side**2  # of groups that are thin patches
    for population in network.populations:
        part = network.part(population)
        lists = SourceLists(network, population)
        max_load = max(int(loads[part].max()), 1)
        channels = _most_channels(lists, max_load, limits, settings)
        grid = _thin_grid(network, population, thin_grids, thin_side)
        if channels < min_channels or not lists.filters > thin_channels > 0:
            grid = None
        if grid is not None:
            thin_grids[population.name] = grid
            channels = thin_channels
        chunks = -(-lists.filters // channels)
        if lists.has_listed_edges:
            chunks = _divide_for_axons(lists, chunks, limits.axons)
        chunk = np.arange(lists.filters) * chunks // lists.filters
        patch, patches = patch_positions(population.shape, grid)
        group[part] = (groups + patch[:, np.newaxis] * chunks + chunk).ravel()
        groups += patches * chunks
    return group, groups


def _most_channels(
    lists: SourceLists,
    max_load: int,
    limits: Limits,
    settings: SearchSettings,
) -> int:
    """Return how many channels of a position a group can have.

    `max_load` is the largest synapse load of a neuron. Listed edges are not considered.
    """
    channels = min(
        settings.max_channels_per_group,
        limits.neurons,
        limits.synapses // max_load,
    )
    axons_of_neuron = int(lists.neuron_counts.max())
    if axons_of_neuron > 0 and not lists.has_listed_edges:
        axons_of_position = int(lists.position_counts.max())
        channels = min(channels, (limits.axons - axons_of_position) // axons_of_neuron)
    return channels


def _divide_for_axons(lists: SourceLists, chunks: int, max_axons: int) -> int:
    """Double the number of chunks until a chunk of a position needs few axons."""
    while chunks < lists.filters and lists.most_sources(chunks) > max_axons:
        chunks = min(2 * chunks, lists.filters)
    return chunks


def _thin_grid(
    network: MappableNetwork,
    population: GraphPopulation,
    thin_grids: Dict[str, Grid],
    side: int,
) -> Optional[Grid]:
    """Return the grid of thin patches, with `side` rows and columns each.

    None if the neurons of the population share sources, or no pooling follows. A
    pooling has the grid of the population that it reads (in `thin_grids`).
    """
    incoming: List[Connection] = []
    for projection in network.projections_to(population):
        if projection.source in network.sources:
            incoming += projection.connections
    outgoing: List[Connection] = []
    for projection in network.projections_from(population):
        outgoing += projection.connections
    if len(population.shape) != 3:
        return None
    if any(connection.geometry.pairing != "diagonal" for connection in incoming):
        return None
    if incoming:
        if all(connection.source.name in thin_grids for connection in incoming):
            return thin_grids[incoming[0].source.name]
        return None
    if any(connection.geometry.pairing == "diagonal" for connection in outgoing):
        rows, columns, _ = population.shape
        return -(-rows // side), -(-columns // side)
    return None


def patch_positions(
    shape: Tuple[int, ...],
    grid: Optional[Grid] = None,
) -> Tuple[np.ndarray, int]:
    """Divide the positions of a population of this shape into a grid of patches.

    The grid (2, 2) divides the shape (3, 4, channels) into

        0 0 1 1
        0 0 1 1
        2 2 3 3

    Return the patch of each position, row by row, int64, shape (positions,), and the
    number of patches. Without a grid, a patch is a position.
    """
    if len(shape) == 3:
        rows, columns, _ = shape
    else:
        rows = 1
        columns = int(np.prod(shape[:-1], dtype=np.int64))
    patch_rows = rows
    patch_columns = columns
    if grid is not None:
        patch_rows = min(grid[0], rows)
        patch_columns = min(grid[1], columns)
    patch_row = np.arange(rows) * patch_rows // rows
    patch_column = np.arange(columns) * patch_columns // columns
    patch = np.add.outer(patch_row * patch_columns, patch_column).ravel()
    return patch, patch_rows * patch_columns
