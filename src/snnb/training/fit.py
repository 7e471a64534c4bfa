"""Train a Keras model with `keras.Model.fit` and a checkpoint after each epoch."""

import json
import math
import random
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np

from snnb.core.errors import InputError, UsageError
from snnb.core.formatting import format_shape
from snnb.core.progress import Progress, Throttle, silent
from snnb.core.quiet_tensorflow import tensorflow as tf
from snnb.io.files import sha256_of
from snnb.io.text import JsonValue
from snnb.model_files.keras import description_of, keras
from snnb.model_files.read_model import read_trained
from snnb.training.batches import (
    LabelledPictures,
    batches,
    split_rows,
    training_batches,
)
from snnb.training.checkpoint import (
    FILE,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from snnb.training.history import (
    METRICS_FILE,
    EpochMetrics,
    TrainingMetrics,
    named_metrics,
    write_history,
)
from snnb.training.keras_model import (
    check_finite,
    check_model,
    compile_model,
    write_model,
)
from snnb.training.pretrained import evaluate, shortest
from snnb.training.qcfs import levels_of, plain
from snnb.training.recipe import Recipe, TrainingOptions


@dataclass(frozen=True)
class TrainingResult:
    """Test metrics and history of a training."""

    # `test_loss` and `test_accuracy` of the saved weights, or `test_mean_squared_error`
    metrics: Dict[str, float]
    # Of complete epochs, with those before an interruption
    history: Sequence[EpochMetrics]
    document: TrainingMetrics  # content of training_metrics.json
    warnings: List[str]  # messages for the user
    confusion: Optional[np.ndarray]  # see `evaluate`


def train(
    build: Callable[[], keras.Model],
    training_set: LabelledPictures,
    test_set: LabelledPictures,
    options: TrainingOptions,
    *,
    model_file: Path,
    checkpoint: Path,
    resume: Optional[bool] = False,
    options_given: Optional[Mapping[str, JsonValue]] = None,
    progress: Progress = silent,
) -> TrainingResult:
    """Train a model and write `model_file` (HDF5), and training_history.csv and training_metrics.json.

    `build` returns the untrained model; it is called after the seed is set. `test_set`
    is for the final test only. The arrays of both sets may be memory-mapped. The
    directory `checkpoint` is replaced after each epoch; the caller removes it when the
    results are safe. If `resume` is true, the training continues from it; if it is
    None, only if options, data set and model are the same. The checkpoint holds
    `options_given`, those of `options` that are no defaults. `progress` is called with
    the number of batches done, the batches of all epochs, and loss and accuracy.

    The same seed gives the same files on the same machine with the same number of
    threads. A resumed training draws the same batches as an uninterrupted one, but
    other dropout masks.

    Raise `InputError` if the model does not fit the pictures, or the checkpoint is
    damaged or a symbolic link, `UsageError` if the checkpoint belongs to another
    training or no picture is left to train on, `VerificationError` if the loss is no
    longer finite.
    """
    if checkpoint.is_symlink():  # it could lead out of the run
        raise InputError(
            f"{checkpoint} is a symbolic link, and checkpoints are not written "
            "through links; remove it",
        )
    classes = training_set.num_classes
    model = _initial_model(build, training_set, options)
    identity = _identity_of(model, training_set, options)
    state = _resumed_state(checkpoint, identity, options, resume)
    warnings = (
        ["no checkpoint to resume from: trained from the beginning"]
        if resume and not state
        else []
    )
    given = options_given or {}
    if state is None:
        state = Checkpoint(identity, [], [], [], [], given)
    else:
        state = replace(state, options=given)
        # Else dropout repeats the masks of the first epochs
        tf.random.set_seed(options.seed + len(state.history))
        model.set_weights(list(state.weights))
        model.optimizer.set_weights(list(state.optimizer))
    training_rows, validation_rows = split_rows(
        len(training_set.x),
        options.validation_split,
        options.seed,
    )
    steps = math.ceil(len(training_rows) / options.batch_size)
    if options.steps_per_epoch is not None and options.steps_per_epoch > steps:
        warnings.append(
            f"--steps-per-epoch {options.steps_per_epoch} has no effect: an epoch has "
            f"{steps} batches",
        )
    steps = min(steps, options.steps_per_epoch or steps)
    sides = training_set.x.shape[1:3]
    if 0 < options.shift * max(sides) < 1:
        warnings.append(
            f"--shift {options.shift:g} has no effect: it is less than a pixel of "
            f"images of {format_shape(sides)}",
        )
    target = tuple(model.output_shape[1:])
    callback = _FitCallback(options, steps, state, checkpoint, progress)
    if not _is_finished(state.history, options):
        done = len(state.history)
        model.fit(
            training_batches(
                training_set,
                training_rows,
                options,
                target,
                steps=steps,
                first_epoch=done,
            ),
            validation_data=batches(
                training_set,
                validation_rows,
                options.batch_size,
                target,
            ),
            initial_epoch=done,
            epochs=options.epochs,
            callbacks=[callback],
            verbose=0,
        )
    history = callback.state.history
    best = _best_epoch(history)
    saved_epoch = best if options.early_stopping else len(history) - 1
    if options.early_stopping:
        model.set_weights(callback.state.best_weights)
    # Later stages do not use the state of the optimizer, which is up to twice the size
    # of the weights.
    levels, written = levels_of(model), plain(model)
    compile_model(written, options, classes)
    write_model(written, model_file, levels)
    test, confusion = evaluate(read_trained(model_file), test_set)
    check_finite(test, saved_epoch)
    metrics = named_metrics(test, classes)
    write_history(history, model_file.parent / "training_history.csv")
    document = TrainingMetrics(
        **metrics,
        levels=levels,
        epochs_run=len(history),
        kept_epoch=saved_epoch + 1,
        best_epoch=best + 1,
        final=history[-1],
        best=history[best],
        training_pictures=len(training_rows),
        validation_pictures=len(validation_rows),
    )
    document.write(model_file.parent / METRICS_FILE)
    return TrainingResult(metrics, history, document, warnings, confusion)


def _initial_model(
    build: Callable[[], keras.Model],
    training_set: LabelledPictures,
    options: TrainingOptions,
) -> keras.Model:
    """Build and compile the model; refuse one that does not fit the pictures."""
    keras.backend.clear_session()
    random.seed(options.seed)
    np.random.seed(options.seed)  # noqa: NPY002  a user's model may draw from it
    tf.random.set_seed(options.seed)
    model = build()
    check_model(model, training_set)
    compile_model(model, options, training_set.num_classes)
    # Keras creates them in the first step only
    model.optimizer._create_all_weights(model.trainable_variables)
    return model


def _identity_of(
    model: keras.Model,
    pictures: LabelledPictures,
    options: TrainingOptions,
) -> Dict[str, str]:
    """Return the properties in which a resumed training must equal the interrupted one, by a name for messages.

    These are all recorded options, and of a file its content. The number of epochs may
    differ, unless the learning rate depends on it. Of the data set, 200 pictures and
    all labels are compared.
    """
    compared_rows = np.linspace(0, len(pictures.x) - 1, 200).astype(int)
    content = zlib.crc32(
        pictures.y.tobytes(),
        zlib.crc32(pictures.x[compared_rows].tobytes()),
    )
    options_compared = options.model_dump(
        exclude=set() if options.schedule == "cosine" else {"epochs"},
    )
    return {
        **{
            name.replace("_", " "): sha256_of(value)
            if isinstance(value, Path)
            else repr(value)
            for name, value in options_compared.items()
        },
        "model": f"{zlib.crc32(json.dumps(description_of(model)).encode()):08x}",
        "data set": f"{pictures.x.shape} {pictures.x.dtype} {pictures.scale} {content:08x}",
    }


def _resumed_state(
    directory: Path,
    identity: Dict[str, str],
    options: TrainingOptions,
    resume: Optional[bool],
) -> Optional[Checkpoint]:
    """Return the checkpoint to continue from; None to start from the beginning."""
    if resume is False or not (directory / FILE).exists():
        return None
    state = load_checkpoint(directory)
    different = [
        key for key, value in identity.items() if state.identity.get(key) != value
    ]
    done, epochs_asked = len(state.history), options.epochs
    if resume is None and (different or done > epochs_asked):
        return None
    if different:
        raise UsageError(
            f"the checkpoint differs in {' and '.join(different)}: "
            "give the same options as before, or train without --resume",
        )
    if done > epochs_asked:
        raise UsageError(
            f"the checkpoint holds {done} epochs, more than the {epochs_asked} "
            "requested: give more --epochs, or --no-resume to train from the beginning",
        )
    return state


def _best_epoch(history: Sequence[EpochMetrics]) -> int:
    """Return the index, from 0, of the epoch with the lowest validation loss."""
    return min(range(len(history)), key=lambda epoch: history[epoch]["val_loss"])


def _is_finished(history: Sequence[EpochMetrics], options: Recipe) -> bool:
    """Return whether a training with this history of complete epochs has ended."""
    if not history or len(history) >= options.epochs or options.early_stopping is None:
        return len(history) >= options.epochs
    return len(history) - 1 - _best_epoch(history) >= options.early_stopping


class _FitCallback(keras.callbacks.Callback):
    """Set the learning rate, report progress, and after each epoch save a checkpoint and stop early.

    `steps` is the number of batches per epoch; the attribute `state` has the state
    after the last complete epoch.
    """

    def __init__(
        self,
        options: TrainingOptions,
        steps: int,
        state: Checkpoint,
        checkpoint: Path,
        progress: Progress,
    ) -> None:
        super().__init__()
        self.state = state
        self._options, self._steps, self._checkpoint, self._progress = (
            options,
            steps,
            checkpoint,
            progress,
        )
        self._throttle = Throttle()
        self._decay: Callable[[], None] = lambda: None

    def on_train_begin(self, logs: Optional[Dict[str, float]] = None) -> None:
        """Compile the weight decay of the model's kernels."""
        kernels = [
            weight for weight in self.model.trainable_weights if weight.shape.rank > 1
        ]
        rate, decay = self.model.optimizer.learning_rate, self._options.weight_decay

        @tf.function
        def decayed() -> None:
            for kernel in kernels:
                kernel.assign(kernel * (1 - rate * decay))

        if decay:
            self._decay = decayed

    def on_train_batch_begin(
        self,
        batch: int,
        logs: Optional[Dict[str, float]] = None,
    ) -> None:
        """Set the learning rate."""
        rate = self._options.learning_rate_at(
            len(self.state.history) + batch / self._steps,
        )
        keras.backend.set_value(self.model.optimizer.learning_rate, rate)

    def on_train_batch_end(self, batch: int, logs: Dict[str, float]) -> None:
        """Decay the kernels; report at most ten times a second; raise `VerificationError` if the loss is not finite."""
        self._decay()
        if not self._throttle.due(last=batch + 1 == self._steps):
            return
        epoch, epochs = len(self.state.history), self._options.epochs
        figures = {name: float(value) for name, value in logs.items()}
        check_finite(figures, epoch)
        note = "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
        done = epoch * self._steps + batch + 1
        self._progress(
            done,
            epochs * self._steps,
            f"epoch {epoch + 1}/{epochs}  {note}",
        )

    def on_epoch_end(self, epoch: int, logs: Dict[str, float]) -> None:
        """Record the metrics, save a checkpoint, and stop early."""
        metrics = {name: shortest(value) for name, value in logs.items()}
        check_finite(metrics, epoch)
        history = [
            *self.state.history,
            {**metrics, "lr": float(self._options.learning_rate_at(epoch))},
        ]
        weights, optimizer = (
            self.model.get_weights(),
            self.model.optimizer.get_weights(),
        )
        best_weights: Sequence[np.ndarray] = []
        if self._options.early_stopping:
            best_weights = (
                weights if _best_epoch(history) == epoch else self.state.best_weights
            )
        self.state = Checkpoint(
            self.state.identity,
            history,
            weights,
            optimizer,
            best_weights,
            self.state.options,
        )
        save_checkpoint(self._checkpoint, self.state)
        if _is_finished(history, self._options):
            self.model.stop_training = True
