"""Tables of projections: which weights a spike adds to which currents.

An image has positions, and at each position a neuron for each channel: neuron =
position × channels + channel. A window is the kernel at one of the places where it
stops on the image. It has an output neuron for each filter: neuron = window × filters +
filter. The elements of a kernel are its taps. Positions, windows and taps are numbered
row by row. A dense layer is an image of one position, with one window of one tap.

A *triple* is a position, a window and a tap, where the window has this tap on this
position. All tables list the triples of a projection.

The channels of a position and the filters of a window are divided into *parts*: the
filters of a part read the channels of the part of the same number. A dense layer and
most convolutions have one part, a grouped convolution one for each group. The tables by
window and by position treat a part of a position as a position, and a part of a window
as a window. The examples have one part.

The example is an image of one row with 4 positions, on which a kernel of 3 taps moves
by one position, with padding at both ends. The digits are the taps:

                  position 0   position 1   position 2   position 3
    window 0          1            2
    window 1          0            1            2
    window 2                       0            1            2
    window 3                                    0            1

Tap 0 of window 0 and tap 2 of window 3 are on the padding.

**By window** (`list_windows`). A row of the example is what a window reads. The weights
are a matrix with a column for each filter and a row for each tap and channel: row = tap
× channels + channel. Blocks of its rows fit into the cache. If the channels of a tap do
not fit into a block, they are cut into slices, and each slice has its own blocks. A
*unit* is the neurons of a position in one slice. A *piece* is a unit that a window
reads by one tap. A *range* is pieces of one window and block whose units are next to
each other, and whose rows of weights are too. The row of a neuron is neuron +
row_shift. In the example, with one channel and blocks of two rows:

    block  window  first_unit  end_unit  row_shift
      0      0         0          1          1
      0      1         0          2          0
      0      2         1          3         -1
      0      3         2          4         -2
      1      0         1          2          1
      1      1         2          3          0
      1      2         3          4         -1

Window 1 reads by block 0, with the taps 0 and 1, the positions 0 and 1, and by block 1,
with tap 2, position 2. Window 3 reads nothing by block 1.

**By position, for filters that read all channels of a part** (`list_runs`). A column of
the example is where the spikes of a position arrive. A *run* is windows next to each
other, whose currents are next to each other. The taps of a run are its *pattern*. The weights
of each pattern are stored in the order of its windows, so that a spike adds one stretch
of weights to one stretch of currents. In the example, with one filter:

    position  target  pattern
       0        0      (1, 0)
       1        0      (2, 1, 0)
       2        1      (2, 1, 0)
       3        2      (2, 1)

Positions 1 and 2 have the same pattern, whose weights are stored once. A position has
several runs if its windows are in several rows, or not next to each other, as with a
dilated kernel, or if there are several parts, whose currents lie between them.

**By position, for filters that read one or few channels** (`list_arrivals`,
`list_group_arrivals`, `list_pooling_windows`). These list the triples one by one,
sorted by position. An *arrival* is a triple of which only the first neuron of the window
and the first weight of the tap are stored.

**By window and tap** (`list_dense_taps`, `list_channel_taps`), for projections that
read values of all neurons instead of spikes.

A table is a named tuple of columns, which are arrays of the same length, int64 unless
another type is stated. `take_rows` sorts, cuts and repeats the columns of a table
together.
"""

from typing import Any, List, NamedTuple, Sequence, Tuple, TypeVar, Union

import numpy as np

from snnb.network.geometry import PADDING, Geometry, weights_by_filter
from snnb.network.network import Projection
from snnb.simulation.engines.engine import Real
from snnb.simulation.engines.event.loop_arrays import (
    ARRIVAL_FORM,
    BY_NEURON,
    BY_POSITION,
    GROUP_WIDTHS,
    ONE_ARRIVAL,
    RUN_FORM,
    RUN_VECTORS,
    SAME_NEURON,
    VECTOR_SIZE,
    WINDOW_FORM,
    WORD_SIZE,
    ArrivalTable,
    ChannelTapTable,
    DenseTapTable,
    ProjectionTable,
    RunTable,
    WindowTable,
    align,
    round_up,
    zeros,
)

