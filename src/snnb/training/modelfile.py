"""Write a Keras model as HDF5, equal models as equal bytes, and read its weights."""

import json
import warnings
from pathlib import Path
from types import MappingProxyType
from typing import Mapping

import h5py

from snnb.core.errors import InputError
from snnb.io.files import require_disk
from snnb.io.hdf5 import copy_without_times
from snnb.io.keras import NEWER, keras, older_description

_BYTES_PER_ARRAY, _BYTES_PER_FILE = 8192, 65536  # HDF5's own structures


def write_model(model: keras.Model, path: Path, attributes: Mapping[str, int] = MappingProxyType({})) -> None:
    """Save a compiled model as Keras does, without the time stamps that HDF5 records by default.

    Parameters
    ----------
    model : keras.Model
    path : Path
        HDF5 file to write.
    attributes : mapping of str to int
        Additional attributes of the file.

    Raises
    ------
    ResourceError
        The disk has too little space. It is checked first, since HDF5 1.10 crashes the process when a write fails.
    """
    require_disk(path.parent, 2 * bytes_needed(model), "the model")
    stamped = path.with_name(path.name + ".partial")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are saving your model as an HDF5 file")
        model.save(str(stamped), save_format="h5")
    with h5py.File(str(stamped), "r") as old, h5py.File(str(path), "w") as new:
        copy_without_times(old, new)
        new.attrs.update(attributes)
        if NEWER:  # so that TensorFlow 2.2 loads it
            new.attrs["model_config"] = json.dumps(older_description(json.loads(old.attrs["model_config"]))).encode()
    stamped.unlink()


def load_weights(model: keras.Model, path: Path) -> None:
    """Set the weights of a model to those in its .h5 file; raise `InputError` if it is missing or of another model."""
    if not path.is_file():
        raise InputError(f"--initial-weights: {path}: no such file")
    try:
        if not h5py.is_hdf5(str(path)) or path.suffix != ".h5":
            raise OSError("not an .h5 file")
        model.load_weights(str(path))
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--initial-weights: {path} does not have the weights of the model ({reason})") from error


def bytes_needed(model: keras.Model) -> int:
    """Return an upper bound of the size of the model's file, in bytes."""
    arrays = [*model.weights, *model.optimizer.weights]
    values = sum(int(array.shape.num_elements()) * array.dtype.size for array in arrays)
    return values + 2 * len(model.to_json()) + _BYTES_PER_ARRAY * len(arrays) + _BYTES_PER_FILE


def check_names(model: keras.Model) -> None:
    """Raise `InputError` for a model that Keras cannot save as HDF5, before it is trained.

    HDF5 takes `/` for a group within a group, so layer `a/a` needs the place of the weights `a/kernel` of layer `a`.
    """
    with h5py.File("names.h5", "w", driver="core", backing_store=False) as file:
        for layer in sorted(model.layers, key=lambda layer: str(layer.name)):  # the order in which Keras writes them
            try:
                group = file.create_group(layer.name)
                for weight in layer.weights:
                    group.create_group(weight.name)
            except ValueError as error:
                raise InputError(
                    f"layer {layer.name}: Keras cannot save the model, since another layer's weights have this name "
                    "in its HDF5 file: give the layer a name without /"
                ) from error
