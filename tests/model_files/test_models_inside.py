"""A model inside a model, as transfer learning saves it: what is frozen decides the order of the weights in a file."""

import numpy as np
import pytest
from tensorflow import keras

from snnb.model_files.read import read_model

L = keras.layers


@pytest.mark.parametrize("frozen", ["nothing", "normalisation", "all"])
def test_weights_of_a_model_inside_a_model_come_back(tmp_path, frozen):
    layers = [L.Conv2D(3, 3, padding="same", input_shape=(6, 6, 3)), L.BatchNormalization(), L.ReLU()]
    layers += [L.DepthwiseConv2D(3, padding="same"), L.BatchNormalization(), L.ReLU()]
    base = keras.Sequential(layers, name="base")
    if frozen == "all":
        base.trainable = False
    if frozen == "normalisation":
        layers[1].trainable = False
    x = L.Input((6, 6, 3))
    y = base(L.ReLU()(base(x, training=False)))  # used twice
    model = keras.Model(x, L.Dense(4, activation="softmax")(L.GlobalAveragePooling2D()(y)))
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.1, 1, weights.shape) for weights in model.get_weights()])
    model.save(str(tmp_path / "model.h5"))
    told = []
    read = read_model(tmp_path / "model.h5", told.append)
    assert told == []
    pictures = random.random((5, 6, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(read.predict(pictures), model.predict(pictures))
