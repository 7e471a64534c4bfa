"""What must run first, what is stale and why, what is up to date: the stages in order."""

import shlex
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Callable, ContextManager, Iterator, List, Mapping, Optional, Sequence, Type

from snnb.errors import InputError, UpstreamError
from snnb.memory import ARRAYS, COMPILED, TENSORFLOW, require_address_space
from snnb.progress import Progress, silent
from snnb.rundir.directory import RunDirectory
from snnb.rundir.params import (
    GraphParams,
    Params,
    ParseParams,
    PrepareParams,
    SimulateParams,
    TrainParams,
    fitting,
    over,
    refuse_bad_values,
)
from snnb.rundir.records import AnyStageRecord
from snnb.rundir.status import stale_reason, version_warnings
from snnb.stages import graph, parse, prepare, simulate, train
from snnb.stages.result import StageResult, recorded_params, result_of

STAGES: Mapping[str, ModuleType] = {
    "prepare": prepare,
    "train": train,
    "parse": parse,
    "simulate": simulate,
    "graph": graph,
}
PARAMS: Mapping[str, Type[Params]] = {
    "prepare": PrepareParams,
    "train": TrainParams,
    "parse": ParseParams,
    "simulate": SimulateParams,
    "graph": GraphParams,
}
ORDER = tuple(STAGES)
NEED_TENSORFLOW = ("train", "parse", "simulate")
Given = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What became of a stage, and why: `reason` says why it ran, None that it was up to date."""

    result: StageResult
    reason: Optional[str]


@contextmanager
def no_bar(stage: str) -> Iterator[Progress]:
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
    say: Callable[[str], None] = lambda _: None,
    bar: Callable[[str], ContextManager[Progress]] = no_bar,
) -> List[Outcome]:
    """Run `target` and whatever it needs first.

    Parameters
    ----------
    run
        The run, locked.
    target
        Name of the last stage that is wanted.
    given
        Options that were given, by stage. An option that was not given keeps its recorded value.
    force
        Run although up to date: the target, or with `asked_by_name` false every stage.
    upstream
        Whether earlier stages may run; if not, one that would have to raises `UpstreamError`.
    asked_by_name
        Whether the target itself is what was asked for, rather than the whole chain: a simulation asked for by name
        is always a new one.

    Returns
    -------
    list of Outcome
        One for each stage that the target needs, in order.
    """
    outcomes: List[Outcome] = []
    names = needed(target, given.get("graph", {}))
    _refuse_bad_options(run, names, given)
    for name in names:
        if name == "train" and "simulate" in names and given.get("simulate"):
            simulate.resolve(run, given["simulate"])  # the test set is there by now, and may be too small
        is_target = name == target
        options = dict(given.get(name, {}))
        if name == "graph" and outcomes and outcomes[-1].result.stage == "simulate":
            options["simulation"] = outcomes[-1].result.directory.name
        reason = why_run(run, name, options)
        if reason is None and force and (is_target or not asked_by_name):
            reason = "forced"
        if reason is None and is_target and name == "simulate" and asked_by_name:
            reason = "a new simulation"
        if reason is None:
            say(f"{name}: up to date")
            outcomes.append(Outcome(current_result(run, name, options), None))
            for warning in version_warnings(outcomes[-1].result.record):
                say(f"{name}: made with another version: {warning}")
            continue
        if not is_target and not upstream:
            raise UpstreamError(f"{name} has to run before {target} ({reason}); leave out --no-upstream to run it")
        say(f"{name}: running ({reason})")
        stage = STAGES[name]
        tell = partial(_tell, say, name)
        params = stage.resolve(run, options, tell)
        if name in NEED_TENSORFLOW:
            require_address_space(TENSORFLOW, name)
        else:
            require_address_space(COMPILED if name == "graph" else ARRAYS, name)
        with _extra_named(name):
            if name == "train":
                parsing = parse.resolve(run, given.get("parse", {}))
                train.refuse_unconvertible(run, params, parsing, will_parse="parse" in names, say=tell)
            with bar(name) as progress:
                result = stage.run(run, params, progress)
        for warning in result.record.warnings:
            say(f"{name}: {warning}")
        outcomes.append(Outcome(result, reason))
    return outcomes


def _tell(say: Callable[[str], None], stage: str, message: str) -> None:
    say(f"{stage}: {message}")


@contextmanager
def _extra_named(stage: str) -> Iterator[None]:
    """Say which extra of the package to install where a library is missing that only some stages need."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("tensorflow", "snntoolbox"):
            raise
        raise InputError(
            f"{stage} needs {error.name.split('.')[0]}, which is not installed; install snnb with the extra `cpu` or "
            "`gpu`, as in pip install 'snnb[cpu]'"
        ) from error


