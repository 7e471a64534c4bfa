"""Determine which stages must run and why, and run them.

With `snnb map RUN`, for example, `check_options` goes back from `map` to `prepare`, stage by stage. Then each of
these stages, in order, selects its result for the effective options (`Stage.selected`), or runs if it has none that is
up to date. `simulate` selects the current simulation. `graph` gets its stamp as option `simulation`, its
`Stage.source`, and selects the graph of that simulation; `map` gets the name of that graph as option `graph`.
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

from snnb.core.errors import InputError, UpstreamError, UsageError, first_line, how_to_install
from snnb.core.options import (
    Options,
    drop_invalid,
    is_inherited,
    merge_options,
    option_name,
    options_in_words,
    own_flags,
    refuse_bad_values,
    typed,
)
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.io.text import Document
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import AnyRecord, Record, Timing
from snnb.stages import parse, simulate
from snnb.stages.all import BEFORE, OF_GRAPH, STAGES
from snnb.stages.stage import (
    AnyStage,
    Given,
    PlannedRun,
    StageResult,
    other_versions,
    recorded_params,
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


def bring_up_to_date(
    run: RunDirectory,
    target: str,
    given: Given,
    *,
    force: bool = False,
    upstream: bool = True,
    asked_by_name: bool = True,
    from_defaults: Collection[str] = (),
    say: Say = say_nothing,
    bar: Callable[..., ContextManager[Progress]] = no_bar,
) -> List[StageResult]:
    """Run the stage `target` of a locked run, and first the stages that it needs.

    Parameters
    ----------
    given : mapping
        Options by stage, as `read_options` returns them. An option that is not given has its recorded value, or its
        default in the stages `from_defaults`.
    force : bool
        Run the target, or every stage if the target was not requested by name, even if it is up to date.
    upstream : bool
        Run the earlier stages that are missing or stale; otherwise raise `UpstreamError`.
    asked_by_name : bool
        The target was requested by name, not as the last stage of `snnb run`. Otherwise `Stage.always_new` is ignored.
    bar : callable
        Returns, for the name of a stage, a context manager with its progress.
    """
    results: Dict[str, StageResult] = {}
    given_options = given
    given = _from_defaults(run, given_options, from_defaults)
    names = check_options(run, target, given, force=force)
    for name in names:
        stage = STAGES[name]

        def tell(message: str, name: str = name) -> None:
            say(f"{name}: {message}")

        given = _from_defaults(run, given_options, from_defaults)  # defaults can depend on the stage before
        options = given.get(name, {})
        if stage.source is not None and BEFORE[name] in results:
            options = {**options, stage.source: results[BEFORE[name]].directory.name}
        selected, reason = stage.selected(run, options)
        if reason is None and force and (name == target or not asked_by_name):
            reason = "forced"
        if reason is None and name == target and stage.always_new and asked_by_name:
            reason = "always simulated again when requested by name"
        if reason is None:
            results[name] = result_of(run, name, selected)
            made_of = None if stage.source is None else getattr(results[name].record.params, stage.source)
            tell(UP_TO_DATE if made_of is None else f"{UP_TO_DATE}, of {stage.source} {made_of}")
            figures = options.get("figures")
            if figures is not None and not any(f.path.endswith(f".{figures}") for f in results[name].record.outputs):
                tell(f"{FIGURES_UNCHANGED}; --force runs it again with figures as {figures}")
            continue
        if name != target and not upstream:
            raise UpstreamError(f"{name} must run before {target} ({reason}); omit --no-upstream to run it")
        tell(f"running ({reason})")
        with extra_named(name):
            _check_plan(run, PlannedRun(names, given, name, tell, force))
            params = stage.resolve(run, options, tell)
            shown = _options_to_show(run, stage, given, params)
            if shown:
                tell(shown)
            with bar(name, stage.time_left) as progress:
                made = stage.execute(run, params, progress)
            results[name] = replace(result_of(run, name, made), reason=reason)
        for warning in results[name].record.warnings:
            tell(warning)
    unchanged = [result.record for result in results.values() if result.reason is None]
    others = dict.fromkeys(package for record in unchanged for package in other_versions(record))
    if others:
        say(f"{OTHER_VERSIONS} {', '.join(others)}; see {run.path / manifest.NAME}")
    return list(results.values())


def _options_to_show(run: RunDirectory, stage: AnyStage, given: Given, params: Options) -> str:
    """Return the effective options that differ from the defaults as text, given and recorded options separately."""
    kind, options = stage.kind.params, given.get(stage.name, {})
    in_force = {name: getattr(params, name) for name in stage.defaults_depend_on}
    defaults = _default_values(run, stage, {**in_force, **options})
    idle = stage.without_effect(run, given)
    values: Dict[str, object] = {}
    for name in own_flags(kind):
        value, default = getattr(params, name), defaults.get(name)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            value, default = {key: item for key, item in value.items() if default.get(key) != item}, {}
        if value != default and name not in idle and (name in options or is_inherited(kind, name)):
            values[name] = value
    parts = []
    for title, is_given in (("options", True), ("recorded options", False)):
        words = options_in_words(kind, {name: value for name, value in values.items() if (name in options) == is_given})
        parts += [f"{title}: {words}"] if words else []
    return "; ".join(parts)


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


def effective_options(run: RunDirectory, given: Given, from_defaults: Collection[str] = ()) -> Given:
    """Return the given options without options that only other stages use, such as the seed of a trained network.

    Raise `UsageError` for options that have no effect in any stage. The default value of an option is never refused.
    """
    filled = _from_defaults(run, given, from_defaults)
    without: Dict[str, Mapping[str, str]] = {}
    for stage, options in given.items():
        fields, idle = STAGES[stage].kind.params.model_fields, STAGES[stage].without_effect(run, filled)
        changed = [name for name in options if name in idle and options[name] != fields[name].default]
        without[stage] = {name: idle[name] for name in changed}
    used = {name for stage, options in given.items() for name in options if name not in without[stage]}
    for stage, reasons in without.items():
        unused = [name for name in reasons if name not in used]
        if unused:
            reason = reasons[unused[0]]
            names = [option_name(STAGES[stage].kind.params, name) for name in unused if reasons[name] == reason]
            raise UsageError(f"{', '.join(names)}: {reason}")
    return {
        stage: {name: value for name, value in options.items() if name not in without[stage]}
        for stage, options in given.items()
    }


def _from_defaults(run: RunDirectory, given: Given, stages: Collection[str]) -> Given:
    """Return the given options, and the default instead of each recorded value of some stages."""
    filled = {name: dict(options) for name, options in given.items()}
    for name in stages:
        stage, options = STAGES[name], given.get(name, {})
        if run.record_of(name) is not None:
            valid, _ = drop_invalid(stage.kind.params, _default_values(run, stage, options), options)
            filled[name] = merge_options(valid, options)
    return filled


def _default_values(run: RunDirectory, stage: AnyStage, given: Mapping[str, object]) -> Dict[str, object]:
    """Return the default in this run of each option that is inherited."""
    kind = stage.kind.params
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in kind.model_fields.items()
        if is_inherited(kind, name) and not field.is_required()
    }
    return {**defaults, **stage.defaults(run, given)}


def read_options(given: Given) -> Dict[str, Dict[str, object]]:
    """Return options by stage with the types of their fields; raise `UsageError` for a bad name or value."""
    return {stage: typed(STAGES[stage].kind.params, options) for stage, options in given.items()}


def check_options(run: RunDirectory, target: str, given: Given, *, force: bool = False) -> List[str]:
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
        stage, options = STAGES[name], given.get(name, {})
        source_given = stage.source is not None and options.get(stage.source) is not None
        if source_given or (imported and name == OF_GRAPH[0]):
            break
        others = (other for option, other in stage.prerequisite_by_option.items() if options.get(option))
        name = next(others, BEFORE.get(name))
    unused = [stage for stage, options in given.items() if options and stage not in (*names, "prepare")]
    if imported and unused:
        wrong = [option_name(STAGES[stage].kind.params, name) for stage in unused for name in given[stage]]
        raise UsageError(
            f"{', '.join(wrong)}: of {unused[0]}, and {run.path} contains an external graph and no network"
        )
    for name in names:
        options, kind = given.get(name, {}), STAGES[name].kind
        fits, _ = drop_invalid(kind.params, recorded_params(run, kind), options)
        refuse_bad_values(kind.params, merge_options(fits, options))
    _check_plan(run, PlannedRun(names, given, None, say_nothing, force))
    return names


def _check_plan(run: RunDirectory, planned: PlannedRun) -> None:
    for stage in STAGES.values():
        stage.check(run, planned)


@dataclass(frozen=True)
class StageState:
    """State of a stage, or of one of its results."""

    name: str  # the stage, or for one of many results its directory
    record: Optional[AnyRecord]  # None if the stage is not complete
    reason: Optional[str]  # why it is stale; None if it is up to date
    other_conversion: Optional[str] = None  # differing options of the conversion of a simulation

    @property
    def in_words(self) -> str:
        """The state as text."""
        if self.record is None:
            return self.reason or ""
        if self.reason is not None:
            return f"stale: {self.reason}"
        return UP_TO_DATE if self.other_conversion is None else f"of conversion {self.other_conversion}"


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
        records = {place: one for place, one in results.items() if place.split("/")[0] == stage.kind.directory}
        for directory, record in records.items():
            if several and only is not None and directory.split("/")[1] not in only:
                continue
            other = simulate.other_conversion(run, record) if stage is simulate.STAGE else None
            # A simulation holds a copy of its network: it is not stale when the conversion has other options.
            unread = () if other is None else (f"{parse.KIND.directory}/",)
            inputs = [file for file in record.inputs if not file.path.startswith(unread)]
            made_of = (causes[place] for place in causes if any(file.path.startswith(f"{place}/") for file in inputs))
            reason = stale_reason(run, record.model_copy(update={"inputs": inputs}), {}) or next(made_of, None)
            states.append(StageState(directory if several else name, record, reason, other))
            if reason is not None and several:
                causes[directory] = f"{directory} is stale"
            elif reason is not None:
                causes[directory] = reason if reason in causes.values() else f"{name} has to run first"
        if not records and not stage.optional:
            states.append(StageState(name, None, "has not run"))
            causes[stage.kind.directory] = f"{name} has to run first"
    return states
