"""Figure of a training: loss and accuracy by epoch."""

from typing import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from snnb.io.figures import HUES, Figure, plain, styled
from snnb.training.history import EpochMetrics, TrainingMetrics

TRAINING_COLOUR = HUES[0]
VALIDATION_COLOUR = HUES[1]
TEST_COLOUR = "#555555"
MEASURES = ("loss", "accuracy")
# Ratio of the largest to the smallest value from which the vertical axis is logarithmic
LOG_RATIO = 20


def plot_training(
    metrics: TrainingMetrics,
    history: Sequence[EpochMetrics],
    title: str = "",
) -> Figure:
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
    history: Sequence[EpochMetrics],
    saved_epoch: int,
    test: Mapping[str, float],
    title: str = "",
) -> Figure:
    """Plot the loss and, for a classifier, the accuracy against the epoch.

    `saved_epoch` is the index, from 0, of the epoch whose weights were saved; `test`
    has the `loss` and `accuracy` of these weights on the test set.
    """
    measures = [name for name in MEASURES if name in history[0]]
    figure = Figure(figsize=(6, 3.2 * len(measures)))
    grid = figure.subplots(len(measures), 1, sharex=True, squeeze=False)
    rows = grid[:, 0]
    for axes, name in zip(rows, measures):
        _draw_measure(axes, history, name)
        label = f"test {test[name]:.4g}"
        marker = {"color": TEST_COLOUR, "marker": "D", "linestyle": "none"}
        axes.plot([saved_epoch + 1], [test[name]], label=label, **marker)
        values = np.concatenate([line.get_ydata() for line in axes.lines])
        # The condition is false if a value is not a number.
        if values.min() > 0 and values.max() > LOG_RATIO * values.min():
            axes.set_yscale("log")
        axes.set_ylabel(name)
        axes.grid()
        axes.legend()
    rows[-1].set_xlabel("epoch")
    rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if title:
        figure.suptitle(plain(title, 22), x=0.01, ha="left")
    return figure


def _draw_measure(axes: Axes, history: Sequence[EpochMetrics], name: str) -> None:
    """Draw a measure of the training set and, if it has one, of the validation set."""
    epochs = range(1, len(history) + 1)
    lines = (
        (name, "training", TRAINING_COLOUR),
        (f"val_{name}", "validation", VALIDATION_COLOUR),
    )
    for column, label, colour in lines:
        if column in history[0]:
            values = [metrics[column] for metrics in history]
            style = {"color": colour, "marker": "o", "markersize": 3}
            axes.plot(epochs, values, label=label, **style)
