"""A Keras model from a description that was checked, with weights that were read elsewhere."""

from typing import Callable, Sequence

import h5py
import numpy as np
from tensorflow import keras

from snnb.core.errors import InputError
from snnb.io.keras_file import check_layers, not_loaded, size_up
from snnb.io.text import JsonValue


def require_weights(description: JsonValue, stored: int, where: str, remedy: str) -> int:
    """Return how many weights a model needs, having taken no memory for them.

    Parameters
    ----------
    description : object
        The model as TensorFlow 2.2 describes it.
    stored : int
        How many numbers the file holds.
    where, remedy : str
        Beginning and end of each message.

    Raises
    ------
    InputError
        A layer could run code, Keras cannot build the model, or the file holds fewer weights than it needs.
    """
    check_layers(description, where, remedy)
    try:
        needed, _ = size_up(description)
    except Exception as error:  # whatever Keras raises here is about the file
        raise not_loaded(error, where, remedy) from error
    if needed > stored:
        raise InputError(f"{where}: its layers need {needed:,} weights, but it holds {stored:,}; {remedy}")
    return needed


def build(
    description: JsonValue,
    weights_of: Callable[[keras.layers.Layer], Sequence[h5py.Dataset]],
    where: str,
    remedy: str,
) -> keras.Model:
    """Build a model, and give each layer its weights.

    Parameters
    ----------
    description : object
        The model as TensorFlow 2.2 describes it; `require_weights` has checked it.
    weights_of : callable
        From a layer to its arrays in the file, in Keras's order.
    where, remedy : str
        Beginning and end of each message.

    Returns
    -------
    keras.Model
        The model, uncompiled.

    Raises
    ------
    InputError
        Keras cannot build it, or an array is missing, has another shape or holds no numbers.
    """
    try:
        model = keras.models.model_from_config(description)
    except Exception as error:  # whatever Keras raises here is about the file
        raise not_loaded(error, where, remedy) from error
    for layer in model.layers:
        if not layer.weights:
            continue
        arrays = weights_of(layer)
        # Of a model inside the model, Keras writes the weights in this order, not in that of its layers.
        variables = [*layer.trainable_weights, *layer.non_trainable_weights]
        wanted, found = [tuple(variable.shape) for variable in variables], [array.shape for array in arrays]
        if found != wanted:
            raise InputError(
                f"{where}: layer {layer.name} needs weights of the shapes {_shapes(wanted)}, "
                f"but the file holds {_shapes(found)}; {remedy}"
            )
        if any(array.dtype.kind not in "fiu" for array in arrays):
            raise InputError(f"{where}: the weights of layer {layer.name} are no numbers; {remedy}")
        keras.backend.batch_set_value(list(zip(variables, (np.asarray(array[()], np.float32) for array in arrays))))
    return model


def _shapes(shapes: Sequence[Sequence[int]]) -> str:
    return ", ".join("×".join(map(str, shape)) or "1" for shape in shapes[:10]) or "nothing"
