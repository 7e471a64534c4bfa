"""Random networks of everything the toolbox converts: the parsed network computes the same, is scaled the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.conversion.normalise import Tail, measure, with_weights
from snnb.core.errors import InputError
from snnb.forward.analogue import Analogue
from snnb.model_files.keras import keras
from snnb.training.keras_model import trained_network
from tests.conversion.conftest import (
    assert_computes,
    examples,
    parse,
    set_random_weights,
)
from tests.conversion.test_toolbox_parser import assert_equal, both

L = keras.layers

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
paddings = st.sampled_from(["same", "valid"])


def small_enough(x, size):
    return x.shape[1] >= size[0] and x.shape[2] >= size[1]


@st.composite
def weighted_maps(draw, x):
    """A convolution with its batch normalisation, dropout and relu, in one of the ways these can be written."""
    kernel, padding = draw(pairs), draw(paddings)
    if not small_enough(x, kernel):
        padding = "same"
    separate = draw(st.sampled_from(["own", "Activation", "ReLU"]))
    activation = "relu" if separate == "own" else "linear"
    common = {
        "padding": padding,
        "use_bias": draw(st.booleans()),
        "activation": activation,
    }
    if draw(st.integers(0, 3)) == 0:
        x = L.DepthwiseConv2D(kernel, strides=draw(st.integers(1, 2)), **common)(x)
    else:
        x = L.Conv2D(draw(st.integers(1, 4)), kernel, strides=draw(pairs), **common)(x)
    if separate == "own":
        return x
    if draw(st.booleans()):
        x = L.BatchNormalization(scale=draw(st.booleans()), center=draw(st.booleans()))(
            x
        )
    if draw(st.booleans()):
        x = L.Dropout(0.5)(x)
    return L.ReLU()(x) if separate == "ReLU" else L.Activation("relu")(x)


@st.composite
def blocks(draw, x):
    kind = draw(
        st.sampled_from(["weights", "weights", "pool", "pad", "drop", "branch"])
    )
    if kind == "branch":
        branches = [draw(weighted_maps(x)) for _ in range(draw(st.integers(2, 3)))]
        rows, columns = (
            min(branch.shape[axis] for branch in branches) for axis in (1, 2)
        )
        branches = [
            L.Conv2D(
                2, (b.shape[1] - rows + 1, b.shape[2] - columns + 1), activation="relu"
            )(b)
            if (b.shape[1], b.shape[2]) != (rows, columns)
            else b
            for b in branches
        ]
        return L.Concatenate()(branches)
    if kind == "pool":
        size, padding = draw(pairs), draw(paddings)
        if not small_enough(x, size):
            padding = "same"
        return L.AveragePooling2D(
            size, strides=draw(st.none() | pairs), padding=padding
        )(x)
    if kind == "pad":
        return L.ZeroPadding2D(draw(pairs))(x)
    if kind == "drop":
        return L.Dropout(0.5)(x)
    return draw(weighted_maps(x))


@st.composite
def networks(draw):
    first_input = x = L.Input(
        (draw(st.integers(4, 9)), draw(st.integers(4, 9)), draw(st.integers(1, 3)))
    )
    x = draw(weighted_maps(x))
    for _ in range(draw(st.integers(0, 3))):
        x = draw(blocks(x))
    x = L.GlobalAveragePooling2D()(x) if draw(st.booleans()) else L.Flatten()(x)
    for _ in range(draw(st.integers(0, 2))):
        x = L.Dense(draw(st.integers(1, 6)))(x)
        if draw(st.booleans()):
            x = L.BatchNormalization()(x)
        x = L.Activation("relu")(x)
    x = L.Dense(
        draw(st.integers(2, 5)), activation=draw(st.sampled_from(["linear", "softmax"]))
    )(x)
    model = keras.Model(first_input, x)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    set_random_weights(model, random)
    samples = random.random((20, *first_input.shape[1:])) * (
        random.random((20, *first_input.shape[1:])) < 0.8
    )
    return model, samples.astype(np.float32)


@pytest.mark.toolbox
@examples(4, 200)
@given(networks(), st.sampled_from([99.9, 99, 60]), st.sampled_from([4, 7, 20]))
def test_parsing_and_normalisation_are_those_of_the_toolbox(
    network, percentile, batch_size
):
    """Outputs are those of Keras; layers, weights and scale factors those of the toolbox, where it can normalise.

    Where it cannot, every activation is divided by the factor of its layer (Rueckauer et al. 2017).
    """
    model, x = network
    settings, network = (
        ConversionSettings(batch_size=batch_size, percentile=percentile),
        parse(model),
    )
    assert_computes(network, model, x, tolerance=1e-4)
    names = [population.name for population in with_weights(network)]
    activity = measure(network, x, percentile=percentile, batch_size=batch_size)
    for name, values in zip(
        names, Analogue(network, names).values(x[: len(x) - len(x) % batch_size])
    ):
        nonzero = values[values != 0]
        expected_scale = np.percentile(nonzero, percentile) if nonzero.size else 1
        assert activity.percentiles[name] == pytest.approx(expected_scale, rel=1e-5)
    if (
        min(activity.percentiles.values()) <= 0
    ):  # a linear output layer most of whose values are negative
        return
    ours = convert(trained_network(model), x_norm=x, settings=settings)
    scales = [ours.scale_factors[name] for name in names]
    for scale, scaled_values, values in zip(
        scales,
        *(
            Analogue(network_part, names).values(x)
            for network_part in (ours.parsed, network)
        ),
    ):
        np.testing.assert_allclose(scaled_values * scale, values, rtol=1e-3, atol=1e-4)
    try:
        _, theirs = both(model, x, settings)
    except (
        InputError
    ) as error:  # Dense after branches; branches from depthwise convolutions
        if "normalisation fails on this model" not in str(error):
            raise
        return
    assert_equal(ours, theirs)


@examples(50, 1000)
@given(
    st.lists(
        arrays.arrays(
            np.float32,
            st.integers(0, 40),
            elements=st.sampled_from([0, 0, 1, 2]) | st.floats(-9, 9, width=32),
        ),
        max_size=6,
    ),
    st.floats(0.1, 100),
)
def test_percentile_of_the_tail_is_numpys(parts, percentile):
    check_percentile(parts, percentile)


@pytest.mark.parametrize("percentile", [0.1, 50, 99.9, 100])
def test_percentile_of_more_values_than_the_tail_holds(percentile):
    random = np.random.default_rng(0)
    parts = [
        random.integers(-50, 100, 200_000).astype(np.float32) * random.random()
        for _ in range(6)
    ]
    check_percentile([part.astype(np.float32) for part in parts], percentile)


def check_percentile(parts, percentile):
    """Compare the percentile and the count of negative values with numpy's."""
    values = np.concatenate([np.empty(0, np.float32), *parts])
    tail = Tail(values.size, percentile)
    for part in parts:
        tail.add(part)
    nonzero = values[values != 0]
    expected_scale = np.percentile(nonzero, percentile) if nonzero.size else 1
    # numpy 2 interpolates in float32
    rounding = 1e-6 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 0
    assert abs(tail.result() - expected_scale) <= rounding * np.abs(values).max(
        initial=1
    )
    assert tail.negative == (values < 0).sum()
