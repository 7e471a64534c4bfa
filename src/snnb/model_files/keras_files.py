"""Models that Keras 2 or 3 has saved: as one HDF5 file, or as a `.keras` archive.

`model.save("name.h5")` writes an HDF5 file. A `.keras` file, which Keras 2 writes from
2.12, is a zip archive of `config.json`, the description of the model, and
`model.weights.h5`, its weights. Both are read into memory; nothing is unpacked to disk.
Keras is not needed, and nothing of a file is run.

The layout of the weights is that of `keras/src/saving/saving_lib.py`: the arrays of a
layer are `layers/NAME/vars/0`, `1`, …, where NAME is its class in snake case, with
`_1`, `_2`, … from the second of a class on.

Models inside a model are replaced by their layers, and a layer that is used several
times by a layer for each use. Newer versions of Keras add keys to the configuration of
their layers. A key whose value does not change the output is ignored, a few are
expressed by an additional layer, and the others are refused by name. Initializers,
regularizers and constraints matter only in training, and are dropped.

Preprocessing layers are removed, and read as an affine change of pixels, which is
folded into the first weights: `Rescaling` computes `x * scale + offset`,
`Normalization` computes `(x - mean) / max(sqrt(variance), 1e-7)`
(`keras/src/layers/preprocessing/`). Layers that augment pictures are the identity at
inference.
"""

import heapq
import io
import math
import re
import zipfile
import zlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import (
    AbstractSet,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

import h5py
import numpy as np

from snnb.core.errors import InputError, first_line
from snnb.core.progress import Say
from snnb.io.budget import Budget
from snnb.io.hdf5 import json_attribute, reading, whole
from snnb.io.npy import read_member
from snnb.io.text import JSON_BYTES, JsonValue, decoded, parse_json
from snnb.model_files.fold_pixels import Pixels
from snnb.model_files.kinds import NotReadError, Reason, joined
from snnb.network.geometry import Shape
from snnb.network.keras_file import (
    MODELS,
    StoredLayer,
    array_names,
    levels_in,
    write_model,
)
from snnb.network.layers import (
    KERAS_KINDS,
    Activation,
    BatchNormalization,
    KerasLayer,
    Reshape,
    Weighted,
    configured,
)
from snnb.network.network import ACTIVATIONS
from snnb.network.trained import TrainedLayer, TrainedNetwork, input_layer

KerasObject = Dict[str, JsonValue]
Array = Union[h5py.Dataset, np.ndarray]
ArraysOf = Callable[
    [str],
    Sequence[Array],
]  # the arrays of a layer, or of a model inside, by its name
LayerPath = Tuple[str, ...]
Result = Tuple[TrainedNetwork, Optional[Pixels]]
# Settings without effect on the output: these whatever their value, those of
# `WITHOUT_EFFECT` with this value, and others that are off (None, False, 0)
_ANY_VALUE = """
batch_input_shape fused input_dtype input_shape momentum name renorm_clipping
renorm_momentum seed synchronized trainable
"""
ANY_VALUE = frozenset(_ANY_VALUE.split())
WITHOUT_EFFECT: Dict[str, JsonValue] = {
    "autocast": True,
    "groups": 1,
    "interpolation": "nearest",
}
REFUSED = {
    "groups": "only a Conv2D has groups",
    "negative_slope": "a spike rate is never negative",
    "threshold": "a spike rate cannot represent it",
}
FOR_TRAINING = ("_initializer", "_regularizer", "_constraint")
OF_KERAS = ("keras", "tf_keras", "tensorflow.keras")
MIXED = ("mixed_float16", "mixed_bfloat16")
RENAMED = {"batch_shape": "batch_input_shape"}  # from Keras 3
SAME = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
}
WEIGHT_BYTES = 4  # of a weight in memory
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
# Group of the layers until Keras 2.13, where each layer with weights counts twice
UNTIL_2_13 = "_layer_checkpoint_dependencies"
RAISED_BY_ZIPFILE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    KeyError,
)
MALFORMED = (KeyError, TypeError, IndexError, AttributeError, ValueError)
_AUGMENTATION = """
RandomBrightness RandomContrast RandomFlip RandomHeight RandomRotation
RandomTranslation RandomWidth RandomZoom
"""
AUGMENTATION = frozenset(_AUGMENTATION.split())
_TRAINING_ONLY = """
ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise
SpatialDropout2D
"""
TRAINING_ONLY = _TRAINING_ONLY.split()
IDENTITIES = AUGMENTATION.union(TRAINING_ONLY)  # at inference
CONVERTED = sorted([*KERAS_KINDS, *TRAINING_ONLY, "Softmax"])  # layers that are read
_BUILD_OF = f"build the model of {', '.join(CONVERTED)}"
_NOT_READ = {
    "ELU LeakyReLU PReLU Softmax ThresholdedReLU": (
        "a spike rate can represent relu, softmax and linear only",
        ", as Activation, ReLU or in the layer itself",
    ),
    "Average Dot Maximum Minimum Multiply Subtract": (
        "merges branches",
        ", which only Add and Concatenate can do",
    ),
    "CenterCrop RandomCrop Resizing": (
        "changes the size of images",
        ": remove it, and save the model again with the size of its images as input",
    ),
    "Bidirectional ConvLSTM2D GRU LSTM RNN SimpleRNN": (
        "recurrent layers are not supported",
        f": {_BUILD_OF}",
    ),
    "Lambda TFOpLambda TensorFlowOpLayer": (
        "is not loaded from a file",
        ", since it may run code",
    ),
}
NOT_READ: Dict[str, str] = {}  # reasons by class
for _kinds, _parts in _NOT_READ.items():
    NOT_READ.update(dict.fromkeys(_kinds.split(), "".join(_parts)))
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
    """Return the network in an HDF5 file, and the change of pixels by preprocessing.

    `warn` is called with a message for each difference between the network and the
    file. Raise `InputError` if the file is missing or damaged, `NotReadError` if it
    holds no complete model, a layer is not one that can be converted or has a setting
    that is not known, or the weights do not fit.
    """
    with reading(path) as file:
        description = json_attribute(file, "model_config", path)
        weights = file.get("model_weights")
        if description is None or not isinstance(weights, h5py.Group):
            raise NotReadError(
                "holds weights without a model, or a model without weights"
            )

        arrays_of = partial(_arrays_of_group, weights)
        network, pixels = read_description(description, arrays_of, warn, file.budget)
        return replace(network, levels=levels_in(file)), pixels


