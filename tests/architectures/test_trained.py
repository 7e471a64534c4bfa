"""A trained file of the user's own: read from itself alone, and refused in a line that names it."""

import h5py
import numpy as np
import pytest

from snnb.architectures.trained import load_trained
from snnb.core.errors import InputError


@pytest.fixture
def path(tmp_path):
    from tensorflow import keras

    keras.backend.clear_session()
    model = keras.Sequential([keras.layers.Flatten(input_shape=(4, 4, 1)), keras.layers.Dense(3, name="scores")])
    model.save(str(tmp_path / "net.h5"), save_format="h5")
    return tmp_path / "net.h5"


def described_as(value):
    return lambda file, other: file.attrs.__setitem__("model_config", value)


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (described_as("no JSON"), "model_config"),
        (described_as("[]"), "model_config"),
        (described_as(np.ones(3)), "model_config is not text"),
        (described_as('{"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}]}}'), "."),
    ],
)
def test_a_file_without_a_description_is_refused(path, tmp_path, alter, message):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["values"] = np.ones(3, np.float32)
    with h5py.File(path, "r+") as file:
        alter(file, tmp_path / "other.h5")
    with pytest.raises(InputError, match=message) as raised:
        load_trained(path)
    assert str(path) in str(raised.value)
    assert "save" in str(raised.value)
    assert "\n" not in str(raised.value)
