"""Networks that only the parser of snnb converts, against Keras and results worked out by hand."""

import numpy as np
import pytest

from snnb.conversion.convert import convert, with_averages
from snnb.conversion.normalise import measure, normalise_weights, scale_factors
from snnb.core.errors import InputError
from snnb.forward.analogue import Analogue
from snnb.graph.build import build_graph
from snnb.model_files.keras import keras
from snnb.network.read_network import read_network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from snnb.training.keras_model import trained_network
from tests.conversion.conftest import assert_computes, parse, slow_except
from tests.converted import convert_files

L = keras.layers
PICTURES = np.random.default_rng(1).random((20, 8, 8, 2)).astype(np.float32)


def _model(build):
    x = L.Input((8, 8, 2))
    return keras.Model(x, build(x))


def _end(x):
    return L.Dense(3, activation="softmax")(L.Flatten()(x))


PADDED_BIASES = {
    "of a convolution": lambda x: L.Conv2D(2, 3, padding="same", activation="relu")(
        L.Conv2D(4, 1)(x)
    ),
    "of a batch normalisation": lambda x: L.Conv2D(
        2, 3, strides=2, padding="same", activation="relu"
    )(L.BatchNormalization()(L.ReLU()(x))),
    "before and after zeros": lambda x: L.DepthwiseConv2D(3, activation="relu")(
        L.BatchNormalization()(
            L.ZeroPadding2D(((2, 1), (0, 1)))(L.BatchNormalization()(x))
        )
    ),
    "in a sum, clipped": lambda x: L.ReLU(1.5)(
        L.Add()([x, L.SeparableConv2D(2, 3, padding="same")(L.BatchNormalization()(x))])
    ),
}


@pytest.mark.parametrize("case", PADDED_BIASES)
def test_a_bias_that_is_padded_differs_by_position(case, randomise):
    model = randomise(_model(lambda x: _end(PADDED_BIASES[case](x))))
    assert_computes(parse(model), model, PICTURES)
    network = convert(trained_network(model), x_norm=PICTURES).parsed
    assert np.ptp(network.populations[-2].bias, axis=(0, 1)).max() > 0.01
    assert_computes(network, model, PICTURES)  # the softmax is not scaled


def _residual(clip=None):
    """A residual block whose activations are known: a convolution and the input's population are added."""
    x = L.Input((4, 4, 1))
    first_layer = L.Conv2D(2, 1, activation="relu", name="first")(x)
    second_layer = L.Add()([L.Conv2D(2, 1, use_bias=False)(first_layer), first_layer])
    end = L.Dense(2, use_bias=False)(
        L.Flatten()(L.ReLU(clip)(L.BatchNormalization(epsilon=0)(second_layer)))
    )
    model = keras.Model(x, end)
    kernel = np.array([[1, 0], [0.5, 2]], np.float32)
    model.layers[1].set_weights(
        [np.array([[[[2, 1]]]], np.float32), np.array([0, 1], np.float32)]
    )
    model.layers[2].set_weights([kernel.reshape(1, 1, 2, 2)])
    gamma, beta, mean, variance = (
        np.array(v, np.float32) for v in ([1, 3], [0, 1], [0, 2], [4, 1])
    )
    model.layers[4].set_weights([gamma, beta, mean, variance])
    model.layers[-1].set_weights([np.ones((32, 2), np.float32)])
    return parse(model), kernel


RAMP = np.linspace(0, 1, 32).astype(np.float32).reshape(2, 4, 4, 1)


