"""Small trained networks with the blocks of published ones: losses by conversion."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from snnb.conversion.convert import convert
from snnb.datasets import digits
from snnb.forward.analogue import Analogue
from snnb.model_files.keras import keras
from snnb.model_files.read_model import read_model
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.settings import SimulationSettings
from snnb.training.keras_model import trained_network
from tests.model_files.test_onnx_operators import onnxruntime_outputs
from tests.simulation.alike import run_engine

FILE = Path(__file__).parents[2] / "benchmarks" / "published_blocks.py"
spec = importlib.util.spec_from_file_location("published_blocks", str(FILE))
published_blocks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(published_blocks)
PICTURE = 100 / 360  # points of accuracy
# Another processor may round a few sums of float32 otherwise.
ROUNDING = 2 * PICTURE
SLOW = ["depthwise", "inverted", "ceil_mode"]  # without padded pooling


@pytest.fixture(scope="module")
def table():
    """Cells of the rows in docs/conversion.md, by block."""
    page = published_blocks.PAGE.read_text(encoding="utf-8")
    text = page.split(published_blocks.BEGIN)[1].split(published_blocks.END)[0]
    rows = [line.strip("| ").split(" | ") for line in text.strip().splitlines()[2:]]
    return {block: [number(cell) for cell in cells] for block, *cells in rows}


def number(cell):
    return float(cell.rstrip(" %").replace("−", "-"))


def test_each_recorded_network_has_a_row(table):
    recorded_names = {path.stem for path in published_blocks.NETWORKS.glob("*.onnx")}
    assert set(published_blocks.BLOCKS) == recorded_names
    assert list(table) == list(published_blocks.BLOCKS.values())


@pytest.fixture(scope="module")
def pictures():
    return published_blocks.prepared_digits()


NAMES = [name for name in published_blocks.BLOCKS if name not in SLOW]
NAMES += [pytest.param(name, marks=pytest.mark.slow) for name in SLOW]


@pytest.mark.parametrize("name", NAMES)
def test_a_block_loses_what_the_table_states(name, table, pictures):
    row = published_blocks.measure(name, pictures)
    trained_model, *lost = table[published_blocks.BLOCKS[name]]
    assert row.trained == pytest.approx(trained_model, abs=0.06)
    assert list(row.lost.values()) == pytest.approx(lost, abs=0.06 + ROUNDING)
    assert row.trained > 97
    # A point is 3.6 pictures.
    assert max(row.lost.values()) <= (1 if name == "stem" else 1 + ROUNDING)


def random_weights(random, shape):
    """Kernels by the number of inputs, and biases of 0."""
    if len(shape) == 1:
        return np.zeros(shape)
    return random.normal(0, 1.4 / np.sqrt(np.prod(shape[:-1])), shape)


def test_padding_before_max_pooling_in_keras(pictures):
    """The stem that Keras's own ResNets have."""
    layers = keras.layers
    stack = [
        keras.Input((8, 8, 1)),
        layers.Conv2D(8, 3, padding="same", activation="relu"),
        layers.ZeroPadding2D(1),
        layers.MaxPooling2D(3, strides=2),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
    model = keras.Sequential(stack)
    random = np.random.default_rng(0)
    shapes = [weights.shape for weights in model.get_weights()]
    model.set_weights([random_weights(random, shape) for shape in shapes])
    train = digits.load(digits.locate(Path())).train
    x = train.images / np.float32(digits.SPEC.scale)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)  # as in PyTorch
    model.compile(keras.optimizers.Adam(0.005), loss)
    targets = np.eye(10)[train.labels]
    model.fit(x, targets, batch_size=32, epochs=30, shuffle=False, verbose=0)
    correct = model.predict(pictures.x_test).argmax(axis=1) == pictures.y_test
    trained_percentage = published_blocks.percentage(correct)
    assert trained_percentage > 97
    lost = published_blocks.points_lost(
        trained_network(model), trained_percentage, pictures
    )
    assert max(lost.values()) <= 1, lost


AUTOENCODER = published_blocks.NETWORKS.parent / "autoencoders" / "autoencoder.onnx"
# Mean squared error of the reconstruction beside that of the trained network
ERRORS_ADDED = {"as parsed": 0.0002, "separated": 0.004, "free": 0.01, "8 bits": 0.004}


@pytest.mark.parametrize("conversion", ERRORS_ADDED)
def test_an_autoencoder_with_transposed_convolutions(conversion, pictures):
    x = pictures.x_test
    trained = read_model(AUTOENCODER, len)
    one_picture = x[:, np.newaxis].transpose(0, 1, 4, 2, 3)
    expected = np.concatenate(
        [onnxruntime_outputs(AUTOENCODER, picture) for picture in one_picture]
    )
    outputs = Analogue(trained).outputs(x)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    error = np.square(expected - x.reshape(len(x), -1)).mean()
    assert error < 0.011
    converted = convert(
        trained,
        x_norm=pictures.x_norm,
        settings=published_blocks.CONVERSIONS[conversion],
        pixel_scale=digits.SPEC.scale,
    )
    network = converted.spiking or converted.parsed
    kinds = [population.kind for population in network.populations]
    assert kinds == ["Conv2D"] * 3 + ["Conv2DTranspose"] * 3
    steps = network.steps or published_blocks.PARSED_STEPS
    name = network.output.name
    if network.steps is None:
        scale = converted.scale_factors[name]
    else:
        scale = np.array(converted.calibration[name].scale_factors)
    settings = SimulationSettings(
        samples=len(x),
        duration=steps,
        initial_potential=0.5 if network.steps is None else 0.0,
    )
    engine = SeparatedEngine if network.windowed else EventEngine
    if network.weight_bits is not None:
        x = np.rint(x * np.float32(network.pixel))
    counts = run_engine(engine, network, settings, x).counts[name]
    found = counts.reshape(len(x), 8, 8) / steps * scale
    spiking_error = np.square(
        found.reshape(len(x), -1) - pictures.x_test.reshape(len(x), -1)
    ).mean()
    assert spiking_error < error + ERRORS_ADDED[conversion]
