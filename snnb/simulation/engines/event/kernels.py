"""The compiled work of populations with weights, which are added only where there are spikes.

A `SpikeTrain` lists the neurons that spike, step after step, in rising order. So a neuron's contributions arrive in the
order of its inputs, and its current is a sequential float32 sum. What makes it fast:

- what a window of a convolution reads of a row of the image are consecutive events, whose weights are summed in
  registers before they are stored (`add_rows`); one kernel row after the other, so that its weights stay in the cache;
- the membrane update is a flat loop that the compiler vectorises, and spikes are found 64 at a time (`fire`).

For each kind of connection there is a function that adds the spikes of one step to a current; a loop over steps that
also fires, for a population with one projection (`dense`, `convolution`, `depthwise`); and one that adds the spikes of
some steps to a buffer, for a population that sums several projections (`deposit_dense` and so on).
"""

import numpy as np

from snnb.compiled import compiled
from snnb.simulation.engines.event.llvm import add_rows
from snnb.simulation.engines.event.neurons import fire, settle
from snnb.simulation.engines.event.types import Neurons, Reach, Segments, SpikeTrain

# A Dense layer's rows are read so many at a time: each of them from its beginning to its end, as memory likes it.
DENSE_ROWS = 8


@compiled
def _add_dense(source: SpikeTrain, step: int, current: np.ndarray, weights: np.ndarray, units: int) -> None:
    end = source.start[step + 1]
    for e in range(source.start[step], end, DENSE_ROWS):
        add_rows(current, 0, weights, 0, source.events, e, min(e + DENSE_ROWS, end), units)


@compiled
def dense(steps: int, source: SpikeTrain, neurons: Neurons, train: SpikeTrain, weights: np.ndarray, units: int) -> None:
    """Simulate a population that reads all inputs.

    Parameters
    ----------
    steps : int
    source : SpikeTrain
        What it reads.
    neurons : Neurons
    train : SpikeTrain
        Where its spikes go.
    weights : ndarray of float32, flat
        By input and unit.
    units : int
    """
    n = 0
    for step in range(steps):
        train.start[step] = n
        _add_dense(source, step, neurons.current, weights, units)
        n = fire(neurons, neurons.current, step, train, n)
        settle(neurons)
    train.start[steps] = n


@compiled
def deposit_dense(start: int, source: SpikeTrain, currents: np.ndarray, weights: np.ndarray, units: int) -> None:
    """Add the spikes of the steps from `start` on to `currents`, shape (steps, neurons); see `dense`."""
    for i in range(currents.shape[0]):
        _add_dense(source, start + i, currents[i], weights, units)


@compiled
def _index_positions(source: SpikeTrain, step: int, channels: int, begins: np.ndarray) -> None:
    """Set begins[p] to the index of the first event of this step that is at position p of the image or behind it."""
    first, end = source.start[step], source.start[step + 1]
    for p in range(begins.size):
        begins[p] = first
    for e in range(first, end):  # the last event of each position remains; no integer division, which is slow
        begins[int((source.events[e] + 0.5) * (1 / channels)) + 1] = e + 1
    for p in range(1, begins.size):
        begins[p] = max(begins[p], begins[p - 1])


@compiled
def _add_convolution(
    source: SpikeTrain,
    step: int,
    current: np.ndarray,
    weights: np.ndarray,
    filters: int,
    channels: int,
    segments: Segments,
    begins: np.ndarray,
) -> None:
    _index_positions(source, step, channels, begins)
    for k in range(segments.target.size):
        begin, end = begins[segments.first[k]], begins[segments.stop[k]]
        if begin < end:
            add_rows(current, segments.target[k], weights, segments.shift[k], source.events, begin, end, filters)


@compiled
def convolution(
    steps: int,
    source: SpikeTrain,
    neurons: Neurons,
    train: SpikeTrain,
    weights: np.ndarray,
    filters: int,
    channels: int,
    segments: Segments,
) -> None:
    """Simulate a population whose windows read all channels.

    Parameters
    ----------
    steps, source, neurons, train
        See `dense`.
    weights : ndarray of float32, flat
        By kernel row, kernel column, channel and filter.
    filters, channels : int
    segments : Segments
    """
    begins = np.zeros(segments.positions + 1, np.int64)
    n = 0
    for step in range(steps):
        train.start[step] = n
        _add_convolution(source, step, neurons.current, weights, filters, channels, segments, begins)
        n = fire(neurons, neurons.current, step, train, n)
        settle(neurons)
    train.start[steps] = n


