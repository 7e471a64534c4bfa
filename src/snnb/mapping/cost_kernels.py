"""Compiled loops that sum up the cost of spikes between cores. Importing this module imports numba."""

from typing import NamedTuple, Tuple

import numpy as np

from snnb.core.compiled import compiled
from snnb.mapping.reach import Reached


class MeshPositions(NamedTuple):
    """Positions of the cores on the mesh."""

    x: np.ndarray  # (cores,) int32
    y: np.ndarray  # (cores,) int32
    columns: int  # length of the mesh along x


class TrafficBuffers(NamedTuple):
    """Elements of a traffic matrix."""

    source: np.ndarray  # int32: core
    target: np.ndarray  # int32: core
    spikes: np.ndarray  # float64: spikes per sample


@compiled
def count_axons(sources: np.ndarray, sets: Reached, axons: np.ndarray) -> None:
    """Add the number of sources of each set to the axons of the cores that it reaches."""
    for this in range(sources.size):
        for k in range(sets.start[this], sets.start[this + 1]):
            axons[sets.label[k]] += sources[this]


@compiled
def count_messages(core: np.ndarray, spikes: np.ndarray, sets: Reached, out: np.ndarray, into: np.ndarray) -> None:
    """Add the spikes of sources to the messages that cores send and receive: one for each core reached, also their own.

    Parameters
    ----------
    core : (sources,) int32 array, or empty: cores of the sources
    spikes : (sources,) float64 array
    out, into : (cores,) float64 array
    """
    for source in range(spikes.size):
        weight = spikes[source]
        if weight == 0:
            continue
        begin, end = sets.start[sets.set_of[source]], sets.start[sets.set_of[source] + 1]
        if core.size:
            out[core[source]] += weight * (end - begin)
        for k in range(begin, end):
            into[sets.label[k]] += weight


@compiled
def add_spikes(
    order: np.ndarray,
    begin: int,
    core: np.ndarray,
    spikes: np.ndarray,
    sets: Reached,
    totals: np.ndarray,
    row: np.ndarray,
    buffers: TrafficBuffers,
) -> Tuple[int, int]:
    """Sum up the spikes that leave the cores of some sources, core by core, until the buffers are full.

    Return the position in `order` to continue at, and the number of elements in the buffers.

    Parameters
    ----------
    order : (sources,) int64 array; the sources, sorted by core
    totals : (2,) float64 array; increased by Σ spikes × other cores reached, and by the spikes that reach another core
    row : (cores,) float64 array; zeros
    buffers : output; at least as long as there are cores
    """
    filled = 0
    touched = np.empty(row.size, np.int64)
    while begin < order.size and filled + row.size <= buffers.spikes.size:
        own, count, at = core[order[begin]], 0, begin
        while at < order.size and core[order[at]] == own:
            this, weight = sets.set_of[order[at]], spikes[order[at]]
            at += 1
            while at < order.size and core[order[at]] == own and sets.set_of[order[at]] == this:
                weight += spikes[order[at]]
                at += 1
            if weight == 0:
                continue
            others = 0
            for k in range(sets.start[this], sets.start[this + 1]):
                other = sets.label[k]
                if other != own:
                    others += 1
                    if row[other] == 0:
                        touched[count] = other
                        count += 1
                    row[other] += weight
            totals[0] += weight * others
            if others:
                totals[1] += weight
        filled = _flush(own, touched[:count], row, buffers, filled)
        begin = at
    return begin, filled


@compiled
def _flush(own: int, touched: np.ndarray, row: np.ndarray, buffers: TrafficBuffers, filled: int) -> int:
    """Move a row of the traffic matrix to the buffers, and return their new length."""
    for other in touched:
        buffers.source[filled], buffers.target[filled], buffers.spikes[filled] = own, other, row[other]
        row[other] = 0
        filled += 1
    return filled


@compiled
def multicast_hops(
    order: np.ndarray, core: np.ndarray, spikes: np.ndarray, sets: Reached, positions: MeshPositions
) -> float:
    """Sum spikes × links in the union of the routes to the cores reached; `order` sorts the sources by core."""
    total, at, columns = 0.0, 0, positions.columns
    low, high, used = np.full(columns, -1, np.int64), np.empty(columns, np.int64), np.empty(columns, np.int64)
    while at < order.size:
        own, this, weight = core[order[at]], sets.set_of[order[at]], spikes[order[at]]
        at += 1
        while at < order.size and core[order[at]] == own and sets.set_of[order[at]] == this:
            weight += spikes[order[at]]
            at += 1
        if weight != 0:
            cores = sets.label[sets.start[this] : sets.start[this + 1]]
            total += weight * _tree(own, positions, cores, low, high, used)
    return total


@compiled
def _tree(
    core: int, positions: MeshPositions, cores: np.ndarray, low: np.ndarray, high: np.ndarray, used: np.ndarray
) -> int:
    """Count the links in the union of the routes from a core to others: along x first, then along y.

    All routes share the row of the core and leave it in the columns of the others. The union is the row from the
    leftmost to the rightmost column, and each column from its lowest to its highest core.
    """
    x, y = positions.x, positions.y
    left = right = x[core]
    columns = 0
    for c in cores:
        if c == core:
            continue
        column, row = x[c], y[c]
        left, right = min(left, column), max(right, column)
        if low[column] < 0:
            low[column] = high[column] = y[core]
            used[columns] = column
            columns += 1
        low[column], high[column] = min(low[column], row), max(high[column], row)
    links = right - left
    for i in range(columns):
        links += high[used[i]] - low[used[i]]
        low[used[i]] = -1
    return links
