"""How a model is trained: set by the file of each model, and overridden by the options of `snnb train`."""

from dataclasses import dataclass, replace
from typing import Optional, Tuple

from snnb.errors import UsageError

OPTIMIZERS = ("adam", "rmsprop", "sgd")


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a training.

    Attributes
    ----------
    optimizer
        One of `OPTIMIZERS`.
    learning_rate
        Step size; ignored while `learning_rate_cycle` is set.
    epochs
        Passes over the training pictures; early stopping may end sooner.
    batch_size
        Pictures per step.
    momentum, nesterov
        Of stochastic gradient descent; the other optimisers know neither.
    learning_rate_cycle
        Learning rates that take turns, each for `cycle_epochs` epochs; empty for a constant rate.
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
    epochs: int = 10
    batch_size: int = 50
    momentum: float = 0.0
    nesterov: bool = False
    learning_rate_cycle: Tuple[float, ...] = ()
    cycle_epochs: int = 1
    patience: Optional[int] = None
    flip: bool = False
    shift: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no training can mean."""
        if self.optimizer not in OPTIMIZERS:
            raise UsageError(f"unknown optimizer {self.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}")
        if self.momentum and self.optimizer != "sgd":
            raise UsageError(f"momentum is for sgd, not for {self.optimizer}: leave it out or choose --optimizer sgd")
        for name, value in [("learning rate", self.learning_rate)] + [
            ("learning rate of the cycle", rate) for rate in self.learning_rate_cycle
        ]:
            if not 0 < value < float("inf"):
                raise UsageError(f"the {name} must be a positive number, not {value}")
        for name in ("epochs", "batch_size", "cycle_epochs", "patience"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise UsageError(f"{name.replace('_', ' ')} must be at least 1, not {count}")
        if not 0 <= self.momentum < 1:
            raise UsageError(f"momentum must lie in [0, 1), not {self.momentum}")
        if not 0 <= self.shift < 1:
            raise UsageError(f"shift must lie in [0, 1), not {self.shift}")

    def learning_rate_at(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        if not self.learning_rate_cycle:
            return self.learning_rate
        return self.learning_rate_cycle[epoch // self.cycle_epochs % len(self.learning_rate_cycle)]

    def override(
        self,
        *,
        optimizer: Optional[str] = None,
        learning_rate: Optional[float] = None,
        epochs: Optional[int] = None,
        batch_size: Optional[int] = None,
        patience: Optional[int] = None,
    ) -> "Recipe":
        """Return the recipe with what a person asked for; None keeps the recipe's own.

        A learning rate asked for replaces the recipe's cycle; another optimiser drops the momentum of the recipe's.
        """
        recipe = self
        if optimizer is not None and optimizer != self.optimizer:
            recipe = replace(recipe, optimizer=optimizer, momentum=0.0, nesterov=False)
        if learning_rate is not None:
            recipe = replace(recipe, learning_rate=learning_rate, learning_rate_cycle=())
        if epochs is not None:
            recipe = replace(recipe, epochs=epochs)
        if batch_size is not None:
            recipe = replace(recipe, batch_size=batch_size)
        if patience is not None:
            recipe = replace(recipe, patience=patience)
        return recipe
