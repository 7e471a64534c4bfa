"""Connections from one volume of neurons to another: two axes and a pairing of channels.

A convolution, a pooling or a dense layer connects a volume `(height, width, channels)` to another one. Rows and columns
are independent of each other: `Axis` lists the triples (input position, output position, kernel tap) of one of them.
Taps that fall on padding are not listed. Degrees of neurons follow from the axes: synapses are counted without a list.
"""

from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from snnb.core.machine import require_memory

Shape = Tuple[int, ...]
PADDING = -1  # in arrays of neuron ids: no neuron
TAP_BYTES = 40  # memory for a tap of a window while its position is computed


@dataclass(frozen=True)
class Axis:
    """All (input, output, tap) triples along rows or columns, sorted by input, then by output."""

    size: int  # length of the axis in the input volume
    outputs: int  # length in the output volume
    taps: int  # length of the kernel along it
    input: np.ndarray  # (triples,) int64, as `output` and `tap`
    output: np.ndarray
    tap: np.ndarray

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
    return Axis(size, size, 1, positions, positions, np.zeros(size, np.int64))


def window_padding(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Tuple[int, int]:
    """Return the number of zeros that TensorFlow pads before an axis of `size` positions, and the number of outputs.

    `same` splits the padding needed for ceil(size / stride) outputs evenly, with an odd one at the end (TensorFlow,
    "Neural network: notes on padding").
    """
    reach = (kernel - 1) * dilation + 1
    if padding == "valid":
        return 0, max((size - reach) // stride + 1, 0)
    outputs = -(-size // stride)
    return max((outputs - 1) * stride + reach - size, 0) // 2, outputs


def window_zeros(
    shape: Shape, sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int], padding: str
) -> Tuple[Tuple[int, int], Tuple[int, int]]:
    """Return the numbers of zeros before and after the rows and the columns of an image; see `window_padding`."""
    zeros = []
    for size, kernel, stride, dilation in zip(shape, sizes, strides, dilations):
        before, outputs = window_padding(size, kernel, stride, dilation, padding)
        reach = (outputs - 1) * stride + (kernel - 1) * dilation + 1
        zeros.append((before, max(reach - before - size, 0)))
    return zeros[0], zeros[1]


def window_axis(size: int, kernel: int, stride: int, dilation: int, padding: str) -> Axis:
    """Slide a window along an axis of `size` positions; see `window_padding`."""
    before, outputs = window_padding(size, kernel, stride, dilation, padding)
    require_memory(TAP_BYTES * outputs * kernel, f"the {outputs * kernel:,} taps of {outputs:,} windows")
    output, tap = (grid.ravel() for grid in np.mgrid[:outputs, :kernel])
    position = output * stride - before + tap * dilation
    inside = np.flatnonzero((position >= 0) & (position < size))
    order = inside[np.lexsort((output[inside], position[inside]))]
    return Axis(size, outputs, kernel, position[order], output[order], tap[order])


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


SOURCES = 1 << 18  # number of repeated sources in a batch, to limit the memory


class Reading(NamedTuple):
    """A projection onto a population."""

    ids: np.ndarray  # `geometry.input_volume` int64: neuron at each position of the input; -1 where there is none
    geometry: Geometry


class Degrees(NamedTuple):
    """Synapses of each source, int64, shape (sources,), and onto each target, int64, shape (targets,)."""

    out: np.ndarray
    into: np.ndarray


class _Repeated(NamedTuple):
    """Positions of sources that occur several times: both int64, shape (positions,)."""

    source: np.ndarray
    position: np.ndarray
    geometry: Geometry


def count_synapses(readings: Sequence[Reading], first: int, sources: int) -> Degrees:
    """Count the synapses onto a population; all connections of the same two neurons are one synapse.

    The outputs that a source reaches are listed only if it occurs several times, in one input or in several. `readings`
    are at least one; all of their ids are from `first` to before `first + sources`.
    """
    real = [ids != PADDING for ids, _ in readings]
    indices = [ids[is_real] - first for (ids, _), is_real in zip(readings, real)]
    repeated_source = np.bincount(np.concatenate(indices), minlength=sources) > 1
    out, into = np.zeros(sources, np.int64), np.zeros(int(np.prod(readings[0].geometry.shape)), np.int64)
    repeated: List[_Repeated] = []
    for (_, geometry), remaining, source in zip(readings, real, indices):
        if repeated_source.any():
            is_repeated = repeated_source[source]
            repeated.append(_Repeated(source[is_repeated], np.flatnonzero(remaining)[is_repeated], geometry))
            remaining[remaining], source = ~is_repeated, source[~is_repeated]
        counts = np.broadcast_to(geometry.fan_out()[:, :, np.newaxis], remaining.shape)[remaining]
        out += np.bincount(source, counts, minlength=sources).astype(np.int64)  # in float64, exact below 2**53
        into += geometry.fan_in(remaining).ravel()
    if not repeated:
        return Degrees(out, into)
    number = np.cumsum(repeated_source)
    for start in range(0, int(number[-1]), SOURCES):
        chosen = repeated_source & (number > start) & (number <= start + SOURCES)
        parts = [_Repeated(s[chosen[s]], position[chosen[s]], geometry) for s, position, geometry in repeated]
        _add(parts, chosen, out, into)
    return Degrees(out, into)


def count_weights(geometry: Geometry, kernel: Optional[np.ndarray]) -> np.ndarray:
    """Count the weights other than 0 by which each input meets outputs: int64, shape `geometry.input_volume`.

    `kernel` has the shape `geometry.kernel_shape`; None: no weight is 0.
    """
    if kernel is None:
        return np.broadcast_to(geometry.fan_out()[:, :, np.newaxis], geometry.input_volume)
    rows, columns = (np.zeros((axis.size, axis.taps), np.int64) for axis in (geometry.rows, geometry.columns))
    np.add.at(rows, (geometry.rows.input, geometry.rows.tap), 1)
    np.add.at(columns, (geometry.columns.input, geometry.columns.tap), 1)
    counts: np.ndarray = np.einsum("it,ju,tuc->ijc", rows, columns, np.count_nonzero(kernel, axis=3), optimize=True)
    return counts


def _add(repeated: Sequence[_Repeated], chosen: np.ndarray, out: np.ndarray, into: np.ndarray) -> None:
    """Add the synapses of the chosen sources to both counts.

    A connection is a pair of source and output position if the source meets all filters, and a pair of source and
    target if it meets some.
    """
    index = np.cumsum(chosen) - 1  # of a source among the chosen ones
    dense, diagonal = ([each for each in repeated if each.geometry.pairing == kind] for kind in ("dense", "diagonal"))
    filters = repeated[0].geometry.filters
    outputs = into.size // filters
    pairs = [np.empty(0, np.int64)]
    for source, position, geometry in dense:
        which, output = _reached(position, geometry)
        pairs.append(index[source][which] * outputs + output)
    reached = np.unique(np.concatenate(pairs))  # source × outputs + output
    out[chosen] += np.bincount(reached // outputs, minlength=np.count_nonzero(chosen)) * filters
    into += np.repeat(np.bincount(reached % outputs, minlength=outputs), filters)
    pairs = [np.empty(0, np.int64)]
    for source, position, geometry in diagonal:
        which, output = _reached(position, geometry)
        is_new = ~np.isin(index[source][which] * outputs + output, reached)
        which, output = which[is_new], output[is_new]
        target = output * filters + position[which] % geometry.channels * geometry.multiplier
        pairs.append(np.add.outer(source[which] * into.size + target, np.arange(geometry.multiplier)).ravel())
    single = np.unique(np.concatenate(pairs))  # source × targets + target
    out += np.bincount(single // into.size, minlength=out.size)
    into += np.bincount(single % into.size, minlength=into.size)


def _reached(position: np.ndarray, geometry: Geometry) -> Tuple[np.ndarray, np.ndarray]:
    """List the output positions that flat positions of the input reach: index of the input position, and output."""
    rows, columns = geometry.rows, geometry.columns
    row, column = np.divmod(position // geometry.channels, columns.size)
    row_starts, column_starts = rows.starts(), columns.starts()
    width = np.diff(column_starts)[column]
    number = np.diff(row_starts)[row] * width
    which = np.repeat(np.arange(position.size), number)
    i, j = np.divmod(np.arange(which.size) - (np.cumsum(number) - number)[which], width[which])
    output = rows.output[row_starts[row][which] + i] * columns.outputs
    return which, output + columns.output[column_starts[column][which] + j]