# Runs are faster than windows up to this number of filters of a convolution, and of
# units of a dense layer.
MAX_RUN_FILTERS = 63
MAX_RUN_DENSE_UNITS = 96
# Groups with at most as many channels are added together, 64 filters at a time. With
# 32 to 256 channels and 10 % firing, a simulation takes 0.75 to 0.95 of the time for
# groups of 2 to 8 channels, and 1.01 for groups of 16.
MAX_GROUP_SIZE = 8
BLOCK_BYTES = 128 << 10  # of a block of weights, which fits into the second-level cache

Table = TypeVar("Table", bound="NamedTuple")
Number = TypeVar("Number", int, np.ndarray)
Pattern = Tuple[int, ...]  # taps in a row of the kernel, of windows next to each other


class Triples(NamedTuple):
    """Where windows meet the image: window[i] has its tap[i] on position[i]."""

    position: np.ndarray
    window: np.ndarray
    tap: np.ndarray


class BlockLayout(NamedTuple):
    """How the rows of weights are divided into blocks.

    A block has taps next to each other in one row of the kernel, and one slice of their
    channels. Blocks are numbered by row of the kernel, tap, and slice.
    """

    taps: int  # most taps of a block; 1 if there are several slices
    blocks_per_kernel_row: int  # for each slice
    slices: int
    slice_start: np.ndarray  # (slices + 1,): first channel of each slice


class Pieces(NamedTuple):
    """The units that windows read, each by one tap."""

    block: np.ndarray
    window: np.ndarray
    unit: np.ndarray
    row_shift: np.ndarray  # row of weights of a neuron of the unit, minus the neuron


class LineRuns(NamedTuple):
    """Runs along one row of the image, by columns of the image and of the output."""

    position: np.ndarray  # column of the image
    window: np.ndarray  # column of the output: the first window of the run
    pattern: np.ndarray  # index in a list of patterns


class PatternLayout(NamedTuple):
    """Where the weights of patterns are stored, in a table with a row for each pattern.

    They are stored by row of the kernel, pattern, channel, tap of the pattern, and
    filter. Those of a channel are filled up to whole vectors.
    """

    vectors: np.ndarray  # vectors of each channel
    start: np.ndarray  # index of the first weight, in a row of the kernel
    kernel_row_size: int  # number of weights of a row of the kernel; not a column of
    # this table, but one number


class ImageRuns(NamedTuple):
    """Runs of an image; `RunTable` describes the last four columns."""

    position: np.ndarray
    target: np.ndarray
    weight_start: np.ndarray
    weight_stride: np.ndarray
    vectors: np.ndarray


class Arrivals(NamedTuple):
    """Windows that read a position, or neurons of windows that read a neuron."""

    position: np.ndarray  # or the neuron
    target: np.ndarray  # first neuron of the window, or the neuron of the window
    weight_start: np.ndarray  # index of the weight of the target


def make_table(
    projection: Projection,
    amplitude: "np.floating[Any]",
) -> ProjectionTable:
    """Return the table of a projection that reads spikes of an amplitude.

    The weights are multiplied by the amplitude, and have its type.
    """
    geometry = projection.geometry
    weights = scale_weights(projection, amplitude)
    if geometry.pairing == "diagonal":  # each filter reads one channel
        return fill_form(list_arrivals(geometry, weights))
    if has_small_groups(geometry):
        return fill_form(list_group_arrivals(geometry, weights))
    is_convolution = geometry.rows.outputs * geometry.columns.outputs > 1
    limit = MAX_RUN_FILTERS if is_convolution else MAX_RUN_DENSE_UNITS
    if geometry.multiplier <= limit:
        return fill_form(list_runs(geometry, weights))
    return fill_form(list_windows(geometry, weights))


def make_input_table(projection: Projection, real: Real) -> ProjectionTable:
    """Return the table of a projection that reads an input that changes, as numbers."""
    geometry = projection.geometry
    weights = scale_weights(projection, real(1))
    if geometry.pairing == "diagonal":
        return fill_form(list_neuron_arrivals(geometry, weights))
    return fill_form(list_runs(geometry, weights))


def make_silent_table(real: Real) -> ProjectionTable:
    """Return the table of a projection that reads no neurons."""
    weights = np.zeros(WORD_SIZE, real)
    empty = np.zeros(0, np.int32)
    return fill_form(ArrivalTable(SAME_NEURON, weights, empty, empty, empty, 0, 1))


