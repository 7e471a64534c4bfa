"""The loss that a model is trained with, and checks that the model and the pictures fit each other."""

import math
from typing import Dict, Mapping, Optional, Tuple

import numpy as np
from tensorflow import keras

from snnb.errors import InputError, VerificationError
from snnb.training.batches import LabelledPictures, batches
from snnb.training.modelfile import check_names
from snnb.training.recipe import Recipe


def new_optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    """Make the optimiser of a recipe, in its initial state."""
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov)
    kinds = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}
    return kinds[recipe.optimizer](recipe.learning_rate)


def compile_model(model: keras.Model, optimizer: keras.optimizers.Optimizer, num_classes: Optional[int]) -> None:
    """Compile a model with its loss: cross entropy, or mean squared error for a model that reproduces its input.

    The targets of the cross entropy are one-hot, as snntoolbox's own loader of data sets expects.
    """
    if num_classes is None:
        model.compile(optimizer, "mean_squared_error")
    else:
        model.compile(optimizer, "categorical_crossentropy", ["accuracy"])


def evaluate(model: keras.Model, pictures: LabelledPictures, batch_size: int) -> Dict[str, float]:
    """Return `loss` and, for a classifier, `accuracy` (0 to 1) of a compiled model on the pictures."""
    streamed = batches(pictures, np.arange(len(pictures.x)), batch_size, tuple(model.output_shape[1:]))
    logs = model.evaluate(streamed, verbose=0, return_dict=True)
    return {name: shortest(value) for name, value in logs.items()}


def shortest(value: float) -> float:
    """Round to the fewest digits that still give the same float32: 0.9816 for 0.9815999865531921."""
    return float(str(np.float32(value)))


def check_finite(figures: Mapping[str, float], epoch: int) -> None:
    """Refuse to continue from a loss that is infinite or NaN.

    Parameters
    ----------
    figures : mapping of str to float
        Loss, and what else was measured.
    epoch : int
        Counted from 0.

    Raises
    ------
    VerificationError
        One of the figures is not finite.
    """
    for name, value in figures.items():
        if not math.isfinite(value):
            raise VerificationError(
                f"the training diverged in epoch {epoch + 1} ({name} is {value}): try a lower --learning-rate"
            )


def check_data(pictures: LabelledPictures, split: str) -> None:
    """Refuse pictures and class numbers that do not belong together.

    Parameters
    ----------
    pictures : LabelledPictures
        What is checked.
    split : str
        "train" or "test", for the message.

    Raises
    ------
    InputError
        There are no pictures, there is not one class number for each picture, or one is out of range.
    """
    x, y, num_classes = pictures.x, pictures.y, pictures.num_classes
    if len(x) == 0:
        raise InputError(f"x_{split} holds no pictures: prepare the data set again")
    if len(x) != len(y):
        raise InputError(f"x_{split} holds {len(x)} pictures but y_{split} {len(y)} labels: prepare the data set again")
    if num_classes is not None and not 0 <= y.min() <= y.max() < num_classes:
        raise InputError(
            f"y_{split} holds labels from {y.min()} to {y.max()}, but with {num_classes} classes "
            f"they go from 0 to {num_classes - 1}: prepare the data set again, or give the model more classes"
        )


def check_model(model: keras.Model, picture_shape: Tuple[int, ...], num_classes: Optional[int]) -> None:
    """Refuse a model that does not fit the pictures, or that could not be saved.

    Parameters
    ----------
    model : keras.Model
        What is checked.
    picture_shape : tuple of int
        (height, width, channels).
    num_classes : int or None
        None for a model that reproduces its input.

    Raises
    ------
    InputError
        The input does not have the shape of a picture, the output does not have one value for each class, or Keras
        could not save the model.
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
    """Refuse to train a classifier that does not end in softmax: cross entropy is defined for probabilities only.

    Raises
    ------
    InputError
        The last layer is not softmax.
    """
    last = model.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if activation != "softmax" and not isinstance(last, keras.layers.Softmax):
        raise InputError(
            f"layer {last.name}: a classifier must end in softmax to be trained: give it activation='softmax'"
        )
