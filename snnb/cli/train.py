"""`snnb train`: options."""

from typing import List, Optional

import typer
from typing_extensions import Annotated


def train(
    epochs: Annotated[Optional[int], typer.Option(min=1, help="Passes over the training set.")] = None,
    batch_size: Annotated[Optional[int], typer.Option(min=1, help="Samples at a time.")] = None,
    optimizer: Annotated[Optional[str], typer.Option(help="Name of a Keras optimizer: adam, sgd, rmsprop …")] = None,
    learning_rate: Annotated[Optional[float], typer.Option(help="Step size of the optimizer.")] = None,
    schedule: Annotated[
        Optional[str], typer.Option(help="How the learning rate goes: constant, cosine or cycle.")
    ] = None,
    momentum: Annotated[Optional[float], typer.Option(help="Momentum of the optimizer sgd.")] = None,
    nesterov: Annotated[Optional[bool], typer.Option(help="Whether the momentum is Nesterov's.")] = None,
    flip: Annotated[Optional[bool], typer.Option(help="Mirror half of the training pictures.")] = None,
    shift: Annotated[
        Optional[float], typer.Option(help="Move training pictures by up to this share of their size.")
    ] = None,
    settings: Annotated[
        Optional[List[str]],
        typer.Option("--set", metavar="KEY=VALUE", help="A hyper-parameter of the model; can be given several times."),
    ] = None,
    validation_split: Annotated[
        Optional[float], typer.Option(help="Share of the training set that is only validated on.")
    ] = None,
    early_stopping: Annotated[
        Optional[int], typer.Option(min=1, help="Stop after this many epochs without a better validation loss.")
    ] = None,
    steps_per_epoch: Annotated[Optional[int], typer.Option(min=1, help="Batches an epoch; all when left out.")] = None,
    resume: Annotated[
        Optional[bool],
        typer.Option(
            help="Go on from the last complete epoch of an interrupted training; when left out, if its options fit."
        ),
    ] = None,
    seed: Annotated[Optional[int], typer.Option(min=0, help="Seed of everything random.")] = None,
) -> None:
    """Train the Keras network: train/."""
