"""What a stage is: the kind of result it makes, what it needs, how its options become parameters, how it runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Generic, Mapping, Optional, Sequence, Tuple, cast

from snnb.options import fitting, option_name, over, validated
from snnb.progress import Progress
from snnb.rundir.directory import RunDirectory
from snnb.rundir.records import AnyRecord, D, Kind, P, StageRecord
from snnb.rundir.staleness import stale_reason

Given = Mapping[str, Mapping[str, Any]]
Say = Callable[[str], None]


def say_nothing(message: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class StageResult:
    """A complete stage: its directory and what the manifest says of it."""

    stage: str
    directory: Path
    record: AnyRecord


@dataclass(frozen=True)
class PlannedRun:
    """What a stage is told before another runs, so that it can refuse now what it would refuse hours later.

    Attributes
    ----------
    stages
        Names of all stages that are wanted, in order.
    given
        The options of each.
    next
        The one about to run; None before the first.
    say
        Told of what will be refused later on, in a stage that is not wanted now.
    """

    stages: Sequence[str]
    given: Given
    next: Optional[str]
    say: Say


@dataclass(frozen=True)
class Stage(Generic[P, D]):
    """A stage.

    Attributes
    ----------
    kind
        What it makes; its name is the stage's.
    text
        What it does, for people.
    needs
        Names of the stages that its result rests on, from its options.
    resolve
        Parameters in force, from the options given and the recorded ones. It says which recorded one it has dropped.
    run
        Run it with these parameters.
    serves
        Name of the one of many results that these options ask for, if it is there; where there is one, None.
    why
        Why it would have to run now with these options; None when it is up to date.
    again
        From the name of one of many results, the options that make that one again.
    check
        Raise for what cannot succeed, before a stage runs.
    follow
        The options with what results from the stages before.
    always_new
        Whether, asked for by name, it makes a new result although there is one.
    address_space
        Bytes of address space that its libraries need.
    """

    kind: Kind[P, D]
    text: str
    needs: Callable[[Mapping[str, Any]], Tuple[str, ...]]
    resolve: Callable[[RunDirectory, Mapping[str, Any], Say], P]
    run: Callable[[RunDirectory, P, Progress], StageResult]
    serves: Callable[[RunDirectory, Mapping[str, Any]], Optional[str]] = lambda run, options: None
    why: Optional[Callable[[RunDirectory, Mapping[str, Any]], Optional[str]]] = None
    again: Callable[[str], Sequence[str]] = lambda name: ()
    check: Callable[[RunDirectory, PlannedRun], None] = lambda run, planned: None
    follow: Callable[[Mapping[str, Any], Mapping[str, StageResult]], Mapping[str, Any]] = lambda options, results: (
        options
    )
    always_new: bool = False
    address_space: int = 0

    @property
    def name(self) -> str:
        """Of the stage, as it is typed."""
        return self.kind.name

    def why_run(self, run: RunDirectory, options: Mapping[str, Any]) -> Optional[str]:
        """Why it would have to run now with these options; None when it is up to date."""
        if self.why is not None:
            return self.why(run, options)
        return stale_reason(run, run.record_of(self.name), options)


def recorded(run: RunDirectory, kind: Kind[P, D], name: Optional[str] = None) -> Optional[StageRecord[P, D]]:
    """The record of a kind, with its types; of many without a name, the latest."""
    return cast("Optional[StageRecord[P, D]]", run.record_of(kind.name, name))


def recorded_details(run: RunDirectory, kind: Kind[P, D]) -> D:
    """What a stage recorded that has run, or the plan would have run it."""
    record = recorded(run, kind)
    if record is None:
        raise KeyError(f"{kind.name} is not complete")
    return record.details


def result_of(run: RunDirectory, stage: str, name: Optional[str] = None) -> StageResult:
    """The result of a complete stage."""
    record = run.record_of(stage, name)
    if record is None:
        raise KeyError(f"{stage} is not complete")
    return StageResult(stage, run.path / run.directory_of(stage, name), record)


def params_in_force(
    kind: Kind[P, D],
    defaults: Mapping[str, Any],
    record: Optional[AnyRecord],
    given: Mapping[str, Any],
    say: Say = say_nothing,
) -> P:
    """Parameters in force: an option that is given, else the recorded value, else the default.

    A recorded value that does not fit the options given now is dropped for the default, and `say` names it.
    """
    kept, dropped = fitting(kind.params, recorded_params(record), given)
    params = validated(kind.params, over({**defaults, **kept}, given))
    for name, value in dropped.items():
        say(
            f"{option_name(kind.params, name)} {value} was recorded and no longer fits; {getattr(params, name)} is used"
        )
    return params


def recorded_params(record: Optional[AnyRecord]) -> Dict[str, Any]:
    """Parameters that a stage was run with; none if it has not run."""
    params: Dict[str, Any] = record.params.model_dump() if record is not None else {}
    return params
