"""A first layer that pads pictures less their mean: engines, exports and other simulators, against plain loops."""

import h5py
import numpy as np
import pytest

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import spiking_network
from snnb.conversion.own_parser import parse_own
from snnb.core.errors import InputError
from snnb.crosscheck import brian2, sanafe, scipy
from snnb.crosscheck.exported import exported_network
from snnb.formats.request import Request
from snnb.formats.write_export import export
from snnb.graph.build import build_graph
from snnb.model_files.fold_pixels import fold_pixels
from snnb.model_files.kinds import NirSettings
from snnb.model_files.nir_network import read_nir
from snnb.network.read_network import read_network, write_parsed, write_spiking
from snnb.simulation.engines.engine import choose_engine
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from snnb.training.keras_model import trained_network
from tests.crosscheck.simulated import STEPS, compare_spikes, simulated_graph
from tests.graph.networks import LAYERS
from tests.graph.recorded import keras
from tests.simulation.alike import run_engine, spike_trains

MEAN = np.array([0.25, 0.5])
STD = np.array([0.5, 0.25])
SAMPLES = 3
FIRST = "02Activation_3x3x4"


@pytest.fixture(scope="module")
def trained_model():
    """Weights are multiples of 2⁻⁸, and pixels too, so that sums are exact in any order and precision."""
    source = LAYERS.Input((6, 5, 2))
    first_layer = LAYERS.Conv2D(
        4, 3, strides=2, padding="same", activation="relu", name="first"
    )(source)
    hidden = LAYERS.Dense(7, activation="relu", name="hidden")(
        LAYERS.Flatten()(first_layer)
    )
    model, random = (
        keras.Model(source, LAYERS.Dense(3, activation="softmax")(hidden)),
        np.random.default_rng(5),
    )
    weights = [
        random.normal(0.1, 1 / np.sqrt(np.prod(w.shape[:-1]) or 8), w.shape)
        for w in model.get_weights()
    ]
    model.set_weights([np.rint(w * 256) / 256 for w in weights])
    return model


@pytest.fixture(scope="module")
def parsed_path(trained_model, tmp_path_factory):
    """Not normalised."""
    path = tmp_path_factory.mktemp("padded") / "net_parsed.h5"
    write_parsed(
        parse_own(
            fold_pixels(
                trained_network(trained_model), "mean=0.25,0.5,std=0.5,0.25", len
            )
        ),
        path,
        "net",
    )
    return path


