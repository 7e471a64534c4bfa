"""`snnb compare`: simulations side by side."""

from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, List, Optional

import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.parameters import path_option
from snnb.cli.status import mapping_lines
from snnb.cli.tables import page_width, table_lines
from snnb.core.errors import UsageError
from snnb.core.quantities import side_by_side, values
from snnb.io.files import atomic_path, refuse_existing
from snnb.network.fidelity import CHANGES
from snnb.plots.figure_format import FIGURE_ENDINGS

if TYPE_CHECKING:
    from snnb.results.compare import Compared

TWO_ACCURACIES = (
    "read-out: class with the largest accumulated input; SNN: class with the highest",
    "output spike count (stochastic for softmax; report read-out accuracy)",
)
CELL = 16  # characters of a value in a line: a stamp


def compare(
    simulations: Annotated[
        List[str],
        typer.Argument(
            metavar="RUN[:STAMP]...", help="Simulations; a run without a stamp selects all of its simulations."
        ),
    ],
    figure: Annotated[
        Optional[Path], path_option(help="Write a figure of accuracy over time to this .png, .svg or .pdf file.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing figure file.")] = False,
) -> None:
    """Run `snnb compare`."""
    console = output.current
    from snnb.results.compare import Comparison, prefixes
    from snnb.results.compare import compare as compared_simulations
    from snnb.results.export import refuse_files_of_runs
    from snnb.stages.open_run import open_run

    if figure is not None:
        if figure.suffix.lower() not in FIGURE_ENDINGS:
            raise UsageError(f"--figure {figure}: give a name that ends in {', '.join(FIGURE_ENDINGS)}")
        if figure.is_dir():
            raise UsageError(f"--figure {figure} is a directory; give the name of a file")
        refuse_existing(figure, force=force)
    compared = compared_simulations(simulations)
    if figure is not None:
        for path in {one.run for one in compared}:
            refuse_files_of_runs(figure, open_run(path))
    rows = [row for row in _rows(compared) if any(row[1:])]
    if figure is not None:
        _draw(figure, compared, force)
    mappings = []
    for prefix, one in zip(prefixes(compared), compared):
        for mapping in one.mappings:
            graph = f"{prefix}{mapping.details.graph}"
            details = mapping.details.model_copy(update={"graph": graph})
            mappings.append(mapping.model_copy(update={"details": details}))
    picture = [f"figure: {figure}"] if figure is not None else []
    two = TWO_ACCURACIES if any("readout_accuracy" in values(one) for one in compared) else ()
    document = Comparison(figure=figure, simulations=compared)
    console.result([*_blocks(rows), *two, *mapping_lines(mappings), *picture], document)


def _blocks(rows: List[List[str]]) -> List[str]:
    """Return a table with a column for each simulation; columns that do not fit follow below, also in a file."""
    room = page_width()
    titles, *columns = zip(*rows)
    widths = [max(map(len, titles)), *(max(CELL, len(column[0])) for column in columns)]
    lines: List[str] = []
    first = 1
    while first < len(widths):
        last = first + 1
        while last < len(widths) and sum(widths[first : last + 1]) + widths[0] + 2 * (last - first + 1) <= room:
            last += 1
        block = []
        for row in rows:
            parts = [wrap(text, width) or [""] for text, width in zip(row[first:last], widths[first:last])]
            for number, cells in enumerate(zip_longest(*parts, fillvalue="")):
                block.append([row[0] if number == 0 else "", *cells])
        lines += [*([""] if lines else []), *table_lines(block, right=range(1, len(block[0])))]
        first = last
    return lines


def _rows(compared: "List[Compared]") -> List[List[str]]:
    from snnb.results.compare import COMPARED, TRAINED, prefixes, value_in_words

    rows = [
        ["", *(f"{prefix}{one.stamp}" for prefix, one in zip(prefixes(compared), compared))],
        ["label", *(one.label or "" for one in compared)],
    ]
    if len({one.run for one in compared}) > 1:
        rows += [["model", *(one.model for one in compared)], ["data set", *(one.dataset for one in compared)]]
    for name in dict.fromkeys(name for one in compared for name in one.differs if name != "samples"):
        words = (value_in_words(one.differs[name]) if name in one.differs else "" for one in compared)
        rows.append([name, *words])
    rows += side_by_side(compared, TRAINED)
    rows += _changes(compared)
    rows += side_by_side(compared, COMPARED)
    return rows


def _changes(compared: "List[Compared]") -> List[List[str]]:
    """Return a row for each change that a conversion made; none if classifiers and autoencoders are compared."""
    fidelities = [simulation.fidelity for simulation in compared]
    kinds = {fidelity.classifies for fidelity in fidelities if fidelity is not None}
    if len(kinds) != 1:
        return []
    form = "{:.2%}" if kinds == {True} else "{:.4g}"
    rows = [["  parse: as trained", *("" if one is None else form.format(one.trained) for one in fidelities)]]
    for change, words in CHANGES.items():
        values = [
            "" if fidelity is None or change not in fidelity.after else form.format(fidelity.after[change])
            for fidelity in fidelities
        ]
        rows.append([f"  parse: after {words}", *values])
    return rows


def _draw(path: Path, compared: "List[Compared]", force: bool) -> None:
    from snnb.io.figures import save
    from snnb.plots.comparison import Course, plot_courses
    from snnb.results.compare import names_apart
    from snnb.simulation.statistics import SimulationStatistics

    courses = []
    axes = set()
    for name, simulation in zip(names_apart(compared), compared):
        statistics = simulation.statistics
        if not isinstance(statistics, SimulationStatistics):
            raise UsageError("--figure: an external graph has no accuracy; omit its run, or --figure")
        axes.add("accuracy" if statistics.classifies else "mean squared error")
        trained = statistics.ann_accuracy if statistics.classifies else statistics.ann_mean_squared_error
        courses.append(Course(name, statistics.quoted_by_step, trained))
    if len(axes) > 1:
        raise UsageError("--figure: classifiers and autoencoders have no common axis")
    with atomic_path(path, force=force) as temporary:
        save(plot_courses(courses, *axes), temporary)
