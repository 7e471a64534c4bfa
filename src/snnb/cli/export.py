"""`snnb export`: the graph in another program's format."""

from importlib import import_module
from pathlib import Path
from typing import Optional

import typer
from typing_extensions import Annotated

from snnb.cli import output
from snnb.cli.field_options import (
    field_options,
    options_given,
    with_field_options,
)
from snnb.cli.parameters import (
    ExistingRun,
    complete_from,
    open_existing,
    path_option,
)
from snnb.core.options import validated
from snnb.formats.export_options import ExportOptions


@with_field_options(field_options(ExportOptions).values(), after=4)
def export(
    format: Annotated[
        str,
        typer.Option(
            "--format",
            help=(
                "One of networkx, csv, npz, parquet, parts, sonata, spinemap, nir, "
                "pynn, sanafe, noxim, metis, hmetis, snn, axh, graphml."
            ),
            autocompletion=complete_from(
                lambda: import_module("snnb.formats.all").FORMATS
            ),
        ),
    ],
    run_dir: ExistingRun = None,
    output_path: Annotated[
        Optional[Path],
        path_option("--output", help="Output path. Default: in exports/ of the run."),
    ] = None,
    graph: Annotated[
        Optional[str],
        typer.Option(
            help=(
                "Stamp of the graph, or `weights`. Default: the graph of the current "
                "simulation."
            ),
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace an existing file, or the directory of an earlier export.",
        ),
    ] = False,
    **options: object,
) -> None:
    """Run `snnb export`."""
    console = output.current
    from rich.filesize import decimal

    from snnb.results.export import export_graph

    run = open_existing(run_dir)
    values = options_given(ExportOptions, options, options)
    export_options = validated(ExportOptions, values)
    with console.bar("export") as progress:
        result = export_graph(
            run,
            format,
            export_options,
            output=output_path,
            graph=graph,
            force=force,
            say=console.say,
            progress=progress,
        )
    size = decimal(result.size_bytes)
    console.result([f"{result.path}  {result.edges:,} edges  {size}"], result)
