"""Reading files that may be gzipped, whatever they are called: browsers and tools unpack without renaming."""

import gzip
import hashlib
import zlib
from pathlib import Path

from snnb.files import open_regular

BLOCK = 2**20
GZIP_MAGIC = b"\x1f\x8b"

#: What reading a gzip stream that is cut or damaged raises.
BROKEN_STREAM = (EOFError, zlib.error, gzip.BadGzipFile)


def sha256_of(path: Path, unpacked: bool) -> str:
    """SHA-256 of a file, or with `unpacked` of what its gzip stream holds."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        packed = unpacked and file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if packed else file
        for block in iter(lambda: stream.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()
