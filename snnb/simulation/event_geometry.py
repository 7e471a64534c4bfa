"""Which windows each position of an image belongs to: all the geometry that the event-driven engine knows."""

from typing import Tuple, Union

import numpy as np

from snnb.simulation.event_types import Reach, Segments
from snnb.simulation.layers import (
    AveragePooling2D,
    Concatenate,
    Conv2D,
    DepthwiseConv2D,
    MaxPooling2D,
    Pair,
    Shape,
    ZeroPadding2D,
    windows,
)

Windowed = Union[Conv2D, DepthwiseConv2D, AveragePooling2D, MaxPooling2D]


def reach_of(layer: Windowed, shape: Shape) -> Reach:
    """Windows of each position of the layer's input of that shape; `tap` is the tap's number."""
    rows, columns = _axes(layer, shape)
    # Each pair of a row's and a column's (position, window, tap) is one of the image's.
    position, window, tap = (
        (row[:, np.newaxis] * size + column).ravel()
        for row, column, size in zip(rows, columns, (shape[1], layer.shape[1], _taps(layer)[0][1]))
    )
    order = np.lexsort((window, position))
    start = np.searchsorted(position[order], np.arange(shape[0] * shape[1] + 1))
    return Reach(start, (window[order] * layer.shape[2]).astype(np.int32), tap[order].astype(np.int32))


def segments_of(layer: Conv2D, shape: Shape) -> Segments:
    """What the windows read of the layer's input of that shape."""
    rows, columns = _axes(layer, shape)
    columns = columns[:, np.lexsort((columns[0], columns[1]))]
    position, window, tap = columns
    # A column that follows the one before it, in the same window, goes on with its segment.
    begins = np.flatnonzero((np.diff(window, prepend=-1) != 0) | (np.diff(position, prepend=-2) != 1))
    length = np.diff(begins, append=len(position))
    rows = rows[:, np.lexsort((rows[1], rows[2]))][..., np.newaxis]
    first = (rows[0] * shape[1] + position[begins]).ravel()
    output = (rows[1] * layer.shape[1] + window[begins]).ravel()
    taps = (rows[2] * layer.kernel.shape[1] + tap[begins]).ravel()
    return Segments(
        target=(output * layer.shape[2]).astype(np.int32),
        first=first.astype(np.int32),
        stop=(first + np.tile(length, len(rows[0]))).astype(np.int32),
        shift=(taps - first) * shape[2] * layer.shape[2],
        positions=shape[0] * shape[1],
    )


def itself(positions: int, channels: int, units: int) -> Segments:
    """Each position is read by the same of the output: a Dense layer on the last of several axes."""
    each = np.arange(positions)
    first = each.astype(np.int32)
    return Segments(first * np.int32(units), first, first + np.int32(1), -each * channels * units, positions)


def pooling_windows(layer: Union[AveragePooling2D, MaxPooling2D], shape: Shape) -> Tuple[np.ndarray, np.ndarray]:
    """Windows of each input, int32 `(number, inputs)` with -1 where there are fewer; inputs of each window, float32."""
    reach, channels = reach_of(layer, shape), shape[2]
    number = np.diff(reach.start)
    position = np.repeat(np.arange(len(number)), number)
    windows = np.full((number.max(), len(number)), -1, np.int32)
    windows[np.arange(len(position)) - reach.start[position], position] = reach.target
    each = windows[..., np.newaxis] + np.arange(channels, dtype=np.int32)
    taps = np.bincount(reach.target // channels)
    table = np.where(windows[..., np.newaxis] < 0, np.int32(-1), each).reshape(len(windows), -1)
    return table, np.repeat(taps, channels).astype(np.float32)


def padded_indices(layer: ZeroPadding2D, shape: Shape) -> np.ndarray:
    """Where each element of the layer's input is in its output: int32, flat."""
    (top, _), (left, _) = layer.padding
    inner = _indices(layer.shape)[top : top + shape[0], left : left + shape[1]]
    return inner.ravel()


def joined_indices(layer: Concatenate, begin: int, size: int) -> np.ndarray:
    """Where each element of an input, `size` long and beginning at `begin` along the axis, is in the output."""
    return _indices(layer.shape).take(np.arange(begin, begin + size), axis=layer.axis).ravel()


def _indices(shape: Shape) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int32).reshape(shape)


def _taps(layer: Windowed) -> Tuple[Pair, Pair]:
    if isinstance(layer, (AveragePooling2D, MaxPooling2D)):
        return layer.pool_size, (1, 1)
    return (layer.kernel.shape[0], layer.kernel.shape[1]), layer.dilation


def _axes(layer: Windowed, shape: Shape) -> Tuple[np.ndarray, np.ndarray]:
    """`_axis` of the rows and of the columns."""
    taps, dilation = _taps(layer)
    rows, columns = (
        _axis(shape[i], taps[i], layer.strides[i], dilation[i], layer.padding, layer.shape[i]) for i in (0, 1)
    )
    return rows, columns


def _axis(size: int, taps: int, stride: int, dilation: int, padding: str, outputs: int) -> np.ndarray:
    """All (position, window, tap) along one axis but those in the padding: int64 `(3, number)`."""
    before = windows(size, taps, stride, dilation, padding)[1]
    window, tap = (grid.ravel() for grid in np.mgrid[:outputs, :taps])
    position = window * stride - before + tap * dilation
    real = (position >= 0) & (position < size)
    return np.stack([position[real], window[real], tap[real]])
