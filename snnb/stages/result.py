"""What a stage returns, and how its parameters come about."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Type, TypeVar

from snnb.rundir.directory import RunDirectory
from snnb.rundir.params import Params, fitting, over, validated
from snnb.rundir.records import AnyStageRecord

P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class StageResult:
    """A complete stage: its directory and what the manifest says of it."""

    stage: str
    directory: Path
    record: AnyStageRecord


def result_of(run: RunDirectory, stage: str, stamp: Optional[str] = None) -> StageResult:
    """The result of a complete stage."""
    record = run.record_of(stage, stamp)
    if record is None:
        raise KeyError(f"{stage} is not complete")
    return StageResult(stage, run.path / run.directory_of(stage, stamp), record)


def merge(
    kind: Type[P],
    defaults: Mapping[str, Any],
    record: Optional[AnyStageRecord],
    given: Mapping[str, Any],
    say: Callable[[str], None] = lambda _: None,
) -> P:
    """Parameters in force: an option that is given, else the recorded value, else the default.

    A recorded value that does not fit the options given now is dropped for the default, and `say` names it.
    """
    recorded, dropped = fitting(kind, recorded_params(record), given)
    params = validated(kind, over({**defaults, **recorded}, given))
    for name, value in dropped.items():
        say(f"--{name.replace('_', '-')} {value} was recorded and no longer fits; {getattr(params, name)} is used")
    return params


def recorded_params(record: Optional[AnyStageRecord]) -> Dict[str, Any]:
    """Parameters that a stage was run with; none if it has not run."""
    return record.params.model_dump() if record is not None else {}
