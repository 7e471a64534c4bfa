"""Compiled loops over the synapses of a mapping. Importing this module imports numba.

The loops that find the labels that sources reach write sets one after another into `label`, and their offsets into
`start`, and return the number of labels. With an empty `label` they only count. `seen` has −1 for each label.
"""

from typing import NamedTuple

import numpy as np

from snnb.core.compiled import compiled

FACTOR = -7046029254386353131  # odd number of 64 bits; hashes of lists are in the manner of FNV-1a


class Reached(NamedTuple):
    """The labels (cores or groups) that the neurons of a population reach, as sets.

    Neurons that reach the same labels mostly share a set.
    """

    set_of: np.ndarray  # (sources,) int64: index of the set of each neuron
    start: np.ndarray  # (sets + 1,) int64: offset of each set in `label`
    label: np.ndarray  # int32: the distinct labels of each set, in no particular order


@compiled
def _note(this: int, mark: int, seen: np.ndarray, label: np.ndarray, filled: int) -> int:
    """Append a label to the first `filled` ones unless it has the mark; return the new number of labels."""
    if seen[this] != mark:
        seen[this] = mark
        if label.size:
            label[filled] = this
        filled += 1
    return filled


@compiled
def of_runs(of: np.ndarray, length: int, seen: np.ndarray, start: np.ndarray, label: np.ndarray) -> int:
    """Find the distinct labels of each run of `length` neurons; `of` is the label of each neuron."""
    filled = 0
    for run in range(of.size // length):
        start[run] = filled
        for neuron in range(run * length, (run + 1) * length):
            filled = _note(of[neuron], run, seen, label, filled)
    start[of.size // length] = filled
    return filled


@compiled
def in_windows(
    row_start: np.ndarray,
    row_output: np.ndarray,
    column_start: np.ndarray,
    column_output: np.ndarray,
    columns: int,
    channels: int,
    at_start: np.ndarray,
    at: np.ndarray,
    seen: np.ndarray,
    start: np.ndarray,
    label: np.ndarray,
) -> int:
    """Unite, for each channel, the labels of the output positions whose windows contain each input position.

    `at[at_start[n]:at_start[n + 1]]` are the labels of channel n % `channels` of the output position n // `channels`.
    """
    filled, unit = 0, 0
    for row in range(row_start.size - 1):
        for column in range(column_start.size - 1):
            for channel in range(channels):
                start[unit] = filled
                for i in range(row_start[row], row_start[row + 1]):
                    for j in range(column_start[column], column_start[column + 1]):
                        n = (row_output[i] * columns + column_output[j]) * channels + channel
                        for k in range(at_start[n], at_start[n + 1]):
                            filled = _note(at[k], unit, seen, label, filled)
                unit += 1
    start[unit] = filled
    return filled


@compiled
def united(
    unit_start: np.ndarray,
    unit: np.ndarray,
    set_start: np.ndarray,
    set_label: np.ndarray,
    seen: np.ndarray,
    start: np.ndarray,
    label: np.ndarray,
) -> int:
    """Unite sets: set n of the result is the union of the sets unit[unit_start[n]:unit_start[n + 1]]."""
    filled = 0
    for n in range(unit_start.size - 1):
        start[n] = filled
        for u in range(unit_start[n], unit_start[n + 1]):
            for k in range(set_start[unit[u]], set_start[unit[u] + 1]):
                filled = _note(set_label[k], n, seen, label, filled)
    start[unit_start.size - 1] = filled
    return filled


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
def multicast_hops(
    order: np.ndarray, core: np.ndarray, spikes: np.ndarray, sets: Reached, x: np.ndarray, y: np.ndarray
) -> float:
    """Sum spikes × links in the union of the routes to the cores reached.

    Parameters
    ----------
    order : (sources,) int64 array; the sources, sorted by core
    x, y : (cores,) int32 array; routers of the cores
    """
    total, at, columns = 0.0, 0, x.max() + 1
    low, high, used = np.full(columns, -1, np.int64), np.empty(columns, np.int64), np.empty(columns, np.int64)
    while at < order.size:
        own, this, weight = core[order[at]], sets.set_of[order[at]], spikes[order[at]]
        at += 1
        while at < order.size and core[order[at]] == own and sets.set_of[order[at]] == this:
            weight += spikes[order[at]]
            at += 1
        if weight != 0:
            cores = sets.label[sets.start[this] : sets.start[this + 1]]
            total += weight * _tree(own, x, y, cores, low, high, used)
    return total


@compiled
def _tree(
    core: int, x: np.ndarray, y: np.ndarray, cores: np.ndarray, low: np.ndarray, high: np.ndarray, used: np.ndarray
) -> int:
    """Count the links in the union of the routes from a core to others: along x first, then along y.

    All routes share the row of the core and leave it in the columns of the others. The union is the row from the
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
def hash_lists(
    indptr: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    neurons: np.ndarray,
    counted: np.ndarray,
    buffers: np.ndarray,
    lists: np.ndarray,
) -> int:
    """Write the hash of each source's list of synapses onto each core, and the list's content; return their number.

    Parameters
    ----------
    indptr, target, weight : targets of each source, ascending, and the bits of the weights, in CSR form
    neurons : (neurons, 2) int32 array; core of each, and its rank by id among the neurons of the core
    counted : (cores,) bool array; lists of other cores are left out
    buffers : (cores, 3) int64 array; hash, local index of the first target and length of a list, which is 0
    lists : (lists, 2) int64 array; output: hash, and core · 2^32 + length
    """
    number = 0
    touched = np.empty(len(buffers), np.int64)
    for source in range(indptr.size - 1):
        cores = 0
        for edge in range(indptr[source], indptr[source + 1]):
            core, index = np.int64(neurons[target[edge], 0]), np.int64(neurons[target[edge], 1])
            if not counted[core]:
                continue
            if buffers[core, 2] == 0:
                touched[cores] = core
                cores += 1
                buffers[core, 0], buffers[core, 1] = (core + 1) * FACTOR, index
            value = (buffers[core, 0] ^ ((index - buffers[core, 1]) << 32) ^ weight[edge]) * FACTOR
            buffers[core, 0] = value ^ ((value >> 32) & 0xFFFFFFFF)
            buffers[core, 2] += 1
        for core in touched[:cores]:
            lists[number, 0], lists[number, 1] = buffers[core, 0], (core << 32) | buffers[core, 2]
            buffers[core, 2] = 0
            number += 1
    return number
