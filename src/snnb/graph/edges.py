"""Edges in arrays, the arguments of the loops that generate them, and ranges of neurons by number of edges."""

from typing import Iterator, NamedTuple, Tuple

import numpy as np

from snnb.core.errors import UsageError

EDGE_VALUES = ("weight", "edge")


class EdgeBatch(NamedTuple):
    """Some edges, in arrays that the next batch of an iteration overwrites.

    Attributes
    ----------
    source, target : (edges,) int32 or int64 array of node ids
    weight, edge : (edges,) float32 array; weight of the synapse, and float32(rate of the source) × weight
    """

    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    edge: np.ndarray

    def part(self, start: int, stop: int) -> "EdgeBatch":
        """Return views of the edges `start` to `stop`."""
        return EdgeBatch(*(values[start:stop] for values in self))


def check_values(values: str) -> None:
    """Raise `UsageError` unless `values` names the values of edges: `weight` or `edge`."""
    if values not in EDGE_VALUES:
        raise UsageError(f"values {values!r} is unknown; use one of {', '.join(EDGE_VALUES)}")


def edge_buffer(edges: int, kind: np.dtype) -> EdgeBatch:
    """Return uninitialised arrays for a number of edges, with ids of type `kind`."""
    return EdgeBatch(*(np.empty(edges, dtype) for dtype in (kind, kind, np.float32, np.float32)))


class Stream(NamedTuple):
    """Arguments of the compiled loops that generate edges.

    Attributes
    ----------
    first_source, first_target : int
    width, channels, columns, filters, multiplier, column_taps : int
        Lengths of the last two axes of input and output volume, filters that a channel meets, kernel columns.
    position : (sources,) int64 array
        Flat position of each source in the layer's input, -1 for none.
    row_start, row_output, row_tap, column_start, column_output, column_tap : int64 array
        The triples of both axes in the order of the input (`Axis`).
    kernel : (row taps, column taps, channels, multiplier) float32 array, or empty
    scale : (rows, columns) float32 array, or empty
        Without a kernel, the weight of every edge into an output position.
    """

    first_source: int
    first_target: int
    width: int
    channels: int
    columns: int
    filters: int
    multiplier: int
    column_taps: int
    position: np.ndarray
    row_start: np.ndarray
    row_output: np.ndarray
    row_tap: np.ndarray
    column_start: np.ndarray
    column_output: np.ndarray
    column_tap: np.ndarray
    kernel: np.ndarray
    scale: np.ndarray


MAX_NEURONS = 1 << 16  # in a range, since neurons without edges need memory too


def ranges(degrees: np.ndarray, max_edges: int, max_neurons: int = MAX_NEURONS) -> Iterator[Tuple[int, int]]:
    """Divide neurons into consecutive ranges; a neuron with more than `max_edges` edges is a range.

    Parameters
    ----------
    degrees : (neurons,) int64 array
    max_edges, max_neurons : int
        Largest numbers of edges and neurons in a range.
    """
    ends = np.concatenate([[0], np.cumsum(degrees)])
    start = 0
    while start < degrees.size:
        stop = int(np.searchsorted(ends, ends[start] + max_edges, side="right")) - 1
        stop = min(max(stop, start + 1), start + max_neurons, degrees.size)
        yield start, stop
        start = stop
