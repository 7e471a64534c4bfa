"""Compiled loops of pooling populations whose currents are not sums over spikes.

Where a population also reads the constant input, all its inputs are added in every step in their order, as TensorFlow
adds them, so that the sums are equal to the last bit.

In all functions, `windows` is int32 of shape (number, inputs): the neurons whose windows an input is in, -1 where there
are fewer; `amplitude` is the contribution of a spike; `source` has the spikes that the population reads; `neurons`,
`spikes` and `room` are as in `compiled_loops.weighted`.
"""

import numpy as np

from snnb.core.compiled import compiled
from snnb.simulation.engines.event.compiled_loops import base_of, count, fire, listed
from snnb.simulation.engines.event.types import Neurons


@compiled
def _put(present: np.ndarray, spiking: np.ndarray, value: np.float32) -> None:
    """Write `value` where the inputs that spike in a step stand."""
    for i in spiking:
        present[i] = value


@compiled
def average_with_constant(
    source: np.ndarray,
    neurons: Neurons,
    spikes: np.ndarray,
    room: np.ndarray,
    windows: np.ndarray,
    amplitude: np.float32,
    inputs: np.ndarray,
) -> None:
    """Simulate an average pooling of spikes and constant input; `inputs` are the numbers of inputs of windows.

    Adding before dividing rounds as TensorFlow does.
    """
    current = np.empty_like(neurons.potential[0])
    for sample in range(spikes.shape[0]):
        present = neurons.constant[sample].copy()
        for step in range(spikes.shape[1]):
            spiking = room[: listed(source[sample, step], room, 0)]
            _put(present, spiking, amplitude)
            current[:] = base_of(neurons, sample)
            for i in range(present.size):
                for k in range(windows.shape[0]):
                    o = windows[k, i]
                    if o >= 0:
                        current[o] += present[i]
            for i in range(inputs.size):
                current[i] /= inputs[i]
            _put(present, spiking, np.float32(0))
            fire(neurons, sample, current, 0, 1, step, spikes[sample])
        count(neurons, sample, spikes[sample])


@compiled
def maximum(
    source: np.ndarray,
    neurons: Neurons,
    spikes: np.ndarray,
    room: np.ndarray,
    windows: np.ndarray,
    amplitude: np.float32,
) -> None:
    """Simulate a max pooling that reads spikes alone.

    A window's leader is the input that accumulated most so far, the first of several; its present spike passes.
    """
    current = np.empty_like(neurons.potential[0])
    for sample in range(spikes.shape[0]):
        accumulated, leader = neurons.accumulated[sample], neurons.leader[sample]
        for step in range(spikes.shape[1]):
            spiking = room[: listed(source[sample, step], room, 0)]
            current[:] = base_of(neurons, sample)
            for i in spiking:
                accumulated[i] += amplitude
            for i in spiking:
                for k in range(windows.shape[0]):
                    o = windows[k, i]
                    if o >= 0:
                        best = leader[o]
                        lead = np.float32(-1) if best < 0 else accumulated[best]
                        if accumulated[i] > lead or (accumulated[i] == lead and i < best):
                            leader[o] = i
            for i in spiking:
                for k in range(windows.shape[0]):
                    o = windows[k, i]
                    if o >= 0 and leader[o] == i:
                        current[o] = amplitude
            fire(neurons, sample, current, 0, 1, step, spikes[sample])
        count(neurons, sample, spikes[sample])


@compiled
def maximum_with_constant(
    source: np.ndarray,
    neurons: Neurons,
    spikes: np.ndarray,
    room: np.ndarray,
    windows: np.ndarray,
    amplitude: np.float32,
) -> None:
    """Simulate a max pooling of spikes and constant input, which accumulates in every step and may lead."""
    current = np.empty_like(neurons.potential[0])
    for sample in range(spikes.shape[0]):
        accumulated, leader = neurons.accumulated[sample], neurons.leader[sample]
        present = neurons.constant[sample].copy()
        for step in range(spikes.shape[1]):
            spiking = room[: listed(source[sample, step], room, 0)]
            _put(present, spiking, amplitude)
            current[:] = base_of(neurons, sample)
            leader[:] = -1
            for i in range(present.size):
                accumulated[i] += present[i]
                for k in range(windows.shape[0]):
                    o = windows[k, i]
                    if o >= 0 and (leader[o] < 0 or accumulated[i] > accumulated[leader[o]]):
                        leader[o] = i
            for o in range(leader.size):
                current[o] = present[leader[o]]
            _put(present, spiking, np.float32(0))
            fire(neurons, sample, current, 0, 1, step, spikes[sample])
        count(neurons, sample, spikes[sample])
