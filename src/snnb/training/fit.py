"""Train a Keras model with `keras.Model.fit` and a checkpoint after each epoch, or evaluate a trained model."""

import json
import math
import random
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow as tf

from snnb.core.errors import InputError, UsageError
from snnb.core.options import FigureFormat
from snnb.core.progress import Progress, Throttle, silent
from snnb.io.files import require_disk
from snnb.io.keras import description_of, keras
from snnb.io.keras_file import QCFS_LEVELS
from snnb.training.batches import LabelledPictures, batches, split_rows, training_batches
from snnb.training.checkpoint import FILE, Checkpoint, load_checkpoint, refuse_link, save_checkpoint
from snnb.training.history import (
    METRICS_FILE,
    EpochMetrics,
    TrainingMetrics,
    named_metrics,
    plot_history,
    write_history,
)
from snnb.training.modelfile import write_model
from snnb.training.objective import (
    check_ends_in_softmax,
    check_finite,
    check_model,
    compile_model,
    evaluate,
    new_optimizer,
    shortest,
)
from snnb.training.qcfs import levels_of, plain
from snnb.training.recipe import Recipe


@dataclass(frozen=True)
class TrainingSetup:
    """Options that, with model and pictures, determine the result of a training.

    Attributes
    ----------
    recipe : Recipe
        Optimizer, learning rate, epochs, batch size and augmentation.
    validation_split : float
        Fraction of the training pictures, in [0, 1), used for validation after each epoch.
    seed : int
        Seed of the initial weights, split and order of the pictures, dropout and augmentation.
    steps_per_epoch : int or None
        Largest number of batches per epoch; None for all batches.
    """

    recipe: Recipe
    validation_split: float
    seed: int
    steps_per_epoch: Optional[int] = None


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
    identity = _identity_of(model, training_set, setup)
    state = _resumed_state(checkpoint, identity, setup, resume)
    warnings = ["there was no checkpoint to resume from: trained from the beginning"] if resume and not state else []
    if state is None:
        state = Checkpoint(identity, [], [], [], [])
    else:
        tf.random.set_seed(setup.seed + len(state.history))  # else dropout repeats the masks of the first epochs
        model.set_weights(list(state.weights))
        model.optimizer.set_weights(list(state.optimizer))
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
    # Rebuilt as the later stages load it, so that a layer that Keras cannot load is reported before the training.
    weights, description = model.get_weights(), json.dumps(description_of(model))
    _reset(setup.seed)
    try:
        model = keras.models.model_from_json(description)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"Keras cannot load the model from its description ({reason}): use only Keras's own layers and functions"
        ) from error
    model.set_weights(weights)
    compile_model(model, new_optimizer(setup.recipe), training_set.num_classes)
    model.optimizer._create_all_weights(model.trainable_variables)  # Keras creates them in the first step only
    return model


def _reset(seed: int) -> None:
    keras.backend.clear_session()
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  a user's model may draw from it
    tf.random.set_seed(seed)


def _identity_of(model: keras.Model, pictures: LabelledPictures, setup: TrainingSetup) -> Dict[str, str]:
    """Return the properties in which a resumed training must equal the interrupted one, by a name for messages.

    The number of epochs may differ, unless the learning rate depends on it.

    Parameters
    ----------
    model : keras.Model
    pictures : LabelledPictures
        Training set; 200 pictures and all labels are compared.
    setup : TrainingSetup
    """
    some = np.linspace(0, len(pictures.x) - 1, 200).astype(int)
    content = zlib.crc32(pictures.y.tobytes(), zlib.crc32(pictures.x[some].tobytes()))
    fields = {name: getattr(setup.recipe, name) for name in Recipe.model_fields}
    if setup.recipe.schedule != "cosine":
        del fields["epochs"]
    return {
        **{name.replace("_", " "): repr(value) for name, value in fields.items()},
        "validation split": repr(setup.validation_split),
        "seed": repr(setup.seed),
        "steps per epoch": repr(setup.steps_per_epoch),
        "model": f"{zlib.crc32(json.dumps(description_of(model)).encode()):08x}",
        "data set": f"{pictures.x.shape} {pictures.x.dtype} {pictures.scale} {content:08x}",
    }


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

    callback = _FitCallback(recipe, steps, list(state.history), list(state.best_weights), save, progress)
    if not _is_finished(state.history, recipe):
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


def _best_epoch(history: Sequence[EpochMetrics]) -> int:
    """Return the index, from 0, of the epoch with the lowest validation loss, or training loss without validation."""
    monitor = "val_loss" if "val_loss" in history[0] else "loss"
    return min(range(len(history)), key=lambda epoch: history[epoch][monitor])


def _is_finished(history: Sequence[EpochMetrics], recipe: Recipe) -> bool:
    """Return whether a training with this history of complete epochs has ended."""
    if len(history) >= recipe.epochs:
        return True
    if not history or recipe.early_stopping is None:
        return False
    return len(history) - 1 - _best_epoch(history) >= recipe.early_stopping


class _FitCallback(keras.callbacks.Callback):
    """Control a call of `keras.Model.fit`.

    Parameters
    ----------
    recipe : Recipe
    steps : int
        Batches per epoch.
    history : list of EpochMetrics
        Metrics of earlier epochs; each new epoch appends its own.
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
        if self._recipe.early_stopping and _best_epoch(self.history) == epoch:
            self.best_weights = self.model.get_weights()
        self._save()
        if _is_finished(self.history, self._recipe):
            self.model.stop_training = True


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
    best = _best_epoch(history)
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
    TrainingMetrics(
        **metrics,
        levels=levels,
        epochs_run=len(history),
        kept_epoch=saved + 1,
        best_epoch=best + 1,
        final=history[-1],
        best=history[best],
        training_pictures=len(rows[0]),
        validation_pictures=len(rows[1]),
    ).write(model_file.parent / METRICS_FILE)
    plot_history(model_file.parent / f"training_plot.{figures}", history, saved, test, model_file.stem)
    return metrics


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
    TrainingMetrics.model_validate({**metrics, "epochs_run": 0}).write(model_file.parent / METRICS_FILE)
    return TrainingResult(metrics, 0, [])
