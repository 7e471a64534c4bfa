"""Linear nodes of NIR networks, and their composition to the weights between two populations.

A linear map has one of three forms, from a volume of shape (channels, height, width) to another: `Elementwise`, a
`Window` that slides over images, or a `Matrix`. Vectors are volumes (units, 1, 1). Elements of a volume are ordered as
in NIR, channels first.
"""

import math
from dataclasses import dataclass, replace
from typing import List, Optional, Sequence, Tuple, Union

import numpy as np

from snnb.core.machine import require_memory
from snnb.model_files.nir_file import IDENTITY, Node, times
from snnb.network.geometry import Shape

LARGEST_MATRIX = 1 << 24  # weights of a composition without a convolutional form
Pair = Tuple[int, int]
Channels = Tuple[int, int, int]  # a volume of numbers: (channels, height, width)


@dataclass(frozen=True, eq=False)
class Elementwise:
    """Each element of the output is an element of the input times a factor; volumes differ in shape only."""

    factor: Optional[np.ndarray] = None  # float64, of the output's shape; None: 1


@dataclass(frozen=True, eq=False)
class Window:
    """A convolution with zeros around its input, or a pooling."""

    # float64 (row taps, column taps, channels, filters), or, if `diagonal`, (row taps, column taps, channels, filters a
    # channel): each channel then has its own filters
    kernel: np.ndarray
    diagonal: bool
    strides: Pair
    dilations: Pair
    before: Pair  # zeros before the first row and column
    used: Pair  # rows and columns of the input that are read: others are cropped
    outputs: Pair

    @property
    def reach(self) -> Pair:
        """Rows and columns from the first to the last tap."""
        return _pair([d * (taps - 1) + 1 for d, taps in zip(self.dilations, self.kernel.shape)])

    @property
    def after(self) -> Pair:
        """Zeros after the last used row and column; 0 where windows end before it."""
        ends = zip(self.outputs, self.strides, self.reach, self.before, self.used)
        return _pair([max(0, (n - 1) * stride + reach - before - used) for n, stride, reach, before, used in ends])

    @property
    def filters(self) -> int:
        """Number of channels of the output."""
        return self.kernel.shape[3] * (self.kernel.shape[2] if self.diagonal else 1)


@dataclass(frozen=True, eq=False)
class Matrix:
    """A matrix of float64 weights, shape (inputs, outputs)."""

    weights: np.ndarray


Linear = Union[Elementwise, Window, Matrix]


def volume_of(shape: Shape) -> Channels:
    """Return the volume of a NIR shape: (units,), (channels, steps), or (channels, height, width)."""
    channels, *rest = shape or (1,)
    height, width = {0: (1, 1), 1: (1, *rest), 2: tuple(rest)}[len(rest)]
    return channels, height, width


def linear_of(node: Node, shape: Shape) -> Tuple[Linear, Shape, Optional[np.ndarray]]:
    """Return a linear node as a map, the NIR shape of its output, and its bias (float64, of that shape).

    `shape` is the NIR shape of its input.
    """
    if node.kind in (IDENTITY, "Delay", "Output"):
        return Elementwise(), shape, None
    if node.kind == "Scale":
        return Elementwise(node.of_shape("scale", shape).reshape(volume_of(shape))), shape, None
    if node.kind == "Flatten":  # its axes do not count the batch axis
        (first,), (last,) = node.whole("start_dim", 1), node.whole("end_dim", 1)
        first, last = (axis + len(shape) if axis < 0 else axis for axis in (first, last))
        if not 0 <= first <= last < len(shape):
            raise node.refuse(f"flattens the axes {first} to {last} of an input {times(shape)}")
        return Elementwise(), (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]), None
    if node.kind in ("Affine", "Linear"):
        weight = _weights_of(node)
        if weight.ndim != 2 or weight.shape[1] != math.prod(shape):
            raise node.refuse(f"has weights of shape {times(weight.shape)}, but its input is {times(shape)}")
        outputs = weight.shape[:1]
        return Matrix(weight.T), outputs, node.of_shape("bias", outputs) if "bias" in node.parameters else None
    return _window(node, shape)


