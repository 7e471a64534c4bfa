import json

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.io.keras_file import load_model, read_levels
from snnb.training.batches import LabelledPictures
from snnb.training.fit import evaluate_pretrained
from snnb.training.qcfs import quantised


def test_a_trained_model_is_evaluated_and_saved_as_it_is(small_model, data, tmp_path):
    from snnb.io.keras import keras

    model = small_model()
    weights = model.get_weights()
    predicted = model.predict(data.x_test / np.float32(255)).argmax(axis=1)
    model.save(str(tmp_path / "given.h5"), save_format="h5")
    result = evaluate_pretrained(
        lambda: keras.models.load_model(str(tmp_path / "given.h5"), compile=False),
        LabelledPictures(data.x_test, data.y_test, 255.0, 3),
        batch_size=16,
        model_file=tmp_path / "mine.h5",
    )
    assert result.metrics["test_accuracy"] == pytest.approx(np.mean(predicted == data.y_test), abs=1e-6)
    assert json.loads((tmp_path / "training_metrics.json").read_text()) == {**result.metrics, "epochs_run": 0}
    for ours, theirs in zip(keras.models.load_model(str(tmp_path / "mine.h5")).get_weights(), weights):
        np.testing.assert_array_equal(ours, theirs)


def test_a_file_of_quantised_activations_is_evaluated_with_them_and_keeps_their_levels(training, data, tmp_path):
    from snnb.io.keras import keras

    def build():
        layers = keras.layers
        stack = [keras.Input((6, 5, 1)), layers.Conv2D(4, 3, activation="relu"), layers.AveragePooling2D(2)]
        return quantised(keras.Sequential([*stack, layers.Flatten(), layers.Dense(3, activation="softmax")]), 2, seed=0)

    trained = training(build=build)
    given = tmp_path / "train" / "small.h5"
    result = evaluate_pretrained(
        lambda: load_model(given),
        LabelledPictures(data.x_test, data.y_test, 255.0, 3),
        batch_size=16,
        model_file=tmp_path / "mine.h5",
        levels=read_levels(given),
    )
    assert result.metrics == trained.metrics
    clipped = load_model(given).predict(data.x_test / np.float32(255))
    assert result.metrics["test_loss"] != pytest.approx(-np.log(clipped[np.arange(40), data.y_test]).mean(), rel=1e-3)
    assert read_levels(tmp_path / "mine.h5") == 2
    assert json.loads((tmp_path / "training_metrics.json").read_text())["levels"] == 2


def test_a_model_of_broken_weights_is_refused(small_model, data, tmp_path):
    def broken():
        model = small_model()
        model.set_weights([np.full_like(values, np.nan) for values in model.get_weights()])
        return model

    pictures = LabelledPictures(data.x_test, data.y_test, 255.0, 3)
    with pytest.raises(InputError, match="weights are not all finite"):
        evaluate_pretrained(broken, pictures, batch_size=16, model_file=tmp_path / "mine.h5")
    assert list(tmp_path.iterdir()) == []