def _arrays_of_group(weights: h5py.Group, layer: str) -> List[h5py.Dataset]:
    """Return the arrays of a layer in an HDF5 file, in Keras's order."""
    group = weights.get(layer)
    if not isinstance(group, h5py.Group):
        return []
    return [group[name] for name in array_names(group) if name in group]


def read_keras_zip(path: Path, warn: Say) -> Result:
    """Return the network in a `.keras` archive.

    Parameters, results and errors are those of `read_keras_h5`.
    """
    budget = Budget(path)
    try:
        with zipfile.ZipFile(str(path)) as archive:
            text = decoded(
                read_member(budget, archive, CONFIG, JSON_BYTES),
                path / CONFIG,
            )
            description = parse_json(text, path / CONFIG)
            weights = read_member(budget, archive, WEIGHTS)
    except RAISED_BY_ZIPFILE as error:
        raise NotReadError(
            f"not a complete .keras file ({first_line(error)})"
        ) from error
    with reading(path / WEIGHTS, io.BytesIO(weights), budget) as file:
        groups = _weight_groups(description, file)
        arrays_of = partial(_arrays_by_number, groups)
        return read_description(description, arrays_of, warn, budget)


def _arrays_by_number(
    groups: Mapping[str, Optional[h5py.Group]],
    layer: str,
) -> List[h5py.Dataset]:
    """Return the arrays of a layer in an archive: those named `0`, `1`, …."""
    group = groups.get(layer)
    if not isinstance(group, h5py.Group):
        return []
    names = [str(number) for number in range(len(group))]
    return [group[name] for name in names if name in group]


