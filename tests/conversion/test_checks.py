"""What is refused, and that the toolbox would indeed fail on it or make another network of it."""

import numpy as np
import pytest

from snnb.conversion.convert import check_convertible, check_outputs, convert, reference_outputs
from snnb.conversion.toolbox_config import configuration
from snnb.core.errors import InputError, SnnbError
from snnb.io.keras import keras
from snnb.network.read_network import read_network
from snnb.simulation.engines.engine import check_supported
from tests.conversion.conftest import slow_except

L = keras.layers


def chain(*layers, shape=(8, 8, 1)):
    """A functional model of the layers one after the other."""
    x = first = L.Input(shape)
    for layer in layers:
        x = layer(x)
    return keras.Model(first, x)


def end():
    return (L.Flatten(), L.Dense(3, activation="softmax", name="end"))


def relu_after_two_branches():
    x = L.Input((8, 8, 1))
    conv = L.Conv2D(2, 3, name="conv")(x)
    pooled = L.AveragePooling2D(2)(L.ReLU(name="first")(conv))
    other = L.AveragePooling2D(2)(L.ReLU(name="second")(conv))
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Flatten()(L.Concatenate()([pooled, other]))))


def batch_normalisation_of_a_branch():
    x = L.Input((8, 8, 1))
    conv = L.Conv2D(2, 3, name="conv")(x)
    branch = L.Activation("relu")(L.BatchNormalization(name="norm")(conv))
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Flatten()(L.Concatenate()([branch, conv]))))


def input_concatenated():
    x = L.Input((8, 8, 1))
    conv = L.Conv2D(2, 3, padding="same", activation="relu")(x)
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Flatten()(L.Concatenate(name="join")([x, conv]))))


def global_pooling_in_two_branches():
    x = L.Input((8, 8, 1))
    branches = [
        L.GlobalAveragePooling2D(name=f"pool{k}")(L.Conv2D(2, 3, activation="relu", name=f"conv{k}")(x)) for k in (0, 1)
    ]
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Concatenate()(branches)))


