"""Records of files and folders outside the run, by their content; and whether they have changed since.

A folder has one record. Its `sha256` is that of lines `sha256  relative/path` for all its files but hidden ones, in the
order of the paths' parts; its `size_bytes` is their sum; its `listing` the hash of their names, sizes and times of
change (`files.listing_of`). As long as the listing is the same, no file has to be read again.
"""

import hashlib
import os
from pathlib import Path
from typing import List, Mapping, Optional

from snnb.core.progress import Progress, silent
from snnb.io.files import files_below, listing_of, sha256_of
from snnb.rundir.records import FileRecord


def file_record(path: Path) -> FileRecord:
    """Return the record of a file as it is now."""
    return FileRecord(path=str(path.absolute()), sha256=sha256_of(path), size_bytes=path.stat().st_size, external=True)


def external_records(
    files: Mapping[Path, str],
    folders: Mapping[Path, Mapping[str, str]],
    listings: Mapping[Path, str],
    progress: Progress = silent,
) -> List[FileRecord]:
    """Return records of what was read outside the run.

    Parameters
    ----------
    files : mapping of Path to str
        Files, with the SHA-256 of the bytes that were used.
    folders : mapping of Path to mapping
        Folders of files, with those that were read, by relative path, and the SHA-256 of the bytes that were used. The
        other files in them are read for their hash now.
    listings : mapping of Path to str
        The listing of a folder from before any of its files was read. Without it the folder is always compared by
        content.
    progress : Progress
        Called with the number of bytes that were read for their hash.

    Returns
    -------
    list of FileRecord
        The files first, then the folders, each by path.
    """
    records = [
        FileRecord(path=str(path.absolute()), sha256=sha256, size_bytes=path.stat().st_size, external=True)
        for path, sha256 in sorted(files.items())
    ]
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
    """Say how a file or folder outside the run differs from its record.

    Parameters
    ----------
    record : FileRecord
        Its record.
    read_all : bool
        Compare the content of a folder even if its listing is the recorded one.

    Returns
    -------
    str or None
        The difference; None when there is none, and when the file or folder is not on this machine or may not be read.
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
        return None  # it is a copy, whose files have other times
    return "has changed"


def _content(folder: Path, sizes: Mapping[str, int], read: Mapping[str, str], progress: Progress) -> str:
    """Return the hash of the hashes of files: those in `read`, and of the others their hash now."""
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
