"""Arrays of the compiled loops: spikes, neurons, and tables of a projection's geometry and weights.

Spikes are bits: uint64 of shape (samples, steps, words), where bit i of word w belongs to neuron 64 w + i. They take at
most 1/32 of the memory of a list, and are made and counted 64 at a time. The arguments of the loops are named tuples,
which numba supports, of few arrays: numba passes each as seven numbers or more to each function, which LLVM compiles
slowly. Arrays are aligned to cache lines.
"""

import math
import threading
from typing import Dict, NamedTuple, Sequence, Tuple, Type, Union

import numpy as np

from snnb.network.geometry import PADDING, Geometry
from snnb.simulation.engines.engine import Real

LINE = 64  # bytes of a cache line
GROUP = 64  # neurons in a word of spikes; the arrays of a population are filled up to a multiple
SLACK = 8  # spare numbers after each list of spikes
WIDTHS = (64, 32, 16)  # filters that are added at a time: their sums stay in registers
LANES = 4  # windows whose values are multiplied at a time, by the weights of 32 or 16 filters
WIDTH, PARTS = 16, 6  # a run of weights has a multiple of `WIDTH` numbers, at most `PARTS` times as many


# Rows of the numbers of each neuron. Only neurons with a neuron model have the rows from `BELOW` on: the largest number
# below the threshold, and `Dynamics`.
BIAS, THRESHOLD, AFTER, BELOW, DECAY, GAIN, OFFSET, CURRENT_DECAY, CURRENT_GAIN = range(9)


class Neurons(NamedTuple):
    """State of a population in some samples, filled up to a multiple of `GROUP` neurons.

    Numbers are float32, or all float64 for an integer network whose sums float32 does not hold exactly.

    Optional arrays have a length of 0 on their last axis if there is nothing to hold.
    """

    potential: np.ndarray  # float32 (samples, neurons)
    base: np.ndarray  # the current of the constant input: float32 (samples, neurons or more), or zeros (1, neurons)
    # float32 (3 or 9, neurons), see `BIAS`: the bias is added to the current last, as in TensorFlow; the threshold
    # is infinite where neurons do not spike; `AFTER` is the potential after a spike, or the number that it subtracts.
    numbers: np.ndarray
    to_value: bool  # whether `AFTER` is a potential
    counts: np.ndarray  # int32 (samples, neurons)
    # Optional output, the current of each step, or the potential of leaky neurons: float32 (samples, steps, neurons)
    received: np.ndarray
    uniforms: np.ndarray  # optional, random numbers of a softmax layer: float32 (samples, steps, neurons)
    classes: int  # neurons that a softmax is taken over
    # Optional, of max pooling, the sum or count so far of each input: float32 (samples, inputs)
    accumulated: np.ndarray
    # Optional, of max pooling, the largest count of each window, or the input that it follows, -1 before any: int32
    leader: np.ndarray
    synaptic: np.ndarray  # optional, of leaky neurons, the synaptic current: float32 (samples, neurons)
    ties: np.ndarray  # optional, of leaky neurons, int64 (samples, 1): number of potentials that were at `BELOW`
    # int64 (samples, 1): number of changes of a potential in a step, from the second step on; before the first, -1
    updates: np.ndarray


class Windows(NamedTuple):
    """Inputs of the windows of a convolution that read all channels, and have many filters; see `windows_of`.

    A row of weights belongs to a tap and a channel: it holds the weights of all filters. The rows are taken a block at
    a time, so that these stay in the cache while all windows pass. A range is the part of one block that one window
    reads: units next to each other, whose rows are next to each other. A unit is a position of the image, or a part of
    its channels.
    """

    weights: np.ndarray  # float32, flat: by groups of filters (`_by_width`), row, and filter
    unit_start: np.ndarray  # int64: unit u holds the neurons unit_start[u] to before unit_start[u + 1]
    range_start: np.ndarray  # int32: window w has in block b the ranges range_start[b × windows + w] to before the next
    target: np.ndarray  # int32: first neuron of each window
    first_unit: np.ndarray  # int32: of each range
    end_unit: np.ndarray  # int32: the unit after the last of each range
    row_shift: np.ndarray  # int32: added to the number of a neuron in the range, it gives its row
    rows: int
    filters: int  # filled up to a multiple of the smallest width


