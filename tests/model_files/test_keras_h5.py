"""Files of other versions of Keras: as that version computes, or refused by layer and setting."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from snnb.forward.analogue import Analogue
from snnb.model_files.read_model import read_model
from tests.model_files.conftest import (
    assert_refused,
    call_layer,
    entry,
    outputs,
    setting,
)

OTHERS = [
    "plain_keras24.h5",
    "residual_keras28.h5",
    "residual_keras215.h5",
    "plain_keras305.h5",
]
OTHERS += ["plain_keras215.keras", "plain_keras305.keras"]
FILES = [
    "residual_keras231.h5",
    "plain_keras3.h5",
    "plain_keras213.keras",
    "residual_keras3.keras",
]


@pytest.mark.parametrize(
    "name", [*FILES, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_a_file_of_another_keras_computes_what_that_keras_does(recorded_file, name):
    path, x, y = recorded_file(name)
    warnings = []
    model = read_model(path, warnings.append)
    assert y.std() > 0.05
    np.testing.assert_allclose(outputs(model, x), y, atol=1e-5)
    assert warnings == []


REFUSED = {
    "groups that the weights do not have": (
        setting("project", groups=2),
        "layer project needs weights of the shapes 1×1×3×6, 6, but",
    ),
    "groups that do not fit": (setting("project", groups=4), "into 4 groups"),
    "a key of the future": (
        setting("stem", gating="soft"),
        r"layer stem \(Conv2D\): gating soft: snnb does not know",
    ),
    "double precision": (
        setting("stem", dtype="float64"),
        r"layer stem \(Conv2D\): computes in float64",
    ),
    "a policy": (
        setting(
            "stem",
            dtype={
                "class_name": "DTypePolicy",
                "config": {"name": "int8_from_float32"},
            },
        ),
        r"layer stem \(Conv2D\): computes in int8_from_float32",
    ),
    "training": (
        call_layer("stem_bn", training=True),
        r"layer stem_bn \(BatchNormalization\) is called with train",
    ),
    "an activation of Keras's": (
        setting("hidden", activation="gelu"),
        "activation gelu: a spike rate represents relu, ",
    ),
    "an activation of one's own": (
        setting("hidden", activation="Own>swish2"),
        "activation Own>swish2: a sp",
    ),
    "a layer of one's own": (entry("stem", class_name="Own>Conv"), "may run code"),
    "a recurrent layer": (
        entry("stem", class_name="LSTM"),
        r"layer stem \(LSTM\): recurrent layers are not supported: build .* Den",
    ),
    "another normalisation": (
        entry("stem", class_name="GroupNormalization"),
        r"layer stem \(GroupNormalization\): snnb has no spiking form of it: build .* Conv2D",
    ),
    "a normalisation of today": (
        entry(
            "stem",
            class_name="LayerNormalization",
            config={"name": "stem", "rms_scaling": False},
        ),
        r"layer stem \(LayerNormalization\): snnb has no spiking form of it: build .* Conv2D",
    ),
    "a class of another module": (
        entry("stem", module="mine", registered_name="Conv2D"),
        r"layer stem \(Conv2D\): is of mine, and not loaded from a file, since it may run code",
    ),
    "other weights": (
        setting("hidden", units=7),
        r"layer hidden needs weights of the shapes 11×7, 7, but .* 11×8",
    ),
    "a layer without weights": (
        lambda layers, model: model["config"].update(
            json.loads(json.dumps(model["config"]).replace('"hidden"', '"other"'))
        ),
        "layer other needs weights of the shapes 11×8, 8, but the file holds nothing",
    ),
    "no layers": (
        lambda layers, model: model["config"].update(layers=[]),
        "is not that of a Keras model",
    ),
    "a connection without a tensor": (
        lambda layers, model: layers["stem"]["inbound_nodes"].__setitem__(
            0, {"args": [3.0], "kwargs": {}}
        ),
        r"layer stem \(Conv2D\) takes a number or an object",
    ),
    "a pooled picture of unknown size": (
        setting("picture", batch_input_shape=[None, None]),
        "takes inputs of shape",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_understood_is_named(altered_file, change, message):
    path = altered_file("residual_keras215.h5", change)
    line = assert_refused(path, message)
    assert line.startswith(f"{path}: ")
    assert not re.search("TensorFlow|Keras's own", line)
    assert ("may run code" in line) == message.endswith("may run code")


def test_mixed_precision_is_computed_in_float32_with_a_warning(
    recorded_file, altered_file
):
    _, x, y = recorded_file("residual_keras215.h5")
    policy = {
        "module": "keras",
        "class_name": "Policy",
        "config": {"name": "mixed_float16"},
        "registered_name": None,
    }
    warnings = []
    model = read_model(
        altered_file("residual_keras215.h5", setting("stem", dtype=policy)),
        warnings.append,
    )
    np.testing.assert_allclose(outputs(model, x), y, atol=1e-5)
    assert warnings == [
        "the model computes in mixed_float16; snnb computes in float32, as its weights are stored"
    ]


def test_relu6_as_an_activation_is_clipped(recorded_file, altered_file):
    _, x, _ = recorded_file("residual_keras215.h5")
    clipped_network = read_model(
        altered_file("residual_keras215.h5", setting("hidden", activation="relu6")), len
    )
    hidden = clipped_network.by_name()["hidden"]
    larger = replace(
        hidden, weights={**hidden.weights, "kernel": hidden.weights["kernel"] * 100}
    )
    [behind] = [layer for layer in clipped_network.layers if "hidden" in layer.inputs]
    values = Analogue(
        clipped_network.with_layers({"hidden": larger}), ["hidden", behind.name]
    ).values(x)
    assert values[0].max() > 6
    np.testing.assert_array_equal(values[1], np.clip(values[0], 0, 6))
