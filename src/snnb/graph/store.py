"""Write and open MODEL_graph.h5, the compact form of a graph (docs/graph-format.md describes it to the byte)."""

import hashlib
import json
import mmap
from pathlib import Path
from typing import Any, BinaryIO, Tuple

import h5py
import numpy as np

from snnb.core.errors import InputError
from snnb.graph.fields import REMEDY, integer
from snnb.io.hdf5 import open_hdf5, write_array
from snnb.network.geometry import Geometry
from snnb.network.layers import Layer

FORMAT = "snnb synapse graph"
VERSION, VERSION_WITH_SUMS = 1, 2  # the latter where a population is the sum of several connections
USER_BLOCK = 512
INT32_LIMIT = 2**31 - 1  # tests lower it so that 64-bit ids run on small graphs


def index_dtype(count: int) -> np.dtype:
    """Return the integer type of ids that stay below `count`: 32 bits while they fit."""
    return np.dtype(np.int32 if count <= INT32_LIMIT else np.int64)


def create(path: Path) -> h5py.File:
    """Create the HDF5 file, with room in front of it for what `seal` writes."""
    return h5py.File(str(path), "w", userblock_size=USER_BLOCK)


def seal(path: Path, version: int) -> None:
    """Write format, version and SHA-256 of everything behind the user block into the user block."""
    with path.open("r+b") as file:
        digest, size = _digest(file)
        file.seek(0)
        file.write(_head(version, digest, size))


def open_store(path: Path) -> h5py.File:
    """Open a store after checking that it is whole and unaltered.

    Raises
    ------
    InputError
        If the file is missing, truncated, altered, of another version, or no store at all.
    """
    if not path.exists():
        raise InputError(f"{path}: no such graph; make it with `snnb graph`")
    with path.open("rb") as file:
        head = file.read(USER_BLOCK)
        if not head.startswith(FORMAT.encode() + b" "):
            raise InputError(f"{path}: not a {FORMAT}; {REMEDY}")
        version = head[len(FORMAT) : head.find(b"\n")].decode("ascii", "replace").strip()
        if version not in (str(VERSION), str(VERSION_WITH_SUMS)):
            raise InputError(
                f"{path}: graph format {version[:20]}, this snnb reads {VERSION} and {VERSION_WITH_SUMS}; {REMEDY}"
            )
        digest, size = _digest(file)
    if head != _head(int(version), digest, size):
        raise InputError(f"{path}: truncated or altered, its SHA-256 is not the recorded one; {REMEDY}")
    file = open_hdf5(path, REMEDY)
    try:
        integer(file, "version", int(version), int(version))
    except InputError:
        file.close()
        raise
    return file


def connection_name(population: int, number: int) -> str:
    """Name the group of a population's connection; the first has the number of the population alone."""
    return f"connections/{population:04d}" + (f".{number}" if number else "")


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


def write_geometry(group: h5py.Group, layer: Layer, geometry: Geometry, pool_weight: str) -> None:
    """Write everything of a connection but its kernel and its ids."""
    group.attrs["rule"] = layer.kind
    group.attrs["geometry"] = json.dumps(layer.described(), sort_keys=True)
    group.attrs["pairing"] = geometry.pairing
    group.attrs["weighting"] = weighting(layer, pool_weight)
    group.attrs["input_volume"] = np.array(geometry.input_volume, np.int64)
    group.attrs["output_volume"] = np.array(geometry.output_volume, np.int64)
    group.attrs["taps"] = np.array(geometry.kernel_shape[:2], np.int64)
    for name, axis in (("rows", geometry.rows), ("columns", geometry.columns)):
        write_array(group, name, np.stack([axis.input, axis.output, axis.tap], axis=1).astype("<i4"))


def weighting(layer: Layer, pool_weight: str) -> str:
    """Tell what the graph's synapses of a layer weigh: `kernel`, `one` or `mean`."""
    return {"kernel": "kernel", "average": pool_weight}.get(layer.WEIGHTING, "one")


def _head(version: int, digest: str, size: int) -> bytes:
    return f"{FORMAT} {version}\nsha256 {digest}\nbytes {size}\n".encode().ljust(USER_BLOCK, b"\0")


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
