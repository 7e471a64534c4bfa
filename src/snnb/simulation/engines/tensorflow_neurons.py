"""Populations of the engine `tensorflow`: their state, and one time step.

A class for each kind of population states the tensors of its state, makes the state
before the first step (`start`), and simulates a step (`simulate_step`). All tensors
have the shape (samples, *population.shape) and the number type of the engine, unless
stated otherwise.
"""

from typing import Dict, Mapping, NamedTuple, Protocol, Tuple, Type

import numpy as np

from snnb.core.quiet_tensorflow import tensorflow as tf
from snnb.network.layers import MaxPooling2D
from snnb.network.network import MEMBRANE, Network, Population, Projection, neuron_of
from snnb.simulation.engines.engine import Dynamics, Real, dynamics
from snnb.simulation.engines.tensorflow_layers import largest, leading_spikes, project
from snnb.simulation.settings import SimulationSettings

Tensors = Dict[str, tf.Tensor]


class StepInputs(NamedTuple):
    """What populations read in a time step."""

    step: tf.Tensor  # number of the step: int32
    values: Tensors  # by volume, what it passes on in this step: (samples, ...)
    # By volume and delay, values of the step that is `delay` steps earlier
    delayed_values: Mapping[Tuple[str, int], tf.Tensor]
    # By population, currents that are the same in all steps, without a bias that acts
    # in some steps only
    constant_currents: Tensors
    random_numbers: Tensors  # by softmax population, in [0, 1): float32


class StepResult(NamedTuple):
    """A population after a time step."""

    state: Tensors
    spikes: tf.Tensor  # 0 or 1
    values: tf.Tensor  # what the population passes on: its spikes times their amplitude
    # Total input current, or the synaptic current if the neurons have one; 0 if the
    # population has no membrane
    current: tf.Tensor


class PopulationSimulator(Protocol):
    """Simulates a population a step at a time.

    Every state has `spike_count`, the number of spikes so far.
    """

    def start(self, samples: int) -> Tensors:
        """Return the state before the first step."""

    def simulate_step(self, state: Tensors, inputs: StepInputs) -> StepResult:
        """Simulate a step."""


class SynapticCurrent:
    """Sums the currents of the projections of a population, and its bias.

    Kernels and bias are tensors of the number type `real`. Without `adds_bias`, the
    bias is left to the caller, as it acts in some steps only.
    """

    def __init__(self, population: Population, real: Real, *, adds_bias: bool) -> None:
        self._name = population.name
        self._projections = population.projections
        self._kernels = []
        for projection in population.projections:
            kernel = projection.kernel
            tensor = None if kernel is None else tf.constant(kernel, real)
            self._kernels.append(tensor)
        self._bias = None
        if adds_bias and population.bias is not None:
            self._bias = tf.constant(population.bias, real)

    def compute(self, inputs: StepInputs) -> tf.Tensor:
        """Return the current in a step: (samples, *population.shape)."""
        if self._name in inputs.constant_currents:
            return inputs.constant_currents[self._name]
        return self.add_projections(inputs.values, inputs.delayed_values)

    def add_projections(
        self,
        values: Mapping[str, tf.Tensor],
        delayed_values: Mapping[Tuple[str, int], tf.Tensor],
    ) -> tf.Tensor:
        """Return the current, given what the projections read, see `StepInputs`."""
        currents = []
        for projection, kernel in zip(self._projections, self._kernels):
            x = read_source(projection, values, delayed_values)
            currents.append(project(projection, x, kernel))
        total = currents[0]
        for current in currents[1:]:
            total += current
        if self._bias is None:
            return total
        if self._bias.shape.rank == 1:
            return tf.nn.bias_add(total, self._bias)
        return total + self._bias


def read_source(
    projection: Projection,
    values: Mapping[str, tf.Tensor],
    delayed_values: Mapping[Tuple[str, int], tf.Tensor],
) -> tf.Tensor:
    """Return what a projection reads in a step, see `StepInputs`."""
    if projection.delay:
        return delayed_values[projection.source]
    return values[projection.input]


