"""Accuracy of the trained network and after each change of the conversion, against Keras models changed by hand."""

from dataclasses import replace

import numpy as np
import pytest

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import measure_fidelity
from snnb.forward.analogue import Analogue
from snnb.model_files.keras import keras
from snnb.network.fidelity import CHANGES, Fidelity
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.simulate import simulate
from snnb.training.keras_model import trained_network
from snnb.training.qcfs import QCFS, quantised
from tests import converted as conversion
from tests.simulation.alike import model_of

LAYERS = keras.layers
CLASSES = 4
SAMPLES = 130  # more than a batch


def pooled_model(pooling=LAYERS.MaxPooling2D, activation="linear"):
    """Max pooling of spikes, and a hidden layer without activation before a pooling, so that it is not composed."""
    return keras.Sequential(
        [
            LAYERS.Conv2D(6, 3, activation="relu", input_shape=(8, 8, 1)),
            pooling(2),
            LAYERS.Conv2D(5, 1, activation=activation),
            pooling(3),
            LAYERS.Flatten(),
            LAYERS.Dense(CLASSES, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def trained_data():
    """The trained model with random weights, pictures, and classes of which it gets most right."""
    random = np.random.default_rng(4)
    model = pooled_model()
    model.set_weights([random.normal(0.0, 0.6, w.shape) for w in model.get_weights()])
    x = random.integers(0, 17, (SAMPLES, 8, 8, 1)).astype(np.uint8)
    outputs = model.predict(x / 16)
    model.layers[-1].bias.assign(
        model.layers[-1].bias - np.log(outputs + 1e-3).mean(axis=0)
    )  # all classes occur
    y = np.where(
        random.random(SAMPLES) < 0.8,
        model.predict(x / 16).argmax(axis=1),
        random.integers(0, 4, SAMPLES),
    )
    return model, x, y


def accuracy(model, x, y):
    return float((model.predict(x / 16).argmax(axis=1) == y).mean())


def convert_model(trained_data, target, **options):
    model, x, y = trained_data
    pixels = (x / 16).astype(np.float32)
    settings = ConversionSettings(
        **{"max_pool": "exact", "rectify_linear": True, **options}
    )
    result = conversion.convert_files(
        model, target, x_norm=pixels, settings=settings, pixel_scale=16
    )
    return result, measure_fidelity(trained_network(model), result.changes, pixels, y)


def test_max_pooling_and_missing_activations_are_compared_with_the_trained_model(
    trained_data, tmp_path
):
    model, x, y = trained_data
    result, measured_losses = convert_model(trained_data, tmp_path, max_pool="average")
    averaged_model, rectified_model = (
        pooled_model(LAYERS.AveragePooling2D),
        pooled_model(LAYERS.AveragePooling2D, "relu"),
    )
    for changed_model in (averaged_model, rectified_model):
        changed_model.set_weights(model.get_weights())
    trained_accuracy, *after = (
        accuracy(one_model, x, y)
        for one_model in (model, averaged_model, rectified_model)
    )
    assert len({trained_accuracy, *after}) == 3
    # The own parser composes the average with the convolution that has no activation.
    assert (measured_losses.trained, measured_losses.after["average_pooling"]) == (
        trained_accuracy,
        after[0],
    )
    difference = float(
        np.abs(model.predict(x[:100] / 16) - averaged_model.predict(x[:100] / 16)).max()
    )
    assert difference > 0.1
    assert result.largest_difference == pytest.approx(difference, abs=1e-5)
    _, only = convert_model(trained_data, tmp_path, max_pool="exact")
    rectified_model = pooled_model(activation="relu")
    rectified_model.set_weights(model.get_weights())
    assert (
        only.after
        == {"rectification": accuracy(rectified_model, x, y)}
        != {"rectification": trained_accuracy}
    )


def test_pruning_is_compared_with_the_trained_model(trained_data, tmp_path):
    model, x, y = trained_data
    _, measured_losses = convert_model(trained_data, tmp_path, prune=0.6)
    changed_model = pooled_model(activation="relu")
    changed_model.set_weights(model.get_weights())
    before = accuracy(changed_model, x, y)
    kernels = [layer.kernel for layer in changed_model.layers if layer.weights]
    for kernel in kernels:
        weights = kernel.numpy()
        sizes = np.abs(weights)
        kernel.assign(
            np.where(
                sizes > np.sort(sizes, axis=None)[int(0.6 * sizes.size) - 1], weights, 0
            )
        )
    after = accuracy(changed_model, x, y)
    assert (
        measured_losses.after
        == {"rectification": before, "pruning": after}
        != {"rectification": after, "pruning": before}
    )
    assert measured_losses.loss == measured_losses.trained - after
    assert (
        measured_losses.lines()[-1]
        == f"accuracy after pruning: {after:.2%} ({100 * (after - before):+.2f} points)"
    )


@pytest.mark.parametrize("options", [{}, {"calibrate": 4}, {"prune": 0.01}])
def test_rounding_to_many_bits_changes_nothing_and_to_four_does(
    options, trained_data, tmp_path
):
    measured_losses = []
    for bits in (12, 4):
        (tmp_path / str(bits)).mkdir()
        options_given = {"max_pool": "average", "weight_bits": bits, **options}
        measured_losses.append(
            convert_model(trained_data, tmp_path / str(bits), **options_given)[1]
        )
    fine, coarse = measured_losses
    assert fine.changes_made == [
        "average_pooling",
        "rectification",
        "pruning_and_rounding" if "prune" in options else "rounding",
    ]
    before = fine.after["rectification"]
    last_change = fine.changes_made[-1]
    now = fine.after[last_change]
    then = coarse.after[last_change]
    assert abs(now - before) <= 2 / SAMPLES
    assert then != before


def test_a_network_without_changes_has_none(trained_data, tmp_path):
    result, _ = convert_model(trained_data, tmp_path, max_pool="average")
    assert list(result.changes) == ["average_pooling", "rectification"]
    model = keras.Sequential(
        [
            LAYERS.Flatten(input_shape=(8, 8, 1)),
            LAYERS.Dense(CLASSES, activation="softmax"),
        ]
    )
    result, _ = convert_model((model, *trained_data[1:]), tmp_path, max_pool="average")
    assert result.changes == {}


def test_quantised_activations_are_those_of_the_training(tmp_path):
    random, levels = np.random.default_rng(2), 3
    model = quantised(pooled_model(activation="relu"), levels, seed=0)
    for layer in model.layers:
        if isinstance(layer, QCFS):
            layer.bound.assign(random.uniform(0.5, 1.5))
        elif layer.weights:
            layer.set_weights(
                [random.normal(0, 0.5, w.shape) for w in layer.get_weights()]
            )
    x = random.integers(0, 17, (SAMPLES, 8, 8, 1)).astype(np.uint8)
    outputs = model.predict(x / 16)
    model_network, pixels = trained_network(model), (x / 16).astype(np.float32)
    assert (
        np.abs(
            outputs - Analogue(replace(model_network, levels=None)).outputs(pixels)
        ).max()
        > 0.01
    )
    np.testing.assert_allclose(
        Analogue(model_network).outputs(pixels), outputs, atol=1e-5
    )
    _, measured_losses = convert_model(
        (model, x, outputs.argmax(axis=1)), tmp_path, max_pool="average", weight_bits=12
    )
    assert measured_losses.trained == 1
    assert measured_losses.after["average_pooling"] < 1
    assert (
        abs(
            measured_losses.after["rounding"] - measured_losses.after["average_pooling"]
        )
        < 0.05
    )


def test_the_ann_accuracy_of_a_simulation_is_that_of_the_trained_model(
    trained_data, tmp_path
):
    model, x, y = trained_data
    _, fidelity = convert_model(trained_data, tmp_path, max_pool="average")
    settings = SimulationSettings(engine="event", samples=70, first=20, duration=20)
    parsed_model = model_of(tmp_path / "net_parsed.h5")
    trained_model = replace(
        parsed_model, analogue=trained_network(model), fidelity=fidelity
    )
    made_of = [
        simulate(
            compared_model,
            x,
            y,
            settings=settings,
            scale=16.0,
            class_names=list("abcd"),
        ).statistics
        for compared_model in (parsed_model, trained_model)
    ]
    (right, wrong), guesses = (
        (made_of[::-1]),
        model.predict(x[20:90] / 16).argmax(axis=1),
    )
    assert right.ann_accuracy == (guesses == y[20:90]).mean() != wrong.ann_accuracy
    assert right.disagreements != wrong.disagreements
    assert right.snn_accuracy == wrong.snn_accuracy


def test_errors_of_a_network_that_reproduces_its_input(tmp_path):
    random = np.random.default_rng(8)
    model = keras.Sequential(
        [
            LAYERS.Conv2D(
                6, 3, padding="same", activation="relu", input_shape=(4, 4, 1)
            ),
            LAYERS.MaxPooling2D(2),
            LAYERS.Flatten(),
            LAYERS.Dense(16, activation="relu"),
        ]
    )
    x = random.random((SAMPLES, 4, 4, 1)).astype(np.float32)
    copy = keras.models.clone_model(model)
    settings = ConversionSettings(max_pool="average")
    result = conversion.convert_files(model, tmp_path, x_norm=x, settings=settings)
    averaged_model = keras.Sequential(
        [*copy.layers[:1], LAYERS.AveragePooling2D(2), *copy.layers[2:]]
    )
    averaged_model.set_weights(model.get_weights())
    scale = list(result.scale_factors.values())[-1]
    measured_fidelity = measure_fidelity(
        trained_network(model), result.changes, x, None, scale
    )
    errors = [
        float(np.square(one_model.predict(x) - x.reshape(SAMPLES, -1)).mean())
        for one_model in (model, averaged_model)
    ]
    assert scale != 1
    assert [
        measured_fidelity.trained,
        measured_fidelity.after["average_pooling"],
    ] == pytest.approx(errors, rel=1e-5)
    assert (
        measured_fidelity.lines()[0]
        == f"ANN mean squared error, as trained: {errors[0]:.4g} ({SAMPLES} test samples)"
    )


def test_changes_are_listed_in_their_order_whatever_the_file_has():
    after = dict.fromkeys(reversed(list(CHANGES)), 0.5)
    fidelity = Fidelity(samples=2, classifies=True, trained=0.5, after=after)
    assert fidelity.changes_made == list(CHANGES)
