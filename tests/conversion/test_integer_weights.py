"""Integer networks: factors worked out by hand, and what is refused."""

import numpy as np
import pytest

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import spiking_network
from snnb.core.errors import InputError
from snnb.forward.analogue import Analogue
from snnb.network.keras_file import StoredLayer
from snnb.network.network import neuron_of
from snnb.network.read_network import assemble
from snnb.simulation.engines.engine import number_type
from snnb.simulation.settings import SimulationSettings

BYTES = np.array([[0, 51, 255]], np.float32) / 255


def _dense(name, read, kernel, bias=None):
    kernel = np.array(kernel, np.float32)
    bias = (
        np.zeros(kernel.shape[1], np.float32)
        if bias is None
        else np.array(bias, np.float32)
    )
    config = {"units": kernel.shape[1], "activation": "relu"}
    return StoredLayer(name, "Dense", config, (read,), {"kernel": kernel, "bias": bias})


def _network(*entries):
    return assemble(
        [
            StoredLayer(
                "input", "InputLayer", {"batch_input_shape": [None, 3]}, (), {}
            ),
            *entries,
        ]
    )


ONE = _dense("one", "input", [[0.5, 1], [-1, 2], [0.1, 0]], [0.25, -1])
TWO = _dense("two", "one", [[0.5, 0.2], [-0.25, 1]])
BOTH = StoredLayer("both", "Concatenate", {"axis": 1}, ("one", "input"), {})


def test_factors_use_all_bits_of_each_channel():
    network = spiking_network(
        _network(ONE, TWO), BYTES, ConversionSettings(weight_bits=4), 255
    )
    population, two = network.populations
    np.testing.assert_array_equal(
        population.integer_threshold, [7 * 255, 892]
    )  # ⌊7 / 1 · 255⌋ and ⌊7 / 2 · 255⌋
    np.testing.assert_array_equal(
        population.only.kernel, [[4, 3], [-7, 7], [1, 0]]
    )  # round(w · threshold / 255)
    np.testing.assert_array_equal(population.bias, [446, -892])
    np.testing.assert_array_equal(
        two.integer_threshold, [7, 7]
    )  # one factor for all channels of the output
    np.testing.assert_array_equal(two.only.kernel, [[4, 1], [-2, 7]])
    assert (network.weight_bits, network.pixel) == (4, 255)


def test_a_layer_reads_pixels_and_spikes():
    spikes = _dense("spikes", "one", [[0.55, 0.2], [-0.25, 1]])
    pixels = _dense("pixels", "input", [[1, -2], [0.5, 0.25], [0, 1]])
    for layer in (spikes, pixels):
        layer.config["activation"] = "linear"
    total = StoredLayer("total", "Add", {}, ("spikes", "pixels"), {})
    output = StoredLayer("out", "Activation", {"activation": "relu"}, ("total",), {})
    network = spiking_network(
        _network(ONE, spikes, pixels, total, output),
        BYTES,
        ConversionSettings(weight_bits=4),
        255,
    )
    population = network.output
    # The largest weight of a spike is 127.5 times that of a pixel of 1 / 255, so its
    # integers are multiples of 2⁶. The factor is 7 / (1 / 64).
    np.testing.assert_array_equal(population.integer_threshold, [448, 448])
    by_spikes, by_pixels = (projection.kernel for projection in population.projections)
    # 64 · round(7 w), and round(w · 448 / 255)
    np.testing.assert_array_equal(by_spikes, [[256, 64], [-128, 448]])
    np.testing.assert_array_equal(by_pixels, [[2, -4], [1, 0], [0, 2]])


def test_neurons_start_at_the_integer_below_a_share_of_the_threshold():
    population, _ = spiking_network(
        _network(ONE, TWO), BYTES, ConversionSettings(weight_bits=4), 255
    ).populations
    start = neuron_of(population, SimulationSettings(initial_potential=0.3)).initial
    np.testing.assert_array_equal(
        start, [535, 267]
    )  # 0.3 · 1785 = 535.5, 0.3 · 892 = 267.6


