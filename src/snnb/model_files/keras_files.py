"""Models that Keras 2 or 3 has saved: as one HDF5 file (`model.save("name.h5")`), or as a `.keras` archive.

A `.keras` file, which Keras 2 writes from 2.12, is a zip archive of `config.json`, the description of the model, and
`model.weights.h5`, its weights. Both are read into memory; nothing is unpacked to disk. Keras is not needed, and
nothing of a file is run.

The layout of the weights is that of `keras/src/saving/saving_lib.py`: the arrays of a layer are
`layers/NAME/vars/0`, `1`, …, where NAME is its class in snake case, with `_1`, `_2`, … from the second of a class on.

Models inside a model are replaced by their layers, and a layer that is used several times by a layer for each use.
Newer versions of Keras add keys to the configuration of their layers. A key whose value does not change the output is
ignored, a few are expressed by an additional layer, and the others are refused by name. Initializers, regularizers and
constraints matter only in training, and are dropped.

Preprocessing layers are removed, and read as an affine change of pixels, which is folded into the first weights:
`Rescaling` computes `x * scale + offset`, `Normalization` `(x - mean) / max(sqrt(variance), 1e-7)`
(`keras/src/layers/preprocessing/`). Layers that augment pictures are the identity at inference.
"""

import heapq
import io
import math
import re
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple, Union

import h5py
import numpy as np

from snnb.core.errors import InputError, first_line
from snnb.core.progress import Say
from snnb.io.budget import Budget
from snnb.io.hdf5 import json_attribute, reading, text_of, whole
from snnb.io.npy import read_member
from snnb.io.text import JSON_BYTES, JsonValue, decoded, parse_json
from snnb.model_files.fold_pixels import Pixels
from snnb.model_files.kinds import NotReadError, Reason, joined
from snnb.network.geometry import Shape
from snnb.network.keras_file import MODELS, QCFS_LEVELS, StoredLayer, write_model
from snnb.network.layers import KERAS_KINDS, Activation, BatchNormalization, KerasLayer, Reshape, Weighted, configured
from snnb.network.network import ACTIVATIONS
from snnb.network.trained import TrainedLayer, TrainedNetwork, input_layer

KerasObject = Dict[str, JsonValue]
Array = Union[h5py.Dataset, np.ndarray]
ArraysOf = Callable[[str], Sequence[Array]]  # the arrays of a layer, or of a model inside, by its name
LayerPath = Tuple[str, ...]
Result = Tuple[TrainedNetwork, Optional[Pixels]]
# Settings without effect on the output, whatever their value; with this value; others that are off (None, False, 0).
_ANY_VALUE = """
batch_input_shape fused input_dtype input_shape momentum name renorm_clipping renorm_momentum seed synchronized
trainable
"""
ANY_VALUE = frozenset(_ANY_VALUE.split())
WITHOUT_EFFECT: Dict[str, JsonValue] = {"autocast": True, "groups": 1, "interpolation": "nearest"}
REFUSED = {
    "groups": "grouped convolutions cannot be converted",
    "negative_slope": "a spike rate is never negative",
    "threshold": "a spike rate cannot represent it",
}
FOR_TRAINING = ("_initializer", "_regularizer", "_constraint")
OF_KERAS = ("keras", "tf_keras", "tensorflow.keras")
MIXED = ("mixed_float16", "mixed_bfloat16")
RENAMED = {"batch_shape": "batch_input_shape"}  # from Keras 3
SAME = {"BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization"}
WEIGHT_BYTES = 4  # of a weight in memory
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
UNTIL_2_13 = "_layer_checkpoint_dependencies"  # group of the layers, where each layer with weights counts twice
RAISED_BY_ZIPFILE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)
MALFORMED = (KeyError, TypeError, IndexError, AttributeError, ValueError)
_AUGMENTATION = """
RandomBrightness RandomContrast RandomFlip RandomHeight RandomRotation RandomTranslation RandomWidth RandomZoom
"""
AUGMENTATION = frozenset(_AUGMENTATION.split())
_TRAINING_ONLY = """
ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise SpatialDropout2D
"""
TRAINING_ONLY = _TRAINING_ONLY.split()
IDENTITIES = AUGMENTATION.union(TRAINING_ONLY)  # at inference
CONVERTED = sorted([*KERAS_KINDS, *TRAINING_ONLY, "Softmax"])  # layers that are read
_NOT_READ = {
    "ELU LeakyReLU PReLU Softmax ThresholdedReLU": "a spike rate can represent relu, softmax and linear only, as "
    "Activation, ReLU or in the layer itself",
    "Average Dot Maximum Minimum Multiply Subtract": "merges branches, which only Add and Concatenate can do",
    "CenterCrop RandomCrop Resizing": "changes the size of images: remove it, and save the model again with the size "
    "of its images as input",
    "Bidirectional ConvLSTM2D GRU LSTM RNN SimpleRNN": "recurrent layers are not supported: build the model of "
    + ", ".join(CONVERTED),
    "Lambda TFOpLambda TensorFlowOpLayer": "is not loaded from a file, since it may run code",
}
NOT_READ = {kind: reason for kinds, reason in _NOT_READ.items() for kind in kinds.split()}
ADVICE = "remove it, save the model again, and give --pixels 0-255"
SMALLEST_DEVIATION = 1e-7  # epsilon of Keras


