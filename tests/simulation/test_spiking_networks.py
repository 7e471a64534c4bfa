"""Networks that were trained as spiking ones: both engines against neurons stepped in numpy, on random networks.

Weights are whole eighths and inputs small integers, so that float32 adds the currents exactly in whatever order; the
neurons are stepped in float32 in the order that `Neuron` documents.
"""

import itertools
from typing import Any, Dict, List

import numpy as np
import pytest

from snnb.network.event_samples import InputSteps
from snnb.network.layers import (
    AveragePooling2D,
    Conv2D,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    ZeroPadding2D,
)
from snnb.network.network import Network, Population, Projection, Reindexed, Volume
from snnb.network.neuron import Neuron
from snnb.simulation.engines.engine import find_event_obstacle
from snnb.simulation.engines.event import compiled_network
from snnb.simulation.engines.event.event_engine import EventEngine
from snnb.simulation.engines.tensorflow_engine import TensorFlowEngine
from snnb.simulation.settings import SimulationSettings
from tests.conversion.conftest import slow_except
from tests.simulation.alike import observe_engine, spike_trains

SAMPLES = 11
STEPS = 37
SHAPE = (5, 6, 2)
F = np.float32


class Built:
    """A network as the package has it and, to step it, its volumes as plain values."""

    def __init__(self, random, shapes):
        self.random, self.shapes = random, shapes
        self.volumes: List[Any] = [Volume("input", shapes["input"])]
        self.plain: Dict[
            str, Any
        ] = {}  # by name: source and function of an array, or terms, bias and neuron

    def move(self, name, source, layer, function):
        self.volumes.append(Reindexed(name, self.shapes[name], layer, (source,)))
        self.plain[name] = (source, function)

    def population(self, name, kind, *terms):
        """Terms are (source, layer, delay)."""
        projections = []
        plain_sources = []
        shape = self.shapes[name]
        for source, layer, delay in terms:
            geometry = layer.geometry(self.shapes[source])
            assert geometry.shape == shape
            kernel = bias = None
            if layer.KERNEL:
                kernel = (
                    self.random.choice(
                        [-2, -1, 0, 1, 2, 3], layer.kernel_shape(geometry)
                    )
                    / 8
                ).astype(F)
            if delay == 1:
                bias = (self.random.choice([-1, 0, 1, 2], shape[-1]) / 8).astype(F)
            projections.append(Projection(source, layer, geometry, kernel, delay, bias))
            plain_sources.append((source, layer, kernel, delay, bias))
        bias, numbers = (
            (self.random.choice([0, 1, 2], shape[-1]) / 16).astype(F),
            self.numbers(kind, shape),
        )
        stated_numbers = {
            key: values for key, values in numbers.items() if key != "spikes"
        }
        neuron, kind = (
            Neuron.from_numbers(stated_numbers, is_spiking=numbers.get("spikes", True)),
            type(terms[0][1]).__name__,
        )
        self.volumes.append(
            Population(
                name, shape, kind, tuple(projections), bias, "linear", neuron=neuron
            )
        )
        self.plain[name] = (plain_sources, bias, numbers)

    @property
    def network(self):
        return Network(tuple(self.volumes))

    def numbers(self, kind, shape):
        """Random numbers of neurons: one for all, one for each channel, or one for each neuron."""

        def draw_numbers(low, high):
            size = [(), shape[-1:], shape][self.random.integers(3)]
            return self.random.uniform(low, high, size)

        numbers = {"threshold": draw_numbers(0.4, 1.5).astype(F)}
        if kind != "IF":
            numbers.update(
                leak=draw_numbers(0.3, 0.999),
                gain=draw_numbers(0.2, 1.2),
                offset=draw_numbers(-0.05, 0.1),
                initial=draw_numbers(-0.2, 0.3),
            )
        if kind == "CubaLIF":
            numbers.update(
                current_leak=draw_numbers(0, 0.9),
                current_gain=draw_numbers(0.5, 2),
            )
        if kind == "LI":
            numbers["spikes"] = False
        how = self.random.integers(3)
        if how == 1:
            numbers["reset"] = draw_numbers(-0.3, 0.3)
        elif how == 2:
            numbers["subtrahend"] = np.asarray(numbers["threshold"]) * F(0.75)
        return numbers


