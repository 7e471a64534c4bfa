"""Accuracy of the trained network and after each change of the conversion, against Keras models changed by hand."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.conversion.fidelity import CHANGES, Fidelity
from snnb.io.keras import keras
from snnb.io.keras_file import QCFS_LEVELS
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.simulate import simulate
from snnb.simulation.trained_model import measure_fidelity, read_trained
from snnb.training.keras_model import compile_model, write_model
from snnb.training.qcfs import QCFS, plain, quantised, quantised_again
from snnb.training.recipe import Recipe

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
def made(tmp_path_factory):
    """The trained model with random weights, its file, pictures, and classes of which it gets most right."""
    random, path = np.random.default_rng(4), tmp_path_factory.mktemp("fidelity") / "net.h5"
    model = pooled()
    model.set_weights([random.normal(0.0, 0.6, w.shape) for w in model.get_weights()])
    x = random.integers(0, 17, (SAMPLES, 8, 8, 1)).astype(np.uint8)
    outputs = model.predict(x / 16)
    model.layers[-1].bias.assign(model.layers[-1].bias - np.log(outputs + 1e-3).mean(axis=0))  # all classes occur
    compile_model(model, Recipe(), CLASSES)
    write_model(model, path)
    y = np.where(random.random(SAMPLES) < 0.8, model.predict(x / 16).argmax(axis=1), random.integers(0, 4, SAMPLES))
    return model, path, x, y


def accuracy(model, x, y):
    return float((model.predict(x / 16).argmax(axis=1) == y).mean())


def converted(made, target, **options):
    _, path, x, y = made
    settings = ConversionSettings(**{"max_pool": "spiking", "rectify_linear": True, "parser": "own", **options})
    result = convert(path, target, name="net", x_norm=(x / 16).astype(np.float32), settings=settings, pixel_scale=16)
    measured = measure_fidelity(read_trained(path, quantised_again), result.changes, (x / 16).astype(np.float32), y)
    return result, measured


def test_max_pooling_and_missing_activations_are_compared_with_the_trained_model(made, tmp_path):
    model, _, x, y = made
    result, measured = converted(made, tmp_path, max_pool="average")
    averaged, rectified = pooled(LAYERS.AveragePooling2D), pooled(LAYERS.AveragePooling2D, "relu")
    for changed in (averaged, rectified):
        changed.set_weights(model.get_weights())
    trained, *after = (accuracy(one, x, y) for one in (model, averaged, rectified))
    assert len({trained, *after}) == 3
    # The own parser composes the average with the convolution that has no activation.
    assert (measured.trained, measured.after["average_pooling"]) == (trained, after[0])
    difference = float(np.abs(model.predict(x[:100] / 16) - averaged.predict(x[:100] / 16)).max())
    assert difference > 0.1
    assert result.largest_difference == pytest.approx(difference, abs=1e-5)
    _, only = converted(made, tmp_path, max_pool="spiking")
    rectified = pooled(activation="relu")
    rectified.set_weights(model.get_weights())
    assert only.after == {"rectification": accuracy(rectified, x, y)} != {"rectification": trained}


def test_pruning_is_compared_with_the_trained_model(made, tmp_path):
    model, _, x, y = made
    _, measured = converted(made, tmp_path, prune=0.6)
    changed = pooled(activation="relu")
    changed.set_weights(model.get_weights())
    before = accuracy(changed, x, y)
    kernels = [layer.kernel for layer in changed.layers if layer.weights]
    for kernel in kernels:
        weights = kernel.numpy()
        sizes = np.abs(weights)
        kernel.assign(np.where(sizes > np.sort(sizes, axis=None)[int(0.6 * sizes.size) - 1], weights, 0))
    after = accuracy(changed, x, y)
    assert measured.after == {"rectification": before, "pruning": after} != {"rectification": after, "pruning": before}
    assert measured.lost == measured.trained - after
    assert measured.lines()[-1] == f"accuracy after pruning: {after:.2%} ({100 * (after - before):+.2f} points)"


@pytest.mark.parametrize("options", [{}, {"calibrate": 4}, {"prune": 0.01}])
def test_rounding_to_many_bits_changes_nothing_and_to_four_does(options, made, tmp_path):
    measured = []
    for bits in (12, 4):
        (tmp_path / str(bits)).mkdir()
        given = {"max_pool": "average", "weight_bits": bits, **options}
        measured.append(converted(made, tmp_path / str(bits), **given)[1])
    fine, coarse = measured
    assert fine.made == [
        "average_pooling",
        "rectification",
        "pruning_and_rounding" if "prune" in options else "rounding",
    ]
    before, now, then = fine.after["rectification"], fine.after[fine.made[-1]], coarse.after[fine.made[-1]]
    assert abs(now - before) <= 2 / SAMPLES
    assert then != before


def test_a_network_without_changes_has_none(made, tmp_path):
    result, _ = converted(made, tmp_path, max_pool="average")
    assert list(result.changes) == ["average_pooling", "rectification"]
    model = keras.Sequential([LAYERS.Flatten(input_shape=(8, 8, 1)), LAYERS.Dense(CLASSES, activation="softmax")])
    compile_model(model, Recipe(), CLASSES)
    write_model(model, tmp_path / "plain.h5")
    settings = ConversionSettings(max_pool="average", rectify_linear=True)
    assert convert(tmp_path / "plain.h5", tmp_path, name="net", x_norm=made[2] / 16, settings=settings).changes == {}


def test_quantised_activations_are_those_of_the_training(tmp_path):
    random, levels = np.random.default_rng(2), 3
    model = quantised(pooled(activation="relu"), levels, seed=0)
    for layer in model.layers:
        if isinstance(layer, QCFS):
            layer.bound.assign(random.uniform(0.5, 1.5))
        elif layer.weights:
            layer.set_weights([random.normal(0, 0.5, w.shape) for w in layer.get_weights()])
    saved = plain(model)
    compile_model(saved, Recipe(), CLASSES)
    write_model(saved, tmp_path / "net.h5", {QCFS_LEVELS: levels})
    x = random.integers(0, 17, (SAMPLES, 8, 8, 1)).astype(np.uint8)
    outputs = model.predict(x / 16)
    assert np.abs(outputs - saved.predict(x / 16)).max() > 0.01
    trained = pickle.loads(pickle.dumps(replace(read_trained(tmp_path / "net.h5", quantised_again), batch=30)))  # noqa: S301 - sent to a worker
    np.testing.assert_allclose(trained.forward()((x / 16).astype(np.float32)), outputs, atol=1e-5)
    case = (model, tmp_path / "net.h5", x, outputs.argmax(axis=1))
    _, measured = converted(case, tmp_path, max_pool="average", weight_bits=12)
    assert measured.trained == 1
    assert measured.after["average_pooling"] < 1
    assert abs(measured.after["rounding"] - measured.after["average_pooling"]) < 0.05


def test_the_ann_accuracy_of_a_simulation_is_that_of_the_trained_model(made, tmp_path):
    model, path, x, y = made
    _, fidelity = converted(made, tmp_path, max_pool="average")
    settings = SimulationSettings(engine="event", samples=70, first=20, duration=20)
    given = {"name": "net", "x": x, "y": y, "scale": 16.0, "class_names": list("abcd"), "num_classes": CLASSES}
    made_of = [
        simulate(tmp_path / "net_parsed.h5", tmp_path, settings=settings, **given, **options).statistics
        for options in ({}, {"trained": read_trained(path, quantised_again), "fidelity": fidelity})
    ]
    (right, wrong), guesses = (made_of[::-1]), model.predict(x[20:90] / 16).argmax(axis=1)
    assert right.ann_accuracy == (guesses == y[20:90]).mean() != wrong.ann_accuracy
    assert right.disagreements != wrong.disagreements
    assert right.snn_accuracy == wrong.snn_accuracy


def test_errors_of_a_network_that_reproduces_its_input(tmp_path):
    random = np.random.default_rng(8)
    model = keras.Sequential(
        [
            LAYERS.Conv2D(6, 3, padding="same", activation="relu", input_shape=(4, 4, 1)),
            LAYERS.MaxPooling2D(2),
            LAYERS.Flatten(),
            LAYERS.Dense(16, activation="relu"),
        ]
    )
    compile_model(model, Recipe(), None)
    write_model(model, tmp_path / "net.h5")
    x = random.random((SAMPLES, 4, 4, 1)).astype(np.float32)
    averaged = keras.models.clone_model(model)
    settings = ConversionSettings(max_pool="average")
    result = convert(tmp_path / "net.h5", tmp_path, name="net", x_norm=x, settings=settings)
    averaged = keras.Sequential([*averaged.layers[:1], LAYERS.AveragePooling2D(2), *averaged.layers[2:]])
    averaged.set_weights(model.get_weights())
    scale = list(result.scale_factors.values())[-1]
    trained = read_trained(tmp_path / "net.h5", quantised_again)
    measured = measure_fidelity(trained, result.changes, x, None, scale)
    errors = [float(np.square(one.predict(x) - x.reshape(SAMPLES, -1)).mean()) for one in (model, averaged)]
    assert scale != 1
    assert [measured.trained, measured.after["average_pooling"]] == pytest.approx(errors, rel=1e-5)
    assert measured.lines()[0] == f"ANN mean squared error, as trained: {errors[0]:.4g} ({SAMPLES} test samples)"
    np.testing.assert_allclose(replace(trained, unit=scale).forward()(x) * scale, model.predict(x), atol=1e-6)


def test_changes_are_listed_in_their_order_whatever_the_file_has():
    after = dict.fromkeys(reversed(list(CHANGES)), 0.5)
    fidelity = Fidelity(samples=2, classifies=True, trained=0.5, after=after)
    assert fidelity.made == list(CHANGES)
