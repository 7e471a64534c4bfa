import json

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.model_files.keras import keras
from snnb.model_files.read_model import read_trained
from snnb.training.batches import LabelledPictures
from snnb.training.keras_model import trained_network
from snnb.training.pretrained import evaluate_pretrained
from snnb.training.qcfs import quantised
from tests.training.conftest import small_model


def pictures(data, classes=3):
    return LabelledPictures(data.x_test, data.y_test, 255.0, classes)


def test_metrics_are_those_of_keras(data, tmp_path):
    model = small_model()
    model.compile(loss="categorical_crossentropy", metrics=["accuracy"])
    expected_metrics = model.evaluate(
        data.x_test / np.float32(255), np.eye(3)[data.y_test], verbose=0
    )
    metrics, confusion = evaluate_pretrained(
        trained_network(model), pictures(data), tmp_path
    )
    guessed_indices = model.predict(data.x_test / np.float32(255)).argmax(axis=1)
    np.testing.assert_array_equal(
        confusion[:, :3],
        [
            [((data.y_test == i) & (guessed_indices == j)).sum() for j in range(3)]
            for i in range(3)
        ],
    )
    assert metrics == pytest.approx(
        dict(zip(("test_loss", "test_accuracy"), expected_metrics)), rel=1e-5
    )
    assert json.loads((tmp_path / "training_metrics.json").read_text()) == {
        **metrics,
        "epochs_run": 0,
    }


def test_the_error_of_an_autoencoder_is_that_of_keras(data, tmp_path):
    layers = [keras.layers.Flatten(input_shape=(6, 5, 1)), keras.layers.Dense(30)]
    model = keras.Sequential(layers)
    x = data.x_test / np.float32(255)
    metrics, _ = evaluate_pretrained(
        trained_network(model), pictures(data, None), tmp_path
    )
    expected_mean = np.square(model.predict(x) - x.reshape(40, -1)).mean()
    assert metrics == {
        "test_mean_squared_error": pytest.approx(expected_mean, rel=1e-5)
    }


def test_quantised_activations_are_evaluated_as_in_training(training, data, tmp_path):
    def build():
        layers = keras.layers
        stack = [
            keras.Input((6, 5, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.AveragePooling2D(2),
        ]
        return quantised(
            keras.Sequential(
                [*stack, layers.Flatten(), layers.Dense(3, activation="softmax")]
            ),
            2,
            seed=0,
        )

    trained_training, file = training(build=build), tmp_path / "train" / "small.h5"
    metrics, _ = evaluate_pretrained(read_trained(file), pictures(data), tmp_path)
    assert metrics == pytest.approx(trained_training.metrics, rel=1e-5)
    clipped_outputs = keras.models.load_model(str(file), compile=False).predict(
        data.x_test / np.float32(255)
    )
    assert metrics["test_loss"] != pytest.approx(
        -np.log(clipped_outputs[np.arange(40), data.y_test]).mean(), rel=1e-3
    )
    assert json.loads((tmp_path / "training_metrics.json").read_text())["levels"] == 2


def test_what_cannot_be_evaluated_is_refused(data, tmp_path):
    model = small_model()
    with pytest.raises(
        InputError, match=r"output has shape \(3,\), but the data set has 4 classes"
    ):
        evaluate_pretrained(trained_network(model), pictures(data, 4), tmp_path)
    model.set_weights(
        [np.full(weights.shape, 1e30, np.float32) for weights in model.get_weights()]
    )
    with pytest.raises(
        InputError, match="the loss of the trained model is nan on the test set"
    ):
        evaluate_pretrained(trained_network(model), pictures(data), tmp_path)
    assert list(tmp_path.iterdir()) == []
