"""`snnb simulate`: options."""

from typing import Optional

import typer
from typing_extensions import Annotated


def simulate(
    engine: Annotated[
        Optional[str], typer.Option(help="auto, event, tensorflow, or toolbox (the reference, slow).")
    ] = None,
    samples: Annotated[
        Optional[int], typer.Option(min=1, help="Test samples, from the first; 1000 or all when left out.")
    ] = None,
    duration: Annotated[Optional[int], typer.Option(min=1, help="Time steps of 1 ms for each sample.")] = None,
    warm_up: Annotated[Optional[int], typer.Option(min=0, help="First steps whose spikes are not counted.")] = None,
    batch_size: Annotated[Optional[int], typer.Option(min=1, help="Samples at a time.")] = None,
    input: Annotated[Optional[str], typer.Option(help="constant (a current, every step) or poisson (spikes).")] = None,
    input_rate: Annotated[Optional[int], typer.Option(min=1, help="Poisson rate in Hz of a pixel of value 1.")] = None,
    threshold: Annotated[Optional[float], typer.Option(help="Membrane potential at which a neuron spikes.")] = None,
    reset: Annotated[Optional[str], typer.Option(help="After a spike: subtraction or zero.")] = None,
    workers: Annotated[Optional[int], typer.Option(min=1, help="Processes that share the samples.")] = None,
    record_spikes: Annotated[
        Optional[int], typer.Option(min=0, help="Keep the spike times of this many samples.")
    ] = None,
    spike_code: Annotated[
        Optional[str], typer.Option(help="temporal_mean_rate; the toolbox's other codes are refused.")
    ] = None,
    repair: Annotated[
        Optional[str],
        typer.Option(metavar="STAMP", help="Make this simulation of the run again, in its place and with its options."),
    ] = None,
    seed: Annotated[Optional[int], typer.Option(min=0, help="Seed of everything random.")] = None,
) -> None:
    """Simulate the converted network and count its spikes: a new directory in simulations/."""
