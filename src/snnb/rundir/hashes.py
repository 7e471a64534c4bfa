"""The SHA-256 hashes of the files of a run, kept in `RUN/.hashes.json`."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Dict, Optional, Set, Tuple

from pydantic import TypeAdapter

from snnb.core.errors import DamagedError
from snnb.io.atomic import write_text_atomically
from snnb.io.files import read_text_bytes, sha256_of
from snnb.rundir.manifest import FileRecord

HASHES = ".hashes.json"
Stamp = Tuple[int, int, int, int]  # size, mtime and ctime in nanoseconds, inode
_HASHES_IN_FILE = TypeAdapter(Dict[str, Tuple[Stamp, str]])


class HashCache:
    """SHA-256 hashes by path, so that deciding whether a stage is up to date does not read gigabytes again.

    An entry is valid for the file's size, inode, mtime and ctime, the last of which no
    program can set. A stage that runs (`read`) uses only hashes that this object has
    computed, and a verification none.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: Dict[str, Tuple[Stamp, str]] = {}
        path = directory / HASHES
        if path.is_file():
            content = read_text_bytes(path)
            with suppress(ValueError):  # it is made again
                self._known = _HASHES_IN_FILE.validate_json(content)
        self._computed: Set[str] = set()

    def sha256(self, path: str) -> Optional[str]:
        """Return the hash of a file, given relative to the run directory; None if the file does not exist."""
        file = self.directory / path
        if not file.is_file():
            return None
        status = file.stat()
        stamp = status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
        if path not in self._known or self._known[path][0] != stamp:
            self._known[path] = (stamp, sha256_of(file))
            self._computed.add(path)
        return self._known[path][1]

    def read(self, path: str) -> FileRecord:
        """Return the record of a file of the run, hashed since the run was opened."""
        if path not in self._computed:
            self._known.pop(path, None)
        sha256 = self.sha256(path)
        if sha256 is None:
            raise DamagedError(self.directory / path, "no such file")
        return FileRecord(
            path=path,
            sha256=sha256,
            size_bytes=self._known[path][0][0],
        )

    def matches(self, record: FileRecord) -> bool:
        """Whether the file exists with the recorded content."""
        file = self.directory / record.path
        if not file.is_file() or file.stat().st_size != record.size_bytes:
            return False
        return self.sha256(record.path) == record.sha256

    def drop_file(self) -> None:
        """Remove the file of the cache, which `save` writes again."""
        (self.directory / HASHES).unlink(missing_ok=True)

    def save(self) -> None:
        """Write the cache for the next process, if the directory can be written."""
        existing = {
            path: value
            for path, value in self._known.items()
            if (self.directory / path).is_file()
        }
        with suppress(OSError):
            write_text_atomically(
                self.directory / HASHES,
                json.dumps(existing, sort_keys=True),
            )
