"""The engine `tensorflow`: every synapse in every step, with the arithmetic of the toolbox's INI simulator.

The time steps of a call are one `tf.while_loop`. XLA is off: it would be faster, but rounds differently. Membrane
updates are not counted: on LeNet that would take 45 % more time.

The toolbox uses the same operations of Keras. Other operations would round differently and shift some spikes. To
simulate a layer kind, add its function to `CURRENTS`, or to `REINDEXED` if it has no neurons.
"""

import time
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple, Type

import numpy as np
import tensorflow as tf

from snnb.forward.analogue import batch_of
from snnb.network.event_samples import InputSteps
from snnb.network.geometry import Shape
from snnb.network.layers import (
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Layer,
    MaxPooling2D,
    Permute,
    Reindexing,
    Reshape,
    Scale,
    ZeroPadding2D,
)
from snnb.network.network import MEMBRANE, Network, Population, Reindexed, Volume, neuron_of
from snnb.simulation.engines.engine import (
    INPUT,
    SOFTMAX,
    BlockCounts,
    Dynamics,
    Observe,
    Real,
    Samples,
    Streams,
    dynamics,
    has_readout,
    is_read_by_potential,
    late_quarters,
    number_type,
    recorded_of,
    spike_rows,
    spike_table,
)
from snnb.simulation.settings import SimulationSettings

# Intended seconds of a call, for progress, and most bytes of the Poisson input and recorded spikes of its steps.
CALL_SECONDS = 0.5
CALL_BYTES = 64_000_000

Arrays = Dict[str, np.ndarray]
Tensors = Dict[str, tf.Tensor]
State = Dict[str, Tensors]


def padded(x: np.ndarray, batch: int) -> np.ndarray:
    """Add samples of zeros to `x`, shape `(samples, ...)`, until it has `batch` samples."""
    return np.concatenate([x, np.zeros((batch - len(x), *x.shape[1:]), x.dtype)])


