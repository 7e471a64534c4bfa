"""How one volume of neurons is connected to another: two axes and a pairing of channels.

A convolution, a pooling, an upsampling or a dense layer connects a volume `(height, width, channels)` to another one.
Rows and columns are independent of each other: `Axis` lists the triples (input position, output position, kernel tap)
of one of them. Taps that fall on padding are not listed.
"""

from dataclasses import dataclass
from typing import Tuple

import numpy as np

Shape = Tuple[int, ...]


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
        """Return the order of the triples by output, then input, and the index of each output's first one in it."""
        order = np.lexsort((self.input, self.output))
        return order, np.searchsorted(self.output[order], np.arange(self.outputs + 1))

    def fan_in(self) -> np.ndarray:
        """Count the inputs that meet each output: int64, shape (outputs,)."""
        return np.bincount(self.output, minlength=self.outputs)

    def sums(self, values: np.ndarray, along: int) -> np.ndarray:
        """Sum values over the inputs of each output; `along` is the index of this axis in `values`."""
        order, starts = self.by_output()
        read = np.flatnonzero(self.fan_in())
        shape = list(values.shape)
        shape[along] = self.outputs
        sums = np.zeros(shape, values.dtype)
        inputs = values.take(self.input[order], axis=along)
        np.moveaxis(sums, along, 0)[read] = np.moveaxis(np.add.reduceat(inputs, starts[read], axis=along), along, 0)
        return sums


def identity_axis(size: int) -> Axis:
    """Connect every position to itself by one tap: the axis of a 1×1 kernel and of leading dimensions."""
    positions = np.arange(size)
    return Axis.of(size, size, 1, positions, positions, np.zeros(size, np.int64))


def window_padding(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Tuple[int, int]:
    """Return the number of zeros that TensorFlow pads before an axis of `size` positions, and the number of outputs.

    `same` splits the padding needed for ceil(size / stride) outputs evenly, with an odd one at the end (TensorFlow,
    "Neural network: notes on padding"); `causal` puts all of it in front.
    """
    reach = (kernel - 1) * dilation + 1
    if padding == "valid":
        return 0, max((size - reach) // stride + 1, 0)
    outputs = -(-size // stride)
    return reach - 1 if padding == "causal" else max((outputs - 1) * stride + reach - size, 0) // 2, outputs


def window_axis(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Axis:
    """Slide a window along an axis of `size` positions; see `window_padding`."""
    before, outputs = window_padding(size, kernel, stride, dilation, padding)
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


@dataclass(frozen=True)
class Geometry:
    """Which neurons of an input volume `(rows, columns, channels)` meet which of the output volume.

    Output (r', c', f) is connected to input (r, c, k) for every triple (r, r', i) of `rows` and (c, c', j) of
    `columns`, and for the channels that `pairing` names.
    """

    rows: Axis
    columns: Axis
    channels: int  # length of the last axis of the input volume
    filters: int  # length of the last axis of the output volume
    # "dense": every channel k meets every filter f. "diagonal": channel k meets the filters k·m to k·m + m − 1, where
    # m = filters / channels
    pairing: str
    shape: Shape  # the output volume in the layer's own shape

    @property
    def input_volume(self) -> Tuple[int, int, int]:
        """Shape (rows, columns, channels) of the input."""
        return self.rows.size, self.columns.size, self.channels

    @property
    def output_volume(self) -> Tuple[int, int, int]:
        """Shape (rows, columns, filters) of the output."""
        return self.rows.outputs, self.columns.outputs, self.filters

    @property
    def multiplier(self) -> int:
        """Number of filters that one channel meets."""
        return self.filters if self.pairing == "dense" else self.filters // self.channels

    @property
    def kernel_shape(self) -> Tuple[int, int, int, int]:
        """Shape (row taps, column taps, channels, filters a channel meets) of the weights."""
        return self.rows.taps, self.columns.taps, self.channels, self.multiplier

    def fan_out(self) -> np.ndarray:
        """Count the connections that leave an input of each position: int64, shape (rows, columns)."""
        rows = np.bincount(self.rows.input, minlength=self.rows.size)
        columns = np.bincount(self.columns.input, minlength=self.columns.size)
        return np.multiply.outer(rows, columns) * self.multiplier

    def fan_in(self, real: np.ndarray) -> np.ndarray:
        """Count the connections that reach each output: int64, shape `output_volume`.

        `real` (bool, shape `input_volume`) is False at padding and at neurons of other populations.
        """
        return self.sums(real.astype(np.int64))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum values, shape (..., *input_volume), over the inputs of each output: shape (..., *output_volume)."""
        if self.pairing == "dense":
            values = values.sum(axis=-1, keepdims=True)
        sums = self.rows.sums(self.columns.sums(values, values.ndim - 2), values.ndim - 3)
        return np.repeat(sums, self.filters // values.shape[-1], axis=-1)

    def taps(self) -> np.ndarray:
        """Count the taps of each output position that lie inside the input: int64, shape (rows, columns)."""
        return np.multiply.outer(self.rows.fan_in(), self.columns.fan_in())
