"""`snnb status`: the state of the stages, simulations, sweep and mappings of a run."""

from textwrap import wrap
from typing import TYPE_CHECKING, List, Sequence

from snnb.cli import output
from snnb.cli.parameters import ExistingRun, open_existing
from snnb.cli.tables import page_width, table_lines
from snnb.core.formatting import local_time
from snnb.core.quantities import legend

if TYPE_CHECKING:
    from snnb.core.quantities import Columns
    from snnb.results.compare import MappingSummary
    from snnb.rundir.directory import RunDirectory


def status(run_dir: ExistingRun = None) -> None:
    """Run `snnb status`."""
    from snnb.results.compare import simulation_table, simulations_of
    from snnb.results.status import status_of
    from snnb.results.sweep_table import TABLE

    run = open_existing(run_dir)
    simulations = simulations_of(run)
    summary = status_of(run, simulations)
    rows = [["stage", "state", "when", "took"]]
    for stage in summary.stages:
        state = stage.in_words
        overfull_cores = getattr(stage.details, "overfull_cores", 0)
        if overfull_cores:
            state += f", invalid: {overfull_cores:,} overfull cores"
        when = "" if stage.started_utc is None else local_time(stage.started_utc)
        duration = "" if stage.wall_s is None else f"{stage.wall_s:,.1f} s"
        rows.append([stage.stage, state, when, duration])
    for path in summary.stale_exports:
        rows.append([path, "stale: its graph has changed", "", ""])
    lines = [f"{run.path}: {run.manifest.run.title}"]
    lines += table_lines(rows, right=(3,), drop=(3, 2), shorten=(1,))
    lines += option_lines(run)
    if simulations:
        lines += ["", *simulation_lines(simulation_table(simulations))]
    if summary.sweep:
        from snnb.cli.sweep import point_lines

        lines += [
            "",
            f"points of the last sweep, {run.path / TABLE}",
            *point_lines(summary.sweep),
        ]
    output.current.result([*lines, *mapping_lines(summary.mappings)], summary)


def simulation_lines(table: "Columns") -> List[str]:
    """Return a table of simulations; labels and differences may continue below."""
    last_column = len(table.head) - 1
    return table_lines(
        [table.head, *table.rows],
        right=range(2, last_column),
        wrapped_columns=(1, last_column),
    )


def option_lines(run: "RunDirectory") -> List[str]:
    """Return an empty line and a table of the options that were given, by result.

    Return no lines without options.
    """
    from snnb.core.options import options_in_words

    rows = []
    for directory, record in run.records().items():
        if record.options:
            words = options_in_words(type(record.params), record.options)
            rows.append((f"options of {directory}", words))
    return ["", *table_lines(rows, wrapped_columns=(1,), head=False)] if rows else []


def mapping_lines(mappings: "Sequence[MappingSummary]") -> List[str]:
    """Return an empty line and a table of mappings by graph, or no lines."""
    from snnb.results.compare import MAPPINGS, mapping_table

    if not mappings:
        return []
    graphs = list(dict.fromkeys(mapping.details.graph for mapping in mappings))
    by_graph = sorted(mappings, key=lambda item: graphs.index(item.details.graph))
    table = mapping_table(by_graph)
    rows = []
    for stamp, _, *cells in (table.head, *table.rows):
        rows.append([stamp, *cells])
    head = rows[0]
    ratio = head.index(MAPPINGS["connectivity_ratio"].column_head)
    quantities = range(len(head) - len(MAPPINGS), len(head))
    lines = table_lines(rows, right=quantities, drop=(ratio,), shorten=(1,))
    notes = wrap(legend(by_graph, MAPPINGS), page_width())
    if len(graphs) == 1:
        return ["", *lines, f"all of graph {graphs[0]}", *notes]
    return ["", *_insert_titles(lines, by_graph), *notes]


def _insert_titles(
    lines: Sequence[str], mappings: "Sequence[MappingSummary]"
) -> List[str]:
    """Return the lines of a table with a title before the first mapping of each graph.

    The table has a head, a line for each mapping, and lines about columns left out.
    """
    titled_lines = [lines[0]]
    for mapping, line in zip(mappings, lines[1:]):
        title = f"graph {mapping.details.graph}"
        if title not in titled_lines:
            titled_lines.append(title)
        titled_lines.append(line)
    return [*titled_lines, *lines[1 + len(mappings) :]]
