"""Connections from one volume of neurons to another: two axes, a pairing of channels.

A convolution, a pooling or a dense layer connects a volume `(height, width, channels)`
to another one. Rows and columns are independent of each other: `Axis` lists the triples
(input position, output position, kernel tap) of one of them. Taps that fall on padding
are not listed. `Geometry` combines both axes with a pairing of channels and filters.

`window_axis` makes the axis of a convolution, `transposed_axis` that of a transposed
one. `count_synapses` and `count_weights` count from the axes, without a list of
synapses.
"""

from dataclasses import dataclass
from typing import Iterator, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from snnb.core.machine import require_memory

Shape = Tuple[int, ...]
Pads = Tuple[Tuple[int, int], Tuple[int, int]]  # before and after rows and columns
PADDING = -1  # in arrays of neuron ids: no neuron
TAP_BYTES = 40  # memory for a tap of a window while its position is computed


@dataclass(frozen=True)
class Axis:
    """All (input, output, tap) triples along rows or columns, each position from 0.

    They are sorted by input, then by output. An input and an output meet by at most one
    tap.
    """

    size: int  # length of the axis in the input volume
    outputs: int  # length in the output volume
    taps: int  # length of the kernel along it
    input: np.ndarray  # (triples,) int64, as `output` and `tap`
    output: np.ndarray
    tap: np.ndarray

    def starts(self) -> np.ndarray:
        """Return the index of the first triple of each input.

        Int64, shape (size + 1,): the last is the number of triples.
        """
        return np.searchsorted(self.input, np.arange(self.size + 1))

    def triples(self) -> Iterator[Tuple[int, int, int]]:
        """Yield the triples: an input, an output, and the tap by which they meet."""
        yield from zip(self.input.tolist(), self.output.tolist(), self.tap.tolist())

    def by_output(self) -> Tuple[np.ndarray, np.ndarray]:
        """Return the order of the triples by output, then input, and outputs' starts.

        The order is the index of each triple: int64, shape (triples,). The starts are
        the place of the first triple of each output in it: int64, shape (outputs + 1,).
        """
        order = np.lexsort((self.input, self.output))
        return order, np.searchsorted(self.output[order], np.arange(self.outputs + 1))

    def fan_in(self) -> np.ndarray:
        """Count the inputs that meet each output: int64, shape (outputs,)."""
        return np.bincount(self.output, minlength=self.outputs)

    def sums(self, values: np.ndarray, along: int) -> np.ndarray:
        """Sum values over the inputs of each output, in the type of the values.

        `along` is the index of the axis of `values` that has the inputs, and in the
        result the outputs. An output without inputs has the sum 0.
        """
        order, starts = self.by_output()
        has_inputs = np.flatnonzero(self.fan_in())
        shape = list(values.shape)
        shape[along] = self.outputs
        sums = np.zeros(shape, values.dtype)
        inputs = values.take(self.input[order], axis=along)
        output_sums = np.add.reduceat(inputs, starts[has_inputs], axis=along)
        np.moveaxis(sums, along, 0)[has_inputs] = np.moveaxis(output_sums, along, 0)
        return sums


def identity_axis(size: int) -> Axis:
    """Connect every position to itself by one tap, as a 1×1 kernel does."""
    positions = np.arange(size)
    return Axis(size, size, 1, positions, positions, np.zeros(size, np.int64))


