"""The engine `tensorflow`: every synapse in every step, as the toolbox computes it.

Its arithmetic is that of the INI simulator of the toolbox.

The samples of a block are padded to a batch of one size. The time steps are divided
into *calls*. The steps of a call are one `tf.while_loop`. XLA is off: it would be
faster, but rounds differently. Membrane updates are not counted: on LeNet that would
take 45 % more time.

**Files**, each of which reads only those above it:

    tensorflow_layers    operations of each layer kind
    tensorflow_neurons   populations: their state, and one time step
    tensorflow_engine    networks, calls, and what is counted

To simulate a layer kind, add its function to `CURRENTS`, or to `REINDEXINGS` if it has
no neurons (`tensorflow_layers`).
"""

import time
from functools import partial
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

import numpy as np

from snnb.core.quiet_tensorflow import tensorflow as tf
from snnb.forward.analogue import choose_batch_size
from snnb.network.event_samples import InputSteps
from snnb.network.layers import MaxPooling2D
from snnb.network.network import Network, Population, Reindexed
from snnb.simulation.engines.engine import (
    INPUT,
    SOFTMAX,
    BlockCounts,
    Observe,
    Real,
    Samples,
    Streams,
    count_recorded_samples,
    has_readout,
    is_read_by_potential,
    late_quarters,
    number_type,
    spike_rows,
    spike_table,
)
from snnb.simulation.engines.tensorflow_layers import reindex
from snnb.simulation.engines.tensorflow_neurons import (
    StepInputs,
    Tensors,
    make_simulator,
    make_synapses,
)
from snnb.simulation.settings import SimulationSettings

# Intended seconds of a call, for progress.
CALL_SECONDS = 0.5
# Most bytes of an input that changes, and of the recorded spikes, of the steps of a call
CALL_BYTES = 64_000_000

Arrays = Dict[str, np.ndarray]


class Call(NamedTuple):
    """Consecutive time steps that are simulated by one call of TensorFlow."""

    start: int  # first step
    steps: int  # number of steps


class NetworkState(NamedTuple):
    """State of a network between two time steps, in all samples of a batch."""

    step: tf.Tensor  # number of steps so far: int32
    populations: Dict[str, Tensors]  # see the classes of `tensorflow_neurons`
    # By volume that is read with a delay, its values in the last steps, the latest
    # first: (steps, samples, *volume.shape)
    history: Tensors
    # Accumulated input of the output layer, or its largest potential: (samples,
    # *output.shape)
    readout: tf.Tensor


class ConstantInput(NamedTuple):
    """What follows from constant input, and is thus the same in all steps."""

    values: Tensors  # by the input or volume without neurons: (samples, *volume.shape)
    currents: Tensors  # by population: (samples, *population.shape)


class Activity(NamedTuple):
    """Activity in each step of a call: in the loop `tf.TensorArray`, then arrays."""

    output: Any  # spikes of the output layer: bool (steps, batch, units)
    readout: Any  # read-out after each step: numbers (steps, batch, units)
    # By population, spikes of the recorded samples: bool (steps, samples, neurons)
    spikes: Dict[str, Any]


