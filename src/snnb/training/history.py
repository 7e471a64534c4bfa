"""Result files of a training: history as CSV, metrics as JSON, and a plot."""

import csv
from pathlib import Path
from typing import Dict, Mapping, Optional, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from snnb.io.figures import HUES, Figure, plain, styled
from snnb.io.text import Document

METRICS_FILE = "training_metrics.json"
EpochMetrics = Dict[str, float]

_TRAINING, _VALIDATION, _TEST = HUES[0], HUES[1], "#555555"
_MEASURES = ("loss", "accuracy")
LOG_RATIO = 20  # of the largest to the smallest value from which the vertical axis is logarithmic


class TrainingMetrics(Document):
    """Content of training_metrics.json.

    For a network that was trained with another program it has the test metrics, `levels`, and 0 for `epochs_run`.
    Epochs are counted from 1. `kept_epoch` is the epoch whose weights were saved, `levels` the number of levels of
    quantised activations.
    """

    test_accuracy: Optional[float] = None
    test_loss: Optional[float] = None
    test_mean_squared_error: Optional[float] = None
    levels: Optional[int] = None
    epochs_run: int
    kept_epoch: Optional[int] = None
    best_epoch: Optional[int] = None
    final: Optional[EpochMetrics] = None
    best: Optional[EpochMetrics] = None
    training_pictures: Optional[int] = None
    validation_pictures: Optional[int] = None


def named_metrics(test: Dict[str, float], num_classes: Optional[int]) -> Dict[str, float]:
    """Return Keras's test metrics, `loss` and for a classifier `accuracy`, under their names in result files.

    `num_classes` is None for an autoencoder, whose loss is the mean squared error.
    """
    if num_classes is None:
        return {"test_mean_squared_error": test["loss"]}
    return {"test_accuracy": test["accuracy"], "test_loss": test["loss"]}


def write_history(history: Sequence[EpochMetrics], path: Path) -> None:
    """Write a CSV file with one row per epoch: `epoch`, counted from 1, and the metrics."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["epoch", *history[0]], lineterminator="\n")
        writer.writeheader()
        for epoch, metrics in enumerate(history, 1):
            writer.writerow({"epoch": epoch, **metrics})


@styled
def plot_history(
    history: Sequence[EpochMetrics], saved_epoch: int, test: Mapping[str, float], title: str = ""
) -> Figure:
    """Plot the loss and, for a classifier, the accuracy against the epoch.

    `saved_epoch` is the index, from 0, of the epoch whose weights were saved; `test` has the `loss` and `accuracy` of
    these weights on the test set.
    """
    measures = [name for name in _MEASURES if name in history[0]]
    figure = Figure(figsize=(6, 3.2 * len(measures)))
    axes = figure.subplots(len(measures), 1, sharex=True, squeeze=False)[:, 0]
    epochs = range(1, len(history) + 1)
    for axis, name in zip(axes, measures):
        for column, label, colour in [(name, "training", _TRAINING), (f"val_{name}", "validation", _VALIDATION)]:
            if column in history[0]:
                values = [metrics[column] for metrics in history]
                axis.plot(epochs, values, color=colour, label=label, marker="o", markersize=3)
        axis.plot(
            [saved_epoch + 1], [test[name]], color=_TEST, marker="D", linestyle="none", label=f"test {test[name]:.4g}"
        )
        shown = np.concatenate([line.get_ydata() for line in axis.lines])
        if shown.min() > 0 and shown.max() > LOG_RATIO * shown.min():  # false if a value is not a number
            axis.set_yscale("log")
        axis.set_ylabel(name)
        axis.grid()
        axis.legend()
    axes[-1].set_xlabel("epoch")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if title:
        figure.suptitle(plain(title, 22), x=0.01, ha="left")
    return figure
