import time

import numpy as np
import pytest

from snnb.training.modelfile import write_model


@pytest.fixture(scope="module")
def model(small_model):
    from tensorflow import keras

    keras.backend.clear_session()
    model = small_model()
    model.compile("adam", "categorical_crossentropy", ["accuracy"])
    return model


def test_a_model_file_does_not_depend_on_when_it_is_written(model, tmp_path):
    write_model(model, tmp_path / "a.h5")
    time.sleep(1.1)  # HDF5 keeps times in seconds
    write_model(model, tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5"]


def test_a_model_file_loads_compiled_with_the_same_weights(model, tmp_path):
    from tensorflow import keras

    write_model(model, tmp_path / "model.h5")
    loaded = keras.models.load_model(str(tmp_path / "model.h5"))
    assert loaded.loss.__name__ == "categorical_crossentropy"
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]
    for ours, theirs in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(ours, theirs)
