"""Populations that sum several projections: both engines against neurons stepped in numpy, whose weights are matrices.

Weights are whole eighths and pixels whole sixteenths, so that float32 adds them exactly in whatever order; with other
numbers, the engine `event` is compared with sums in the order that docs/simulation.md states.
"""

from dataclasses import replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from snnb.model_files.keras import keras
from snnb.network.read_network import read_network
from snnb.simulation.engines.engine import INPUT, Streams
from snnb.simulation.engines.event import compiled_network as event_network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from snnb.training.keras_model import write_model
from tests.conversion.conftest import slow_except
from tests.simulation.alike import observe_engine, run_engine

Input = keras.Input
Model = keras.Model
layers = keras.layers

SAMPLES = 11
STEPS = 40
SHAPE = (6, 7, 2)
OPTIONS = [
    {},
    {"warm_up": 13, "threshold": 2.0},
    {"reset": "zero", "threshold": 0.5},
    {"input": "poisson", "input_rate": 600},
    {"input": "poisson", "threshold": 0.5, "reset": "zero"},
]


def _convolutions():
    """Behind populations of other strides and paddings; one of them pools."""
    return {
        "a": [("input", layers.Conv2D(3, 3, padding="same"))],
        "b": [("input", layers.Conv2D(2, (3, 2), strides=(2, 1)))],
        "pooled": [("a", layers.AveragePooling2D(2, name="pooled"))],
        "sum": [
            ("pooled", layers.Conv2D(4, 2, padding="valid")),
            ("b", layers.Conv2D(4, (1, 3), strides=(1, 3), padding="same")),
        ],
        "out": [("sum", layers.Flatten(), layers.Dense(3))],
    }


def _shortcut():
    """A residual block with a depthwise convolution of one tap as its shortcut."""
    return {
        "a": [("input", layers.Conv2D(4, 3, padding="same"))],
        "b": [("a", layers.Conv2D(5, 3, padding="same", dilation_rate=2))],
        "sum": [
            ("b", layers.Conv2D(4, 3, padding="same")),
            ("a", layers.DepthwiseConv2D(1, use_bias=False)),
        ],
        "out": [("sum", layers.Flatten(), layers.Dense(3))],
    }


def _three():
    """Two of the terms from the same population, with other weights; the sum has no activation of its own."""
    return {
        "a": [("input", layers.Conv2D(4, 3, padding="same", strides=2))],
        "b": [("input", layers.DepthwiseConv2D(2, 2, "same", depth_multiplier=2))],
        "linear": [
            ("a", layers.Conv2D(4, 3, padding="same")),
            ("b", layers.DepthwiseConv2D(3, padding="same")),
            ("a", layers.Dense(4)),
        ],
        "out": [("linear", layers.Flatten(), layers.Dense(3))],
    }


def _dense():
    return {
        "a": [("input", layers.Flatten(), layers.Dense(9))],
        "b": [("input", layers.Conv2D(2, 3, strides=2))],
        "sum": [
            ("a", layers.Dense(70)),
            ("b", layers.Flatten(), layers.Dense(70, use_bias=False)),
        ],
        "out": [("sum", layers.Dense(3)), ("a", layers.Dense(3))],
    }


def _with_input():
    """The input as a term beside spikes, padded and joined with itself; and a sum of the input alone."""
    return {
        "a": [
            ("input", layers.Conv2D(2, 3, padding="same")),
            ("input", layers.DepthwiseConv2D(3, padding="same")),
        ],
        "sum": [
            ("a", layers.Conv2D(3, 3)),
            ("input", layers.ZeroPadding2D(1), layers.Conv2D(3, 5)),
        ],
        "wide": [
            ("input", layers.Conv2D(3, 3)),
            ("sum", layers.Conv2D(3, 1)),
            ("a", layers.Conv2D(3, 3)),
        ],
        "out": [
            ("wide", layers.Flatten(), layers.Dense(3)),
            ("input", layers.Flatten(), layers.Dense(3)),
        ],
    }