class Preprocessing(KerasLayer):
    """A `Rescaling` or `Normalization`, with its configuration."""

    kind_of: str
    config: Dict[str, JsonValue]

    @property
    def kind(self) -> str:
        """See `KerasLayer`."""
        return self.kind_of


def read_keras_h5(path: Path, warn: Say) -> Result:
    """Return the network in an HDF5 file, and the change of pixels by its preprocessing layers.

    `warn` is called with a message for each difference between the network and the file. Raise `InputError` if the file
    is missing or damaged, `NotReadError` if it holds no complete model, a layer is not one that can be converted or has
    a setting that is not known, or the weights do not fit.
    """
    with reading(path) as file:
        description = json_attribute(file, "model_config", path)
        weights = file.get("model_weights")
        if description is None or not isinstance(weights, h5py.Group):
            raise NotReadError("holds weights without a model, or a model without weights")

        def arrays_of(layer: str) -> List[h5py.Dataset]:
            group = weights.get(layer)
            if not isinstance(group, h5py.Group):
                return []
            # Keras splits a list of names that is too long for one attribute.
            parts = [key for key in group.attrs if key.startswith("weight_names")]
            parts.sort(key=lambda key: (len(key), key))
            names = [text_of(name) for part in parts for name in group.attrs[part]]
            return [group[name] for name in names if name in group]

        network, pixels = read_description(description, arrays_of, warn, file.budget)
        levels = file.attrs.get(QCFS_LEVELS)
        return replace(network, levels=None if levels is None else int(levels)), pixels


def read_keras_zip(path: Path, warn: Say) -> Result:
    """Return the network in a `.keras` archive; parameters, results and errors as for `read_keras_h5`."""
    budget = Budget(path)
    try:
        with zipfile.ZipFile(str(path)) as archive:
            text = decoded(read_member(budget, archive, CONFIG, JSON_BYTES), path / CONFIG)
            description = parse_json(text, path / CONFIG)
            weights = read_member(budget, archive, WEIGHTS)
    except RAISED_BY_ZIPFILE as error:
        raise NotReadError(f"not a complete .keras file ({first_line(error)})") from error
    with reading(path / WEIGHTS, io.BytesIO(weights), budget) as file:
        groups = _weight_groups(description, file)

        def arrays_of(name: str) -> List[h5py.Dataset]:
            group = groups.get(name)
            if not isinstance(group, h5py.Group):
                return []
            return [group[str(number)] for number in range(len(group)) if str(number) in group]

        return read_description(description, arrays_of, warn, budget)


