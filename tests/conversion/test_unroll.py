"""Layers used twice and models inside models: the network is the same, from memory and from a file."""

import numpy as np
import pytest

from snnb.model_files.keras import keras
from snnb.model_files.read_model import read_trained
from snnb.training.keras_model import trained_network, write_model
from tests.conversion.conftest import assert_computes, parse

L = keras.layers


def _shared_model():
    """A residual block used three times, at two depths, with one batch normalisation for all."""
    x = first_input = L.Input((6, 6, 2))
    convolution, norm = (
        L.Conv2D(2, 3, padding="same", name="again"),
        L.BatchNormalization(),
    )
    for _ in range(3):
        x = L.ReLU()(norm(L.Add()([convolution(x), x])))
    return keras.Model(first_input, L.Dense(3, activation="softmax")(L.Flatten()(x)))


def _shared_with_other_sizes():
    x = L.Input((6, 6, 2))
    convolution = L.Conv2D(2, 3, activation="relu")
    tensor = convolution(x)
    two = L.Flatten()(convolution(tensor))
    return keras.Model(x, L.Dense(3)(L.Concatenate()([L.Flatten()(tensor), two])))


def _block(name, channels=2):
    x = L.Input((6, 6, channels))
    y = L.Add()([L.Conv2D(channels, 1)(x), x])
    return keras.Model(x, L.BatchNormalization()(y), name=name)


def _nested_model():
    """A base model, called as transfer learning does, inside a Sequential one; it has a model inside itself, twice."""
    x = L.Input((6, 6, 2))
    inner = _block("inner")
    base = keras.Model(x, L.ReLU(6.0)(inner(L.ReLU()(inner(x)))), name="base")
    return keras.Sequential(
        [
            base,
            L.GlobalAveragePooling2D(),
            L.Dropout(0.1),
            L.Dense(3, activation="softmax"),
        ]
    )


def _frozen():
    base = keras.Sequential(
        [L.Conv2D(4, 3, input_shape=(6, 6, 2)), L.BatchNormalization(), L.ReLU()],
        name="base",
    )
    base.trainable = False
    x = L.Input((6, 6, 2))
    y = base(x, training=False)
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.MaxPooling2D(2)(y))))


def _shapeless_model():
    """The model inside has no input of its own: its shapes are known from where it stands."""
    x = L.Input((6, 6, 2))
    inside = keras.Sequential([L.Conv2D(3, 3), L.ReLU(), L.MaxPooling2D(2)])
    return keras.Model(x, L.Dense(3)(L.Flatten()(inside(x))))


def _two_in_two_out():
    a, b = L.Input((6, 6, 2)), L.Input((6, 6, 2))
    inside = keras.Model([a, b], [L.Conv2D(2, 1)(a), L.Conv2D(2, 3, padding="same")(b)])
    x = L.Input((6, 6, 2))
    second_output, first_output = inside([L.ReLU()(x), x])
    return keras.Model(
        x, L.Dense(3)(L.Flatten()(L.ReLU()(L.Add()([first_output, second_output]))))
    )


def _named_alike():
    """Names that the unrolled layers would get are taken."""
    x = L.Input((6, 6, 2))
    layer = L.Conv2D(2, 1, name="a")
    y = L.ReLU()(layer(L.ReLU()(layer(x))))
    return keras.Model(
        x, L.Dense(3)(L.Flatten()(L.Conv2D(2, 1, name="a_use2", activation="relu")(y)))
    )


def _named_as_the_path():
    """A layer whose name is that of a model and of the layer inside it."""
    inside = keras.Sequential(
        [L.Conv2D(2, 3, padding="same", input_shape=(6, 6, 2), name="conv")],
        name="base",
    )
    x = L.Input((6, 6, 2))
    y = L.Conv2D(2, 3, padding="same", strides=2, name="base_conv")(L.ReLU()(inside(x)))
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.ReLU()(y))))


def _in_two_models():
    """The first use of a layer is in another model, as of an encoder that was built before the classifier."""
    convolution, other_input, x = L.Conv2D(2, 3), L.Input((6, 6, 2)), L.Input((6, 6, 2))
    keras.Model(other_input, convolution(other_input))
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.ReLU(6.0)(convolution(x)))))


MODELS = [
    *(
        _in_two_models,
        _shared_model,
        _shared_with_other_sizes,
        _nested_model,
        _frozen,
        _shapeless_model,
        _two_in_two_out,
    ),
    *(_named_alike, _named_as_the_path),
]


@pytest.mark.parametrize("build", MODELS)
def test_the_parsed_network_computes_what_the_model_does(build, tmp_path):
    model, random = build(), np.random.default_rng(3)
    model.set_weights(
        [
            random.uniform(0.2, 1, w.shape) / np.sqrt(max(1, np.prod(w.shape[:-1])))
            for w in model.get_weights()
        ]
    )
    x = random.random((20, 6, 6, 2)).astype(np.float32)
    write_model(model, tmp_path / "model.h5")
    network = trained_network(model)
    for each_network in (network, read_trained(tmp_path / "model.h5"), parse(model)):
        assert_computes(each_network, model, x)
    names = [layer.name for layer in network.layers]
    assert len(set(names)) == len(names)


def test_each_use_becomes_a_layer():
    network = trained_network(_nested_model())
    inner = ["Conv2D", "Add", "BatchNormalization", "ReLU"]
    kinds = [layer.kind for layer in network.layers]
    assert kinds == ["InputLayer", *inner, *inner, "GlobalAveragePooling2D", "Dense"]
    first_layer, second_layer = (
        layer for layer in network.layers if layer.kind == "Conv2D"
    )
    assert first_layer.name.startswith("base_inner_conv2d")
    assert second_layer.name == f"{first_layer.name}_use2"
    np.testing.assert_array_equal(
        first_layer.weights["kernel"], second_layer.weights["kernel"]
    )
