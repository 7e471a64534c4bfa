"""Averages that exclude the padding of their windows, from ONNX files to the graph."""

import numpy as np
import pytest

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.own_parser import parse_own
from snnb.core.errors import InputError
from snnb.model_files.keras_files import write_keras_h5
from snnb.model_files.read_model import read_model
from snnb.network.read_network import read_network, write_parsed, write_spiking
from snnb.simulation.engines.engine import choose_engine
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from tests.conversion.test_convolution_conversion import (
    SHAPE,
    Builder,
    assert_same_outputs,
    pictures,
)
from tests.graph.networks import graph_of
from tests.simulation.alike import run_engine

CHANNELS, ROWS, COLUMNS = SHAPE
SAMPLES, STEPS = 6, 40
# Windows of 1, 2 and 4 pixels, so that float32 holds their means
HALVES = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1, 1, 1, 1]}
EXACT_POOLINGS = {
    "padded": HALVES,
    "ceil": {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
    "uneven": {"kernel_shape": [2, 1], "strides": [2, 3], "pads": [1, 0, 0, 0]},
}
POOLINGS = {
    "padded": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "ceil": {"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1},
    "uneven": {"kernel_shape": [3, 2], "strides": [1, 2], "pads": [2, 1, 0, 0]},
}


def write_pooled(path, pooling):
    """Write a convolution, a ReLU, an average pooling and another convolution."""
    builder = Builder(np.random.default_rng(3))
    builder.convolve(6, 1)
    builder.add("Relu")
    builder.add("AveragePool", **pooling)
    builder.convolve(5, 1)
    for name, weights in builder.constants.items():
        builder.constants[name] = np.round(weights * 8) / 8
    return builder.classify(path)


def average_matrix(channels, size, strides, pads):
    """Return the weights (inputs, outputs) of an average pooling by its definition."""
    top, left, bottom, right = pads
    first_rows = range(-top, ROWS + bottom - size[0] + 1, strides[0])
    first_columns = range(-left, COLUMNS + right - size[1] + 1, strides[1])
    columns = []
    for row in first_rows:
        for column in first_columns:
            window = np.zeros((ROWS, COLUMNS))
            window_rows = slice(max(row, 0), row + size[0])
            window_columns = slice(max(column, 0), column + size[1])
            window[window_rows, window_columns] = 1
            for channel in range(channels):
                means = np.zeros((ROWS, COLUMNS, channels))
                means[:, :, channel] = window / window.sum()
                columns.append(means.ravel())
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("pooling", POOLINGS.values(), ids=POOLINGS)
def test_the_files_of_a_run_keep_the_padding(tmp_path, pooling):
    path = write_pooled(tmp_path / "net.onnx", pooling)
    trained = read_model(path, len)
    write_keras_h5(trained, tmp_path / "net.h5", "net")
    network = parse_own(read_model(tmp_path / "net.h5", len))
    write_parsed(network, tmp_path / "net_parsed.h5", "net")
    assert_same_outputs(read_network(tmp_path / "net_parsed.h5"), path, pictures())
    write_spiking(network, tmp_path / "net_parsed.h5")
    assert_same_outputs(read_network(tmp_path / "net_parsed.h5"), path, pictures())


def test_a_mean_of_fewer_pixels_is_their_mean_in_the_graph_and_both_engines(tmp_path):
    network = parse_own(read_model(write_pooled(tmp_path / "net.onnx", HALVES), len))
    convolution, pooling, reader = network.populations[:3]
    matrix = average_matrix(6, (2, 2), (2, 2), (1, 1, 1, 1))
    with graph_of(network, tmp_path) as graph:
        [projection] = [p for p in graph.projections if p.target.name == pooling.name]
        np.testing.assert_array_equal(projection.to_scipy().toarray(), matrix)
    settings = SimulationSettings(samples=SAMPLES, duration=STEPS)
    x = np.round(pictures(SAMPLES) * 16) / 16
    pixels = x.reshape(SAMPLES, ROWS * COLUMNS, CHANNELS).astype(np.float64)
    counts = {}
    potential = dict.fromkeys([convolution.name, pooling.name, reader.name], 0.0)
    for _ in range(STEPS):
        values = pixels
        for population in (convolution, pooling, reader):
            if population is pooling:
                current = values.reshape(SAMPLES, -1) @ matrix
                current = current.reshape(SAMPLES, -1, 6)
            else:
                weights = population.only.kernel[0, 0].astype(np.float64)
                current = values @ weights + population.bias
            name = population.name
            potential[name] = potential[name] + current
            values = (potential[name] >= 1).astype(np.float64)
            potential[name] = potential[name] - values
            counts[name] = counts.get(name, 0) + values
    for engine in (EventEngine, TensorFlowEngine):
        result = run_engine(engine, network, settings, x)
        for name, expected in counts.items():
            assert 0 < expected.mean() < STEPS
            found = result.counts[name].reshape(expected.shape)
            np.testing.assert_array_equal(found, expected, err_msg=name)


@pytest.mark.parametrize("pooling", EXACT_POOLINGS.values(), ids=EXACT_POOLINGS)
def test_engines_agree_after_calibration(tmp_path, pooling):
    network = parse_own(read_model(write_pooled(tmp_path / "net.onnx", pooling), len))
    settings = ConversionSettings(calibrate=16, firing="separated")
    network = calibrate(network, pictures(40), settings).network
    x = pictures(SAMPLES)
    simulation = SimulationSettings(samples=SAMPLES, duration=16)
    expected = run_engine(TensorFlowEngine, network, simulation, x).counts
    found = run_engine(SeparatedEngine, network, simulation, x).counts
    for name, counts in expected.items():
        assert counts.any()
        np.testing.assert_array_equal(found[name], counts, err_msg=name)


def test_what_needs_full_windows_refuses_by_name(tmp_path):
    path = write_pooled(tmp_path / "net.onnx", POOLINGS["padded"])
    network = parse_own(read_model(path, len))
    settings = ConversionSettings(weight_bits=8, calibrate=16, firing="separated")
    with pytest.raises(InputError, match="partial average pooling windows"):
        calibrate(network, pictures(40), settings)
    toolbox = SimulationSettings(samples=SAMPLES, duration=STEPS, engine="toolbox")
    fault = r"layer 01Ave.* the toolbox averages with the padding valid or same, not"
    with pytest.raises(InputError, match=fault):
        choose_engine(network, toolbox)


@pytest.mark.toolbox
def test_the_toolbox_does_not_parse_padding_that_keras_lacks(tmp_path):
    from snnb.conversion.toolbox import convert_with_toolbox

    path = write_pooled(tmp_path / "net.onnx", POOLINGS["padded"])
    trained = read_model(path, len)
    with pytest.raises(InputError, match="Keras averages with valid and same only"):
        convert_with_toolbox(trained, pictures(), ConversionSettings())
