"""Load Keras's h5 files so that nothing in them can run, and check the sizes that they declare.

Keras builds any layer that a file names: a Lambda runs the bytecode in the file, a TensorFlowOpLayer any operation of
TensorFlow, even one that writes files, and names of functions are looked up in its modules. So a file may name only the
layers and functions that are listed here, each at its proper place.
"""

import copy
import math
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Set, Tuple

import h5py

from snnb.core.errors import InputError, out_of_memory
from snnb.io.hdf5 import json_attribute, numbers_stored, reading
from snnb.io.text import JsonValue

if TYPE_CHECKING:
    from tensorflow import keras

MODELS = ("Sequential", "Model", "Functional")
MOST_LAYERS = 10_000  # when those used again are counted again: models inside models can multiply
_LAYERS = """
Activation ActivityRegularization Add AlphaDropout Average AveragePooling1D AveragePooling2D AveragePooling3D
BatchNormalization BatchNormalizationV1 BatchNormalizationV2 Concatenate Conv1D Conv2D Conv2DTranspose Conv3D
Conv3DTranspose Cropping1D Cropping2D Cropping3D Dense DepthwiseConv2D Dot Dropout ELU Embedding Flatten
GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D InputLayer LayerNormalization LeakyReLU Masking
MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum Multiply PReLU Permute ReLU RepeatVector Reshape
SeparableConv1D SeparableConv2D Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D Subtract
ThresholdedReLU UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
LAYERS = frozenset(_LAYERS.split())
# The names that a value of a layer's configuration may have, by the end of its key.
NAMES: Dict[str, str] = {
    "activation": "elu exponential hard_sigmoid linear relu selu sigmoid softmax softplus softsign swish tanh",
    "initializer": """
        Constant GlorotNormal GlorotUniform Identity Ones Orthogonal RandomNormal RandomUniform TruncatedNormal
        VarianceScaling Zeros constant glorot_normal glorot_uniform he_normal he_uniform identity lecun_normal
        lecun_uniform normal ones orthogonal random_normal random_uniform truncated_normal uniform zeros
        """,
    "regularizer": "L1L2 l1 l1_l2 l2",
    "constraint": "MaxNorm MinMaxNorm NonNeg UnitNorm max_norm min_max_norm non_neg unit_norm",
}
ALLOWED = {key: frozenset(names.split()) for key, names in NAMES.items()}


def load_model(path: Path, remedy: str) -> "keras.Model":
    """Load a model with its weights, uncompiled.

    Parameters
    ----------
    path : Path
        The file.
    remedy : str
        What a person can do when it is damaged; the end of the message.

    Returns
    -------
    keras.Model
        The model.

    Raises
    ------
    InputError
        The file is not a complete Keras model, names a layer or function that is not listed here, declares more weights
        than it holds, or has data in another file; or Keras cannot build it.
    """
    from tensorflow import keras

    with reading(path, remedy) as file:
        architecture = json_attribute(file, "model_config", path, remedy)
        if architecture is None:
            raise InputError(f"{path} holds no model, at most its weights; {remedy}")
        check_layers(architecture, str(path), remedy)
        try:
            _check_sizes(architecture, file, path, remedy)
            return keras.models.load_model(file, compile=False)
        except InputError:
            raise
        except Exception as error:  # whatever Keras raises here is about the file
            raise not_loaded(error, str(path), remedy) from error


def not_loaded(error: Exception, where: str, remedy: str) -> Exception:
    """Return what to raise for an error of Keras about the model in a file: an `InputError`, unless memory is short."""
    from tensorflow import keras

    if out_of_memory(error):
        return error
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return InputError(f"{where}: Keras {keras.__version__} cannot load it ({line[:200]}); {remedy}")


def check_layers(architecture: JsonValue, where: str, remedy: str) -> None:
    """Refuse the description of a model that names anything but Keras's own layers that cannot run code.

    Parameters
    ----------
    architecture : object
        What Keras writes as `model_config`, parsed from its JSON.
    where : str
        The file that it was found in; the beginning of the message.
    remedy : str
        What a person can do; the end of the message.

    Raises
    ------
    InputError
        A layer is not allowed; the message names it and its kind.
    """
    fault = next(_faults_of_model(architecture), None)
    if fault is None and _uses(architecture) > MOST_LAYERS:
        fault = f"has more than {MOST_LAYERS:,} layers when those used again are counted again"
    if fault is not None:
        raise InputError(f"{where}: {fault}; {remedy}")


def _faults_of_model(model: JsonValue) -> Iterator[str]:
    kind, config = _kind_and_config(model)
    layers = config.get("layers")
    if kind not in MODELS or not isinstance(layers, list) or not layers:
        yield "the attribute model_config is not a Keras model's"
        return
    for layer in layers:
        yield from _faults_of_layer(layer)
    if not _is_plain({key: value for key, value in config.items() if key != "layers"}):
        yield "the model has a value that no model of Keras has"
    if kind != "Sequential":
        yield from _faults_of_connections(layers)


def _faults_of_layer(layer: JsonValue) -> Iterator[str]:
    kind, config = _kind_and_config(layer)
    where = f"layer {_name(config)} ({kind})"
    if not kind or not isinstance(config.get("name"), str):
        yield "the attribute model_config has a layer without a class or a name"
    elif kind in MODELS:
        yield from _faults_of_model(layer)
    elif kind not in LAYERS:
        yield f"{where} is not loaded from a file, since it may run code"
    else:
        yield from (f"{where}: {fault}" for fault in _faults_of_config(config))


def _uses(model: Dict[str, JsonValue]) -> int:
    """Count the uses of the layers of a model and of the models in it."""
    return sum(
        (_uses(layer) if layer["class_name"] in MODELS else 1) * max(1, len(layer.get("inbound_nodes", [])))
        for layer in model["config"]["layers"]
    )


def first_use(layer: Dict[str, JsonValue]) -> int:
    """Return the number of the first use of a layer: 1 for a model that has an input, which Keras counts as a use."""
    while layer["class_name"] == "Sequential":
        layer = layer["config"]["layers"][0]
        if "batch_input_shape" in layer["config"]:
            return 1
    return int(layer["class_name"] in MODELS)


def _faults_of_connections(layers: List[Dict[str, JsonValue]]) -> Iterator[str]:
    """Yield connections with which Keras would never end: it tries again until each layer has found its inputs.

    Keras numbers the uses of a layer in the order in which they find their inputs, so that order must be theirs.
    """
    there: Set[Tuple[str, int]] = set()
    waiting: List[Tuple[str, int, List[Tuple[str, int]]]] = []
    names: Set[str] = set()
    turns: Dict[str, int] = {}
    for layer in layers:
        name, nodes = layer["config"]["name"], layer.get("inbound_nodes")
        where = f"layer {_name(layer['config'])}"
        if layer.get("name") != name or name in names:
            yield f"{where} has two names, or one that another layer has"
            return
        if not isinstance(nodes, list) or not all(map(_is_node, nodes)):
            yield f"{where} has connections that are not valid"
            return
        if (layer["class_name"] == "InputLayer") == bool(nodes):
            yield f"{where} is used {len(nodes)} times, as an input layer never is and any other must be"
            return
        if not nodes:
            there.add((name, 0))
        first = first_use(layer)
        if any(source[0] not in names for node in nodes[:1] for source in node):
            yield f"{where} takes its input from a layer that does not come before it"
            return
        names.add(name)
        turns[name] = first
        waiting += [(name, i, [(source[0], source[1]) for source in node]) for i, node in enumerate(nodes, first)]
    while waiting:
        left = []
        for name, number, sources in waiting:
            found = all(source in there for source in sources)
            if found and turns[name] < number:
                yield f"layer {name[:100]} is used in another order than Keras would: save the model again"
                return
            if found:
                there.add((name, number))
                turns[name] += 1
            else:
                left.append((name, number, sources))
        if len(left) == len(waiting):
            yield f"layer {waiting[0][0][:100]} takes its input from a use of a layer that there is not"
            return
        waiting = left


def _is_node(node: JsonValue) -> bool:
    """Whether it lists the inputs of a layer: each as `[layer, use, tensor]`, and perhaps arguments."""
    return (
        isinstance(node, list)
        and bool(node)
        and all(
            isinstance(source, list)
            and len(source) in (3, 4)
            and isinstance(source[0], str)
            and all(type(number) is int and number >= 0 for number in source[1:3])
            and all(isinstance(arguments, dict) for arguments in source[3:])
            and _is_plain(source[3:])
            for source in node
        )
    )


def _kind_and_config(entry: JsonValue) -> Tuple[str, Dict[str, JsonValue]]:
    """Return class and configuration of a layer or model, empty where they have another type than they must have."""
    kind, config = (entry.get("class_name"), entry.get("config")) if isinstance(entry, dict) else (None, None)
    if not isinstance(kind, str) or not isinstance(config, dict):
        return "", {}
    return kind, config


def _name(config: Dict[str, JsonValue]) -> str:
    return str(config.get("name"))[:100]


def _faults_of_config(config: Dict[str, JsonValue]) -> Iterator[str]:
    for key, value in config.items():
        names = ALLOWED.get(key.rsplit("_", 1)[-1])
        if isinstance(value, dict):
            kind, inner = _kind_and_config(value)
            if names is None or kind not in names or value.keys() != {"class_name", "config"} or not _is_plain(inner):
                yield f"its {key} is {kind or 'none'}, which is not Keras's own"
        elif names is not None and value is not None and not (isinstance(value, str) and value in names):
            yield f"its {key} is {str(value)[:100]}, which is not Keras's own"
        elif not _is_plain(value):
            yield f"its {key} is no value that a layer can have"


def _is_plain(value: JsonValue) -> bool:
    """Whether it consists of numbers, text, lists and mappings, without a description of an object."""
    waiting: List[JsonValue] = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                return False
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, (int, float)) and not abs(value) < 2**63:  # NaN, or too large a number
            return False
    return True


def size_up(architecture: JsonValue) -> Tuple[int, Tuple[Optional[int], ...]]:
    """Return how many weights a model has and the shape of its output, with the batch axis.

    No memory is taken for them: TensorFlow takes none in a graph.

    Parameters
    ----------
    architecture : object
        A description that `check_layers` has passed. Keras raises whatever it does for one that it cannot build.
    """
    import tensorflow as tf
    from tensorflow import keras
    from tensorflow.python.util import deprecation

    with tf.Graph().as_default(), deprecation.silence():  # Keras uses deprecated functions there
        model = keras.models.model_from_config(copy.deepcopy(architecture))
        needed = sum(math.prod(int(length) for length in weight.shape) for weight in model.weights)
        return needed, model.output_shape


def _check_sizes(architecture: Dict[str, JsonValue], file: h5py.File, path: Path, remedy: str) -> None:
    """Refuse a model with more weights than the file holds."""
    (needed, _), stored = size_up(architecture), numbers_stored(file["model_weights"])
    if needed > stored:
        raise InputError(f"{path}: its layers need {needed:,} weights, but it holds {stored:,}; {remedy}")
