"""`snnb status`: the stages, up to date or stale and why."""

from typing import List

from snnb.cli import output
from snnb.cli.parameters import Directory, Json, Quiet, Verbose


def status(directory: Directory, json: Json = False, verbose: Verbose = False, quiet: Quiet = False) -> None:
    """Show the stages of a run: up to date, or stale and why."""
    console = output.configure(json, verbose, quiet)
    from snnb.stages.exports import stale_exports
    from snnb.stages.plan import state_of_stages
    from snnb.stages.runs import open_run

    run = open_run(directory)
    output.answer_signals()
    run.settle(console.say)
    states = state_of_stages(run)
    rows: List[List[str]] = [["stage", "state", "when", "took"]]
    for state in states:
        if state.record is None:
            rows.append([state.name, state.reason or "", "", ""])
        else:
            timing = state.record.timing
            label = f"stale: {state.reason}" if state.reason else "up to date"
            rows.append([state.name, label, timing.started_utc, f"{timing.wall_s:,.1f} s"])
    exports = stale_exports(run)
    for path in exports:
        rows.append([path, "stale: made from a graph that has changed", "", ""])
    head = [f"{run.path}: {run.model} on {run.manifest.run.dataset}"]
    document = {
        "run_dir": run.path,
        "model": run.model,
        "dataset": run.manifest.run.dataset,
        "stale_exports": exports,
        "stages": [{"stage": s.name, "up_to_date": s.reason is None, "reason": s.reason} for s in states],
    }
    console.result([*head, *output.table_lines(rows)], document)
