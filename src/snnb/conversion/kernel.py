"""Kernels: the linear operation of a layer without its bias, and the composition of two in sequence.

Two kernels are composed if the result is exact at every position, borders included.
"""

from dataclasses import dataclass, replace
from typing import List, Tuple

import numpy as np

from snnb.network.geometry import Shape

IDENTITY = "identity"
Pair = Tuple[int, int]


class NotComposableError(Exception):
    """Two layers in sequence have no exact common kernel; the message is the reason."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """A linear operation without its bias."""

    kind: str  # a Keras class, or `identity`, which multiplies each channel by a number
    weights: np.ndarray  # float32, in Keras's shape; of `identity`, `(channels,)`
    position: int  # index of its layer in the trained model, for the order and the names of the parsed layers
    strides: Pair = (1, 1)
    dilation: Pair = (1, 1)
    before: Pair = (0, 0)  # rows of zeros above its input, and columns left of it; the sizes give the others
    padding: str = "valid"

    @property
    def size(self) -> Pair:
        """Height and width."""
        return (int(self.weights.shape[0]), int(self.weights.shape[1])) if self.weights.ndim == 4 else (1, 1)

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        shape = self.weights.shape
        return int(shape[-1] * shape[-2]) if self.kind == "DepthwiseConv2D" else int(shape[-1])

    def reach(self, axis: int, outputs: int) -> Pair:
        """Return the first and the last position that the first `outputs` outputs read along an axis, padding too."""
        first = -self.before[axis]
        return first, first + (outputs - 1) * self.strides[axis] + (self.size[axis] - 1) * self.dilation[axis]

    def zeros_around(self, read: Shape, written: Shape) -> List[Pair]:
        """Return the zeros before and after rows and columns of an input of a shape, for an output of a shape."""
        reaches = [self.reach(axis, written[axis]) for axis in (0, 1)]
        return [(-first, max(last + 1 - length, 0)) for (first, last), length in zip(reaches, read)]

    def pads(self, read: Shape, written: Shape) -> bool:
        """Return whether it reads zeros around an input of the shape `read`, for an output of the shape `written`."""
        return len(written) == 3 and any(map(any, self.zeros_around(read, written)))

    def scaled(self, scale: np.ndarray) -> "Kernel":
        """Multiply the output channels by factors of shape `(channels,)`."""
        if self.kind == "DepthwiseConv2D":
            scale = scale.reshape(self.weights.shape[-2:])
        return replace(self, weights=(self.weights * scale).astype(np.float32))

    def of_constant(self, values: np.ndarray) -> np.ndarray:
        """Apply it to an image of equal pixels: float64 `(channels,)` to float64 `(filters,)`."""
        weights = self.weights.astype(np.float64)
        if self.kind == IDENTITY:
            return np.asarray(weights * values)
        if self.kind == "Dense":
            return np.asarray(values @ weights)
        summed = weights.sum(axis=(0, 1))
        depthwise = self.kind == "DepthwiseConv2D"
        return np.asarray((summed * values[:, np.newaxis]).ravel() if depthwise else values @ summed)

    def of_image(self, values: np.ndarray, written: Shape) -> np.ndarray:
        """Apply a convolution with its padding to an image: float64 `(rows, columns, channels)` to shape `written`."""
        if self.kind == IDENTITY:
            return np.asarray(self.weights * values)
        values = np.pad(values, [*self.zeros_around(values.shape, written), (0, 0)])
        result, (rows, columns) = np.zeros(written), written[:2]
        for tap in np.ndindex(*self.size):
            first = [index * step for index, step in zip(tap, self.dilation)]
            read = values[first[0] :: self.strides[0], first[1] :: self.strides[1]][:rows, :columns]
            weights = self.weights[tap].astype(np.float64)
            if self.kind == "DepthwiseConv2D":
                result += (read[..., np.newaxis] * weights).reshape(written)
            else:
                result += read @ weights
        return result


def composed(first: Kernel, second: Kernel, read: Shape, between: Shape, written: Shape) -> Kernel:
    """Return the kernel that is equal to two in sequence.

    `read`, `between` and `written` are the shapes of the input of the first, of its output, and of the output of the
    second. Raise `NotComposableError` if no supported kind of kernel is equal to them, or not at the borders.
    """
    if second.kind == IDENTITY:
        return replace(first.scaled(second.weights), position=second.position)
    if first.kind == IDENTITY:
        # The axis before the last one is the axis of the input's channels, for all three kinds.
        return replace(second, weights=(second.weights * first.weights[:, np.newaxis]).astype(np.float32))
    if second.kind == "Dense" and first.kind == "Dense":
        weights = first.weights.astype(np.float64) @ second.weights.astype(np.float64)
        return replace(second, weights=weights.astype(np.float32))
    if "Dense" in (first.kind, second.kind):
        raise NotComposableError("is a Dense layer after a convolution without activation: insert a relu between them")
    for axis in (0, 1):
        begin, end = second.reach(axis, written[axis])
        length, stride, offset = between[axis], first.strides[axis], first.before[axis]
        _, last = first.reach(axis, 0)  # of the output before the first
        # Where the second sees zeros around its input, the first must see nothing but zeros too.
        if (begin < 0 and last >= 0) or (end >= length and length * stride - offset < read[axis]):
            raise NotComposableError(
                "pads the output of a layer without activation with zeros: insert a relu between them, or use "
                "padding valid"
            )
    (rows, row_step), (columns, column_step) = (_places(first, second, axis) for axis in (0, 1))
    dilation, weights = (row_step, column_step), np.zeros(0)
    for row, column in np.ndindex(*second.size):
        part = _before_pointwise(first, second.kind, second.weights[row, column])
        if not weights.size:
            weights = np.zeros((rows.max() + 1, columns.max() + 1, *part.shape[2:]))
        weights[np.ix_(rows[:, row], columns[:, column])] += part
    kind = "DepthwiseConv2D" if first.kind == second.kind == "DepthwiseConv2D" else "Conv2D"
    strides = (first.strides[0] * second.strides[0], first.strides[1] * second.strides[1])
    if max(strides) > 1 and max(dilation) > 1:
        raise NotComposableError(
            "has strides over a dilated kernel of a layer without activation: insert a relu between them"
        )
    before = (
        first.before[0] + second.before[0] * first.strides[0],
        first.before[1] + second.before[1] * first.strides[1],
    )
    return Kernel(kind, weights.astype(np.float32), second.position, strides, dilation, before)


def _places(first: Kernel, second: Kernel, axis: int) -> Tuple[np.ndarray, int]:
    """Return the tap of the composed kernel for each pair of taps, `(first, second)`, and its dilation."""
    ours = np.arange(first.size[axis]) * first.dilation[axis]
    theirs = np.arange(second.size[axis]) * (second.dilation[axis] * first.strides[axis])
    places = ours[:, np.newaxis] + theirs
    step = int(np.gcd.reduce(places.ravel())) or 1
    places = places // step
    if len(np.unique(places)) <= places.max():
        raise NotComposableError("creates gaps in the kernel of a layer without activation: insert a relu between them")
    return places, step


def _before_pointwise(first: Kernel, kind: str, tap: np.ndarray) -> np.ndarray:
    """Compose a convolution with one tap `(channels, filters or multiplier)` of a `kind` after it: float64."""
    rows, columns, channels, filters = first.weights.shape
    before, after = first.weights.astype(np.float64), tap.astype(np.float64)
    if kind == "Conv2D":
        if first.kind == "Conv2D":
            return np.asarray(before @ after)
        return np.einsum("hwcm,cmg->hwcg", before, after.reshape(channels, filters, -1))
    # Depthwise: each channel becomes `multiplier` adjacent channels.
    if first.kind == "DepthwiseConv2D":
        after = after.reshape(channels, filters, -1)
    return (before[..., np.newaxis] * after).reshape(rows, columns, channels, -1)
