"""The compiled loops that find what sources reach. Importing this module imports numba.

Each writes sets one after another into `label`, and where each begins into `start`. With an empty `label` it only
counts, so that it is called twice: once to learn how long `label` must be. `seen` has an element for each label; a
call needs marks that no call before has left there, from `mark` on.
"""

import numpy as np

from snnb.core.compiled import compiled


@compiled
def _note(this: int, mark: int, seen: np.ndarray, label: np.ndarray, filled: int) -> int:
    """Write a label behind the `filled` ones, unless it has the mark already; return how many there are then."""
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
    """Find the distinct labels of the `filters` neurons at each position; `of` has the label of each neuron."""
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
    """Unite the labels of the output positions that each input position meets; `at` has those of an output position."""
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
    """Find the distinct labels that each channel of each input position meets, where channels are apart (diagonal)."""
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
    """Unite sets: number n is the union of the sets unit[unit_start[n]:unit_start[n + 1]]."""
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
    """Write which run of sources with the same units each source is in, and return how many runs there are."""
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
