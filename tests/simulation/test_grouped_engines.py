"""Grouped convolutions in both engines, against neurons stepped with matrices.

The matrices are made by the definition of a grouped convolution. Weights are whole
eighths and pixels whole sixteenths, so that float32 adds them exactly in any order.
"""

import numpy as np
import pytest

from snnb.simulation.engines.engine import INPUT, Streams
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from tests.network.grouped import SHAPE, grouped_network
from tests.simulation.alike import run_engine

SAMPLES, STEPS = 7, 30


def pictures():
    sixteenths = np.random.default_rng(2).integers(0, 17, (SAMPLES, *SHAPE))
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


@pytest.mark.parametrize("engine", [EventEngine, TensorFlowEngine])
@pytest.mark.parametrize("coding", ["constant", "poisson"])
def test_engines_count_as_neurons_stepped_with_matrices(engine, coding):
    network, matrices = grouped_network()
    settings = SimulationSettings(
        samples=SAMPLES, duration=STEPS, input=coding, input_rate=500, seed=3
    )
    x = pictures()
    frames = [x.astype(np.float64)] * STEPS
    if coding == "poisson":
        streams = Streams(settings.seed, range(SAMPLES), INPUT)
        frames = streams.poisson(x, settings.input_rate, STEPS).swapaxes(0, 1)
    expected = step_neurons(matrices, frames)
    assert_counts(run_engine(engine, network, settings, x), expected)


@pytest.mark.parametrize("engine", [SeparatedEngine, TensorFlowEngine])
def test_separated_firing_sums_what_all_steps_send(engine):
    network, matrices = grouped_network()
    settings = SimulationSettings(samples=SAMPLES, duration=STEPS)
    x = pictures()
    result = run_engine(engine, network.separated(STEPS), settings, x)
    values = x.reshape(SAMPLES, -1) * STEPS
    expected = {}
    for name, (weights, bias) in matrices.items():
        values = np.clip(np.floor(values @ weights + bias * STEPS), 0, STEPS)
        expected[name] = values
    assert_counts(result, expected)
