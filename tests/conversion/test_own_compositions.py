"""Random layers in a row without activation: the composed kernel is exact, or the row is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import convolve2d

from snnb.core.errors import InputError
from snnb.model_files.keras import keras
from tests.conversion.conftest import (
    assert_computes,
    examples,
    parse,
    set_random_weights,
)

L = keras.layers
sizes = st.integers(1, 3)
paddings = st.sampled_from(["same", "valid"])
pads = st.tuples(
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
)


@st.composite
def linear_layers(draw, x):
    kind = draw(
        st.sampled_from(
            [
                "conv",
                "conv",
                "depthwise",
                "separable",
                "average",
                "subsample",
                "pad",
                "norm",
                "add",
            ]
        )
    )
    size, padding, bias = (
        (draw(sizes), draw(sizes)),
        draw(paddings),
        draw(st.booleans()),
    )
    if x.shape[1] < size[0] or x.shape[2] < size[1]:
        padding = "same"
    stride = draw(st.integers(1, 4))
    if kind == "pad":
        return L.ZeroPadding2D(draw(pads))(x)
    if kind == "norm":
        return L.BatchNormalization(center=bias)(x)
    if kind == "add":
        return L.Add()([x, L.Conv2D(x.shape[-1], 1, use_bias=bias)(x)])
    if kind == "average":
        return L.AveragePooling2D(
            size, strides=(stride, draw(st.integers(1, 4))), padding=padding
        )(x)
    if kind == "subsample":
        return L.MaxPooling2D(1, strides=stride)(x)
    spread = (
        {"strides": stride}
        if draw(st.booleans())
        else {"dilation_rate": draw(st.integers(1, 2))}
    )
    if "dilation_rate" in spread and padding == "valid":
        reach = [(length - 1) * spread["dilation_rate"] + 1 for length in size]
        padding = (
            "valid" if reach[0] <= x.shape[1] and reach[1] <= x.shape[2] else "same"
        )
    common = {"padding": padding, "use_bias": bias, **spread}
    if kind == "conv":
        return L.Conv2D(draw(st.integers(1, 3)), size, **common)(x)
    multiplier = draw(st.integers(1, 2))
    if kind == "depthwise":
        return L.DepthwiseConv2D(size, depth_multiplier=multiplier, **common)(x)
    return L.SeparableConv2D(2, size, depth_multiplier=multiplier, **common)(x)


@st.composite
def sequences_of_layers(draw):
    first_input = L.Input(
        (draw(st.integers(3, 9)), draw(st.integers(3, 9)), draw(st.integers(1, 2)))
    )
    x = first_input
    for _ in range(draw(st.integers(2, 4))):
        x = draw(linear_layers(x))
    model = keras.Model(first_input, L.Dense(2)(L.Flatten()(L.ReLU()(x))))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    set_random_weights(model, random)
    return model, random.random((4, *first_input.shape[1:])).astype(np.float32)


@examples(8, 300)
@given(sequences_of_layers())
def test_linear_layers_in_sequence_are_exact_or_refused(network):
    model, x = network
    try:
        network = parse(model)
    except InputError:
        return
    assert_computes(network, model, x, tolerance=1e-4)


def test_two_kernels_in_a_row_are_their_convolution():
    """Checked with scipy's full convolution, and the number of synapses with the sizes."""
    x = L.Input((9, 8, 1))
    y = L.Conv2D(1, (3, 2), use_bias=False)(L.Conv2D(1, (2, 3), use_bias=False)(x))
    model = keras.Model(x, L.Dense(2)(L.Flatten()(L.ReLU()(y))))
    set_random_weights(model, np.random.default_rng(0))
    first_weight, second_weight = (
        model.layers[i].get_weights()[0][:, :, 0, 0] for i in (1, 2)
    )
    convolution = parse(model).populations[0]
    np.testing.assert_allclose(
        convolution.only.kernel[:, :, 0, 0],
        convolve2d(first_weight, second_weight),
        rtol=1e-5,
    )
    assert convolution.shape == (6, 5, 1)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_stride_behind_a_kernel_keeps_its_place(padding):
    """With `same`, the place of a strided kernel depends on the stride, so zeros are padded by a layer of its own."""
    x = L.Input((8, 8, 1))
    y = L.Conv2D(2, 1, strides=2, use_bias=False)(L.Conv2D(2, 3, padding=padding)(x))
    model = keras.Model(x, L.Dense(2)(L.Flatten()(L.ReLU()(y))))
    set_random_weights(model, np.random.default_rng(0))
    network = parse(model)
    kinds = [
        name[2:].split("_")[0]
        for name in (volume.name for volume in network.volumes[1:])
    ]
    assert kinds == [
        *["ZeroPadding2D"] * (padding == "same"),
        "Conv2D",
        "Flatten",
        "Dense",
    ]
    assert_computes(
        network, model, np.random.default_rng(1).random((5, 8, 8, 1)).astype(np.float32)
    )


def _preactivated_model(scale, shift, padding=1):
    """The beginning of ResNetV2: zeros and a maximum of what a convolution gives, then batch normalisation and relu."""
    x = L.Input((8, 8, 1))
    y = L.Conv2D(2, 3, name="first")(x)
    y = L.MaxPooling2D(3, strides=2)(L.ZeroPadding2D(padding)(y) if padding else y)
    y = L.ReLU(name="relu")(L.BatchNormalization(name="norm", epsilon=0)(y))
    model = keras.Model(x, L.Dense(2)(L.Flatten()(y)))
    set_random_weights(model, np.random.default_rng(0))
    model.get_layer("norm").set_weights(
        [np.array(v, np.float32) for v in (scale, shift, [0, 0], [1, 1])]
    )
    return model


@pytest.mark.parametrize(
    ("shift", "padding"),
    [([0, -0.25], 1), ([0.5, -0.25], 0), ([0, 0], ((0, 2), (1, 0)))],
)
def test_relu_and_normalisation_are_pulled_before_a_maximum_of_signed_values(
    shift, padding
):
    model = _preactivated_model([0, 2], shift, padding)
    pictures = np.random.default_rng(1).random((20, 8, 8, 1)).astype(np.float32)
    network = parse(model)
    assert "MaxPooling2D" in {population.kind for population in network.populations}
    assert_computes(network, model, pictures)


@pytest.mark.parametrize(
    ("scale", "shift", "message"),
    [
        (
            [1, -2],
            [0, 0],
            "norm (BatchNormalization): scales 1 of 2 channels by negative numbers after a maximum",
        ),
        (
            [1, 2],
            [0.5, 0],
            "relu (ReLU): batch normalisation makes 1 of 2 channels positive where zeros are padded",
        ),
    ],
)
def test_signs_that_do_not_commute_with_a_maximum_are_refused(scale, shift, message):
    with pytest.raises(InputError) as error_info:
        parse(_preactivated_model(scale, shift))
    assert message in str(error_info.value)
