"""Determine which stages must run and why, and run them.

With `snnb map RUN`, for example, `check_options` goes back from `map` to `prepare`, stage by stage. The options that
the user has given are then written into the manifest, together with those of earlier commands. Then each of these
stages, in order, selects its result for its parameters (`Stage.selected`), or runs if it has none that is up to date.
`simulate` selects the latest simulation. `graph` gets its stamp as option `simulation`, its `Stage.source`, and
selects the graph of that simulation; `map` gets the name of that graph as option `graph`.
"""

import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import (
    Any,
    Callable,
    Collection,
    ContextManager,
    Dict,
    Iterator,
    List,
    Literal,
    Mapping,
    Optional,
    Sequence,
    Union,
)

from pydantic import create_model

from snnb.core.errors import InputError, SnnbError, UpstreamError, UsageError, first_line, how_to_install
from snnb.core.options import (
    Options,
    drop_invalid,
    is_remembered,
    merge_options,
    option_name,
    options_in_words,
    refuse_bad_values,
    typed,
)
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.io.text import Document
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import AnyRecord, Record, Timing
from snnb.stages.all import BEFORE, OF_GRAPH, STAGES
from snnb.stages.stage import (
    NOT_RUN,
    AnyStage,
    Given,
    PlannedRun,
    StageResult,
    other_versions,
    result_of,
    stale_reason,
)

UP_TO_DATE = "up to date"
FIGURES_UNCHANGED = "its figures are unchanged"
OTHER_VERSIONS = "up-to-date results were created with other versions of"


class StageDocument(Document):
    """The result of a stage in the output of a command."""

    stage: str
    directory: Path
    ran: bool
    reason: Optional[str]
    params: Options
    metrics: Dict[str, Union[int, float, None]]
    timing: Timing
    warnings: List[str]
    details: Record


_OF_STAGE: Dict[str, Any] = {  # such as `TrainResult`
    name: create_model(
        f"{name.title()}Result",
        __base__=StageDocument,
        stage=(Literal.__getitem__(name), ...),
        params=(stage.kind.params, ...),
        details=(stage.kind.details, ...),
    )
    for name, stage in STAGES.items()
}
AnyStageDocument: Any = Union[tuple(_OF_STAGE.values())]


class StagesDocument(Document):
    """Output of the command of a stage with `--json`."""

    run_dir: Path
    model: str
    stages: List[AnyStageDocument]

    @classmethod
    def of(cls, run: RunDirectory, results: Sequence[StageResult], **more: object) -> "StagesDocument":
        """Return the results of stages."""
        recorded = ("params", "metrics", "timing", "warnings", "details")
        stages = [
            _OF_STAGE[one.stage](
                stage=one.stage,
                directory=one.directory,
                ran=one.reason is not None,
                reason=one.reason,
                **{name: getattr(one.record, name) for name in recorded},
            )
            for one in results
        ]
        return cls(run_dir=run.path, model=run.model, stages=stages, **more)


class RunDocument(StagesDocument):
    """Output of `snnb run --json`."""

    report: Optional[Path]  # None if it could not be written


@contextmanager
def no_bar(stage: str, time_left: bool = True) -> Iterator[Progress]:
    """Show no progress."""
    yield silent


@dataclass(frozen=True)
class Request:
    """Stages that have to be up to date, and their options."""

    names: Sequence[str]  # of the stages, in order; the last one is the target
    options: Given  # of the run and of the command
    force: bool
    asked_by_name: bool  # whether the target was requested by its name

    def effective_options(self, run: RunDirectory) -> Dict[str, Mapping[str, object]]:
        """Return the options that have an effect, by stage. They can depend on the result of an earlier stage."""
        return {name: STAGES[name].effective_options(run, self.options) for name in self.names}