@compiled
def deposit_convolution(
    start: int,
    source: SpikeTrain,
    currents: np.ndarray,
    weights: np.ndarray,
    filters: int,
    channels: int,
    segments: Segments,
) -> None:
    """Add the spikes of the steps from `start` on to `currents`, shape (steps, neurons); see `convolution`."""
    begins = np.zeros(segments.positions + 1, np.int64)
    for i in range(currents.shape[0]):
        _add_convolution(source, start + i, currents[i], weights, filters, channels, segments, begins)


@compiled
def _position(neuron: int, channels: int) -> int:
    """Position of a neuron in the image; 32-bit unsigned division is the fast one."""
    return np.int64(np.uint32(neuron) // np.uint32(channels))  # type: ignore[return-value]


@compiled
def _add_depthwise(
    source: SpikeTrain,
    step: int,
    current: np.ndarray,
    weights: np.ndarray,
    multiplier: int,
    channels: int,
    reach: Reach,
) -> None:
    e, end = source.start[step], source.start[step + 1]
    while e < end:  # the events of one position at a time: to each of its windows, all of them
        position = _position(source.events[e], channels)
        first, last = position * channels, e + 1
        while last < end and source.events[last] < first + channels:
            last += 1
        for k in range(reach.start[position], reach.start[position + 1]):
            target, tap = reach.target[k], reach.tap[k]
            if multiplier == 1:
                for i in range(e, last):
                    channel = source.events[i] - first
                    current[target + channel] += weights[tap + channel]
            else:
                for i in range(e, last):
                    channel = (source.events[i] - first) * multiplier
                    for m in range(channel, channel + multiplier):
                        current[target + m] += weights[tap + m]
        e = last


@compiled
def depthwise(
    steps: int,
    source: SpikeTrain,
    neurons: Neurons,
    train: SpikeTrain,
    weights: np.ndarray,
    multiplier: int,
    channels: int,
    reach: Reach,
) -> None:
    """Simulate a population whose windows read one channel each.

    Parameters
    ----------
    steps, source, neurons, train
        See `dense`.
    weights : ndarray of float32, flat
        By kernel row, kernel column, channel and one of the `multiplier` filters of that channel.
    multiplier, channels : int
    reach : Reach
        `tap` is the index of the tap's first element in the weights.
    """
    n = 0
    for step in range(steps):
        train.start[step] = n
        _add_depthwise(source, step, neurons.current, weights, multiplier, channels, reach)
        n = fire(neurons, neurons.current, step, train, n)
        settle(neurons)
    train.start[steps] = n


@compiled
def deposit_depthwise(
    start: int,
    source: SpikeTrain,
    currents: np.ndarray,
    weights: np.ndarray,
    multiplier: int,
    channels: int,
    reach: Reach,
) -> None:
    """Add the spikes of the steps from `start` on to `currents`, shape (steps, neurons); see `depthwise`."""
    for i in range(currents.shape[0]):
        _add_depthwise(source, start + i, currents[i], weights, multiplier, channels, reach)


@compiled
def _add_one_to_one(source: SpikeTrain, step: int, current: np.ndarray, weights: np.ndarray) -> None:
    for e in range(source.start[step], source.start[step + 1]):
        current[source.events[e]] += weights[source.events[e]]


@compiled
def one_to_one(steps: int, source: SpikeTrain, neurons: Neurons, train: SpikeTrain, weights: np.ndarray) -> None:
    """Simulate a population whose neurons read the one in their own place each.

    Parameters
    ----------
    steps, source, neurons, train
        See `dense`.
    weights : ndarray of float32
        By neuron.
    """
    n = 0
    for step in range(steps):
        train.start[step] = n
        _add_one_to_one(source, step, neurons.current, weights)
        n = fire(neurons, neurons.current, step, train, n)
        settle(neurons)
    train.start[steps] = n


@compiled
def deposit_one_to_one(start: int, source: SpikeTrain, currents: np.ndarray, weights: np.ndarray) -> None:
    """Add the spikes of the steps from `start` on to `currents`, shape (steps, neurons); see `one_to_one`."""
    for i in range(currents.shape[0]):
        _add_one_to_one(source, start + i, currents[i], weights)
