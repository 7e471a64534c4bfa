"""Keras h5 files: looked at before they are loaded, and written so that equal models are equal bytes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, cast

import h5py
import numpy as np

from snnb.errors import InputError

if TYPE_CHECKING:
    from tensorflow import keras

RETRAIN = "train it again or give the file of a whole model (`model.save`)"


def read_architecture(path: Path) -> Dict[str, Any]:
    """The model's architecture as Keras wrote it (`class_name`, `config`): nothing of the model is built or run.

    Raises
    ------
    InputError
        The file is missing, cut off, no HDF5 file, or holds no model.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file: {RETRAIN}")
    try:
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
    except OSError as error:
        raise InputError(f"{path}: not a complete HDF5 file ({_first_line(error)}): {RETRAIN}") from None
    if text is None:
        raise InputError(f"{path}: holds no model architecture, weights only perhaps: {RETRAIN}")
    try:
        architecture = json.loads(text)
    except ValueError:
        architecture = None
    if not isinstance(architecture, dict) or not isinstance(architecture.get("config"), dict):
        raise InputError(f"{path}: the attribute model_config is not a Keras model's: {RETRAIN}")
    return cast(Dict[str, Any], architecture)


def load_keras(path: Path) -> "keras.Model":
    """Load a model for inference, its weights finite.

    A Lambda layer would run code on load: call `checks.check_architecture` on `read_architecture` first.
    """
    from tensorflow import keras

    read_architecture(path)
    try:
        model = keras.models.load_model(str(path), compile=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: Keras cannot load it ({_first_line(error)}): {RETRAIN}") from None
    for layer in model.layers:
        if not all(np.isfinite(weight).all() for weight in layer.get_weights()):
            raise InputError(f"{path}: layer {layer.name} has weights that are not finite: train with a lower rate")
    return model


def save_keras(model: "keras.Model", path: Path, name: str) -> None:
    """Save a model as h5 with nothing in it that depends on the time or on other models of the process.

    Keras numbers models and weights by how many of a kind the process has made, and HDF5 stamps each array.
    """
    with h5py.File(f"{name}.h5", "w", driver="core", backing_store=False) as memory:
        model.save(memory, save_format="h5")
        with h5py.File(path, "w") as file:
            _copy(memory, file)
            architecture = json.loads(file.attrs["model_config"])
            architecture["config"]["name"] = name
            file.attrs["model_config"] = json.dumps(architecture).encode()
            for layer in model.layers:
                _name_weights(file["model_weights"][layer.name])


def _copy(source: h5py.Group, target: h5py.Group) -> None:
    for key, value in source.attrs.items():
        target.attrs[key] = value
    for key, item in source.items():
        if isinstance(item, h5py.Group):
            _copy(item, target.create_group(key))
        else:
            target.create_dataset(key, data=item[()], track_times=False)


def _name_weights(group: h5py.Group) -> None:
    """Name the weights `<layer>/<weight>`, without the number that Keras adds to a layer's name it has met before."""
    layer = group.name.rsplit("/", 1)[1]
    names = [f"{layer}/{weight.decode().rsplit('/', 1)[1]}" for weight in group.attrs["weight_names"]]
    for old, new in zip(group.attrs["weight_names"], names):
        if old.decode() != new:
            group.move(old.decode(), new)
            del group[old.decode().rsplit("/", 1)[0]]
    if names:
        group.attrs["weight_names"] = [name.encode() for name in names]


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
