"""How a model is trained: set by the file of each model, and overridden by the options of `snnb train`."""

import math
from dataclasses import dataclass, replace
from typing import Any, Dict, Optional

from snnb.errors import UsageError

OPTIMIZERS = ("adam", "rmsprop", "sgd")
SCHEDULES = ("constant", "cosine", "cycle")


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a training.

    Attributes
    ----------
    optimizer
        One of `OPTIMIZERS`.
    learning_rate
        Step size, at its largest.
    schedule
        How the learning rate goes: "constant"; "cosine", down to zero along half a cosine over all epochs; "cycle", a
        tenth of it and the whole taking turns every two epochs.
    epochs
        Passes over the training pictures; early stopping may end sooner.
    batch_size
        Pictures per step.
    momentum, nesterov
        Of stochastic gradient descent; the other optimisers know neither.
    patience
        Stop when the validation loss has not fallen for this many epochs, and keep the weights of the best one. None
        trains all epochs and keeps the last weights.
    flip
        Mirror half of the training pictures left to right.
    shift
        Move each training picture by up to this share of its height and width; the border is repeated.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    epochs: int = 10
    batch_size: int = 50
    momentum: float = 0.0
    nesterov: bool = False
    patience: Optional[int] = None
    flip: bool = False
    shift: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no training can mean."""
        if self.optimizer not in OPTIMIZERS:
            raise UsageError(f"unknown optimizer {self.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}")
        if self.schedule not in SCHEDULES:
            raise UsageError(f"unknown schedule {self.schedule!r}: choose one of {', '.join(SCHEDULES)}")
        if (self.momentum or self.nesterov) and self.optimizer != "sgd":
            raise UsageError(f"momentum is for sgd, not for {self.optimizer}: leave it out or choose --optimizer sgd")
        if not 0 < self.learning_rate < math.inf:
            raise UsageError(f"the learning rate must be a positive number, not {self.learning_rate}")
        for name in ("epochs", "batch_size", "patience"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise UsageError(f"{name.replace('_', ' ')} must be at least 1, not {count}")
        for name in ("momentum", "shift"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} must lie in [0, 1), not {getattr(self, name)}")

    def learning_rate_at(self, epoch: float) -> float:
        """Learning rate after so many epochs, which need not be whole: the middle of the first one is 0.5."""
        if self.schedule == "cosine":
            return self.learning_rate * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        if self.schedule == "cycle" and int(epoch) // 2 % 2 == 0:
            return self.learning_rate / 10
        return self.learning_rate

    def override(
        self,
        *,
        optimizer: Optional[str] = None,
        learning_rate: Optional[float] = None,
        schedule: Optional[str] = None,
        epochs: Optional[int] = None,
        batch_size: Optional[int] = None,
        momentum: Optional[float] = None,
        nesterov: Optional[bool] = None,
        patience: Optional[int] = None,
        flip: Optional[bool] = None,
        shift: Optional[float] = None,
    ) -> "Recipe":
        """Return the recipe with what a person asked for; None keeps the recipe's own.

        Another optimiser than the recipe's drops its momentum.
        """
        asked: Dict[str, Any] = {
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "schedule": schedule,
            "epochs": epochs,
            "batch_size": batch_size,
            "momentum": momentum,
            "nesterov": nesterov,
            "patience": patience,
            "flip": flip,
            "shift": shift,
        }
        changes = {name: value for name, value in asked.items() if value is not None}
        if changes.get("optimizer", self.optimizer) != self.optimizer:
            changes = {"momentum": 0.0, "nesterov": False, **changes}
        return replace(self, **changes)
