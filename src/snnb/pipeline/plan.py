"""Find out which stages must run and why, by following what each stage needs; and run them."""

import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Callable, ContextManager, Dict, Iterator, List, Mapping, Optional, Sequence

from snnb.core.errors import InputError, UpstreamError, how_to_install
from snnb.core.options import drop_invalid, merge_options, refuse_bad_values
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.pipeline.all import STAGES
from snnb.pipeline.differences import in_words
from snnb.pipeline.stage import AnyStage, Given, PlannedRun, StageResult, recorded_params, result_of
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.records import AnyRecord
from snnb.rundir.staleness import other_versions, stale_reason

UP_TO_DATE = "up to date"
OTHER_VERSIONS = "results that are up to date were made with other versions of"
TENSORFLOW_PYTHON = "3.8"  # the newest for which TensorFlow 2.2 was built


@dataclass(frozen=True)
class Outcome:
    """The result of a stage, and the reason why it ran; None if it was up to date."""

    result: StageResult
    reason: Optional[str]


@contextmanager
def no_bar(stage: str, time_left: bool = True) -> Iterator[Progress]:
    """Show no progress."""
    yield silent


def bring_up_to_date(
    run: RunDirectory,
    target: str,
    given: Given,
    *,
    force: bool = False,
    upstream: bool = True,
    asked_by_name: bool = True,
    say: Say = say_nothing,
    bar: Callable[..., ContextManager[Progress]] = no_bar,
) -> List[Outcome]:
    """Run `target` and whatever it needs first.

    Parameters
    ----------
    run : RunDirectory
        The run, locked.
    target : str
        Name of the last stage to bring up to date.
    given : mapping of str to mapping
        Options that were given, by stage. An option that is not given keeps its recorded value.
    force : bool
        Run stages that are up to date too: the target, or every stage if `asked_by_name` is false.
    upstream : bool
        Whether earlier stages may run; if not, one that would have to raises `UpstreamError`.
    asked_by_name : bool
        Whether the target was asked for, not the whole chain of stages. Only then does a stage that always makes a new
        result make one.
    say : callable
        Called with messages that say what runs, and why.
    bar : callable
        Returns a context manager for the name of a stage, whose value is called with the progress.

    Returns
    -------
    list of Outcome
        One for each stage that the target needs, in order.
    """
    outcomes: Dict[str, Outcome] = {}
    names = check_options(run, target, given)
    for name in names:
        stage, tell = STAGES[name], partial(_tell, say, name)
        results = {done: outcome.result for done, outcome in outcomes.items()}
        options = stage.follow(given.get(name, {}), results)
        reason = stage.why_run(run, options)
        if reason is None and force and (name == target or not asked_by_name):
            reason = "forced"
        if reason is None and name == target and stage.always_new and asked_by_name:
            reason = "a new one is made whenever it is asked for by name"
        if reason is None:
            outcomes[name] = Outcome(_present(run, stage, options, tell), None)
            continue
        if name != target and not upstream:
            raise UpstreamError(f"{name} has to run before {target} ({reason}); leave out --no-upstream to run it")
        tell(f"running ({reason})")
        result = _run_stage(run, stage, options, PlannedRun(names, given, name, tell), bar)
        outcomes[name] = Outcome(result, reason)
    there = [outcome.result.record for outcome in outcomes.values() if outcome.reason is None]
    others = dict.fromkeys(package for record in there for package in other_versions(record))
    if others:
        say(f"{OTHER_VERSIONS} {', '.join(others)}; see {run.path / manifest.NAME}")
    return list(outcomes.values())


def _present(run: RunDirectory, stage: AnyStage, options: Mapping[str, object], tell: Say) -> StageResult:
    """Return the result of a stage that is up to date."""
    tell(UP_TO_DATE)
    result = result_of(run, stage.name, stage.serves(run, options))
    figures = options.get("figures")
    if figures is not None and not any(file.path.endswith(f".{figures}") for file in result.record.outputs):
        tell(f"its figures are unchanged; --force runs it again with figures as {figures}")
    return result


def _run_stage(
    run: RunDirectory,
    stage: AnyStage,
    options: Mapping[str, object],
    planned: PlannedRun,
    bar: Callable[..., ContextManager[Progress]],
) -> StageResult:
    with _extra_named(stage.name):
        _check_plan(run, planned)
        params = stage.resolve(run, options, planned.say)
        with bar(stage.name, stage.time_left) as progress:
            result = stage.run(run, params, progress)
    for warning in result.record.warnings:
        planned.say(warning)
    return result


