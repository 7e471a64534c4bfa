"""Models that Keras 2 or 3 has saved as one HDF5 file (`model.save("name.h5")`)."""

from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Tuple

import h5py
from tensorflow import keras

from snnb.core.errors import InputError
from snnb.core.progress import Say
from snnb.io.hdf5 import json_attribute, numbers_stored, reading
from snnb.model_files.keras_weights import build, require_weights
from snnb.model_files.newer_keras import as_tensorflow_22
from snnb.model_files.pixels import Preprocessing
from snnb.model_files.preprocessing import affine, without_preprocessing

if TYPE_CHECKING:
    from tensorflow.keras import Model


def read_keras_h5(path: Path, remedy: str, tell: Say) -> Tuple["Model", Optional[Preprocessing]]:
    """Read a model with its weights, uncompiled, and what its preprocessing layers computed.

    Raises
    ------
    InputError
        The file is not a complete Keras model, a layer could run code or has a setting that TensorFlow 2.2 does not
        know, or the weights do not fit.
    """
    with reading(path, remedy) as file:
        description = json_attribute(file, "model_config", path, remedy)
        if description is None:
            raise InputError(f"{path} holds no model, at most its weights; {remedy}")
        description, steps = without_preprocessing(description, str(path))
        description = as_tensorflow_22(description, str(path), remedy, tell)
        group = file.get("model_weights")
        if not isinstance(group, h5py.Group):
            raise InputError(f"{path} holds no weights; {remedy}")
        require_weights(description, numbers_stored(group), str(path), remedy)

        def arrays_of(layer: str) -> List[h5py.Dataset]:
            own = group.get(layer)
            if not isinstance(own, h5py.Group):
                return []
            names = [n.decode("utf-8", "replace") if isinstance(n, bytes) else n for n in _weight_names(own)]
            arrays = [own.get(name) for name in names]
            return [array for array in arrays if isinstance(array, h5py.Dataset)]

        def weights_of(layer: keras.layers.Layer) -> List[h5py.Dataset]:
            return arrays_of(layer.name)

        return build(description, weights_of, str(path), remedy), affine(steps, arrays_of, str(path))


def _weight_names(group: h5py.Group) -> List[object]:
    """Return the names of a layer's arrays in order; Keras splits a list that is too long for one attribute."""
    if "weight_names" in group.attrs:
        return list(group.attrs["weight_names"])
    parts = sorted(
        (name for name in group.attrs if name.startswith("weight_names")), key=lambda name: (len(name), name)
    )
    return [name for part in parts for name in group.attrs[part]]
