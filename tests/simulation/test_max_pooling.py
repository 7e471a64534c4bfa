"""Exact max pooling: each window, in each step, against the largest spike count of its inputs, in numpy."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

from snnb.architectures.registry import find
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import convert
from snnb.core.errors import InputError
from snnb.crosscheck import brian2, scipy
from snnb.crosscheck.exported import exported_network
from snnb.formats.request import Simulated
from snnb.forward.analogue import Analogue
from snnb.model_files.keras import keras
from snnb.model_files.onnx_model import read_onnx
from snnb.network.layers import MaxPooling2D
from snnb.network.network import Population
from snnb.network.read_network import write_parsed, write_spiking
from snnb.simulation.engines.engine import choose_engine
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from snnb.training.keras_model import trained_network
from snnb.training.qcfs import QCFS, quantised
from tests.crosscheck.simulated import compare_spikes, graph_of_simulation
from tests.model_files.test_onnx_operators import (
    node,
    onnxruntime_outputs,
    written,
)
from tests.simulation.alike import observe_engine, run_engine, spike_trains

L = keras.layers
SAMPLES = 10
STEPS = 8
LEVELS = 4
PIXELS = 16  # of value 1
# Each pooling of `digits`: what it reads, size, strides, rows and columns of zeros before the first window.
POOLINGS = [(3, 2, 0), (2, 1, 0), (2, 2, 0)]


def _model():
    """Convolution and pooling twice; the second pooling is of a residual sum, the third of the second one's windows."""
    x = L.Input((8, 8, 1))
    first_layer = L.Conv2D(8, 3, padding="same", activation="relu")(x)
    pooled_layer = L.MaxPooling2D(3, strides=2, padding="same")(first_layer)
    summed_layer = L.ReLU()(
        L.Add()([pooled_layer, L.Conv2D(8, 3, padding="same")(pooled_layer)])
    )
    twice = L.MaxPooling2D(2)(
        L.MaxPooling2D(2, strides=1)(L.ZeroPadding2D(((0, 1), (0, 1)))(summed_layer))
    )
    return keras.Model(x, L.Dense(10, activation="softmax")(L.Flatten()(twice)))