def _tell(say: Say, stage: str, message: str) -> None:
    say(f"{stage}: {message}")


@contextmanager
def _extra_named(stage: str) -> Iterator[None]:
    """Say which extra of the package to install when a library is missing that only some stages need."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("tensorflow", "snntoolbox"):
            raise
        here = ".".join(map(str, sys.version_info[:2]))
        raise InputError(
            f"{stage} needs {error.name.split('.')[0]}, which is not installed; "
            + ("" if here == TENSORFLOW_PYTHON else f"in Python {TENSORFLOW_PYTHON} (this is {here}), ")
            + f"{how_to_install('cpu')}, or '.[gpu]' for CUDA"
        ) from error


def check_options(run: RunDirectory, target: str, given: Given) -> List[str]:
    """Raise `UsageError` before any stage runs, since the last may run hours later; return the stages that are needed.

    The arguments are those of `bring_up_to_date`.
    """
    names = needed(target, given)
    for name in names:
        options, kind = given.get(name, {}), STAGES[name].kind
        refuse_bad_values(kind.params, options)
        fits, _ = drop_invalid(kind.params, recorded_params(run.record_of(name)), options)
        refuse_bad_values(kind.params, merge_options(fits, options))
    _check_plan(run, PlannedRun(names, given, None, say_nothing))
    return names


def _check_plan(run: RunDirectory, planned: PlannedRun) -> None:
    for stage in STAGES.values():
        stage.check(run, planned)


def needed(target: str, given: Given) -> List[str]:
    """Return the stages that `target` needs with these options, and `target`, in order."""
    found: List[str] = []
    for need in STAGES[target].needs(given.get(target, {})):
        found += [name for name in needed(need, given) if name not in found]
    return [*found, target]


@dataclass(frozen=True)
class StageState:
    """A stage, its record if it is complete, and the reason if it is stale.

    Attributes
    ----------
    name : str
        Of the stage; of one of many results its directory.
    record : StageRecord or None
    reason : str or None
        Why it is stale.
    made_with : dict
        Parameters of the stages before that it was made with, where the present ones are others: it is not stale.
    """

    name: str
    record: Optional[AnyRecord]
    reason: Optional[str]
    made_with: Mapping[str, object] = field(default_factory=dict)

    @property
    def up_to_date(self) -> bool:
        """Whether it is complete, not stale, and made with the present parameters."""
        return self.reason is None and not self.made_with

    @property
    def in_words(self) -> str:
        """The state as a person reads it."""
        if self.record is None:
            return self.reason or ""
        if self.reason:
            return f"stale: {self.reason}"
        return f"made with {in_words(self.made_with)}" if self.made_with else "up to date"


def state_of_stages(run: RunDirectory) -> List[StageState]:
    """Return the state of every result in the run, and of the stages of `snnb run` that have not run."""
    states: List[StageState] = []
    stale: Dict[str, str] = {}  # by stage, the first one that has to run for it

    def first_stale(stage: AnyStage, options: Mapping[str, object]) -> Optional[str]:
        return next((stale[need] for need in stage.needs(options) if need in stale), None)

    def state(stage: AnyStage, shown: str, directory: str, record: Optional[AnyRecord]) -> StageState:
        before = stage.made_with(run, record) if record is not None else {}
        if record is not None and before:
            made_with = {name: value for params in before.values() for name, value in params.items()}
            later = list(STAGES)[list(STAGES).index(next(iter(before))) :]
            return StageState(shown, record, stale_reason(run, _without_inputs_of(record, later), {}), made_with)
        reason = stale_reason(run, record, {})
        first = first_stale(stage, recorded_params(record))
        return StageState(shown, record, reason or (f"{first} has to run first" if first else None))

    for name, stage in STAGES.items():
        first = first_stale(stage, {})
        if stage.kind.names is None:
            found = [state(stage, name, stage.kind.directory, run.record_of(name))]
            first = first or (name if found[0].reason is not None else None)
        else:
            directories = {run.directory_of(name, key): record for key, record in run.records_of(name).items()}
            found = [state(stage, directory, directory, record) for directory, record in directories.items()]
        if first:
            stale[name] = first
        states += found or ([] if stage.optional else [StageState(name, None, "has not run")])
    return states


def _without_inputs_of(record: AnyRecord, stages: Sequence[str]) -> AnyRecord:
    """Leave out the inputs that the stages make of which a run has one result each."""
    folders = tuple(f"{STAGES[name].kind.directory}/" for name in stages if STAGES[name].kind.names is None)
    return record.model_copy(update={"inputs": [file for file in record.inputs if not file.path.startswith(folders)]})
