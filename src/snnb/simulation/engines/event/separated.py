"""Temporally separated networks in one pass over the layers: spike counts are rounded sums, without a loop over steps.

A population that fires in a window of T steps, after all its input has arrived, with initial potential V0, threshold θ
and input z, fires min(T, ⌊(V0 + z) / θ⌋) spikes, in the first steps of its window (Liu et al. 2022, SpikeConverter,
AAAI). z is the sum of weights times spike counts in the order of `compiled_network`, plus T times the bias. The counts
are equal to the counts of a simulation step by step if sums are exact; otherwise rounding may differ. Membrane updates
are not counted, since the potentials of single steps are not computed.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Dict, Optional, Set, Tuple

import numpy as np

from snnb.core.machine import processors
from snnb.network.network import Network, Population, neuron_of
from snnb.network.neuron import Numbers
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
from snnb.simulation.engines.event.compiled_loops import fire_at_once
from snnb.simulation.engines.event.compiled_network import WeightedSums
from snnb.simulation.settings import SimulationSettings

# Most numbers in the largest volume of the samples that a thread simulates at a time.
AT_ONCE = 1 << 19

Arrays = Dict[str, np.ndarray]


class SeparatedEngine:
    """Simulates a network with windows of `settings.duration` steps without a loop over the steps, in threads."""

    def __init__(self, network: Network, settings: SimulationSettings, threads: Optional[int] = None) -> None:
        self._network, self._settings, self._real = network, settings, number_type(network, settings)
        self._sums = WeightedSums(network, {volume.name for volume in network.volumes}, self._real)
        self._numbers: Arrays = {}  # by population, see `fire_at_once`
        for p in network.populations:
            neuron, bias = neuron_of(p, settings), self._each(p, np.zeros(1) if p.bias is None else p.bias)
            numbers = [self._each(p, n) for n in (neuron.initial, neuron.firing_threshold, neuron.after)]
            self._numbers[p.name] = np.stack([bias * self._real(settings.duration), *numbers])
        self._threads = threads or processors()
        self._pool = ThreadPoolExecutor(self._threads)

    def simulate(self, x: Samples, first: int, observe: Observe) -> BlockCounts:
        """See `Engine`."""
        assert isinstance(x, np.ndarray)
        settings, network, steps = self._settings, self._network, self._settings.duration
        drawn: Optional[np.ndarray] = None
        if settings.input == "poisson":
            streams = Streams(settings.seed, range(first, first + len(x)), INPUT)
            drawn = streams.poisson(x, settings.input_rate, steps).reshape(len(x), steps, -1)
        most = AT_ONCE // max(volume.size for volume in network.volumes)
        at_once = max(1, min(most, -(-len(x) // self._threads)))
        parts = [slice(start, start + at_once) for start in range(0, len(x), at_once)]

        def work(part: slice) -> Tuple[Arrays, np.ndarray]:
            return self._simulated(x[part].reshape(-1, network.input.size), None if drawn is None else drawn[part])

        done = list(self._pool.map(work, parts))
        counts = {
            p.name: np.concatenate([spikes[p.name] for spikes, _ in done]).reshape(len(x), *p.shape)
            for p in network.populations
        }
        readout = np.concatenate([of_part for _, of_part in done])
        spikes = np.zeros(readout.shape, np.bool_)
        spikes[:, -steps:] = np.arange(steps)[:, np.newaxis] < counts[network.output.name].reshape(len(x), 1, -1)
        observe(spikes, readout)
        recorded = recorded_of(settings, first, len(x))
        times: Arrays = {network.input.name: spike_table([])} if recorded else {}  # a constant input has no spikes
        for population in network.populations:
            assert population.window is not None
            name, begin, fired = population.name, population.window[0], counts[population.name]
            if recorded and population.counts_largest:
                samples = range(first, first + recorded)
                times[name] = spike_table([spike_rows(self._pooled(population, times, n), n, 0) for n in samples])
            elif recorded:  # spikes are in the first steps of the window
                spikes = np.arange(steps)[:, np.newaxis] < fired[:recorded].reshape(recorded, 1, -1)
                times[name] = spike_table([spike_rows(spikes, first, begin)])
        if drawn is not None:
            source = network.input.name
            counts[source] = drawn.sum(axis=1, dtype=np.int32).reshape(x.shape)
            if recorded:
                times[source] = spike_table([spike_rows(drawn[:recorded], first, 0)])
        return BlockCounts(counts=counts, readout=readout[:, -1], late=None, spikes=times)

    def _firing(self, population: Population) -> Set[str]:
        """Return the populations, or the input, that it reads, also through max poolings, which fire with them."""
        found: Set[str] = set()
        for name in self._network.senders(population):
            sender = self._network.volume(name)
            found |= self._firing(sender) if isinstance(sender, Population) and sender.counts_largest else {name}
        return found

    def _pooled(self, population: Population, times: Arrays, number: int) -> np.ndarray:
        """Return the spikes of a max pooling in a sample, bool (1, steps, neurons), given the spikes that it reads."""
        steps = self._network.latency(self._settings.duration)
        counts: Arrays = {}
        for name in self._network.senders(population):
            spikes = np.zeros((steps, self._network.volume(name).size), self._real)
            sample, neuron, step = times[name].T
            spikes[step[sample == number], neuron[sample == number]] = 1
            counts[name] = np.cumsum(spikes, axis=0)
        largest = self._sums.of(population, counts)
        return np.diff(largest, axis=0, prepend=0)[np.newaxis] > 0

    def _simulated(self, x: np.ndarray, drawn: Optional[np.ndarray]) -> Tuple[Arrays, np.ndarray]:
        """Simulate some samples: float32 (samples, inputs), or Poisson input, bool (samples, steps, inputs).

        Return the spikes of each population, int32 (samples, neurons), and the accumulated input of the output layer
        after each step, `real` (samples, latency, units).
        """
        network, settings, real = self._network, self._settings, self._real
        steps, source, output, depths = settings.duration, network.input.name, network.output, network.depths()
        amplitude = real(settings.threshold)

        def of_input(done: int) -> np.ndarray:
            """Return the sum of the input over the first steps."""
            if drawn is None:
                return x.astype(real) * real(min(done, steps))
            sent: np.ndarray = drawn[:, :done].sum(axis=1, dtype=real) * real(network.pixel)
            return sent

        sent, counts = {source: of_input(steps)}, {}
        for population in network.populations:
            spikes = self._sums.of(population, sent)
            if population.counts_largest:
                spikes = np.rint(spikes / amplitude)
            elif population.spikes:
                fire_at_once(spikes, self._numbers[population.name], steps)
            else:
                spikes[:] = 0
            counts[population.name] = spikes[:, : population.size].astype(np.int32)
            sent[population.name] = spikes * amplitude
        senders, fires = network.senders(output), depths[output.name] * steps
        windows = {depths[name] for name in self._firing(output)} | {depths[output.name] - 1}  # the last, of the bias
        readout = np.zeros((len(x), network.latency(steps), output.size), real)
        bias = self._each(output, np.zeros(1) if output.bias is None else output.bias)

        def arrived(name: str, done: int) -> np.ndarray:
            """Return the sum of the input, or of the spikes of a population, over the first steps."""
            if name == source:
                return of_input(done)
            population = network.volume(name)
            assert isinstance(population, Population)
            if population.counts_largest:
                read = {each: arrived(each, done) for each in network.senders(population)}
                return self._sums.of(population, read)
            fired: np.ndarray = np.minimum(sent[name], real(max(0, done - depths[name] * steps)) * amplitude)
            return fired

        for done in range(1, fires + 1):
            if (done - 1) // steps in windows:
                received = self._sums.of(output, {name: arrived(name, done) for name in senders})[:, : output.size]
                readout[:, done - 1] = received + bias * real(max(0, done - (fires - steps)))
            elif done > 1:
                readout[:, done - 1] = readout[:, done - 2]
        readout[:, fires:] = readout[:, fires - 1 : fires]
        return counts, readout

    def _each(self, population: Population, values: Numbers) -> np.ndarray:
        """Return a number for each neuron, given one, or one for each channel."""
        return np.resize(values, population.size).astype(self._real)
