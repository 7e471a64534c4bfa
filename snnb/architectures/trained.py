"""Models that came from elsewhere: loading a trained one, and what every one must be."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator

from snnb.errors import InputError

if TYPE_CHECKING:
    from tensorflow.keras import Model

RESAVE = "save the model again with model.save"


def load_trained(path: Path) -> "Model":
    """Load a model with its weights, uncompiled.

    Raises
    ------
    InputError
        When the file is no Keras model, has data in other files, holds layers that Keras does not know, or a Lambda
        layer, which would run code out of the file.
    """
    from snnb.hdf5 import json_attribute, reading

    with reading(path, RESAVE) as file:
        stored = json_attribute(file, "model_config", path, RESAVE)
    if stored is None:
        raise InputError(f"{path} holds no model, at most its weights: save it with model.save, not save_weights")
    if not isinstance(stored, dict):
        raise InputError(f"{path}: the attribute model_config is not a Keras model's; {RESAVE}")
    for layer in _layers(stored):
        if layer["class_name"] == "Lambda":
            raise InputError(
                f"{path}: layer {layer['config'].get('name')} is a Lambda, whose code would run from the file: "
                "replace it by layers of Keras"
            )
    from tensorflow import keras

    try:
        model = keras.models.load_model(str(path), compile=False)
    except Exception as error:  # whatever an unknown layer or a newer format makes Keras raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{path} cannot be loaded by Keras {keras.__version__} ({reason}): "
            "save a model of its own layers with that version"
        ) from error
    return checked(model, path.name)


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


def _layers(config: Any) -> Iterator[Any]:
    """Yield the configuration of every layer, those of nested models included, however deep they are."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value and isinstance(value.get("config"), dict):
                yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
