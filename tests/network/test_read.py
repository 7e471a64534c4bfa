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
def parsed(tmp_path_factory):
    keras.backend.clear_session()  # Keras numbers the arrays of a layer whose name it has met before
    return save(branched(), tmp_path_factory.mktemp("parse") / "net_parsed.h5")


@pytest.fixture
def copy(parsed, tmp_path):
    return shutil.copy(parsed, tmp_path / "net_parsed.h5")


def refused(path, message):
    with pytest.raises(InputError, match=message) as error:
        read_network(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_sequential_model_is_a_chain_after_an_input(tmp_path):
    model = keras.Sequential([LAYERS.Conv2D(2, 3, input_shape=(5, 5, 1), name="c"), LAYERS.Flatten(name="f")])
    volumes = read_network(save(model, tmp_path / "net.h5")).volumes
    assert [volume.name for volume in volumes] == ["input", "c", "f"]
    assert [volume.inputs for volume in volumes[1:]] == [("input",), ("c",)]


def test_the_input_is_called_input_whatever_keras_calls_it(tmp_path):
    source = LAYERS.Input((3,), name="pixels")
    volumes = read_network(save(keras.Model(source, LAYERS.Dense(2)(source)), tmp_path / "net.h5")).volumes
    assert volumes[0].name == "input"
    assert volumes[1].inputs == ("input",)


def test_a_missing_file(tmp_path):
    refused(tmp_path / "none.h5", "no such file")


@pytest.mark.parametrize("keep", [100, 0.5])
def test_a_truncated_file(copy, keep):
    data = copy.read_bytes()
    copy.write_bytes(data[: int(keep * len(data)) if keep < 1 else keep])
    refused(copy, "not a complete HDF5 file")


def test_a_file_of_another_kind(copy):
    with h5py.File(str(copy), "r+") as file:
        del file.attrs["model_config"]
    refused(copy, "not a parsed Keras model")


@pytest.mark.parametrize("name", ["bias", "kernel"])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_values_that_are_not_finite(copy, name, value):
    with h5py.File(str(copy), "r+") as file:
        file[f"{DENSE}/07Dense_4/{name}:0"][..., 1] = value
    refused(copy, f"{name} of layer 07Dense_4 holds NaN or infinite")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("bias", None, "not a parsed Keras model"),
        ("bias", np.zeros(5, np.float32), "bias of layer 07Dense_4 has shape"),
        ("kernel", np.zeros((39, 4), np.float32), "kernel of layer 07Dense_4 has shape"),
    ],
)
def test_arrays_that_are_missing_or_of_another_shape(copy, name, value, message):
    with h5py.File(str(copy), "r+") as file:
        del file[f"{DENSE}/07Dense_4/{name}:0"]
        if value is not None:
            file[f"{DENSE}/07Dense_4"].create_dataset(f"{name}:0", data=value)
    refused(copy, message)


@pytest.mark.parametrize(
    ("number", "changes"),
    [(2, {"strides": [0, 1]}), (2, {"padding": "full"}), (2, {"name": "07Dense_4"}), (0, {"batch_input_shape": [8]})],
)
def test_a_configuration_that_cannot_be(copy, number, changes):
    with h5py.File(str(copy), "r+") as file:
        model = json.loads(file.attrs["model_config"])
        model["config"]["layers"][number]["config"].update(changes)
        file.attrs["model_config"] = json.dumps(model).encode()
    refused(copy, r"^.*net_parsed\.h5.*$")


def test_a_layer_used_twice(tmp_path):
    source = LAYERS.Input((3, 3, 1), name="input")
    shared = LAYERS.Conv2D(1, 1, name="shared")
    path = save(keras.Model(source, shared(shared(source))), tmp_path / "net_parsed.h5")
    refused(path, "layer shared is used 2 times")


def test_several_inputs(tmp_path):
    sources = [LAYERS.Input((3,)), LAYERS.Input((3,))]
    path = save(keras.Model(sources, LAYERS.Concatenate()(sources)), tmp_path / "net_parsed.h5")
    refused(path, "several inputs")


def test_a_model_without_neurons(tmp_path):
    source = LAYERS.Input((3, 3, 1), name="input")
    refused(save(keras.Model(source, LAYERS.Flatten()(source)), tmp_path / "net_parsed.h5"), "has neurons")