def _weight_groups(description: KerasObject, file: h5py.Group) -> Dict[str, Optional[h5py.Group]]:
    """Return the group with the weights of each layer, by its name."""
    root, step = (UNTIL_2_13, 2) if UNTIL_2_13 in file else ("layers", 1)
    count: Dict[str, int] = {}
    groups = {}
    try:
        for layer in description["config"]["layers"]:
            kind = _snake_case(layer["class_name"])
            number = count[kind] = count.get(kind, -step) + step
            suffix = f"_{number}" if number else ""
            groups[layer["config"]["name"]] = file.get(f"{root}/{kind}{suffix}/vars")
    except MALFORMED as error:
        raise NotReadError(f"{CONFIG} does not describe a Keras model") from error
    return groups


def _snake_case(name: str) -> str:
    """Write the name of a class as Keras does: Conv2D as conv2d, DepthwiseConv2D as depthwise_conv2d, ReLU as re_lu."""
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def read_description(
    description: JsonValue,
    arrays_of: ArraysOf,
    warn: Say,
    budget: Optional[Budget] = None,
) -> Result:
    """Return the network that a description of Keras (JSON) defines, with the arrays that `arrays_of` returns.

    The arrays of a layer, or of a model inside, are in the order in which Keras writes them. `budget` is that of the
    file; None for a model in memory. For results and errors see `read_keras_h5`.
    """
    try:
        read = _Description(description, warn, budget)
        layers = read.layers()
        weights = read.weights(arrays_of)
        layers = [replace(layer, weights=weights[read.path_of[layer.name]]) for layer in layers]
        layers, pixels = _without_preprocessing(layers)
    except MALFORMED as error:
        raise NotReadError("its description is not that of a Keras model") from error
    return TrainedNetwork(tuple(layers)), pixels


