"""`snnb compare`: simulations side by side."""

from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence

import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.parameters import path_option
from snnb.cli.status import mapping_lines
from snnb.cli.tables import GAP, page_width, table_lines
from snnb.core.errors import UsageError
from snnb.core.quantities import side_by_side
from snnb.io.atomic import atomic_path
from snnb.io.files import refuse_existing
from snnb.network.fidelity import CHANGES
from snnb.plots.figure_format import FIGURE_ENDINGS

if TYPE_CHECKING:
    from snnb.results.compare import Compared, MappingSummary

CELL = 16  # characters of a value in a line: a stamp


def compare(
    simulations: Annotated[
        List[str],
        typer.Argument(
            metavar="RUN[:STAMP]...",
            help="Simulations; a run without a stamp selects all of its simulations.",
        ),
    ],
    figure: Annotated[
        Optional[Path],
        path_option(
            help="Write a figure of accuracy over time to this .png, .svg or .pdf file.",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace an existing figure file."),
    ] = False,
) -> None:
    """Run `snnb compare`."""
    from snnb.results.compare import Comparison
    from snnb.results.compare import compare as compare_simulations
    from snnb.results.export import refuse_files_of_runs
    from snnb.stages.open_run import open_run

    if figure is not None:
        _check_figure_path(figure, force)
    compared_simulations = compare_simulations(simulations)
    for path in dict.fromkeys(simulation.run for simulation in compared_simulations):
        run = open_run(path)
        run.say_if_interrupted(output.current.say)
        if figure is not None:
            refuse_files_of_runs(figure, run)
    rows = [row for row in _rows(compared_simulations) if any(row[1:])]
    if figure is not None:
        _draw(figure, compared_simulations, force)
    lines = _block_lines(rows)
    lines += mapping_lines(_mappings(compared_simulations))
    if figure is not None:
        lines.append(f"figure: {figure}")
    document = Comparison(figure=figure, simulations=compared_simulations)
    output.current.result(lines, document)


def _check_figure_path(path: Path, force: bool) -> None:
    """Raise `UsageError` if a figure cannot be written to a path."""
    if path.suffix.lower() not in FIGURE_ENDINGS:
        endings = ", ".join(FIGURE_ENDINGS)
        raise UsageError(f"--figure {path}: give a name that ends in {endings}")
    if path.is_dir():
        raise UsageError(f"--figure {path} is a directory; give the name of a file")
    refuse_existing(path, force=force)


def _mappings(simulations: "Sequence[Compared]") -> "List[MappingSummary]":
    """Return the mappings of simulations, with the run in the names of their graphs."""
    from snnb.results.compare import prefixes

    mappings = []
    for prefix, simulation in zip(prefixes(simulations), simulations):
        for mapping in simulation.mappings:
            graph = f"{prefix}{mapping.details.graph}"
            details = mapping.details.model_copy(update={"graph": graph})
            mappings.append(mapping.model_copy(update={"details": details}))
    return mappings


def _block_lines(rows: List[List[str]]) -> List[str]:
    """Return a table with a column for each simulation, after the column of titles.

    Columns that do not fit follow in further blocks, also in a file.
    """
    room = page_width()
    titles, *columns = zip(*rows)
    title_width = max(map(len, titles))
    widths = [max(CELL, len(column[0])) for column in columns]
    lines: List[str] = []
    start = 0
    while start < len(widths):
        stop = start + 1
        block_width = title_width + len(GAP) + widths[start]
        while stop < len(widths) and block_width + len(GAP) + widths[stop] <= room:
            block_width += len(GAP) + widths[stop]
            stop += 1
        block = _wrap_cells(titles, columns[start:stop], widths[start:stop])
        if lines:
            lines.append("")
        lines += table_lines(block, right=range(1, len(block[0])))
        start = stop
    return lines


def _wrap_cells(
    titles: Sequence[str],
    columns: Sequence[Sequence[str]],
    widths: Sequence[int],
) -> List[List[str]]:
    """Return rows of a title and the cells of some columns.

    A cell that is longer than its column continues in further rows without a title.
    """
    rows = []
    for title, *cells in zip(titles, *columns):
        cell_lines = []
        for cell, width in zip(cells, widths):
            cell_lines.append(wrap(cell, width) or [""])
        for number, texts in enumerate(zip_longest(*cell_lines, fillvalue="")):
            rows.append([title if number == 0 else "", *texts])
    return rows


def _rows(simulations: "List[Compared]") -> List[List[str]]:
    """Return rows of a title and a text for each simulation."""
    from snnb.results.compare import COMPARED, TRAINED, prefixes, value_in_words

    stamps = []
    for prefix, simulation in zip(prefixes(simulations), simulations):
        stamps.append(f"{prefix}{simulation.stamp}")
    rows = [["", *stamps], ["label", *(item.label or "" for item in simulations)]]
    if len({item.run for item in simulations}) > 1:
        rows.append(["model", *(item.model for item in simulations)])
        rows.append(["data set", *(item.dataset for item in simulations)])
    names: Dict[str, None] = {}  # of parameters that differ, in order
    for simulation in simulations:
        names.update(dict.fromkeys(simulation.differs))
    names.pop("samples", None)
    for name in names:
        row = [name]
        for simulation in simulations:
            differs = simulation.differs
            row.append(value_in_words(differs[name]) if name in differs else "")
        rows.append(row)
    rows += side_by_side(simulations, TRAINED)
    rows += _changes(simulations)
    rows += side_by_side(simulations, COMPARED)
    return rows


def _changes(simulations: "List[Compared]") -> List[List[str]]:
    """Return a row for each change that a conversion made.

    Return no rows if classifiers and autoencoders are compared.
    """
    fidelities = [simulation.fidelity for simulation in simulations]
    kinds = {fidelity.classifies for fidelity in fidelities if fidelity is not None}
    if len(kinds) != 1:
        return []
    form = "{:.2%}" if kinds == {True} else "{:.4g}"
    first_row = ["  parse: as trained"]
    for fidelity in fidelities:
        first_row.append("" if fidelity is None else form.format(fidelity.trained))
    rows = [first_row]
    for change, words in CHANGES.items():
        row = [f"  parse: after {words}"]
        for fidelity in fidelities:
            if fidelity is None or change not in fidelity.after:
                row.append("")
            else:
                row.append(form.format(fidelity.after[change]))
        rows.append(row)
    return rows


def _draw(path: Path, simulations: "List[Compared]", force: bool) -> None:
    """Write the figure of accuracy over time."""
    from snnb.io.figures import save
    from snnb.plots.comparison import Course, plot_courses
    from snnb.results.compare import names_apart
    from snnb.simulation.statistics import SimulationStatistics

    courses = []
    axes = set()
    for name, simulation in zip(names_apart(simulations), simulations):
        statistics = simulation.statistics
        if not isinstance(statistics, SimulationStatistics):
            raise UsageError(
                "--figure: an external graph has no accuracy; omit its run, or --figure"
            )
        axes.add("accuracy" if statistics.classifies else "mean squared error")
        ann_quality = statistics.ann_mean_squared_error
        if statistics.classifies:
            ann_quality = statistics.ann_accuracy
        courses.append(Course(name, statistics.quoted_by_step, ann_quality))
    if len(axes) > 1:
        raise UsageError("--figure: classifiers and autoencoders have no common axis")
    with atomic_path(path, force=force) as temporary:
        save(plot_courses(courses, *axes), temporary)
