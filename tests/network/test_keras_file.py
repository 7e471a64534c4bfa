"""Models in h5 files: Keras's own come back as they were, and nothing else is built or run."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from snnb.forward.analogue import Analogue
from snnb.model_files.keras_files import CONVERTED
from snnb.model_files.read_model import read_model
from snnb.network.layers import KERAS_KINDS
from tests.model_files.conftest import assert_refused, redescribe


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    """A model with branches, and what layers take beside numbers: initialisers, a regulariser, a constraint."""
    from snnb.model_files.keras import keras

    layers = keras.layers
    inputs = keras.Input((4, 4, 1))
    x = layers.Conv2D(
        2,
        3,
        kernel_initializer="he_normal",
        bias_initializer=keras.initializers.Constant(0.5),
    )(inputs)
    x = layers.BatchNormalization(gamma_constraint=keras.constraints.NonNeg())(x)
    x = layers.Activation("relu")(x)
    y = layers.Conv2D(
        1, 3, activation="relu", kernel_regularizer=keras.regularizers.l1_l2(0.1, 0.2)
    )(inputs)
    x = layers.Flatten()(layers.Concatenate()([x, y]))
    x = layers.ReLU(max_value=6)(layers.Dense(5)(x))
    model = keras.Model(
        inputs, layers.Dense(3, activation="softmax")(layers.Dropout(0.5)(x))
    )
    model.compile("adam", "mse", ["accuracy"])
    path = tmp_path_factory.mktemp("saved") / "net.h5"
    model.save(str(path))
    return path, model


@pytest.fixture
def altered_file(saved_model, tmp_path):
    """Copy the model's file with another description of it."""

    def alter(change):
        path = Path(shutil.copy(saved_model[0], tmp_path / "net.h5"))
        redescribe(path, change)
        return path

    return alter


def refusal(path, message):
    assert assert_refused(path, message).startswith(f"{path}: ")


def assert_computes(path, model):
    x = np.random.default_rng(0).random((5, 4, 4, 1), np.float32)
    np.testing.assert_allclose(
        Analogue(read_model(path, len)).outputs(x), model.predict(x), atol=1e-6
    )


def test_a_model_comes_back_with_its_weights(saved_model):
    assert_computes(*saved_model)


def harm(x):
    raise AssertionError("code out of a file was run")


def with_lambda():
    from snnb.model_files.keras import keras

    return keras.layers.serialize(keras.layers.Lambda(harm, name="evil"))


HARM = {
    "a Lambda": lambda d: d["config"]["layers"].append(with_lambda()),
    "a Lambda in a model": lambda d: d["config"]["layers"].append(
        {
            "class_name": "Sequential",
            "config": {"name": "inner", "layers": [with_lambda()]},
        }
    ),
    "a Lambda in a wrapper": lambda d: d["config"]["layers"].append(
        {
            "class_name": "TimeDistributed",
            "config": {"name": "wrapper", "layer": with_lambda()},
            "inbound_nodes": [],
        }
    ),
    "an operation": lambda d: d["config"]["layers"].append(
        {
            "class_name": "TensorFlowOpLayer",
            "config": {"name": "evil", "node_def": "WriteFile"},
        }
    ),
    "a class of one's own": lambda d: d["config"]["layers"][1].update(
        class_name="Own>Conv2D"
    ),
    "a Lambda for an initializer": lambda d: conv(d).update(
        kernel_initializer=with_lambda()
    ),
    "a Lambda anywhere": lambda d: conv(d).update(trainable=with_lambda()),
    "a Lambda that is made on the way": lambda d: conv(d).update(
        name={**with_lambda(), "__passive_serialization__": True}
    ),
    "a Lambda within an initializer": lambda d: conv(d)["bias_initializer"][
        "config"
    ].update(value=with_lambda()),
    "a Lambda among arguments": lambda d: d["config"]["layers"][2]["inbound_nodes"][0][
        0
    ].__setitem__(3, with_lambda()),
    "a Lambda beside the layers": lambda d: d["config"].update(
        input_layers=[[with_lambda(), 0, 0]]
    ),
    "a function of a module": lambda d: conv(d).update(activation="deserialize"),
    "a function with arguments": lambda d: conv(d).update(
        activation={"class_name": "exec", "config": {"source": "raise SystemExit"}}
    ),
}


# What acts in training only, or means nothing to the reader: initializers, and settings without effect.
UNREAD = [
    HARM[name]
    for name in (
        "a Lambda for an initializer",
        "a Lambda anywhere",
        "a Lambda within an initializer",
    )
]


def conv(description):
    return next(
        layer
        for layer in description["config"]["layers"]
        if layer["class_name"] == "Conv2D"
    )["config"]


@pytest.mark.parametrize("change", HARM.values(), ids=HARM)
def test_what_could_run_is_refused_or_not_read(altered_file, saved_model, change):
    path = altered_file(change)
    if change in UNREAD:
        assert_computes(path, saved_model[1])
    else:
        refusal(
            path,
            "may run code|no spiking|not that of a Keras model|is called with|cannot have|a spike rate",
        )


def test_the_layer_and_its_kind_are_named(altered_file):
    refusal(
        altered_file(HARM["a Lambda"]),
        r"net\.h5: layer evil \(Lambda\): is not loaded from a file, since it may run",
    )
    refusal(
        altered_file(HARM["a function of a module"]),
        r"layer conv2d\w* \(Conv2D\): activation deserialize: ",
    )


def test_the_layers_that_are_advised_are_read():
    """A softmax over the last axis is read as an activation, layers that act in training only are left out."""
    training = {
        "AlphaDropout",
        "Dropout",
        "GaussianDropout",
        "GaussianNoise",
        "SpatialDropout2D",
    }
    assert {*CONVERTED} - training - {"ActivityRegularization", "Softmax"} == {
        *KERAS_KINDS
    }


BROKEN = {
    "a list": lambda d: [d],
    "of another kind": lambda d: {"class_name": "Dense", "config": {"layers": []}},
    "without names": lambda d: conv(d).pop("name"),
    "connections to nowhere": lambda d: d["config"]["layers"][2].update(
        inbound_nodes=[[["nowhere", 0, 0, {}]]]
    ),
    "negative filters": lambda d: conv(d).update(filters=-2),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_description_that_is_none_is_refused(altered_file, change):
    refusal(altered_file(change), r"net\.h5")


def test_what_is_no_model_file_is_refused(saved_model, tmp_path):
    saved_model[1].save_weights(str(tmp_path / "weights.h5"))
    refusal(tmp_path / "weights.h5", "holds weights without a model")


def test_layers_used_twice_and_models_inside_models_come_back(tmp_path):
    from snnb.model_files.keras import keras

    layers = keras.layers
    x = keras.Input((4, 4, 1))
    inside = keras.Sequential(
        [layers.Conv2D(1, 1, input_shape=(4, 4, 1)), layers.ReLU()], name="inside"
    )
    again = layers.Conv2D(1, 3, padding="same", name="again")
    model = keras.Model(
        x,
        layers.Dense(2, activation="softmax")(
            layers.Flatten()(inside(again(inside(again(x)))))
        ),
    )
    model.save(str(tmp_path / "net.h5"))
    assert_computes(tmp_path / "net.h5", model)
