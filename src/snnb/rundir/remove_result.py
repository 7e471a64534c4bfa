"""How a result of which a run can have many is taken out of it, whole or not at all.

Its directory, or the link in its place, is first renamed aside (`.removed-20260101T120000Z`). Then the manifest is
written without its record, and what lies aside is removed last. Killed at any moment, `settle_removals` reads from the
manifest what is to be done: a directory that has a record is put back, one that has none is removed.

Where a link lies aside, only the link is removed then, since a run may come from somebody else and a link in it lead to
any folder: the files behind it are removed by the command alone, which has compared them with their hashes.
"""

import os
import re
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence, Tuple

from snnb.core.errors import InputError, UsageError
from snnb.core.progress import Say, say_nothing
from snnb.io.files import remove, sync_directory
from snnb.rundir.records import AnyKind, AnyRecord

REMOVED = ".removed-"
Recorded = Mapping[str, AnyRecord]


def named(recorded: Recorded, kinds: Sequence[AnyKind], name: str) -> str:
    """Return the directory of the result that a person names, by its stamp or as `graphs/<stamp>`.

    A simulation and the graph that is made of it have one stamp; alone it names the simulation.

    Raises
    ------
    UsageError
        There is no such result, it is one that a run has to have, or the stamp alone names several.
    """
    many = [kind for kind in kinds if kind.names is not None]
    there = [path for path in recorded if path.split("/")[0] in [kind.directory for kind in many]]
    wanted = name.rstrip("/")
    found = [path for path in there if wanted in (path, path.split("/")[1])]
    if not found:
        if wanted in [word for kind in kinds if kind.names is None for word in (kind.name, kind.directory)]:
            raise UsageError(f"{wanted} is no result that is taken out of a run; `--force` makes it again")
        raise UsageError(f"{wanted}: not in the run; there are: {', '.join(there) or 'none yet'}")
    others = sorted(set(found[1:]) - set(dependents(recorded, found[:1])))
    if others:
        raise UsageError(f"{wanted} names several; say which: {' or '.join(found)}")
    return found[0]


def dependents(recorded: Recorded, directories: Sequence[str]) -> List[str]:
    """Return the directories of all results that were made of these or of what was made of them, in recorded order."""
    found = set(directories)
    for _ in recorded:
        below = tuple(f"{directory}/" for directory in found)
        more = {
            directory
            for directory, record in recorded.items()
            if any(not file.external and file.path.startswith(below) for file in record.inputs)
        }
        if more <= found:
            break
        found |= more
    return [directory for directory in recorded if directory in found and directory not in directories]


def set_aside(directory: Path) -> None:
    """Rename a result's directory, or the link in its place, aside; do nothing where there is none.

    Raises
    ------
    InputError
        Something lies where it would be renamed to.
    """
    if not os.path.lexists(directory):
        return
    aside = directory.with_name(REMOVED + directory.name)
    if os.path.lexists(aside):
        raise InputError(f"{aside} is in the way; move it away, then run the command again")
    directory.rename(aside)
    sync_directory(directory.parent)


def remove_behind(directory: Path) -> None:
    """Remove the files behind a link that is set aside; nothing where no link is."""
    aside = directory.with_name(REMOVED + directory.name)
    if aside.is_symlink():
        remove(aside.resolve())


def removals_left(root: Path, kinds: Sequence[AnyKind]) -> Iterator[Tuple[str, Path]]:
    """Yield what killed removals have left: the result's directory relative to the run, and what lies aside."""
    for kind in kinds:
        for aside in sorted((root / kind.directory).glob(f"{REMOVED}*")) if kind.names is not None else ():
            name = aside.name[len(REMOVED) :]
            if re.fullmatch(str(kind.names), name):
                yield f"{kind.directory}/{name}", aside


def half_removed(root: Path, recorded: Recorded, kinds: Sequence[AnyKind]) -> Dict[str, Path]:
    """Return the recorded results that a killed removal has set aside, and where they are."""
    return {
        relative: aside
        for relative, aside in removals_left(root, kinds)
        if relative in recorded and not os.path.lexists(root / relative)
    }


def settle_removals(root: Path, recorded: Recorded, kinds: Sequence[AnyKind], say: Say = say_nothing) -> None:
    """Put back what a killed removal has set aside, or finish it, as the manifest says."""
    for relative, aside in list(removals_left(root, kinds)):
        if relative not in recorded:
            if aside.is_symlink() and aside.exists():
                say(f"{relative}: its removal was interrupted; the files at {aside.resolve()} are left")
            remove(aside)
        elif not os.path.lexists(root / relative):
            aside.rename(root / relative)
            say(f"{relative}: put back as it was before an interrupted removal")
