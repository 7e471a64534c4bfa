"""The IDX format of the MNIST files: a big-endian header with the lengths of the axes, then the bytes.

Format: LeCun, Cortes & Burges, "The IDX file format", http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path
from typing import Tuple

import numpy as np

from snnb.core.errors import InputError


def read_idx(path: Path, dimensions: int) -> Tuple[np.ndarray, str]:
    """Read an IDX file of unsigned bytes, plain or gzipped.

    Parameters
    ----------
    path : Path
        The file. Its name does not tell whether it is gzipped: some tools decompress a file without renaming it.
    dimensions : int
        Number of axes that the array must have: 3 for images (n, height, width), 1 for labels (n,).

    Returns
    -------
    array : np.ndarray
        uint8, one axis for each dimension of the file.
    sha256 : str
        SHA-256 of its decompressed content.

    Raises
    ------
    InputError
        It is not such a file, or it is damaged, or shorter or longer than its header declares.
    """
    raw = path.read_bytes()
    try:
        content = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: a damaged gzip stream ({error}); download the file again.") from None
    magic, header_bytes = bytes((0, 0, 8, dimensions)), 4 + 4 * dimensions  # 8 stands for unsigned bytes
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
    return array, hashlib.sha256(content).hexdigest()
