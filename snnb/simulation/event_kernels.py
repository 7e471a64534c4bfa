"""The compiled work of populations with weights, which are added only where there are spikes.

A `Train` lists the neurons that spike, step after step, in rising order. So a neuron's contributions arrive in the
order of its inputs, and its current is a sequential float32 sum. What makes it fast:

- what a window of a convolution reads of a row of the image are consecutive events, whose weights are summed in
  registers before they are stored (`add_rows`); one kernel row after the other, so that its weights stay in the cache;
- the membrane update is a flat loop that the compiler vectorises, and spikes are found 64 at a time (`fire`).
"""

import numpy as np

from snnb.simulation.event_llvm import add_rows, compiled
from snnb.simulation.event_neurons import fire, settle
from snnb.simulation.event_types import Neurons, Reach, Segments, Train

# A Dense layer's rows are read so many at a time: each of them from its beginning to its end, as memory likes it.
DENSE_ROWS = 8


@compiled
def constant(steps: int, neurons: Neurons, train: Train) -> None:
    """A population whose current never changes."""
    n = 0
    for step in range(steps):
        train.start[step] = n
        n = fire(neurons, step, train, n)
    train.start[steps] = n


@compiled
def dense(steps: int, source: Train, weights: np.ndarray, length: int, neurons: Neurons, train: Train) -> None:
    """weights: flat, a row of `length` for each input."""
    n = 0
    for step in range(steps):
        train.start[step] = n
        end = source.start[step + 1]
        for e in range(source.start[step], end, DENSE_ROWS):
            add_rows(neurons.current, 0, weights, 0, source.events, e, min(e + DENSE_ROWS, end), length)
        n = fire(neurons, step, train, n)
        settle(neurons)
    train.start[steps] = n


@compiled
def _index_positions(source: Train, step: int, channels: int, begins: np.ndarray) -> None:
    """begins[p]: index of the first event of this step that is at position p of the image or behind it."""
    first, end = source.start[step], source.start[step + 1]
    for p in range(begins.size):
        begins[p] = first
    for e in range(first, end):  # the last event of each position remains; no integer division, which is slow
        begins[int((source.events[e] + 0.5) * (1 / channels)) + 1] = e + 1
    for p in range(1, begins.size):
        begins[p] = max(begins[p], begins[p - 1])


@compiled
def convolution(
    steps: int,
    source: Train,
    channels: int,
    segments: Segments,
    weights: np.ndarray,
    filters: int,
    neurons: Neurons,
    train: Train,
) -> None:
    """weights: flat, by kernel row, kernel column, channel and filter."""
    begins = np.zeros(segments.positions + 1, np.int64)
    n = 0
    for step in range(steps):
        train.start[step] = n
        _index_positions(source, step, channels, begins)
        for k in range(segments.target.size):
            begin, end = begins[segments.first[k]], begins[segments.stop[k]]
            if begin < end:
                add_rows(
                    neurons.current,
                    segments.target[k],
                    weights,
                    segments.shift[k],
                    source.events,
                    begin,
                    end,
                    filters,
                )
        n = fire(neurons, step, train, n)
        settle(neurons)
    train.start[steps] = n


@compiled
def _position(neuron: int, channels: int) -> int:
    """Position of a neuron in the image; 32-bit unsigned division is the fast one."""
    return np.int64(np.uint32(neuron) // np.uint32(channels))  # type: ignore[return-value]


@compiled
def depthwise(
    steps: int,
    source: Train,
    channels: int,
    reach: Reach,
    weights: np.ndarray,
    multiplier: int,
    neurons: Neurons,
    train: Train,
) -> None:
    """weights: flat, by tap and input channel `multiplier` numbers."""
    n = 0
    for step in range(steps):
        train.start[step] = n
        for e in range(source.start[step], source.start[step + 1]):
            position = _position(source.events[e], channels)
            first = (source.events[e] - position * channels) * multiplier
            for k in range(reach.start[position], reach.start[position + 1]):
                for m in range(first, first + multiplier):
                    neurons.current[reach.target[k] + m] += weights[reach.tap[k] + m]
        n = fire(neurons, step, train, n)
        settle(neurons)
    train.start[steps] = n
