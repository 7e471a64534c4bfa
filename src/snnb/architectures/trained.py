"""Load a trained model of the user, and check that the other stages can use a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Optional

from snnb.core.errors import InputError
from snnb.core.progress import Say, say_nothing
from snnb.model_files.read_model import read_model

if TYPE_CHECKING:
    from tensorflow.keras import Model


def load_trained(path: Path, tell: Say = say_nothing, pixels: Optional[str] = None) -> "Model":
    """Load a model with its weights, uncompiled.

    Parameters
    ----------
    path : Path
        File of the model: .h5, .keras or .onnx.
    tell : Say
        Called with a message for each difference of the model from its file.
    pixels : str, optional
        Range of the pixels that the model expects, as of `snnb.model_files.read_model.read_model`.

    Raises
    ------
    InputError
        The file is damaged or holds no model, a layer in it could run code, or the model cannot be used.
    """
    return usable_model(read_model(path, tell, pixels), path.name)


def usable_model(model: object, origin: str) -> "Model":
    """Return the model if it is sequential or functional, with one output and one input for pictures of fixed size.

    Parameters
    ----------
    model : object
        Return value of a user's function or content of a file.
    origin : str
        Name of that function or file, for the message.

    Raises
    ------
    InputError
        It is not such a model.
    """
    from tensorflow import keras

    if not isinstance(model, keras.Model):
        raise InputError(f"{origin} returns {type(model).__name__}, not a tensorflow.keras.Model: return the model")
    if not (isinstance(model, keras.Sequential) or model._is_graph_network):
        raise InputError(
            f"{origin} is a subclassed model, and Keras does not know how its layers are connected: "
            "write it as Sequential or Model"
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