class _Description:
    """Reads the description of a model. A path is the names of the models around a layer, and its own."""

    def __init__(self, description: JsonValue, warn: Say, budget: Optional[Budget]) -> None:
        self._description = description
        self._budget = budget
        self.path_of: Dict[str, LayerPath] = {}  # of the layer, by the name of each of its uses
        self._kinds: Dict[LayerPath, List[Tuple[str, KerasLayer]]] = {}  # by path: ends of names, and layers
        self._expected: Dict[LayerPath, Dict[str, Shape]] = {}  # shapes of weights, by path
        self._made: Dict[str, TrainedLayer] = {}  # in order
        self._uses: Dict[str, int] = {}  # by the name of the first use, uses whose names are taken
        mixed: Set[str] = set()
        reasons = list(self._translate(description, (), mixed))
        if reasons:
            raise NotReadError(joined(reasons), "change the model, and save it again with model.save")
        if mixed:
            warn(
                f"the model computes in {', '.join(sorted(mixed))}; snnb computes in float32, as its weights are stored"
            )

    def _translate(self, model: KerasObject, around: LayerPath, mixed: Set[str]) -> Iterator[Reason]:
        """Translate the layers of a model; yield the reasons why some cannot be."""
        if model["class_name"] not in MODELS or not model["config"]["layers"]:
            raise ValueError
        for entry in model["config"]["layers"]:
            path = (*around, entry["config"]["name"])
            if entry["class_name"] in MODELS:
                yield from self._translate(entry, path, mixed)
                of_keras_3 = any("module" in layer for layer in entry["config"]["layers"])
                if of_keras_3 and not all(isinstance(kind, Preprocessing) for kind in self._kinds_in(entry, path)):
                    reason = "is a nested model, which is not supported in files of Keras 3"
                    yield _label(entry), f"{reason}: build the model of its layers one by one, or export it as .onnx"
                continue
            try:
                self._kinds[path] = [] if entry["class_name"] == "InputLayer" else _translated(entry, mixed)
            except (NotReadError, InputError) as error:
                self._kinds[path] = []
                # That of `configured` begins with the layer.
                yield _label(entry), str(error).replace(f"layer {path[-1]}: ", "", 1)

    def _kinds_in(self, model: KerasObject, path: LayerPath) -> Iterator[KerasLayer]:
        """Yield the layers of a translated model, and of the models inside."""
        for entry in model["config"]["layers"]:
            inner = (*path, entry["config"]["name"])
            if entry["class_name"] in MODELS:
                yield from self._kinds_in(entry, inner)
            else:
                yield from (kind for _, kind in self._kinds[inner])

    def layers(self) -> List[TrainedLayer]:
        """Return the layers that the output depends on, without weights: topological order, the input first."""
        config = self._description["config"]
        if self._description["class_name"] == "Sequential":
            first, shape = _first_shape(self._description)
            inputs = [f"{first}_input"]
        else:
            inputs = [name for name, *_ in _ends(config["input_layers"])]
            entry = {entry["config"]["name"]: entry for entry in config["layers"]}[inputs[0]]
            shape = entry["config"].get("batch_input_shape", entry["config"].get("batch_shape"))
        if len(inputs) != 1:
            raise NotReadError(f"it has {len(inputs)} inputs, and one is needed")
        if len(shape) != 4 or not all(isinstance(length, int) and length > 0 for length in shape[1:]):
            raise NotReadError(f"it takes inputs of shape {tuple(shape[1:])}; make it (height, width, channels), fixed")
        if shape[0] is not None:
            raise NotReadError(f"it takes exactly {shape[0]} images per batch: leave the batch size undefined")
        start = self._made[inputs[0]] = input_layer(inputs[0], tuple(int(length or 0) for length in shape[1:]))
        self.path_of[start.name] = (start.name,)
        ends = self._applied(self._description, [start], ())
        if len(ends) != 1:
            raise NotReadError(f"it has {len(ends)} outputs, and one is needed")
        return list(TrainedNetwork.ending_in(ends[0], list(self._made.values())).layers)

    def _applied(self, model: KerasObject, inputs: Sequence[TrainedLayer], around: LayerPath) -> List[TrainedLayer]:
        """Apply the layers of a model to values; return its outputs."""
        config = model["config"]
        if model["class_name"] == "Sequential":
            [value] = inputs
            for entry in config["layers"]:
                [value] = self._used(entry, [value], around)
            return [value]
        values: Dict[Tuple[str, int], List[TrainedLayer]] = {}  # outputs of each use of a layer
        for (name, *_), value in zip(_ends(config["input_layers"]), inputs):
            values[name, 0] = [value]
        calls = [
            (entry, use, _sources(entry, node))
            for entry in config["layers"]
            for use, node in enumerate(entry["inbound_nodes"])
        ]
        ends = _ends(config["output_layers"])
        # Keras from 2.4 on counts the uses of a model inside from 1.
        uses = {entry["config"]["name"]: len(entry["inbound_nodes"]) for entry in config["layers"]}
        named = [source for *_, sources in calls for source in sources] + ends
        first = dict.fromkeys(uses, 0)
        for name, use, _ in named:
            first[name] = max(first[name], use + 1 - uses[name]) if uses[name] else 0

        def value_of(name: str, use: int, tensor: int) -> TrainedLayer:
            return values[name, use - first[name]][tensor]

        # In the order of repeated loops over the calls that are left, of which each makes
        # those whose inputs are there: by number of the loop, and position.
        missing: List[Set[Tuple[str, int]]] = []
        readers: Dict[Tuple[str, int], List[int]] = {}
        for position, (*_, sources) in enumerate(calls):
            outputs = {(name, use - first[name]) for name, use, _ in sources}
            missing.append(outputs - values.keys())
            for output in missing[position]:
                readers.setdefault(output, []).append(position)
        ready = [(0, position) for position, left in enumerate(missing) if not left]
        while ready:
            loop, position = heapq.heappop(ready)
            entry, use, sources = calls[position]
            output = entry["config"]["name"], use
            read = [value_of(*source) for source in sources]
            values[output] = self._used(entry, read, around)
            for reader in readers.pop(output, []):
                missing[reader].remove(output)
                if not missing[reader]:
                    heapq.heappush(ready, (loop + (reader < position), reader))
        waiting = next((call[0] for call, left in zip(calls, missing) if left), None)
        if waiting is not None:
            raise NotReadError(f"{_label(waiting)} reads an output that no layer has")
        return [value_of(*end) for end in ends]

    def _used(self, entry: KerasObject, read: Sequence[TrainedLayer], around: LayerPath) -> List[TrainedLayer]:
        """Apply a layer, or a model inside, to values; return its outputs."""
        path = (*around, entry["config"]["name"])
        if self._budget is not None:
            self._budget.draw_steps(1, "uses of layers")
        if entry["class_name"] in MODELS:
            return self._applied(entry, read, path)
        if entry["class_name"] == "InputLayer":
            return list(read)
        for end, kind in self._kinds[path]:
            first = name = f"{'_'.join(path)}{end}"
            own = (*path, end) if end else path
            uses = self._uses.get(first, 1)
            while name in self._made:
                uses += 1
                name = f"{first}_use{uses}"
            self._uses[first] = uses
            if isinstance(kind, BatchNormalization) and list(np.ravel(kind.axis)) not in ([-1], [len(read[0].shape)]):
                axes = ", ".join(map(str, np.ravel(kind.axis)))
                raise NotReadError(f"{_label(entry)}: normalises axis {axes}, not the channels")
            try:
                made = TrainedLayer.reading(name, kind, read)
                expected = kind.weight_shapes(read[0].shape)
            except ValueError as error:
                raise NotReadError(f"{_label(entry)}: {error}") from error
            if self._budget is not None:
                weights = sum(map(math.prod, expected.values()))
                self._budget.draw(weights, f"weights of {_label(entry)}", WEIGHT_BYTES)
            if isinstance(kind, Reshape):  # in which one length may be open
                made = replace(made, layer=kind.model_copy(update={"target_shape": made.shape}))
            self._made[name], self.path_of[name], read = made, own, [made]
            self._expected.setdefault(own, expected)
        return list(read)

    def weights(self, arrays_of: ArraysOf) -> Dict[LayerPath, Dict[str, np.ndarray]]:
        """Return the weights of each layer by its path."""
        found: Dict[LayerPath, Dict[str, np.ndarray]] = {path: {} for path in self.path_of.values()}
        for entry in self._description["config"]["layers"]:
            # Keras writes the trainable weights of all layers of a model inside before the others.
            wanted = [(path, key) for _, path, key in sorted(self._weights_of(entry, ()), key=lambda each: each[0])]
            own = (entry["config"]["name"],)
            statistics = any(isinstance(kind, Preprocessing) for _, kind in self._kinds.get(own, []))
            if not wanted and not statistics:
                continue
            arrays = list(arrays_of(entry["config"]["name"]))
            if statistics:
                found[own] = {str(i): np.asarray(whole(array)) for i, array in enumerate(arrays)}
                continue
            expected, stored = [self._expected[path][key] for path, key in wanted], [each.shape for each in arrays]
            if stored != expected:
                raise NotReadError(
                    f"layer {entry['config']['name']} needs weights of the shapes {_shapes(expected)}, "
                    f"but the file holds {_shapes(stored)}"
                )
            for (path, key), array in zip(wanted, arrays):
                found[path][key] = _numbers_of(array, f"{key} of layer {'_'.join(path)}")
        return found

    def _weights_of(self, entry: KerasObject, around: LayerPath) -> Iterator[Tuple[bool, LayerPath, str]]:
        """Yield for each array of weights of a layer or model whether it is not trainable, its path, and its name."""
        path = (*around, entry["config"]["name"])
        for layer in entry["config"]["layers"] if entry["class_name"] in MODELS else []:
            yield from self._weights_of(layer, path)
        frozen = entry["config"].get("trainable") is False
        for key in self._expected.get(path, {}):
            yield frozen or key.startswith("moving_"), path, key