class ConvertedNeurons:
    """Integrate-and-fire neurons of a converted network.

    The state is `potential`, `spike_count` and, of a max pooling, `input_sums`: the sum
    of the values of each of its inputs so far, (samples, *input.shape).

    With firing windows (`Network.separated`), a bias acts in the window before the
    population fires, and spikes outside the window of the population are suppressed. A
    random output, which is drawn from its softmax, has no window.
    """

    def __init__(
        self,
        network: Network,
        population: Population,
        settings: SimulationSettings,
        synapses: SynapticCurrent,
        real: Real,
    ) -> None:
        neuron = neuron_of(population, settings)
        self._population = population
        self._settings = settings
        self._synapses = synapses
        self._real = real
        self._initial = np.asarray(neuron.initial, real)
        self._threshold = np.asarray(neuron.threshold, real)
        self._after = np.asarray(neuron.reset_or_subtrahend, real)
        self._resets_to_zero = neuron.reset_potential is not None
        self._windowed_bias = None
        if network.windowed and population.bias is not None:
            self._windowed_bias = tf.constant(population.bias, real)
        self._input_shape: Tuple[int, ...] = ()
        if follows_leading_input(population):
            self._input_shape = network.volume(population.only.input).shape

    def start(self, samples: int) -> Tensors:
        """See `PopulationSimulator`."""
        zeros = tf.zeros((samples, *self._population.shape), self._real)
        state = {
            "potential": zeros + self._initial,
            "spike_count": zeros,
        }
        if follows_leading_input(self._population):
            shape = (samples, *self._input_shape)
            state["input_sums"] = tf.zeros(shape, self._real)
        return state

    def simulate_step(self, state: Tensors, inputs: StepInputs) -> StepResult:
        """See `PopulationSimulator`."""
        state = dict(state)
        if follows_leading_input(self._population):
            projection = self._population.only
            assert isinstance(projection.layer, MaxPooling2D)
            x = inputs.values[projection.input]
            state["input_sums"] += x
            current = leading_spikes(projection.layer, state["input_sums"], x)
        else:
            current = self._synapses.compute(inputs)
        window = self._population.window
        if window is not None and self._windowed_bias is not None:
            bias_start = window[0] - self._settings.duration
            acts = self._is_in_window(inputs.step, bias_start)
            current += self._windowed_bias * acts
        state["potential"] += current
        spikes = self._fire(state["potential"], inputs)
        if self._resets_to_zero:
            state["potential"] -= spikes * state["potential"]
        elif np.all(self._after == 1):
            state["potential"] -= spikes
        else:
            state["potential"] -= spikes * self._after
        state["spike_count"] += spikes
        values = pass_on(spikes, self._settings.threshold)
        return StepResult(state, spikes, values, current)

    def _fire(self, potential: tf.Tensor, inputs: StepInputs) -> tf.Tensor:
        """Return 1 where a neuron with this potential spikes, else 0."""
        if self._population.activation == MEMBRANE:
            return tf.zeros_like(potential)
        if self._population.activation == "softmax":
            random_numbers = inputs.random_numbers[self._population.name]
            uniform = tf.reshape(random_numbers, tf.shape(potential))
            return tf.cast(uniform <= tf.nn.softmax(potential), tf.float32)
        spikes = reach_threshold(potential, self._threshold)
        if self._population.window is None:
            return spikes
        return spikes * self._is_in_window(inputs.step, self._population.window[0])

    def _is_in_window(self, step: tf.Tensor, window_start: int) -> tf.Tensor:
        """Return 1 in the `duration` steps from `window_start` on, else 0."""
        window_end = window_start + self._settings.duration
        return tf.cast((step >= window_start) & (step < window_end), self._real)


class ModelNeurons:
    """Neurons with a neuron model, or leaky integrators that do not spike.

    The operations are in the order that `Neuron` defines. The state is `potential` and
    `spike_count`; with a synaptic current `synaptic_current`; and of neurons that
    spike `tie_count`, the number of ties so far: int64 (samples,), see `BlockCounts`.
    """

    def __init__(
        self,
        population: Population,
        synapses: SynapticCurrent,
        real: Real,
    ) -> None:
        neuron = population.neuron
        assert neuron is not None
        self._population = population
        self._neuron = neuron
        self._synapses = synapses
        self._real = real
        self._initial = np.asarray(neuron.initial, real)
        self._threshold = np.asarray(neuron.threshold, real)
        self._largest_below = np.nextafter(self._threshold, np.float32(-np.inf))
        self._after = np.asarray(neuron.reset_or_subtrahend, real)
        self._dynamics = Dynamics(*map(tf.constant, dynamics(population)))
        # Biases of the first step, and of the steps after it
        self._early_bias = None
        self._late_bias = None
        if population.later_bias is not None:
            cycle_bias = tf.constant(population.later_bias, real)
            self._early_bias = tf.zeros_like(cycle_bias)
            if population.bias is not None:
                self._early_bias = tf.constant(population.bias, real)
            self._late_bias = self._early_bias + cycle_bias

    def start(self, samples: int) -> Tensors:
        """See `PopulationSimulator`."""
        zeros = tf.zeros((samples, *self._population.shape), self._real)
        state = {
            "potential": zeros + self._initial,
            "spike_count": zeros,
        }
        if self._neuron.current_decay_factor is not None:
            state["synaptic_current"] = zeros
        if self._neuron.is_spiking:
            state["tie_count"] = tf.zeros(samples, tf.int64)
        return state

    def simulate_step(self, state: Tensors, inputs: StepInputs) -> StepResult:
        """See `PopulationSimulator`."""
        state = dict(state)
        current = self._synapses.compute(inputs)
        if self._late_bias is not None:
            bias = tf.where(inputs.step > 0, self._late_bias, self._early_bias)
            current += bias
        numbers = self._dynamics
        if self._neuron.current_decay_factor is not None:
            previous = state["synaptic_current"]
            rise = numbers.current_gain * current
            current = previous + (rise - numbers.current_leak_rate * previous)
            state["synaptic_current"] = current
        potential = state["potential"]
        rise = numbers.gain * current + numbers.offset
        potential = potential + (rise - numbers.leak_rate * potential)
        if not self._neuron.is_spiking:
            state["potential"] = potential
            silence = tf.zeros_like(potential)
            return StepResult(state, silence, silence, current)
        is_tie = tf.equal(potential, self._largest_below)
        samples = state["tie_count"].shape[0]
        sample_ties = tf.reshape(is_tie, (samples, -1))
        state["tie_count"] += tf.math.count_nonzero(sample_ties, axis=1)
        is_spike = potential >= self._threshold
        potential_after_spike = self._reset(potential)
        state["potential"] = tf.where(is_spike, potential_after_spike, potential)
        spikes = tf.cast(is_spike, self._real)
        state["spike_count"] += spikes
        return StepResult(state, spikes, spikes, current)

    def _reset(self, potential: tf.Tensor) -> tf.Tensor:
        """Return the potential after a spike of a neuron with this potential."""
        if self._neuron.reset_potential is not None:
            return self._after
        return potential - self._after


