"""Carry out a plan: record the options of the command, and run the stages.

`plan_stages` plans up to the first stage that has to run, since its result can change
the defaults of later stages. After it has run, the remaining stages are planned.
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
    Mapping,
)

from snnb.core.errors import UpstreamError
from snnb.core.options import Options, options_in_words
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.stages.all import STAGES
from snnb.stages.missing_packages import extra_named
from snnb.stages.plan import (
    UP_TO_DATE,
    PlannedStage,
    Request,
    check_next,
    check_options,
    plan_stages,
    saying_stage,
)
from snnb.stages.run_options import (
    merge_with_run,
    options_with_effect,
    origin_named,
    remembered_options,
)
from snnb.stages.stage import AnyStage, Given, StageResult, other_versions, result_of

FIGURES_UNCHANGED = "its figures are unchanged"
OTHER_VERSIONS = "up-to-date results were created with other versions of"


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
    forget: Collection[str] = (),
    remember: bool = True,
    say: Say = say_nothing,
    bar: Callable[..., ContextManager[Progress]] = no_bar,
) -> List[StageResult]:
    """Run the stage `target` of a locked run, and first the stages that it needs.

    Parameters
    ----------
    given : mapping
        Options by stage, as `read_options` returns them. An option that is not given has
        the value that the run remembers, else its default.
    force : bool
        Run the target even if it is up to date; if it was not requested by name, run every
        stage.
    upstream : bool
        Run the earlier stages that are missing or stale, or else raise `UpstreamError`.
    asked_by_name : bool
        The target was requested by name, not as the last stage of `snnb run`. Otherwise
        `Stage.always_new` is ignored.
    forget : collection of str
        Stages whose remembered options are forgotten.
    remember : bool
        Write the options into the manifest before a stage runs, for later commands.
    bar : callable
        Returns, for the name of a stage, a context manager with its progress.
    """
    given = options_with_effect(run, given, forget)
    options = merge_with_run(run, given, forget, say)
    with origin_named(options, given):
        names = check_options(run, target, given, forget=forget, force=force)
        request = Request(names, options, force, asked_by_name)
        plan = plan_stages(run, request, {})
        last = plan[-1]
        if last.reason is not None and last.name != target and not upstream:
            advice = "omit --no-upstream to run it"
            raise UpstreamError(f"{last.name} must run before {target} ({last.reason}); {advice}")
        if last.reason is not None:
            check_next(run, request, last.name, say)
    if remember:
        options_to_save = dict(run.options)
        for name in names:
            options_to_save[name] = remembered_options(STAGES[name], options[name])
        run.save_options(options_to_save)
    results: Dict[str, StageResult] = {}
    while plan:
        for planned in plan:
            say_of_stage = saying_stage(say, planned.name)
            if planned.reason is None:
                result = result_of(run, planned.name, planned.result)
                _say_up_to_date(result, planned, say_of_stage)
            else:
                result = _run_stage(run, request, planned, given, say_of_stage, bar)
            results[planned.name] = result
        with origin_named(options, given):
            plan = plan_stages(run, request, results)
            if plan and plan[-1].reason is not None:
                check_next(run, request, plan[-1].name, say)
    packages: Dict[str, None] = {}  # in order
    for result in results.values():
        if result.reason is None:
            packages.update(dict.fromkeys(other_versions(result.record)))
    if packages:
        say(f"{OTHER_VERSIONS} {', '.join(packages)}; see {run.path / manifest.NAME}")
    return list(results.values())


def _say_up_to_date(result: StageResult, planned: PlannedStage, say: Say) -> None:
    """Say that a stage does not run, and which result it has."""
    source = STAGES[planned.name].source
    origin = None if source is None else getattr(result.record.params, source)
    say(UP_TO_DATE if origin is None else f"{UP_TO_DATE}, of {source} {origin}")
    figures = planned.options.get("figures")
    endings = {PurePosixPath(file.path).suffix for file in result.record.outputs}
    if figures is not None and f".{figures}" not in endings:
        say(f"{FIGURES_UNCHANGED}; --force runs it again with figures as {figures}")


def _run_stage(
    run: RunDirectory,
    request: Request,
    planned: PlannedStage,
    given: Given,
    say: Say,
    bar: Callable[..., ContextManager[Progress]],
) -> StageResult:
    """Run a stage and return its result."""
    stage, name = STAGES[planned.name], planned.name
    say(f"running ({planned.reason})")
    with extra_named(name):
        effective = request.effective_options(run)[name]
        messages = (
            stage.announcement(run, planned.params),
            _describe_options(
                run,
                stage,
                given.get(name, {}),
                request.options[name],
                effective,
                planned.params,
            ),
        )
        for message in messages:
            if message:
                say(message)
        with bar(name, stage.time_left) as progress:
            result_name = stage.execute(run, planned.params, progress)
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
    """Return the options of a stage as text: of the command, of the run, without effect.

    Options that have their default value are left out.
    """
    kind = stage.kind.params
    defaults = _default_values(run, stage, effective)
    values: Dict[str, object] = {}
    for name in effective:
        value, default = getattr(params, name), defaults.get(name)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            value, default = (
                {key: item for key, item in value.items() if default.get(key) != item},
                {},
            )
        if value != default:
            values[name] = value
    earlier = values.keys() - given.keys()
    without_effect = options.keys() - effective.keys() - given.keys()
    groups = {
        "options": {name: values[name] for name in values if name in given},
        "recorded options": {name: values[name] for name in values if name in earlier},
        "recorded options without effect": {name: options[name] for name in options if name in without_effect},
    }
    parts = []
    for title, group in groups.items():
        if group:
            parts.append(f"{title}: {options_in_words(kind, group)}")
    return "; ".join(parts)


def _default_values(
    run: RunDirectory,
    stage: AnyStage,
    options: Mapping[str, object],
) -> Dict[str, object]:
    """Return the default in this run of each option of a stage."""
    defaults: Dict[str, object] = {}
    for name, field in stage.kind.params.model_fields.items():
        if not field.is_required():
            defaults[name] = field.get_default(call_default_factory=True)
    return {**defaults, **stage.defaults(run, options)}
