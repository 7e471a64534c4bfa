"""Pooling of the constant input together with spikes, in float32: rounded as TensorFlow rounds it.

tests/properties/test_simulation_engines.py has all kinds of layers, with numbers that float32 adds exactly.
"""

import numpy as np
import pytest

from snnb.io.keras import keras
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.simulation_settings import SimulationSettings
from tests.simulation.alike import network_of

Input, Model, layers = keras.Input, keras.Model, keras.layers

SAMPLES, STEPS = 12, 40


def _layer(kind, name):
    """A layer of an image, by what a row of the table below calls it."""
    return {
        "average": lambda: layers.AveragePooling2D(2, name=name),
        "average, overlapping": lambda: layers.AveragePooling2D((3, 2), (1, 2), "same", name=name),
        "maximum": lambda: layers.MaxPooling2D(2, name=name),
        "maximum, overlapping": lambda: layers.MaxPooling2D((3, 2), (1, 2), "same", name=name),
    }[kind]()


def _network(folder, kind, axis):
    """The input, padded, beside a convolution of it along `axis`, both read by a layer of that kind; and pictures."""
    x = Input((7, 6, 2), name="input")
    padded = layers.ZeroPadding2D(((1, 0), (1, 1)), name="00ZeroPadding2D_8x8x2")(x)
    y = layers.Conv2D(2, 3, padding="same", activation="relu", name="01Conv2D_8x8x2")(padded)
    y = layers.Concatenate(axis, name="02Concatenate_0")([padded, y])
    y = _layer(kind, "03Layer_0")(y)
    y = layers.Dense(5, activation="relu", name="05Dense_5")(layers.Flatten(name="04Flatten_0")(y))
    model = Model(x, layers.Dense(3, activation="softmax", name="06Dense_3")(y))
    random = np.random.default_rng(8)
    weights = [random.normal(0.1, 1 / np.sqrt(np.prod(w.shape[:-1])), w.shape) for w in model.get_weights()]
    pictures = random.random((SAMPLES, 7, 6, 2))
    model.set_weights(weights)
    return network_of(model, folder), pictures.astype(np.float32)


def _simulate(engine, network, pictures, **options):
    settings = SimulationSettings(samples=SAMPLES, duration=STEPS, **options)
    return engine(network, settings).simulate(pictures, 0, lambda *_: None).counts


@pytest.mark.parametrize(
    ("kind", "axis", "options"),
    [
        ("average", 1, {}),
        ("average, overlapping", 2, {"threshold": 0.7, "warm_up": 9}),
        ("maximum", 3, {"reset": "zero"}),
        ("maximum, overlapping", 1, {}),
    ],
)
def test_pooling_rounds_as_tensorflow(tmp_path, kind, axis, options):
    """The convolution's current is constant, so its spikes are the same; what is pooled of them is then, too."""
    network, pictures = _network(tmp_path, kind, axis)
    one, two = (_simulate(engine, network, pictures, **options) for engine in (TensorFlowEngine, EventEngine))
    for name in ("01Conv2D_8x8x2", "03Layer_0"):
        assert one[name].any(), name
        np.testing.assert_array_equal(two[name], one[name], err_msg=name)


@pytest.mark.parametrize("kind", ["maximum, overlapping", "average"])
def test_pooling_of_the_constant_input_alone(tmp_path, kind):
    x = Input((7, 6, 2), name="input")
    pooled = _layer(kind, "00Pooling_0")(x)
    y = layers.Dense(3, activation="relu", name="02Dense_3")(layers.Flatten(name="01Flatten_0")(pooled))
    network = network_of(Model(x, y), tmp_path)
    pictures = np.random.default_rng(3).random((SAMPLES, 7, 6, 2), dtype=np.float32)
    one, two = (_simulate(engine, network, pictures) for engine in (TensorFlowEngine, EventEngine))
    np.testing.assert_array_equal(two["00Pooling_0"], one["00Pooling_0"])
    # A constant current of c spikes about c times a step.
    analogue = Model(x, pooled).predict(pictures)
    np.testing.assert_allclose(two["00Pooling_0"] / STEPS, analogue, atol=1.5 / STEPS)
