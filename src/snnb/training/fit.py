"""Training: real epochs of Keras, each with a call of `fit` that starts from the checkpoint of the epoch before.

This makes an interrupted and resumed training equal, bit by bit, to one that was not interrupted: both take the same
path through the same files. The Keras session is cleared and the seed set for every epoch, since dropout draws from a
generator whose state Keras does not save. The files hold arrays only: the layers of each epoch's model are those of the
model that was built at the beginning.
"""

import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

import numpy as np
import tensorflow as tf
from tensorflow import keras

from snnb.errors import InputError, UsageError
from snnb.options import FigureFormat
from snnb.progress import Progress, silent
from snnb.training.batches import LabelledPictures, split_rows
from snnb.training.checkpoint import (
    checkpoint_exists,
    load_checkpoint,
    refuse_other_than_directory,
    restore_arrays,
    save_checkpoint,
)
from snnb.training.checkpoint_state import Checkpoint, EpochMetrics
from snnb.training.epoch import train_epoch
from snnb.training.history import named_metrics, plot_history, write_history, write_metrics
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
from snnb.training.training_setup import TrainingSetup, identity_of


@dataclass(frozen=True)
class TrainingResult:
    """Test metrics and length of a training.

    Attributes
    ----------
    metrics : dict of str to float
        `test_loss` and `test_accuracy` of the saved weights; for a model that reproduces its input
        `test_mean_squared_error`.
    epochs_run : int
        Complete epochs, those before an interruption included.
    warnings : list of str
        Whole sentences for the user.
    """

    metrics: Dict[str, float]
    epochs_run: int
    warnings: List[str]


@dataclass(frozen=True)
class _Training:
    """What stays the same from the first epoch to the last; `layers` is the model's description in Keras's JSON."""

    layers: str
    pictures: LabelledPictures
    training_rows: np.ndarray
    validation_rows: np.ndarray
    setup: TrainingSetup
    checkpoint: Path
    identity: Mapping[str, str]

    @property
    def monitor(self) -> str:
        """Name of the loss that decides which epoch is the best."""
        return "val_loss" if len(self.validation_rows) else "loss"

    def best(self, history: Sequence[EpochMetrics]) -> int:
        """Return the number, from 0, of the epoch with the lowest loss."""
        return min(range(len(history)), key=lambda epoch: history[epoch][self.monitor])

    def is_over(self, history: Sequence[EpochMetrics]) -> bool:
        """Return whether all epochs are done, or early stopping ends the training."""
        recipe = self.setup.recipe
        if len(history) >= recipe.epochs:
            return True
        if not history or recipe.early_stopping is None:
            return False
        return len(history) - 1 - self.best(history) >= recipe.early_stopping


def train(
    build: Callable[[], keras.Model],
    training_set: LabelledPictures,
    test_set: LabelledPictures,
    setup: TrainingSetup,
    *,
    model_file: Path,
    checkpoint: Path,
    resume: bool = False,
    figures: FigureFormat = "png",
    progress: Progress = silent,
) -> TrainingResult:
    """Train a model and write `model_file`, and training_history.csv, training_metrics.json and training_plot.*.

    The same seed gives the same files on the same machine with the same number of threads, whether or not the training
    was interrupted and resumed.

    Parameters
    ----------
    build : callable
        Returns the untrained model; called once the seed is set.
    training_set, test_set : LabelledPictures
        Pictures to train on, and pictures for the final test. Their arrays may be memory-mapped.
    setup : TrainingSetup
        How the model is trained.
    model_file : Path
        The HDF5 file, in an existing directory; the other three files are written beside it.
    checkpoint : Path
        Directory for the state after each complete epoch. The caller removes it once the results are safe.
    resume : bool
        Continue from `checkpoint`. When there is none, the training starts from the beginning with a warning.
    figures : {"png", "svg", "pdf"}
        Format of the plot.
    progress : Progress
        Called with the batches done, of all batches of all epochs, and with loss and accuracy.

    Returns
    -------
    TrainingResult
        Metrics on the test set.

    Raises
    ------
    InputError
        The model does not fit the pictures, or the checkpoint is damaged or a symbolic link.
    UsageError
        The checkpoint belongs to another training, or no picture is left to train on.
    VerificationError
        The loss is no longer finite.
    ResourceError
        The disk has no room for the model or its checkpoint.
    """
    refuse_other_than_directory(checkpoint)
    check_data(training_set, "train")
    check_data(test_set, "test")
    model = _initial_model(build, training_set, setup)
    rows = split_rows(len(training_set.x), setup.validation_split, setup.seed)
    identity = identity_of(model, training_set, setup)
    training = _Training(model.to_json(), training_set, *rows, setup, checkpoint, identity)
    state, warnings = _first_state(training, model, resume)
    state = _run_epochs(training, state, progress)
    metrics = _write_results(training, state, test_set, model_file, figures)
    return TrainingResult(metrics, len(state.history), warnings)


