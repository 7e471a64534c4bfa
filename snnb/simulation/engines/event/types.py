"""What the compiled loops work on: plain arrays and numbers, in named tuples, which numba understands."""

from typing import NamedTuple

import numpy as np

# Spikes are looked for among so many neurons at a time; the arrays of a population are filled up to a multiple.
GROUP = 64


class SpikeTrain(NamedTuple):
    """Spikes of a population: those of step t are `events[start[t]:start[t + 1]]`.

    Attributes
    ----------
    events : ndarray of int32
        Neurons, in rising order within a step.
    start : ndarray of int64, shape (steps + 1,) or longer
    """

    events: np.ndarray
    start: np.ndarray


class Neurons(NamedTuple):
    """State of a population, flat, and filled up to a multiple of `GROUP` neurons.

    Attributes
    ----------
    potential : ndarray of float32
        Membrane potential.
    current : ndarray of float32
        Input current of the present step.
    base : ndarray of float32
        The current without spikes, a bias or constant input, to which `current` returns after each step.
    spikes : ndarray of uint8
        Which neurons spike in the present step.
    counts : ndarray of int32
        Spikes counted so far.
    readout : ndarray of float32
        Current summed over the steps; empty when it is not wanted.
    uniforms : ndarray of float32, shape (steps, neurons)
        Random numbers of a softmax layer; empty otherwise.
    classes : int
        Neurons that a softmax is taken over.
    constant : ndarray of float32
        Of a pooling layer that reads the constant input beside spikes: all that it reads, 0 where spikes arrive. Empty
        otherwise.
    accumulated : ndarray of float32
        Of a max pooling layer: the sum so far of each input. Empty otherwise.
    leader : ndarray of int32
        Of a max pooling layer: the input that each window follows, -1 before any spike. Empty otherwise.
    threshold : float32
    to_zero : bool
        See `SimulationSettings.reset`.
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
    """In which windows each position of an image is: position p in windows `start[p]` to before `start[p + 1]`.

    Attributes
    ----------
    start : ndarray of int64, shape (positions + 1,)
    target : ndarray of int32
        The first neuron of the window.
    tap : ndarray of int32
        Number of the window's tap that is at the position.
    """

    start: np.ndarray
    target: np.ndarray
    tap: np.ndarray


class Segments(NamedTuple):
    """What the windows of a convolution read, a row of the image at a time: one row of the kernel after the other.

    A segment is a range of positions next to each other in a row, under taps next to each other.

    Attributes
    ----------
    target : ndarray of int32
        The first neuron of the window.
    first, stop : ndarray of int32
        The range of positions: `first` is in it, `stop` is not.
    shift : ndarray of int64
        The weights of the image's neuron i begin at index shift + i × number of filters.
    positions : int
        Of the image.
    """

    target: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    shift: np.ndarray
    positions: int
