"""Models that cannot be read are refused in one line that names file and layer."""

import shutil

import h5py
import numpy as np
import pytest
import tensorflow as tf

from snnb.errors import InputError
from snnb.synapses.build import build_graph
from snnb.synapses.parsed_model import open_parsed_model
from tests.synapses.networks import LAYERS, save

DENSE = "model_weights/07Dense_4"


@pytest.fixture
def copy(parsed, tmp_path):
    return shutil.copy(parsed, tmp_path / "net_parsed.h5")


def refused(path, message):
    with pytest.raises(InputError, match=message) as error:
        build_graph(path, path.with_name("net_graph.h5"))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert not path.with_name("net_graph.h5").exists()


def test_a_sequential_model_is_a_chain_behind_an_input(tmp_path):
    model = tf.keras.Sequential([LAYERS.Conv2D(2, 3, input_shape=(5, 5, 1), name="c"), LAYERS.Flatten(name="f")])
    layers = open_parsed_model(save(model, tmp_path / "net.h5")).layers
    assert [(layer.name, layer.inbound) for layer in layers] == [("input", ()), ("c", ("input",)), ("f", ("c",))]


def test_the_input_is_called_input_whatever_keras_calls_it(tmp_path):
    source = LAYERS.Input((3,), name="pixels")
    layers = open_parsed_model(save(tf.keras.Model(source, LAYERS.Dense(2)(source)), tmp_path / "net.h5")).layers
    assert layers[0].name == "input"
    assert layers[1].inbound == ("input",)


def test_a_missing_file(tmp_path):
    refused(tmp_path / "none.h5", "is missing; write the model again")


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_file(copy, keep):
    data = copy.read_bytes()
    copy.write_bytes(data[: int(keep * len(data)) if keep < 1 else keep])
    refused(copy, "is no whole HDF5 file; write the model again")


def test_a_file_of_another_kind(copy):
    with h5py.File(str(copy), "r+") as file:
        del file.attrs["model_config"]
    refused(copy, "not a Keras model")


@pytest.mark.parametrize("name", ["bias", "kernel"])
def test_a_missing_array(copy, name):
    with h5py.File(str(copy), "r+") as file:
        del file[f"{DENSE}/07Dense_4/{name}:0"]
    refused(copy, f"layer 07Dense_4 has no {name}")


@pytest.mark.parametrize("name", ["bias", "kernel"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(copy, name, value):
    with h5py.File(str(copy), "r+") as file:
        file[f"{DENSE}/07Dense_4/{name}:0"][..., 1] = value
    refused(copy, f"{name} of layer 07Dense_4 holds NaN or infinite")


@pytest.mark.parametrize(("name", "shape"), [("bias", (5,)), ("kernel", (39, 4))])
def test_arrays_of_another_shape(copy, name, shape):
    with h5py.File(str(copy), "r+") as file:
        del file[f"{DENSE}/07Dense_4/{name}:0"]
        file[f"{DENSE}/07Dense_4/{name}:0"] = np.zeros(shape, np.float32)
    refused(copy, f"{name} of layer 07Dense_4 has shape")


def test_a_layer_used_twice(tmp_path):
    source = LAYERS.Input((3, 3, 1), name="input")
    shared = LAYERS.Conv2D(1, 1, name="shared")
    path = save(tf.keras.Model(source, shared(shared(source))), tmp_path / "net_parsed.h5")
    refused(path, "layer shared is used 2 times")


def test_several_inputs(tmp_path):
    sources = [LAYERS.Input((3,)), LAYERS.Input((3,))]
    path = save(tf.keras.Model(sources, LAYERS.Concatenate()(sources)), tmp_path / "net_parsed.h5")
    refused(path, "several inputs")
