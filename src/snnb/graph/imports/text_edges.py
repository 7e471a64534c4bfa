"""Compiled reader of edges in lines of text. Importing this module imports numba."""

from typing import Tuple

import numpy as np

from snnb.core.compiled import compiled

NEWLINE, RETURN, SPACE, QUOTE, POINT, MINUS, PLUS, ZERO = 10, 13, 32, 34, 46, 45, 43, 48
SKIP, SOURCE, TARGET, WEIGHT, RATE, SOURCE_GROUP, TARGET_GROUP = range(7)  # use of a column
DONE, FULL, FIELDS, OPEN_QUOTE, NOT_AN_ID, TOO_LARGE, NO_NAME, NOT_A_NUMBER = range(8)  # why `parse_edges` returned
LARGEST = 2**31 - 2  # id
SEPARATOR = 31  # between group and neuron in a name
_POWERS = 10.0 ** np.arange(23)  # exact in float64
_BASIS, _PRIME = np.uint64(14695981039346656037), np.uint64(1099511628211)  # of the hash FNV-1a


# Table of names, with ids in order of first appearance: (power of 2,) int32 hash table of ids, -1 for none;
# (capacity + 1,) int64 offset of each name in the last array; uint8 names, one after the other.
# (With a named tuple numba 0.58 fails in some runs.)
Names = Tuple[np.ndarray, np.ndarray, np.ndarray]


@compiled
def _split(text: np.ndarray, at: int, delimiter: int, bounds: np.ndarray) -> Tuple[int, int]:
    """Write begin and end of each field of a line; return the index of the next line, and the number of fields.

    The number is -1 if a quoted field does not end in the line.
    """
    fields = 0
    while True:
        while text[at] == SPACE:
            at += 1
        if text[at] == QUOTE:
            at += 1
            begin = at
            while text[at] != NEWLINE and (text[at] != QUOTE or text[at + 1] == QUOTE):
                at += 2 if text[at] == QUOTE else 1
            end = at
            closed = text[at] == QUOTE
            at += closed
            while text[at] == SPACE or text[at] == RETURN:
                at += 1
            if not closed or (text[at] != delimiter and text[at] != NEWLINE):
                return at, -1
        else:
            begin = at
            while text[at] != delimiter and text[at] != NEWLINE:
                at += 1
            end = at
            while end > begin and (text[end - 1] == SPACE or text[end - 1] == RETURN):
                end -= 1
        if fields < len(bounds):
            bounds[fields, 0], bounds[fields, 1] = begin, end
        fields += 1
        at += 1
        if text[at - 1] == NEWLINE:
            return at, fields


@compiled
def _integer(text: np.ndarray, begin: int, end: int) -> int:
    """Return an integer from 0; -1 if the text is none, -2 if it is larger than `LARGEST`."""
    if begin == end:
        return -1
    value = 0
    for i in range(begin, end):
        digit = text[i] - ZERO
        if not 0 <= digit <= 9:
            return -1
        value = value * 10 + digit if value <= LARGEST else value
    return value if value <= LARGEST else -2


@compiled
def _number(text: np.ndarray, begin: int, end: int) -> float:
    """Return a decimal number, exact to a few units in the last place of float64; NaN if the text is none.

    Numbers of at most 15 digits and a power of ten of at most 22, as most are, are rounded once.
    """
    at = begin
    negative = at < end and text[at] == MINUS
    at += at < end and (text[at] == MINUS or text[at] == PLUS)
    mantissa, digits, exponent, point = 0, 0, 0, False
    while at < end:
        digit = text[at] - ZERO
        if 0 <= digit <= 9:
            digits += 1
            if mantissa < 10**17:
                mantissa = mantissa * 10 + digit
                exponent -= point
            else:
                exponent += not point
        elif text[at] == POINT and not point:
            point = True
        else:
            break
        at += 1
    if not digits:
        return np.nan
    if at < end:
        if text[at] != 101 and text[at] != 69:  # e, E
            return np.nan
        at += 1
        below = at < end and text[at] == MINUS
        at += at < end and (text[at] == MINUS or text[at] == PLUS)
        power = _integer(text, at, end)
        if power == -1:
            return np.nan
        power = 9999 if power == -2 else min(power, 9999)
        exponent += -power if below else power
    value = float(mantissa)
    if 0 < exponent <= 22:
        value *= _POWERS[exponent]
    elif -22 <= exponent < 0:
        value /= _POWERS[-exponent]
    elif exponent < -300:
        value = value * 1e-300 * 10.0 ** max(exponent + 300, -300)
    elif exponent != 0 and mantissa:
        value *= 10.0**exponent
    return -value if negative else value


@compiled
def _slot(name: np.ndarray, slots: np.ndarray) -> np.int64:
    """Return where to look for a name first."""
    code = _BASIS
    for i in range(name.size):
        code = (code ^ np.uint64(name[i])) * _PRIME
    return np.int64((code ^ (code >> np.uint64(32))) & np.uint64(slots.size - 1))


