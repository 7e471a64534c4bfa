"""Replace and remove the directories of results atomically.

A stage writes into a hidden sibling of its directory (`.incomplete-train`). When it is complete, the directory that it
replaces is renamed aside (`.replaced-train`), the sibling is renamed to its place, and the manifest is written last. A
result that is removed is renamed aside in the same way before the manifest is written without it. After a kill at any
moment, `recover` restores the directories that the manifest names. A stage's directory may be a link to another disk:
then the target of the link is replaced, and the siblings lie next to that target.

In all functions `root` is the run directory, and `recorded` holds the manifest's records by directory relative to it.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Iterator, List, Mapping, Set, Tuple

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
    """Return where a stage's directory lies: the directory, or the target if it is a link."""
    if not directory.is_symlink():
        return directory
    try:
        place = directory.resolve()
    except RuntimeError:
        raise InputError(f"{directory} is a link that leads to itself; remove it") from None
    if not place.name or not place.parent.is_dir():
        raise InputError(
            f"{directory} is a link to {place}, and {place.parent} does not exist; mount it or remove the link"
        )
    return place


def refuse_foreign_files(root: Path, relative: str, recorded: Recorded, hashes: HashMemory) -> None:
    """Refuse to replace or remove a directory that is not in the manifest or holds files that are not in its record.

    Behind a link, whose target may belong to anybody, a recorded file that was changed is refused too.
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
            raise InputError(f"{root / path} was not written by `snnb` and would be lost; move it away first")
        if directory.is_symlink() and path in outputs and not hashes.matches(outputs[path]):
            raise InputError(
                f"{root / path} is not as it was written, and lies behind the link {directory}; remove the link"
            )


def replace(incomplete: Path, place: Path) -> None:
    """Rename a complete directory to its place, after renaming aside what was there; `recover` removes that."""
    aside = place.with_name(REPLACED + place.name)
    if place.exists():
        place.rename(aside)
    else:
        aside.mkdir()  # marks that the manifest does not name the directory in place yet
    incomplete.rename(place)
    sync_directory(place.parent)


def set_aside(directory: Path) -> None:
    """Rename a result's directory, or a link to it, aside before the manifest is written without it."""
    if os.path.lexists(directory):
        directory.rename(directory.with_name(REPLACED + directory.name))
        sync_directory(directory.parent)


def left_behind(root: Path, recorded: Recorded, kinds: Kinds) -> Iterator[Tuple[str, Path, Path]]:
    """Yield what killed or running stages have left: directory of the result, replaced and incomplete new directory."""
    for relative in _directories(root, recorded, kinds):
        try:
            place = place_of(root / relative)
        except InputError:  # a link to a disk that is not mounted: no stage has begun there
            continue
        aside, incomplete = (place.with_name(prefix + place.name) for prefix in (REPLACED, INCOMPLETE))
        if os.path.lexists(aside) or os.path.lexists(incomplete):
            yield relative, aside, incomplete


def recover(root: Path, recorded: Recorded, kinds: Kinds, say: Say = say_nothing) -> None:
    """Remove what a killed stage has left, and restore the directories that the manifest names."""
    for relative, aside, incomplete in list(left_behind(root, recorded, kinds)):
        if os.path.lexists(aside):
            _restore(root, relative, aside, recorded, say)
        if os.path.lexists(incomplete):
            say(f"{incomplete.name}: removed, left by an interrupted stage")
            remove(incomplete)
    for name in (manifest.NAME, HASHES):
        remove(root / f".{name}{PARTIAL}")
    for kind in kinds:
        parent = root / kind.directory
        if kind.names is not None and parent.is_dir() and not parent.is_symlink() and not any(parent.iterdir()):
            parent.rmdir()


def _directories(root: Path, recorded: Recorded, kinds: Kinds) -> List[str]:
    """Return the directories of all results, recorded or begun, relative to the run."""
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


def _restore(root: Path, relative: str, aside: Path, recorded: Recorded, say: Say) -> None:
    """Keep the recorded one of the directories in place and aside.

    Without a record, an empty directory aside marks that a new result was not recorded yet, and any other is of a
    result that was removed.
    """
    place, record = place_of(root / relative), recorded.get(relative)
    old = aside.is_symlink() or (aside.is_dir() and any(aside.iterdir()))
    if record is None and not old:
        remove(place)
        say(f"{relative}: removed, left by an interrupted stage")
    elif (
        record is not None
        and old
        and (not place.exists() or _undamaged(aside, relative, record) > _undamaged(place, relative, record))
    ):
        remove(place)
        aside.rename(place)
        say(f"{relative}: restored as it was before an interrupted command")
    remove(aside)


def _undamaged(directory: Path, relative: str, record: AnyRecord) -> int:
    """Return the number of outputs of a record that lie in a directory as they were written."""
    count = 0
    for file in record.outputs:
        path = directory / file.path[len(relative) + 1 :]
        with suppress(OSError):
            count += path.stat().st_size == file.size_bytes and sha256_of(path) == file.sha256
    return count
