"""What is refused, in one line with the layer and the reason, and what is converted exactly."""

import numpy as np
import pytest

from snnb.conversion.convert import check_outputs, convert
from snnb.core.errors import InputError, VerificationError
from snnb.model_files.keras import keras
from snnb.training.keras_model import trained_network
from tests.conversion.conftest import assert_computes, parse, slow_except

L = keras.layers


def chain(*layers, shape=(8, 8, 1)):
    """A functional model of the layers one after the other."""
    x = first_input = L.Input(shape)
    for layer in layers:
        x = layer(x)
    return keras.Model(first_input, x)


def end():
    return (L.Flatten(), L.Dense(3, activation="softmax", name="end"))


def end_with(*layers):
    """A chain that ends in a softmax."""
    return chain(*layers, *end())


def branched(join, *branches, behind=()):
    """Layers that read the same pictures, a layer that joins them, and what follows."""
    x = L.Input((8, 8, 1))
    y = join([branch(x) for branch in branches])
    for layer in behind:
        y = layer(y)
    return keras.Model(x, y)


def conv(**settings):
    return L.Conv2D(2, 3, **{"padding": "same", **settings})


def average_of_unequal_strides():
    x = L.Input((8, 8, 2))
    return keras.Model(
        x,
        end()[1](
            L.Flatten()(
                L.ReLU(name="here")(L.AveragePooling2D((2, 3))(L.Add()([x, x])))
            )
        ),
    )


class Own(L.Layer):
    """A layer whose settings Keras does not know."""

    def __init__(self, factor, **settings):
        super().__init__(**settings)


class ReLU(L.ReLU):
    """Computes something else than the class of Keras whose name it has."""

    def call(self, x):
        return 3 * x


