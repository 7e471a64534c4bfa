"""The tables that the compiled loops walk through, made of a projection's geometry."""

from typing import Tuple

import numpy as np

from snnb.network.geometry import Geometry
from snnb.simulation.engines.event.types import Reach, Segments


def reach_of(geometry: Geometry) -> Reach:
    """List the windows of each position of the input."""
    rows, columns = geometry.rows, geometry.columns
    # Each pair of a row's and a column's (input, output, tap) is one of the image's.
    position = (rows.input[:, np.newaxis] * columns.size + columns.input).ravel()
    window = (rows.output[:, np.newaxis] * columns.outputs + columns.output).ravel()
    tap = (rows.tap[:, np.newaxis] * columns.taps + columns.tap).ravel()
    order = np.lexsort((window, position))
    start = np.searchsorted(position[order], np.arange(rows.size * columns.size + 1))
    return Reach(start, (window[order] * geometry.filters).astype(np.int32), tap[order].astype(np.int32))


def segments_of(geometry: Geometry) -> Segments:
    """List what the windows read: by row of the kernel, row of windows, window, and position."""
    rows, columns = geometry.rows, geometry.columns
    across, _ = columns.by_output()
    position, window, tap = (values[across] for values in (columns.input, columns.output, columns.tap))
    # A column that follows the one before it, in the same window, goes on with its segment.
    begins = np.flatnonzero((np.diff(window, prepend=-1) != 0) | (np.diff(position, prepend=-2) != 1))
    length = np.diff(begins, append=len(position))
    down = np.lexsort((rows.output, rows.tap))
    first = (rows.input[down, np.newaxis] * columns.size + position[begins]).ravel()
    output = (rows.output[down, np.newaxis] * columns.outputs + window[begins]).ravel()
    taps = (rows.tap[down, np.newaxis] * columns.taps + tap[begins]).ravel()
    return Segments(
        target=(output * geometry.filters).astype(np.int32),
        first=first.astype(np.int32),
        stop=(first + np.tile(length, len(down))).astype(np.int32),
        shift=(taps - first) * geometry.channels * geometry.filters,
        positions=rows.size * columns.size,
    )


def pooling_windows(geometry: Geometry) -> Tuple[np.ndarray, np.ndarray]:
    """List the windows of each input of a pooling layer, and count the inputs of each window.

    Returns
    -------
    windows : ndarray of int32, shape (number, inputs)
        Neurons; -1 where an input is in fewer windows.
    inputs : ndarray of float32, shape (neurons,)
    """
    reach, channels = reach_of(geometry), geometry.channels
    number = np.diff(reach.start)
    position = np.repeat(np.arange(len(number)), number)
    windows = np.full((number.max(), len(number)), -1, np.int32)
    windows[np.arange(len(position)) - reach.start[position], position] = reach.target
    each = windows[..., np.newaxis] + np.arange(channels, dtype=np.int32)
    table = np.where(windows[..., np.newaxis] < 0, np.int32(-1), each).reshape(len(windows), -1)
    return table, np.repeat(geometry.taps().ravel(), channels).astype(np.float32)
