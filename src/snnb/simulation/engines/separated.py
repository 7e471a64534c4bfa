"""Temporally separated networks in one pass over the layers: spike counts are rounded sums, without a loop over steps.

A population that fires in a window of T steps, after all its input has arrived, with initial potential V0, threshold θ
and input z, fires min(T, ⌊(V0 + z) / θ⌋) spikes, in the first steps of its window (Liu et al. 2022, SpikeConverter,
AAAI). The counts are equal to those of a simulation step by step if sums are exact; otherwise rounding may differ.
"""

from dataclasses import replace
from functools import partial
from typing import Dict, List, Mapping, Optional

import numpy as np
import tensorflow as tf

from snnb.forward.batch import batch_of, padded
from snnb.forward.currents import Currents, forward, values_read
from snnb.network.network import Network, Population, neuron_of
from snnb.network.neuron import Neuron
from snnb.simulation.engines.engine import (
    INPUT,
    BlockCounts,
    Observe,
    Samples,
    Streams,
    number_type,
    recorded_of,
    spike_rows,
    spike_table,
)
from snnb.simulation.settings import SimulationSettings

Arrays = Dict[str, np.ndarray]


class SeparatedEngine:
    """Simulates a network with windows of `settings.duration` steps without a loop over the steps."""

    def __init__(self, network: Network, settings: SimulationSettings) -> None:
        self._network, self._settings, self._batch = network, settings, batch_of(network)
        self._real = number_type(network, settings)
        self._currents = Currents([replace(population, bias=None) for population in network.populations], self._real)

    def simulate(self, x: Samples, first: int, observe: Observe) -> BlockCounts:
        """See `Engine`."""
        assert isinstance(x, np.ndarray)
        settings, network, steps = self._settings, self._network, self._settings.duration
        drawn: Optional[np.ndarray] = None
        if settings.input == "poisson":
            streams = Streams(settings.seed, range(first, first + len(x)), INPUT)
            drawn = streams.poisson(x, settings.input_rate, steps)
        sent = (
            x * self._real(steps) if drawn is None else drawn.sum(axis=1, dtype=self._real) * self._real(network.pixel)
        )
        counts = self._counts(sent)
        parts = []
        for start in range(0, len(x), self._batch):
            part = slice(start, start + self._batch)
            sums = {name: spikes[part] for name, spikes in counts.items()}
            parts.append(self._readout(sums, x[part], None if drawn is None else drawn[part])[: len(x) - start])
        readout = np.concatenate(parts)
        spikes = np.zeros(readout.shape, np.bool_)
        spikes[:, -steps:] = np.arange(steps)[:, np.newaxis] < counts[network.output.name].reshape(len(x), 1, -1)
        observe(spikes, readout)
        counted = {name: spikes.astype(np.int64) for name, spikes in counts.items()}
        recorded = recorded_of(settings, first, len(x))
        times: Arrays = {network.input.name: spike_table([])} if recorded else {}  # a constant input has no spikes
        for population in network.populations:
            assert population.window is not None
            name, begin, fired = population.name, population.window[0], counted[population.name]
            if recorded:  # spikes are in the first steps of the window
                spikes = np.arange(steps)[:, np.newaxis] < fired[:recorded].reshape(recorded, 1, -1)
                times[name] = spike_table([spike_rows(spikes, first, begin)])
        if drawn is not None:
            source = network.input.name
            counted[source] = drawn.sum(axis=1, dtype=np.int64)
            if recorded:
                times[source] = spike_table([spike_rows(drawn[:recorded].reshape(recorded, steps, -1), first, 0)])
        return BlockCounts(counts=counted, readout=readout[:, -1], late=None, spikes=times)

    def _counts(self, sent: np.ndarray) -> Arrays:
        """Return the spikes of each population: (samples, *shape), given the input summed over all steps."""
        settings = self._settings
        counts: Dict[str, List[np.ndarray]] = {population.name: [] for population in self._network.populations}
        for start in range(0, len(sent), self._batch):
            part = sent[start : start + self._batch]

            def sent_by(population: Population, values: Mapping[str, tf.Tensor], number: int = len(part)) -> tf.Tensor:
                received, neuron = (
                    self._received(population, values, settings.duration),
                    neuron_of(population, settings),
                )
                spikes = self._spikes(neuron, received) if neuron.spikes else tf.zeros_like(received)
                counts[population.name].append(spikes.numpy()[:number])
                return spikes * settings.threshold

            forward(self._network, tf.constant(padded(part, self._batch), self._real), sent_by)
        return {name: np.concatenate(parts) for name, parts in counts.items()}

    def _spikes(self, neuron: Neuron, received: tf.Tensor) -> tf.Tensor:
        """Return the number of spikes, given the input of all steps; a spike subtracts a number."""
        start, threshold, subtrahend = (
            np.asarray(number, self._real) for number in (neuron.initial, neuron.firing_threshold, neuron.after)
        )
        potential = received + start
        count = tf.floor(potential / subtrahend)
        last = tf.cast(potential - (count - 1) * subtrahend >= threshold, self._real)
        return tf.clip_by_value(count - 1 + last, 0.0, float(self._settings.duration))

    def _received(self, population: Population, values: Mapping[str, tf.Tensor], steps: int) -> tf.Tensor:
        """Return the input of a population, with its bias in `steps` steps."""
        received = self._currents.of(population, values)
        return (
            received if population.bias is None else received + population.bias.astype(self._real) * self._real(steps)
        )

    def _readout(self, counts: Arrays, x: np.ndarray, drawn: Optional[np.ndarray]) -> np.ndarray:
        """Return the accumulated input of the output layer after each step: (batch, latency, units).

        There are at most as many samples as a batch has, which are padded: sums would be rounded differently in another
        number of rows.
        """
        counts = {name: padded(spikes, self._batch) for name, spikes in counts.items()}
        x, drawn = padded(x, self._batch), None if drawn is None else padded(drawn, self._batch)
        network, steps, output = self._network, self._settings.duration, self._network.output
        depths = network.depths()
        fires = depths[output.name] * steps
        readout = np.zeros((len(x), network.latency(steps), output.size), self._real)

        def values(done: int, name: str) -> tf.Tensor:
            if name in counts:
                arrived = np.clip(counts[name], 0, max(0, done - depths[name] * steps))
                return tf.constant(arrived * self._real(self._settings.threshold), self._real)
            if drawn is not None:
                return tf.constant(drawn[:, :done].sum(axis=1, dtype=self._real) * self._real(network.pixel))
            return tf.constant(x * self._real(min(done, steps)), self._real)

        windows = {depths[name] for name in network.senders(output)} | {
            depths[output.name] - 1
        }  # the last, of the bias
        for done in range(1, fires + 1):
            if (done - 1) // steps in windows:
                tensors = values_read(network, output, partial(values, done))
                received = self._received(output, tensors, max(0, done - (fires - steps)))
                readout[:, done - 1] = received.numpy().reshape(len(x), -1)
            elif done > 1:
                readout[:, done - 1] = readout[:, done - 2]
        readout[:, fires:] = readout[:, fires - 1 : fires]
        return readout
