"""Models that Keras 2 or 3 has saved as one HDF5 file (`model.save("name.h5")`)."""

from pathlib import Path
from typing import TYPE_CHECKING, List, Optional, Tuple

import h5py

from snnb.core.progress import Say
from snnb.io.hdf5 import json_attribute, reading
from snnb.model_files.keras_weights import build
from snnb.model_files.kinds import RESAVE, NotReadError
from snnb.model_files.newer_keras import as_tensorflow_22
from snnb.model_files.pixels import Preprocessing
from snnb.model_files.preprocessing import affine, without_preprocessing

if TYPE_CHECKING:
    from tensorflow.keras import Model


def read_keras_h5(path: Path, warn: Say) -> Tuple["Model", Optional[Preprocessing]]:
    """Read a model with its weights.

    Parameters
    ----------
    path : Path
        The HDF5 file.
    warn : callable
        Called with a message for each difference between the model returned and the file.

    Returns
    -------
    Model
        The model without its preprocessing layers, uncompiled.
    Preprocessing or None
        What the preprocessing layers compute.

    Raises
    ------
    InputError
        The file is missing or damaged, or a layer is not one of Keras's own.
    NotReadError
        The file holds no complete model, a layer has a setting that TensorFlow 2.2 does not know, or the weights do not
        fit.
    """
    with reading(path, RESAVE) as file:
        description = json_attribute(file, "model_config", path, RESAVE)
        weights = file.get("model_weights")
        if description is None or not isinstance(weights, h5py.Group):
            raise NotReadError("holds weights without a model, or a model without weights")
        description, steps = without_preprocessing(description)

        def arrays_of(layer: str) -> List[h5py.Dataset]:
            group = weights.get(layer)
            names = _weight_names(group) if isinstance(group, h5py.Group) else []
            return [group[name] for name in names if name in group]

        return build(as_tensorflow_22(description, path, warn), arrays_of, path), affine(steps, arrays_of)


def _weight_names(group: h5py.Group) -> List[str]:
    """Return the names of a layer's arrays in order; Keras splits a list that is too long for one attribute."""
    parts = sorted((key for key in group.attrs if key.startswith("weight_names")), key=lambda key: (len(key), key))
    names = [name for part in parts for name in group.attrs[part]]
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names]
