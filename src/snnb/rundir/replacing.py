"""Replace and remove the directories of results atomically.

A stage writes into a hidden sibling of its directory (`.incomplete-train`). When it is complete, the directory that it
replaces is renamed aside (`.replaced-train`), the sibling is renamed to its place, and the manifest is written last. A
result that is removed is renamed aside in the same way before the manifest is written without it. After a kill at any
moment, `recover` restores the directories that the manifest names. Links in the place of a directory are not followed.

In all functions `root` is the run directory, and `recorded` holds the manifest's records by directory relative to it.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Iterator, List, Mapping, Set, Tuple

from snnb.core.errors import InputError
from snnb.core.progress import Say, say_nothing
from snnb.io.files import remove, remove_partial, sha256_of, sync_directory
from snnb.rundir import manifest
from snnb.rundir.manifest import AnyKind, AnyRecord

INCOMPLETE, REPLACED = ".incomplete-", ".replaced-"
Recorded = Mapping[str, AnyRecord]
Kinds = Tuple[AnyKind, ...]


def refuse_foreign_files(root: Path, relative: str, recorded: Recorded) -> None:
    """Refuse to replace or remove a link, or a directory that is not in the manifest or has files not in its record."""
    directory, record = root / relative, recorded.get(relative)
    for path in (directory.parent, directory):
        if path != root and path.is_symlink():
            raise InputError(f"{path} is a link, which is not followed; remove it, or move the entire run to that disk")
    if not directory.exists():
        return
    if record is None:
        raise InputError(f"{directory} is there but not in {manifest.NAME}; move it away, then run the command again")
    outputs = {file.path for file in record.outputs}
    for entry in sorted(directory.rglob("*")) if directory.is_dir() else [directory]:
        path = entry.relative_to(root)
        if path.as_posix() not in outputs and (entry.is_symlink() or not entry.is_dir()):
            raise InputError(f"{root / path} was not written by `snnb` and would be lost; move it away first")


def replace(incomplete: Path, directory: Path) -> None:
    """Rename a complete directory to its place, and an earlier one aside; `recover` removes that."""
    aside = directory.with_name(REPLACED + directory.name)
    if directory.exists():
        directory.rename(aside)
    else:
        aside.mkdir()  # marks that the manifest does not name the directory in place yet
    incomplete.rename(directory)
    sync_directory(directory.parent)


def set_aside(directory: Path) -> None:
    """Rename a result's directory aside before the manifest is written without it."""
    if directory.exists():
        directory.rename(directory.with_name(REPLACED + directory.name))
        sync_directory(directory.parent)


def left_behind(root: Path, recorded: Recorded, kinds: Kinds) -> Iterator[Tuple[str, Path, Path]]:
    """Yield leftovers of killed or running stages: directory of the result, replaced and incomplete new directory."""
    for relative in _directories(root, recorded, kinds):
        directory = root / relative
        aside, incomplete = (directory.with_name(prefix + directory.name) for prefix in (REPLACED, INCOMPLETE))
        if os.path.lexists(aside) or os.path.lexists(incomplete):
            yield relative, aside, incomplete


def recover(root: Path, recorded: Recorded, kinds: Kinds, say: Say = say_nothing) -> None:
    """Remove leftovers of a killed stage, and restore the directories that the manifest names."""
    for relative, aside, incomplete in list(left_behind(root, recorded, kinds)):
        if os.path.lexists(aside):
            _restore(root, relative, aside, recorded, say)
        if os.path.lexists(incomplete):
            say(f"{incomplete.name}: removed, left by an interrupted stage")
            remove(incomplete)
    remove_partial(root)
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
        if (root / kind.directory).is_symlink():
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
    place, record = root / relative, recorded.get(relative)
    old = aside.is_dir() and not aside.is_symlink() and any(aside.iterdir())
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