def _weight_groups(
    description: KerasObject,
    file: h5py.Group,
) -> Dict[str, Optional[h5py.Group]]:
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
    """Write the name of a class as Keras does.

    DepthwiseConv2D is written as depthwise_conv2d, and ReLU as re_lu.
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def read_description(
    description: JsonValue,
    arrays_of: ArraysOf,
    warn: Say,
    budget: Optional[Budget] = None,
) -> Result:
    """Return the network that a description of Keras (JSON) defines.

    `arrays_of` returns the arrays of a layer, or of a model inside, in the order in
    which Keras writes them. `budget` is that of the file; None for a model in memory.
    For results and errors see `read_keras_h5`.
    """
    try:
        reader = _Description(description, warn, budget)
        bare_layers = reader.layers()
        weights = reader.weights(arrays_of)
        layers: List[TrainedLayer] = []
        for layer in bare_layers:
            layer_weights = weights[reader.path_of[layer.name]]
            layers.append(replace(layer, weights=layer_weights))
        layers, pixels = _remove_preprocessing(layers)
    except MALFORMED as error:
        raise NotReadError("its description is not that of a Keras model") from error
    return TrainedNetwork(tuple(layers)), pixels


class Source(NamedTuple):
    """An output of a layer as a model describes it."""

    layer: str  # its name
    use: int  # of the layer, counted from 0 or from another number
    tensor: int  # number of the output


class LayerUse(NamedTuple):
    """A use of a layer."""

    layer: str  # its name
    number: int  # from 0


class Call(NamedTuple):
    """A use of a layer, and the outputs that it reads."""

    entry: KerasObject  # the description of the layer
    use: LayerUse
    sources: List[Source]


class WeightSlot(NamedTuple):
    """The place of an array of weights."""

    is_constant: bool  # whether it is not trained
    path: LayerPath  # of its layer
    key: str  # its name in the layer


class _Description:
    """Reads the description of a model.

    A path is the names of the models around a layer, and its own.
    """

    def __init__(
        self,
        description: JsonValue,
        warn: Say,
        budget: Optional[Budget],
    ) -> None:
        self._description = description
        self._budget = budget
        self.path_of: Dict[
            str,
            LayerPath,
        ] = {}  # of the layer, by the name of each of its uses
        self._kinds: Dict[
            LayerPath,
            List[Tuple[str, KerasLayer]],
        ] = {}  # by path: ends of names, and layers
        self._weight_shapes: Dict[LayerPath, Dict[str, Shape]] = {}
        self._layers: Dict[str, TrainedLayer] = {}  # in topological order
        # Number of uses that have a name, by the name of the first use
        self._uses: Dict[str, int] = {}
        policies: Set[str] = set()  # of mixed precision
        reasons = list(self._translate(description, (), policies))
        if reasons:
            raise NotReadError(
                joined(reasons), "change the model, and save it again with model.save"
            )
        if policies:
            message = f"the model computes in {', '.join(sorted(policies))}"
            own_precision = "snnb computes in float32, as its weights are stored"
            warn(f"{message}; {own_precision}")

    def _translate(
        self,
        model: KerasObject,
        around: LayerPath,
        policies: Set[str],
    ) -> Iterator[Reason]:
        """Translate the layers of a model; yield the reasons why some cannot be.

        Add the policies of mixed precision that layers have to `policies`.
        """
        if model["class_name"] not in MODELS or not model["config"]["layers"]:
            raise ValueError
        for entry in model["config"]["layers"]:
            path = (*around, entry["config"]["name"])
            if entry["class_name"] in MODELS:
                yield from self._translate(entry, path, policies)
                if self._is_nested_keras_3(entry, path):
                    fault = "is a nested model"
                    reason = f"{fault}, which is not supported in files of Keras 3"
                    advice = "build the model of its layers one by one"
                    yield _label(entry), f"{reason}: {advice}, or export it as .onnx"
                continue
            self._kinds[path] = []
            if entry["class_name"] == "InputLayer":
                continue
            try:
                self._kinds[path] = _translate_layer(entry, policies)
            except (NotReadError, InputError) as error:
                # That of `configured` begins with the layer.
                reason = str(error).replace(f"layer {path[-1]}: ", "", 1)
                yield _label(entry), reason

    def _is_nested_keras_3(self, model: KerasObject, path: LayerPath) -> bool:
        """Whether Keras 3 wrote a model inside that is not for preprocessing alone."""
        if not any("module" in entry for entry in model["config"]["layers"]):
            return False
        kinds = self._kinds_in(model, path)
        return not all(isinstance(kind, Preprocessing) for kind in kinds)

    def _kinds_in(self, model: KerasObject, path: LayerPath) -> Iterator[KerasLayer]:
        """Yield the layers of a translated model, and of the models inside."""
        for entry in model["config"]["layers"]:
            inner = (*path, entry["config"]["name"])
            if entry["class_name"] in MODELS:
                yield from self._kinds_in(entry, inner)
            else:
                yield from (kind for _, kind in self._kinds[inner])

    def layers(self) -> List[TrainedLayer]:
        """Return the layers that the output depends on, without weights.

        The order is topological, the input first.
        """
        config = self._description["config"]
        if self._description["class_name"] == "Sequential":
            first_layer, shape = _first_shape(self._description)
            inputs = [f"{first_layer}_input"]
        else:
            inputs = [source.layer for source in _ends(config["input_layers"])]
            entries = {entry["config"]["name"]: entry for entry in config["layers"]}
            shape = _input_shape(entries[inputs[0]]["config"])
        if len(inputs) != 1:
            raise NotReadError(f"it has {len(inputs)} inputs, and one is needed")
        if len(shape) != 4 or not all(map(_is_length, shape[1:])):
            raise NotReadError(
                f"it takes inputs of shape {tuple(shape[1:])}; make it (height, width, "
                "channels), fixed"
            )
        if shape[0] is not None:
            raise NotReadError(
                f"it takes exactly {shape[0]} images per batch: leave the batch size "
                "undefined"
            )
        [input_name] = inputs
        sample_shape = tuple(int(length or 0) for length in shape[1:])
        start = input_layer(input_name, sample_shape)
        self._layers[input_name] = start
        self.path_of[input_name] = (input_name,)
        outputs = self._apply(self._description, [start], ())
        if len(outputs) != 1:
            raise NotReadError(f"it has {len(outputs)} outputs, and one is needed")
        network = TrainedNetwork.ending_in(outputs[0], list(self._layers.values()))
        return list(network.layers)

    def _apply(
        self,
        model: KerasObject,
        inputs: Sequence[TrainedLayer],
        around: LayerPath,
    ) -> List[TrainedLayer]:
        """Apply the layers of a model to values; return its outputs."""
        config = model["config"]
        if model["class_name"] == "Sequential":
            [value] = inputs
            for entry in config["layers"]:
                [value] = self._apply_layer(entry, [value], around)
            return [value]
        values: Dict[
            LayerUse,
            List[TrainedLayer],
        ] = {}  # outputs of each use of a layer
        for (name, *_), value in zip(_ends(config["input_layers"]), inputs):
            values[LayerUse(name, 0)] = [value]
        calls = _Calls(config)
        for call in calls.ordered(values.keys()):
            read: List[TrainedLayer] = []
            for source in call.sources:
                read.append(values[calls.use_of(source)][source.tensor])
            values[call.use] = self._apply_layer(call.entry, read, around)
        return [values[calls.use_of(end)][end.tensor] for end in calls.ends]

    def _apply_layer(
        self,
        entry: KerasObject,
        inputs: Sequence[TrainedLayer],
        around: LayerPath,
    ) -> List[TrainedLayer]:
        """Apply a layer, or a model inside, to values; return its outputs."""
        path = (*around, entry["config"]["name"])
        if self._budget is not None:
            self._budget.draw_steps(1, "uses of layers")
        if entry["class_name"] in MODELS:
            return self._apply(entry, inputs, path)
        values = list(inputs)
        if entry["class_name"] == "InputLayer":
            return values
        for name_end, kind in self._kinds[path]:
            name = self._unused_name(f"{'_'.join(path)}{name_end}")
            layer_path = (*path, name_end) if name_end else path
            layer = self._connect(entry, name, kind, values, layer_path)
            self._layers[name] = layer
            self.path_of[name] = layer_path
            values = [layer]
        return values

    def _unused_name(self, first_name: str) -> str:
        """Return a name that no layer has: `NAME`, `NAME_use2`, `NAME_use3`, …."""
        use = self._uses.get(first_name, 1)
        name = first_name
        while name in self._layers:
            use += 1
            name = f"{first_name}_use{use}"
        self._uses[first_name] = use
        return name

    def _connect(
        self,
        entry: KerasObject,
        name: str,
        kind: KerasLayer,
        inputs: Sequence[TrainedLayer],
        path: LayerPath,
    ) -> TrainedLayer:
        """Return a use of a layer, without weights; record their shapes by its path.

        Raise `NotReadError` if the layer does not fit its inputs.
        """
        label = _label(entry)
        shape = inputs[0].shape
        if isinstance(kind, BatchNormalization):
            axes = list(np.ravel(kind.axis))
            if axes not in ([-1], [len(shape)]):
                axes_text = ", ".join(map(str, axes))
                raise NotReadError(
                    f"{label}: normalises axis {axes_text}, not the channels"
                )
        try:
            layer = TrainedLayer.reading(name, kind, inputs)
            weight_shapes = kind.weight_shapes(shape)
        except ValueError as error:
            raise NotReadError(f"{label}: {error}") from error
        if self._budget is not None:
            weights = sum(map(math.prod, weight_shapes.values()))
            self._budget.draw(weights, f"weights of {label}", WEIGHT_BYTES)
        self._weight_shapes.setdefault(path, weight_shapes)
        if isinstance(kind, Reshape):  # in which one length may be open
            reshape = kind.model_copy(update={"target_shape": layer.shape})
            return replace(layer, layer=reshape)
        return layer

    def weights(self, arrays_of: ArraysOf) -> Dict[LayerPath, Dict[str, np.ndarray]]:
        """Return the weights of each layer by its path, and by their names."""
        weights: Dict[LayerPath, Dict[str, np.ndarray]] = {}
        for path in self.path_of.values():
            weights[path] = {}
        for entry in self._description["config"]["layers"]:
            name = entry["config"]["name"]
            kinds = [kind for _, kind in self._kinds.get((name,), [])]
            if any(isinstance(kind, Preprocessing) for kind in kinds):
                statistics: Dict[str, np.ndarray] = {}
                for number, array in enumerate(arrays_of(name)):
                    statistics[str(number)] = np.asarray(whole(array))
                weights[(name,)] = statistics
                continue
            slots = list(self._weight_slots(entry, ()))
            # Keras writes the trainable weights of all layers of a model before others.
            slots.sort(key=lambda slot: slot.is_constant)
            if not slots:
                continue
            arrays = list(arrays_of(name))
            shapes = [self._weight_shapes[slot.path][slot.key] for slot in slots]
            stored_shapes = [array.shape for array in arrays]
            if stored_shapes != shapes:
                raise NotReadError(
                    f"layer {name} needs weights of the shapes {_shapes(shapes)}, but "
                    f"the file holds {_shapes(stored_shapes)}"
                )
            for slot, array in zip(slots, arrays):
                label = f"{slot.key} of layer {'_'.join(slot.path)}"
                weights[slot.path][slot.key] = _numbers_of(array, label)
        return weights

    def _weight_slots(
        self,
        entry: KerasObject,
        around: LayerPath,
    ) -> Iterator[WeightSlot]:
        """Yield the places of the weights of a layer or model, in its order."""
        path = (*around, entry["config"]["name"])
        if entry["class_name"] in MODELS:
            for layer in entry["config"]["layers"]:
                yield from self._weight_slots(layer, path)
        is_frozen = entry["config"].get("trainable") is False
        for key in self._weight_shapes.get(path, {}):
            yield WeightSlot(is_frozen or key.startswith("moving_"), path, key)


class _Calls:
    """The uses of the layers of a functional model, with what each of them reads.

    `config` is the configuration of the model; `ends` are its outputs.
    """

    def __init__(self, config: KerasObject) -> None:
        self._calls: List[Call] = []
        use_counts: Dict[str, int] = {}
        for entry in config["layers"]:
            name = entry["config"]["name"]
            use_counts[name] = len(entry["inbound_nodes"])
            for number, node in enumerate(entry["inbound_nodes"]):
                use = LayerUse(name, number)
                self._calls.append(Call(entry, use, _sources(entry, node)))
        self.ends = _ends(config["output_layers"])
        # Keras from 2.4 on counts the uses of a model inside from 1.
        self._first_use = dict.fromkeys(use_counts, 0)
        for call in self._calls:
            self._count_uses(call.sources, use_counts)
        self._count_uses(self.ends, use_counts)

    def _count_uses(
        self,
        sources: Sequence[Source],
        use_counts: Mapping[str, int],
    ) -> None:
        """Find the first use of each layer, given outputs that are read."""
        for source in sources:
            name = source.layer
            first_use = self._first_use[name]
            count = use_counts[name]
            if count:
                self._first_use[name] = max(first_use, source.use + 1 - count)
            else:
                self._first_use[name] = 0

    def use_of(self, source: Source) -> LayerUse:
        """Return the use of a layer, counted from 0, whose output is read."""
        return LayerUse(source.layer, source.use - self._first_use[source.layer])

    def ordered(self, inputs: AbstractSet[LayerUse]) -> Iterator[Call]:
        """Yield the calls, each after those whose outputs it reads.

        `inputs` are the inputs of the model. The order is that of repeated loops over
        the remaining calls, in which a call is made if its inputs are there: by number
        of the loop, and position in the file. Raise `NotReadError` if a call reads an
        output that no layer has.
        """
        absent_inputs: List[Set[LayerUse]] = []
        readers: Dict[LayerUse, List[int]] = {}
        for position, call in enumerate(self._calls):
            uses = {self.use_of(source) for source in call.sources}
            absent_inputs.append(uses - inputs)
            for use in absent_inputs[position]:
                readers.setdefault(use, []).append(position)
        heap: List[Tuple[int, int]] = []  # number of the loop, and position of the call
        for position, uses in enumerate(absent_inputs):
            if not uses:
                heap.append((0, position))
        while heap:
            loop, position = heapq.heappop(heap)
            call = self._calls[position]
            yield call
            for reader in readers.pop(call.use, []):
                absent_inputs[reader].remove(call.use)
                if not absent_inputs[reader]:
                    reader_loop = loop + 1 if reader < position else loop
                    heapq.heappush(heap, (reader_loop, reader))
        for call, uses in zip(self._calls, absent_inputs):
            if uses:
                label = _label(call.entry)
                raise NotReadError(f"{label} reads an output that no layer has")


def _input_shape(config: KerasObject) -> JsonValue:
    """Return the shape of a layer's input, the batch first; None if it has none."""
    return config.get("batch_input_shape", config.get("batch_shape"))


