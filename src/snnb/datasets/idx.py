"""The IDX format of the MNIST files: a big-endian header with the sizes, then the bytes.

Format: LeCun, Cortes & Burges, "The IDX file format", http://yann.lecun.com/exdb/mnist/.
"""

import gzip
import hashlib
import io
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

import numpy as np

from snnb.datasets.compressed import BROKEN_STREAM, GZIP_MAGIC, READ_BYTES
from snnb.errors import InputError
from snnb.files import read_regular
from snnb.numpy_file import implausible

LARGEST_FILE = 1 << 28  # bytes; the largest official file has 47 MB
_UNSIGNED_BYTE = 0x08
_REMEDY = "download it again."


@dataclass(frozen=True)
class IdxFile:
    """An IDX file that was read.

    Attributes
    ----------
    array : np.ndarray
        uint8.
    sha256 : str
        That of the file.
    content_sha256 : str
        That of the unpacked content; the same if the file is not gzipped.
    """

    array: np.ndarray
    sha256: str
    content_sha256: str


def read_idx(path: Path, dimensions: int) -> IdxFile:
    """Read an IDX file of unsigned bytes, plain or gzipped. No more is unpacked than its header declares.

    Parameters
    ----------
    path : Path
        The file, which is read once.
    dimensions : int
        Axes that the array must have: 3 for images (n, height, width), 1 for labels (n,).

    Raises
    ------
    InputError
        It is not such a file, or it is shorter or longer than its header declares.
    """
    raw = read_regular(path, LARGEST_FILE, _REMEDY)
    packed = raw.startswith(GZIP_MAGIC)
    stream = gzip.GzipFile(fileobj=io.BytesIO(raw)) if packed else io.BytesIO(raw)
    header_bytes = 4 + 4 * dimensions
    content, broken = _up_to(header_bytes, stream)
    if broken and len(content) < header_bytes:
        raise InputError(f"{path}: a broken gzip stream; download the file again.")
    if len(content) < header_bytes or tuple(content[:4]) != (0, 0, _UNSIGNED_BYTE, dimensions):
        raise InputError(
            f"{path} is not an IDX file of bytes in {dimensions} dimension(s): it begins with "
            f"{bytes(content[:4]).hex() or 'nothing'}, not {bytes((0, 0, _UNSIGNED_BYTE, dimensions)).hex()}; "
            "download the file again."
        )
    shape: Tuple[int, ...] = struct.unpack(f">{dimensions}I", content[4:])
    expected = header_bytes + math.prod(shape)
    if packed and implausible(expected, len(raw)):
        raise InputError(f"{path}: declares {expected:,} bytes, far more than its {len(raw):,} can hold; {_REMEDY}")
    rest, broken = _up_to(expected - header_bytes + 1, stream)
    found = header_bytes + len(rest)
    if found != expected:
        state = f"truncated: {expected:,} bytes expected, {found:,} found"
        if found > expected:
            state = f"too long: {expected:,} bytes expected, more found"
        raise InputError(f"{path}: the IDX file is {state} (decompressed); {_REMEDY}")
    if broken:  # after the last byte: the checksum of the data is wrong
        raise InputError(f"{path}: a broken gzip stream; download the file again.")
    of_content = hashlib.sha256(content)
    of_content.update(rest)
    array = np.frombuffer(rest, dtype=np.uint8).reshape(shape)
    return IdxFile(array, hashlib.sha256(raw).hexdigest(), of_content.hexdigest())


def _up_to(count: int, stream: io.BufferedIOBase) -> Tuple[bytearray, bool]:
    """Read at most `count` bytes of a stream; the second value is whether the stream is damaged before that."""
    content = bytearray()
    try:
        while len(content) < count:
            # `read1` returns the bytes before a damage; `read` returns none of a block whose end is missing.
            block = stream.read1(min(READ_BYTES, count - len(content)))
            if not block:
                break
            content += block
    except BROKEN_STREAM:
        return content, True
    return content, False
