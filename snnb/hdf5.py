"""HDF5 files, read without following them to other files and without believing what they declare."""

from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Set

import h5py

from snnb.arrays import implausible
from snnb.errors import InputError
from snnb.files import open_regular

DEEPEST = 32
RAISED_BY_HDF5 = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)


@contextmanager
def reading(path: Path, remedy: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading once it is known that all its data lie in it.

    Parameters
    ----------
    path
        The file.
    remedy
        What a person can do when it is damaged; ends the message.

    Raises
    ------
    InputError
        The file is missing, no regular file or no HDF5 file; it has a link to another file, data in another file, more
        levels than `DEEPEST`, or declares more data than it can hold. What HDF5 raises inside the block also becomes
        this error.
    """
    with open_hdf5(path, remedy) as file:
        try:
            yield file
        except RAISED_BY_HDF5 as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{path} is damaged ({line}); {remedy}") from error


def open_hdf5(path: Path, remedy: str) -> h5py.File:
    """Open as `reading` does, for a caller that keeps the file open and checks itself what it reads."""
    if not path.exists():
        raise InputError(f"{path} is missing; {remedy}")
    with open_regular(path):
        pass
    try:
        file = h5py.File(str(path), "r")
    except OSError:
        raise InputError(f"{path} is no whole HDF5 file; {remedy}") from None
    try:
        _check_group(file, path, remedy, set(), 0)
    except RAISED_BY_HDF5 as error:
        file.close()
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} is damaged ({line}); {remedy}") from None
    except InputError:
        file.close()
        raise
    return file


def _check_group(group: h5py.Group, path: Path, remedy: str, seen: Set[int], depth: int) -> None:
    if depth > DEEPEST:
        raise InputError(f"{path} has more than {DEEPEST} levels of groups; {remedy}")
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise InputError(f"{path}: {name} is a link to elsewhere, which is not followed; {remedy}")
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            raise InputError(f"{path}: {name} is there under two names; {remedy}")
        seen.add(address)
        if isinstance(item, h5py.Group):
            _check_group(item, path, remedy, seen, depth + 1)
        elif isinstance(item, h5py.Dataset):
            _check_dataset(item, path, remedy)


def _check_dataset(dataset: h5py.Dataset, path: Path, remedy: str) -> None:
    if dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: {dataset.name} has its data in another file, which is not read; {remedy}")
    if dataset.shape is None or dataset.dtype.kind == "O":  # empty, or text of variable length
        return
    declared, stored = dataset.dtype.itemsize, dataset.id.get_storage_size()
    for length in dataset.shape:
        declared *= int(length)
    if declared > stored if dataset.chunks is None else implausible(declared, stored):
        raise InputError(f"{path}: {dataset.name} declares {declared:,} bytes, but has {stored:,}; {remedy}")