def fill_form(form: Union[WindowTable, RunTable, ArrivalTable]) -> ProjectionTable:
    """Return a table of one form, with empty tables of the other two forms."""
    weights = np.zeros(0, form.weights.dtype)
    int32 = np.zeros(0, np.int32)
    int64 = np.zeros(0, np.int64)
    windows = WindowTable(weights, int64, int32, int32, int32, int32, int32, 0, 0)
    runs = RunTable(weights, int64, int32, int32, int64, int32, int32)
    arrivals = ArrivalTable(BY_NEURON, weights, int32, int32, int32, 0, 1)
    if isinstance(form, WindowTable):
        return ProjectionTable(WINDOW_FORM, form, runs, arrivals)
    if isinstance(form, RunTable):
        return ProjectionTable(RUN_FORM, windows, form, arrivals)
    return ProjectionTable(ARRIVAL_FORM, windows, runs, form)


def scale_weights(projection: Projection, amplitude: "np.floating[Any]") -> np.ndarray:
    """Return the weights of a projection times an amplitude, of the type of this.

    The shape is `Geometry.kernel_shape`: row taps, column taps, channels, filters of a
    channel. A projection without a kernel, a pooling, has the weight 1 at each tap; its
    table is not repeated for each tap: shape (1, filters).
    """
    geometry = projection.geometry
    if projection.kernel is None:
        return np.full((1, geometry.filters), amplitude)
    return projection.weights().astype(type(amplitude)) * amplitude


def list_windows(geometry: Geometry, weights: np.ndarray) -> WindowTable:
    """List what windows read: by block, window and unit.

    A part of a window is a window here; they are numbered by part, then by window.
    `weights` has the shape `geometry.kernel_shape`.
    """
    rows = geometry.rows.taps * geometry.columns.taps * geometry.channels
    filters = round_up(geometry.multiplier, VECTOR_SIZE)
    layout = _divide_into_blocks(geometry, weights.itemsize)
    pieces = _list_pieces(geometry, layout)
    # A piece continues the range of the piece before it if its unit is the next one,
    # and nothing else differs.
    start = find_stretch_starts(
        (np.diff(pieces.block) == 0)
        & (np.diff(pieces.window) == 0)
        & (np.diff(pieces.unit) == 1)
        & (np.diff(pieces.row_shift) == 0),
        len(pieces.unit),
    )
    first_pieces = take_rows(pieces, start[:-1])
    last_pieces = take_rows(pieces, start[1:] - 1)
    part_windows = geometry.rows.outputs * geometry.columns.outputs
    windows = geometry.parts * part_windows
    part, window = np.divmod(np.arange(windows), part_windows)
    target = window * geometry.filters + part * geometry.multiplier
    blocks = geometry.rows.taps * layout.blocks_per_kernel_row * layout.slices
    window_of_block = first_pieces.block * windows + first_pieces.window
    return WindowTable(
        weights=_store_groups(
            weights.reshape(rows, geometry.multiplier),
            GROUP_WIDTHS,
        ),
        unit_start=_list_unit_starts(geometry, layout),
        range_start=find_group_starts(window_of_block, blocks * windows).astype(
            np.int32,
        ),
        target=target.astype(np.int32),
        first_unit=first_pieces.unit.astype(np.int32),
        end_unit=(last_pieces.unit + 1).astype(np.int32),
        row_shift=first_pieces.row_shift.astype(np.int32),
        rows=rows,
        filters=filters,
    )


