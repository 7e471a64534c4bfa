"""Grouped and transposed convolutions are converted like other ones."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import spiking_network
from snnb.conversion.normalise import measure, normalise_weights, scale_factors
from snnb.conversion.own_parser import parse_own
from snnb.core.errors import InputError
from snnb.forward.analogue import Analogue
from snnb.model_files.keras import keras
from snnb.model_files.read_model import read_model
from snnb.network.read_network import read_network, write_parsed, write_spiking
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from tests.conversion.conftest import assert_computes, set_random_weights, slow_except
from tests.model_files.test_onnx_operators import node, onnxruntime_outputs, written
from tests.properties.test_integer_networks import SAMPLES, STEPS, _step_by_graph
from tests.simulation.alike import run_engine

SHAPE = (4, 7, 6)  # channels first, as in ONNX


class Builder:
    """ONNX operators in a row, with random weights."""

    def __init__(self, random):
        self.random = random
        self.nodes = []
        self.constants = {}
        self.value = "x"
        self.channels = SHAPE[0]

    def weights(self, *shape):
        spread = 1 / np.sqrt(np.prod(shape[1:]))
        name = f"w{len(self.constants)}"
        weights = self.random.normal(0.1 * spread, spread, shape)
        self.constants[name] = weights.astype(np.float32)
        return name

    def add(self, kind, *operands, **attributes):
        inputs = ",".join([self.value, *operands])
        output = f"v{len(self.nodes)}"
        self.nodes.append(node(kind, inputs, output, **attributes))
        self.value = output

    def convolve(self, filters, groups, size=1, pads=0, **attributes):
        shape = (filters, self.channels // groups, size, size)
        operands = [self.weights(*shape), self.weights(filters)]
        pads = [pads] * 4
        self.add("Conv", *operands, group=groups, pads=pads, **attributes)
        self.channels = filters

    def transpose(self, filters, groups, size, pads=0, **attributes):
        shape = (self.channels, filters // groups, size, size)
        operands = [self.weights(*shape), self.weights(filters)]
        pads = [pads] * 4
        self.add("ConvTranspose", *operands, group=groups, pads=pads, **attributes)
        self.channels = filters

    def normalise(self):
        operands = [self.weights(self.channels) for _ in range(3)]
        variance = self.weights(self.channels)
        self.constants[variance] = np.square(self.constants[variance]) + 0.5
        self.add("BatchNormalization", *operands, variance)

    def classify(self, path):
        self.add("Relu")
        self.add("GlobalAveragePool")
        self.add("Flatten", axis=1)
        self.add("Gemm", self.weights(5, self.channels), transB=1)
        self.nodes[-1].output[0] = "y"
        return written(path, self.nodes, SHAPE, **self.constants)


def pictures(count=9):
    random = np.random.default_rng(8)
    return random.random((count, *SHAPE[1:], SHAPE[0])).astype(np.float32)


def assert_same_outputs(network, path, x, times=1.0):
    expected = onnxruntime_outputs(path, x.transpose(0, 3, 1, 2))
    assert expected.std() > 1e-3
    found = Analogue(network).outputs(x) * times
    # `read_model` makes logits probabilities
    expected = softmax(expected, axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("seed", slow_except(range(12), range(120)))
def test_layers_in_a_row_are_composed_exactly(seed, tmp_path):
    random = np.random.default_rng(seed)
    builder = Builder(random)
    for _ in range(int(random.integers(2, 5))):
        if random.random() < 0.25:
            builder.normalise()
            continue
        divisors = [n for n in range(1, 13) if builder.channels % n == 0]
        groups = int(random.choice(divisors))
        filters = groups * int(random.integers(1, 1 + 12 // groups))
        size = int(random.choice([1, 1, 2]))
        builder.convolve(filters, groups, size)
    path = builder.classify(tmp_path / "net.onnx")
    trained = read_model(path, len)
    network = parse_own(trained)
    assert len(network.populations) == 3
    assert_same_outputs(network, path, pictures())
    first = network.populations[0].only
    convolutions = [n for n in builder.nodes if n.op_type == "Conv"]
    groups = [{a.name: a.i for a in n.attribute}["group"] for n in convolutions]
    common_groups = int(np.gcd.reduce(groups))
    assert first.geometry.parts == common_groups


def resnext(path):
    """A block with 4 groups between convolutions of one tap, and a sum."""
    builder = Builder(np.random.default_rng(4))
    builder.convolve(8, 2, 3, pads=1)
    builder.add("Relu")
    shortcut = builder.value
    builder.convolve(16, 1)
    builder.add("Relu")
    builder.convolve(16, 4, 3, pads=1)
    builder.normalise()
    builder.add("Relu")
    builder.convolve(8, 1)
    builder.add("Add", shortcut)
    return builder.classify(path)


def decoder(path):
    """Transposed convolutions with normalisations before and after them."""
    builder = Builder(np.random.default_rng(6))
    builder.convolve(8, 2, 3, pads=1, strides=[2, 2])
    builder.add("Relu")
    builder.normalise()
    builder.transpose(8, 1, 3, pads=1, strides=[2, 2], output_padding=[1, 1])
    builder.normalise()
    builder.add("Relu")
    builder.transpose(6, 2, 4, strides=[3, 3])
    return builder.classify(path)


SETTINGS = [
    {"kernel_size": 3, "strides": 2, "padding": "same"},
    {"kernel_size": (2, 4), "strides": (3, 2), "padding": "same"},
    {"kernel_size": (1, 3), "strides": (2, 2), "padding": "valid"},
    {"kernel_size": (4, 3), "strides": (3, 2), "output_padding": (2, 1)},
    {
        "kernel_size": (5, 3),
        "strides": 2,
        "padding": "same",
        "output_padding": (0, 1),
    },
    {"kernel_size": (2, 3), "dilation_rate": 2, "padding": "valid"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_layers_of_keras(settings, tmp_path):
    layers = keras.layers
    stack = [
        layers.Conv2DTranspose(4, **settings, input_shape=(4, 5, 3)),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2DTranspose(2, activation="relu", **settings),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]
    model = keras.Sequential(stack)
    random = np.random.default_rng(2)
    set_random_weights(model, random)
    x = random.random((5, 4, 5, 3)).astype(np.float32)
    model.save(str(tmp_path / "net.h5"))
    trained = read_model(tmp_path / "net.h5", len)
    network = parse_own(trained)
    assert_computes(network, model, x)
    path = tmp_path / "net_parsed.h5"
    write_parsed(network, path, "net")
    assert_computes(read_network(path), keras.models.load_model(str(path)), x)


def test_normalisations_around_a_transposed_convolution(tmp_path):
    """What one before it adds differs between positions of the output."""
    path = decoder(tmp_path / "net.onnx")
    network = parse_own(read_model(path, len))
    kinds = [population.kind for population in network.populations]
    pooled = ["AveragePooling2D", "Dense"]
    assert kinds == ["Conv2D", "Conv2DTranspose", "Conv2DTranspose", *pooled]
    assert network.populations[1].bias.ndim == 3
    assert_same_outputs(network, path, pictures())
    write_parsed(network, tmp_path / "net_parsed.h5", "net")
    assert_same_outputs(read_network(tmp_path / "net_parsed.h5"), path, pictures())


@pytest.mark.parametrize("is_first", [True, False])
def test_a_transposed_convolution_without_activation(is_first, tmp_path):
    builder = Builder(np.random.default_rng(6))
    if is_first:
        builder.transpose(5, 1, 3)
        builder.convolve(6, 1, 3)
        message = "follows a transposed convolution without activation: insert a relu"
    else:
        builder.convolve(6, 2, 3)
        builder.transpose(5, 1, 3)
        message = "is a transposed convolution after a layer without activation"
    path = builder.classify(tmp_path / "net.onnx")
    trained = read_model(path, len)
    with pytest.raises(InputError, match=message):
        parse_own(trained)
    network = parse_own(trained, rectify_linear=True)
    assert_same_outputs(network, path, pictures())


def test_branches_with_other_scales_are_normalised(tmp_path):
    builder = Builder(np.random.default_rng(1))
    builder.convolve(4, 1, 3)
    builder.add("Relu")
    branch = builder.value
    builder.convolve(4, 2, 3, pads=1)
    builder.add("Relu")
    builder.add("Concat", branch, axis=1)
    builder.channels = 8
    builder.convolve(8, 4, 2)
    path = builder.classify(tmp_path / "net.onnx")
    x = pictures(60)
    network = parse_own(read_model(path, len))
    percentiles = measure(network, x, percentile=99, batch_size=5).percentiles
    factors = scale_factors(network, percentiles)
    first, second, third = network.populations[:3]
    assert factors[first.name] != factors[second.name]
    network = normalise_weights(network, factors)
    unscaled = third.only.weights()
    ratio = network.populations[2].only.weights() / unscaled
    for channels, source in ((slice(0, 4), second), (slice(4, 8), first)):
        expected = factors[source.name] / factors[third.name]
        np.testing.assert_allclose(ratio[:, :, channels], expected, rtol=1e-5)
    assert_same_outputs(network, path, x)


@pytest.mark.toolbox
def test_the_parser_of_the_toolbox_refuses_groups(tmp_path):
    from snnb.conversion.toolbox import convert_with_toolbox

    trained = read_model(resnext(tmp_path / "net.onnx"), len)
    with pytest.raises(InputError, match="groups: use --parser own"):
        convert_with_toolbox(trained, pictures(), ConversionSettings())
    trained = read_model(decoder(tmp_path / "net.onnx"), len)
    trained = replace(trained, layers=trained.layers[3:])
    with pytest.raises(InputError, match="Conv2DTranspose: use --parser own"):
        convert_with_toolbox(trained, pictures(), ConversionSettings())


WAYS = [
    {},
    {"calibrate": STEPS, "firing": "separated"},
    {"calibrate": STEPS, "firing": "free"},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("scale_per", ["channel", "layer"])
@pytest.mark.parametrize("build", [resnext, decoder])
def test_integers_of_all_engines_and_the_graph_are_the_same(
    build, scale_per, way, tmp_path
):
    path = build(tmp_path / "net.onnx")
    network = parse_own(read_model(path, len))
    random = np.random.default_rng(3)
    shape = (40, *network.input.shape)
    x = random.integers(0, 256, shape).astype(np.float32) / 255
    settings = ConversionSettings(weight_bits=8, scale_per=scale_per, **way)
    if way:
        network = calibrate(network, x, settings, pixel_scale=255).network
    else:
        network = spiking_network(network, x, settings, 255)
    parsed = tmp_path / "net_parsed.h5"
    write_spiking(network, parsed)
    network = read_network(parsed)
    kinds = {population.kind for population in network.populations}
    groups = [p.only.layer.groups for p in network.populations[:3]]
    assert groups == ([2, 1, 2] if "Conv2DTranspose" in kinds else [2, 1, 4])
    for population in network.populations:
        for projection in population.projections:
            kernel = projection.kernel
            if kernel is not None:
                np.testing.assert_array_equal(kernel, np.rint(kernel))
    dynamics = SimulationSettings(samples=SAMPLES, duration=STEPS, input="constant")
    x = random.integers(0, 256, (SAMPLES, *network.input.shape)).astype(np.float32)
    inputs = x.reshape(SAMPLES, -1) / 255
    expected = _step_by_graph(parsed, network, inputs, dynamics)
    event_engine = SeparatedEngine if network.windowed else EventEngine
    assert expected
    for engine in (TensorFlowEngine, event_engine):
        counts = run_engine(engine, network, dynamics, x).counts
        for name, numbers in expected.items():
            found = counts[name].reshape(SAMPLES, -1)
            assert found.any()
            np.testing.assert_array_equal(found, numbers, err_msg=name)


def test_preprocessing_is_folded_into_groups(tmp_path):
    builder = Builder(np.random.default_rng(5))
    builder.convolve(6, 2, 3)
    path = builder.classify(tmp_path / "net.onnx")
    mean = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    pixels = "mean=0.1,0.2,0.3,0.4,std=0.5"
    network = read_model(path, len, pixels)
    x = pictures()
    logits = onnxruntime_outputs(path, ((x - mean) / 0.5).transpose(0, 3, 1, 2))
    expected = softmax(logits, axis=1)
    np.testing.assert_allclose(Analogue(network).outputs(x), expected, atol=1e-5)