def _is_length(length: Optional[int]) -> bool:
    """Whether the length of an axis is fixed."""
    return isinstance(length, int) and length > 0


def _first_shape(model: KerasObject) -> Tuple[str, JsonValue]:
    """Return the name of the first layer of a sequential model, and its input shape."""
    build_shape = model["config"].get("build_input_shape")
    name = ""
    while model["class_name"] in MODELS:
        entries = model["config"]["layers"]
        if model["class_name"] == "Sequential":
            model = entries[0]
        else:
            input_name = _ends(model["config"]["input_layers"])[0].layer
            names = [entry["config"]["name"] for entry in entries]
            model = entries[names.index(input_name)]
        name = name or model["config"]["name"]
    shape = _input_shape(model["config"])
    if shape is None:
        shape = build_shape
    if shape is None:
        raise NotReadError(
            "it has no defined input: give its first layer an input_shape"
        )
    return name, shape


def _ends(tensors: JsonValue) -> List[Source]:
    """Return inputs or outputs of a model; Keras 3 writes one without a list."""
    entries = [tensors] if isinstance(tensors[0], str) else tensors
    return [_source(entry) for entry in entries]


def _source(entry: JsonValue) -> Source:
    """Return an output that is described by layer, use and number."""
    name, use, tensor = entry
    return Source(name, int(use), int(tensor))


