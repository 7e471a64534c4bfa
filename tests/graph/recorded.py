"""Networks recorded as Keras writes them, so that tests of the graph need no TensorFlow."""

import json
import shutil
from functools import wraps
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "fixtures" / "networks"
builders = {}


class _Keras:
    """Keras or its layers, imported at first use; skips the test if TensorFlow is not installed."""

    def __init__(self, layers):
        self._layers = layers

    def __getattr__(self, name):
        if name.startswith("_"):  # pytest asks every object of a module for such names
            raise AttributeError(name)
        if find_spec("tensorflow") is None:
            pytest.skip("it builds a Keras model, and TensorFlow is not installed")
        module = import_module("snnb.model_files.keras").keras
        return getattr(module.layers if self._layers else module, name)


class Recorded:
    """The part of a Keras model that the fixtures use."""

    def __init__(self, path):
        self._path = path
        with h5py.File(path, "r") as file:
            layers = json.loads(file.attrs["output_shapes"])
            self._names = [
                f"model_weights/{layer.decode()}/{name.decode()}"
                for layer in file["model_weights"].attrs["layer_names"]
                for name in file[f"model_weights/{layer.decode()}"].attrs[
                    "weight_names"
                ]
            ]
            self._weights = [file[name][()] for name in self._names]
        self.layers = [
            type(kind, (SimpleNamespace,), {})(name=name, output_shape=tuple(shape))
            for kind, name, shape in layers
        ]

    def get_weights(self):
        return self._weights

    def set_weights(self, weights):
        self._weights = [np.asarray(values, np.float32) for values in weights]

    def save(self, path, include_optimizer):
        shutil.copy(self._path, path)
        with h5py.File(path, "r+") as file:
            for name, values in zip(self._names, self._weights):
                file[name][...] = values

    def get_layer(self, name):
        chosen_values = [
            values
            for key, values in zip(self._names, self._weights)
            if key.split("/")[1] == name
        ]
        return SimpleNamespace(get_weights=lambda: chosen_values)


def shape_of(layer):
    return (
        layer.output_shape[0]
        if isinstance(layer.output_shape, list)
        else layer.output_shape
    )


def use_recorded(build):
    """Replace a function that builds a model by one that returns the recorded network."""
    builders[build.__name__] = build
    return wraps(build)(lambda: Recorded(FOLDER / f"{build.__name__}.h5"))


def record():
    """Write all of them anew."""

    for name, build in builders.items():
        keras.backend.clear_session()
        model = build()
        path = FOLDER / f"{name}.h5"
        model.save(str(path), include_optimizer=False)
        with h5py.File(path, "r+") as file:
            file.attrs["output_shapes"] = json.dumps(
                [
                    [type(layer).__name__, layer.name, shape_of(layer)]
                    for layer in model.layers
                ]
            )


keras, LAYERS = _Keras(False), _Keras(True)
