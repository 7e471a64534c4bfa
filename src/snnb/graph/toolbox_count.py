"""The number of synapses that snntoolbox 0.5 reports for the same network, which is not the number it has."""

from typing import Sequence, Tuple

import numpy as np

from snnb.graph.connection import Connection
from snnb.graph.projection import GraphProjection
from snnb.network.layers import Conv1D, Convolution2D, Dense, DepthwiseConv2D


def toolbox_synapses(projections: Sequence[GraphProjection]) -> int:
    """Count synapses as snntoolbox 0.5 does (`parsing.utils.get_fanout`, summed in `AbstractSNN.set_connectivity`).

    It takes neurons × fan-out, where fan-out is the number of units of a dense layer, 1 towards a pooling, and kernel
    size × filters towards a convolution of stride 1, for border neurons too. Towards a convolution with a stride it
    counts positions, some of them outside the layer. (There it multiplies by the batch size where the number of filters
    is meant; this function takes the filters.)
    """
    return sum(_fan_out(connection) for projection in projections for connection in projection.connections)


def _fan_out(connection: Connection) -> int:
    geometry, layer, neurons = connection.geometry, connection.layer, connection.source.size
    if isinstance(layer, Dense):
        return neurons * geometry.filters
    if not isinstance(layer, (Conv1D, Convolution2D)):
        return neurons
    filters = 1 if isinstance(layer, DepthwiseConv2D) else geometry.filters
    strides, kernel = _pair(layer.strides), _pair(layer.kernel_size)
    if strides == (1, 1) or len(connection.source.shape) != 3:
        return neurons * kernel[0] * kernel[1] * filters
    height, width, channels = connection.source.shape
    same = layer.padding == "same"
    # The toolbox unpacks kernel_size as width, height, though it is height, width.
    rows = _positions(height, geometry.rows.outputs, kernel[1], strides[0], same)
    columns = _positions(width, geometry.columns.outputs, kernel[0], strides[1], same)
    return rows * columns * channels * filters


def _positions(size: int, outputs: int, kernel: int, stride: int, same: bool) -> int:
    """Sum, over the positions of an axis, the windows that the toolbox believes to hold it."""
    shifted = np.arange(size) + ((kernel - 1) // 2 if same else 0)
    last, within = np.divmod(shifted, stride)
    count = size  # the last window is counted without a look at where the layer ends
    for back in range(1, kernel):
        count += int(np.sum((within + back * stride < kernel) & (last - back >= 0) & (last - back < outputs)))
    return count


def _pair(lengths: Tuple[int, ...]) -> Tuple[int, int]:
    first, second = lengths if len(lengths) == 2 else (1, *lengths)
    return first, second
