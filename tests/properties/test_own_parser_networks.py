"""Random networks that only our own parser takes: what is composed computes the same."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from snnb.conversion.normalise import measure, normalise_weights, scale_factors
from snnb.model_files.keras import keras
from snnb.network.read_network import read_network, write_parsed
from tests.conversion.conftest import (
    assert_computes,
    examples,
    parse,
    set_random_weights,
)

L = keras.layers


@st.composite
def current(draw, x, filters):
    """Something linear that keeps the size of the map: one of the ways it can be written."""
    kind = draw(
        st.sampled_from(
            [
                "conv",
                "pointwise after",
                "pointwise before",
                "separable",
                "two",
                "depthwise",
            ]
        )
    )
    bias, size = draw(st.booleans()), draw(st.sampled_from([1, 3, (3, 1)]))
    if kind == "conv":
        x = L.Conv2D(filters, size, padding="same", use_bias=bias)(x)
    elif kind == "pointwise after":
        x = L.Conv2D(3, size, padding="same", use_bias=bias)(x)
        x = L.BatchNormalization()(x) if draw(st.booleans()) else x
        x = L.Conv2D(filters, 1, use_bias=bias)(L.Dropout(0.1)(x))
    elif kind == "pointwise before":
        x = L.Conv2D(filters, size, padding="same", use_bias=bias)(
            L.Conv2D(2, 1, use_bias=False)(x)
        )
    elif kind == "separable":
        x = L.SeparableConv2D(
            filters,
            size,
            padding="same",
            depth_multiplier=draw(st.integers(1, 2)),
            use_bias=bias,
        )(x)
    elif kind == "two":
        x = L.DepthwiseConv2D(size, padding="same", depth_multiplier=2, use_bias=bias)(
            x
        )
        x = L.DepthwiseConv2D(
            1, depth_multiplier=draw(st.integers(1, 2)), use_bias=bias
        )(x)
        x = L.Conv2D(filters, 1)(L.BatchNormalization()(x))
    else:
        x = L.DepthwiseConv2D(size, padding="same", use_bias=bias)(
            L.Conv2D(filters, 1, use_bias=False)(x)
        )
    return L.BatchNormalization()(x) if draw(st.booleans()) else x


@st.composite
def block(draw, x):
    filters = x.shape[-1]
    kinds = [
        "sum",
        "sum",
        "chain",
        "joined",
        "normalised",
        "bottleneck",
        "again",
        "inside",
    ]
    kinds += ["pooled"] if min(x.shape[1:3]) > 2 else []
    kinds += ["kernels", "maximum"] if min(x.shape[1:3]) > 5 else []
    kind = draw(st.sampled_from(kinds))
    if kind == "sum":
        x = L.Add()(
            [*(draw(current(x, filters)) for _ in range(draw(st.integers(1, 2)))), x]
        )
        x = L.BatchNormalization()(x) if draw(st.booleans()) else x
    elif kind == "chain":
        x = draw(current(x, draw(st.integers(1, 4))))
    elif kind == "joined":
        x = L.Concatenate()([draw(current(x, 2)), x, draw(current(x, 1))])
        x = L.BatchNormalization()(x) if draw(st.booleans()) else x
    elif kind == "normalised":
        x = L.BatchNormalization()(x)
    elif kind == "bottleneck":
        x = L.BatchNormalization()(L.Conv2D(2, 1, use_bias=False)(x))
        x = L.Conv2D(3, 1)(L.Add()([x, L.Conv2D(2, 1)(L.ReLU()(L.Conv2D(4, 1)(x)))]))
    elif kind == "pooled":
        x = L.AveragePooling2D(2)(
            L.BatchNormalization()(L.Conv2D(3, draw(st.sampled_from([1, 2])))(x))
        )
    elif kind == "again":
        layer, norm = L.Conv2D(filters, 3, padding="same"), L.BatchNormalization()
        x = L.Add()([norm(layer(L.ReLU()(norm(layer(x))))), x])
    elif kind == "inside":
        first_input = L.Input(x.shape[1:])
        y = L.Add()([draw(current(first_input, filters)), first_input])
        inside = keras.Model(first_input, L.ReLU()(y))
        x = L.Conv2D(2, 1)(inside(inside(x)) if draw(st.booleans()) else inside(x))
    elif kind == "kernels":
        x = L.Conv2D(
            3, draw(st.sampled_from([2, (3, 2)])), strides=draw(st.integers(1, 2))
        )(L.Conv2D(4, (2, 3))(x))
    else:
        x = L.MaxPooling2D(draw(st.integers(2, 3)), strides=2)(draw(current(x, 2)))
    if draw(st.booleans()):
        return L.ReLU(draw(st.sampled_from([6, 0.5])))(x)
    return L.Activation("relu")(x)


@st.composite
def linear_networks(draw):
    first_input = x = L.Input(
        (draw(st.integers(8, 9)), draw(st.integers(8, 10)), draw(st.integers(1, 3)))
    )
    for _ in range(draw(st.integers(1, 3))):
        x = draw(block(x))
    if draw(st.booleans()):
        x = L.BatchNormalization()(x)
    x = (
        L.GlobalAveragePooling2D()(x)
        if draw(st.booleans())
        else L.Flatten()(L.ReLU()(x))
    )
    if x.shape.rank == 2 and draw(st.booleans()) and not _waits(x):
        x = L.Dense(4)(L.BatchNormalization()(L.Dense(3)(x)))
        x = L.Activation("relu")(x)
    x = (
        L.Dense(3, activation=draw(st.sampled_from(["linear", "softmax"])))(x)
        if not _waits(x)
        else x
    )
    model = keras.Model(first_input, x)
    assume(
        any(
            isinstance(layer, (L.Dense, L.Conv2D, L.SeparableConv2D))
            for layer in _layers(model)
        )
    )
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    set_random_weights(model, random)
    samples = random.random((10, *first_input.shape[1:])) * (
        random.random((10, *first_input.shape[1:])) < 0.8
    )
    return model, samples.astype(np.float32)


def _layers(model):
    for layer in model.layers:
        yield from _layers(layer) if isinstance(layer, keras.Model) else [layer]


def _waits(x):
    """Whether a global pooling of something linear stands there, which a Dense layer may not read."""
    before = x._keras_history.layer.inbound_nodes[0].inbound_layers
    return isinstance(before, L.BatchNormalization)


@examples(4, 250)
@given(linear_networks())
def test_what_is_composed_computes_what_the_trained_network_does(network):
    model, x = network
    network = parse(model)
    assert_computes(network, model, x, tolerance=1e-4)
    assert not {population.kind for population in network.populations} & {
        "SeparableConv2D",
        "Dropout",
    }
    activity = measure(network, x, percentile=99, batch_size=5)
    if (
        min(activity.percentiles.values()) <= 0
        or network.output.name not in activity.percentiles
    ):
        return
    factors = scale_factors(network, activity.percentiles)
    scaled_weights, scale = (
        normalise_weights(network, factors),
        factors[network.output.name],
    )
    assert_computes(scaled_weights, model, x, times=scale, tolerance=1e-3)
    with tempfile.TemporaryDirectory() as folder:
        write_parsed(
            scaled_weights, path := Path(folder, "net_parsed.h5"), "net_parsed"
        )
        opened_model = keras.models.load_model(str(path))
        assert_computes(read_network(path), opened_model, x)
    assert_computes(scaled_weights, opened_model, x)