@dataclass(frozen=True)
class PlannedStage:
    """A stage that has to be up to date."""

    name: str
    options: Mapping[str, object]  # that have an effect, and the option that names the result to read
    result: Optional[str]  # name of the result that is up to date, if the stage can have several
    reason: Optional[str]  # why the stage has to run; None if it is up to date


def plan_stages(run: RunDirectory, request: Request, results: Mapping[str, StageResult]) -> List[PlannedStage]:
    """Return the stages that follow those with `results`, up to the first that has to run.

    The parameters of later stages can depend on its result.
    """
    target = request.names[-1]
    effective = request.effective_options(run)
    sources = {name: result.directory.name for name, result in results.items()}
    plan: List[PlannedStage] = []
    for name in request.names[len(results) :]:
        stage, options = STAGES[name], effective[name]
        source = sources.get(BEFORE.get(name, ""))
        if stage.source is not None and source is not None:
            options = {**options, stage.source: source}
        with extra_named(name):  # a user's model may have to be opened
            result, reason = stage.selected(run, options)
        if reason is None and request.force and (name == target or not request.asked_by_name):
            reason = "forced"
        if reason is None and name == target and stage.always_new and request.asked_by_name:
            reason = "always simulated again when requested by name"
        plan.append(PlannedStage(name, options, result, reason))
        if reason is not None:
            break
        sources[name] = run.directory_of(name, result).rpartition("/")[2]
    return plan


def bring_up_to_date(
    run: RunDirectory,
    target: str,
    given: Given,
    *,
    force: bool = False,
    upstream: bool = True,
    asked_by_name: bool = True,
    forget: Collection[str] = (),
    remember: bool = True,
    say: Say = say_nothing,
    bar: Callable[..., ContextManager[Progress]] = no_bar,
) -> List[StageResult]:
    """Run the stage `target` of a locked run, and first the stages that it needs.

    Parameters
    ----------
    given : mapping
        Options by stage, as `read_options` returns them. An option that is not given has the value that the run
        remembers, else its default.
    force : bool
        Run the target, or every stage if the target was not requested by name, even if it is up to date.
    upstream : bool
        Run the earlier stages that are missing or stale; otherwise raise `UpstreamError`.
    asked_by_name : bool
        The target was requested by name, not as the last stage of `snnb run`. Otherwise `Stage.always_new` is ignored.
    forget : collection of str
        Stages whose remembered options are forgotten.
    remember : bool
        Write the options into the manifest before a stage runs, for later commands.
    bar : callable
        Returns, for the name of a stage, a context manager with its progress.
    """
    given = options_with_effect(run, given, forget)
    options = merge_with_run(run, given, forget, say)
    with _origin_named(options, given):
        names = check_options(run, target, given, forget=forget, force=force)
        request = Request(names, options, force, asked_by_name)
        plan = plan_stages(run, request, {})
        last = plan[-1]
        if last.reason is not None and last.name != target and not upstream:
            raise UpstreamError(f"{last.name} must run before {target} ({last.reason}); omit --no-upstream to run it")
        if last.reason is not None:
            _check_next(run, request, last.name, say)
    if remember:
        remembered = {name: _remembered(STAGES[name], options[name]) for name in names}
        run.save_options({**run.options, **remembered})
    results: Dict[str, StageResult] = {}
    while plan:
        for planned in plan:
            say_of_stage = _saying_stage(say, planned.name)
            if planned.reason is None:
                results[planned.name] = result_of(run, planned.name, planned.result)
                _say_up_to_date(results[planned.name], planned, say_of_stage)
            else:
                results[planned.name] = _run_stage(run, request, planned, given, say_of_stage, bar)
        with _origin_named(options, given):
            plan = plan_stages(run, request, results)
            if plan and plan[-1].reason is not None:
                _check_next(run, request, plan[-1].name, say)
    unchanged = [result.record for result in results.values() if result.reason is None]
    others = dict.fromkeys(package for record in unchanged for package in other_versions(record))
    if others:
        say(f"{OTHER_VERSIONS} {', '.join(others)}; see {run.path / manifest.NAME}")
    return list(results.values())


