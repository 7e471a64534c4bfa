"""Models that came from elsewhere: loading a trained one, and what every one must be."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnb.errors import InputError
from snnb.keras_file import load_model

if TYPE_CHECKING:
    from tensorflow.keras import Model

RESAVE = "build the model of Keras's own layers and save it again with model.save"


def load_trained(path: Path) -> "Model":
    """Load a model with its weights, uncompiled.

    Raises
    ------
    InputError
        As `snnb.keras_file.load_model`: nothing in the file can run.
    """
    return checked(load_model(path, RESAVE), path.name)


def checked(model: Any, origin: str) -> "Model":
    """Return the model when it is one whose layers can be told: sequential or functional, for pictures of one size.

    Raises
    ------
    InputError
        When it is not; `origin` says whose model it is.
    """
    from tensorflow import keras

    if not isinstance(model, keras.Model):
        raise InputError(f"{origin} returns {type(model).__name__}, not a tensorflow.keras.Model: return the model")
    if not (isinstance(model, keras.Sequential) or model._is_graph_network):
        raise InputError(
            f"{origin} is a subclassed model, whose layers cannot be told: write it as Sequential or Model"
        )
    if not model.inputs:
        raise InputError(f"{origin} has no input yet: give its first layer an input_shape")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            f"{origin} has {len(model.inputs)} inputs and {len(model.outputs)} outputs: give it one of each"
        )
    batch, *shape = model.input_shape
    if len(shape) != 3 or None in shape:
        raise InputError(f"{origin} takes inputs of shape {tuple(shape)}: make it (height, width, channels), all fixed")
    if batch is not None:
        raise InputError(f"{origin} takes exactly {batch} pictures at a time: leave the batch size of its input open")
    return model