def _sources(entry: KerasObject, node: JsonValue) -> List[Source]:
    """Return the inputs of a use of a layer.

    Raise `NotReadError` if the layer is called with something else.
    """
    is_augmentation = entry["class_name"] in AUGMENTATION
    ignores_arguments = is_augmentation or entry["class_name"] in MODELS
    sources: List[JsonValue] = []
    arguments: List[KerasObject] = []
    if isinstance(node, dict):
        # Keras 3 writes `training=True` of layers that augment pictures, and does not
        # apply it in predictions.
        if not ignores_arguments:
            arguments.append(node.get("kwargs", {}))
        for argument in node["args"]:
            tensors = argument if isinstance(argument, list) else [argument]
            if not all(_is_tensor(tensor) for tensor in tensors):
                raise NotReadError(
                    f"{_label(entry)} takes a number or an object in addition to "
                    "outputs of layers"
                )
            sources += [tensor["config"]["keras_history"] for tensor in tensors]
    else:
        sources = [source[:3] for source in node]
        arguments = [source[3] for source in node if len(source) > 3]
    for options in arguments:
        for key, value in options.items():
            if value not in (None, False):
                fault = f"is called with {key}={str(value)[:100]}"
                advice = "remove it, and save the model again"
                raise NotReadError(
                    f"{_label(entry)} {fault}",
                    advice if ignores_arguments else "",
                )
    return [_source(source) for source in sources]


