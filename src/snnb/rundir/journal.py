"""The journal of a run: which results a command is replacing or removing.

`RUN/.journal.json` is written before a result is touched, and removed when the command
is complete. A killed command leaves it, and the next one that writes reads there what
to undo or to complete. Hidden directories that no journal names are never touched,
whatever their names, unless they are empty.

A journal may come from somebody else, together with the run. So it has the inodes of
the directories that it is about: a copy or an extracted archive has others, and nothing
is removed there.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterable, List, Optional

from pydantic import Field, ValidationError

from snnb.core.errors import InputError
from snnb.io.files import read_text_bytes, sync_directory
from snnb.io.text import Document

NAME = ".journal.json"
BEGIN = b'{"seal":'  # of each journal


class Journal(Document):
    """The directories of results, relative to the run, that a command is changing.

    `seal` is the last line of the manifest before the command; the commit writes
    another one. `replaced` are the directories that are written, each with whether it
    existed. `inodes` are those of the directories that the command has made, replaces
    or removes.
    """

    seal: str
    replaced: Dict[str, bool] = Field(default_factory=dict)
    removed: List[str] = Field(default_factory=list)
    inodes: List[int] = Field(default_factory=list)

    def is_about(self, path: Path) -> bool:
        """Whether a path is one of the directories, under whatever name."""
        is_directory = path.is_dir() and not path.is_symlink()
        return is_directory and path.stat().st_ino in self.inodes


def inodes_of(paths: Iterable[Path]) -> List[int]:
    """Return the inodes of those paths that are directories."""
    return [path.stat().st_ino for path in paths if path.is_dir()]


def write_journal(run: Path, journal: Journal) -> None:
    """Write the journal of a run, before a directory is touched; after an error there is none.

    Raise `InputError` for another file of this name, which would be lost.
    """
    if os.path.lexists(run / NAME) and not is_journal(run / NAME):
        raise InputError(
            f"{run / NAME} was not written by `snnb` and would be lost; move it away",
        )
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(str(run / NAME), flags, 0o666)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            # Begins with `BEGIN`
            file.write(json.dumps(journal.model_dump(mode="json")))
            file.flush()
            os.fsync(file.fileno())
        sync_directory(run)
    except BaseException:
        with suppress(OSError):
            (run / NAME).unlink()
        raise


def remove_journal(run: Path) -> None:
    """Remove the journal of a run, also one that is not complete, but no other file of its name."""
    if is_journal(run / NAME):
        (run / NAME).unlink()


def is_journal(path: Path) -> bool:
    """Whether a path is a journal, complete or not, and not another file of its name."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        content = file.read(len(BEGIN))
    return BEGIN.startswith(content)


def read_journal(run: Path) -> Optional[Journal]:
    """Return the journal that an interrupted command has left, or None.

    One that is not complete was being written when no directory had been touched.
    """
    if not is_journal(run / NAME):
        return None
    try:
        return Journal.model_validate_json(read_text_bytes(run / NAME))
    except ValidationError:
        return None
