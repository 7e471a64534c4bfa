"""`snnb status`: the stages, up to date or stale and why; the simulations, and what tells them apart."""

from typing import TYPE_CHECKING, Dict, List, Optional

from snnb.cli import output
from snnb.cli.opened import opened
from snnb.cli.parameters import ExistingRun, Json, Quiet, Verbose
from snnb.text import JsonValue

if TYPE_CHECKING:
    from snnb.rundir.records import AnyRecord
    from snnb.stages.simulations import Simulation


def status(run_dir: ExistingRun = None, json: Json = False, verbose: Verbose = False, quiet: Quiet = False) -> None:
    """Show the stages of a run, up to date or stale and why, and what tells its simulations apart."""
    console = output.configure(json, verbose, quiet)
    from snnb.stages.differences import in_words
    from snnb.stages.exports import stale_exports
    from snnb.stages.plan import state_of_stages
    from snnb.stages.simulations import simulations_of

    run = opened(run_dir, console.say)
    simulations = {run.directory_of("simulate", found.stamp): found for found in simulations_of(run)}
    document: List[Dict[str, JsonValue]] = []
    rows: List[List[str]] = [["stage", "state", "when", "took", "label", "samples", "SNN", "differs in"]]
    for state in state_of_stages(run):
        timing = state.record.timing if state.record is not None else None
        found = simulations.get(state.name)
        figures = _figures(state.record, found)
        overfull = figures["overfull_cores"]
        document.append(
            {
                "stage": state.name,
                "up_to_date": state.up_to_date,
                "reason": state.reason,
                "made_with": dict(state.made_with),
                "started_utc": timing.started_utc if timing else None,
                "wall_s": timing.wall_s if timing else None,
                **figures,
            }
        )
        rows.append(
            [
                state.name,
                state.in_words + (f", invalid: {overfull:,} overfull cores" if overfull else ""),
                timing.started_utc if timing else "",
                f"{timing.wall_s:,.1f} s" if timing else "",
                figures["label"] or (f"class {figures['class_name']}" if figures["class_name"] is not None else ""),
                f"{figures['samples']:,}" if found else "",
                found.quality if found else "",
                in_words(figures["differs"]),
            ]
        )
    exports = stale_exports(run)
    rows += [[path, "stale: made from a graph that has changed", *[""] * 6] for path in exports]
    stated = {
        "run_dir": run.path,
        "model": run.model,
        "dataset": run.manifest.run.dataset,
        "stale_exports": exports,
        "stages": document,
    }
    table = _filled(rows)
    right = [column for column, name in enumerate(table[0]) if name in ("took", "samples")]
    console.result(
        [f"{run.path}: {run.model} on {run.manifest.run.dataset}", *output.table_lines(table, right=right)], stated
    )


def _figures(record: "Optional[AnyRecord]", found: "Optional[Simulation]") -> Dict[str, JsonValue]:
    """Return the properties that distinguish results of one stage, and the number of overfull cores of a mapping."""
    return {
        "label": found.label if found else None,
        "class_name": getattr(record.details, "class_name", None) if record is not None else None,
        "overfull_cores": getattr(record.details, "overfull_cores", None) if record is not None else None,
        "samples": found.record.params.samples if found else None,
        "snn_accuracy": found.metric("snn_accuracy") if found else None,
        "snn_mean_squared_error": found.metric("snn_mean_squared_error") if found else None,
        "differs": found.differs if found else {},
    }


def _filled(rows: List[List[str]]) -> List[List[str]]:
    """Leave out the columns behind the fourth that are empty but for their head, since most runs have no labels."""
    kept = [column for column in range(len(rows[0])) if column < 4 or any(row[column] for row in rows[1:])]
    return [[row[column] for column in kept] for row in rows]
