"""The Keras model of a training: checks, loss and optimizer, metrics, and its HDF5 file."""

import json
import math
import warnings
from pathlib import Path
from types import MappingProxyType
from typing import Dict, Mapping, Optional

import numpy as np

from snnb.core.errors import DamagedError, InputError, VerificationError, first_line
from snnb.core.formatting import label_outside
from snnb.io.hdf5 import copy_without_times, in_memory, open_file, writing
from snnb.io.keras import NEWER, keras, older_description
from snnb.io.keras_file import read_levels
from snnb.training.batches import LabelledPictures, batches
from snnb.training.recipe import Recipe


def check_model(model: keras.Model, pictures: LabelledPictures, *, to_train: bool = False) -> None:
    """Raise `InputError` for a model that does not fit the pictures or their classes.

    `to_train` also refuses a classifier that does not end in softmax: the cross entropy needs probabilities.
    """
    picture_shape, num_classes = pictures.x.shape[1:], pictures.num_classes
    if tuple(model.input_shape[1:]) != tuple(picture_shape):
        raise InputError(
            f"layer {model.layers[0].name}: the model takes inputs of shape {model.input_shape[1:]}, "
            f"but the images are {tuple(picture_shape)}: change one or the other"
        )
    last = model.layers[-1]
    if num_classes is None:
        if np.prod(model.output_shape[1:]) != np.prod(picture_shape):
            raise InputError(
                f"layer {last.name}: the model's output has shape {model.output_shape[1:]}, "
                f"which cannot reproduce images of shape {tuple(picture_shape)}"
            )
        return
    if tuple(model.output_shape[1:]) != (num_classes,):
        raise InputError(
            f"layer {last.name}: the model's output has shape {model.output_shape[1:]}, "
            f"but the data set has {num_classes} classes: the output must have shape ({num_classes},)"
            f"{label_outside(pictures.y, int(model.output_shape[-1]))}"
        )
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if to_train and activation != "softmax" and not isinstance(last, keras.layers.Softmax):
        raise InputError(
            f"layer {last.name}: a classifier must end in softmax to be trained: give it activation='softmax'"
        )


def compile_model(model: keras.Model, recipe: Recipe, num_classes: Optional[int]) -> None:
    """Compile a model with a new optimizer, and cross entropy as its loss, or mean squared error for an autoencoder.

    The targets of the cross entropy are one-hot, as snntoolbox's data set loader expects. `num_classes` is None for an
    autoencoder.
    """
    # The optimizers of Keras 2.11 and later have another state, and do not save it as HDF5.
    optimizers = keras.optimizers.legacy if NEWER else keras.optimizers
    if recipe.optimizer == "sgd":
        optimizer = optimizers.SGD(recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov)
    else:
        kinds = {"adam": optimizers.Adam, "rmsprop": optimizers.RMSprop}
        optimizer = kinds[recipe.optimizer](recipe.learning_rate)
    if num_classes is None:
        model.compile(optimizer, "mean_squared_error")
    else:
        model.compile(optimizer, "categorical_crossentropy", ["accuracy"])


def evaluate(model: keras.Model, pictures: LabelledPictures, batch_size: int) -> Dict[str, float]:
    """Return the `loss` of a compiled model and, for a classifier, its `accuracy` in [0, 1]."""
    streamed = batches(pictures, np.arange(len(pictures.x)), batch_size, tuple(model.output_shape[1:]))
    logs = model.evaluate(streamed, verbose=0, return_dict=True)
    return {name: shortest(value) for name, value in logs.items()}


def confusion_matrix(model: keras.Model, pictures: LabelledPictures, batch_size: int) -> np.ndarray:
    """Count pictures by class and prediction: int64 (classes, classes + 1), 0 in the last column."""
    classes = int(model.output_shape[-1])
    confusion = np.zeros((classes, classes + 1), np.int64)
    for pixels, target in batches(pictures, np.arange(len(pictures.x)), batch_size, (classes,)):
        np.add.at(confusion, (target.numpy().argmax(axis=1), model.predict_on_batch(pixels).argmax(axis=1)), 1)
    return confusion


def shortest(value: float) -> float:
    """Round to the fewest digits that give the same float32: 0.9816 for 0.9815999865531921."""
    return float(str(np.float32(value)))


def check_finite(figures: Mapping[str, float], epoch: int) -> None:
    """Raise `VerificationError` if a metric of an epoch, counted from 0, is infinite or NaN."""
    for name, value in figures.items():
        if not math.isfinite(value):
            raise VerificationError(
                f"the training diverged in epoch {epoch + 1} ({name} is {value}): try a lower --learning-rate"
            )


def write_model(model: keras.Model, path: Path, attributes: Mapping[str, int] = MappingProxyType({})) -> None:
    """Save a compiled model as Keras does, without the time stamps that HDF5 records by default.

    `attributes` are additional attributes of the file.
    """
    with in_memory() as saved, writing(path) as file:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "You are saving your model as an HDF5 file")
            model.save(saved, save_format="h5")
        copy_without_times(saved, file)
        file.attrs.update(attributes)
        if NEWER:  # so that TensorFlow 2.2 loads it
            description = older_description(json.loads(saved.attrs["model_config"]))
            file.attrs["model_config"] = json.dumps(description).encode()


def load_weights(model: keras.Model, path: Path) -> None:
    """Set the weights of a model to those in its .h5 file; raise `InputError` if it is missing or of another model."""
    try:
        if path.suffix != ".h5":
            raise OSError("not an .h5 file")
        with open_file(path):  # refuses data in other files; Keras opens the file by its name
            model.load_weights(str(path))
    except DamagedError as error:
        raise InputError(f"--initial-weights: {error}") from error
    except (OSError, ValueError, KeyError) as error:
        reason = first_line(error)
        if path.suffix == ".h5" and read_levels(path) is not None:
            reason = (
                "trained with --activation qcfs, it has convolutions instead of average pooling; give weights "
                "trained with relu"
            )
        raise InputError(f"--initial-weights: {path} does not have the weights of the model ({reason})") from error
