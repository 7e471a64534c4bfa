"""A command for a stage: its own options and the common ones, the plan carried out, the outcome printed."""

import inspect
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional

from snnb.cli import output
from snnb.cli.options import (
    DataDir,
    Dataset,
    Force,
    Json,
    Model,
    NoUpstream,
    NoWait,
    Quiet,
    RunDir,
    Source,
    Verbose,
    as_command,
    chosen,
    stage_options,
)

Declarations = Mapping[str, Callable[..., None]]


def _common(
    model: Model = None,
    dataset: Dataset = None,
    run_dir: RunDir = None,
    force: Force = False,
    no_upstream: NoUpstream = False,
    no_wait: NoWait = False,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Options of every command that runs stages."""


def _where_data_are(source: Source = None, data_dir: DataDir = None) -> None:
    """Options of `prepare` that every later stage has too."""


def stage_command(
    target: str, declarations: Declarations, text: Optional[str], *, by_name: bool
) -> Callable[..., None]:
    """Make the command that brings `target` up to date.

    Parameters
    ----------
    target
        The stage.
    declarations
        For each stage whose options the command has, the function that declares them. A shared option goes to each.
    text
        Help text.
    by_name
        Whether the one stage is asked for, rather than the whole chain.
    """
    options: Dict[str, inspect.Parameter] = {}
    for declaration in declarations.values():
        for parameter in stage_options(declaration):
            options.setdefault(parameter.name, parameter)
    names: Dict[str, List[str]] = {s: [p.name for p in stage_options(d)] for s, d in declarations.items()}
    if "prepare" not in declarations:  # which may have to run first
        names["prepare"] = [parameter.name for parameter in stage_options(_where_data_are)]
        options.update({parameter.name: parameter for parameter in stage_options(_where_data_are)})
    common = stage_options(_common)

    def call(**values: Any) -> None:
        given = {stage: chosen(values, own) for stage, own in names.items()}
        carry_out(target, given, by_name, **{parameter.name: values[parameter.name] for parameter in common})

    return as_command(target if by_name else "run", text, [*common[:3], *options.values(), *common[3:]], call)


def carry_out(
    target: str,
    given: Dict[str, Dict[str, Any]],
    by_name: bool,
    *,
    model: Optional[str],
    dataset: Optional[str],
    run_dir: Optional[Path],
    force: bool,
    no_upstream: bool,
    no_wait: bool,
    json: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """Open or make the run directory, run what has to run, and print what there is now."""
    console = output.configure(json, verbose, quiet)
    from snnb.stages.plan import bring_up_to_date
    from snnb.stages.runs import open_or_create

    run = open_or_create(model, run_dir, dataset)
    if "settings" in given.get("train", {}):
        from snnb.architectures import settings_from
        from snnb.stages.model import model_of

        known = model_of(run)
        given["train"]["settings"] = settings_from(
            given["train"]["settings"], known.settings, own=known.file is not None
        )
    output.answer_signals()
    with run.locked(wait=not no_wait, say=console.say):
        outcomes = bring_up_to_date(
            run,
            target,
            given,
            force=force,
            upstream=not no_upstream,
            asked_by_name=by_name,
            say=console.say,
            bar=console.bar,
        )
    shown = outcomes[-1:] if by_name else outcomes
    rows = [
        [o.result.stage, "ran" if o.reason else "up to date", o.result.directory, figures(o.result.record.metrics)]
        for o in shown
    ]
    drawn = {
        f.sha256: run.path / f.path for o in reversed(shown) for f in o.result.record.outputs if f.path[-4:] == ".png"
    }
    pictures = sorted(drawn.values())  # each once, though a simulation holds copies
    document = {
        "run_dir": run.path,
        "model": run.model,
        "stages": [
            {
                "stage": o.result.stage,
                "directory": o.result.directory,
                "ran": o.reason is not None,
                "reason": o.reason,
                **o.result.record.model_dump(
                    mode="json", include={"params", "metrics", "timing", "warnings", "details"}
                ),
            }
            for o in outcomes
        ],
    }
    console.result([*output.table(rows), *(f"picture: {path}" for path in pictures)], document)


def figures(metrics: Mapping[str, Any]) -> str:
    """Metrics in a line: counts with thousands separators, shares with four digits."""
    return "  ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value:.4g}"
        for name, value in metrics.items()
        if value is not None
    )
