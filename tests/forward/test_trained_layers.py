"""Every kind of layer of a trained network, with its settings, against Keras: in memory and from its file.

Tolerance 1e-5: values are of the order of 1, sums of at most 60 products that float32 rounds in another order, by some
6e-8 each; the largest difference seen is 1e-6. A tap, padding or channel in the wrong place changes a value by a tenth.
"""

import numpy as np
import pytest

from snnb.forward.analogue import Analogue
from snnb.model_files.keras import NEWER, keras
from snnb.model_files.keras_files import write_keras_h5
from snnb.model_files.read_model import read_trained
from snnb.network.layers import KERAS_KINDS
from snnb.training.keras_model import trained_network, write_model
from tests.conversion.conftest import set_random_weights
from tests.network.convolutions import convolution_matrix

L = keras.layers
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
SHAPE = (9, 8, 3)  # odd and even, so that `same` pads one side more


def convolutions():
    """Each convolution with each padding, and strides or dilation, which Keras does not take together."""
    for padding in ("valid", "same"):
        for settings in (
            {"kernel_size": (3, 2), "strides": (2, 3)},
            {"kernel_size": (2, 3), "dilation_rate": (3, 2)},
            {"kernel_size": 4, "use_bias": False},
        ):
            yield L.Conv2D(4, padding=padding, activation="relu", **settings)
        for settings in (
            {"kernel_size": (3, 2), "strides": (2, 3)},
            {"kernel_size": (3, 5), "strides": 2, "output_padding": 1},
            {"kernel_size": 4, "use_bias": False},
        ):
            yield L.Conv2DTranspose(4, padding=padding, activation="relu", **settings)
        # TensorFlow's depthwise convolutions on the CPU have equal strides only.
        for settings in (
            {"strides": 2},
            {"dilation_rate": (1, 3)},
            {"use_bias": False},
        ):
            yield L.DepthwiseConv2D(
                (3, 2),
                padding=padding,
                depth_multiplier=2,
                activation="relu",
                **settings,
            )
            yield L.SeparableConv2D(
                5,
                (2, 3),
                padding=padding,
                depth_multiplier=3,
                activation="relu",
                **settings,
            )


def poolings():
    """Windows that overlap, leave gaps, and are cut by the edge."""
    for kind in (L.AveragePooling2D, L.MaxPooling2D):
        for padding in ("valid", "same"):
            for settings in (
                {"pool_size": 2},
                {"pool_size": (3, 2), "strides": (1, 3)},
                {"pool_size": 4, "strides": 5},
            ):
                yield kind(padding=padding, **settings)


def other_layers():
    """Everything else that reads one map."""
    yield from (
        L.ZeroPadding2D(((1, 0), (2, 3))),
        L.ZeroPadding2D(2),
        L.Flatten(),
        L.GlobalAveragePooling2D(),
    )
    yield from (
        L.Reshape((8, 27)),
        L.Reshape((-1, 4)),
        L.ReLU(),
        L.ReLU(0.3),
        L.Activation("relu"),
    )
    yield from (
        L.Activation("softmax"),
        L.Softmax(),
        L.Activation("linear"),
        L.Dense(4),
        L.Dense(2, activation="softmax"),
    )
    yield from (
        L.BatchNormalization(scale=scale, center=center)
        for scale in (False, True)
        for center in (False, True)
    )
    yield from (
        L.BatchNormalization(epsilon=0.1),
        L.Dropout(0.5),
        L.SpatialDropout2D(0.5),
        L.GaussianNoise(1),
    )
    if NEWER:
        yield L.GlobalAveragePooling2D(keepdims=True)


def joined_models():
    """A network of the kinds that read several layers, a layer used twice at two depths, and a model used twice."""
    x = L.Input(SHAPE)
    inside = keras.Sequential(
        [L.Conv2D(3, 1, input_shape=SHAPE), L.BatchNormalization(), L.ReLU(0.7)],
        name="inside",
    )
    again = L.DepthwiseConv2D(3, padding="same", name="again")
    first_output, two = inside(again(x)), again(inside(x))
    total = L.Add()([first_output, two, x, two])
    ends = [L.Concatenate(axis=axis)([total, first_output]) for axis in (1, 2, 3, -1)]
    return keras.Model(x, L.Concatenate()([L.Flatten()(end) for end in ends]))


def model_of(layers):
    """A model that applies layers to the same pictures, and joins what they make of them."""
    x = L.Input(SHAPE)
    return keras.Model(
        x, L.Concatenate(name="end")([L.Reshape((-1,))(layer(x)) for layer in layers])
    )


MODELS = {
    "convolutions": lambda: model_of(list(convolutions())),
    "poolings": lambda: model_of(list(poolings())),
    "others": lambda: model_of(list(other_layers())),
    "joined": joined_models,
}


def test_every_kind_of_layer_is_among_them():
    kinds = {
        type(layer).__name__ for build in MODELS.values() for layer in build().layers
    }
    assert kinds >= set(KERAS_KINDS)


@pytest.mark.parametrize("name", MODELS)
def test_a_layer_computes_what_keras_does(name, tmp_path):
    """In memory, in the file of `train`, and in a file that is written without Keras, which Keras opens too."""
    model, random = MODELS[name](), np.random.default_rng(0)
    for part in (
        model,
        *(layer for layer in model.layers if isinstance(layer, keras.Model)),
    ):
        set_random_weights(part, random)
    network = trained_network(model)
    write_model(model, tmp_path / "keras.h5")
    write_keras_h5(network, tmp_path / "own.h5", "own")
    x = random.normal(0, 1, (5, *SHAPE)).astype(np.float32)
    expected_outputs = model(x).numpy()
    for each_network in (
        network,
        read_trained(tmp_path / "keras.h5"),
        read_trained(tmp_path / "own.h5"),
    ):
        np.testing.assert_allclose(
            Analogue(each_network).outputs(x), expected_outputs, **TOLERANCE
        )
    np.testing.assert_allclose(
        keras.models.load_model(str(tmp_path / "own.h5"))(x).numpy(),
        expected_outputs,
        **TOLERANCE,
    )


@pytest.mark.skipif(not NEWER, reason="TensorFlow 2.2 has no groups")
def test_groups_are_those_of_keras():
    model = keras.Sequential(
        [L.Conv2D(6, 2, groups=3, input_shape=SHAPE, name="grouped"), L.Flatten()]
    )
    set_random_weights(model, np.random.default_rng(0))
    kernel, bias = model.layers[0].get_weights()
    matrix, _ = convolution_matrix(kernel, SHAPE, groups=3, same=False)
    x = np.random.default_rng(1).normal(0, 1, (5, *SHAPE)).astype(np.float32)
    expected = x.reshape(5, -1) @ matrix + np.resize(bias, matrix.shape[1])
    found = Analogue(trained_network(model)).outputs(x)
    np.testing.assert_allclose(found, expected, **TOLERANCE)
