"""The engine `event`: weights are added only where a neuron spikes, in threads.

A current is summed one input after the other, in the order that `compiled_network`
states, while TensorFlow sums long ones in blocks. In networks of up to some ten layers
at most one in a million (sample, neuron) pairs was found to differ from the counts of
the engine `tensorflow` after 100 steps, by one spike. A spike that comes a step earlier
shifts others: in a ResNet-20 two in 10,000 differ, by up to two. Where sums are exact,
none does.

A *block* is the samples of a call of `EventEngine.simulate`. It is divided into groups
of samples, each of which a thread simulates at a time (`SampleGroup`). The steps are
divided into chunks: all groups simulate a chunk, then `observe` is called. In a chunk,
a population simulates all steps before the next population does, except in a component
whose volumes are simulated a step at a time (`Component`).
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Dict, Iterator, List, NamedTuple, Optional

import numpy as np

from snnb.core.machine import processors
from snnb.network.event_samples import InputSteps
from snnb.network.network import Network, Population, Reindexed, Volume
from snnb.simulation.engines.engine import (
    INPUT,
    SOFTMAX,
    BlockCounts,
    Observe,
    Samples,
    Streams,
    count_recorded_samples,
    has_readout,
    is_read_by_potential,
    late_quarters,
    spike_rows,
    spike_table,
)
from snnb.simulation.engines.event.compiled_loops import count_spikes, renumber_spikes
from snnb.simulation.engines.event.compiled_network import (
    EventNetwork,
    InputProjection,
    NetworkState,
    Source,
)
from snnb.simulation.engines.event.loop_arrays import (
    SPARE_ENTRIES,
    WORD_SIZE,
    InputEntries,
    count_words,
    pack_bits,
    unpack_bits,
)
from snnb.simulation.settings import SimulationSettings

# Least number of groups for each thread, if there are enough samples, and most bytes of
# the spikes of a group. So there is little work in Python, and no idle thread.
GROUPS_PER_THREAD = 4
GROUP_BYTES = 1 << 20
RANDOM_NUMBERS = 1_000_000  # of Poisson input, drawn together


class ChunkSteps(NamedTuple):
    """Consecutive time steps of a chunk."""

    chunk_start: int  # first step of the chunk
    begin: int  # first step, from the start of the chunk
    end: int  # step after the last, from the start of the chunk

    @property
    def number(self) -> int:
        """Number of steps."""
        return self.end - self.begin

    @property
    def slice(self) -> slice:
        """The steps as an index into arrays of the steps of the chunk."""
        return slice(self.begin, self.end)

    @property
    def first_step(self) -> int:
        """First step, from the start of the simulation."""
        return self.chunk_start + self.begin


class EventEngine:
    """Simulates with several threads, by default one for each processor."""

    def __init__(
        self,
        network: Network,
        settings: SimulationSettings,
        threads: Optional[int] = None,
    ) -> None:
        self._settings = settings
        self._event_network = EventNetwork(network, settings)
        self._threads = threads or processors()
        self._pool = ThreadPoolExecutor(self._threads)

    def simulate(self, x: Samples, first_sample: int, observe: Observe) -> BlockCounts:
        """See `Engine`."""
        network = self._event_network.network
        block = self._event_network.state.repeat(len(x))
        slices = self._divide_samples(len(x))
        group_futures = []
        for part in slices:
            arguments = (x, first_sample, block, part)
            group_futures.append(self._pool.submit(self._make_group, *arguments))
        groups = [future.result() for future in group_futures]
        for chunk in self._list_chunks():
            if chunk.first_step == self._settings.warm_up > 0:
                reset_counters(block, groups)
            output = np.zeros((len(x), chunk.number, network.output.size), np.bool_)
            readout = np.zeros(output.shape, self._event_network.real)
            chunk_futures = []
            for group, part in zip(groups, slices):
                views = (chunk, output[part], readout[part])
                chunk_futures.append(self._pool.submit(group.simulate, *views))
            for future in chunk_futures:
                future.result()
            observe(output, readout if has_readout(network) else None)
        return self._collect(x, first_sample, block, groups)

    def _divide_samples(self, samples: int) -> List[slice]:
        """Divide the samples of a block into groups."""
        network = self._event_network.network
        sample_bytes = network.neurons // 8 * self._event_network.train_steps + 1
        samples_per_group = samples // (GROUPS_PER_THREAD * self._threads)
        size = max(1, min(samples_per_group, GROUP_BYTES // sample_bytes))
        return [slice(start, start + size) for start in range(0, samples, size)]

    def _make_group(
        self,
        x: Samples,
        first_sample: int,
        block: NetworkState,
        part: slice,
    ) -> "SampleGroup":
        """Return the group of some samples, with views of the state of the block."""
        group_samples = x[part]
        state = block.cut(part)
        if isinstance(group_samples, np.ndarray):
            currents = self._event_network.sum_constant_currents(group_samples)
            for name, current in currents.items():
                neurons = state.neurons[name]
                state.neurons[name] = neurons._replace(constant_current=current)
        first_of_group = first_sample + part.start
        return SampleGroup(self._event_network, group_samples, first_of_group, state)

    def _list_chunks(self) -> Iterator[ChunkSteps]:
        """Yield the chunks of steps; the step after the warm-up begins one."""
        bounds = sorted({0, self._settings.warm_up, self._settings.duration})
        for begin, end in zip(bounds, bounds[1:]):
            for start in range(begin, end, self._event_network.train_steps):
                yield ChunkSteps(
                    start, 0, min(self._event_network.train_steps, end - start)
                )

    def _collect(
        self,
        x: Samples,
        first_sample: int,
        block: NetworkState,
        groups: List["SampleGroup"],
    ) -> BlockCounts:
        """Return what was counted, after all steps."""
        network = self._event_network.network
        samples = len(x)
        counts: Dict[str, np.ndarray] = {}
        if self._settings.input == "poisson":
            input_counts = np.concatenate([group.input_counts for group in groups])
            counts[network.input.name] = input_counts.reshape(
                samples,
                *network.input.shape,
            )
        for population in network.populations:
            spike_counts = block.neurons[population.name].state.spike_counts
            shape = (samples, *population.shape)
            counts[population.name] = spike_counts[:, : population.size].reshape(shape)
        readout = None
        if has_readout(network):
            readout = np.concatenate([group.readout for group in groups])
        spikes: Dict[str, np.ndarray] = {}
        if count_recorded_samples(self._settings, first_sample, samples):
            for name in (network.input.name, *block.neurons):
                rows: List[np.ndarray] = []
                for group in groups:
                    rows += group.recorded_rows[name]
                spikes[name] = spike_table(rows)
        states = [neurons.state for neurons in block.neurons.values()]
        updates = sum(int(state.update_count.sum()) for state in states)
        if not self._settings.warm_up:
            # The first step counts as an update of each membrane potential.
            for population in network.populations:
                if not population.counts_largest:
                    updates += samples * population.size
        return BlockCounts(
            counts=counts,
            readout=readout,
            late=np.sum([group.late_spikes for group in groups], axis=0),
            spikes=spikes,
            ties=sum(int(state.tie_count.sum()) for state in states),
            membrane_updates=updates,
        )


def reset_counters(block: NetworkState, groups: List["SampleGroup"]) -> None:
    """Set the counts of spikes and of updates to 0, after the warm-up."""
    for neurons in block.neurons.values():
        neurons.state.spike_counts[:] = 0
        neurons.state.update_count[:] = 0
    for group in groups:
        group.input_counts[:] = 0


class SampleGroup:
    """Samples that a thread simulates at a time.

    Spikes of a volume are bits: uint64 (samples, steps, words), see `loop_arrays`.

    Attributes
    ----------
    input_counts
        Spikes of Poisson input: int64 (samples, inputs).
    readout
        Accumulated input of the output layer, or its largest potential: numbers
        (samples, units).
    late_spikes
        See `BlockCounts.late`.
    recorded_rows
        Recorded spikes of each chunk, of the input and each population; see
        `spike_rows`.
    """

    def __init__(
        self,
        event_network: EventNetwork,
        x: Samples,
        first_sample: int,
        state: NetworkState,
    ) -> None:
        """Prepare the samples `x`, with the state of each population in them.

        `first_sample` is the number of the first among the test samples.
        """
        network = event_network.network
        settings = event_network.settings
        samples = len(x)
        self._event_network = event_network
        self._x = x
        self._first_sample = first_sample
        self._state = state
        # Spikes in the last steps of the chunk before, of volumes read with a delay
        self._history: Dict[str, np.ndarray] = {}
        for name, steps in event_network.history_steps.items():
            words = count_words(network.volume(name).size)
            self._history[name] = np.zeros((samples, steps, words), np.uint64)
        if isinstance(x, InputSteps):
            self._entry_start = x.starts(settings.duration)
            # Index of the neuron of each entry in each volume that passes on the input
            self._entry_neurons: Dict[str, np.ndarray] = {}
            for name, places in event_network.input_places.items():
                neuron = x.neuron if places is None else places[x.neuron]
                self._entry_neurons[name] = neuron
        sample_numbers = range(first_sample, first_sample + samples)
        draws_input = settings.input == "poisson"
        self._input_streams = Streams(
            settings.seed,
            sample_numbers if draws_input else range(0),
            INPUT,
        )
        self._softmax_streams: Dict[str, Streams] = {}
        for population in network.populations:
            if population.activation == "softmax":
                use = SOFTMAX + len(self._softmax_streams)
                streams = Streams(settings.seed, sample_numbers, use)
                self._softmax_streams[population.name] = streams
        self._reads_potential = is_read_by_potential(network)
        readout_start = -np.inf if self._reads_potential else 0
        output_shape = (samples, network.output.size)
        self.readout = np.full(output_shape, readout_start, event_network.real)
        self.input_counts = np.zeros((samples, network.input.size), np.int64)
        self.late_spikes = np.zeros((len(network.populations), 2), np.int64)
        self._recorded_samples = count_recorded_samples(settings, first_sample, samples)
        self.recorded_rows: Dict[str, List[np.ndarray]] = {network.input.name: []}
        for population in network.populations:
            self.recorded_rows[population.name] = []

    def simulate(
        self, chunk: ChunkSteps, output: np.ndarray, readout: np.ndarray
    ) -> None:
        """Simulate a chunk, all of its steps.

        Write the spikes of the output layer, bool (samples, steps, units), and the
        read-out after each step, numbers of the same shape. See `Observe`.
        """
        spikes: Dict[str, np.ndarray] = {}  # of each volume that has spikes
        for component in self._event_network.components:
            if component.is_stepwise:
                self._simulate_stepwise(component.volumes, chunk, spikes, readout)
            else:
                for volume in component.volumes:
                    self._simulate_volume(volume, chunk, spikes, readout)
        for name, history in self._history.items():
            steps = history.shape[1]
            history[:] = np.concatenate([history, spikes[name]], axis=1)[:, -steps:]
        self._count_late_spikes(chunk, spikes)
        output_spikes = spikes[self._event_network.network.output.name]
        output[:] = unpack_bits(output_spikes)[..., : output.shape[2]]
        self._accumulate_readout(readout)
        if self._recorded_samples:
            for name in spikes.keys() & self.recorded_rows.keys():
                is_spike = unpack_bits(spikes[name][: self._recorded_samples])
                rows = spike_rows(is_spike, self._first_sample, chunk.first_step)
                self.recorded_rows[name].append(rows)

    def _simulate_stepwise(
        self,
        volumes: List[Volume],
        chunk: ChunkSteps,
        spikes: Dict[str, np.ndarray],
        readout: np.ndarray,
    ) -> None:
        """Simulate the volumes of a component, one step after the other.

        Set their `spikes` in the chunk. `readout` is an output.
        """
        samples = len(self._x)
        for volume in volumes:
            name = f"{volume.name}, stepwise"
            spikes[volume.name] = self._event_network.buffers.spikes(
                name,
                samples,
                chunk.number,
                volume.size,
            )
        for step in range(chunk.number):
            steps = ChunkSteps(chunk.chunk_start, step, step + 1)
            for volume in volumes:
                bits = self._compute_spikes(volume, steps, spikes, readout)
                assert bits is not None
                spikes[volume.name][:, steps.slice] = bits

    def _simulate_volume(
        self,
        volume: Volume,
        chunk: ChunkSteps,
        spikes: Dict[str, np.ndarray],
        readout: np.ndarray,
    ) -> None:
        """Simulate a volume in all steps of a chunk.

        Set its `spikes` if it has any. `readout` is an output.
        """
        bits = self._compute_spikes(volume, chunk, spikes, readout)
        if bits is not None:
            spikes[volume.name] = bits

    def _compute_spikes(
        self,
        volume: Volume,
        steps: ChunkSteps,
        spikes: Dict[str, np.ndarray],
        readout: np.ndarray,
    ) -> Optional[np.ndarray]:
        """Return the spikes of a volume in some steps; None of one without spikes.

        `spikes` are those of other volumes in the chunk. `readout` is an output.
        """
        if isinstance(volume, Population):
            return self._simulate_population(volume, steps, spikes, readout)
        if isinstance(volume, Reindexed):
            return self._renumber(volume, steps, spikes)
        if self._event_network.settings.input == "poisson":
            return self._draw_input(steps)
        if self._event_network.network.fixed_point and isinstance(self._x, InputSteps):
            return self._pack_input(self._x, steps)
        return None

    def _simulate_population(
        self,
        population: Population,
        steps: ChunkSteps,
        spikes: Dict[str, np.ndarray],
        readout: np.ndarray,
    ) -> np.ndarray:
        """Simulate a population in some steps, and return its spikes.

        If it is the output, write its currents or potentials to `readout`.
        """
        event_network = self._event_network
        name = population.name
        samples = len(self._x)
        is_output = population is event_network.network.output
        units = population.size if is_output else 0
        # Not a part of `readout`, for whose strides the loops would be compiled again
        trace = np.zeros((samples, steps.number, units), readout.dtype)
        neurons = self._state.neurons[name]._replace(
            trace=trace,
            starts_samples=steps.first_step == 0,
        )
        if name in self._softmax_streams:
            streams = self._softmax_streams[name]
            random_numbers = streams.uniform(steps.number, (population.size,))
            neurons = neurons._replace(random_numbers=random_numbers)
        buffers = event_network.buffers
        bits = buffers.spikes(name, samples, steps.number, population.size)
        simulator = event_network.simulators[name]
        simulator.simulate(
            [self._read_spikes(source, steps, spikes) for source in simulator.sources],
            tuple(self._read_input(p, steps) for p in simulator.input_projections),
            neurons,
            self._state.pooling[name],
            bits,
        )
        if is_output:
            readout[:, steps.slice] = trace
        if name in event_network.later_parameters:
            parameters = event_network.later_parameters[name]
            neurons = self._state.neurons[name]
            self._state.neurons[name] = neurons._replace(parameters=parameters)
        return bits

    def _read_spikes(
        self,
        source: Source,
        steps: ChunkSteps,
        spikes: Dict[str, np.ndarray],
    ) -> np.ndarray:
        """Return the spikes of a source that arrive in some steps."""
        name = source.volume
        if name not in spikes:
            words = count_words(self._event_network.network.volume(name).size)
            return np.zeros((len(self._x), steps.number, words), np.uint64)
        if not source.delay:
            return np.ascontiguousarray(spikes[name][:, steps.slice])
        history = self._history[name]
        history_steps = history.shape[1]
        # Steps of the spikes, from the start of the chunk; negative ones are history.
        begin = steps.begin - source.delay
        end = steps.end - source.delay
        old_slice = slice(history_steps + min(begin, 0), history_steps + min(end, 0))
        new_slice = slice(max(begin, 0), max(end, 0))
        new_spikes = spikes[name][:, new_slice]
        return np.concatenate([history[:, old_slice], new_spikes], axis=1)

    def _read_input(
        self, projection: InputProjection, steps: ChunkSteps
    ) -> InputEntries:
        """Return the input that arrives at a projection in some steps."""
        assert isinstance(self._x, InputSteps)
        first_step = steps.first_step - projection.source.delay
        bounds = np.arange(first_step, first_step + steps.number + 1)
        return InputEntries(
            step_start=self._entry_start.take(np.maximum(bounds, 0), axis=1),
            neuron=self._entry_neurons[projection.source.volume],
            value=self._x.value,
            runs=projection.table.runs,
            arrivals=projection.table.arrivals,
        )

    def _pack_input(self, x: InputSteps, steps: ChunkSteps) -> np.ndarray:
        """Return the input in some steps, each entry of which is a spike."""
        frames = x.frames(steps.first_step, steps.first_step + steps.number)
        return pack_bits(frames.reshape(*frames.shape[:2], -1) != 0)

    def _draw_input(self, steps: ChunkSteps) -> np.ndarray:
        """Draw the spikes of Poisson input in some steps, and count them."""
        assert isinstance(self._x, np.ndarray)
        rate = self._event_network.settings.input_rate
        samples, inputs = self.input_counts.shape
        name = self._event_network.network.input.name
        bits = self._event_network.buffers.spikes(name, samples, steps.number, inputs)
        drawn_steps = max(1, RANDOM_NUMBERS // self._x.size)
        for start in range(0, steps.number, drawn_steps):
            count = min(drawn_steps, steps.number - start)
            random_spikes = self._input_streams.poisson(self._x, rate, count)
            is_spike = random_spikes.reshape(samples, count, inputs)
            self.input_counts += is_spike.sum(axis=1)
            bits[:, start : start + count] = pack_bits(is_spike)
        return bits

    def _renumber(
        self,
        volume: Reindexed,
        steps: ChunkSteps,
        spikes: Dict[str, np.ndarray],
    ) -> Optional[np.ndarray]:
        """Return the spikes of a volume without neurons: those of its inputs, moved.

        None if none of its inputs has spikes.
        """
        input_bits: List[np.ndarray] = []
        input_tables: List[Optional[np.ndarray]] = []
        for name, table in zip(volume.inputs, self._event_network.tables[volume.name]):
            if name in spikes:
                input_bits.append(self._read_spikes(Source(name, 0), steps, spikes))
                input_tables.append(table)
        if not input_bits:
            return None
        samples, _, words = input_bits[0].shape
        is_same = len(input_bits) == 1 and input_tables[0] is None
        if is_same and words * WORD_SIZE >= volume.size:
            return input_bits[0]
        buffers = self._event_network.buffers
        bits = buffers.spikes(volume.name, samples, steps.number, volume.size)
        bits[:] = 0
        for source_bits, table in zip(input_bits, input_tables):
            if table is None:
                bits[..., : source_bits.shape[2]] |= source_bits
            else:
                spike_list = buffers.spike_list(len(table) + SPARE_ENTRIES)
                renumber_spikes(source_bits, table, bits, spike_list)
        return bits

    def _count_late_spikes(
        self, chunk: ChunkSteps, spikes: Dict[str, np.ndarray]
    ) -> None:
        """Count the spikes of a chunk that are in one of the last two quarters."""
        settings = self._event_network.settings
        quarter_bounds = [*late_quarters(settings.duration), settings.duration]
        bounds = np.clip(
            np.subtract(quarter_bounds, chunk.chunk_start),
            0,
            chunk.number,
        )
        for i, population in enumerate(self._event_network.network.populations):
            for quarter in range(2):
                begin = bounds[quarter]
                end = bounds[quarter + 1]
                if begin < end:
                    number = count_spikes(spikes[population.name], begin, end)
                    self.late_spikes[i, quarter] += number

    def _accumulate_readout(self, readout: np.ndarray) -> None:
        """Accumulate the steps of a chunk in place, from the read-out before it."""
        if self._reads_potential:
            readout[:, 0] = np.maximum(readout[:, 0], self.readout)
            np.maximum.accumulate(readout, axis=1, out=readout)
        else:
            readout[:, 0] += self.readout
            np.cumsum(readout, axis=1, out=readout)
        self.readout[:] = readout[:, -1]
