"""What a model is trained for, and whether model and data agree on it."""

import math
from typing import Dict, Mapping, Optional, Tuple

import numpy as np
from tensorflow import keras

from snnb.errors import InputError, VerificationError
from snnb.training.batches import Pictures, batches
from snnb.training.interrupt import EndWhen, run_interruptibly
from snnb.training.recipe import Recipe


def new_optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    """Make the optimiser of a recipe, in its initial state."""
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov)
    kinds = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}
    return kinds[recipe.optimizer](recipe.learning_rate)


def compile_model(model: keras.Model, optimizer: keras.optimizers.Optimizer, num_classes: Optional[int]) -> None:
    """Set the loss: cross entropy with one-hot targets, as the toolbox's own loader expects; or mean squared error."""
    if num_classes is None:
        model.compile(optimizer, "mean_squared_error")
    else:
        model.compile(optimizer, "categorical_crossentropy", ["accuracy"])


def evaluate(model: keras.Model, pictures: Pictures, batch_size: int) -> Dict[str, float]:
    """Loss, and for classes accuracy, of a compiled model on the pictures."""
    streamed = batches(pictures, np.arange(len(pictures.x)), batch_size)
    logs = run_interruptibly(
        lambda abandoned: model.evaluate(streamed, verbose=0, return_dict=True, callbacks=[EndWhen(abandoned)])
    )
    return {name: shortest(value) for name, value in logs.items()}


def shortest(value: float) -> float:
    """Drop the digits that a float32 of Keras gains as a Python number: 0.9816 for 0.9815999865531921."""
    return float(str(np.float32(value)))


def check_finite(figures: Mapping[str, float], epoch: int) -> None:
    """Refuse to go on from a loss that is infinite or no number.

    Raises
    ------
    VerificationError
        With what to try.
    """
    for name, value in figures.items():
        if not math.isfinite(value):
            raise VerificationError(
                f"the training diverged in epoch {epoch + 1} ({name} is {value}): try a lower --learning-rate"
            )


def check_data(x: np.ndarray, y: np.ndarray, num_classes: Optional[int], split: str) -> None:
    """Refuse pictures and labels that do not belong together.

    Raises
    ------
    InputError
        When there are none, their numbers differ, or a label is no class.
    """
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
    """Refuse a model that does not fit the data.

    Raises
    ------
    InputError
        When input or output have another shape than pictures and classes.
    """
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
    """Refuse to train a classifier whose outputs are no probabilities: the cross entropy of others means nothing.

    Raises
    ------
    InputError
        When the last layer is not softmax.
    """
    last = model.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if activation != "softmax" and not isinstance(last, keras.layers.Softmax):
        raise InputError(
            f"layer {last.name}: a classifier must end in softmax to be trained: give it activation='softmax'"
        )
