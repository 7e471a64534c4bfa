"""Models that Keras 2 or 3 has saved: as one HDF5 file (`model.save("name.h5")`), or as a `.keras` archive.

A `.keras` file, which Keras 2 writes from 2.12, is a zip archive of `config.json`, the description of the model, and
`model.weights.h5`, its weights. Both are read into memory; nothing is unpacked to disk. Keras 3 is not needed.

The layout of the weights is that of `keras/src/saving/saving_lib.py`: the arrays of a layer are
`layers/NAME/vars/0`, `1`, …, where NAME is its class in snake case, with `_1`, `_2`, … from the second of a class on.

The description of a model, by any Keras from 2.3 to 3, is translated to that of TensorFlow 2.2. Newer versions add keys
to the configuration of their layers. A key whose value means the behaviour of TensorFlow 2.2 is ignored, a few others
are expressed by an additional layer, all others are refused by name. Initializers, regularizers and constraints matter
only in training, and are dropped.

Preprocessing layers are removed from the description, and read as an affine change of pixels, which is folded into the
first weights: `Rescaling` computes `x * scale + offset`, `Normalization` `(x - mean) / max(sqrt(variance), 1e-7)`
(`keras/src/layers/preprocessing/`). TensorFlow 2.2 has neither under these names. Layers that augment pictures are the
identity at inference.
"""

import copy
import inspect
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Set, Tuple

import h5py
import numpy as np

from snnb.core.errors import SnnbError, first_line, out_of_memory
from snnb.core.progress import Say
from snnb.io.hdf5 import json_attribute, reading
from snnb.io.keras import NEWER, keras, limited_weights
from snnb.io.keras_file import CONVERTED, LAYERS, MODELS, check_layers, not_loaded
from snnb.io.npy import read_member
from snnb.io.text import JSON_BYTES, JsonValue, decoded, parse_json
from snnb.model_files.fold_pixels import Pixels
from snnb.model_files.kinds import NotReadError

KerasObject = Dict[str, JsonValue]
ANY = "any"
# Settings that newer versions added, with the values that change nothing when a trained model computes.
ADDED: Dict[str, Tuple[JsonValue, ...]] = {
    "autocast": (True, False),
    "groups": (1,),
    "keepdims": (False,),
    "lora_alpha": (None,),
    "lora_rank": (None,),
    "optional": (False,),
    "quantization_config": (None,),
    "ragged": (False,),
    "renorm": (False,),
    "renorm_clipping": (ANY,),
    "renorm_momentum": (ANY,),
    "seed": (ANY,),
    "sparse": (False, None),
    "synchronized": (False, True),  # over devices, while training
}
FOR_TRAINING = ("_initializer", "_regularizer", "_constraint")
OF_KERAS = ("keras", "tf_keras", "tensorflow.keras")
MIXED = ("mixed_float16", "mixed_bfloat16")
RENAMED = {"batch_shape": "batch_input_shape"}  # from Keras 3
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
UNTIL_2_13 = "_layer_checkpoint_dependencies"  # group of the layers, where each layer with weights counts twice
RAISED_BY_ZIPFILE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)
_AUGMENTATION = """
RandomBrightness RandomContrast RandomFlip RandomHeight RandomRotation RandomTranslation RandomWidth RandomZoom
"""
AUGMENTATION = frozenset(_AUGMENTATION.split())
AFFINE = frozenset(["Normalization", "Rescaling"])
RESIZING = frozenset(["CenterCrop", "RandomCrop", "Resizing"])
ADVICE = "remove it, save the model again, and give --pixels 0-255"
SMALLEST_DEVIATION = 1e-7  # epsilon of Keras
Result = Tuple[keras.Model, Optional[Pixels]]


@dataclass(frozen=True)
class Step:
    """A `Rescaling` or `Normalization` at the start of a model; `nested` in a Sequential inside it."""

    layer: KerasObject
    nested: bool


def read_keras_h5(path: Path, warn: Say) -> Result:
    """Return the uncompiled model of an HDF5 file, and the change of pixels by its preprocessing layers.

    `warn` is called with a message for each difference between the model returned and the file. Raise `InputError` if
    the file is missing or damaged, or a layer is not one of Keras's own, `NotReadError` if the file holds no complete
    model, a layer has a setting that TensorFlow 2.2 does not know, or the weights do not fit.
    """
    with reading(path) as file:
        description = json_attribute(file, "model_config", path)
        weights = file.get("model_weights")
        if description is None or not isinstance(weights, h5py.Group):
            raise NotReadError("holds weights without a model, or a model without weights")
        description, steps = as_tensorflow_22(description, path, warn)

        def arrays_of(layer: str) -> List[h5py.Dataset]:
            group = weights.get(layer)
            names = _weight_names(group) if isinstance(group, h5py.Group) else []
            return [group[name] for name in names if name in group]

        model = from_description(description, path)
        _set_weights(model, arrays_of)
        return model, affine(steps, arrays_of)


