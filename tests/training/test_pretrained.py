import json

import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.training.batches import LabelledPictures
from snnb.training.fit import evaluate_pretrained


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


def test_a_model_of_broken_weights_is_refused(small_model, data, tmp_path):
    def broken():
        model = small_model()
        model.set_weights([np.full_like(values, np.nan) for values in model.get_weights()])
        return model

    pictures = LabelledPictures(data.x_test, data.y_test, 255.0, 3)
    with pytest.raises(InputError, match="weights are not all finite"):
        evaluate_pretrained(broken, pictures, batch_size=16, model_file=tmp_path / "mine.h5")
    assert list(tmp_path.iterdir()) == []
