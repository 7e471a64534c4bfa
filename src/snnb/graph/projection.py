"""All synapses from one population to another, generated from kernels and geometry on demand."""

from functools import cached_property
from typing import TYPE_CHECKING, Iterator, Sequence, Tuple

import numpy as np

from snnb.graph.connection import Connection, Neighbours
from snnb.graph.edges import EdgeBatch, check_values, edge_buffer, ranges
from snnb.graph.populations import GraphPopulation
from snnb.graph.store import index_dtype
from snnb.network.degrees import Degrees, Reading, count_synapses

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

CACHE_EDGES = 1 << 15  # 16 bytes an edge: half a megabyte, which stays in the second-level cache


class GraphProjection:
    """The synapses from `source` to `target`: at most one between two neurons.

    Attributes
    ----------
    source, target : GraphPopulation
    connections : tuple of Connection
        One for each layer between the two.
    merged : bool
        Whether two neurons may have several connections: by several layers, or because a source is at several
        positions of a layer's input. They are one synapse, whose weight is the sum. Also true of a pruned network's:
        sums over its synapses need a list of them.
    """

    def __init__(self, connections: Sequence[Connection], nodes: int) -> None:
        self.connections = tuple(connections)
        self.source: GraphPopulation = connections[0].source
        self.target: GraphPopulation = connections[0].target
        self.merged = len(connections) > 1 or connections[0].positions.parallel
        self._nodes = nodes

    def __repr__(self) -> str:
        return f"<GraphProjection {self.source.name} → {self.target.name}: {self.rule}>"

    @property
    def rule(self) -> str:
        """The Keras classes of the layers between source and target."""
        return " + ".join(connection.layer.kind for connection in self.connections)

    @cached_property
    def out_degrees(self) -> np.ndarray:
        """Synapses of each source: int64, shape (sources,)."""
        return self._counted.out if self.merged else self.connections[0].out_degrees

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """Synapses onto each target: int64, shape (targets,)."""
        return self._counted.into if self.merged else self.connections[0].in_degrees

    @cached_property
    def number_of_edges(self) -> int:
        """Number of synapses."""
        return int(self.out_degrees.sum())

    @cached_property
    def _counted(self) -> Degrees:
        readings = [Reading(connection.positions.ids, connection.geometry) for connection in self.connections]
        return count_synapses(readings, self.source.first, self.source.size)

    def edge_batches(self, max_edges: int = CACHE_EDGES, rate_scale: float = 1.0) -> Iterator[EdgeBatch]:
        """Generate the synapses, ordered by source, then target.

        Parameters
        ----------
        max_edges : int
            Largest number of edges in a batch. Each batch overwrites the one before.
        rate_scale : float
            Factor from rates per time step to the unit of `edge`.
        """
        rate = self.source.edge_rate(rate_scale)
        for batch, filled in self._merged(rate, max_edges) if self.merged else self._unmerged(rate, max_edges):
            for begin in range(0, filled, max_edges):
                yield batch.part(begin, min(begin + max_edges, filled))

    def _unmerged(self, rate: np.ndarray, max_edges: int) -> Iterator[Tuple[EdgeBatch, int]]:
        """Yield a reused buffer and the number of edges in it, all edges of a source together."""
        from snnb.graph.edge_loops import fill

        (connection,) = self.connections
        batch = edge_buffer(max(max_edges, int(self.out_degrees.max())), index_dtype(self._nodes))
        stream, start = connection.stream(connection.positions.where), 0
        while start < self.source.size:
            filled, start = fill(stream, rate, connection.geometry.pairing, start, batch)
            yield batch, filled

    def _merged(self, rate: np.ndarray, max_edges: int) -> Iterator[Tuple[EdgeBatch, int]]:
        for start, stop in ranges(self.out_degrees, max_edges):
            batch = self._merged_edges(start, stop, rate)
            yield batch, batch.source.size

    def _merged_edges(self, start: int, stop: int, rate: np.ndarray) -> EdgeBatch:
        """Return the edges of some sources, connections of the same two neurons summed."""
        first, size = self.target.first, self.target.size
        parts = [connection.edges_of(start, stop) for connection in self.connections]
        key = np.concatenate([part.source * size + (part.target - first) for part in parts])
        key, weight = self._sum_equal(key, np.concatenate([part.weight for part in parts]))
        source, target = np.divmod(key, size)
        dtype = index_dtype(self._nodes)
        edge = rate[source - self.source.first] * weight
        return EdgeBatch(source.astype(dtype), (first + target).astype(dtype), weight, edge)

    def _sum_equal(self, key: np.ndarray, weight: np.ndarray) -> Neighbours:
        """Return the distinct keys, ascending, and the sum of the weights of each; 1 for max pooling."""
        order = np.argsort(key, kind="stable")  # linear in time for a few sorted runs
        key = key[order]
        distinct = np.diff(key, prepend=-1) != 0
        if not distinct.all() and self.connections[0].layer.WEIGHTING == "maximum":
            return key[distinct], np.ones(np.count_nonzero(distinct), np.float32)
        return key[distinct], np.bincount(np.cumsum(distinct) - 1, weight[order]).astype(np.float32)

    def edges_of(self, start: int, stop: int) -> EdgeBatch:
        """Return the edges of the sources `start` to `stop - 1`, by index in their population, in new arrays."""
        from snnb.graph.edge_loops import fill

        rate = self.source.edge_rate(1.0)
        if self.merged:
            return self._merged_edges(start, stop, rate)
        (connection,) = self.connections
        batch = edge_buffer(int(self.out_degrees[start:stop].sum()), index_dtype(self._nodes))
        stream = connection.stream(connection.positions.where[:stop])
        fill(stream, rate, connection.geometry.pairing, start, batch)
        return batch

    def sources_of_range(self, start: int, stop: int) -> np.ndarray:
        """Return the source ids of the targets `start` to `stop - 1`, target after target: int32 or int64, flat."""
        nodes = self.source.first + self.source.size
        ids = []
        for connection in self.connections:
            degrees = connection.in_degrees[start:stop]
            sources = np.empty(int(degrees.sum()), index_dtype(nodes))
            connection.sources_of_range(start, stop, sources)
            ids.append(sources if not self.merged else np.repeat(np.arange(stop - start), degrees) * nodes + sources)
        return np.unique(np.concatenate(ids)) % nodes if self.merged else ids[0]

    def successors(self, node: int) -> Neighbours:
        """Return ids (int64, ascending) and weights (float32) of the targets of one source."""
        index = node - self.source.first
        edges = self.edges_of(index, index + 1)
        return edges.target.astype(np.int64), edges.weight

    def predecessors(self, node: int) -> Neighbours:
        """Return ids (int64, ascending) and weights (float32) of the sources of one target."""
        nodes, weights = zip(*(connection.sources_of(node) for connection in self.connections))
        return self._sum_equal(np.concatenate(nodes), np.concatenate(weights))

    def edges_onto(self, node: int) -> EdgeBatch:
        """Return the edges onto one target, ordered by source, in new arrays."""
        sources, weights = self.predecessors(node)
        ids = index_dtype(self._nodes)
        edge = self.source.edge_rate(1.0)[sources - self.source.first] * weights
        return EdgeBatch(sources.astype(ids), np.full(sources.size, node, ids), weights, edge)

    def to_scipy(self, values: str = "weight") -> "csr_matrix":
        """Return the projection as a sparse matrix of shape (sources, targets).

        Its transpose times the activity of the sources is the input of the targets without bias.

        Parameters
        ----------
        values : {"weight", "edge"}
        """
        from scipy.sparse import csr_matrix

        check_values(values)
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


