import csv
import json
import math
import random

import h5py
import numpy as np
import pytest
import tensorflow as tf

from snnb import Run
from snnb.architectures.registry import find
from snnb.core.errors import InputError, VerificationError
from snnb.model_files.keras import keras
from snnb.training.batches import split_rows
from snnb.training.keras_model import write_model
from snnb.training.recipe import Recipe
from tests.end_to_end.conftest import RECORDED
from tests.training.conftest import plain_model


def keras_model(path):
    return keras.models.load_model(str(path))


def dense_model(*units):
    layers = [
        keras.Input((6, 5, 1), name="input"),
        keras.layers.Flatten(),
        *map(keras.layers.Dense, units),
    ]
    return keras.Sequential(layers)


def test_the_figures_are_those_of_the_saved_model(training, data, tmp_path):
    result = training()
    predicted_indices = (
        keras_model(tmp_path / "train/small.h5")
        .predict(data.x_test / np.float32(255))
        .argmax(axis=1)
    )
    assert result.metrics["test_accuracy"] == pytest.approx(
        np.mean(predicted_indices == data.y_test), abs=1e-6
    )
    assert result.metrics["test_accuracy"] > 0.6
    metrics = json.loads((tmp_path / "train/training_metrics.json").read_text())
    with (tmp_path / "train/training_history.csv").open() as file:
        history = [
            {name: float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]
    assert [row.pop("epoch") for row in history] == [1, 2]
    assert metrics["final"] == history[-1]
    assert metrics["best"] == min(history, key=lambda row: row["val_loss"])
    assert set(history[0]) == {"loss", "accuracy", "val_loss", "val_accuracy", "lr"}
    assert (metrics["training_pictures"], metrics["validation_pictures"]) == (90, 30)


@pytest.mark.parametrize(
    ("recipe", "rate"),
    [
        (Recipe(epochs=3, batch_size=16, learning_rate=0.01), lambda done: 0.01),
        (
            Recipe(
                optimizer="sgd",
                momentum=0.9,
                nesterov=True,
                schedule="cosine",
                epochs=3,
                learning_rate=0.1,
            ),
            lambda done: 0.05 * (1 + math.cos(math.pi * done / 3)),
        ),
        (
            Recipe(epochs=3, batch_size=16, learning_rate=0.01, weight_decay=0.5),
            lambda done: 0.01,
        ),
    ],
)
def test_the_weights_are_those_of_an_independent_training_loop(
    training, data, tmp_path, recipe, rate
):
    training(recipe, build=plain_model)

    keras.backend.clear_session()
    random.seed(5)  # from it newer Keras draws the seeds of initializers
    tf.random.set_seed(5)
    model = plain_model()
    adam, sgd = (
        keras.optimizers.Adam(),
        keras.optimizers.SGD(momentum=0.9, nesterov=True),
    )
    model.compile(
        sgd if recipe.optimizer == "sgd" else adam, "sparse_categorical_crossentropy"
    )
    rows, _ = split_rows(120, 0.25, 5)
    for epoch in range(3):
        order = np.random.default_rng([5, epoch]).permutation(rows)
        starts = range(0, 90, recipe.batch_size)
        for start in starts:
            chosen_samples = order[start : start + recipe.batch_size]
            now = rate(epoch + start / recipe.batch_size / len(starts))
            keras.backend.set_value(model.optimizer.learning_rate, now)
            model.train_on_batch(
                data.x_train[chosen_samples] / np.float32(255),
                data.y_train[chosen_samples],
            )
            decay = 1 - now * recipe.weight_decay
            model.set_weights(
                [w * decay if w.ndim > 1 else w for w in model.get_weights()]
            )
    for ours, theirs in zip(
        keras_model(tmp_path / "train/small.h5").get_weights(), model.get_weights()
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_the_same_seed_gives_the_same_files_and_another_seed_others(training, tmp_path):
    recipe = Recipe(epochs=1, batch_size=16, flip=True, shift=0.2)
    for folder, seed in [
        ("a", 2**32 - 1),
        ("b", 2**32 - 1),
        ("c", 0),
    ]:  # the largest seed
        training(recipe, folder=folder, seed=seed)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["small.h5", "training_history.csv", "training_metrics.json"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (
            tmp_path / "b" / name
        ).read_bytes(), name
        assert (tmp_path / "a" / name).read_bytes() != (
            tmp_path / "c" / name
        ).read_bytes(), name


def test_a_reconstruction_reports_its_mean_squared_error(training, data, tmp_path):
    result = training(build=lambda: dense_model(3, 30), num_classes=None)
    pixels = (data.x_test / np.float32(255)).reshape(40, 30)
    drawn_outputs = keras_model(tmp_path / "train/small.h5").predict(
        data.x_test / np.float32(255)
    )
    assert list(result.metrics) == ["test_mean_squared_error"]
    assert result.metrics["test_mean_squared_error"] == pytest.approx(
        np.mean((drawn_outputs - pixels) ** 2), rel=1e-5
    )


def test_options_without_effect_on_these_pictures_are_named(training):
    recipe = Recipe(epochs=1, batch_size=16, shift=0.1)
    assert training(recipe, build=plain_model, steps_per_epoch=7).warnings == [
        "--steps-per-epoch 7 has no effect: an epoch has 6 batches",
        "--shift 0.1 has no effect: it is less than a pixel of images of 6×5",
    ]
    assert (
        training(
            recipe.changed(shift=0.2), build=plain_model, steps_per_epoch=6
        ).warnings
        == []
    )


def test_progress_counts_the_batches_of_all_epochs(training):
    messages = []
    training(
        Recipe(epochs=2, batch_size=8),
        steps_per_epoch=3,
        progress=lambda *seen: messages.append(seen),
    )
    assert [done for done, _, _ in messages] == sorted(
        {done for done, _, _ in messages}
    )
    assert messages[-1][:2] == (6, 6)
    assert "epoch 2/2" in messages[-1][2]
    assert "accuracy" in messages[-1][2]


def test_a_training_that_diverges_ends_with_advice_and_leaves_no_model(
    training, tmp_path
):
    with pytest.raises(
        VerificationError,
        match=r"diverged in epoch \d+ .*: try a lower --learning-rate",
    ):
        training(
            Recipe(optimizer="sgd", learning_rate=1e30, epochs=3, batch_size=16),
            build=plain_model,
        )
    assert list((tmp_path / "train").iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_train": np.zeros((120, 5, 6, 1), np.uint8)},
            r"takes inputs of shape \(6, 5, 1\), but the images",
        ),
        (
            {"num_classes": 4},
            r"layer output: .* shape \(3,\), but the data set has 4 classes",
        ),
        ({"num_classes": None}, "layer output: .* cannot reproduce images"),
    ],
)
def test_model_and_data_that_do_not_fit_are_refused(training, changes, message):
    with pytest.raises(InputError, match=message):
        training(**changes)


def test_a_classifier_without_softmax_is_not_trained(training):
    with pytest.raises(
        InputError, match=r"layer dense\w*: a classifier must end in softmax"
    ):
        training(build=lambda: dense_model(3))


@pytest.mark.gpu
def test_trains_on_a_gpu(tmp_path):
    """The accuracy is that of a trained network, three standard errors (360 test samples) below 0.97."""
    record = Run("mini_network", path=tmp_path / "run").train().record
    assert record.environment.device == "gpu", "TensorFlow finds no GPU"
    assert record.metrics["test_accuracy"] > 0.94


def test_a_file_describes_layers_as_tensorflow_2_2_does(tmp_path):
    """As the recorded file, by any version, so that TensorFlow 2.2 and snntoolbox load it."""
    spec = find("mini_network")
    write_model(
        spec.build(input_shape=spec.input_shape, num_classes=spec.num_classes),
        tmp_path / "net.h5",
    )
    found_layers = []
    for path in (RECORDED / "train" / "mini_network.h5", tmp_path / "net.h5"):
        with h5py.File(str(path), "r") as file:
            layers = json.loads(file.attrs["model_config"])["config"]["layers"]
        for layer in layers:
            layer["config"].pop(
                "batch_input_shape", None
            )  # of the first layer, or of an InputLayer
        found_layers.append(
            [layer for layer in layers if layer["class_name"] != "InputLayer"]
        )
    assert found_layers[1] == found_layers[0]
