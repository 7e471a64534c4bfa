"""Edges in arrays, and the synapses that one layer makes between two populations.

The synapses are generated from the kernel and the geometry of the layer.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Iterator, NamedTuple, Optional, Tuple

import h5py
import numpy as np

from snnb.core.errors import UsageError
from snnb.graph.populations import GraphPopulation, to_integers
from snnb.io.hdf5 import mapped_array, whole
from snnb.network.geometry import PADDING, Geometry
from snnb.network.layers import Layer

if TYPE_CHECKING:
    from snnb.graph.edge_loops import Stream

INT32_LIMIT = 2**31 - 1  # tests lower it so that 64-bit ids run on small graphs


def index_dtype(count: int) -> np.dtype:
    """Return the integer type of ids below `count`: 32 bits while they fit."""
    return np.dtype(np.int32 if count <= INT32_LIMIT else np.int64)


EDGE_VALUES = ("weight", "edge")


class EdgeBatch(NamedTuple):
    """Some edges, in arrays that the next batch of an iteration overwrites."""

    source: np.ndarray  # int32 or int64 (edges,), as `target`: ids of nodes
    target: np.ndarray
    weight: np.ndarray  # float32 (edges,): weight of the synapse
    edge: np.ndarray  # float32 (edges,): float32(rate of the source) × weight

    def part(self, start: int, stop: int) -> "EdgeBatch":
        """Return views of the edges `start` to `stop`."""
        return EdgeBatch(*(values[start:stop] for values in self))


def check_values(values: str) -> None:
    """Raise `UsageError` unless `values` is `weight` or `edge`."""
    if values not in EDGE_VALUES:
        choices = ", ".join(EDGE_VALUES)
        raise UsageError(f"values {values!r} is unknown; use one of {choices}")


def edge_buffer(edges: int, kind: np.dtype) -> EdgeBatch:
    """Return uninitialised arrays for a number of edges, with ids of type `kind`."""
    return EdgeBatch(
        source=np.empty(edges, kind),
        target=np.empty(edges, kind),
        weight=np.empty(edges, np.float32),
        edge=np.empty(edges, np.float32),
    )


def offsets_of(sizes: np.ndarray) -> np.ndarray:
    """Return the offsets of consecutive lists of these sizes, and their end.

    Both are in one array, int64, shape (lists + 1,): the sizes 3, 0 and 2 give 0, 3, 3,
    5.
    """
    return np.concatenate([[0], np.cumsum(sizes)])


MAX_NEURONS = 1 << 16  # in a range, since neurons without edges need memory too


def ranges(
    degrees: np.ndarray,
    max_edges: int,
    max_neurons: int = MAX_NEURONS,
) -> Iterator[Tuple[int, int]]:
    """Divide neurons of these degrees into consecutive ranges, as start and stop.

    `degrees` is int64, shape (neurons,). A range has at most `max_edges` edges and
    `max_neurons` neurons; a neuron with more edges is a range.
    """
    ends = offsets_of(degrees)
    start = 0
    while start < degrees.size:
        stop = int(np.searchsorted(ends, ends[start] + max_edges, side="right")) - 1
        stop = min(max(stop, start + 1), start + max_neurons, degrees.size)
        yield start, stop
        start = stop


Neighbours = Tuple[np.ndarray, np.ndarray]  # ids and weights


@dataclass(frozen=True, eq=False)
class Connection:
    """All synapses from neurons of `source` onto `target` by one layer.

    A source at several positions of the layer's input (`parallel`) may have several
    synapses onto the same target here; `GraphProjection` merges them.
    """

    source: GraphPopulation
    target: GraphPopulation
    layer: Layer
    geometry: Geometry
    # `kernel`: the weight is kernel[i, j, k, f mod m], where m is the number of filters
    # that a channel meets; `one`: 1; `mean`: 1 / (taps in the window)
    weighting: str
    parallel: bool  # whether a neuron is at several positions of the layer's input
    first_id: int  # id of the node at the first position if ids are consecutive
    # If ids are not consecutive: the node at each position, -1 for padding
    stored_ids: Optional[h5py.Dataset]
    stored_kernel: Optional[h5py.Dataset]
    # Factor that makes the weights integers; None for weights in thresholds
    unit: Optional[np.ndarray] = None
    delay: int = 0  # time steps from a spike to its arrival: 0 is the same step

    @cached_property
    def ids(self) -> np.ndarray:
        """Node at each position of the layer's input.

        -1 for other populations and padding.

        int64, shape of the input volume.
        """
        if self.stored_ids is None:
            shape = self.geometry.input_volume
            ids = (self.first_id + np.arange(math.prod(shape))).reshape(shape)
        else:
            ids = whole(self.stored_ids).astype(np.int64)
        source_end = self.source.first + self.source.size
        ids[(ids < self.source.first) | (ids >= source_end)] = PADDING
        return ids

    @cached_property
    def where(self) -> np.ndarray:
        """Flat position of each source, -1 for none; not for parallel connections.

        int64, shape (sources,).
        """
        position = np.full(self.source.size, PADDING, np.int64)
        flat = self.ids.ravel()
        real_positions = np.flatnonzero(flat != PADDING)
        position[flat[real_positions] - self.source.first] = real_positions
        return position

    @cached_property
    def positions(self) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Index of the first entry of each source, and the entries.

        The entries are two arrays, the sources by index and their flat positions. An
        entry is a source at a position. Entries are sorted by source, then by position.
        """
        flat = self.ids.ravel()
        position = np.flatnonzero(flat != PADDING)
        index = flat[position] - self.source.first
        order = np.argsort(index, kind="stable")
        begin = np.searchsorted(index[order], np.arange(self.source.size + 1))
        return begin, index[order], position[order]

    @cached_property
    def kernel(self) -> Optional[np.ndarray]:
        """Weights of the kernel; None for poolings.

        float32, shape (row taps, column taps, channels, filters that a channel meets).
        """
        if self.stored_kernel is None:
            return None
        kernel = mapped_array(self.stored_kernel)
        return kernel if self.unit is None else to_integers(kernel, self.unit)

    @property
    def has_zeros(self) -> bool:
        """Whether a weight is 0."""
        return self.kernel is not None and not self.kernel.all()

    @cached_property
    def scale(self) -> np.ndarray:
        """Weight of the synapses of each output position; empty with a kernel.

        float32, shape (rows, columns).
        """
        if self.weighting == "kernel":
            return np.empty((0, 0), np.float32)
        if self.weighting == "one":
            return np.ones(self.geometry.output_volume[:2], np.float32)
        return (1 / np.maximum(self.geometry.taps(), 1)).astype(np.float32)

    @cached_property
    def out_degrees(self) -> np.ndarray:
        """Connections of each source, int64, shape (sources,).

        Not for parallel connections.
        """
        fan_out = self._fan_out[self.where // self.geometry.channels]
        return np.where(self.where == PADDING, 0, fan_out)

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """Connections onto each target: int64, shape (targets,)."""
        return self.geometry.fan_in(self.ids != PADDING).ravel()

    @cached_property
    def _fan_out(self) -> np.ndarray:
        """Connections that leave a channel of each input position: int64, flat."""
        return self.geometry.fan_out().ravel()

    def edges_of(self, start: int, stop: int) -> EdgeBatch:
        """Return the edges of the sources `start` to `stop - 1` for a rate of 1.

        They are sorted by source, then position, then target.
        """
        from snnb.graph.edge_loops import fill

        begin, index, position = self.positions
        part = slice(begin[start], begin[stop])
        index = index[part]
        position = position[part]
        fan_out = self._fan_out[position // self.geometry.channels]
        batch = edge_buffer(int(fan_out.sum()), np.dtype(np.int64))
        stream = self.stream._replace(position=position, first_source=0)
        fill(stream, np.ones(position.size, np.float32), 0, *batch)
        return batch._replace(source=self.source.first + index[batch.source])

    def sources_of(self, target: int) -> Neighbours:
        """Return ids and weights of the sources of a node, one for each tap."""
        geometry = self.geometry
        output, in_output = divmod(target - self.target.first, geometry.filters)
        row, column = divmod(output, geometry.columns.outputs)
        row_triples = np.flatnonzero(geometry.rows.output == row)
        column_triples = np.flatnonzero(geometry.columns.output == column)
        part, filter_of_part = divmod(in_output, geometry.multiplier)
        first_channel = part * geometry.channels_read
        channels = slice(first_channel, first_channel + geometry.channels_read)
        input_rows = geometry.rows.input[row_triples][:, None]
        input_columns = geometry.columns.input[column_triples]
        sources = self.ids[input_rows, input_columns, channels]
        if self.kernel is not None:
            row_taps = geometry.rows.tap[row_triples][:, None]
            column_taps = geometry.columns.tap[column_triples][None, :]
            weights = self.kernel[row_taps, column_taps, channels, filter_of_part]
        else:
            weights = np.full(sources.shape, self.scale[row, column])
        is_source = sources != PADDING
        return sources[is_source], weights[is_source]

    def sources_of_range(
        self,
        start: int,
        stop: int,
        *,
        by_position: bool = False,
    ) -> np.ndarray:
        """Return the ids of the sources of some targets, target after target.

        The targets are `start` to `stop - 1` by index; the array is int64, flat.
        `by_position`: `start` and `stop` count output positions, whose targets share
        all sources; only for dense pairing.
        """
        from snnb.graph.edge_loops import Inputs, list_sources

        geometry = self.geometry
        targets_per_step = geometry.filters if by_position else 1
        degrees = self.in_degrees[::targets_per_step][start:stop]
        ids = np.empty(int(degrees.sum()), np.int64)
        row_order, row_start = geometry.rows.by_output()
        column_order, column_start = geometry.columns.by_output()
        inputs = Inputs(
            row_start,
            geometry.rows.input[row_order],
            column_start,
            geometry.columns.input[column_order],
        )
        filters = 1 if by_position else geometry.filters
        list_sources(
            self.ids,
            inputs,
            filters,
            geometry.multiplier,
            geometry.channels_read,
            start,
            stop,
            ids,
        )
        return ids

    @cached_property
    def stream(self) -> "Stream":
        """Arguments of the loops that generate edges, without positions of sources."""
        from snnb.graph.edge_loops import Stream

        geometry = self.geometry
        # Flat and read-only, whether it is mapped into memory or not: another type is
        # compiled again.
        kernel = np.empty(0, np.float32)
        if self.kernel is not None:
            kernel = self.kernel.reshape(-1)
        kernel.flags.writeable = False
        return Stream(
            first_source=self.source.first,
            first_target=self.target.first,
            width=geometry.columns.size,
            channels=geometry.channels,
            columns=geometry.columns.outputs,
            filters=geometry.filters,
            multiplier=geometry.multiplier,
            channels_read=geometry.channels_read,
            column_taps=geometry.columns.taps,
            position=np.empty(0, np.int64),
            row_start=geometry.rows.starts(),
            row_output=geometry.rows.output,
            row_tap=geometry.rows.tap,
            column_start=geometry.columns.starts(),
            column_output=geometry.columns.output,
            column_tap=geometry.columns.tap,
            kernel=kernel,
            scale=self.scale.reshape(-1),
        )
