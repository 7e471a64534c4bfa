"""A residual network of the user's own: trained, parsed by our own parser, simulated by both engines, counted."""

import json

import pytest

from snnb import Run

NET = """
from tensorflow import keras
from tensorflow.keras import layers as L

def residual(input_shape, num_classes, filters=6):
    x = image = keras.Input(input_shape)
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(filters, 3, padding="same", use_bias=False)(x)))
    for stride in (1, 2):
        wide = filters * stride
        y = L.ReLU(6)(L.BatchNormalization()(L.Conv2D(wide, 3, strides=stride, padding="same", use_bias=False)(x)))
        y = L.BatchNormalization()(L.Conv2D(wide, 3, padding="same", use_bias=False)(y))
        if stride > 1:
            x = L.BatchNormalization()(L.Conv2D(wide, 1, strides=stride, use_bias=False)(x))
        x = L.ReLU()(L.Add()([y, x]))
    y = L.BatchNormalization()(L.Conv2D(wide, 3, padding="same", use_bias=False)(x))
    x = L.ReLU()(L.Add()([y, x]))
    return keras.Model(image, L.Dense(num_classes, activation="softmax")(L.GlobalAveragePooling2D()(x)))
"""
SAMPLES = 20


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run directory, and the record of each stage."""
    folder = tmp_path_factory.mktemp("residual")
    (folder / "net.py").write_text(NET)
    face = Run(f"{folder / 'net.py'}:residual", folder / "run", dataset="digits")
    face.prepare(norm_samples=100)
    face.train(epochs=2)
    results = [face.parse(), face.simulate(samples=SAMPLES, duration=60, engine="event"), face.graph()]
    return face.path, {result.stage: result.record for result in results}


def test_our_parser_takes_it_and_computes_the_same(run):
    directory, stages = run
    assert stages["parse"].metrics["largest_difference"] < 1e-4
    factors = json.loads((directory / "parse" / "scale_factors.json").read_text())
    assert list(factors) == [
        "input",
        "00Conv2D_8x8x6",
        "02ReLU_8x8x6",
        "06Activation_8x8x6",
        "08ReLU_4x4x12",
        "12Activation_4x4x12",
        "16Activation_4x4x12",
        "19Dense_10",
    ]
    assert 0 < factors["02ReLU_8x8x6"] <= 6


def test_the_graph_has_the_neurons_and_synapses_of_a_closed_form(run):
    _, stages = run
    metrics = stages["graph"].metrics
    # Taps of a 3×3 kernel on 8×8, 8×8 with stride 2, and 4×4, and what else connects.
    full, halved, small = 22**2, 11**2, 10**2
    first = full * 6 + full * 36 + full * 36 + 64 * 6
    second = halved * 72 + small * 144 + 16 * 72
    third = small * 144  # the shortcut connects what the middle tap does
    assert metrics["synapses"] == first + second + third + 16 * 12 + 12 * 10
    assert metrics["neurons"] == 3 * 384 + 3 * 192 + 12 + 10


@pytest.mark.toolbox
def test_the_toolbox_is_refused(run, snnb):
    directory, _ = run
    result = snnb("simulate", "--run-dir", directory, "--engine", "toolbox", "--samples", 5, "--duration", 5)
    assert result.returncode == 3
    assert "the toolbox" in result.stderr.strip().splitlines()[-1]
    result = snnb("parse", "--run-dir", directory, "--parser", "toolbox", "--force")
    assert result.returncode == 3
    assert "max_value" in result.stderr.strip().splitlines()[-1]
    assert "merges branches" in result.stderr.strip().splitlines()[-1]
