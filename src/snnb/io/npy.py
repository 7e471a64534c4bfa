"""numpy's files, read without objects, and with a check of the declared sizes before memory is taken.

Format: numpy.lib.format (NEP 1), versions 1 to 3. Only what this package writes and data sets hold is read: plain
numbers and fixed-width text.
"""

import errno
import io
import math
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Dict, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.io.files import open_regular

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10_000
MOST_AXES = 32  # numpy's own limit
ALWAYS_ALLOWED = 1 << 28  # bytes that may come out of any compressed file
LARGEST_RATIO = 200  # beyond ALWAYS_ALLOWED, a compressed file may hold this many times its own size
HEADER = re.compile(
    r"\s*\{\s*'descr':\s*'(?P<descr>[<>|=]?[biufSU]\d{1,6})',\s*'fortran_order':\s*(?P<fortran>True|False),\s*"
    # Each number but the last ends with its comma, so that there is one way to match them: else a match may take years.
    r"'shape':\s*\((?P<shape>(?:\s*\d{1,18}\s*,)*\s*(?:\d{1,18}\s*)?)\),?\s*\}\s*"
)
Header = Tuple[np.dtype, bool, Tuple[int, ...]]


def implausible(declared: int, stored: int) -> bool:
    """Whether a compressed file of `stored` bytes declares so much that it is made to exhaust the memory."""
    return declared > ALWAYS_ALLOWED and declared > LARGEST_RATIO * stored


def load_array(path: Path, remedy: str, *, shape: Optional[Tuple[Optional[int], ...]] = None) -> np.ndarray:
    """Map an npy file into memory, read-only.

    Parameters
    ----------
    path : Path
        The file.
    remedy : str
        What a person can do when it is damaged; the end of the message.
    shape : tuple of int or None, optional
        The shape that it must have, with None for a length that does not matter.

    Returns
    -------
    np.ndarray
        The array, mapped.

    Raises
    ------
    InputError
        The file is no regular file, no array of plain numbers or text, has another shape, or not the size that it
        declares.
    """
    with open_regular(path) as file:
        dtype, fortran, found = _header(file, str(path), remedy)
        offset, size = file.tell(), os.fstat(file.fileno()).st_size
        needed = math.prod(found) * dtype.itemsize
        if size - offset != needed:
            raise InputError(f"{path}: declares {needed:,} bytes of data, but has {size - offset:,}; {remedy}")
        if shape is not None:
            _check_shape(str(path), found, shape, remedy)
        if needed == 0:
            return np.empty(found, dtype)
        return np.memmap(file, dtype, "r", offset, found, "F" if fortran else "C")


def load_archive(
    path: Path, remedy: str, *, names: Optional[Sequence[str]] = None, must: Sequence[str] = ()
) -> Dict[str, np.ndarray]:
    """Read the arrays of an npz file.

    Parameters
    ----------
    path, remedy
        As for `load_array`.
    names : sequence of str, optional
        Which arrays to read; by default all.
    must : sequence of str
        Names that the file must have.

    Returns
    -------
    dict of str to np.ndarray
        The arrays by name.

    Raises
    ------
    InputError
        The file is no npz file, is damaged, holds objects, lacks a name of `must`, or declares more than its size can
        hold.
    """
    with open_regular(path) as file:
        return _arrays(file, os.fstat(file.fileno()).st_size, str(path), remedy, names, must)


def parse_archive(
    content: bytes, where: str, remedy: str, *, names: Optional[Sequence[str]] = None, must: Sequence[str] = ()
) -> Dict[str, np.ndarray]:
    """Read the arrays of an npz file whose bytes were found in `where`, as `load_archive` does."""
    return _arrays(io.BytesIO(content), len(content), where, remedy, names, must)


def write_member(archive: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    """Add an array to an npz file, as `numpy.savez` does: so one array at a time is in memory."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, values, allow_pickle=False)


def _arrays(
    file: BinaryIO, size: int, where: str, remedy: str, names: Optional[Sequence[str]], must: Sequence[str]
) -> Dict[str, np.ndarray]:
    arrays: Dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            members = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
            wanted = [m for m in members if names is None or m.filename[:-4] in names]
            if implausible(sum(member.file_size for member in wanted), size):
                raise InputError(f"{where}: declares far more data than {size:,} bytes can hold; {remedy}")
            for member in wanted:
                arrays[member.filename[:-4]] = _member(archive, member, where, remedy)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InputError(f"{where} is not a whole npz file ({_first_line(error)}); {remedy}") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # a damaged file made zipfile look for a place before the file's beginning
            raise
        raise InputError(f"{where} is not a whole npz file; {remedy}") from None
    missing = [name for name in must if name not in arrays]
    if missing:
        raise InputError(f"{where} has no array {missing[0]}; {remedy}")
    return arrays


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, archive_name: str, remedy: str) -> np.ndarray:
    where = f"{archive_name}: {member.filename[:-4]}"
    with archive.open(member) as file:
        dtype, fortran, shape = _header(file, where, remedy)  # type: ignore[arg-type]
        rest, needed = member.file_size - file.tell(), math.prod(shape) * dtype.itemsize
        if rest != needed:
            raise InputError(f"{where}: declares {needed:,} bytes of data, but has {rest:,}; {remedy}")
        values = np.empty(needed, np.uint8)
        done = 0
        while done < needed:
            block = file.read(min(1 << 20, needed - done))
            if not block:
                raise EOFError("ends early")
            values[done : done + len(block)] = np.frombuffer(block, np.uint8)
            done += len(block)
        file.read(1)  # zipfile compares the checksum when it reaches the end
    return values.view(dtype).reshape(shape, order="F" if fortran else "C") if needed else np.empty(shape, dtype)


def _header(file: BinaryIO, where: str, remedy: str) -> Header:
    """Read the header strictly, since numpy's own reader evaluates a Python literal of any size."""
    start = file.read(8)
    if len(start) < 8 or not start.startswith(MAGIC) or start[6] not in (1, 2, 3):
        raise InputError(f"{where} is no numpy array; {remedy}")
    length = int.from_bytes(file.read(2 if start[6] == 1 else 4), "little")
    if length > LONGEST_HEADER:
        raise InputError(f"{where} has a header of {length:,} bytes; {remedy}")
    match = HEADER.fullmatch(file.read(length).decode("latin-1"))
    if match is None:
        raise InputError(f"{where} is no array of plain numbers or text; {remedy}")
    try:
        dtype = np.dtype(match["descr"])
    except TypeError:
        raise InputError(f"{where} has elements of an unknown type {match['descr']}; {remedy}") from None
    if not dtype.itemsize:
        raise InputError(f"{where} has elements of no size; {remedy}")
    shape = tuple(map(int, re.findall(r"\d+", match["shape"])))
    if len(shape) > MOST_AXES:
        raise InputError(f"{where} has {len(shape)} axes; {remedy}")
    if math.prod(length for length in shape if length) * dtype.itemsize >= 2**63:
        raise InputError(f"{where} has a shape that no memory holds; {remedy}")
    return dtype, match["fortran"] == "True", shape


def _check_shape(where: str, found: Tuple[int, ...], wanted: Tuple[Optional[int], ...], remedy: str) -> None:
    if len(found) != len(wanted) or any(w is not None and f != w for f, w in zip(found, wanted)):
        text = "×".join("any" if length is None else str(length) for length in wanted)
        raise InputError(f"{where}: has the shape {'×'.join(map(str, found))}, expected is {text}; {remedy}")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
