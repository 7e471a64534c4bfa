"""A model inside a model, as transfer learning saves it: what is frozen decides the order of the weights in a file."""

import json
import zipfile

import numpy as np
import pytest

from snnb.model_files.keras import keras
from snnb.model_files.read_model import read_model
from tests.model_files.conftest import (
    assert_refused,
    changed_archive,
    outputs,
    redescribe,
)

L = keras.layers


PICTURES = np.random.default_rng(1).random((5, 6, 6, 3)).astype(np.float32)
TOLERANCE = {"rtol": 1e-4, "atol": 1e-6}  # of probabilities in float32


def save_model(path, x, y):
    """Save a classifier of `y` with random weights; return what it predicts."""
    model = keras.Model(
        x, L.Dense(4, activation="softmax")(L.GlobalAveragePooling2D()(y))
    )
    random = np.random.default_rng(0)
    model.set_weights(
        [random.uniform(0.1, 1, weights.shape) for weights in model.get_weights()]
    )
    model.save(str(path))
    return model.predict(PICTURES)


@pytest.mark.parametrize(
    "frozen",
    [
        "normalisation",
        *(pytest.param(part, marks=pytest.mark.slow) for part in ("nothing", "all")),
    ],
)
def test_weights_of_a_model_inside_a_model_come_back(tmp_path, frozen):
    layers = [
        L.Conv2D(3, 3, padding="same", input_shape=(6, 6, 3)),
        L.BatchNormalization(),
        L.ReLU(),
    ]
    layers += [L.DepthwiseConv2D(3, padding="same"), L.BatchNormalization(), L.ReLU()]
    base = keras.Sequential(layers, name="base")
    if frozen == "all":
        base.trainable = False
    if frozen == "normalisation":
        layers[1].trainable = False
    x = L.Input((6, 6, 3))
    expected_outputs = save_model(
        tmp_path / "model.h5", x, base(L.ReLU()(base(x, training=False)))
    )  # used twice
    messages = []
    read = read_model(tmp_path / "model.h5", messages.append)
    assert messages == []
    np.testing.assert_allclose(outputs(read, PICTURES), expected_outputs, **TOLERANCE)


def _as_newer(entry, **more):
    """Add to a layer, and to those of a model inside, what newer versions of Keras write."""
    for layer in entry["config"].get("layers", []):
        _as_newer(layer, **more)
    if entry["class_name"] == "Model":
        entry["class_name"] = "Functional"
    if "kernel_size" in entry["config"]:
        entry["config"]["groups"] = 1
    entry.update(more)


@pytest.mark.parametrize(
    "sequential", [pytest.param(True, marks=pytest.mark.slow), False]
)
def test_a_model_inside_a_model_of_keras_2_4_and_later(tmp_path, sequential):
    layers = [
        L.Conv2D(3, 3, input_shape=(6, 6, 3)),
        L.BatchNormalization(),
        L.ReLU(max_value=6),
    ]
    base = keras.Sequential(layers, name="base")
    if not sequential:
        base = keras.Model(base.inputs, base.outputs, name="base")
    x = L.Input((6, 6, 3))
    expected_outputs = save_model(tmp_path / "model.h5", x, base(x))
    redescribe(tmp_path / "model.h5", _as_newer)
    np.testing.assert_allclose(
        outputs(read_model(tmp_path / "model.h5", len), PICTURES),
        expected_outputs,
        **TOLERANCE,
    )


@pytest.mark.parametrize("kind", ["Functional", "Sequential"])
def test_a_model_inside_a_keras_file_is_refused_by_its_name(
    recorded_file, tmp_path, kind
):
    source = recorded_file("residual_keras3.keras")[0]
    with zipfile.ZipFile(str(source)) as whole_archive:
        description, inside = (
            json.loads(whole_archive.read("config.json")) for _ in range(2)
        )
    inside.update(
        class_name=kind,
        module="keras.src.models.functional",
        name="base",
        inbound_nodes=[],
    )
    inside["config"]["name"] = "base"
    description["config"]["layers"].append(inside)
    path = changed_archive(
        source, tmp_path / "net.keras", {"config.json": json.dumps(description)}
    )
    assert_refused(path, rf"layer base \({kind}\): is a nested model.*or export it as")