def window_padding(
    size: int,
    kernel: int,
    stride: int,
    dilation: int,
    padding: Union[str, Tuple[int, int]],
) -> Tuple[int, int]:
    """Return the number of zeros before an axis, and the number of windows over it.

    The axis has `size` positions; `padding` is the number of zeros before and after
    it, or TensorFlow's name for them. The name `same` splits the padding needed for
    ceil(size / stride) outputs evenly, with an odd one at the end (TensorFlow, "Neural
    network: notes on padding").
    """
    reach = (kernel - 1) * dilation + 1
    if not isinstance(padding, str):
        before, after = padding
        return before, max((before + size + after - reach) // stride + 1, 0)
    if padding == "valid":
        return 0, max((size - reach) // stride + 1, 0)
    outputs = -(-size // stride)
    return max((outputs - 1) * stride + reach - size, 0) // 2, outputs


def axis_paddings(
    padding: Union[str, Pads],
) -> Sequence[Union[str, Tuple[int, int]]]:
    """Return the padding of rows and that of columns, each as `window_padding` takes it."""
    return (padding, padding) if isinstance(padding, str) else padding


def window_zeros(
    shape: Shape,
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: Union[str, Pads],
) -> Pads:
    """Return the numbers of zeros that windows over an image read.

    They are before and after its rows, and its columns. Padding after the last window
    is not read. `shape` begins with the rows and columns of the image; the other
    arguments are those of `window_padding` for both.
    """
    zeros = []
    axes = zip(shape, sizes, strides, dilations, axis_paddings(padding))
    for size, kernel, stride, dilation, axis_padding in axes:
        before, outputs = window_padding(size, kernel, stride, dilation, axis_padding)
        reach = (outputs - 1) * stride + (kernel - 1) * dilation + 1
        zeros.append((before, max(reach - before - size, 0)))
    return zeros[0], zeros[1]


def window_axis(
    size: int,
    kernel: int,
    stride: int,
    dilation: int,
    padding: Union[str, Tuple[int, int]],
) -> Axis:
    """Connect the positions of an axis to the windows over it; see `window_padding`.

    A tap is a place in the window. An input of 3 positions, a kernel of 3, and a zero
    before and after: the windows 0, 1 and 2 read the positions 0 1 by the taps 1 2,
    then 0 1 2 by 0 1 2, then 1 2 by 0 1. Raise `ResourceError` if the memory is not
    sufficient.
    """
    before, outputs = window_padding(size, kernel, stride, dilation, padding)
    require_memory(
        TAP_BYTES * outputs * kernel,
        f"the {outputs * kernel:,} taps of {outputs:,} windows",
    )
    output = np.repeat(np.arange(outputs), kernel)
    tap = np.tile(np.arange(kernel), outputs)
    position = output * stride - before + tap * dilation
    inside = np.flatnonzero((position >= 0) & (position < size))
    order = inside[np.lexsort((output[inside], position[inside]))]
    return Axis(size, outputs, kernel, position[order], output[order], tap[order])


def transposed_length(
    size: int,
    kernel: int,
    stride: int,
    dilation: int,
    padding: str,
    output_padding: Optional[int],
) -> int:
    """Return the number of outputs of a transposed convolution along an axis.

    The axis has `size` inputs. The number is that of Keras (`deconv_output_length`);
    `padding` is `valid` or `same`.
    """
    reach = (kernel - 1) * dilation + 1
    if output_padding is not None:
        cut = 2 * (reach // 2) if padding == "same" else 0
        return (size - 1) * stride + reach - cut + output_padding
    if padding == "same":
        return size * stride
    return size * stride + max(reach - stride, 0)


def transposed_axis(
    size: int,
    outputs: int,
    kernel: int,
    stride: int,
    dilation: int,
    before: int,
) -> Axis:
    """Connect `size` inputs to the outputs of a transposed convolution.

    Input i meets the outputs that window i over the outputs would read. Window 0 begins
    `before` positions before the first output. Taps are counted from the end of the
    window, so that those of an output rise with the inputs that it reads, as in a
    convolution. Two inputs, a kernel of 3, stride 2 and `before` 0: input 0 meets the
    outputs 0, 1 and 2 by the taps 2, 1 and 0, and input 1 the outputs 2, 3 and 4.
    """
    require_memory(
        TAP_BYTES * size * kernel,
        f"the {size * kernel:,} taps of {size:,} windows",
    )
    window = np.repeat(np.arange(size), kernel)
    tap = np.tile(np.arange(kernel), size)
    position = window * stride - before + tap * dilation
    inside = np.flatnonzero((position >= 0) & (position < outputs))
    tap_from_end = kernel - 1 - tap[inside]
    return Axis(size, outputs, kernel, window[inside], position[inside], tap_from_end)


@dataclass(frozen=True)
class Geometry:
    """Which neurons of an input volume meet which neurons of the output volume.

    The input volume is (rows, columns, channels), and the output volume (rows, columns,
    filters). Output (r', c', f) is connected to input (r, c, k) for every triple (r, r', i) of
    `rows` and (c, c', j) of `columns`, and for the channels that `pairing` names.
    """

    rows: Axis
    columns: Axis
    channels: int  # length of the last axis of the input volume
    filters: int  # length of the last axis of the output volume
    # Which channels meet which filters. "dense": all meet all. "grouped": both are
    # divided into `groups` equal parts in order, and part g of the channels meets part
    # g of the filters. "diagonal": each channel is such a part
    pairing: str
    shape: Shape  # the output volume in the layer's own shape, such as (units,)
    groups: int = 1  # parts of a "grouped" pairing, at least 2; otherwise 1

    @property
    def input_volume(self) -> Tuple[int, int, int]:
        """Shape (rows, columns, channels) of the input."""
        return self.rows.size, self.columns.size, self.channels

    @property
    def output_volume(self) -> Tuple[int, int, int]:
        """Shape (rows, columns, filters) of the output."""
        return self.rows.outputs, self.columns.outputs, self.filters

    @property
    def parts(self) -> int:
        """Number of parts of channels, each of which meets its own filters; 1 if dense."""
        if self.pairing == "diagonal":
            return self.channels
        return self.groups

    @property
    def channels_read(self) -> int:
        """Number of channels that one filter meets."""
        return self.channels // self.parts

    @property
    def multiplier(self) -> int:
        """Number of filters that one channel meets."""
        return self.filters // self.parts

    @property
    def kernel_shape(self) -> Tuple[int, int, int, int]:
        """Shape of the weights: (row taps, column taps, channels, multiplier).

        Weight (i, j, k, m) is that of channel k and the m-th filter that it meets.
        """
        return self.rows.taps, self.columns.taps, self.channels, self.multiplier

    def spread_filters(self, values: np.ndarray) -> np.ndarray:
        """Return the values of the filters that each channel meets.

        `values` has the shape (filters,), the result (channels, multiplier), or (1,
        filters) if all channels meet all filters. Four channels and six filters in two
        groups, with the values a to f, give a b c, a b c, d e f, d e f.
        """
        part_values = values.reshape(self.parts, self.multiplier)
        if self.pairing != "grouped":
            return part_values
        return np.repeat(part_values, self.channels_read, axis=0)

    def weights_of_filters(self, weights: np.ndarray) -> np.ndarray:
        """Return weights, in the shape `kernel_shape`, by filter.

        The result has the shape (taps × channels_read, filters).
        """
        return weights_by_filter(weights, self.parts).reshape(-1, self.filters)

    def fan_out(self) -> np.ndarray:
        """Count the connections that leave a channel of each input position.

        Int64, shape (rows, columns): it is the same for all channels.
        """
        rows = np.bincount(self.rows.input, minlength=self.rows.size)
        columns = np.bincount(self.columns.input, minlength=self.columns.size)
        return np.multiply.outer(rows, columns) * self.multiplier

    def fan_in(self, real: np.ndarray) -> np.ndarray:
        """Count the connections that reach each output: int64, shape `output_volume`.

        `real` (bool, shape `input_volume`) is False at padding and at neurons of other
        populations.
        """
        return self.sums(real.astype(np.int64))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum values over the inputs of each output.

        `values` has the shape (..., *input_volume), the sums (..., *output_volume).
        """
        part_shape = (*values.shape[:-1], self.parts, self.channels_read)
        values = values.reshape(part_shape).sum(axis=-1)
        column_sums = self.columns.sums(values, values.ndim - 2)
        sums = self.rows.sums(column_sums, values.ndim - 3)
        return np.repeat(sums, self.multiplier, axis=-1)

    def taps(self) -> np.ndarray:
        """Count the taps of each output position that lie inside the input.

        Int64, shape (rows, columns) of the output.
        """
        return np.multiply.outer(self.rows.fan_in(), self.columns.fan_in())


def weights_by_channel(kernel: np.ndarray, groups: int) -> np.ndarray:
    """Return the weights of a grouped convolution by channel.

    `kernel` has Keras's shape (..., channels of a group, filters), where the first
    filters are those of group 0. The result has the shape (..., channels, filters of a
    group). Two channels and two filters in two groups, a b, give a, b.
    """
    *taps, channels_read, filters = kernel.shape
    shape = (*taps, channels_read, groups, filters // groups)
    by_group = np.moveaxis(kernel.reshape(shape), -2, -3)
    return by_group.reshape(*taps, groups * channels_read, filters // groups)


def weights_by_filter(weights: np.ndarray, groups: int) -> np.ndarray:
    """Return the kernel, in Keras's shape, that `weights_by_channel` was made from."""
    *taps, channels, multiplier = weights.shape
    shape = (*taps, groups, channels // groups, multiplier)
    by_filter = np.moveaxis(weights.reshape(shape), -3, -2)
    return by_filter.reshape(*taps, channels // groups, groups * multiplier)


# Most sources whose pairs `_add_repeated` lists at a time, to limit the memory
SOURCES = 1 << 18


class Reading(NamedTuple):
    """What one connection onto a population reads."""

    # int64, shape `geometry.input_volume`: neuron at each position of the input;
    # `PADDING` where there is none
    ids: np.ndarray
    geometry: Geometry


class Degrees(NamedTuple):
    """Numbers of synapses."""

    out: np.ndarray  # int64, shape (sources,): synapses of each source
    into: np.ndarray  # int64, shape (targets,): synapses onto each target


class _Occurrences(NamedTuple):
    """Positions of sources in an input of a population."""

    source: np.ndarray  # int64, shape (positions,): index of a source
    position: np.ndarray  # int64, shape (positions,): flat position in the input
    geometry: Geometry

    def take(self, rows: np.ndarray) -> "_Occurrences":
        """Return some rows, by index or mask."""
        return _Occurrences(self.source[rows], self.position[rows], self.geometry)

    def reached_outputs(self) -> "_Reached":
        """Return the output positions that each row of this table reaches."""
        geometry = self.geometry
        rows = geometry.rows
        columns = geometry.columns
        pixel = self.position // geometry.channels
        row, column = np.divmod(pixel, columns.size)
        row_starts = rows.starts()
        column_starts = columns.starts()
        widths = np.diff(column_starts)[column]
        output_counts = np.diff(row_starts)[row] * widths
        occurrence = np.repeat(np.arange(pixel.size), output_counts)
        first_pair = (np.cumsum(output_counts) - output_counts)[occurrence]
        number = np.arange(occurrence.size) - first_pair  # among those of the position
        row_number, column_number = np.divmod(number, widths[occurrence])
        output_row = rows.output[row_starts[row][occurrence] + row_number]
        column_start = column_starts[column][occurrence]
        output_column = columns.output[column_start + column_number]
        output = output_row * columns.outputs + output_column
        return _Reached(occurrence, output)


class _Reached(NamedTuple):
    """Pairs of an occurrence and an output position that it reaches."""

    occurrence: np.ndarray  # int64, shape (pairs,): index of a row of `_Occurrences`
    output: np.ndarray  # int64, shape (pairs,): flat output position, without filters


def count_synapses(readings: Sequence[Reading], first_id: int, sources: int) -> Degrees:
    """Count the synapses onto a population.

    All connections of the same two neurons are one synapse. The outputs that a source
    reaches are listed only if the source occurs several times, in one input or in
    several. `readings` has at least one element, all with the output volume of the
    population; their ids are `first_id` to `first_id + sources - 1`, or `PADDING`.
    """
    occurrences = []
    for ids, geometry in readings:
        position = np.flatnonzero(ids != PADDING)
        source = ids.ravel()[position] - first_id
        occurrences.append(_Occurrences(source, position, geometry))
    all_sources = np.concatenate([occurrence.source for occurrence in occurrences])
    is_repeated = np.bincount(all_sources, minlength=sources) > 1
    has_repeated = is_repeated.any()
    out_degrees = np.zeros(sources, np.int64)
    in_degrees = np.zeros(int(np.prod(readings[0].geometry.shape)), np.int64)
    for occurrence in occurrences:
        geometry = occurrence.geometry
        single = occurrence
        if has_repeated:
            single = occurrence.take(~is_repeated[occurrence.source])
        fan_out = geometry.fan_out().ravel()[single.position // geometry.channels]
        # The sums are in float64, exact below 2**53.
        counts = np.bincount(single.source, fan_out, minlength=sources)
        out_degrees += counts.astype(np.int64)
        has_source = np.zeros(geometry.input_volume, bool)
        has_source.ravel()[single.position] = True
        in_degrees += geometry.fan_in(has_source).ravel()
    degrees = Degrees(out_degrees, in_degrees)
    if not has_repeated:
        return degrees
    repeated_occurrences = [o.take(is_repeated[o.source]) for o in occurrences]
    number = np.cumsum(is_repeated)
    for start in range(0, int(number[-1]), SOURCES):
        is_counted = is_repeated & (number > start) & (number <= start + SOURCES)
        batch = [o.take(is_counted[o.source]) for o in repeated_occurrences]
        _add_repeated(batch, degrees)
    return degrees


def count_weights(geometry: Geometry, kernel: Optional[np.ndarray]) -> np.ndarray:
    """Count the connections of each input whose weight is not 0.

    Int64, shape `geometry.input_volume`; read-only without `kernel`. `kernel` has the
    shape `geometry.kernel_shape`; None: no weight is 0.
    """
    if kernel is None:
        return np.broadcast_to(
            geometry.fan_out()[:, :, np.newaxis],
            geometry.input_volume,
        )
    row_taps = _count_taps(geometry.rows)
    column_taps = _count_taps(geometry.columns)
    nonzero = np.count_nonzero(kernel, axis=3)
    counts: np.ndarray = np.einsum(
        "it,ju,tuc->ijc",
        row_taps,
        column_taps,
        nonzero,
        optimize=True,
    )
    return counts


def _count_taps(axis: Axis) -> np.ndarray:
    """Count the outputs that each input meets by each tap.

    Int64, shape (size, taps).
    """
    counts = np.zeros((axis.size, axis.taps), np.int64)
    np.add.at(counts, (axis.input, axis.tap), 1)
    return counts


def _add_repeated(
    occurrences: Sequence[_Occurrences],
    degrees: Degrees,
) -> None:
    """Add the synapses of some sources to both counts, each pair of neurons once.

    `occurrences`, at least one, has all positions of these sources. Where a source
    meets all filters, a pair of source and output position stands for them all. Where
    it meets some, pairs of source and target are listed, unless the first pairs have
    them.
    """
    filters = occurrences[0].geometry.filters
    targets = degrees.into.size
    outputs = targets // filters
    # Each pair as a number, source × outputs + output
    dense_pairs = [np.empty(0, np.int64)]
    for occurrence in occurrences:
        if occurrence.geometry.pairing == "dense":
            reached_outputs = occurrence.reached_outputs()
            source = occurrence.source[reached_outputs.occurrence]
            dense_pairs.append(source * outputs + reached_outputs.output)
    output_pairs = np.unique(np.concatenate(dense_pairs))
    source_outputs = np.bincount(output_pairs // outputs, minlength=degrees.out.size)
    degrees.out[:] += source_outputs * filters
    output_sources = np.bincount(output_pairs % outputs, minlength=outputs)
    degrees.into[:] += np.repeat(output_sources, filters)
    # Each pair as a number, source × targets + target
    part_pairs = [np.empty(0, np.int64)]
    for occurrence in occurrences:
        geometry = occurrence.geometry
        if geometry.pairing == "dense":
            continue
        reached_outputs = occurrence.reached_outputs()
        source = occurrence.source[reached_outputs.occurrence]
        is_new = ~np.isin(source * outputs + reached_outputs.output, output_pairs)
        source = source[is_new]
        output = reached_outputs.output[is_new]
        position = occurrence.position[reached_outputs.occurrence[is_new]]
        channel = position % geometry.channels
        part = channel // geometry.channels_read
        first_target = output * filters + part * geometry.multiplier
        first_pair = source * targets + first_target
        pairs = np.add.outer(first_pair, np.arange(geometry.multiplier))
        part_pairs.append(pairs.ravel())
    target_pairs = np.unique(np.concatenate(part_pairs))
    degrees.out[:] += np.bincount(target_pairs // targets, minlength=degrees.out.size)
    degrees.into[:] += np.bincount(target_pairs % targets, minlength=targets)
