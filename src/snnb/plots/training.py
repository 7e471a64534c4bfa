"""Figure of a training: loss and accuracy by epoch."""

from typing import Mapping, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from snnb.io.figures import HUES, Figure, plain, styled
from snnb.training.history import EpochMetrics, TrainingMetrics

_TRAINING, _VALIDATION, _TEST = HUES[0], HUES[1], "#555555"
_MEASURES = ("loss", "accuracy")
LOG_RATIO = 20  # of the largest to the smallest value from which the vertical axis is logarithmic


def plot_training(metrics: TrainingMetrics, history: Sequence[EpochMetrics], title: str = "") -> Figure:
    """Plot the history of a training; `metrics` has the epoch that was kept."""
    assert metrics.kept_epoch is not None
    values = {
        "accuracy": metrics.test_accuracy,
        "loss": metrics.test_loss,
        "mean_squared_error": metrics.test_mean_squared_error,
    }
    test = {name: value for name, value in values.items() if value is not None}
    test.setdefault("loss", test.get("mean_squared_error", np.nan))
    return plot_history(history, metrics.kept_epoch - 1, test, title)


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
