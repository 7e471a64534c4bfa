"""Files that are written without Keras: Keras opens them, and computes what the network does."""

import time

import numpy as np
import pytest

from snnb.conversion.own_parser import parse_own
from snnb.forward.analogue import Analogue
from snnb.model_files.keras import keras
from snnb.model_files.keras_files import write_keras_h5
from snnb.model_files.read_model import read_trained
from snnb.network.read_network import read_network, write_parsed
from snnb.training.keras_model import trained_network

L = keras.layers


@pytest.fixture
def model(randomise):
    """Sums of several layers, a bias for each position, alone and in a sum, and ReLUs that clip."""
    x = L.Input((8, 8, 2))
    layer = L.ReLU(0.5)(L.Conv2D(4, 3, padding="same")(L.BatchNormalization()(x)))
    two = L.ReLU(2.5)(
        L.Add()(
            [
                layer,
                L.SeparableConv2D(4, 3, padding="same")(L.BatchNormalization()(layer)),
                layer,
            ]
        )
    )
    three = L.MaxPooling2D(2)(
        L.Activation("relu")(L.Add()([two, L.Conv2D(4, 1)(layer)]))
    )
    joined_layer = L.Concatenate()(
        [L.Flatten()(L.AveragePooling2D(2)(two)), L.GlobalAveragePooling2D()(three)]
    )
    return randomise(keras.Model(x, L.Dense(5, activation="softmax")(joined_layer)))


WAYS = {
    "trained": (trained_network, write_keras_h5, read_trained),
    "parsed": (
        lambda model: parse_own(trained_network(model)),
        write_parsed,
        read_network,
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_keras_opens_a_written_network_and_computes_its_outputs(way, model, tmp_path):
    make, write, read = WAYS[way]
    network, path = make(model), tmp_path / "net.h5"
    write(network, path, "net")
    x = np.random.default_rng(1).random((20, 8, 8, 2)).astype(np.float32)
    expected_outputs = model.predict(x)
    assert expected_outputs.std() > 0.01
    opened_model = keras.models.load_model(str(path))
    assert opened_model.name == "net"
    for outputs in (
        opened_model.predict(x),
        Analogue(network).outputs(x),
        Analogue(read(path)).outputs(x),
    ):
        np.testing.assert_allclose(
            outputs, expected_outputs, atol=1e-5
        )  # probabilities, in float32
    if (
        way == "parsed"
    ):  # what `described` writes for Keras: sums, a bias of positions, a clip
        kinds = [type(layer).__name__ for layer in opened_model.layers]
        assert {"Add", "BatchNormalization", "ReLU", "MaxPooling2D"} <= set(kinds)
        assert sorted(p.max_value for p in network.populations if p.max_value) == [
            0.5,
            2.5,
        ]
        assert sum(p.position_bias is not None for p in network.populations) == 2


def test_equal_networks_give_equal_bytes(small, tmp_path):
    for way, (make, write, _) in WAYS.items():
        write(make(small), tmp_path / f"{way}.h5", "net")
    time.sleep(1.1)  # HDF5 stamps seconds
    for way, (_, write, read) in WAYS.items():
        write(read(tmp_path / f"{way}.h5"), tmp_path / "again.h5", "net")
        assert (tmp_path / f"{way}.h5").read_bytes() == (
            tmp_path / "again.h5"
        ).read_bytes(), way


@pytest.mark.parametrize("names", [["conv1/conv", "conv1/bn"], ["f/g/h", "f/g", "i"]])
def test_names_with_a_slash_as_those_of_keras_densenet(names, randomise, tmp_path):
    model = keras.Sequential(
        [L.Flatten(input_shape=(1, 1, 3)), *(L.Dense(3, name=name) for name in names)]
    )
    network = trained_network(randomise(model))
    write_keras_h5(network, tmp_path / "net.h5", "net")
    x = np.random.default_rng(1).random((4, 1, 1, 3)).astype(np.float32)
    opened_model = keras.models.load_model(str(tmp_path / "net.h5"))
    assert [layer.name for layer in opened_model.layers][-len(names) :] == names
    assert [layer.name for layer in read_trained(tmp_path / "net.h5").layers][
        -len(names) :
    ] == names
    np.testing.assert_array_equal(opened_model.predict(x), model.predict(x))


def test_weights_of_branches_are_in_the_order_of_keras(randomise, tmp_path):
    """Keras assigns weights by the order of layers, which is by distance from the output, then by a search from it."""
    x = L.Input((6, 6, 1))
    stem = L.Conv2D(3, 3, activation="relu")(x)
    short = L.Activation("relu")(L.Conv2D(5, 1)(stem))
    long = L.Activation("relu")(L.BatchNormalization()(L.Conv2D(2, 1)(stem)))
    joined_layer = L.GlobalAveragePooling2D()(
        L.Concatenate()([short, long, L.Conv2D(4, 1, activation="relu")(stem)])
    )
    model = randomise(keras.Model(x, L.Dense(3, activation="softmax")(joined_layer)))
    pictures = np.random.default_rng(1).random((4, 6, 6, 1)).astype(np.float32)
    for way, (make, write, _) in WAYS.items():
        write(make(model), tmp_path / f"{way}.h5", "net")
        opened_model = keras.models.load_model(str(tmp_path / f"{way}.h5"))
        np.testing.assert_allclose(
            opened_model.predict(pictures),
            model.predict(pictures),
            atol=1e-5,
            err_msg=way,
        )