def read_keras_zip(path: Path, warn: Say) -> Result:
    """Return the model in a `.keras` archive; parameters, results and errors as for `read_keras_h5`."""
    try:
        with zipfile.ZipFile(str(path)) as archive:
            original = parse_json(decoded(read_member(path, archive, CONFIG, JSON_BYTES), path / CONFIG), path / CONFIG)
            weights = read_member(path, archive, WEIGHTS)
    except RAISED_BY_ZIPFILE as error:
        raise NotReadError(f"not a complete .keras file ({first_line(error)})") from error
    description, steps = as_tensorflow_22(original, path, warn)
    model = from_description(description, path)
    with reading(path / WEIGHTS, io.BytesIO(weights)) as file:
        root, step = (UNTIL_2_13, 2) if UNTIL_2_13 in file else ("layers", 1)
        count: Dict[str, int] = {}
        groups = {}
        for layer in original["config"]["layers"]:
            kind = _snake_case(layer["class_name"])
            number = count[kind] = count.get(kind, -step) + step
            suffix = f"_{number}" if number else ""
            groups[layer["config"]["name"]] = file.get(f"{root}/{kind}{suffix}/vars")

        def arrays_of(name: str) -> List[h5py.Dataset]:
            group = groups.get(name)
            if not isinstance(group, h5py.Group):
                return []
            return [group[str(number)] for number in range(len(group)) if str(number) in group]

        _set_weights(model, arrays_of)
        return model, affine(steps, arrays_of)


def _weight_names(group: h5py.Group) -> List[str]:
    """Return the names of a layer's arrays in order; Keras splits a list that is too long for one attribute."""
    parts = sorted((key for key in group.attrs if key.startswith("weight_names")), key=lambda key: (len(key), key))
    names = [name for part in parts for name in group.attrs[part]]
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names]