def _is_tensor(value: JsonValue) -> bool:
    """Whether an argument, as Keras 3 describes it, is an output of a layer."""
    return isinstance(value, dict) and value["class_name"] == "__keras_tensor__"


def _translate_layer(
    entry: KerasObject,
    policies: Set[str],
) -> List[Tuple[str, KerasLayer]]:
    """Return a layer with the end of its name: `""`.

    It is followed by layers that replace some of its settings. The identity has no
    layer. Add a policy of mixed precision to `policies`. Raise `NotReadError`, or
    `InputError` with the layer's name, if the layer cannot be converted.
    """
    class_name = entry["class_name"]
    kind = SAME.get(class_name, class_name)
    module = str(entry.get("module", "keras"))
    is_operation = "keras.src.ops" in module and kind != "Add"
    if not module.startswith(OF_KERAS) or is_operation:
        raise NotReadError(
            f"is of {module[:100]}, and not loaded from a file, since it may run code"
        )
    config: KerasObject = {}
    for key, value in entry["config"].items():
        if not key.endswith(FOR_TRAINING):
            config[RENAMED.get(key, key)] = value
    _check_precision(config.pop("dtype", None), policies)
    if kind in IDENTITIES:
        return []
    if kind in ("Rescaling", "Normalization"):
        return [("", Preprocessing(kind_of=kind, config=config))]
    if kind == "Softmax" and config.pop("axis", -1) in (-1, [-1]):
        kind = "Activation"
        config["activation"] = "softmax"
    if kind not in KERAS_KINDS:
        raise NotReadError(_reason_not_read(kind))
    further_layers: List[Tuple[str, KerasLayer]] = []
    if config.get("keepdims") is True and kind == "GlobalAveragePooling2D":
        del config["keepdims"]
        reshape = configured(Reshape, {"target_shape": (1, 1, -1)}, kind)
        further_layers.append(("_reshape", reshape))
    if config.get("activation") == "relu6":
        config["activation"] = "linear"
        relu = configured(KERAS_KINDS["ReLU"], {"max_value": 6.0}, kind)
        further_layers.append(("_relu", relu))
    _drop_settings(config, kind)
    layer = configured(KERAS_KINDS[kind], config, entry["config"]["name"])
    activation = "linear"
    if isinstance(layer, (Weighted, Activation)):
        activation = layer.activation
    if activation not in ACTIVATIONS:
        raise NotReadError(
            f"activation {activation[:100]}: a spike rate represents relu, softmax and "
            "linear only"
        )
    return [("", layer), *further_layers]