def _one_to_one():
    """Depthwise convolutions that connect each neuron to one other, by any of their taps, and such as nearly do."""
    return {
        "a": [("input", layers.Conv2D(4, 3, padding="same"))],
        "b": [("a", layers.DepthwiseConv2D(1))],
        "c": [("b", layers.DepthwiseConv2D(3, padding="same"))],
        "doubled": [("c", layers.DepthwiseConv2D(1, depth_multiplier=2))],
        "halved": [
            ("c", layers.DepthwiseConv2D(1, strides=2)),
            ("a", layers.Conv2D(4, 1, strides=2)),
        ],
        "point": [("halved", layers.Conv2D(3, (3, 4)))],
        "middle": [
            ("point", layers.DepthwiseConv2D(3, padding="same")),
            ("point", layers.Conv2D(3, 1)),
        ],
        "again": [("middle", layers.DepthwiseConv2D((3, 5), padding="same"))],
        "out": [
            ("again", layers.Flatten(), layers.Dense(3)),
            ("doubled", layers.Flatten(), layers.Dense(3)),
        ],
    }


CASES = {
    case.__name__: case
    for case in (_convolutions, _shortcut, _three, _dense, _with_input, _one_to_one)
}


@lru_cache(maxsize=None)
def _built(name, exact=True):
    """The network of a Keras model's file, pictures, and the populations by name: matrices and bias of each.

    Not `exact`: weights and pixels of all bits, and no biases, so that the matrices have exactly these weights.
    """
    populations = CASES[name]()
    tensors = {"input": Input(SHAPE, name="input")}
    for population, terms in populations.items():
        ends = []
        for source, *behind in terms:
            ends.append(tensors[source])
            for layer in behind:
                ends[-1] = layer(ends[-1])
        if population == "pooled":
            (tensors[population],) = ends
        elif population == "linear":
            tensors[population] = layers.Add(name=population)(ends)
        else:
            end = ends[0] if len(ends) == 1 else layers.Add()(ends)
            tensors[population] = layers.Activation("relu", name=population)(end)
    model = Model(tensors["input"], tensors["out"])
    random = np.random.default_rng(4)
    for weights in model.weights:
        shape, is_kernel = weights.shape, len(weights.shape) > 1
        eighths = (
            random.choice(
                [-3, -2, -1, -1, 0, 1, 1, 2, 3] if is_kernel else [0, 1, 2], shape
            )
            / 8
        )
        weights.assign(eighths if exact else random.normal(0.1, 0.3, shape) * is_kernel)
    with TemporaryDirectory() as folder:
        write_model(model, Path(folder) / "several_parsed.h5")
        network = read_network(Path(folder) / "several_parsed.h5")
    shapes = {name: tensor.shape[1:] for name, tensor in tensors.items()}
    connections = {
        population: [
            (source, *_matrix(behind, shapes[source])) for source, *behind in terms
        ]
        for population, terms in populations.items()
    }
    pictures = (
        random.integers(0, 17, (SAMPLES, *SHAPE)) / 16
        if exact
        else random.random((SAMPLES, *SHAPE))
    )
    pictures = pictures.astype(np.float32)
    return network, pictures, connections


def _matrix(layers, shape):
    """Weights and bias that layers in a row amount to: what they make of every unit vector, and of nothing."""
    size = int(np.prod(shape))
    out = np.eye(size + 1, size, dtype=np.float32).reshape(size + 1, *shape)
    for layer in layers:
        out = layer(out).numpy()
    flat = out.reshape(size + 1, -1).astype(np.float64)
    return flat[:size] - flat[size], flat[size]


def _step_neurons(connections, frames, settings):
    """Spike counts of each population, the output's current summed over all steps, and changes of potentials.

    By the definition of each; in the first step all potentials count as changed, as in NeuroBench.
    """
    potential = dict.fromkeys(connections, 0.0)
    counts = dict.fromkeys(connections, 0)
    readout, updates = 0.0, 0
    for step, frame in enumerate(frames):
        active = {"input": frame.reshape(SAMPLES, -1)}
        for population, terms in connections.items():
            current = sum(
                active[source] @ weights + bias for source, weights, bias in terms
            )
            reached_potential = potential[population] + current
            fires = reached_potential >= settings.threshold
            active[population] = fires * settings.threshold
            reset = (
                0
                if settings.reset == "zero"
                else reached_potential - settings.threshold
            )
            after = np.where(fires, reset, reached_potential)
            changed_size = (
                after.size
                if step == 0
                else np.count_nonzero(after != potential[population])
            )
            updates += changed_size * (step >= settings.warm_up)
            potential[population] = after
            counts[population] = counts[population] + fires * (step >= settings.warm_up)
        readout = readout + current
    return counts, readout, updates


