"""Take a simulation, a graph or a mapping out of a run."""

from dataclasses import dataclass
from typing import List, Sequence

from snnb.core.errors import UsageError
from snnb.core.progress import Say, say_nothing
from snnb.results.export import exports_of, remove_partials
from snnb.rundir import remove_result as removal
from snnb.rundir.directory import RunDirectory


@dataclass(frozen=True)
class Removal:
    """What a removal takes out of a run.

    Attributes
    ----------
    directories : list of str
        Relative to the run, in recorded order.
    size_bytes : int
        Of their files.
    exports : list of str
        Exports of graphs among them, which stay.
    """

    directories: List[str]
    size_bytes: int
    exports: List[str]


def plan_removal(run: RunDirectory, names: Sequence[str], *, with_dependents: bool = False) -> Removal:
    """Find out what is to be removed.

    Parameters
    ----------
    run : RunDirectory
    names : sequence of str
        Stamps, or directories such as `graphs/<stamp>`.
    with_dependents : bool
        Whether what was made of them goes too.

    Raises
    ------
    UsageError
        There is no such result, or others were made of it and `with_dependents` is false.
    """
    records = run.records()
    asked = list(dict.fromkeys(removal.named(records, run.kinds, name) for name in names))
    others = removal.dependents(records, asked)
    if others and not with_dependents:
        raise UsageError(
            f"{', '.join(asked)}: {', '.join(others)} {'was' if len(others) == 1 else 'were'} made from it; "
            "give --with-dependents to remove them too, or remove them first"
        )
    directories = [directory for directory in records if directory in (*asked, *others)]
    size = sum(file.size_bytes for directory in directories for file in records[directory].outputs)
    return Removal(directories, size, exports_of(run, directories))


def carry_out(run: RunDirectory, planned: Removal, *, wait: bool = True, say: Say = say_nothing) -> None:
    """Remove what was planned, under the run's lock; after an error nothing has changed.

    Raises
    ------
    UsageError
        Another process has removed some of it, or made something of it, since it was planned.
    InputError
        A directory holds files that are not the run's own.
    """
    with run.locked(wait=wait, say=say):
        records = run.records()
        gone = [directory for directory in planned.directories if directory not in records]
        if gone or removal.dependents(records, planned.directories):
            raise UsageError(f"{run.path} was changed by another process; run the command again")
        run.remove(planned.directories, say)
        remove_partials(run)