class Runs(NamedTuple):
    """Where the spikes of each position arrive, in runs of windows that read all channels, and have few filters.

    The windows of a run are next to each other; see `runs_of`.
    """

    # float32, flat: by row of the kernel, taps that windows of a run have at a position, channel, window, and filter;
    # filled up to a multiple of `WIDTH`
    weights: np.ndarray
    position_start: np.ndarray  # int64: position p holds the neurons position_start[p] to before position_start[p + 1]
    run_start: np.ndarray  # int32: position p has the runs run_start[p] to before run_start[p + 1]
    target: np.ndarray  # int32: first neuron of the first window of each run
    weight_start: np.ndarray  # int64: the weights of neuron i begin at weight_start + i × weight_stride
    weight_stride: np.ndarray  # int32
    parts: np.ndarray  # int32: multiples of `WIDTH` weights, `PARTS` at most: longer runs are listed as several


class Reach(NamedTuple):
    """In which windows each position of an image is; a window reads one channel. See `reach_of`."""

    weights: np.ndarray  # float32, flat: by tap and filter, with `GROUP` numbers after them
    # int32: position p is in the windows window_start[p] to before window_start[p + 1]; empty where each neuron is a
    # position, of one window
    window_start: np.ndarray
    target: np.ndarray  # int32: first neuron of each window
    weight_start: np.ndarray  # int32: of the tap of each window
    channels: int  # of the image; 1 if each neuron is a position; 0 if each neuron has one window, at the same index


WINDOWS, RUNS, REACH = range(3)  # forms of a table


class Table(NamedTuple):
    """The geometry and the weights of a projection in one of three forms; the other two are empty.

    So all projections have one type, and the loops are compiled once.
    """

    form: int
    windows: Windows
    runs: Runs
    reach: Reach


class Entries(NamedTuple):
    """Input that changes from step to step, as a projection reads it; see `InputSteps`."""

    start: np.ndarray  # int64 (samples, steps + 1): entries start[i, t] to before start[i, t + 1]; (1, 0) without any
    neuron: np.ndarray  # int32 (entries,)
    value: np.ndarray  # float32 (entries,)
    runs: Runs  # empty if it is not of this form
    reach: Reach  # otherwise; each neuron is a position


class Taps(NamedTuple):
    """The geometry and the weights of a projection that reads values of all neurons at once, such as pixels."""

    position: np.ndarray  # int32 (windows, taps): first neuron of the position under each tap, -1 in the padding
    # flat, by tap, channel and filter, 32 or 16 filters next to each other, filled up; without rows by tap and filter
    weights: np.ndarray
    channels: int
    filters: int
    rows: int  # taps times channels; 0 if a filter reads one channel, of the same number


