"""Our own parser: equal to the toolbox's where both can, and exact where only ours can."""

import numpy as np
import pytest

from snnb.architectures import find, names
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import check_convertible, check_outputs, reference_outputs, save_keras
from snnb.conversion.normalise import apply_factors, measure, scale_factors
from snnb.conversion.own_parser import parse_own
from snnb.conversion.toolbox_config import configuration
from snnb.core.errors import InputError
from snnb.forward.currents import AnalogueNetwork
from snnb.forward.numpy_pass import activations
from snnb.io.keras import NEWER, keras
from snnb.network.read_network import read_network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.settings import SimulationSettings
from tests.conversion.conftest import slow_except

L = keras.layers
MOST_WEIGHTS = 2_000_000


def assert_equal(ours, theirs):
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    for one, other in zip(ours.layers, theirs.layers):
        assert type(one) is type(other)
        config = {**one.get_config(), "batch_input_shape": None}
        assert config == {**other.get_config(), "batch_input_shape": None}, one.name
        largest = max((np.abs(values).max() for values in other.get_weights()), default=0)  # folding subtracts
        for found, expected in zip(one.get_weights(), other.get_weights()):
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * largest)


def _built(name):
    spec = find(name)
    return spec.build(input_shape=spec.input_shape, num_classes=spec.num_classes)


MODELS = slow_except({"mini_network", "resnet20_cifar10"}, names(spiking=False))


@pytest.mark.toolbox
@pytest.mark.parametrize("name", MODELS)
def test_equals_the_toolboxs_on_the_models_of_the_package(name, randomise):
    from snnb.conversion.toolbox import to_parsed

    model = _built(name)
    if model.count_params() > MOST_WEIGHTS:
        model.set_weights([np.full(w.shape, 0.01 + 0.001 * i, np.float32) for i, w in enumerate(model.get_weights())])
    else:
        randomise(model)
    max_pool = "average"
    try:
        check_convertible(model, max_pool=max_pool)
    except InputError:
        assert name in OWN_ONLY
        return
    ours = parse_own(model, max_pool=max_pool)
    assert_equal(ours, to_parsed(model, configuration("net", [ConversionSettings(max_pool=max_pool)])))


OWN_ONLY = {"resnet20_cifar10", "resnet50_imagenet", "mobilenet_v2_imagenet", "densenet121_imagenet"}


def _model(build, shape=(8, 8, 2)):
    x = L.Input(shape)
    return keras.Model(x, build(x))


def _end(x):
    return L.Dense(3, activation="softmax")(L.Flatten()(x))


def _maximum_of_signed(x):
    return _end(L.Conv2D(2, 3, activation="relu", name="after")(L.MaxPooling2D(2)(L.Conv2D(2, 3)(x))))


REFUSED = {
    "padded kernel over kernel": (
        lambda x: _end(L.Conv2D(2, 3, padding="same", name="here")(L.Conv2D(4, 3, use_bias=False)(x))),
        "here (Conv2D): pads the output of a layer without activation",
    ),
    "kernel with gaps over strides": (
        lambda x: _end(L.Conv2D(2, 2, activation="relu", name="here")(L.Conv2D(4, 1, strides=2)(x))),
        "here (Conv2D): has strides over a dilated kernel",
    ),
    "padded average": (
        lambda x: _end(L.ReLU()(L.AveragePooling2D(4, padding="same", name="here")(L.Conv2D(4, 3)(x)))),
        "here (AveragePooling2D): average pooling with padding",
    ),
    "average of unequal strides": (
        lambda x: _end(L.ReLU(name="here")(L.AveragePooling2D((2, 3))(L.Add()([x, x])))),
        "here (ReLU): has strides of 2 × 3",
    ),
    "maximum of signed values": (_maximum_of_signed, "after (Conv2D): reads a MaxPooling2D of a layer without"),
    "flattened linear": (
        lambda x: L.Dense(3, name="here")(L.Flatten()(L.Conv2D(4, 3)(x))),
        "here (Dense): reads a Flatten of a layer without activation",
    ),
    "sum of units": (
        lambda x: L.Dense(2)(L.ReLU(name="here")(L.Add()([L.Dense(3)(x), x]))),
        "here (ReLU): connects units of a Dense layer one to one",
    ),
    "softmax inside": (
        lambda x: _end(L.Conv2D(2, 3, activation="softmax", name="soft")(x)),
        "softmax in a hidden layer",
    ),
    "leaky": (
        lambda x: _end(L.ReLU(negative_slope=0.1, name="here")(L.Conv2D(2, 3)(x))),
        "here (ReLU): negative_slope",
    ),
    "product": (
        lambda x: _end(L.Multiply(name="here")([L.Conv2D(2, 3)(x), L.Conv2D(2, 3)(x)])),
        "here (Multiply): merges branches, which only Add and Concatenate can do",
    ),
    "max pooling": (lambda x: _end(L.MaxPooling2D(name="here")(L.ReLU()(L.Add()([L.Conv2D(2, 1)(x), x])))), "here"),
}


