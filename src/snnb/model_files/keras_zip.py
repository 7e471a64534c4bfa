"""Models that Keras 3, or Keras 2 from 2.12, has saved as a `.keras` file.

It is a zip archive of `config.json`, the description of the model, and `model.weights.h5`, its weights. They are read
as they are: nothing of Keras 3 is needed, and no member is unpacked under a name from the archive.

The layout of the weights is that of `keras/src/saving/saving_lib.py`: those of a layer are in `layers/NAME/vars/0`,
`1`, …, where NAME is its class in snake case, from the second layer of a class on with `_1`, `_2`, ….
"""

import re
import shutil
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Tuple

import h5py

from snnb.core.errors import InputError
from snnb.core.progress import Say
from snnb.io.files import FULL, require_disk
from snnb.io.hdf5 import numbers_stored, reading
from snnb.io.text import JsonValue, decoded, parse_json
from snnb.model_files.keras_weights import build, require_weights
from snnb.model_files.newer_keras import as_tensorflow_22
from snnb.model_files.pixels import Preprocessing
from snnb.model_files.preprocessing import affine, without_preprocessing

if TYPE_CHECKING:
    from tensorflow.keras import Model

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
UNTIL_2_13 = "_layer_checkpoint_dependencies"  # where each layer with weights counts twice
RAISED_BY_ZIPFILE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError)
# Beside the weights, the optimizer's state may be there, of at most three numbers a weight, and what HDF5 adds.
BYTES_A_WEIGHT = 32
BYTES_BESIDE = 64 << 20


def read_keras_zip(path: Path, remedy: str, tell: Say) -> Tuple["Model", Optional[Preprocessing]]:
    """Read a model with its weights, uncompiled, and what its preprocessing layers computed.

    Raises
    ------
    InputError
        The archive is damaged or lacks a member, or unpacks to more than a model of these layers can have; a layer
        could run code or has a setting that TensorFlow 2.2 does not know; or the weights do not fit.
    """
    with _archive(path, remedy) as archive:
        config = _member(archive, CONFIG, path, remedy)
        text = decoded(archive.read(config), f"{path}: {CONFIG}", remedy)
    original = parse_json(text, f"{path}: {CONFIG}", remedy)
    description, steps = without_preprocessing(original, str(path))
    description = as_tensorflow_22(description, str(path), remedy, tell)
    with tempfile.TemporaryDirectory(prefix="snnb-") as folder:
        with _archive(path, remedy) as archive:
            weights = _unpack(archive, description, Path(folder), path, remedy)
        try:
            with reading(weights, remedy) as stored:
                require_weights(description, numbers_stored(stored), str(path), remedy)
                groups = _groups(original, stored)
                model = build(description, lambda layer: _arrays(groups, layer.name), str(path), remedy)
                return model, affine(steps, lambda name: _arrays(groups, name), str(path))
        except InputError as error:
            raise InputError(str(error).replace(str(weights), f"{path}: {WEIGHTS}")) from error


@contextmanager
def _archive(path: Path, remedy: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(str(path)) as archive:
            yield archive
    except RAISED_BY_ZIPFILE as error:
        if getattr(error, "errno", None) in FULL:
            raise
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} is not a complete .keras file ({line[:200]}); {remedy}") from error


def _member(archive: zipfile.ZipFile, name: str, path: Path, remedy: str) -> zipfile.ZipInfo:
    found = [member for member in archive.infolist() if member.filename == name]
    if len(found) != 1:
        raise InputError(f"{path}: the archive has {len(found) or 'no'} {name}; {remedy}")
    [member] = found
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
        raise InputError(f"{path}: {name} is packed in a way that Keras does not use; {remedy}")
    return member


def _unpack(archive: zipfile.ZipFile, description: JsonValue, folder: Path, path: Path, remedy: str) -> Path:
    """Write the weights to a file, if they are not more than those of the layers can be."""
    member = _member(archive, WEIGHTS, path, remedy)
    needed = require_weights(description, member.file_size, str(path), remedy)
    if member.file_size > BYTES_A_WEIGHT * needed + BYTES_BESIDE:
        raise InputError(
            f"{path}: {WEIGHTS} unpacks to {member.file_size / 1e6:,.0f} MB, "
            f"but its layers have {needed:,} weights; {remedy}"
        )
    require_disk(folder, member.file_size, f"{path.name}, unpacked,")
    target = folder / WEIGHTS
    with archive.open(member) as packed, target.open("wb") as file:
        shutil.copyfileobj(packed, file)
    return target


def _groups(description: JsonValue, file: h5py.File) -> Dict[str, object]:
    """Return what the file has for each layer, by the name of the layer."""
    count: Dict[str, int] = {}
    groups = {}
    root, each = (UNTIL_2_13, 2) if UNTIL_2_13 in file else ("layers", 1)
    for layer in description["config"]["layers"]:
        kind = _snake_case(layer["class_name"])
        number = count[kind] = count.get(kind, -each) + each
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
    arrays = [group.get(str(number)) for number in range(len(group))]
    return [array for array in arrays if isinstance(array, h5py.Dataset)]