def _stepped_in_windows(network, connections, frames, steps, starts):
    """As `_stepped`, of a network whose populations fire one after the other: counts, read-out and spike times."""
    depths = {
        population.name: population.window[0] // steps
        for population in network.populations
    }
    potential = {name: starts[name] for name in connections}
    counts = dict.fromkeys(connections, 0)
    times = {name: [] for name in connections}
    readout = []
    for step in range(steps * (max(depths.values()) + 1)):
        active = {
            "input": frames[step].reshape(SAMPLES, -1)
            if step < steps
            else 0 * frames[0].reshape(SAMPLES, -1)
        }
        for population, terms in connections.items():
            integrates = (
                steps * (depths[population] - 1) <= step < steps * depths[population]
            )
            current = sum(
                active[source] @ weights + integrates * bias
                for source, weights, bias in terms
            )
            potential[population] = potential[population] + current
            fires = (potential[population] >= 1) & (
                depths[population] <= step / steps < depths[population] + 1
            )
            active[population] = fires * 1.0
            potential[population] = potential[population] - fires
            counts[population] = counts[population] + fires
            times[population] += [
                (sample, neuron, step) for sample, neuron in zip(*np.nonzero(fires))
            ]
        readout.append((readout[-1] if readout else 0.0) + current)
    return counts, np.stack(readout, axis=1), times


@pytest.mark.parametrize(
    ("case", "coding"),
    slow_except(
        [("_three", "constant"), ("_dense", "poisson")],
        product(CASES, ["constant", "poisson"]),
    ),
)
def test_windows_are_those_of_neurons_that_fire_one_after_the_other(case, coding):
    network, pictures, connections = _built(case)
    steps, random = 8, np.random.default_rng(4)
    start = {
        p.name: random.choice([0.25, 0.5], p.shape[-1]).astype(np.float32)
        for p in network.populations
    }
    volumes = [
        replace(v, initial_potential=start[v.name]) if v.name in start else v
        for v in network.volumes
    ]
    network = replace(network, volumes=tuple(volumes)).separated(steps)
    settings = SimulationSettings(
        samples=SAMPLES, duration=steps, seed=3, record_spikes=SAMPLES, input=coding
    )
    starts = {p.name: np.resize(start[p.name], p.size) for p in network.populations}
    expected_counts, readout, times = _stepped_in_windows(
        network, connections, _frames(pictures, settings), steps, starts
    )
    for engine in (TensorFlowEngine, SeparatedEngine):
        found_counts, spikes, readouts = observe_engine(
            engine, network, settings, pictures
        )
        np.testing.assert_array_equal(readouts, readout)
        np.testing.assert_array_equal(
            spikes.sum(axis=1), expected_counts[network.output.name]
        )
        assert set(found_counts.spikes) == {"input", *expected_counts}
        for name, counts in expected_counts.items():
            np.testing.assert_array_equal(
                found_counts.counts[name].reshape(SAMPLES, -1), counts, err_msg=name
            )
            assert sorted(map(tuple, found_counts.spikes[name].tolist())) == sorted(
                times[name]
            ), name


def _in_stated_order(terms, active):
    """float32 sums: one projection after the other, and of each the inputs in rising order; products are exact."""
    total = np.float32(0)
    for source, weights, _ in terms:
        for i, row in enumerate(weights):
            total = (
                active[source][:, i : i + 1].astype(np.longdouble) * row + total
            ).astype(np.float32)
    return total


