"""`snnb export`: the graph in another program's format."""

from pathlib import Path
from typing import List, Mapping, Optional

import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.opened import opened
from snnb.cli.parameters import (
    ExistingRun,
    Json,
    Quiet,
    SomePath,
    Verbose,
    as_command,
    beginning,
    chosen,
    common_options,
    stage_options,
)
from snnb.core.options import validated
from snnb.graph.export.export_options import ExportOptions


def _formats() -> List[str]:
    from snnb.graph.export.write_export import FORMATS

    return list(FORMATS)


def _common(
    format: Annotated[
        str,
        typer.Option(
            "--format",
            help="Name of the format. An unknown name gives an error that lists all formats.",
            autocompletion=beginning(_formats),
            show_default=False,
        ),
    ],
    run_dir: ExistingRun = None,
    output_path: Annotated[
        Optional[Path],
        typer.Option(
            "--output",
            help="Where to write; by default in exports/ of the run.",
            click_type=SomePath(),
            show_default=False,
        ),
    ] = None,
    graph: Annotated[
        Optional[str], typer.Option(help="Stamp of the graph, or `weights`; by default the latest.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file, or a directory that an export made.")] = False,
    json: Json = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Options of the command in addition to those of `ExportOptions`."""


def _export(
    run_dir: Optional[Path],
    format: str,
    output_path: Optional[Path],
    graph: Optional[str],
    force: bool,
    json: bool,
    verbose: bool,
    quiet: bool,
    **options: object,
) -> None:
    console = output.configure(json, verbose, quiet)
    from rich.filesize import decimal

    from snnb.results.export import export_graph

    run = opened(run_dir, console.say)
    given = validated(ExportOptions, chosen(options, ExportOptions, list(options)))
    with console.bar("export") as progress:
        written = export_graph(
            run, format, given, output=output_path, graph=graph, force=force, say=console.say, progress=progress
        )
    origin: Mapping[str, str] = written.origin or {}
    console.result(
        [f"{written.path}  {written.edges:,} edges  {decimal(written.size_bytes)}"],
        {
            "path": written.path,
            "graph": origin.get("stamp"),
            "edges": written.edges,
            "size_bytes": written.size_bytes,
            "format": format,
        },
    )


_parameters = common_options(_common)
export = as_command(
    "export",
    "Write the graph in another program's format.",
    [*_parameters[:4], *stage_options(ExportOptions), *_parameters[4:]],
    _export,
)
