"""Build a Keras model from its description, with weights from a file."""

from pathlib import Path
from typing import Callable, Sequence

import h5py
import numpy as np
from tensorflow import keras

from snnb.core.errors import out_of_memory
from snnb.io.keras_file import check_layers
from snnb.io.text import JsonValue
from snnb.model_files.kinds import RESAVE, NotReadError


def build(description: JsonValue, arrays_of: Callable[[str], Sequence[h5py.Dataset]], path: Path) -> keras.Model:
    """Build a model of Keras's own layers and set its weights.

    Parameters
    ----------
    description : object
        Description of the model as TensorFlow 2.2 writes it.
    arrays_of : callable
        Return the arrays of a layer, by its name, in the order of Keras.
    path : Path
        The file, for messages.

    Returns
    -------
    keras.Model
        The model, uncompiled.

    Raises
    ------
    InputError
        A layer is not one of Keras's own.
    NotReadError
        Keras cannot build the model, or an array is missing, has another shape or is not numeric.
    """
    model = from_description(description, path)
    for layer in model.layers:
        if not layer.weights:
            continue
        arrays = arrays_of(layer.name)
        # Keras writes the weights of a nested model in this order, not in the order of its layers.
        variables = [*layer.trainable_weights, *layer.non_trainable_weights]
        expected, found = [tuple(variable.shape) for variable in variables], [array.shape for array in arrays]
        if found != expected:
            raise NotReadError(
                f"layer {layer.name} needs weights of the shapes {_shapes(expected)}, "
                f"but the file holds {_shapes(found)}"
            )
        if any(array.dtype.kind not in "fiu" for array in arrays):
            raise NotReadError(f"the weights of layer {layer.name} are not numbers")
        keras.backend.batch_set_value(list(zip(variables, (np.asarray(array[()], np.float32) for array in arrays))))
    return model


def from_description(description: JsonValue, path: Path) -> keras.Model:
    """Build a model with initial weights.

    Parameters
    ----------
    description : object
        Description of the model as TensorFlow 2.2 writes it.
    path : Path
        The file, for messages.
    """
    check_layers(description, str(path), RESAVE)
    try:
        return keras.models.model_from_config(description)
    except Exception as error:  # Keras raises errors of any type for an invalid description
        if out_of_memory(error):
            raise
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise NotReadError(f"Keras {keras.__version__} cannot load it ({line[:200]})") from error


def _shapes(shapes: Sequence[Sequence[int]]) -> str:
    return ", ".join("×".join(map(str, shape)) or "1" for shape in shapes[:10]) or "nothing"