@pytest.mark.parametrize("case", CASES)
def test_sums_have_the_bits_of_the_stated_order(case):
    network, pictures, connections = _built(case, exact=False)
    random = np.random.default_rng(1)
    biases = {
        p.name: random.normal(0, 0.1, p.shape[-1]).astype(np.float32)
        for p in network.populations
    }
    network = network.with_populations(
        replace(p, bias=biases[p.name]) for p in network.populations
    )
    settings = SimulationSettings(samples=SAMPLES, duration=STEPS)
    x = pictures.reshape(SAMPLES, -1)

    constant = event_network.EventNetwork(network, settings).sum_constant_currents(
        pictures
    )
    input_values = {
        name: [term for term in terms if term[0] == "input"]
        for name, terms in connections.items()
    }
    assert set(constant) == {name for name, terms in input_values.items() if terms}
    for name, currents in constant.items():
        expected_counts = _in_stated_order(input_values[name], {"input": x})
        np.testing.assert_array_equal(
            currents[:, : expected_counts.shape[1]], expected_counts, err_msg=name
        )

    bias = {p.name: np.resize(biases[p.name], p.size) for p in network.populations}
    potential, counts = (
        dict.fromkeys(connections, np.float32(0)),
        dict.fromkeys(connections, 0),
    )
    active = {"input": x}
    input_first = {
        name: sorted(terms, key=lambda term: term[0] != "input")
        for name, terms in connections.items()
    }
    for _ in range(STEPS):
        for name, terms in input_first.items():
            potential[name] = potential[name] + (
                _in_stated_order(terms, active) + bias[name]
            )
            active[name] = (potential[name] >= 1).astype(np.float32)
            potential[name] = potential[name] - active[name]
            counts[name] = counts[name] + active[name]
    found_counts = run_engine(EventEngine, network, settings, pictures).counts
    for name, expected_counts in counts.items():
        np.testing.assert_array_equal(
            found_counts[name].reshape(SAMPLES, -1), expected_counts, err_msg=name
        )

    spikes_sent, steps = {"input": x * np.float32(STEPS)}, np.float32(STEPS)
    found_counts = run_engine(
        SeparatedEngine, network.separated(STEPS), settings, pictures
    )
    for name, terms in connections.items():
        received_current = _in_stated_order(terms, spikes_sent) + bias[name] * steps
        spikes_sent[name] = np.clip(np.floor(received_current), 0, steps)
        np.testing.assert_array_equal(
            found_counts.counts[name].reshape(SAMPLES, -1),
            spikes_sent[name],
            err_msg=name,
        )
    np.testing.assert_array_equal(found_counts.readout, received_current)


def _frames(pictures, settings):
    if settings.input == "constant":
        return [pictures.astype(np.float64)] * STEPS
    return (
        Streams(settings.seed, range(SAMPLES), INPUT)
        .poisson(pictures, settings.input_rate, STEPS)
        .swapaxes(0, 1)
    )


def _assert_counts(found_counts, network, expected_counts, readout):
    assert {population.name for population in network.populations} == set(
        expected_counts
    )
    for name, counts in expected_counts.items():
        assert 0 < counts.mean() < STEPS, name
        np.testing.assert_array_equal(
            found_counts.counts[name].reshape(SAMPLES, -1), counts, err_msg=name
        )
    np.testing.assert_array_equal(found_counts.readout, readout)


@pytest.mark.parametrize(("case", "options"), list(zip(CASES, [*OPTIONS, {}])), ids=str)
def test_engines_count_as_neurons_stepped_with_matrices(case, options):
    network, pictures, connections = _built(case)
    settings = SimulationSettings(
        samples=SAMPLES, duration=STEPS, seed=3, record_spikes=SAMPLES, **options
    )
    expected_counts, readout, updates = _step_neurons(
        connections, _frames(pictures, settings), settings
    )
    result, two = (
        run_engine(engine, network, settings, pictures)
        for engine in (TensorFlowEngine, EventEngine)
    )
    _assert_counts(result, network, expected_counts, readout)
    _assert_counts(two, network, expected_counts, readout)
    assert list(result.counts) == list(two.counts)
    np.testing.assert_array_equal(two.late, result.late)
    assert (two.membrane_updates, result.membrane_updates) == (updates, None)
    assert updates < SAMPLES * settings.counted_steps * network.neurons
    for name, spikes in result.spikes.items():
        np.testing.assert_array_equal(two.spikes[name], spikes, err_msg=name)
        np.testing.assert_array_equal(
            spikes, spikes[np.lexsort(spikes.T[[1, 2, 0]])]
        )  # by sample, step, neuron
