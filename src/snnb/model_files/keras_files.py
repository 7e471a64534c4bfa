"""Models that Keras 2 or 3 has saved: as one HDF5 file (`model.save("name.h5")`), or as a `.keras` archive.

A `.keras` file, which Keras 2 writes from 2.12, is a zip archive of `config.json`, the description of the model, and
`model.weights.h5`, its weights. Both are read into memory; nothing is unpacked to disk. Keras 3 is not needed.

The layout of the weights is that of `keras/src/saving/saving_lib.py`: the arrays of a layer are
`layers/NAME/vars/0`, `1`, …, where NAME is its class in snake case, with `_1`, `_2`, … from the second of a class on.
"""

import io
import json
import re
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.core.progress import Say
from snnb.io.hdf5 import json_attribute, reading
from snnb.io.keras import keras
from snnb.io.keras_file import check_layers
from snnb.io.text import JsonValue
from snnb.model_files.fold_pixels import Preprocessing
from snnb.model_files.kinds import NotReadError
from snnb.model_files.newer_keras import as_tensorflow_22, from_description
from snnb.model_files.preprocessing import affine, without_preprocessing

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
UNTIL_2_13 = "_layer_checkpoint_dependencies"  # group of the layers, where each layer with weights counts twice
RAISED_BY_ZIPFILE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)
Result = Tuple[keras.Model, Optional[Preprocessing]]


def read_keras_h5(path: Path, warn: Say) -> Result:
    """Return the uncompiled model of an HDF5 file, and the change of pixels by its preprocessing layers.

    Parameters
    ----------
    path : Path
    warn : callable
        Called with a message for each difference between the model returned and the file.

    Raises
    ------
    InputError
        The file is missing or damaged, or a layer is not one of Keras's own.
    NotReadError
        The file holds no complete model, a layer has a setting that TensorFlow 2.2 does not know, or the weights do not
        fit.
    """
    with reading(path) as file:
        description = json_attribute(file, "model_config", path)
        weights = file.get("model_weights")
        if description is None or not isinstance(weights, h5py.Group):
            raise NotReadError("holds weights without a model, or a model without weights")
        description, steps = without_preprocessing(description)

        def arrays_of(layer: str) -> List[h5py.Dataset]:
            group = weights.get(layer)
            names = _weight_names(group) if isinstance(group, h5py.Group) else []
            return [group[name] for name in names if name in group]

        return _build(as_tensorflow_22(description, path, warn), arrays_of, path), affine(steps, arrays_of)


def read_keras_zip(path: Path, warn: Say) -> Result:
    """Return the model in a `.keras` archive; parameters, results and errors as for `read_keras_h5`."""
    try:
        with zipfile.ZipFile(str(path)) as archive:
            original, weights = json.loads(archive.read(CONFIG)), archive.read(WEIGHTS)
    except RAISED_BY_ZIPFILE as error:
        raise NotReadError(f"not a complete .keras file ({_line(error)})") from error
    description, steps = without_preprocessing(original)
    description = as_tensorflow_22(description, path, warn)
    check_layers(description, path)
    try:
        with h5py.File(io.BytesIO(weights), "r") as file:
            groups = _groups(original, file)
            return _build(description, partial(_arrays, groups), path), affine(steps, partial(_arrays, groups))
    except OSError as error:
        raise NotReadError(f"{WEIGHTS} is not a complete HDF5 file ({_line(error)})") from error


def _weight_names(group: h5py.Group) -> List[str]:
    """Return the names of a layer's arrays in order; Keras splits a list that is too long for one attribute."""
    parts = sorted((key for key in group.attrs if key.startswith("weight_names")), key=lambda key: (len(key), key))
    names = [name for part in parts for name in group.attrs[part]]
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names]


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


def _build(description: JsonValue, arrays_of: Callable[[str], Sequence[h5py.Dataset]], path: Path) -> keras.Model:
    """Build a model of Keras's own layers, with the weights that `arrays_of` returns by the name of a layer."""
    model = from_description(description, path)
    for layer in model.layers:
        if not layer.weights:
            continue
        arrays = arrays_of(layer.name)
        # Keras writes the weights of a nested model in this order, not in the order of its layers.
        variables = [*layer.trainable_weights, *layer.non_trainable_weights]
        expected, found = [tuple(variable.shape) for variable in variables], [array.shape for array in arrays]
        if found != expected:
            raise NotReadError(
                f"layer {layer.name} needs weights of the shapes {_shapes(expected)}, "
                f"but the file holds {_shapes(found)}"
            )
        if any(array.dtype.kind not in "fiu" for array in arrays):
            raise NotReadError(f"the weights of layer {layer.name} are not numbers")
        keras.backend.batch_set_value(list(zip(variables, (np.asarray(array[()], np.float32) for array in arrays))))
    return model


def _shapes(shapes: Sequence[Sequence[int]]) -> str:
    return ", ".join("×".join(map(str, shape)) or "1" for shape in shapes[:10]) or "nothing"
