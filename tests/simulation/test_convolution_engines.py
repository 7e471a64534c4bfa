"""Grouped and transposed convolutions in both engines, against neurons stepped with matrices.

The matrices are made by the definitions of these convolutions. Weights are whole
eighths and pixels whole sixteenths, so that float32 adds them exactly in any order.
"""

from dataclasses import replace

import numpy as np
import pytest

from snnb.core.compiled import compiled
from snnb.simulation.engines.engine import INPUT, Streams
from snnb.simulation.engines.event import compiled_loops
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.loop_arrays import (
    WORD_SIZE,
    InputEntries,
    round_up,
    zeros,
)
from snnb.simulation.engines.event.projection_tables import make_input_table
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from tests.network.convolution_networks import NETWORKS
from tests.simulation.alike import run_engine
from tests.simulation.test_several_projections import _in_stated_order

SAMPLES, STEPS = 7, 30


def pictures(network):
    shape = (SAMPLES, *network.input.shape)
    sixteenths = np.random.default_rng(2).integers(0, 17, shape)
    return (sixteenths / 16).astype(np.float32)


def step_neurons(matrices, frames):
    """Return the spike counts of each population, whose neurons subtract at 1."""
    potential = dict.fromkeys(matrices, 0.0)
    counts = dict.fromkeys(matrices, 0)
    for frame in frames:
        active = frame.reshape(SAMPLES, -1)
        for name, (weights, bias) in matrices.items():
            potential[name] = potential[name] + (active @ weights + bias)
            active = (potential[name] >= 1).astype(float)
            potential[name] = potential[name] - active
            counts[name] = counts[name] + active
    return counts


def assert_counts(result, expected):
    for name, counts in expected.items():
        assert 0 < counts.mean() < STEPS, name
        found = result.counts[name].reshape(SAMPLES, -1)
        np.testing.assert_array_equal(found, counts, err_msg=name)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("engine", [EventEngine, TensorFlowEngine])
@pytest.mark.parametrize("coding", ["constant", "poisson"])
def test_engines_count_as_neurons_stepped_with_matrices(name, engine, coding):
    network, matrices = NETWORKS[name]()
    settings = SimulationSettings(
        samples=SAMPLES, duration=STEPS, input=coding, input_rate=500, seed=3
    )
    x = pictures(network)
    frames = [x.astype(np.float64)] * STEPS
    if coding == "poisson":
        streams = Streams(settings.seed, range(SAMPLES), INPUT)
        frames = streams.poisson(x, settings.input_rate, STEPS).swapaxes(0, 1)
    expected = step_neurons(matrices, frames)
    assert_counts(run_engine(engine, network, settings, x), expected)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("engine", [SeparatedEngine, TensorFlowEngine])
def test_separated_firing_sums_what_all_steps_send(name, engine):
    network, matrices = NETWORKS[name]()
    settings = SimulationSettings(samples=SAMPLES, duration=STEPS)
    x = pictures(network)
    result = run_engine(engine, network.separated(STEPS), settings, x)
    values = x.reshape(SAMPLES, -1) * STEPS
    expected = {}
    for name, (weights, bias) in matrices.items():
        values = np.clip(np.floor(values @ weights + bias * STEPS), 0, STEPS)
        expected[name] = values
    assert_counts(result, expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_sums_have_the_bits_of_the_stated_order(name):
    """Weights that are rounded, so that another order would give other sums."""
    network, matrices = NETWORKS[name]()
    factor = np.float32(0.3)
    populations = []
    for population in network.populations:
        weights = population.only.weights() * factor
        projection = population.only.replace_weights(weights)
        populations.append(replace(population, projections=(projection,)))
    network = network.with_populations(populations)
    steps = 5
    settings = SimulationSettings(samples=SAMPLES, duration=steps)
    x = pictures(network) / np.float32(1.3)
    result = run_engine(EventEngine, network, settings, x)
    potential = dict.fromkeys(matrices, np.float32(0))
    counts = dict.fromkeys(matrices, 0)
    for _ in range(steps):
        active = x.reshape(SAMPLES, -1)
        for population, (matrix, bias) in matrices.items():
            weights = matrix.astype(np.float32) * factor
            current = _in_stated_order([("", weights, bias)], {"": active}) + bias
            potential[population] = potential[population] + current
            active = (potential[population] >= 1).astype(np.float32)
            potential[population] = potential[population] - active
            counts[population] = counts[population] + active
    for population, expected in counts.items():
        found = result.counts[population].reshape(SAMPLES, -1)
        np.testing.assert_array_equal(found, expected, err_msg=population)


@compiled
def _add_input(currents, stride, entries):
    compiled_loops.add_entries(currents, stride, entries, entries.step_start[0])


@pytest.mark.parametrize("name", NETWORKS)
def test_input_that_changes_is_weighed_by_the_matrix(name):
    network, matrices = NETWORKS[name]()
    population = network.populations[0]
    matrix, _ = matrices[population.name]
    random = np.random.default_rng(4)
    table = make_input_table(population.only, np.float32)
    values = random.integers(-8, 9, (2, len(matrix))).astype(np.float32)
    entries = InputEntries(
        step_start=np.array([[0, len(matrix), 2 * len(matrix)]]),
        neuron=np.tile(np.arange(len(matrix), dtype=np.int32), 2),
        value=values.ravel(),
        runs=table.runs,
        arrivals=table.arrivals,
    )
    stride = round_up(population.size)
    currents = zeros((2 * stride + WORD_SIZE,), np.float32)
    _add_input(currents, stride, entries)
    found = currents[: 2 * stride].reshape(2, stride)[:, : population.size]
    np.testing.assert_array_equal(found, values @ matrix)