def _initial_model(
    build: Callable[[], keras.Model], training_set: LabelledPictures, setup: TrainingSetup
) -> keras.Model:
    """Build the model, refuse one that does not fit the pictures, and compile it."""
    _reset(setup.seed)
    model = build()
    check_model(model, training_set.x.shape[1:], training_set.num_classes)
    if training_set.num_classes is not None:
        check_ends_in_softmax(model)
    compile_model(model, new_optimizer(setup.recipe), training_set.num_classes)
    return model


def _first_state(training: _Training, model: keras.Model, resume: bool) -> Tuple[Checkpoint, List[str]]:
    """Load the checkpoint of an interrupted training, or write that of the untrained model; the second is warnings."""
    if resume and checkpoint_exists(training.checkpoint):
        columns = _columns(training.pictures.num_classes, len(training.validation_rows) > 0)
        state = load_checkpoint(training.checkpoint, training.identity, columns)
        done, asked = len(state.history), training.setup.recipe.epochs
        if done > asked:
            raise UsageError(
                f"the checkpoint holds {done} epochs, more than the {asked} asked for: "
                "give more --epochs, or --no-resume to train from the beginning"
            )
        return state, []
    warnings = ["there was no checkpoint to resume from: trained from the beginning"] if resume else []
    return save_checkpoint(training.checkpoint, training.identity, [], model, earlier={}), warnings


def _run_epochs(training: _Training, state: Checkpoint, progress: Progress) -> Checkpoint:
    """Train epoch after epoch, with a checkpoint after each, until the training is over."""
    setup = training.setup
    steps = math.ceil(len(training.training_rows) / setup.recipe.batch_size)
    if setup.steps_per_epoch is not None:
        steps = min(steps, setup.steps_per_epoch)
    while not training.is_over(state.history):
        epoch = len(state.history)
        model = _model_after(training, state, epoch, setup.seed + epoch)
        metrics = train_epoch(
            model,
            training.pictures,
            (training.training_rows, training.validation_rows),
            setup.recipe,
            seed=setup.seed,
            epoch=epoch,
            steps=steps,
            progress=progress,
        )
        history = (*state.history, metrics)
        needed = [training.best(history) + 1] if setup.recipe.early_stopping else []
        earlier = {epochs: digest for epochs, digest in state.arrays.items() if epochs in needed}
        state = save_checkpoint(training.checkpoint, training.identity, history, model, earlier)
    return state


def _model_after(training: _Training, state: Checkpoint, epochs_done: int, seed: int) -> keras.Model:
    """Build the model again, with the weights and the optimiser's state that a checkpoint holds for that epoch."""
    _reset(seed)
    try:
        model = keras.models.model_from_json(training.layers)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"Keras cannot build the model again ({reason}): use only its own layers and functions"
        ) from error
    compile_model(model, new_optimizer(training.setup.recipe), training.pictures.num_classes)
    restore_arrays(training.checkpoint, state, epochs_done, model)
    return model


def _write_results(
    training: _Training, state: Checkpoint, test_set: LabelledPictures, model_file: Path, figures: str
) -> Dict[str, float]:
    """Test the weights of the best epoch (with early stopping) or the last one, and write all files; return metrics."""
    history, recipe, num_classes = state.history, training.setup.recipe, training.pictures.num_classes
    best = training.best(history)
    saved = best if recipe.early_stopping else len(history) - 1
    model = _model_after(training, state, saved + 1, training.setup.seed)
    # The state of the optimiser is of no use to the stages that follow, and twice the size of the weights.
    compile_model(model, new_optimizer(recipe), num_classes)
    test = evaluate(model, test_set, recipe.batch_size)
    check_finite(test, saved)
    metrics = named_metrics(test, num_classes)
    write_model(model, model_file)
    write_history(history, model_file.parent / "training_history.csv")
    summary = {
        **metrics,
        "epochs_run": len(history),
        "kept_epoch": saved + 1,
        "best_epoch": best + 1,
        "final": history[-1],
        "best": history[best],
        "training_pictures": len(training.training_rows),
        "validation_pictures": len(training.validation_rows),
    }
    write_metrics(summary, model_file.parent / "training_metrics.json")
    plot_history(history, saved, test, model_file.stem, model_file.parent / f"training_plot.{figures}")
    return metrics


def _reset(seed: int) -> None:
    keras.backend.clear_session()
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  a user's model may draw from it
    tf.random.set_seed(seed)


def _columns(num_classes: Optional[int], validates: bool) -> Set[str]:
    """Return the names of what Keras measures in an epoch, and `lr`."""
    measured = {"loss"} if num_classes is None else {"loss", "accuracy"}
    return {*measured, *(f"val_{name}" for name in measured if validates), "lr"}
