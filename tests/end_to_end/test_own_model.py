"""A model of the user's own: through all five stages, or refused before it is trained."""

import json

import pytest

NETS = """
from tensorflow import keras
from tensorflow.keras import layers

def branched(input_shape, num_classes, filters=3):
    image = keras.Input(input_shape)
    tall = layers.Conv2D(filters, (3, 1), padding="same", activation="relu")(image)
    wide = layers.Conv2D(2, (1, 3), padding="same", activation="relu")(image)
    both = layers.Concatenate()([tall, wide])
    pooled = layers.AveragePooling2D(2)(both)
    return keras.Model(image, layers.Dense(num_classes, activation="softmax")(layers.Flatten()(pooled)))

def residual(input_shape, num_classes, filters=6):
    x = image = keras.Input(input_shape)
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)))
    for stride in (1, 2):
        wide = filters * stride
        y = layers.Conv2D(wide, 3, strides=stride, padding="same", use_bias=False)(x)
        y = layers.ReLU(6)(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(wide, 3, padding="same", use_bias=False)(y))
        if stride > 1:
            x = layers.BatchNormalization()(layers.Conv2D(wide, 1, strides=stride, use_bias=False)(x))
        x = layers.ReLU()(layers.Add()([y, x]))
    y = layers.BatchNormalization()(layers.Conv2D(wide, 3, padding="same", use_bias=False)(x))
    x = layers.ReLU()(layers.Add()([y, x]))
    return keras.Model(image, layers.Dense(num_classes, activation="softmax")(layers.GlobalAveragePooling2D()(x)))

def broken():
    return 1 / 0
"""


@pytest.fixture
def nets(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NETS)
    return path


def synapses_of_branched(filters):
    """Synapses of `branched` on 8×8 digits: the kernel's taps that fall on the picture, pooling, and the classifier."""
    taps = 8 * (3 * 8 - 2)
    neurons = 16 * (filters + 2)
    return taps * (filters + 2) + 64 * (filters + 2) + neurons * 10


def test_a_branched_network_of_ones_own_goes_through_all_stages(nets, tmp_path, snnb):
    run = tmp_path / "run"
    options = [
        "--epochs",
        3,
        "--limit",
        300,
        "--norm-samples",
        50,
        "--samples",
        20,
        "--duration",
        30,
    ]
    result = snnb(
        "run",
        "--model",
        f"{nets}:branched",
        "--dataset",
        "digits",
        "--run-dir",
        run,
        "--json",
        *options,
    )
    stages = {s["stage"]: s for s in json.loads(result.stdout)["stages"]}
    assert stages["graph"]["details"]["synapses"] == synapses_of_branched(filters=3)
    assert stages["train"]["params"]["settings"] == {"filters": 3}
    again = snnb("run", "--run-dir", run, "--set", "filters=2", "--epochs", 3, "--json")
    stages = {s["stage"]: s for s in json.loads(again.stdout)["stages"]}
    assert stages["graph"]["details"]["synapses"] == synapses_of_branched(filters=2)
    nets.write_text(NETS.replace("filters=3", "filters=4"))
    assert "net.py has changed" in snnb("status", run).stdout
    nets.unlink()  # as on another machine: what is up to date does without it
    result = snnb("run", "--run-dir", run, "--json")
    assert not any(s["ran"] for s in json.loads(result.stdout)["stages"])


def test_an_error_of_the_users_code_is_shown_before_training(nets, tmp_path, snnb):
    """The model's other faults: tests/architectures/test_custom.py."""
    run = tmp_path / "run"
    result = snnb(
        "train",
        "--model",
        f"{nets}:broken",
        "--dataset",
        "digits",
        "--run-dir",
        run,
        "--quiet",
        code=3,
    )
    assert "raised ZeroDivisionError" in result.stderr.strip().splitlines()[-1]
    assert "Traceback" in result.stderr
    assert not (run / "train").exists()