PADDED_BIASES = {
    "of a convolution": lambda x: L.Conv2D(2, 3, padding="same", activation="relu")(L.Conv2D(4, 1)(x)),
    "of a batch normalisation": lambda x: L.Conv2D(2, 3, strides=2, padding="same", activation="relu")(
        L.BatchNormalization()(L.ReLU()(x))
    ),
    "before and after zeros": lambda x: L.DepthwiseConv2D(3, activation="relu")(
        L.BatchNormalization()(L.ZeroPadding2D(((2, 1), (0, 1)))(L.BatchNormalization()(x)))
    ),
    "in a sum, clipped": lambda x: L.ReLU(1.5)(
        L.Add()([x, L.SeparableConv2D(2, 3, padding="same")(L.BatchNormalization()(x))])
    ),
}


@pytest.mark.parametrize("case", PADDED_BIASES)
def test_a_bias_that_is_padded_differs_by_position(case, randomise, tmp_path):
    model = randomise(_model(lambda x: _end(PADDED_BIASES[case](x))))
    x = np.random.default_rng(1).random((20, 8, 8, 2)).astype(np.float32)
    expected = model.predict(x)
    assert check_convertible(model, parser="auto") == "own"
    parsed = parse_own(model)
    np.testing.assert_allclose(parsed.predict(x), expected, atol=1e-5)
    apply_factors(parsed, scale_factors(parsed, measure(parsed, x, batch_size=20).percentiles))
    save_keras(parsed, tmp_path / "n.h5", "n")
    network = read_network(tmp_path / "n.h5")
    assert np.ptp(network.populations[-2].bias, axis=(0, 1)).max() > 0.01
    np.testing.assert_allclose(AnalogueNetwork(network).outputs(x), expected, atol=1e-5)
    *_, (_, last) = activations(network, x.reshape(20, -1))
    np.testing.assert_allclose(last, expected, atol=1e-5)


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line_by_layer_and_reason(case):
    build, message = REFUSED[case]
    shape = (3,) if case == "sum of units" else (8, 8, 2)
    max_pool = "spiking" if case == "maximum of signed values" else "error"
    with pytest.raises(InputError) as raised:
        check_convertible(_model(build, shape), max_pool=max_pool, parser="own")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_same_reason_is_said_once():
    def build(x):
        for _ in range(9):
            x = L.Conv2D(2, 3, padding="same")(L.Conv2D(2, 3, padding="same")(L.ReLU()(x)))
        return _end(L.ReLU()(x))

    with pytest.raises(InputError) as raised:
        check_convertible(_model(build), parser="auto")
    assert str(raised.value).count("insert a relu between them") == 1
    assert "and 4 more: pads" in str(raised.value)


