"""Evaluate a model that is already trained."""

import math
from pathlib import Path
from typing import Callable

from snnb.core.errors import InputError
from snnb.core.progress import Progress, silent
from snnb.io.keras import keras
from snnb.training.batches import LabelledPictures
from snnb.training.fit import TrainingResult
from snnb.training.history import named_metrics, write_metrics
from snnb.training.modelfile import write_model
from snnb.training.objective import check_model, compile_model, evaluate, new_optimizer
from snnb.training.recipe import Recipe


def evaluate_pretrained(
    load: Callable[[], keras.Model],
    test_set: LabelledPictures,
    *,
    batch_size: int,
    model_file: Path,
    progress: Progress = silent,
) -> TrainingResult:
    """Evaluate a trained model on the test set; write `model_file`, and training_metrics.json to its directory.

    Parameters
    ----------
    load : callable
        Returns the model with its weights.
    test_set : LabelledPictures
    batch_size : int
    model_file : Path
        HDF5 file to write, in an existing directory.
    progress : Progress
        Called before and after the evaluation.

    Raises
    ------
    InputError
        The model does not fit the pictures, or its loss is not finite.
    ResourceError
        The disk has too little free space.
    """
    keras.backend.clear_session()
    model = load()
    check_model(model, test_set.x.shape[1:], test_set.num_classes)
    compile_model(model, new_optimizer(Recipe()), test_set.num_classes)
    progress(0, 1, "evaluating")
    test = evaluate(model, test_set, batch_size)
    if not math.isfinite(test["loss"]):
        raise InputError(
            f"the loss of the trained model is {test['loss']} on the test set: its weights are not all finite; "
            "train the model again"
        )
    metrics = named_metrics(test, test_set.num_classes)
    progress(1, 1)
    write_model(model, model_file)
    write_metrics({**metrics, "epochs_run": 0}, model_file.parent / "training_metrics.json")
    return TrainingResult(metrics, 0, [])