def _first_shape(model: KerasObject) -> Tuple[str, Sequence[Optional[int]]]:
    """Return the name of the first layer of a sequential model, and the shape of its input."""
    shape, name = model["config"].get("build_input_shape"), ""
    while model["class_name"] in MODELS:
        if model["class_name"] != "Sequential":
            ends = [end for end, *_ in _ends(model["config"]["input_layers"])]
            model = next(layer for layer in model["config"]["layers"] if layer["config"]["name"] == ends[0])
        else:
            model = model["config"]["layers"][0]
        name = name or model["config"]["name"]
    config = model["config"]
    given = config.get("batch_input_shape", config.get("batch_shape"))
    if given is None and shape is None:
        raise NotReadError("it has no defined input: give its first layer an input_shape")
    return name, shape if given is None else given


def _ends(tensors: JsonValue) -> List[Tuple[str, int, int]]:
    """Return inputs or outputs of a model as (layer, use, tensor); Keras 3 writes a single one without a list."""
    listed = [tensors] if isinstance(tensors[0], str) else tensors
    return [(name, int(use), int(tensor)) for name, use, tensor in listed]


def _sources(entry: KerasObject, node: JsonValue) -> List[Tuple[str, int, int]]:
    """Return the inputs of a use of a layer, each as (layer, use, tensor)."""
    augments = entry["class_name"] in AUGMENTATION or entry["class_name"] in MODELS
    if isinstance(node, dict):
        # Keras 3 writes `training=True` of layers that augment pictures, and does not apply it in predictions.
        sources, arguments = [], [] if augments else [node.get("kwargs", {})]
        for part in node["args"]:
            tensors = part if isinstance(part, list) else [part]
            if not all(isinstance(t, dict) and t["class_name"] == "__keras_tensor__" for t in tensors):
                raise NotReadError(f"{_label(entry)} takes a number or an object in addition to outputs of layers")
            sources += [tensor["config"]["keras_history"] for tensor in tensors]
    else:
        sources, arguments = [source[:3] for source in node], [source[3] for source in node if len(source) > 3]
    for key, value in [pair for given in arguments for pair in given.items()]:
        if value not in (None, False):
            advice = "remove it, and save the model again" if augments else ""
            raise NotReadError(f"{_label(entry)} is called with {key}={str(value)[:100]}", advice)
    return [(name, int(use), int(tensor)) for name, use, tensor in sources]


