"""Generate the edges of a projection, in order of source and then of target, into buffers that are reused.

The loops are compiled by numba (imported on first use): the innermost runs over the filters of one output position,
where source, rate and kernel row are fixed and targets count up, so that it becomes plain vector stores.
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


def fill(
    stream: Stream, rate: np.ndarray, diagonal: bool, start: int, skip: int, stop: int, batch: EdgeBatch
) -> Tuple[int, int, int]:
    """Fill a batch with the edges of sources `start` to `stop`, leaving out the first `skip` of `start`.

    Returns
    -------
    filled, start, skip : int
        How many edges there are now in the batch, and where the next one goes on.
    """
    return _compiled()(stream, rate, diagonal, start, skip, stop, *batch)


def _fill(
    stream: Any,
    rate: np.ndarray,
    diagonal: bool,
    start: int,
    skip: int,
    stop: int,
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    edge: np.ndarray,
) -> Tuple[int, int, int]:
    capacity = source.size
    filled = 0
    kernel = stream.kernel.reshape(-1)
    scale = stream.scale.reshape(-1)
    run = stream.multiplier
    while start < stop:
        position = stream.position[start]
        if position < 0:
            start += 1
            continue
        channel = position % stream.channels
        column = position // stream.channels % stream.width
        row = position // (stream.channels * stream.width)
        first_filter = channel * run if diagonal else 0
        columns_from = stream.column_start[column]
        columns = stream.column_start[column + 1] - columns_from
        rows_from = stream.row_start[row]
        runs = (stream.row_start[row + 1] - rows_from) * columns
        value = rate[start]
        for index in range(skip // run, runs):
            if filled == capacity:
                return filled, start, skip
            i = rows_from + index // columns
            j = columns_from + index % columns
            offset = skip % run
            length = min(run - offset, capacity - filled)
            output = stream.row_output[i] * stream.columns + stream.column_output[j]
            first = stream.first_target + output * stream.filters + first_filter + offset
            if scale.size:
                constant = scale[output]
                for f in range(length):
                    source[filled + f] = stream.first_source + start
                    target[filled + f] = first + f
                    weight[filled + f] = constant
                    edge[filled + f] = value * constant
            else:
                tap = stream.row_tap[i] * stream.column_taps + stream.column_tap[j]
                begin = (tap * stream.channels + channel) * run + offset
                for f in range(length):
                    source[filled + f] = stream.first_source + start
                    target[filled + f] = first + f
                    weight[filled + f] = kernel[begin + f]
                    edge[filled + f] = value * kernel[begin + f]
            filled += length
            skip += length
        if skip < runs * run:
            return filled, start, skip
        start += 1
        skip = 0
    return filled, start, skip


@functools.lru_cache(maxsize=None)
def _compiled() -> Callable[..., Tuple[int, int, int]]:
    return compiled(_fill)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function with numba, keeping the machine code on disk where there is a place for it."""
    import numba

    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba finds no writable place for its cache, as in a read-only container
        return numba.njit(nogil=True)(function)
