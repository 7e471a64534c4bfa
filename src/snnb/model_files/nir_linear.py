"""Linear nodes of NIR networks, and their composition to the weights between neurons.

A linear map has one of three forms: a factor of each element, a window that slides over
images, or a matrix. It leads from a volume of shape (channels, height, width) to
another; vectors are volumes (units, 1, 1). Elements of a volume are ordered as in NIR,
channels first.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Callable, List, Mapping, NamedTuple, Optional, Sequence, Type

import numpy as np

from snnb.core.machine import require_memory
from snnb.model_files.channels_first import ChannelsFirst, volume_of
from snnb.model_files.nir_file import IDENTITY, NirNode, describe_shape
from snnb.network.geometry import Shape, weights_by_channel
from snnb.network.window_kernels import (
    Pair,
    WindowKernel,
    compose_kernels,
    composed_shape,
    fill_between_parts,
    is_exact_at_borders,
)

LARGEST_MATRIX = 1 << 24  # weights of a composition without a convolutional form
WEIGHT_BYTES = 8  # of a weight in memory


@dataclass(frozen=True, eq=False)
class LinearMap(ABC):
    """A linear map from a volume to another."""

    source: ChannelsFirst
    target: ChannelsFirst

    @abstractmethod
    def apply(self, inputs: np.ndarray) -> np.ndarray:
        """Return the outputs, float64 (rows, *target), of inputs (rows, *source)."""


@dataclass(frozen=True, eq=False)
class ElementwiseMap(LinearMap):
    """Each element of the output is an element of the input times a factor.

    Both volumes have the same elements in the same order; their shapes may differ.
    """

    factor: Optional[np.ndarray] = None  # float64, in the shape of the target; None: 1

    def apply(self, inputs: np.ndarray) -> np.ndarray:
        """See `LinearMap`."""
        inputs = inputs.reshape(len(inputs), *self.target)
        return inputs if self.factor is None else inputs * self.factor


@dataclass(frozen=True, eq=False)
class WindowMap(LinearMap):
    """A convolution with zeros around its input, or a pooling."""

    kernel: WindowKernel  # weights are float64
    used: Pair  # number of rows and columns of the input that are read; the rest is cut

    @property
    def after(self) -> Pair:
        """Zeros after the last used row and column; 0 where windows end before it."""
        row_end = self.kernel.read_end(0, self.target[1])
        column_end = self.kernel.read_end(1, self.target[2])
        return max(0, row_end - self.used[0]), max(0, column_end - self.used[1])

    def apply(self, inputs: np.ndarray) -> np.ndarray:
        """See `LinearMap`."""
        kernel = self.kernel
        _, height, width = self.target
        rows, columns = self.used
        pads = [(0, 0), (0, 0), *zip(kernel.before, self.after)]
        inputs = np.pad(inputs[:, :, :rows, :columns], pads)
        sums = np.zeros((len(inputs), *self.target))
        for row, column in np.ndindex(*kernel.size):
            tap_rows = _positions(kernel, 0, row, height)
            tap_columns = _positions(kernel, 1, column, width)
            part = inputs[:, :, tap_rows, tap_columns]
            weights = kernel.weights[row, column]
            if kernel.is_diagonal:
                factors = weights[:, :, np.newaxis, np.newaxis]
                products = part[:, :, np.newaxis] * factors
                sums += products.reshape(sums.shape)
            else:
                matrix = fill_between_parts(weights, kernel.groups)
                sums += np.einsum("nkhw,kf->nfhw", part, matrix, optimize=True)
        return sums


def _positions(kernel: WindowKernel, axis: int, tap: int, outputs: int) -> slice:
    """Return the positions of the padded input that a tap reads, for each output."""
    start = tap * kernel.dilations[axis]
    stride = kernel.strides[axis]
    return slice(start, start + stride * (outputs - 1) + 1, stride)


@dataclass(frozen=True, eq=False)
class MatrixMap(LinearMap):
    """A matrix of float64 weights, (inputs, outputs)."""

    weights: np.ndarray

    def apply(self, inputs: np.ndarray) -> np.ndarray:
        """See `LinearMap`."""
        rows = len(inputs)
        return (inputs.reshape(rows, -1) @ self.weights).reshape(rows, *self.target)


class LinearNode(NamedTuple):
    """A linear node as a map."""

    map: LinearMap
    shape: Shape  # NIR shape of its output
    bias: Optional[np.ndarray]  # float64, in this shape


def read_linear_node(node: NirNode, shape: Shape) -> LinearNode:
    """Return a node without neurons as a map; `shape` is the NIR shape of its input."""
    return _READERS[node.kind](node, shape)


def _read_identity(node: NirNode, shape: Shape) -> LinearNode:
    """Return a node that passes its input on; the paths add the delay of a `Delay`."""
    volume = volume_of(shape)
    return LinearNode(ElementwiseMap(volume, volume), shape, None)


def _read_scale(node: NirNode, shape: Shape) -> LinearNode:
    volume = volume_of(shape)
    factor = node.broadcast("scale", shape).reshape(volume)
    return LinearNode(ElementwiseMap(volume, volume, factor), shape, None)


def _read_flatten(node: NirNode, shape: Shape) -> LinearNode:
    """Return a `Flatten`, whose axes do not count the batch axis."""
    [start] = node.whole_numbers("start_dim", 1)
    [end] = node.whole_numbers("end_dim", 1)
    start_axis = start + len(shape) if start < 0 else start
    end_axis = end + len(shape) if end < 0 else end
    if not 0 <= start_axis <= end_axis < len(shape):
        raise node.refuse(
            f"flattens the axes {start_axis} to {end_axis} of an input "
            f"{describe_shape(shape)}"
        )
    length = math.prod(shape[start_axis : end_axis + 1])
    flat_shape = (*shape[:start_axis], length, *shape[end_axis + 1 :])
    flat_map = ElementwiseMap(volume_of(shape), volume_of(flat_shape))
    return LinearNode(flat_map, flat_shape, None)


def _read_matrix(node: NirNode, shape: Shape) -> LinearNode:
    """Return an `Affine` or a `Linear`."""
    weight = _read_weights(node)
    if weight.ndim != 2 or weight.shape[1] != math.prod(shape):
        raise node.refuse(
            f"has weights of shape {describe_shape(weight.shape)}, but its input is "
            f"{describe_shape(shape)}"
        )
    units = weight.shape[:1]
    bias = node.broadcast("bias", units) if "bias" in node.parameters else None
    matrix = MatrixMap(volume_of(shape), volume_of(units), weight.T)
    return LinearNode(matrix, units, bias)


def _read_weights(node: NirNode) -> np.ndarray:
    """Return the weights of a node as float64."""
    weight = node.parameters["weight"]
    node.budget.draw(weight.size, f"weights of {node.title}", WEIGHT_BYTES)
    return weight.astype(np.float64)


def _read_convolution(node: NirNode, shape: Shape) -> LinearNode:
    """Return a convolution; a `Conv1d` has one row."""
    axes = 1 if node.kind == "Conv1d" else 2
    _require_axes(node, shape, axes)
    weight = _read_weights(node)
    [groups] = node.whole_numbers("groups", 1)
    fits = weight.ndim == axes + 2 and weight.shape[1] * groups == shape[0]
    if not fits or weight.shape[0] % max(groups, 1):
        raise node.refuse(
            f"has weights of shape {describe_shape(weight.shape)} in {groups} groups, "
            f"but its input is {describe_shape(shape)}"
        )
    dilations = _for_both_axes(node.whole_numbers("dilation", axes))
    filters, channels, *taps = weight.shape
    weight = weight.reshape(filters, channels, *_for_both_axes(taps))
    is_diagonal = channels == 1
    if is_diagonal:
        weight = weight.reshape(groups, filters // groups, *weight.shape[2:])
        kernel = weight.transpose(2, 3, 0, 1)
    else:
        kernel = weights_by_channel(weight.transpose(2, 3, 1, 0), groups)
    bias = node.broadcast("bias", (filters,)) if "bias" in node.parameters else None
    sliding = WindowKernel(
        kernel,
        is_diagonal,
        dilations=dilations,
        groups=1 if is_diagonal else groups,
    )
    return _slide(node, shape, sliding, axes, bias)


def _read_pooling(node: NirNode, shape: Shape) -> LinearNode:
    """Return a pooling as a window of equal weights."""
    _require_axes(node, shape, 2)
    channels = shape[0]
    taps = node.whole_numbers("kernel_size", 2)
    if min(taps) < 1:
        raise node.refuse(f"has a kernel of {describe_shape(taps)}")
    count = math.prod((channels, *taps))
    if count > LARGEST_MATRIX:
        raise node.refuse(
            f"has a kernel of {describe_shape((channels, *taps))} weights, more than "
            f"{LARGEST_MATRIX:,}"
        )
    node.budget.draw(count, f"weights of {node.title}", WEIGHT_BYTES)
    weight = 1 / math.prod(taps) if node.kind == "AvgPool2d" else 1.0
    kernel = WindowKernel(np.full((*taps, channels, 1), weight), is_diagonal=True)
    return _slide(node, shape, kernel, 2, None)


def _require_axes(node: NirNode, shape: Shape, axes: int) -> None:
    """Raise `NotReadError` unless an input has channels and this number of axes."""
    if len(shape) != axes + 1:
        raise node.refuse(
            f"needs an input of {axes + 1} axes, but its input is "
            f"{describe_shape(shape)}"
        )


def _for_both_axes(numbers: Sequence[int]) -> Pair:
    """Return numbers of rows and columns; those of one axis have 1 for rows."""
    rows, columns = (1, *numbers) if len(numbers) == 1 else numbers
    return rows, columns


def _slide(
    node: NirNode,
    shape: Shape,
    kernel: WindowKernel,
    axes: int,
    bias: Optional[np.ndarray],
) -> LinearNode:
    """Return a kernel with the strides and the padding of a node.

    `axes` is the number of axes that the node has these for, the last ones; `bias` is
    float64 (filters,).
    """
    used = _for_both_axes(shape[1:])
    strides = _for_both_axes(node.whole_numbers("stride", axes))
    if min((*strides, *kernel.dilations)) < 1:
        raise node.refuse(
            f"has strides {strides} and dilations {kernel.dilations}: they must be at "
            "least 1"
        )
    row_pads, column_pads = _read_padding(node, kernel, axes)
    before = (row_pads[0], column_pads[0])
    kernel = replace(kernel, strides=strides, before=before)
    row_room = used[0] + sum(row_pads) - kernel.span(0)
    column_room = used[1] + sum(column_pads) - kernel.span(1)
    outputs = (row_room // strides[0] + 1, column_room // strides[1] + 1)
    if min(outputs) < 1:
        raise node.refuse(
            "has no output: its kernel does not fit into its input of "
            f"{describe_shape(shape)}"
        )
    output_shape = (kernel.filters, *outputs[-axes:])
    size = math.prod(output_shape)
    subject = f"{node.budget.path}: the {size:,} outputs of {node.title}"
    require_memory(8 * size, subject)
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1, *([1] * axes)), output_shape)
    target = (kernel.filters, *outputs)
    window = WindowMap(volume_of(shape), target, kernel, used)
    return LinearNode(window, output_shape, bias)


def _read_padding(node: NirNode, kernel: WindowKernel, axes: int) -> List[Pair]:
    """Return the zeros before and after the rows, and those of the columns.

    The node has padding for the last `axes` of them. `same` adds as many zeros as the
    windows overlap at a stride of 1, an odd one at the end, as PyTorch does.
    """
    padding = node.parameters["padding"]
    if padding.dtype.kind != "U":
        lengths = node.whole_numbers("padding", axes)
        if min(lengths) < 0:
            raise node.refuse(f"has padding {lengths}: it must not be negative")
        return [(0, 0)] * (2 - axes) + [(length, length) for length in lengths]
    name = str(padding)
    if name not in ("same", "valid"):
        raise node.refuse(
            f"has padding {name!r}: it must be numbers, 'same' or 'valid'"
        )
    if name == "valid":
        return [(0, 0), (0, 0)]
    overlaps = [kernel.span(0) - 1, kernel.span(1) - 1]
    return [(overlap // 2, overlap - overlap // 2) for overlap in overlaps]


_READERS: Mapping[str, Callable[[NirNode, Shape], LinearNode]] = {
    IDENTITY: _read_identity,
    "Delay": _read_identity,
    "Output": _read_identity,
    "Scale": _read_scale,
    "Flatten": _read_flatten,
    "Affine": _read_matrix,
    "Linear": _read_matrix,
    "Conv1d": _read_convolution,
    "Conv2d": _read_convolution,
    "SumPool2d": _read_pooling,
    "AvgPool2d": _read_pooling,
}


def compose(first_map: LinearMap, second_map: LinearMap, node: NirNode) -> LinearMap:
    """Return the map that equals two in sequence; the second is that of `node`.

    It is a matrix if it has no other form. Raise `NotReadError` if this matrix would be
    too large.
    """
    if isinstance(second_map, ElementwiseMap) and second_map.factor is None:
        if isinstance(first_map, MatrixMap):
            return replace(first_map, target=second_map.target)
        if second_map.source == second_map.target:
            return first_map
    if type(second_map) in _COMPOSERS.get(type(first_map), {}):
        composer = _COMPOSERS[type(first_map)][type(second_map)]
        composition = composer(first_map, second_map, node)
        if composition is not None:
            return composition
    _require_matrix(first_map.source, second_map.target, node)
    if isinstance(first_map, ElementwiseMap) and isinstance(second_map, MatrixMap):
        factor = np.ones(1)
        if first_map.factor is not None:
            factor = first_map.factor.reshape(-1, 1)
        weights = factor * second_map.weights
    else:
        rows = to_matrix(first_map, node)
        outputs = second_map.apply(rows.reshape(-1, *second_map.source))
        weights = outputs.reshape(len(rows), -1)
    return MatrixMap(first_map.source, second_map.target, weights)


def _multiply_factors(
    first_map: ElementwiseMap,
    second_map: ElementwiseMap,
    node: NirNode,
) -> ElementwiseMap:
    if first_map.factor is None:
        return replace(second_map, source=first_map.source)
    factor = first_map.factor.reshape(second_map.target)
    if second_map.factor is not None:
        factor = factor * second_map.factor
    return ElementwiseMap(first_map.source, second_map.target, factor)


def _scale_channels(
    first_map: ElementwiseMap,
    second_map: WindowMap,
    node: NirNode,
) -> Optional[WindowMap]:
    """Multiply the weights of a window by the factors of the channels that it reads."""
    if first_map.source != second_map.source:
        return None
    factor = channel_values(first_map.factor)
    kernel = second_map.kernel
    node.budget.draw(kernel.weights.size, f"weights of {node.title}", WEIGHT_BYTES)
    if factor is None:
        return None
    weights = kernel.weights * factor.reshape(-1, 1)
    return replace(second_map, kernel=replace(kernel, weights=weights))


def _scale_filters(
    first_map: WindowMap,
    second_map: ElementwiseMap,
    node: NirNode,
) -> Optional[WindowMap]:
    """Multiply the weights of a window by the factors of its filters.

    Weights of zero remain as they are, also if the second map changes the shape.
    """
    kernel = first_map.kernel
    if not kernel.weights.any():
        return first_map
    if second_map.source != second_map.target:
        return None
    factor = channel_values(second_map.factor)
    if factor is None:
        return None
    node.budget.draw(kernel.weights.size, f"weights of {node.title}", WEIGHT_BYTES)
    part_factors = factor.reshape(kernel.parts, -1)
    channels_read = kernel.weights.shape[2] // kernel.parts
    weights = kernel.weights * np.repeat(part_factors, channels_read, axis=0)
    return replace(first_map, kernel=replace(kernel, weights=weights))


def _compose_windows(
    first_map: WindowMap,
    second_map: WindowMap,
    node: NirNode,
) -> Optional[WindowMap]:
    """Return a window of windows as one window; None if it would differ at the border.

    Rows and columns after the last one that the first window needs are cut where the
    second reads zeros after its input, as a pooling of an odd size drops them.
    """
    used = []
    for axis in (0, 1):
        outputs = first_map.target[1 + axis]
        source_length = min(
            first_map.used[axis],
            first_map.kernel.read_end(axis, outputs),
        )
        target_length = second_map.target[1 + axis]
        is_exact = is_exact_at_borders(
            first_map.kernel,
            second_map.kernel,
            axis,
            source_length=source_length,
            middle_length=outputs,
            target_length=target_length,
        )
        if not is_exact:
            return None
        pads_after = second_map.kernel.read_end(axis, target_length) > outputs
        used.append(source_length if pads_after else first_map.used[axis])
    count = math.prod(composed_shape(first_map.kernel, second_map.kernel))
    subject = f"weights of {node.title} composed with those before it"
    node.budget.draw(count, subject, WEIGHT_BYTES)
    kernel = compose_kernels(first_map.kernel, second_map.kernel)
    return WindowMap(first_map.source, second_map.target, kernel, (used[0], used[1]))


# Functions that compose two maps without a matrix, by the types of the first and of
# the second. They return None where the composition has no such form.
_COMPOSERS: Mapping[
    Type[LinearMap],
    Mapping[Type[LinearMap], Callable[..., Optional[LinearMap]]],
] = {
    ElementwiseMap: {ElementwiseMap: _multiply_factors, WindowMap: _scale_channels},
    WindowMap: {ElementwiseMap: _scale_filters, WindowMap: _compose_windows},
}


def _require_matrix(
    source: ChannelsFirst,
    target: ChannelsFirst,
    node: NirNode,
) -> None:
    """Draw the bytes of a matrix between two volumes.

    Raise `NotReadError` if it has too many weights.
    """
    count = math.prod(source) * math.prod(target)
    if count > LARGEST_MATRIX:
        raise node.refuse(
            "and the linear nodes before it are not a convolution but a matrix of "
            f"{count:,} weights, more than {LARGEST_MATRIX:,}: put neurons between them"
        )
    node.budget.draw(count, f"weights of a matrix of {node.title}", WEIGHT_BYTES)


def channel_values(values: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """Return the value of each channel if it is the same at all positions, else None.

    Without values, which stands for factors of 1, it is one 1 for all channels.
    """
    if values is None:
        return np.ones(1)
    rows = values.reshape(len(values), -1)
    channels = rows[:, :1]
    return channels.ravel() if (rows == channels).all() else None


def to_matrix(linear_map: LinearMap, node: NirNode) -> np.ndarray:
    """Return the weights of a map, float64 (inputs, outputs)."""
    if isinstance(linear_map, MatrixMap):
        return linear_map.weights
    _require_matrix(linear_map.source, linear_map.target, node)
    rows = np.eye(math.prod(linear_map.source)).reshape(-1, *linear_map.source)
    return linear_map.apply(rows).reshape(len(rows), -1)
