"""Coarsening where sources share lists of synapses: patches.

A patch is a rectangle of positions with a chunk of channels. patch_grids.py lists the
grids of patches that keep the limits of a core; this module chooses grids and chunks.
"""

from collections import Counter
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from snnb.chips.hardware import Limits
from snnb.graph.connection import Connection
from snnb.graph.populations import GraphPopulation
from snnb.mapping.partition.groups import Grid, patch_positions
from snnb.mapping.partition.patch_grids import (
    GridCandidate,
    OutputAxons,
    divide_outputs,
    find_first_inputs,
    list_grids,
    spikes_at_positions,
)
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.traffic import MappableNetwork
from snnb.network.geometry import PADDING, Geometry

Volume = Tuple[int, int, int]  # rows, columns and channels of a population


class Chunk(NamedTuple):
    """Consecutive channels of a population, and the grid of their patches."""

    grid: Grid  # how the positions of these channels are divided into patches
    channels: int  # number of channels


class ChunkChoice(NamedTuple):
    """The chunks of a population that receive the fewest spikes."""

    chunks: List[Chunk]
    spikes: float  # that they receive, see `spikes_at_positions`


def cut_into_patches(
    network: MappableNetwork,
    limits: Limits,
    settings: SearchSettings,
    axons_out: Optional[int] = None,
    *,
    with_mixed_patches: bool = True,
    same_grid: bool = False,
) -> Tuple[np.ndarray, int]:
    """Cut each population into patches that keep the limits, by an estimate.

    A population takes the grid whose patches receive the fewest spikes.

    Parameters
    ----------
    limits : Limits
        Of a patch. Its `synapses` is the limit of stored weights, since neurons whose
        sources have the same weights share the list of them.
    axons_out : int, optional
        Maximum number of pairs of a neuron of a patch and a patch with one of its
        targets. So populations take their grids after their targets.
    with_mixed_patches : bool
        Whether chunks of channels may have different grids, and a pooling joins the
        patches of the population that it reads if that saves spikes. Otherwise all
        patches of a population are equal, so that they can be merged later, and each
        position is taken to receive the mean number of spikes.
    same_grid : bool
        Whether populations of one shape have the same patches. These may exceed
        `axons_out`.

    Returns
    -------
    group : (neurons,) int32 array
        The patch of each neuron.
    groups : int
        The number of patches.
    """
    cutter = _Cutter(network, limits, settings, axons_out, with_mixed_patches)
    poolings = _list_poolings(network) if with_mixed_patches else {}
    for population in reversed(network.populations):
        choice = cutter.choose_chunks(population)
        if population.name in poolings:
            cutter.join_if_cheaper(population, poolings[population.name], choice)
    if same_grid:
        cutter.choose_same_chunks()
    return cutter.number_patches()


