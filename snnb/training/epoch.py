"""One epoch of Keras."""

import math
import time
from typing import Any, Dict, Optional

import numpy as np
from tensorflow import keras

from snnb.progress import Progress
from snnb.training.batches import Pictures, batches
from snnb.training.checkpoint import Row
from snnb.training.interrupt import EndWhen, run_interruptibly
from snnb.training.objective import check_finite, shortest
from snnb.training.recipe import Recipe

_SECONDS_BETWEEN_REPORTS = 0.1


def fit_epoch(
    model: keras.Model,
    pictures: Pictures,
    training_rows: np.ndarray,
    validation_rows: np.ndarray,
    recipe: Recipe,
    *,
    seed: int,
    epoch: int,
    steps: int,
    progress: Progress,
) -> Row:
    """Train a compiled model for the epoch that `seed` and `epoch` define.

    Parameters
    ----------
    model
        Changed in place.
    pictures
        Training and validation pictures.
    training_rows, validation_rows
        Indices into them; none to validate with leaves validation out.
    recipe
        Batch size, learning rate and augmentation.
    seed, epoch
        They determine the order of the pictures and their augmentation; epochs count from 0.
    steps
        Batches in the epoch.
    progress
        Told the batches done, of all batches of all epochs.

    Returns
    -------
    Row
        Keras's columns of this epoch, and `lr`, the learning rate it began with.

    Raises
    ------
    VerificationError
        When a loss is not finite.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(training_rows)[: steps * recipe.batch_size]
    augmentation = (recipe, rng) if recipe.flip or recipe.shift else None
    training = batches(pictures, order, recipe.batch_size, augmentation)
    validation = batches(pictures, validation_rows, recipe.batch_size) if len(validation_rows) else None
    pace = _Pace(recipe, epoch, steps, progress)
    logs = run_interruptibly(
        lambda abandoned: (
            model.fit(training, validation_data=validation, verbose=0, callbacks=[pace, EndWhen(abandoned)]).history
        )
    )
    row = {column: shortest(values[0]) for column, values in logs.items()}
    check_finite(row, epoch)
    return {**row, "lr": float(recipe.learning_rate_at(epoch))}


class _Pace(keras.callbacks.Callback):
    """Set the learning rate of each batch, tell how far the training is, and end it as soon as the loss is lost."""

    def __init__(self, recipe: Recipe, epoch: int, steps: int, progress: Progress) -> None:
        super().__init__()
        self._recipe, self._epoch, self._steps, self._progress = recipe, epoch, steps, progress
        self._reported = -math.inf

    def on_train_batch_begin(self, batch: int, logs: Optional[Dict[str, Any]] = None) -> None:
        rate = self._recipe.learning_rate_at(self._epoch + batch / self._steps)
        keras.backend.set_value(self.model.optimizer.learning_rate, rate)

    def on_train_batch_end(self, batch: int, logs: Dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self._reported < _SECONDS_BETWEEN_REPORTS and batch + 1 < self._steps:
            return
        self._reported = now
        figures = {name: float(value) for name, value in logs.items()}
        check_finite(figures, self._epoch)
        note = "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
        done, total = self._epoch * self._steps + batch + 1, self._recipe.epochs * self._steps
        self._progress(done, total, f"epoch {self._epoch + 1}/{self._recipe.epochs}  {note}")
