"""Keras 2 for all of this package: TensorFlow's own up to 2.15, and `tf_keras` from TensorFlow 2.16 on.

`snnb/__init__.py` sets TF_USE_LEGACY_KERAS, by which `tensorflow.keras` is `tf_keras` in a user's own model too.
"""

import json
import os

import tensorflow

from snnb.core.machine import processors
from snnb.io.text import JsonValue

__all__ = ["NEWER", "description_of", "keras"]

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


def description_of(model: keras.Model) -> JsonValue:
    """Return the description of a model, parsed from JSON."""
    if NEWER:
        model.use_legacy_config = True  # attribute that Keras itself sets when it writes HDF5
    return json.loads(model.to_json())
