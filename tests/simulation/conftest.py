"""Networks to simulate: one trained on digits and parsed, of the recorded run, and one with every kind of layer."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from snnb.model_files.keras import keras
from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import assemble, read_network
from snnb.training.keras_model import write_model
from tests.end_to_end.conftest import RECORDED

Input = keras.Input
Model = keras.Model
layers = keras.layers


@dataclass(frozen=True)
class Case:
    """A parsed model with pictures to show it; `y`: their classes."""

    parsed: Path
    x: np.ndarray
    y: np.ndarray

    @property
    def network(self):
        return read_network(self.parsed)

    @property
    def keras(self):
        return keras.models.load_model(str(self.parsed), compile=False)


@pytest.fixture(scope="session")
def trained_case():
    """The mini network of the recorded run; its pictures are digits that it was not trained on."""
    x, y = (np.load(RECORDED / "dataset" / f"{name}_test.npy")[:200] for name in "xy")
    return Case(
        RECORDED / "parse" / "mini_network_parsed.h5", (x / 16).astype(np.float32), y
    )


@pytest.fixture(scope="session")
def branched_case(tmp_path_factory):
    """Random weights; branches of different strides and paddings, joined, in every kind of layer but max pooling."""
    x = Input((8, 9, 3), name="input")
    first_layer = layers.Conv2D(
        6, 3, padding="same", activation="relu", name="00Conv2D_8x9x6"
    )(x)
    left_layer = layers.ZeroPadding2D(((1, 0), (2, 1)), name="01ZeroPadding2D_9x12x6")(
        first_layer
    )
    left_layer = layers.Conv2D(
        5, (2, 3), strides=(2, 1), activation="relu", name="02Conv2D_4x10x5"
    )(left_layer)
    left_layer = layers.AveragePooling2D(
        (2, 3), strides=(1, 2), name="03AveragePooling2D_3x4x5"
    )(left_layer)
    right = layers.DepthwiseConv2D(
        3,
        2,
        "same",
        depth_multiplier=2,
        activation="relu",
        name="04DepthwiseConv2D_4x5x12",
    )(first_layer)
    right = layers.AveragePooling2D(
        3, strides=2, padding="same", name="05AveragePooling2D_2x3x12"
    )(right)
    right = layers.Reshape((3, 4, 6), name="06Reshape_3x4x6")(right)
    joined_layer = layers.Concatenate(name="07Concatenate_3x4x11")([left_layer, right])
    joined_layer = layers.Conv2D(7, 1, activation="relu", name="08Conv2D_3x4x7")(
        joined_layer
    )
    joined_layer = layers.Flatten(name="09Flatten_84")(joined_layer)
    joined_layer = layers.Dense(30, activation="linear", name="10Dense_30")(
        joined_layer
    )
    model = Model(
        x, layers.Dense(10, activation="softmax", name="11Dense_10")(joined_layer)
    )
    random = np.random.default_rng(3)
    for layer in model.layers:
        shapes = [weight.shape for weight in layer.get_weights()]
        layer.set_weights(
            [
                random.normal(0.05, 1 / np.sqrt(np.prod(s[:-1])), s) * (len(s) > 1)
                + 0.02
                for s in shapes
            ]
        )
    parsed_path = tmp_path_factory.mktemp("branched") / "branched_parsed.h5"
    write_model(model, parsed_path)
    return Case(
        parsed_path,
        random.random((70, 8, 9, 3), dtype=np.float32),
        random.integers(0, 10, 70),
    )


@pytest.fixture
def pooled_network():
    """A network without a file: max pooling of the input beside a population that reads it."""
    arrays = {
        "kernel": np.zeros((1, 1, 3, 6), np.float32),
        "bias": np.zeros(6, np.float32),
    }
    entries = [
        StoredLayer(
            "input", "InputLayer", {"batch_input_shape": [None, 8, 9, 3]}, (), {}
        ),
        StoredLayer(
            "first", "Conv2D", {"filters": 6, "kernel_size": [1, 1]}, ("input",), arrays
        ),
        StoredLayer("joined", "Concatenate", {"axis": 3}, ("input", "first"), {}),
        StoredLayer(
            "pool",
            "MaxPooling2D",
            {"pool_size": [2, 2], "strides": [2, 2]},
            ("joined",),
            {},
        ),
    ]
    return assemble(entries)


@pytest.fixture(scope="session")
def exact(branched_case, tmp_path_factory):
    """The branched network with weights, and pixels, that float32 adds without rounding, in whatever order."""
    model = branched_case.keras
    model.set_weights([np.round(weight * 256) / 256 for weight in model.get_weights()])
    parsed_path = tmp_path_factory.mktemp("exact") / "exact_parsed.h5"
    write_model(model, parsed_path)
    return dataclasses.replace(
        branched_case, parsed=parsed_path, x=np.round(branched_case.x * 16) / 16
    )
