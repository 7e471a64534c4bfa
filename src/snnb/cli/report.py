"""`snnb report`: one page about a run."""

from pathlib import Path
from typing import Optional

import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.parameters import ExistingRun, open_existing, path_option


def report(
    run_dir: ExistingRun = None,
    simulation: Annotated[
        Optional[str],
        typer.Option(
            metavar="STAMP",
            help="Stamp of a simulation. Default: the current one.",
        ),
    ] = None,
    output_path: Annotated[
        Optional[Path],
        path_option("--output", help="Output file. Default: report.html in the run."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a file that is not a report."),
    ] = False,
) -> None:
    """Run `snnb report`."""
    console = output.current
    from snnb.report.write_report import ReportFile, write_report

    run = open_existing(run_dir)
    with console.bar("report") as progress:
        path = write_report(
            run,
            simulation=simulation,
            output=output_path,
            force=force,
            say=console.say,
            progress=progress,
        )
    console.result(
        [f"report: {path}"],
        ReportFile(report=path, size_bytes=path.stat().st_size),
    )
