"""Which positions meet along one axis, and the separable connection between two volumes that follows from it.

A convolution, a pooling, an upsampling or a dense layer connects a volume `(height, width, channels)` to another one.
Rows and columns are independent of each other: `Axis` lists the triples (input position, output position, kernel tap)
of one of them. Nothing in it is padding: a tap that falls outside the volume is not listed.
"""

from dataclasses import dataclass
from typing import Tuple

import numpy as np


@dataclass(frozen=True)
class Axis:
    """All (input, output, tap) triples along rows or columns, sorted by input, then by output."""

    size: int  # length of the axis in the input volume
    outputs: int  # length in the output volume
    taps: int  # length of the kernel along it
    input: np.ndarray  # (triples,) int64, as `output` and `tap`
    output: np.ndarray
    tap: np.ndarray

    @classmethod
    def of(cls, size: int, outputs: int, taps: int, input: np.ndarray, output: np.ndarray, tap: np.ndarray) -> "Axis":
        """Make an axis of triples in any order."""
        order = np.lexsort((output, input))
        return cls(size, outputs, taps, input[order], output[order], tap[order])

    def starts(self) -> np.ndarray:
        """Return the index of the first triple of each input: int64, shape (size + 1,)."""
        return np.searchsorted(self.input, np.arange(self.size + 1))

    def by_output(self) -> Tuple[np.ndarray, np.ndarray]:
        """Return the triples' order by output, then input, and where in it each output's begin."""
        order = np.lexsort((self.input, self.output))
        return order, np.searchsorted(self.output[order], np.arange(self.outputs + 1))

    def fan_in(self) -> np.ndarray:
        """Count the inputs that meet each output: int64, shape (outputs,)."""
        return np.bincount(self.output, minlength=self.outputs)


def whole_axis(size: int) -> Axis:
    """Connect every position to itself by one tap: the axis of a 1×1 kernel and of leading dimensions."""
    positions = np.arange(size)
    return Axis.of(size, size, 1, positions, positions, np.zeros(size, np.int64))


def window_axis(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Axis:
    """Slide a window along an axis of `size` positions, padding as TensorFlow does.

    `same` splits the padding needed for ceil(size / stride) outputs evenly, with an odd one at the end (TensorFlow,
    "Neural network: notes on padding"); `causal` puts all of it in front.
    """
    reach = (kernel - 1) * dilation + 1
    if padding == "same":
        outputs = -(-size // stride)
        before = max((outputs - 1) * stride + reach - size, 0) // 2
    elif padding == "causal":
        outputs = -(-size // stride)
        before = reach - 1
    else:
        outputs = max((size - reach) // stride + 1, 0)
        before = 0
    output, tap = (grid.ravel() for grid in np.mgrid[:outputs, :kernel])
    position = output * stride - before + tap * dilation
    inside = (position >= 0) & (position < size)
    return Axis.of(size, outputs, kernel, position[inside], output[inside], tap[inside])


def transposed_axis(size: int, outputs: int, kernel: int, stride: int, dilation: int, padding: str) -> Axis:
    """Swap inputs and outputs of a window from `outputs` positions to `size`: its gradient; see `window_axis`."""
    window = window_axis(outputs, kernel, stride, dilation, padding)
    if window.outputs != size:
        raise ValueError(f"a transposed window of {outputs} outputs belongs to {window.outputs} inputs, not {size}")
    return Axis.of(size, outputs, kernel, window.output, window.input, window.tap)


def repeated_axis(size: int, factor: int) -> Axis:
    """Repeat every position `factor` times by one tap: nearest-neighbour upsampling."""
    output = np.arange(size * factor)
    return Axis.of(size, size * factor, 1, output // factor, output, np.zeros(size * factor, np.int64))


def window_sums(rows: Axis, columns: Axis, values: np.ndarray) -> np.ndarray:
    """Sum values, shape (height, width, channels), over the inputs of every output position; 0 where it has none."""
    return _sum_along(0, rows, _sum_along(1, columns, values))


def _sum_along(along: int, axis: Axis, values: np.ndarray) -> np.ndarray:
    order, starts = axis.by_output()
    fed = np.flatnonzero(axis.fan_in())
    shape = (*values.shape[:along], axis.outputs, *values.shape[along + 1 :])
    sums = np.zeros(shape, values.dtype)
    inputs = values.take(axis.input[order], axis=along)
    sums[(slice(None),) * along + (fed,)] = np.add.reduceat(inputs, starts[fed], axis=along)
    return sums
