"""Projections of a pruned network, in which a weight of zero is no synapse."""

from functools import cached_property
from typing import Iterator, Sequence

import numpy as np

from snnb.graph.connection import Connection, Neighbours
from snnb.graph.edges import EdgeBatch
from snnb.graph.projection import CACHE_EDGES, GraphProjection
from snnb.network.degrees import Degrees


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
