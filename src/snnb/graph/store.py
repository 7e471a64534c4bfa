"""Seal and open MODEL_graph.h5, the compact form of a graph (format: docs/graph-format.md)."""

import hashlib
import mmap
from pathlib import Path
from typing import BinaryIO, Tuple

import h5py
import numpy as np

from snnb.core.errors import DamagedError
from snnb.network.layers import Layer

FORMAT = "snnb synapse graph"
VERSION, VERSION_WITH_SUMS = 1, 2  # the latter where a population is the sum of several connections
USER_BLOCK = 512
INT32_LIMIT = 2**31 - 1  # tests lower it so that 64-bit ids run on small graphs


def index_dtype(count: int) -> np.dtype:
    """Return the integer type of ids that stay below `count`: 32 bits while they fit."""
    return np.dtype(np.int32 if count <= INT32_LIMIT else np.int64)


def seal(path: Path, version: int) -> None:
    """Write format, version and the SHA-256 of all bytes behind the user block into the user block."""
    with path.open("r+b") as file:
        digest, size = _digest(file)
        file.seek(0)
        file.write(_head(version, digest, size))


def open_store(path: Path) -> h5py.File:
    """Open a graph file after checking its format version and checksum."""
    if not path.exists():
        raise DamagedError(path, "no such graph")
    with path.open("rb") as file:
        head = file.read(USER_BLOCK)
        if not head.startswith(FORMAT.encode() + b" "):
            raise DamagedError(path, f"not a {FORMAT}")
        version = head[len(FORMAT) : head.find(b"\n")].decode("ascii", "replace").strip()
        if version not in (str(VERSION), str(VERSION_WITH_SUMS)):
            raise DamagedError(
                path, f"graph format {version[:20]!r}, this snnb reads {VERSION} and {VERSION_WITH_SUMS}"
            )
        if head != _head(int(version), *_digest(file)):
            raise DamagedError(path, "truncated or altered, its SHA-256 is not the recorded one")
    return h5py.File(str(path), "r")


def connection_name(population: int, number: int) -> str:
    """Return the name of the group of a population's connection, by numbers of population and connection."""
    return f"connections/{population:04d}" + (f".{number}" if number else "")


def map_array(dataset: h5py.Dataset) -> np.ndarray:
    """Map an uncompressed, contiguous dataset into memory."""
    offset = dataset.id.get_offset()
    descriptor = dataset.file.id.get_vfd_handle()
    mapped = mmap.mmap(descriptor, offset + dataset.id.get_storage_size(), access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, dataset.dtype, dataset.size, offset).reshape(dataset.shape)


def weighting(layer: Layer, pool_weight: str) -> str:
    """Return the weighting of a layer's synapses: `kernel`, `one` or `mean`."""
    return {"kernel": "kernel", "average": pool_weight}.get(layer.WEIGHTING, "one")


def _head(version: int, digest: str, size: int) -> bytes:
    return f"{FORMAT} {version}\nsha256 {digest}\nbytes {size}\n".encode().ljust(USER_BLOCK, b"\0")


def _digest(file: BinaryIO) -> Tuple[str, int]:
    """Return the SHA-256 and the number of the bytes behind the user block."""
    file.seek(USER_BLOCK)
    digest = hashlib.sha256()
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest(), max(0, file.tell() - USER_BLOCK)
