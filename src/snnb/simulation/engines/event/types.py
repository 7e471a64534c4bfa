"""What the compiled loops work on: plain arrays and numbers, in named tuples, which numba understands.

Spikes are bits: uint64 of shape (samples, steps, words), where bit i of word w belongs to neuron 64 w + i. They take a
thirty-second part of a list's room at worst, and are made and counted 64 at a time.
"""

from typing import NamedTuple

import numpy as np

# Neurons in a word of spikes; the arrays of a population are filled up to a multiple.
GROUP = 64
# Behind each list of spikes there is room for so many numbers more.
SLACK = 8
# Filters are added so many at a time: their sums stay in registers.
WIDTHS = (64, 32, 16)
# Numbers that a run of weights is made of, and how many times as many it has at most.
WIDTH, PARTS = 16, 6


class Neurons(NamedTuple):
    """State of a population in some samples, filled up to a multiple of `GROUP` neurons.

    Attributes
    ----------
    potential : ndarray of float32, shape (samples, neurons)
        Membrane potential.
    base : ndarray of float32, shape (samples, neurons) or (1, neurons)
        The current without spikes: a bias, or constant input.
    counts : ndarray of int32, shape (samples, neurons)
        Spikes counted so far.
    received : ndarray of float32, shape (samples, steps, neurons)
        Output: the current of each step; of shape (samples, steps, 0) when it is not wanted.
    uniforms : ndarray of float32, shape (samples, steps, neurons)
        Random numbers of a softmax layer; of shape (samples, steps, 0) otherwise.
    classes : int
        Neurons that a softmax is taken over.
    constant : ndarray of float32, shape (samples, inputs)
        Of a pooling layer that reads the constant input beside spikes: all that it reads, 0 where spikes arrive. Of
        shape (samples, 0) otherwise.
    accumulated : ndarray of float32, shape (samples, inputs)
        Of a max pooling layer: the sum so far of each input. Of shape (samples, 0) otherwise.
    leader : ndarray of int32, shape (samples, neurons)
        Of a max pooling layer: the input that each window follows, -1 before any spike. Of shape (samples, 0)
        otherwise.
    threshold : float32
    to_zero : bool
        See `SimulationSettings.reset`.
    """

    potential: np.ndarray
    base: np.ndarray
    counts: np.ndarray
    received: np.ndarray
    uniforms: np.ndarray
    classes: int
    constant: np.ndarray
    accumulated: np.ndarray
    leader: np.ndarray
    threshold: np.float32
    to_zero: bool


class Windows(NamedTuple):
    """What the windows of a convolution read, in ranges of neurons next to each other.

    A row of weights belongs to a tap and a channel: it holds the weights of all filters. The rows are taken a block at
    a time, so that these stay in the cache while all windows pass. A range is what one window reads of one block: units
    next to each other, whose rows are next to each other. A unit is a position of the image, or a part of its channels.

    Attributes
    ----------
    weights : ndarray of float32, flat
        By groups of filters (`width_of`), row, and filter.
    bounds : ndarray of int64, shape (units + 1,)
        Unit u holds the neurons `bounds[u]` to before `bounds[u + 1]`.
    target : ndarray of int32, shape (windows,)
        The first neuron of each window.
    start : ndarray of int32, shape (blocks × windows + 1,)
        Window w has in block b the ranges `start[b × windows + w]` to before the next.
    first, stop : ndarray of int32, shape (ranges,)
        The units: `first` is in the range, `stop` is not.
    shift : ndarray of int32, shape (ranges,)
        What is added to the number of a neuron to get its row.
    rows : int
        Rows of weights.
    filters : int
        Filled up to a multiple of the smallest width; 0 where there are no windows.
    """

    weights: np.ndarray
    bounds: np.ndarray
    target: np.ndarray
    start: np.ndarray
    first: np.ndarray
    stop: np.ndarray
    shift: np.ndarray
    rows: int
    filters: int


class Runs(NamedTuple):
    """Where the spikes of each position of an image arrive, in runs of windows next to each other.

    Attributes
    ----------
    weights : ndarray of float32, flat
        By row of the kernel, taps that windows of a run have at a position, channel, window, and filter; filled up to a
        multiple of `WIDTH`.
    bounds : ndarray of int64, shape (positions + 1,)
        The first neuron of each position.
    start : ndarray of int32, shape (positions + 1,)
        Position p has the runs `start[p]` to before the next.
    target : ndarray of int32, shape (runs,)
        The first neuron of the first window.
    first, stride : ndarray of int64 and of int32, shape (runs,)
        The weights of neuron i begin at first + i × stride.
    parts : ndarray of int32, shape (runs,)
        How many times `WIDTH` weights there are, `PARTS` at most: longer runs are listed as several.
    """

    weights: np.ndarray
    bounds: np.ndarray
    start: np.ndarray
    target: np.ndarray
    first: np.ndarray
    stride: np.ndarray
    parts: np.ndarray


class Reach(NamedTuple):
    """In which windows each position of an image is: position p in windows `start[p]` to before `start[p + 1]`.

    Attributes
    ----------
    weights : ndarray of float32, flat
        With `GROUP` numbers behind them.
    start : ndarray of int32, shape (positions + 1,)
        Of shape (0,) where each neuron is a position, of one window.
    target : ndarray of int32
        The first neuron of the window.
    tap : ndarray of int32
        Where the weights of the window's tap that is at the position begin.
    channels : int
        Of the image; 1 where each neuron is a position; 0 where each has but one window, that in its own place.
    """

    weights: np.ndarray
    start: np.ndarray
    target: np.ndarray
    tap: np.ndarray
    channels: int


class Weighted(NamedTuple):
    """The tables of a projection: one of the three says what there is, the others are empty.

    Attributes
    ----------
    windows : Windows
        Of windows that read all channels, and have many filters.
    runs : Runs
        Of those that have few.
    reach : Reach
        Of windows that read one channel each.
    """

    windows: Windows
    runs: Runs
    reach: Reach
