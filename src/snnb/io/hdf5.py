"""Read HDF5 files with errors of one line, and write them so that equal data give equal bytes.

Every HDF5 file that a command reads is opened by `open_file`, which refuses data in
other files. Its arrays are read by `whole` and `read_rows`, which draw from the budget
of the opened file.
"""

import io
import math
import mmap
import os
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator, Optional, Tuple, Union
from weakref import WeakValueDictionary

import h5py
import numpy as np

from snnb.core.errors import DamagedError, first_line
from snnb.core.machine import SCRATCH_BYTES
from snnb.io.budget import Budget
from snnb.io.files import raise_when_out_of_memory, refuse_special
from snnb.io.text import JsonValue, parse_json

RAISED_BY_HDF5 = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)
TEXTS = 1000  # that are read at a time: each is smaller than the file


class OpenedFile(h5py.File):
    """An HDF5 file that is read, and its budget."""

    budget: Budget


# Of opened files, by HDF5's number: h5py makes a new object for the file of a dataset.
_budgets: "WeakValueDictionary[int, Budget]" = WeakValueDictionary()


def open_file(
    path: Path, content: Optional[BinaryIO] = None, budget: Optional[Budget] = None
) -> OpenedFile:
    """Open an HDF5 file for reading, or its `content`, if `path` is a member of an archive with this `budget`.

    Raise `DamagedError` if it is missing, a pipe or a device, incomplete, or refers to
    data in another file.
    """
    if content is None and not path.exists():
        raise DamagedError(path, "no such file")
    refuse_special(path)
    try:
        file = OpenedFile(str(path) if content is None else content, "r")
    except OSError:
        raise DamagedError(path, "not a complete HDF5 file") from None
    try:
        number = _file_number(file)
        file.budget = _budgets.get(number) or budget or Budget(path)
        _budgets[number] = file.budget
        _refuse_other_files(file, path)
    except BaseException:
        file.close()
        raise
    return file


def budget_of(item: Union[h5py.Group, h5py.Dataset]) -> Budget:
    """Return the budget of the opened file that a group or dataset is in."""
    budget = _budgets.get(_file_number(item))
    if (
        budget is None
    ):  # the dataset is still in use, and no longer the object of the file
        return Budget(Path(item.file.filename))
    return budget


def _file_number(item: Union[h5py.Group, h5py.Dataset]) -> int:
    """Return HDF5's number of an opened file, which no other file gets."""
    return int(h5py.h5o.get_info(item.id).fileno)


def _refuse_other_files(file: h5py.File, path: Path) -> None:
    """Raise `DamagedError` for external storage, a virtual dataset or an external link, without opening its file.

    HDF5 would read any file that the user can read. A soft link leads to an object of
    the same file.
    """

    def fault_of(name: bytes, link: h5py.h5l.LinkInfo) -> Optional[str]:
        where = text_of(name)
        if link.type == h5py.h5l.TYPE_EXTERNAL:
            return (
                f"the link {where} refers to {text_of(file.id.links.get_val(name)[0])}"
            )
        if link.type != h5py.h5l.TYPE_HARD:
            return (
                None
                if link.type == h5py.h5l.TYPE_SOFT
                else f"the link {where} is of a user-defined type"
            )
        dataset = h5py.h5o.open(file.id, name)
        if not isinstance(dataset, h5py.h5d.DatasetID):
            return None
        creation = dataset.get_create_plist()
        if creation.get_external_count():
            return (
                f"the dataset {where} is stored in "
                f"{text_of(creation.get_external(0)[0])}"
            )
        if creation.get_layout() == h5py.h5d.VIRTUAL:
            sources = [
                creation.get_virtual_filename(number)
                for number in range(creation.get_virtual_count())
            ]
            return (
                f"the dataset {where} is virtual and refers to "
                f"{text_of(sources[0]) if sources else 'no file'}"
            )
        return None

    try:
        fault = file.id.links.visit(fault_of, info=True)  # each group once
    except RAISED_BY_HDF5 as error:
        raise damaged(path, error) from None
    if fault is not None:
        raise DamagedError(
            path, f"{fault}; only data in the file itself are read: copy them into it"
        )


@contextmanager
def reading(
    path: Path, content: Optional[BinaryIO] = None, budget: Optional[Budget] = None
) -> Iterator[OpenedFile]:
    """Open an HDF5 file, see `open_file`; raise `DamagedError` if HDF5 raises inside the block.

    Raise `ResourceError` if the block gets no memory.
    """
    with raise_when_out_of_memory(path), open_file(path, content, budget) as file:
        try:
            yield file
        except RAISED_BY_HDF5 as error:
            raise damaged(path, error) from error


def in_memory(name: str) -> h5py.File:
    """Return a new HDF5 file in memory, which is never written; names of open files differ."""
    return h5py.File(name, "w", driver="core", backing_store=False)


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
    """Create an HDF5 file, or change one with mode `r+`, which must not refer to other files (see `open_file`).

    Raise the error of a failed write when the block is done.
    """
    with _Target(str(path), {"w": "w+"}.get(mode, mode)) as target:
        try:
            with h5py.File(target, mode, **options) as file:
                _refuse_other_files(file, path)
                yield file
        finally:
            if target.failed is not None:
                raise target.failed


def damaged(path: Path, error: BaseException) -> DamagedError:
    """Return a `DamagedError` with the first line of an error of HDF5 or h5py."""
    return DamagedError(path, f"damaged ({first_line(error)})")


