"""The IDX format of the MNIST files: a big-endian header with the lengths of the axes, then the bytes.

Format: LeCun, Cortes & Burges, "The IDX file format", http://yann.lecun.com/exdb/mnist/.
"""

import hashlib
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

import numpy as np

from snnb.core.errors import InputError
from snnb.datasets.compressed import decompressed

_UNSIGNED_BYTE = 0x08


@dataclass(frozen=True)
class IdxFile:
    """Content of an IDX file.

    Attributes
    ----------
    array : np.ndarray
        uint8, one axis for each dimension of the file.
    sha256 : str
        SHA-256 of the file.
    content_sha256 : str
        SHA-256 of the decompressed content; equal to `sha256` if the file is not gzipped.
    """

    array: np.ndarray
    sha256: str
    content_sha256: str


def read_idx(path: Path, dimensions: int) -> IdxFile:
    """Read an IDX file of unsigned bytes, plain or gzipped.

    Parameters
    ----------
    path : Path
        The file.
    dimensions : int
        Number of axes that the array must have: 3 for images (n, height, width), 1 for labels (n,).

    Raises
    ------
    InputError
        It is not such a file, or it is shorter or longer than its header declares.
    """
    raw = path.read_bytes()
    content = decompressed(raw, path)
    magic, header_bytes = bytes((0, 0, _UNSIGNED_BYTE, dimensions)), 4 + 4 * dimensions
    if not content.startswith(magic) or len(content) < header_bytes:
        raise InputError(
            f"{path} is not an IDX file of bytes in {dimensions} dimension(s): it begins with "
            f"{content[:4].hex() or 'nothing'}, not {magic.hex()}; download the file again."
        )
    shape: Tuple[int, ...] = struct.unpack_from(f">{dimensions}I", content, 4)
    expected = header_bytes + math.prod(shape)
    if len(content) != expected:
        state = "truncated" if len(content) < expected else "too long"
        raise InputError(
            f"{path}: the IDX file is {state}: {expected:,} bytes expected, {len(content):,} found (decompressed); "
            "download it again."
        )
    array = np.frombuffer(content, dtype=np.uint8, offset=header_bytes).reshape(shape)
    return IdxFile(array, hashlib.sha256(raw).hexdigest(), hashlib.sha256(content).hexdigest())
