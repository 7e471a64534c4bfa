"""Train a Keras model with `keras.Model.fit`, with a checkpoint after each epoch."""

import json
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

import numpy as np
import tensorflow as tf

from snnb.core.errors import InputError, UsageError
from snnb.core.options import FigureFormat
from snnb.core.progress import Progress, silent
from snnb.io.files import require_disk
from snnb.io.keras import description_of, keras
from snnb.io.keras_file import QCFS_LEVELS
from snnb.training.batches import LabelledPictures, batches, split_rows, training_batches
from snnb.training.checkpoint import FILE, Checkpoint, load_checkpoint, refuse_link, save_checkpoint
from snnb.training.fit_callback import FitCallback, best_epoch, is_finished
from snnb.training.history import EpochMetrics, named_metrics, plot_history, write_history, write_metrics
from snnb.training.modelfile import write_model
from snnb.training.objective import (
    check_ends_in_softmax,
    check_finite,
    check_model,
    compile_model,
    evaluate,
    new_optimizer,
)
from snnb.training.qcfs import levels_of, plain
from snnb.training.training_setup import TrainingSetup, identity_of


@dataclass(frozen=True)
class TrainingResult:
    """Test metrics and length of a training.

    Attributes
    ----------
    metrics : dict of str to float
        `test_loss` and `test_accuracy` of the saved weights; for an autoencoder `test_mean_squared_error`.
    epochs_run : int
        Complete epochs, including those before an interruption.
    warnings : list of str
        Messages for the user.
    """

    metrics: Dict[str, float]
    epochs_run: int
    warnings: List[str]


def train(
    build: Callable[[], keras.Model],
    training_set: LabelledPictures,
    test_set: LabelledPictures,
    setup: TrainingSetup,
    *,
    model_file: Path,
    checkpoint: Path,
    resume: Optional[bool] = False,
    figures: FigureFormat = "png",
    progress: Progress = silent,
) -> TrainingResult:
    """Train a model and write `model_file`, training_history.csv, training_metrics.json and training_plot.*.

    The same seed gives the same files on the same machine with the same number of threads. A resumed training draws
    the same batches as an uninterrupted one, but other dropout masks.

    Parameters
    ----------
    build : callable
        Returns the untrained model; called after the seed is set.
    training_set, test_set : LabelledPictures
        Pictures to train on, and pictures for the final test. Their arrays may be memory-mapped.
    setup : TrainingSetup
    model_file : Path
        HDF5 file to write, in an existing directory; the other three files are written to the same directory.
    checkpoint : Path
        Directory of the checkpoint, which is replaced after each epoch. The caller removes it when the results are
        safe.
    resume : bool or None
        Whether to continue from the checkpoint. None continues only from a checkpoint of a training with the same
        options, data set and model.
    figures : {"png", "svg", "pdf"}
        Format of the plot.
    progress : Progress
        Called with the number of batches done, the batches of all epochs, and loss and accuracy.

    Raises
    ------
    InputError
        The model does not fit the pictures, or the checkpoint is damaged or a symbolic link.
    UsageError
        The checkpoint belongs to another training, or no picture is left to train on.
    VerificationError
        The loss is no longer finite.
    ResourceError
        The disk has too little free space.
    """
    refuse_link(checkpoint)
    model = _initial_model(build, training_set, setup)
    identity = identity_of(model, training_set, setup)
    state = _resumed_state(checkpoint, identity, setup, resume)
    warnings = ["there was no checkpoint to resume from: trained from the beginning"] if resume and not state else []
    if state is None:
        state = Checkpoint(identity, [], [], [], [])
    else:
        _restore(model, state, setup.seed)
    # The weights are saved twice with early stopping, and for a moment there are two checkpoints.
    variables = [*model.weights, *model.weights, *model.optimizer.weights]
    require_disk(checkpoint.parent, 2 * sum(v.shape.num_elements() * v.dtype.size for v in variables), "the checkpoint")
    rows = split_rows(len(training_set.x), setup.validation_split, setup.seed)
    history, best_weights = _fit(model, training_set, rows, setup, state, checkpoint, progress)
    if setup.recipe.early_stopping:
        model.set_weights(best_weights)
    metrics = _write_results(model, history, training_set, rows, test_set, setup, model_file, figures)
    return TrainingResult(metrics, len(history), warnings)


def _initial_model(
    build: Callable[[], keras.Model], training_set: LabelledPictures, setup: TrainingSetup
) -> keras.Model:
    """Build and compile the model; refuse one that does not fit the pictures."""
    _reset(setup.seed)
    model = build()
    check_model(model, training_set.x.shape[1:], training_set.num_classes)
    if training_set.num_classes is not None:
        check_ends_in_softmax(model)
    model = _rebuilt(model, setup.seed)
    compile_model(model, new_optimizer(setup.recipe), training_set.num_classes)
    model.optimizer._create_all_weights(model.trainable_variables)  # Keras creates them in the first step only
    return model


