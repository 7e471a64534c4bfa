"""One projection: all synapses from one population to another, generated from kernel and geometry when asked for."""

from functools import cached_property
from typing import TYPE_CHECKING, Iterator, Optional, Tuple

import h5py
import numpy as np

from snnb.synapses.fields import require_finite
from snnb.synapses.generate import EdgeBatch, Stream, fill
from snnb.synapses.neighbours import sources_of, targets_of
from snnb.synapses.parallel import merge, merged_batches
from snnb.synapses.population import Population
from snnb.synapses.reindexing import Reindexing, Volume
from snnb.synapses.rules import PADDING, Connection
from snnb.synapses.stencil import window_reduce
from snnb.synapses.store import index_dtype, map_array

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CACHE_EDGES = 1 << 15  # 16 bytes an edge: half a megabyte, which stays in the second-level cache


class Projection:
    """The synapses from `source` to `target`.

    Attributes
    ----------
    source, target : Population
    connection : Connection
        Rule and geometry of the target's layer.
    reindexing : Reindexing
        Where the sources stand in the layer's input.
    """

    def __init__(
        self,
        source: Population,
        target: Population,
        connection: Connection,
        volume: Volume,
        kernel: Optional[h5py.Dataset],
        nodes: int,
    ) -> None:
        self.source = source
        self.target = target
        self.connection = connection
        self.reindexing = Reindexing(volume, source)
        self._kernel = kernel
        self._nodes = nodes

    def __repr__(self) -> str:
        return f"<Projection {self.source.name} → {self.target.name}: {self.connection.rule}>"

    @cached_property
    def kernel(self) -> Optional[np.ndarray]:
        """Weights, float32, shape (row taps, column taps, channels, filters a channel meets); None for poolings."""
        if self._kernel is None:
            return None
        kernel = map_array(self._kernel)
        require_finite(self._kernel, kernel)
        return kernel

    @cached_property
    def scale(self) -> np.ndarray:
        """Weight of every synapse of an output position, float32, shape (rows, columns); empty where a kernel tells."""
        connection = self.connection
        if connection.weighting == "kernel":
            return np.empty((0, 0), np.float32)
        if connection.weighting == "one":
            return np.ones(connection.output_volume[:2], np.float32)
        taps = np.multiply.outer(connection.rows.fan_in(), connection.columns.fan_in())
        return (1 / np.maximum(taps, 1)).astype(np.float32)

    @cached_property
    def out_degrees(self) -> np.ndarray:
        """Synapses of each source: int64, shape (sources,)."""
        if self.reindexing.parallel:
            return self._counted[0]
        where = self.reindexing.where
        rows = np.bincount(self.connection.rows.input, minlength=self.connection.rows.size)
        columns = np.bincount(self.connection.columns.input, minlength=self.connection.columns.size)
        fan_out = np.multiply.outer(rows, columns).ravel() * self.connection.multiplier
        return np.where(where == PADDING, 0, fan_out[where // self.connection.channels])

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """Synapses onto each target: int64, shape (targets,)."""
        if self.reindexing.parallel:
            return self._counted[1]
        real = (self.reindexing.ids != PADDING).astype(np.int64)
        if self.connection.pairing == "dense":
            real = real.sum(axis=2, keepdims=True)
        windows = window_reduce(self.connection.rows, self.connection.columns, real)
        repeats = self.connection.filters if self.connection.pairing == "dense" else self.connection.multiplier
        return np.repeat(windows, repeats, axis=2).ravel()

    @cached_property
    def number_of_edges(self) -> int:
        return int(self.out_degrees.sum())

    @cached_property
    def _counted(self) -> Tuple[np.ndarray, np.ndarray]:
        """Degrees counted edge by edge: merged connections have no closed form."""
        out = np.zeros(self.source.size, np.int64)
        into = np.zeros(self.target.size, np.int64)
        for batch in self.edge_batches():
            out += np.bincount(batch.source - self.source.first, minlength=out.size)
            into += np.bincount(batch.target - self.target.first, minlength=into.size)
        return out, into

    def edge_batches(self, max_edges: int = CACHE_EDGES, rate_scale: float = 1.0) -> Iterator[EdgeBatch]:
        """Generate the synapses, ordered by source, then target.

        Parameters
        ----------
        max_edges : int
            Most edges in a batch. Each batch overwrites the one before.
        rate_scale : float
            Factor on the rates, to have `edge` in another unit than per step.

        Yields
        ------
        EdgeBatch
        """
        rate = self.source.edge_rate(rate_scale)
        if self.reindexing.parallel:
            yield from merged_batches(self.successors, self.source.first, rate, max_edges, index_dtype(self._nodes))
            return
        batch = self.buffer(max(max_edges, int(self.out_degrees.max())))  # a source's edges are generated together
        start = 0
        while start < self.source.size:
            filled, start = fill(self._stream, rate, self.connection.pairing, start, batch)
            for begin in range(0, filled, max_edges):
                yield EdgeBatch(*(values[begin : min(begin + max_edges, filled)] for values in batch))

    def buffer(self, edges: int) -> EdgeBatch:
        """Return arrays for a number of edges."""
        kind = index_dtype(self._nodes)
        return EdgeBatch(*(np.empty(edges, dtype) for dtype in (kind, kind, np.float32, np.float32)))

    def edges_of(self, start: int, stop: int) -> EdgeBatch:
        """Return the edges of some sources in arrays of their own.

        Parameters
        ----------
        start, stop : int
            Indices of the first source and of the one behind the last, in the population.
        """
        rate = self.source.edge_rate(1.0)[:stop]
        if self.reindexing.parallel:
            parts = merged_batches(
                self.successors, self.source.first + start, rate[start:], CACHE_EDGES, index_dtype(self._nodes)
            )
            return EdgeBatch(*(np.concatenate(values) for values in zip(self.buffer(0), *parts)))
        batch = self.buffer(int(self.out_degrees[start:stop].sum()))
        fill(self._stream._replace(position=self.reindexing.where[:stop]), rate, self.connection.pairing, start, batch)
        return batch

    @cached_property
    def _stream(self) -> Stream:
        connection = self.connection
        return Stream(
            first_source=self.source.first,
            first_target=self.target.first,
            width=connection.columns.size,
            channels=connection.channels,
            columns=connection.columns.outputs,
            filters=connection.filters,
            multiplier=connection.multiplier,
            column_taps=connection.columns.taps,
            position=self.reindexing.where,
            row_start=connection.rows.starts(),
            row_output=connection.rows.output,
            row_tap=connection.rows.tap,
            column_start=connection.columns.starts(),
            column_output=connection.columns.output,
            column_tap=connection.columns.tap,
            kernel=np.empty((0,) * 4, np.float32) if self.kernel is None else self.kernel,
            scale=self.scale,
        )

    def successors(self, node: int) -> Tuple[np.ndarray, np.ndarray]:
        """Return ids (int64, ascending) and weights (float32) of the targets of one source."""
        found = [targets_of(self, position) for position in self.reindexing.positions_of(node).tolist()]
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        targets, weights = (np.concatenate(parts) for parts in zip(*found))
        return merge(targets, weights, self.connection.rule) if self.reindexing.parallel else (targets, weights)

    def predecessors(self, node: int) -> Tuple[np.ndarray, np.ndarray]:
        """Return ids (int64, ascending) and weights (float32) of the sources of one target."""
        sources, weights = sources_of(self, node - self.target.first)
        return merge(sources, weights, self.connection.rule)

    def to_scipy(self, values: str = "weight") -> "csr_matrix":
        """Return the projection as a sparse matrix of shape (sources, targets).

        Its transpose times the sources' activity is the targets' input, bias apart.

        Parameters
        ----------
        values : {"weight", "edge"}
        """
        from scipy.sparse import csr_matrix

        total = self.number_of_edges
        dtype = index_dtype(max(total, self.target.size))
        indices, data = np.empty(total, dtype), np.empty(total, np.float32)
        done = 0
        for batch in self.edge_batches():
            part = slice(done, done + batch.source.size)
            indices[part] = batch.target - self.target.first
            data[part] = getattr(batch, values)
            done = part.stop
        indptr = np.concatenate([[0], np.cumsum(self.out_degrees)]).astype(dtype)
        return csr_matrix((data, indices, indptr), shape=(self.source.size, self.target.size), copy=False)
