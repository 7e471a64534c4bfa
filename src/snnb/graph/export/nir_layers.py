"""Projections as NIR has layers: a convolution with symmetric padding, a sum over windows, or a matrix.

NIR pads as PyTorch does, the same number of zeros on both sides. Other paddings, a source that is only some
channels of a layer's input, and depthwise layers become the same convolution with taps that are 0.
"""

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from snnb.graph.connection import Connection
from snnb.graph.projection import GraphProjection
from snnb.network.geometry import Axis
from snnb.network.layers import AveragePooling2D, Conv2D, DepthwiseConv2D

MOST_ZERO_TAPS = 64  # around a kernel; usual paddings need fewer
LARGEST_KERNEL = 1 << 26  # numbers; where zeros make it larger, a matrix is tried


@dataclass(frozen=True)
class Convolution:
    """A convolution over images, as NIR's `Conv2d`.

    Attributes
    ----------
    weight : (filters, channels, taps, taps) float32 array
        Square, since nir 1.0.8 takes the number of row taps for both axes.
    stride, padding, dilation : (rows, columns)
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
    size, stride, padding : (rows, columns)
    mean : (rows, columns) float32 array
        Weight of a spike in each window: 1 / (neurons in it).
    """

    size: Tuple[int, int]
    stride: Tuple[int, int]
    padding: Tuple[int, int]
    mean: np.ndarray


def window_sum_of(projection: GraphProjection) -> Optional[WindowSum]:
    """Return an average pooling of an entire population, whose windows NIR can place; None for anything else."""
    connection, *others = projection.connections
    layer = connection.layer
    if others or not isinstance(layer, AveragePooling2D) or connection.weighting != "mean":
        return None
    box = _box(connection)
    if box is None or box[2] or connection.source.shape != connection.geometry.input_volume:
        return None
    axes = connection.geometry.rows, connection.geometry.columns
    each = zip(axes, connection.source.shape, box, layer.strides, layer.pool_size)
    row, column = (_fit(axis, length, first, stride, 1, size) for axis, length, first, stride, size in each)
    if row is None or column is None or row[0] or column[0]:
        return None
    return WindowSum(layer.pool_size, layer.strides, (row[1], column[1]), connection.scale)


def convolution_of(connection: Connection) -> Optional[Convolution]:
    """Return a connection as a convolution with the same weights; None if it cannot be one."""
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
        row, column = (_fit(axis, n, first, stride, dilation, size) for axis, n, first, stride, dilation in axes)
        if row is not None and column is not None:
            weight = np.zeros((geometry.filters, channels, size, size), np.float32)
            inner = weight[:, :, row[0] : row[0] + taps[0], column[0] : column[0] + taps[1]]
            inner[...] = _kernel(connection, box[2], channels)
            return Convolution(weight, strides, (row[1], column[1]), dilations)
    return None


def _kernel(connection: Connection, first: int, channels: int) -> np.ndarray:
    """Return the weights (filters, channels, row taps, column taps) of the channels from `first` on."""
    geometry = connection.geometry
    taps = geometry.rows.taps, geometry.columns.taps
    if geometry.pairing == "dense":
        assert connection.kernel is not None
        return connection.kernel[:, :, first : first + channels].transpose(3, 2, 0, 1)
    kernel = np.zeros((geometry.filters, channels, *taps), np.float32)
    for channel, m in np.ndindex(channels, geometry.multiplier):
        own = connection.scale[0, 0] if connection.kernel is None else connection.kernel[..., first + channel, m]
        kernel[(first + channel) * geometry.multiplier + m, channel] = own
    return kernel


def _box(connection: Connection) -> Optional[Tuple[int, int, int]]:
    """Return first row, column and channel of the source in the layer's input; None if it is not a block."""
    source, ids = connection.source, connection.ids
    if len(source.shape) != 3 or len(connection.target.shape) != 3 or connection.parallel:
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
    """Fit a kernel of `taps` taps, the taps of the axis and others of weight 0, to a source of a length.

    Return the number of taps of weight 0 before the axis's, and the padding on either side; None if none fits.
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
