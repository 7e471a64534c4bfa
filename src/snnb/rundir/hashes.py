"""SHA-256 hashes of the files of a run, which are cached, and records of files and folders outside the run.

A folder has one record. Its `sha256` is that of lines `sha256  relative/path` for all files that are not hidden, in the
order of the paths' parts; its `size_bytes` is their sum; its `listing` is the hash of their names, sizes and
modification times. While the listing is the same, no file is read again.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Tuple

from pydantic import TypeAdapter

from snnb.core.progress import Progress, silent
from snnb.io.files import sha256_of, write_text_atomically
from snnb.rundir.manifest import FileRecord

HASHES = ".hashes.json"
Stamp = Tuple[int, int, int, int]
Entry = Tuple[Stamp, str]
_ENTRIES = TypeAdapter(Dict[str, Entry])


class HashMemory:
    """Cache of SHA-256 hashes by path, so that deciding whether a stage is up to date does not read gigabytes again.

    An entry is valid for the file's size, inode, mtime and ctime, the last of which no program can set. Neither a stage
    that runs (`read`) nor a verification uses the cache.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.remembered: Dict[str, Entry] = {}
        with suppress(OSError, ValueError):  # it is made again
            self.remembered = _ENTRIES.validate_json((directory / HASHES).read_bytes())

    def sha256(self, path: str) -> Optional[str]:
        """Return the hash of a file, given relative to the run directory; None if the file does not exist."""
        file = self.directory / path
        if not file.is_file():
            return None
        stamp = _stamp(file)
        if path not in self.remembered or self.remembered[path][0] != stamp:
            self.remembered[path] = (stamp, sha256_of(file))
        return self.remembered[path][1]

    def read(self, path: str) -> FileRecord:
        """Hash a file of the run now, and return its record."""
        file = self.directory / path
        stamp = _stamp(file)
        self.remembered[path] = (stamp, sha256_of(file))
        return FileRecord(path=path, sha256=self.remembered[path][1], size_bytes=stamp[0])

    def matches(self, record: FileRecord) -> bool:
        """Whether the file exists with the recorded content."""
        file = self.directory / record.path
        if not file.is_file() or file.stat().st_size != record.size_bytes:
            return False
        return self.sha256(record.path) == record.sha256

    def save(self) -> None:
        """Write the cache for the next process, if the directory can be written."""
        existing = {path: value for path, value in self.remembered.items() if (self.directory / path).is_file()}
        with suppress(OSError):
            write_text_atomically(self.directory / HASHES, json.dumps(existing, sort_keys=True))


def _stamp(file: Path) -> Stamp:
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def file_record(path: Path) -> FileRecord:
    """Return the record of a file outside the run."""
    return FileRecord(path=str(path.absolute()), sha256=sha256_of(path), size_bytes=path.stat().st_size, external=True)


def external_records(paths: Iterable[Path], progress: Progress = silent) -> List[FileRecord]:
    """Return records of files and folders outside the run; `progress` is called with the number of bytes hashed."""
    records = []
    for path in sorted(paths):
        if path.is_dir():
            listing, sizes = listed(path)
            content, total = _content(path, sizes, progress), sum(sizes.values())
            folder = str(path.absolute())
            records.append(FileRecord(path=folder, sha256=content, size_bytes=total, external=True, listing=listing))
        else:
            records.append(file_record(path))
    return records


def changed(record: FileRecord, *, read_all: bool = False) -> Optional[str]:
    """Return how a file or folder outside the run differs from its record; None if it does not or is not readable here.

    With `read_all`, compare the content of a folder even if its listing is the recorded one.
    """
    path = Path(record.path)
    try:
        if not path.exists():
            return None
        if not path.is_dir():
            same = path.is_file() and path.stat().st_size == record.size_bytes and sha256_of(path) == record.sha256
        else:
            listing, sizes = listed(path)
            same = listing == record.listing and not read_all
            if not same and sum(sizes.values()) == record.size_bytes:  # it may be a copy with other modification times
                same = _content(path, sizes, silent) == record.sha256
        return None if same else "has changed"
    except PermissionError:
        return None


def listed(folder: Path) -> Tuple[str, Dict[str, int]]:
    """Return the hash of the names, sizes and modification times of the files below a folder, and their sizes by path.

    Hidden files and broken links are left out, other links are followed. The paths have `/`.
    """
    digest, sizes = hashlib.sha256(), {}
    for parent, folders, names in os.walk(str(folder), followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in (Path(parent, name) for name in sorted(names) if not name.startswith(".")):
            if file.is_file():
                path, status = file.relative_to(folder).as_posix(), file.stat()
                digest.update(f"{status.st_size} {status.st_mtime_ns} ".encode() + os.fsencode(path) + b"\0")
                sizes[path] = status.st_size
    return digest.hexdigest(), sizes


def _content(folder: Path, sizes: Mapping[str, int], progress: Progress) -> str:
    """Return the hash of the lines of a folder, which holds files of these sizes."""
    digest, done, total = hashlib.sha256(), 0, sum(sizes.values())
    for name in sorted(sizes, key=lambda name: name.split("/")):
        digest.update(f"{sha256_of(folder / name)}  ".encode() + os.fsencode(name) + b"\n")
        done += sizes[name]
        progress(done, total, "hashes")
    return digest.hexdigest()
