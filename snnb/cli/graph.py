"""`snnb graph`: options."""

from typing import Optional

import typer
from typing_extensions import Annotated


def graph(
    simulation: Annotated[
        Optional[str], typer.Option(help="Stamp or path of a simulation of this run; the latest when left out.")
    ] = None,
    weights_only: Annotated[
        Optional[bool], typer.Option("--weights-only", help="Edges are the weights; no simulation is needed.")
    ] = None,
    pool_weight: Annotated[
        Optional[str], typer.Option(help="Weight of a pooling synapse: one, or mean (1 / neurons in the window).")
    ] = None,
    rate_unit: Annotated[
        Optional[str], typer.Option(help="Unit of rates in what is written out: step, hz or sample.")
    ] = None,
    networkx_limit: Annotated[
        Optional[int], typer.Option(min=0, help="Write the networkx file for at most this many edges.")
    ] = None,
) -> None:
    """Write the synapse graph: a directory in graphs/."""
