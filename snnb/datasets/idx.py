"""The IDX format of the MNIST files: a big-endian header of sizes, then bytes (LeCun, "THE IDX FILE FORMAT")."""

import struct
from pathlib import Path
from typing import Tuple

import numpy as np

from snnb.datasets.compressed import BROKEN_STREAM, open_unpacked
from snnb.errors import InputError

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes, plain or gzipped.

    Parameters
    ----------
    dimensions : that the array must have: 3 for images (n, height, width), 1 for labels (n,).

    Raises
    ------
    InputError : not such a file, or shorter or longer than its header says (named in decompressed bytes).
    """
    header_bytes = 4 + 4 * dimensions
    with open_unpacked(path) as stream:
        content = bytearray()
        try:
            # `read1` gives what is there; `read` would give nothing of a block whose end is missing.
            for block in iter(lambda: stream.read1(2**20), b""):
                content += block
        except BROKEN_STREAM:
            if len(content) < header_bytes:
                raise InputError(f"{path}: a broken gzip stream; download the file again.") from None
    if len(content) < header_bytes or tuple(content[:4]) != (0, 0, _UNSIGNED_BYTE, dimensions):
        raise InputError(
            f"{path}: no IDX file of bytes in {dimensions} dimension(s): it begins with "
            f"{bytes(content[:4]).hex() or 'nothing'}, not {bytes((0, 0, _UNSIGNED_BYTE, dimensions)).hex()}; "
            "download the file again."
        )
    shape: Tuple[int, ...] = struct.unpack(f">{dimensions}I", content[4:header_bytes])
    elements = 1
    for side in shape:
        elements *= side  # not np.prod, which overflows on a damaged header
    expected = header_bytes + elements
    if len(content) != expected:
        state = "truncated" if len(content) < expected else "too long"
        raise InputError(
            f"{path}: the IDX file is {state}: {expected:,} bytes expected, {len(content):,} found (decompressed); "
            "download it again."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header_bytes).reshape(shape)
