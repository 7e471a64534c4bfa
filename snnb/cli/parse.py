"""`snnb parse`: options."""

from typing import Optional

import typer
from typing_extensions import Annotated


def parse(
    percentile: Annotated[
        Optional[float], typer.Option(help="Percentile of a layer's non-zero activations that becomes a rate of 1.")
    ] = None,
    normalization_schedule: Annotated[
        Optional[bool], typer.Option(help="Lower the percentile with depth, as the toolbox can.")
    ] = None,
    max_pool: Annotated[
        Optional[str],
        typer.Option(help="What to do about max pooling: error, average (replace it) or spiking (keep it)."),
    ] = None,
    rectify_linear: Annotated[
        Optional[bool], typer.Option(help="Accept hidden linear layers, whose negative activations spikes cut off.")
    ] = None,
    batch_size: Annotated[Optional[int], typer.Option(min=1, help="Samples at a time.")] = None,
) -> None:
    """Convert and normalise the trained network: parse/."""
