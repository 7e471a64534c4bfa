"""Temporally separated networks in one pass over the layers, without a loop over steps.

A population that fires in a window of T steps, after all its input has arrived, with
initial potential V0, threshold θ and input z, fires min(T, ⌊(V0 + z) / θ⌋) spikes, in
the first steps of its window (Liu et al. 2022, SpikeConverter, AAAI). z is the sum of
weights times spike counts in the order of `compiled_network`, plus T times the bias.
The counts are equal to the counts of a simulation step by step if sums are exact;
otherwise rounding may differ. Membrane updates are not counted, since the potentials of
single steps are not computed.

`window` is a window of steps here: those of a population at depth d are the steps d × T
to before (d + 1) × T; see `Network.separated`. Depth 0 is the input.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Dict, List, NamedTuple, Optional, Set, Union

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
    count_recorded_samples,
    number_type,
    spike_rows,
    spike_table,
)
from snnb.simulation.engines.event.compiled_loops import fire_at_once
from snnb.simulation.engines.event.loop_arrays import SeparatedParameters
from snnb.simulation.engines.event.weighted_sums import WeightedSums
from snnb.simulation.settings import SimulationSettings

# Most numbers in the largest volume of the samples that a thread simulates together
BATCH_NUMBERS = 1 << 19

Arrays = Dict[str, np.ndarray]  # by input or population


class ConstantInput(NamedTuple):
    """Input that is the same in each step of the first window."""

    pixels: np.ndarray  # numbers (samples, inputs)
    steps: int  # of the window

    def cut(self, samples: slice) -> "ConstantInput":
        """Return the input of some samples."""
        return self._replace(pixels=self.pixels[samples])

    def sum_until(self, step: int) -> np.ndarray:
        """Return the sum of the input before a step: numbers (samples, inputs)."""
        return self.pixels * self.pixels.dtype.type(min(step, self.steps))


class PoissonInput(NamedTuple):
    """Random spikes in the steps of the first window."""

    spikes: np.ndarray  # bool (samples, steps, inputs)
    amplitude: "np.floating[np.typing.NBitBase]"  # of a spike, as a number

    def cut(self, samples: slice) -> "PoissonInput":
        """Return the input of some samples."""
        return self._replace(spikes=self.spikes[samples])

    def sum_until(self, step: int) -> np.ndarray:
        """Return the sum of the input before a step: numbers (samples, inputs)."""
        spikes = self.spikes[:, :step]
        counts: np.ndarray = spikes.sum(axis=1, dtype=type(self.amplitude))
        return counts * self.amplitude


SeparatedInput = Union[ConstantInput, PoissonInput]


class Batch(NamedTuple):
    """What some samples give."""

    counts: Arrays  # spikes of each population: int32 (samples, neurons)
    readout: np.ndarray  # see `SeparatedEngine._sum_readout`


class SeparatedEngine:
    """Simulates a network with windows of `settings.duration` steps, in threads.

    By default there is a thread for each processor. *Numbers* are float32, or float64
    in an integer network whose sums float32 does not hold exactly.
    """

    def __init__(
        self,
        network: Network,
        settings: SimulationSettings,
        threads: Optional[int] = None,
    ) -> None:
        self._network = network
        self._depths = network.depths()
        self._settings = settings
        self._steps = settings.duration  # of a window
        self._real = number_type(network, settings)
        self._amplitude = self._real(settings.threshold)
        volumes = {volume.name for volume in network.volumes}
        self._sums = WeightedSums(network, volumes, self._real)
        self._parameters: Dict[str, SeparatedParameters] = {}
        for population in network.populations:
            self._parameters[population.name] = self._make_parameters(population)
        self._threads = threads or processors()
        self._pool = ThreadPoolExecutor(self._threads)

    def _make_parameters(self, population: Population) -> SeparatedParameters:
        neuron = neuron_of(population, self._settings)
        return SeparatedParameters(
            bias=self._broadcast_bias(population) * self._real(self._steps),
            initial_potential=self._broadcast(population, neuron.initial),
            threshold=self._broadcast(population, neuron.threshold),
            subtrahend=self._broadcast(population, neuron.reset_or_subtrahend),
        )

    def _broadcast_bias(self, population: Population) -> np.ndarray:
        """Return the bias of each neuron in a step: numbers (neurons,)."""
        bias = np.zeros(1) if population.bias is None else population.bias
        return self._broadcast(population, bias)

    def _broadcast(self, population: Population, values: Numbers) -> np.ndarray:
        """Return a number for each neuron, given one or one for each channel."""
        return np.resize(values, population.size).astype(self._real)

    def simulate(self, x: Samples, first_sample: int, observe: Observe) -> BlockCounts:
        """See `Engine`."""
        assert isinstance(x, np.ndarray)
        network = self._network
        samples = len(x)
        block_input = self._make_input(x, first_sample)
        batches = list(
            self._pool.map(self._simulate_batch, self._cut(block_input, samples)),
        )
        counts: Arrays = {}
        for population in network.populations:
            batch_counts = [batch.counts[population.name] for batch in batches]
            shape = (samples, *population.shape)
            counts[population.name] = np.concatenate(batch_counts).reshape(shape)
        readout = np.concatenate([batch.readout for batch in batches])
        output_counts = counts[network.output.name].reshape(samples, -1)
        output_spikes = np.zeros(readout.shape, np.bool_)
        output_spikes[:, -self._steps :] = self._spread(output_counts)
        observe(output_spikes, readout)
        recorded_samples = count_recorded_samples(self._settings, first_sample, samples)
        spikes: Arrays = {}
        if recorded_samples:
            sample_numbers = range(first_sample, first_sample + recorded_samples)
            spikes = self._list_spikes(block_input, counts, sample_numbers)
        if isinstance(block_input, PoissonInput):
            input_counts = block_input.spikes.sum(axis=1, dtype=np.int32)
            counts[network.input.name] = input_counts.reshape(x.shape)
        return BlockCounts(
            counts=counts,
            readout=readout[:, -1],
            late=None,
            spikes=spikes,
        )

    def _make_input(self, x: np.ndarray, first_sample: int) -> SeparatedInput:
        """Return the input of samples from the sample `first_sample` on."""
        samples = len(x)
        if self._settings.input != "poisson":
            pixels = x.reshape(samples, -1).astype(self._real, copy=False)
            return ConstantInput(pixels, self._steps)
        sample_numbers = range(first_sample, first_sample + samples)
        streams = Streams(self._settings.seed, sample_numbers, INPUT)
        spikes = streams.poisson(x, self._settings.input_rate, self._steps)
        amplitude = self._real(self._network.pixel)
        return PoissonInput(spikes.reshape(samples, self._steps, -1), amplitude)

    def _cut(self, block_input: SeparatedInput, samples: int) -> List[SeparatedInput]:
        """Cut the input into batches that threads simulate."""
        largest_volume = max(volume.size for volume in self._network.volumes)
        samples_per_thread = -(-samples // self._threads)
        size = max(1, min(BATCH_NUMBERS // largest_volume, samples_per_thread))
        starts = range(0, samples, size)
        return [block_input.cut(slice(start, start + size)) for start in starts]

    def _spread(self, counts: np.ndarray) -> np.ndarray:
        """Return the spikes of neurons in their window, given their spike counts.

        They are in the first steps: bool (samples, steps, neurons).
        """
        step = np.arange(self._steps)[:, np.newaxis]
        return step < counts[:, np.newaxis]

    def _simulate_batch(self, batch_input: SeparatedInput) -> Batch:
        """Simulate some samples."""
        network = self._network
        counts: Arrays = {}
        # Sums of the input, and of spikes times their amplitude, of all steps
        totals: Arrays = {network.input.name: batch_input.sum_until(self._steps)}
        for population in network.populations:
            spikes = self._sums.sum_currents(population, totals)
            if population.counts_largest:
                spikes = np.rint(spikes / self._amplitude)
            elif population.is_spiking:
                fire_at_once(spikes, self._parameters[population.name], self._steps)
            else:
                spikes[:] = 0
            counts[population.name] = spikes[:, : population.size].astype(np.int32)
            totals[population.name] = spikes * self._amplitude
        return Batch(counts, self._sum_readout(batch_input, totals))

    def _sum_readout(self, batch_input: SeparatedInput, totals: Arrays) -> np.ndarray:
        """Return the accumulated input of the output layer after each step.

        They are numbers (samples, latency, units). `totals`: see `_simulate_batch`.
        """
        network = self._network
        output = network.output
        firing_start = self._depths[output.name] * self._steps
        bias_start = firing_start - self._steps
        bias = self._broadcast_bias(output)
        # Windows in which the input changes; the bias is added in the last of them.
        windows = {self._depths[name] for name in self._list_firing(output)}
        windows.add(self._depths[output.name] - 1)
        samples = len(totals[network.input.name])
        latency = network.latency(self._steps)
        readout = np.zeros((samples, latency, output.size), self._real)
        for step in range(firing_start):
            if step // self._steps in windows:
                sums: Arrays = {}
                for name in network.senders(output):
                    sums[name] = self._sum_until(name, step + 1, batch_input, totals)
                currents = self._sums.sum_currents(output, sums)[:, : output.size]
                bias_steps = self._real(max(0, step + 1 - bias_start))
                readout[:, step] = currents + bias * bias_steps
            elif step > 0:
                readout[:, step] = readout[:, step - 1]
        readout[:, firing_start:] = readout[:, firing_start - 1 : firing_start]
        return readout

    def _sum_until(
        self,
        name: str,
        step: int,
        batch_input: SeparatedInput,
        totals: Arrays,
    ) -> np.ndarray:
        """Return the sum of the input, or of a population's spikes, before a step.

        `totals` are the sums of all steps. A max pooling has the largest of the sums.
        """
        network = self._network
        if name == network.input.name:
            return batch_input.sum_until(step)
        population = network.volume(name)
        assert isinstance(population, Population)
        if population.counts_largest:
            sums: Arrays = {}
            for sender in network.senders(population):
                sums[sender] = self._sum_until(sender, step, batch_input, totals)
            return self._sums.sum_currents(population, sums)
        # A neuron spikes in each step from the start of its window to its last spike.
        window_start = self._depths[name] * self._steps
        max_spikes = self._real(max(0, step - window_start))
        sum_: np.ndarray = np.minimum(totals[name], max_spikes * self._amplitude)
        return sum_

    def _list_firing(self, population: Population) -> Set[str]:
        """Return the input and the populations with a window that a population reads.

        A max pooling is replaced by what it reads, which it fires with.
        """
        names: Set[str] = set()
        for name in self._network.senders(population):
            sender = self._network.volume(name)
            if isinstance(sender, Population) and sender.counts_largest:
                names |= self._list_firing(sender)
            else:
                names.add(name)
        return names

    def _list_spikes(
        self,
        block_input: SeparatedInput,
        counts: Arrays,
        samples: range,
    ) -> Arrays:
        """Return the spikes of the first samples of a block; see `spike_table`.

        `samples` are their numbers.
        """
        network = self._network
        recorded_slice = slice(0, len(samples))
        input_rows: List[np.ndarray] = []  # a constant input has no spikes
        if isinstance(block_input, PoissonInput):
            input_spikes = block_input.spikes[recorded_slice]
            input_rows = [spike_rows(input_spikes, samples.start, 0)]
        tables: Arrays = {network.input.name: spike_table(input_rows)}
        for population in network.populations:
            assert population.window is not None
            rows: List[np.ndarray] = []
            if population.counts_largest:
                for sample in samples:
                    pooled_spikes = self._pool_spikes(population, tables, sample)
                    rows.append(spike_rows(pooled_spikes, sample, 0))
            else:
                recorded_counts = counts[population.name][recorded_slice]
                spikes = self._spread(recorded_counts.reshape(len(samples), -1))
                rows.append(spike_rows(spikes, samples.start, population.window[0]))
            tables[population.name] = spike_table(rows)
        return tables

    def _pool_spikes(
        self,
        population: Population,
        tables: Arrays,
        sample: int,
    ) -> np.ndarray:
        """Return the spikes of a max pooling in a sample: bool (1, steps, neurons).

        `tables` has the spikes of what it reads.
        """
        steps = self._network.latency(self._steps)
        counts: Arrays = {}
        for name in self._network.senders(population):
            size = self._network.volume(name).size
            spikes = np.zeros((steps, size), self._real)
            table = tables[name]
            sample_rows = table[table[:, 0] == sample]
            spikes[sample_rows[:, 2], sample_rows[:, 1]] = 1
            counts[name] = np.cumsum(spikes, axis=0)
        largest = self._sums.sum_currents(population, counts)
        return np.diff(largest, axis=0, prepend=0)[np.newaxis] > 0
