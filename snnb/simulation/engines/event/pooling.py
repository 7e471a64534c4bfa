"""The compiled work of pooling populations.

Spikes alone cause work where a population reads nothing else. Where it also reads the constant input, which is there in
every step, all its inputs are added in every step, in their order: as TensorFlow adds them, so that the sums are
TensorFlow's to the last bit.

In all functions, `windows` is int32 of shape (number, inputs): the neurons whose windows an input is in, -1 where there
are fewer; `amplitude` is what a spike adds; `steps`, `source`, `neurons` and `train` are as in `kernels.dense`.
"""

import numpy as np

from snnb.compiled import compiled
from snnb.simulation.engines.event.neurons import fire, settle
from snnb.simulation.engines.event.types import Neurons, SpikeTrain


@compiled
def average(
    steps: int,
    source: SpikeTrain,
    neurons: Neurons,
    train: SpikeTrain,
    windows: np.ndarray,
    amplitude: np.float32,
    inputs: np.ndarray,
) -> None:
    """Simulate an average pooling that reads spikes alone.

    Parameters
    ----------
    inputs : ndarray of float32, shape (neurons,)
        Number of inputs of each window. Adding before dividing rounds as TensorFlow does.
    """
    n = 0
    for step in range(steps):
        train.start[step] = n
        for e in range(source.start[step], source.start[step + 1]):
            for k in range(windows.shape[0]):
                o = windows[k, source.events[e]]
                if o >= 0:
                    neurons.current[o] += amplitude
        for i in range(inputs.size):
            neurons.current[i] /= inputs[i]
        n = fire(neurons, neurons.current, step, train, n)
        settle(neurons)
    train.start[steps] = n


@compiled
def _put(present: np.ndarray, source: SpikeTrain, step: int, value: np.float32) -> None:
    """Write `value` where the inputs that spike in a step stand."""
    for e in range(source.start[step], source.start[step + 1]):
        present[source.events[e]] = value


@compiled
def average_with_constant(
    steps: int,
    source: SpikeTrain,
    neurons: Neurons,
    train: SpikeTrain,
    windows: np.ndarray,
    amplitude: np.float32,
    inputs: np.ndarray,
) -> None:
    """Do as `average`, of spikes beside the constant input."""
    present = neurons.constant.copy()
    n = 0
    for step in range(steps):
        train.start[step] = n
        _put(present, source, step, amplitude)
        for i in range(present.size):
            for k in range(windows.shape[0]):
                o = windows[k, i]
                if o >= 0:
                    neurons.current[o] += present[i]
        for i in range(inputs.size):
            neurons.current[i] /= inputs[i]
        _put(present, source, step, np.float32(0))
        n = fire(neurons, neurons.current, step, train, n)
        settle(neurons)
    train.start[steps] = n


@compiled
def maximum(
    steps: int, source: SpikeTrain, neurons: Neurons, train: SpikeTrain, windows: np.ndarray, amplitude: np.float32
) -> None:
    """Simulate a max pooling that reads spikes alone.

    A window's leader is the input that accumulated most so far, the first of several; its present spike passes.
    """
    accumulated, leader = neurons.accumulated, neurons.leader
    n = 0
    for step in range(steps):
        train.start[step] = n
        begin, end = source.start[step], source.start[step + 1]
        for e in range(begin, end):
            accumulated[source.events[e]] += amplitude
        for e in range(begin, end):
            i = source.events[e]
            for k in range(windows.shape[0]):
                o = windows[k, i]
                if o >= 0:
                    best = leader[o]
                    lead = np.float32(-1) if best < 0 else accumulated[best]
                    if accumulated[i] > lead or (accumulated[i] == lead and i < best):
                        leader[o] = i
        for e in range(begin, end):
            for k in range(windows.shape[0]):
                o = windows[k, source.events[e]]
                if o >= 0 and leader[o] == source.events[e]:
                    neurons.current[o] = amplitude
        n = fire(neurons, neurons.current, step, train, n)
        settle(neurons)
    train.start[steps] = n


@compiled
def maximum_with_constant(
    steps: int, source: SpikeTrain, neurons: Neurons, train: SpikeTrain, windows: np.ndarray, amplitude: np.float32
) -> None:
    """Do as `maximum`, of spikes beside the constant input, which accumulates in every step and may lead."""
    accumulated, leader, present = neurons.accumulated, neurons.leader, neurons.constant.copy()
    n = 0
    for step in range(steps):
        train.start[step] = n
        _put(present, source, step, amplitude)
        leader[:] = -1
        for i in range(present.size):
            accumulated[i] += present[i]
            for k in range(windows.shape[0]):
                o = windows[k, i]
                if o >= 0 and (leader[o] < 0 or accumulated[i] > accumulated[leader[o]]):
                    leader[o] = i
        for o in range(leader.size):
            neurons.current[o] = present[leader[o]]
        _put(present, source, step, np.float32(0))
        n = fire(neurons, neurons.current, step, train, n)
        settle(neurons)
    train.start[steps] = n
