"""Bring the stages of a run up to date.

With `snnb map RUN`, for example, `stages_needed` goes back from `map` to `prepare`.
Each of these stages, in order, has a result that is up to date, or runs. `graph` gets
the stamp of the simulation as option `simulation`, its `Stage.source`; `map` gets the
name of the graph as option `graph`.
"""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath
from typing import (
    Callable,
    Collection,
    ContextManager,
    Dict,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
)

from snnb.core.errors import UpstreamError, UsageError
from snnb.core.options import option_name, refuse_bad_values
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.stages.all import BEFORE, OF_GRAPH, STAGES
from snnb.stages.command_options import CommandOptions, PlannedStage
from snnb.stages.missing_packages import extra_named
from snnb.stages.stage import (
    Given,
    PlannedRun,
    StageResult,
    other_versions,
    result_of,
)
from snnb.stages.states import UP_TO_DATE

Bar = Callable[..., ContextManager[Progress]]
FIGURES_UNCHANGED = "its figures are unchanged"
OTHER_VERSIONS = "up-to-date results were created with other versions of"


@contextmanager
def no_bar(stage: str, time_left: bool = True) -> Iterator[Progress]:
    """Show no progress."""
    yield silent


def bring_up_to_date(
    run: RunDirectory,
    target: str,
    options_given: Given,
    *,
    force: bool = False,
    upstream: bool = True,
    asked_by_name: bool = True,
    defaults: Collection[str] = (),
    say: Say = say_nothing,
    bar: Bar = no_bar,
) -> List[StageResult]:
    """Run the stage `target` of a locked run, and first the stages that it needs.

    Nothing is said or written before the first stage that has to run is checked. The
    parameters of a stage are known when the stages before it are up to date, since
    their results can change its defaults.

    Parameters
    ----------
    options_given : mapping
        Options of the command by stage, as `read_options` returns them.
    force : bool
        Run the target even if it is up to date; if it was not requested by name, run
        every stage.
    upstream : bool
        Run the earlier stages that are missing or stale, or else raise `UpstreamError`.
    asked_by_name : bool
        The target was requested by name, not as the last stage of `snnb run`. Otherwise
        `Stage.always_new` and `Stage.adds_result` are ignored.
    defaults : collection of str
        Stages that do not take the options of their results.
    bar : callable
        Returns, for the name of a stage, a context manager with its progress.
    """
    if asked_by_name and STAGES[target].adds_result:
        defaults = (*defaults, target)
    names, options = check_command(run, target, options_given, defaults, force=force)
    results: Dict[str, StageResult] = {}
    unannounced: List[StageResult] = []
    for name in names:
        is_requested = asked_by_name and name == target
        previous = results.get(BEFORE.get(name, ""))
        source = None if previous is None else previous.directory.name
        stage = options.plan(name, source)
        reason = stage.reason
        if reason is None and force and (is_requested or not asked_by_name):
            reason = "forced"
        if reason is None and is_requested and STAGES[name].always_new:
            reason = "always simulated again when requested by name"
        if reason is None:
            results[name] = result_of(run, name, stage.result)
            unannounced.append(results[name])
            continue
        if name != target and not upstream:
            raise UpstreamError(
                f"{name} must run before {target} ({reason}); omit --no-upstream to "
                "run it"
            )
        planned_run = PlannedRun(
            names, options.by_stage(), saying_stage(say, name), force
        )
        with extra_named(name):
            for checked_stage in STAGES.values():
                checked_stage.check_before(run, name, planned_run)
        _say_up_to_date(unannounced, options, say)
        unannounced.clear()
        results[name] = _run_stage(
            run, replace(stage, reason=reason), options, saying_stage(say, name), bar
        )
    _say_up_to_date(unannounced, options, say)
    _say_other_versions(run, list(results.values()), say)
    return list(results.values())