# Refused for what the toolbox's parser does: (model, layer, reason, the words of --max-pool and --rectify-linear).
WRONGLY_PARSED = {
    "softmax moved": (
        lambda: chain(L.Conv2D(3, 3, name="conv"), L.GlobalAveragePooling2D(name="gap"), L.Activation("softmax")),
        "gap",
        "would move it",
    ),
    "relu behind average pooling": (
        lambda: chain(L.Conv2D(3, 3, name="conv"), L.AveragePooling2D(2, name="pool"), L.ReLU(), *end()),
        "pool",
        "would move it",
    ),
    "relu lost in branches": (relu_after_two_branches, "conv", "would not assign it"),
    "relu replaced by linear": (
        lambda: chain(L.Dense(5, activation="relu", name="d"), L.Activation("linear"), *end(), shape=(6,)),
        "d",
        "would replace",
    ),
    "relu and softmax": (
        lambda: chain(L.Dense(5, activation="relu", name="d"), L.Activation("softmax", name="s"), shape=(6,)),
        "s",
        "would replace",
    ),
    "batch normalisation after the activation": (
        lambda: chain(L.Conv2D(3, 3, activation="relu", name="conv"), L.BatchNormalization(), *end()),
        "conv",
        "after the activation",
    ),
    "batch normalisation after an Activation": (
        lambda: chain(L.Conv2D(3, 3), L.Activation("relu", name="act"), L.BatchNormalization(), *end()),
        "act",
        "after the activation",
    ),
    "batch normalisation first": (
        lambda: chain(L.BatchNormalization(name="norm"), L.Conv2D(3, 3, activation="relu"), *end()),
        "norm",
        "only be absorbed directly after",
    ),
    "batch normalisation of one branch": (batch_normalisation_of_a_branch, "norm", "also feeds other layers"),
    "batch normalisation of the rows": (
        lambda: chain(L.Conv2D(3, 3), L.BatchNormalization(axis=1, name="norm"), L.ReLU(), *end()),
        "norm",
        "axis",
    ),
    "batch normalisation of a depthwise convolution with multiplier": (
        lambda: chain(
            L.DepthwiseConv2D(3, depth_multiplier=2, name="depth"), L.BatchNormalization(name="norm"), L.ReLU(), *end()
        ),
        "norm",
        "depth_multiplier",
    ),
    "too many layers to pass over": (
        lambda: chain(L.Conv2D(2, 3, activation="relu"), *(L.Dropout(0.1) for _ in range(7)), *end()),
        "flatten",
        "more than 6 Dropout",
    ),
    "open length": (
        lambda: chain(
            L.Dense(4, activation="relu"),
            L.Reshape((-1, 2, 1), name="open"),
            L.Conv2D(2, 1, activation="relu"),
            L.GlobalAveragePooling2D(),
            L.Dense(3),
            shape=(6,),
        ),
        "open",
        "has -1 in its shape: specify the size",
    ),
    "input concatenated": (input_concatenated, "join", "drop the other branches"),
    "global pooling in branches": (global_pooling_in_two_branches, "pool0", "another branch"),
    "relu6": (lambda: chain(L.Conv2D(3, 3), L.ReLU(0.5, name="relu"), *end()), "relu", "max_value 0.5"),
    "leaky relu": (
        lambda: chain(L.Conv2D(3, 3), L.ReLU(negative_slope=0.1, name="relu"), *end()),
        "relu",
        "negative_slope",
    ),
    "shifted relu": (lambda: chain(L.Conv2D(3, 3), L.ReLU(threshold=0.4, name="relu"), *end()), "relu", "threshold"),
    "LeakyReLU": (lambda: chain(L.Conv2D(3, 3), L.LeakyReLU(name="leaky"), *end()), "leaky", "can represent relu"),
    "Softmax layer": (lambda: chain(L.Dense(3), L.Softmax(name="soft"), shape=(6,)), "soft", "as Activation"),
    "spatial dropout": (
        lambda: chain(L.Conv2D(2, 3, activation="relu"), L.SpatialDropout2D(0.1, name="drop"), *end()),
        "drop",
        "does not support",
    ),
    "separable convolution": (
        lambda: chain(L.SeparableConv2D(3, 3, activation="relu", name="sep"), *end()),
        "sep",
        "does not support",
    ),
}

# Parsed as they are, and refused for what a spike rate cannot do or the simulator lacks.
NOT_SPIKING = {
    "max pooling": (
        lambda: chain(L.Conv2D(3, 3, activation="relu"), L.MaxPooling2D(2, name="max"), *end()),
        "max",
        "--max-pool average",
    ),
    "hidden linear layer": (lambda: chain(L.Dense(3, name="lin"), L.Dense(3), shape=(4,)), "lin", "--rectify-linear"),
    "linear before pooling": (
        lambda: chain(L.Conv2D(3, 3, name="lin"), L.GlobalAveragePooling2D()),
        "lin",
        "--rectify-linear",
    ),
    "hidden softmax": (
        lambda: chain(L.Dense(3, activation="softmax", name="soft"), L.Dense(3), shape=(4,)),
        "soft",
        "only the output layer",
    ),
    "tanh": (lambda: chain(L.Dense(3, activation="tanh", name="t"), shape=(4,)), "t", "activation tanh"),
    "lambda": (lambda: chain(L.Lambda(lambda x: x, name="code"), *end()), "code", "runs custom code"),
    "one-dimensional": (lambda: chain(L.Conv1D(3, 2, name="c1"), *end(), shape=(4, 2)), "c1", "does not support"),
    "addition": (lambda: merged(L.Add(name="sum")), "sum", "merges branches"),
    "model in model": (
        lambda: chain(chain(L.Dense(3, activation="relu"), shape=(4,)), L.Dense(2), shape=(4,)),
        "model",
        "a nested model",
    ),
    "dense on a map": (lambda: chain(L.Dense(3, activation="relu", name="d"), *end()), "d", "insert Flatten before it"),
    "map for output": (lambda: chain(L.Conv2D(3, 3, name="conv")), "conv", "several axes"),
    "channels first": (
        lambda: chain(L.AveragePooling2D(1, data_format="channels_first", name="p"), *end()),
        "p",
        "channels_first",
    ),
    "shared layer": (lambda: shared(), "twice", "more than once"),
    "no weights": (lambda: chain(L.AveragePooling2D(2), L.Flatten()), "model", "no Dense layer and no convolution"),
}


