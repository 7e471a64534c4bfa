"""How one volume of neurons is connected to another: two axes and a pairing of channels."""

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from snnb.network.axis import Axis, window_sums

Shape = Tuple[int, ...]


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
        """How many filters one channel meets."""
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
        inputs = real.astype(np.int64)
        if self.pairing == "dense":
            inputs = inputs.sum(axis=2, keepdims=True)
        return np.repeat(window_sums(self.rows, self.columns, inputs), self.filters // inputs.shape[2], axis=2)

    def taps(self) -> np.ndarray:
        """Count the taps of each output position that lie inside the input: int64, shape (rows, columns)."""
        return np.multiply.outer(self.rows.fan_in(), self.columns.fan_in())