def convolutional(random, kinds, late):
    """Convolutions of the input and of spikes, padded and cropped, a pooling, a cycle of two populations, and delays.

    The last population reads the input with a delay of `late` steps.
    """
    shapes = {
        "input": SHAPE,
        "padded": (6, 9, 2),
        "a": (3, 4, 5),
        "b": (3, 4, 5),
        "inner": (2, 3, 5),
        "c": (1, 2, 5),
    }
    built = Built(
        random,
        {
            **shapes,
            "flat": (10,),
            "all": (60,),
            "left": (5, 4, 2),
            "pixels": (40,),
            "out": (4,),
        },
    )
    pads = ((1, 0), (2, 1))
    built.move(
        "padded",
        "input",
        ZeroPadding2D(padding=pads),
        lambda x: np.pad(x, [(0, 0), *pads, (0, 0)]),
    )
    built.population(
        "a", kinds[0], ("padded", Conv2D(filters=5, kernel_size=(2, 3), strides=(2, 2)), 0),
        ("b", Conv2D(filters=5, kernel_size=(3, 3), padding="same"), 1),
    )  # fmt: skip
    built.population(
        "b", kinds[1], ("a", DepthwiseConv2D(kernel_size=(3, 3), padding="same"), 0)
    )
    built.move(
        "inner", "b", Cropping2D(cropping=((1, 0), (0, 1))), lambda x: x[:, 1:, :-1]
    )
    built.population(
        "c", kinds[2], ("inner", AveragePooling2D(pool_size=(2, 2), strides=(1, 1)), 0)
    )
    built.move(
        "left", "input", Cropping2D(cropping=((0, 0), (0, 2))), lambda x: x[:, :, :4]
    )
    for name, source in ("flat", "c"), ("all", "a"), ("pixels", "left"):
        built.move(name, source, Flatten(), lambda x: x.reshape(len(x), -1))
    readers = [
        ("flat", Dense(units=4), 0),
        ("all", Dense(units=4), 3),
        ("pixels", Dense(units=4), late),
    ]
    built.population("out", kinds[3], *readers)
    return built


def dense(random, kinds, late):
    """A population that reads itself and a later one, which reads the input with a delay of `late` steps."""
    built = Built(
        random, {"input": (9,), "a": (70,), "b": (100,), "c": (3,), "out": (5,)}
    )
    built.population(
        "a",
        kinds[0],
        *(
            (source, Dense(units=70), int(source != "input"))
            for source in ("input", "a", "b")
        ),
    )
    built.population(
        "b", kinds[1], ("a", Dense(units=100), 0), ("input", Dense(units=100), late)
    )
    built.population("c", kinds[2], ("b", Dense(units=3), 0))
    built.population(
        "out", kinds[3], ("c", Dense(units=5), 0), ("a", Dense(units=5), 0)
    )
    return built


