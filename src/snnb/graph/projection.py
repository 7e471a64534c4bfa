"""All synapses from one population to another: generated from kernels and geometry on demand, or listed in the file.

Neighbours of ranges of neurons are found over several projections; statistics from kernel elements and summed rates
instead of edge by edge.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Iterator, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.graph.connection import (
    Connection,
    EdgeBatch,
    Neighbours,
    check_values,
    edge_buffer,
    index_dtype,
    offsets_of,
    ranges,
)
from snnb.graph.populations import GraphPopulation
from snnb.io.hdf5 import mapped_array
from snnb.network.geometry import PADDING, Degrees, Reading, count_synapses

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


CACHE_EDGES = 1 << 15  # 16 bytes an edge: half a megabyte, which stays in the second-level cache
LIST_EDGES = 1 << 20  # of a batch where all edges are counted


class GraphProjection:
    """The synapses from `source` to `target` with the same delay: at most one between two neurons. Base class.

    Attributes
    ----------
    source, target : GraphPopulation
    rule : str
        The Keras classes of the layers between source and target; or the rule of listed edges.
    connections : tuple of Connection
        One for each layer between the two; empty for listed edges.
    merged : bool
        Whether statistics require enumerating the synapses. Two neurons may have several connections: by several
        layers, or because a source is at several positions of a layer's input. They are one synapse, whose weight is
        the sum. Also true if `enumerated`.
    enumerated : bool
        Whether the synapses do not follow from the connections (listed edges, dropped weights).
    """

    enumerated = False

    def __init__(
        self,
        ends: Tuple[GraphPopulation, GraphPopulation],
        nodes: int,
        rule: str,
        merged: bool,
        connections: Sequence[Connection] = (),
    ) -> None:
        (self.source, self.target), self.rule, self.merged = ends, rule, merged
        self.connections = tuple(connections)
        self._nodes = nodes

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.source.name} → {self.target.name}: {self.rule}>"

    @property
    def delay(self) -> int:
        """Time steps from a spike to its arrival: 0 is the same step. The source is later only with a delay."""
        return self.connections[0].delay if self.connections else 0

    @cached_property
    def out_degrees(self) -> np.ndarray:
        """Synapses of each source: int64, shape (sources,)."""
        return self._counted.out

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """Synapses onto each target: int64, shape (targets,)."""
        return self._counted.into

    @cached_property
    def _counted(self) -> Degrees:
        raise NotImplementedError

    @cached_property
    def number_of_edges(self) -> int:
        """Number of synapses."""
        return int(self.out_degrees.sum())

    def edge_batches(self, max_edges: int = CACHE_EDGES, rate_scale: float = 1.0) -> Iterator[EdgeBatch]:
        """Generate the synapses, ordered by source, then target.

        Parameters
        ----------
        max_edges : int
            Largest number of edges in a batch. Each batch overwrites the one before; it may be empty.
        rate_scale : float
            Factor from rates per time step to the unit of `edge`.
        """
        rate = self.source.edge_rate(rate_scale)
        for start, stop in ranges(self.out_degrees, max_edges):
            batch = self._edges(start, stop, rate)
            for begin in range(0, batch.source.size, max_edges):
                yield batch.part(begin, begin + max_edges)

    def edges_of(self, start: int, stop: int, rate_scale: float = 1.0) -> EdgeBatch:
        """Return the edges of the sources `start` to `stop - 1`, by index in their population, in new arrays."""
        return self._edges(start, stop, self.source.edge_rate(rate_scale))

    def _edges(self, start: int, stop: int, rate: np.ndarray) -> EdgeBatch:
        """Return the edges of some sources for the rates of all sources, float32 of shape (sources,)."""
        raise NotImplementedError

    def sources_of_range(self, start: int, stop: int) -> np.ndarray:
        """Return the ids of the sources of the targets `start` to `stop - 1`, by target: int32 or int64, flat.

        If they do not follow from connections, the sources of all targets are held in memory.
        """
        return self._sources[self._in_start[start] : self._in_start[stop]]

    @cached_property
    def _sources(self) -> np.ndarray:
        """Ids of the sources, target after target, ascending."""
        from snnb.graph.edge_loops import scatter

        ends, sources = self._in_start[:-1].copy(), np.empty(self.number_of_edges, index_dtype(self._nodes))
        for batch in self.edge_batches(LIST_EDGES):
            scatter(batch.target - self.target.first, batch.source, ends, sources)
        return sources

    @cached_property
    def _in_start(self) -> np.ndarray:
        return offsets_of(self.in_degrees)

    def predecessors(self, node: int) -> Neighbours:
        """Return ids (int64, ascending) and weights (float32) of the sources of one target."""
        raise NotImplementedError

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
        indptr = offsets_of(self.out_degrees).astype(dtype)
        return csr_matrix((data, indices, indptr), shape=(self.source.size, self.target.size), copy=False)


class KernelProjection(GraphProjection):
    """A projection generated from the kernels and geometries of one or several layers."""

    def __init__(self, connections: Sequence[Connection], nodes: int) -> None:
        first, rule = connections[0], " + ".join(connection.layer.kind for connection in connections)
        merged = len(connections) > 1 or first.parallel
        super().__init__((first.source, first.target), nodes, rule, merged, connections)

    @cached_property
    def out_degrees(self) -> np.ndarray:
        """See `GraphProjection`."""
        return self._counted.out if self.merged else self.connections[0].out_degrees

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """See `GraphProjection`."""
        return self._counted.into if self.merged else self.connections[0].in_degrees

    @cached_property
    def _counted(self) -> Degrees:
        readings = [Reading(connection.ids, connection.geometry) for connection in self.connections]
        return count_synapses(readings, self.source.first, self.source.size)

    def edge_batches(self, max_edges: int = CACHE_EDGES, rate_scale: float = 1.0) -> Iterator[EdgeBatch]:
        """See `GraphProjection`; a buffer is reused, with all edges of a source together."""
        from snnb.graph.edge_loops import fill

        if self.merged:
            yield from super().edge_batches(max_edges, rate_scale)
            return
        (connection,), rate = self.connections, self.source.edge_rate(rate_scale)
        batch = edge_buffer(max(max_edges, int(self.out_degrees.max())), index_dtype(self._nodes))
        stream, start = connection.stream._replace(position=connection.where), 0
        while start < self.source.size:
            filled, start = fill(stream, rate, start, *batch)
            for begin in range(0, filled, max_edges):
                yield batch.part(begin, min(begin + max_edges, filled))

    def _edges(self, start: int, stop: int, rate: np.ndarray) -> EdgeBatch:
        """See `GraphProjection`; connections of the same two neurons are summed."""
        from snnb.graph.edge_loops import fill

        ids = index_dtype(self._nodes)
        if not self.merged:
            (connection,) = self.connections
            batch = edge_buffer(int(self.out_degrees[start:stop].sum()), ids)
            stream = connection.stream._replace(position=connection.where[:stop])
            fill(stream, rate, start, *batch)
            return batch
        first, size = self.target.first, self.target.size
        parts = [connection.edges_of(start, stop) for connection in self.connections]
        key = np.concatenate([part.source * size + (part.target - first) for part in parts])
        key, weight = self._sum_equal(key, np.concatenate([part.weight for part in parts]))
        source, target = np.divmod(key, size)
        edge = rate[source - self.source.first] * weight
        return EdgeBatch(source.astype(ids), (first + target).astype(ids), weight, edge)

    def _sum_equal(self, key: np.ndarray, weight: np.ndarray) -> Neighbours:
        """Return the distinct keys, ascending, and the sum of the weights of each; 1 for max pooling."""
        order = np.argsort(key, kind="stable")  # linear in time for a few sorted runs
        key = key[order]
        distinct = np.diff(key, prepend=-1) != 0
        if not distinct.all() and self.connections[0].layer.WEIGHTING == "maximum":
            return key[distinct], np.ones(np.count_nonzero(distinct), np.float32)
        return key[distinct], np.bincount(np.cumsum(distinct) - 1, weight[order]).astype(np.float32)

    def sources_of_range(self, start: int, stop: int) -> np.ndarray:
        """See `GraphProjection`."""
        lists = [connection.sources_of_range(start, stop) for connection in self.connections]
        if not self.merged:
            return lists[0]
        nodes, targets = self.source.first + self.source.size, np.arange(stop - start)
        owners = [np.repeat(targets, connection.in_degrees[start:stop]) for connection in self.connections]
        return np.unique(np.concatenate(owners) * nodes + np.concatenate(lists)) % nodes

    def predecessors(self, node: int) -> Neighbours:
        """See `GraphProjection`."""
        nodes, weights = zip(*(connection.sources_of(node) for connection in self.connections))
        return self._sum_equal(np.concatenate(nodes), np.concatenate(weights))


class SparseProjection(GraphProjection):
    """A projection without the synapses of weight 0, which are generated and discarded.

    The degrees are counted over all edges, once.
    """

    enumerated = True

    def __init__(self, connections: Sequence[Connection], nodes: int) -> None:
        self._all = KernelProjection(connections, nodes)
        super().__init__((self._all.source, self._all.target), nodes, self._all.rule, True, connections)

    @property
    def dropped(self) -> int:
        """Number of synapses of weight 0, which the projection lacks."""
        return self._all.number_of_edges - self.number_of_edges

    @cached_property
    def _counted(self) -> Degrees:
        out, into = np.zeros(self.source.size, np.int64), np.zeros(self.target.size, np.int64)
        for batch in self.edge_batches():
            out += np.bincount(batch.source - self.source.first, minlength=out.size)
            into += np.bincount(batch.target - self.target.first, minlength=into.size)
        return Degrees(out, into)

    def edge_batches(self, max_edges: int = CACHE_EDGES, rate_scale: float = 1.0) -> Iterator[EdgeBatch]:
        """See `GraphProjection`."""
        return map(_without_zeros, self._all.edge_batches(max_edges, rate_scale))

    def _edges(self, start: int, stop: int, rate: np.ndarray) -> EdgeBatch:
        """See `GraphProjection`."""
        return _without_zeros(self._all._edges(start, stop, rate))

    def predecessors(self, node: int) -> Neighbours:
        """See `GraphProjection`."""
        nodes, weights = self._all.predecessors(node)
        return nodes[weights != 0], weights[weights != 0]


class ListedProjection(GraphProjection):
    """A projection whose synapses are listed in the file, in CSR form, mapped into memory.

    `start` has the offset of each source's first synapse, int64 (sources + 1,); `ends` the ids of the targets,
    ascending for each source; `weights` are float32.
    """

    enumerated = True

    def __init__(self, group: h5py.Group, ends: Tuple[GraphPopulation, GraphPopulation], nodes: int) -> None:
        super().__init__(ends, nodes, str(group.attrs["rule"]), True)
        self.start, self.ends = mapped_array(group["start"]), mapped_array(group["target"])
        self.weights = mapped_array(group["weight"])

    @cached_property
    def out_degrees(self) -> np.ndarray:
        """See `GraphProjection`."""
        return np.diff(self.start)

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """See `GraphProjection`."""
        degrees = np.zeros(self.target.size, np.int64)
        for begin in range(0, self.ends.size, LIST_EDGES):  # bincount converts its input to int64
            degrees += np.bincount(self.ends[begin : begin + LIST_EDGES] - self.target.first, minlength=degrees.size)
        return degrees

    def _edges(self, start: int, stop: int, rate: np.ndarray) -> EdgeBatch:
        """See `GraphProjection`."""
        part, index = slice(self.start[start], self.start[stop]), np.arange(start, stop)
        source = np.repeat(index, self.out_degrees[start:stop])
        weight = self.weights[part].copy()
        ids = index_dtype(self._nodes)
        return EdgeBatch(
            (self.source.first + source).astype(ids), self.ends[part].astype(ids), weight, rate[source] * weight
        )

    def predecessors(self, node: int) -> Neighbours:
        """See `GraphProjection`."""
        index = node - self.target.first
        sources = self.sources_of_range(index, index + 1).astype(np.int64)
        rows = [slice(*self.start[row : row + 2]) for row in (sources - self.source.first).tolist()]
        places = [row.start + np.searchsorted(self.ends[row], node) for row in rows]
        return sources, self.weights[np.array(places, np.int64)]


def _without_zeros(batch: EdgeBatch) -> EdgeBatch:
    is_synapse = batch.weight != 0
    return batch if is_synapse.all() else EdgeBatch(*(values[is_synapse] for values in batch))


def out_degrees(projections: Sequence[GraphProjection], source: GraphPopulation) -> np.ndarray:
    """Return the number of synapses (int64) from each neuron of a population."""
    leaving = [p.out_degrees for p in projections if p.source is source]
    return sum(leaving, np.zeros(source.size, np.int64))


def in_degrees(projections: Sequence[GraphProjection], target: GraphPopulation) -> np.ndarray:
    """Return the number of synapses (int64) onto each neuron of a population."""
    arriving = [p.in_degrees for p in projections if p.target is target]
    return sum(arriving, np.zeros(target.size, np.int64))


def targets(
    projections: Sequence[GraphProjection], source: GraphPopulation, start: int, stop: int
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the targets of the neurons `start` to `stop - 1` of a population in CSR form.

    They are `indptr`, int64 (stop - start + 1,); target ids, for each neuron ascending in each projection; and weights,
    float32.
    """
    leaving = [projection for projection in projections if projection.source is source]
    degrees = [projection.out_degrees[start:stop] for projection in leaving]
    indptr = offsets_of(sum(degrees, np.zeros(stop - start, np.int64)))
    batches = [projection.edges_of(start, stop) for projection in leaving]
    if len(batches) == 1:
        return indptr, batches[0].target, batches[0].weight
    if not batches:
        return indptr, np.empty(0, np.int64), np.empty(0, np.float32)
    order = np.argsort(np.concatenate([batch.source for batch in batches]), kind="stable")
    target, weight = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("target", "weight"))
    return indptr, target[order], weight[order]


