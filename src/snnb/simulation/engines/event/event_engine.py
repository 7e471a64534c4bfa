"""The engine `event`: weights are added only where a neuron spikes; samples are shared among threads.

A current is summed one input after the other here, the bias last, while TensorFlow sums long ones in blocks. In
networks of up to some ten layers at most 0.1 % of the (sample, neuron) pairs differ from the toolbox's counts for that
reason, by one spike. A spike that comes a step earlier shifts others: in ResNet-20 nearly 1 % differ after 100 steps,
by up to two. Where sums are exact, none does.
"""

import queue
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Dict, Iterator, List, Optional, Tuple

import numpy as np

from snnb.core.machine import processors
from snnb.network.event_samples import InputSteps
from snnb.network.network import Network, Population, Reindexed, Volume
from snnb.simulation.engines.engine import (
    INPUT,
    SOFTMAX,
    BinCounts,
    BlockCounts,
    Observe,
    Samples,
    Streams,
    event_counts,
    event_table,
    has_readout,
    initial_potential,
    is_read_by_potential,
    late_quarters,
    recorded_of,
    spike_table,
)
from snnb.simulation.engines.event.compiled_loops import number_of, renumbered, unchanging
from snnb.simulation.engines.event.compiled_network import EventNetwork, Source
from snnb.simulation.engines.event.loop_arrays import Scratch, filled_up, zeros
from snnb.simulation.engines.event.types import GROUP, SLACK, Entries, Neurons, Weighted
from snnb.simulation.simulation_settings import SimulationSettings

CHUNK_STEPS = 250  # steps of all samples before the output is passed on
# A thread simulates a group of samples at a time: at least this number of groups of a block for each thread, and at
# most this number of bytes of a group's spikes.
GROUPS, GROUP_BYTES = 4, 1 << 20
# Random numbers of Poisson input that are drawn at a time.
DRAWN = 1_000_000


