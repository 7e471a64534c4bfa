"""The compiled loops that add up what spikes between cores cost. Importing this module imports numba."""

from typing import Tuple

import numpy as np

from snnb.core.compiled import compiled

MOST_WORK = 1 << 27  # labels looked at in one call: a fraction of a second


@compiled
def count_axons(sources: np.ndarray, start: np.ndarray, label: np.ndarray, axons: np.ndarray) -> None:
    """Add to each core's axons the number of sources of every set that reaches it."""
    for this in range(sources.size):
        for k in range(start[this], start[this + 1]):
            axons[label[k]] += sources[this]


@compiled
def _tree(
    core: int, x: np.ndarray, y: np.ndarray, cores: np.ndarray, low: np.ndarray, high: np.ndarray, used: np.ndarray
) -> int:
    """Count the links of the union of the routes from a core to others: along x first, then along y.

    All routes share the row of the core, and leave it in the columns of the others; so the union is the row from the
    leftmost to the rightmost column, and each column from its lowest to its highest core.
    """
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


@compiled
def add_up(
    order: np.ndarray,
    begin: int,
    core: np.ndarray,
    spikes: np.ndarray,
    set_of: np.ndarray,
    start: np.ndarray,
    label: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    columns: int,
    sums: np.ndarray,
    row: np.ndarray,
    rows: np.ndarray,
    reached: np.ndarray,
    carried: np.ndarray,
) -> Tuple[int, int]:
    """Add up the spikes that leave the cores of some sources, core after core.

    Parameters
    ----------
    order : ndarray of int64, shape (sources,)
        The sources by core.
    begin : int
        Where in `order` to go on: at the first source of a core.
    core, spikes, set_of : ndarray, shape (sources,)
        Core of each source, its spikes, and the set that it reaches.
    start, label : ndarray
        The sets of cores: see `Reached`.
    x, y : ndarray of int32, shape (cores,)
        Where each core is; used where `columns` is above 0.
    columns : int
        Length of the mesh along x, or 0 where routes are not asked for.
    sums : ndarray of float64, shape (3,)
        To these is added: spikes times other cores reached, spikes that reach another core, spikes times links of the
        union of their routes.
    row : ndarray of float64, shape (cores,)
        Zeros.
    rows, reached, carried : ndarray
        The traffic found: from a core, to another core, spikes. As long as there are cores, at least.

    Returns
    -------
    begin, filled : int
        Where to go on, and how many elements of the traffic were written.
    """
    filled, work = 0, 0
    touched = np.empty(row.size, np.int64)
    low, high, used = np.full(columns, -1, np.int64), np.empty(columns, np.int64), np.empty(columns, np.int64)
    while begin < order.size and work < MOST_WORK:
        here, count, at = core[order[begin]], 0, begin
        if filled + row.size > rows.size:
            break
        while at < order.size and core[order[at]] == here:
            this, weight = set_of[order[at]], spikes[order[at]]
            at += 1
            while at < order.size and core[order[at]] == here and set_of[order[at]] == this:
                weight += spikes[order[at]]
                at += 1
            if weight == 0:
                continue
            others = 0
            work += start[this + 1] - start[this]
            for k in range(start[this], start[this + 1]):
                there = label[k]
                if there != here:
                    others += 1
                    if row[there] == 0:
                        touched[count] = there
                        count += 1
                    row[there] += weight
            sums[0] += weight * others
            if others:
                sums[1] += weight
                if columns:
                    sums[2] += weight * _tree(here, x, y, label[start[this] : start[this + 1]], low, high, used)
        for i in range(count):
            rows[filled], reached[filled], carried[filled] = here, touched[i], row[touched[i]]
            row[touched[i]] = 0
            filled += 1
        begin = at
    return begin, filled
