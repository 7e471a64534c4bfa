"""Read numpy's npy and npz files, without pickled objects."""

import errno
import math
import tokenize
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Dict, Iterable, Iterator, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import DamagedError, first_line
from snnb.io.budget import Budget
from snnb.io.files import raise_when_out_of_memory, refuse_special

RAISED_BY_ZIP = (zipfile.BadZipFile, zlib.error, EOFError)
RAISED_BY_NUMPY = (
    ValueError,
    TypeError,
    SyntaxError,
    RuntimeError,
    LookupError,
    *RAISED_BY_ZIP,
)


def load_array(path: Path) -> np.ndarray:
    """Map an npy file into memory, read-only.

    Raise `DamagedError` if the file is not an npy file, is truncated, or holds objects.
    """
    refuse_special(path)
    try:
        with path.open("rb") as file:
            _check_held(path, "not a complete npy file: it ", path.stat().st_size, file)
        array = np.load(str(path), mmap_mode="r", allow_pickle=False)
    except RAISED_BY_NUMPY as error:
        raise DamagedError(
            path, f"not a complete npy file ({first_line(error)})"
        ) from None
    if not isinstance(array, np.ndarray):
        raise DamagedError(path, "not an npy file")
    return array


def load_archive(
    path: Path, *, names: Optional[Sequence[str]] = None, must: Sequence[str] = ()
) -> Dict[str, np.ndarray]:
    """Read the arrays `names` (by default all) of an npz file.

    Raise `DamagedError` if the file is not an npz file, is damaged, holds objects, or
    lacks an array of `must`, `ResourceError` if an array does not fit into memory.
    """
    arrays: Dict[str, np.ndarray] = {}
    with _reading_archive(path) as archive:
        members = {
            member.filename[: -len(".npy")]: member for member in archive.infolist()
        }
        members = {
            name: member
            for name, member in members.items()
            if names is None or name in names
        }
        _check_sizes(Budget(path), archive, members.values())
        for name, member in members.items():
            with archive.open(member) as file:
                arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
                file.read(1)  # at its end, zipfile compares the checksum
    missing_names = [name for name in must if name not in arrays]
    if missing_names:
        raise DamagedError(path, f"has no array {missing_names[0]}")
    return arrays


def check_archive(path: Path) -> None:
    """Raise an error if the arrays of an npz file have other sizes than it declares, or do not fit into memory."""
    with _reading_archive(path) as archive:
        _check_sizes(Budget(path), archive, archive.infolist())


def read_member(
    budget: Budget, archive: zipfile.ZipFile, name: str, memory_bytes: int = 1
) -> bytes:
    """Read a member of a zip file, of which a byte takes `memory_bytes`, after drawing them."""
    _require_deflate(budget.path, archive.getinfo(name))
    budget.draw(archive.getinfo(name).file_size, f"bytes of {name}", memory_bytes)
    return archive.read(name)


def read_header(file: IO[bytes]) -> Tuple[Tuple[int, ...], np.dtype]:
    """Return shape and type of the array of an opened npy file; raise one of `RAISED_BY_NUMPY` if it has none."""
    older = np.lib.format.read_magic(file) == (1, 0)
    read = (
        np.lib.format.read_array_header_1_0
        if older
        else np.lib.format.read_array_header_2_0
    )
    try:
        shape, _, dtype = read(file)
    except (
        MemoryError,
        tokenize.TokenError,
    ):  # of many brackets, by the parser of Python 3.8
        raise ValueError("its header is not valid") from None
    return shape, dtype


@contextmanager
def _reading_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an npz file; raise `DamagedError` if numpy or zipfile raise inside the block."""
    refuse_special(path)
    try:
        with raise_when_out_of_memory(path), zipfile.ZipFile(str(path)) as archive:
            yield archive
    except RAISED_BY_NUMPY as error:
        raise DamagedError(
            path, f"not a complete npz file ({first_line(error)})"
        ) from None
    except OSError as error:
        if (
            error.errno != errno.EINVAL
        ):  # zipfile seeks to a position that a damaged file names
            raise
        raise DamagedError(path, "not a complete npz file") from None


def _require_deflate(path: Path, member: zipfile.ZipInfo) -> None:
    """Raise `DamagedError` for other compression, of which zipfile may unpack gigabytes to read one byte."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DamagedError(
            path,
            f"{member.filename} is compressed, but not by deflate; pack it with "
            "deflate",
        )


def _check_sizes(
    budget: Budget, archive: zipfile.ZipFile, members: Iterable[zipfile.ZipInfo]
) -> None:
    """Compare the sizes that headers declare with those of the members, and draw them."""
    for member in members:
        _require_deflate(budget.path, member)
        with archive.open(member) as file:
            number, item_bytes = _check_held(
                budget.path, f"{member.filename} ", member.file_size, file
            )
        budget.draw(number, f"values of {member.filename}", item_bytes)


def _check_held(path: Path, name: str, size: int, file: IO[bytes]) -> Tuple[int, int]:
    """Compare the bytes that the header of an npy file of `size` bytes declares with those after it.

    Return the number of values, and the bytes of one. `name` begins the message, with a
    space after it.
    """
    shape, dtype = read_header(file)
    number, data_bytes = math.prod(shape), size - file.tell()
    item_bytes = (
        dtype.itemsize if dtype.itemsize > 0 else max(data_bytes, 1)
    )  # numpy's number of bytes can overflow
    if (
        number * item_bytes > data_bytes and not dtype.hasobject
    ):  # numpy refuses objects
        raise DamagedError(
            path,
            f"{name}declares {number:,} values of {dtype}, and holds {data_bytes:,} "
            "bytes",
        )
    return number, item_bytes


def write_member(archive: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    """Add an array to an npz file as `numpy.savez` does, so that one array at a time is in memory."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, values, allow_pickle=False)


def write_header(file: IO[bytes], dtype: np.dtype, shape: Tuple[int, ...]) -> None:
    """Write the header of an npy file, which the values follow in any number of parts."""
    description = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        file, {"descr": description, "fortran_order": False, "shape": shape}
    )


def one_hot(numbers: np.ndarray, classes: int) -> np.ndarray:
    """Return float32 (n, classes) with 1 at the class number of each row; `numbers` are (n,)."""
    rows = np.zeros((numbers.size, classes), np.float32)
    rows[np.arange(numbers.size), numbers] = 1
    return rows
