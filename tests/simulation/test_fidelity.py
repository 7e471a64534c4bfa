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

LAYERS, CLASSES, SAMPLES = keras.layers, 4, 130  # more than a batch


def pooled(pooling=LAYERS.MaxPooling2D, activation="linear"):
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
def made():
    """The trained model with random weights, pictures, and classes of which it gets most right."""
    random = np.random.default_rng(4)
    model = pooled()
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


def converted(made, target, **options):
    model, x, y = made
    pixels = (x / 16).astype(np.float32)
    settings = ConversionSettings(
        **{"max_pool": "exact", "rectify_linear": True, **options}
    )
    result = conversion.converted(
        model, target, x_norm=pixels, settings=settings, pixel_scale=16
    )
    return result, measure_fidelity(trained_network(model), result.changes, pixels, y)


def test_max_pooling_and_missing_activations_are_compared_with_the_trained_model(
    made, tmp_path
):
    model, x, y = made
    result, measured = converted(made, tmp_path, max_pool="average")
    averaged, rectified = (
        pooled(LAYERS.AveragePooling2D),
        pooled(LAYERS.AveragePooling2D, "relu"),
    )
    for changed in (averaged, rectified):
        changed.set_weights(model.get_weights())
    trained, *after = (accuracy(one, x, y) for one in (model, averaged, rectified))
    assert len({trained, *after}) == 3
    # The own parser composes the average with the convolution that has no activation.
    assert (measured.trained, measured.after["average_pooling"]) == (trained, after[0])
    difference = float(
        np.abs(model.predict(x[:100] / 16) - averaged.predict(x[:100] / 16)).max()
    )
    assert difference > 0.1
    assert result.largest_difference == pytest.approx(difference, abs=1e-5)
    _, only = converted(made, tmp_path, max_pool="exact")
    rectified = pooled(activation="relu")
    rectified.set_weights(model.get_weights())
    assert (
        only.after
        == {"rectification": accuracy(rectified, x, y)}
        != {"rectification": trained}
    )


def test_pruning_is_compared_with_the_trained_model(made, tmp_path):
    model, x, y = made
    _, measured = converted(made, tmp_path, prune=0.6)
    changed = pooled(activation="relu")
    changed.set_weights(model.get_weights())
    before = accuracy(changed, x, y)
    kernels = [layer.kernel for layer in changed.layers if layer.weights]
    for kernel in kernels:
        weights = kernel.numpy()
        sizes = np.abs(weights)
        kernel.assign(
            np.where(
                sizes > np.sort(sizes, axis=None)[int(0.6 * sizes.size) - 1], weights, 0
            )
        )
    after = accuracy(changed, x, y)
    assert (
        measured.after
        == {"rectification": before, "pruning": after}
        != {"rectification": after, "pruning": before}
    )
    assert measured.loss == measured.trained - after
    assert (
        measured.lines()[-1]
        == f"accuracy after pruning: {after:.2%} ({100 * (after - before):+.2f} points)"
    )


@pytest.mark.parametrize("options", [{}, {"calibrate": 4}, {"prune": 0.01}])
def test_rounding_to_many_bits_changes_nothing_and_to_four_does(
    options, made, tmp_path
):
    measured = []
    for bits in (12, 4):
        (tmp_path / str(bits)).mkdir()
        given = {"max_pool": "average", "weight_bits": bits, **options}
        measured.append(converted(made, tmp_path / str(bits), **given)[1])
    fine, coarse = measured
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


def test_a_network_without_changes_has_none(made, tmp_path):
    result, _ = converted(made, tmp_path, max_pool="average")
    assert list(result.changes) == ["average_pooling", "rectification"]
    model = keras.Sequential(
        [
            LAYERS.Flatten(input_shape=(8, 8, 1)),
            LAYERS.Dense(CLASSES, activation="softmax"),
        ]
    )
    result, _ = converted((model, *made[1:]), tmp_path, max_pool="average")
    assert result.changes == {}


def test_quantised_activations_are_those_of_the_training(tmp_path):
    random, levels = np.random.default_rng(2), 3
    model = quantised(pooled(activation="relu"), levels, seed=0)
    for layer in model.layers:
        if isinstance(layer, QCFS):
            layer.bound.assign(random.uniform(0.5, 1.5))
        elif layer.weights:
            layer.set_weights(
                [random.normal(0, 0.5, w.shape) for w in layer.get_weights()]
            )
    x = random.integers(0, 17, (SAMPLES, 8, 8, 1)).astype(np.uint8)
    outputs = model.predict(x / 16)
    trained, pixels = trained_network(model), (x / 16).astype(np.float32)
    assert (
        np.abs(outputs - Analogue(replace(trained, levels=None)).outputs(pixels)).max()
        > 0.01
    )
    np.testing.assert_allclose(Analogue(trained).outputs(pixels), outputs, atol=1e-5)
    _, measured = converted(
        (model, x, outputs.argmax(axis=1)), tmp_path, max_pool="average", weight_bits=12
    )
    assert measured.trained == 1
    assert measured.after["average_pooling"] < 1
    assert abs(measured.after["rounding"] - measured.after["average_pooling"]) < 0.05


def test_the_ann_accuracy_of_a_simulation_is_that_of_the_trained_model(made, tmp_path):
    model, x, y = made
    _, fidelity = converted(made, tmp_path, max_pool="average")
    settings = SimulationSettings(engine="event", samples=70, first=20, duration=20)
    given = {
        "name": "net",
        "x": x,
        "y": y,
        "scale": 16.0,
        "class_names": list("abcd"),
        "num_classes": CLASSES,
    }
    made_of = [
        simulate(
            tmp_path / "net_parsed.h5", tmp_path, settings=settings, **given, **options
        ).statistics
        for options in (
            {},
            {"trained_network": trained_network(model), "fidelity": fidelity},
        )
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
    result = conversion.converted(model, tmp_path, x_norm=x, settings=settings)
    averaged = keras.Sequential(
        [*copy.layers[:1], LAYERS.AveragePooling2D(2), *copy.layers[2:]]
    )
    averaged.set_weights(model.get_weights())
    scale = list(result.scale_factors.values())[-1]
    measured = measure_fidelity(trained_network(model), result.changes, x, None, scale)
    errors = [
        float(np.square(one.predict(x) - x.reshape(SAMPLES, -1)).mean())
        for one in (model, averaged)
    ]
    assert scale != 1
    assert [measured.trained, measured.after["average_pooling"]] == pytest.approx(
        errors, rel=1e-5
    )
    assert (
        measured.lines()[0]
        == f"ANN mean squared error, as trained: {errors[0]:.4g} ({SAMPLES} test samples)"
    )


def test_changes_are_listed_in_their_order_whatever_the_file_has():
    after = dict.fromkeys(reversed(list(CHANGES)), 0.5)
    fidelity = Fidelity(samples=2, classifies=True, trained=0.5, after=after)
    assert fidelity.changes_made == list(CHANGES)
