"""Projections as NIR has layers: a convolution with symmetric padding, a sum over windows, or a matrix.

NIR pads as PyTorch does, the same number of zeros before and behind. Other paddings, a source that is only some
channels of a layer's input, and layers of each channel for itself become the same convolution with taps that are 0.
"""

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from snnb.graph.connection import Connection
from snnb.graph.projection import GraphProjection
from snnb.network.axis import Axis
from snnb.network.layers import AveragePooling2D, Conv2D, DepthwiseConv2D

MOST_ZERO_TAPS = 64  # put around a kernel; what needs more is no usual padding
LARGEST_KERNEL = 1 << 26  # numbers; where zeros make it larger, a matrix is tried


@dataclass(frozen=True)
class Convolution:
    """A convolution over images, as NIR's `Conv2d`.

    Attributes
    ----------
    weight : ndarray of float32, shape (filters, channels, taps, taps)
        Square, since nir 1.0.8 takes the number of row taps for both axes.
    stride, padding, dilation : tuple of int
        Rows, columns.
    """

    weight: np.ndarray
    stride: Tuple[int, int]
    padding: Tuple[int, int]
    dilation: Tuple[int, int]


@dataclass(frozen=True)
class WindowSum:
    """The sum over each window of each channel, as NIR's `SumPool2d`.

    Attributes
    ----------
    size, stride, padding : tuple of int
        Rows, columns.
    mean : ndarray of float32, shape (rows, columns)
        What a spike weighs in each window: 1 / (neurons in it).
    """

    size: Tuple[int, int]
    stride: Tuple[int, int]
    padding: Tuple[int, int]
    mean: np.ndarray


def window_sum_of(projection: GraphProjection) -> Optional[WindowSum]:
    """Return an average pooling of a whole population, whose windows NIR can place; None for anything else."""
    connection, *others = projection.connections
    layer = connection.layer
    if others or not isinstance(layer, AveragePooling2D) or connection.weighting != "mean":
        return None
    box = _box(connection)
    if box is None or box[2] or connection.source.shape != connection.geometry.input_volume:
        return None
    fits = [
        _fit(axis, length, first, stride, 1, size)
        for axis, length, first, stride, size in zip(
            (connection.geometry.rows, connection.geometry.columns),
            connection.source.shape,
            box,
            layer.strides,
            layer.pool_size,
        )
    ]
    if any(fit is None or fit[0] for fit in fits):
        return None
    padding = (fits[0][1], fits[1][1])  # type: ignore[index]
    return WindowSum(layer.pool_size, layer.strides, padding, connection.scale)


def convolution_of(connection: Connection) -> Optional[Convolution]:
    """Return what a layer makes of one of its sources as a convolution, with the same weights; None if it is none."""
    layer, geometry = connection.layer, connection.geometry
    if isinstance(layer, (Conv2D, DepthwiseConv2D)):
        taps, strides, dilations = layer.kernel_size, layer.strides, layer.dilation_rate
    elif isinstance(layer, AveragePooling2D):
        taps, strides, dilations = layer.pool_size, layer.strides, (1, 1)
        if np.ptp(connection.scale):  # windows that reach over the edge weigh otherwise
            return None
    else:
        return None
    box = _box(connection)
    channels = connection.source.shape[-1]
    if box is None or geometry.filters * channels * max(taps) ** 2 > LARGEST_KERNEL:
        return None
    axes = list(zip((geometry.rows, geometry.columns), connection.source.shape, box, strides, dilations))
    for size in range(max(taps), max(taps) + MOST_ZERO_TAPS):
        fits = [_fit(axis, n, first, stride, dilation, size) for axis, n, first, stride, dilation in axes]
        if fits[0] is not None and fits[1] is not None:
            (before_row, pad_row), (before_column, pad_column) = fits[0], fits[1]
            weight = np.zeros((geometry.filters, channels, size, size), np.float32)
            rows, columns = slice(before_row, before_row + taps[0]), slice(before_column, before_column + taps[1])
            weight[:, :, rows, columns] = _kernel(connection, box[2], channels)
            return Convolution(weight, strides, (pad_row, pad_column), dilations)
    return None


def _kernel(connection: Connection, first: int, channels: int) -> np.ndarray:
    """Return weights of shape (filters, channels, row taps, column taps), of some channels of the layer's input."""
    geometry = connection.geometry
    taps = geometry.rows.taps, geometry.columns.taps
    if geometry.pairing == "dense":
        assert connection.kernel is not None
        return connection.kernel[:, :, first : first + channels].transpose(3, 2, 0, 1)
    kernel = np.zeros((geometry.filters, channels, *taps), np.float32)
    for channel in range(channels):
        for m in range(geometry.multiplier):
            own = (
                connection.scale.ravel()[0] if connection.kernel is None else connection.kernel[..., first + channel, m]
            )
            kernel[(first + channel) * geometry.multiplier + m, channel] = own
    return kernel


def _box(connection: Connection) -> Optional[Tuple[int, int, int]]:
    """Say where the source, an image, stands in the layer's input: first row, column, channel; None if otherwise."""
    source, ids = connection.source, connection.positions.ids
    if len(source.shape) != 3 or len(connection.target.shape) != 3 or connection.positions.parallel:
        return None
    where = np.argwhere(ids == source.first)
    if len(where) != 1:
        return None
    first = where[0].tolist()
    here = ids[tuple(slice(begin, begin + length) for begin, length in zip(first, source.shape))]
    numbers = source.first + np.arange(source.size).reshape(source.shape)
    if not np.array_equal(here, numbers) or np.count_nonzero(ids >= 0) != source.size:
        return None
    return first[0], first[1], first[2]


def _fit(axis: Axis, length: int, first: int, stride: int, dilation: int, taps: int) -> Optional[Tuple[int, int]]:
    """Place a kernel of `taps` taps, of which the axis's are some and the others 0, over a source of some length.

    Returns
    -------
    tuple of int or None
        Taps of weight 0 before the axis's own, and the padding on either side.
    """
    if not axis.input.size:
        return None
    before = axis.output * stride + axis.tap * dilation - axis.input
    if np.ptp(before):
        return None
    own = int(before[0]) + first  # rows of nothing before the source that the first window covers
    for zeros in range(taps - axis.taps + 1):
        padding = own + zeros * dilation
        reach = length + 2 * padding - dilation * (taps - 1) - 1
        if padding >= 0 and reach >= 0 and reach // stride + 1 == axis.outputs:
            return zeros, padding
    return None
