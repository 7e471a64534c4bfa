"""The number of synapses that snntoolbox 0.5 reports for the same network, which is not the number it has."""

from typing import TYPE_CHECKING, Any, Tuple

import numpy as np

if TYPE_CHECKING:
    from snnb.synapses.graph import SynapseGraph
    from snnb.synapses.projection import Projection


def toolbox_synapses(graph: "SynapseGraph") -> int:
    """Count synapses as snntoolbox 0.5 does (`parsing.utils.get_fanout`, summed in `AbstractSNN.set_connectivity`).

    It takes neurons × fan-out, where fan-out is the number of units of a dense layer, 1 towards a pooling, and kernel
    size × filters towards a convolution of stride 1, for border neurons too. Towards a convolution with a stride it
    counts positions, some of them outside the layer. (There it multiplies by the batch size where the number of filters
    is meant; this function takes the filters.)
    """
    return sum(_fan_out(projection) for projection in graph.projections)


def _fan_out(projection: "Projection") -> int:
    connection, neurons = projection.connection, projection.source.size
    if connection.rule == "Dense":
        return neurons * connection.filters
    if connection.weighting != "kernel":
        return neurons
    filters = 1 if connection.rule == "DepthwiseConv2D" else connection.filters
    strides, kernel = _pair(connection.geometry["strides"]), _pair(connection.geometry["kernel_size"])
    if strides == (1, 1) or len(projection.source.shape) != 3:
        return neurons * kernel[0] * kernel[1] * filters
    height, width, channels = projection.source.shape
    same = connection.geometry["padding"] == "same"
    # The toolbox unpacks kernel_size as width, height, though it is height, width.
    rows = _positions(height, connection.rows.outputs, kernel[1], strides[0], same)
    columns = _positions(width, connection.columns.outputs, kernel[0], strides[1], same)
    return rows * columns * channels * filters


def _positions(size: int, outputs: int, kernel: int, stride: int, same: bool) -> int:
    """Sum, over the positions of an axis, the windows that the toolbox believes to hold it."""
    shifted = np.arange(size) + ((kernel - 1) // 2 if same else 0)
    last, within = np.divmod(shifted, stride)
    count = size  # the last window is counted without a look at where the layer ends
    for back in range(1, kernel):
        count += int(np.sum((within + back * stride < kernel) & (last - back >= 0) & (last - back < outputs)))
    return count


def _pair(value: Any) -> Tuple[int, int]:
    first, second = value if len(value) == 2 else (1, *value)
    return first, second
