"""Record files and folders outside the run by their content, and compare them with their records.

A folder has one record. Its `sha256` is that of lines `sha256  relative/path` for all files that are not hidden, in the
order of the paths' parts; its `size_bytes` is their sum; its `listing` is the hash of their names, sizes and
modification times (`files.listing_of`). While the listing is the same, no file is read again.
"""

import hashlib
import os
from pathlib import Path
from typing import List, Mapping, Optional

from snnb.core.progress import Progress, silent
from snnb.io.files import files_below, listing_of, sha256_of
from snnb.rundir.records import FileRecord


def file_record(path: Path, sha256: Optional[str] = None) -> FileRecord:
    """Return the record of a file outside the run, which is hashed now unless its hash is given."""
    digest, size = sha256 or sha256_of(path), path.stat().st_size
    return FileRecord(path=str(path.absolute()), sha256=digest, size_bytes=size, external=True)


def external_records(
    files: Mapping[Path, str],
    folders: Mapping[Path, Mapping[str, str]],
    listings: Mapping[Path, str],
    progress: Progress = silent,
) -> List[FileRecord]:
    """Return records of what was read outside the run: the files, then the folders, each in the order of paths.

    Parameters
    ----------
    files : mapping of Path to str
        Files, with the SHA-256 of the bytes that were used.
    folders : mapping of Path to mapping
        Folders, with the SHA-256 of the files that were used by relative path. The other files are hashed now.
    listings : mapping of Path to str
        Listing of a folder from before any of its files was read. A folder without one is always compared by content.
    progress : Progress
        Called with the number of bytes hashed.
    """
    records = [file_record(path, sha256) for path, sha256 in sorted(files.items())]
    for folder, read in sorted(folders.items()):
        sizes = {name: status.st_size for name, status in files_below(folder)}
        records.append(
            FileRecord(
                path=str(folder.absolute()),
                sha256=_content(folder, {**dict.fromkeys(read, 0), **sizes}, read, progress),
                size_bytes=sum(sizes.values()),
                external=True,
                listing=listings.get(folder),
            )
        )
    return records


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
    sizes = {name: status.st_size for name, status in files_below(folder)}
    if sum(sizes.values()) == record.size_bytes and _content(folder, sizes, {}, silent) == record.sha256:
        return None  # a copy with other modification times
    return "has changed"


def _content(folder: Path, sizes: Mapping[str, int], read: Mapping[str, str], progress: Progress) -> str:
    """Return the hash of the lines of a folder: with the hashes in `read`, and of the other files their hash now."""
    digest, done = hashlib.sha256(), 0
    total = sum(size for name, size in sizes.items() if name not in read)
    for name in sorted(sizes, key=lambda name: name.split("/")):
        sha256 = read.get(name)
        if sha256 is None:
            sha256 = sha256_of(folder / name)
            done += sizes[name]
            progress(done, total, "hashes")
        digest.update(f"{sha256}  ".encode() + os.fsencode(name) + b"\n")
    return digest.hexdigest()
