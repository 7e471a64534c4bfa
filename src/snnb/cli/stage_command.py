"""Commands of the stages: read the options, run the stages that are needed, print the results."""

import inspect
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from snnb.cli import output
from snnb.cli.parameters import (
    DatasetOption,
    Defaults,
    Force,
    ModelOption,
    NoUpstream,
    NoWait,
    RunDir,
    options_given,
    stage_options,
    with_options,
)  # fmt: skip
from snnb.cli.tables import table_lines
from snnb.core.errors import SnnbError
from snnb.core.quantities import rows
from snnb.io.text import read_document
from snnb.network.fidelity import Fidelity
from snnb.plots.figure_format import FIGURE_ENDINGS
from snnb.rundir.directory import RunDirectory
from snnb.stages.all import CHAIN, STAGES
from snnb.stages.carry_out import bring_up_to_date
from snnb.stages.documents import RunDocument, StagesDocument
from snnb.stages.open_run import described_with_repair, open_or_create
from snnb.stages.stage import StageResult

# Options of `prepare` that every stage has: `prepare` may have to run first.
DATA_LOCATION = ("source", "data_dir")


def options_of(stages: Sequence[str]) -> Tuple[Dict[str, inspect.Parameter], Dict[str, List[str]]]:
    """Return the options of several stages by name, and the names of the options of each stage."""
    by_stage = {stage: stage_options(STAGES[stage].kind.params) for stage in ("prepare", *stages)}
    if "prepare" not in stages:
        by_stage["prepare"] = [parameter for parameter in by_stage["prepare"] if parameter.name in DATA_LOCATION]
    names = {stage: [parameter.name for parameter in parameters] for stage, parameters in by_stage.items()}
    options: Dict[str, inspect.Parameter] = {}
    for stage in (*stages, "prepare"):
        for parameter in by_stage[stage]:
            options.setdefault(parameter.name, parameter)
    return options, names


def stage_command(name: str) -> Callable[..., None]:
    """Return the command of a stage, or `run`, which brings all stages up to date.

    An option that several stages of `run` have applies to each.
    """
    stages, by_name = (CHAIN, False) if name == "run" else ([name], True)
    options, names = options_of(stages)

    @with_options(options.values(), after=3)
    def command(
        model: ModelOption = None,
        dataset: DatasetOption = None,
        run_dir: RunDir = None,
        force: Force = False,
        defaults: Defaults = False,
        no_upstream: NoUpstream = False,
        no_wait: NoWait = False,
        **values: Any,
    ) -> None:

        console = output.current
        given = {stage: options_given(values, STAGES[stage].kind.params, of_stage) for stage, of_stage in names.items()}
        graph = given.get("graph", {}).get("from_file")
        source = graph if isinstance(graph, Path) else None
        run = open_or_create(model, run_dir, dataset, source, wait=not no_wait, say=console.say)
        with run.locked(wait=not no_wait, say=console.say):
            results = bring_up_to_date(
                run,
                stages[-1],
                given,
                force=force,
                upstream=not no_upstream,
                asked_by_name=by_name,
                forget=stages if defaults else (),
                say=console.say,
                bar=console.bar,
            )
        _print(run, results, by_name)

    return command


def _print(run: RunDirectory, results: Sequence[StageResult], by_name: bool) -> None:
    """Print the results; after `snnb run` also write the report."""
    shown = results[-1:] if by_name else results
    drawn = {
        f.sha256: run.path / f.path
        for one in reversed(shown)
        for f in one.record.outputs
        if f.path.endswith(FIGURE_ENDINGS)
    }
    pictures = sorted(drawn.values())  # without the copies that a simulation holds
    lines = [*_results(shown), *(f"figure: {path}" for path in pictures)]
    if by_name:
        output.current.result(lines, StagesDocument.of(run, results))
        return
    page = _report(run)
    lines += [f"report: {page}"] if page is not None else []
    output.current.result(lines, RunDocument.of(run, results, report=page))


def _results(shown: Sequence[StageResult]) -> List[str]:
    """Return a line for each stage, with its quantities below."""
    from snnb.simulation.statistics import ACCURACIES, QUOTED, SimulationStatistics  # imports numpy

    heads = table_lines(
        [[result.stage, "ran" if result.reason else "up to date", result.directory] for result in shown], head=False
    )
    summaries = [rows(result.record.details, result.kind.summary) for result in shown]
    table = table_lines(
        [(f"  {title}", value, unit) for summary in summaries for title, value, unit in summary], right=(1,), head=False
    )
    lines = []
    below = iter(table)
    for head, summary, result in zip(heads, summaries, shown):
        lines += [head, *islice(below, len(summary))]
        fidelity: Optional[Fidelity] = getattr(result.record.details, "fidelity", None)
        lines += [f"  {line}" for line in (*([] if fidelity is None else fidelity.lines()), *_decay(result))]
        if result.stage == "simulate":
            details = result.record.details
            if details.summary.classifies and details.summary.readout_accuracy is not None:
                lines.append(f"  {QUOTED[details.output_coding]}")
            statistics = read_document(SimulationStatistics, result.directory / ACCURACIES)
            lines.append(f"  {statistics.operations}")
    return lines


MOST_DECAYS = 2  # decay factors of a population: of membrane potential and synaptic current


def _decay(result: StageResult) -> List[str]:
    """Return a line for each population of a network from a NIR file: its decay factors in a step."""
    by_population: Mapping[str, Mapping[str, Tuple[float, float]]] = getattr(result.record.details, "decay", {})
    rows = []
    for population, factors in by_population.items():
        ranges = [
            f"{name} {low:.6g}" + (f" to {high:.6g}" if high > low else "") for name, (low, high) in factors.items()
        ]
        rows.append((f"decay of {population}", *ranges, *[""] * (MOST_DECAYS - len(ranges))))
    return table_lines(rows, head=False)


def _report(run: RunDirectory) -> Optional[Path]:
    """Write the HTML page about the run unless it is current; an error does not fail the command."""
    from snnb.report.write_report import REPORT, is_current, write_report

    try:
        if is_current(run):
            return run.path / REPORT
        with output.current.bar("report") as progress:
            return write_report(run, say=output.current.say, progress=progress)
    except (SnnbError, OSError, MemoryError) as error:
        output.current.say(f"report: not written: {described_with_repair(error)}")
        return None