def merged(merge):
    x = L.Input((4,))
    return keras.Model(x, merge([L.Dense(3, activation="relu")(x), L.Dense(3, activation="relu")(x)]))


def shared():
    x, twice = L.Input((4,)), L.Dense(4, activation="relu", name="twice")
    return keras.Model(x, L.Dense(2)(twice(twice(x))))


@pytest.mark.parametrize("case", [*WRONGLY_PARSED, *NOT_SPIKING])
def test_refused_in_one_line_by_layer_and_reason(case):
    build, layer, reason = {**WRONGLY_PARSED, **NOT_SPIKING}[case]
    with pytest.raises(InputError) as raised:
        check_convertible(build())
    message = str(raised.value)
    assert "\n" not in message
    assert any(layer in part and reason in part for part in message.split("; ")), message


@pytest.mark.toolbox
@pytest.mark.parametrize("case", slow_except({"softmax moved", "relu lost in branches"}, WRONGLY_PARSED))
def test_what_is_refused_the_toolbox_gets_wrong(case, randomise):
    from snnb.conversion.toolbox import to_parsed

    model = randomise(WRONGLY_PARSED[case][0](), seed=3)
    x = np.random.default_rng(1).random((20, *model.input_shape[1:])).astype(np.float32)
    reference = reference_outputs(model, x, max_pool="error")
    with pytest.raises(SnnbError):
        check_outputs(to_parsed(model, configuration("net")), x, reference, lambda: reference, "toolbox")


def relu_after_concatenation():
    x = L.Input((8, 8, 1))
    branches = [L.BatchNormalization()(L.Conv2D(2, k, padding="same")(x)) for k in (1, 3)]
    joined = L.ReLU()(L.Concatenate()(branches))
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Flatten()(joined)))


def side_by_side():
    x = L.Input((8, 8, 1))
    both = L.Concatenate(axis=1)([L.Conv2D(2, k, padding="same", activation="relu")(x) for k in (1, 3)])
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Flatten()(both)))


ACCEPTED = {
    "everything that is dropped": lambda: chain(
        L.Dropout(0.1), L.Conv2D(3, 3), L.Dropout(0.1), L.BatchNormalization(), L.ReLU(), L.GaussianNoise(0.1), *end()
    ),
    "relu after concatenation": relu_after_concatenation,
    "relu after flatten and padding": lambda: chain(
        L.Conv2D(3, 3), L.ZeroPadding2D(1), L.Flatten(), L.ReLU(), *end()[1:]
    ),
    "global pooling, dropout, softmax": lambda: chain(
        L.Conv2D(3, 3, activation="relu"), L.GlobalAveragePooling2D(), L.Dropout(0.2), *end()[1:]
    ),
    "global pooling at the end": lambda: chain(L.Conv2D(3, 3, activation="relu"), L.GlobalAveragePooling2D()),
    "no bias": lambda: chain(
        L.DepthwiseConv2D(3, use_bias=False, activation="relu"),
        L.Conv2D(2, 2, use_bias=False, activation="relu"),
        L.Flatten(),
        L.Dense(3, use_bias=False, activation="softmax"),
    ),
    "branches side by side in rows, then all to all": side_by_side,
    "dilation": lambda: chain(L.Conv2D(3, 3, dilation_rate=2, activation="relu"), *end()),
    "linear output": lambda: chain(L.Dense(4, activation="relu"), L.Dense(3), shape=(5,)),
    "Sequential that starts with Dropout": lambda: keras.Sequential(
        [L.Dropout(0.1, input_shape=(8, 8, 1)), L.Conv2D(3, 3, activation="relu"), *end()]
    ),
    "Sequential that starts with Flatten": lambda: keras.Sequential([L.Flatten(input_shape=(8, 8, 1)), L.Dense(3)]),
    "output in another shape": lambda: chain(L.Dense(4), L.Dropout(0.1), L.Reshape((2, 2)), L.Flatten(), shape=(6,)),
    "fixed batch": lambda: keras.Sequential([L.Dense(3, batch_input_shape=(20, 5))]),
}