def _weights_of(node: Node) -> np.ndarray:
    """Return the weights of a node as float64."""
    weight = node.parameters["weight"]
    node.budget.draw(weight.size, f"weights of {node.title}", 8)
    return weight.astype(np.float64)


def _window(node: Node, shape: Shape) -> Tuple[Linear, Shape, Optional[np.ndarray]]:
    """Return a convolution or pooling. A `Conv1d` has one row."""
    axes = 1 if node.kind == "Conv1d" else 2
    if len(shape) != axes + 1:
        raise node.refuse(f"needs an input of {axes + 1} axes, but its input is {times(shape)}")
    channels, *sizes = shape
    row = (1,) * (2 - axes)
    dilations, bias = (1, 1), None
    if node.kind.startswith("Conv"):
        weight, (groups,) = _weights_of(node), node.whole("groups", 1)
        if weight.ndim != axes + 2 or weight.shape[1] * groups != channels or weight.shape[0] % max(groups, 1):
            raise node.refuse(
                f"has weights of shape {times(weight.shape)} in {groups} groups, but its input is {times(shape)}"
            )
        dilations = _pair((*row, *node.whole("dilation", axes)))
        kernel, diagonal = _of_groups(weight.reshape(*weight.shape[:2], *row, *weight.shape[2:]), groups, node)
        bias = node.of_shape("bias", weight.shape[:1]) if "bias" in node.parameters else None
    else:
        taps, diagonal = node.whole("kernel_size", axes), True
        if min(taps) < 1:
            raise node.refuse(f"has a kernel of {times(taps)}")
        if math.prod((channels, *taps)) > LARGEST_MATRIX:
            raise node.refuse(f"has a kernel of {times((channels, *taps))} weights, more than {LARGEST_MATRIX:,}")
        node.budget.draw(math.prod((channels, *taps)), f"weights of {node.title}", 8)
        kernel = np.full((*taps, channels, 1), 1 / math.prod(taps) if node.kind == "AvgPool2d" else 1.0)
    strides, used = _pair((*row, *node.whole("stride", axes))), _pair((*row, *sizes))
    if min((*strides, *dilations)) < 1:
        raise node.refuse(f"has strides {strides} and dilations {dilations}: they must be at least 1")
    overlaps = [d * (taps - 1) for d, taps in zip(dilations, kernel.shape)]  # of windows, at a stride of 1
    pads = _pads(node, overlaps, axes)
    outputs = _pair(
        [
            (size + sum(pad) - overlap - 1) // stride + 1
            for size, pad, overlap, stride in zip(used, pads, overlaps, strides)
        ]
    )
    if min(outputs) < 1:
        raise node.refuse(f"has no output: its kernel does not fit into its input of {times(shape)}")
    window = Window(kernel, diagonal, strides, dilations, _pair([first for first, _ in pads]), used, outputs)
    result = (window.filters, *outputs[-axes:])
    require_memory(8 * math.prod(result), f"{node.budget.path}: the {math.prod(result):,} outputs of {node.title}")
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1, *([1] * axes)), result)
    return window, result, bias


