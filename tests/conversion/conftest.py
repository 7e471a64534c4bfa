"""Small networks with weights that are neither trained nor at their initial values."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings

from snnb.conversion.own_parser import parse_own
from snnb.forward.analogue import Analogue
from snnb.model_files.keras import keras
from snnb.training.keras_model import trained_network


def examples(few, many):
    """Return hypothesis settings: few examples in `make test`, whose profile is derandomised, many otherwise."""
    number = few if settings().derandomize else many
    phases = [
        Phase.explicit,
        Phase.reuse,
        Phase.generate,
    ]  # building models makes shrinking take many minutes
    return settings(
        max_examples=number,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=phases,
    )


def slow_except(fast, cases):
    """Return test parameters, all of them marked slow but the fast ones."""
    slow = pytest.mark.slow
    return [
        case
        if case in fast
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=slow)
        for case in cases
    ]


def set_random_weights(model, random):
    """Give every weight of a model a random value of the size that its fan-in allows; variances are positive."""
    for layer in model.layers:
        layer.set_weights(
            [
                random.uniform(0.5, 2, w.shape)
                if "variance" in w.name
                else random.normal(0.1, 1, w.shape)
                / np.sqrt(max(1, np.prod(w.shape[:-1])))
                for w in layer.weights
            ]
        )


def parse(model, **options):
    """Parse a Keras model in memory with the parser of snnb."""
    return parse_own(trained_network(model), **options)


def assert_computes(network, model, x, *, times=1.0, tolerance=1e-5):
    """Check that a network, its outputs multiplied by a number, computes what a Keras model does.

    The tolerance is a share of the largest output, at least of 1; sums of float32 are rounded in another order.
    """
    # Not by `predict`: TensorFlow 2.20 crashes where it fuses a convolution to one channel with a sum (oneDNN).
    expected_outputs = model(x).numpy().reshape(len(x), -1)
    largest = max(1, np.abs(expected_outputs).max())
    np.testing.assert_allclose(
        Analogue(network).outputs(x) * times, expected_outputs, atol=tolerance * largest
    )


@pytest.fixture
def randomise():
    """Give every weight of a model a random value: biases and batch statistics are not left at zero and one."""

    def apply(model, seed=0):
        set_random_weights(model, np.random.default_rng(seed))
        return model

    return apply


@pytest.fixture
def pixels():
    """float32 `(120, 8, 8, 1)` in [0, 1], some of them dark."""
    random = np.random.default_rng(0)
    return (
        random.random((120, 8, 8, 1)) * (random.random((120, 8, 8, 1)) < 0.8)
    ).astype(np.float32)


@pytest.fixture
def small(randomise):
    """Convolution with batch normalisation, average pooling, dropout, a convolution, a softmax."""
    layers = keras.layers
    stack = [
        layers.Conv2D(4, 3, padding="same", use_bias=False, input_shape=(8, 8, 1)),
        layers.BatchNormalization(),
    ]
    stack += [
        layers.Activation("relu"),
        layers.AveragePooling2D(2),
        layers.Dropout(0.3),
    ]
    stack += [
        layers.Conv2D(6, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10),
        layers.Activation("softmax"),
    ]
    return randomise(keras.Sequential(stack))
