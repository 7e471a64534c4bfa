"""`snnb export`: the graph in another program's format."""

from pathlib import Path
from typing import Optional

import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.options import Directory, Force, Json, Quiet, SomePath, Verbose


def export(
    directory: Directory,
    format: Annotated[str, typer.Option("--format", help="Format; an unknown one lists them.", show_default=False)],
    output_path: Annotated[
        Optional[Path],
        typer.Option(
            "--output",
            help="Where to write; by default exports/ of the run.",
            click_type=SomePath(),
            show_default=False,
        ),
    ] = None,
    graph: Annotated[
        Optional[str], typer.Option(help="Stamp of the graph, or `weights`; the latest when left out.")
    ] = None,
    rate_unit: Annotated[str, typer.Option(help="Unit of rates: step, hz or sample.")] = "step",
    with_input: Annotated[
        bool, typer.Option("--with-input", help="Keep an input that is a current in partition and spike formats.")
    ] = False,
    scale: Annotated[
        Optional[float], typer.Option(help="Factor from rates (metis) or spike counts (hmetis) to integer weights.")
    ] = None,
    idx64: Annotated[
        bool, typer.Option("--idx64", help="The program that reads a metis file is built with 64-bit indices.")
    ] = False,
    force: Force = False,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write the graph in another program's format."""
    console = output.configure(json, verbose, quiet)
    from rich.filesize import decimal

    from snnb.stages.export import export_graph
    from snnb.stages.runs import open_run

    run = open_run(directory)
    output.answer_signals()
    run.settle(console.say)
    with console.bar("export") as progress:
        written = export_graph(
            run,
            format,
            output=output_path,
            graph=graph,
            rate_unit=rate_unit,
            with_input=with_input,
            scale=scale,
            idx64=idx64,
            force=force,
            say=console.say,
            progress=progress,
        )
    console.result(
        [f"{written.path}  {written.edges:,} edges  {decimal(written.size_bytes)}"],
        {
            "path": written.path,
            "graph": (written.origin or {}).get("stamp"),
            "edges": written.edges,
            "size_bytes": written.size_bytes,
            "format": format,
        },
    )
