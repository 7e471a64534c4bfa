"""Keras's model file, byte for byte the same whenever the model is."""

from pathlib import Path
from typing import Union

import h5py
from tensorflow import keras


def write_model(model: keras.Model, path: Path) -> None:
    """Save a compiled model as Keras does, without the times that h5py 2.10 records unless told otherwise."""
    stamped = path.with_name(path.name + ".partial")
    model.save(str(stamped), save_format="h5")
    with h5py.File(str(stamped), "r") as old, h5py.File(str(path), "w") as new:
        _copy(old, new)
    stamped.unlink()


def _copy(old: Union[h5py.File, h5py.Group], new: Union[h5py.File, h5py.Group]) -> None:
    for name, value in old.attrs.items():
        new.attrs[name] = value
    for name, item in old.items():
        if isinstance(item, h5py.Group):
            _copy(item, new.create_group(name))
        else:
            new.create_dataset(name, data=item[()], track_times=False)