def _train(model):
    """Train a model on the digits from weights that do not change; return it as a network."""
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, QCFS):
            layer.bound.assign(1.5)
        elif layer.weights:
            shapes = [weights.shape for weights in layer.get_weights()]
            layer.set_weights(
                [
                    random.normal(0, 1.4 / np.sqrt(np.prod(s[:-1])), s) * (len(s) > 1)
                    for s in shapes
                ]
            )
    x, y = digits()
    model.compile(
        keras.optimizers.Adam(0.005),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    history = model.fit(
        x[500:], y[500:], batch_size=32, epochs=6, shuffle=False, verbose=0
    )
    assert history.history["accuracy"][-1] > 0.9
    return trained_network(model)


def digits():
    data = load_digits()
    return (data.images[..., np.newaxis] / PIXELS).astype(np.float32), data.target


@pytest.fixture(scope="module")
def trained_case():
    return _train(_model())


@pytest.fixture(scope="module")
def quantised_case():
    return _train(quantised(_model(), LEVELS, seed=0))


def _spiking(network, **options):
    """Convert; return the network that is simulated, and pictures for it."""
    x = digits()[0]
    settings = ConversionSettings(**{"calibration_samples": 200, **options})
    result = convert(network, x_norm=x[500:900], settings=settings, pixel_scale=PIXELS)
    spiking = result.spiking or result.parsed
    return spiking, np.rint(x * spiking.pixel) if spiking.weight_bits else x


def largest(values, size, stride, before):
    """Largest values (..., rows, columns, channels) of windows, where values outside are 0."""
    rows = -(-values.shape[-3] // stride)
    padded_values = np.zeros(
        (
            *values.shape[:-3],
            values.shape[-3] + size + 1,
            values.shape[-2] + size + 1,
            values.shape[-1],
        )
    )
    padded_values[
        ..., before : before + values.shape[-3], before : before + values.shape[-2], :
    ] = values
    largest_values = np.zeros((*values.shape[:-3], rows, rows, values.shape[-1]))
    for row in range(rows):
        for column in range(rows):
            window = padded_values[..., row * stride :, column * stride :, :][
                ..., :size, :size, :
            ]
            largest_values[..., row, column, :] = window.max(axis=(-3, -2))
    return largest_values


def spikes_of(table, samples, shape, steps):
    """Spikes as 0 and 1, (steps, samples, *shape), of a table of sample, neuron and step."""
    spikes = spike_trains(table, samples, steps, int(np.prod(shape)))
    assert spikes.max() <= 1
    return spikes.swapaxes(0, 1).reshape(steps, samples, *shape)


def pools_of(network):
    return [
        p
        for p in network.populations
        if isinstance(p.projections[0].layer, MaxPooling2D)
    ]


def assert_exact(engine, network, x, poolings, **options):
    """Simulate; compare each window with its inputs after each step, and at the end. Return the counts."""
    steps = network.steps or 40
    settings = SimulationSettings(
        samples=len(x), duration=steps, record_spikes=len(x), **options
    )
    counted_result = run_engine(engine, network, settings, x)
    latency = network.latency(steps) if network.windowed else steps
    pools = pools_of(network)
    assert len(pools) == len(poolings)
    for pool, pooling in zip(pools, poolings):
        [source] = network.senders(pool)
        read, own_sums = (
            spikes_of(
                counted_result.spikes[name], len(x), network.volume(name).shape, latency
            ).cumsum(axis=0)
            for name in (source, pool.name)
        )
        assert (own_sums[-1] > 0).any()
        assert own_sums.shape[2:] == pool.shape
        np.testing.assert_array_equal(
            own_sums, largest(read, *pooling), err_msg=pool.name
        )
        np.testing.assert_array_equal(
            counted_result.counts[pool.name],
            largest(counted_result.counts[source], *pooling),
        )
        np.testing.assert_array_equal(counted_result.counts[pool.name], own_sums[-1])
    return counted_result.counts


WAYS = {
    "as parsed": {},
    "reset to zero": {},
    "free": {"calibrate": STEPS, "firing": "free"},
    "separated": {"calibrate": STEPS},
    "integers": {"weight_bits": 8},
    "calibrated integers": {"weight_bits": 6, "calibrate": STEPS},
    "free integers": {"weight_bits": 6, "calibrate": STEPS, "firing": "free"},
    "pruned": {"prune": 0.3},
    "pruned and calibrated": {"prune": 0.3, "calibrate": STEPS},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fast", [False, True], ids=["tensorflow", "event"])
def test_each_window_counts_the_largest_count_of_its_inputs(trained_case, way, fast):
    network, x = _spiking(trained_case, **WAYS[way])
    engine = (
        (SeparatedEngine if network.windowed else EventEngine)
        if fast
        else TensorFlowEngine
    )
    options = {"reset": "zero"} if way == "reset to zero" else {}
    assert_exact(engine, network, x[:SAMPLES], POOLINGS, **options)


@pytest.mark.parametrize("engine", [TensorFlowEngine, EventEngine])
def test_by_the_rule_of_the_toolbox_a_window_repeats_the_input_with_the_most_spikes_so_far(
    trained_case, engine
):
    network, x = _spiking(trained_case, max_pool="toolbox")
    settings = SimulationSettings(samples=SAMPLES, duration=40, record_spikes=SAMPLES)
    counted_result = run_engine(engine, network, settings, x[:SAMPLES])
    differ = 0
    for pool, pooling in zip(pools_of(network), POOLINGS):
        [source] = network.senders(pool)
        read, own_spikes = (
            spikes_of(counted_result.spikes[v.name], SAMPLES, v.shape, 40)
            for v in (network.volume(source), pool)
        )
        counts, places = (
            read.cumsum(axis=0),
            np.arange(np.prod(read.shape[2:4])).reshape(*read.shape[2:4], 1),
        )
        # Of the most spikes, the first place; the last digit is whether it spikes now.
        leaders = largest(
            (counts * places.size + places[::-1, ::-1]) * 2 + read, *pooling
        )
        np.testing.assert_array_equal(own_spikes, leaders % 2, err_msg=pool.name)
        differ += np.count_nonzero(
            own_spikes.sum(axis=0) != largest(counts[-1], *pooling)
        )
    assert differ


@pytest.mark.parametrize("firing", ["separated", "free"])
@pytest.mark.parametrize("fast", [False, True], ids=["tensorflow", "event"])
def test_networks_trained_with_levels(quantised_case, firing, fast):
    network, x = _spiking(quantised_case, firing=firing)
    assert network.steps == LEVELS
    engine = (
        (SeparatedEngine if network.windowed else EventEngine)
        if fast
        else TensorFlowEngine
    )
    counts = assert_exact(engine, network, x[:SAMPLES], POOLINGS)
    if firing == "separated":  # without loss: the levels of the trained network
        outputs = Analogue(quantised_case).outputs(x[:SAMPLES])
        np.testing.assert_array_equal(
            outputs.argmax(axis=1), _largest_sum(network, counts, x[:SAMPLES])
        )


def _largest_sum(network, counts, x):
    """Class of the output of which the sum of the weighted counts is the largest."""
    [source], dense = network.senders(network.output), network.output.only
    sums = counts[source].reshape(len(x), -1) @ np.float64(
        dense.weights().reshape(-1, 10)
    )
    return (sums / network.steps + network.output.bias).argmax(axis=1)


def test_a_calibrated_network_counts_what_a_rounded_forward_pass_with_maxima_does(
    trained_case,
):
    """With integers, so that no rounding of float32 is in either."""
    network, x = _spiking(trained_case, weight_bits=6, calibrate=STEPS)
    x = x[:100]
    settings = SimulationSettings(samples=len(x), duration=STEPS)
    counts = run_engine(SeparatedEngine, network, settings, x).counts
    values, poolings = (
        {network.input.name: x.astype(np.float64) * STEPS},
        iter(POOLINGS),
    )
    for volume in network.volumes[1:]:
        if not isinstance(volume, Population):
            if len(volume.shape) == 1:  # Flatten; the other one pads a pooling
                values[volume.name] = values[volume.inputs[0]].reshape(len(x), -1)
        elif isinstance(volume.projections[0].layer, MaxPooling2D):
            [source] = network.senders(volume)
            values[volume.name] = largest(values[source], *next(poolings))
        else:
            total = np.asarray(volume.bias, np.float64) * STEPS
            for projection in volume.projections:
                total = total + _weigh(projection, values[projection.input])
            total = (total + volume.initial_potential) / volume.integer_threshold
            values[volume.name] = np.clip(np.floor(total), 0, STEPS)
        if volume.name in counts and volume is not network.output:
            assert counts[volume.name].any()
            np.testing.assert_array_equal(
                counts[volume.name], values[volume.name], err_msg=volume.name
            )
    guesses = counts[network.output.name].argmax(axis=1)
    assert (guesses == digits()[1][:100]).mean() > 0.7


def _weigh(projection, values):
    """Sum of a projection of these values, in float64, by TensorFlow's own operators."""
    weights = projection.weights().astype(np.float64)
    if projection.layer.kind == "Dense":
        return values @ weights.reshape(values.shape[-1], -1)
    if projection.layer.kind == "Conv2D":
        return tf.nn.conv2d(
            values, weights, 1, projection.layer.padding.upper()
        ).numpy()
    assert weights.size == values.shape[-1]  # the shortcut: a weight for each channel
    return values * weights.reshape(-1)


@pytest.mark.parametrize("pooled_twice", [False, True])
def test_engines_agree_in_each_step_if_the_inputs_of_a_pooling_fire_in_different_windows(
    pooled_twice,
):
    """Channels of a pooling, which a Dense layer reads, are of two populations at different depths."""
    x, random = L.Input((8, 8, 1)), np.random.default_rng(2)
    first_layer = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    both = L.Concatenate()(
        [first_layer, L.Conv2D(4, 3, padding="same", activation="relu")(first_layer)]
    )
    pooled_layer = L.MaxPooling2D(3, strides=2, padding="same")(both)
    pooled_layer = L.MaxPooling2D(2)(pooled_layer) if pooled_twice else pooled_layer
    model = keras.Model(x, L.Dense(10, activation="softmax")(L.Flatten()(pooled_layer)))
    model.set_weights([random.normal(0.1, 0.5, w.shape) for w in model.get_weights()])
    network, pictures = _spiking(trained_network(model), weight_bits=6, calibrate=STEPS)
    settings = SimulationSettings(
        samples=SAMPLES, duration=STEPS, record_spikes=SAMPLES
    )
    engines = (TensorFlowEngine, SeparatedEngine)
    found_results = (
        observe_engine(engine, network, settings, pictures[:SAMPLES])
        for engine in engines
    )
    (one_counts, one_spikes, one_readout), (two, two_spikes, two_readout) = (
        found_results
    )
    for name in one_counts.spikes:
        assert name == "input" or one_counts.counts[name].any()
        np.testing.assert_array_equal(
            two.spikes[name], one_counts.spikes[name], err_msg=name
        )
    np.testing.assert_array_equal(two_spikes, one_spikes)
    np.testing.assert_array_equal(two_readout, one_readout)


@pytest.fixture(scope="module")
def stem(tmp_path_factory):
    """A file with the stem of torchvision's ResNets: a convolution of 7 × 7 and a pooling of 3 × 3 that pads."""
    path = tmp_path_factory.mktemp("stem") / "stem.onnx"
    nodes = [
        node(
            "Conv", "x,w,b", "c", kernel_shape=[7, 7], strides=[2, 2], pads=[3, 3, 3, 3]
        ),
        node("Relu", "c", "r"),
        node(
            "MaxPool", "r", "p", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]
        ),
        node("Conv", "p,v,d", "e", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", "e", "f"),
        node("GlobalAveragePool", "f", "g"),
        node("Flatten", "g", "h"),
        node("Gemm", "h,m,n", "y"),
    ]
    random = np.random.default_rng(5)

    def weights(*shape):
        return random.normal(0, 1, shape).astype(np.float32)

    constants = {
        "w": weights(6, 3, 7, 7) / 4,
        "b": weights(6),
        "v": weights(5, 6, 3, 3),
        "d": weights(5),
        "m": weights(5, 4),
        "n": weights(4),
    }
    return written(path, nodes, (3, 24, 24), **constants)


@pytest.mark.parametrize(
    "options", [{}, {"calibrate": STEPS}], ids=["as parsed", "calibrated"]
)
def test_the_stem_of_a_residual_network_from_onnx(stem, options):
    x = np.random.default_rng(4).random((60, 24, 24, 3)).astype(np.float32)
    result = convert(
        read_onnx(stem, len), x_norm=x, settings=ConversionSettings(**options)
    )
    logits = onnxruntime_outputs(stem, x.transpose(0, 3, 1, 2))
    assert logits.std() > 0.1
    outputs = (
        Analogue(result.parsed).outputs(x)
        * result.scale_factors[result.parsed.output.name]
    )
    np.testing.assert_allclose(outputs, logits, atol=1e-4 * np.abs(logits).max())
    network = result.spiking or result.parsed
    for engine in (
        SeparatedEngine if network.windowed else EventEngine,
        TensorFlowEngine,
    ):
        assert_exact(engine, network, x[:3], [(3, 2, 1)])


@pytest.mark.parametrize(
    "way", ["as parsed", "free", "separated", "calibrated integers"]
)
def test_other_simulators_give_the_same_spikes(trained_case, tmp_path, way):
    network, _ = _spiking(trained_case, **WAYS[way])
    parsed_network = network if way == "as parsed" else _spiking(trained_case)[0]
    write_parsed(parsed_network, path := tmp_path / "net_parsed.h5", "net_parsed")
    if way != "as parsed":
        write_spiking(network, path)
    x, steps = (digits()[0][:3] * PIXELS).astype(np.uint8), network.steps or 20
    settings = SimulationSettings(
        samples=3, duration=steps, engine="event", record_spikes=3
    )
    simulation = Simulated(
        1.0, "subtraction", "constant", None, PIXELS, None, None, steps, 3, 0
    )
    inputs = x.reshape(3, -1) / np.float32(PIXELS)
    with graph_of_simulation(
        path, tmp_path, x, float(PIXELS), settings, classes="0123456789"
    ) as graph:
        graph_network = exported_network(graph, simulation)
        for simulator in (scipy, brian2):
            spike_record = compare_spikes(
                graph_network,
                simulator,
                "separated",
                tmp_path,
                inputs.astype(float),
                steps,
            )
            assert all(spike_record[pool.name].size for pool in pools_of(network))


def test_the_engine_of_the_toolbox_and_a_maximum_of_pixels_are_refused(trained_case):
    for options in ({}, {"max_pool": "toolbox"}):
        network, _ = _spiking(trained_case, **options)
        with pytest.raises(
            InputError,
            match=r"^layer \w+: the toolbox replaces max pooling by average pooling: use",
        ):
            choose_engine(network, SimulationSettings(engine="toolbox"))
    first_model = keras.Sequential(
        [
            L.MaxPooling2D(2, input_shape=(8, 8, 1)),
            L.Flatten(),
            L.Dense(10, activation="softmax"),
        ]
    )
    network, _ = _spiking(trained_network(first_model))
    with pytest.raises(
        InputError,
        match=r"takes the maximum of an input that is not spikes: begin with a convolution",
    ):
        choose_engine(network, SimulationSettings())
    assert choose_engine(network, SimulationSettings(input="poisson"))[0] == "event"


@pytest.mark.parametrize(
    "name", ["rueckauer_cifar10", "vgg11_cifar10", "cnn_fruits360"]
)
def test_models_of_the_package_with_the_max_pooling_of_their_papers(name):
    spec, random = find(name), np.random.default_rng(5)
    narrow_options = {
        key: tuple(8 + i for i in range(len(spec.settings[key])))
        for key in spec.settings
        if key == "filters"
    }
    shape = (min(spec.input_shape[0], 64),) * 2 + spec.input_shape[2:]
    model = spec.build(input_shape=shape, num_classes=10, **narrow_options)
    model = keras.models.clone_model(model, clone_function=_with_maxima)
    for layer in model.layers:
        if not isinstance(layer, L.BatchNormalization):
            shapes = [weights.shape for weights in layer.get_weights()]
            layer.set_weights(
                [random.normal(0, 1.6 / np.sqrt(np.prod(s[:-1])), s) for s in shapes]
            )
    x = random.random((8, *shape)).astype(np.float32)
    network = convert(
        trained_network(model), x_norm=x, settings=ConversionSettings(), pixel_scale=1
    ).parsed
    layers = [pool.only.layer for pool in pools_of(network)]
    assert (
        len(layers)
        == sum(isinstance(layer, L.MaxPooling2D) for layer in model.layers)
        >= 2
    )
    poolings = [(layer.pool_size[0], layer.strides[0], 0) for layer in layers]
    assert_exact(EventEngine, network, x[:2], poolings)


def _with_maxima(layer):
    kind = L.MaxPooling2D if isinstance(layer, L.AveragePooling2D) else type(layer)
    return kind.from_config(layer.get_config())
