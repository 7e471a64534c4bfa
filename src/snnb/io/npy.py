"""Read numpy's npy and npz files, without pickled objects."""

import errno
import zipfile
import zlib
from pathlib import Path
from typing import Dict, Optional, Sequence

import numpy as np

from snnb.core.errors import DamagedError, first_line

RAISED_BY_NUMPY = (
    ValueError,
    TypeError,
    EOFError,
    SyntaxError,
    RuntimeError,
    LookupError,
    zipfile.BadZipFile,
    zlib.error,
)


def load_array(path: Path) -> np.ndarray:
    """Map an npy file into memory, read-only.

    Raise `DamagedError` if the file is not an npy file, is truncated, or holds objects.
    """
    try:
        array = np.load(str(path), mmap_mode="r", allow_pickle=False)
    except RAISED_BY_NUMPY as error:
        raise DamagedError(path, f"not a complete npy file ({first_line(error)})") from None
    if not isinstance(array, np.ndarray):
        raise DamagedError(path, "not an npy file")
    return array


def load_archive(
    path: Path, *, names: Optional[Sequence[str]] = None, must: Sequence[str] = ()
) -> Dict[str, np.ndarray]:
    """Read the arrays `names` (by default all) of an npz file.

    Raise `DamagedError` if the file is not an npz file, is damaged, holds objects, or lacks an array of `must`.
    """
    arrays: Dict[str, np.ndarray] = {}
    try:
        with zipfile.ZipFile(str(path)) as archive:
            for member in archive.namelist():
                name = member[: -len(".npy")]
                if names is None or name in names:
                    with archive.open(member) as file:
                        arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
                        file.read(1)  # at its end, zipfile compares the checksum
    except RAISED_BY_NUMPY as error:
        raise DamagedError(path, f"not a complete npz file ({first_line(error)})") from None
    except OSError as error:
        if error.errno != errno.EINVAL:  # zipfile seeks to a position that a damaged file names
            raise
        raise DamagedError(path, "not a complete npz file") from None
    missing = [name for name in must if name not in arrays]
    if missing:
        raise DamagedError(path, f"has no array {missing[0]}")
    return arrays


def write_member(archive: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    """Add an array to an npz file as `numpy.savez` does, so that one array at a time is in memory."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, values, allow_pickle=False)
