"""What a stage is: the kind of its result, what it needs, how its options become parameters, how it runs."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Callable, Dict, Generic, Mapping, Optional, Sequence, Tuple, cast

from snnb.core.errors import InputError, UsageError
from snnb.core.options import FIGURE_ENDINGS, FigureFormat, drop_invalid, merge_options, option_name, validated
from snnb.core.progress import Progress, Say, say_nothing
from snnb.rundir.directory import RunDirectory
from snnb.rundir.records import AnyRecord, D, Kind, P, StageRecord
from snnb.rundir.staleness import stale_reason

Given = Mapping[str, Mapping[str, object]]
Follow = Callable[[Mapping[str, object], Mapping[str, "StageResult"]], Mapping[str, object]]


@dataclass(frozen=True)
class StageResult:
    """A complete stage: its directory and its record in the manifest."""

    stage: str
    directory: Path
    record: AnyRecord


@dataclass(frozen=True)
class PlannedRun:
    """What will run, for stages to refuse now what they would refuse hours later.

    Attributes
    ----------
    stages : sequence of str
        Names of all stages of the run, in order.
    given : mapping of str to mapping
        The options of each.
    next : str or None
        The stage that runs next; None before the first.
    say : callable
        Called with what will be refused later, in a stage that is not among them.
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
    kind : Kind
        The kind of its result; its name is the stage's.
    text : str
        What it does, for the help.
    needs : callable
        From its options, the names of the stages whose results it uses.
    resolve : callable
        From the given and the recorded options, the parameters in force. It calls its last argument with a message for
        each recorded value that it does not use.
    run : callable
        Runs the stage with these parameters.
    serves : callable
        From its options, the name of the result that they ask for, if the run has many and among them this one.
    why : callable, optional
        From its options, why it must run; None when it is up to date.
    again : callable
        From the run and the name of one of many results, the command-line options that make that one again.
    made_with : callable
        From the record of one of many results, by stage before it, the parameters that it was made with where those of
        the run's present result are others.
    check : callable
        Called before a stage runs; raises for what cannot succeed.
    follow : callable
        From its options and the results of the stages before, the options to use.
    always_new : bool
        Whether it makes a new result each time it is asked for by name.
    optional : bool
        Whether it runs only when it is asked for by name: `snnb run` leaves it out.
    time_left : bool
        Whether the time left may be estimated from its progress: not where totals are bounds, or several parts are
        counted one after another.
    """

    kind: Kind[P, D]
    text: str
    needs: Callable[[Mapping[str, object]], Tuple[str, ...]]
    resolve: Callable[[RunDirectory, Mapping[str, object], Say], P]
    run: Callable[[RunDirectory, P, Progress], StageResult]
    serves: Callable[[RunDirectory, Mapping[str, object]], Optional[str]] = lambda run, options: None
    why: Optional[Callable[[RunDirectory, Mapping[str, object]], Optional[str]]] = None
    again: Callable[[RunDirectory, str], Sequence[str]] = lambda run, name: ()
    made_with: Callable[[RunDirectory, AnyRecord], Dict[str, Dict[str, object]]] = lambda run, record: {}
    check: Callable[[RunDirectory, PlannedRun], None] = lambda run, planned: None
    follow: Follow = lambda options, results: options
    always_new: bool = False
    optional: bool = False
    time_left: bool = True

    @property
    def name(self) -> str:
        """Name of the stage, as it is typed."""
        return self.kind.name

    def why_run(self, run: RunDirectory, options: Mapping[str, object]) -> Optional[str]:
        """Say why it must run now with these options; None when it is up to date."""
        if self.why is not None:
            return self.why(run, options)
        return stale_reason(run, run.record_of(self.name), options)


AnyStage = Stage[Any, Any]


def recorded(run: RunDirectory, kind: Kind[P, D], name: Optional[str] = None) -> Optional[StageRecord[P, D]]:
    """Return the record of a kind, with its types; of many, without a name, the latest."""
    return cast("Optional[StageRecord[P, D]]", run.record_of(kind.name, name))


def recorded_details(run: RunDirectory, kind: Kind[P, D]) -> D:
    """Return the details of a stage that has run."""
    record = recorded(run, kind)
    if record is None:
        raise KeyError(f"{kind.name} is not complete")
    return record.details


def result_of(run: RunDirectory, stage: str, name: Optional[str] = None) -> StageResult:
    """Return the result of a complete stage."""
    record = run.record_of(stage, name)
    if record is None:
        raise KeyError(f"{stage} is not complete")
    return StageResult(stage, run.path / run.directory_of(stage, name), record)


def params_in_force(
    kind: Kind[P, D],
    defaults: Mapping[str, object],
    record: Optional[AnyRecord],
    given: Mapping[str, object],
    say: Say = say_nothing,
) -> P:
    """Return the parameters in force: an option that is given, else its recorded value, else its default.

    Parameters
    ----------
    kind : Kind
        The kind of the stage's result.
    defaults : mapping
        Defaults that depend on the run, beside those of the fields.
    record : StageRecord or None
        The record whose parameters count where no option is given.
    given : mapping
        The options that were given.
    say : callable
        Called with a message for each recorded value that is not valid together with the given options; its default is
        used then.

    Raises
    ------
    UsageError
        An option does not take its value.
    """
    valid, dropped = drop_invalid(kind.params, recorded_params(record), given)
    params = validated(kind.params, merge_options({**defaults, **valid}, given))
    for name, value in dropped.items():
        option, used = option_name(kind.params, name), getattr(params, name)
        say(f"{option} {value} was recorded, but is not valid with these options; {used} is used")
    return params


def figure_format(asked: Optional[FigureFormat], record: Optional[AnyRecord], stem: str) -> FigureFormat:
    """Return the format of figures that is asked for; else that of the figure `stem` of the result before; else PNG."""
    paths = [PurePosixPath(file.path) for file in record.outputs] if record is not None else []
    endings = [path.suffix for path in paths if path.stem == stem and path.suffix in FIGURE_ENDINGS]
    return asked or cast(FigureFormat, endings[0][1:] if endings else "png")


def record_to_repair(
    run: RunDirectory, kind: Kind[P, D], given: Mapping[str, object], what: str, free: Sequence[str]
) -> StageRecord[P, D]:
    """Return the record that `--repair STAMP` names.

    Parameters
    ----------
    run : RunDirectory
        The run.
    kind : Kind
        The kind of the stage's result.
    given : mapping
        The options that were given, `repair` among them.
    what : str
        What is made again, for the message: "a simulation".
    free : sequence of str
        Options that may be given beside `--repair`.

    Raises
    ------
    UsageError
        There is no such result, or another option is given.
    """
    records, stamp = run.records_of(kind.name), str(given["repair"])
    if stamp not in records:
        raise UsageError(f"--repair {stamp}: not in {run.path}; there are: {', '.join(records) or 'none yet'}")
    others = sorted(set(given) - {"repair", *free})
    if others:
        raise UsageError(
            f"--repair makes {what} again with its recorded options; leave out {option_name(kind.params, others[0])}"
        )
    return cast(StageRecord[P, D], records[stamp])


def unaltered(run: RunDirectory, record: Optional[AnyRecord], path: str, wrote: str, remedy: str) -> Path:
    """Return the place of a file of the run, which is as it was recorded.

    Parameters
    ----------
    run : RunDirectory
    record : StageRecord or None
        Of the result that the file is an output of.
    path : str
        Relative to the run.
    wrote : str
        Who wrote it, for the message: "the simulation wrote it".
    remedy : str
        What to do about it.

    Raises
    ------
    InputError
        It is not among the outputs, missing or altered.
    """
    written = next((file for file in record.outputs if file.path == path), None) if record is not None else None
    if written is None or not run.hashes.matches(written):
        raise InputError(f"{run.path / path} is not as {wrote}; {remedy}")
    return run.path / path


def recorded_params(record: Optional[AnyRecord]) -> Dict[str, object]:
    """Return the parameters that a stage was run with; none if it has not run."""
    params: Dict[str, object] = record.params.model_dump() if record is not None else {}
    return params