def test_pruning_leaves_the_largest_weights():
    settings = ConversionSettings(weight_bits=4, prune=0.5)
    population, two = spiking_network(
        _network(ONE, TWO), BYTES, settings, 255
    ).populations
    np.testing.assert_array_equal(
        population.only.kernel != 0, [[False, True], [True, True], [False, False]]
    )
    np.testing.assert_array_equal(two.only.kernel != 0, [[True, False], [False, True]])


def test_sums_beyond_float32_are_those_of_float64():
    network = spiking_network(
        _network(ONE, TWO),
        BYTES,
        ConversionSettings(weight_bits=16, calibrate=None),
        255,
    )
    assert number_type(network, SimulationSettings(duration=10)) is np.float32
    assert (
        number_type(network, SimulationSettings(duration=1000, input="poisson"))
        is np.float64
    )
    with pytest.raises(InputError, match="not exact in float64"):
        number_type(
            network,
            SimulationSettings(duration=10_000_000).model_copy(
                update={"duration": 10**12}
            ),
        )


@pytest.mark.parametrize(
    ("entries", "bits", "message"),
    [
        (
            [ONE, _dense("two", "one", [[9, 1], [1, 1]])],
            4,
            "layer two: a threshold of 0.78 at 4 bits",
        ),
        (
            [ONE, BOTH, _dense("two", "both", np.ones((5, 2)))],
            8,
            "layer two concatenates the input with spikes",
        ),
    ],
)
def test_what_has_no_integers_is_refused(entries, bits, message):
    settings = ConversionSettings(weight_bits=bits)
    with pytest.raises(InputError, match=message):
        spiking_network(_network(*entries), BYTES, settings, 255)


def test_windows_that_the_edge_cuts_are_refused():
    head = StoredLayer(
        "input", "InputLayer", {"batch_input_shape": [None, 3, 3, 1]}, (), {}
    )
    config = {"pool_size": (2, 2), "strides": (2, 2), "padding": "same"}
    pool = StoredLayer("pool", "AveragePooling2D", config, ("input",), {})
    flat = StoredLayer("flat", "Flatten", {}, ("pool",), {})
    network = assemble([head, pool, flat, _dense("out", "flat", np.ones((4, 2)))])
    with pytest.raises(InputError, match="layer pool: partial average pooling windows"):
        spiking_network(
            network,
            np.zeros((1, 3, 3, 1), np.float32),
            ConversionSettings(weight_bits=8),
            255,
        )


def test_activations_are_in_thresholds_and_those_of_the_trained_weights_rounded():
    network = _network(ONE, TWO)
    integers = spiking_network(network, BYTES, ConversionSettings(weight_bits=4), 255)
    trained_values, found_values = (
        Analogue(net, ["one", "two"]).values(BYTES) for net in (network, integers)
    )
    # By hand: a weight is rounded by at most half a threshold, and the two inputs of `two` by half of 1 / 7 each.
    one_population, two = integers.populations
    own_weights = [BYTES * 255, found_values[0]]
    for population, x, values in zip((one_population, two), own_weights, found_values):
        current = (
            x @ np.asarray(population.only.kernel) + population.bias
        ) / population.integer_threshold
        np.testing.assert_allclose(values, np.maximum(current, 0), rtol=1e-6)
    assert np.all(
        np.abs(found_values[0] - trained_values[0])
        <= (0.5 * 255 * BYTES.sum() + 0.5) / one_population.integer_threshold + 1e-6
    )
    assert np.abs(found_values[0] - trained_values[0]).max() > 0


def test_weights_that_a_calibration_rounds_compute_the_trained_outputs():
    network = _network(ONE, TWO)
    round_weights = calibrate(
        network, BYTES, ConversionSettings(calibrate=4, weight_bits=16), pixel_scale=255
    ).weights
    expected_outputs = Analogue(network).outputs(BYTES)
    assert expected_outputs.max() > 0.05
    np.testing.assert_allclose(
        Analogue(round_weights).outputs(BYTES), expected_outputs, rtol=1e-3
    )
