"""Keras 2 for all of this package.

It is TensorFlow's own up to 2.15, and `tf_keras` from TensorFlow 2.16 on.

`tensorflow.keras` is `tf_keras` in a user's own model too, see
`set_tensorflow_variables`.
"""

import json
from typing import Dict

from snnb.core.quiet_tensorflow import tensorflow
from snnb.io.text import JsonValue

__all__ = ["NEWER", "description_of", "keras", "older_description"]

NEWER = tuple(int(part) for part in tensorflow.__version__.split(".")[:2]) >= (2, 16)
if NEWER:
    import tf_keras as keras

    # Current GPUs round the factors of a convolution or a matrix product to 11 bits by
    # default.
    tensorflow.config.experimental.enable_tensor_float_32_execution(False)
else:
    from tensorflow import keras

# Keys that a newer Keras 2 adds to a description, with the values that TensorFlow 2.2
# implies.
_ADDED = {"groups": 1, "keepdims": False, "synchronized": False}
# Initializers and regularizers that are separate classes since TensorFlow 2.3, as
# TensorFlow 2.2 describes them.
_OLDER = {
    f"{who}{shape}": (
        "VarianceScaling",
        {"scale": scale, "mode": "fan_in", "distribution": distribution},
    )
    for who, scale in (("He", 2.0), ("Lecun", 1.0))
    for shape, distribution in (("Normal", "truncated_normal"), ("Uniform", "uniform"))
}


def description_of(model: keras.Model) -> JsonValue:
    """Return a model's description as TensorFlow 2.2 writes it, parsed from JSON."""
    if NEWER:
        # Attribute that Keras itself sets when it writes HDF5
        model.use_legacy_config = True
    return older_description(json.loads(model.to_json()))


def older_description(value: JsonValue) -> JsonValue:
    """Return a description by any Keras 2 as TensorFlow 2.2 writes it.

    The description may also be a part of one.

    A setting unknown to TensorFlow 2.2 is dropped if it has no effect, and kept
    otherwise.
    """
    if isinstance(value, list):
        return [older_description(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "class_name" in value:  # a model, a layer, an initializer or a regularizer
        value = _without(value, "module", "registered_name", "build_config")
        kind, config = value["class_name"], value.get("config")
        if isinstance(config, dict) and "layers" in config:
            value["config"] = _without(config, "trainable")
        if kind == "Functional":
            value["class_name"] = "Model"
        elif kind in _OLDER and isinstance(config, dict):
            name, settings = _OLDER[kind]
            value = {
                "class_name": name,
                "config": {**settings, "seed": config.get("seed")},
            }
        elif kind in ("L1", "L2") and isinstance(config, dict):
            value = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0, **config}}
    description = {}
    for key, item in value.items():
        if key not in _ADDED or item != _ADDED[key]:
            description[key] = older_description(item)
    return description


def _without(value: Dict[str, JsonValue], *keys: str) -> Dict[str, JsonValue]:
    """Return an object of JSON without some keys."""
    return {key: item for key, item in value.items() if key not in keys}