def sources(
    projections: Sequence[GraphProjection], target: GraphPopulation, start: int, stop: int
) -> Tuple[np.ndarray, np.ndarray]:
    """Return the sources of some neurons of a population in CSR form, as `targets` does, without weights."""
    arriving = [projection for projection in projections if projection.target is target]
    lists = [(offsets_of(p.in_degrees[start:stop]), p.sources_of_range(start, stop)) for p in arriving]
    return joined_lists(lists, stop - start)


def joined_lists(lists: Sequence[Tuple[np.ndarray, np.ndarray]], number: int) -> Tuple[np.ndarray, np.ndarray]:
    """Concatenate CSR forms row by row: row n of the result joins the rows n of all, of which there are `number`."""
    if not lists:
        return np.zeros(number + 1, np.int64), np.empty(0, np.int64)
    if len(lists) == 1:
        return lists[0]
    owners = np.concatenate([np.repeat(np.arange(number), np.diff(start)) for start, _ in lists])
    order = np.argsort(owners, kind="stable")
    return np.searchsorted(owners[order], np.arange(number + 1)), np.concatenate([s for _, s in lists])[order]


def repeats(projections: Sequence[GraphProjection]) -> bool:
    """Whether two neurons may have several synapses, with different delays."""
    return len({(p.source.name, p.target.name) for p in projections}) < len(projections)