def _translated(entry: KerasObject, mixed: Set[str]) -> List[Tuple[str, KerasLayer]]:
    """Return a layer with the end of its name, and layers that replace some of its settings; none for the identity."""
    kind, module = SAME.get(entry["class_name"], entry["class_name"]), str(entry.get("module", "keras"))
    if not module.startswith(OF_KERAS) or ("keras.src.ops" in module and kind != "Add"):
        raise NotReadError(f"is of {module[:100]}, and not loaded from a file, since it may run code")
    config = {RENAMED.get(key, key): v for key, v in entry["config"].items() if not key.endswith(FOR_TRAINING)}
    numbers = config.pop("dtype", None)
    numbers = numbers["config"]["name"] if isinstance(numbers, dict) else numbers  # of a policy, or of the type
    if numbers in MIXED:
        mixed.add(numbers)
    elif numbers not in ("float32", None):
        raise NotReadError(f"computes in {numbers}, float32 is needed")
    if kind in IDENTITIES:
        return []
    if kind in ("Rescaling", "Normalization"):
        return [("", Preprocessing(kind_of=kind, config=config))]
    if kind == "Softmax" and config.pop("axis", -1) in (-1, [-1]):
        kind, config["activation"] = "Activation", "softmax"
    if kind not in KERAS_KINDS:
        other = f"snnb has no spiking form of it: build the model of {', '.join(CONVERTED)}"
        # A registered class of a user is `Package>Name`.
        raise NotReadError(NOT_READ["Lambda"] if ">" in kind else NOT_READ.get(kind, other))
    added: List[Tuple[str, KerasLayer]] = []
    if config.get("keepdims") is True and kind == "GlobalAveragePooling2D":
        del config["keepdims"]
        added.append(("_reshape", configured(Reshape, {"target_shape": (1, 1, -1)}, kind)))
    if config.get("activation") == "relu6":
        config["activation"] = "linear"
        added.append(("_relu", configured(KERAS_KINDS["ReLU"], {"max_value": 6.0}, kind)))
    known = KERAS_KINDS[kind].model_fields
    for key in sorted(set(config) - set(known) | {"groups"} & set(config)):
        value = config.pop(key)
        if value and key not in ANY_VALUE and value != WITHOUT_EFFECT.get(key):
            raise NotReadError(f"{key} {str(value)[:100]}: {REFUSED.get(key, 'snnb does not know this setting')}")
    layer = configured(KERAS_KINDS[kind], config, entry["config"]["name"])
    activation = layer.activation if isinstance(layer, (Weighted, Activation)) else "linear"
    if activation not in ACTIVATIONS:
        raise NotReadError(f"activation {str(activation)[:100]}: a spike rate represents relu, softmax and linear only")
    return [("", layer), *added]