def json_attribute(file: h5py.Group, name: str, path: Path) -> JsonValue:
    """Read JSON from an attribute of the root, or return None without it; raise `DamagedError` if it is not JSON."""
    try:
        value = file.attrs.get(name)
    except RAISED_BY_HDF5 as error:
        raise damaged(path, error) from None
    if value is None:
        return None
    if not isinstance(value, (bytes, str)):
        raise DamagedError(path, f"the attribute {name} is not text")
    return parse_json(text_of(value), path, f"the attribute {name} is ")


def text_of(value: object) -> str:
    """Return text of a file, which h5py reads as bytes or as str, according to its type and to the version of h5py."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def copy_without_times(source: h5py.Group, target: h5py.Group) -> None:
    """Copy attributes, groups and arrays, without the times that h5py 2 records by default.

    Text is written as bytes, which h5py 2 and TensorFlow 2.2 expect.
    """
    target.attrs.update(
        {k: v.encode() if isinstance(v, str) else v for k, v in source.attrs.items()}
    )
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            copy_without_times(item, target.create_group(name))
        else:
            write_array(target, name, item[()])


def whole(dataset: Union[h5py.Dataset, np.ndarray]) -> np.ndarray:
    """Read a dataset, after drawing its bytes.

    One that was never written takes no space in the file.
    """
    if isinstance(dataset, np.ndarray):
        return dataset
    refuse_group(dataset)
    shape, dtype = dataset.shape, dataset.dtype
    _draw(dataset, math.prod(shape or ()))
    if dtype.kind == "O" and shape and h5py.check_dtype(vlen=dtype) is not None:
        return _texts(dataset)
    return dataset[()]


def read_rows(dataset: h5py.Dataset, first_row: int, stop: int) -> np.ndarray:
    """Read the rows of a dataset from `first_row` to `stop`, after drawing their bytes."""
    refuse_group(dataset)
    rows = max(0, min(stop, len(dataset)) - first_row)
    _draw(dataset, rows * math.prod(dataset.shape[1:]))
    return dataset[first_row:stop]


def array_in(group: h5py.Group, name: str) -> h5py.Dataset:
    """Return an array of a group; raise `DamagedError` if it is a group itself."""
    item = group[name]
    refuse_group(item)
    return item


def read_integers(dataset: h5py.Dataset, first_row: int, stop: int) -> np.ndarray:
    """Read rows of integers, which may be stored as floating-point numbers: int64.

    Raise `DamagedError` if a value is not an integer of 64 bits.
    """
    values = read_rows(dataset, first_row, stop)
    largest = np.iinfo(np.int64).max
    is_integer = values.dtype.kind in "iu" or (
        values.dtype.kind == "f" and bool((values == np.floor(values)).all())
    )
    if not is_integer or (np.abs(values) >= largest).any():
        raise DamagedError(
            budget_of(dataset).path,
            f"{dataset.name} has values that are not integers of 64 bits",
        )
    return values.astype(np.int64)


def refuse_group(item: Union[h5py.Group, h5py.Dataset]) -> None:
    """Raise `DamagedError` if an object of a file is a group in place of an array."""
    if not isinstance(item, h5py.Dataset):
        raise DamagedError(
            budget_of(item).path, f"{item.name} is a group, not an array"
        )


def _draw(dataset: h5py.Dataset, number: int) -> None:
    """Draw the bytes of a number of values, or those of a larger chunk.

    HDF5 unpacks a complete chunk to read a part of it.
    """
    budget, item_bytes = budget_of(dataset), dataset.dtype.itemsize
    if dataset.chunks is not None:
        size, chunk = math.prod(dataset.shape), math.prod(dataset.chunks)
        if chunk * item_bytes > max(SCRATCH_BYTES, size * item_bytes):
            raise DamagedError(
                budget.path,
                f"{dataset.name} has {size:,} values in a chunk of "
                f"{chunk * item_bytes:,} bytes",
            )
        number = max(number, chunk)
    budget.draw(number, f"values of {dataset.name}", item_bytes)


def _texts(dataset: h5py.Dataset) -> np.ndarray:
    """Read texts, or arrays, of variable length, in blocks.

    The dataset has references, of which several may be to one text.
    """
    budget = budget_of(dataset)
    texts = np.empty(dataset.shape, object)
    rows = max(1, TEXTS // max(1, math.prod(dataset.shape[1:])))
    for first_row in range(0, len(dataset), rows):
        block = dataset[first_row : first_row + rows]
        length = 0
        for text in block.ravel().tolist():
            length += len(text) * getattr(text, "itemsize", 1)
        budget.draw(length, f"bytes of text in {dataset.name}")
        texts[first_row : first_row + rows] = block
    return texts


_maps: "WeakValueDictionary[Tuple[int, ...], mmap.mmap]" = (
    WeakValueDictionary()
)  # while an array needs them


def mapped_array(dataset: Union[h5py.Dataset, np.ndarray]) -> np.ndarray:
    """Return a dataset, read-only and valid after its file is closed; mapped into memory unless it is compressed."""
    if isinstance(dataset, np.ndarray):
        return dataset
    refuse_group(dataset)
    offset, descriptor = dataset.id.get_offset(), dataset.file.id.get_vfd_handle()
    if offset is None:  # in chunks, or empty
        return whole(dataset)
    status = os.fstat(descriptor)
    file = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
    memory_map = _maps.get(file)
    if (
        memory_map is None
    ):  # one for all arrays of the file, since each has a file descriptor
        memory_map = _maps[file] = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    return np.frombuffer(memory_map, dataset.dtype, dataset.size, offset).reshape(
        dataset.shape
    )


def write_array(group: h5py.Group, name: str, values: np.ndarray) -> None:
    """Write an array contiguously and without a time, so that equal data are equal bytes."""
    group.create_dataset(name, data=np.asarray(values, order="C"), track_times=False)