LINEAR = (L.ReLU(name="here"), L.Dense(2))
# Model, and what the message has in one of its parts, layer and reason.
REFUSED = {
    "maximum of signed values": (
        lambda: end_with(
            conv(),
            L.MaxPooling2D(1),
            L.MaxPooling2D(2),
            conv(name="after", activation="relu"),
        ),
        "after (Conv2D): reads a MaxPooling2D of a layer without",
    ),
    "kernel over kernel": (
        lambda: end_with(L.Conv2D(4, 3), conv(name="here")),
        "here (Conv2D): pads the output of",
    ),
    "kernel with gaps over strides": (
        lambda: end_with(
            L.Conv2D(4, 1, strides=2), L.Conv2D(2, 2, activation="relu", name="here")
        ),
        "here (Conv2D): has strides over a dilated kernel",
    ),
    "padded average": (
        lambda: end_with(conv(), L.AveragePooling2D(3, padding="same"), L.ReLU()),
        "average pooling with",
    ),
    "average of unequal strides": (
        average_of_unequal_strides,
        "here (ReLU): has strides of 2 × 3",
    ),
    "flattened": (
        lambda: chain(conv(), L.Flatten(), L.Dense(3, name="here")),
        "here (Dense): reads a Flatten of",
    ),
    "sum of units": (
        lambda: branched(
            L.Add(),
            L.Flatten(),
            keras.Sequential([L.Flatten(), L.Dense(64)]),
            behind=LINEAR,
        ),
        "here (ReLU): connects units of a Dense layer one to one",
    ),
    "softmax inside": (
        lambda: end_with(conv(activation="softmax")),
        "end: softmax in a hidden layer",
    ),
    "rows normalised": (
        lambda: end_with(conv(), L.BatchNormalization(axis=1), L.ReLU()),
        "normalises axis 1",
    ),
    "leaky": (
        lambda: end_with(conv(), L.ReLU(negative_slope=0.5, name="here")),
        "here (ReLU): negative_slope 0.5",
    ),
    "shifted": (
        lambda: end_with(conv(), L.ReLU(threshold=0.5, name="here")),
        "here (ReLU): threshold 0.5",
    ),
    "LeakyReLU": (
        lambda: end_with(conv(), L.LeakyReLU(name="here")),
        "here (LeakyReLU): a spike rate can",
    ),
    "softmax over rows": (
        lambda: end_with(L.Softmax(axis=1, name="here")),
        "here (Softmax): a spike rate can",
    ),
    "tanh": (
        lambda: end_with(conv(activation="tanh", name="here")),
        "here (Conv2D): activation tanh",
    ),
    "lambda": (
        lambda: end_with(L.Lambda(lambda x: x, name="code")),
        "code (Lambda): is not loaded",
    ),
    "cropping": (
        lambda: end_with(L.Cropping2D(1, name="cut")),
        "cut (Cropping2D): snnb has no spiking form",
    ),
    "product": (
        lambda: branched(L.Multiply(name="here"), conv(), conv(), behind=end()),
        "here (Multiply): merges",
    ),
    "dense on a map": (
        lambda: end_with(L.Dense(3, activation="relu", name="here")),
        "here (Dense): its input",
    ),
    "map for output": (
        lambda: chain(conv(name="here")),
        "here: the output has several axes",
    ),
    "joined output": (
        lambda: branched(L.Concatenate(), conv(), conv(), behind=[L.Flatten()]),
        "has no neurons, so",
    ),
    "channels first": (
        lambda: end_with(conv(data_format="channels_first")),
        "data_format is 'channels_first'",
    ),
    "no weights": (
        lambda: chain(L.AveragePooling2D(2), L.Flatten()),
        "has no Dense layer",
    ),
    "a vector": (lambda: chain(L.Dense(3), shape=(6,)), "takes inputs of shape (6,)"),
    "a batch size": (
        lambda: keras.Sequential([L.Flatten(batch_input_shape=(20, 8, 8, 1))]),
        "exactly 20 images",
    ),
    "inside a model": (
        lambda: end_with(keras.Sequential([conv(activation="tanh", name="bent")])),
        "bent (Conv2D): activ",
    ),
    "a custom layer": (
        lambda: end_with(chain(Own(2, name="mine"))),
        "mine (Own): a custom class",
    ),
    "a custom layer named as one of Keras": (
        lambda: end_with(conv(), ReLU(name="mine")),
        "(ReLU): a custom",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line_by_layer_and_reason(case):
    build, message = REFUSED[case]
    with pytest.raises(InputError) as error_info:
        parse(build())
    assert str(error_info.value).startswith("cannot convert this model: ")
    assert message in str(error_info.value)
    assert "\n" not in str(error_info.value)


def test_all_layers_are_named_and_the_same_reason_is_said_once():
    layers = [L.ReLU()]
    for _ in range(9):
        layers += [conv(), conv(), L.ReLU()]
    with pytest.raises(InputError) as error_info:
        parse(end_with(*layers))
    assert str(error_info.value).count("insert a relu between them") == 1
    assert "and 4 more: pads" in str(error_info.value)
    with pytest.raises(InputError) as error_info:
        parse(
            end_with(L.Cropping2D(1, name="cut"), conv(activation="tanh", name="bent"))
        )
    assert [
        str(error_info.value).count(name)
        for name in ("cut (Cropping2D): ", "bent (Conv2D): ")
    ] == [1, 1]


EXACT = {
    "softmax of means": lambda: chain(
        L.Conv2D(3, 3), L.GlobalAveragePooling2D(), L.Activation("softmax")
    ),
    "relu after a pooling": lambda: end_with(
        L.Conv2D(3, 3), L.AveragePooling2D(2), L.ReLU()
    ),
    "relu after concatenation": lambda: branched(
        L.Concatenate(),
        conv(),
        L.Conv2D(3, 1),
        behind=[L.BatchNormalization(), L.ReLU(), *end()],
    ),
    "relu after flatten and padding": lambda: chain(
        L.Conv2D(3, 3), L.ZeroPadding2D(1), L.Flatten(), L.ReLU(), *end()[1:]
    ),
    "normalised after the relu": lambda: end_with(
        conv(activation="relu"), L.BatchNormalization()
    ),
    "normalised first": lambda: end_with(
        L.BatchNormalization(), L.Conv2D(3, 3, activation="relu")
    ),
    "normalised channels of a multiplier": lambda: end_with(
        L.DepthwiseConv2D(3, depth_multiplier=2), L.BatchNormalization(), L.ReLU()
    ),
    "layers of training": lambda: keras.Sequential(
        [
            L.Dropout(0.1, input_shape=(8, 8, 1)),
            *(
                conv(),
                L.SpatialDropout2D(0.1),
                L.BatchNormalization(),
                L.ReLU(),
                L.GaussianNoise(0.1),
            ),
            *(L.Dropout(0.1) for _ in range(7)),
            *end(),
        ]
    ),
    "an open length": lambda: chain(
        *(
            L.Flatten(),
            L.Dense(4, activation="relu"),
            L.Reshape((-1, 2, 1)),
            conv(activation="relu"),
        ),
        *(L.GlobalAveragePooling2D(), L.Dense(3)),
    ),
    "the input concatenated": lambda: branched(
        L.Concatenate(), conv(activation="relu"), L.Activation("linear"), behind=end()
    ),
    "branches side by side in rows": lambda: branched(
        L.Concatenate(axis=1),
        conv(activation="relu"),
        conv(activation="relu"),
        behind=end(),
    ),
    "means in branches": lambda: branched(
        L.Concatenate(),
        *(
            keras.Sequential([conv(activation="relu"), L.GlobalAveragePooling2D()])
            for _ in "ab"
        ),
        behind=end(),
    ),
    "a linear layer": lambda: chain(L.Flatten(), L.Dense(5), L.Dense(3)),
    "dilation": lambda: end_with(L.Conv2D(3, 3, dilation_rate=2, activation="relu")),
    "an output in another shape": lambda: chain(
        L.Flatten(), L.Dense(4), L.Dropout(0.1), L.Reshape((2, 2)), L.Flatten()
    ),
}


@pytest.mark.parametrize("case", EXACT)
def test_converted_exactly(case, randomise, pixels):
    model = randomise(EXACT[case](), seed=3)
    assert_computes(parse(model), model, pixels)


SIDE_BY_SIDE = {
    "columns, then a pooling": (2, [L.AveragePooling2D(3)]),
    "channels in the wrong shape": (
        3,
        [L.Reshape((8, 16, 2)), L.Conv2D(1, 3, activation="relu")],
    ),
    "rows, after padding": (
        1,
        [L.ZeroPadding2D(2), L.Dropout(0.1), L.Conv2D(1, 3, activation="relu")],
    ),
}


@pytest.mark.parametrize("case", slow_except({"rows, after padding"}, SIDE_BY_SIDE))
def test_branches_in_one_channel(case, randomise, pixels):
    axis, layers = SIDE_BY_SIDE[case]
    branches = conv(activation="relu"), L.Conv2D(2, 1, activation="relu")
    model = randomise(
        branched(L.Concatenate(axis=axis), *branches, behind=[*layers, *end()])
    )
    with pytest.raises(
        InputError, match="different scale factors in one channel: concatenate"
    ):
        convert(trained_network(model), x_norm=pixels)


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_the_border_of_what_the_verification_permits(scale):
    """1e-3, or 1e-3 of the largest output."""
    reference = np.array([[0.25, 1], [0.5, 0]]) * scale
    difference = 1e-3 * scale
    assert check_outputs(reference + 0.99 * difference, reference) == pytest.approx(
        0.99 * difference
    )
    for wrong in (1.01 * difference, np.nan):
        with pytest.raises(
            VerificationError,
            match=r"differ from the trained model's by up to .* \(sample",
        ):
            check_outputs(reference + np.array([[0, 0], [wrong, 0]]), reference)
