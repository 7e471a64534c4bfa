"""Projections as linear nodes of NIR: convolutions, sums over windows, matrices.

NIR pads as PyTorch does, the same number of zeros on both sides. Other paddings, a
source that is only some channels of a layer's input, and depthwise layers become the
same convolution with taps that are 0. A grouped convolution keeps its groups unless its
source is only some channels.
"""

from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Set, Tuple, Union

import numpy as np

from snnb.graph.connection import Connection
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.geometry import Axis, weights_by_filter
from snnb.network.layers import AveragePooling2D, Conv2D, DepthwiseConv2D

MOST_ZERO_TAPS = 64  # around a kernel; usual paddings need fewer
LARGEST_KERNEL = 1 << 26  # numbers; where zeros make it larger, a matrix is tried


@dataclass(frozen=True)
class Convolution:
    """A convolution over images, as NIR's `Conv2d`; pairs are of rows and columns."""

    # (filters, channels of a group, taps, taps) float32; square, since nir 1.0.8 takes
    # the number of row taps for both axes
    weight: np.ndarray
    stride: Tuple[int, int]
    padding: Tuple[int, int]
    dilation: Tuple[int, int]
    groups: int


@dataclass(frozen=True)
class WindowSum:
    """The sum over each window of each channel, as NIR's `SumPool2d`; pairs are of rows and columns."""

    size: Tuple[int, int]
    stride: Tuple[int, int]
    padding: Tuple[int, int]
    # (rows, columns) float32: weight of a spike in each window, 1 / (neurons in it)
    mean: np.ndarray


Operation = Union[Convolution, WindowSum, None]  # None: a matrix


class LinearLayers(NamedTuple):
    """The linear nodes of a graph."""

    # Names of the populations that are images, with channels first; others are vectors
    images: Set[str]
    # By number of the projection: the operations of its connections, which NIR adds
    operations: List[List[Operation]]


def linear_layers(graph: SynapseGraph) -> LinearLayers:
    """Return the populations that are images, and the operations of each projection.

    A population is an image if all its projections are convolutions or sums over
    windows.
    """
    images = {p.name for p in graph.inputs if len(p.shape) == 3}
    operations: List[List[Operation]] = [[None] for _ in graph.projections]
    for population in graph.layers:
        inbound = []
        for number, projection in enumerate(graph.projections):
            if projection.target is population:
                inbound.append((number, projection))
        # The factor of a pooling is a property of the neuron, which multiplies its
        # entire input.
        has_one_input = len(inbound) == 1 and not population.bias.any()
        for number, projection in inbound:
            if projection.source.name in images and projection.connections:
                operations[number] = _image_operations(projection, has_one_input)
        if inbound and all(None not in operations[number] for number, _ in inbound):
            images.add(population.name)
    return LinearLayers(images, operations)


def _image_operations(
    projection: GraphProjection,
    has_one_input: bool,
) -> List[Operation]:
    """Return the operations of a projection between images; `[None]` for a matrix."""
    pooling = window_sum_of(projection) if has_one_input else None
    if pooling is not None:
        return [pooling]
    convolutions: List[Operation] = []
    for connection in projection.connections:
        convolutions.append(convolution_of(connection))
    return [None] if None in convolutions else convolutions


def window_sum_of(projection: GraphProjection) -> Optional[WindowSum]:
    """Return an average pooling of an entire population, whose windows NIR can place.

    Return None for anything else.
    """
    if len(projection.connections) != 1:
        return None
    connection = projection.connections[0]
    layer = connection.layer
    if not isinstance(layer, AveragePooling2D) or connection.weighting != "mean":
        return None
    block = _source_block(connection)
    if block is None or block.first_channel:
        return None
    if connection.source.shape != connection.geometry.input_volume:
        return None
    row_fit, column_fit = _fits(
        connection,
        block,
        layer.strides,
        (1, 1),
        layer.pool_size,
    )
    if row_fit is None or column_fit is None:
        return None
    if row_fit.zero_taps or column_fit.zero_taps:
        return None
    padding = (row_fit.padding, column_fit.padding)
    return WindowSum(layer.pool_size, layer.strides, padding, connection.scale)


