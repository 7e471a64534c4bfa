"""Determine which stages must run and why. Nothing is written here; see `carry_out.py`.

With `snnb map RUN`, for example, `check_options` goes back from `map` to `prepare`,
stage by stage. Each of these stages, in order, selects its result for its parameters
(`Stage.select`), or has to run if it has none that is up to date. `simulate` selects
the latest simulation. `graph` gets its stamp as option `simulation`, its
`Stage.source`, and selects the graph of that simulation; `map` gets the name of that
graph as option `graph`.
"""

from dataclasses import dataclass
from typing import Collection, Dict, List, Mapping, Optional, Sequence

from snnb.core.errors import SnnbError, UsageError
from snnb.core.options import Options, option_name, refuse_bad_values
from snnb.core.progress import Say, say_nothing
from snnb.rundir.directory import RunDirectory
from snnb.rundir.manifest import AnyRecord
from snnb.stages.all import BEFORE, OF_GRAPH, STAGES
from snnb.stages.missing_packages import extra_named
from snnb.stages.run_options import merge_with_run
from snnb.stages.stage import (
    NOT_RUN,
    AnyStage,
    Given,
    PlannedRun,
    StageResult,
    stale_reason,
)

UP_TO_DATE = "up to date"


@dataclass(frozen=True)
class Request:
    """Stages that have to be up to date, and their options."""

    names: Sequence[str]  # of the stages, in order; the last one is the target
    options: Given  # of the run and of the command
    force: bool
    asked_by_name: bool  # whether the target was requested by its name

    def effective_options(self, run: RunDirectory) -> Dict[str, Mapping[str, object]]:
        """Return the options that have an effect, by stage.

        They can depend on the result of an earlier stage.
        """
        effective: Dict[str, Mapping[str, object]] = {}
        for name in self.names:
            effective[name] = STAGES[name].effective_options(run, self.options)
        return effective


@dataclass(frozen=True)
class PlannedStage:
    """A stage that has to be up to date.

    `options` have an effect, and name the result to read. `result` is the name of the
    result that is up to date, of a stage that can have several. `reason` is why the
    stage has to run; None if it is up to date.
    """

    name: str
    options: Mapping[str, object]
    params: Options
    result: Optional[str]
    reason: Optional[str]


