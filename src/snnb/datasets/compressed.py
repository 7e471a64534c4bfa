"""Read files that may be gzipped. Names do not tell, since some tools decompress a file without renaming it."""

import gzip
import zlib
from pathlib import Path

from snnb.core.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"


def decompressed(content: bytes, path: Path) -> bytes:
    """Return the content of a file, decompressed if it is gzipped.

    Parameters
    ----------
    content : bytes
        Content of the file.
    path : Path
        The file, for the message.

    Raises
    ------
    InputError
        The gzip stream is damaged.
    """
    if not content.startswith(GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: a damaged gzip stream ({error}); download the file again.") from None
