"""Coarsening: groups of neurons with the same sources or targets."""

from typing import Dict, Optional, Tuple

import numpy as np

from snnb.chips.hardware import Limits
from snnb.graph.populations import GraphPopulation
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.partition.source_lists import SourceLists
from snnb.mapping.traffic import MappableNetwork

Grid = Tuple[int, int]  # number of patches along rows and columns


def grouped(
    network: MappableNetwork, loads: np.ndarray, limits: Limits, settings: SearchSettings
) -> Tuple[np.ndarray, int]:
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
    few, side = settings.channels_per_thin_patch, settings.side_of_thin_patch
    for population in network.populations:
        part = network.part(population)
        lists = SourceLists(network, population)
        synapses = max(int(loads[part].max()), 1)
        channels = min(settings.max_channels_per_group, limits.neurons, limits.synapses // synapses)
        n_neuron_sources = int(lists.n_neuron_sources.max())
        if n_neuron_sources and not lists.sparse:
            channels = min(channels, (limits.axons - int(lists.n_position_sources.max())) // n_neuron_sources)
        grid = _thin_grid(network, population, thin, side)
        if grid is not None and channels >= few * side * side and lists.filters > few > 0:
            thin[population.name] = grid
            channels = few
        else:
            grid = None
        chunks = -(-lists.filters // channels)
        while lists.sparse and chunks < lists.filters and lists.max_of(chunks) > limits.axons:
            chunks = min(2 * chunks, lists.filters)
        chunk = np.arange(lists.filters) * chunks // lists.filters
        patch, number = patch_of(population.shape, grid)
        group[part] = (groups + patch[:, None] * chunks + chunk).ravel()
        groups += number * chunks
    return group, groups


def _thin_grid(
    network: MappableNetwork, population: GraphPopulation, thin: Dict[str, Grid], side: int
) -> Optional[Grid]:
    """Return the grid of a population; None if its neurons share sources or no pooling follows."""
    into = [c for p in network.projections_to(population) if p.source in network.sources for c in p.connections]
    out = [c for p in network.projections_from(population) for c in p.connections]
    if len(population.shape) != 3 or any(connection.geometry.pairing == "dense" for connection in into):
        return None
    if not into and any(connection.geometry.pairing == "diagonal" for connection in out):
        rows, columns, _ = population.shape
        return -(-rows // side), -(-columns // side)
    if into and all(connection.source.name in thin for connection in into):
        return thin[into[0].source.name]
    return None


def patch_of(shape: Tuple[int, ...], grid: Optional[Grid]) -> Tuple[np.ndarray, int]:
    """Return the index of the patch of each position, and the number of patches; by default a patch is a position."""
    rows, columns = (shape[0], shape[1]) if len(shape) == 3 else (1, int(np.prod(shape[:-1], dtype=np.int64)))
    down, across = (rows, columns) if grid is None else (min(grid[0], rows), min(grid[1], columns))
    row, column = np.arange(rows) * down // rows, np.arange(columns) * across // columns
    return (row[:, None] * across + column).ravel(), down * across
