"""Models that cannot be read are refused in one line that names file and layer."""

import json
import shutil

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.network.read_network import read_network
from tests.graph.networks import LAYERS, branched, save
from tests.graph.recorded import keras

DENSE = "model_weights/07Dense_4"


@pytest.fixture(scope="module")
def parsed_path(tmp_path_factory):
    keras.backend.clear_session()  # Keras numbers the arrays of a layer whose name it has met before
    return save(branched(), tmp_path_factory.mktemp("parse") / "net_parsed.h5")


@pytest.fixture
def copy(parsed_path, tmp_path):
    return shutil.copy(parsed_path, tmp_path / "net_parsed.h5")


def assert_refused(path, message):
    with pytest.raises(InputError, match=message) as error:
        read_network(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_input_is_called_input_whatever_keras_calls_it(tmp_path):
    source = LAYERS.Input((3,), name="pixels")
    volumes = read_network(
        save(keras.Model(source, LAYERS.Dense(2)(source)), tmp_path / "net.h5")
    ).volumes
    assert volumes[0].name == "input"
    assert volumes[1].inputs == ("input",)


def test_a_missing_file(tmp_path):
    assert_refused(tmp_path / "none.h5", "no such file")


@pytest.mark.parametrize("keep", [100, 0.5])
def test_a_truncated_file(copy, keep):
    data = copy.read_bytes()
    copy.write_bytes(data[: int(keep * len(data)) if keep < 1 else keep])
    assert_refused(copy, "not a complete HDF5 file")


def test_a_file_of_another_kind(copy):
    with h5py.File(str(copy), "r+") as file:
        del file.attrs["model_config"]
    assert_refused(copy, "not a parsed Keras model")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("bias", None, "not a parsed Keras model"),
        (
            "bias",
            np.zeros(5, np.float32),
            r"layer 07Dense_4 \(Dense\): bias has the shape",
        ),
        (
            "kernel",
            np.zeros((39, 4), np.float32),
            r"layer 07Dense_4 \(Dense\): kernel has the shape",
        ),
    ],
)
def test_arrays_that_are_missing_or_of_another_shape(copy, name, value, message):
    with h5py.File(str(copy), "r+") as file:
        del file[f"{DENSE}/07Dense_4/{name}:0"]
        if value is not None:
            file[f"{DENSE}/07Dense_4"].create_dataset(f"{name}:0", data=value)
    assert_refused(copy, message)


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (2, {"strides": [0, 1]}),
        (2, {"padding": "full"}),
        (2, {"name": "07Dense_4"}),
        (0, {"batch_input_shape": [8]}),
    ],
)
def test_a_configuration_that_cannot_be(copy, number, changes):
    with h5py.File(str(copy), "r+") as file:
        model = json.loads(file.attrs["model_config"])
        model["config"]["layers"][number]["config"].update(changes)
        file.attrs["model_config"] = json.dumps(model).encode()
    assert_refused(copy, r"^.*net_parsed\.h5.*$")
