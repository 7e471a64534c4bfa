"""The Keras callback of a training: learning rate, progress, history, checkpoints and early stopping."""

from typing import Callable, Dict, List, Optional, Sequence

import numpy as np

from snnb.core.progress import Progress, Throttle
from snnb.io.keras import keras
from snnb.training.history import EpochMetrics
from snnb.training.objective import check_finite, shortest
from snnb.training.recipe import Recipe


def best_epoch(history: Sequence[EpochMetrics]) -> int:
    """Return the index, from 0, of the epoch with the lowest validation loss, or training loss without validation."""
    monitor = "val_loss" if "val_loss" in history[0] else "loss"
    return min(range(len(history)), key=lambda epoch: history[epoch][monitor])


def is_finished(history: Sequence[EpochMetrics], recipe: Recipe) -> bool:
    """Return whether a training with this history of complete epochs has ended."""
    if len(history) >= recipe.epochs:
        return True
    if not history or recipe.early_stopping is None:
        return False
    return len(history) - 1 - best_epoch(history) >= recipe.early_stopping


class FitCallback(keras.callbacks.Callback):
    """Control a call of `keras.Model.fit`.

    Parameters
    ----------
    recipe : Recipe
    steps : int
        Batches per epoch.
    history : list of EpochMetrics
        Metrics of earlier epochs; those of each new epoch are appended.
    best_weights : list of np.ndarray
        Weights after the best earlier epoch; used with early stopping only.
    save : callable
        Called after each epoch, when `history` and `best_weights` are up to date.
    progress : Progress
        Called with the number of batches done and the batches of all epochs.
    """

    def __init__(
        self,
        recipe: Recipe,
        steps: int,
        history: List[EpochMetrics],
        best_weights: List[np.ndarray],
        save: Callable[[], None],
        progress: Progress,
    ) -> None:
        super().__init__()
        self.history, self.best_weights = history, best_weights
        self._recipe, self._steps, self._save, self._progress = recipe, steps, save, progress
        self._throttle = Throttle()
        self._epoch = len(history)

    def on_epoch_begin(self, epoch: int, logs: Optional[Dict[str, float]] = None) -> None:
        """Store the index of the epoch."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Optional[Dict[str, float]] = None) -> None:
        """Set the learning rate."""
        rate = self._recipe.learning_rate_at(self._epoch + batch / self._steps)
        keras.backend.set_value(self.model.optimizer.learning_rate, rate)

    def on_train_batch_end(self, batch: int, logs: Dict[str, float]) -> None:
        """Report progress at most ten times a second; raise `VerificationError` if the loss is not finite."""
        if not self._throttle.due(last=batch + 1 == self._steps):
            return
        figures = {name: float(value) for name, value in logs.items()}
        check_finite(figures, self._epoch)
        note = "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
        done, total = self._epoch * self._steps + batch + 1, self._recipe.epochs * self._steps
        self._progress(done, total, f"epoch {self._epoch + 1}/{self._recipe.epochs}  {note}")

    def on_epoch_end(self, epoch: int, logs: Dict[str, float]) -> None:
        """Record the metrics, save a checkpoint, and stop early."""
        metrics = {name: shortest(value) for name, value in logs.items()}
        check_finite(metrics, epoch)
        self.history.append({**metrics, "lr": float(self._recipe.learning_rate_at(epoch))})
        if self._recipe.early_stopping and best_epoch(self.history) == epoch:
            self.best_weights = self.model.get_weights()
        self._save()
        if is_finished(self.history, self._recipe):
            self.model.stop_training = True