def _snake_case(name: str) -> str:
    """Write the name of a class as Keras does: Conv2D as conv2d, DepthwiseConv2D as depthwise_conv2d, ReLU as re_lu."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _set_weights(model: keras.Model, arrays_of: Callable[[str], Sequence[h5py.Dataset]]) -> None:
    """Set the weights that `arrays_of` returns by the name of a layer."""
    for layer in model.layers:
        if not layer.weights:
            continue
        arrays = arrays_of(layer.name)
        # Keras writes the weights of a nested model in this order, not in the order of its layers.
        variables = [*layer.trainable_weights, *layer.non_trainable_weights]
        expected, stored = [tuple(variable.shape) for variable in variables], [array.shape for array in arrays]
        if stored != expected:
            raise NotReadError(
                f"layer {layer.name} needs weights of the shapes {_shapes(expected)}, "
                f"but the file holds {_shapes(stored)}"
            )
        if any(array.dtype.kind not in "fiu" for array in arrays):
            raise NotReadError(f"the weights of layer {layer.name} are not numbers")
        keras.backend.batch_set_value(list(zip(variables, (np.asarray(array[()], np.float32) for array in arrays))))


def _shapes(shapes: Sequence[Sequence[int]]) -> str:
    return ", ".join("×".join(map(str, shape)) or "1" for shape in shapes[:10]) or "nothing"


def as_tensorflow_22(description: JsonValue, path: Path, warn: Say) -> Tuple[JsonValue, List[Step]]:
    """Return the description of a model, by a newer Keras, as TensorFlow 2.2 would have written it.

    Preprocessing layers are removed; those that change the pixels are returned too. The description is returned
    unchanged if it does not describe a model, for `snnb.io.keras_file.check_layers` to refuse. Raise `NotReadError` if
    a layer is not one of Keras's own, or has a setting that TensorFlow 2.2 does not know, and the errors of
    `without_preprocessing`.
    """
    try:
        translated, unfinished = _model(description, warn)
        translated, steps = without_preprocessing(translated)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError):
        return description, []
    for name in unfinished:
        _fill_in_channels(translated, name, path)
    return translated, steps


def _model(description: KerasObject, warn: Say) -> Tuple[KerasObject, List[str]]:
    """Return the model, and the names of the reshaping layers that were added and have no channels yet."""
    config = description["config"]
    sequential = description["class_name"] == "Sequential"
    layers: List[KerasObject] = []
    unfinished: List[str] = []
    last: Dict[str, str] = {}  # by layer, the one that gives its output now
    mixed: Set[str] = set()
    for entry in config["layers"]:
        if members_of(entry) is not None:
            own, added = {key: entry[key] for key in ("class_name", "config")}, []
            own["name"] = entry["config"]["name"]
        else:
            own, *added = [_inside(entry, warn)] if entry["class_name"] in MODELS else _layer(entry, mixed)
        if not sequential:
            own["inbound_nodes"] = _connections(entry, last)
            for before, after in zip([own, *added], added):
                after["inbound_nodes"] = [[[before["name"], 0, 0, {}]]]
        layers += [own, *added]
        unfinished += [layer["name"] for layer in added if layer["class_name"] == "Reshape"]
        last[own["name"]] = layers[-1]["name"]
    if mixed:
        warn(f"the model computes in {', '.join(sorted(mixed))}; snnb computes in float32, as its weights are stored")
    if sequential:
        first = layers[0]["config"]
        if "build_input_shape" in config:
            first.setdefault("batch_input_shape", config["build_input_shape"])
        return {"class_name": "Sequential", "config": {"name": config["name"], "layers": layers}}, unfinished
    ends = {}
    for key in ("input_layers", "output_layers"):
        tensors = [config[key]] if isinstance(config[key][0], str) else config[key]  # Keras 3 lists no single one
        ends[key] = [[last[name], node, tensor] for name, node, tensor in tensors]
    return {"class_name": "Model", "config": {"name": config["name"], "layers": layers, **ends}}, unfinished


def from_description(description: JsonValue, path: Path) -> keras.Model:
    """Build a model with initial weights from its description by TensorFlow 2.2.

    Raise `InputError` if a layer is not one of Keras's own, `NotReadError` if Keras cannot build the model.
    """
    check_layers(description, path)
    try:
        with limited_weights(path):
            return keras.models.model_from_config(description)
    except SnnbError:
        raise
    except Exception as error:  # Keras raises errors of any type for an invalid description
        if out_of_memory(error):
            raise
        raise NotReadError(f"Keras {keras.__version__} cannot load it ({first_line(error)})") from error


def _fill_in_channels(model: KerasObject, name: str, path: Path) -> None:
    """Set the number of channels of a reshaping layer that was added: build the layers before it to find it."""
    layers = model["config"]["layers"]
    place = [layer["name"] for layer in layers].index(name)
    before = {**model["config"], "layers": copy.deepcopy(layers[:place])}
    if model["class_name"] != "Sequential":
        before["output_layers"] = [[layers[place - 1]["name"], 0, 0]]
    channels = from_description({**model, "config": before}, path).output_shape[-1]
    layers[place]["config"]["target_shape"][-1] = channels


def _inside(entry: KerasObject, warn: Say) -> KerasObject:
    """Return a model that is a layer of another one."""
    if any("module" in layer for layer in entry["config"]["layers"]):
        raise NotReadError(
            f"{label(entry)} is a nested model, which is not supported in files of Keras 3",
            "build the model of its layers one by one, or export it as .onnx",
        )
    model, unfinished = _model(entry, warn)
    if unfinished:
        raise NotReadError(
            f"{label(entry)} is a nested model with keepdims=True, which is not supported: omit keepdims"
        )
    return {**model, "name": entry["config"]["name"]}


def _layer(entry: KerasObject, mixed: Set[str]) -> List[KerasObject]:
    """Return a layer, followed by layers that replace settings that TensorFlow 2.2 does not have."""
    kind, module, name = entry["class_name"], entry.get("module"), entry["config"]["name"]
    if module is not None and not str(module).startswith(OF_KERAS):
        raise NotReadError(
            f"{label(entry)} of {module} is not loaded from a file, since it may run code: use a layer of Keras"
        )
    if "keras.src.ops" in str(module) and kind != "Add":
        raise NotReadError(f"{label(entry)} is an operation, which is not loaded from a file: use a layer of Keras")
    if kind not in LAYERS:
        return [{"class_name": kind, "config": entry["config"], "name": name}]
    config = {RENAMED.get(key, key): v for key, v in entry["config"].items() if not key.endswith(FOR_TRAINING)}
    if "dtype" in config:
        config["dtype"] = _dtype(config["dtype"], label(entry), mixed)
    added = []
    if config.get("keepdims") is True and kind.startswith("Global"):
        del config["keepdims"]
        added.append(_added(name, "Reshape", {"target_shape": [1, 1, -1]}))
    if kind == "Softmax" and config.get("axis", -1) in (-1, [-1]):
        config.pop("axis", None)
        kind, config["activation"] = "Activation", "softmax"  # the same, as the parsers know it
    if config.get("activation") == "relu6":
        config["activation"] = "linear"
        added.append(_added(name, "ReLU", {"max_value": 6.0}))
    for key in sorted(set(config) - _known(kind)):
        value = config.pop(key)
        if ANY not in ADDED.get(key, ()) and value not in ADDED.get(key, ()):
            fault = f"{label(entry)} has {key}={str(value)[:100]}, which is not supported: build it without {key}"
            raise NotReadError(fault if kind in CONVERTED else not_loaded(label(entry), kind))
    return [{"class_name": kind, "config": config, "name": name}, *added]


def _added(name: str, kind: str, config: KerasObject) -> KerasObject:
    name = f"{name}_{kind.lower()}"
    return {"class_name": kind, "config": {"name": name, **config}, "name": name}


def _dtype(value: JsonValue, where: str, mixed: Set[str]) -> JsonValue:
    """Return the type of the numbers of a layer, which may be written as a policy."""
    name = value["config"]["name"] if isinstance(value, dict) else value
    if name in MIXED:
        mixed.add(name)
    elif name not in ("float32", None):
        raise NotReadError(f"{where} computes in {name}, which is not supported: build it in float32")
    return "float32"


def _known(kind: str) -> Set[str]:
    """Return the settings that TensorFlow 2.2 knows for a kind of layer."""
    known = {"batch_input_shape", "input_shape"}
    for base in getattr(keras.layers, kind.replace("NormalizationV1", "Normalization").replace("V2", "")).__mro__:
        known.update(inspect.signature(base.__init__).parameters)
    return known - set(ADDED) if NEWER else known  # so that the result does not depend on the installed Keras


def _connections(entry: KerasObject, last: Dict[str, str]) -> List[JsonValue]:
    """Return the inputs of a layer as Keras 2 writes them: for each time it is used, a list of [name, 0, 0, {}]."""
    nodes: List[JsonValue] = []
    preprocesses = members_of(entry) is not None
    for node in entry["inbound_nodes"]:
        if isinstance(node, dict):
            # Keras 3 writes `training=True` of layers that augment pictures, and does not apply it in predictions.
            sources, arguments = [], [] if preprocesses else [node.get("kwargs", {})]
            for part in node["args"]:
                tensors = part if isinstance(part, list) else [part]
                if not all(isinstance(t, dict) and t["class_name"] == "__keras_tensor__" for t in tensors):
                    raise NotReadError(
                        f"{label(entry)} takes a number or an object in addition to outputs of layers, which is not "
                        "supported: use layers for it"
                    )
                sources += [tensor["config"]["keras_history"] for tensor in tensors]
        else:
            sources, arguments = [source[:3] for source in node], [source[3] for source in node if len(source) > 3]
        for key, value in [pair for given in arguments for pair in given.items()]:
            if value not in (None, False):
                advice = "remove it" if preprocesses else f"call it without {key}"
                raise NotReadError(
                    f"{label(entry)} is called with {key}={value}", f"{advice}, and save the model again"
                )
        nodes.append([[last.get(name, name), number, tensor, {}] for name, number, tensor in sources])
    return nodes


def label(layer: KerasObject) -> str:
    """Return name and class of a layer, for messages."""
    return f"layer {layer['config']['name']} ({layer['class_name']})"


def without_preprocessing(description: KerasObject) -> Tuple[KerasObject, List[Step]]:
    """Return a model's description without its preprocessing layers, and those that change the pixels, in order.

    Raise `NotReadError` if such a layer is not at the start of the model, or changes the size of the pictures.
    """
    config = description["config"]
    sequential = description["class_name"] == "Sequential"
    remaining: List[KerasObject] = []
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


def members_of(entry: KerasObject) -> Optional[List[KerasObject]]:
    """Return the preprocessing layers of an entry; None for a layer that is kept."""
    kind = entry["class_name"]
    if kind in RESIZING:
        raise NotReadError(
            f"{label(entry)} changes the size of images",
            "remove it, and save the model again with the size of its images as input",
        )
    if kind in AUGMENTATION or kind in AFFINE:
        return [entry]
    if kind != "Sequential":
        return None
    members = [layer for layer in entry["config"]["layers"] if layer["class_name"] != "InputLayer"]
    plain = all(layer["class_name"] in AUGMENTATION or layer["class_name"] in AFFINE for layer in members)
    return members if members and plain else None


def _refuse_inside(entry: KerasObject) -> None:
    for layer in entry["config"]["layers"] if entry["class_name"] in MODELS else []:
        if layer["class_name"] in AUGMENTATION | AFFINE | RESIZING:
            raise NotReadError(f"{label(layer)} is in a nested model", ADVICE)
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
