"""Section of the page about the points of the last sweep."""

from typing import List

from snnb.core.formatting import equal_columns
from snnb.report.page import Figure, Section, Table, embed_figure
from snnb.results.sweep import points_of_sweep
from snnb.results.sweep_figures import plot_operations, plot_points
from snnb.results.sweep_table import TABLE, point_table
from snnb.rundir.directory import RunDirectory


def sweep_sections(run: RunDirectory) -> List[Section]:
    """Return the section about the points of the last sweep; nothing without points."""
    points = points_of_sweep(run)
    if not points:
        return []
    table = point_table(points)
    words = [f"Points of the last sweep, {run.path / TABLE}; {table.legend}."]
    equal = [i for i in equal_columns(table.rows) if i > table.options]
    if equal:
        same = ", ".join(f"{table.head[i]} {table.rows[0][i]}" for i in equal)
        words.append(f"The same for all points: {same}.")
    columns = [i for i in range(len(table.head)) if i not in equal]
    rows = [[row[i] for i in columns] for row in table.rows]
    right = [place for place, i in enumerate(columns) if i >= table.options]
    grid = plot_points(points, list(points[0].values))
    pictures = []
    if grid is not None:
        pictures.append(
            embed_figure(
                "accuracy or error of the points of the sweep", grid, has_legend=True
            ),
        )
    pictures.append(
        embed_figure(
            "accuracy or error over synaptic operations",
            plot_operations(points),
            has_legend=True,
        ),
    )
    tables = [Table([table.head[i] for i in columns], rows, right)]
    return [
        Section(
            "sweep",
            "Sweep",
            words,
            [Figure(picture) for picture in pictures],
            tables=tables,
        ),
    ]