@pytest.mark.parametrize("clip", [None, 3.0])
def test_normalisation_of_a_residual_block_by_hand(clip):
    network, kernel = _residual(clip)
    # By hand: first = (2 x, x + 1); second = (first K + first) · (1/2, 3) + (0, 1 − 6).
    first_kernel = np.concatenate([2 * RAMP, RAMP + 1], axis=-1)
    second_maximum = np.maximum(
        (first_kernel @ kernel + first_kernel) * [0.5, 3] + [0, -5], 0
    )
    second_maximum = (
        second_maximum if clip is None else np.minimum(second_maximum, clip)
    )
    factors = scale_factors(
        network, measure(network, RAMP, percentile=100, batch_size=2).percentiles
    )
    population, block, output = network.populations
    assert factors["00Conv2D_4x4x2"] == pytest.approx(2)
    assert factors[block.name] == pytest.approx(second_maximum.max())
    assert set(factors) == {"input", population.name, block.name, output.name}
    network = normalise_weights(network, factors)
    _, block, _ = network.populations
    convolution, shortcut = (projection.kernel for projection in block.projections)
    ratio = 2 / second_maximum.max()
    np.testing.assert_allclose(convolution[0, 0], kernel * [0.5, 3] * ratio, rtol=1e-6)
    np.testing.assert_allclose(
        block.bias, np.array([0, -5]) / second_maximum.max(), rtol=1e-6
    )
    np.testing.assert_allclose(
        shortcut[0, 0, :, 0], np.array([0.5, 3]) * ratio, rtol=1e-6
    )
    assert block.max_value == (None if clip is None else pytest.approx(1))
    outputs = Analogue(network).outputs(RAMP) * factors[output.name]
    np.testing.assert_allclose(
        outputs[:, 0], second_maximum.reshape(2, -1).sum(axis=1), rtol=1e-5
    )


@pytest.mark.parametrize("clip", slow_except([3.0], [None, 3.0]))
def test_rates_of_a_residual_block_approach_its_activations(clip):
    """The error of a rate is at most one spike for the population's own residue, and what its inputs lack before."""
    network, _ = _residual(clip)
    factors = scale_factors(
        network, measure(network, RAMP, percentile=100, batch_size=2).percentiles
    )
    network = normalise_weights(network, factors)
    *_, block, _ = network.populations
    [activations] = Analogue(network, [block.name]).values(RAMP)
    gain = sum(
        np.abs(projection.weights()).sum(axis=(0, 1, 2)).max()
        for projection in block.projections
    )
    for steps in (50, 400):
        settings = SimulationSettings(samples=2, duration=steps)
        counts = (
            EventEngine(network, settings)
            .simulate(RAMP, 0, lambda *_: None)
            .counts[block.name]
        )
        assert np.abs(counts / steps - activations).max() <= (1 + gain) / steps + 1e-5


def test_weights_of_padding_are_scaled_as_the_others(randomise):
    """Else they could be the largest of the layer, by which integers are scaled."""
    model = randomise(
        _model(lambda x: _end(L.ZeroPadding2D(1)(L.Conv2D(2, 3, activation="relu")(x))))
    )
    result = convert(trained_network(model), x_norm=PICTURES)
    trained_weight = (
        model.layers[-1].get_weights()[0] * result.scale_factors["00Conv2D_6x6x2"]
    )
    np.testing.assert_allclose(
        result.parsed.output.only.kernel, trained_weight, rtol=1e-6
    )


def test_rectify_linear_leaves_a_pooling_that_can_be_composed_exact(randomise):
    """As between the blocks of a DenseNet: the convolution without activation has no neurons."""
    model = randomise(
        _model(lambda x: _end(L.ReLU()(L.AveragePooling2D()(L.Conv2D(3, 3)(x)))))
    )
    network = parse(model, rectify_linear=True)
    assert_computes(network, model, PICTURES)
    assert [volume.name for volume in network.volumes] == [
        "input",
        "00Conv2D_3x3x3",
        "01Flatten_27",
        "02Dense_3",
    ]


def test_batch_normalisation_before_flatten_scales_the_dense_layer(randomise):
    def build(x):
        layer = L.BatchNormalization()(L.Conv2D(3, 3, activation="relu")(x))
        two = L.BatchNormalization()(
            L.AveragePooling2D(2)(L.Conv2D(2, 3, activation="relu")(x))
        )
        joined_layer = L.Concatenate()(
            [L.Flatten()(layer), L.Reshape((18,))(two), L.Flatten()(x)]
        )
        return L.Dense(3)(
            L.BatchNormalization()(L.Dense(4, activation="relu")(joined_layer))
        )

    model = randomise(_model(build))
    network = parse(model)
    assert_computes(network, model, PICTURES)
    assert not any(
        population.kind == "DepthwiseConv2D" for population in network.populations
    )