def convolution_of(connection: Connection) -> Optional[Convolution]:
    """Return a connection as a convolution with the same weights; None if it is none."""
    layer = connection.layer
    if isinstance(layer, (Conv2D, DepthwiseConv2D)):
        taps = layer.kernel_size
        dilation = layer.dilation_rate
    elif isinstance(layer, AveragePooling2D):
        taps = layer.pool_size
        dilation = (1, 1)
        if np.ptp(connection.scale):  # windows that reach over the edge weigh otherwise
            return None
    else:
        return None
    block = _source_block(connection)
    channels = connection.source.shape[-1]
    geometry = connection.geometry
    filters = geometry.filters
    groups = geometry.groups if channels == geometry.channels else 1
    group_channels = channels // groups
    if block is None or filters * group_channels * max(taps) ** 2 > LARGEST_KERNEL:
        return None
    for size in range(max(taps), max(taps) + MOST_ZERO_TAPS):
        square = (size, size)
        row_fit, column_fit = _fits(connection, block, layer.strides, dilation, square)
        if row_fit is None or column_fit is None:
            continue
        rows = slice(row_fit.zero_taps, row_fit.zero_taps + taps[0])
        columns = slice(column_fit.zero_taps, column_fit.zero_taps + taps[1])
        weight = np.zeros((filters, group_channels, size, size), np.float32)
        if groups > 1:
            kernel = weights_by_filter(np.asarray(connection.kernel), groups)
            weight[:, :, rows, columns] = kernel.transpose(3, 2, 0, 1)
        else:
            kernel = _kernel(connection, block.first_channel, channels)
            weight[:, :, rows, columns] = kernel
        padding = (row_fit.padding, column_fit.padding)
        return Convolution(weight, layer.strides, padding, dilation, groups)
    return None


def _kernel(connection: Connection, first_channel: int, channels: int) -> np.ndarray:
    """Return the weights of some channels of a layer's input, as one group.

    They are float32 of shape (filters, channels, row taps, column taps).
    """
    geometry = connection.geometry
    end = first_channel + channels
    if geometry.pairing == "dense":
        assert connection.kernel is not None
        return connection.kernel[:, :, first_channel:end].transpose(3, 2, 0, 1)
    taps = (geometry.rows.taps, geometry.columns.taps)
    kernel = np.zeros((geometry.filters, channels, *taps), np.float32)
    for channel, multiple in np.ndindex(channels, geometry.multiplier):
        input_channel = first_channel + channel
        part = input_channel // geometry.channels_read
        number = part * geometry.multiplier + multiple
        if connection.kernel is None:
            kernel[number, channel] = connection.scale[0, 0]
        else:
            kernel[number, channel] = connection.kernel[..., input_channel, multiple]
    return kernel


class _Block(NamedTuple):
    """The place of a source population in the input of a layer."""

    first_row: int
    first_column: int
    first_channel: int


def _source_block(connection: Connection) -> Optional[_Block]:
    """Return the block that the source is in the layer's input; None if it is none."""
    source = connection.source
    ids = connection.ids
    has_images = len(source.shape) == len(connection.target.shape) == 3
    if not has_images or connection.parallel:
        return None
    places = np.argwhere(ids == source.first)
    if len(places) != 1:
        return None
    corner = places[0].tolist()
    ends = [begin + size for begin, size in zip(corner, source.shape)]
    block = tuple(map(slice, corner, ends))
    source_ids = source.first + np.arange(source.size).reshape(source.shape)
    if not np.array_equal(ids[block], source_ids):
        return None
    if np.count_nonzero(ids >= 0) != source.size:
        return None
    return _Block(*corner)


class _Fit(NamedTuple):
    """How a kernel of NIR has the taps of a layer along an axis."""

    zero_taps: int  # number of taps of weight 0 before those of the layer
    padding: int  # on either side of the source


def _fits(
    connection: Connection,
    block: _Block,
    strides: Tuple[int, int],
    dilation: Tuple[int, int],
    taps: Tuple[int, int],
) -> Tuple[Optional[_Fit], Optional[_Fit]]:
    """Fit a kernel to rows and columns, see `_fit`; pairs are of rows and columns."""
    geometry = connection.geometry
    height, width = connection.source.shape[:2]
    return (
        _fit(geometry.rows, height, block.first_row, strides[0], dilation[0], taps[0]),
        _fit(
            geometry.columns,
            width,
            block.first_column,
            strides[1],
            dilation[1],
            taps[1],
        ),
    )


def _fit(
    axis: Axis,
    length: int,
    first_index: int,
    stride: int,
    dilation: int,
    taps: int,
) -> Optional[_Fit]:
    """Fit a kernel of `taps` taps, those of the axis and zeros, to a source.

    The source has `length` neurons along the axis, the first of them at `first_index`
    of the layer's input. Return None if no number of zeros and no padding fits.
    """
    if not axis.input.size:
        return None
    offset = axis.output * stride + axis.tap * dilation - axis.input
    if np.ptp(offset):
        return None
    # Rows of nothing before the source that the first window covers
    rows_before = int(offset[0]) + first_index
    for zero_taps in range(taps - axis.taps + 1):
        padding = rows_before + zero_taps * dilation
        reach = length + 2 * padding - dilation * (taps - 1) - 1
        if padding >= 0 and reach >= 0 and reach // stride + 1 == axis.outputs:
            return _Fit(zero_taps, padding)
    return None
