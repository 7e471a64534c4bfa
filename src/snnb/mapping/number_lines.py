"""Text files of integers, a fixed number per line, as partitioners and placers write them."""

import re
import warnings
from io import BytesIO
from pathlib import Path
from typing import Tuple

import numpy as np

from snnb.core.errors import InputError

SHOWN = 40  # characters of a wrong line


def read_number_lines(path: Path, columns: int, remedy: str) -> Tuple[np.ndarray, bytes]:
    """Read a file of integers from 0, separated by spaces, tabs or commas; empty lines are ignored.

    Parameters
    ----------
    path : Path
    columns : int
        Number of integers per line.
    remedy : str
        End of the error message.

    Returns
    -------
    numbers : ndarray of int64, shape (lines, columns)
    content : bytes
        Content of the file.

    Raises
    ------
    InputError
        A line is not such numbers; the message names the line.
    """
    content = path.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy only warns of a fraction in a column of integers, and of no data
            numbers = np.loadtxt(BytesIO(content.replace(b",", b" ")), np.int64, comments=None, ndmin=2)
    except (ValueError, Warning):
        numbers = np.empty((0, 0), np.int64)
    if numbers.shape[1] != columns or (numbers < 0).any():
        raise InputError(f"{path}: {_first_error(content, columns)}; {remedy}")
    return numbers, content


def _first_error(content: bytes, columns: int) -> str:
    good = re.compile(r"\s*|\s*" + r"[\s,]\s*".join([r"\d{1,18}"] * columns) + r"\s*")
    expected = "a whole number from 0" if columns == 1 else f"{columns} whole numbers from 0"
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        if good.fullmatch(line) is None:
            shown = line.strip() if len(line.strip()) <= SHOWN else f"{line.strip()[:SHOWN]}…"
            return f"line {number:,}, {shown!r}, is not {expected}"
    return "the file has no numbers"


def write_number_lines(path: Path, numbers: np.ndarray) -> None:
    """Write integers, one per line.

    Parameters
    ----------
    path : Path
    numbers : ndarray of int32, shape (lines,)
    """
    path.write_text("".join(f"{number}\n" for number in numbers.tolist()))
