"""A cache of the hashes of the run's files, valid until size, inode or times of a file change."""

import json
from pathlib import Path
from typing import Dict, Optional, Tuple

from pydantic import TypeAdapter

from snnb.io.atomic import write_text_atomically
from snnb.io.files import sha256_of
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
        self.remembered: Dict[str, Entry] = _load(directory / HASHES)

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
        try:
            write_text_atomically(self.directory / HASHES, json.dumps(existing, sort_keys=True))
        except OSError:
            return


def _stamp(file: Path) -> Stamp:
    status = file.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _load(path: Path) -> Dict[str, Entry]:
    try:
        return _ENTRIES.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return {}  # it is made again
