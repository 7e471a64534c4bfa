"""`snnb status`: the stages, up to date or stale and why; the simulations, and what tells them apart."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Dict, List, Sequence

from snnb.cli import output
from snnb.cli.parameters import ExistingRun, opened
from snnb.core.formatting import local_time
from snnb.io.text import JsonValue

if TYPE_CHECKING:
    from snnb.pipeline.simulations import Simulation
    from snnb.results.compare import MappingCost


def status(run_dir: ExistingRun = None) -> None:
    """Show the stages of a run, up to date or stale and why, and what tells its simulations apart."""
    console = output.current
    from snnb.pipeline.plan import state_of_stages
    from snnb.pipeline.simulations import simulations_of
    from snnb.results.compare import mappings_of
    from snnb.results.export import stale_exports

    run = opened(run_dir)
    simulations = {run.directory_of("simulate", found.stamp): found for found in simulations_of(run)}
    document: List[Dict[str, JsonValue]] = []
    rows: List[List[str]] = [["stage", "state", "when", "took", "class"]]
    for state in state_of_stages(run):
        timing = state.record.timing if state.record is not None else None
        found = simulations.get(state.name)
        details = state.record.details if state.record is not None else None
        class_name, overfull = getattr(details, "class_name", None), getattr(details, "overfull_cores", None)
        document.append(
            {
                "stage": state.name,
                "up_to_date": state.up_to_date,
                "reason": state.reason,
                "variant": state.variant,
                "started_utc": timing.started_utc if timing else None,
                "wall_s": timing.wall_s if timing else None,
                "label": found.label if found else None,
                "class_name": class_name,
                "overfull_cores": overfull,
                "samples": found.record.params.samples if found else None,
                "snn_accuracy": found.metric("snn_accuracy") if found else None,
                "snn_mean_squared_error": found.metric("snn_mean_squared_error") if found else None,
                "differs": found.differs if found else {},
            }
        )
        rows.append(
            [
                state.name,
                state.in_words + (f", invalid: {overfull:,} overfull cores" if overfull else ""),
                local_time(timing.started_utc) if timing else "",
                f"{timing.wall_s:,.1f} s" if timing else "",
                class_name or "",
            ]
        )
    exports = stale_exports(run)
    rows += [[path, "stale: made from a graph that has changed", *[""] * 3] for path in exports]
    costs = mappings_of(run)
    stated = {
        "run_dir": run.path,
        "model": run.model,
        "dataset": run.manifest.run.dataset,
        "stale_exports": exports,
        "stages": document,
        "mappings": [asdict(cost) for cost in costs],
    }
    lines = output.table_lines(rows, right=(3,), drop=(3, 2), shorten=(1,))
    head = f"{run.path}: {run.model} on {run.manifest.run.dataset}"
    console.result([head, *lines, *_simulation_lines(list(simulations.values())), *mapping_lines(costs)], stated)


def _simulation_lines(simulations: "Sequence[Simulation]") -> List[str]:
    from snnb.pipeline.simulations import SIMULATION_HEAD

    if not simulations:
        return []
    table = [SIMULATION_HEAD, *(one.row for one in simulations)]
    return ["", *output.table_lines(table, right=(2, 3), drop=(2,), shorten=(4, 1))]


def mapping_lines(costs: "Sequence[MappingCost]", *, by_graph: bool = False) -> List[str]:
    """Lay mappings out in a table, after an empty line; nothing without any.

    `by_graph`: the graph comes first and is kept on a narrow terminal, rather than the mapping's stamp.
    """
    from snnb.results.compare import MAPPING_HEAD, MAPPING_UNITS

    if not costs:
        return []
    table = [MAPPING_HEAD, *(cost.row for cost in costs)]
    rows = [(row[1], row[0], *row[2:]) if by_graph else row for row in table]
    return ["", *output.table_lines(rows, right=(4, 5, 6, 7), drop=(1,), shorten=(2,)), MAPPING_UNITS]
