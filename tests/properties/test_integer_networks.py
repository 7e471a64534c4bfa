"""Random integer networks: every engine, and neurons stepped by the graph alone, count the same spikes."""

import numpy as np
import pytest

from snnb.conversion.calibrate import calibrate
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.convert import spiking_network
from snnb.crosscheck import scipy
from snnb.crosscheck.exported import counts_of, exported_network
from snnb.formats.request import Simulated
from snnb.network.keras_file import StoredLayer
from snnb.network.read_network import assemble, read_network, write_spiking
from snnb.simulation.engines.engine import INPUT, Streams, find_event_obstacle
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from tests.conversion.conftest import slow_except
from tests.graph.networks import graph_of

SAMPLES, STEPS = 6, 12
FAST = (0, 1, 2, 6, 9, 11, 14)  # each way of conversion at least twice


class _Builder:
    """Layers of a random network, all of an image."""

    def __init__(self, random):
        self.random, self.shape = (
            random,
            (*random.integers(4, 8, 2).tolist(), int(random.integers(1, 4))),
        )
        self.entries = [
            StoredLayer(
                "input",
                "InputLayer",
                {"batch_input_shape": [None, *self.shape]},
                (),
                {},
            )
        ]
        self.last = "input"

    def add(self, kind, config, inputs=None, **arrays):
        name = f"{len(self.entries):02d}{kind}"
        self.entries.append(
            StoredLayer(name, kind, config, inputs or (self.last,), arrays)
        )
        self.last = name
        return name

    def weights(self, *shape):
        spread = self.random.choice([0.3, 1.0, 2.0]) / np.sqrt(np.prod(shape[:-1]))
        return self.random.normal(0.1 * spread, spread, shape).astype(np.float32)

    def convolution(self, channels, filters, read=None, activation="relu", size=None):
        size = size or int(self.random.integers(1, 4))
        config = {
            "filters": filters,
            "kernel_size": (size, size),
            "padding": "same",
            "activation": activation,
        }
        kernel, bias = (
            self.weights(size, size, channels, filters),
            self.weights(1, filters)[0],
        )
        return self.add("Conv2D", config, read and (read,), kernel=kernel, bias=bias)

    def block(self, channels, pools):
        """Add a random layer; return the number of its channels."""
        kind, before = (
            self.random.choice(
                ["conv", "depthwise", "pool", "add", "concatenate", "pad"]
            ),
            self.last,
        )
        filters = int(self.random.integers(2, 20))
        if kind == "depthwise":
            kernel = self.weights(3, 3, channels, 2)
            config = {
                "kernel_size": (3, 3),
                "depth_multiplier": 2,
                "padding": "same",
                "activation": "relu",
            }
            self.add(
                "DepthwiseConv2D",
                config,
                depthwise_kernel=kernel,
                bias=self.weights(1, 2 * channels)[0],
            )
            return 2 * channels
        if kind == "pool":
            self.add(
                self.random.choice(pools),
                {"pool_size": (2, 2), "strides": (1, 1), "padding": "valid"},
            )
            return channels
        if kind == "add":
            tensor, two = (
                self.convolution(channels, filters, before, "linear") for _ in range(2)
            )
            self.add("Add", {}, (tensor, two))
            self.add("Activation", {"activation": "relu"})
            return filters
        if kind == "concatenate":
            tensor, two = (
                self.convolution(channels, filters, before),
                self.convolution(channels, 2, before),
            )
            self.add("Concatenate", {"axis": 3}, (tensor, two))
            return filters + 2
        if kind == "pad":
            self.add("ZeroPadding2D", {"padding": ((1, 0), (0, 2))})
            return channels
        self.convolution(channels, filters)
        return filters


def _random_network(random, pools):
    builder = _Builder(random)
    channels = int(random.integers(2, 70))
    builder.convolution(builder.shape[2], channels)
    for _ in range(int(random.integers(0, 4))):
        channels = builder.block(channels, pools)
    builder.add("Flatten", {})
    size = assemble(builder.entries).volume(builder.last).size
    config = {"units": 3, "activation": str(random.choice(["linear", "softmax"]))}
    builder.add(
        "Dense", config, kernel=builder.weights(size, 3), bias=builder.weights(1, 3)[0]
    )
    return assemble(builder.entries)


