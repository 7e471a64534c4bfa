"""`snnb status`: the state of the stages, the simulations, the sweep and the mappings of a run."""

from textwrap import wrap
from typing import TYPE_CHECKING, List, Mapping, Sequence

from snnb.cli import output
from snnb.cli.parameters import ExistingRun, open_recovered
from snnb.cli.tables import page_width, table_lines
from snnb.core.formatting import local_time
from snnb.core.quantities import legend

if TYPE_CHECKING:
    from snnb.results.compare import MappingSummary


def status(run_dir: ExistingRun = None) -> None:
    """Run `snnb status`."""
    from snnb.results.compare import simulation_table, simulations_of
    from snnb.results.status import status_of
    from snnb.results.sweep_table import TABLE

    run = open_recovered(run_dir)
    simulations = simulations_of(run)
    summary = status_of(run, simulations)
    rows = [["stage", "state", "when", "took"]]
    for one in summary.stages:
        overfull = getattr(one.details, "overfull_cores", 0)
        invalid = f", invalid: {overfull:,} overfull cores" if overfull else ""
        when = "" if one.started_utc is None else local_time(one.started_utc)
        took = "" if one.wall_s is None else f"{one.wall_s:,.1f} s"
        rows.append([one.stage, one.in_words + invalid, when, took])
    rows += [[path, "stale: its graph has changed", "", ""] for path in summary.stale_exports]
    lines = [f"{run.path}: {run.manifest.run.title}"]
    lines += table_lines(rows, right=(3,), drop=(3, 2), shorten=(1,))
    lines += option_lines(run.options)
    if simulations:
        head, rows = simulation_table(simulations)
        wrapped = (1, len(head) - 1)
        right = range(2, len(head) - 1)
        lines += ["", *table_lines([head, *rows], right=right, wrapped=wrapped)]
    if summary.sweep:
        from snnb.cli.sweep import point_lines

        lines += [
            "",
            f"points of the last sweep, {run.path / TABLE}",
            *point_lines(summary.sweep),
        ]
    output.current.result([*lines, *mapping_lines(summary.mappings)], summary)


def option_lines(options: "Mapping[str, Mapping[str, object]]") -> List[str]:
    """Return an empty line and a table of the options that were given for each stage, or nothing."""
    from snnb.core.options import options_in_words
    from snnb.stages.all import STAGES

    rows = [
        (f"options of {name}", options_in_words(stage.kind.params, options[name]))
        for name, stage in STAGES.items()
        if options.get(name)
    ]
    return ["", *table_lines(rows, wrapped=(1,), head=False)] if rows else []


def mapping_lines(mappings: "Sequence[MappingSummary]") -> List[str]:
    """Return an empty line and a table of mappings, by graph; nothing without mappings."""
    from snnb.results.compare import MAPPINGS, mapping_table

    if not mappings:
        return []
    graphs = list(dict.fromkeys(one.details.graph for one in mappings))
    ordered = sorted(mappings, key=lambda one: graphs.index(one.details.graph))
    table = mapping_table(ordered)
    rows = [[stamp, *cells] for stamp, _, *cells in (table.head, *table.rows)]
    ratio = rows[0].index(MAPPINGS["connectivity_ratio"].column_head)
    right = range(len(rows[0]) - len(MAPPINGS), len(rows[0]))
    first_line, *lines = table_lines(rows, right=right, drop=(ratio,), shorten=(1,))
    notes = wrap(legend(ordered, MAPPINGS), page_width())
    if len(graphs) == 1:
        return ["", first_line, *lines, f"all of graph {graphs[0]}", *notes]
    grouped: List[str] = []
    for summary, line in zip(ordered, lines):
        title = f"graph {summary.details.graph}"
        grouped += [line] if title in grouped else [title, line]
    return ["", first_line, *grouped, *lines[len(ordered) :], *notes]