@compiled
def _insert(names: Names, known: int) -> None:
    """Write the ids of all names into an empty hash table."""
    slots, start, texts = names
    for k in range(known):
        slot = _slot(texts[start[k] : start[k + 1]], slots)
        while slots[slot] >= 0:
            slot = (slot + 1) & (slots.size - 1)
        slots[slot] = k


def name_table(capacity: int, size: int) -> Names:
    """Return an empty table for a number of names, a power of 2, and of bytes."""
    return np.full(4 * capacity, -1, np.int32), np.zeros(capacity + 1, np.int64), np.empty(size, np.uint8)


def enlarged(names: Names, known: int, size: int) -> Names:
    """Return a table with `known` names and room for twice as many, and `size` bytes more."""
    _, start, texts = names
    used = int(start[known])
    slots, larger, copied = name_table(2 * (start.size - 1), used + size)
    larger[: known + 1], copied[:used] = start[: known + 1], texts[:used]
    _insert((slots, larger, copied), known)
    return slots, larger, copied


@compiled
def _name(text: np.ndarray, group: np.ndarray, neuron: np.ndarray, names: Names, known: int) -> int:
    """Return the id of a name, `known` if it is new; it is added then."""
    slots, start, texts = names
    prefix = group[1] - group[0]
    length = neuron[1] - neuron[0] + (prefix + 1 if prefix else 0)
    first = start[known]
    for i in range(prefix):
        texts[first + i] = text[group[0] + i]
    if prefix:
        texts[first + prefix] = SEPARATOR
    for i in range(neuron[1] - neuron[0]):
        texts[first + length - (neuron[1] - neuron[0]) + i] = text[neuron[0] + i]
    slot = _slot(texts[first : first + length], slots)
    while slots[slot] >= 0:
        other = slots[slot]
        begin = start[other]
        same = start[other + 1] - begin == length
        i = 0
        while same and i < length:
            same = texts[begin + i] == texts[first + i]
            i += 1
        if same:
            return other
        slot = (slot + 1) & (slots.size - 1)
    slots[slot] = known
    start[known + 1] = first + length
    return known


@compiled
def parse_edges(
    text: np.ndarray,
    begin: int,
    row: int,
    columns: np.ndarray,
    delimiter: int,
    names: Names,
    known: int,
    edges: Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> Tuple[int, int, int, int, int]:
    """Read lines of fields.

    Parameters
    ----------
    text : uint8 array of complete lines
    begin, row : index of the first line in `text`, and its row in `edges`
    columns : (fields,) int64 array; the use of each column
    delimiter : int
    names : Names; empty if neurons are integers
    known : number of names in the table
    edges : source, target, weight and rate of each row: int32, int32, float32, float32; the output

    Returns
    -------
    at, row, known : index in `text` and row of the line that was not read, and number of names
    status : `DONE`, `FULL` (`names` has to be enlarged), or the fault in this line
    column : index of the field that has a fault
    """
    source, target, weight, rate = edges
    slots, start, texts = names
    bounds, empty = np.zeros((columns.size, 2), np.int64), np.zeros(2, np.int64)
    groups, neurons = np.zeros((2, 2), np.int64), np.zeros((2, 2), np.int64)
    at, named = begin, slots.size > 0
    while at < text.size:
        end, fields = _split(text, at, delimiter, bounds)
        if fields != columns.size:
            return at, row, known, FIELDS if fields >= 0 else OPEN_QUOTE, 0
        if named and (
            known + 2 >= start.size or 2 * known + 4 > slots.size or start[known] + 2 * (end - at) + 4 > texts.size
        ):
            return at, row, known, FULL, 0
        groups[0] = groups[1] = empty
        for column in range(columns.size):
            use = columns[column]
            if use == SKIP:
                continue
            first, last = bounds[column]
            if use in (WEIGHT, RATE):
                value = _number(text, first, last)
                if not np.isfinite(np.float32(value)):
                    return at, row, known, NOT_A_NUMBER, column
                if use == WEIGHT:
                    weight[row] = value
                else:
                    rate[row] = value
            elif use in (SOURCE_GROUP, TARGET_GROUP):
                groups[use - SOURCE_GROUP] = bounds[column]
            elif named:
                if first == last:
                    return at, row, known, NO_NAME, column
                neurons[use - SOURCE] = bounds[column]
            else:
                number = _integer(text, first, last)
                if number < 0:
                    return at, row, known, NOT_AN_ID if number == -1 else TOO_LARGE, column
                if use == SOURCE:
                    source[row] = number
                else:
                    target[row] = number
        if named:
            for k in range(2):
                node = _name(text, groups[k], neurons[k], names, known)
                known += node == known
                if k == 0:
                    source[row] = node
                else:
                    target[row] = node
        at = end
        row += 1
    return at, row, known, DONE, 0