def _of_groups(weight: np.ndarray, groups: int, node: Node) -> Tuple[np.ndarray, bool]:
    """Return weights (filters, channels of a group, rows, columns) as the kernel of a `Window`, and if it is diagonal.

    The kernel of several groups with several channels has zeros between groups.
    """
    filters, channels, rows, columns = weight.shape
    if channels == 1:
        return weight.reshape(groups, filters // groups, rows, columns).transpose(2, 3, 0, 1), True
    node.budget.draw(groups * weight.size, f"weights of the groups of {node.title}", 8)
    kernel = np.zeros((rows, columns, groups, channels, groups, filters // groups))
    each = np.arange(groups)
    kernel[:, :, each, :, each] = weight.reshape(groups, filters // groups, channels, rows, columns).transpose(
        0, 3, 4, 2, 1
    )
    return kernel.reshape(rows, columns, groups * channels, filters), False


def _pads(node: Node, overlaps: List[int], axes: int) -> List[Pair]:
    """Return the zeros before and after rows and columns; the node has padding for the last `axes` of them.

    `same` adds as many zeros as the windows overlap, an odd one at the end, as PyTorch does.
    """
    padding = node.parameters["padding"]
    if padding.dtype.kind != "U":
        values = node.whole("padding", axes)
        if min(values) < 0:
            raise node.refuse(f"has padding {values}: it must not be negative")
        return [(0, 0)] * (2 - axes) + [(value, value) for value in values]
    if str(padding) not in ("same", "valid"):
        raise node.refuse(f"has padding {str(padding)!r}: it must be numbers, 'same' or 'valid'")
    return [(n // 2, n - n // 2) if str(padding) == "same" else (0, 0) for n in overlaps]


def compose(first: Linear, second: Linear, source: Channels, middle: Channels, target: Channels, node: Node) -> Linear:
    """Compose a map from `source` to `middle` with one from `middle` to `target`, the one of `node`."""
    if isinstance(second, Elementwise) and second.factor is None and (middle == target or isinstance(first, Matrix)):
        return first
    if isinstance(first, Elementwise) and isinstance(second, Elementwise):
        if first.factor is None:
            return second
        return Elementwise(first.factor.reshape(target) * (1 if second.factor is None else second.factor))
    composed: Optional[Linear] = None
    if isinstance(first, Window) and isinstance(second, Window):
        composed = _window_of_windows(first, second, node)
    elif isinstance(first, Elementwise) and isinstance(second, Window) and source == middle:
        factor = channel_values(first.factor)
        node.budget.draw(second.kernel.size, f"weights of {node.title}", 8)
        composed = None if factor is None else replace(second, kernel=second.kernel * factor.reshape(-1, 1))
    elif isinstance(first, Window) and not first.kernel.any() and isinstance(second, Elementwise):
        composed = first
    elif isinstance(first, Window) and isinstance(second, Elementwise) and middle == target:
        factor = channel_values(second.factor)
        if factor is not None:
            node.budget.draw(first.kernel.size, f"weights of {node.title}", 8)
            per_filter = factor.reshape(first.kernel.shape[2:] if first.diagonal else (-1,))
            composed = replace(first, kernel=first.kernel * per_filter)
    if composed is not None:
        return composed
    _require_matrix(source, target, node)
    if isinstance(first, Elementwise) and isinstance(second, Matrix):
        factor = np.ones(1) if first.factor is None else first.factor.reshape(-1, 1)
        return Matrix(factor * second.weights)
    weights = matrix_of(first, source, middle, node).reshape(-1, *middle)
    return Matrix(apply(second, weights, target).reshape(len(weights), -1))


def _require_matrix(source: Channels, target: Channels, node: Node) -> None:
    """Draw the bytes of a matrix between two volumes; raise `NotReadError` if it has too many weights."""
    weights = math.prod(source) * math.prod(target)
    if weights > LARGEST_MATRIX:
        raise node.refuse(
            f"and the linear nodes before it are not a convolution but a matrix of {weights:,} weights, more than "
            f"{LARGEST_MATRIX:,}: put neurons between them"
        )
    node.budget.draw(weights, f"weights of a matrix of {node.title}", 8)


def channel_values(values: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """Return the value of each channel if it is the same at all positions, else None; 1 for None."""
    if values is None:
        return np.ones(1)
    first = values.reshape(len(values), -1)[:, :1]
    return first.ravel() if (values.reshape(len(values), -1) == first).all() else None


def matrix_of(linear: Linear, source: Channels, target: Channels, node: Node) -> np.ndarray:
    """Return the weights of a map, float64 of shape (inputs, outputs)."""
    if isinstance(linear, Matrix):
        return linear.weights
    _require_matrix(source, target, node)
    rows = np.eye(math.prod(source)).reshape(-1, *source)
    return apply(linear, rows, target).reshape(len(rows), -1)


def apply(linear: Linear, x: np.ndarray, target: Channels) -> np.ndarray:
    """Return the output of a map, shape (rows, *target), for inputs of shape (rows, *source)."""
    if isinstance(linear, Matrix):
        return (x.reshape(len(x), -1) @ linear.weights).reshape(len(x), *target)
    if isinstance(linear, Elementwise):
        x = x.reshape(len(x), *target)
        return x if linear.factor is None else x * linear.factor
    rows, columns = linear.used
    pads = [(0, 0), (0, 0), *zip(linear.before, linear.after)]
    x = np.pad(x[:, :, :rows, :columns], pads)
    sums = np.zeros((len(x), *target))
    for i, j in np.ndindex(linear.kernel.shape[:2]):
        (row, column), (height, width) = (i * linear.dilations[0], j * linear.dilations[1]), linear.outputs
        (down, right), kernel = linear.strides, linear.kernel[i, j]
        part = x[:, :, row : row + down * (height - 1) + 1 : down, column : column + right * (width - 1) + 1 : right]
        if linear.diagonal:
            sums += (part[:, :, None] * kernel[:, :, None, None]).reshape(sums.shape)
        else:
            sums += np.einsum("nkhw,kf->nfhw", part, kernel, optimize=True)
    return sums


def _window_of_windows(first: Window, second: Window, node: Node) -> Optional[Window]:
    """Return a window of windows as one window with a larger kernel; None if it is not one.

    Where the second has zeros around its input, the first must read nothing: rows after the last one that it needs are
    cropped, as a pooling of an odd size drops them.
    """
    used, taps, dilations = [], [], []
    for axis in (0, 1):
        stride, before, outputs = first.strides[axis], first.before[axis], first.outputs[axis]
        last = second.strides[axis] * (second.outputs[axis] - 1) - second.before[axis] + second.reach[axis] - 1
        needed = min(first.used[axis], (outputs - 1) * stride - before + first.reach[axis])
        if second.before[axis] and first.reach[axis] - 1 - stride - before >= 0:
            return None
        if last >= outputs:
            if outputs * stride - before < needed:
                return None
            used.append(needed)
        else:
            used.append(first.used[axis])
        inner, outer = (np.arange(w.kernel.shape[axis]) * w.dilations[axis] for w in (first, second))
        offsets = outer[:, None] * stride + inner
        dilations.append(int(np.gcd.reduce(offsets.ravel())) or 1)
        taps.append(offsets // dilations[axis])
    rule = {
        (True, True): "ijka,kab->ijkab",
        (True, False): "ijka,kaf->ijkf",
        (False, True): "ijkf,fb->ijkfb",
        (False, False): "ijkc,cf->ijkf",
    }[first.diagonal, second.diagonal]
    channels, diagonal = first.kernel.shape[2], first.diagonal and second.diagonal
    per_channel = first.kernel.shape[3] * second.kernel.shape[3] if diagonal else second.filters
    size = (int(taps[0].max()) + 1, int(taps[1].max()) + 1, channels, per_channel)
    node.budget.draw(math.prod(size), f"weights of {node.title} composed with those before it", 8)
    kernel = np.zeros(size)
    for i, j in np.ndindex(second.kernel.shape[:2]):
        of_tap = second.kernel[i, j]
        if first.diagonal:
            of_tap = of_tap.reshape(channels, -1, of_tap.shape[-1])
        part = np.einsum(rule, first.kernel, of_tap, optimize=True)
        kernel[np.ix_(taps[0][i], taps[1][j])] += part.reshape(*part.shape[:3], -1)
    return Window(
        kernel,
        diagonal,
        strides=_pair([a * b for a, b in zip(first.strides, second.strides)]),
        dilations=_pair(dilations),
        before=_pair([first.before[axis] + second.before[axis] * first.strides[axis] for axis in (0, 1)]),
        used=_pair(used),
        outputs=second.outputs,
    )


def _pair(values: Sequence[int]) -> Pair:
    first, second = values
    return first, second
