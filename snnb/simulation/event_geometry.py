"""Which windows each position of an image belongs to: all the geometry that the event-driven engine knows."""

from typing import Tuple, Union

import numpy as np

from snnb.simulation.event_kernels import Reach
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
    """Windows of each position of the layer's input of that shape, one a run; `tap`: its number, columns reversed.

    Reversed, the taps of a row stand in the order of the windows that a position has them in, see `runs_of`.
    """
    taps, dilation = _taps(layer)
    rows, columns = (
        _axis(shape[i], taps[i], layer.strides[i], dilation[i], layer.padding, layer.shape[i]) for i in (0, 1)
    )
    columns[2] = taps[1] - 1 - columns[2]
    # Each pair of a row's and a column's (position, window, tap) is one of the image's.
    position, window, tap = (
        (row[:, np.newaxis] * size + column).ravel()
        for row, column, size in zip(rows, columns, (shape[1], layer.shape[1], taps[1]))
    )
    order = np.lexsort((window, position))
    start = np.searchsorted(position[order], np.arange(shape[0] * shape[1] + 1))
    channels = np.full(len(order), layer.shape[2], np.int32)
    return Reach(start, (window[order] * layer.shape[2]).astype(np.int32), tap[order].astype(np.int32), channels)


def runs_of(layer: Conv2D, reach: Reach) -> Reach:
    """The same with neighbours joined: the next window of the row, by the next tap of the row."""
    position = np.repeat(np.arange(len(reach.start) - 1), np.diff(reach.start))
    window = reach.target // layer.shape[2]
    follows = np.diff(position, prepend=-1) == 0
    for number, in_a_row in ((window, layer.shape[1]), (reach.tap, layer.kernel.shape[1])):
        follows &= (np.diff(number, prepend=-2) == 1) & (number % in_a_row > 0)
    begins = np.flatnonzero(~follows)
    start = np.searchsorted(position[begins], np.arange(len(reach.start)))
    length = np.diff(begins, append=len(position)) * layer.shape[2]
    return Reach(start, reach.target[begins], reach.tap[begins], length.astype(np.int32))


def itself(positions: int, channels: int) -> Reach:
    """Each position is the only one of its own window: a Dense layer on the last of several axes."""
    start, target = np.arange(positions + 1), np.arange(positions) * channels
    zero = np.zeros(positions, np.int32)
    return Reach(start, target.astype(np.int32), zero, zero + np.int32(channels))


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


def _axis(size: int, taps: int, stride: int, dilation: int, padding: str, outputs: int) -> np.ndarray:
    """All (position, window, tap) along one axis but those in the padding: int64 `(3, number)`."""
    before = windows(size, taps, stride, dilation, padding)[1]
    window, tap = (grid.ravel() for grid in np.mgrid[:outputs, :taps])
    position = window * stride - before + tap * dilation
    real = (position >= 0) & (position < size)
    return np.stack([position[real], window[real], tap[real]])
