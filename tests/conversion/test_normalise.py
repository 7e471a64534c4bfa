"""Scale factors and normalised weights against the toolbox's own, bit for bit, and against what they are for."""

import json

import numpy as np
import pytest

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.normalise import Tail, apply_factors, measure, scale_factors
from snnb.conversion.toolbox_config import configuration, quiet
from snnb.core.errors import InputError
from snnb.io.keras import keras
from tests.conversion.conftest import slow_except

L = keras.layers


def the_toolboxs(parsed, config, x, scratch):
    """Scale factors and weights after the toolbox's own normalisation of a copy."""
    from snntoolbox.conversion.utils import normalize_parameters

    copy = keras.models.clone_model(parsed)
    copy.set_weights(parsed.get_weights())
    with quiet():
        normalize_parameters(copy, config, x_norm=x, path=str(scratch))
    [written] = scratch.glob("*.json")
    return json.loads(written.read_text()), copy.get_weights()


def after_concatenated_and_pooled_branches():
    x = L.Input((8, 8, 1))
    first = L.Conv2D(3, 3, padding="same", activation="relu")(x)
    branches = [
        L.AveragePooling2D(2)(L.Conv2D(2, 1, activation="relu")(first)),
        L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(first),
    ]
    joined = L.Conv2D(3, 2, activation="relu")(L.Concatenate()(branches))
    return keras.Model(x, L.Dense(4, activation="softmax")(L.Flatten()(joined)))


@pytest.fixture
def branches(randomise):
    return randomise(after_concatenated_and_pooled_branches())


CASES = [
    *(("small", percentile, schedule) for percentile in (99.9, 50, 100) for schedule in (False, True)),
    ("branches", 99.9, False),
    ("with_linear_layer", 70, False),  # values of both signs
]


@pytest.mark.toolbox
@pytest.mark.parametrize(
    ("model", "percentile", "schedule"), slow_except([CASES[0], CASES[3], *CASES[6:]], CASES), ids=str
)
def test_equal_to_the_toolbox_to_the_last_bit(request, model, percentile, schedule, pixels, tmp_path):
    from snnb.conversion.toolbox_parser import to_parsed

    options = ConversionSettings(batch_size=25, percentile=percentile, normalization_schedule=schedule)
    config = configuration("net", [options])
    parsed = to_parsed(request.getfixturevalue(model), config)
    activity = measure(parsed, pixels, percentile=percentile, schedule=schedule, batch_size=25)  # 20 of 120 left out
    expected, weights = the_toolboxs(parsed, config, pixels, tmp_path)
    assert {"input": 1, **activity.percentiles} == expected
    apply_factors(parsed, scale_factors(parsed, activity.percentiles))
    for ours, theirs in zip(parsed.get_weights(), weights):
        np.testing.assert_array_equal(ours, theirs)


def dense_after_branches():
    x = L.Input((8, 8, 1))
    branches = [
        L.AveragePooling2D(2)(L.Conv2D(2, 3, activation="relu")(x)),
        L.Conv2D(5, 3, strides=2, padding="same", activation="relu")(x),
        L.ZeroPadding2D(((1, 0), (0, 2)))(L.AveragePooling2D(3)(x)),
    ]
    flat = [L.Flatten()(branch) for branch in branches[1:]]
    flat.append(L.Reshape((6, 3))(branches[0]))
    joined = L.Concatenate()([*flat[:2], L.Flatten()(flat[2])])
    return keras.Model(x, L.Dense(4, activation="softmax")(L.Dense(6, activation="relu")(joined)))


def depthwise_after_branches():
    x = L.Input((8, 8, 1))
    a = L.Conv2D(2, 3, activation="relu")(x)
    b = L.DepthwiseConv2D(3, depth_multiplier=2, activation="relu")(x)
    joined = L.ZeroPadding2D(1)(L.Concatenate()([a, b, L.AveragePooling2D(3, strides=1)(x)]))
    pooled = L.AveragePooling2D(2)(L.DepthwiseConv2D(2, activation="relu")(joined))
    return keras.Model(x, L.Dense(4, activation="softmax")(L.Flatten()(pooled)))


@pytest.mark.toolbox
@pytest.mark.parametrize(
    "build",
    slow_except(
        [dense_after_branches], [dense_after_branches, depthwise_after_branches, after_concatenated_and_pooled_branches]
    ),
)
def test_every_activation_is_divided_by_its_layers_factor(build, randomise, pixels):
    """What normalisation is for (Rueckauer et al. 2017), also where the toolbox cannot do it."""
    from snnb.conversion.toolbox_parser import to_parsed

    parsed = to_parsed(randomise(build()), configuration("net"))
    weighted = [layer for layer in parsed.layers if layer.weights]
    activations = keras.Model(parsed.input, [layer.output for layer in weighted])
    before = activations.predict(pixels)
    factors = scale_factors(parsed, measure(parsed, pixels, batch_size=40).percentiles)
    assert len({round(factor, 3) for factor in factors.values()}) == len(factors) - 1  # input and softmax are 1
    apply_factors(parsed, factors)
    for layer, ours, theirs in zip(weighted, activations.predict(pixels), before):
        np.testing.assert_allclose(ours * factors[layer.name], theirs, rtol=1e-4, atol=1e-5, err_msg=layer.name)


@pytest.mark.toolbox
def test_layer_without_activity(small, pixels, tmp_path):
    from snnb.conversion.toolbox_parser import to_parsed

    kernel, bias = small.layers[5].get_weights()
    small.layers[5].set_weights([-np.abs(kernel), np.full_like(bias, -1)])
    config = configuration("net", [ConversionSettings(batch_size=40)])
    parsed = to_parsed(small, config)
    activity = measure(parsed, pixels, batch_size=40)
    assert activity.silent == ["02Conv2D_2x2x6"]
    assert activity.percentiles == {
        k: v for k, v in the_toolboxs(parsed, config, pixels, tmp_path)[0].items() if k != "input"
    }


@pytest.mark.toolbox
def test_percentile_below_zero_is_refused(with_linear_layer, pixels):
    from snnb.conversion.toolbox_parser import to_parsed

    parsed = to_parsed(with_linear_layer, configuration("net"))
    percentiles = measure(parsed, pixels, percentile=1, batch_size=40).percentiles
    assert percentiles["01Dense_7"] < 0
    with pytest.raises(InputError, match="01Dense_7: the percentile"):
        scale_factors(parsed, percentiles)


def test_tail_keeps_no_more_than_the_percentile_needs():
    random = np.random.default_rng(0)
    tail = Tail(total=4_000_000, percentile=99)
    for _ in range(8):
        tail.add(random.random(500_000, dtype=np.float32))
    tail.result()
    assert tail._largest.size <= 40_002
