"""Compiled loops over files of hypergraphs. Importing this module imports numba."""

from typing import Tuple

import numpy as np

from snnb.core.compiled import compiled

NEW_LINE, PERCENT, ZERO, NINE = b"\n%09"
SPACES = tuple(b" \t\r")
MOST = 10**17  # of a number before a further digit


@compiled
def find_hyperedges(words: np.ndarray, offset: np.ndarray) -> int:
    """Find the hyperedges of a .snn file, whose words are uint32; return the number of those that are complete.

    `offset`, int64, receives the first word of each, and the end of the last.
    """
    at = np.int64(2)
    offset[0] = at
    for k in range(offset.size - 1):
        if at + 3 > words.size:
            return k
        at += np.int64(words[at]) + 3
        if at > words.size:
            return k
        offset[k + 1] = at
    return offset.size - 1


@compiled
def read_numbers(
    text: np.ndarray, line: int, numbers: np.ndarray, end: np.ndarray, lines: np.ndarray
) -> Tuple[int, int, bool]:
    """Read lines of whole numbers from 0, without empty lines and comments, which begin with %.

    Parameters
    ----------
    text : uint8 array of complete lines
    line : number of lines before the text
    numbers, end, lines : int64 arrays that receive the numbers; for each row the end of its numbers, and its line

    Returns
    -------
    Number of rows, number of lines to the end of the text, or to the first line that is not of such numbers, and
    whether there is such a line.
    """
    at = rows = filled = 0
    while at < text.size:
        line += 1
        begin, is_number, value = filled, False, 0
        if text[at] == PERCENT:
            while at < text.size and text[at] != NEW_LINE:
                at += 1
        while at < text.size and text[at] != NEW_LINE:
            char = text[at]
            if ZERO <= char <= NINE:
                if value > MOST:
                    return rows, line, True
                value, is_number = 10 * value + (char - ZERO), True
            elif char in SPACES:
                if is_number:
                    numbers[filled] = value
                    filled, value, is_number = filled + 1, 0, False
            else:
                return rows, line, True
            at += 1
        if is_number:
            numbers[filled] = value
            filled += 1
        if filled > begin:
            end[rows], lines[rows] = filled, line
            rows += 1
        at += 1
    return rows, line, False
