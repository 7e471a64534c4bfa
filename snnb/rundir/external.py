"""Records of files outside the run: by content, and for a folder by its listing as well."""

import hashlib
import os
from pathlib import Path
from typing import Iterable, List, Optional

from snnb.files import sha256_of
from snnb.rundir.records import FileRecord


def external_record(paths: Iterable[Path]) -> List[FileRecord]:
    """Records of files outside the run: each one of a few, or one of their common folder when there are many.

    The hash of a folder is that of its listing, lines of `sha256  relative/path` sorted by path.
    """
    files = sorted(path.resolve() for path in paths)
    if len(files) <= 20:
        return [FileRecord(path=str(f), sha256=sha256_of(f), size_bytes=f.stat().st_size, external=True) for f in files]
    folder = Path(os.path.commonpath([str(f) for f in files]))
    listing = "".join(f"{sha256_of(f)}  {f.relative_to(folder).as_posix()}\n" for f in files)
    digest = hashlib.sha256(listing.encode()).hexdigest()
    size = sum(f.stat().st_size for f in files)
    return [FileRecord(path=str(folder), sha256=digest, size_bytes=size, external=True)]


def changed(record: FileRecord) -> Optional[str]:
    """In words, how a file outside the run differs from its record; None when it does not, or is not there."""
    path = Path(record.path)
    if not path.is_file():
        return None
    return None if sha256_of(path) == record.sha256 else "has changed"
