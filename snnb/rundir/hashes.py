"""Hashes of the run's files, remembered as long as a file's size and time of change stay the same."""

import json
from pathlib import Path
from typing import Dict, Optional, Tuple

from snnb.files import sha256_of, write_text_atomically
from snnb.rundir.records import FileRecord

NAME = ".hashes.json"
Stamp = Tuple[int, int]


class HashMemory:
    """SHA-256 by path, so that asking whether a stage is up to date does not read gigabytes again.

    It only saves time: a lost, old or unwritable memory file costs a new hash, and `verify` never looks at it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.known: Dict[str, Tuple[Stamp, str]] = {}
        try:
            stored = json.loads((directory / NAME).read_text())
            self.known = {path: ((size, time), digest) for path, (size, time, digest) in stored.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self.known = {}

    def sha256(self, path: str) -> Optional[str]:
        """Hash of the file at `path`, relative to the run directory; None when there is no such file."""
        file = self.directory / path
        if not file.is_file():
            return None
        status = file.stat()
        stamp = (status.st_size, status.st_mtime_ns)
        if path not in self.known or self.known[path][0] != stamp:
            self.known[path] = (stamp, sha256_of(file))
        return self.known[path][1]

    def record(self, path: str) -> FileRecord:
        """The record of an existing file of the run."""
        digest = self.sha256(path)
        if digest is None:
            raise FileNotFoundError(2, "No such file or directory", str(self.directory / path))
        return FileRecord(path=path, sha256=digest, size_bytes=(self.directory / path).stat().st_size)

    def matches(self, record: FileRecord) -> bool:
        """Whether the file is there with the recorded content."""
        file = self.directory / record.path
        if not file.is_file() or file.stat().st_size != record.size_bytes:
            return False
        return self.sha256(record.path) == record.sha256

    def save(self) -> None:
        """Remember for the next process, where the directory can be written."""
        existing = {path: value for path, value in self.known.items() if (self.directory / path).is_file()}
        lines = json.dumps({path: [*stamp, digest] for path, (stamp, digest) in sorted(existing.items())})
        try:
            write_text_atomically(self.directory / NAME, lines)
        except OSError:
            return