def _refuse_bad_options(run: RunDirectory, names: List[str], given: Given) -> None:
    """Raise `UsageError` before any stage runs: the last one's turn may come hours later."""
    for name in names:
        options = given.get(name, {})
        refuse_bad_values(PARAMS[name], options)
        fits, _ = fitting(PARAMS[name], recorded_params(run.record_of(name)), options)
        refuse_bad_values(PARAMS[name], over(fits, options))
    asked = given.get("train")
    # Beside the model's recipe; a model of one's own is opened for that, and what is up to date does without its file.
    if "train" in names and asked and why_run(run, "train", asked) is not None:
        train.resolve(run, asked)


def needed(target: str, graph_options: Mapping[str, Any]) -> List[str]:
    """The stages that `target` rests on and itself, in order.

    A graph of a simulation that is named rests on that alone, since a simulation's directory is complete in itself.
    """
    if target != "graph":
        return list(ORDER[: ORDER.index(target) + 1])
    if graph_options.get("simulation") is not None:
        return ["graph"]
    if graph_options.get("weights_only"):
        return ["prepare", "train", "parse", "graph"]
    return list(ORDER)


def why_run(run: RunDirectory, name: str, options: Mapping[str, Any]) -> Optional[str]:
    """Why a stage would have to run now; None when it is up to date with these options."""
    if name == "simulate":
        if options.get("repair") is not None:
            return f"repairs {simulate.resolve(run, options).repair}"
        if simulate.latest_matching(run, options) is not None:
            return None
        return stale_reason(run, run.record_of("simulate"), options)
    if name == "graph":
        params = graph.resolve(run, options)
        options = {**options, "simulation": params.simulation}
        return stale_reason(run, run.manifest.stages.graphs.get(graph.stamp_of(params)), options)
    return stale_reason(run, run.record_of(name), options)


def current_result(run: RunDirectory, name: str, options: Mapping[str, Any]) -> StageResult:
    """The result of a stage that is up to date."""
    stamp = None
    if name == "simulate":
        stamp = simulate.latest_matching(run, options)
    if name == "graph":
        stamp = graph.stamp_of(graph.resolve(run, options))
    return result_of(run, name, stamp)


@dataclass(frozen=True)
class State:
    """A stage as it is: its record if it is complete, and why it is stale if it is."""

    name: str
    record: Optional[AnyStageRecord]
    reason: Optional[str]


def state_of_stages(run: RunDirectory) -> List[State]:
    """Every stage, simulation and graph of the run with the options it was made with."""
    stages = run.manifest.stages
    states: List[State] = []
    stale: Optional[str] = None
    aside = run.interrupted()

    def reason_of(name: str, stamp: Optional[str], record: Optional[AnyStageRecord]) -> Optional[str]:
        if run.directory_of(name, stamp) in aside:
            return "interrupted while it was replaced; the next stage command puts it back"
        return stale_reason(run, record, {})

    for name in ("prepare", "train", "parse"):
        record = run.record_of(name)
        reason = reason_of(name, None, record) or (f"{stale} has to run first" if stale else None)
        states.append(State(name, record, reason))
        stale = stale or (name if reason else None)
    upstream = f"{stale} has to run first" if stale else None
    many = (("simulate", "simulations", stages.simulations), ("graph", "graphs", stages.graphs))
    for name, folder, records in many:
        if not records:
            states.append(State(name, None, "has not run"))
        for stamp, record in records.items():
            rests_on_parse = name == "simulate" or stamp == "weights"
            reason = reason_of(name, stamp, record) or (upstream if rests_on_parse else None)
            states.append(State(f"{folder}/{stamp}", record, reason))
    return states


def repairs(run: RunDirectory, damaged: Sequence[str]) -> List[str]:
    """Commands that make damaged stages again, in order; `damaged` names them as `snnb.rundir.verify` does."""
    commands = []
    for name in damaged:
        folder, _, stamp = name.partition("/")
        if folder == "simulations":
            command = f"simulate --repair {stamp}"
        elif folder == "graphs":
            command = "graph --weights-only" if stamp == "weights" else f"graph --simulation {stamp}"
        else:
            command = folder
        commands.append(f"`snnb {command} --run-dir {shlex.quote(str(run.path))}`")
    return commands