def distinct(indptr: np.ndarray, neighbours: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return a CSR form with each neighbour of a neuron once, ascending."""
    rows, nodes = np.repeat(np.arange(indptr.size - 1), np.diff(indptr)), int(neighbours.max(initial=0)) + 1
    pairs = np.unique(rows * nodes + neighbours)
    return offsets_of(np.bincount(pairs // nodes, minlength=indptr.size - 1)), pairs % nodes


CHUNK = 1 << 22  # kernel elements in a block, so that large dense kernels are not copied


@dataclass(frozen=True)
class Spread:
    """Minimum, mean, maximum and sum."""

    min: float
    mean: float
    max: float
    sum: float

    def __str__(self) -> str:
        return f"{self.min:.6g} … {self.max:.6g}, mean {self.mean:.6g}"


@dataclass(frozen=True)
class ProjectionSummary:
    """Statistics of the synapses of a projection."""

    rule: str  # Keras class of the target's layer
    source: str  # name of the population, as `target`
    target: str
    edges: int
    zero_edges: int  # synapses whose weight or rate is 0
    out_degree: Spread  # synapses of a source
    in_degree: Spread  # synapses onto a target
    weight: Spread  # thresholds (currents, where populations have a neuron model)
    edge: Spread  # likewise, per time step
    # Spikes transmitted by the synapses per second of simulated time, where a sample begins every `interval` steps (of
    # the graph); 0 for a constant input, None without spike counts
    spikes_per_second: Optional[float]
    delay: int = 0  # time steps from a spike to its arrival


def summarize(projection: GraphProjection, seconds_per_step: Optional[float]) -> ProjectionSummary:
    """Summarize a projection; `seconds_per_step`, of a counted step, is None for a graph without spike counts."""
    batches = (_group(batch.weight, batch.edge) for batch in projection.edge_batches() if batch.source.size)
    groups = list(batches if projection.merged else _by_tap(projection.connections[0]))
    edges = projection.number_of_edges
    carried = None
    if seconds_per_step is not None:
        carried = float(projection.source.traffic() @ projection.out_degrees) / seconds_per_step
    return ProjectionSummary(
        projection.rule,
        projection.source.name,
        projection.target.name,
        edges,
        edges - sum(nonzero for _, _, nonzero in groups),
        _of_degrees(projection.out_degrees),
        _of_degrees(projection.in_degrees),
        _spread([weights for weights, _, _ in groups], edges),
        _spread([products for _, products, _ in groups], edges),
        carried,
        projection.delay,
    )


Values = Tuple[float, float, float]  # sum, minimum and maximum
Group = Tuple[Values, Values, int]  # of weights and of edges, and the number of non-zero edges


def _group(weights: np.ndarray, edges: np.ndarray) -> Group:
    of_weights, of_edges = ((v.sum(dtype=np.float64), v.min(), v.max()) for v in (weights, edges))
    return of_weights, of_edges, int(np.count_nonzero(edges))


def _spread(groups: Sequence[Values], count: int) -> Spread:
    if not count:
        return Spread(0.0, 0.0, 0.0, 0.0)
    sums, minima, maxima = zip(*groups)
    total = float(sum(sums))
    return Spread(float(min(minima)), total / count, float(max(maxima)), total)


def _of_degrees(degrees: np.ndarray) -> Spread:
    return _spread([(degrees.sum(), degrees.min(), degrees.max())], degrees.size)


def _by_tap(connection: Connection) -> Iterator[Group]:
    """Yield groups for one kernel tap after another.

    All edges of one kernel element share its weight, so that Σ edge = Σ over kernel elements of weight × summed rates.
    """
    rows, columns = connection.geometry.rows, connection.geometry.columns
    rate = np.append(connection.source.edge_rate(1.0), np.float32(0))
    real = connection.ids != PADDING
    rates = rate[np.where(real, connection.ids - connection.source.first, -1)]
    for i in range(rows.taps):
        in_tap = rows.tap == i
        row_input, row_output = rows.input[in_tap], rows.output[in_tap]
        for j in range(columns.taps):
            in_tap = columns.tap == j
            column_input, column_output = columns.input[in_tap], columns.output[in_tap]
            positions = row_input[:, None], column_input[None, :]
            if not row_input.size or not column_input.size or not real[positions].any():
                continue
            if connection.kernel is None:
                scale = connection.scale[row_output[:, None], column_output[None, :]]
                weights = np.broadcast_to(scale[:, :, None], real[positions].shape)[real[positions]]
                yield _group(weights, rates[positions][real[positions]] * weights)
            else:
                yield from _of_kernel(rates[positions], real[positions], connection.kernel[i, j])


def _of_kernel(rates: np.ndarray, real: np.ndarray, kernel: np.ndarray) -> Iterator[Group]:
    """Take rates and mask (rows, columns, channels) of one tap, and its kernel elements (channels, filters)."""
    uses = real.sum(axis=(0, 1))
    sums = rates.sum(axis=(0, 1), dtype=np.float64)
    active = np.count_nonzero(rates, axis=(0, 1))
    min_rates = np.min(rates, axis=(0, 1), where=real, initial=np.inf)
    max_rates = np.max(rates, axis=(0, 1), where=real, initial=-np.inf)
    step = max(1, CHUNK // kernel.shape[1])
    for begin in range(0, uses.size, step):
        part = begin + np.flatnonzero(uses[begin : begin + step])
        if not part.size:
            continue
        weights = kernel[part] if part.size < len(uses[begin : begin + step]) else kernel[begin : begin + step]
        total, low, high = weights.sum(axis=1, dtype=np.float64), weights.min(axis=1), weights.max(axis=1)
        corners = np.stack([min_rates[part], max_rates[part]])[:, None] * np.stack([low, high])
        yield (
            (uses[part] @ total, low.min(), high.max()),
            (sums[part] @ total, corners.min(), corners.max()),
            int(active[part] @ np.count_nonzero(weights, axis=1)),
        )