def _saying_stage(say: Say, name: str) -> Say:
    """Return a function that puts the name of a stage before messages."""
    return lambda message: say(f"{name}: {message}")


def _say_up_to_date(result: StageResult, planned: "PlannedStage", say: Say) -> None:
    """Say that a stage does not run, and which result it has."""
    source = STAGES[planned.name].source
    origin = None if source is None else getattr(result.record.params, source)
    say(UP_TO_DATE if origin is None else f"{UP_TO_DATE}, of {source} {origin}")
    figures = planned.options.get("figures")
    if figures is not None and not any(file.path.endswith(f".{figures}") for file in result.record.outputs):
        say(f"{FIGURES_UNCHANGED}; --force runs it again with figures as {figures}")


def _run_stage(
    run: RunDirectory,
    request: "Request",
    planned: "PlannedStage",
    given: Given,
    say: Say,
    bar: Callable[..., ContextManager[Progress]],
) -> StageResult:
    """Run a stage and return its result."""
    stage, name = STAGES[planned.name], planned.name
    say(f"running ({planned.reason})")
    with extra_named(name):
        options = request.effective_options(run)
        params = stage.resolve(run, planned.options)
        messages = (
            stage.announcement(run, params),
            _describe_options(run, stage, given.get(name, {}), request.options[name], options[name], params),
        )
        for message in messages:
            if message:
                say(message)
        with bar(name, stage.time_left) as progress:
            result_name = stage.execute(run, params, progress)
    result = replace(result_of(run, name, result_name), reason=planned.reason)
    for warning in result.record.warnings:
        say(warning)
    return result


def _describe_options(
    run: RunDirectory,
    stage: AnyStage,
    given: Mapping[str, object],
    options: Mapping[str, object],
    effective: Mapping[str, object],
    params: Options,
) -> str:
    """Return the options of a stage as text: those of the command, those of the run, and those without effect.

    Options that have their default value are left out.
    """
    kind = stage.kind.params
    defaults = _default_values(run, stage, effective)
    values: Dict[str, object] = {}
    for name in effective:
        value, default = getattr(params, name), defaults.get(name)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            value, default = {key: item for key, item in value.items() if default.get(key) != item}, {}
        if value != default:
            values[name] = value
    groups = {
        "options": {name: value for name, value in values.items() if name in given},
        "recorded options": {name: value for name, value in values.items() if name not in given},
        "recorded options without effect": {
            name: value for name, value in options.items() if name not in effective and name not in given
        },
    }
    return "; ".join(f"{title}: {options_in_words(kind, group)}" for title, group in groups.items() if group)


@contextmanager
def extra_named(stage: str) -> Iterator[None]:
    """Name the extra of the package to install when TensorFlow or Keras is missing, or cannot be imported."""
    try:
        yield
    except Exception as error:  # a library of another version, for example, raises errors of any type in an import
        modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
        packages = {name.split(".")[0] for name in (*modules, getattr(error, "name", None) or "")}
        package = next((name for name in ("tensorflow", "tf_keras") if name in packages - sys.modules.keys()), None)
        if package is None:  # the error has not ended their import
            raise
        remedy = how_to_install("train")
        if isinstance(error, ModuleNotFoundError) and error.name == package:
            raise InputError(f"{stage} needs {package}, which is not installed; {remedy}") from error
        # TensorFlow's message has a traceback of the first error
        reason = first_line(error.__context__ if isinstance(error.__context__, ImportError) else error)
        raise InputError(
            f"{stage} needs {package}, which cannot be imported ({reason}); install it again: {remedy}"
        ) from error


