"""Files that begin with Keras's preprocessing layers: folded, they predict what the Keras that wrote them does."""

import numpy as np
import pytest

from snnb.model_files.read_model import read_model
from tests.model_files.conftest import (
    assert_refused,
    call_layer,
    entry,
    outputs,
    setting,
)

NEWER = [
    "preprocessed_keras3.h5",
    "preprocessed_keras3.keras",
    "augmented_keras3.h5",
    "augmented_keras3.keras",
]
PREPROCESSED, AUGMENTED = "preprocessed_keras28.h5", "augmented_keras28.h5"
RESCALING = r"layer rescaling \(Rescaling\)"


@pytest.mark.parametrize(
    "name",
    [
        PREPROCESSED,
        NEWER[3],
        *(pytest.param(n, marks=pytest.mark.slow) for n in [AUGMENTED, *NEWER[:3]]),
    ],
)
def test_pixels_in_0_to_1_give_what_keras_predicts_of_0_to_255(recorded_file, name):
    path, x, y = recorded_file(name)
    assert x.max() > 200
    assert y.std(axis=0).max() > 0.3
    messages = []
    model = read_model(path, messages.append)
    np.testing.assert_allclose(outputs(model, x / np.float32(255)), y, atol=2e-6)
    [message] = messages
    assert message.endswith(
        ": folded into the first weights; the model takes pixels of 0-255"
    )
    assert message.startswith("layer rescaling (Rescaling)")
    assert ("layer statistics (Normalization)" in message) == name.startswith(
        "preprocessed"
    )


def fixed(mean, variance):
    return setting("statistics", mean=mean, variance=variance)


@pytest.mark.parametrize(
    "write",
    [
        lambda values: {
            "class_name": "__numpy__",
            "config": {"value": values, "dtype": "float32"},
        },
        pytest.param(list, marks=pytest.mark.slow),
        pytest.param(lambda values: [[[values]]], marks=pytest.mark.slow),
    ],
)
def test_statistics_in_the_description(recorded_file, altered_file, write):
    """With the statistics that the file has as weights, so that Keras's own prediction is the reference."""
    import h5py

    path, x, y = recorded_file(PREPROCESSED)
    with h5py.File(str(path), "r") as file:
        stored_group = file["model_weights/statistics"]
        mean, variance = (
            stored_group[f"{name}:0"][()].tolist() for name in ("mean", "variance")
        )
    assert len(mean) == 3
    model = read_model(
        altered_file(PREPROCESSED, fixed(write(mean), write(variance))), len
    )
    np.testing.assert_allclose(outputs(model, x / np.float32(255)), y, atol=2e-6)
    other_network = read_model(
        altered_file(PREPROCESSED, fixed(write([0.9, 0.9, 0.9]), write(variance))), len
    )
    assert np.abs(outputs(other_network, x / np.float32(255)) - y).max() > 0.1


def test_a_factor_for_each_channel(recorded_file, altered_file):
    _, x, y = recorded_file(AUGMENTED)
    scale, offset = np.array([0.02, 0.03, 0.04]), np.array([0.5, -1, 0])
    model = read_model(
        altered_file(
            AUGMENTED,
            setting("rescaling", scale=scale.tolist(), offset=offset.tolist()),
        ),
        len,
    )
    # The recorded network computes x / 127.5 - 1 first, so it is given what becomes the same.
    like = ((x * (1 / 127.5) - 1 - offset) / scale / 255).astype(np.float32)
    np.testing.assert_allclose(outputs(model, like), y, atol=1e-5)


@pytest.mark.parametrize(
    ("scale", "pixels", "brightest"),
    [
        (1 / 255, "0-255", 255),
        (1.0, "0-1", 255),
        (1.0, None, 255),
        (1.0, "0-255", 255**2),
    ],
)
def test_the_pixels_given_come_before_the_layers(
    recorded_file, altered_file, scale, pixels, brightest
):
    """The altered network computes of x / 255 what the recorded one computes of x."""
    _, x, y = recorded_file(PREPROCESSED)
    model = read_model(
        altered_file(PREPROCESSED, setting("rescaling", scale=scale)), len, pixels
    )
    np.testing.assert_allclose(outputs(model, x / np.float32(brightest)), y, atol=2e-6)


@pytest.mark.parametrize("pixels", ["0-1", "torch", "caffe", "mean=0.5,std=0.5"])
def test_other_pixels_than_the_layers_take_are_refused(recorded_file, pixels):
    assert_refused(
        recorded_file(PREPROCESSED)[0],
        rf"^--pixels {pixels}: the model has {RESCALING}.*; omit --pixels",
        pixels,
    )


def move_layers(layers, model):
    """Let the convolution read the picture, and the rescaling its output."""
    layers["conv"]["inbound_nodes"][0][0][0] = "picture"
    layers["rescaling"]["inbound_nodes"][0][0][0] = "conv"
    layers["flipped"]["inbound_nodes"][0][0][0] = "statistics"
    order = [
        "picture",
        "contrast",
        "shifted",
        "conv",
        "rescaling",
        "statistics",
        "flipped",
        "flat",
        "classes",
    ]
    model["config"]["layers"] = [layers[name] for name in order]


def skip_layer(layers, model):
    layers["flat"]["inbound_nodes"][0].append(["picture", 0, 0, {}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            move_layers,
            rf"{RESCALING} is not at the start of the model; remove it, .* give --pixels 0-255",
        ),
        (skip_layer, rf"{RESCALING} is skipped by another layer; remove it"),
        (
            call_layer("contrast", training=True),
            r"layer contrast \(RandomContrast\) is called with training=True; remove",
        ),
        (
            entry("contrast", class_name="Resizing"),
            r"layer contrast \(Resizing\): changes the size of images: remove it",
        ),
        (
            setting("rescaling", scale=-1 / 255),
            rf"{RESCALING} does not multiply by positive numbers",
        ),
        (
            setting("rescaling", scale="1/255"),
            rf"{RESCALING} cannot be folded .* give --pixels 0-255",
        ),
        (
            setting("rescaling", scale=1e39),
            r"the kernel of layer conv \(Conv2D\) is too large for float32",
        ),
        (
            setting("statistics", axis=[1, 2, 3]),
            r"layer statistics \(Normalization\) cannot be folded",
        ),
        (
            setting("statistics", invert=True),
            r"layer statistics \(Normalization\) cannot be folded",
        ),
        (fixed([1, 2], [1, 1]), "does not apply to this model, which takes 3 channels"),
    ],
)
def test_what_cannot_be_folded_is_named(altered_file, change, message):
    assert_refused(altered_file(PREPROCESSED, change), message)