def test_all_layers_of_a_kind_that_is_not_converted_are_named():
    def build(x):
        y = L.Conv2D(2, 3, activation="tanh", name="bent")(L.Cropping2D(1, name="cut")(x))
        return _end(L.ReLU()(L.Multiply(name="product")([y, y])))

    with pytest.raises(InputError) as raised:
        check_convertible(_model(build), parser="auto")
    for name in (
        "cut (Cropping2D): snnb does not support",
        "bent (Conv2D): activation tanh",
        "product (Multiply): merges",
    ):
        assert str(raised.value).count(name) == 1


@pytest.mark.toolbox
def test_the_parser_of_auto():
    def sums(x):
        return _end(L.ReLU()(L.Add()([L.Conv2D(2, 1)(x), x])))

    assert check_convertible(_model(sums), parser="auto") == "own"
    assert check_convertible(_model(lambda x: _end(L.Conv2D(2, 3, activation="relu")(x))), parser="auto") == "toolbox"
    with pytest.raises(InputError, match="merges branches, which only Concatenate can do"):
        check_convertible(_model(sums), parser="toolbox")


def _residual(clip=None):
    """A residual block whose activations are known: a convolution and the input's population are added."""
    x = L.Input((4, 4, 1))
    first = L.Conv2D(2, 1, activation="relu", name="first")(x)
    second = L.Add()([L.Conv2D(2, 1, use_bias=False)(first), first])
    end = L.Dense(2, use_bias=False)(L.Flatten()(L.ReLU(clip)(L.BatchNormalization(epsilon=0)(second))))
    model = keras.Model(x, end)
    kernel = np.array([[1, 0], [0.5, 2]], np.float32)
    model.layers[1].set_weights([np.array([[[[2, 1]]]], np.float32), np.array([0, 1], np.float32)])
    model.layers[2].set_weights([kernel.reshape(1, 1, 2, 2)])
    gamma, beta, mean, variance = (np.array(v, np.float32) for v in ([1, 3], [0, 1], [0, 2], [4, 1]))
    model.layers[4].set_weights([gamma, beta, mean, variance])
    model.layers[-1].set_weights([np.ones((32, 2), np.float32)])
    return model, kernel