def options_with_effect(run: RunDirectory, given: Given, forget: Collection[str] = ()) -> Given:
    """Return the given options without options that only other stages use, such as the seed of a trained network.

    Raise `UsageError` for options that have no effect in any stage. The default value of an option is never refused.
    """
    options = merge_with_run(run, given, forget)
    without: Dict[str, Mapping[str, str]] = {}
    for stage, own in given.items():
        fields, idle = STAGES[stage].kind.params.model_fields, STAGES[stage].without_effect(run, options)
        changed = [name for name in own if name in idle and own[name] != fields[name].default]
        without[stage] = {name: idle[name] for name in changed}
    used = {name for stage, own in given.items() for name in own if name not in without[stage]}
    for stage, reasons in without.items():
        unused = [name for name in reasons if name not in used]
        if unused:
            reason = reasons[unused[0]]
            names = [option_name(STAGES[stage].kind.params, name) for name in unused if reasons[name] == reason]
            raise UsageError(f"{', '.join(names)}: {reason}")
    return {
        stage: {name: value for name, value in own.items() if name not in without[stage]}
        for stage, own in given.items()
    }


def merge_with_run(
    run: RunDirectory, given: Given, forget: Collection[str] = (), say: Say = say_nothing
) -> Dict[str, Dict[str, object]]:
    """Return the options of each stage: those that the run remembers, updated with the given ones.

    `forget` are stages whose remembered options are not used. Remembered options that are not valid together with the
    given ones are dropped, after a message.
    """
    merged: Dict[str, Dict[str, object]] = {}
    for name, stage in STAGES.items():
        own = given.get(name, {})
        remembered = {} if name in forget else dict(run.options.get(name, {}))
        for option, descriptions in stage.described_by.items():
            if option in own and own[option] != remembered.get(option):
                remembered = {key: value for key, value in remembered.items() if key not in descriptions}
        valid, dropped = drop_invalid(stage.kind.params, remembered, own)
        for option, value in dropped.items():
            words = options_in_words(stage.kind.params, {option: value})
            say(f"{name}: {words} was recorded but is not valid with these options; its default is used")
        merged[name] = merge_options(valid, own)
    return merged


def _remembered(stage: AnyStage, options: Mapping[str, object]) -> Dict[str, object]:
    """Return the options of a stage that a run remembers."""
    return {name: value for name, value in options.items() if is_remembered(stage.kind.params, name)}


def _default_values(run: RunDirectory, stage: AnyStage, options: Mapping[str, object]) -> Dict[str, object]:
    """Return the default in this run of each option of a stage."""
    fields = stage.kind.params.model_fields.items()
    defaults = {name: field.get_default(call_default_factory=True) for name, field in fields if not field.is_required()}
    return {**defaults, **stage.defaults(run, options)}


def read_options(given: Given) -> Dict[str, Dict[str, object]]:
    """Return options by stage with the types of their fields; raise `UsageError` for a bad name or value."""
    return {stage: typed(STAGES[stage].kind.params, options) for stage, options in given.items()}


def check_options(
    run: RunDirectory, target: str, given: Given, *, forget: Collection[str] = (), force: bool = False
) -> List[str]:
    """Return the stages that are needed, after checking their options: the last stage may run hours later."""
    imported = run.manifest.run.imported
    if imported and target not in OF_GRAPH:
        raise UsageError(
            f"{run.path} contains an external graph and no network, so {target} is not available; map, export, "
            "report, compare, status and verify are"
        )
    names: List[str] = []
    name: Optional[str] = target
    while name is not None:
        names.insert(0, name)
        stage, own = STAGES[name], given.get(name, {})
        source_given = stage.source is not None and own.get(stage.source) is not None
        if source_given or (imported and name == OF_GRAPH[0]):
            break
        others = (other for option, other in stage.prerequisite_by_option.items() if own.get(option))
        name = next(others, BEFORE.get(name))
    unused = [stage for stage, own in given.items() if own and stage not in (*names, "prepare")]
    if imported and unused:
        wrong = [option_name(STAGES[stage].kind.params, name) for stage in unused for name in given[stage]]
        raise UsageError(
            f"{', '.join(wrong)}: of {unused[0]}, and {run.path} contains an external graph and no network"
        )
    merged = merge_with_run(run, given, forget)
    options = {name: STAGES[name].effective_options(run, merged) for name in names}
    for name in names:
        refuse_bad_values(STAGES[name].kind.params, options[name])
    _check_plan(run, PlannedRun(names, options, None, say_nothing, force))
    return names


