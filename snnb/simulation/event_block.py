"""The state of a block of samples in the event-driven engine, and a sample's way through some steps."""

from typing import Dict, List, Tuple

import numpy as np

from snnb.simulation import event_trains
from snnb.simulation.block import BlockCounts, late_quarters, spike_table
from snnb.simulation.event_kernels import constant
from snnb.simulation.event_network import EventNetwork, aligned
from snnb.simulation.event_types import Neurons, Train
from snnb.simulation.layers import POPULATIONS, InputLayer, Layer, MaxPooling2D, activation
from snnb.simulation.randomness import INPUT, SOFTMAX, Streams

NO_NUMBERS = np.zeros(0, np.float32)
NOT_POOLED = NO_NUMBERS, np.zeros(0, np.int32)
NO_SPIKES = np.zeros(0, np.int32)
NO_UNIFORMS = np.zeros((0, 0), np.float32)


class Scratch:
    """What a thread needs while it works on a sample; arrays are made when they are first asked for."""

    def __init__(self, prepared: EventNetwork) -> None:
        self._steps = prepared.train_steps
        self._trains: Dict[Tuple[str, int], Train] = {}
        self._currents: Dict[str, Tuple[np.ndarray, np.ndarray]] = {}

    def train(self, layer: Layer, number: int = 0) -> Train:
        """Room for the spikes of all a layer's neurons in all steps."""
        if (layer.name, number) not in self._trains:
            events = np.empty(self._steps * layer.size, np.int32)
            self._trains[layer.name, number] = Train(events, np.zeros(self._steps + 1, np.int64))
        return self._trains[layer.name, number]

    def current(self, name: str, base: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Current, now at its base, and spikes of a population."""
        if name not in self._currents:
            self._currents[name] = aligned(base), aligned(np.zeros(len(base), np.uint8))
        current, spikes = self._currents[name]
        current[:] = base
        return current, spikes


class SampleBlock:
    """Membrane potentials and counts of n samples, from rest on."""

    def __init__(self, prepared: EventNetwork, x: np.ndarray, first: int) -> None:
        self._prepared, self._x, self._first = prepared, x, first
        network, settings = prepared.network, prepared.settings
        n, self._populations = len(x), network.populations
        self._recorded = max(0, min(n, settings.record_spikes - first))
        self._base, self._constant = prepared.without_spikes(x)
        self._potential: Dict[str, np.ndarray] = {}
        self._counts: Dict[str, np.ndarray] = {}
        self._pooled: Dict[str, Tuple[np.ndarray, np.ndarray]] = {}
        for layer in self._populations:
            size = len(prepared.base[layer.name])
            self._potential[layer.name] = aligned(np.zeros((n, size), np.float32))
            self._counts[layer.name] = np.zeros((n, size), np.int32)
            if isinstance(layer, MaxPooling2D):
                inputs = network.layer(layer.inputs[0]).size
                self._pooled[layer.name] = np.zeros((n, inputs), np.float32), np.full((n, layer.size), -1, np.int32)
        self._late = np.zeros((n, len(self._populations), 2), np.int64)
        self._readout = np.zeros((n, network.output.size), np.float32)
        self._input_counts = np.zeros((n, network.input.size), np.int64)
        each = [range(first + i, first + i + 1) for i in range(n)]
        softmax = [layer.name for layer in self._populations if activation(layer) == "softmax"]
        self._inputs = [Streams(settings.seed, sample, INPUT) for sample in each]
        self._uniforms = {
            name: [Streams(settings.seed, sample, SOFTMAX + i) for sample in each] for i, name in enumerate(softmax)
        }
        names = [network.input.name, *self._potential]
        self._tables: Dict[str, List[np.ndarray]] = {name: [] for name in names} if self._recorded else {}

    def forget_counts(self) -> None:
        """Count from here on."""
        for counts in (self._input_counts, *self._counts.values()):
            counts[:] = 0

    def advance(self, scratch: Scratch, sample: int, start: int, output: np.ndarray) -> None:
        """Simulate some steps of one sample, from step `start` on.

        Parameters
        ----------
        output
            bool `(steps, units)`, False: becomes the spikes of the output layer.
        """
        network, steps = self._prepared.network, len(output)
        trains: Dict[str, Train] = {}
        for layer in network.layers:
            read = [(trains[name], i) for i, name in enumerate(layer.inputs) if name in trains]
            if isinstance(layer, InputLayer):
                if self._prepared.settings.input == "poisson":
                    trains[layer.name] = self._input_train(sample, steps)
            elif isinstance(layer, POPULATIONS):
                train, neurons = scratch.train(layer), self._neurons(scratch, layer, sample, steps)
                if layer.name in self._prepared.work:
                    source = read[0][0] if read else Train(NO_SPIKES, np.zeros(steps + 1, np.int64))
                    self._prepared.work[layer.name](steps, source, neurons, train)
                else:
                    constant(steps, neurons, train)
                trains[layer.name] = train
            elif read:
                trains[layer.name] = self._joined(scratch, layer, read, steps)
        bounds = np.clip([*late_quarters(self._prepared.settings.duration), start + steps], start, start + steps)
        for late, layer in zip(self._late[sample], self._populations):
            late += np.diff(trains[layer.name].start[bounds - start])
        step, neuron = _spikes(trains[network.output.name], steps)
        output[step, neuron] = True
        if sample < self._recorded:
            for name, table in self._tables.items():
                if name in trains:
                    step, neuron = _spikes(trains[name], steps)
                    column = np.full_like(step, self._first + sample)
                    table.append(np.stack([column, neuron, step + start], axis=1).astype(np.int32))

    def counted(self) -> BlockCounts:
        """What was counted so far."""
        network, n = self._prepared.network, len(self._x)
        counts: Dict[str, np.ndarray] = {
            layer.name: self._counts[layer.name][:, : layer.size].reshape(n, *layer.shape)
            for layer in self._populations
        }
        if self._prepared.settings.input == "poisson":
            counts = {network.input.name: self._input_counts.reshape(self._x.shape), **counts}
        return BlockCounts(
            counts=counts,
            readout=self._readout,
            late=self._late.sum(axis=0),
            spikes={name: spike_table(parts) for name, parts in self._tables.items()},
        )

    def _neurons(self, scratch: Scratch, layer: Layer, sample: int, steps: int) -> Neurons:
        name, settings = layer.name, self._prepared.settings
        base = self._base[name][sample] if name in self._base else self._prepared.base[name]
        current, spikes = scratch.current(name, base)
        is_output = layer is self._prepared.network.output
        softmax = name in self._uniforms
        accumulated, leader = (a[sample] for a in self._pooled[name]) if name in self._pooled else NOT_POOLED
        return Neurons(
            potential=self._potential[name][sample],
            current=current,
            base=base,
            spikes=spikes,
            counts=self._counts[name][sample],
            readout=self._readout[sample] if is_output else NO_NUMBERS,
            uniforms=self._uniforms[name][sample].uniform(steps, (layer.size,))[0] if softmax else NO_UNIFORMS,
            classes=layer.shape[-1],
            constant=self._constant[name][sample] if name in self._constant else NO_NUMBERS,
            accumulated=accumulated,
            leader=leader,
            threshold=np.float32(settings.threshold),
            to_zero=settings.reset == "zero",
        )

    def _input_train(self, sample: int, steps: int) -> Train:
        """Poisson input as a train."""
        x, rate = self._x[sample : sample + 1], self._prepared.settings.input_rate
        spikes = self._inputs[sample].poisson(x, rate, steps)[0].reshape(steps, -1)
        self._input_counts[sample] += spikes.sum(axis=0)
        start = np.concatenate([[0], np.cumsum(spikes.sum(axis=1))])
        return Train(np.nonzero(spikes)[1].astype(np.int32), start)

    def _joined(self, scratch: Scratch, layer: Layer, read: List[Tuple[Train, int]], steps: int) -> Train:
        """The train of a layer that re-indexes: the spikes it reads under their new numbers, in rising order."""
        joined: List[Train] = []
        for train, i in read:
            table = self._prepared.tables[layer.name][i]
            if table is not None:
                renumbered = scratch.train(layer, 2 * i)
                event_trains.renumbered(steps, train, table, renumbered)
                train = renumbered
            if joined:
                both = scratch.train(layer, 2 * i + 1)
                event_trains.merged(steps, joined.pop(), train, both)
                train = both
            joined.append(train)
        return joined[0]


def _spikes(train: Train, steps: int) -> Tuple[np.ndarray, np.ndarray]:
    """Step and neuron of each spike of a train."""
    step = np.repeat(np.arange(steps), np.diff(train.start[: steps + 1]))
    return step, train.events[: len(step)]
