"""Whether a stage is up to date, and if not, why: from the options given, the recorded ones, and the files' hashes."""

from pathlib import Path
from typing import Any, List, Mapping, Optional

from snnb.rundir.directory import RunDirectory
from snnb.rundir.environment import current_environment
from snnb.rundir.params import validated
from snnb.rundir.records import AnyStageRecord


def changed_options(record: AnyStageRecord, given: Mapping[str, Any]) -> List[str]:
    """Options given now that disagree with the recorded parameters, as `epochs: 2 → 3`."""
    recorded = record.params.model_dump()
    asked = validated(type(record.params), {**recorded, **given}).model_dump()
    return [
        f"{name}: {recorded[name]} → {asked[name]}"
        for name in given
        if name in recorded and asked[name] != recorded[name]
    ]


def stale_reason(run: RunDirectory, record: Optional[AnyStageRecord], given: Mapping[str, Any]) -> Optional[str]:
    """Why a stage has to run, in a few words; None when it is up to date.

    Inputs are compared by hash with the recorded ones, those outside the run only where they are there. Outputs that
    are missing or altered have to be made again.
    """
    if record is None:
        return "has not run"
    changed = changed_options(record, given)
    if changed:
        return ", ".join(changed)
    for file in record.inputs:
        if file.external and not Path(file.path).is_file():
            continue  # a folder, or on another machine
        if not run.hashes.matches(file):
            return f"{file.path} has changed" if (run.path / file.path).exists() else f"{file.path} is missing"
    for file in record.outputs:
        if not run.hashes.matches(file):
            there = (run.path / file.path).exists()
            return f"{file.path} is not as it was written" if there else f"{file.path} is missing"
    return None


def version_warnings(record: AnyStageRecord) -> List[str]:
    """Packages whose versions differ from those that computed the stage: worth knowing, no reason to run again."""
    then, now = record.environment.model_dump(), current_environment().model_dump()
    return [
        f"{name} {then[name]} then, {now[name]} now"
        for name in ("python", "snnb", "numpy", "tensorflow", "snntoolbox")
        if now[name] is not None and then[name] is not None and then[name] != now[name]
    ]