@contextmanager
def _origin_named(options: Given, given: Given) -> Iterator[None]:
    """Say in the message of an error about an option that an earlier command gave the option."""
    try:
        yield
    except UsageError as error:
        for name, stage in STAGES.items():
            for option in options[name].keys() - given.get(name, {}).keys():
                words = option_name(stage.kind.params, option)
                if str(error).startswith((f"{words} ", f"{words}:")):
                    origin = f"{words} was given for this run before; `snnb {name} --defaults` forgets it"
                    raise UsageError(f"{error} ({origin})") from None
        raise


def _check_next(run: RunDirectory, request: Request, name: str, say: Say) -> None:
    """Check the options of all stages before one of them runs."""
    options = request.effective_options(run)
    with extra_named(name):
        _check_plan(run, PlannedRun(request.names, options, name, _saying_stage(say, name), request.force))


def _check_plan(run: RunDirectory, planned: PlannedRun) -> None:
    for stage in STAGES.values():
        stage.check(run, planned)


@dataclass(frozen=True)
class StageState:
    """State of a stage, or of one of its results."""

    name: str  # the stage, or for one of many results its directory
    record: Optional[AnyRecord]  # None if the stage is not complete
    reason: Optional[str]  # why it is stale; None if it is up to date

    @property
    def in_words(self) -> str:
        """The state as text."""
        if self.record is None:
            return self.reason or ""
        if self.reason is not None:
            return f"stale: {self.reason}"
        return UP_TO_DATE


def state_of_stages(run: RunDirectory, only: Optional[Collection[str]] = None) -> List[StageState]:
    """Return the state of every result in the run, and of the stages of `snnb run` that have not run.

    `only` selects results of stages with many by their stamps; by default all.
    """
    states: List[StageState] = []
    causes: Dict[str, str] = {}  # by directory of a stale result, why a result that was made of it is stale
    results = run.records()
    for name, stage in STAGES.items():
        if run.manifest.run.imported and name not in OF_GRAPH:
            continue
        several = stage.kind.names is not None
        records = {place: record for place, record in results.items() if place.split("/")[0] == stage.kind.directory}
        for directory, record in records.items():
            if several and only is not None and directory.split("/")[1] not in only:
                continue
            made_of = (
                cause
                for place, cause in causes.items()
                if any(file.path.startswith(f"{place}/") for file in record.inputs)
            )
            reason = _stale_reason(run, stage, record) or next(made_of, None)
            states.append(StageState(directory if several else name, record, reason))
            if reason is not None and several:
                causes[directory] = f"{directory} is stale"
            elif reason is not None:
                causes[directory] = reason if reason in causes.values() else f"{name} has to run first"
        if not records and not stage.optional:
            states.append(StageState(name, None, NOT_RUN))
            causes[stage.kind.directory] = f"{name} has to run first"
    return states


def _stale_reason(run: RunDirectory, stage: AnyStage, record: AnyRecord) -> Optional[str]:
    """Return why a result is stale, or None.

    One of several results of a stage can have any parameters; a single result has those of the run.
    """
    reason = stale_reason(run, record, {})
    if reason is not None or stage.kind.names is not None:
        return reason
    try:
        with extra_named(stage.name):  # a user's model may have to be opened
            params = stage.resolve(run, stage.effective_options(run, run.options))
    except SnnbError as error:
        return str(error)
    return stale_reason(run, record, params.model_dump())
