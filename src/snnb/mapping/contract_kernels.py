"""The compiled loop that finds equal sets. Importing this module imports numba."""

import numpy as np

from snnb.core.compiled import compiled


@compiled
def number_distinct(start: np.ndarray, label: np.ndarray, table: np.ndarray, number: np.ndarray) -> int:
    """Give sets numbers in the order in which they are first met, equal ones the same; empty ones get −1.

    Neighbouring positions meet the same labels in the same order, so only sets in the same order are found equal.

    Parameters
    ----------
    start, label : ndarray
        The sets: see `Reached`.
    table : ndarray of int64
        A hash table filled with −1; its length a power of two, larger than the number of sets.
    number : ndarray of int64, shape (sets,)
        The result.

    Returns
    -------
    int
        How many distinct sets there are.
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
