"""The state of a block of samples in the event-driven engine, and a sample's way through some steps."""

from typing import Dict, List, Tuple

import numpy as np

from snnb.network.network import Population, Reindexed
from snnb.simulation.block import BlockCounts, late_quarters, recorded_of, spike_table
from snnb.simulation.engines.event import spike_trains
from snnb.simulation.engines.event.arrays import aligned
from snnb.simulation.engines.event.network import EventNetwork
from snnb.simulation.engines.event.neurons import unchanging
from snnb.simulation.engines.event.scratch import Scratch
from snnb.simulation.engines.event.types import Neurons, SpikeTrain
from snnb.simulation.randomness import INPUT, SOFTMAX, Streams

NO_NUMBERS = np.zeros(0, np.float32)
NOT_ACCUMULATED = NO_NUMBERS, np.zeros(0, np.int32)
NO_SPIKES = np.zeros(0, np.int32)
NO_UNIFORMS = np.zeros((0, 0), np.float32)


class BlockState:
    """Membrane potentials and counts of n samples, from rest on.

    Parameters
    ----------
    prepared : EventNetwork
    x : ndarray of float32, shape (n, ...)
    first : int
        Number of the first sample in the test set.
    """

    def __init__(self, prepared: EventNetwork, x: np.ndarray, first: int) -> None:
        self._prepared, self._x, self._first = prepared, x, first
        network, settings = prepared.network, prepared.settings
        n, self._populations = len(x), network.populations
        self._recorded = recorded_of(settings, first, n)
        self._base, self._constant = prepared.without_spikes(x)
        self._potential: Dict[str, np.ndarray] = {}
        self._counts: Dict[str, np.ndarray] = {}
        self._accumulated: Dict[str, Tuple[np.ndarray, np.ndarray]] = {}
        for population in self._populations:
            name, size = population.name, len(prepared.base[population.name])
            self._potential[name] = aligned(np.zeros((n, size), np.float32))
            self._counts[name] = np.zeros((n, size), np.int32)
            if name in prepared.remembering:
                inputs = network.volume(population.only.input).size
                self._accumulated[name] = np.zeros((n, inputs), np.float32), np.full((n, population.size), -1, np.int32)
        self._late = np.zeros((n, len(self._populations), 2), np.int64)
        self._readout = np.zeros((n, network.output.size), np.float32)
        self._input_counts = np.zeros((n, network.input.size), np.int64)
        each = [range(first + i, first + i + 1) for i in range(n)]
        softmax = [population.name for population in self._populations if population.activation == "softmax"]
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
        """Simulate some steps of one sample.

        Parameters
        ----------
        scratch : Scratch
            Of this thread.
        sample : int
            Which of the block.
        start : int
            The first step.
        output : ndarray of bool, shape (steps, units)
            False; becomes the spikes of the output layer.
        """
        network, steps = self._prepared.network, len(output)
        trains: Dict[str, SpikeTrain] = {}
        for volume in network.volumes:
            if isinstance(volume, Population):
                trains[volume.name] = self._spikes_of(volume, scratch, sample, steps, trains)
            elif isinstance(volume, Reindexed):
                if any(name in trains for name in volume.inputs):
                    trains[volume.name] = self._joined(volume, scratch, steps, trains)
            elif self._prepared.settings.input == "poisson":
                trains[volume.name] = self._input_spikes(sample, steps)
        bounds = np.clip([*late_quarters(self._prepared.settings.duration), start + steps], start, start + steps)
        for late, population in zip(self._late[sample], self._populations):
            late += np.diff(trains[population.name].start[bounds - start])
        step, neuron = _steps_and_neurons(trains[network.output.name], steps)
        output[step, neuron] = True
        if sample < self._recorded:
            self._record(sample, start, steps, trains)

    def counted(self) -> BlockCounts:
        """Return what was counted so far."""
        network, n = self._prepared.network, len(self._x)
        counts: Dict[str, np.ndarray] = {
            population.name: self._counts[population.name][:, : population.size].reshape(n, *population.shape)
            for population in self._populations
        }
        if self._prepared.settings.input == "poisson":
            counts = {network.input.name: self._input_counts.reshape(self._x.shape), **counts}
        return BlockCounts(
            counts=counts,
            readout=self._readout,
            late=self._late.sum(axis=0),
            spikes={name: spike_table(parts) for name, parts in self._tables.items()},
        )

    def _spikes_of(
        self, population: Population, scratch: Scratch, sample: int, steps: int, trains: Dict[str, SpikeTrain]
    ) -> SpikeTrain:
        """Simulate a population, given the spike trains of the volumes before it."""
        train, neurons = scratch.spike_train(population), self._neurons(scratch, population, sample, steps)
        work = self._prepared.work.get(population.name)
        if work is None:
            unchanging(steps, neurons, train)
        else:
            read = [trains[name] if name in trains else _silent(steps) for name in work.inputs]
            work.run(steps, read, neurons, train)
        return train

    def _neurons(self, scratch: Scratch, population: Population, sample: int, steps: int) -> Neurons:
        name, settings = population.name, self._prepared.settings
        base = self._base[name][sample] if name in self._base else self._prepared.base[name]
        current, spikes = scratch.current(name, base)
        is_output = population is self._prepared.network.output
        softmax = name in self._uniforms
        accumulated, leader = (
            (values[sample] for values in self._accumulated[name]) if name in self._accumulated else NOT_ACCUMULATED
        )
        return Neurons(
            potential=self._potential[name][sample],
            current=current,
            base=base,
            spikes=spikes,
            counts=self._counts[name][sample],
            readout=self._readout[sample] if is_output else NO_NUMBERS,
            uniforms=self._uniforms[name][sample].uniform(steps, (population.size,))[0] if softmax else NO_UNIFORMS,
            classes=population.shape[-1],
            constant=self._constant[name][sample] if name in self._constant else NO_NUMBERS,
            accumulated=accumulated,
            leader=leader,
            threshold=np.float32(settings.threshold),
            to_zero=settings.reset == "zero",
        )

    def _input_spikes(self, sample: int, steps: int) -> SpikeTrain:
        """Return the Poisson input of the next steps."""
        x, rate = self._x[sample : sample + 1], self._prepared.settings.input_rate
        spikes = self._inputs[sample].poisson(x, rate, steps)[0].reshape(steps, -1)
        self._input_counts[sample] += spikes.sum(axis=0)
        start = np.concatenate([[0], np.cumsum(spikes.sum(axis=1))])
        return SpikeTrain(np.nonzero(spikes)[1].astype(np.int32), start)

    def _joined(self, volume: Reindexed, scratch: Scratch, steps: int, trains: Dict[str, SpikeTrain]) -> SpikeTrain:
        """Return the spikes that a volume reads under their new numbers, in rising order."""
        joined: List[SpikeTrain] = []
        for i, (name, table) in enumerate(zip(volume.inputs, self._prepared.tables[volume.name])):
            if name not in trains:
                continue
            train = trains[name]
            if table is not None:
                renumbered = scratch.spike_train(volume, 2 * i)
                spike_trains.renumbered(steps, train, table, renumbered)
                train = renumbered
            if joined:
                both = scratch.spike_train(volume, 2 * i + 1)
                spike_trains.merged(steps, joined.pop(), train, both)
                train = both
            joined.append(train)
        return joined[0]

    def _record(self, sample: int, start: int, steps: int, trains: Dict[str, SpikeTrain]) -> None:
        for name, table in self._tables.items():
            if name in trains:
                step, neuron = _steps_and_neurons(trains[name], steps)
                column = np.full_like(step, self._first + sample)
                table.append(np.stack([column, neuron, step + start], axis=1).astype(np.int32))


def _silent(steps: int) -> SpikeTrain:
    """Return a train without spikes: that of a constant input."""
    return SpikeTrain(NO_SPIKES, np.zeros(steps + 1, np.int64))


def _steps_and_neurons(train: SpikeTrain, steps: int) -> Tuple[np.ndarray, np.ndarray]:
    """Return the step and the neuron of each spike of a train."""
    step = np.repeat(np.arange(steps), np.diff(train.start[: steps + 1]))
    return step, train.events[: len(step)]
