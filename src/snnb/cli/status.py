"""`snnb status`: the state of the stages, the simulations, the sweep and the mappings of a run."""

from typing import TYPE_CHECKING, List, Sequence

from snnb.cli import output
from snnb.cli.parameters import ExistingRun, opened
from snnb.core.formatting import local_time

if TYPE_CHECKING:
    from snnb.results.compare import MappingSummary


def status(run_dir: ExistingRun = None) -> None:
    """Run `snnb status`."""
    from snnb.results.compare import SIMULATION_HEAD, simulations_of
    from snnb.results.status import status_of
    from snnb.results.sweep import TABLE

    run = opened(run_dir)
    summary = status_of(run)
    rows = [["stage", "state", "when", "took"]]
    for one in summary.stages:
        invalid = f", invalid: {one.overfull_cores:,} overfull cores" if one.overfull_cores else ""
        when = "" if one.started_utc is None else local_time(one.started_utc)
        took = "" if one.wall_s is None else f"{one.wall_s:,.1f} s"
        rows.append([one.stage, one.in_words + invalid, when, took])
    rows += [[path, "stale: its graph has changed", "", ""] for path in summary.stale_exports]
    lines = [f"{run.path}: {run.manifest.run.title}"]
    lines += output.table_lines(rows, right=(3,), drop=(3, 2), shorten=(1,))
    simulations = [one.row for one in simulations_of(run)]
    if simulations:
        table = [SIMULATION_HEAD, *simulations]
        lines += ["", *output.table_lines(table, right=(2, 3, 4), drop=(2,), shorten=(5, 1))]
    if summary.sweep:
        from snnb.cli.sweep import point_lines

        lines += ["", f"points of the last sweep, {run.path / TABLE}", *point_lines(summary.sweep)]
    output.current.result([*lines, *mapping_lines(summary.mappings)], summary)


def mapping_lines(costs: "Sequence[MappingSummary]", *, by_graph: bool = False) -> List[str]:
    """Return an empty line and a table of mappings; nothing without mappings.

    `by_graph`: the graph is the first column, which is not omitted on a narrow terminal, in place of the stamp of the
    mapping. Otherwise a graph that all mappings have in common is stated below the table.
    """
    from snnb.results.compare import MAPPING_HEAD, MAPPING_UNITS, NETWORK_ENERGY

    if not costs:
        return []
    rows = [MAPPING_HEAD, *(cost.row for cost in costs)]
    graphs = {cost.graph for cost in costs}
    of_one = not by_graph and len(graphs) == 1
    if by_graph:
        rows = [(row[1], row[0], *row[2:]) for row in rows]
    elif of_one:
        rows = [(row[0], "", *row[2:]) for row in rows]
    units = [*(f"all of graph {graph}" for graph in graphs if of_one), MAPPING_UNITS]
    units += [NETWORK_ENERGY] if any(cost.energy_of == "network" for cost in costs) else []
    return ["", *output.table_lines(rows, right=(4, 5, 6, 7, 8), drop=(1, 6), shorten=(2,)), *units]
