"""Reading files that may be gzipped, whatever they are called: browsers and tools unpack without renaming."""

import gzip
import hashlib
import io
import zlib
from pathlib import Path

BLOCK = 2**20
_GZIP_MAGIC = b"\x1f\x8b"

#: What reading a gzip stream that is cut or damaged raises.
BROKEN_STREAM = (EOFError, zlib.error, gzip.BadGzipFile)


def open_unpacked(path: Path) -> io.BufferedIOBase:
    """Open a file for reading, through gzip if it begins as a gzip stream does."""
    with path.open("rb") as stream:
        magic = stream.read(len(_GZIP_MAGIC))
    return gzip.GzipFile(path, "rb") if magic == _GZIP_MAGIC else path.open("rb")


def sha256_of(path: Path, unpacked: bool) -> str:
    """SHA-256 of a file, or with `unpacked` of what its gzip stream holds."""
    digest = hashlib.sha256()
    with open_unpacked(path) if unpacked else path.open("rb") as stream:
        for block in iter(lambda: stream.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()
