"""Carry out a plan: record the options of the command, and run the stages.

`plan_stages` plans up to the first stage that has to run, since its result can change
the defaults of later stages. After it has run, the remaining stages are planned.

Options have four forms, each derived from the form before:

- command options: given with this command;
- merged options: those of the command, and the others that the run remembers;
- effective options: the merged options that have an effect;
- parameters: the effective options, and the defaults of all other options.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import (
    Callable,
    Collection,
    ContextManager,
    Dict,
    Iterator,
    List,
    Mapping,
    Sequence,
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
    options_given: Given,
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
    options_given : mapping
        Command options by stage, as `read_options` returns them. An option that is not
        given has the value that the run remembers, else its default.
    force : bool
        Run the target even if it is up to date; if it was not requested by name, run
        every stage.
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
    command_options = options_with_effect(run, options_given, forget)
    merged_options = merge_with_run(run, command_options, forget, say)
    with origin_named(merged_options, command_options):
        names = check_options(run, target, command_options, forget=forget, force=force)
        request = Request(names, merged_options, force, asked_by_name)
        plan = plan_stages(run, request, {})
        next_stage = plan[-1]
        if next_stage.reason is not None:
            if next_stage.name != target and not upstream:
                raise UpstreamError(
                    f"{next_stage.name} must run before {target} "
                    f"({next_stage.reason}); omit --no-upstream to run it"
                )
            check_next(run, request, next_stage.name, say)
    if remember:
        options_to_save = dict(run.options)
        for name in names:
            options_to_save[name] = remembered_options(
                STAGES[name],
                merged_options[name],
            )
        run.save_options(options_to_save)
    results: Dict[str, StageResult] = {}
    while plan:
        for planned_stage in plan:
            say_of_stage = saying_stage(say, planned_stage.name)
            if planned_stage.reason is None:
                result = result_of(run, planned_stage.name, planned_stage.result)
                _say_up_to_date(result, planned_stage, say_of_stage)
            else:
                options = _StageOptions(
                    command=command_options.get(planned_stage.name, {}),
                    merged=merged_options[planned_stage.name],
                    effective=request.effective_options(run)[planned_stage.name],
                    params=planned_stage.params,
                )
                result = _run_stage(run, planned_stage, options, say_of_stage, bar)
            results[planned_stage.name] = result
        with origin_named(merged_options, command_options):
            plan = plan_stages(run, request, results)
            if plan and plan[-1].reason is not None:
                check_next(run, request, plan[-1].name, say)
    _say_other_versions(run, list(results.values()), say)
    return list(results.values())


def _say_other_versions(
    run: RunDirectory,
    results: Sequence[StageResult],
    say: Say,
) -> None:
    """Say which packages had other versions when up-to-date results were created."""
    packages: Dict[str, None] = {}  # in order
    for result in results:
        if result.reason is None:
            packages.update(dict.fromkeys(other_versions(result.record)))
    if packages:
        say(f"{OTHER_VERSIONS} {', '.join(packages)}; see {run.path / manifest.NAME}")


def _say_up_to_date(result: StageResult, planned_stage: PlannedStage, say: Say) -> None:
    """Say that a stage does not run, and which result it has."""
    source = STAGES[planned_stage.name].source
    origin = None if source is None else getattr(result.record.params, source)
    say(UP_TO_DATE if origin is None else f"{UP_TO_DATE}, of {source} {origin}")
    figures = planned_stage.options.get("figures")
    endings = {PurePosixPath(file.path).suffix for file in result.record.outputs}
    if figures is not None and f".{figures}" not in endings:
        say(f"{FIGURES_UNCHANGED}; --force runs it again with figures as {figures}")


@dataclass(frozen=True)
class _StageOptions:
    """The options of a stage that runs, in the four forms of the module's docstring."""

    command: Mapping[str, object]
    merged: Mapping[str, object]
    effective: Mapping[str, object]
    params: Options

    def describe(self, defaults: Mapping[str, object]) -> str:
        """Return the options by origin as text: of the command, and of the run.

        Options of the run without effect are named too. Options that have their default
        value are left out; `defaults` are those of this run.
        """
        values: Dict[str, object] = {}
        for name in self.effective:
            value = getattr(self.params, name)
            default = defaults.get(name)
            if isinstance(value, Mapping) and isinstance(default, Mapping):
                value = _changed_items(value, default)
                default = {}
            if value != default:
                values[name] = value
        groups: Dict[str, Dict[str, object]] = {
            "options": {},
            "recorded options": {},
            "recorded options without effect": {},
        }
        for name, value in values.items():
            title = "options" if name in self.command else "recorded options"
            groups[title][name] = value
        for name, value in self.merged.items():
            if name not in self.effective and name not in self.command:
                groups["recorded options without effect"][name] = value
        parts = []
        for title, group in groups.items():
            if group:
                words = options_in_words(type(self.params), group)
                parts.append(f"{title}: {words}")
        return "; ".join(parts)


def _changed_items(
    items: Mapping[str, object],
    defaults: Mapping[str, object],
) -> Dict[str, object]:
    """Return the items that differ from their defaults."""
    return {key: item for key, item in items.items() if defaults.get(key) != item}


def _run_stage(
    run: RunDirectory,
    planned_stage: PlannedStage,
    options: _StageOptions,
    say: Say,
    bar: Callable[..., ContextManager[Progress]],
) -> StageResult:
    """Run a stage and return its result."""
    name = planned_stage.name
    stage = STAGES[name]
    say(f"running ({planned_stage.reason})")
    with extra_named(name):
        announcement = stage.announcement(run, planned_stage.params)
        description = options.describe(_default_values(run, stage, options.effective))
        for message in (announcement, description):
            if message:
                say(message)
        with bar(name, stage.time_left) as progress:
            result_name = stage.execute(run, planned_stage.params, progress)
    result = replace(result_of(run, name, result_name), reason=planned_stage.reason)
    for warning in result.record.warnings:
        say(warning)
    return result


def _default_values(
    run: RunDirectory,
    stage: AnyStage,
    options: Mapping[str, object],
) -> Dict[str, object]:
    """Return the default in this run of each option of a stage.

    Defaults of the run can depend on the effective `options` of the stage.
    """
    defaults: Dict[str, object] = {}
    for name, field in stage.kind.params.model_fields.items():
        if not field.is_required():
            defaults[name] = field.get_default(call_default_factory=True)
    return {**defaults, **stage.defaults(run, options)}