def check_command(
    run: RunDirectory,
    target: str,
    options_given: Given,
    defaults: Collection[str] = (),
    *,
    force: bool = False,
) -> Tuple[List[str], CommandOptions]:
    """Return the stages that a command needs, and its options, after checking them.

    The last stage may run hours later.
    """
    options = CommandOptions.of(run, options_given, defaults)
    names = stages_needed(run, target, options.given)
    planned_run = PlannedRun(names, options.by_stage(), say_nothing, force)
    for name in names:
        refuse_bad_values(STAGES[name].params, planned_run.options[name])
    for stage in STAGES.values():
        stage.check_options(run, planned_run)
    return names, options


def stages_needed(run: RunDirectory, target: str, options_given: Given) -> List[str]:
    """Return the names of the stages that have to be up to date for the target.

    Raise `UsageError` if the run begins with an external graph, and the target or
    options are of a stage that such a run does not have.
    """
    is_imported = bool(run.manifest.run.imported)
    if is_imported and target not in OF_GRAPH:
        raise UsageError(
            f"{run.path} contains an external graph and no network, so {target} is not "
            "available; map, export, report, compare, status and verify are"
        )
    names: List[str] = []
    name: Optional[str] = target
    while name is not None:
        names.insert(0, name)
        stage = STAGES[name]
        given = options_given.get(name, {})
        if stage.source is not None and given.get(stage.source) is not None:
            break  # the result to read is given
        if is_imported and name == OF_GRAPH[0]:
            break
        name = BEFORE.get(name)
        for option, prerequisite in stage.prerequisite_by_option.items():
            if given.get(option):
                name = prerequisite
    if is_imported:
        _refuse_options_of_networks(run, options_given, (*names, "prepare"))
    return names


def _run_stage(
    run: RunDirectory,
    planned_stage: PlannedStage,
    options: CommandOptions,
    say: Say,
    bar: Bar,
) -> StageResult:
    """Run a stage and return its result."""
    name = planned_stage.name
    stage = STAGES[name]
    say(f"running ({planned_stage.reason})")
    with extra_named(name):
        announcement = stage.announcement(run, planned_stage.params)
        for message in (announcement, options.describe(planned_stage)):
            if message:
                say(message)
        with bar(name, stage.time_left) as progress:
            result_name = stage.execute(
                run, planned_stage.params, planned_stage.options, progress
            )
    result = replace(result_of(run, name, result_name), reason=planned_stage.reason)
    for warning in result.record.warnings:
        say(warning)
    return result


def saying_stage(say: Say, name: str) -> Say:
    """Return a function that puts the name of a stage before messages."""
    return lambda message: say(f"{name}: {message}")


def _say_up_to_date(
    results: Sequence[StageResult], options: CommandOptions, say: Say
) -> None:
    """Say which stages do not run, and of what their results were made."""
    for result in results:
        say_of_stage = saying_stage(say, result.stage)
        source = STAGES[result.stage].source
        name = None if source is None else getattr(result.record.params, source)
        say_of_stage(
            UP_TO_DATE if name is None else f"{UP_TO_DATE}, of {source} {name}"
        )
        figures = options.given.get(result.stage, {}).get("figures")
        endings = {PurePosixPath(file.path).suffix for file in result.record.outputs}
        if figures is not None and f".{figures}" not in endings:
            say_of_stage(
                f"{FIGURES_UNCHANGED}; --force runs it again with figures as {figures}"
            )


def _say_other_versions(
    run: RunDirectory, results: Sequence[StageResult], say: Say
) -> None:
    """Say which packages had other versions when up-to-date results were created."""
    packages: Dict[str, None] = {}  # in order
    for result in results:
        if result.reason is None:
            packages.update(dict.fromkeys(other_versions(result.record)))
    if packages:
        say(f"{OTHER_VERSIONS} {', '.join(packages)}; see {run.path / manifest.NAME}")


def _refuse_options_of_networks(
    run: RunDirectory, options: Given, names: Collection[str]
) -> None:
    """Raise `UsageError` for options of stages that an external graph does not have.

    `names` are the stages whose options are accepted.
    """
    refused_stages = [name for name in options if options[name] and name not in names]
    if not refused_stages:
        return
    words = [
        option_name(STAGES[name].params, option)
        for name in refused_stages
        for option in options[name]
    ]
    raise UsageError(
        f"{', '.join(words)}: of {refused_stages[0]}, and {run.path} contains an "
        "external graph and no network"
    )
