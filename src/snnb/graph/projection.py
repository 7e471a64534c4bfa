"""One projection: all synapses from one population to another, generated from kernels and geometry when asked for."""

from functools import cached_property
from typing import TYPE_CHECKING, Iterator, Sequence

import numpy as np

from snnb.graph.connection import Connection, Neighbours
from snnb.graph.edges import EdgeBatch
from snnb.graph.generate import fill
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
        One for each layer that leads from the one to the other; mostly there is one.
    merged : bool
        Whether two neurons may meet several times: through several layers, or because a neuron stands at several
        positions of a layer's input. They have one synapse then, whose weight is the sum.
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
        """The Keras class of the layer that leads from the source to the target, or several classes."""
        return " + ".join(connection.layer.kind for connection in self.connections)

    @cached_property
    def out_degrees(self) -> np.ndarray:
        """Synapses of each source: int64, shape (sources,)."""
        return self._counted.out if self.merged else self.connections[0].out_degrees()

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """Synapses onto each target: int64, shape (targets,)."""
        return self._counted.into if self.merged else self.connections[0].in_degrees()

    @cached_property
    def number_of_edges(self) -> int:
        """Number of synapses."""
        return int(self.out_degrees.sum())

    @cached_property
    def _counted(self) -> Degrees:
        """Degrees where connections of the same two neurons are one synapse."""
        readings = [Reading(connection.positions.ids, connection.geometry) for connection in self.connections]
        return count_synapses(readings, self.source.first, self.source.size)

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
        if self.merged:
            yield from self._merged_batches(0, rate, max_edges)
            return
        batch = self.buffer(max(max_edges, int(self.out_degrees.max())))  # a source's edges are generated together
        (connection,) = self.connections
        start = 0
        while start < self.source.size:
            filled, start = fill(connection.stream, rate, connection.geometry.pairing, start, batch)
            for begin in range(0, filled, max_edges):
                yield EdgeBatch(*(values[begin : min(begin + max_edges, filled)] for values in batch))

    def _merged_batches(self, start: int, rate: np.ndarray, max_edges: int) -> Iterator[EdgeBatch]:
        """Generate the edges source by source, the first being number `start`; `rate` has a value for each of them."""
        dtype = index_dtype(self._nodes)
        for source, value in enumerate(rate, self.source.first + start):
            targets, weights = self.successors(source)
            for begin in range(0, targets.size, max_edges):
                part = slice(begin, begin + max_edges)
                target, weight = targets[part].astype(dtype), weights[part]
                yield EdgeBatch(np.full(target.size, source, dtype), target, weight, value * weight)

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
        if self.merged:
            parts = self._merged_batches(start, rate[start:], CACHE_EDGES)
            return EdgeBatch(*(np.concatenate(values) for values in zip(self.buffer(0), *parts)))
        (connection,) = self.connections
        batch, stream = self.buffer(int(self.out_degrees[start:stop].sum())), connection.stream
        fill(stream._replace(position=stream.position[:stop]), rate, connection.geometry.pairing, start, batch)
        return batch

    def sources_of_range(self, start: int, stop: int) -> np.ndarray:
        """Return the ids of the sources of targets `start` to `stop`, by index in the population, target after target.

        Returns
        -------
        ndarray of int32 or int64
            `in_degrees` tells how many belong to each target.
        """
        if self.merged:
            first = self.target.first
            return np.concatenate([self.predecessors(first + target)[0] for target in range(start, stop)])
        found = np.empty(int(self.in_degrees[start:stop].sum()), index_dtype(self.source.first + self.source.size))
        self.connections[0].sources_of_range(start, stop, found)
        return found

    def successors(self, node: int) -> Neighbours:
        """Return ids (int64, ascending) and weights (float32) of the targets of one source."""
        if not self.merged:
            return self.connections[0].targets_of(node)
        return self._merge([connection.targets_of(node) for connection in self.connections])

    def predecessors(self, node: int) -> Neighbours:
        """Return ids (int64, ascending) and weights (float32) of the sources of one target."""
        return self._merge([connection.sources_of(node) for connection in self.connections])

    def _merge(self, neighbours: Sequence[Neighbours]) -> Neighbours:
        """Sort neighbours by id; equal ones become one, their weights summed.

        A maximum over equal inputs is that input, so its weight stays 1.
        """
        nodes, weights = (np.concatenate(parts) for parts in zip(*neighbours))
        merged, inverse = np.unique(nodes, return_inverse=True)
        if merged.size == nodes.size:
            order = np.argsort(nodes)
            return nodes[order], weights[order]
        if self.connections[0].layer.WEIGHTING == "maximum":
            return merged, np.ones(merged.size, np.float32)
        return merged, np.bincount(inverse, weights).astype(np.float32)

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
