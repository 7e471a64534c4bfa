"""Result files of a training: history as CSV, and metrics as JSON."""

import csv
from pathlib import Path
from typing import Dict, Optional, Sequence

from typing_extensions import Annotated

from snnb.core.quantities import Quantity, percent
from snnb.io.text import Document

METRICS_FILE = "training_metrics.json"
EpochMetrics = Dict[str, float]
TestAccuracy = Annotated[Optional[float], Quantity("test accuracy", percent)]
TestLoss = Annotated[Optional[float], Quantity("test loss")]
TestError = Annotated[Optional[float], Quantity("test mean squared error")]


class TrainingMetrics(Document):
    """Content of training_metrics.json.

    For a network that was trained with another program it has the test metrics,
    `levels`, and 0 for `epochs_run`. Epochs are counted from 1. `kept_epoch` is the
    epoch whose weights were saved, `levels` the number of levels of quantised
    activations.
    """

    test_accuracy: TestAccuracy = None
    test_loss: TestLoss = None
    test_mean_squared_error: TestError = None
    levels: Optional[int] = None
    epochs_run: int
    kept_epoch: Optional[int] = None
    best_epoch: Optional[int] = None
    final: Optional[EpochMetrics] = None
    best: Optional[EpochMetrics] = None
    training_pictures: Optional[int] = None
    validation_pictures: Optional[int] = None


def named_metrics(
    test: Dict[str, float],
    num_classes: Optional[int],
) -> Dict[str, float]:
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
