"""Networks as Keras wrote them once, for a Python that has no TensorFlow 2.2: the graph must work there too."""

import json
import shutil
from functools import wraps
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

try:
    import tensorflow as tf
except ModuleNotFoundError:
    tf = None

FOLDER = Path(__file__).parents[1] / "fixtures" / "networks"
builders = {}


class _Absent:
    """Stands for TensorFlow where it is not installed: a test that asks it for anything is skipped, and says why."""

    def __getattr__(self, name):
        if name.startswith("_"):  # pytest asks every object of a module for such names
            raise AttributeError(name)
        pytest.skip("it builds a Keras model, and TensorFlow is not installed")


class Recorded:
    """As much of a Keras model as the fixtures ask for; what else is asked for skips the test."""

    def __init__(self, path):
        self._path = path
        with h5py.File(path, "r") as file:
            layers = json.loads(file.attrs["output_shapes"])
            self._names = [
                f"model_weights/{layer.decode()}/{name.decode()}"
                for layer in file["model_weights"].attrs["layer_names"]
                for name in file[f"model_weights/{layer.decode()}"].attrs["weight_names"]
            ]
            self._weights = [file[name][()] for name in self._names]
        self.layers = [_layer(*described) for described in layers]

    def get_weights(self):
        return self._weights

    def set_weights(self, weights):
        self._weights = [np.asarray(values, np.float32) for values in weights]

    def save(self, path, include_optimizer):
        shutil.copy(self._path, path)
        with h5py.File(path, "r+") as file:
            for name, values in zip(self._names, self._weights):
                file[name][...] = values

    def __getattr__(self, name):
        pytest.skip("it asks a Keras model, and TensorFlow is not installed")


def _layer(kind, name, shape):
    return type(kind, (SimpleNamespace,), {})(name=name, output_shape=tuple(shape))


def shape_of(layer):
    return layer.output_shape[0] if isinstance(layer.output_shape, list) else layer.output_shape


def recorded(build):
    """Have a function that builds a model return the recorded one where there is no TensorFlow."""
    builders[build.__name__] = build

    @wraps(build)
    def network():
        return build() if tf is not None else Recorded(FOLDER / f"{build.__name__}.h5")

    return network


def record():
    """Write all of them anew."""

    for name, build in builders.items():
        tf.keras.backend.clear_session()
        model = build()
        path = FOLDER / f"{name}.h5"
        model.save(str(path), include_optimizer=False)
        with h5py.File(path, "r+") as file:
            file.attrs["output_shapes"] = json.dumps(
                [[type(layer).__name__, layer.name, shape_of(layer)] for layer in model.layers]
            )


TF = _Absent() if tf is None else tf
LAYERS = _Absent() if tf is None else tf.keras.layers