def _reset(seed: int) -> None:
    keras.backend.clear_session()
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  a user's model may draw from it
    tf.random.set_seed(seed)


def _rebuilt(model: keras.Model, seed: int) -> keras.Model:
    """Return the model as the later stages load it: a layer that Keras cannot load is reported before the training."""
    weights, description = model.get_weights(), json.dumps(description_of(model))
    _reset(seed)
    try:
        rebuilt = keras.models.model_from_json(description)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"Keras cannot load the model from its description ({reason}): use only Keras's own layers and functions"
        ) from error
    rebuilt.set_weights(weights)
    return rebuilt


def _resumed_state(
    directory: Path, identity: Dict[str, str], setup: TrainingSetup, resume: Optional[bool]
) -> Optional[Checkpoint]:
    """Return the checkpoint to continue from; None to start from the beginning."""
    if resume is False or not (directory / FILE).exists():
        return None
    state = load_checkpoint(directory)
    different = [key for key, value in identity.items() if state.identity.get(key) != value]
    done, asked = len(state.history), setup.recipe.epochs
    if resume is None and (different or done > asked):
        return None
    if different:
        raise UsageError(
            f"the checkpoint was made with another {' and '.join(different)}: "
            "give the same options as before, or train without --resume"
        )
    if done > asked:
        raise UsageError(
            f"the checkpoint holds {done} epochs, more than the {asked} requested: "
            "give more --epochs, or --no-resume to train from the beginning"
        )
    return state


def _restore(model: keras.Model, state: Checkpoint, seed: int) -> None:
    """Set weights and optimizer state of a compiled model."""
    tf.random.set_seed(seed + len(state.history))  # else dropout repeats the masks of the first epochs
    model.set_weights(list(state.weights))
    model.optimizer.set_weights(list(state.optimizer))


def _fit(
    model: keras.Model,
    pictures: LabelledPictures,
    rows: Tuple[np.ndarray, np.ndarray],
    setup: TrainingSetup,
    state: Checkpoint,
    checkpoint: Path,
    progress: Progress,
) -> Tuple[List[EpochMetrics], List[np.ndarray]]:
    """Train for the remaining epochs; return the history, and the best weights if the recipe stops early."""
    recipe = setup.recipe
    training_rows, validation_rows = rows
    steps = math.ceil(len(training_rows) / recipe.batch_size)
    if setup.steps_per_epoch is not None:
        steps = min(steps, setup.steps_per_epoch)
    done = len(state.history)
    target_shape = tuple(model.output_shape[1:])

    def save() -> None:
        weights, optimizer = model.get_weights(), model.optimizer.get_weights()
        saved = Checkpoint(state.identity, callback.history, weights, optimizer, callback.best_weights)
        save_checkpoint(checkpoint, saved)

    callback = FitCallback(recipe, steps, list(state.history), list(state.best_weights), save, progress)
    if not is_finished(state.history, recipe):
        model.fit(
            training_batches(
                pictures, training_rows, recipe, target_shape, steps=steps, seed=setup.seed, first_epoch=done
            ),
            validation_data=(
                batches(pictures, validation_rows, recipe.batch_size, target_shape) if len(validation_rows) else None
            ),
            initial_epoch=done,
            epochs=recipe.epochs,
            callbacks=[callback],
            verbose=0,
        )
    return callback.history, callback.best_weights


def _write_results(
    model: keras.Model,
    history: List[EpochMetrics],
    training_set: LabelledPictures,
    rows: Tuple[np.ndarray, np.ndarray],
    test_set: LabelledPictures,
    setup: TrainingSetup,
    model_file: Path,
    figures: str,
) -> Dict[str, float]:
    """Test the model, write all files, and return the test metrics."""
    best = best_epoch(history)
    saved = best if setup.recipe.early_stopping else len(history) - 1
    # Later stages do not use the state of the optimizer, which is up to twice the size of the weights.
    compile_model(model, new_optimizer(setup.recipe), training_set.num_classes)
    test = evaluate(model, test_set, setup.recipe.batch_size)
    check_finite(test, saved)
    metrics = named_metrics(test, training_set.num_classes)
    levels, written = levels_of(model), plain(model)
    if levels is not None:
        compile_model(written, new_optimizer(setup.recipe), training_set.num_classes)
    write_model(written, model_file, {} if levels is None else {QCFS_LEVELS: levels})
    write_history(history, model_file.parent / "training_history.csv")
    summary = {
        **metrics,
        **({} if levels is None else {"levels": levels}),
        "epochs_run": len(history),
        "kept_epoch": saved + 1,
        "best_epoch": best + 1,
        "final": history[-1],
        "best": history[best],
        "training_pictures": len(rows[0]),
        "validation_pictures": len(rows[1]),
    }
    write_metrics(summary, model_file.parent / "training_metrics.json")
    plot_history(model_file.parent / f"training_plot.{figures}", history, saved, test, model_file.stem)
    return metrics
