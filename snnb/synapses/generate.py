"""Generate the edges of a projection, in order of source and then of target, into buffers that are reused.

The loops are compiled by numba, which is imported on first use.
"""

import functools
from typing import Any, Callable, NamedTuple, Tuple

import numpy as np


class EdgeBatch(NamedTuple):
    """Some edges, in arrays that the next batch overwrites: copy what must outlive it.

    Attributes
    ----------
    source, target : ndarray of int32 or int64, shape (edges,)
        Node ids.
    weight, edge : ndarray of float32, shape (edges,)
        The synapse's weight, and float32(rate of the source) × weight.
    """

    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    edge: np.ndarray


class Stream(NamedTuple):
    """What the compiled loops need of a projection; plain arrays and integers.

    Attributes
    ----------
    first_source, first_target : int
    width, channels, columns, filters, multiplier, column_taps : int
        Lengths of the input volume's last two axes, of the output volume's, filters a channel meets, kernel columns.
    position : ndarray of int64, shape (sources,)
        Flat position of each source in the layer's input, -1 where it is not used.
    row_start, row_output, row_tap, column_start, column_output, column_tap : ndarray of int64
        The triples of both axes by input (`Axis`).
    kernel : ndarray of float32, shape (row taps, column taps, channels, multiplier), or empty
    scale : ndarray of float32, shape (rows, columns) of the output, or empty
        The weight of every edge into an output position where there is no kernel.
    """

    first_source: int
    first_target: int
    width: int
    channels: int
    columns: int
    filters: int
    multiplier: int
    column_taps: int
    position: np.ndarray
    row_start: np.ndarray
    row_output: np.ndarray
    row_tap: np.ndarray
    column_start: np.ndarray
    column_output: np.ndarray
    column_tap: np.ndarray
    kernel: np.ndarray
    scale: np.ndarray


def fill(stream: Stream, rate: np.ndarray, pairing: str, start: int, batch: EdgeBatch) -> Tuple[int, int]:
    """Fill a batch with all edges of the sources from `start` on, as many sources as it has room for.

    Returns
    -------
    filled, start : int
        How many edges there are now in the batch, and the source that goes on.
    """
    return _compiled(pairing)(stream, rate, start, *batch)


# Only loops over slices become vector instructions: an index that is a sum might be negative, for all numba knows.


def _fill_dense(
    stream: Any,
    rate: np.ndarray,
    start: int,
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    edge: np.ndarray,
) -> Tuple[int, int]:
    """Every channel meets every filter: write a run of all filters for each output position."""
    filled, filters, channels = 0, stream.filters, stream.channels
    kernel = stream.kernel.reshape(-1)
    while start < stream.position.size:
        position = stream.position[start]
        if position < 0:
            start += 1
            continue
        channel = position % channels
        column = position // channels % stream.width
        row = position // (channels * stream.width)
        row_from, row_to = stream.row_start[row], stream.row_start[row + 1]
        column_from, column_to = stream.column_start[column], stream.column_start[column + 1]
        if filled + (row_to - row_from) * (column_to - column_from) * filters > source.size:
            break
        node, value = stream.first_source + start, rate[start]
        for i in range(row_from, row_to):
            for j in range(column_from, column_to):
                first = (stream.row_output[i] * stream.columns + stream.column_output[j]) * filters
                first += stream.first_target
                tap = stream.row_tap[i] * stream.column_taps + stream.column_tap[j]
                elements = kernel[(tap * channels + channel) * filters :][:filters]
                end = filled + filters
                sources, targets = source[filled:end], target[filled:end]
                weights, edges = weight[filled:end], edge[filled:end]
                for f in range(filters):
                    sources[f] = node
                for f in range(filters):
                    targets[f] = first + f
                for f in range(filters):
                    weights[f] = elements[f]
                    edges[f] = value * elements[f]
                filled = end
        start += 1
    return filled, start


def _fill_diagonal(
    stream: Any,
    rate: np.ndarray,
    start: int,
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    edge: np.ndarray,
) -> Tuple[int, int]:
    """A channel meets its own filters only: write all channels of a position at once, their edges interleaved."""
    filled, multiplier, channels = 0, stream.multiplier, stream.channels
    kernel, scale = stream.kernel.reshape(-1), stream.scale.reshape(-1)
    while start < stream.position.size:
        position = stream.position[start]
        if position < 0:
            start += 1
            continue
        channel = position % channels
        column = position // channels % stream.width
        row = position // (channels * stream.width)
        row_from, row_to = stream.row_start[row], stream.row_start[row + 1]
        column_from, column_to = stream.column_start[column], stream.column_start[column + 1]
        degree = (row_to - row_from) * (column_to - column_from) * multiplier
        together = min(channels - channel, stream.position.size - start)
        if degree:
            together = min(together, (source.size - filled) // degree)
            if not together:
                break
        length = 1
        while length < together and stream.position[start + length] == position + length:
            length += 1
        node, values = stream.first_source + start, rate[start : start + length]
        end = filled + length * degree
        for i in range(row_from, row_to):
            for j in range(column_from, column_to):
                output = stream.row_output[i] * stream.columns + stream.column_output[j]
                first = stream.first_target + output * stream.filters + channel * multiplier
                tap = stream.row_tap[i] * stream.column_taps + stream.column_tap[j]
                for f in range(multiplier):
                    at = filled + ((i - row_from) * (column_to - column_from) + j - column_from) * multiplier + f
                    sources, targets = source[at:end:degree], target[at:end:degree]
                    weights, edges = weight[at:end:degree], edge[at:end:degree]
                    for c in range(length):
                        sources[c] = node + c
                        targets[c] = first + c * multiplier + f
                    if scale.size:
                        for c in range(length):
                            weights[c] = scale[output]
                            edges[c] = values[c] * scale[output]
                    else:
                        elements = kernel[(tap * channels + channel) * multiplier + f :][::multiplier]
                        for c in range(length):
                            weights[c] = elements[c]
                            edges[c] = values[c] * elements[c]
        filled = end
        start += length
    return filled, start


@functools.lru_cache(maxsize=None)
def _compiled(pairing: str) -> Callable[..., Tuple[int, int]]:
    return compiled(_fill_dense if pairing == "dense" else _fill_diagonal)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function with numba, keeping the machine code on disk where there is a place for it."""
    import numba

    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba finds no writable place for its cache, as in a read-only container
        return numba.njit(nogil=True)(function)
