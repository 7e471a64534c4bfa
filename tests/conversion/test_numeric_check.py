import numpy as np
import pytest

from snnb.conversion.numeric_check import check_outputs, reference_outputs
from snnb.errors import VerificationError


def test_a_weight_changed_by_little_is_found(small, pixels):
    reference = reference_outputs(small, pixels, max_pool="error")
    assert check_outputs(small, pixels, reference) == 0
    kernel, bias = small.layers[7].get_weights()
    bias[3] += 0.1
    small.layers[7].set_weights([kernel, bias])
    with pytest.raises(VerificationError, match="differ from the trained model's"):
        check_outputs(small, pixels, reference)


def test_not_a_number_does_not_pass(small, pixels):
    reference = reference_outputs(small, pixels, max_pool="error")
    with pytest.raises(VerificationError):
        check_outputs(small, np.full_like(pixels, np.nan), reference)


def test_another_shape_does_not_pass(small, pixels):
    reference = reference_outputs(small, pixels, max_pool="error")
    with pytest.raises(VerificationError, match="shape"):
        check_outputs(small, pixels, reference[:, :9])


def test_reference_with_average_pooling_is_the_networks_own_with_that_layer_replaced(randomise, pixels):
    from tensorflow import keras

    def build(pooling):
        layers = [
            keras.layers.Conv2D(3, 3, activation="relu", input_shape=(8, 8, 1)),
            pooling(3, strides=2, padding="same"),
            keras.layers.Flatten(),
            keras.layers.Dense(4, activation="softmax"),
        ]
        return randomise(keras.Sequential(layers))

    with_max, with_average = build(keras.layers.MaxPooling2D), build(keras.layers.AveragePooling2D)
    expected = with_average.predict(pixels[:100])
    assert np.abs(with_max.predict(pixels[:100]) - expected).max() > 1e-2
    np.testing.assert_array_equal(reference_outputs(with_max, pixels, max_pool="average"), expected)
