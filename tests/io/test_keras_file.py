"""Models in h5 files: Keras's own come back as they were, and nothing else is built or run."""

import json
import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from snnb.conversion.layer_rules import OWN_CONVERTIBLE
from snnb.core.errors import InputError
from snnb.io.keras_file import CONVERTED, LAYERS, load_model
from snnb.model_files.read_model import read_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model with branches, and what layers take beside numbers: initialisers, a regulariser, a constraint."""
    from snnb.io.keras import keras

    layers = keras.layers
    inputs = keras.Input((4, 4, 1))
    x = layers.Conv2D(2, 3, kernel_initializer="he_normal", bias_initializer=keras.initializers.Constant(0.5))(inputs)
    x = layers.BatchNormalization(gamma_constraint=keras.constraints.NonNeg())(x)
    x = layers.Activation("relu")(x)
    y = layers.Conv2D(1, 3, activation="relu", kernel_regularizer=keras.regularizers.l1_l2(0.1, 0.2))(inputs)
    x = layers.Flatten()(layers.Concatenate()([x, y]))
    x = layers.ReLU(max_value=6)(layers.Dense(5)(x))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Dropout(0.5)(x)))
    model.compile("adam", "mse", ["accuracy"])
    path = tmp_path_factory.mktemp("saved") / "net.h5"
    model.save(str(path))
    return path, model


@pytest.fixture
def altered(saved, tmp_path):
    """Copy the model's file with another description of it."""

    def alter(change):
        path = Path(shutil.copy(saved[0], tmp_path / "net.h5"))
        with h5py.File(str(path), "r+") as file:
            description = json.loads(file.attrs["model_config"])
            changed = change(description)
            file.attrs["model_config"] = json.dumps(description if changed is None else changed).encode()
        return path

    return alter


def refusal(path, message):
    with pytest.raises(InputError, match=message) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


def test_a_model_comes_back_with_its_weights(saved):
    path, model = saved
    loaded = load_model(path)
    assert [(type(layer), layer.name) for layer in loaded.layers] == [(type(o), o.name) for o in model.layers]
    for ours, theirs in zip(loaded.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(ours, theirs)
    x = np.random.default_rng(0).random((5, 4, 4, 1), np.float32)
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


def test_every_layer_that_is_allowed_is_one_of_keras():
    from snnb.io.keras import keras

    for name in LAYERS - {"BatchNormalizationV1", "BatchNormalizationV2"}:
        assert issubclass(getattr(keras.layers, name), keras.layers.Layer), name


def harm(x):
    raise AssertionError("code out of a file was run")


def with_lambda():
    from snnb.io.keras import keras

    return keras.layers.serialize(keras.layers.Lambda(harm, name="evil"))


def wrapped(kind):
    return {"class_name": kind, "config": {"name": "wrapper", "layer": with_lambda()}, "inbound_nodes": []}


HARM = {
    "a Lambda": lambda d: d["config"]["layers"].append(with_lambda()),
    "a Lambda in a model": lambda d: d["config"]["layers"].append(
        {"class_name": "Sequential", "config": {"name": "inner", "layers": [with_lambda()]}}
    ),
    "a Lambda in a wrapper": lambda d: d["config"]["layers"].append(wrapped("TimeDistributed")),
    "an operation": lambda d: d["config"]["layers"].append(
        {"class_name": "TensorFlowOpLayer", "config": {"name": "evil", "node_def": "WriteFile"}}
    ),
    "a class of one's own": lambda d: d["config"]["layers"][1].update(class_name="Own>Conv2D"),
    "a Lambda for an initializer": lambda d: conv(d).update(kernel_initializer=with_lambda()),
    "a Lambda anywhere": lambda d: conv(d).update(trainable=with_lambda()),
    "a Lambda that is made on the way": lambda d: conv(d).update(
        name={**with_lambda(), "__passive_serialization__": True}
    ),
    "a Lambda within an initializer": lambda d: conv(d)["bias_initializer"]["config"].update(value=with_lambda()),
    "a Lambda among arguments": lambda d: d["config"]["layers"][2]["inbound_nodes"][0][0].__setitem__(3, with_lambda()),
    "a Lambda beside the layers": lambda d: d["config"].update(input_layers=[[with_lambda(), 0, 0]]),
    "a function of a module": lambda d: conv(d).update(activation="deserialize"),
    "a function with arguments": lambda d: conv(d).update(
        activation={"class_name": "exec", "config": {"source": "raise SystemExit"}}
    ),
}


def conv(description):
    return next(layer for layer in description["config"]["layers"] if layer["class_name"] == "Conv2D")["config"]


@pytest.mark.parametrize("change", HARM.values(), ids=HARM)
def test_what_could_run_is_not_even_built(altered, monkeypatch, change):
    from snnb.io.keras import keras

    path = altered(change)
    built = []
    monkeypatch.setattr(keras.models, "load_model", lambda *a, **k: built.append(a))
    monkeypatch.setattr(keras.models, "model_from_config", lambda *a, **k: built.append(a))
    refusal(path, "is not loaded from a file|not supported|without a class")
    assert built == []


def test_the_layer_and_its_kind_are_named(altered):
    refusal(altered(HARM["a Lambda"]), r"net\.h5: layer evil \(Lambda\) is not loaded from a file, since it may run")
    refusal(altered(HARM["a function of a module"]), r"layer conv2d\w* \(Conv2D\): its activation is deserialize, ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: conv(d).update(activation="gelu"), r"its activation is gelu, which is not supported: use relu, "),
        (
            lambda d: d["config"]["layers"][1].update(class_name="LSTM"),
            "recurrent layers are not supported: build .* Den",
        ),
        (
            lambda d: d["config"]["layers"][1].update(class_name="GroupNormalization"),
            r"layer conv2d\w* \(GroupNormalization\) is not .*, since snnb has no spiking form of it: build .* Conv2D",
        ),
    ],
    ids=["an activation", "a recurrent layer", "a normalisation"],
)
def test_what_keras_has_and_snnb_does_not_is_not_called_foreign(altered, change, message):
    path = altered(change)
    refusal(path, message)
    with pytest.raises(InputError) as caught:
        read_model(path, len)
    assert re.search(message, str(caught.value))
    assert not re.search("Keras's own|TensorFlow|may run", str(caught.value))


