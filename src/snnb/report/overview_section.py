"""Section of the page about all simulations of a run, with warnings about what the page shows."""

from itertools import compress
from typing import Optional, Sequence, Tuple

from snnb.core.formatting import local_time
from snnb.report.page import Section, Table
from snnb.results.compare import Simulation, simulation_table
from snnb.rundir.directory import RunDirectory
from snnb.stages.plan import state_of_stages


def overview_section(
    run: RunDirectory,
    simulations: Sequence[Simulation],
    simulation: Optional[Simulation],
    stamps_shown: Tuple[Optional[str], Optional[str]],
) -> Section:
    """Return the section about all simulations.

    It warns if the graph or the mapping that is shown is stale.
    """
    states = {state.name: state for state in state_of_stages(run)}
    head, cells = simulation_table(simulations)
    head = [*head, "state"]
    rows = [
        [
            summary.stamp + (" (this page)" if summary is simulation else ""),
            *row[1:],
            states[run.directory_of("simulate", summary.stamp)].in_words,
        ]
        for summary, row in zip(simulations, cells)
    ]
    is_filled = [any(column) for column in zip(*rows)]
    texts = ("simulation", "label", "differs in", "state")
    shown_head = [*compress(head, is_filled)]
    right = [place for place, title in enumerate(shown_head) if title not in texts]
    tables = []
    if rows:
        tables.append(
            Table(
                shown_head,
                [[*compress(row, is_filled)] for row in rows],
                right,
            ),
        )
    words = [
        f"Created {local_time(run.manifest.run.created_utc)} with snnb "
        f"{run.manifest.run.snnb_version}.",
    ]
    warnings = (
        []
        if simulation is None
        else [f"Warning: {warning}." for warning in simulation.record.warnings]
    )
    for stage, name in zip(("graph", "map"), stamps_shown):
        state = None if name is None else states[run.directory_of(stage, name)]
        if state is not None and state.reason is not None:
            warnings.append(f"Warning: {state.name} is {state.in_words}.")
    return Section("overview", "The run", [*words, *warnings], tables=tables)
