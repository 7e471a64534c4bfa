"""What the compiled loops of the event-driven engine work on: plain arrays and numbers."""

from typing import NamedTuple

import numpy as np

# Spikes are looked for among so many neurons at a time; the arrays of a population are filled up to a multiple.
GROUP = 64


class Train(NamedTuple):
    """Spikes of a population. Step t's are `events[start[t]:start[t + 1]]`; int32 and int64."""

    events: np.ndarray
    start: np.ndarray


class Neurons(NamedTuple):
    """State of a population, flat, and filled up to a multiple of `GROUP` neurons.

    Attributes
    ----------
    potential, current
        float32.
    base
        float32: the current without spikes, a bias or constant input, to which `current` returns after each step.
    spikes
        uint8, of the present step.
    counts
        int32.
    readout
        float32: current summed over the steps; empty when it is not wanted.
    uniforms
        float32 `(steps, neurons)`: random numbers of a softmax layer; empty otherwise.
    classes
        Neurons that a softmax is taken over.
    constant
        float32, of a pooling layer that reads the constant input beside spikes: all that it reads, 0 where spikes
        arrive. Empty otherwise.
    accumulated, leader
        float32 and int32, of a max pooling layer: the sum so far of each input; the input that each window follows, -1
        before any spike. Empty otherwise.
    threshold, to_zero
        See `SimulationSettings`.
    """

    potential: np.ndarray
    current: np.ndarray
    base: np.ndarray
    spikes: np.ndarray
    counts: np.ndarray
    readout: np.ndarray
    uniforms: np.ndarray
    classes: int
    constant: np.ndarray
    accumulated: np.ndarray
    leader: np.ndarray
    threshold: np.float32
    to_zero: bool


class Reach(NamedTuple):
    """Where each position of an image counts: position p in windows `start[p]` to before `start[p + 1]` of these.

    Attributes
    ----------
    target
        int32: the first neuron of the window.
    tap
        int32: index of the first element of the weights of the window's tap.
    """

    start: np.ndarray
    target: np.ndarray
    tap: np.ndarray


class Segments(NamedTuple):
    """What the windows of a convolution read, a row of the image at a time: one row of the kernel after the other.

    A segment is a range of positions next to each other in a row, under taps next to each other.

    Attributes
    ----------
    target
        int32: the first neuron of the window.
    first, stop
        int32: the range.
    shift
        int64: the weights of the image's neuron i begin at index shift + i × number of filters.
    positions
        Of the image.
    """

    target: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    shift: np.ndarray
    positions: int
