"""Reading files that may be gzipped. Their names do not tell, since some tools unpack a file without renaming it."""

import gzip
import hashlib
import zlib
from pathlib import Path

from snnb.files import open_regular

READ_BYTES = 2**20
GZIP_MAGIC = b"\x1f\x8b"

#: The errors that reading a cut or damaged gzip stream raises.
BROKEN_STREAM = (EOFError, zlib.error, gzip.BadGzipFile)


def content_sha256(path: Path, unpacked: bool) -> str:
    """Return the SHA-256 of a file; with `unpacked`, that of the unpacked content if the file is gzipped."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        packed = unpacked and file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if packed else file
        for block in iter(lambda: stream.read(READ_BYTES), b""):
            digest.update(block)
    return digest.hexdigest()
