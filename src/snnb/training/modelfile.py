"""Keras's model file: equal models give equal bytes, and a full disk is an error before anything is written."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

import h5py
from tensorflow import keras

from snnb.errors import InputError, ResourceError
from snnb.hdf5 import copy_without_times

_HDF5_BYTES_BESIDE_AN_ARRAY = 8192
_HDF5_BYTES_BESIDE_ALL = 65536


def save_model(model: keras.Model, path: Path) -> None:
    """Save a compiled model with the state of its optimiser, as Keras does.

    The room on the disk is checked first, since HDF5 1.10 crashes the process when a write fails.

    Raises
    ------
    ResourceError
        The disk has no room for the file.
    """
    _require_room(bytes_needed(model), path.parent)
    model.save(str(path), save_format="h5")


def bytes_needed(model: keras.Model) -> int:
    """Return a size in bytes that the file of a compiled model does not exceed."""
    arrays = [*model.weights, *model.optimizer.weights]
    values = sum(int(array.shape.num_elements()) * array.dtype.size for array in arrays)
    return values + 2 * len(model.to_json()) + _HDF5_BYTES_BESIDE_AN_ARRAY * len(arrays) + _HDF5_BYTES_BESIDE_ALL


def write_model(model: keras.Model, path: Path) -> None:
    """Save a compiled model as `save_model` does, without the times of writing that HDF5 records by default.

    Raises
    ------
    ResourceError
        The disk has no room for the file and its copy.
    """
    stamped = path.with_name(path.name + ".partial")
    save_model(model, stamped)
    _require_room(stamped.stat().st_size, path.parent)
    with h5py.File(str(stamped), "r") as old, h5py.File(str(path), "w") as new:
        copy_without_times(old, new)
    stamped.unlink()


def check_names(model: keras.Model) -> None:
    """Refuse a model that Keras could not save as h5, before time is spent on it.

    Raises
    ------
    InputError
        A layer would have the place of another's arrays: `a/a` that of `a/kernel` in the group of layer `a`, since
        HDF5 takes `/` for a group in a group.
    """
    with h5py.File("names.h5", "w", driver="core", backing_store=False) as file:
        for layer in sorted(model.layers, key=lambda layer: str(layer.name)):  # as Keras writes them
            try:
                group = file.create_group(layer.name)
                for weight in layer.weights:
                    group.create_group(weight.name)
            except ValueError as error:
                raise InputError(
                    f"layer {layer.name}: Keras cannot save the model, since in its h5 file another layer's weights "
                    "have the place of this name: give the layer a name without /"
                ) from error


def _require_room(size: int, directory: Path) -> None:
    try:
        if size > shutil.disk_usage(str(directory)).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        # Whether a quota allows the size shows only when the room is taken.
        with tempfile.TemporaryFile(dir=str(directory)) as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ResourceError(
            f"{directory} has no room for the {size / 1e6:.1f} MB of the model: free some, or choose another --run-dir"
        ) from error
