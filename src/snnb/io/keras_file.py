"""Load Keras's h5 files so that nothing in them can run.

Keras builds any layer that a file names: a Lambda runs the bytecode in the file, a TensorFlowOpLayer any operation of
TensorFlow, and names of functions are looked up in its modules. A file may therefore name only the classes and
functions that are listed here.
"""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterator, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import DamagedError, SnnbError, first_line, out_of_memory
from snnb.io.hdf5 import json_attribute, reading, write_array, writing
from snnb.io.text import JsonValue

if TYPE_CHECKING:
    from snnb.io.keras import keras

QCFS_LEVELS = "qcfs_levels"  # attribute of the file of a model trained with quantised activations
MODELS = ("Sequential", "Model", "Functional")
_CONVERTED = """
Activation ActivityRegularization Add AlphaDropout AveragePooling2D BatchNormalization Concatenate Conv2D Dense
DepthwiseConv2D Dropout Flatten GaussianDropout GaussianNoise GlobalAveragePooling2D InputLayer MaxPooling2D ReLU
Reshape SeparableConv2D Softmax SpatialDropout2D ZeroPadding2D
"""
CONVERTED = _CONVERTED.split()  # layers that `snnb.conversion` converts
# Layers that `snnb.conversion` refuses, each with its reason
_OTHERS = """
Average AveragePooling1D AveragePooling3D Conv1D Conv2DTranspose Conv3D Conv3DTranspose Cropping1D Cropping2D
Cropping3D Dot ELU Embedding GlobalAveragePooling1D GlobalAveragePooling3D GlobalMaxPooling1D GlobalMaxPooling2D
GlobalMaxPooling3D LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling3D Maximum Minimum Multiply PReLU
Permute RepeatVector SeparableConv1D SpatialDropout1D SpatialDropout3D Subtract ThresholdedReLU UpSampling1D
UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding3D
"""
LAYERS = frozenset([*CONVERTED, "BatchNormalizationV1", "BatchNormalizationV2", *_OTHERS.split()])
RECURRENT = ("Bidirectional", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN")
RUN_CODE = ("Lambda", "TFOpLambda", "TensorFlowOpLayer")  # and registered classes of users, as `Package>Name`
# Names of classes and functions in a layer's configuration, by the end of the key.
NAMES: Dict[str, str] = {
    "activation": "elu exponential hard_sigmoid linear relu selu sigmoid softmax softplus softsign swish tanh",
    "initializer": """
        Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones
        Orthogonal RandomNormal RandomUniform TruncatedNormal
        VarianceScaling Zeros constant glorot_normal glorot_uniform he_normal he_uniform identity lecun_normal
        lecun_uniform normal ones orthogonal random_normal random_uniform truncated_normal uniform zeros
        """,
    "regularizer": "L1 L1L2 L2 l1 l1_l2 l2",
    "constraint": "MaxNorm MinMaxNorm NonNeg UnitNorm max_norm min_max_norm non_neg unit_norm",
}
ALLOWED = {key: frozenset(names.split()) for key, names in NAMES.items()}


def load_model(path: Path) -> "keras.Model":
    """Load a model with its weights, uncompiled.

    Raise `DamagedError` if the file is not a complete Keras model, names a class or function that is not listed here,
    or Keras cannot build the model.
    """
    from snnb.io.keras import keras, limited_weights

    with reading(path) as file, limited_weights(path):
        architecture = json_attribute(file, "model_config", path)
        if architecture is None:
            raise DamagedError(path, "holds no model, at most its weights")
        check_layers(architecture, path)
        try:
            return keras.models.load_model(file, compile=False)
        except SnnbError:
            raise
        except Exception as error:  # Keras raises exceptions of many types for a damaged file
            if out_of_memory(error):
                raise
            raise DamagedError(path, f"Keras {keras.__version__} cannot load it ({first_line(error)})") from error


def read_levels(path: Path) -> Optional[int]:
    """Return the levels of the quantised activations that a model was trained with; None without such activations."""
    with reading(path) as file:
        levels = file.attrs.get(QCFS_LEVELS)
    return None if levels is None else int(levels)


def check_layers(architecture: JsonValue, path: Path) -> None:
    """Raise `DamagedError` if a model's description (JSON) names a layer or function that is not listed here."""
    fault = next(_faults_of_model(architecture), None)
    if fault is not None:
        raise DamagedError(path, fault)


def _faults_of_model(model: JsonValue) -> Iterator[str]:
    kind, config = _kind_and_config(model)
    layers = config.get("layers")
    if kind not in MODELS or not isinstance(layers, list) or not layers:
        yield "the attribute model_config is not a Keras model's"
        return
    yield from _faults_of_values({key: value for key, value in config.items() if key != "layers"})
    for layer in layers:
        kind, config = _kind_and_config(layer)
        yield from _faults_of_module(layer)
        where = f"layer {str(config.get('name'))[:100]} ({kind})"
        if not kind or not isinstance(config.get("name"), str):
            yield "the attribute model_config has a layer without a class or a name"
        elif kind in MODELS:
            yield from _faults_of_model(layer)
        elif kind not in LAYERS:
            yield not_loaded(where, kind)
        else:
            yield from (f"{where}: {fault}" for fault in _faults_of_values([config, layer.get("inbound_nodes")]))


def not_loaded(where: str, kind: str) -> str:
    """Return the refusal of a layer of a kind that snnb does not convert; `where` describes it."""
    reason = "snnb has no spiking form of it"
    if kind in RECURRENT:
        reason = "recurrent layers are not supported"
    elif kind in RUN_CODE or ">" in kind:
        reason = "it may run code"
    return f"{where} is not loaded from a file, since {reason}: build the model of {', '.join(CONVERTED)}"


def _kind_and_config(entry: JsonValue) -> Tuple[str, Dict[str, JsonValue]]:
    """Return class and configuration of a layer or model, empty if they have another type."""
    kind, config = (entry.get("class_name"), entry.get("config")) if isinstance(entry, dict) else (None, None)
    return (kind, config) if isinstance(kind, str) and isinstance(config, dict) else ("", {})


def _faults_of_module(value: JsonValue) -> Iterator[str]:
    """Yield the module that an entry names if it is not one of Keras: newer versions of Keras import it."""
    module = value.get("module") if isinstance(value, dict) and "class_name" in value else None
    if module is not None and not re.fullmatch(r"(tensorflow\.keras|tf_keras|keras)(\.\w+)*", str(module)):
        yield f"the module {str(module)[:100]} is not one of Keras"


def _faults_of_values(value: JsonValue, key: str = "") -> Iterator[str]:
    """Yield the classes and functions in a layer's or model's configuration that are not listed here."""
    names = ALLOWED.get(key.rsplit("_", 1)[-1])
    if isinstance(value, dict):
        yield from _faults_of_module(value)
        if "class_name" in value and (names is None or str(value["class_name"]) not in names):
            yield _unsupported(key, value["class_name"])
        for inner_key, inner in value.items():
            yield from _faults_of_values(inner, inner_key)
    elif isinstance(value, list):
        for inner in value:
            yield from _faults_of_values(inner, key)
    elif names is not None and value is not None and not (isinstance(value, str) and value in names):
        yield _unsupported(key, value)


def _unsupported(key: str, value: JsonValue) -> str:
    advice = "use relu, softmax or linear" if key == "activation" else "omit it"
    return f"its {key or 'argument'} is {str(value)[:100]}, which is not supported: {advice}"


class StoredLayer(NamedTuple):
    """A layer as a file describes it."""

    name: str
    kind: str  # the Keras class
    config: Mapping[str, JsonValue]  # Keras's configuration of the layer, the name apart
    inputs: Tuple[str, ...]  # names of the layers it reads, in order; a name can occur twice
    arrays: Mapping[str, np.ndarray]  # its weights by Keras's names (`kernel`, `bias`), in Keras's order


_VERSION = {"backend": b"tensorflow", "keras_version": b"2.3.0-tf"}  # of TensorFlow 2.2
# As the toolbox compiles a model, so that its command line does not ask for a loss.
_COMPILED = {
    "loss": "categorical_crossentropy",
    "metrics": ["accuracy", "top_k_categorical_accuracy"],
    "weighted_metrics": None,
    "loss_weights": None,
    "sample_weight_mode": None,
    "optimizer_config": {
        "class_name": "SGD",
        "config": {"name": "SGD", "learning_rate": 0.01, "decay": 0.0, "momentum": 0.0, "nesterov": False},
    },
}
_NAMES_BYTES = 64000  # of an attribute, at most


def write_model(
    path: Path, name: str, layers: Sequence[StoredLayer], *, levels: Optional[int] = None, compiled: bool = False
) -> None:
    """Write a model as Keras of TensorFlow 2.2 does with `model.save`, and without times.

    `layers` are in topological order, the input first and the output last. For `levels` see `read_levels`; `compiled`
    adds loss and metrics, as the toolbox has them.
    """
    entries = []
    for layer in layers:
        nodes = [[[read, 0, 0, {}] for read in layer.inputs]] if layer.inputs else []
        config = {"name": layer.name, "dtype": "float32", **layer.config}
        entries.append({"class_name": layer.kind, "config": config, "name": layer.name, "inbound_nodes": nodes})
    ends = {"input_layers": [[layers[0].name, 0, 0]], "output_layers": [[layers[-1].name, 0, 0]]}
    description = {"class_name": "Model", "config": {"name": name, "layers": entries, **ends}}
    with writing(path) as file:
        file.attrs.update({**_VERSION, "model_config": json.dumps(description).encode()})
        if compiled:
            file.attrs["training_config"] = json.dumps(_COMPILED).encode()
        if levels is not None:
            file.attrs[QCFS_LEVELS] = levels
        weights = file.create_group("model_weights")
        weights.attrs.update(_VERSION)
        names = np.array([layer.name.encode() for layer in layers])
        parts = np.array_split(names, -(-names.nbytes // _NAMES_BYTES))
        for number, part in enumerate(parts):
            weights.attrs[f"layer_names{number}" if len(parts) > 1 else "layer_names"] = part
        for layer in sorted(layers, key=lambda each: each.name):
            group = weights.require_group(layer.name)
            keys = {f"{layer.name}/{key}:0": values for key, values in layer.arrays.items()}
            group.attrs["weight_names"] = np.array([key.encode() for key in keys])
            for key, values in keys.items():
                write_array(group, key, np.asarray(values, np.float32))