def _label(entry: KerasObject) -> str:
    return f"layer {entry['config']['name']} ({entry['class_name']})"


def _numbers_of(array: Array, name: str) -> np.ndarray:
    """Return an array of a file as float32."""
    if array.dtype.kind not in "fiu":
        raise NotReadError(f"{name} is not numbers")
    values = whole(array).astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise NotReadError(f"{name} holds NaN or infinite values", "train the model again")
    return values


def _shapes(shapes: Sequence[Sequence[int]]) -> str:
    return ", ".join("×".join(map(str, shape)) or "1" for shape in shapes[:10]) or "nothing"


def _without_preprocessing(layers: Sequence[TrainedLayer]) -> Tuple[List[TrainedLayer], Optional[Pixels]]:
    """Return the layers without preprocessing, and the change of pixels that it makes; None without any.

    Raise `NotReadError` if such a layer is not at the start of the network, or another layer skips it.
    """
    before: Dict[str, List[TrainedLayer]] = {layers[0].name: []}  # steps between the picture and each of its forms
    remaining: List[TrainedLayer] = []
    read: List[List[TrainedLayer]] = []
    for layer in layers:
        if isinstance(layer.layer, Preprocessing):
            [source] = layer.inputs
            if source not in before:
                raise NotReadError(f"layer {layer.label} is not at the start of the model", ADVICE)
            before[layer.name] = [*before[source], layer]
            continue
        read += [before[name] for name in layer.inputs if name in before]
        inputs = tuple(layers[0].name if name in before else name for name in layer.inputs)
        remaining.append(replace(layer, inputs=inputs))
    steps = read[0] if read else []
    if any(other != steps for other in read):
        raise NotReadError(f"layer {max(read, key=len)[0].label} is skipped by another layer", ADVICE)
    return remaining, _affine(steps)


def _affine(steps: Sequence[TrainedLayer]) -> Optional[Pixels]:
    """Return the change of a pixel by preprocessing layers; None without any."""
    if not steps:
        return None
    factor, shift = np.ones(1), np.zeros(1)
    for step in steps:
        assert isinstance(step.layer, Preprocessing)
        config = step.layer.config
        try:
            if step.kind == "Rescaling":
                scale, offset = _numbers(config["scale"]), _numbers(config.get("offset", 0.0))
            else:
                scale, offset = _normalization(config, step.weights)
            factor, shift = factor * scale, shift * scale + offset
        except MALFORMED:
            raise NotReadError(f"layer {step.label} cannot be folded into the first weights", ADVICE) from None
        # A pooling before the first weights keeps the order of pixels only if the factor is positive.
        if not (np.isfinite(factor).all() and np.isfinite(shift).all() and factor.min() > 0):
            raise NotReadError(f"layer {step.label} does not multiply by positive numbers", ADVICE)
    return Pixels(factor, shift, layers=", ".join(f"layer {step.label}" for step in steps))


def _normalization(config: KerasObject, arrays: Mapping[str, np.ndarray]) -> Tuple[np.ndarray, np.ndarray]:
    """Return the factor and the shift of a `Normalization` layer; raise an error of `MALFORMED` if it has others."""
    axis = config.get("axis", -1)
    if config.get("invert") or axis not in (-1, 3, [-1], [3], None, []):
        raise ValueError
    if config.get("mean") is not None:
        mean, variance = _numbers(config["mean"]), _numbers(config["variance"])
    else:  # the arrays of a layer in a model inside are not known: KeyError
        mean, variance = (np.asarray(arrays[key], np.float64).reshape(-1) for key in "01")
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


def write_keras_h5(network: TrainedNetwork, path: Path, name: str) -> None:
    """Write a network as Keras 2 does with `model.save`; `name` is the model's."""
    layers = [
        StoredLayer(each.name, each.kind, each.layer.keras_config, each.inputs, each.weights) for each in network.layers
    ]
    write_model(path, name, layers, levels=network.levels)
