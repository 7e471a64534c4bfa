"""How a stage's directory takes the place of an earlier one, whole or not at all.

A stage writes into a hidden sibling of its directory (`.incomplete-train`). When it is done, what it replaces is
renamed aside (`.replaced-train`), the sibling takes its place, and the manifest is written last. Killed at any moment,
`recover` finds from the hashes in the manifest which of the two directories is the recorded one. A stage's directory
may be a link to another disk: then the target of the link is replaced, and the siblings lie beside that target.

In all functions `root` is the run directory, and `recorded` holds the manifest's records by directory relative to it.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Set, Tuple

from snnb.core.errors import InputError
from snnb.core.progress import Say, say_nothing
from snnb.io.files import PARTIAL, remove, sha256_of, sync_directory
from snnb.rundir import manifest
from snnb.rundir.hashes import HASHES, HashMemory
from snnb.rundir.records import AnyKind, AnyRecord

INCOMPLETE, REPLACED = ".incomplete-", ".replaced-"
Recorded = Mapping[str, AnyRecord]
Kinds = Tuple[AnyKind, ...]


def place_of(directory: Path) -> Path:
    """Return where a stage's directory lies: the target of the link, if there is a link in its place.

    Raises
    ------
    InputError
        The link leads to itself, or to a place that is not there.
    """
    if not directory.is_symlink():
        return directory
    try:
        place = directory.resolve()
    except RuntimeError:
        raise InputError(f"{directory} is a link that leads to itself; remove it") from None
    if not place.name or not place.parent.is_dir():
        raise InputError(
            f"{directory} is a link to {place}, and {place.parent} is not there; mount it or remove the link"
        )
    return place


def refuse_foreign_files(root: Path, relative: str, recorded: Recorded, hashes: HashMemory) -> None:
    """Refuse to replace a directory that holds files which no stage has written.

    Raises
    ------
    InputError
        The directory is not in the manifest, or holds a file that is not in its record. Behind a link, whose target
        may belong to anybody, also when a recorded file is not as it was written.
    """
    directory = root / relative
    place, record = place_of(directory), recorded.get(relative)
    if not place.exists():
        return
    if record is None:
        raise InputError(f"{directory} is there but not in {manifest.NAME}; move it away, then run the command again")
    outputs = {file.path: file for file in record.outputs}
    for entry in sorted(place.rglob("*")) if place.is_dir() else [place]:
        path = f"{relative}/{entry.relative_to(place).as_posix()}"
        if path not in outputs and (entry.is_symlink() or not entry.is_dir()):
            raise InputError(f"{root / path} is not the run's own and would be lost; move it away first")
        if directory.is_symlink() and path in outputs and not hashes.matches(outputs[path]):
            raise InputError(
                f"{root / path} is not as it was written, and lies behind the link {directory}; remove the link"
            )


def replace(incomplete: Path, place: Path) -> None:
    """Put a complete directory in its place; what was there is renamed aside, for `recover` to remove."""
    aside = place.with_name(REPLACED + place.name)
    if place.exists():
        place.rename(aside)
    else:
        aside.mkdir()  # says that what lies in place is not in the manifest yet
    incomplete.rename(place)
    sync_directory(place.parent)


def left_behind(root: Path, recorded: Recorded, kinds: Kinds) -> Iterator[Tuple[str, Path, Path]]:
    """Yield what killed or running stages have left: directory, what it replaced, and the incomplete new one."""
    for relative in _directories(root, recorded, kinds):
        try:
            place = place_of(root / relative)
        except InputError:  # a link to a disk that is not there: no stage has begun behind it
            continue
        aside, incomplete = (place.with_name(prefix + place.name) for prefix in (REPLACED, INCOMPLETE))
        if os.path.lexists(aside) or os.path.lexists(incomplete):
            yield relative, aside, incomplete


def moved_aside(root: Path, recorded: Recorded, kinds: Kinds, hashes: HashMemory) -> Dict[str, Path]:
    """Return the directories that an interrupted stage has replaced, and where their recorded content is meanwhile."""
    return {
        relative: aside
        for relative, aside, _ in left_behind(root, recorded, kinds)
        if _is_directory(aside) and not _is_recorded(relative, recorded, hashes)
    }


def recover(root: Path, recorded: Recorded, kinds: Kinds, hashes: HashMemory, say: Say = say_nothing) -> None:
    """Undo what a killed stage has left, so that the directories are those that the manifest names.

    Parameters
    ----------
    root : Path
        The run directory.
    recorded : mapping of str to StageRecord
        The manifest's records by directory.
    kinds : sequence of Kind
        What the run may hold.
    hashes : HashMemory
        Hashes of the run's files.
    say : callable
        Called with a line for everything that is removed or put back.
    """
    for relative, aside, incomplete in list(left_behind(root, recorded, kinds)):
        if os.path.lexists(aside):
            _put_right(root, relative, aside, recorded, hashes, say)
        if os.path.lexists(incomplete):
            say(f"{incomplete.name}: removed, left by an interrupted stage")
            remove(incomplete)
    for name in (manifest.NAME, HASHES):
        remove(root / f".{name}{PARTIAL}")
    for kind in kinds:
        parent = root / kind.directory
        if kind.names is not None and _is_directory(parent) and not any(parent.iterdir()):
            parent.rmdir()


def _directories(root: Path, recorded: Recorded, kinds: Kinds) -> List[str]:
    """Return the directories of all stages, recorded or begun, relative to the run."""
    found: List[str] = []
    for kind in kinds:
        if kind.names is None:
            found.append(kind.directory)
            continue
        begin = f"{kind.directory}/"
        names: Set[str] = {path[len(begin) :] for path in recorded if path.startswith(begin)}
        for prefix in (REPLACED, INCOMPLETE):
            names.update(entry.name[len(prefix) :] for entry in (root / kind.directory).glob(f"{prefix}*"))
        found += [f"{begin}{name}" for name in sorted(names) if re.fullmatch(kind.names, name)]
    return found


def _put_right(root: Path, relative: str, aside: Path, recorded: Recorded, hashes: HashMemory, say: Say) -> None:
    """Keep the recorded one of what lies in place and what was renamed aside; afterwards nothing lies aside.

    An empty directory aside says that nothing was in place before. Where the manifest has the stage, the directory
    aside is only left over.
    """
    place = place_of(root / relative)
    holds = _is_directory(aside) and any(aside.iterdir())
    if relative not in recorded and _is_directory(aside) and not holds:
        remove(place)
        say(f"{relative}: removed, left by an interrupted stage")
    elif holds and _belongs_in_place(relative, aside, place, recorded, hashes):
        remove(place)
        aside.rename(place)
        say(f"{relative}: put back as it was before an interrupted stage")
    remove(aside)


def _belongs_in_place(relative: str, aside: Path, place: Path, recorded: Recorded, hashes: HashMemory) -> bool:
    """Whether what lies aside is nearer to the record than what lies in place; files are read only then."""
    record = recorded.get(relative)
    if record is None or not place.exists():
        return not place.exists()
    if _is_recorded(relative, recorded, hashes):
        return False
    return _count_as_recorded(aside, relative, record) > _count_as_recorded(place, relative, record)


def _count_as_recorded(directory: Path, relative: str, record: AnyRecord) -> int:
    """How many outputs of the record of `relative` lie in a directory as they were written."""
    count = 0
    for file in record.outputs:
        path = directory / file.path[len(relative) + 1 :]
        with suppress(OSError, InputError):
            count += path.stat().st_size == file.size_bytes and sha256_of(path) == file.sha256
    return count


def _is_recorded(relative: str, recorded: Recorded, hashes: HashMemory) -> bool:
    """Whether the directory in place is the one whose files the manifest names."""
    return relative in recorded and all(hashes.matches(file) for file in recorded[relative].outputs)


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
