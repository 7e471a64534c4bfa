"""`snnb datasets`: the data sets that can be prepared."""

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
    from snnb.datasets.catalogue import available, dataset_names, describe
    from snnb.datasets.definition import ListedDataset
    from snnb.pipeline.prepare import data_directory

    folder = data_dir or data_directory()
    specs = [describe(name) for name in dataset_names()]
    found = [ListedDataset(**dict(spec), path=available(spec.name, folder)) for spec in specs]
    rows = []
    for one in found:
        where = "yes" if one.path is not None else "downloads" if one.download else "no: give --source"
        shape = "×".join(map(str, one.shape or ("as the model",)))
        rows.append([one.name, shape, str(one.num_classes or ""), where, one.title])
    head = ["data set", "shape", "classes", "on this machine", "title"]
    output.current.result(output.table_lines([head, *rows], right=(2,), drop=(2,), shorten=(4,)), found)
