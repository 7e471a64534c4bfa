"""`snnb prepare`: options."""

from pathlib import Path
from typing import Optional

import typer
from typing_extensions import Annotated


def prepare(
    source: Annotated[
        Optional[Path],
        typer.Option(resolve_path=True, help="Folder with the data set's own files, instead of a download."),
    ] = None,
    data_dir: Annotated[
        Optional[Path],
        typer.Option(envvar="SNNB_DATA", help="Where data sets are kept; the user's cache when left out."),
    ] = None,
    norm_samples: Annotated[
        Optional[int], typer.Option(min=1, help="Training samples kept for the normalisation, balanced by class.")
    ] = None,
    limit: Annotated[
        Optional[int], typer.Option(min=1, help="Keep at most this many training and as many test samples.")
    ] = None,
    seed: Annotated[Optional[int], typer.Option(min=0, help="Seed of everything random.")] = None,
) -> None:
    """Make a data set's files into arrays: dataset/."""
