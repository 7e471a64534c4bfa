"""Record files and folders outside the run by their content, and compare them with their records.

A folder has one record. Its `sha256` is that of lines `sha256  relative/path` for all files that are not hidden, in the
order of the paths' parts; its `size_bytes` is their sum; its `listing` is the hash of their names, sizes and
modification times (`files.listing_of`). While the listing is the same, no file is read again.
"""

import hashlib
import os
from pathlib import Path
from typing import Iterable, List, Mapping, Optional

from snnb.core.progress import Progress, silent
from snnb.io.files import listing_of, sha256_of, sizes_below
from snnb.rundir.manifest import FileRecord


def file_record(path: Path) -> FileRecord:
    """Return the record of a file outside the run."""
    return FileRecord(path=str(path.absolute()), sha256=sha256_of(path), size_bytes=path.stat().st_size, external=True)


def external_records(paths: Iterable[Path], progress: Progress = silent) -> List[FileRecord]:
    """Return records of files and folders outside the run; `progress` is called with the number of bytes hashed."""
    return [_folder_record(path, progress) if path.is_dir() else file_record(path) for path in sorted(paths)]


def _folder_record(folder: Path, progress: Progress) -> FileRecord:
    listing, sizes = listing_of(folder), sizes_below(folder)
    return FileRecord(
        path=str(folder.absolute()),
        sha256=_content(folder, sizes, progress),
        size_bytes=sum(sizes.values()),
        external=True,
        listing=listing,
    )


def changed(record: FileRecord, *, read_all: bool = False) -> Optional[str]:
    """Return how a file or folder outside the run differs from its record; None if it does not or is not readable here.

    With `read_all`, compare the content of a folder even if its listing is the recorded one.
    """
    path = Path(record.path)
    try:
        if path.is_dir():
            return _folder_changed(path, record, read_all)
        if not path.exists():
            return None
        same = path.is_file() and path.stat().st_size == record.size_bytes and sha256_of(path) == record.sha256
        return None if same else "has changed"
    except PermissionError:
        return None


def _folder_changed(folder: Path, record: FileRecord, read_all: bool) -> Optional[str]:
    if not read_all and record.listing is not None and listing_of(folder) == record.listing:
        return None
    sizes = sizes_below(folder)
    if sum(sizes.values()) == record.size_bytes and _content(folder, sizes, silent) == record.sha256:
        return None  # a copy with other modification times
    return "has changed"


def _content(folder: Path, sizes: Mapping[str, int], progress: Progress) -> str:
    """Return the hash of the lines of a folder, which holds files of these sizes."""
    digest, done, total = hashlib.sha256(), 0, sum(sizes.values())
    for name in sorted(sizes, key=lambda name: name.split("/")):
        digest.update(f"{sha256_of(folder / name)}  ".encode() + os.fsencode(name) + b"\n")
        done += sizes[name]
        progress(done, total, "hashes")
    return digest.hexdigest()
