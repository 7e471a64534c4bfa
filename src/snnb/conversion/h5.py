"""Read Keras h5 files, and write them so that equal models give equal bytes."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Dict, Optional, cast

import h5py
import numpy as np

from snnb.io.hdf5 import copy_attributes, json_attribute, reading, write_array
from snnb.io.keras import keras, older_description
from snnb.io.keras_file import QCFS_LEVELS
from snnb.io.text import JsonValue


def read_levels(path: Path) -> Optional[int]:
    """Return the levels of the quantised activations that a model was trained with; None without such activations."""
    with reading(path) as file:
        levels = file.attrs.get(QCFS_LEVELS)
    return None if levels is None else int(levels)


def save_keras(model: keras.Model, path: Path, name: str, levels: Optional[int] = None) -> None:
    """Save a model as h5, without anything that depends on the time or on other models of the process.

    Keras numbers models and weights in the order in which a process makes them, and HDF5 adds a time to each array.
    `name` is the name of the model in the file, for `levels` see `read_levels`.
    """
    with h5py.File(f"{name}.h5", "w", driver="core", backing_store=False) as keras_file:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "You are saving your model as an HDF5 file")
            model.save(keras_file, save_format="h5")
        with h5py.File(path, "w") as file:
            architecture = older_description(json.loads(keras_file.attrs["model_config"]))
            architecture["config"]["name"] = name
            # An attribute that is written twice would leave unused bytes of the first one's size.
            copy_attributes({**keras_file.attrs, "model_config": json.dumps(architecture).encode()}, file)
            if levels is not None:
                file.attrs[QCFS_LEVELS] = levels
            weights = file.create_group("model_weights")
            copy_attributes(keras_file["model_weights"].attrs, weights)
            for layer in sorted(model.layers, key=lambda layer: str(layer.name)):
                _write_weights(layer, weights.require_group(layer.name))


def copy_for_toolbox(parsed: Path, target: Path, batch_size: int) -> None:
    """Copy a parsed model so that the toolbox's command line can simulate it.

    The copy has a fixed batch size, as a model of the toolbox's parser: without it, the toolbox fails when it counts
    the synapses of a strided convolution, and when it logs spikes.
    """
    with reading(parsed) as file:
        architecture = cast(Dict[str, JsonValue], json_attribute(file, "model_config", parsed))
    shutil.copyfile(parsed, target)
    architecture["config"]["layers"][0]["config"]["batch_input_shape"][0] = batch_size
    with h5py.File(target, "r+") as file:
        file.attrs["model_config"] = json.dumps(architecture).encode()


def _write_weights(layer: keras.layers.Layer, target: h5py.Group) -> None:
    """Write a layer's arrays as `<layer>/<array>`, without the number Keras adds to a name that was used before.

    A nested model has several arrays of one name: their index in Keras's order is inserted.
    """
    variables = [*layer.trainable_weights, *layer.non_trainable_weights]  # the order in which Keras reads them
    lasts = [variable.name.rsplit("/", 1)[-1] for variable in variables]
    single = len(set(lasts)) == len(lasts)
    names = [f"{layer.name}/{last}" if single else f"{layer.name}/{i}/{last}" for i, last in enumerate(lasts)]
    target.attrs["weight_names"] = np.array([name.encode() for name in names])
    for name, variable in zip(names, variables):
        write_array(target, name, variable.numpy())