@pytest.mark.toolbox
@pytest.mark.parametrize("case", slow_except({"everything that is dropped", "no bias"}, ACCEPTED))
def test_what_is_accepted_the_toolbox_gets_right(case, randomise):
    from snnb.conversion.toolbox import to_parsed

    model = randomise(ACCEPTED[case]())
    check_convertible(model)
    x = np.random.default_rng(1).random((20, *model.input_shape[1:])).astype(np.float32)
    reference = reference_outputs(model, x, max_pool="error")
    assert check_outputs(to_parsed(model, configuration("net")), x, reference, lambda: reference, "toolbox") < 1e-5


def test_custom_layer():
    class Own(L.Layer):
        def __init__(self, factor):
            super().__init__()

    for model in (chain(Own(2), *end()), chain(chain(Own(2)), *end())):
        with pytest.raises(InputError, match="a custom class"):
            check_convertible(model)


def branched(axis, behind):
    """Two branches of 8×8 maps that meet, and what reads them."""
    x = L.Input((8, 8, 1))
    branches = (L.Conv2D(2, 3, padding="same", activation="relu"), L.Conv2D(2, 1, activation="relu"))
    both = L.Concatenate(axis=axis)([branch(x) for branch in branches])
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Flatten()(behind(both))))


SIDE_BY_SIDE = {
    "columns, then a pooling": lambda: branched(2, L.AveragePooling2D(3)),
    "channels in the wrong shape": lambda: branched(
        3, lambda x: L.Conv2D(1, 3, activation="relu")(L.Reshape((8, 16, 2))(x))
    ),
    "rows, after padding": lambda: branched(
        1, lambda x: L.Conv2D(1, 3, activation="relu")(L.Dropout(0.1)(L.ZeroPadding2D(2)(x)))
    ),
}


@pytest.mark.parametrize("case", slow_except({"rows, after padding"}, SIDE_BY_SIDE))
def test_branches_in_one_channel(case, randomise, save, pixels, tmp_path):
    path = save(randomise(SIDE_BY_SIDE[case]()))
    with pytest.raises(InputError, match="different scale factors in one channel: concatenate"):
        convert(path, tmp_path, name="net", x_norm=pixels)


def ends_in(behind):
    x = L.Input((6,))
    return keras.Model(x, behind(x))


NO_NEURONS = {
    "concatenation": lambda x: L.Concatenate(name="last")([L.Dense(2, activation="relu")(x), L.Dense(3)(x)]),
    "concatenation that is flattened": lambda x: L.Dropout(0.1)(
        L.Flatten()(L.Concatenate(name="last")([L.Dense(2, activation="relu")(x), L.Dense(3)(x)]))
    ),
    "padding": lambda x: L.Flatten()(L.ZeroPadding2D(1, name="last")(L.Reshape((2, 2, 1))(L.Dense(4)(x)))),
}


@pytest.mark.toolbox
@pytest.mark.parametrize("case", slow_except({"padding"}, NO_NEURONS))
def test_an_output_without_neurons(case, randomise, tmp_path):
    """The parser takes it, the simulation does not."""
    from snnb.conversion.toolbox import to_parsed

    model = randomise(ends_in(NO_NEURONS[case]))
    with pytest.raises(InputError, match=r"last \(\w+\): has no neurons, so it cannot be the output"):
        check_convertible(model)
    parsed = to_parsed(model, configuration("net"))
    parsed.save(str(tmp_path / "net_parsed.h5"))
    with pytest.raises(InputError, match="has no neurons"):
        check_supported(read_network(tmp_path / "net_parsed.h5"))
