import time

import numpy as np
import pytest

from snnb.core.errors import InputError, ResourceError
from snnb.io import files
from snnb.training.modelfile import bytes_needed, check_names, write_model


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


def test_the_bound_of_the_size_holds_and_is_checked_before_writing(model, tmp_path, monkeypatch):
    write_model(model, tmp_path / "model.h5")
    size = (tmp_path / "model.h5").stat().st_size
    assert size <= bytes_needed(model)
    (tmp_path / "model.h5").unlink()
    usage = files.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage._replace(free=size))
    with pytest.raises(ResourceError, match="the model needs"):
        write_model(model, tmp_path / "model.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", ["a/b/c a/b", "a ab", "a a/a", "a/a a"])
def test_refuses_before_training_the_names_that_keras_cannot_save(names, tmp_path):
    from tensorflow import keras

    keras.backend.clear_session()
    model = keras.Sequential([keras.layers.Input((2,)), *(keras.layers.Dense(2, name=name) for name in names.split())])
    try:
        model.save(str(tmp_path / "model.h5"))
    except (RuntimeError, ValueError):
        with pytest.raises(InputError, match=r"layer a/a.* cannot save"):
            check_names(model)
    else:
        check_names(model)
