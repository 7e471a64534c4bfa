"""Models that Keras 3, or Keras 2 from 2.12, has saved as a `.keras` file.

It is a zip archive of `config.json`, the description of the model, and `model.weights.h5`, its weights. Both are read
into memory; nothing is unpacked to disk. Keras 3 is not needed.

The layout of the weights is that of `keras/src/saving/saving_lib.py`: the arrays of a layer are
`layers/NAME/vars/0`, `1`, …, where NAME is its class in snake case, with `_1`, `_2`, … from the second of a class on.
"""

import io
import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

import h5py

from snnb.core.progress import Say
from snnb.io.keras_file import check_layers
from snnb.io.text import JsonValue
from snnb.model_files.keras_weights import build
from snnb.model_files.kinds import RESAVE, NotReadError
from snnb.model_files.newer_keras import as_tensorflow_22
from snnb.model_files.pixels import Preprocessing
from snnb.model_files.preprocessing import affine, without_preprocessing

if TYPE_CHECKING:
    from tensorflow.keras import Model

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
UNTIL_2_13 = "_layer_checkpoint_dependencies"  # group of the layers, where each layer with weights counts twice
RAISED_BY_ZIPFILE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)


def read_keras_zip(path: Path, warn: Say) -> Tuple["Model", Optional[Preprocessing]]:
    """Read a model with its weights.

    Parameters
    ----------
    path : Path
        The archive.
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
        A layer is not one of Keras's own.
    NotReadError
        The archive is damaged or lacks a member, a layer has a setting that TensorFlow 2.2 does not know, or the
        weights do not fit.
    """
    try:
        with zipfile.ZipFile(str(path)) as archive:
            original, weights = json.loads(archive.read(CONFIG)), archive.read(WEIGHTS)
    except RAISED_BY_ZIPFILE as error:
        raise NotReadError(f"not a complete .keras file ({_line(error)})") from error
    description, steps = without_preprocessing(original)
    description = as_tensorflow_22(description, path, warn)
    check_layers(description, str(path), RESAVE)
    try:
        with h5py.File(io.BytesIO(weights), "r") as file:
            groups = _groups(original, file)
            model = build(description, lambda layer: _arrays(groups, layer), path)
            return model, affine(steps, lambda layer: _arrays(groups, layer))
    except OSError as error:
        raise NotReadError(f"{WEIGHTS} is not a complete HDF5 file ({_line(error)})") from error


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _groups(description: JsonValue, file: h5py.File) -> Dict[str, object]:
    """Return the group of each layer's arrays in the file, by the name of the layer."""
    count: Dict[str, int] = {}
    groups = {}
    root, step = (UNTIL_2_13, 2) if UNTIL_2_13 in file else ("layers", 1)
    for layer in description["config"]["layers"]:
        kind = _snake_case(layer["class_name"])
        number = count[kind] = count.get(kind, -step) + step
        groups[layer["config"]["name"]] = file.get(f"{root}/{kind}_{number}/vars" if number else f"{root}/{kind}/vars")
    return groups


def _snake_case(name: str) -> str:
    """Write the name of a class as Keras does: Conv2D as conv2d, DepthwiseConv2D as depthwise_conv2d, ReLU as re_lu."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _arrays(groups: Dict[str, object], layer: str) -> List[h5py.Dataset]:
    group = groups.get(layer)
    if not isinstance(group, h5py.Group):
        return []
    return [group[str(number)] for number in range(len(group)) if str(number) in group]
