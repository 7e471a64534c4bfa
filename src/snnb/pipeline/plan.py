"""Determine which stages must run and why, from what each stage needs, and run them."""

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable, ContextManager, Dict, Iterator, List, Mapping, Optional

from snnb.core.errors import InputError, UpstreamError, how_to_install
from snnb.core.options import drop_invalid, merge_options, refuse_bad_values, typed
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.pipeline.all import STAGES
from snnb.pipeline.stage import AnyStage, Given, PlannedRun, StageResult, recorded_params, result_of
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.records import AnyRecord
from snnb.rundir.staleness import other_versions, stale_reason

UP_TO_DATE = "up to date"
FIGURES_UNCHANGED = "its figures are unchanged"
OTHER_VERSIONS = "results that are up to date were made with other versions of"


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
        Given options by stage, as `read_options` returns them. An option that is not given keeps its recorded value.
    force : bool
        Run stages that are up to date too: the target, or every stage if `asked_by_name` is false.
    upstream : bool
        Whether earlier stages may run; if not, one that would have to raises `UpstreamError`.
    asked_by_name : bool
        Whether the target was requested by name, not as the last stage of `snnb run`. Only then does a stage that
        always makes a new result make one.
    say : callable
        Called with messages that say what runs, and why.
    bar : callable
        Returns a context manager for the name of a stage, whose value is called with the progress.
    """
    outcomes: Dict[str, Outcome] = {}
    names = check_options(run, target, given)
    for name in names:
        stage, tell = STAGES[name], _named(say, name)
        results = {done: outcome.result for done, outcome in outcomes.items()}
        options = stage.follow(given.get(name, {}), results)
        selected, reason = stage.selected(run, options)
        if reason is None and force and (name == target or not asked_by_name):
            reason = "forced"
        if reason is None and name == target and stage.always_new and asked_by_name:
            reason = "a new one is made whenever it is asked for by name"
        if reason is None:
            outcomes[name] = Outcome(result_of(run, name, selected), None)
            _say_up_to_date(outcomes[name].result, options, tell)
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


def _say_up_to_date(result: StageResult, options: Mapping[str, object], tell: Say) -> None:
    tell(UP_TO_DATE)
    figures = options.get("figures")
    if figures is not None and not any(file.path.endswith(f".{figures}") for file in result.record.outputs):
        tell(f"{FIGURES_UNCHANGED}; --force runs it again with figures as {figures}")


def _run_stage(
    run: RunDirectory,
    stage: AnyStage,
    options: Mapping[str, object],
    planned: PlannedRun,
    bar: Callable[..., ContextManager[Progress]],
) -> StageResult:
    with extra_named(stage.name):
        _check_plan(run, planned)
        params = stage.resolve(run, options, planned.say)
        with bar(stage.name, stage.time_left) as progress:
            result = stage.run(run, params, progress)
    for warning in result.record.warnings:
        planned.say(warning)
    return result


def _named(say: Say, stage: str) -> Say:
    return lambda message: say(f"{stage}: {message}")


@contextmanager
def extra_named(stage: str) -> Iterator[None]:
    """Name the extra of the package to install when TensorFlow or Keras is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in ("tensorflow", "tf_keras"):
            raise
        pinned = sys.version_info[:2] == (3, 8)
        remedy = f"{how_to_install('cpu')}, or '.[gpu]' for CUDA" if pinned else how_to_install("tensorflow")
        raise InputError(f"{stage} needs {package}, which is not installed; {remedy}") from error


def read_options(given: Given) -> Dict[str, Dict[str, object]]:
    """Return options by stage with the types of their fields; raise `UsageError` for a bad name or value."""
    return {stage: typed(STAGES[stage].kind.params, options) for stage, options in given.items()}


def check_options(run: RunDirectory, target: str, given: Given) -> List[str]:
    """Return the stages that are needed, after checking their options: the last stage may run hours later."""
    names = _needed(target, given)
    for name in names:
        options, kind = given.get(name, {}), STAGES[name].kind
        fits, _ = drop_invalid(kind.params, recorded_params(run.record_of(name)), options)
        refuse_bad_values(kind.params, merge_options(fits, options))
    _check_plan(run, PlannedRun(names, given, None, say_nothing))
    return names


def _check_plan(run: RunDirectory, planned: PlannedRun) -> None:
    for stage in STAGES.values():
        stage.check(run, planned)


def _needed(target: str, given: Given) -> List[str]:
    """Return the stages that `target` needs with these options, and `target`, in order."""
    found: List[str] = []
    for need in STAGES[target].needs(given.get(target, {})):
        found += [name for name in _needed(need, given) if name not in found]
    return [*found, target]


@dataclass(frozen=True)
class StageState:
    """State of a stage, or of one of its results."""

    name: str  # of the stage; of one of many results, its directory
    record: Optional[AnyRecord]  # None if the stage is not complete
    reason: Optional[str]  # why it is stale

    @property
    def up_to_date(self) -> bool:
        """Whether it is complete and not stale."""
        return self.reason is None

    @property
    def in_words(self) -> str:
        """The state as text."""
        if self.record is None:
            return self.reason or ""
        return UP_TO_DATE if self.reason is None else f"stale: {self.reason}"


def state_of_stages(run: RunDirectory) -> List[StageState]:
    """Return the state of every result in the run, and of the stages of `snnb run` that have not run."""
    states: List[StageState] = []
    stale: Dict[str, str] = {}  # by stage, the first one that has to run for it

    def first_stale(stage: AnyStage, options: Mapping[str, object]) -> Optional[str]:
        return next((stale[need] for need in stage.needs(options) if need in stale), None)

    def state(stage: AnyStage, shown: str, record: Optional[AnyRecord]) -> StageState:
        reason = stale_reason(run, record, {})
        first = first_stale(stage, recorded_params(record))
        return StageState(shown, record, reason or (f"{first} has to run first" if first else None))

    for name, stage in STAGES.items():
        first = first_stale(stage, {})
        if stage.kind.names is None:
            found = [state(stage, name, run.record_of(name))]
            first = first or (name if found[0].reason is not None else None)
        else:
            directories = {run.directory_of(name, key): record for key, record in run.records_of(name).items()}
            found = [state(stage, directory, record) for directory, record in directories.items()]
        if first:
            stale[name] = first
        states += found or ([] if stage.optional else [StageState(name, None, "has not run")])
    return states
