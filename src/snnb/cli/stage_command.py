"""Commands of the stages: read options, run the necessary stages, print results."""

from itertools import islice
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
)

from typer.core import TyperOption

from snnb.cli import output
from snnb.cli.field_options import (
    field_options,
    options_given,
    with_field_options,
)
from snnb.cli.parameters import (
    DatasetOption,
    Defaults,
    Force,
    ModelOption,
    NoUpstream,
    NoWait,
    RunDir,
)
from snnb.cli.tables import table_lines
from snnb.core.errors import SnnbError
from snnb.core.quantities import rows
from snnb.io.text import read_document
from snnb.network.fidelity import Fidelity
from snnb.plots.figure_format import FIGURE_ENDINGS
from snnb.rundir.directory import RunDirectory
from snnb.stages.all import CHAIN, STAGES
from snnb.stages.documents import RunDocument, StagesDocument
from snnb.stages.open_run import described_with_repair, open_or_create
from snnb.stages.parse import ParseDetails
from snnb.stages.run_stages import bring_up_to_date
from snnb.stages.stage import StageResult

# Options of `prepare` that every stage has: `prepare` may have to run first.
DATA_LOCATION = ("source", "data_dir")


class StageOptions(NamedTuple):
    """The options of a command that runs stages."""

    options: Dict[str, TyperOption]  # by name, an option of several stages once
    names: Dict[str, List[str]]  # by stage: the names of its options

    def given(self, values: Mapping[str, object]) -> Dict[str, Dict[str, object]]:
        """Return the options that are given, by stage, with the types of their fields.

        `values` has all parameters of the command.
        """
        options = {}
        for stage, names in self.names.items():
            options[stage] = options_given(STAGES[stage].params, values, names)
        return options


def options_of(stages: Sequence[str]) -> StageOptions:
    """Return the options of several stages, and where `prepare` finds the data."""
    by_stage = {
        stage: field_options(STAGES[stage].params) for stage in ("prepare", *stages)
    }
    if "prepare" not in stages:
        by_stage["prepare"] = {
            name: option
            for name, option in by_stage["prepare"].items()
            if name in DATA_LOCATION
        }
    options: Dict[str, TyperOption] = {}
    for stage in (*stages, "prepare"):
        for name, option in by_stage[stage].items():
            options.setdefault(name, option)
    return StageOptions(options, {stage: list(by_stage[stage]) for stage in by_stage})


def stage_command(name: str) -> Callable[..., None]:
    """Return the command of a stage, or `run`, which brings all stages up to date.

    An option that several stages of `run` have applies to each.
    """
    is_stage = name != "run"
    stages = [name] if is_stage else CHAIN
    options = options_of(stages)

    @with_field_options(options.options.values(), after=3)
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
        wait = not no_wait
        options_given = options.given(values)
        graph = options_given.get("graph", {}).get("from_file")
        graph_file = graph if isinstance(graph, Path) else None
        run = open_or_create(
            model,
            run_dir,
            dataset,
            graph_file,
            wait=wait,
            say=console.say,
        )
        with run.locked(wait=wait, say=console.say):
            results = bring_up_to_date(
                run,
                stages[-1],
                options_given,
                force=force,
                upstream=not no_upstream,
                asked_by_name=is_stage,
                defaults=stages if defaults else (),
                say=console.say,
                bar=console.bar,
            )
        if is_stage:
            _print_stage(run, results)
        else:
            _print_run(run, results)

    return command


def _print_stage(run: RunDirectory, results: Sequence[StageResult]) -> None:
    """Print the result of the last stage."""
    document = StagesDocument.of(run, results)
    output.current.result(_lines_with_figures(run, results[-1:]), document)


def _print_run(run: RunDirectory, results: Sequence[StageResult]) -> None:
    """Print the results of all stages, and write the report."""
    lines = _lines_with_figures(run, results)
    page = _report(run)
    if page is not None:
        lines.append(f"report: {page}")
    output.current.result(lines, RunDocument.of(run, results, report=page))


def _lines_with_figures(
    run: RunDirectory,
    results: Sequence[StageResult],
) -> List[str]:
    """Return the lines of results, then the paths of their figures.

    A figure of which a simulation holds a copy is listed once.
    """
    path_by_hash: Dict[str, Path] = {}
    for result in reversed(results):
        for file in result.record.outputs:
            if file.path.endswith(FIGURE_ENDINGS):
                path_by_hash[file.sha256] = run.path / file.path
    lines = _result_lines(results)
    for path in sorted(path_by_hash.values()):
        lines.append(f"figure: {path}")
    return lines


def _result_lines(results: Sequence[StageResult]) -> List[str]:
    """Return a line for each stage, with its quantities below."""
    states = []
    quantities: List[Sequence[str]] = []
    row_counts = []
    for result in results:
        state = "ran" if result.reason else "up to date"
        states.append([result.stage, state, result.directory])
        quantity_rows = rows(result.record.details, result.kind.summary)
        row_counts.append(len(quantity_rows))
        for title, value, unit in quantity_rows:
            quantities.append((f"  {title}", value, unit))
    state_lines = table_lines(states, head=False)
    quantity_lines = iter(table_lines(quantities, right=(1,), head=False))
    lines: List[str] = []
    for result, state_line, row_count in zip(results, state_lines, row_counts):
        lines.append(state_line)
        lines += islice(quantity_lines, row_count)
        lines += [f"  {line}" for line in _detail_lines(result)]
    return lines


def _detail_lines(result: StageResult) -> List[str]:
    """Return lines about a result that are not quantities of its summary."""
    from snnb.simulation.statistics import ACCURACIES, SimulationStatistics

    details = result.record.details
    lines: List[str] = []
    fidelity: Optional[Fidelity] = getattr(details, "fidelity", None)
    if fidelity is not None:
        lines += fidelity.lines()
    lines += _decay_factors(result)
    if result.stage == "simulate":
        file = result.directory / ACCURACIES
        statistics = read_document(SimulationStatistics, file)
        lines += statistics.operation_lines
    return lines


def _decay_factors(result: StageResult) -> List[str]:
    """Return a line for each population of a spiking network.

    It has the decay factors of the population in a time step, and of fixed-point
    neurons the threshold and the exponent of the weights.
    """
    details = result.record.details
    if not isinstance(details, ParseDetails):
        return []
    rows = []
    for population, factors in details.decay_factors.items():
        cells = [f"decay factor of {population}"]
        for name, (low, high) in factors.items():
            text = f"{name} {low:.6g}"
            cells.append(f"{text} to {high:.6g}" if high > low else text)
        if details.thresholds is not None and population in details.thresholds:
            cells.append(f"threshold {details.thresholds[population]}")
        if details.exponents is not None and population in details.exponents:
            cells.append(f"weights / 2^{details.exponents[population]}")
        rows.append(cells)
    columns = max(map(len, rows), default=0)
    padded_rows = [row + [""] * (columns - len(row)) for row in rows]
    return table_lines(padded_rows, head=False)


def _report(run: RunDirectory) -> Optional[Path]:
    """Write the HTML page about the run unless it is current, and return its path.

    An error does not fail the command; a message says that the page is not written.
    """
    from snnb.report.write_report import REPORT, is_current, write_report

    try:
        if is_current(run):
            return run.path / REPORT
        with output.current.bar("report") as progress:
            return write_report(run, say=output.current.say, progress=progress)
    except (SnnbError, OSError, MemoryError) as error:
        output.current.say(f"report: not written: {described_with_repair(error)}")
        return None
