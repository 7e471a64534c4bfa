"""Section of the page about all simulations of a run, with warnings about what the page shows."""

from itertools import compress
from typing import Mapping, Optional, Sequence, Tuple

from snnb.core.formatting import local_time
from snnb.report.page import Section, Table
from snnb.results.compare import Simulation, simulation_table
from snnb.rundir.directory import RunDirectory
from snnb.stages.states import StageState, state_of_stages


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
    tables = []
    if simulations:
        tables.append(_simulation_table(run, simulations, simulation, states))
    words = [
        f"Created {local_time(run.manifest.run.created_utc)} with snnb "
        f"{run.manifest.run.snnb_version}.",
    ]
    if simulation is not None:
        for warning in simulation.record.warnings:
            words.append(f"Warning: {warning}.")
    for stage, name in zip(("graph", "map"), stamps_shown):
        if name is not None:
            state = states[run.directory_of(stage, name)]
            if state.reason is not None:
                words.append(f"Warning: {state.name} is {state.in_words}.")
    return Section("overview", "The run", words, tables=tables)


def _simulation_table(
    run: RunDirectory,
    simulations: Sequence[Simulation],
    simulation: Optional[Simulation],
    states: Mapping[str, StageState],
) -> Table:
    """Return a row for each simulation, without empty columns; mark the one shown."""
    head, cells = simulation_table(simulations)
    rows = []
    for summary, row in zip(simulations, cells):
        mark = " (this page)" if summary is simulation else ""
        state = states[run.directory_of("simulate", summary.stamp)]
        rows.append([summary.stamp + mark, *row[1:], state.in_words])
    is_filled = [any(column) for column in zip(*rows)]
    filled_head = [*compress([*head, "state"], is_filled)]
    texts = ("simulation", "label", "differs in", "state")
    right = [place for place, title in enumerate(filled_head) if title not in texts]
    return Table(filled_head, [[*compress(row, is_filled)] for row in rows], right)