def test_the_layers_that_are_advised_are_converted():
    """A softmax over the last axis is read as an activation."""
    assert {*CONVERTED} == OWN_CONVERTIBLE | {"Softmax"}


BROKEN = {
    "a list": lambda d: [d],
    "of another kind": lambda d: {"class_name": "Dense", "config": {"layers": []}},
    "no layers": lambda d: d["config"].update(layers=[]),
    "without names": lambda d: conv(d).pop("name"),
    "connections to nowhere": lambda d: d["config"]["layers"][2].update(inbound_nodes=[[["nowhere", 0, 0, {}]]]),
    "negative filters": lambda d: conv(d).update(filters=-2),
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_description_that_is_none_is_refused(altered, change):
    refusal(altered(change), r"net\.h5")


@pytest.mark.parametrize(
    "change",
    [
        lambda group: group.pop("dense_9", None) or [group.pop(name) for name in list(group) if "conv" in name],
        lambda group: group.attrs.update(layer_names=np.array([b"../../nowhere"])),
    ],
)
def test_weights_that_do_not_fit_are_refused(saved, tmp_path, change):
    path = Path(shutil.copy(saved[0], tmp_path / "net.h5"))
    with h5py.File(str(path), "r+") as file:
        change(file["model_weights"])
    refusal(path, r"net\.h5")


def test_what_is_no_model_file_is_refused(saved, tmp_path):
    saved[1].save_weights(str(tmp_path / "weights.h5"))
    refusal(tmp_path / "weights.h5", "holds no model, at most its weights")
    (tmp_path / "half.h5").write_bytes(saved[0].read_bytes()[:3000])
    with pytest.raises(InputError, match=r"half\.h5"):
        load_model(tmp_path / "half.h5")


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    """A layer used twice, and a model used twice inside the model."""
    from snnb.io.keras import keras

    layers = keras.layers
    x = keras.Input((4, 4, 1))
    inside = keras.Sequential([layers.Conv2D(1, 1, input_shape=(4, 4, 1)), layers.ReLU()], name="inside")
    again = layers.Conv2D(1, 3, padding="same", name="again")
    model = keras.Model(x, layers.Dense(2)(layers.Flatten()(inside(again(inside(again(x)))))))
    path = tmp_path_factory.mktemp("nested") / "net.h5"
    model.save(str(path))
    return path, model


def test_layers_used_twice_and_models_inside_models_come_back(nested):
    path, model = nested
    x = np.random.default_rng(0).random((3, 4, 4, 1)).astype(np.float32)
    np.testing.assert_array_equal(load_model(path).predict(x), model.predict(x))