class _Cutter:
    """The chunks of the populations, which are chosen from the last to the first.

    Attributes
    ----------
    chunks : dict
        By the name of a population, its chunks.
    joined_poolings : dict
        By the name of a population, the pooling that reads it and has its patches.
    candidates : dict
        By shape, and by the name of a population of this shape, the grids that keep
        the limits.
    """

    def __init__(
        self,
        network: MappableNetwork,
        limits: Limits,
        settings: SearchSettings,
        axons_out: Optional[int],
        with_mixed_patches: bool,
    ) -> None:
        self._network = network
        self._limits = limits
        self._sides = settings.patch_sides
        self._axons_out = axons_out
        self._mixed = with_mixed_patches
        self.chunks: Dict[str, List[Chunk]] = {}
        self.joined_poolings: Dict[str, Connection] = {}
        self.candidates: Dict[Volume, Dict[str, List[GridCandidate]]] = {}

    def choose_chunks(self, population: GraphPopulation) -> ChunkChoice:
        """Choose the chunks of a population, after those of its targets."""
        output_axons = None
        if self._axons_out is not None:
            outgoing = _outgoing(self._network, population)
            axons = self._patches_reached(population, outgoing)
            output_axons = OutputAxons(self._axons_out, axons)
        candidates = self._list_grids(population, output_axons)
        volume = _volume(self._network, population)
        self.candidates.setdefault(volume, {})[population.name] = candidates
        choice = self._choose(candidates, volume)
        self.chunks[population.name] = choice.chunks
        return choice

    def join_if_cheaper(
        self,
        population: GraphPopulation,
        pooling: Connection,
        choice: ChunkChoice,
    ) -> None:
        """Let a pooling join the patches of the population if that saves spikes.

        `choice` are the chunks of the population without the pooling.
        """
        output_axons = None
        if self._axons_out is not None:
            axons = self._axons_with_pooling(population, pooling)
            output_axons = OutputAxons(self._axons_out, axons)
        candidates = self._list_grids(population, output_axons, pooling)
        volume = _volume(self._network, population)
        choice_joined = self._choose(candidates, volume)
        spikes = spikes_at_positions(self._network, pooling, self._mixed)
        if choice_joined.spikes < choice.spikes + spikes.sum():
            self.chunks[population.name] = choice_joined.chunks
            self.joined_poolings[population.name] = pooling

    def choose_same_chunks(self) -> None:
        """Choose the chunks again, the same for all populations of one shape.

        So a patch of a population has the same positions and channels as one patch of
        each other population of the shape.
        The chunks, each with its grid, are those in which these populations together
        receive the fewest spikes. Only grids that keep the limits in all of them can be
        chosen; without such a grid, the populations of the shape keep their chunks.
        """
        for volume, candidates in self.candidates.items():
            common_candidates = _intersect(list(candidates.values()))
            if common_candidates:
                choice = self._choose(common_candidates, volume)
                self.chunks.update(dict.fromkeys(candidates, choice.chunks))

    def number_patches(self) -> Tuple[np.ndarray, int]:
        """Return the patch of each neuron, int32, and the number of patches.

        If all chunks of a population have the same grid, the chunks of a patch have
        consecutive numbers. Otherwise the patches of a chunk have.
        """
        network = self._network
        group = np.empty(network.neurons, np.int32)
        joined_populations = [p.target for p in self.joined_poolings.values()]
        next_number = 0
        for population in network.populations:
            if population in joined_populations:
                continue
            volume = _volume(network, population)
            chunks = self.chunks[population.name]
            numbers, patches = _number_chunks(chunks, volume)
            neurons = group[network.part(population)].reshape(volume)
            first_channel = 0
            for chunk, chunk_numbers in zip(chunks, numbers):
                channels = slice(first_channel, first_channel + chunk.channels)
                neurons[:, :, channels] = next_number + chunk_numbers[:, :, np.newaxis]
                first_channel += chunk.channels
            pooling = self.joined_poolings.get(population.name)
            if pooling is not None:
                row = find_first_inputs(pooling.geometry.rows)
                column = find_first_inputs(pooling.geometry.columns)
                pooling_neurons = neurons[row][:, column]
                group[network.part(pooling.target)] = pooling_neurons.ravel()
            next_number += patches
        return group, next_number

    def _list_grids(
        self,
        population: GraphPopulation,
        output_axons: Optional[OutputAxons],
        pooling: Optional[Connection] = None,
    ) -> List[GridCandidate]:
        """Return the grids that keep the limits, see `list_grids`."""
        return list_grids(
            self._network,
            population,
            self._limits,
            self._sides,
            self._mixed,
            output_axons,
            pooling,
        )

    def _choose(
        self,
        candidates: Sequence[GridCandidate],
        volume: Volume,
    ) -> ChunkChoice:
        """Choose the chunks that receive the fewest spikes."""
        _, _, filters = volume
        if not self._mixed:
            candidates = [find_best_grid(candidates, filters)]
        return find_best_chunks(candidates, filters)

    def _axons_with_pooling(
        self,
        population: GraphPopulation,
        pooling: Connection,
    ) -> np.ndarray:
        """Return the output axons of a channel at each position, its pooling included.

        int64, shape (rows, columns). The neurons of the pooling count at their first
        input position.
        """
        outgoing = _outgoing(self._network, population)
        other_targets = [c for c in outgoing if c is not pooling]
        axons = self._patches_reached(population, other_targets) + 1
        row = find_first_inputs(pooling.geometry.rows)
        column = find_first_inputs(pooling.geometry.columns)
        pooling_targets = _outgoing(self._network, pooling.target)
        pooling_axons = self._patches_reached(pooling.target, pooling_targets)
        axons[row[:, np.newaxis], column] += pooling_axons
        return axons

    def _patches_reached(
        self,
        population: GraphPopulation,
        connections: Sequence[Connection],
    ) -> np.ndarray:
        """Return the largest number of patches that a neuron at a position reaches.

        int64, shape (rows, columns). The patches are those of the connections' targets.
        A target without chunks, as in recurrent networks, counts as one patch.
        """
        reached_patches = np.zeros(population.size)
        for connection in connections:
            chunks = self.chunks.get(connection.target.name, [])
            is_real = connection.ids != PADDING
            patches = _patches_from_positions(connection, chunks)
            source_patches = np.broadcast_to(
                patches[:, :, np.newaxis],
                connection.ids.shape,
            )
            source = connection.ids[is_real] - connection.source.first
            reached_patches += np.bincount(
                source, source_patches[is_real], population.size
            )
        by_position = reached_patches.reshape(_volume(self._network, population))
        most_reached: np.ndarray = by_position.max(axis=2).astype(np.int64)
        return most_reached