def _check_precision(dtype: JsonValue, policies: Set[str]) -> None:
    """Raise `NotReadError` unless a layer computes in float32 or mixed precision.

    `dtype` is a policy or a type of numbers; add one of mixed precision to `policies`.
    """
    name = dtype["config"]["name"] if isinstance(dtype, dict) else dtype
    if name in MIXED:
        policies.add(name)
    elif name not in ("float32", None):
        raise NotReadError(f"computes in {name}, float32 is needed")


def _reason_not_read(kind: str) -> str:
    """Return why layers of a class are not read."""
    if ">" in kind:  # a registered class of a user: `Package>Name`
        return NOT_READ["Lambda"]
    return NOT_READ.get(
        kind,
        f"snnb has no spiking form of it: build the model of {', '.join(CONVERTED)}",
    )


def _drop_settings(config: KerasObject, kind: str) -> None:
    """Remove the settings of a layer that a class does not have.

    Raise `NotReadError` if one of them changes the output.
    """
    settings = set(config) - set(KERAS_KINDS[kind].model_fields)
    # Keras has neither groups nor `cropping` of a Conv2DTranspose; snnb writes them
    if "groups" in config and kind not in ("Conv2D", "Conv2DTranspose"):
        settings.add("groups")
    for key in sorted(settings):
        value = config.pop(key)
        if value and key not in ANY_VALUE and value != WITHOUT_EFFECT.get(key):
            reason = REFUSED.get(key, "snnb does not know this setting")
            raise NotReadError(f"{key} {str(value)[:100]}: {reason}")


def _label(entry: KerasObject) -> str:
    return f"layer {entry['config']['name']} ({entry['class_name']})"


def _numbers_of(array: Array, name: str) -> np.ndarray:
    """Return an array of a file as float32."""
    if array.dtype.kind not in "fiu":
        raise NotReadError(f"{name} is not numbers")
    values = whole(array).astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise NotReadError(
            f"{name} holds NaN or infinite values", "train the model again"
        )
    return values


