"""Layers used twice and models inside models: the unrolled network is the same, in memory and from a file."""

import itertools

import numpy as np
import pytest
from snnb.conversion.keras_graph import unrolled_model

from snnb.conversion.convert import check_convertible, reference_outputs
from snnb.conversion.own_parser import parse_own
from snnb.core.errors import InputError
from snnb.io.keras import keras
from snnb.io.keras_file import load_model
from tests.conversion.conftest import slow_except

L = keras.layers


def _shared():
    """A residual block used three times, at two depths, with one batch normalisation for all."""
    x = first = L.Input((6, 6, 2))
    convolution, norm = L.Conv2D(2, 3, padding="same", name="again"), L.BatchNormalization()
    for _ in range(3):
        x = L.ReLU()(norm(L.Add()([convolution(x), x])))
    return keras.Model(first, L.Dense(3, activation="softmax")(L.Flatten()(x)))


def _shared_with_other_sizes():
    x = L.Input((6, 6, 2))
    convolution = L.Conv2D(2, 3, activation="relu")
    one = convolution(x)
    two = L.Flatten()(convolution(one))
    return keras.Model(x, L.Dense(3)(L.Concatenate()([L.Flatten()(one), two])))


def _block(name, channels=2):
    x = L.Input((6, 6, channels))
    y = L.Add()([L.Conv2D(channels, 1)(x), x])
    return keras.Model(x, L.BatchNormalization()(y), name=name)


def _nested():
    """A base model, called as transfer learning does, inside a Sequential one; it has a model inside itself, twice."""
    x = L.Input((6, 6, 2))
    inner = _block("inner")
    base = keras.Model(x, L.ReLU(6.0)(inner(L.ReLU()(inner(x)))), name="base")
    return keras.Sequential([base, L.GlobalAveragePooling2D(), L.Dropout(0.1), L.Dense(3, activation="softmax")])


def _frozen():
    base = keras.Sequential([L.Conv2D(4, 3, input_shape=(6, 6, 2)), L.BatchNormalization(), L.ReLU()], name="base")
    base.trainable = False
    x = L.Input((6, 6, 2))
    y = base(x, training=False)
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.MaxPooling2D(2)(y))))


def _without_shape():
    """The model inside has no input of its own: its shapes are known from where it stands."""
    x = L.Input((6, 6, 2))
    inside = keras.Sequential([L.Conv2D(3, 3), L.ReLU(), L.MaxPooling2D(2)])
    return keras.Model(x, L.Dense(3)(L.Flatten()(inside(x))))


def _two_in_two_out():
    a, b = L.Input((6, 6, 2)), L.Input((6, 6, 2))
    inside = keras.Model([a, b], [L.Conv2D(2, 1)(a), L.Conv2D(2, 3, padding="same")(b)])
    x = L.Input((6, 6, 2))
    second, first = inside([L.ReLU()(x), x])
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.ReLU()(L.Add()([first, second])))))


def _named_alike():
    """Names that the unrolled layers would get are taken."""
    x = L.Input((6, 6, 2))
    one = L.Conv2D(2, 1, name="a")
    y = L.ReLU()(one(L.ReLU()(one(x))))
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.Conv2D(2, 1, name="a_use2", activation="relu")(y))))


def _in_two_models():
    """The first use of a layer is in another model, as of an encoder that was built before the classifier."""
    convolution, other, x = L.Conv2D(2, 3), L.Input((6, 6, 2)), L.Input((6, 6, 2))
    keras.Model(other, convolution(other))
    return keras.Model(x, L.Dense(3)(L.Flatten()(L.ReLU(6.0)(convolution(x)))))


MODELS = [
    _in_two_models,
    _shared,
    _shared_with_other_sizes,
    _nested,
    _frozen,
    _without_shape,
    _two_in_two_out,
    _named_alike,
]


FAST = [(_in_two_models, "spiking"), (_shared, "spiking"), (_nested, "spiking"), (_frozen, "average")]


@pytest.mark.parametrize(("build", "max_pool"), slow_except(FAST, itertools.product(MODELS, ["spiking", "average"])))
def test_the_parsed_model_computes_what_the_model_does(build, max_pool, randomise, tmp_path):
    model = build()
    random = np.random.default_rng(3)
    model.set_weights(
        [random.uniform(0.2, 1, w.shape) / np.sqrt(max(1, np.prod(w.shape[:-1]))) for w in model.get_weights()]
    )
    x = random.random((20, 6, 6, 2)).astype(np.float32)
    path = tmp_path / "model.h5"
    model.save(str(path))
    assert check_convertible(model, max_pool=max_pool, parser="auto") == "own"
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    before = [array.copy() for array in loaded.get_weights()]
    parsed = parse_own(loaded, max_pool=max_pool)
    expected = reference_outputs(loaded, x, max_pool=max_pool)
    np.testing.assert_allclose(parsed.predict(x), expected, rtol=1e-4, atol=1e-5)
    if max_pool == "spiking":
        np.testing.assert_allclose(expected, model.predict(x), rtol=1e-6)
    for kept, weights in zip(loaded.get_weights(), before):
        np.testing.assert_array_equal(kept, weights)


def test_each_use_becomes_a_layer():
    flat = unrolled_model(_nested())
    inner = ["Conv2D", "Add", "BatchNormalization", "ReLU"]
    kinds = [type(layer).__name__ for layer in flat.layers]
    assert kinds == ["InputLayer", *inner, *inner, "GlobalAveragePooling2D", "Dropout", "Dense"]
    first, second = (layer for layer in flat.layers if isinstance(layer, L.Conv2D))
    assert first.name.startswith("base/inner/conv2d")
    assert second.name == f"{first.name}_use2"
    np.testing.assert_array_equal(first.get_weights()[0], second.get_weights()[0])


def test_a_flat_model_stays_as_it_is(small):
    assert unrolled_model(small) is small


def test_layers_refused_inside_a_model_are_named_with_it():
    inside = keras.Sequential([L.Conv2D(2, 3, activation="tanh", input_shape=(6, 6, 2), name="bent")], name="base")
    model = keras.Sequential([inside, L.Flatten(), L.Dense(3)])
    with pytest.raises(InputError, match=r"base/bent \(Conv2D\): activation tanh"):
        check_convertible(model, parser="auto")
