"""Loss and optimizer of a training, and checks that model and pictures fit each other."""

import math
from typing import Dict, Mapping, Optional, Tuple

import numpy as np

from snnb.core.errors import InputError, VerificationError
from snnb.io.keras import NEWER, keras
from snnb.training.batches import LabelledPictures, batches
from snnb.training.modelfile import check_names
from snnb.training.recipe import Recipe


def new_optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    """Return a new optimizer for a recipe."""
    # Those of Keras 2.11 and later have another state, and do not save it as HDF5.
    optimizers = keras.optimizers.legacy if NEWER else keras.optimizers
    if recipe.optimizer == "sgd":
        return optimizers.SGD(recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov)
    kinds = {"adam": optimizers.Adam, "rmsprop": optimizers.RMSprop}
    return kinds[recipe.optimizer](recipe.learning_rate)


def compile_model(model: keras.Model, optimizer: keras.optimizers.Optimizer, num_classes: Optional[int]) -> None:
    """Compile a model with cross entropy as its loss, or mean squared error for an autoencoder.

    The targets of the cross entropy are one-hot, as snntoolbox's data set loader expects.

    Parameters
    ----------
    model : keras.Model
    optimizer : keras.optimizers.Optimizer
    num_classes : int or None
        None for an autoencoder.
    """
    if num_classes is None:
        model.compile(optimizer, "mean_squared_error")
    else:
        model.compile(optimizer, "categorical_crossentropy", ["accuracy"])


def evaluate(model: keras.Model, pictures: LabelledPictures, batch_size: int) -> Dict[str, float]:
    """Return the `loss` of a compiled model and, for a classifier, its `accuracy` in [0, 1].

    Parameters
    ----------
    model : keras.Model
    pictures : LabelledPictures
    batch_size : int
    """
    streamed = batches(pictures, np.arange(len(pictures.x)), batch_size, tuple(model.output_shape[1:]))
    logs = model.evaluate(streamed, verbose=0, return_dict=True)
    return {name: shortest(value) for name, value in logs.items()}


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


def check_model(model: keras.Model, picture_shape: Tuple[int, ...], num_classes: Optional[int]) -> None:
    """Raise `InputError` for a model that does not fit the pictures, or that Keras cannot save.

    Parameters
    ----------
    model : keras.Model
    picture_shape : tuple of int
        (height, width, channels).
    num_classes : int or None
        None for an autoencoder.
    """
    check_names(model)
    if tuple(model.input_shape[1:]) != tuple(picture_shape):
        raise InputError(
            f"layer {model.layers[0].name}: the model takes inputs of shape {model.input_shape[1:]}, "
            f"but the pictures are {tuple(picture_shape)}: change one or the other"
        )
    last = model.layers[-1].name
    if num_classes is not None and tuple(model.output_shape[1:]) != (num_classes,):
        raise InputError(
            f"layer {last}: the model's output has shape {model.output_shape[1:]}, "
            f"but the data set has {num_classes} classes: the output must have shape ({num_classes},)"
        )
    if num_classes is None and np.prod(model.output_shape[1:]) != np.prod(picture_shape):
        raise InputError(
            f"layer {last}: the model's output has shape {model.output_shape[1:]}, "
            f"which cannot reproduce pictures of shape {tuple(picture_shape)}"
        )


def check_ends_in_softmax(model: keras.Model) -> None:
    """Raise `InputError` for a classifier that does not end in softmax: the cross entropy needs probabilities."""
    last = model.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if activation != "softmax" and not isinstance(last, keras.layers.Softmax):
        raise InputError(
            f"layer {last.name}: a classifier must end in softmax to be trained: give it activation='softmax'"
        )
