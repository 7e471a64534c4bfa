"""Data of the compiled loops: arrays and numbers in named tuples, which numba supports.

Spikes are bits: uint64 of shape (samples, steps, words), where bit i of word w belongs to neuron 64 w + i. They take at
most 1/32 of the memory of a list, and are made and counted 64 at a time.
"""

from typing import NamedTuple

import numpy as np

from snnb.simulation.engines.engine import Dynamics

GROUP = 64  # neurons in a word of spikes; the arrays of a population are filled up to a multiple
SLACK = 8  # spare numbers after each list of spikes
WIDTHS = (64, 32, 16)  # filters that are added at a time: their sums stay in registers
WIDTH, PARTS = 16, 6  # a run of weights has a multiple of `WIDTH` numbers, at most `PARTS` times as many


class Leaky(NamedTuple):
    """Neurons with a neuron model; all arrays have a length of 0 for the neurons of converted networks."""

    numbers: Dynamics  # float32 (neurons,)
    current: np.ndarray  # optional, the synaptic current: float32 (samples, neurons)
    to_value: bool  # whether a spike sets the potential to `after`, or subtracts it


class Neurons(NamedTuple):
    """State of a population in some samples, filled up to a multiple of `GROUP` neurons.

    Numbers are float32, or all float64 for an integer network whose sums float32 does not hold exactly.

    Optional arrays have a length of 0 on their last axis if there is nothing to hold.
    """

    potential: np.ndarray  # float32 (samples, neurons)
    base: np.ndarray  # the current of the constant input: float32 (samples, neurons), or zeros (1, neurons)
    bias: np.ndarray  # added to the current last, as in TensorFlow: float32 (neurons,)
    counts: np.ndarray  # int32 (samples, neurons)
    # Optional output, the current of each step, or the potential of leaky neurons: float32 (samples, steps, neurons)
    received: np.ndarray
    uniforms: np.ndarray  # optional, random numbers of a softmax layer: float32 (samples, steps, neurons)
    classes: int  # neurons that a softmax is taken over
    # Optional, of a pooling layer that also reads the constant input: all that it reads, 0 where spikes
    # arrive: float32 (samples, inputs).
    constant: np.ndarray
    accumulated: np.ndarray  # optional, of max pooling, the sum so far of each input: float32 (samples, inputs)
    leader: np.ndarray  # optional, of max pooling, the input that each window follows, -1 before any spike: int32
    threshold: np.ndarray  # (neurons,), infinite where neurons do not spike
    to_zero: bool  # see `SimulationSettings.reset`
    leaky: Leaky


class Windows(NamedTuple):
    """Inputs of the windows of a convolution, in ranges of neurons next to each other.

    A row of weights belongs to a tap and a channel: it holds the weights of all filters. The rows are taken a block at
    a time, so that these stay in the cache while all windows pass. A range is the part of one block that one window
    reads: units next to each other, whose rows are next to each other. A unit is a position of the image, or a part of
    its channels.
    """

    weights: np.ndarray  # float32, flat: by groups of filters (`_by_width`), row, and filter
    bounds: np.ndarray  # int64 (units + 1,): unit u holds the neurons `bounds[u]` to before `bounds[u + 1]`
    target: np.ndarray  # int32 (windows,): the first neuron of each window
    # int32 (blocks × windows + 1,): window w has in block b the ranges `start[b × windows + w]` to before the next.
    start: np.ndarray
    first: np.ndarray  # int32 (ranges,): the first unit
    stop: np.ndarray  # int32 (ranges,): the unit after the last
    shift: np.ndarray  # int32 (ranges,): added to the number of a neuron, it gives its row
    rows: int
    filters: int  # filled up to a multiple of the smallest width; 0 without windows


class Runs(NamedTuple):
    """Where the spikes of each position of an image arrive, in runs of windows next to each other."""

    # float32, flat: by row of the kernel, taps that windows of a run have at a position, channel, window, and filter;
    # filled up to a multiple of `WIDTH`.
    weights: np.ndarray
    bounds: np.ndarray  # int64 (positions + 1,): the first neuron of each position
    start: np.ndarray  # int32 (positions + 1,): position p has the runs `start[p]` to before the next
    target: np.ndarray  # int32 (runs,): the first neuron of the first window
    first: np.ndarray  # int64 (runs,): the weights of neuron i begin at first + i × stride
    stride: np.ndarray  # int32 (runs,)
    parts: np.ndarray  # int32 (runs,): multiples of `WIDTH` weights, `PARTS` at most: longer runs are listed as several


class Reach(NamedTuple):
    """In which windows each position of an image is: position p in windows `start[p]` to before `start[p + 1]`."""

    weights: np.ndarray  # float32, flat, with `GROUP` numbers after them
    start: np.ndarray  # int32 (positions + 1,), or (0,) where each neuron is a position, of one window
    target: np.ndarray  # int32: the first neuron of the window
    tap: np.ndarray  # int32: where the weights of the window's tap that is at the position begin
    channels: int  # of the image; 1 where each neuron is a position; 0 where each has but one window, in its own place


class Weighted(NamedTuple):
    """The tables of a projection: one of the three has content, the others are empty."""

    windows: Windows  # of windows that read all channels, and have many filters
    runs: Runs  # of windows that read all channels, and have few filters
    reach: Reach  # of windows that read one channel each


class Entries(NamedTuple):
    """Input that changes from step to step, as a projection reads it; see `InputSteps`."""

    start: np.ndarray  # int64 (samples, steps + 1): entries start[i, t] to before start[i, t + 1]; (1, 0) without any
    neuron: np.ndarray  # int32 (entries,)
    value: np.ndarray  # float32 (entries,)
    tables: Weighted  # `runs`, or `reach` in which each neuron is a position
