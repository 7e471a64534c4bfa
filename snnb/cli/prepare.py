"""`snnb prepare`: options."""

import re
from typing import Optional, Tuple

import click
import typer
from typing_extensions import Annotated

from snnb.cli.options import DataDir, Source

Shape = Tuple[int, int, int]


def parse_shape(text: str) -> Shape:
    """Read `64x64x3`: height, width, channels."""
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*x[1-9]\d*", text):
        raise click.BadParameter(f"{text!r} is not like 64x64x3 (height, width, channels)")
    height, width, channels = map(int, text.split("x"))
    return height, width, channels


def prepare(
    source: Source = None,
    data_dir: DataDir = None,
    shape: Annotated[
        Optional[str],  # what typer reads; a tuple would be three words of the command line
        typer.Option(
            metavar="HxWxC", parser=parse_shape, help="Size of the pictures, as 64x64x3; the model's own when left out."
        ),
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