def current_of(layer, kernel, x, shape):
    """The current of a projection without bias, one output after the other."""
    if isinstance(layer, Dense):
        return x @ kernel
    size, strides = (
        (layer.pool_size if kernel is None else layer.kernel_size),
        layer.strides,
    )
    if layer.padding == "same":
        x = np.pad(x, [(0, 0), *(((k - 1) // 2, k // 2) for k in size), (0, 0)])
    current = np.zeros((len(x), *shape), F)
    for row in range(shape[0]):
        for column in range(shape[1]):
            top, left_column = row * strides[0], column * strides[1]
            window = x[:, top : top + size[0], left_column : left_column + size[1]]
            if kernel is None:
                current[:, row, column] = window.mean(axis=(1, 2))
            elif isinstance(layer, DepthwiseConv2D):
                current[:, row, column] = (window * kernel[..., 0]).sum(axis=(1, 2))
            else:
                current[:, row, column] = np.tensordot(window, kernel, 3)
    return current


def step_neurons(built, frames):
    """Spikes of each population in each step, (steps, samples, *shape), the largest potential of the last one.

    And how many potentials each step changes.
    """
    values: Dict[str, List[Any]] = {name: [] for name in built.shapes}
    state = {}
    largest = None
    updates = np.zeros(len(frames), np.int64)
    for step, frame in enumerate(frames):
        for name, shape in built.shapes.items():
            if name == "input":
                values[name].append(frame)
                continue
            if len(built.plain[name]) == 2:
                source, function = built.plain[name]
                values[name].append(function(values[source][step]))
                continue
            terms, bias, numbers = built.plain[name]
            x = np.zeros((len(frame), *shape), F)
            for source, layer, kernel, delay, late in terms:
                if step >= delay:
                    x = x + current_of(
                        layer, kernel, values[source][step - delay], shape
                    )
                if late is not None and step > 0:
                    x = x + late
            v, i = state.get(
                name,
                (F(numbers.get("initial", 0)) + np.zeros_like(x), np.zeros_like(x)),
            )
            before = v
            x = x + bias
            if "current_leak" in numbers:
                i = i + (
                    F(numbers["current_gain"]) * x - F(1 - numbers["current_leak"]) * i
                )
                x = i
            leak_rate = F(1 - numbers.get("leak", 1))
            gain = F(numbers.get("gain", 1))
            offset = F(numbers.get("offset", 0))
            v = v + ((gain * x + offset) - leak_rate * v)
            if name == "out":
                largest = v if step == 0 else np.maximum(largest, v)
            spikes = (v >= numbers["threshold"]) & numbers.get("spikes", True)
            after = v - F(numbers.get("subtrahend", numbers["threshold"]))
            if "reset" in numbers:
                after = F(numbers["reset"])
            assert v.dtype == i.dtype == F
            state[name] = np.where(spikes, after, v), i
            updates[step] += np.count_nonzero(state[name][0] != before)
            values[name].append(spikes.astype(F))
    return (
        {name: np.stack(step_values) for name, step_values in values.items()},
        largest,
        updates,
    )


CASES = [
    (convolutional, ("IF", "LIF", "LIF", "CubaLIF")),
    (convolutional, ("CubaLIF", "IF", "IF", "LI")),
    (dense, ("CubaLIF", "LIF", "IF", "LI")),
    (dense, ("LIF", "CubaLIF", "LIF", "IF")),
]


CODINGS = ["events", "steps", "constant"]
FAST = [(0, "constant"), (1, "events"), (2, "steps"), (3, "events")]


@pytest.mark.parametrize(
    ("number", "coding"), slow_except(FAST, itertools.product(range(20), CODINGS))
)
def test_engines_count_as_neurons_stepped_in_numpy(number, coding, monkeypatch):
    monkeypatch.setattr(
        compiled_network, "TRAIN_STEPS", (2, 100)[number % 2]
    )  # fewer than the longest delay, or all
    make, kinds = CASES[number % len(CASES)]
    random = np.random.default_rng(number)
    built = make(random, kinds, late=0 if coding == "constant" else 2)
    network, shape = built.network, built.shapes["input"]
    frames = random.choice([0, 0, 0, 1, 1, 2, 3], (SAMPLES, STEPS, *shape)).astype(F)
    if coding == "steps":
        frames = frames / 4 - 0.25
    elif coding == "constant":
        frames = np.broadcast_to(frames[:, :1] / 4, frames.shape).copy()
    frames[3, 20:] = frames[3, 20:] if coding == "constant" else 0
    settings = SimulationSettings(
        samples=SAMPLES, duration=STEPS, input=coding, warm_up=6, record_spikes=2
    )
    expected_counts, largest, updates = step_neurons(built, frames.swapaxes(0, 1))
    x = frames[:, 0] if coding == "constant" else InputSteps.dense(frames)
    assert not find_event_obstacle(network, settings)
    for engine in (TensorFlowEngine, EventEngine):
        found_counts, spikes, readouts = observe_engine(engine, network, settings, x)
        assert found_counts.membrane_updates == (
            updates[6:].sum() if engine is EventEngine else None
        )
        for name in (p.name for p in network.populations if p.neuron.is_spiking):
            own_counts = expected_counts[name].astype(np.int64)
            assert number >= len(CASES) or 0 < own_counts.mean() < 1.5, name
            np.testing.assert_array_equal(
                found_counts.counts[name], own_counts[6:].sum(axis=0), err_msg=name
            )
            times = spike_trains(
                found_counts.spikes[name], 2, STEPS, network.volume(name).size
            )
            np.testing.assert_array_equal(
                times, own_counts.swapaxes(0, 1)[:2].reshape(times.shape), err_msg=name
            )
        out = expected_counts["out"].swapaxes(0, 1)
        np.testing.assert_array_equal(spikes, out.astype(np.bool_))
        if kinds[3] == "LI":
            np.testing.assert_array_equal(found_counts.readout, largest)
            np.testing.assert_array_equal(readouts[:, -1], largest)
        else:
            assert found_counts.readout is None
            assert readouts is None
