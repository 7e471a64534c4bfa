"""Compiled loops that generate edges in order of source, then target.

Importing this module imports numba.
"""

from typing import NamedTuple, Tuple

import numpy as np

from snnb.core.compiled import compiled


class Stream(NamedTuple):
    """Arguments of the compiled loops that generate edges."""

    first_source: int
    first_target: int
    # Lengths of the last two axes of input and output volume
    width: int
    channels: int
    columns: int
    filters: int
    # Number of filters that a channel meets, and of channels that meet the same filters
    multiplier: int
    channels_read: int
    column_taps: int  # kernel columns
    # int64, shape (sources,): flat position of each source in the layer's input, -1 for
    # none
    position: np.ndarray
    # int64: the triples of both axes in the order of the input (`Axis`)
    row_start: np.ndarray
    row_output: np.ndarray
    row_tap: np.ndarray
    column_start: np.ndarray
    column_output: np.ndarray
    column_tap: np.ndarray
    # float32, read-only: flat, of shape (row taps, column taps, channels, multiplier),
    # or empty
    kernel: np.ndarray
    # float32, flat, of shape (rows, columns): without a kernel, the weight of each
    # output position
    scale: np.ndarray


# Only loops over slices are vectorised: numba cannot exclude that an index which is a
# sum is negative. A batch is passed as four arrays: with one named tuple numba 0.58
# fails in some runs ("can't unbox array").


@compiled
def fill(
    stream: Stream,
    rate: np.ndarray,
    start: int,
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    edge: np.ndarray,
) -> Tuple[int, int]:
    """Write the edges of the sources from index `start` on into the arrays of a batch.

    It writes as many sources as fit, with all of their edges. `rate` is float32, shape
    (sources,). Return the number of edges written, and the index of the next source.
    """
    written = 0
    channels = stream.channels
    n_filters = stream.multiplier
    channels_read = stream.channels_read
    step = 1 if channels_read == 1 else 0  # from one source's target to the next one's
    kernel = stream.kernel
    scale = stream.scale
    while start < stream.position.size:
        position = stream.position[start]
        if position < 0:
            start += 1
            continue
        channel = position % channels
        column = position // channels % stream.width
        row = position // (channels * stream.width)
        first_filter = channel // channels_read * n_filters
        row_from = stream.row_start[row]
        row_to = stream.row_start[row + 1]
        column_from = stream.column_start[column]
        column_to = stream.column_start[column + 1]
        taps = (row_to - row_from) * (column_to - column_from)
        run = 1  # number of sources with the same taps
        if n_filters == 1:  # as in poolings: the next channels of this position
            # These have consecutive targets, or all the same ones.
            same = channels_read - channel % channels_read
            longest = channels - channel if channels_read == 1 else same
            longest = min(longest, stream.position.size - start)
            while run < longest and stream.position[start + run] == position + run:
                run += 1
        run = min(run, (source.size - written) // max(1, taps * n_filters))
        if run == 0:
            break
        node = stream.first_source + start
        node_rate = rate[start]
        end = written + run * taps * n_filters
        for i in range(row_from, row_to):
            for j in range(column_from, column_to):
                output = stream.row_output[i] * stream.columns + stream.column_output[j]
                position_target = stream.first_target + output * stream.filters
                tap_target = position_target + first_filter
                tap = stream.row_tap[i] * stream.column_taps + stream.column_tap[j]
                if n_filters == 1:
                    rates = rate[start:]
                    elements = kernel[tap * channels + channel :]
                    sources = source[written:end:taps]
                    targets = target[written:end:taps]
                    weights = weight[written:end:taps]
                    edges = edge[written:end:taps]
                    for k in range(run):
                        edge_weight = scale[output] if scale.size else elements[k]
                        sources[k] = node + k
                        targets[k] = tap_target + k * step
                        weights[k] = edge_weight
                        edges[k] = rates[k] * edge_weight
                    written += 1
                    continue
                first_element = (tap * channels + channel) * n_filters
                elements = kernel[first_element:][:n_filters]
                stop = written + n_filters
                sources = source[written:stop]
                targets = target[written:stop]
                weights = weight[written:stop]
                edges = edge[written:stop]
                for f in range(n_filters):
                    sources[f] = node
                for f in range(n_filters):
                    targets[f] = tap_target + f
                for f in range(n_filters):
                    weights[f] = elements[f]
                    edges[f] = node_rate * elements[f]
                written = stop
        written = end
        start += run
    return written, start


class Inputs(NamedTuple):
    """Input rows and columns in the window of each output, in CSR form."""

    row_start: np.ndarray
    row_input: np.ndarray
    column_start: np.ndarray
    column_input: np.ndarray


@compiled
def list_sources(
    ids: np.ndarray,
    inputs: Inputs,
    filters: int,
    multiplier: int,
    channels_read: int,
    start: int,
    stop: int,
    source: np.ndarray,
) -> None:
    """Write the ids of the sources of some targets, target after target.

    The targets are `start` to `stop - 1` by index. `ids` has the neuron at each
    position of the input. Of the `filters` of a position, each `multiplier` ones read
    the same `channels_read` channels.
    """
    written = 0
    columns = inputs.column_start.size - 1
    for target in range(start, stop):
        output = target // filters
        in_output = target % filters
        row = output // columns
        column = output % columns
        channel_from = in_output // multiplier * channels_read
        channel_to = channel_from + channels_read
        for i in range(inputs.row_start[row], inputs.row_start[row + 1]):
            input_row = inputs.row_input[i]
            for j in range(
                inputs.column_start[column],
                inputs.column_start[column + 1],
            ):
                input_column = inputs.column_input[j]
                for k in range(channel_from, channel_to):
                    node = ids[input_row, input_column, k]
                    if node >= 0:
                        source[written] = node
                        written += 1


@compiled
def scatter(
    keys: np.ndarray,
    values: np.ndarray,
    ends: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write each value to the next place of its key, `ends[key]`, which is updated."""
    for k in range(keys.size):
        place = ends[keys[k]]
        out[place] = values[k]
        ends[keys[k]] = place + 1


@compiled
def unite_parallel(
    offsets: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    start: np.ndarray,
) -> int:
    """Sort the edges of each source by target, and unite those onto the same target.

    `offsets`, shape (sources + 1,), has the offset of each source's first edge. The
    united edges are written to the beginning of `targets` and `weights`, their offsets
    to `start`, which has the shape of `offsets`. Return the number of united edges.
    """
    written = 0
    for source in range(offsets.size - 1):
        begin = offsets[source]
        end = offsets[source + 1]
        start[source] = written
        if begin == end:
            continue
        target = targets[begin:end].copy()
        weight = weights[begin:end].copy()
        order = np.argsort(target, kind="mergesort")
        total = np.float64(weight[order[0]])
        for i in range(1, target.size):
            if target[order[i]] != target[order[i - 1]]:
                targets[written] = target[order[i - 1]]
                weights[written] = total
                written += 1
                total = np.float64(0)
            total += weight[order[i]]
        targets[written] = target[order[-1]]
        weights[written] = total
        written += 1
    start[offsets.size - 1] = written
    return written
