"""Training: real epochs of Keras, each a `fit` of its own from the checkpoint of the one before.

That is what makes an interrupted training, when resumed, equal to an uninterrupted one bit by bit: both take the same
path through the same files. The session is cleared and the seed set for every epoch, since dropout draws from a
generator whose state Keras does not save. The files hold arrays only: the layers of each epoch's model are those of the
model that was built at the beginning.
"""

import math
import random
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Set

import numpy as np
import tensorflow as tf
from tensorflow import keras

from snnb.errors import InputError, UsageError
from snnb.progress import Progress, silent
from snnb.training import checkpoint as checkpoints
from snnb.training.batches import Pictures, split_rows
from snnb.training.checkpoint import Row
from snnb.training.epoch import fit_epoch
from snnb.training.modelfile import write_model
from snnb.training.objective import (
    check_data,
    check_ends_in_softmax,
    check_finite,
    check_model,
    compile_model,
    evaluate,
    new_optimizer,
)
from snnb.training.recipe import Recipe
from snnb.training.report import named_metrics, plot_history, write_history, write_metrics


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training.

    Attributes
    ----------
    metrics
        `test_loss` and `test_accuracy` (for a reconstruction `test_mean_squared_error`) of the weights that were kept.
    epochs_run
        Complete epochs, those before an interruption included.
    warnings
        What a person should know.
    """

    metrics: Dict[str, float]
    epochs_run: int
    warnings: List[str]


def train(
    build: Callable[[], keras.Model],
    *,
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    scale: float,
    num_classes: Optional[int],
    recipe: Recipe,
    validation_split: float,
    seed: int,
    target: Path,
    name: str,
    checkpoint: Path,
    resume: bool = False,
    steps_per_epoch: Optional[int] = None,
    progress: Progress = silent,
) -> TrainingResult:
    """Train a model and write `NAME.h5`, `training_history.csv`, `training_metrics.json` and `training_plot.png`.

    The same seed gives the same files on the same machine with the same number of threads, whether or not the training
    was interrupted and resumed.

    Parameters
    ----------
    build
        Returns the untrained model; called once the seed is set.
    x_train, x_test
        (n, height, width, channels), memory-mapped or not; pixels are `x / scale`.
    y_train, y_test
        (n,) class numbers; not used for a reconstruction.
    scale
        255 for uint8 pictures, 1 for pixels.
    num_classes
        None trains the model to reproduce its input, by mean squared error.
    recipe
        Optimiser, epochs, batch size and so on.
    validation_split
        Share of the training pictures, drawn by the seed, that judges each epoch and is not trained on; may be 0.
    seed
        Of the initial weights, the validation pictures, the order of the pictures, dropout and augmentation.
    target
        An existing directory for the files.
    name
        Of the model.
    checkpoint
        Directory for the state after each complete epoch. It stays when this function returns: the caller removes it
        once the results are safe.
    resume
        Go on from `checkpoint`. Without one there, begin anew and say so in the warnings.
    steps_per_epoch
        End each epoch after so many batches.
    progress
        Told the batches done, of all batches of all epochs, with loss and accuracy.

    Raises
    ------
    InputError
        When model and data do not fit each other, or the checkpoint is damaged or a symbolic link.
    UsageError
        When the checkpoint is of another training.
    VerificationError
        When the loss is no longer finite.
    """
    checkpoints.refuse_elsewhere(checkpoint)
    check_data(x_train, y_train, num_classes, "train")
    check_data(x_test, y_test, num_classes, "test")
    warnings = []
    _reset(seed)
    model = build()
    check_model(model, x_train.shape[1:], num_classes)
    if num_classes is not None:
        check_ends_in_softmax(model)
    compile_model(model, new_optimizer(recipe), num_classes)
    target_shape = tuple(model.output_shape[1:])
    learning = Pictures(x_train, y_train, scale, target_shape, num_classes)
    training_rows, validation_rows = split_rows(len(x_train), validation_split, seed)
    monitor = "val_loss" if len(validation_rows) else "loss"

    identity = _identity(model, learning, recipe, validation_split, seed, steps_per_epoch)
    history: List[Row] = []
    layers = model.to_json()
    if resume and checkpoints.exists(checkpoint):
        state = checkpoints.load(checkpoint, identity, _columns(num_classes, len(validation_rows) > 0))
        history.extend(state.history)
        if len(history) > recipe.epochs:
            raise UsageError(f"the checkpoint holds {len(history)} epochs, more than the {recipe.epochs} asked for")
    else:
        if resume:
            warnings.append("there was no checkpoint to resume from: trained from the beginning")
        state = checkpoints.save(checkpoint, identity, history, model, earlier={})

    def as_after(epochs_done: int, seed: int) -> keras.Model:
        _reset(seed)
        model = _again(layers)
        compile_model(model, new_optimizer(recipe), num_classes)
        checkpoints.restore(checkpoint, state, epochs_done, model)
        return model

    steps = math.ceil(len(training_rows) / recipe.batch_size)
    steps = steps if steps_per_epoch is None else min(steps, steps_per_epoch)
    while len(history) < recipe.epochs and not _is_over(history, monitor, recipe.early_stopping):
        epoch = len(history)
        model = as_after(epoch, seed + epoch)
        row = fit_epoch(
            model,
            learning,
            training_rows,
            validation_rows,
            recipe,
            seed=seed,
            epoch=epoch,
            steps=steps,
            progress=progress,
        )
        history.append(row)
        needed = [_best(history, monitor) + 1] if recipe.early_stopping else []
        earlier = {epochs: digest for epochs, digest in state.arrays.items() if epochs in needed}
        state = checkpoints.save(checkpoint, identity, history, model, earlier)

    best = _best(history, monitor)
    kept = best if recipe.early_stopping else len(history) - 1
    model = as_after(kept + 1, seed)
    # The state of the optimiser is of no use to the stages that follow, and twice the size of the weights.
    compile_model(model, new_optimizer(recipe), num_classes)
    test = evaluate(model, Pictures(x_test, y_test, scale, target_shape, num_classes), recipe.batch_size)
    check_finite(test, kept)
    metrics = named_metrics(test, num_classes)
    write_model(model, target / f"{name}.h5")
    write_history(history, target / "training_history.csv")
    summary = {
        **metrics,
        "epochs_run": len(history),
        "kept_epoch": kept + 1,
        "best_epoch": best + 1,
        "final": history[-1],
        "best": history[best],
        "training_pictures": len(training_rows),
        "validation_pictures": len(validation_rows),
    }
    write_metrics(summary, target / "training_metrics.json")
    plot_history(history, kept, test, name, target / "training_plot.png")
    return TrainingResult(metrics, len(history), warnings)


def _reset(seed: int) -> None:
    keras.backend.clear_session()
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  a user's model may draw from it
    tf.random.set_seed(seed)


def _again(layers: str) -> keras.Model:
    """Build a model again from its own description."""
    try:
        return keras.models.model_from_json(layers)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"Keras cannot build the model again ({reason}): use only its own layers and functions"
        ) from error


def _columns(num_classes: Optional[int], validates: bool) -> Set[str]:
    """What Keras reports of an epoch, and the learning rate."""
    measured = {"loss"} if num_classes is None else {"loss", "accuracy"}
    return {*measured, *(f"val_{name}" for name in measured if validates), "lr"}


def _identity(
    model: keras.Model,
    pictures: Pictures,
    recipe: Recipe,
    validation_split: float,
    seed: int,
    steps_per_epoch: Optional[int],
) -> Dict[str, str]:
    """Return what a resumed training must share with the interrupted one.

    The number of epochs only says when to end, unless the learning rate depends on it.
    """
    some = np.linspace(0, len(pictures.x) - 1, 200).astype(int)
    content = zlib.crc32(pictures.y.tobytes(), zlib.crc32(pictures.x[some].tobytes()))
    fields = {name: getattr(recipe, name) for name in Recipe.model_fields}
    if recipe.schedule != "cosine":
        del fields["epochs"]
    return {
        **{name.replace("_", " "): repr(value) for name, value in fields.items()},
        "validation split": repr(validation_split),
        "seed": repr(seed),
        "steps per epoch": repr(steps_per_epoch),
        "model": f"{zlib.crc32(model.to_json().encode()):08x}",
        "data set": f"{pictures.x.shape} {pictures.x.dtype} {pictures.scale} {content:08x}",
    }


def _best(history: Sequence[Row], monitor: str) -> int:
    return min(range(len(history)), key=lambda epoch: history[epoch][monitor])


def _is_over(history: Sequence[Row], monitor: str, patience: Optional[int]) -> bool:
    return bool(history) and patience is not None and len(history) - 1 - _best(history, monitor) >= patience
