import sys

import numpy as np
import pytest

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import check_outputs, convert, permitted, reference_outputs, save_keras
from snnb.conversion.own_parser import parse_own
from snnb.core.errors import VerificationError
from snnb.io.keras import keras

L = keras.layers


@pytest.mark.parametrize("output", [0.5, 40.0])
def test_the_border_of_what_is_permitted(output):
    """1e-3, or 1e-3 of the largest output; also where float64 is asked, a wrong bias is no rounding."""
    model = keras.Sequential([L.Dense(2, input_shape=(3,))])
    kernel, x = np.zeros((3, 2), np.float32), np.ones((4, 3), np.float32)
    model.set_weights([kernel, np.array([output, 0], np.float32)])
    reference = reference_outputs(model, x, max_pool="error")
    exact = reference_outputs(model, x, max_pool="error", in_float64=True)
    assert exact.dtype == np.float64
    limit = 1e-3 * max(1, output)
    model.set_weights([kernel, np.array([output, 0.99 * limit], np.float32)])
    assert check_outputs(model, x, reference, lambda: exact, "toolbox") == pytest.approx(0.99 * limit)
    model.set_weights([kernel, np.array([output, 1.01 * limit], np.float32)])
    with pytest.raises(VerificationError, match="where both compute in float64, so not by rounding: snntoolbox"):
        check_outputs(model, x, reference, lambda: exact, "toolbox")


def _cancelling():
    """A convolution that multiplies by some 1e5, and one that takes differences: float32 has few digits left."""
    random = np.random.default_rng(0)
    x = L.Input((6, 6, 2))
    y = L.Conv2D(8, 1, use_bias=False)(x)
    y = L.Conv2D(4, 3, use_bias=False)(y)
    model = keras.Model(x, L.Dense(2)(L.Flatten()(L.ReLU()(L.BatchNormalization()(y)))))
    first = np.round(random.normal(0, 1e5, (1, 1, 2, 4))).astype(np.float32)
    second = random.normal(0, 0.3, (3, 3, 4, 4)).astype(np.float32)
    change = random.normal(0, 1, (1, 1, 2, 4)).astype(np.float32)
    model.layers[1].set_weights([np.concatenate([first, first + change], axis=-1)])
    model.layers[2].set_weights([np.concatenate([second, -second], axis=2)])
    return model, random.random((20, 6, 6, 2)).astype(np.float32)


def test_what_float32_rounds_is_no_mistake_of_the_parser_but_a_changed_kernel_is():
    model, x = _cancelling()
    reference = reference_outputs(model, x, max_pool="error")
    exact = reference_outputs(model, x, max_pool="error", in_float64=True)
    own = np.abs(reference - exact).max()
    assert own > 1e-3 * max(1, np.abs(reference).max())
    parsed = parse_own(model)
    largest = check_outputs(parsed, x, reference, lambda: exact, "own")
    assert permitted(reference) < largest < 2 * own
    kernel, bias = parsed.layers[1].get_weights()
    kernel[1, 1, 0, 2] *= 1.5
    parsed.layers[1].set_weights([kernel, bias])
    with pytest.raises(VerificationError, match="so not by rounding: snnb parses this architecture wrongly"):
        check_outputs(parsed, x, reference, lambda: exact, "own")


def test_every_kind_of_layer_computes_in_float64(randomise):
    x = L.Input((9, 8, 2))
    y = L.ReLU(6)(L.BatchNormalization()(L.SeparableConv2D(4, 3)(L.ZeroPadding2D(1)(x))))
    y = L.Concatenate()([y, L.DepthwiseConv2D(1, dilation_rate=2)(y)])
    inside = keras.Sequential([L.MaxPooling2D(2, padding="same", input_shape=y.shape[1:]), L.Dropout(0.5)])
    y = L.AveragePooling2D(2, padding="same")(L.Activation("relu")(L.Add()([inside(y), inside(y)])))
    joined = L.Concatenate()([L.GlobalAveragePooling2D()(y), L.Flatten()(y)])
    model = keras.Model(x, L.Dense(3, activation="softmax")(L.Reshape((joined.shape[1],))(joined)))
    randomise(model)
    pictures = np.random.default_rng(1).random((5, 9, 8, 2)).astype(np.float32)
    narrow, wide = (
        reference_outputs(model, pictures, max_pool="average", in_float64=in_float64) for in_float64 in (False, True)
    )
    assert (narrow.dtype, wide.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(narrow, wide, atol=1e-5)
    assert (narrow != wide).any()


@pytest.mark.skipif(sys.version_info >= (3, 9), reason="its numbers cancel in the rounding of TensorFlow 2.2")
def test_a_network_that_float32_cannot_compute_is_parsed_with_a_warning(tmp_path):
    model, x = _cancelling()
    save_keras(model, tmp_path / "net.h5", "net")
    settings = ConversionSettings(parser="own")
    result = convert(tmp_path / "net.h5", tmp_path, name="net", x_norm=x, settings=settings)
    [warning] = [line for line in result.warnings if "float32" in line]
    assert warning.endswith("due to rounding; in float64 they agree")


def test_what_is_not_a_number_or_has_another_shape_does_not_pass(small, pixels):
    reference = reference_outputs(small, pixels, max_pool="error")
    with pytest.raises(VerificationError):
        check_outputs(small, np.full_like(pixels, np.nan), reference, lambda: reference, "own")
    with pytest.raises(VerificationError, match="shape"):
        check_outputs(small, pixels, reference[:, :9], lambda: reference, "own")


def test_reference_with_average_pooling_is_the_networks_own_with_that_layer_replaced(randomise, pixels):
    def build(pooling):
        first = L.Conv2D(3, 3, activation="relu", input_shape=(8, 8, 1))
        behind = [pooling(3, strides=2, padding="same"), L.Flatten(), L.Dense(4, activation="softmax")]
        return randomise(keras.Sequential([first, *behind]))

    with_max, with_average = build(L.MaxPooling2D), build(L.AveragePooling2D)
    expected = with_average.predict(pixels[:100])
    assert np.abs(with_max.predict(pixels[:100]) - expected).max() > 1e-2
    np.testing.assert_array_equal(reference_outputs(with_max, pixels, max_pool="average"), expected)
