"""One epoch of training with Keras."""

from typing import Any, Dict, Optional, Tuple

import numpy as np
from tensorflow import keras

from snnb.progress import Progress, Throttle
from snnb.training.batches import LabelledPictures, batches
from snnb.training.checkpoint_state import EpochMetrics
from snnb.training.objective import check_finite, shortest
from snnb.training.recipe import Recipe


def train_epoch(
    model: keras.Model,
    pictures: LabelledPictures,
    rows: Tuple[np.ndarray, np.ndarray],
    recipe: Recipe,
    *,
    seed: int,
    epoch: int,
    steps: int,
    progress: Progress,
) -> EpochMetrics:
    """Train a compiled model for one epoch.

    Parameters
    ----------
    model : keras.Model
        Changed in place.
    pictures : LabelledPictures
        Pictures to train on and to validate with.
    rows : tuple of two np.ndarray
        Indices of the pictures to train on, and of those to validate with. Without any of the second there is no
        validation.
    recipe : Recipe
        Its batch size, learning rate and augmentation are used.
    seed, epoch : int
        Together they determine the order of the pictures and their augmentation. Epochs are counted from 0.
    steps : int
        Batches in the epoch.
    progress : Progress
        Called with the batches done, of all batches of all epochs.

    Returns
    -------
    EpochMetrics
        What Keras measured in this epoch, and `lr`, the learning rate at its beginning.

    Raises
    ------
    VerificationError
        A loss is not finite.
    """
    rng = np.random.default_rng([seed, epoch])
    training_rows, validation_rows = rows
    order = rng.permutation(training_rows)[: steps * recipe.batch_size]
    augmentation = (recipe, rng) if recipe.flip or recipe.shift else None
    target_shape = tuple(model.output_shape[1:])
    training = batches(pictures, order, recipe.batch_size, target_shape, augmentation)
    validation = batches(pictures, validation_rows, recipe.batch_size, target_shape) if len(validation_rows) else None
    each_batch = _EachBatch(recipe, epoch, steps, progress)
    logs = model.fit(training, validation_data=validation, verbose=0, callbacks=[each_batch]).history
    metrics = {name: shortest(values[0]) for name, values in logs.items()}
    check_finite(metrics, epoch)
    return {**metrics, "lr": float(recipe.learning_rate_at(epoch))}


class _EachBatch(keras.callbacks.Callback):
    """Set the learning rate before each batch; after it report progress, and end the training if the loss diverged."""

    def __init__(self, recipe: Recipe, epoch: int, steps: int, progress: Progress) -> None:
        super().__init__()
        self._recipe, self._epoch, self._steps, self._progress = recipe, epoch, steps, progress
        self._throttle = Throttle()

    def on_train_batch_begin(self, batch: int, logs: Optional[Dict[str, Any]] = None) -> None:
        """Set the learning rate."""
        rate = self._recipe.learning_rate_at(self._epoch + batch / self._steps)
        keras.backend.set_value(self.model.optimizer.learning_rate, rate)

    def on_train_batch_end(self, batch: int, logs: Dict[str, Any]) -> None:
        """Report progress at most ten times a second, and refuse a loss that is not finite."""
        if not self._throttle.due(last=batch + 1 == self._steps):
            return
        figures = {name: float(value) for name, value in logs.items()}
        check_finite(figures, self._epoch)
        note = "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
        done, total = self._epoch * self._steps + batch + 1, self._recipe.epochs * self._steps
        self._progress(done, total, f"epoch {self._epoch + 1}/{self._recipe.epochs}  {note}")
