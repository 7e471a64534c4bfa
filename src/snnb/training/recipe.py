"""Hyper-parameters of a training: defaults for each model, which the options of `snnb train` override."""

import math
from typing import Literal, Optional

from pydantic import Field, ValidationInfo, field_validator
from typing_extensions import Annotated

from snnb.core.options import Count, Flag, Options, Seed

OPTIMISATION = "Optimisation"  # panel of the help
Optimizer = Literal["adam", "rmsprop", "sgd"]
Schedule = Literal["constant", "cosine", "cycle"]


class Recipe(Options):
    """Hyper-parameters of a training.

    The schedule `cosine` decreases the learning rate to zero along half a cosine over
    all epochs (Loshchilov & Hutter 2017, arXiv 1608.03983, without restarts). `cycle`
    alternates between a tenth of the learning rate and the full learning rate every two
    epochs. Weight decay is decoupled from the gradient (Loshchilov & Hutter 2019, arXiv
    1711.05101): with the optimizer sgd and momentum m, a value of w has the effect of
    an L2 penalty of (1 - m) w / 2.
    """

    epochs: Annotated[Count, Flag(panel=OPTIMISATION)] = Field(
        default=10,
        description="Number of passes over the training set.",
    )
    batch_size: Annotated[Count, Flag(panel=OPTIMISATION)] = Field(
        default=50,
        description="Samples per batch.",
    )
    optimizer: Annotated[Optimizer, Flag(panel=OPTIMISATION)] = Field(
        default="adam",
        description="Optimizer.",
    )
    learning_rate: Annotated[float, Flag(panel=OPTIMISATION)] = Field(
        default=1e-3,
        gt=0,
        description="Maximum learning rate.",
    )
    schedule: Annotated[Schedule, Flag(panel=OPTIMISATION)] = Field(
        default="constant",
        description="Learning rate schedule over the epochs.",
    )
    momentum: Annotated[float, Flag(panel=OPTIMISATION)] = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Momentum (sgd only).",
    )
    nesterov: Annotated[bool, Flag(panel=OPTIMISATION)] = Field(
        default=False,
        description="Use Nesterov momentum (sgd only).",
    )
    weight_decay: Annotated[float, Flag(panel=OPTIMISATION)] = Field(
        default=0.0,
        ge=0,
        lt=1,
        description=(
            "Decoupled weight decay: each step multiplies the kernels by 1 - learning "
            "rate × weight decay."
        ),
    )
    flip: Annotated[bool, Flag(panel=OPTIMISATION)] = Field(
        default=False,
        description="Flip half of the images horizontally.",
    )
    shift: Annotated[float, Flag(panel=OPTIMISATION)] = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Maximum shift of images, relative to size.",
    )
    early_stopping: Annotated[Optional[Count], Flag(panel=OPTIMISATION)] = Field(
        default=None,
        description=(
            "Epochs without a lower validation loss before training stops; the best "
            "weights are restored."
        ),
    )

    @field_validator("momentum", "nesterov")
    @classmethod
    def _is_for_sgd(cls, value: float, others: ValidationInfo) -> float:
        optimizer = others.data.get("optimizer", "sgd")
        if value and optimizer != "sgd":
            raise ValueError(
                f"is for sgd, not for {optimizer}; omit it or choose --optimizer sgd",
            )
        if (
            value
            and others.field_name == "nesterov"
            and not others.data.get("momentum", 1)
        ):
            raise ValueError(
                "has no effect without momentum; omit it or give --momentum, such as "
                "0.9",
            )
        return value

    def learning_rate_at(self, epoch: float) -> float:
        """Return the learning rate after `epoch` epochs, which may be fractional: 0.5 is halfway through the first."""
        if self.schedule == "cosine":
            return (
                self.learning_rate * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
            )
        if self.schedule == "cycle" and int(epoch) // 2 % 2 == 0:
            return self.learning_rate / 10
        return self.learning_rate


# Of networks for ImageNet, which change the learning rate
IMAGENET = Recipe(
    optimizer="sgd",
    schedule="cosine",
    momentum=0.9,
    epochs=90,
    batch_size=128,
    flip=True,
    shift=0.1,
)
# Of networks for CIFAR-10, which change learning rate and weight decay
CIFAR10 = Recipe(
    optimizer="sgd",
    schedule="cosine",
    momentum=0.9,
    nesterov=True,
    epochs=60,
    batch_size=128,
    flip=True,
    shift=0.13,
)


class TrainingOptions(Recipe):
    """Options that, with model and pictures, determine the result of a training.

    `seed` is that of the initial weights, split and order of the pictures, dropout and
    augmentation.
    """

    validation_split: Annotated[float, Flag(panel=OPTIMISATION)] = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Held-out fraction of the training set.",
    )
    steps_per_epoch: Annotated[Optional[Count], Flag(panel=OPTIMISATION)] = Field(
        default=None,
        description="Batches per epoch.",
    )
    seed: Seed = Field(default=0, description="Random seed.")
