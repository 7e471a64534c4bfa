"""Time steps of a network as one `tf.while_loop`, with the arithmetic of the toolbox's INI simulator.

Compilation with XLA would be faster, but rounds differently: it stays off.
"""

from functools import partial
from typing import Any, Dict, List, Tuple

import numpy as np
import tensorflow as tf

from snnb.simulation.currents import current, parameters
from snnb.simulation.layers import POPULATIONS, InputLayer, Layer, MaxPooling2D, Network, activation
from snnb.simulation.settings import SimulationSettings

Tensors = Dict[str, tf.Tensor]
State = Dict[str, Tensors]


class Loop:
    """The network's dynamics for batches of one size.

    State, each by population: `potentials`; `counts` of spikes; `readout`, the output layer's accumulated input;
    `accumulated`, what each input of a max pooling layer has accumulated.
    """

    def __init__(self, network: Network, settings: SimulationSettings, batch: int) -> None:
        self._network, self._settings, self._batch = network, settings, batch
        self._weights = parameters(network.layers)
        self._constant = _constant(network) if settings.input == "constant" else []
        self._traced: Dict[int, Any] = {}

    def rest(self) -> State:
        """The state before the first step."""
        populations = self._network.populations
        pooled = [layer for layer in populations if isinstance(layer, MaxPooling2D)]
        return {
            "potentials": {layer.name: self._zeros(layer) for layer in populations},
            "counts": {layer.name: self._zeros(layer) for layer in populations},
            "readout": {self._network.output.name: self._zeros(self._network.output)},
            "accumulated": {layer.name: self._zeros(self._network.layer(layer.inputs[0])) for layer in pooled},
        }

    def known(self, x: tf.Tensor) -> Tensors:
        """What constant input alone decides: currents of populations, outputs of other layers."""
        tensors: Tensors = {}
        for layer in self._constant:
            inputs = [tensors[name] for name in layer.inputs]
            tensors[layer.name] = x if isinstance(layer, InputLayer) else current(layer, inputs, self._weights)
        return tensors

    def run(
        self, known: Tensors, feed: Tensors, state: State, steps: int, recorded: int
    ) -> Tuple[State, Dict[str, Any]]:
        """Go on from `state`.

        Parameters
        ----------
        known
            See `known`.
        feed
            For each step, `(steps, batch, ...)`: the input's spikes if it is Poisson, bool; uniform random numbers of
            each softmax layer.
        recorded
            The first so many samples whose every spike is returned.

        Returns
        -------
        The state after `steps`, and for each step: `output`, the output layer's spikes, bool `(steps, batch, units)`;
        `spikes` by population, bool `(steps, recorded, neurons)`.
        """
        if recorded not in self._traced:  # once for any number of steps
            of_any_steps = {name: tf.TensorSpec((None, *draws.shape[1:]), draws.dtype) for name, draws in feed.items()}
            signature = [_specs(known), of_any_steps, _specs(state), tf.TensorSpec((), tf.int32)]
            self._traced[recorded] = tf.function(
                partial(self._run, recorded=recorded), input_signature=signature, autograph=False
            )
        after: Tuple[State, Dict[str, Any]] = self._traced[recorded](known, feed, state, tf.constant(steps))
        return after

    def _zeros(self, layer: Layer) -> tf.Tensor:
        return tf.zeros((self._batch, *layer.shape))

    def _run(
        self, known: Tensors, feed: Tensors, state: State, steps: tf.Tensor, *, recorded: int
    ) -> Tuple[State, Dict[str, Any]]:
        names = [layer.name for layer in self._network.populations] if recorded else []
        arrays: Dict[str, Any] = {
            "output": tf.TensorArray(tf.bool, steps),
            "spikes": {name: tf.TensorArray(tf.bool, steps) for name in names},
        }

        def body(t: tf.Tensor, state: State, arrays: Dict[str, Any]) -> Tuple[tf.Tensor, State, Dict[str, Any]]:
            state, spikes = self._step(known, {name: draws[t] for name, draws in feed.items()}, state)
            flat = {name: tf.reshape(s > 0, (self._batch, -1)) for name, s in spikes.items()}
            written = {
                "output": arrays["output"].write(t, flat[self._network.output.name]),
                "spikes": {name: array.write(t, flat[name][:recorded]) for name, array in arrays["spikes"].items()},
            }
            return t + 1, state, written

        _, state, arrays = tf.while_loop(lambda t, *_: t < steps, body, (tf.constant(0), state, arrays))
        return state, tf.nest.map_structure(lambda array: array.stack(), arrays)

    def _step(self, known: Tensors, feed: Tensors, state: State) -> Tuple[State, Tensors]:
        """One step; also the spikes of each population, float32 0 or 1. A spike reaches the last layer in this step."""
        threshold = self._settings.threshold
        tensors, spikes = dict(known), {}
        new: State = {key: dict(values) for key, values in state.items()}
        for layer in self._network.layers:
            name = layer.name
            if not isinstance(layer, POPULATIONS):
                if isinstance(layer, InputLayer) and name in feed:
                    tensors[name] = tf.cast(feed[name], tf.float32)
                elif name not in known:
                    tensors[name] = current(layer, [tensors[i] for i in layer.inputs], self._weights)
                continue
            if isinstance(layer, MaxPooling2D):
                new["accumulated"][name] += tensors[layer.inputs[0]]
                impulse = _leading(layer, new["accumulated"][name], tensors[layer.inputs[0]])
            elif name in known:
                impulse = known[name]
            else:
                impulse = current(layer, [tensors[i] for i in layer.inputs], self._weights)
            potential = state["potentials"][name] + impulse
            if activation(layer) == "softmax":
                fires = tf.reshape(feed[name], tf.shape(potential)) <= tf.nn.softmax(potential)
                spikes[name] = tf.cast(fires, tf.float32)
            else:
                spikes[name] = _reached(potential, threshold)
            tensors[name] = spikes[name] if threshold == 1 else spikes[name] * threshold
            to_zero = activation(layer) == "softmax" or self._settings.reset == "zero"
            new["potentials"][name] = potential - (spikes[name] * potential if to_zero else tensors[name])
            new["counts"][name] += spikes[name]
            if name in new["readout"]:
                new["readout"][name] += impulse
        return new, spikes


def _reached(potential: tf.Tensor, threshold: float) -> tf.Tensor:
    """1 where the potential is at least the threshold, else 0: float32.

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


def _constant(network: Network) -> List[Layer]:
    """Layers whose input does not change from step to step when the network's does not."""
    names = {network.input.name}
    constant = [network.input]
    for layer in network.layers[1:]:
        if all(name in names for name in layer.inputs) and not isinstance(layer, MaxPooling2D):
            constant.append(layer)
            if not isinstance(layer, POPULATIONS):
                names.add(layer.name)
    return constant


def _leading(layer: MaxPooling2D, accumulated: tf.Tensor, spikes: tf.Tensor) -> tf.Tensor:
    """The present spike of each window's input that has accumulated most so far; the first of several."""
    padding = layer.padding.upper()
    _, leader = tf.nn.max_pool_with_argmax(accumulated, layer.pool_size, layer.strides, padding)
    batch = tf.shape(spikes)[0]
    passed = tf.gather(tf.reshape(spikes, (batch, -1)), tf.reshape(leader, (batch, -1)), batch_dims=1)
    return tf.reshape(passed, (-1, *layer.shape))
