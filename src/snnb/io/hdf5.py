"""Read HDF5 files with errors of one line, and write them so that equal data give equal bytes."""

import io
import itertools
import mmap
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Mapping, Optional, Tuple, Union
from weakref import WeakValueDictionary

import h5py
import numpy as np

from snnb.core.errors import DamagedError, first_line
from snnb.core.machine import require_declared
from snnb.io.text import JsonValue, parse_json

RAISED_BY_HDF5 = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)


@contextmanager
def reading(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file; raise `DamagedError` if it is missing, or if HDF5 raises inside the block."""
    if not path.exists():
        raise DamagedError(path, "no such file")
    try:
        opened = h5py.File(str(path), "r")
    except OSError:
        raise DamagedError(path, "not a complete HDF5 file") from None
    with opened as file:
        try:
            yield file
        except RAISED_BY_HDF5 as error:
            raise damaged(path, error) from error


_NUMBERS = itertools.count()


def in_memory() -> h5py.File:
    """Return a new HDF5 file in memory, which is never written."""
    return h5py.File(f"{next(_NUMBERS)}.h5", "w", driver="core", backing_store=False)  # names of open files differ


class _Target(io.FileIO):
    """A file that keeps the error of a failed write, after which HDF5 could not close it and would crash the process.

    Later writes are dropped.
    """

    failed: Optional[BaseException] = None

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        rest = data
        try:
            while self.failed is None and len(rest):
                rest = rest[super().write(rest) :]
        except BaseException as error:  # an interruption too
            self.failed = error
        return len(data)


@contextmanager
def writing(path: Path, mode: str = "w", **options: int) -> Iterator[h5py.File]:
    """Create an HDF5 file, or change one with mode `r+`; raise the error of a failed write when the block is done."""
    with _Target(str(path), {"w": "w+"}.get(mode, mode)) as target:
        try:
            with h5py.File(target, mode, **options) as file:
                yield file
        finally:
            if target.failed is not None:
                raise target.failed


def damaged(path: Path, error: BaseException) -> DamagedError:
    """Return a `DamagedError` with the first line of an error of HDF5 or h5py."""
    return DamagedError(path, f"damaged ({first_line(error)})")


def json_attribute(file: h5py.File, name: str, path: Path) -> JsonValue:
    """Read JSON of an attribute of the root, None if there is none; raise `DamagedError` if it is not JSON."""
    try:
        value = file.attrs.get(name)
    except RAISED_BY_HDF5 as error:
        raise damaged(path, error) from None
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise DamagedError(path, f"the attribute {name} is not text")
    return parse_json(value, path, f"the attribute {name} is ")


def copy_without_times(source: h5py.Group, target: h5py.Group) -> None:
    """Copy attributes, groups and arrays, without the times that h5py 2 records by default."""
    copy_attributes(source.attrs, target)
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            copy_without_times(item, target.create_group(name))
        else:
            write_array(target, name, item[()])


def copy_attributes(attributes: Mapping[str, object], target: h5py.Group) -> None:
    """Write `attributes` of another object to `target`; text as bytes, which h5py 2 and TensorFlow 2.2 expect."""
    for name, value in attributes.items():
        target.attrs[name] = value.encode() if isinstance(value, str) else value


def whole(stored: Union[h5py.Dataset, np.ndarray]) -> np.ndarray:
    """Read a dataset, after `require_declared`: one that was never written takes no space in the file."""
    if isinstance(stored, np.ndarray):
        return stored
    require_declared(Path(stored.file.filename), stored.size, f"values of {stored.name}", stored.dtype.itemsize)
    return stored[()]


_maps: "WeakValueDictionary[Tuple[int, ...], mmap.mmap]" = WeakValueDictionary()  # while an array needs them


def mapped_array(stored: h5py.Dataset) -> np.ndarray:
    """Return a dataset, read-only and valid after its file is closed; mapped into memory unless it is compressed."""
    offset, descriptor = stored.id.get_offset(), stored.file.id.get_vfd_handle()
    if offset is None:  # in chunks, or empty
        return whole(stored)
    status = os.fstat(descriptor)
    file = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
    mapped = _maps.get(file)
    if mapped is None:  # one for all arrays of the file, since each has a file descriptor
        mapped = _maps[file] = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, stored.dtype, stored.size, offset).reshape(stored.shape)


def write_array(group: h5py.Group, name: str, values: np.ndarray) -> None:
    """Write an array contiguously and without a time, so that equal data are equal bytes."""
    group.create_dataset(name, data=np.asarray(values, order="C"), track_times=False)