class TensorFlowEngine:
    """Counts spikes as the toolbox does, on a CPU or a GPU.

    The counts of a converted network that the toolbox can simulate are identical to the
    toolbox's in every layer but the random softmax one.
    """

    def __init__(self, network: Network, settings: SimulationSettings) -> None:
        self._network = network
        self._settings = settings
        self._batch = choose_batch_size(network.neurons)
        self._duration = network.latency(settings.duration)
        real = number_type(network, settings)
        self._simulator = NetworkSimulator(network, settings, real, self._batch)
        # Compiled loops by the number of recorded samples
        self._loops: Dict[int, Any] = {}
        self._next_steps = 1  # number of steps of the next call

    def simulate(
        self,
        x: Samples,
        first_sample: int,
        observe: Observe,
    ) -> BlockCounts:
        """See `Engine`."""
        network = self._network
        samples = len(x)
        recorded_samples = count_recorded_samples(self._settings, first_sample, samples)
        block_input = BlockInput(network, self._settings, x, first_sample)
        record = SpikeRecord(network, self._settings, samples, first_sample)
        constants = self._simulator.compute_constants(x)
        state = self._simulator.start()
        readout = None
        for call in self._divide_steps(recorded_samples):
            if call.start == self._settings.warm_up:
                state = self._simulator.reset_counts(state)
            draws = block_input.draw(call)
            state_before = state
            state, activity = self._run(
                constants,
                draws,
                state_before,
                call.steps,
                recorded_samples,
            )
            if has_readout(network):
                readout = activity.readout.swapaxes(0, 1)[:samples]
            observe(activity.output.swapaxes(0, 1)[:samples], readout)
            record.count_late_spikes(call, state_before, state)
            record.add_rows(call, activity.spikes)
            if self._settings.input == "poisson":
                record.add_input_spikes(call, draws[network.input.name])
        return BlockCounts(
            counts=record.collect_counts(state),
            readout=None if readout is None else readout[:, -1],
            late=None if network.windowed else record.late_spikes,
            spikes=record.collect_spikes(),
            ties=record.count_ties(state),
        )

    def _divide_steps(self, recorded_samples: int) -> Iterator[Call]:
        """Yield the calls; the time that a call takes defines the length of the next.

        A call begins at each step from which spikes are counted separately.
        """
        duration = self._duration
        bounds = sorted({self._settings.warm_up, *late_quarters(duration), duration})
        input_bytes = 0
        if self._settings.input != "constant":
            input_bytes = self._batch * self._network.input.size * 5
        step_bytes = input_bytes + recorded_samples * self._network.neurons + 1
        step_limit = max(1, CALL_BYTES // step_bytes)
        start = 0
        while start < duration:
            end = next(bound for bound in bounds if bound > start)
            steps = min(self._next_steps, step_limit, end - start)
            begin_time = time.perf_counter()
            yield Call(start, steps)
            seconds = time.perf_counter() - begin_time
            steps_in_time = int(steps * CALL_SECONDS / seconds)
            self._next_steps = max(1, min(steps_in_time, 4 * self._next_steps))
            start += steps

    def _run(
        self,
        constants: ConstantInput,
        draws: Arrays,
        state: NetworkState,
        steps: int,
        recorded_samples: int,
    ) -> Tuple[NetworkState, Activity]:
        """Simulate the next steps; return the state after them, and their activity.

        `draws` has the input and random numbers of the steps, see `BlockInput`.
        """
        feed = {}
        for name, numbers in draws.items():
            by_step = pad_samples(numbers, self._batch).swapaxes(0, 1)
            feed[name] = tf.constant(np.ascontiguousarray(by_step))
        if recorded_samples not in self._loops:
            # The loop is compiled once for any number of steps.
            feed_specs = {}
            for name, tensor in feed.items():
                shape = (None, *tensor.shape[1:])
                feed_specs[name] = tf.TensorSpec(shape, tensor.dtype)
            signature = [
                _tensor_specs(constants),
                feed_specs,
                _tensor_specs(state),
                tf.TensorSpec((), tf.int32),
            ]
            self._loops[recorded_samples] = tf.function(
                partial(self._simulator.simulate_steps, recorded_samples),
                input_signature=signature,
                autograph=False,
            )
        simulate_steps = self._loops[recorded_samples]
        state, activity = simulate_steps(constants, feed, state, tf.constant(steps))
        return state, tf.nest.map_structure(lambda tensor: tensor.numpy(), activity)


class NetworkSimulator:
    """Simulates the volumes of a network, one time step after the other.

    A spike passes all projections without a delay in the step in which it is sent. All
    samples of a batch, `batch` of them, are simulated together.
    """

    def __init__(
        self,
        network: Network,
        settings: SimulationSettings,
        real: Real,
        batch: int,
    ) -> None:
        self._network = network
        self._settings = settings
        self._real = real
        self._batch = batch
        self._synapses = {}
        self._simulators = {}
        # Number of steps in the history of each volume that is read with a delay
        self._history_steps: Dict[str, int] = {}
        for population in network.populations:
            name = population.name
            synapses = make_synapses(network, population, real)
            self._synapses[name] = synapses
            self._simulators[name] = make_simulator(
                network,
                population,
                settings,
                synapses,
                real,
            )
            for projection in population.projections:
                if projection.delay:
                    steps = self._history_steps.get(projection.input, 0)
                    steps = max(steps, projection.delay)
                    self._history_steps[projection.input] = steps
        self._constant_volumes: Set[str] = set()
        if settings.input == "constant":
            self._constant_volumes = find_constant_volumes(network)

    def compute_constants(self, x: Samples) -> ConstantInput:
        """Return what follows from the samples `x` of a block if they are constant."""
        values: Tensors = {}
        currents: Tensors = {}
        for volume in self._network.volumes:
            if volume.name not in self._constant_volumes:
                continue
            if isinstance(volume, Population):
                synapses = self._synapses[volume.name]
                currents[volume.name] = synapses.add_projections(values, {})
            elif isinstance(volume, Reindexed):
                values[volume.name] = reindex(volume, values)
            else:
                padded_x = pad_samples(np.asarray(x), self._batch)
                values[volume.name] = tf.constant(padded_x, self._real)
        return ConstantInput(values, currents)

    def start(self) -> NetworkState:
        """Return the state before the first step."""
        populations = {}
        for name, simulator in self._simulators.items():
            populations[name] = simulator.start(self._batch)
        history = {}
        for name, steps in self._history_steps.items():
            shape = (steps, self._batch, *self._network.volume(name).shape)
            history[name] = tf.zeros(shape, self._real)
        readout_shape = (self._batch, *self._network.output.shape)
        readout = tf.zeros(readout_shape, self._real)
        if is_read_by_potential(self._network):
            readout -= np.inf
        return NetworkState(tf.constant(0), populations, history, readout)

    def reset_counts(self, state: NetworkState) -> NetworkState:
        """Return a state with spike counts of 0."""
        populations = {}
        for name, population_state in state.populations.items():
            zeros = tf.zeros_like(population_state["spike_count"])
            populations[name] = {**population_state, "spike_count": zeros}
        return state._replace(populations=populations)

    def simulate_steps(
        self,
        recorded_samples: int,
        constants: ConstantInput,
        feed: Tensors,
        state: NetworkState,
        steps: tf.Tensor,
    ) -> Tuple[NetworkState, Activity]:
        """Trace the loop over some steps, see `StepLoop`.

        Return the state after the steps, and their activity, of which the spikes are
        those of the first samples, `recorded_samples` of them.
        """
        populations = self._simulators if recorded_samples else ()
        activity = Activity(
            output=tf.TensorArray(tf.bool, steps),
            readout=tf.TensorArray(self._real, steps),
            spikes={name: tf.TensorArray(tf.bool, steps) for name in populations},
        )
        loop = StepLoop(self, constants, feed, steps, recorded_samples)
        begin = (tf.constant(0), state, activity)
        _, state, activity = tf.while_loop(loop.has_step, loop.simulate_step, begin)
        return state, tf.nest.map_structure(lambda array: array.stack(), activity)

    def simulate_step(
        self,
        constants: ConstantInput,
        feed: Tensors,
        state: NetworkState,
    ) -> Tuple[NetworkState, Tensors]:
        """Simulate a step; return also the spikes of each population, 0 or 1.

        `feed` has by volume its input or random numbers in this step.
        """
        inputs = self._make_inputs(constants, feed, state)
        populations = {}
        spikes = {}
        readout = state.readout
        for volume in self._network.volumes:
            name = volume.name
            if isinstance(volume, Population):
                simulator = self._simulators[name]
                result = simulator.simulate_step(state.populations[name], inputs)
                populations[name] = result.state
                spikes[name] = result.spikes
                inputs.values[name] = result.values
                if volume is not self._network.output:
                    continue
                if is_read_by_potential(self._network):
                    readout = tf.maximum(readout, result.state["potential"])
                elif has_readout(self._network):
                    readout += result.current
            elif isinstance(volume, Reindexed):
                if name not in constants.values:
                    inputs.values[name] = reindex(volume, inputs.values)
            elif name in feed:
                pixels = tf.cast(feed[name], self._real)
                inputs.values[name] = pixels * self._network.pixel
        history = {}
        for name, earlier_values in state.history.items():
            newest = inputs.values[name][tf.newaxis]
            history[name] = tf.concat([newest, earlier_values[:-1]], axis=0)
        new_state = NetworkState(state.step + 1, populations, history, readout)
        return new_state, spikes

    def _make_inputs(
        self,
        constants: ConstantInput,
        feed: Tensors,
        state: NetworkState,
    ) -> StepInputs:
        """Return what populations read in the next step, before any is simulated."""
        if self._network.windowed:
            # Constant input lasts as long as the first window.
            is_active = state.step < self._settings.duration
            acts = tf.cast(is_active, self._real)
            constants = tf.nest.map_structure(lambda values: values * acts, constants)
        delayed_values = {}
        for name, steps in self._history_steps.items():
            for i in range(steps):
                delayed_values[name, i + 1] = state.history[name][i]
        return StepInputs(
            step=state.step,
            values=dict(constants.values),
            delayed_values=delayed_values,
            constant_currents=constants.currents,
            random_numbers=feed,
        )


class StepLoop:
    """Condition and body of the loop over the steps of a call, for `tf.while_loop`.

    The variables of the loop are the index of the step in the call, the state of the
    network, and the activity in the steps so far.
    """

    def __init__(
        self,
        simulator: NetworkSimulator,
        constants: ConstantInput,
        feed: Tensors,
        steps: tf.Tensor,
        recorded_samples: int,
    ) -> None:
        """Take the inputs of the steps: `feed` has arrays (steps, batch, ...)."""
        self._simulator = simulator
        self._constants = constants
        self._feed = feed
        self._steps = steps
        self._recorded_samples = recorded_samples

    def has_step(
        self,
        index: tf.Tensor,
        state: NetworkState,
        activity: Activity,
    ) -> tf.Tensor:
        """Return whether there is a step with this index: bool."""
        return index < self._steps

    def simulate_step(
        self,
        index: tf.Tensor,
        state: NetworkState,
        activity: Activity,
    ) -> Tuple[tf.Tensor, NetworkState, Activity]:
        """Simulate a step; return the variables of the loop after it."""
        step_feed = {name: numbers[index] for name, numbers in self._feed.items()}
        state, spikes = self._simulator.simulate_step(self._constants, step_feed, state)
        is_spike = {}
        for name, numbers in spikes.items():
            is_spike[name] = flatten_neurons(numbers > 0)
        *_, output = is_spike.values()  # the last population
        recorded_spikes = {}
        for name, array in activity.spikes.items():
            population_spikes = is_spike[name][: self._recorded_samples]
            recorded_spikes[name] = array.write(index, population_spikes)
        activity = Activity(
            output=activity.output.write(index, output),
            readout=activity.readout.write(index, flatten_neurons(state.readout)),
            spikes=recorded_spikes,
        )
        return index + 1, state, activity


class BlockInput:
    """Input that changes, and random numbers, of the samples of a block."""

    def __init__(
        self,
        network: Network,
        settings: SimulationSettings,
        x: Samples,
        first_sample: int,
    ) -> None:
        """Prepare the samples `x`; `first_sample` is the number of the first one."""
        self._network = network
        self._settings = settings
        self._x = x
        samples = range(first_sample, first_sample + len(x))
        self._input_streams: Optional[Streams] = None
        if settings.input == "poisson":
            self._input_streams = Streams(settings.seed, samples, INPUT)
        self._softmax_streams: Dict[str, Streams] = {}
        for population in network.populations:
            if population.activation == "softmax":
                use = SOFTMAX + len(self._softmax_streams)
                streams = Streams(settings.seed, samples, use)
                self._softmax_streams[population.name] = streams

    def draw(self, call: Call) -> Arrays:
        """Return the input and the random numbers in the next steps.

        They are arrays (samples, steps, *volume.shape): input currents, float32, or
        spikes, bool, by the name of the input; and by the name of a softmax layer
        numbers in [0, 1), float32.
        """
        draws = {}
        for name, streams in self._softmax_streams.items():
            shape = self._network.volume(name).shape
            draws[name] = streams.uniform(call.steps, shape)
        input_name = self._network.input.name
        if isinstance(self._x, InputSteps):
            draws[input_name] = self._x.frames(call.start, call.start + call.steps)
        elif self._input_streams is not None:
            rate = self._settings.input_rate
            spikes = self._input_streams.poisson(self._x, rate, call.steps)
            if self._network.windowed:
                # The input spikes in the first window only.
                window_end = max(0, self._settings.duration - call.start)
                spikes[:, window_end:] = False
            draws[input_name] = spikes
        return draws


class SpikeRecord:
    """Spikes of the samples of a block: their counts, and tables of the recorded ones.

    Attributes
    ----------
    late_spikes
        See `BlockCounts.late`.
    """

    def __init__(
        self,
        network: Network,
        settings: SimulationSettings,
        samples: int,
        first_sample: int,
    ) -> None:
        self._settings = settings
        self._samples = samples
        self._first_sample = first_sample
        self._recorded_samples = count_recorded_samples(settings, first_sample, samples)
        self._input_name = network.input.name
        self._quarters = late_quarters(network.latency(settings.duration))
        self._input_counts = np.zeros((samples, *network.input.shape), np.int64)
        # Recorded spikes of each call, of the input and each population
        self._rows: Dict[str, List[np.ndarray]] = {network.input.name: []}
        for population in network.populations:
            self._rows[population.name] = []
        self.late_spikes = np.zeros((len(network.populations), 2), np.int64)

    def count_late_spikes(
        self,
        call: Call,
        state_before: NetworkState,
        state_after: NetworkState,
    ) -> None:
        """Count the spikes of a call if it is in one of the last two quarters."""
        quarter_before_last, last_quarter = self._quarters
        if call.start < quarter_before_last:
            return
        column = int(call.start >= last_quarter)
        spikes_before = self._count_spikes(state_before)
        spikes_after = self._count_spikes(state_after)
        self.late_spikes[:, column] += spikes_after - spikes_before

    def _count_spikes(self, state: NetworkState) -> np.ndarray:
        """Return the number of spikes of each population: int64 (populations,)."""
        totals = []
        for population_state in state.populations.values():
            counts = population_state["spike_count"].numpy()[: self._samples]
            totals.append(counts.sum(dtype=np.int64))
        return np.array(totals)

    def add_rows(self, call: Call, spikes: Arrays) -> None:
        """Add the spikes of populations in the steps of a call, see `Activity`."""
        for name, step_spikes in spikes.items():
            self._add_volume_rows(call, name, step_spikes.swapaxes(0, 1))

    def add_input_spikes(self, call: Call, spikes: np.ndarray) -> None:
        """Add the spikes of Poisson input: bool (samples, steps, *input.shape)."""
        recorded_spikes = spikes[: self._recorded_samples]
        flat_shape = (*recorded_spikes.shape[:2], self._input_counts[0].size)
        flat_spikes = recorded_spikes.reshape(flat_shape)
        self._add_volume_rows(call, self._input_name, flat_spikes)
        if call.start >= self._settings.warm_up:
            self._input_counts += spikes.sum(axis=1)

    def _add_volume_rows(self, call: Call, name: str, spikes: np.ndarray) -> None:
        """Add the spikes of a volume in a call: bool (samples, steps, neurons)."""
        rows = spike_rows(spikes, self._first_sample, call.start)
        self._rows[name].append(rows)

    def collect_counts(self, state: NetworkState) -> Arrays:
        """Return `BlockCounts.counts`, given the state after all steps."""
        counts = {}
        if self._settings.input == "poisson":
            counts[self._input_name] = self._input_counts
        for name, population_state in state.populations.items():
            spike_count = population_state["spike_count"].numpy()[: self._samples]
            counts[name] = spike_count.astype(np.int64)
        return counts

    def collect_spikes(self) -> Arrays:
        """Return `BlockCounts.spikes`, after all steps."""
        if not self._recorded_samples:
            return {}
        return {name: spike_table(parts) for name, parts in self._rows.items()}

    def count_ties(self, state: NetworkState) -> int:
        """Return `BlockCounts.ties`, given the state after all steps."""
        ties = 0
        for population_state in state.populations.values():
            if "tie_count" in population_state:
                tie_count = population_state["tie_count"].numpy()[: self._samples]
                ties += int(tie_count.sum())
        return ties


def find_constant_volumes(network: Network) -> Set[str]:
    """Return the names of the volumes that follow from constant input only.

    These are the input, volumes without neurons, whose values are constant, and
    populations, whose currents are constant. Max pooling and delays depend on the step.
    """
    input_name = network.input.name
    names = {input_name}
    for volume in network.volumes:
        if not isinstance(volume, (Population, Reindexed)):
            continue
        if network.senders(volume) != {input_name}:
            continue
        if isinstance(volume, Reindexed) or is_memoryless(volume):
            names.add(volume.name)
    return names


def is_memoryless(population: Population) -> bool:
    """Whether the current of a population follows from its inputs in the same step."""
    for projection in population.projections:
        if projection.delay or isinstance(projection.layer, MaxPooling2D):
            return False
    return True


def pad_samples(x: np.ndarray, batch: int) -> np.ndarray:
    """Add samples of zeros to `x`, (samples, ...), until it has `batch` samples."""
    zeros = np.zeros((batch - len(x), *x.shape[1:]), x.dtype)
    return np.concatenate([x, zeros])


def flatten_neurons(values: tf.Tensor) -> tf.Tensor:
    """Return values (samples, ...) in the shape (samples, neurons)."""
    return tf.reshape(values, (values.shape[0], -1))


def _tensor_specs(tensors: Any) -> Any:
    """Return the shapes and types of nested tensors, in the same structure."""
    return tf.nest.map_structure(
        lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype),
        tensors,
    )