def zeros(shape: Tuple[int, ...], dtype: Type[np.generic]) -> np.ndarray:
    """Make an array aligned to cache lines, so that rows and vectors of 16 numbers lie in one line each."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.zeros(size + LINE, np.uint8)  # untouched memory, which the operating system has made zero
    start = -room.ctypes.data % LINE
    return room[start : start + size].view(dtype).reshape(shape)


def aligned(values: np.ndarray) -> np.ndarray:
    """Copy an array, aligned to cache lines."""
    copy = zeros(values.shape, values.dtype.type)
    copy[...] = values
    return copy


def filled_up(number: int, multiple: int = GROUP) -> int:
    """Return the next multiple."""
    return -(-number // multiple) * multiple


def neurons_of(values: np.ndarray) -> np.ndarray:
    """Copy an array of shape `(..., neurons)`, with zeros up to a multiple of `GROUP` neurons, aligned."""
    filled = zeros((*values.shape[:-1], filled_up(values.shape[-1])), values.dtype.type)
    filled[..., : values.shape[-1]] = values
    return filled


class Scratch(threading.local):
    """Buffers of each thread, which are created or enlarged on demand and reused for other samples."""

    def __init__(self, real: Real) -> None:
        self._spikes: Dict[str, np.ndarray] = {}
        self._currents = np.zeros(0, real)
        self._room = np.zeros(0, np.int32)

    def spikes(self, name: str, samples: int, steps: int, words: int) -> np.ndarray:
        """Return a buffer for the spikes of a volume: uint64, shape (samples, steps, words)."""
        size = samples * steps * words
        if name not in self._spikes or self._spikes[name].size < size:
            self._spikes[name] = np.empty(size, np.uint64)
        return self._spikes[name][:size].reshape(samples, steps, words)

    def currents(self, size: int) -> np.ndarray:
        """Return a buffer for currents."""
        if self._currents.size < size:
            self._currents = zeros((size,), self._currents.dtype.type)
        return self._currents[:size]

    def room(self, size: int) -> np.ndarray:
        """Return a buffer for lists of neurons: int32."""
        if self._room.size < size:
            self._room = np.empty(size, np.int32)
        return self._room[:size]


# Bytes of a block of weights, which stays in the second-level cache.
BLOCK_BYTES = 128 << 10


def table_of_form(form: Union[Windows, Runs, Reach]) -> Table:
    """Return a table of one form."""
    weights, bounds, indices = np.zeros(0, form.weights.dtype), np.zeros(0, np.int64), np.zeros(0, np.int32)
    windows = Windows(weights, bounds, indices, indices, indices, indices, indices, 0, 0)
    runs = Runs(weights, bounds, indices, indices, bounds, indices, indices)
    reach = Reach(weights, indices, indices, indices, 0)
    if isinstance(form, Windows):
        return Table(WINDOWS, form, runs, reach)
    return Table(RUNS, windows, form, reach) if isinstance(form, Runs) else Table(REACH, windows, runs, form)


def no_table(real: Real) -> Table:
    """Return the table of a projection without spikes."""
    none = np.zeros(0, np.int32)
    return table_of_form(Reach(np.zeros(GROUP, real), none, none, none, 0))


def windows_of(geometry: Geometry, weights: np.ndarray) -> Windows:
    """List the inputs of windows that read all channels: by block of weights, window, and range."""
    filters, channels = filled_up(geometry.filters, WIDTH), geometry.channels
    block_rows = max(1, BLOCK_BYTES // (WIDTHS[0] * weights.itemsize))
    parts = -(-channels // block_rows)  # of the channels of a position
    edges = np.linspace(0, channels, parts + 1).astype(np.int64)
    taps_of_block = max(1, min(block_rows // channels, geometry.columns.taps))
    triples = _triples(geometry)
    # A piece is a part of the channels of one position, under one tap of one window.
    position, window, tap = (np.repeat(values, parts) for values in triples)
    part = np.tile(np.arange(parts), len(triples[0]))
    of_row = geometry.columns.taps
    blocks_of_row = -(-of_row // taps_of_block)
    block = (tap // of_row * blocks_of_row + tap % of_row // taps_of_block) * parts + part
    row, unit = tap * channels + edges[part], position * parts + part
    windows = geometry.rows.outputs * geometry.columns.outputs
    order = np.lexsort((row, block * windows + window))
    row, unit, cell = row[order], unit[order], (block * windows + window)[order]
    units = geometry.rows.size * geometry.columns.size
    bounds = np.append((np.arange(units)[:, np.newaxis] * channels + edges[:-1]).ravel(), units * channels)
    shift = row - bounds[unit]
    # A piece that follows the one before it, of the same window and block, goes on with its range.
    begins = np.flatnonzero(
        (np.diff(cell, prepend=-1) != 0) | (np.diff(unit, prepend=-2) != 1) | (np.diff(shift, prepend=0) != 0)
    )
    blocks = int(block.max()) + 1 if len(block) else 0
    rows = geometry.rows.taps * geometry.columns.taps * channels
    return Windows(
        weights=_by_width(weights.reshape(rows, -1), filters),
        unit_start=bounds,
        range_start=np.searchsorted(cell[begins], np.arange(blocks * windows + 1)).astype(np.int32),
        target=(np.arange(windows) * geometry.filters).astype(np.int32),
        first_unit=unit[begins].astype(np.int32),
        end_unit=(np.append(unit[begins[1:] - 1], unit[-1:]) + 1).astype(np.int32),
        row_shift=shift[begins].astype(np.int32),
        rows=rows,
        filters=filters,
    )


def _by_width(rows: np.ndarray, filters: int, widths: Sequence[int] = WIDTHS) -> np.ndarray:
    """Make the weights of filters that are added at once adjacent, filled up with zeros."""
    flat, done = zeros((len(rows) * filters,), rows.dtype.type), 0
    while done < filters:
        width = next(width for width in widths if width <= filters - done)
        group = flat[len(rows) * done : len(rows) * (done + width)].reshape(len(rows), width)
        taken = rows[:, done : done + width]
        group[:, : taken.shape[1]] = taken
        done += width
    return flat


def runs_of(geometry: Geometry, weights: np.ndarray) -> Runs:
    """List where the spikes of each position arrive; see `windows_of`."""
    rows, columns, filters, channels = geometry.rows, geometry.columns, geometry.filters, geometry.channels
    # Along a row of the image, a run is one position with outputs next to each other.
    begins = np.flatnonzero((np.diff(columns.input, prepend=-1) != 0) | (np.diff(columns.output, prepend=-2) != 1))
    sequences = [tuple(taps.tolist()) for taps in np.split(columns.tap, begins[1:])] if len(begins) else []
    stored = sorted(set(sequences))
    sizes = [filled_up(len(sequence) * filters, WIDTH) for sequence in stored]
    blocks = [np.zeros((rows.taps, channels, size), weights.dtype) for size in (*sizes, 0)]
    for block, sequence in zip(blocks, stored):
        of_taps = weights.reshape(rows.taps, columns.taps, channels, filters)[:, list(sequence)]
        block[..., : len(sequence) * filters] = of_taps.transpose(0, 2, 1, 3).reshape(rows.taps, channels, -1)
    origin = np.cumsum([0, *(channels * size for size in sizes)])  # of the blocks in a row of the kernel
    of_block = np.array([stored.index(sequence) for sequence in sequences], np.int64)
    length = np.array([len(sequence) for sequence in sequences], np.int64)
    position = (rows.input[:, np.newaxis] * columns.size + columns.input[begins]).ravel()
    target = (rows.output[:, np.newaxis] * columns.outputs + columns.output[begins]).ravel() * filters
    stride = np.tile(np.array(sizes, np.int64)[of_block], len(rows.input))
    first = (rows.tap[:, np.newaxis] * origin[-1] + origin[of_block]).ravel() - position * channels * stride
    parts = np.tile(-(-length * filters // WIDTH), len(rows.input))
    # Runs that are too long are cut.
    pieces = -(-parts // PARTS)
    piece = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    position, target, stride, first, parts = (np.repeat(a, pieces) for a in (position, target, stride, first, parts))
    target, first = target + piece * PARTS * WIDTH, first + piece * PARTS * WIDTH
    parts = np.minimum(parts - piece * PARTS, PARTS)
    order = np.lexsort((target, position))
    return Runs(
        weights=aligned(np.concatenate([block.reshape(rows.taps, -1) for block in blocks], axis=1).ravel()),
        position_start=np.arange(rows.size * columns.size + 1) * channels,
        run_start=np.searchsorted(position[order], np.arange(rows.size * columns.size + 1)).astype(np.int32),
        target=target[order].astype(np.int32),
        weight_start=first[order],
        weight_stride=stride[order].astype(np.int32),
        parts=parts[order].astype(np.int32),
    )


def reach_of(geometry: Geometry, weights: np.ndarray, *, by_neuron: bool = False) -> Reach:
    """List the windows of each position, or of each neuron if there are few channels; a window reads one channel.

    The weights have the shape (taps, filters), or (1, filters) if they are the same for all taps. With `by_neuron` each
    neuron is a position, and no shortcut is taken.
    """
    channels, filters, positions = geometry.channels, geometry.filters, geometry.rows.size * geometry.columns.size
    position, window, tap = _triples(geometry)
    tap = tap * filters if len(weights) > 1 else np.zeros_like(tap)
    target = window * filters
    if by_neuron or filters > channels or channels < GROUP // 2:
        filter_ = np.arange(filters)
        position = (position[:, np.newaxis] * channels + filter_ // geometry.multiplier).ravel()
        target, tap = ((first[:, np.newaxis] + filter_).ravel() for first in (target, tap))
        positions, channels = positions * channels, 1
    order = np.lexsort((target, position))
    start, target, tap = np.searchsorted(position[order], np.arange(positions + 1)), target[order], tap[order]
    places, one_window_each = np.arange(positions), not by_neuron and np.array_equal(start, np.arange(positions + 1))
    if one_window_each and channels == 1:
        start = start[:0]
    if one_window_each and np.array_equal(target, places * channels):
        # One weight for each neuron makes position and channel unnecessary.
        weights = weights.ravel()[tap[:, np.newaxis] + np.arange(channels)]
        channels = 0
    return Reach(
        weights=aligned(np.append(weights.ravel(), np.zeros(GROUP, weights.dtype))),
        window_start=start.astype(np.int32),
        target=target.astype(np.int32),
        weight_start=tap.astype(np.int32),
        channels=channels,
    )


def taps_of(geometry: Geometry, weights: np.ndarray) -> Taps:
    """List the inputs of all windows.

    Where windows read one channel each, values have to be repeated for each filter of a channel; the weights have the
    shape (taps, filters).
    """
    position, window, tap = _triples(geometry)
    number, filters = geometry.rows.taps * geometry.columns.taps, geometry.filters
    channels = filters if geometry.pairing == "diagonal" else geometry.channels
    table = np.full((geometry.rows.outputs * geometry.columns.outputs, number), PADDING, np.int32)
    table[window, tap] = position * channels
    if geometry.pairing == "diagonal":
        return Taps(table, weights.ravel(), channels, filters, 0)
    rows = number * channels
    by_width = _by_width(weights.reshape(rows, filters), filled_up(filters, WIDTH), (2 * WIDTH, WIDTH))
    return Taps(table, by_width, channels, filters, rows)


def _triples(geometry: Geometry) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return position in the image, window and tap wherever they meet: each pair of a row's and a column's triples."""
    rows, columns = geometry.rows, geometry.columns
    position = (rows.input[:, np.newaxis] * columns.size + columns.input).ravel()
    window = (rows.output[:, np.newaxis] * columns.outputs + columns.output).ravel()
    tap = (rows.tap[:, np.newaxis] * columns.taps + columns.tap).ravel()
    return position, window, tap


def pooling_windows(geometry: Geometry) -> np.ndarray:
    """List the windows of each input of a pooling layer: int32 (number, inputs), -1 where an input is in fewer."""
    channels, (position, window, _) = geometry.channels, _triples(geometry)
    order = np.lexsort((window, position))
    start = np.searchsorted(position[order], np.arange(geometry.rows.size * geometry.columns.size + 1))
    number = np.diff(start)
    windows = np.full((number.max(), len(number)), -1, np.int32)
    windows[np.arange(len(position)) - start[position[order]], position[order]] = window[order] * geometry.filters
    each = windows[..., np.newaxis] + np.arange(channels, dtype=np.int32)
    return np.where(windows[..., np.newaxis] < 0, np.int32(-1), each).reshape(len(windows), -1)