def _integers(random, folder):
    """A random integer network, read from its file, and how it is simulated."""
    way = random.choice(["usual", "separated", "free"])
    network = _random_network(random, ["AveragePooling2D", "MaxPooling2D"])
    settings = ConversionSettings(
        weight_bits=int(random.integers(3, 17)),
        scale_per=str(random.choice(["channel", "layer"])),
        **({} if way == "usual" else {"calibrate": STEPS, "firing": str(way)}),
    )
    x = random.integers(0, 256, (40, *network.input.shape)).astype(np.float32) / 255
    if way == "usual":
        network = spiking_network(network, x, settings, 255)
    else:
        network = calibrate(network, x, settings, pixel_scale=255).network
    path = folder / "net_parsed.h5"
    write_spiking(network, path)
    dynamics = SimulationSettings(
        samples=SAMPLES,
        duration=STEPS,
        input=str(random.choice(["constant", "poisson"])),
        reset="subtraction"
        if way == "separated"
        else str(random.choice(["subtraction", "zero"])),
        initial_potential=0.5 if way == "usual" else 0.0,
    )
    return path, dynamics


def _step_by_graph(parsed_path, network, inputs, settings):
    """Counts (samples, neurons) by population, of neurons in scipy that have nothing but the exported graph."""
    constant = settings.input == "constant"
    simulation = Simulated(
        *(
            1.0,
            settings.reset,
            settings.input,
            None,
            255.0,
            None,
            None,
            STEPS,
            SAMPLES,
            0,
        ),
        initial_potential=settings.initial_potential,
    )
    coding = {"input": "current" if constant else "spikes"}
    with graph_of(
        network,
        parsed_path.parent,
        None,
        coding,
        num_samples=SAMPLES,
        num_timesteps=STEPS,
        warm_up=0,
    ) as graph:
        graph_network, steps = exported_network(graph, simulation), graph.latency
    if not constant:
        inputs = np.pad(inputs, [(0, 0), (0, 0), (0, steps - STEPS)])
    spikes = scipy.build(graph_network)(inputs, steps)
    assert graph_network.integers
    return {
        p.name: counts_of(spikes[p.name], SAMPLES, p.size, 0)
        for p in graph_network.simulated_populations
    }


@pytest.mark.parametrize("seed", slow_except(FAST, range(200)))
def test_all_engines_and_the_graph_alone_count_the_same(seed, tmp_path):
    random = np.random.default_rng(seed)
    parsed_path, settings = _integers(random, tmp_path)
    network, pixels = (
        read_network(parsed_path),
        random.integers(0, 256, (SAMPLES, *read_network(parsed_path).input.shape)),
    )
    for population in network.populations:
        for numbers in (
            population.integer_threshold,
            population.bias,
            *(p.kernel for p in population.projections),
        ):
            assert numbers is None or np.array_equal(numbers, np.rint(numbers))
    constant = settings.input == "constant"
    x = (
        pixels.astype(np.float32)
        if constant
        else (pixels / np.float32(255)).astype(np.float32)
    )
    inputs = pixels.reshape(SAMPLES, -1) / 255
    if not constant:
        drawn_poisson = Streams(settings.seed, range(SAMPLES), INPUT).poisson(
            x, settings.input_rate, STEPS
        )
        inputs = drawn_poisson.reshape(SAMPLES, STEPS, -1).swapaxes(1, 2)
    expected_graph = _step_by_graph(parsed_path, network, inputs, settings)
    engines = [TensorFlowEngine, SeparatedEngine if network.windowed else EventEngine]
    for engine in engines[
        : 1 if find_event_obstacle(network, settings) and not network.windowed else 2
    ]:
        counted_counts = (
            engine(network, settings)
            .simulate(x, 0, lambda spikes, readout: None)
            .counts
        )
        counted_counts = {
            name: counted_counts[name].reshape(SAMPLES, -1)
            for name in counted_counts
            if name != "input"
        }
        for name, counts in counted_counts.items():
            if name in expected_graph:
                np.testing.assert_array_equal(
                    counts, expected_graph[name], err_msg=f"{engine.__name__} {name}"
                )
        expected_graph = {**counted_counts, **expected_graph}
    assert any(counts.any() for counts in expected_graph.values())