def test_average_pooling_in_place_of_max_pooling(randomise):
    def build(pooling):
        inside = keras.Sequential([pooling(3, strides=2, padding="same")])
        return randomise(
            _model(lambda x: _end(inside(L.Conv2D(3, 3, activation="relu")(x))))
        )

    with_max, with_average = build(L.MaxPooling2D), build(L.AveragePooling2D)
    assert (
        np.abs(with_max(PICTURES).numpy() - with_average(PICTURES).numpy()).max() > 1e-2
    )
    assert_computes(with_averages(trained_network(with_max)), with_average, PICTURES)
    assert_computes(parse(with_max, max_pool="average"), with_average, PICTURES)
    assert_computes(parse(with_max), with_max, PICTURES)


CLASSES, SAMPLES, STEPS = 3, 6, 300
ENGINES = (TensorFlowEngine, EventEngine)


def _softmax(x):
    return L.Activation("softmax", name="end")(x)


ENDS = {
    "means": lambda x: _softmax(L.GlobalAveragePooling2D()(x)),
    "means, flattened again": lambda x: _softmax(
        L.Flatten()(L.Dropout(0.3)(L.GlobalAveragePooling2D()(x)))
    ),
    "pooling over the map": lambda x: _softmax(
        L.Flatten()(L.AveragePooling2D(x.shape[1:3])(x))
    ),
    "means as a map": lambda x: L.Flatten()(
        _softmax(L.Reshape((1, 1, CLASSES))(L.GlobalAveragePooling2D()(x)))
    ),
}


def _softmax_model(end, randomise):
    x = L.Input((6, 7, 2))
    y = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    return randomise(keras.Model(x, end(L.Conv2D(CLASSES, 3, activation="relu")(y))))


@pytest.mark.parametrize("end", slow_except({"means, flattened again"}, ENDS))
def test_the_softmax_of_means_is_exact_and_simulated(end, randomise, tmp_path):
    model = _softmax_model(ENDS[end], randomise)
    x = np.random.default_rng(0).random((20, 6, 7, 2)).astype(np.float32)
    assert convert_files(model, tmp_path, x_norm=x).largest_difference < 1e-6
    network = read_network(tmp_path / "net_parsed.h5")
    # Normalised: the softmax must still see the trained network's own means, not what they are divided by.
    assert_computes(network, model, x)
    settings = SimulationSettings(samples=SAMPLES, duration=STEPS)
    result, two = (
        engine(network, settings).simulate(x[:SAMPLES], 0, lambda *_: None)
        for engine in ENGINES
    )
    for name, counts in result.counts.items():
        np.testing.assert_array_equal(counts, two.counts[name], err_msg=name)
    *_, means, _ = result.counts
    assert result.counts[means].any()
    with build_graph(read_network(tmp_path / "net_parsed.h5")) as graph:
        # Padded 3×3 kernels reach 16 · 19 inputs on 6×7 maps a pair of channels; then 9 taps; means; one each.
        assert (
            graph.number_of_edges()
            == 16 * 19 * 2 * 4 + 20 * CLASSES * 9 * 4 + 20 * CLASSES + CLASSES
        )


REFUSED = {
    "a flattened map": (
        lambda x: _softmax(L.Flatten()(x)),
        "end (Activation): softmax over Flatten, which has no",
    ),
    "a Dense relu": (
        lambda x: _softmax(L.Dense(3, activation="relu")(L.Flatten()(x))),
        "insert a Dense layer between",
    ),
    "positions": (
        lambda x: L.Flatten()(_softmax(x)),
        "end (Activation): softmax over positions: insert Flatten and a",
    ),
}


@pytest.mark.parametrize("end", REFUSED)
def test_what_else_has_no_weights_before_the_softmax_is_refused_with_what_to_do(
    end, randomise
):
    build, message = REFUSED[end]
    with pytest.raises(InputError) as error_info:
        parse(_softmax_model(build, randomise))
    assert message in str(error_info.value)
    assert len(str(error_info.value).splitlines()) == 1