def _divide_into_blocks(geometry: Geometry, weight_bytes: int) -> BlockLayout:
    """Choose blocks whose weights, for the widest group, take at most `BLOCK_BYTES`."""
    channels = geometry.channels_read
    max_rows = max(1, BLOCK_BYTES // (GROUP_WIDTHS[0] * weight_bytes))
    slices = divide_up(channels, max_rows)
    taps = max(1, min(max_rows // channels, geometry.columns.taps))
    return BlockLayout(
        taps=taps,
        blocks_per_kernel_row=divide_up(geometry.columns.taps, taps),
        slices=slices,
        slice_start=np.linspace(0, channels, slices + 1).astype(np.int64),
    )


def _list_unit_starts(geometry: Geometry, layout: BlockLayout) -> np.ndarray:
    """Return the first neuron of each unit, and the number of neurons: (units + 1,)."""
    positions = geometry.rows.size * geometry.columns.size * geometry.parts
    position_start = np.arange(positions) * geometry.channels_read
    unit_start = np.add.outer(position_start, layout.slice_start[:-1])
    return np.append(unit_start, positions * geometry.channels_read)


def _list_pieces(geometry: Geometry, layout: BlockLayout) -> Pieces:
    """Make a piece of each triple, part and slice; sort by block, window and unit.

    See `list_windows` for the numbers of windows.
    """
    triples = list_triples(geometry)
    row_tap, column_tap = np.divmod(triples.tap, geometry.columns.taps)
    tap_block = row_tap * layout.blocks_per_kernel_row + column_tap // layout.taps
    row_shift = (triples.tap - triples.position) * geometry.channels
    slices = layout.slices
    # The slices of all parts of a position, one after the other
    part, slice_ = np.divmod(np.arange(geometry.parts * slices), slices)
    windows = geometry.rows.outputs * geometry.columns.outputs
    first_unit = triples.position * geometry.parts * slices
    pieces = Pieces(
        block=np.add.outer(tap_block * slices, slice_).ravel(),
        window=np.add.outer(triples.window, part * windows).ravel(),
        unit=np.add.outer(first_unit, part * slices + slice_).ravel(),
        row_shift=np.repeat(row_shift, geometry.parts * slices),
    )
    return take_rows(pieces, np.lexsort((pieces.unit, pieces.window, pieces.block)))


def _store_groups(weights: np.ndarray, widths: Sequence[int]) -> np.ndarray:
    """Store weights by group of filters, row, and filter of the group.

    `weights` has the shape (rows, filters). The result is flat and aligned. It has
    zeros for filters that fill up the last group. `widths` are the possible numbers of
    filters of a group, from the largest to the smallest, `VECTOR_SIZE`.
    """
    rows, filters = weights.shape
    flat_weights = zeros((rows * round_up(filters, widths[-1]),), weights.dtype.type)
    for begin, end in divide_filters(filters, widths):
        group_weights = weights[:, begin:end]
        group = flat_weights[rows * begin : rows * end].reshape(rows, end - begin)
        group[:, : group_weights.shape[1]] = group_weights
    return flat_weights


def divide_filters(filters: int, widths: Sequence[int]) -> List[Tuple[int, int]]:
    """Divide filters into groups, each as wide as possible: its first filter and end.

    100 filters and the widths 64, 32 and 16 give (0, 64), (64, 96) and (96, 112).
    """
    groups = []
    begin = 0
    filled_filters = round_up(filters, widths[-1])
    for width in widths:
        while width <= filled_filters - begin:
            groups.append((begin, begin + width))
            begin += width
    return groups


def list_runs(geometry: Geometry, weights: np.ndarray) -> RunTable:
    """List where spikes arrive: by position and target.

    A part of a position is a position here. `weights` has the shape
    `geometry.kernel_shape`.
    """
    positions = geometry.rows.size * geometry.columns.size * geometry.parts
    line_runs, patterns = _list_line_runs(geometry)
    layout = _lay_out_patterns(geometry, patterns)
    runs = _cut_runs(_list_image_runs(geometry, line_runs, layout))
    runs = take_rows(runs, np.lexsort((runs.target, runs.position)))
    return RunTable(
        weights=_store_patterns(geometry, weights, patterns, layout),
        position_start=np.arange(positions + 1) * geometry.channels_read,
        run_start=find_group_starts(runs.position, positions).astype(np.int32),
        target=runs.target.astype(np.int32),
        weight_start=runs.weight_start,
        weight_stride=runs.weight_stride.astype(np.int32),
        vectors=runs.vectors.astype(np.int32),
    )


def _list_line_runs(geometry: Geometry) -> Tuple[LineRuns, List[Pattern]]:
    """List the runs along a row of the image, and the patterns that occur in them.

    With several parts, windows of the same part are not next to each other.
    """
    columns = geometry.columns
    continues_run = (np.diff(columns.input) == 0) & (np.diff(columns.output) == 1)
    if geometry.parts > 1:
        continues_run[:] = False
    start = find_stretch_starts(continues_run, len(columns.input))
    run_patterns: List[Pattern] = []
    for begin, end in zip(start[:-1], start[1:]):
        run_patterns.append(tuple(columns.tap[begin:end].tolist()))
    patterns = sorted(set(run_patterns))
    index = {pattern: i for i, pattern in enumerate(patterns)}
    line_runs = LineRuns(
        position=columns.input[start[:-1]],
        window=columns.output[start[:-1]],
        pattern=np.array([index[pattern] for pattern in run_patterns], np.int64),
    )
    return line_runs, patterns


def _lay_out_patterns(geometry: Geometry, patterns: List[Pattern]) -> PatternLayout:
    """Decide where the weights of each pattern are stored: one after the other."""
    taps = np.array([len(pattern) for pattern in patterns], np.int64)
    vectors = divide_up(taps * geometry.multiplier, VECTOR_SIZE)
    size = vectors * VECTOR_SIZE * geometry.channels
    return PatternLayout(
        vectors=vectors,
        start=np.cumsum(size) - size,
        kernel_row_size=int(size.sum()),
    )


def _store_patterns(
    geometry: Geometry,
    weights: np.ndarray,
    patterns: List[Pattern],
    layout: PatternLayout,
) -> np.ndarray:
    """Store the weights as the layout states; the result is flat and aligned."""
    channels = geometry.channels
    filters = geometry.multiplier
    kernel_rows = geometry.rows.taps
    pattern_weights = zeros((kernel_rows, layout.kernel_row_size), weights.dtype.type)
    for pattern, vectors, start in zip(patterns, layout.vectors, layout.start):
        size = vectors * VECTOR_SIZE
        channel_rows = np.zeros((kernel_rows, channels, size), weights.dtype)
        for i, tap in enumerate(pattern):
            channel_rows[:, :, i * filters : (i + 1) * filters] = weights[:, tap]
        flat_rows = channel_rows.reshape(kernel_rows, channels * size)
        pattern_weights[:, start : start + channels * size] = flat_rows
    return pattern_weights.ravel()


def _list_image_runs(
    geometry: Geometry,
    line_runs: LineRuns,
    layout: PatternLayout,
) -> ImageRuns:
    """Combine each triple of the rows with each run along a row, for each part.

    Runs may be long.
    """
    rows = geometry.rows
    columns = geometry.columns
    position = np.add.outer(rows.input * columns.size, line_runs.position).ravel()
    window = np.add.outer(rows.output * columns.outputs, line_runs.window).ravel()
    pattern_start = layout.start[line_runs.pattern]
    start = np.add.outer(rows.tap * layout.kernel_row_size, pattern_start).ravel()
    vectors = np.tile(layout.vectors[line_runs.pattern], len(rows.input))
    weight_stride = vectors * VECTOR_SIZE
    first_neuron = position * geometry.channels
    parts = geometry.parts
    part = np.arange(parts)
    first_target = window * geometry.filters
    return ImageRuns(
        position=np.add.outer(position * parts, part).ravel(),
        target=np.add.outer(first_target, part * geometry.multiplier).ravel(),
        # So that the weights of neuron i begin at weight_start + i × weight_stride
        weight_start=np.repeat(start - first_neuron * weight_stride, parts),
        weight_stride=np.repeat(weight_stride, parts),
        vectors=np.repeat(vectors, parts),
    )


def _cut_runs(runs: ImageRuns) -> ImageRuns:
    """Cut runs into runs of at most `RUN_VECTORS` vectors."""
    cuts = divide_up(runs.vectors, RUN_VECTORS)
    whole_runs = take_rows(runs, np.repeat(np.arange(len(cuts)), cuts))
    vectors_before = number_within_groups(cuts) * RUN_VECTORS
    numbers_before = vectors_before * VECTOR_SIZE
    return ImageRuns(
        position=whole_runs.position,
        target=whole_runs.target + numbers_before,
        weight_start=whole_runs.weight_start + numbers_before,
        weight_stride=whole_runs.weight_stride,
        vectors=np.minimum(whole_runs.vectors - vectors_before, RUN_VECTORS),
    )


def list_arrivals(geometry: Geometry, weights: np.ndarray) -> ArrivalTable:
    """List where spikes arrive, in the fastest layout. A filter reads one channel.

    `weights` has the weights by tap and filter, in any shape, or only by filter if they
    are the same for all taps.
    """
    if geometry.filters > geometry.channels or geometry.channels < WORD_SIZE // 2:
        table = list_neuron_arrivals(geometry, weights)
    else:
        table = _list_position_arrivals(geometry, weights)
    places = len(table.arrival_start) - 1
    if not np.array_equal(table.arrival_start, np.arange(places + 1)):
        return table
    # Each position or neuron has one arrival, of the same number.
    empty = np.zeros(0, np.int32)
    if np.array_equal(table.target, np.arange(places) * table.channels):
        weight = np.add.outer(table.weight_start, np.arange(table.channels))
        neuron_weights = _append_word(table.weights[weight.ravel()])
        return ArrivalTable(SAME_NEURON, neuron_weights, empty, empty, empty, 1, 1)
    if table.layout == BY_NEURON:
        return table._replace(layout=ONE_ARRIVAL, arrival_start=empty)
    return table


def has_small_groups(geometry: Geometry) -> bool:
    """Whether `list_group_arrivals` is the fastest table of a projection."""
    group_size = geometry.channels_read
    return (
        geometry.pairing == "grouped"
        and geometry.multiplier == group_size
        and WORD_SIZE % group_size == 0
        and group_size <= MAX_GROUP_SIZE
        and geometry.channels >= WORD_SIZE // 2
    )


def list_group_arrivals(geometry: Geometry, weights: np.ndarray) -> ArrivalTable:
    """List where the spikes of each position arrive, of groups of few channels.

    `weights` has the shape `geometry.kernel_shape`; see `has_small_groups`.
    """
    table = _list_position_arrivals(
        geometry,
        weights_by_filter(weights, geometry.groups),
    )
    weight_start = table.weight_start * np.int32(geometry.channels_read)
    return table._replace(
        weight_start=weight_start,
        group_size=geometry.channels_read,
    )


def list_neuron_arrivals(geometry: Geometry, weights: np.ndarray) -> ArrivalTable:
    """List where the spikes of each neuron arrive; see `list_arrivals`."""
    neurons = geometry.rows.size * geometry.columns.size * geometry.channels
    filters = np.arange(geometry.filters)
    channel = filters // geometry.multiplier
    arrivals = _list_window_arrivals(geometry, weights.size)
    first_neuron = arrivals.position * geometry.channels
    neuron_arrivals = Arrivals(
        position=np.add.outer(first_neuron, channel).ravel(),
        target=np.add.outer(arrivals.target, filters).ravel(),
        weight_start=np.add.outer(arrivals.weight_start, filters).ravel(),
    )
    return _store_arrivals(BY_NEURON, neuron_arrivals, neurons, weights, 1)


def _list_position_arrivals(geometry: Geometry, weights: np.ndarray) -> ArrivalTable:
    """List where the spikes of each position arrive; see `list_arrivals`."""
    positions = geometry.rows.size * geometry.columns.size
    arrivals = _list_window_arrivals(geometry, weights.size)
    return _store_arrivals(BY_POSITION, arrivals, positions, weights, geometry.channels)


def _list_window_arrivals(geometry: Geometry, weights: int) -> Arrivals:
    """Make an arrival of each triple; `weights` is the number of weights."""
    triples = list_triples(geometry)
    is_same_for_taps = weights == geometry.filters
    return Arrivals(
        position=triples.position,
        target=triples.window * geometry.filters,
        weight_start=triples.tap * (0 if is_same_for_taps else geometry.filters),
    )


def _store_arrivals(
    layout: int,
    arrivals: Arrivals,
    places: int,
    weights: np.ndarray,
    channels: int,
) -> ArrivalTable:
    """Sort arrivals by position and target, and make a table of a layout.

    `places` is the number of positions, or of neurons, which have one channel each.
    """
    arrivals = take_rows(arrivals, np.lexsort((arrivals.target, arrivals.position)))
    return ArrivalTable(
        layout=layout,
        weights=_append_word(weights.ravel()),
        arrival_start=find_group_starts(arrivals.position, places).astype(np.int32),
        target=arrivals.target.astype(np.int32),
        weight_start=arrivals.weight_start.astype(np.int32),
        channels=channels,
        group_size=1,
    )


def _append_word(weights: np.ndarray) -> np.ndarray:
    """Copy flat weights, aligned, with `WORD_SIZE` zeros after them."""
    return align(np.append(weights, np.zeros(WORD_SIZE, weights.dtype)))


def list_dense_taps(geometry: Geometry, weights: np.ndarray) -> DenseTapTable:
    """List the position under each tap of each window. Filters read all channels.

    `weights` has the shape `geometry.kernel_shape`.
    """
    rows = geometry.rows.taps * geometry.columns.taps * geometry.channels
    return DenseTapTable(
        first_input=_list_window_inputs(geometry, geometry.channels),
        weights=_store_groups(
            weights.reshape(rows, geometry.filters),
            GROUP_WIDTHS[1:],
        ),
        channels=geometry.channels,
        filters=geometry.filters,
    )


def list_channel_taps(geometry: Geometry, weights: np.ndarray) -> ChannelTapTable:
    """List the position under each tap of each window. A filter reads one channel.

    `weights` has the shape `geometry.kernel_shape`. The values that the table is used
    for are repeated for each filter of a channel.
    """
    first_input = _list_window_inputs(geometry, geometry.filters)
    return ChannelTapTable(first_input, weights.ravel(), geometry.filters)


def _list_window_inputs(geometry: Geometry, channels: int) -> np.ndarray:
    """Return `first_input` of `DenseTapTable` for an image of some channels."""
    windows = geometry.rows.outputs * geometry.columns.outputs
    taps = geometry.rows.taps * geometry.columns.taps
    triples = list_triples(geometry)
    first_input = np.full((windows, taps), PADDING, np.int32)
    first_input[triples.window, triples.tap] = triples.position * channels
    return first_input


def list_pooling_windows(geometry: Geometry) -> np.ndarray:
    """List the windows of each input of a pooling: int32, shape (windows, inputs).

    Column i has the output neurons whose windows contain input i, in rising order, and
    `PADDING` below if other inputs are in more windows.
    """
    positions = geometry.rows.size * geometry.columns.size
    triples = list_triples(geometry)
    triples = take_rows(triples, np.lexsort((triples.window, triples.position)))
    window_count = np.bincount(triples.position, minlength=positions)
    row = number_within_groups(window_count)
    windows = np.full((window_count.max(), positions), PADDING, np.int32)
    windows[row, triples.position] = triples.window
    channel = np.arange(geometry.channels, dtype=np.int32)
    first_neuron = windows[:, :, np.newaxis] * np.int32(geometry.filters)
    neurons = first_neuron + channel
    neurons[windows == PADDING] = PADDING
    return neurons.reshape(len(windows), positions * geometry.channels)


def list_triples(geometry: Geometry) -> Triples:
    """Combine each triple of the rows with each triple of the columns."""
    rows = geometry.rows
    columns = geometry.columns
    return Triples(
        position=np.add.outer(rows.input * columns.size, columns.input).ravel(),
        window=np.add.outer(rows.output * columns.outputs, columns.output).ravel(),
        tap=np.add.outer(rows.tap * columns.taps, columns.tap).ravel(),
    )


def take_rows(table: Table, rows: np.ndarray) -> Table:
    """Return some rows of a table, by their indices, in this order."""
    return table._make(column[rows] for column in table)


def find_group_starts(group: np.ndarray, groups: int) -> np.ndarray:
    """Return the first row of each group, and the number of rows: int64 (groups + 1,).

    `group` has the group of each row, in rising order. The groups 0, 0, 2 of three
    groups start at 0, 2, 2, and end at 3.
    """
    return np.searchsorted(group, np.arange(groups + 1))


def find_stretch_starts(continues_stretch: np.ndarray, rows: int) -> np.ndarray:
    """Return the first row of each stretch, and the number of rows: int64.

    `continues_stretch` is bool (rows - 1,), or empty without rows: whether each row but
    the first continues the stretch of the row before it. True, False, True of 4 rows
    give 0, 2, 4.
    """
    starts_stretch = np.ones(rows, np.bool_)
    starts_stretch[1:] = ~continues_stretch
    return np.append(np.flatnonzero(starts_stretch), rows)


def number_within_groups(sizes: np.ndarray) -> np.ndarray:
    """Return the number of each row in its group, from 0 on: int64.

    The sizes 3, 0, 2 give 0, 1, 2, 0, 1.
    """
    start = np.cumsum(sizes) - sizes
    return np.arange(sizes.sum()) - np.repeat(start, sizes)


def divide_up(number: Number, divisor: int) -> Number:
    """Divide and round up: 7 by 3 gives 3."""
    return -(-number // divisor)