def _shapes(shapes: Sequence[Sequence[int]]) -> str:
    texts = ["×".join(map(str, shape)) or "1" for shape in shapes[:10]]
    return ", ".join(texts) or "nothing"


def _remove_preprocessing(
    layers: Sequence[TrainedLayer],
) -> Tuple[List[TrainedLayer], Optional[Pixels]]:
    """Return the other layers, and the change of pixels by preprocessing layers.

    Without any, the change is None. Raise `NotReadError` if such a layer is not at the
    start of the network, or another layer skips it.
    """
    picture = layers[0].name
    # Preprocessing layers between the picture and each value that they compute of it
    steps_before: Dict[str, List[TrainedLayer]] = {picture: []}
    remaining_layers: List[TrainedLayer] = []
    read_steps: List[List[TrainedLayer]] = []  # before each value that a layer reads
    for layer in layers:
        if isinstance(layer.layer, Preprocessing):
            [source] = layer.inputs
            if source not in steps_before:
                raise NotReadError(
                    f"layer {layer.label} is not at the start of the model", ADVICE
                )
            steps_before[layer.name] = [*steps_before[source], layer]
            continue
        inputs: List[str] = []
        for name in layer.inputs:
            if name in steps_before:
                read_steps.append(steps_before[name])
                name = picture
            inputs.append(name)
        remaining_layers.append(replace(layer, inputs=tuple(inputs)))
    steps = read_steps[0] if read_steps else []
    if any(layer_steps != steps for layer_steps in read_steps):
        longest_steps = max(read_steps, key=len)
        raise NotReadError(
            f"layer {longest_steps[0].label} is skipped by another layer", ADVICE
        )
    return remaining_layers, _affine(steps)


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
                scale, offset = (
                    _numbers(config["scale"]),
                    _numbers(config.get("offset", 0.0)),
                )
            else:
                scale, offset = _normalization(config, step.weights)
            factor, shift = factor * scale, shift * scale + offset
        except MALFORMED:
            raise NotReadError(
                f"layer {step.label} cannot be folded into the first weights",
                ADVICE,
            ) from None
        # A pooling before the first weights keeps the order of pixels only if the
        # factor is positive.
        is_finite = np.isfinite(factor).all() and np.isfinite(shift).all()
        if not (is_finite and factor.min() > 0):
            raise NotReadError(
                f"layer {step.label} does not multiply by positive numbers",
                ADVICE,
            )
    return Pixels(
        factor,
        shift,
        layers=", ".join(f"layer {step.label}" for step in steps),
    )


def _normalization(
    config: KerasObject,
    arrays: Mapping[str, np.ndarray],
) -> Tuple[np.ndarray, np.ndarray]:
    """Return the factor and the shift of a `Normalization` layer.

    Raise an error of `MALFORMED` if its numbers are not known or of another form.
    """
    axis = config.get("axis", -1)
    if config.get("invert") or axis not in (-1, 3, [-1], [3], None, []):
        raise ValueError
    if config.get("mean") is not None:
        mean, variance = _numbers(config["mean"]), _numbers(config["variance"])
    else:  # the arrays of a layer in a model inside are not known: KeyError
        mean = np.asarray(arrays["0"], np.float64).reshape(-1)
        variance = np.asarray(arrays["1"], np.float64).reshape(-1)
    scale = 1 / np.maximum(np.sqrt(variance), SMALLEST_DEVIATION)
    return scale, -mean * scale


def _numbers(value: JsonValue) -> np.ndarray:
    """Return a number, or one for each channel: float64 (1,) or (channels,)."""
    if isinstance(value, dict):  # an array, as Keras 3 writes it
        value = value["config"]["value"]
    numbers = np.asarray(value, np.float64)
    if numbers.size != max((1, *numbers.shape)):
        raise ValueError
    return numbers.reshape(-1)


def write_keras_h5(network: TrainedNetwork, path: Path, name: str) -> None:
    """Write a network as Keras 2 does with `model.save`; `name` is the model's."""
    layers = []
    for layer in network.layers:
        config = layer.layer.keras_config
        layers.append(
            StoredLayer(layer.name, layer.kind, config, layer.inputs, layer.weights),
        )
    write_model(path, name, layers, levels=network.levels)
