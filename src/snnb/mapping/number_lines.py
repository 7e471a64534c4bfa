"""Files of whole numbers, some a line, as partitioners and placers write them: read fast and strictly."""

from pathlib import Path
from typing import Tuple

import numpy as np

from snnb.core.compiled import compiled
from snnb.core.errors import InputError

SHOWN = 40  # characters of a line that is wrong
GOOD, WRONG, NEGATIVE = 0, 1, 2
LARGEST = 2**31 - 1
LONGEST_LINE = 11  # bytes of the largest number and the end of its line
LINES = 1 << 20  # written at a time
SPACE, TAB, COMMA, RETURN, END = 32, 9, 44, 13, 10
MINUS, ZERO, NINE = 45, 48, 57


def read_number_lines(path: Path, columns: int, most: int, remedy: str) -> Tuple[np.ndarray, bytes]:
    """Read a file of `columns` whole numbers from 0 a line, with spaces, tabs or commas between them.

    Empty lines may only stand at the end.

    Parameters
    ----------
    path : Path
    columns : int
    most : int
        How many lines there may be: a longer file is not read to its end.
    remedy : str
        What a person can do; ends the message.

    Returns
    -------
    numbers : ndarray of int32, shape (lines, columns)
    content : bytes
        Of the file, as it was read.

    Raises
    ------
    InputError
        The file is no regular file or is too long, or a line is not such numbers; the line is named.
    """
    content = path.read_bytes()
    text = np.frombuffer(content, np.uint8)
    numbers = np.empty((content.count(b"\n") + 1, columns), np.int32)
    lines, status, begin = _parse(text, numbers)
    if status != GOOD:
        line = content[begin : begin + SHOWN + 1].split(b"\n")[0].decode("utf-8", "replace")
        shown = line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
        wanted = "a whole number from 0" if columns == 1 else f"{columns} whole numbers from 0"
        what = "is negative" if status == NEGATIVE else "is empty" if not line.strip() else f"is not {wanted}"
        raise InputError(f"{path}: line {lines + 1}, {shown.strip()!r}, {what}; {remedy}")
    return numbers[:lines], content


def write_number_lines(path: Path, numbers: np.ndarray) -> None:
    """Write whole numbers, one a line.

    Parameters
    ----------
    path : Path
    numbers : ndarray of int32, shape (lines,)
        From 0.
    """
    with path.open("wb") as file:
        for start in range(0, numbers.size, LINES):
            part = numbers[start : start + LINES]
            text = np.empty(part.size * LONGEST_LINE, np.uint8)
            file.write(text[: _format(part, text)].data)


@compiled
def _format(numbers: np.ndarray, text: np.ndarray) -> int:
    """Fill `text`, and return how many bytes of it."""
    at = 0
    for number in numbers:
        digits, rest = 1, number // 10
        while rest:
            digits, rest = digits + 1, rest // 10
        rest = number
        for place in range(digits - 1, -1, -1):
            text[at + place] = ZERO + rest % 10
            rest //= 10
        text[at + digits] = END
        at += digits + 1
    return at


@compiled
def _parse(text: np.ndarray, numbers: np.ndarray) -> Tuple[int, int, int]:
    """Fill `numbers`; returns the lines read, what is wrong with the next one, and where that begins."""
    row, begin = 0, 0
    empty = -1  # where the first of the empty lines before this one begins
    filled = 0  # lines up to the last that is not empty
    while begin < text.size:
        column, at, status = _parse_line(text, begin, numbers[row])
        if column == 0 and status == GOOD:
            empty = begin if empty < 0 else empty
        elif empty >= 0:
            return filled, WRONG, empty
        elif status != GOOD or column != numbers.shape[1]:
            return row, WRONG if status == GOOD else status, begin
        else:
            filled = row + 1
        row, begin = row + 1, at
    return filled, GOOD, begin


@compiled
def _parse_line(text: np.ndarray, at: int, numbers: np.ndarray) -> Tuple[int, int, int]:
    """Read one line; returns how many numbers it has, where the next one begins, and what is wrong."""
    column = 0
    while at < text.size and text[at] != END:
        byte = text[at]
        if _is_between(byte) and (byte != COMMA or 0 < column < numbers.size):
            at += 1
            continue
        if byte == MINUS and at + 1 < text.size and ZERO <= text[at + 1] <= NINE:
            return column, at, NEGATIVE
        if byte < ZERO or byte > NINE or column == numbers.size:
            return column, at, WRONG
        value = 0
        while at < text.size and ZERO <= text[at] <= NINE:
            value = 10 * value + text[at] - ZERO
            if value > LARGEST:
                return column, at, WRONG
            at += 1
        if at < text.size and text[at] != END and not _is_between(text[at]):
            return column, at, WRONG
        numbers[column] = value
        column += 1
    return column, at + 1, GOOD


@compiled
def _is_between(byte: int) -> bool:
    return byte in (SPACE, TAB, RETURN, COMMA)
