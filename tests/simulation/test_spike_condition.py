"""Every engine reads threshold, reset and initial potential of a converted network from `converted_neuron`."""

from dataclasses import replace

import numpy as np
import pytest

from snnb.network import network as network_module
from snnb.network.layers import Dense
from snnb.network.network import Network, Population, Projection, Volume
from snnb.network.neuron import converted_neuron
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.event.separated import SeparatedEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from tests.simulation.alike import run_engine

F, STEPS = np.float32, 8
INTEGERS = np.array([4, 5, 6, 7, 8], F)
X = (np.random.default_rng(3).integers(0, 5, (12, 6)) / 4).astype(F)  # sums of quarters: many equal the threshold


def dense(**properties):
    layer = Dense(units=5)
    kernel = (np.random.default_rng(4).integers(-2, 5, (6, 5)) / 4).astype(F)
    if "integer_threshold" in properties:
        kernel *= 4
    projection = Projection("input", layer, layer.geometry((6,)), kernel)
    population = Population("out", (5,), "Dense", (projection,), np.zeros(5, F), "relu", **properties)
    return Network((Volume("input", (6,)), population)), kernel


def only_above(options, **properties):
    """Neurons that spike above the threshold only, and subtract it."""
    neuron = converted_neuron(options, **properties)
    theta = np.asarray(neuron.firing_threshold, F)
    return replace(neuron, firing_threshold=np.nextafter(theta, F(np.inf)), subtrahend=theta)


def stepped(kernel, theta, start, compare, reset):
    """Spike counts, step by step with numpy."""
    v, counts = np.zeros((len(X), 5)) + start, np.zeros((len(X), 5))
    for _ in range(STEPS):
        v += X @ kernel
        fired = compare(v, theta)
        counts += fired
        v = np.where(fired, 0, v) if reset == "zero" else v - fired * theta
    return counts


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("properties", "options", "theta", "start"),
    [
        ({}, {}, 1, 0),
        ({}, {"threshold": 2.0, "initial_potential": 0.5}, 2, 1),
        ({}, {"reset": "zero"}, 1, 0),
        ({"integer_threshold": INTEGERS}, {"initial_potential": 0.5}, INTEGERS, [2, 2, 3, 3, 4]),
    ],
)  # fmt: skip
def test_engines_spike_as_stated(properties, options, theta, start, strict, monkeypatch):
    if strict:
        monkeypatch.setattr(network_module, "converted_neuron", only_above)
    network, kernel = dense(**properties)
    settings = SimulationSettings(samples=len(X), duration=STEPS, output="spikes", **options)
    compare = np.greater if strict else np.greater_equal
    expected = stepped(kernel, np.array(theta), start, compare, settings.reset)
    for engine in (EventEngine(network, settings, 1), TensorFlowEngine(network, settings)):
        found = engine.simulate(X, 0, lambda *_: None).counts["out"]
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("strict", [False, True])
def test_windows_spike_as_stated(strict, monkeypatch):
    if strict:
        monkeypatch.setattr(network_module, "converted_neuron", only_above)
    network, kernel = dense()
    settings = SimulationSettings(samples=len(X), duration=STEPS, output="spikes")
    v = STEPS * (X @ kernel)
    expected = np.clip(np.ceil(v) - 1 if strict else np.floor(v), 0, STEPS)
    for kind in (SeparatedEngine, TensorFlowEngine):
        found = run_engine(kind, network.separated(STEPS), settings, X).counts["out"]
        np.testing.assert_array_equal(found, expected)