def currents(trained_model, pixels):
    """The input of the first layer: of pictures less their mean, in which zeros are padded below and on both sides."""
    kernel, bias = trained_model.get_layer("first").get_weights()
    z = np.pad((pixels - MEAN) / STD, ((0, 0), (0, 1), (1, 1), (0, 0)))
    out = np.zeros((len(pixels), 3, 3, 4))
    for row, column in np.ndindex(3, 3):
        window = z[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
        out[:, row, column] = np.einsum("nijc,ijcf->nf", window, kernel)
    return out + bias


def count_spikes(current, steps, start=0.0):
    """Spikes of neurons with a threshold of 1 in each step: (steps, *shape)."""
    v, spikes = np.full(current.shape, start), []
    for _ in range(steps):
        v = v + current
        spikes.append(v >= 1)
        v = v - spikes[-1]
    return np.array(spikes)


def pictures(samples=SAMPLES):
    return np.random.default_rng(2).integers(0, 256, (samples, 6, 5, 2)).astype(
        np.float32
    ) / np.float32(256)


@pytest.mark.parametrize("engine", [EventEngine, TensorFlowEngine])
def test_engines_count_the_spikes_of_plain_loops(trained_model, parsed_path, engine):
    x, settings = pictures(20), SimulationSettings(samples=20, duration=STEPS)
    counts = run_engine(engine, read_network(parsed_path), settings, x).counts[FIRST]
    expected_counts = count_spikes(currents(trained_model, x.astype(float)), STEPS)
    assert expected_counts[:, :, 2].any()
    assert expected_counts[:, :, :2].any()
    np.testing.assert_array_equal(counts, expected_counts.sum(axis=0))


@pytest.mark.parametrize("firing", ["separated", "free"])
def test_a_calibration_keeps_the_border(trained_model, parsed_path, firing):
    """Rates times the scale factor of the channel are the trained activations, clipped at the scale factor."""
    x = pictures(200)
    settings = ConversionSettings(calibrate=64, firing=firing)
    calibrated_network = calibrate(read_network(parsed_path), x, settings).network
    first_population = calibrated_network.populations[0]
    assert len(np.unique(first_population.bias[..., 0])) > 3
    kernel = trained_model.get_layer("first").get_weights()[0] / STD[:, np.newaxis]
    scales = np.sum(kernel, axis=(0, 1, 2)) / np.sum(
        first_population.projections[0].kernel, axis=(0, 1, 2)
    )
    engine = SeparatedEngine if firing == "separated" else EventEngine
    counts = run_engine(
        engine, calibrated_network, SimulationSettings(samples=200, duration=64), x
    ).counts
    rates = counts[first_population.name].mean(axis=0) / 64
    expected_mean = np.clip(currents(trained_model, x.astype(float)), 0, scales).mean(
        axis=0
    )
    np.testing.assert_allclose(rates * scales, expected_mean, atol=0.01 * scales.max())


def test_integers_round_the_bias_of_each_position(trained_model, parsed_path):
    x = np.rint(pictures(20) * 256 / 257 * 255) / np.float32(255)
    floats = read_network(parsed_path)
    network = spiking_network(floats, x, ConversionSettings(weight_bits=8), 255)
    first_population = network.populations[0]
    expected_biases = np.rint(
        floats.populations[0].bias * first_population.integer_threshold
    )
    assert len(np.unique(expected_biases[..., 0])) > 3
    np.testing.assert_array_equal(first_population.bias, expected_biases)
    settings = SimulationSettings(samples=20, duration=STEPS)
    counts, two = (
        run_engine(engine, network, settings, x).counts
        for engine in (EventEngine, TensorFlowEngine)
    )
    for name in counts:
        np.testing.assert_array_equal(counts[name], two[name])


@pytest.fixture(scope="module")
def simulation_case(parsed_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    x, simulation, built = simulated_graph(
        parsed_path, folder, SAMPLES, "subtraction", 1.0, "constant"
    )
    with built as graph:
        yield x, simulation, graph, folder


@pytest.mark.parametrize(
    "simulator", [scipy, brian2, sanafe], ids=["scipy", "brian2", "sanafe"]
)
def test_other_simulators_give_the_same_spikes(
    simulation_case, trained_model, simulator
):
    x, simulation, graph, folder = simulation_case
    inputs = (x / np.float32(256)).reshape(SAMPLES, -1).astype(float)
    spike_record = compare_spikes(
        exported_network(graph, simulation), simulator, "free", folder, inputs, STEPS
    )
    spikes = count_spikes(currents(trained_model, x / 256), STEPS)
    found_spikes = spike_trains(spike_record[FIRST], SAMPLES, STEPS, 36).swapaxes(0, 1)
    np.testing.assert_array_equal(found_spikes, spikes.reshape(found_spikes.shape))


def test_a_nir_file_that_is_read_again_has_the_same_spikes(
    simulation_case, parsed_path, tmp_path
):
    x, simulation, graph, _ = simulation_case
    export(graph, "nir", tmp_path / "net.nir", Request(simulated=simulation))
    with h5py.File(tmp_path / "net.nir", "r") as file:
        kinds = [
            np.asarray(node["type"]).item() for node in file["node/nodes"].values()
        ]
    assert sum("Scale" in str(kind) for kind in kinds) == 1
    again = read_nir(tmp_path / "net.nir", NirSettings(nir_reset="subtract"), (6, 5, 2))
    assert [len(population.projections) for population in again.populations] == [
        1,
        1,
        1,
    ]
    settings = SimulationSettings(samples=SAMPLES, duration=STEPS)
    pixels = (x / 256).astype(np.float32)
    networks = (read_network(parsed_path), again)
    values, two = (
        list(run_engine(EventEngine, net, settings, pixels).counts.values())
        for net in networks
    )
    for number in (0, 1):  # the last is drawn at random by a softmax
        np.testing.assert_array_equal(two[number], values[number])


def test_a_stored_network_keeps_its_biases(parsed_path, tmp_path):
    network = read_network(parsed_path)
    write_spiking(network, tmp_path / "n.h5")
    again = read_network(tmp_path / "n.h5").populations[0]
    assert again.bias.shape == (3, 3, 4)
    np.testing.assert_array_equal(again.bias, network.populations[0].bias)
    graph = build_graph(network)
    np.testing.assert_array_equal(graph.layers[0].bias, again.bias)


def test_the_toolbox_has_no_bias_of_a_position(parsed_path):
    with pytest.raises(
        InputError,
        match=f"{FIRST}: the toolbox has one bias for each channel, not for each position",
    ):
        choose_engine(
            read_network(parsed_path),
            SimulationSettings(samples=1, duration=1, engine="toolbox"),
        )
