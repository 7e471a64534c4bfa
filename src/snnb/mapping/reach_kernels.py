"""Compiled loops that find the labels that sources reach. Importing this module imports numba.

Each writes sets one after another into `label`, and their offsets into `start`, and returns the number of labels. With
an empty `label` it only counts. `seen` has an element for each label. Marks from `mark` on must not have been used in
`seen` before.
"""

import numpy as np

from snnb.core.compiled import compiled


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
def at_positions(
    of: np.ndarray, filters: int, seen: np.ndarray, mark: int, start: np.ndarray, label: np.ndarray
) -> int:
    """Find the distinct labels of the `filters` neurons at each position; `of` is the label of each neuron."""
    filled = 0
    for position in range(of.size // filters):
        start[position] = filled
        for neuron in range(position * filters, (position + 1) * filters):
            filled = _note(of[neuron], mark + position, seen, label, filled)
    start[of.size // filters] = filled
    return filled


@compiled
def in_windows(
    row_start: np.ndarray,
    row_output: np.ndarray,
    column_start: np.ndarray,
    column_output: np.ndarray,
    columns: int,
    at_start: np.ndarray,
    at: np.ndarray,
    seen: np.ndarray,
    mark: int,
    start: np.ndarray,
    label: np.ndarray,
) -> int:
    """Unite the labels of the output positions whose windows contain each input position.

    `at[at_start[n]:at_start[n + 1]]` are the labels of the output position n.
    """
    filled, pixel = 0, 0
    for row in range(row_start.size - 1):
        for column in range(column_start.size - 1):
            start[pixel] = filled
            for i in range(row_start[row], row_start[row + 1]):
                for j in range(column_start[column], column_start[column + 1]):
                    output = row_output[i] * columns + column_output[j]
                    for k in range(at_start[output], at_start[output + 1]):
                        filled = _note(at[k], mark + pixel, seen, label, filled)
            pixel += 1
    start[pixel] = filled
    return filled


@compiled
def by_channel(
    row_start: np.ndarray,
    row_output: np.ndarray,
    column_start: np.ndarray,
    column_output: np.ndarray,
    columns: int,
    channels: int,
    multiplier: int,
    of: np.ndarray,
    seen: np.ndarray,
    mark: int,
    start: np.ndarray,
    label: np.ndarray,
) -> int:
    """Find the distinct labels that each channel of each input position reaches, with diagonal pairing."""
    filled, place = 0, 0
    for row in range(row_start.size - 1):
        for column in range(column_start.size - 1):
            for channel in range(channels):
                start[place] = filled
                for i in range(row_start[row], row_start[row + 1]):
                    for j in range(column_start[column], column_start[column + 1]):
                        output = row_output[i] * columns + column_output[j]
                        first = (output * channels + channel) * multiplier
                        for neuron in range(first, first + multiplier):
                            filled = _note(of[neuron], mark + place, seen, label, filled)
                place += 1
    start[place] = filled
    return filled


@compiled
def united(
    unit_start: np.ndarray,
    unit: np.ndarray,
    set_start: np.ndarray,
    set_label: np.ndarray,
    seen: np.ndarray,
    mark: int,
    start: np.ndarray,
    label: np.ndarray,
) -> int:
    """Unite sets: set n of the result is the union of the sets unit[unit_start[n]:unit_start[n + 1]]."""
    filled = 0
    for n in range(unit_start.size - 1):
        start[n] = filled
        for u in range(unit_start[n], unit_start[n + 1]):
            for k in range(set_start[unit[u]], set_start[unit[u] + 1]):
                filled = _note(set_label[k], mark + n, seen, label, filled)
    start[unit_start.size - 1] = filled
    return filled


@compiled
def runs_of_units(unit_start: np.ndarray, unit: np.ndarray, run: np.ndarray) -> int:
    """Write the index of the run of sources with equal units that each source is in; return the number of runs."""
    number = -1
    for source in range(unit_start.size - 1):
        begin, end = unit_start[source], unit_start[source + 1]
        same = source > 0 and end - begin == begin - unit_start[source - 1]
        if same:
            for u in range(begin, end):
                if unit[u] != unit[u - (end - begin)]:
                    same = False
                    break
        if not same:
            number += 1
        run[source] = number
    return number + 1


@compiled
def number_distinct(start: np.ndarray, label: np.ndarray, table: np.ndarray, number: np.ndarray) -> int:
    """Assign numbers to distinct sets in the order of their first occurrence, empty sets −1; return how many there are.

    Sets are compared with their order: neighbouring positions reach the same labels in the same order. `table` is a
    hash table filled with −1; its length is a power of two, larger than the number of sets. `number` is the output.
    """
    count, mask = 0, table.size - 1
    for this in range(number.size):
        begin, length = start[this], start[this + 1] - start[this]
        if length == 0:
            number[this] = -1
            continue
        value = length
        for k in range(begin, begin + length):
            value = (value ^ label[k]) * 1099511628211  # FNV-1a, of numbers instead of bytes
        at = (value ^ (value >> 29)) & mask
        while True:
            other = table[at]
            if other < 0:
                table[at] = this
                number[this] = count
                count += 1
                break
            same = start[other + 1] - start[other] == length
            if same:
                for k in range(length):
                    if label[begin + k] != label[start[other] + k]:
                        same = False
                        break
            if same:
                number[this] = number[other]
                break
            at = (at + 1) & mask
    return count


@compiled
def own_sources(
    source_start: np.ndarray, source: np.ndarray, target_start: np.ndarray, target: np.ndarray, mark: np.ndarray
) -> np.ndarray:
    """Return which sources of each set are targets of it, too; `mark` has −1 for each group."""
    own = np.zeros(source.size, np.bool_)
    for this in range(source_start.size - 1):
        for k in range(target_start[this], target_start[this + 1]):
            mark[target[k]] = this
        for k in range(source_start[this], source_start[this + 1]):
            own[k] = mark[source[k]] == this
    return own