# TensorFlow does not support all strides with dilations: a convolution with strides of 1 is computed and subsampled.
def _convolution(layer: Conv2D, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    (rows, columns), padding, dilations = layer.strides, layer.padding.upper(), layer.dilation_rate
    if max(rows, columns) > 1 and max(dilations) > 1:
        return tf.nn.convolution(x, kernel, (1, 1), padding, dilations=dilations)[:, ::rows, ::columns]
    return tf.nn.convolution(x, kernel, (rows, columns), padding, dilations=dilations)


def _depthwise(layer: DepthwiseConv2D, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    (rows, columns), padding, dilations = layer.strides, layer.padding.upper(), layer.dilation_rate
    if rows != columns or (rows > 1 and max(dilations) > 1):
        return tf.nn.depthwise_conv2d(x, kernel, (1, 1, 1, 1), padding, dilations=dilations)[:, ::rows, ::columns]
    return tf.nn.depthwise_conv2d(x, kernel, (1, rows, columns, 1), padding, dilations=dilations)


# By layer kind: function of the layer, its input `(samples, ...)` and its kernel that returns the current without bias.
CURRENTS: Mapping[Type[Layer], Callable[..., tf.Tensor]] = {
    Dense: lambda layer, x, kernel: tf.matmul(x, kernel) if x.shape.rank == 2 else tf.tensordot(x, kernel, 1),
    Scale: lambda layer, x, kernel: x * tf.reshape(kernel, (*(x.shape[1:-1] if layer.by_position else ()), -1)),
    Conv2D: _convolution,
    DepthwiseConv2D: _depthwise,
    AveragePooling2D: lambda layer, x, _: tf.nn.avg_pool2d(x, layer.pool_size, layer.strides, layer.padding.upper()),
}


def largest(layer: MaxPooling2D, values: tf.Tensor) -> tf.Tensor:
    """Return the largest value in each window."""
    return tf.nn.max_pool2d(values, layer.pool_size, layer.strides, layer.padding.upper())


def leading_spikes(layer: MaxPooling2D, accumulated: tf.Tensor, spikes: tf.Tensor) -> tf.Tensor:
    """Return the present spike of each window's input that has accumulated most so far; the first of several."""
    _, leader = tf.nn.max_pool_with_argmax(accumulated, layer.pool_size, layer.strides, layer.padding.upper())
    batch = tf.shape(spikes)[0]
    passed = tf.gather(tf.reshape(spikes, (batch, -1)), tf.reshape(leader, (batch, -1)), batch_dims=1)
    return tf.reshape(passed, leader.shape)


def _cropped(layer: Cropping2D, shape: Shape, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    (top, _), (left, _) = layer.cropping
    height, width, _ = shape
    return inputs[0][:, top : top + height, left : left + width]


# By re-indexing layer kind: function of the layer, the shape of its output and its inputs `(samples, ...)`.
REINDEXED: Mapping[Type[Reindexing], Callable[..., tf.Tensor]] = {
    Flatten: lambda layer, shape, inputs: tf.reshape(inputs[0], (-1, *shape)),
    Reshape: lambda layer, shape, inputs: tf.reshape(inputs[0], (-1, *shape)),
    Permute: lambda layer, shape, inputs: tf.transpose(inputs[0], (0, *layer.dims)),
    Concatenate: lambda layer, shape, inputs: tf.concat(inputs, layer.along(len(shape)) + 1),
    ZeroPadding2D: lambda layer, shape, inputs: tf.pad(inputs[0], [(0, 0), *layer.padding, (0, 0)]),
    Cropping2D: _cropped,
}


def reindexed(volume: Reindexed, tensors: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Return the values of a volume without neurons, given the values of the volumes that it reads, by name."""
    return REINDEXED[type(volume.layer)](volume.layer, volume.shape, [tensors[name] for name in volume.inputs])


class Currents:
    """Computes currents of populations; their weights are held as tensors of the number type `real`."""

    def __init__(self, populations: Sequence[Population], real: Real) -> None:
        self._kernels: Dict[str, List[Optional[tf.Tensor]]] = {
            population.name: [None if p.kernel is None else tf.constant(p.kernel, real) for p in population.projections]
            for population in populations
        }
        self._biases = {p.name: tf.constant(p.bias, real) for p in populations if p.bias is not None}

    def of(
        self,
        population: Population,
        read: Mapping[str, tf.Tensor],
        delayed: Mapping[Tuple[str, int], tf.Tensor] = MappingProxyType({}),
    ) -> tf.Tensor:
        """Sum the currents of a population's projections, and add its bias: `real` (samples, *population.shape).

        `read` has the values of volumes by name, `real` (samples, ...); `delayed` has values of earlier steps by name
        and delay. Projections from other volumes are ignored.
        """
        kernels = zip(population.projections, self._kernels[population.name])
        values = {**{(name, 0): value for name, value in read.items()}, **delayed}
        first, *others = (
            CURRENTS[type(p.layer)](p.layer, values[p.source], k) for p, k in kernels if p.source in values
        )
        for current in others:
            first += current
        bias = self._biases.get(population.name)
        if bias is None:
            return first
        return tf.nn.bias_add(first, bias) if bias.shape.rank == 1 else first + bias


class TensorFlowEngine:
    """Counts spikes as the toolbox does, identically in every layer but the random softmax one; on CPU and GPU.

    It simulates batches of one size. The state of a batch is, each by population: `potentials`; `counts` of spikes;
    `readout`, the output layer's accumulated input, or its largest potential; `accumulated`, the sum of each input of a
    max pooling layer; `currents`, synaptic currents; `history`, by volume that is read with a delay, its values in the
    last steps, the latest first; `ties`, the number in each sample, see `BlockCounts`; and in `clock` the number of
    steps done.
    """

    def __init__(self, network: Network, settings: SimulationSettings) -> None:
        self._network, self._settings, self._batch = network, settings, batch_of(network.neurons)
        self._duration, self._windowed = network.latency(settings.duration), network.windowed
        self._real = number_type(network, settings)
        # With windows, or with projections that close a cycle, biases act in some steps only.
        part_time = {p.name for p in network.populations if self._windowed or p.later_bias is not None}
        biased = [p for p in network.populations if p.name in part_time and p.bias is not None]
        self._biases = {p.name: tf.constant(p.bias, self._real) for p in biased}
        self._later_biases = {
            p.name: tf.constant(p.later_bias, self._real) for p in network.populations if p.later_bias is not None
        }
        populations = [replace(p, bias=None) if p.name in part_time else p for p in network.populations]
        self._currents = Currents(populations, self._real)
        modelled = [p for p in network.populations if p.neuron is not None]
        self._dynamics = {p.name: Dynamics(*map(tf.constant, dynamics(p))) for p in modelled}
        delayed = [p for population in network.populations for p in population.projections if p.delay]
        self._history = {p.input: max(q.delay for q in delayed if q.input == p.input) for p in delayed}
        neurons = {p.name: neuron_of(p, settings) for p in network.populations}
        self._starts = {name: np.asarray(neuron.initial, self._real) for name, neuron in neurons.items()}
        self._thresholds = {name: np.asarray(neuron.firing_threshold, self._real) for name, neuron in neurons.items()}
        self._after = {name: np.asarray(neuron.after, self._real) for name, neuron in neurons.items()}
        self._to_value = {name: neuron.reset is not None for name, neuron in neurons.items()}
        self._below = {
            p.name: np.nextafter(self._thresholds[p.name], np.float32(-np.inf)) for p in modelled if p.spikes
        }
        self._constant: Set[str] = set()  # volumes whose input does not change from step to step
        if settings.input == "constant":
            reading = [v for v in network.volumes if isinstance(v, (Population, Reindexed))]
            only_input = [volume.name for volume in reading if network.senders(volume) == {network.input.name}]
            changing = {p.name for p in network.populations if accumulates(p) or any(q.delay for q in p.projections)}
            self._constant = {network.input.name, *only_input} - changing
        self._traced: Dict[int, Any] = {}
        self._pace = 1  # steps of the next call

    def simulate(self, x: Samples, first: int, observe: Observe) -> BlockCounts:
        """See `Engine`."""
        n, source, settings = len(x), self._network.input.name, self._settings
        recorded, samples = recorded_of(settings, first, n), range(first, first + n)
        poisson = settings.input == "poisson"
        poisson_input = Streams(settings.seed, samples if poisson else range(0), INPUT)
        softmax = [population for population in self._network.populations if population.activation == "softmax"]
        uniforms = [(each, Streams(settings.seed, samples, SOFTMAX + i)) for i, each in enumerate(softmax)]
        constants, state = self._begin(x)
        names = [population.name for population in self._network.populations]
        input_spikes = np.zeros((n, *self._network.input.shape), np.int64)
        late, quarters = np.zeros((len(names), 2), np.int64), late_quarters(self._duration)
        tables: Dict[str, List[np.ndarray]] = {name: [] for name in [source, *names]}

        def spikes_of_populations() -> np.ndarray:
            return np.array([spikes.numpy()[:n].sum(dtype=np.int64) for spikes in state["counts"].values()])

        for start, steps in self._calls(recorded):
            if start == settings.warm_up:
                state = {**state, "counts": {p.name: self._zeros(p) for p in self._network.populations}}
            if start >= quarters[0]:
                late[:, int(start >= quarters[1])] -= spikes_of_populations()
            # By volume, (samples, steps, ...): currents or spikes of the input, random numbers of a softmax layer
            drawn = {population.name: streams.uniform(steps, population.shape) for population, streams in uniforms}
            if isinstance(x, InputSteps):
                drawn[source] = x.frames(start, start + steps)
            elif poisson:
                drawn[source] = poisson_input.poisson(x, settings.input_rate, steps)
                if self._windowed:
                    drawn[source][:, max(0, settings.duration - start) :] = False
            state, record = self._run(constants, drawn, state, steps, recorded)
            readout = record["readout"].swapaxes(0, 1)[:n] if has_readout(self._network) else None
            observe(record["output"].swapaxes(0, 1)[:n], readout)
            if start >= quarters[0]:
                late[:, int(start >= quarters[1])] += spikes_of_populations()
            spikes = {name: of_steps.swapaxes(0, 1) for name, of_steps in record["spikes"].items()}
            if poisson:
                spikes[source] = drawn[source][:recorded].reshape(recorded, steps, self._network.input.size)
            for name, of_samples in spikes.items():
                tables[name].append(spike_rows(of_samples, first, start))
            if poisson and start >= settings.warm_up:
                input_spikes += drawn[source].sum(axis=1)
        counts = {name: spikes.numpy()[:n].astype(np.int64) for name, spikes in state["counts"].items()}
        return BlockCounts(
            counts={**({source: input_spikes} if poisson else {}), **counts},
            readout=None if readout is None else readout[:, -1],
            late=None if self._windowed else late,
            spikes={name: spike_table(parts) for name, parts in tables.items()} if recorded else {},
            ties=sum(int(ties.numpy()[:n].sum()) for ties in state["ties"].values()),
        )

    def _calls(self, recorded: int) -> Iterator[Tuple[int, int]]:
        """Yield the first step and the number of steps of each call, so that a call takes about half a second."""
        duration, settings = self._duration, self._settings
        # A call ends where counts are taken separately.
        ends = sorted({settings.warm_up, *late_quarters(duration), duration})
        input_bytes = self._batch * self._network.input.size * 5 if settings.input != "constant" else 0
        step_limit = max(1, CALL_BYTES // (input_bytes + recorded * self._network.neurons + 1))
        start = 0
        while start < duration:
            steps = min(self._pace, step_limit, next(end for end in ends if end > start) - start)
            began = time.perf_counter()
            yield start, steps
            expected = int(steps * CALL_SECONDS / (time.perf_counter() - began))
            self._pace = max(1, min(expected, 4 * self._pace))
            start += steps

    def _begin(self, x: Samples) -> Tuple[Tensors, State]:
        """Return the tensors that depend on constant input only (currents, values passed on), and the initial state."""
        populations = self._network.populations
        accumulating = [population for population in populations if accumulates(population)]
        state = {
            "potentials": {p.name: self._zeros(p) + self._starts[p.name] for p in populations},
            "counts": {population.name: self._zeros(population) for population in populations},
            "readout": {self._network.output.name: self._zeros(self._network.output)},
            "clock": {"step": tf.constant(0)},
            "accumulated": {p.name: self._zeros(self._network.volume(p.only.input)) for p in accumulating},
            "ties": {p.name: tf.zeros(self._batch, tf.int64) for p in populations if p.name in self._below},
            "currents": {
                p.name: self._zeros(p)
                for p in populations
                if p.neuron is not None and p.neuron.current_leak is not None
            },
            "history": {
                name: tf.zeros((delay, self._batch, *self._network.volume(name).shape), self._real)
                for name, delay in self._history.items()
            },
        }
        if is_read_by_potential(self._network):
            state["readout"] = {name: values - np.inf for name, values in state["readout"].items()}
        constants: Tensors = {}
        for volume in self._network.volumes:
            if volume.name not in self._constant:
                continue
            if isinstance(volume, Population):
                constants[volume.name] = self._currents.of(volume, constants)
            elif isinstance(volume, Reindexed):
                constants[volume.name] = reindexed(volume, constants)
            else:
                constants[volume.name] = tf.constant(padded(np.asarray(x), self._batch), self._real)
        return constants, state

    def _zeros(self, volume: Volume) -> tf.Tensor:
        return tf.zeros((self._batch, *volume.shape), self._real)

    def _run(
        self, constants: Tensors, drawn: Arrays, state: State, steps: int, recorded: int
    ) -> Tuple[State, Dict[str, Any]]:
        """Simulate the next steps, given their random numbers; return the state and arrays of each step.

        These are the output layer's spikes `output`, bool (steps, batch, units); its accumulated input `readout`,
        float32 of the same shape; and by population the `spikes` of the first `recorded` samples, bool (steps,
        recorded, neurons).
        """
        feed = {
            name: tf.constant(np.ascontiguousarray(padded(numbers, self._batch).swapaxes(0, 1)))
            for name, numbers in drawn.items()
        }
        if recorded not in self._traced:  # once for any number of steps
            of_any_steps = {name: tf.TensorSpec((None, *draws.shape[1:]), draws.dtype) for name, draws in feed.items()}
            signature = [_specs(constants), of_any_steps, _specs(state), tf.TensorSpec((), tf.int32)]
            self._traced[recorded] = tf.function(
                partial(self._loop, recorded=recorded), input_signature=signature, autograph=False
            )
        state, record = self._traced[recorded](constants, feed, state, tf.constant(steps))
        return state, tf.nest.map_structure(lambda tensor: tensor.numpy(), record)

    def _loop(
        self, constants: Tensors, feed: Tensors, state: State, steps: tf.Tensor, *, recorded: int
    ) -> Tuple[State, Dict[str, Any]]:
        """Trace the loop over the steps; see `_run`."""
        names = [population.name for population in self._network.populations] if recorded else []
        arrays: Dict[str, Any] = {
            "output": tf.TensorArray(tf.bool, steps),
            "readout": tf.TensorArray(self._real, steps),
            "spikes": {name: tf.TensorArray(tf.bool, steps) for name in names},
        }

        def body(t: tf.Tensor, state: State, arrays: Dict[str, Any]) -> Tuple[tf.Tensor, State, Dict[str, Any]]:
            state, spikes = self._step(constants, {name: draws[t] for name, draws in feed.items()}, state)
            flat = {name: tf.reshape(s > 0, (self._batch, -1)) for name, s in spikes.items()}
            output = self._network.output.name
            written = {
                "output": arrays["output"].write(t, flat[output]),
                "readout": arrays["readout"].write(t, tf.reshape(state["readout"][output], (self._batch, -1))),
                "spikes": {name: array.write(t, flat[name][:recorded]) for name, array in arrays["spikes"].items()},
            }
            return t + 1, state, written

        _, state, arrays = tf.while_loop(lambda t, *_: t < steps, body, (tf.constant(0), state, arrays))
        return state, tf.nest.map_structure(lambda array: array.stack(), arrays)

    def _step(self, constants: Tensors, feed: Tensors, state: State) -> Tuple[State, Tensors]:
        """Do one step; return also the spikes of each population, float32 0 or 1.

        A spike reaches the last layer in the step in which it is sent.
        """
        new: State = {key: dict(values) for key, values in state.items()}
        step = state["clock"]["step"]
        new["clock"]["step"] = step + 1
        if self._windowed:
            acts = tf.cast(step < self._settings.duration, self._real)
            constants = {name: values * acts for name, values in constants.items()}
        tensors, spikes = dict(constants), {}
        delayed = {
            (name, i + 1): state["history"][name][i] for name, delay in self._history.items() for i in range(delay)
        }
        for volume in self._network.volumes:
            name = volume.name
            if isinstance(volume, Population):
                if volume.neuron is not None:
                    current = constants[name] if name in constants else self._currents.of(volume, tensors, delayed)
                    spikes[name] = tensors[name] = self._fired(volume, current, new)
                    continue
                if volume.counts_largest:
                    spikes[name] = fired = self._risen(volume, tensors, new)
                else:
                    spikes[name] = fired = self._spikes(volume, constants, tensors, feed, new)
                    after = self._after[name]
                    if self._to_value[name]:  # 0
                        new["potentials"][name] -= fired * new["potentials"][name]
                    else:
                        new["potentials"][name] -= fired if np.all(after == 1) else fired * after
                tensors[name] = fired if self._settings.threshold == 1 else fired * self._settings.threshold
                new["counts"][name] += fired
            elif isinstance(volume, Reindexed):
                if name not in constants:
                    tensors[name] = reindexed(volume, tensors)
            elif name in feed:
                tensors[name] = tf.cast(feed[name], self._real) * self._network.pixel
        for name, history in state["history"].items():
            new["history"][name] = tf.concat([tensors[name][tf.newaxis], history[:-1]], axis=0)
        return new, spikes

    def _fired(self, population: Population, current: tf.Tensor, state: State) -> tf.Tensor:
        """Integrate the current of neurons with a neuron model, in the order that `Neuron` defines; return spikes."""
        name, neuron, numbers = population.name, population.neuron, self._dynamics[population.name]
        assert neuron is not None
        if name in self._later_biases:
            later = self._later_biases[name]
            bias = self._biases.get(name, tf.zeros_like(later))
            current += tf.where(state["clock"]["step"] > 1, bias + later, bias)
        if name in state["currents"]:
            held = state["currents"][name]
            current = held + (numbers.current_gain * current - numbers.current_decay * held)
            state["currents"][name] = current
        potential = state["potentials"][name]
        potential = potential + ((numbers.gain * current + numbers.offset) - numbers.decay * potential)
        if not neuron.spikes:
            state["potentials"][name] = potential
            if name in state["readout"]:
                state["readout"][name] = tf.maximum(state["readout"][name], potential)
            return tf.zeros_like(potential)
        reached = potential >= self._thresholds[name]
        equal = tf.reshape(potential == self._below[name], (self._batch, -1))
        state["ties"][name] += tf.math.count_nonzero(equal, axis=1)
        after = self._after[name] if self._to_value[name] else potential - self._after[name]
        state["potentials"][name] = tf.where(reached, after, potential)
        spikes = tf.cast(reached, self._real)
        state["counts"][name] += spikes
        return spikes

    def _risen(self, population: Population, tensors: Tensors, state: State) -> tf.Tensor:
        """Return 1 where the largest spike count of the inputs rises, else 0."""
        projection, counts = population.only, state["accumulated"]
        assert isinstance(projection.layer, MaxPooling2D)
        before = largest(projection.layer, counts[population.name])
        counts[population.name] += tf.cast(tensors[projection.input] > 0, self._real)
        return largest(projection.layer, counts[population.name]) - before

    def _spikes(
        self, population: Population, constants: Tensors, tensors: Tensors, feed: Tensors, state: State
    ) -> tf.Tensor:
        """Integrate a population's current, and return the spikes that follow."""
        name = population.name
        if accumulates(population):
            projection = population.only
            state["accumulated"][name] += tensors[projection.input]
            assert isinstance(projection.layer, MaxPooling2D)
            current = leading_spikes(projection.layer, state["accumulated"][name], tensors[projection.input])
        else:
            current = constants[name] if name in constants else self._currents.of(population, tensors)
        if population.window is not None and name in self._biases:
            current += self._biases[name] * self._within(state, population.window[0] - self._settings.duration)
        state["potentials"][name] += current
        if name in state["readout"]:
            state["readout"][name] += current
        if population.activation == MEMBRANE:
            return tf.zeros_like(current)
        if population.activation == "softmax":
            potential = state["potentials"][name]
            fires = tf.reshape(feed[name], tf.shape(potential)) <= tf.nn.softmax(potential)
            return tf.cast(fires, tf.float32)
        reached = _reached(state["potentials"][name], self._thresholds[name])
        return reached if population.window is None else reached * self._within(state, population.window[0])

    def _within(self, state: State, first: int) -> tf.Tensor:
        """Return 1 in the window of `duration` steps that begins with the step `first`, else 0: float32."""
        step = state["clock"]["step"] - 1
        return tf.cast((step >= first) & (step < first + self._settings.duration), self._real)


def accumulates(population: Population) -> bool:
    """Whether its current depends on the accumulated inputs, as in max pooling by the rule of snntoolbox."""
    return any(isinstance(projection.layer, MaxPooling2D) for projection in population.projections)


def _reached(potential: tf.Tensor, threshold: np.ndarray) -> tf.Tensor:
    """Return 1 where the potential is at least the threshold, else 0: numbers of their type; thresholds are above 0.

    A comparison and its cast to numbers take as long as a convolution. So: a number that is at least 1 where the
    potential reaches the threshold and at most 0 elsewhere, clipped. For thresholds other than 1 it is the distance to
    the largest number below the threshold, in units of the difference of the two, a power of two: exactly 1 at the
    threshold.
    """
    below, real = np.nextafter(threshold, np.zeros_like(threshold)), potential.dtype.as_numpy_dtype
    above = tf.floor(potential) if np.all(threshold == 1) else (potential - below) * (1 / (threshold - below))
    return tf.raw_ops.ClipByValue(t=above, clip_value_min=real(0), clip_value_max=real(1))


def _specs(tensors: Any) -> Any:
    return tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), tensors)
