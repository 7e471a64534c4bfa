"""A step of a population's neurons, compiled: potentials, spikes, and the current back to its base."""

import numpy as np

from snnb.simulation.event_llvm import bits, compiled, lowest
from snnb.simulation.event_types import GROUP, Neurons, Train


@compiled
def _integrate(neurons: Neurons) -> None:
    """Add the current, spike at the threshold, reset."""
    potential, current, spikes = neurons.potential, neurons.current, neurons.spikes
    for i in range(potential.size):
        m = potential[i] + current[i]
        fires = m >= neurons.threshold
        spikes[i] = fires
        down = m if neurons.to_zero else neurons.threshold
        potential[i] = m - (down if fires else np.float32(0))


@compiled
def _softmax(neurons: Neurons, step: int) -> None:
    """Spike where the random number is at most the softmax of the potential; such a neuron is reset to zero."""
    potential, current = neurons.potential, neurons.current
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
def fire(neurons: Neurons, step: int, train: Train, n: int) -> int:
    """One step of the neurons, given their current. Their spikes go to `train` from index n on; returns its new end."""
    for i in range(neurons.readout.size):
        neurons.readout[i] += neurons.current[i]
    if neurons.uniforms.size:
        _softmax(neurons, step)
    else:
        _integrate(neurons)
    for first in range(0, neurons.spikes.size, GROUP):
        left = bits(neurons.spikes, first)
        while left:
            i = first + lowest(left)
            train.events[n] = i
            neurons.counts[i] += 1
            n += 1
            left &= left - np.uint64(1)
    return n


@compiled
def settle(neurons: Neurons) -> None:
    """The current returns to its base."""
    for i in range(neurons.current.size):
        neurons.current[i] = neurons.base[i]
