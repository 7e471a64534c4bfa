"""A model that comes trained is only judged."""

import math
from pathlib import Path
from typing import Callable, Optional

import numpy as np
from tensorflow import keras

from snnb.errors import InputError
from snnb.progress import Progress, silent
from snnb.training.batches import Pictures
from snnb.training.fit import TrainingResult
from snnb.training.modelfile import write_model
from snnb.training.objective import check_data, check_model, compile_model, evaluate, new_optimizer
from snnb.training.recipe import Recipe
from snnb.training.report import named_metrics, write_metrics


def adopt(
    load: Callable[[], keras.Model],
    *,
    x_test: np.ndarray,
    y_test: np.ndarray,
    scale: float,
    num_classes: Optional[int],
    batch_size: int,
    target: Path,
    name: str,
    progress: Progress = silent,
) -> TrainingResult:
    """Judge a trained model and write `NAME.h5` and `training_metrics.json`; there is no history to write.

    Parameters
    ----------
    load
        Returns the model with its weights.
    x_test, y_test, scale, num_classes, target, name, progress
        As for `snnb.training.fit.train`.
    batch_size
        Pictures at a time.

    Raises
    ------
    InputError
        When model and data do not fit each other.
    """
    check_data(x_test, y_test, num_classes, "test")
    keras.backend.clear_session()
    model = load()
    check_model(model, x_test.shape[1:], num_classes)
    compile_model(model, new_optimizer(Recipe()), num_classes)
    progress(0, 1, "evaluating")
    pictures = Pictures(x_test, y_test, scale, tuple(model.output_shape[1:]), num_classes)
    test = evaluate(model, pictures, batch_size)
    if not math.isfinite(test["loss"]):
        raise InputError(
            f"the loss of the trained model is {test['loss']} on the test set: its weights are not all finite"
        )
    metrics = named_metrics(test, num_classes)
    progress(1, 1)
    write_model(model, target / f"{name}.h5")
    write_metrics({**metrics, "epochs_run": 0}, target / "training_metrics.json")
    return TrainingResult(metrics, 0, [])
