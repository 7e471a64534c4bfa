"""Keras's model file: byte for byte the same whenever the model is, and refused rather than torn by a full disk."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

import h5py
from tensorflow import keras

from snnb.errors import ResourceError
from snnb.hdf5 import copy_without_times

_BYTES_BESIDE_EACH_ARRAY = 8192
_BYTES_BESIDE_ALL = 65536


def save_model(model: keras.Model, path: Path) -> None:
    """Save a compiled model with the state of its optimiser, as Keras does.

    Raises
    ------
    ResourceError
        When the disk has no room for it, before anything is written: HDF5 1.10 crashes the process when a write fails.
    """
    _require(bytes_needed(model), path.parent)
    model.save(str(path), save_format="h5")


def bytes_needed(model: keras.Model) -> int:
    """Size that the file of a compiled model does not exceed."""
    arrays = [*model.weights, *model.optimizer.weights]
    values = sum(int(array.shape.num_elements()) * array.dtype.size for array in arrays)
    return values + 2 * len(model.to_json()) + _BYTES_BESIDE_EACH_ARRAY * len(arrays) + _BYTES_BESIDE_ALL


def write_model(model: keras.Model, path: Path) -> None:
    """Save a compiled model as `save_model`, without the times that h5py 2.10 records unless told otherwise."""
    stamped = path.with_name(path.name + ".partial")
    save_model(model, stamped)
    _require(stamped.stat().st_size, path.parent)
    with h5py.File(str(stamped), "r") as old, h5py.File(str(path), "w") as new:
        copy_without_times(old, new)
    stamped.unlink()


def _require(size: int, directory: Path) -> None:
    try:
        if size > shutil.disk_usage(str(directory)).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        # A quota shows only when the room is taken.
        with tempfile.TemporaryFile(dir=str(directory)) as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ResourceError(
            f"{directory} has no room for the {size / 1e6:.1f} MB of the model: free some, or choose another --run-dir"
        ) from error