class EventEngine:
    """Simulates with several threads, by default one for each processor, each with some samples at a time."""

    def __init__(self, network: Network, settings: SimulationSettings, threads: Optional[int] = None) -> None:
        self._settings = settings
        self._prepared = EventNetwork(network, settings)
        self._threads = threads or processors()
        self._scratch: queue.SimpleQueue[Scratch] = queue.SimpleQueue()
        for _ in range(self._threads):
            self._scratch.put(Scratch(self._prepared.real))

    def simulate(self, x: Samples, first: int, observe: Observe) -> BlockCounts:
        """See `Engine`."""
        reads = has_readout(self._prepared.network)
        block = BlockState(self._prepared, x, first, self._at_once(len(x)))
        bins = BinCounts(self._settings)

        def work(group: int, start: int, output: np.ndarray, readout: np.ndarray) -> None:
            scratch, at_once = self._scratch.get(), self._prepared.train_steps
            try:
                for step in range(0, output.shape[1], at_once):
                    part = slice(step, step + at_once)
                    block.advance(scratch, group, start + step, output[:, part], readout[:, part])
            finally:
                self._scratch.put(scratch)

        with ThreadPoolExecutor(self._threads) as pool:
            for start, steps in self._chunks():
                if start == self._settings.warm_up > 0:
                    block.reset_counts()
                output = np.zeros((len(x), steps, self._prepared.network.output.size), np.bool_)
                readout = np.zeros(output.shape, self._prepared.real)
                outputs, readouts = ([array[group] for group in block.groups] for array in (output, readout))
                list(pool.map(work, range(len(outputs)), [start] * len(outputs), outputs, readouts))
                observe(output, readout if reads else None)
                bins.add(start + steps, partial(block.counts, start + steps))
        if isinstance(x, InputSteps) and self._settings.input == "events" and block.tables:
            recorded = recorded_of(self._settings, first, len(x))
            block.tables[self._prepared.network.input.name] = [event_table(x, first, recorded, self._settings.duration)]
        return BlockCounts(
            counts=block.counts(self._settings.duration),
            readout=block.readout if reads else None,
            late=block.late.sum(axis=0),
            spikes={name: spike_table(parts) for name, parts in block.tables.items()},
            by_bin=bins.counts,
        )

    def _at_once(self, samples: int) -> int:
        """Return how many samples a thread takes at a time, so that little is left to Python, and no thread idle."""
        fitting = GROUP_BYTES // (self._prepared.network.neurons // 8 * self._prepared.train_steps + 1)
        return max(1, min(samples // (GROUPS * self._threads), fitting))

    def _chunks(self) -> Iterator[Tuple[int, int]]:
        """Yield the first step and the number of steps of each chunk; counting, and each bin, starts with one."""
        settings = self._settings
        cuts = sorted({0, settings.warm_up, *settings.bin_edges, settings.duration})
        for begin, end in zip(cuts, cuts[1:]):
            for start in range(begin, end, CHUNK_STEPS):
                yield start, min(CHUNK_STEPS, end - start)


class BlockState:
    """Membrane potentials and counts of a block of samples, of which `advance` takes `at_once`, or fewer at the end."""

    def __init__(self, prepared: EventNetwork, x: Samples, first: int, at_once: int) -> None:
        self._prepared, self._x, self._first = prepared, x, first
        network, settings = prepared.network, prepared.settings
        n, self._populations = len(x), network.populations
        self.groups = [slice(i, min(i + at_once, n)) for i in range(0, n, at_once)]
        self._recorded = recorded_of(settings, first, n)
        self._base, self._constant = ({}, {}) if isinstance(x, InputSteps) else prepared.without_spikes(x)
        self._potential: Dict[str, np.ndarray] = {}
        self._counts: Dict[str, np.ndarray] = {}
        self._accumulated: Dict[str, np.ndarray] = {}
        self._leader: Dict[str, np.ndarray] = {}
        self._current: Dict[str, np.ndarray] = {}  # synaptic currents
        # Spikes in the last steps of volumes that are read with a delay: uint64 (n, steps, words).
        self._history = {
            name: np.zeros((n, delay, filled_up(network.volume(name).size) // GROUP), np.uint64)
            for name, delay in prepared.history.items()
        }
        if isinstance(x, InputSteps):
            self._start = x.starts(settings.duration)
            tables = prepared.entries.items()
            self._entries = {name: x.neuron if table is None else table[x.neuron] for name, table in tables}
        real = prepared.real
        self._nothing, self._no_leader = np.zeros((n, 0), real), np.zeros((n, 0), np.int32)
        for population in self._populations:
            name, size = population.name, filled_up(population.size)
            self._potential[name] = zeros((n, size), real)
            self._potential[name][:, : population.size] += initial_potential(population, settings).ravel()
            self._counts[name] = zeros((n, size), np.int32)
            if population.neuron is not None and population.neuron.current_leak is not None:
                self._current[name] = zeros((n, size), real)
            if name in prepared.remembering:
                inputs = network.volume(population.only.input).size
                self._accumulated[name] = np.zeros((n, inputs), real)
                self._leader[name] = np.full((n, population.size), -1, np.int32)
        self.late = np.zeros((len(self.groups), len(self._populations), 2), np.int64)
        self._by_potential = is_read_by_potential(network)
        self.readout = np.full((n, network.output.size), -np.inf if self._by_potential else 0, real)
        self._input_counts = np.zeros((n, network.input.size), np.int64)
        each = [range(first + group.start, first + group.stop) for group in self.groups]
        softmax = [population.name for population in self._populations if population.activation == "softmax"]
        self._inputs = [Streams(settings.seed, samples, INPUT) for samples in each if settings.input == "poisson"]
        self._uniforms = {
            name: [Streams(settings.seed, samples, SOFTMAX + i) for samples in each] for i, name in enumerate(softmax)
        }
        names = [network.input.name, *self._potential]
        self.tables: Dict[str, List[np.ndarray]] = {name: [] for name in names} if self._recorded else {}

    def reset_counts(self) -> None:
        """Set the counts to zero."""
        for counts in (self._input_counts, *self._counts.values()):
            counts[:] = 0

    def advance(self, scratch: Scratch, number: int, start: int, output: np.ndarray, readout: np.ndarray) -> None:
        """Simulate steps from `start` of the group `number` of samples.

        Write the spikes of the output layer, bool (samples, steps, units), and its accumulated input after each step.
        """
        network, samples, steps = self._prepared.network, *output.shape[:2]
        spikes: Dict[str, np.ndarray] = {}
        for component, stepped in self._prepared.components:
            if not stepped:
                for volume in component:
                    received = readout if volume is network.output else readout[..., :0]
                    self._add_spikes(volume, scratch, number, spikes, start, slice(0, steps), received)
                continue
            for volume in component:
                words = filled_up(volume.size) // GROUP
                spikes[volume.name] = scratch.spikes(f"{volume.name} in a cycle", samples, steps, words)
            for step in range(steps):
                for volume in component:
                    part = slice(step, step + 1)
                    units = volume.size if volume is network.output else 0
                    received = np.zeros((samples, 1, units), readout.dtype)
                    before = dict(spikes)
                    self._add_spikes(volume, scratch, number, before, start, part, received)
                    spikes[volume.name][:, part] = before[volume.name]
                    if units:
                        readout[:, part] = received
        for name, history in self._history.items():
            joined = np.concatenate([history[self.groups[number]], spikes[name]], axis=1)
            history[self.groups[number]] = joined[:, -history.shape[1] :]
        bounds = np.clip([*late_quarters(self._prepared.settings.duration), start + steps], start, start + steps)
        for late, population in zip(self.late[number], self._populations):
            for quarter, (begin, end) in enumerate(zip(bounds - start, bounds[1:] - start)):
                if begin < end:
                    late[quarter] += number_of(spikes[population.name], begin, end)
        output[:] = _booleans(spikes[network.output.name], output.shape[2])
        total = self.readout[self.groups[number]]
        if self._by_potential:
            readout[:, 0] = np.maximum(readout[:, 0], total)
            np.maximum.accumulate(readout, axis=1, out=readout)
        else:
            readout[:, 0] += total
            np.cumsum(readout, axis=1, out=readout)
        total[:] = readout[:, -1]
        for sample in range(self.groups[number].start, min(self.groups[number].stop, self._recorded)):
            self._record(
                sample, start, {name: bits[sample - self.groups[number].start] for name, bits in spikes.items()}
            )

    def counts(self, stop: int) -> Dict[str, np.ndarray]:
        """Return the spikes of each population in the steps before `stop`, the last that has been simulated.

        Poisson input, and events, are among them. Arrays have the shape (samples, *shape).
        """
        network, n = self._prepared.network, len(self._x)
        counts: Dict[str, np.ndarray] = {
            population.name: self._counts[population.name][:, : population.size].reshape(n, *population.shape)
            for population in self._populations
        }
        if self._prepared.settings.input == "poisson":
            counts = {network.input.name: self._input_counts.reshape(n, *network.input.shape), **counts}
        return {**event_counts(self._x, self._prepared.settings, stop), **counts}

    def _add_spikes(
        self,
        volume: Volume,
        scratch: Scratch,
        number: int,
        spikes: Dict[str, np.ndarray],
        start: int,
        part: slice,
        received: np.ndarray,
    ) -> None:
        """Set `spikes` of a volume to its spikes in some of the steps that begin at `start`.

        It is not set for a volume that has no spikes. `received` is the output array of a population's currents.
        """
        samples, steps, _ = received.shape
        words = filled_up(volume.size) // GROUP
        if isinstance(volume, Population):
            bits = scratch.spikes(volume.name, samples, steps, words)
            self._simulate(volume, scratch, number, spikes, start, part, bits, received)
            spikes[volume.name] = bits
        elif isinstance(volume, Reindexed):
            if any(name in spikes for name in volume.inputs):
                spikes[volume.name] = self._joined(volume, scratch, number, spikes, part)
        elif self._prepared.settings.input == "poisson":
            bits = spikes[volume.name] = scratch.spikes(volume.name, samples, steps, words)
            self._draw_input(number, bits)

    def _read(self, source: Source, number: int, spikes: Dict[str, np.ndarray], part: slice) -> np.ndarray:
        """Return the spikes of a volume that arrive in some of the steps: uint64 (samples, steps, words)."""
        (name, delay), group = source, self.groups[number]
        if name not in spikes:  # an input without spikes
            words = filled_up(self._prepared.network.volume(name).size) // GROUP
            return np.zeros((group.stop - group.start, part.stop - part.start, words), np.uint64)
        if not delay:
            return np.ascontiguousarray(spikes[name][:, part])
        history, begin, end = self._history[name][group], part.start - delay, part.stop - delay
        length = history.shape[1]
        early = history[:, max(0, length + begin) : max(0, length + min(end, 0))]
        return np.concatenate([early, spikes[name][:, max(begin, 0) : max(end, 0)]], axis=1)

    def _simulate(
        self,
        population: Population,
        scratch: Scratch,
        number: int,
        spikes: Dict[str, np.ndarray],
        start: int,
        part: slice,
        bits: np.ndarray,
        received: np.ndarray,
    ) -> None:
        """Simulate a population, given the spikes of the volumes before it."""
        neurons = self._neurons(population, number, received, first=start + part.start == 0)
        work = self._prepared.work.get(population.name)
        if work is None:
            unchanging(neurons, bits)
            return
        read = [self._read(source, number, spikes, part) for source in work.inputs]
        entries = tuple(self._arriving(source, tables, number, start, part) for source, tables in work.entries)
        work.run(read, entries, neurons, bits, scratch)

    def _arriving(self, source: Source, tables: Weighted, number: int, start: int, part: slice) -> Entries:
        """Return the input of some of the steps that begin at `start`, as a projection reads it."""
        name, delay = source
        steps = np.arange(part.start, part.stop + 1) + (start - delay)
        begins = self._start[self.groups[number]].take(np.maximum(steps, 0), axis=1)
        assert isinstance(self._x, InputSteps)
        return Entries(begins, self._entries[name], self._x.value, tables)

    def _neurons(self, population: Population, number: int, received: np.ndarray, *, first: bool) -> Neurons:
        """Return a population's state in a group of samples; `first`: whether the first step comes next."""
        prepared = self._prepared
        name, settings, group = population.name, self._prepared.settings, self.groups[number]
        softmax, steps, counts = name in self._uniforms, received.shape[1], self._counts[name][group]
        shape = (population.size,) if softmax else (0,)
        no_uniforms = np.zeros((group.stop - group.start, steps, 0), np.float32)
        biases = prepared.biases if first or name not in prepared.later_biases else prepared.later_biases
        leaky = prepared.leaky.get(name, prepared.not_leaky)
        if name in self._current:
            leaky = leaky._replace(current=self._current[name][group])
        return Neurons(
            potential=self._potential[name][group],
            base=self._base[name][group] if name in self._base else self._prepared.no_input[:, : counts.shape[1]],
            bias=biases[name],
            counts=counts,
            received=received,
            uniforms=self._uniforms[name][number].uniform(steps, shape) if softmax else no_uniforms,
            classes=population.shape[-1],
            constant=self._constant.get(name, self._nothing)[group],
            accumulated=self._accumulated.get(name, self._nothing)[group],
            leader=self._leader.get(name, self._no_leader)[group],
            threshold=self._prepared.thresholds[name],
            to_zero=settings.reset == "zero",
            leaky=leaky,
        )

    def _draw_input(self, number: int, bits: np.ndarray) -> None:
        """Draw the Poisson input of the next steps."""
        assert isinstance(self._x, np.ndarray)
        x, rate = self._x[self.groups[number]], self._prepared.settings.input_rate
        samples, steps, words = bits.shape
        at_once = max(1, DRAWN // x.size)
        filled = np.zeros((samples, min(at_once, steps), words * GROUP), np.bool_)
        for start in range(0, steps, at_once):
            part = filled[:, : steps - start]
            size = self._input_counts.shape[1]
            part[..., :size] = self._inputs[number].poisson(x, rate, part.shape[1]).reshape(*part.shape[:2], size)
            self._input_counts[self.groups[number]] += part[..., :size].sum(axis=1)
            packed = np.packbits(part, axis=-1, bitorder="little")
            bits[:, start : start + at_once] = packed.view("<u8")

    def _joined(
        self, volume: Reindexed, scratch: Scratch, number: int, spikes: Dict[str, np.ndarray], part: slice
    ) -> np.ndarray:
        """Return the spikes that a volume reads in some steps, under their new numbers."""
        inputs = zip(volume.inputs, self._prepared.tables[volume.name])
        read = [(self._read((name, 0), number, spikes, part), table) for name, table in inputs if name in spikes]
        if len(read) == 1 and read[0][1] is None:
            return read[0][0]
        samples, steps, _ = read[0][0].shape
        joined = scratch.spikes(volume.name, samples, steps, filled_up(volume.size) // GROUP)
        joined[:] = 0
        for bits, table in read:
            if table is None:
                joined[..., : bits.shape[2]] |= bits
            else:
                renumbered(bits, table, joined, scratch.room(len(table) + SLACK))
        return joined

    def _record(self, sample: int, start: int, spikes: Dict[str, np.ndarray]) -> None:
        for name, table in self.tables.items():
            if name in spikes:
                step, neuron = np.nonzero(_booleans(spikes[name]))
                column = np.full_like(step, self._first + sample)
                table.append(np.stack([column, neuron, step + start], axis=1).astype(np.int32))


def _booleans(bits: np.ndarray, neurons: Optional[int] = None) -> np.ndarray:
    """Return spikes as one boolean for each neuron, all or the first ones."""
    octets = bits.astype("<u8", copy=False).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=neurons, bitorder="little").view(np.bool_)