class SparseProjection(GraphProjection):
    """A projection without the synapses of weight 0; they are generated, and left out.

    The degrees are counted over all edges, once; `sources_of_range` holds the sources of all targets in memory.
    """

    def __init__(self, connections: Sequence[Connection], nodes: int) -> None:
        super().__init__(connections, nodes)
        self.merged = True
        self._all = GraphProjection(connections, nodes)

    @cached_property
    def out_degrees(self) -> np.ndarray:
        """Synapses of each source: int64, shape (sources,)."""
        return self._found.out

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """Synapses onto each target: int64, shape (targets,)."""
        return self._found.into

    @cached_property
    def _found(self) -> Degrees:
        out, into = np.zeros(self.source.size, np.int64), np.zeros(self.target.size, np.int64)
        for batch in self.edge_batches():
            out += np.bincount(batch.source - self.source.first, minlength=out.size)
            into += np.bincount(batch.target - self.target.first, minlength=into.size)
        return Degrees(out, into)

    @cached_property
    def _sources(self) -> np.ndarray:
        """Ids of the sources, target after target."""
        ends = np.cumsum(self.in_degrees) - self.in_degrees
        sources = np.empty(self.number_of_edges, np.int32 if self._nodes < 1 << 31 else np.int64)
        for batch in self.edge_batches():
            order = np.argsort(batch.target, kind="stable")
            targets = batch.target[order] - self.target.first
            new = np.diff(targets, prepend=-1) != 0
            rank = np.arange(targets.size) - np.flatnonzero(new)[np.cumsum(new) - 1]
            sources[ends[targets] + rank] = batch.source[order]
            ends += np.bincount(targets, minlength=ends.size)
        return sources

    def edge_batches(self, max_edges: int = CACHE_EDGES, rate_scale: float = 1.0) -> Iterator[EdgeBatch]:
        """See `GraphProjection`; batches may be empty."""
        return map(_without_zeros, self._all.edge_batches(max_edges, rate_scale))

    def edges_of(self, start: int, stop: int) -> EdgeBatch:
        """See `GraphProjection`."""
        return _without_zeros(self._all.edges_of(start, stop))

    def sources_of_range(self, start: int, stop: int) -> np.ndarray:
        """See `GraphProjection`."""
        ends = np.cumsum(self.in_degrees)
        return (
            self._sources[ends[start] - self.in_degrees[start] : ends[stop - 1]] if stop > start else self._sources[:0]
        )

    def predecessors(self, node: int) -> Neighbours:
        """See `GraphProjection`."""
        nodes, weights = self._all.predecessors(node)
        return nodes[weights != 0], weights[weights != 0]


def _without_zeros(batch: EdgeBatch) -> EdgeBatch:
    there = batch.weight != 0
    return batch if there.all() else EdgeBatch(*(values[there] for values in batch))
