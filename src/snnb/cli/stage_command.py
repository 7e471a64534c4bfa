"""Commands of the stages: read the options, run what has to run, print the results."""

import inspect
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple

from snnb.cli import output
from snnb.cli.metrics import metric_rows
from snnb.cli.parameters import (
    DatasetOption,
    Force,
    Json,
    ModelOption,
    NoUpstream,
    NoWait,
    Quiet,
    RunDir,
    Verbose,
    as_command,
    chosen,
    common_options,
    stage_options,
)
from snnb.core.errors import SnnbError
from snnb.core.options import FIGURE_ENDINGS
from snnb.pipeline.all import STAGES
from snnb.rundir.directory import RunDirectory

if TYPE_CHECKING:
    from snnb.pipeline.plan import Outcome


def _common(
    model: ModelOption = None,
    dataset: DatasetOption = None,
    run_dir: RunDir = None,
    force: Force = False,
    no_upstream: NoUpstream = False,
    no_wait: NoWait = False,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Options of every command that runs stages."""


# Options of `prepare` that every stage has: `prepare` may have to run first.
DATA_LOCATION = ("source", "data_dir")


def options_of(stages: Sequence[str]) -> Tuple[Dict[str, inspect.Parameter], Dict[str, List[str]]]:
    """Return the options of several stages by name, and the names of the options of each stage."""
    options: Dict[str, inspect.Parameter] = {}
    names: Dict[str, List[str]] = {}
    for stage in stages:
        own = stage_options(STAGES[stage].kind.params)
        names[stage] = [parameter.name for parameter in own]
        for parameter in own:
            options.setdefault(parameter.name, parameter)
    if "prepare" not in stages:
        where = [p for p in stage_options(STAGES["prepare"].kind.params) if p.name in DATA_LOCATION]
        names["prepare"] = list(DATA_LOCATION)
        options.update({parameter.name: parameter for parameter in where})
    return options, names


def stage_command(target: str, stages: Sequence[str], text: str, *, by_name: bool) -> Callable[..., None]:
    """Return the command that brings `target` up to date.

    Parameters
    ----------
    target : str
        The stage.
    stages : sequence of str
        Stages whose options the command has. An option of several stages is passed to each.
    text : str
        Help text.
    by_name : bool
        Whether one stage is requested by name, rather than the chain of stages.
    """
    options, names = options_of(stages)
    common = common_options(_common)

    def call(**values: Any) -> None:
        console = output.configure(values["json"], values["verbose"], values["quiet"])
        given = {stage: chosen(values, STAGES[stage].kind.params, own) for stage, own in names.items()}
        _run_stages(target, given, by_name, values, console)

    return as_command(target if by_name else "run", text, [*common[:3], *options.values(), *common[3:]], call)


def _run_stages(
    target: str, given: Dict[str, Dict[str, object]], by_name: bool, values: Dict[str, Any], console: output.Output
) -> None:
    """Open or create the run directory, run what has to run, and print the results."""
    from snnb.pipeline.open_run import open_or_create
    from snnb.pipeline.plan import bring_up_to_date

    run = open_or_create(values["model"], values["run_dir"], values["dataset"])
    with run.locked(wait=not values["no_wait"], say=console.say):
        outcomes = bring_up_to_date(
            run,
            target,
            given,
            force=values["force"],
            upstream=not values["no_upstream"],
            asked_by_name=by_name,
            say=console.say,
            bar=console.bar,
        )
    shown = outcomes[-1:] if by_name else outcomes
    drawn = {
        f.sha256: run.path / f.path
        for o in reversed(shown)
        for f in o.result.record.outputs
        if f.path.endswith(FIGURE_ENDINGS)
    }
    pictures = sorted(drawn.values())  # without the copies that a simulation holds
    document = _document(run, outcomes)
    lines = [*_results(shown), *(f"picture: {path}" for path in pictures)]
    if not by_name:
        page = _report(run, console, outdated=any(o.reason is not None for o in outcomes))
        document["report"] = page
        lines += [f"report: {page}"] if page is not None else []
    console.result(lines, document)


def _results(shown: "Sequence[Outcome]") -> List[str]:
    """Return a line for each stage, with its metrics below."""
    heads = output.table_lines(
        [[o.result.stage, "ran" if o.reason else "up to date", o.result.directory] for o in shown], head=False
    )
    metrics = [metric_rows(o.result.record.metrics) for o in shown]
    table = output.table_lines(
        [(f"  {words}", *value) for rows in metrics for words, *value in rows], right=(1,), head=False
    )
    lines, below = [], iter(table)
    for head, rows in zip(heads, metrics):
        lines += [head, *islice(below, len(rows))]
    return lines


def _document(run: RunDirectory, outcomes: "Sequence[Outcome]") -> Dict[str, object]:
    """Return what --json prints."""
    return {
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


def _report(run: RunDirectory, console: output.Output, *, outdated: bool) -> Optional[Path]:
    """Write the HTML page about the run unless it is up to date; an error does not fail the command."""
    from snnb.results.report import REPORT, write_report

    page = run.path / REPORT
    if not outdated and page.is_file():
        return page
    try:
        with console.bar("report") as progress:
            return write_report(run, progress=progress)
    except (SnnbError, OSError, MemoryError) as error:
        console.say(f"report: not written: {error}")
        return None
