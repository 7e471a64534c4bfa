"""Keras h5 files: checked before they are loaded, and written so that equal models give equal bytes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Dict, cast

import h5py
import numpy as np

from snnb.core.errors import InputError
from snnb.io.files import copy_file
from snnb.io.hdf5 import copy_attributes, json_attribute, reading, write_array
from snnb.io.keras_file import load_model
from snnb.io.text import JsonValue

if TYPE_CHECKING:
    from tensorflow import keras

RETRAIN = "train it again or give the file of a whole model (`model.save`)"


def read_architecture(path: Path) -> Dict[str, JsonValue]:
    """Read a model's architecture as Keras wrote it (`class_name`, `config`), without building or running the model.

    Parameters
    ----------
    path : Path
        A Keras h5 file.

    Returns
    -------
    dict
        The JSON of the attribute `model_config`.

    Raises
    ------
    InputError
        The file is missing, cut off, no HDF5 file, has data in another file, or holds no model.
    """
    with reading(path, RETRAIN) as file:
        architecture = json_attribute(file, "model_config", path, RETRAIN)
    if architecture is None:
        raise InputError(f"{path}: holds no model architecture, perhaps only weights: {RETRAIN}")
    if not _is_architecture(architecture):
        raise InputError(f"{path}: the attribute model_config is not a Keras model's: {RETRAIN}")
    return cast(Dict[str, JsonValue], architecture)


def _is_architecture(value: JsonValue) -> bool:
    """Whether it describes layers that each have a class and, in their configuration, a name."""
    config = value.get("config") if isinstance(value, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else None
    return isinstance(layers, list) and bool(layers) and all(_is_layer(entry) for entry in layers)


def _is_layer(entry: JsonValue) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("config"), dict):
        return False
    inbound = entry.get("inbound_nodes", [])
    return (
        isinstance(entry.get("class_name"), str)
        and isinstance(entry["config"].get("name"), str)
        and isinstance(inbound, list)
        and all(
            isinstance(node, list) and all(isinstance(source, list) and source for source in node) for node in inbound
        )
    )


def load_keras(path: Path) -> "keras.Model":
    """Load a model for inference. Nothing in the file can run code, see `snnb.io.keras_file`.

    Raises
    ------
    InputError
        The file is not a complete Keras model, or has weights that are not finite.
    """
    model = load_model(path, RETRAIN)
    for layer in model.layers:
        if not all(np.isfinite(weight).all() for weight in layer.get_weights()):
            raise InputError(f"{path}: layer {layer.name} has weights that are not finite: train with a lower rate")
    return model


def save_keras(model: "keras.Model", path: Path, name: str) -> None:
    """Save a model as h5 with nothing in it that depends on the time or on other models of the process.

    Keras numbers models and weights by how many of a kind the process has made, and HDF5 adds a time to each array.

    Raises
    ------
    InputError
        Keras cannot save the model because of its layers' names: `a` and `a/a`, since HDF5 takes `/` for a group in a
        group.
    """
    with h5py.File(f"{name}.h5", "w", driver="core", backing_store=False) as keras_file:
        try:
            model.save(keras_file, save_format="h5")
        except (RuntimeError, ValueError) as error:
            if "name already exists" not in str(error):
                raise
            raise InputError(
                f"Keras cannot save {name} as h5, two layers would have one place in it: give layers names without /"
            ) from error
        with h5py.File(path, "w") as file:
            architecture = json.loads(keras_file.attrs["model_config"])
            architecture["config"]["name"] = name
            # An attribute that is written twice would leave unused bytes of the first one's size.
            copy_attributes({**keras_file.attrs, "model_config": json.dumps(architecture).encode()}, file)
            weights = file.create_group("model_weights")
            copy_attributes(keras_file["model_weights"].attrs, weights)
            for layer in sorted(model.layers, key=lambda layer: str(layer.name)):
                _write_weights(layer, weights.require_group(layer.name))


def copy_for_toolbox(parsed: Path, target: Path, batch_size: int) -> None:
    """Copy a parsed model so that the toolbox's own command line can simulate it.

    The copy states a batch size, as a model of the toolbox's own parser does: the toolbox fails over an open batch
    dimension when it counts the synapses of a convolution with a stride, and when it logs spikes.
    """
    architecture = read_architecture(parsed)
    copy_file(parsed, target)
    try:
        architecture["config"]["layers"][0]["config"]["batch_input_shape"][0] = batch_size
    except (KeyError, TypeError, IndexError):
        raise InputError(f"{parsed}: its input lacks a shape: write it again with `snnb parse`") from None
    with h5py.File(target, "r+") as file:
        file.attrs["model_config"] = json.dumps(architecture).encode()


def _write_weights(layer: "keras.layers.Layer", target: h5py.Group) -> None:
    """Write a layer's arrays as `<layer>/<array>`, without the number Keras adds to a name it has met before.

    A model inside the model has several arrays of one name: there, their place in Keras's order comes between.
    """
    variables = [*layer.trainable_weights, *layer.non_trainable_weights]  # the order in which Keras reads them
    lasts = [variable.name.rsplit("/", 1)[-1] for variable in variables]
    single = len(set(lasts)) == len(lasts)
    names = [f"{layer.name}/{last}" if single else f"{layer.name}/{i}/{last}" for i, last in enumerate(lasts)]
    target.attrs["weight_names"] = np.array([name.encode() for name in names])
    for name, variable in zip(names, variables):
        write_array(target, name, variable.numpy())