def _number_chunks(
    chunks: Sequence[Chunk],
    volume: Volume,
) -> Tuple[List[np.ndarray], int]:
    """Assign numbers from 0 to the patches of a population.

    Return the patch of each position, int64 (rows, columns), for each chunk, and the
    number of patches. For the order see `_Cutter.number_patches`.
    """
    rows, columns, _ = volume
    has_one_grid = len({chunk.grid for chunk in chunks}) == 1
    numbers: List[np.ndarray] = []
    next_number = 0
    for index, chunk in enumerate(chunks):
        patch, patches = patch_positions(volume, chunk.grid)
        number = patch * len(chunks) + index if has_one_grid else next_number + patch
        numbers.append(number.reshape(rows, columns))
        next_number += patches
    return numbers, next_number


def _patches_from_positions(
    connection: Connection,
    chunks: Sequence[Chunk],
) -> np.ndarray:
    """Return how many patches of the target a channel of an input position reaches.

    int64, shape (rows, columns) of the connection's input. `chunks` are the target's.
    """
    geometry = connection.geometry
    if not chunks:
        return np.ones((geometry.rows.size, geometry.columns.size), np.int64)
    if geometry.pairing == "grouped":
        return _patches_of_groups(geometry, chunks)
    chunk_counts = Counter(chunk.grid for chunk in chunks)
    patches_by_grid = []
    for row_count, column_count in chunk_counts:
        rows = divide_outputs(geometry.rows, row_count)
        columns = divide_outputs(geometry.columns, column_count)
        patches_by_grid.append(np.outer(rows.reached, columns.reached))
    if geometry.pairing == "dense":  # each channel reaches all chunks
        return np.tensordot(list(chunk_counts.values()), np.array(patches_by_grid), 1)
    return np.max(patches_by_grid, axis=0)  # each channel reaches one chunk


def _patches_of_groups(geometry: Geometry, chunks: Sequence[Chunk]) -> np.ndarray:
    """Return the most patches that a channel reaches by a grouped convolution.

    See `_patches_from_positions`. A channel reaches the chunks with filters of its
    group.
    """
    first_filter = np.arange(geometry.groups) * geometry.multiplier
    end_filter = first_filter + geometry.multiplier
    shape = (geometry.groups, geometry.rows.size, geometry.columns.size)
    group_patches = np.zeros(shape, np.int64)
    chunk_start = 0
    for chunk in chunks:
        chunk_end = chunk_start + chunk.channels
        row_count, column_count = chunk.grid
        rows = divide_outputs(geometry.rows, row_count)
        columns = divide_outputs(geometry.columns, column_count)
        is_reached = (first_filter < chunk_end) & (end_filter > chunk_start)
        group_patches[is_reached] += np.outer(rows.reached, columns.reached)
        chunk_start = chunk_end
    most_patches: np.ndarray = group_patches.max(axis=0)
    return most_patches


def _volume(network: MappableNetwork, population: GraphPopulation) -> Volume:
    """Return the numbers of rows, columns and channels of a population."""
    connection = network.projections_to(population)[0].connections[0]
    rows, columns, filters = connection.geometry.output_volume
    return rows, columns, filters


def _outgoing(
    network: MappableNetwork,
    population: GraphPopulation,
) -> List[Connection]:
    """Return the connections from a population."""
    connections: List[Connection] = []
    for projection in network.projections_from(population):
        connections += projection.connections
    return connections


