"""Whether a stage is up to date, by its options and the content of its files."""

from pathlib import Path
from typing import TYPE_CHECKING, List, Mapping, Optional

from snnb.rundir.hashes import changed
from snnb.rundir.manifest import AnyRecord, FileRecord, current_environment

if TYPE_CHECKING:
    from snnb.rundir.directory import RunDirectory


def changed_options(record: AnyRecord, given: Mapping[str, object]) -> List[str]:
    """Return the given options, as `typed` returns them, that differ from the recorded parameters: `epochs: 2 → 3`."""
    recorded = record.params.model_dump()
    differences = []
    for name, now in given.items():
        then = recorded.get(name)
        if isinstance(now, Mapping) and isinstance(then, Mapping):  # only the keys that differ
            keys = [key for key in now if key not in then or now[key] != then[key]]
            now, then = {key: now[key] for key in keys}, {key: then.get(key) for key in keys}
        if name in recorded and now != then:
            then, now = ("not given" if value is None else value for value in (then, now))
            differences.append(f"{name}: {then} → {now}")
    return differences


def stale_reason(run: "RunDirectory", record: Optional[AnyRecord], given: Mapping[str, object]) -> Optional[str]:
    """Return why a stage has to run, or None if it is up to date.

    Inputs and outputs are compared with their recorded hashes, inputs outside the run only if they exist here.

    Parameters
    ----------
    run : RunDirectory
    record : StageRecord or None
        None if the stage is not complete.
    given : mapping
        The given options by name.
    """
    if record is None:
        return "has not run"
    options = changed_options(record, given)
    if options:
        return ", ".join(options)
    for file in record.inputs:
        difference = input_difference(run, file)
        if difference is not None:
            return f"{file.path} {difference}"
    for file in record.outputs:
        if not run.hashes.matches(file):
            exists = (run.path / file.path).exists()
            return f"{file.path} is not as it was written" if exists else f"{file.path} is missing"
    return None


def input_difference(run: "RunDirectory", file: FileRecord) -> Optional[str]:
    """Return how an input differs from its record; None if it does not, or is not on this machine."""
    if file.external and not Path(file.path).is_file():
        return changed(file)
    if run.hashes.matches(file):
        return None
    return "has changed" if file.external or (run.path / file.path).exists() else "is missing"


def other_versions(record: AnyRecord) -> List[str]:
    """Return the packages that had other versions when the stage ran."""
    then, now = record.environment.model_dump(), current_environment().model_dump()
    names = ("python", "snnb", "numpy", "tensorflow", "snntoolbox")
    return [name for name in names if None not in (now[name], then[name]) and then[name] != now[name]]
