"""Determine which stages must run and why. Nothing is written here; `carry_out.py` runs the stages.

With `snnb map RUN`, for example, `check_options` goes back from `map` to `prepare`, stage by stage. Each of these
stages, in order, selects its result for its parameters (`Stage.select`), or has to run if it has none that is up to
date. `simulate` selects the latest simulation. `graph` gets its stamp as option `simulation`, its `Stage.source`, and
selects the graph of that simulation; `map` gets the name of that graph as option `graph`.
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
from snnb.stages.stage import NOT_RUN, AnyStage, Given, PlannedRun, StageResult, stale_reason

UP_TO_DATE = "up to date"


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
    params: Options
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
            params = stage.resolve(run, options)
            result, reason = stage.select(run, params)
        if reason is None and request.force and (name == target or not request.asked_by_name):
            reason = "forced"
        if reason is None and name == target and stage.always_new and request.asked_by_name:
            reason = "always simulated again when requested by name"
        plan.append(PlannedStage(name, options, params, result, reason))
        if reason is not None:
            break
        sources[name] = run.directory_of(name, result).rpartition("/")[2]
    return plan


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


def saying_stage(say: Say, name: str) -> Say:
    """Return a function that puts the name of a stage before messages."""
    return lambda message: say(f"{name}: {message}")


def check_next(run: RunDirectory, request: Request, name: str, say: Say) -> None:
    """Check the options of all stages before one of them runs."""
    options = request.effective_options(run)
    with extra_named(name):
        _check_plan(run, PlannedRun(request.names, options, name, saying_stage(say, name), request.force))


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
