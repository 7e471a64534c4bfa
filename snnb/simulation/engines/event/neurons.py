"""A step of a population's neurons, compiled: potentials, spikes, and the current back to its base."""

import numpy as np

from snnb.compiled import compiled
from snnb.simulation.engines.event.llvm import lowest_bit, nonzero_bits
from snnb.simulation.engines.event.types import GROUP, Neurons, SpikeTrain


@compiled
def _integrate(neurons: Neurons, current: np.ndarray) -> None:
    """Add the current, spike at the threshold, reset."""
    potential, spikes = neurons.potential, neurons.spikes
    for i in range(potential.size):
        m = potential[i] + current[i]
        fires = m >= neurons.threshold
        spikes[i] = fires
        down = m if neurons.to_zero else neurons.threshold
        potential[i] = m - (down if fires else np.float32(0))


@compiled
def _softmax(neurons: Neurons, current: np.ndarray, step: int) -> None:
    """Spike where the random number is at most the softmax of the potential; such a neuron is reset to zero."""
    potential = neurons.potential
    for first in range(0, neurons.uniforms.shape[1], neurons.classes):
        highest, total = np.float32(-np.inf), np.float32(0)
        for i in range(first, first + neurons.classes):
            potential[i] += current[i]
            highest = max(highest, potential[i])
        for i in range(first, first + neurons.classes):
            total += np.exp(potential[i] - highest)
        for i in range(first, first + neurons.classes):
            fires = neurons.uniforms[step, i] <= np.exp(potential[i] - highest) / total
            neurons.spikes[i] = fires
            if fires:
                potential[i] = 0


@compiled
def fire(neurons: Neurons, current: np.ndarray, step: int, train: SpikeTrain, n: int) -> int:
    """Do one step of the neurons, given their current.

    Parameters
    ----------
    neurons : Neurons
    current : ndarray of float32, shape (neurons,)
    step : int
    train : SpikeTrain
        Where the spikes go.
    n : int
        Number of spikes that are in it.

    Returns
    -------
    int
        Number of spikes that are in it now.
    """
    for i in range(neurons.readout.size):
        neurons.readout[i] += current[i]
    if neurons.uniforms.size:
        _softmax(neurons, current, step)
    else:
        _integrate(neurons, current)
    for first in range(0, neurons.spikes.size, GROUP):
        left = nonzero_bits(neurons.spikes, first)
        while left:
            i = first + lowest_bit(left)
            train.events[n] = i
            neurons.counts[i] += 1
            n += 1
            left &= left - np.uint64(1)
    return n


@compiled
def settle(neurons: Neurons) -> None:
    """Return the current to its base."""
    for i in range(neurons.current.size):
        neurons.current[i] = neurons.base[i]


@compiled
def unchanging(steps: int, neurons: Neurons, train: SpikeTrain) -> None:
    """Do some steps of a population whose current never changes."""
    n = 0
    for step in range(steps):
        train.start[step] = n
        n = fire(neurons, neurons.current, step, train, n)
    train.start[steps] = n


@compiled
def fire_each(currents: np.ndarray, start: int, neurons: Neurons, train: SpikeTrain) -> None:
    """Do some consecutive steps of a population, from step `start` on, given the current of each.

    Parameters
    ----------
    currents : ndarray of float32, shape (steps, neurons)
    start : int
        The spikes before this step are in the train.
    neurons : Neurons
    train : SpikeTrain
    """
    n = train.start[start]
    for step in range(start, start + currents.shape[0]):
        n = fire(neurons, currents[step - start], step, train, n)
        train.start[step + 1] = n
