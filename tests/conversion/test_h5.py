import time

import numpy as np
import pytest

from snnb.conversion.convert import save_keras
from snnb.io.keras import keras
from snnb.io.keras_file import load_model


def test_saving_twice_gives_equal_bytes_and_keras_reads_them(small, pixels, tmp_path):
    save_keras(small, tmp_path / "first.h5", "net")
    time.sleep(1.1)  # HDF5 stamps seconds
    # A second model of the process: Keras numbers its name and its weights' names on.
    again = keras.models.load_model(str(tmp_path / "first.h5"))
    again._name = "something_else"
    save_keras(again, tmp_path / "second.h5", "net")
    assert (tmp_path / "first.h5").read_bytes() == (tmp_path / "second.h5").read_bytes()
    np.testing.assert_array_equal(again.predict(pixels), small.predict(pixels))
    assert load_model(tmp_path / "first.h5").name == "net"


@pytest.mark.parametrize("names", [["conv1/conv", "conv1/bn"], ["f/g/h", "f/g", "i"]])
def test_names_with_a_slash_as_those_of_keras_densenet(names, randomise, tmp_path):
    model = keras.Sequential([keras.layers.Dense(3, name=name, input_shape=(3,)) for name in names])
    randomise(model)
    save_keras(model, tmp_path / "net.h5", "net")
    x = np.random.default_rng(1).random((4, 3)).astype(np.float32)
    for load in (load_model, lambda path: keras.models.load_model(str(path))):
        again = load(tmp_path / "net.h5")
        assert [layer.name for layer in again.layers] == names
        np.testing.assert_array_equal(again.predict(x), model.predict(x))
