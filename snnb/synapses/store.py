"""Write and open MODEL_graph.h5, the compact form of a graph (docs/graph-format.md describes it to the byte)."""

import hashlib
import json
import mmap
from pathlib import Path
from typing import Any, BinaryIO, Tuple

import h5py
import numpy as np

from snnb.errors import InputError
from snnb.files import open_regular
from snnb.hdf5 import open_hdf5, write_array
from snnb.synapses.fields import REMEDY
from snnb.synapses.rules import Connection

FORMAT = "snnb synapse graph"
VERSION = 1
USER_BLOCK = 512
INT32_LIMIT = 2**31 - 1  # tests lower it so that 64-bit ids run on small graphs


def index_dtype(count: int) -> np.dtype:
    """Return the integer type of ids that stay below `count`: 32 bits while they fit."""
    return np.dtype(np.int32 if count <= INT32_LIMIT else np.int64)


def create(path: Path) -> h5py.File:
    """Create the HDF5 file, with room in front of it for what `seal` writes."""
    return h5py.File(str(path), "w", userblock_size=USER_BLOCK)


def seal(path: Path) -> None:
    """Write format, version and SHA-256 of everything behind the user block into the user block."""
    with path.open("r+b") as file:
        digest, size = _digest(file)
        file.seek(0)
        file.write(_head(digest, size))


def open_store(path: Path) -> h5py.File:
    """Open a store after checking that it is whole and unaltered.

    Raises
    ------
    InputError
        If the file is missing, truncated, altered, of another version, or no store at all.
    """
    if not path.exists():
        raise InputError(f"{path}: no such graph; make it with `snnb graph`")
    with open_regular(path) as file:
        head = file.read(USER_BLOCK)
        if not head.startswith(FORMAT.encode() + b" "):
            raise InputError(f"{path}: not a {FORMAT}; {REMEDY}")
        version = head[len(FORMAT) : head.find(b"\n")].decode("ascii", "replace").strip()
        if version != str(VERSION):
            raise InputError(f"{path}: graph format {version[:20]}, this snnb reads {VERSION}; {REMEDY}")
        digest, size = _digest(file)
    if head != _head(digest, size):
        raise InputError(f"{path}: truncated or altered, its SHA-256 is not the recorded one; {REMEDY}")
    return open_hdf5(path, REMEDY)


def write_packed(group: h5py.Group, name: str, values: np.ndarray) -> None:
    """Write an array that compresses well: ids that mostly count up."""
    group.create_dataset(name, data=values, track_times=False, chunks=True, compression="gzip", shuffle=True)


def map_array(dataset: h5py.Dataset) -> np.ndarray:
    """Map a plainly written array into memory: its pages are read when they are touched, and shared.

    The open file is mapped, not what its name stands for by now: a graph may be made again while it is exported.
    """
    offset = dataset.id.get_offset()
    descriptor = dataset.file.id.get_vfd_handle()
    mapped = mmap.mmap(descriptor, offset + dataset.id.get_storage_size(), access=mmap.ACCESS_READ)
    size = int(np.prod(dataset.shape, dtype=np.int64))
    return np.frombuffer(mapped, dataset.dtype, size, offset).reshape(dataset.shape)


def write_connection(group: h5py.Group, connection: Connection) -> None:
    """Write everything of a connection but its kernel and its ids."""
    group.attrs["rule"] = connection.rule
    group.attrs["geometry"] = json.dumps(connection.geometry, sort_keys=True)
    group.attrs["pairing"] = connection.pairing
    group.attrs["weighting"] = connection.weighting
    group.attrs["input_volume"] = np.array(connection.input_volume, np.int64)
    group.attrs["output_volume"] = np.array(connection.output_volume, np.int64)
    group.attrs["taps"] = np.array([connection.rows.taps, connection.columns.taps], np.int64)
    for name, axis in (("rows", connection.rows), ("columns", connection.columns)):
        write_array(group, name, np.stack([axis.input, axis.output, axis.tap], axis=1).astype("<i4"))


def _head(digest: str, size: int) -> bytes:
    return f"{FORMAT} {VERSION}\nsha256 {digest}\nbytes {size}\n".encode().ljust(USER_BLOCK, b"\0")


def _digest(file: BinaryIO) -> Tuple[str, int]:
    file.seek(USER_BLOCK)
    return _update(hashlib.sha256(), file)


def _update(digest: Any, file: BinaryIO) -> Tuple[str, int]:
    size = 0
    block = memoryview(bytearray(1 << 20))
    while True:
        count = file.readinto(block)  # type: ignore[attr-defined]
        if not count:
            return digest.hexdigest(), size
        digest.update(block[:count])
        size += count
