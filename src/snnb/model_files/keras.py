"""Keras 2 for all of this package: TensorFlow's own up to 2.15, and `tf_keras` from TensorFlow 2.16 on.

`snnb/__init__.py` sets TF_USE_LEGACY_KERAS, by which `tensorflow.keras` is `tf_keras` in a user's own model too.
"""

import json
import os

import tensorflow

from snnb.core.machine import processors
from snnb.io.text import JsonValue

__all__ = ["NEWER", "description_of", "keras", "older_description"]

NEWER = tuple(int(part) for part in tensorflow.__version__.split(".")[:2]) >= (2, 16)
if NEWER:
    import tf_keras as keras

    # Current GPUs round the factors of a convolution or a matrix product to 11 bits by default.
    tensorflow.config.experimental.enable_tensor_float_32_execution(False)
else:
    from tensorflow import keras

# TensorFlow ignores the processor limit of a container. It reads these variables when it computes first.
for _variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(_variable, str(processors()))

# Keys that a newer Keras 2 adds to a description, with the values that TensorFlow 2.2 implies.
_ADDED = {"groups": 1, "keepdims": False, "synchronized": False}
# Initializers and regularizers that are separate classes since TensorFlow 2.3, as TensorFlow 2.2 describes them.
_OLDER = {
    f"{who}{shape}": ("VarianceScaling", {"scale": scale, "mode": "fan_in", "distribution": distribution})
    for who, scale in (("He", 2.0), ("Lecun", 1.0))
    for shape, distribution in (("Normal", "truncated_normal"), ("Uniform", "uniform"))
}


def description_of(model: keras.Model) -> JsonValue:
    """Return the description of a model as TensorFlow 2.2 writes it, parsed from JSON."""
    if NEWER:
        model.use_legacy_config = True  # attribute that Keras itself sets when it writes HDF5
    return older_description(json.loads(model.to_json()))


def older_description(value: JsonValue) -> JsonValue:
    """Return a description by any Keras 2, or a part of one, as TensorFlow 2.2 writes it.

    A setting unknown to TensorFlow 2.2 is dropped if it has no effect, and kept otherwise.
    """
    if isinstance(value, list):
        return [older_description(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "class_name" in value:  # a model, a layer, an initializer or a regularizer
        value = {key: item for key, item in value.items() if key not in ("module", "registered_name", "build_config")}
        kind, config = value["class_name"], value.get("config")
        if isinstance(config, dict) and "layers" in config:
            value["config"] = {key: item for key, item in config.items() if key != "trainable"}
        if kind == "Functional":
            value["class_name"] = "Model"
        elif kind in _OLDER and isinstance(config, dict):
            name, settings = _OLDER[kind]
            value = {"class_name": name, "config": {**settings, "seed": config.get("seed")}}
        elif kind in ("L1", "L2") and isinstance(config, dict):
            value = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0, **config}}
    return {key: older_description(item) for key, item in value.items() if not (key in _ADDED and item == _ADDED[key])}
