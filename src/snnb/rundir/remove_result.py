"""Select the results that are removed from a run: by name, and with what was made of them."""

from typing import List, Mapping, Sequence, Set

from snnb.core.errors import UsageError
from snnb.rundir.records import AnyKind, AnyRecord

Recorded = Mapping[str, AnyRecord]  # the manifest's records by directory


def named(recorded: Recorded, kinds: Sequence[AnyKind], name: str) -> str:
    """Return the directory of the result that a user names by its stamp or as `graphs/<stamp>`.

    A simulation and the graph that is made of it have the same stamp, which alone names the simulation.

    Parameters
    ----------
    recorded : mapping of str to StageRecord
        The manifest's records by directory.
    kinds : sequence of Kind
        What the run may hold.
    name : str
        What the user gave.

    Raises
    ------
    UsageError
        There is no such result, a run has to have it, or the stamp names several.
    """
    many = [kind.directory for kind in kinds if kind.names is not None]
    results = [path for path in recorded if path.split("/")[0] in many]
    wanted = name.rstrip("/")
    found = [path for path in results if wanted in (path, path.split("/")[1])]
    if not found:
        if wanted in [word for kind in kinds if kind.names is None for word in (kind.name, kind.directory)]:
            raise UsageError(f"{wanted} is no result that is taken out of a run; `--force` makes it again")
        raise UsageError(f"{wanted}: not in the run; there are: {', '.join(results) or 'none yet'}")
    if set(found[1:]) - set(dependents(recorded, found[:1])):
        raise UsageError(f"{wanted} names several; say which: {' or '.join(found)}")
    return found[0]


def dependents(recorded: Recorded, directories: Sequence[str]) -> List[str]:
    """Return the directories of all results that were made of some results, directly or not, in recorded order.

    Parameters
    ----------
    recorded : mapping of str to StageRecord
        The manifest's records by directory.
    directories : sequence of str
        Directories of the results, relative to the run.
    """
    found: Set[str] = set()
    below = [*directories]
    while below:
        made_of = f"{below.pop()}/"
        more = {
            directory
            for directory, record in recorded.items()
            if any(not file.external and file.path.startswith(made_of) for file in record.inputs)
        }
        below += more - found
        found |= more
    return [directory for directory in recorded if directory in found and directory not in directories]