def _list_poolings(network: MappableNetwork) -> Dict[str, Connection]:
    """Return the connections by which a population can join another one's patches.

    The keys are the names of the source populations. A source neuron has one target at
    most. A population joins one other at most, and is joined by one other at most.
    """
    poolings: Dict[str, Connection] = {}
    for population in network.populations:
        connections: List[Connection] = []
        for projection in network.projections_to(population):
            connections += projection.connections
        source = connections[0].source
        targets = [pooling.target for pooling in poolings.values()]
        is_used = source.name in poolings or source in targets
        if len(connections) > 1 or is_used or source not in network.populations:
            continue
        if _has_separate_windows(connections[0]):
            poolings[source.name] = connections[0]
    return poolings


def _has_separate_windows(connection: Connection) -> bool:
    """Whether each source has at most one target, and the input is the source."""
    geometry = connection.geometry
    source = connection.source
    if geometry.pairing != "diagonal" or geometry.multiplier != 1:
        return False
    for axis in (geometry.rows, geometry.columns):
        if np.unique(axis.input).size != axis.input.size:
            return False
    ids = source.first + np.arange(source.size)
    return np.array_equal(connection.ids.ravel(), ids)


def find_best_grid(
    candidates: Sequence[GridCandidate],
    filters: int,
) -> GridCandidate:
    """Return the grid that receives the fewest spikes if all chunks have it."""
    return min(candidates, key=lambda candidate: candidate.count_spikes(filters))


def find_best_chunks(candidates: Sequence[GridCandidate], filters: int) -> ChunkChoice:
    """Divide `filters` channels into the chunks that receive the fewest spikes.

    By dynamic programming: the fewest spikes of n channels are those of a chunk that is
    as large as its grid allows, and the fewest of the other channels. The chunks of a
    grid are then made equally large, which does not change their spikes.
    """
    max_channels = np.array([candidate.max_channels for candidate in candidates])
    per_chunk = np.array([candidate.spikes_per_chunk for candidate in candidates])
    per_channel = np.array([candidate.spikes_per_channel for candidate in candidates])
    # By number of channels: the spikes, and the candidate that is the last chunk's
    fewest_spikes = np.zeros(filters + 1)
    last_candidate = np.zeros(filters + 1, np.int64)
    for channels in range(1, filters + 1):
        chunk_channels = np.minimum(max_channels, channels)
        spikes_before = fewest_spikes[channels - chunk_channels]
        spikes = spikes_before + per_chunk + per_channel * chunk_channels
        last_candidate[channels] = np.argmin(spikes)
        fewest_spikes[channels] = spikes[last_candidate[channels]]
    # By candidate, from the last chunk to the first: the channels of its chunks
    chunk_sizes: Dict[int, List[int]] = {}
    channels_left = filters
    while channels_left > 0:
        index = int(last_candidate[channels_left])
        chunk_size = min(int(max_channels[index]), channels_left)
        chunk_sizes.setdefault(index, []).append(chunk_size)
        channels_left -= chunk_size
    chunks: List[Chunk] = []
    for index, sizes in chunk_sizes.items():
        for size in _divide_evenly(sum(sizes), len(sizes)):
            chunks.append(Chunk(candidates[index].grid, size))
    return ChunkChoice(chunks, float(fewest_spikes[filters]))


def _divide_evenly(number: int, parts: int) -> List[int]:
    """Divide a number into integers that differ by at most 1: 7 and 3 give 2, 2, 3."""
    ends = [number * (part + 1) // parts for part in range(parts)]
    begins = [0, *ends[:-1]]
    return [end - begin for begin, end in zip(begins, ends)]


def _intersect(
    candidate_lists: Sequence[Sequence[GridCandidate]],
) -> List[GridCandidate]:
    """Return the grids that are candidates of each of several populations.

    The candidate of a grid has the smallest number of channels of its candidates in the
    lists, and the sum of their spikes.
    """
    by_grid: Dict[Grid, List[GridCandidate]] = {}
    for candidates in candidate_lists:
        for candidate in candidates:
            by_grid.setdefault(candidate.grid, []).append(candidate)
    intersection: List[GridCandidate] = []
    for grid, grid_candidates in by_grid.items():
        if len(grid_candidates) == len(candidate_lists):
            common = GridCandidate(
                grid=grid,
                max_channels=min(c.max_channels for c in grid_candidates),
                spikes_per_chunk=sum(c.spikes_per_chunk for c in grid_candidates),
                spikes_per_channel=sum(c.spikes_per_channel for c in grid_candidates),
            )
            intersection.append(common)
    return intersection