@pytest.mark.parametrize("clip", [None, 3.0])
def test_normalisation_of_a_residual_block_by_hand(clip):
    model, kernel = _residual(clip)
    parsed = parse_own(model)
    x = np.linspace(0, 1, 32).astype(np.float32).reshape(2, 4, 4, 1)
    # By hand: first = (2 x, x + 1); second = (first K + first) · (1/2, 3) + (0, 1 − 6).
    first = np.concatenate([2 * x, x + 1], axis=-1)
    second = np.maximum((first @ kernel + first) * [0.5, 3] + [0, -5], 0)
    second = second if clip is None else np.minimum(second, clip)
    activity = measure(parsed, x, percentile=100, batch_size=2)
    end = next(layer.name for layer in parsed.layers if type(layer).__name__ in ("Activation", "ReLU"))
    factors = scale_factors(parsed, activity.percentiles)
    assert factors["00Conv2D_4x4x2"] == pytest.approx(2)
    assert factors[end] == pytest.approx(second.max())
    assert set(factors) == {"input", "00Conv2D_4x4x2", end, parsed.layers[-1].name}
    apply_factors(parsed, factors)
    convolution, shortcut = (
        parsed.get_layer(name).get_weights() for name in ("01Conv2D_4x4x2", "02DepthwiseConv2D_4x4x2")
    )
    ratio = 2 / second.max()
    np.testing.assert_allclose(convolution[0][0, 0], kernel * [0.5, 3] * ratio, rtol=1e-6)
    np.testing.assert_allclose(convolution[1], np.array([0, -5]) / second.max(), rtol=1e-6)
    np.testing.assert_allclose(shortcut[0][0, 0, :, 0], np.array([0.5, 3]) * ratio, rtol=1e-6)
    assert len(shortcut) == 1
    if clip is not None:
        assert parsed.get_layer(end).get_config()["max_value"] == pytest.approx(1)
    output = parsed.predict(x) * factors[parsed.layers[-1].name]
    np.testing.assert_allclose(output[:, 0], second.reshape(2, -1).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("clip", slow_except([3.0], [None, 3.0]))
def test_rates_of_a_residual_block_approach_its_activations(clip, tmp_path):
    """The error of a rate is at most one spike for the population's own residue, and what its inputs lack before."""
    model, _ = _residual(clip)
    parsed = parse_own(model)
    x = np.linspace(0, 1, 32).astype(np.float32).reshape(2, 4, 4, 1)
    factors = scale_factors(parsed, measure(parsed, x, percentile=100, batch_size=2).percentiles)
    apply_factors(parsed, factors)
    save_keras(parsed, tmp_path / "residual.h5", "residual")
    network = read_network(tmp_path / "residual.h5")
    np.testing.assert_allclose(AnalogueNetwork(network).outputs(x), parsed.predict(x), rtol=1e-5)
    *_, block, _ = network.populations
    assert block.max_value == (None if clip is None else pytest.approx(3 / factors[block.name]))
    assert len(block.projections) == 2
    activations = keras.Model(parsed.input, parsed.get_layer(block.name).output).predict(x)
    gain = sum(np.abs(projection.weights()).sum(axis=(0, 1, 2)).max() for projection in block.projections)
    for steps in (50, 400):
        settings_ = SimulationSettings(samples=2, duration=steps)
        counts = EventEngine(network, settings_).simulate(x, 0, lambda *_: None).counts[block.name]
        assert np.abs(counts / steps - activations).max() <= (1 + gain) / steps + 1e-5


@pytest.mark.skipif(not NEWER, reason="TensorFlow 2.2 has no keepdims")
def test_global_pooling_that_keeps_its_axes(randomise):
    x = L.Input((8, 8, 2))
    y = L.GlobalAveragePooling2D(keepdims=True)(L.Conv2D(4, 3, activation="relu")(x))
    model = randomise(keras.Model(x, _end(L.Conv2D(5, 1, activation="relu")(y))))
    pictures = np.random.default_rng(0).random((5, 8, 8, 2)).astype(np.float32)
    np.testing.assert_allclose(parse_own(model).predict(pictures), model.predict(pictures), atol=1e-6)


def test_rectify_linear_leaves_a_pooling_that_can_be_composed_exact(randomise):
    """As between the blocks of a DenseNet: the convolution without activation has no neurons."""
    model = randomise(_model(lambda x: _end(L.ReLU()(L.AveragePooling2D()(L.Conv2D(3, 3)(x))))))
    exact, accepted = (parse_own(model, rectify_linear=rectify) for rectify in (False, True))
    assert_equal(accepted, exact)
    assert [layer.name for layer in exact.layers] == ["input", "00Conv2D_3x3x3", "01Flatten_27", "02Dense_3"]


def test_batch_normalisation_before_flatten_scales_the_dense_layer(randomise):
    def build(x):
        one = L.BatchNormalization()(L.Conv2D(3, 3, activation="relu")(x))
        two = L.BatchNormalization()(L.AveragePooling2D(2)(L.Conv2D(2, 3, activation="relu")(x)))
        joined = L.Concatenate()([L.Flatten()(one), L.Reshape((18,))(two), L.Flatten()(x)])
        return L.Dense(3)(L.BatchNormalization()(L.Dense(4, activation="relu")(joined)))

    model = randomise(_model(build))
    x = np.random.default_rng(1).random((20, 8, 8, 2)).astype(np.float32)
    reference = reference_outputs(model, x, max_pool="error")
    assert check_convertible(model, parser="auto") == "own"
    parsed = parse_own(model)
    assert check_outputs(parsed, x, reference, lambda: reference, "own") < 1e-4
    assert sum(type(layer).__name__ == "DepthwiseConv2D" for layer in parsed.layers) == 0
