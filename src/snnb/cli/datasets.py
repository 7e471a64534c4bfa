"""`snnb datasets`: what can be prepared."""

from dataclasses import asdict
from pathlib import Path
from typing import Optional

import typer
from typing_extensions import Annotated

from snnb.cli import output


def datasets(
    data_dir: Annotated[
        Optional[Path],
        typer.Option(envvar="SNNB_DATA", help="Directory of the data sets; by default the user's cache directory."),
    ] = None,
) -> None:
    """List the data sets and whether they are on this machine."""
    console = output.current
    from snnb import datasets as room
    from snnb.pipeline.prepare import data_directory

    folder = data_dir or data_directory()
    specs = [room.describe(name) for name in room.dataset_names()]
    places = [room.available(spec.name, folder) for spec in specs]
    rows = []
    for s, place in zip(specs, places):
        where = "yes" if place is not None else "downloads" if s.download else "no: give --source"
        shape = "×".join(map(str, s.shape or ("as the model",)))
        rows.append([s.name, shape, str(s.num_classes or ""), where, s.title])
    head = ["data set", "shape", "classes", "on this machine", "what"]
    document = [{**asdict(spec), "path": place} for spec, place in zip(specs, places)]
    console.result(output.table_lines([head, *rows], right=(2,), drop=(2,), shorten=(4,)), document)
