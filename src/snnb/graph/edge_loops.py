"""Compiled loops that generate edges in order of source, then target. Importing this module imports numba."""

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
    multiplier: int  # number of filters that a channel meets, of which the first is channel × `step`
    step: int
    column_taps: int  # kernel columns
    position: np.ndarray  # (sources,) int64: flat position of each source in the layer's input, -1 for none
    # int64: the triples of both axes in the order of the input (`Axis`)
    row_start: np.ndarray
    row_output: np.ndarray
    row_tap: np.ndarray
    column_start: np.ndarray
    column_output: np.ndarray
    column_tap: np.ndarray
    kernel: np.ndarray  # float32, read-only: flat, of shape (row taps, column taps, channels, multiplier), or empty
    scale: np.ndarray  # float32: flat, of shape (rows, columns): without a kernel, the weight of each output position


# Only loops over slices are vectorised: numba cannot exclude that an index which is a sum is negative.
# A batch is passed as four arrays: with one named tuple numba 0.58 fails in some runs ("can't unbox array").


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
    """Write all edges of the sources from index `start` on, as many as fit into the arrays of an `EdgeBatch`.

    `rate` is float32 (sources,). Return the number of edges written, and the index of the next source.
    """
    filled, channels, n_filters = 0, stream.channels, stream.multiplier
    kernel, scale = stream.kernel, stream.scale
    while start < stream.position.size:
        position = stream.position[start]
        if position < 0:
            start += 1
            continue
        channel = position % channels
        column = position // channels % stream.width
        row = position // (channels * stream.width)
        row_from, row_to = stream.row_start[row], stream.row_start[row + 1]
        column_from, column_to = stream.column_start[column], stream.column_start[column + 1]
        taps, run = (row_to - row_from) * (column_to - column_from), 1
        if n_filters == 1:  # as in poolings: the next channels of this position have the same taps
            last = min(channels - channel, stream.position.size - start)
            while run < last and stream.position[start + run] == position + run:
                run += 1
        run = min(run, (source.size - filled) // max(1, taps * n_filters))
        if run == 0:
            break
        node, value, end = stream.first_source + start, rate[start], filled + run * taps * n_filters
        for i in range(row_from, row_to):
            for j in range(column_from, column_to):
                output = stream.row_output[i] * stream.columns + stream.column_output[j]
                first = stream.first_target + output * stream.filters + channel * stream.step
                tap = stream.row_tap[i] * stream.column_taps + stream.column_tap[j]
                if n_filters == 1:
                    rates, elements = rate[start:], kernel[tap * channels + channel :]
                    sources, targets = source[filled:end:taps], target[filled:end:taps]
                    weights, edges = weight[filled:end:taps], edge[filled:end:taps]
                    for k in range(run):
                        weight_of_edge = scale[output] if scale.size else elements[k]
                        sources[k], targets[k] = node + k, first + k * stream.step
                        weights[k], edges[k] = weight_of_edge, rates[k] * weight_of_edge
                    filled += 1
                    continue
                elements, stop = kernel[(tap * channels + channel) * n_filters :][:n_filters], filled + n_filters
                sources, targets = source[filled:stop], target[filled:stop]
                weights, edges = weight[filled:stop], edge[filled:stop]
                for f in range(n_filters):
                    sources[f] = node
                for f in range(n_filters):
                    targets[f] = first + f
                for f in range(n_filters):
                    weights[f] = elements[f]
                    edges[f] = value * elements[f]
                filled = stop
        filled, start = end, start + run
    return filled, start


class Inputs(NamedTuple):
    """The input rows and columns in the window of each output row and column, in CSR form."""

    row_start: np.ndarray
    row_input: np.ndarray
    column_start: np.ndarray
    column_input: np.ndarray


@compiled
def list_sources(
    ids: np.ndarray, inputs: Inputs, filters: int, multiplier: int, start: int, stop: int, source: np.ndarray
) -> None:
    """Write the source ids of targets `start` to `stop`, target after target; `multiplier` is 0 for a dense pairing."""
    filled = 0
    columns = inputs.column_start.size - 1
    for target in range(start, stop):
        output, in_output = target // filters, target % filters
        row, column = output // columns, output % columns
        first, last = (in_output // multiplier, in_output // multiplier + 1) if multiplier else (0, ids.shape[2])
        for i in range(inputs.row_start[row], inputs.row_start[row + 1]):
            for j in range(inputs.column_start[column], inputs.column_start[column + 1]):
                for k in range(first, last):
                    node = ids[inputs.row_input[i], inputs.column_input[j], k]
                    if node >= 0:
                        source[filled] = node
                        filled += 1


@compiled
def scatter(keys: np.ndarray, values: np.ndarray, ends: np.ndarray, out: np.ndarray) -> None:
    """Write each value to the next place of its key, `ends[key]`, which is updated."""
    for k in range(keys.size):
        place = ends[keys[k]]
        out[place] = values[k]
        ends[keys[k]] = place + 1


@compiled
def unite_parallel(offsets: np.ndarray, targets: np.ndarray, weights: np.ndarray, start: np.ndarray) -> int:
    """Sort the edges of each source by target in place, with one edge for several onto the same target.

    `offsets` (sources + 1,) are of each source's first edge; `start`, of the same shape, receives those of the edges
    that are left, which are then at the beginning of `targets` and `weights`. Return the number of these edges.
    """
    filled = 0
    for source in range(offsets.size - 1):
        first, last = offsets[source], offsets[source + 1]
        start[source] = filled
        if first == last:
            continue
        target, weight = targets[first:last].copy(), weights[first:last].copy()
        order = np.argsort(target, kind="mergesort")
        total = np.float64(weight[order[0]])
        for i in range(1, target.size):
            if target[order[i]] != target[order[i - 1]]:
                targets[filled], weights[filled] = target[order[i - 1]], total
                filled += 1
                total = np.float64(0)
            total += weight[order[i]]
        targets[filled], weights[filled] = target[order[-1]], total
        filled += 1
    start[offsets.size - 1] = filled
    return filled