class LargestCountPooling:
    """Max pooling that spikes where the largest spike count of its inputs rises.

    It has no membrane. The state is `spike_count`, and `input_counts`: the spike counts
    of the inputs, (samples, *input.shape).
    """

    def __init__(
        self,
        network: Network,
        population: Population,
        settings: SimulationSettings,
        real: Real,
    ) -> None:
        layer = population.only.layer
        assert isinstance(layer, MaxPooling2D)
        self._layer = layer
        self._input = network.volume(population.only.input)
        self._shape = population.shape
        self._threshold = settings.threshold
        self._real = real

    def start(self, samples: int) -> Tensors:
        """See `PopulationSimulator`."""
        return {
            "spike_count": tf.zeros((samples, *self._shape), self._real),
            "input_counts": tf.zeros((samples, *self._input.shape), self._real),
        }

    def simulate_step(self, state: Tensors, inputs: StepInputs) -> StepResult:
        """See `PopulationSimulator`."""
        is_spike = inputs.values[self._input.name] > 0
        counts_before = state["input_counts"]
        input_counts = counts_before + tf.cast(is_spike, self._real)
        largest_before = largest(self._layer, counts_before)
        spikes = largest(self._layer, input_counts) - largest_before
        new_state = {
            "spike_count": state["spike_count"] + spikes,
            "input_counts": input_counts,
        }
        values = pass_on(spikes, self._threshold)
        return StepResult(new_state, spikes, values, tf.zeros_like(spikes))


def make_synapses(
    network: Network,
    population: Population,
    real: Real,
) -> SynapticCurrent:
    """Return the synapses of a population.

    With firing windows, or projections that close a cycle, its bias acts in some steps
    only, and the simulator of the population adds it.
    """
    acts_always = not network.windowed and population.later_bias is None
    return SynapticCurrent(population, real, adds_bias=acts_always)


def make_simulator(
    network: Network,
    population: Population,
    settings: SimulationSettings,
    synapses: SynapticCurrent,
    real: Real,
) -> PopulationSimulator:
    """Return the simulator of a population."""
    if population.neuron is not None:
        return ModelNeurons(population, synapses, real)
    if population.counts_largest:
        return LargestCountPooling(network, population, settings, real)
    return ConvertedNeurons(network, population, settings, synapses, real)


def follows_leading_input(population: Population) -> bool:
    """Whether a population is a max pooling by the rule of snntoolbox.

    Each neuron passes on the spikes of the input that has accumulated most so far.
    """
    layers = [projection.layer for projection in population.projections]
    is_pooling = any(isinstance(layer, MaxPooling2D) for layer in layers)
    return is_pooling and not population.counts_largest


def pass_on(spikes: tf.Tensor, amplitude: float) -> tf.Tensor:
    """Return spikes, 0 or 1, times their amplitude."""
    return spikes if amplitude == 1 else spikes * amplitude


def reach_threshold(potential: tf.Tensor, threshold: np.ndarray) -> tf.Tensor:
    """Return 1 where the potential is at least the threshold, else 0.

    The result has the number type of `potential`. Thresholds are above 0.

    A comparison and its cast to numbers take as long as a convolution. Therefore, a
    number that is at least 1 where the potential reaches the threshold, and at most 0
    elsewhere, is clipped. For the threshold 1, this is the potential, rounded down. For
    others, it is the distance to the largest number below the threshold, in units of
    the difference of the two, a power of two: exactly 1 at the threshold.
    """
    real: Type[np.floating] = potential.dtype.as_numpy_dtype
    if np.all(threshold == 1):
        excess = tf.floor(potential)
    else:
        largest_below = np.nextafter(threshold, np.zeros_like(threshold))
        excess = (potential - largest_below) * (1 / (threshold - largest_below))
    return tf.raw_ops.ClipByValue(
        t=excess,
        clip_value_min=real(0),
        clip_value_max=real(1),
    )
