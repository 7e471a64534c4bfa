"""`report`: one page about a run, from its records and files.

Each section has a file of its own.
"""

import os
from pathlib import Path
from typing import Dict, List, Optional, Tuple, cast

from snnb.core.errors import ReadOnlyError, UsageError
from snnb.core.formatting import local_time
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.io.atomic import atomic_path
from snnb.io.files import refuse_existing, refuse_foreign
from snnb.io.text import Document
from snnb.report.mapping_section import mapping_section
from snnb.report.network_sections import graph_sections
from snnb.report.overview_section import overview_section
from snnb.report.page import GENERATOR, Page, render
from snnb.report.provenance_section import provenance_section
from snnb.report.simulation_sections import simulation_sections
from snnb.report.sweep_section import sweep_sections
from snnb.report.training_section import training_section
from snnb.results.compare import Simulation, simulations_of
from snnb.results.export import current_graph, refuse_files_of_runs
from snnb.rundir import manifest
from snnb.rundir.directory import RunDirectory
from snnb.rundir.environment import now_utc
from snnb.stages.map import STAGE, MapRecord
from snnb.stages.simulate import in_force
from snnb.stages.stage import require_result
from snnb.version import __version__

REPORT = "report.html"


class ReportFile(Document):
    """Output of `snnb report --json`."""

    report: Path
    size_bytes: int


def write_report(
    run: RunDirectory,
    *,
    simulation: Optional[str] = None,
    output: Optional[Path] = None,
    force: bool = False,
    say: Say = say_nothing,
    progress: Progress = silent,
) -> Path:
    """Write one HTML page about a run.

    Its training, a simulation, the graph of the simulation and its latest mapping.

    By default the page is `report.html` of the run, about the current simulation, whose
    graph is made if it is missing; without it in a run that is read-only. `force`
    replaces a file that is not a report. `progress` is called while activations are
    computed.
    """
    target = run.path / REPORT if output is None else output
    if target.absolute() != (run.path / REPORT).absolute():
        refuse_files_of_runs(target, run)
    if output is None and not os.access(run.path, os.W_OK):
        raise ReadOnlyError(
            f"{run.path} is read-only; give the path of the report with --output",
        )
    refuse_existing(target, force=True)
    if target.is_dir():
        raise UsageError(f"{target} is a directory; give the path of a file")
    if not force:
        refuse_foreign(target, mark=GENERATOR)
    simulations = {item.stamp: item for item in simulations_of(run)}
    if simulation is not None:
        require_result(run, "--simulation", simulation, simulations)
    stamp, graph = simulation or in_force(run), None
    # First, since it fails if the target cannot be written
    with atomic_path(target, force=True) as temporary:
        try:
            graph = current_graph(run, simulation, say)
        except ReadOnlyError as error:
            say(f"report: without its graph: {error}")
        page = render(_page(run, list(simulations.values()), (stamp, graph), progress))
        temporary.write_text(page, encoding="utf-8")
    return target


def is_current(run: RunDirectory) -> bool:
    """Whether the run's `report.html` is about the current simulation, and newer than all results."""
    page, simulation = run.path / REPORT, in_force(run) or ""
    if (
        not page.is_file()
        or page.stat().st_mtime_ns < (run.path / manifest.NAME).stat().st_mtime_ns
    ):
        return False
    with page.open("rb") as file:
        return f'<meta name="simulation" content="{simulation}">'.encode() in file.read(
            2048,
        )


def _page(
    run: RunDirectory,
    simulations: List[Simulation],
    stamps_shown: Tuple[Optional[str], Optional[str]],
    progress: Progress,
) -> Page:
    """Return the page about the shown simulation and graph."""
    stamp, graph = stamps_shown
    simulation = next(
        (candidate for candidate in simulations if candidate.stamp == stamp), None
    )
    mappings = cast("Dict[str, MapRecord]", run.records_of(STAGE.name))
    mapping_stamp = next(
        (
            name
            for name in run.latest_first("map")
            if mappings[name].details.graph == graph
        ),
        None,
    )
    sections = [overview_section(run, simulations, simulation, (graph, mapping_stamp))]
    if run.manifest.run.imported:
        sections += graph_sections(run, graph)
    else:
        sections += [
            training_section(run, simulation),
            *graph_sections(run, graph),
            *simulation_sections(run, simulation, progress),
        ]
    sections += [
        *sweep_sections(run),
        mapping_section(run, mapping_stamp),
        provenance_section(run, stamp, graph, mapping_stamp),
    ]
    info = run.manifest.run
    named = None if simulation is None else simulation.record.details.label
    label = f" “{named}”" if named else ""
    return Page(
        title=info.title,
        simulation=stamp or "",
        subtitle=f"{run.path.resolve()}"
        + (f", simulation {stamp}{label}" if stamp else ""),
        sections=sections,
        made=f"Written by snnb {__version__} on {local_time(now_utc().isoformat())}.",
    )