def plan_stages(
    run: RunDirectory,
    request: Request,
    results: Mapping[str, StageResult],
) -> List[PlannedStage]:
    """Return the stages after those with `results`, up to the first that has to run.

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
            params = stage.resolve(run, options)
            result, reason = stage.select(run, params)
        is_requested = name == target and request.asked_by_name
        is_forced = request.force and (is_requested or not request.asked_by_name)
        if reason is None and is_forced:
            reason = "forced"
        if reason is None and is_requested and stage.always_new:
            reason = "always simulated again when requested by name"
        plan.append(PlannedStage(name, options, params, result, reason))
        if reason is not None:
            break
        sources[name] = run.directory_of(name, result).rpartition("/")[2]
    return plan


def check_options(
    run: RunDirectory,
    target: str,
    options_given: Given,
    *,
    forget: Collection[str] = (),
    force: bool = False,
) -> List[str]:
    """Return the stages that are needed, after checking their options.

    The last stage may run hours later.
    """
    is_imported = run.manifest.run.imported
    if is_imported and target not in OF_GRAPH:
        raise UsageError(
            f"{run.path} contains an external graph and no network, so {target} is not "
            "available; map, export, report, compare, status and verify are",
        )
    names: List[str] = []
    name: Optional[str] = target
    while name is not None:
        names.insert(0, name)
        stage = STAGES[name]
        stage_options = options_given.get(name, {})
        if stage.source is not None and stage_options.get(stage.source) is not None:
            break
        if is_imported and name == OF_GRAPH[0]:
            break
        name = BEFORE.get(name)
        for option, prerequisite in stage.prerequisite_by_option.items():
            if stage_options.get(option):
                name = prerequisite
    if is_imported:
        _refuse_options_of_networks(run, options_given, (*names, "prepare"))
    merged_options = merge_with_run(run, options_given, forget)
    options = {
        name: STAGES[name].effective_options(run, merged_options) for name in names
    }
    for name in names:
        refuse_bad_values(STAGES[name].kind.params, options[name])
    _check_plan(run, PlannedRun(names, options, None, say_nothing, force))
    return names


def _refuse_options_of_networks(
    run: RunDirectory,
    options: Given,
    names: Collection[str],
) -> None:
    """Raise `UsageError` for options of stages that an external graph does not have.

    `names` are the stages whose options are accepted.
    """
    refused_stages = [name for name in options if options[name] and name not in names]
    if not refused_stages:
        return
    words: List[str] = []
    for name in refused_stages:
        kind = STAGES[name].kind.params
        words += [option_name(kind, option) for option in options[name]]
    raise UsageError(
        f"{', '.join(words)}: of {refused_stages[0]}, and {run.path} contains an "
        "external graph and no network",
    )


def saying_stage(say: Say, name: str) -> Say:
    """Return a function that puts the name of a stage before messages."""
    return lambda message: say(f"{name}: {message}")


def check_next(run: RunDirectory, request: Request, name: str, say: Say) -> None:
    """Check the options of all stages before one of them runs."""
    options = request.effective_options(run)
    with extra_named(name):
        _check_plan(
            run,
            PlannedRun(
                request.names,
                options,
                name,
                saying_stage(say, name),
                request.force,
            ),
        )


def _check_plan(run: RunDirectory, planned_run: PlannedRun) -> None:
    for stage in STAGES.values():
        stage.check(run, planned_run)


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


def state_of_stages(
    run: RunDirectory,
    only: Optional[Collection[str]] = None,
) -> List[StageState]:
    """Return the state of all results, and of stages of `snnb run` that have not run.

    `only` selects results of stages with many by their stamps; by default all.
    """
    states: List[StageState] = []
    # By directory of a stale result: why a result that was made of it is stale
    causes: Dict[str, str] = {}
    records = run.records()
    for name, stage in STAGES.items():
        if run.manifest.run.imported and name not in OF_GRAPH:
            continue
        kind = stage.kind
        has_to_run = f"{name} has to run first"
        has_several_results = kind.names is not None
        paths = [path for path in records if path.split("/")[0] == kind.directory]
        for path in paths:
            is_selected = only is None or path.rpartition("/")[2] in only
            if has_several_results and not is_selected:
                continue
            record = records[path]
            own_reason = _reason_to_run_again(run, stage, record)
            inherited_reason = None
            if own_reason is None:
                inherited_reason = _inherited_reason(record, causes)
            reason = own_reason or inherited_reason
            states.append(
                StageState(path if has_several_results else name, record, reason),
            )
            if reason is not None and has_several_results:
                causes[path] = f"{path} is stale"
            elif reason is not None:
                causes[path] = inherited_reason or has_to_run
        if not paths and not stage.optional:
            states.append(StageState(name, None, NOT_RUN))
            causes[kind.directory] = has_to_run
    return states


def _inherited_reason(
    record: AnyRecord,
    causes: Mapping[str, str],
) -> Optional[str]:
    """Return why a result is stale because of the results that it was made of.

    `causes` has this reason by directory of a stale result. Return None if the result
    was made of none of these.
    """
    for directory, cause in causes.items():
        if any(file.path.startswith(f"{directory}/") for file in record.inputs):
            return cause
    return None


def _reason_to_run_again(
    run: RunDirectory,
    stage: AnyStage,
    record: AnyRecord,
) -> Optional[str]:
    """Return why a stage has to make a result again, or None.

    One of several results can have any parameters; a single result has those that the
    options of the run give.
    """
    reason = stale_reason(run, record, {})
    if reason is not None or stage.kind.names is not None:
        return reason
    try:
        with extra_named(stage.name):  # a user's model may have to be opened
            options = stage.effective_options(run, run.options)
            params = stage.resolve(run, options)
    except SnnbError as error:
        return str(error)
    return stale_reason(run, record, params.model_dump())
