"""A parsed file is read as Keras has it, shapes and weights; one that was altered is refused before it is simulated."""

import json

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError, ResourceError
from snnb.network.read_network import read_network


def _saved(path, outputs, inputs):
    from tensorflow.keras import Model

    from snnb.conversion.h5 import save_keras

    save_keras(Model(inputs, outputs), path, "model")
    return path


def _refusal(path):
    with pytest.raises((InputError, ResourceError)) as refused:
        read_network(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_shapes_order_and_weights_are_those_of_keras(branched):
    model = branched.keras
    network = branched.network
    assert [volume.name for volume in network.volumes] == [layer.name for layer in model.layers]
    for volume in network.volumes[1:]:
        assert volume.shape == model.get_layer(volume.name).output_shape[1:]
    for population in network.populations:
        stored = model.get_layer(population.name).get_weights()
        for array, expected in zip((population.only.kernel, population.bias) if stored else (), stored):
            np.testing.assert_array_equal(array, expected)


def test_populations_are_what_has_neurons(branched):
    kinds = [layer.name[2:].split("_")[0] for layer in branched.network.populations]
    assert sorted(set(kinds)) == ["AveragePooling2D", "Conv2D", "Dense", "DepthwiseConv2D"]
    assert branched.network.output.name == "11Dense_10"


def test_a_layer_without_bias_has_a_bias_of_zero(tmp_path):
    from tensorflow.keras import Input, layers

    x = Input((4,), name="input")
    path = _saved(tmp_path / "m_parsed.h5", layers.Dense(3, use_bias=False, name="00Dense_3")(x), x)
    np.testing.assert_array_equal(read_network(path).output.bias, np.zeros(3))


def test_a_file_that_is_cut_or_lacks_weights_is_refused(branched, tmp_path):
    whole = branched.parsed.read_bytes()
    path = tmp_path / "cut_parsed.h5"
    path.write_bytes(whole[: len(whole) // 2])
    assert "cut_parsed.h5" in _refusal(path)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        del file["model_weights/10Dense_30/10Dense_30/kernel:0"]
    assert "layer 10Dense_30" in _refusal(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1]["config"]["data_format"] = "channels_first"
        file.attrs["model_config"] = json.dumps(config).encode()
    assert "layer 00Conv2D_8x9x6" in _refusal(path)


CONVOLUTION, DENSE = "00Conv2D_8x9x6", "10Dense_30"


def _altered_config(branched, tmp_path, layer, **changes):
    path = tmp_path / "altered_parsed.h5"
    path.write_bytes(branched.parsed.read_bytes())
    with h5py.File(path, "r+") as file:
        model = json.loads(file.attrs["model_config"])
        (entry,) = (e for e in model["config"]["layers"] if e["config"]["name"] == layer)
        entry["config"].update(changes)
        file.attrs["model_config"] = json.dumps(model).encode()
    return path


@pytest.mark.parametrize(
    ("layer", "changes"),
    [
        (CONVOLUTION, {"strides": [0, 1]}),
        (CONVOLUTION, {"padding": "full"}),
        (CONVOLUTION, {"name": DENSE}),
        ("input", {"batch_input_shape": [None, 8]}),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(branched, tmp_path, layer, changes):
    assert "altered_parsed.h5" in _refusal(_altered_config(branched, tmp_path, layer, **changes))


@pytest.mark.parametrize("layer", [CONVOLUTION, DENSE])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("kernel", lambda values: values[..., :-1]),
        ("kernel", lambda values: values * np.nan),
        ("bias", lambda values: values[:-1]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(branched, tmp_path, layer, name, change):
    path = tmp_path / "altered_parsed.h5"
    path.write_bytes(branched.parsed.read_bytes())
    with h5py.File(path, "r+") as file:
        group = file[f"model_weights/{layer}/{layer}"]
        values = change(group[f"{name}:0"][()])
        del group[f"{name}:0"]
        group[f"{name}:0"] = values
    assert f"layer {layer}" in _refusal(path)
