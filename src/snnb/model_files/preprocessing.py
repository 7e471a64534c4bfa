"""Keras's preprocessing layers in a model's description: removed from it, and returned as an affine change of pixels.

`Rescaling` computes `x * scale + offset`, `Normalization` computes `(x - mean) / max(sqrt(variance), 1e-7)`
(`keras/src/layers/preprocessing/`). TensorFlow 2.2 has neither under these names. Layers that augment pictures are the
identity at inference.
"""

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.io.keras_file import MODELS
from snnb.io.text import JsonValue
from snnb.model_files.fold_pixels import Pixels
from snnb.model_files.kinds import NotReadError

Entry = Dict[str, JsonValue]
_AUGMENTATION = """
RandomBrightness RandomContrast RandomFlip RandomHeight RandomRotation RandomTranslation RandomWidth RandomZoom
"""
AUGMENTATION = frozenset(_AUGMENTATION.split())
AFFINE = frozenset(["Normalization", "Rescaling"])
RESIZING = frozenset(["CenterCrop", "RandomCrop", "Resizing"])
ADVICE = "remove it, save the model again, and give --pixels 0-255"
SMALLEST_DEVIATION = 1e-7  # epsilon of Keras


@dataclass(frozen=True)
class Step:
    """A `Rescaling` or `Normalization` at the start of a model; `nested` in a Sequential inside it."""

    layer: Entry
    nested: bool


def label(layer: Entry) -> str:
    """Return name and class of a layer, for messages."""
    return f"layer {layer['config']['name']} ({layer['class_name']})"


def without_preprocessing(description: Entry) -> Tuple[Entry, List[Step]]:
    """Return a model's description without its preprocessing layers, and those that change the pixels, in order.

    Raise `NotReadError` if such a layer is not at the start of the model, or changes the size of the pictures.
    """
    config = description["config"]
    sequential = description["class_name"] == "Sequential"
    remaining: List[Entry] = []
    steps_to: Dict[str, List[Step]] = {"": []}  # by layer, the steps between the picture and its output
    replaced: Dict[str, List[JsonValue]] = {}  # by removed layer, its source [layer, node, tensor]
    read: List[List[Step]] = []
    first_shape, before = None, ""
    for entry in config["layers"]:
        name, kind = entry["config"]["name"], entry["class_name"]
        nodes: List[JsonValue] = [[[before, 0, 0]]] if sequential else entry["inbound_nodes"]
        sources = [source for node in nodes for source in node]
        members = members_of(entry)
        if members is None:
            _refuse_inside(entry)
            if kind == "InputLayer":
                steps_to[name] = steps_to[before] if sequential else []
            else:
                read += [steps_to[source[0]] for source in sources if source[0] in steps_to]
            redirected = [[[*replaced.get(source[0], source[:3]), *source[3:]] for source in node] for node in nodes]
            remaining.append(entry if sequential else {**entry, "inbound_nodes": redirected})
        else:
            if len(nodes) != 1 or len(sources) != 1:
                raise NotReadError(f"{label(entry)} is used several times", ADVICE)
            own = [Step(layer, layer is not entry) for layer in members if layer["class_name"] in AFFINE]
            source = sources[0][:3]
            if source[0] in steps_to:
                steps_to[name] = [*steps_to[source[0]], *own]
            elif own:
                raise NotReadError(f"{label(own[0].layer)} is not at the start of the model", ADVICE)
            replaced[name] = replaced.get(source[0], source)
            for first in (entry, *entry["config"].get("layers", [])[:1]):
                first_shape = first_shape or first["config"].get("batch_input_shape")
        before = name
    if not replaced:
        return description, []
    steps = read[0] if read else []
    if any(other != steps for other in read):
        raise NotReadError(f"{label(max(read, key=len)[0].layer)} is skipped by another layer", ADVICE)
    if sequential and first_shape and remaining and remaining[0]["class_name"] != "InputLayer":
        remaining[0] = {**remaining[0], "config": {"batch_input_shape": first_shape, **remaining[0]["config"]}}
    ends = {} if sequential else {"output_layers": [replaced.get(end[0], end) for end in config["output_layers"]]}
    return {**description, "config": {**config, "layers": remaining, **ends}}, steps


def members_of(entry: Entry) -> Optional[List[Entry]]:
    """Return the preprocessing layers that an entry stands for; None for a layer that stays."""
    kind = entry["class_name"]
    if kind in RESIZING:
        raise NotReadError(
            f"{label(entry)} changes the size of pictures",
            "remove it, and save the model again with the size of its pictures as input",
        )
    if kind in AUGMENTATION or kind in AFFINE:
        return [entry]
    if kind != "Sequential":
        return None
    members = [layer for layer in entry["config"]["layers"] if layer["class_name"] != "InputLayer"]
    plain = all(layer["class_name"] in AUGMENTATION or layer["class_name"] in AFFINE for layer in members)
    return members if members and plain else None


def _refuse_inside(entry: Entry) -> None:
    for layer in entry["config"]["layers"] if entry["class_name"] in MODELS else []:
        if layer["class_name"] in AUGMENTATION | AFFINE | RESIZING:
            raise NotReadError(f"{label(layer)} is in a model inside the model", ADVICE)
        _refuse_inside(layer)


def affine(steps: Sequence[Step], arrays_of: Callable[[str], Sequence[h5py.Dataset]]) -> Optional[Pixels]:
    """Return the change of a pixel by the steps; None without any.

    `arrays_of` returns the arrays in the file by the name of a layer; the first two of a `Normalization` are mean and
    variance.
    """
    if not steps:
        return None
    factor, shift = np.ones(1), np.zeros(1)
    for step in steps:
        config = step.layer["config"]
        try:
            if step.layer["class_name"] == "Rescaling":
                scale, offset = _numbers(config["scale"]), _numbers(config.get("offset", 0.0))
            else:
                scale, offset = _normalization(step, arrays_of)
            factor, shift = factor * scale, shift * scale + offset
        except (KeyError, TypeError, ValueError, OverflowError):
            raise NotReadError(f"{label(step.layer)} cannot be folded into the first weights", ADVICE) from None
        # A pooling before the first weights keeps the order of pixels only if the factor is positive.
        if not (np.isfinite(factor).all() and np.isfinite(shift).all() and factor.min() > 0):
            raise NotReadError(f"{label(step.layer)} does not multiply by positive numbers", ADVICE)
    return Pixels(factor, shift, layers=", ".join(label(step.layer) for step in steps))


def _normalization(step: Step, arrays_of: Callable[[str], Sequence[h5py.Dataset]]) -> Tuple[np.ndarray, np.ndarray]:
    config = step.layer["config"]
    axis = config.get("axis", -1)
    if config.get("invert") or axis not in (-1, 3, [-1], [3], None, []):
        raise ValueError
    if config.get("mean") is not None:
        mean, variance = _numbers(config["mean"]), _numbers(config["variance"])
    elif step.nested:
        raise ValueError
    else:
        mean, variance = (np.asarray(array[()], np.float64).reshape(-1) for array in arrays_of(config["name"])[:2])
    scale = 1 / np.maximum(np.sqrt(variance), SMALLEST_DEVIATION)
    return scale, -mean * scale


def _numbers(value: JsonValue) -> np.ndarray:
    """Return a number, or one for each channel, as float64 of shape (1 or channels,)."""
    if isinstance(value, dict):  # an array, as Keras 3 writes it
        value = value["config"]["value"]
    numbers = np.asarray(value, np.float64)
    if numbers.size != max((1, *numbers.shape)):
        raise ValueError
    return numbers.reshape(-1)
