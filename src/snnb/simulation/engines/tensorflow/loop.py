"""Time steps of a network as one `tf.while_loop`, with the arithmetic of the toolbox's INI simulator.

Compilation with XLA would be faster, but rounds differently: it stays off.
"""

from dataclasses import replace
from functools import partial
from typing import Any, Dict, Tuple

import numpy as np
import tensorflow as tf

from snnb.conversion.batch import batch_of
from snnb.conversion.currents import ACCUMULATING, Currents, reindexed
from snnb.network.network import MEMBRANE, Network, Population, Reindexed, Volume
from snnb.simulation.block import firing_threshold, initial_potential
from snnb.simulation.engines.dense import Arrays, DenseEngine, StepRecord, accumulates, constant_volumes
from snnb.simulation.exactness import number_type
from snnb.simulation.simulation_settings import SimulationSettings

Tensors = Dict[str, tf.Tensor]
State = Dict[str, Tensors]


class TensorFlowEngine(DenseEngine):
    """Counts spikes as the toolbox does, identically in every layer but the random softmax one; on CPU and GPU."""

    def __init__(self, network: Network, settings: SimulationSettings) -> None:
        super().__init__(network, settings, Loop(network, settings, batch_of(network)))


class Loop:
    """The network's dynamics for batches of one size.

    Its state is, each by population: `potentials`; `counts` of spikes; `readout`, the output layer's accumulated input;
    `accumulated`, what each input of a max pooling layer has accumulated; and in `clock` the number of steps done.
    """

    def __init__(self, network: Network, settings: SimulationSettings, batch: int) -> None:
        self._network, self._settings, self.batch = network, settings, batch
        self._windowed = network.windowed
        # With windows, a bias acts in some steps only.
        biased = [p for p in network.populations if self._windowed and p.bias is not None]
        self._biases = {p.name: tf.constant(p.bias, number_type(network, settings)) for p in biased}
        self._real = number_type(network, settings)
        populations = [replace(p, bias=None) if self._windowed else p for p in network.populations]
        self._currents = Currents(populations, self._real)
        integers = [p for p in network.populations if p.threshold is not None]
        self._thresholds = {p.name: firing_threshold(p, settings).astype(self._real) for p in integers}
        self._constant = constant_volumes(network) if settings.input == "constant" else set()
        self._traced: Dict[int, Any] = {}
        self._constants: Tensors = {}
        self._state: State = {}

    def begin(self, x: np.ndarray) -> None:
        """See `dense.Loop`. What constant input alone decides is computed here: currents, and what is passed on."""
        populations = self._network.populations
        accumulating = [population for population in populations if accumulates(population)]
        self._state = {
            "potentials": {
                p.name: self._zeros(p) + initial_potential(p, self._settings).astype(self._real) for p in populations
            },
            "counts": {population.name: self._zeros(population) for population in populations},
            "readout": {self._network.output.name: self._zeros(self._network.output)},
            "clock": {"step": tf.constant(0)},
            "accumulated": {p.name: self._zeros(self._network.volume(p.only.input)) for p in accumulating},
        }
        tensors: Tensors = {}
        for volume in self._network.volumes:
            if volume.name not in self._constant:
                continue
            if isinstance(volume, Population):
                tensors[volume.name] = self._currents.of(volume, tensors)
            else:
                tensors[volume.name] = (
                    reindexed(volume, tensors) if isinstance(volume, Reindexed) else tf.constant(x, self._real)
                )
        self._constants = tensors

    def run(self, feed: Arrays, steps: int, recorded: int) -> StepRecord:
        """See `dense.Loop`."""
        tensors = {name: tf.constant(numbers) for name, numbers in feed.items()}
        if recorded not in self._traced:  # once for any number of steps
            of_any_steps = {
                name: tf.TensorSpec((None, *draws.shape[1:]), draws.dtype) for name, draws in tensors.items()
            }
            signature = [_specs(self._constants), of_any_steps, _specs(self._state), tf.TensorSpec((), tf.int32)]
            self._traced[recorded] = tf.function(
                partial(self._run, recorded=recorded), input_signature=signature, autograph=False
            )
        run = self._traced[recorded]
        self._state, record = run(self._constants, tensors, self._state, tf.constant(steps))
        return StepRecord(**tf.nest.map_structure(lambda tensor: tensor.numpy(), record))

    def counts(self) -> Arrays:
        """See `dense.Loop`."""
        return {name: counts.numpy() for name, counts in self._state["counts"].items()}

    def reset_counts(self) -> None:
        """See `dense.Loop`."""
        zeros = {population.name: self._zeros(population) for population in self._network.populations}
        self._state = {**self._state, "counts": zeros}

    def _zeros(self, volume: Volume) -> tf.Tensor:
        return tf.zeros((self.batch, *volume.shape), self._real)

    def _run(
        self, constants: Tensors, feed: Tensors, state: State, steps: tf.Tensor, *, recorded: int
    ) -> Tuple[State, Dict[str, Any]]:
        names = [population.name for population in self._network.populations] if recorded else []
        arrays: Dict[str, Any] = {
            "output": tf.TensorArray(tf.bool, steps),
            "readout": tf.TensorArray(self._real, steps),
            "spikes": {name: tf.TensorArray(tf.bool, steps) for name in names},
        }

        def body(t: tf.Tensor, state: State, arrays: Dict[str, Any]) -> Tuple[tf.Tensor, State, Dict[str, Any]]:
            state, spikes = self._step(constants, {name: draws[t] for name, draws in feed.items()}, state)
            flat = {name: tf.reshape(s > 0, (self.batch, -1)) for name, s in spikes.items()}
            output = self._network.output.name
            written = {
                "output": arrays["output"].write(t, flat[output]),
                "readout": arrays["readout"].write(t, tf.reshape(state["readout"][output], (self.batch, -1))),
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
        for volume in self._network.volumes:
            name = volume.name
            if isinstance(volume, Population):
                spikes[name] = self._spikes(volume, constants, tensors, feed, new)
                threshold = self._settings.threshold
                tensors[name] = spikes[name] if threshold == 1 else spikes[name] * threshold
                taken = tensors[name] if volume.threshold is None else spikes[name] * self._thresholds[name]
                self._reset(volume, spikes[name], taken, new)
            elif isinstance(volume, Reindexed):
                if name not in constants:
                    tensors[name] = reindexed(volume, tensors)
            elif name in feed:
                tensors[name] = tf.cast(feed[name], self._real) * self._network.pixel
        return new, spikes

    def _spikes(
        self, population: Population, constants: Tensors, tensors: Tensors, feed: Tensors, state: State
    ) -> tf.Tensor:
        """Integrate a population's current, and return the spikes that follow."""
        name = population.name
        if accumulates(population):
            projection = population.only
            state["accumulated"][name] += tensors[projection.input]
            leading = ACCUMULATING[type(projection.layer)]
            current = leading(projection.layer, state["accumulated"][name], tensors[projection.input])
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
        if population.threshold is None:
            reached = _reached(state["potentials"][name], self._settings.threshold)
        else:  # of integers
            above = state["potentials"][name] - (self._thresholds[name] - 1)
            reached = tf.clip_by_value(above, self._real(0), self._real(1))
        return reached if population.window is None else reached * self._within(state, population.window[0])

    def _within(self, state: State, first: int) -> tf.Tensor:
        """Return 1 in the window of `duration` steps that begins with the step `first`, else 0: float32."""
        step = state["clock"]["step"] - 1
        return tf.cast((step >= first) & (step < first + self._settings.duration), self._real)

    def _reset(self, population: Population, spikes: tf.Tensor, taken: tf.Tensor, state: State) -> None:
        """Count spikes, and take from the potential of each neuron that spiked all of it, or the threshold."""
        name, potentials = population.name, state["potentials"]
        to_zero = population.activation == "softmax" or self._settings.reset == "zero"
        potentials[name] -= spikes * potentials[name] if to_zero else taken
        state["counts"][name] += spikes


def _reached(potential: tf.Tensor, threshold: float) -> tf.Tensor:
    """Return 1 where the potential is at least the threshold, else 0: float32.

    A comparison and its cast to numbers take as long as a convolution. So: a number that is at least 1 where the
    potential reaches the threshold and at most 0 elsewhere, clipped. For thresholds other than 1 it is the distance to
    the largest number below the threshold, in units of what lies between the two, a power of two: exactly 1 at the
    threshold.
    """
    reached = np.float32(threshold)
    below = np.nextafter(reached, np.float32(0))
    above = tf.floor(potential) if reached == 1 else (potential - below) * (1 / (reached - below))
    return tf.raw_ops.ClipByValue(t=above, clip_value_min=0.0, clip_value_max=1.0)


def _specs(tensors: Any) -> Any:
    return tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), tensors)
