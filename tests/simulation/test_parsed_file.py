"""A parsed file is read as Keras has it, shapes and weights; a configuration that cannot be is refused."""

import json
import shutil

import h5py
import numpy as np
import pytest

from snnb.core.errors import InputError
from snnb.io.keras import keras
from snnb.network.read_network import read_network
from tests.simulation.alike import network_of

Input, Model, layers = keras.Input, keras.Model, keras.layers


def test_shapes_order_and_weights_are_those_of_keras(branched):
    model, network = branched.keras, branched.network
    assert [volume.name for volume in network.volumes] == [layer.name for layer in model.layers]
    for volume in network.volumes[1:]:
        assert volume.shape == model.get_layer(volume.name).output_shape[1:]
    for population in network.populations:
        stored = model.get_layer(population.name).get_weights()
        for array, expected in zip((population.only.kernel, population.bias) if stored else (), stored):
            np.testing.assert_array_equal(array, expected)
    kinds = {layer.name[2:].split("_")[0] for layer in network.populations}
    assert kinds == {"AveragePooling2D", "Conv2D", "Dense", "DepthwiseConv2D"}


def test_a_layer_without_bias_has_a_bias_of_zero(tmp_path):
    x = Input((4,), name="input")
    network = network_of(Model(x, layers.Dense(3, use_bias=False, name="00Dense_3")(x)), tmp_path)
    np.testing.assert_array_equal(network.output.bias, np.zeros(3))


@pytest.mark.parametrize(
    ("number", "changes"),
    [(1, {"strides": [0, 1]}), (1, {"padding": "full"}), (1, {"name": "10Dense_30"}), (0, {"batch_input_shape": [8]})],
)
def test_a_configuration_that_cannot_be_is_refused(branched, tmp_path, number, changes):
    path = shutil.copy(branched.parsed, tmp_path / "altered_parsed.h5")
    with h5py.File(path, "r+") as file:
        model = json.loads(file.attrs["model_config"])
        model["config"]["layers"][number]["config"].update(changes)
        file.attrs["model_config"] = json.dumps(model).encode()
    with pytest.raises(InputError, match=r"^.*altered_parsed\.h5.*$"):
        read_network(path)
