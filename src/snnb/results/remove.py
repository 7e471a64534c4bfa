"""Remove a simulation, a graph or a mapping from a run."""

from itertools import chain
from pathlib import Path
from typing import List, Mapping, Sequence, Set

from snnb.core.errors import UsageError
from snnb.core.progress import Say, say_nothing
from snnb.io.text import Document
from snnb.results.export import exports_of
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import AnyRecord


class Removal(Document):
    """Results that are removed from a run."""

    run_dir: Path
    removed: List[str]  # directories relative to the run, in recorded order
    size_bytes: int  # size of their files
    exports: List[str]  # exports of graphs among them, which are kept


def plan_removal(
    run: RunDirectory, names: Sequence[str], *, with_dependents: bool = False
) -> Removal:
    """Return the results to remove, named by stamp or by directory, such as `graphs/<stamp>`.

    `with_dependents` also removes the results made from them; otherwise raise
    `UsageError` if there are any.
    """
    records = run.records()
    selected_results = list(
        dict.fromkeys(_directory_named(run, name) for name in names)
    )
    dependents = _dependents(records, selected_results)
    if dependents and not with_dependents:
        raise UsageError(
            f"{', '.join(selected_results)}: {', '.join(dependents)} "
            f"{'was' if len(dependents) == 1 else 'were'} made from it; give "
            "--with-dependents to remove them too, or remove them first"
        )
    directories = [
        directory
        for directory in records
        if directory in (*selected_results, *dependents)
    ]
    outputs = [records[directory].outputs for directory in directories]
    size = sum(file.size_bytes for file in chain.from_iterable(outputs))
    return Removal(
        run_dir=run.path,
        removed=directories,
        size_bytes=size,
        exports=exports_of(run, directories),
    )


def carry_out(
    run: RunDirectory, removal: Removal, *, wait: bool = True, say: Say = say_nothing
) -> None:
    """Remove the planned results under the lock of the run; after an error nothing has changed.

    Raise `UsageError` if another process has meanwhile made a result from it, or
    removed a part of it.
    """
    with run.locked(wait=wait, say=say):
        plan_removal(run, removal.removed)
        run.remove(removal.removed, say)


def _directory_named(run: RunDirectory, name: str) -> str:
    """Return the directory of the result that a user names by its stamp or as `graphs/<stamp>`.

    A simulation and the graph made from it have the same stamp, which alone names the
    simulation.
    """
    records, directory_name = run.records(), name.rstrip("/")
    many = [kind.directory for kind in run.kinds if kind.names is not None]
    results = [path for path in records if path.split("/")[0] in many]
    matches = [path for path in results if directory_name in (path, path.split("/")[1])]
    if not matches:
        single_kinds = [kind for kind in run.kinds if kind.names is None]
        if any(directory_name in (kind.name, kind.directory) for kind in single_kinds):
            raise UsageError(
                f"{directory_name} is not a result that can be removed from a run; "
                "`--force` recreates it"
            )
        raise UsageError(
            f"{directory_name}: not in the run; there are: "
            f"{', '.join(results) or 'none yet'}"
        )
    if set(matches[1:]) - set(_dependents(records, matches[:1])):
        raise UsageError(
            f"{directory_name} is ambiguous; choose one of {' or '.join(matches)}"
        )
    return matches[0]


def _dependents(
    records: Mapping[str, AnyRecord], directories: Sequence[str]
) -> List[str]:
    """Return the directories of all results made from the given ones, directly or not, in recorded order."""
    dependents: Set[str] = set()
    below = [*directories]
    while below:
        made_of = f"{below.pop()}/"
        more = {
            directory
            for directory, record in records.items()
            if any(
                not file.external and file.path.startswith(made_of)
                for file in record.inputs
            )
        }
        below += more - dependents
        dependents |= more
    return [
        directory
        for directory in records
        if directory in dependents and directory not in directories
    ]
