"""HDF5 files, read without following links to other files, and with a check of the sizes that they declare.

HDF5 1.10 crashes on some damaged files: on one in thirty, when a few bytes anywhere are altered. A crash cannot be
caught, so a copy of the process reads the file first (`_can_be_read`).
"""

import faulthandler
import io
import math
import os
import resource
import signal
import sys
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Iterator, Mapping, Optional, Set

import h5py
import numpy as np
from h5py._objects import phil  # h5py's lock: no other thread may call HDF5 while the process is copied

from snnb.core.errors import InputError
from snnb.io.files import open_regular
from snnb.io.npy import ALWAYS_ALLOWED
from snnb.io.text import JsonValue, parse_json

DEEPEST_GROUP = 32
LARGEST_DEFLATE_RATIO = 1032  # deflate makes at most so many bytes of one
PATIENCE = 10  # seconds of computing time for the structure of a file
STANDS_STILL = 10.0  # seconds without any computing after which the copy is given up
DECOMPRESSED = 20_000_000  # bytes a second, at least
RAISED_BY_HDF5 = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)


@contextmanager
def reading(path: Path, remedy: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, after a check that all its data lie in it.

    Parameters
    ----------
    path : Path
        The file.
    remedy : str
        What a person can do when it is damaged; the end of the message.

    Raises
    ------
    InputError
        The file is missing, or it is no regular file or no HDF5 file. It has a link to another file, data in another
        file, more levels than `DEEPEST_GROUP`, or declares more data than it can hold. HDF5 crashes on it. What HDF5
        raises inside the block also becomes this error.
    """
    with open_hdf5(path, remedy) as file:
        try:
            yield file
        except RAISED_BY_HDF5 as error:
            raise damaged(path, error, remedy) from error


def open_hdf5(path: Path, remedy: str) -> h5py.File:
    """Open as `reading` does, for a caller that holds the file open and handles what HDF5 raises later."""
    if not path.exists():
        raise InputError(f"{path} is missing; {remedy}")
    with open_regular(path):
        pass
    try:
        opened = h5py.File(str(path), "r") if _can_be_read(path) else None
    except OSError:
        raise InputError(f"{path} is not a complete HDF5 file; {remedy}") from None
    if opened is None:
        raise InputError(f"{path} is damaged (HDF5 cannot read it); {remedy}")
    try:
        _check_group(opened, path, remedy, set(), 0)
    except RAISED_BY_HDF5 as error:
        opened.close()
        raise damaged(path, error, remedy) from None
    except InputError:
        opened.close()
        raise
    return opened


def damaged(path: Path, error: BaseException, remedy: str) -> InputError:
    """Return an error that says in one line what HDF5 or h5py raised for a file."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return InputError(f"{path} is damaged ({line}); {remedy}")


def json_attribute(file: h5py.File, name: str, path: Path, remedy: str) -> JsonValue:
    """Read an attribute of the root that holds JSON; None when there is no such attribute.

    Raises
    ------
    InputError
        It is no text or no JSON, or has too many levels.
    """
    try:
        value = file.attrs.get(name)
    except RAISED_BY_HDF5 as error:
        raise damaged(path, error, remedy) from None
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        raise InputError(f"{path}: the attribute {name} is no text; {remedy}")
    return parse_json(value, f"{path}: the attribute {name}", remedy)


def numbers_stored(group: h5py.Group) -> int:
    """Return how many numbers the arrays below a group have together."""
    sizes = []
    group.visititems(lambda _, item: sizes.append(math.prod(item.shape or (0,))) if _is_array(item) else None)
    return sum(sizes)


def _is_array(item: object) -> bool:
    return isinstance(item, h5py.Dataset)


def copy_without_times(source: h5py.Group, target: h5py.Group) -> None:
    """Copy attributes, groups and arrays, without the times that h5py 2 records unless told otherwise."""
    copy_attributes(source.attrs, target)
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            copy_without_times(item, target.create_group(name))
        else:
            write_array(target, name, item[()])


def copy_attributes(attributes: Mapping[str, object], target: h5py.Group) -> None:
    """Write attributes of another object to this one."""
    for name, value in attributes.items():
        target.attrs[name] = value


def write_array(group: h5py.Group, name: str, values: np.ndarray) -> None:
    """Write an array plainly and without a time: other programs find it as it is, and equal data are equal bytes."""
    group.create_dataset(name, data=np.asarray(values, order="C"), track_times=False)


def _check_group(group: h5py.Group, path: Path, remedy: str, seen: Set[int], depth: int) -> None:
    if depth > DEEPEST_GROUP:
        raise InputError(f"{path} has more than {DEEPEST_GROUP} levels of groups; {remedy}")
    for name in group:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise InputError(f"{path}: {name} is a link to elsewhere, which is not followed; {remedy}")
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            raise InputError(f"{path}: {name} has two names; {remedy}")
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
    declared, stored, size = _declared(dataset), dataset.id.get_storage_size(), path.stat().st_size
    if dataset.chunks is not None:
        too_much = declared > ALWAYS_ALLOWED and declared > LARGEST_DEFLATE_RATIO * stored
    else:
        too_much = declared > stored or declared + (dataset.id.get_offset() or 0) > size
    if too_much:
        raise InputError(f"{path}: {dataset.name} declares {declared:,} bytes, but has {stored:,}; {remedy}")


def _declared(dataset: h5py.Dataset) -> int:
    size = int(dataset.dtype.itemsize)
    for length in dataset.shape:
        size *= int(length)
    return size


def _can_be_read(path: Path) -> bool:
    """Whether a copy of this process can read the structure, attributes and compressed data of a file.

    What the copy cannot read without a crash, or not in time, this process must not read. Errors do not count: the
    reader gets them too.
    """
    with phil, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about threads, none of which runs in the copy
        try:
            process = os.fork()
        except OSError:
            return True  # no memory for a copy, and most files are not damaged
        if process == 0:
            _read_and_end(path)
    status: Optional[int] = None
    try:
        status = _ended(process)
    finally:
        if status is None:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
    return status in (None, 0)


def _ended(process: int) -> Optional[int]:
    """Return the status with which the copy ended, or None when it does not compute any more.

    The latter says nothing about the file: a copy of a process with threads may wait for ever for a lock that one of
    the threads held.
    """
    pause, computed, since = 0.001, "", time.monotonic()
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return status
        now = _computed(process)
        if now != computed:
            computed, since = now, time.monotonic()
        elif time.monotonic() - since > STANDS_STILL:
            return None
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def _computed(process: int) -> str:
    """Return user and system time of a process as the kernel writes them (proc(5): fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return " ".join(fields[11:13])


def _read_and_end(path: Path) -> None:
    """Read everything in the copy of the process, and end it with status 0 if the file is not damaged.

    h5py prints a message about a type that it cannot convert on standard output, where results belong: a file with such
    a type is damaged too.
    """
    said = sys.stdout = io.StringIO()
    try:
        faulthandler.disable()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (1, 2):
            os.dup2(null, standard)
        _allow(PATIENCE)
        with h5py.File(str(path), "r") as file:
            _read_group(file, 0)
    finally:
        os._exit(1 if said.getvalue() else 0)


def _allow(seconds: float) -> None:
    """Let this process compute for so many seconds from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    limit = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))


def _read_group(group: h5py.Group, depth: int) -> None:
    _read_attributes(group)
    for name in group if depth <= DEEPEST_GROUP else ():
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = group[name]
        h5py.h5o.get_info(item.id)
        if isinstance(item, h5py.Group):
            _read_group(item, depth + 1)
        elif isinstance(item, h5py.Dataset):
            _read_attributes(item)
            _read_dataset(item)


def _read_attributes(item: h5py.HLObject) -> None:
    for name in item.attrs:
        with suppress(Exception):
            item.attrs[name]


def _read_dataset(dataset: h5py.Dataset) -> None:
    """Read data that HDF5 has to decode: compressed numbers, text of variable length."""
    stored = dataset.id.get_storage_size()
    if dataset.external or dataset.is_virtual or dataset.shape is None:
        return
    declared = _declared(dataset)
    plain = dataset.chunks is None and dataset.dtype.kind in "biuf"
    if not plain and declared <= max(ALWAYS_ALLOWED, LARGEST_DEFLATE_RATIO * stored):
        _allow(PATIENCE + declared / DECOMPRESSED)
        with suppress(Exception):
            dataset[()]
