"""All synapses from one population to another.

They are generated from kernels and geometry on demand, or listed in the file. Functions
return the neighbours of ranges of neurons over several projections. Statistics are
computed from kernel elements and summed rates instead of edge by edge.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Iterator, NamedTuple, Optional, Sequence, Tuple

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


# Edges of a batch; of 16 bytes each, half a megabyte, which stays in the second-level
# cache
CACHE_EDGES = 1 << 15
LIST_EDGES = 1 << 20  # edges of a batch where all edges are counted


class GraphProjection:
    """The synapses from `source` to `target` with the same delay.

    At most one between two neurons. Base class.

    Attributes
    ----------
    source, target : GraphPopulation
    rule : str
        The Keras classes of the layers between source and target; or the rule of listed
        edges.
    connections : tuple of Connection
        One for each layer between the two; empty for listed edges.
    merged : bool
        Whether statistics require enumerating the synapses. Two neurons may have
        several connections: by several layers, or because a source is at several
        positions of a layer's input. They are one synapse, whose weight is the sum.
        Also true if `enumerated`.
    enumerated : bool
        Whether the synapses do not follow from the connections (listed edges, dropped
        weights).
    """

    enumerated = False

    def __init__(
        self,
        ends: Tuple[GraphPopulation, GraphPopulation],
        nodes: int,
        rule: str,
        has_repeats: bool,
        connections: Sequence[Connection] = (),
    ) -> None:
        self.source, self.target = ends
        self.rule = rule
        self.merged = has_repeats
        self.connections = tuple(connections)
        self._nodes = nodes

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.source.name} → {self.target.name}: "
            f"{self.rule}>"
        )

    @property
    def delay(self) -> int:
        """Time steps from a spike to its arrival, 0 for the same step.

        The source is a later population only with a delay. Listed edges have none.
        """
        return self.connections[0].delay if self.connections else 0

    @cached_property
    def out_degrees(self) -> np.ndarray:
        """Synapses of each source: int64, shape (sources,)."""
        return self._degrees.out

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """Synapses onto each target: int64, shape (targets,)."""
        return self._degrees.into

    @cached_property
    def _degrees(self) -> Degrees:
        raise NotImplementedError

    @cached_property
    def number_of_edges(self) -> int:
        """Number of synapses."""
        return int(self.out_degrees.sum())

    def edge_batches(
        self,
        max_edges: int = CACHE_EDGES,
        rate_scale: float = 1.0,
    ) -> Iterator[EdgeBatch]:
        """Generate the synapses, ordered by source, then target.

        Parameters
        ----------
        max_edges : int
            Largest number of edges in a batch. Each batch overwrites the one before; it
            may be empty.
        rate_scale : float
            Factor from rates per time step to the unit of `edge`.
        """
        rate = self.source.edge_rate(rate_scale)
        for start, stop in ranges(self.out_degrees, max_edges):
            batch = self._edges(start, stop, rate)
            for begin in range(0, batch.source.size, max_edges):
                yield batch.part(begin, begin + max_edges)

    def edges_of(self, start: int, stop: int, rate_scale: float = 1.0) -> EdgeBatch:
        """Return the edges of the sources `start` to `stop - 1` in new arrays.

        Both are indices in the population.
        """
        return self._edges(start, stop, self.source.edge_rate(rate_scale))

    def _edges(self, start: int, stop: int, rate: np.ndarray) -> EdgeBatch:
        """Return the edges of the sources `start` to `stop - 1` in new arrays.

        `rate` has the rates of all sources: float32, shape (sources,).
        """
        raise NotImplementedError

    def sources_of_range(self, start: int, stop: int) -> np.ndarray:
        """Return the ids of the sources of some targets, target after target.

        The targets are `start` to `stop - 1` by index; the array is int32 or int64,
        flat.

        If they do not follow from connections, the sources of all targets are held in
        memory.
        """
        return self._sources[self._in_start[start] : self._in_start[stop]]

    @cached_property
    def _sources(self) -> np.ndarray:
        """Ids of the sources, target after target, ascending."""
        from snnb.graph.edge_loops import scatter

        ends = self._in_start[:-1].copy()
        sources = np.empty(self.number_of_edges, index_dtype(self._nodes))
        for batch in self.edge_batches(LIST_EDGES):
            scatter(batch.target - self.target.first, batch.source, ends, sources)
        return sources

    @cached_property
    def _in_start(self) -> np.ndarray:
        return offsets_of(self.in_degrees)

    def predecessors(self, node: int) -> Neighbours:
        """Return ids and weights of the sources of one target.

        The ids are int64, ascending; the weights are float32.
        """
        raise NotImplementedError

    def to_scipy(self, values: str = "weight") -> "csr_matrix":
        """Return the projection as a sparse matrix of shape (sources, targets).

        Its transpose times the activity of the sources is the input of the targets
        without bias.

        Parameters
        ----------
        values : {"weight", "edge"}
        """
        from scipy.sparse import csr_matrix

        check_values(values)
        total = self.number_of_edges
        dtype = index_dtype(max(total, self.target.size))
        indices = np.empty(total, dtype)
        data = np.empty(total, np.float32)
        done = 0
        for batch in self.edge_batches():
            part = slice(done, done + batch.source.size)
            indices[part] = batch.target - self.target.first
            data[part] = getattr(batch, values)
            done = part.stop
        indptr = offsets_of(self.out_degrees).astype(dtype)
        shape = (self.source.size, self.target.size)
        return csr_matrix((data, indices, indptr), shape=shape, copy=False)


class KernelProjection(GraphProjection):
    """A projection generated from kernels and geometries of one or several layers."""

    def __init__(self, connections: Sequence[Connection], nodes: int) -> None:
        source = connections[0].source
        target = connections[0].target
        rule = " + ".join(connection.layer.kind for connection in connections)
        has_repeats = len(connections) > 1 or connections[0].parallel
        super().__init__((source, target), nodes, rule, has_repeats, connections)

    @cached_property
    def out_degrees(self) -> np.ndarray:
        """See `GraphProjection`."""
        return self._degrees.out if self.merged else self.connections[0].out_degrees

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """See `GraphProjection`."""
        return self._degrees.into if self.merged else self.connections[0].in_degrees

    @cached_property
    def _degrees(self) -> Degrees:
        readings = [Reading(c.ids, c.geometry) for c in self.connections]
        return count_synapses(readings, self.source.first, self.source.size)

    def edge_batches(
        self,
        max_edges: int = CACHE_EDGES,
        rate_scale: float = 1.0,
    ) -> Iterator[EdgeBatch]:
        """See `GraphProjection`; all batches are views of one buffer."""
        from snnb.graph.edge_loops import fill

        if self.merged:
            yield from super().edge_batches(max_edges, rate_scale)
            return
        (connection,) = self.connections
        rate = self.source.edge_rate(rate_scale)
        buffer_edges = max(max_edges, int(self.out_degrees.max()))
        batch = edge_buffer(buffer_edges, index_dtype(self._nodes))
        stream = connection.stream._replace(position=connection.where)
        start = 0
        while start < self.source.size:
            n_edges, start = fill(stream, rate, start, *batch)
            for begin in range(0, n_edges, max_edges):
                yield batch.part(begin, min(begin + max_edges, n_edges))

    def _edges(self, start: int, stop: int, rate: np.ndarray) -> EdgeBatch:
        """See `GraphProjection`; connections of the same two neurons are summed."""
        from snnb.graph.edge_loops import fill

        id_dtype = index_dtype(self._nodes)
        if not self.merged:
            (connection,) = self.connections
            n_edges = int(self.out_degrees[start:stop].sum())
            batch = edge_buffer(n_edges, id_dtype)
            stream = connection.stream._replace(position=connection.where[:stop])
            fill(stream, rate, start, *batch)
            return batch
        n_targets = self.target.size
        keys = []
        weights = []
        for connection in self.connections:
            edges = connection.edges_of(start, stop)
            target_index = edges.target - self.target.first
            keys.append(edges.source * n_targets + target_index)
            weights.append(edges.weight)
        key, weight = self._sum_equal(np.concatenate(keys), np.concatenate(weights))
        source, target_index = np.divmod(key, n_targets)
        return EdgeBatch(
            source=source.astype(id_dtype),
            target=(self.target.first + target_index).astype(id_dtype),
            weight=weight,
            edge=rate[source - self.source.first] * weight,
        )

    def _sum_equal(self, key: np.ndarray, weight: np.ndarray) -> Neighbours:
        """Return the distinct keys, ascending, and the sum of the weights of each.

        For max pooling, whose weights are 1, the weight of repeated keys is 1 too
        instead of the sum.
        """
        order = np.argsort(key, kind="stable")  # linear in time for a few sorted runs
        key = key[order]
        begins = np.diff(key, prepend=-1) != 0
        distinct_keys = key[begins]
        is_maximum = self.connections[0].layer.WEIGHTING == "maximum"
        if is_maximum and not begins.all():
            return distinct_keys, np.ones(distinct_keys.size, np.float32)
        group = np.cumsum(begins) - 1
        return distinct_keys, np.bincount(group, weight[order]).astype(np.float32)

    def sources_of_range(self, start: int, stop: int) -> np.ndarray:
        """See `GraphProjection`."""
        source_lists = [c.sources_of_range(start, stop) for c in self.connections]
        if not self.merged:
            return source_lists[0]
        nodes = self.source.first + self.source.size
        targets = np.arange(stop - start)
        keys = []
        for connection, ids in zip(self.connections, source_lists):
            owner = np.repeat(targets, connection.in_degrees[start:stop])
            keys.append(owner * nodes + ids)
        return np.unique(np.concatenate(keys)) % nodes

    def predecessors(self, node: int) -> Neighbours:
        """See `GraphProjection`."""
        nodes, weights = zip(*(c.sources_of(node) for c in self.connections))
        return self._sum_equal(np.concatenate(nodes), np.concatenate(weights))


class SparseProjection(GraphProjection):
    """A projection without the synapses of weight 0, which are generated and discarded.

    The degrees are counted over all edges, once.
    """

    enumerated = True

    def __init__(self, connections: Sequence[Connection], nodes: int) -> None:
        self._all = KernelProjection(connections, nodes)
        ends = self._all.source, self._all.target
        super().__init__(ends, nodes, self._all.rule, True, connections)

    @property
    def n_zero_weights(self) -> int:
        """Number of synapses of weight 0, which are not part of the projection."""
        return self._all.number_of_edges - self.number_of_edges

    @cached_property
    def _degrees(self) -> Degrees:
        out_degrees = np.zeros(self.source.size, np.int64)
        in_degrees = np.zeros(self.target.size, np.int64)
        for batch in self.edge_batches():
            source = batch.source - self.source.first
            target = batch.target - self.target.first
            out_degrees += np.bincount(source, minlength=out_degrees.size)
            in_degrees += np.bincount(target, minlength=in_degrees.size)
        return Degrees(out_degrees, in_degrees)

    def edge_batches(
        self,
        max_edges: int = CACHE_EDGES,
        rate_scale: float = 1.0,
    ) -> Iterator[EdgeBatch]:
        """See `GraphProjection`."""
        return map(_drop_zeros, self._all.edge_batches(max_edges, rate_scale))

    def _edges(self, start: int, stop: int, rate: np.ndarray) -> EdgeBatch:
        """See `GraphProjection`."""
        return _drop_zeros(self._all._edges(start, stop, rate))

    def predecessors(self, node: int) -> Neighbours:
        """See `GraphProjection`."""
        nodes, weights = self._all.predecessors(node)
        return nodes[weights != 0], weights[weights != 0]


class ListedProjection(GraphProjection):
    """A projection whose synapses are listed in the file, mapped into memory.

    The list has CSR form.

    `start` has the offset of each source's first synapse: int64, shape (sources + 1,).
    `ends` has the ids of the targets, ascending for each source; `weights` the weights,
    float32: both of shape (synapses,).
    """

    enumerated = True

    def __init__(
        self,
        group: h5py.Group,
        ends: Tuple[GraphPopulation, GraphPopulation],
        nodes: int,
    ) -> None:
        super().__init__(ends, nodes, str(group.attrs["rule"]), True)
        self.start = mapped_array(group["start"])
        self.ends = mapped_array(group["target"])
        self.weights = mapped_array(group["weight"])

    @cached_property
    def out_degrees(self) -> np.ndarray:
        """See `GraphProjection`."""
        return np.diff(self.start)

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """See `GraphProjection`."""
        degrees = np.zeros(self.target.size, np.int64)
        # In parts, since bincount converts its input to int64.
        for begin in range(0, self.ends.size, LIST_EDGES):
            target = self.ends[begin : begin + LIST_EDGES] - self.target.first
            degrees += np.bincount(target, minlength=degrees.size)
        return degrees

    def _edges(self, start: int, stop: int, rate: np.ndarray) -> EdgeBatch:
        """See `GraphProjection`."""
        part = slice(self.start[start], self.start[stop])
        source_index = np.repeat(np.arange(start, stop), self.out_degrees[start:stop])
        weight = self.weights[part].copy()
        id_dtype = index_dtype(self._nodes)
        return EdgeBatch(
            source=(self.source.first + source_index).astype(id_dtype),
            target=self.ends[part].astype(id_dtype),
            weight=weight,
            edge=rate[source_index] * weight,
        )

    def predecessors(self, node: int) -> Neighbours:
        """See `GraphProjection`."""
        index = node - self.target.first
        sources = self.sources_of_range(index, index + 1).astype(np.int64)
        positions = []  # of the synapses in the list
        for source in (sources - self.source.first).tolist():
            row = slice(self.start[source], self.start[source + 1])
            positions.append(row.start + np.searchsorted(self.ends[row], node))
        return sources, self.weights[np.array(positions, np.int64)]


def _drop_zeros(batch: EdgeBatch) -> EdgeBatch:
    """Return the edges of a batch whose weight is not 0."""
    is_synapse = batch.weight != 0
    if is_synapse.all():
        return batch
    return EdgeBatch(*(values[is_synapse] for values in batch))


def out_degrees(
    projections: Sequence[GraphProjection],
    source: GraphPopulation,
) -> np.ndarray:
    """Return the number of synapses (int64) from each neuron of a population."""
    leaving = [p.out_degrees for p in projections if p.source is source]
    return sum(leaving, np.zeros(source.size, np.int64))


def in_degrees(
    projections: Sequence[GraphProjection],
    target: GraphPopulation,
) -> np.ndarray:
    """Return the number of synapses (int64) onto each neuron of a population."""
    arriving = [p.in_degrees for p in projections if p.target is target]
    return sum(arriving, np.zeros(target.size, np.int64))


def targets(
    projections: Sequence[GraphProjection],
    source: GraphPopulation,
    start: int,
    stop: int,
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the targets of the neurons `start` to `stop - 1` in CSR form.

    The form is `indptr`, int64, shape (stop - start + 1,); the ids of the targets, for
    each neuron ascending in each projection; and the weights, float32.
    """
    leaving = [projection for projection in projections if projection.source is source]
    degrees = [projection.out_degrees[start:stop] for projection in leaving]
    indptr = offsets_of(sum(degrees, np.zeros(stop - start, np.int64)))
    batches = [projection.edges_of(start, stop) for projection in leaving]
    if len(batches) == 1:
        return indptr, batches[0].target, batches[0].weight
    if not batches:
        return indptr, np.empty(0, np.int64), np.empty(0, np.float32)
    source_ids = np.concatenate([batch.source for batch in batches])
    target_ids = np.concatenate([batch.target for batch in batches])
    weights = np.concatenate([batch.weight for batch in batches])
    order = np.argsort(source_ids, kind="stable")
    return indptr, target_ids[order], weights[order]


def sources(
    projections: Sequence[GraphProjection],
    target: GraphPopulation,
    start: int,
    stop: int,
) -> Tuple[np.ndarray, np.ndarray]:
    """Return the sources of the neurons `start` to `stop - 1` in CSR form.

    The form is that of `targets`, without weights.
    """
    lists = []
    for projection in projections:
        if projection.target is target:
            indptr = offsets_of(projection.in_degrees[start:stop])
            lists.append((indptr, projection.sources_of_range(start, stop)))
    return joined_lists(lists, stop - start)


def joined_lists(
    lists: Sequence[Tuple[np.ndarray, np.ndarray]],
    number: int,
) -> Tuple[np.ndarray, np.ndarray]:
    """Concatenate CSR forms of `number` rows each, row by row.

    Row n of the result has the elements of row n of each form.
    """
    if not lists:
        return np.zeros(number + 1, np.int64), np.empty(0, np.int64)
    if len(lists) == 1:
        return lists[0]
    rows = np.arange(number)
    owners = np.concatenate([np.repeat(rows, np.diff(indptr)) for indptr, _ in lists])
    elements = np.concatenate([ids for _, ids in lists])
    order = np.argsort(owners, kind="stable")
    indptr = np.searchsorted(owners[order], np.arange(number + 1))
    return indptr, elements[order]


def repeats(projections: Sequence[GraphProjection]) -> bool:
    """Whether two neurons may have several synapses, with different delays."""
    ends = {(p.source.name, p.target.name) for p in projections}
    return len(ends) < len(projections)


def distinct(
    indptr: np.ndarray,
    neighbours: np.ndarray,
) -> Tuple[np.ndarray, np.ndarray]:
    """Return a CSR form with each neighbour of a neuron once, ascending."""
    n_rows = indptr.size - 1
    row = np.repeat(np.arange(n_rows), np.diff(indptr))
    nodes = int(neighbours.max(initial=0)) + 1
    pairs = np.unique(row * nodes + neighbours)
    degrees = np.bincount(pairs // nodes, minlength=n_rows)
    return offsets_of(degrees), pairs % nodes


# Kernel elements in a block, so that large dense kernels are not copied
CHUNK = 1 << 22


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
    # Spikes transmitted by the synapses per second of simulated time, where a sample
    # begins every `interval` steps of the graph. 0 for a constant input, None without
    # spike counts
    spikes_per_second: Optional[float]
    delay: int = 0  # time steps from a spike to its arrival


class Extent(NamedTuple):
    """Sum, minimum and maximum of some values."""

    sum: float
    min: float
    max: float


class EdgeGroup(NamedTuple):
    """Some edges: extent of their weights and of their values `edge`."""

    weights: Extent
    edges: Extent
    nonzero: int  # number of edges whose value is not 0


def summarize(
    projection: GraphProjection,
    seconds_per_step: Optional[float],
) -> ProjectionSummary:
    """Summarize a projection.

    `seconds_per_step` is the time of a counted step, None for a graph without spike
    counts.
    """
    groups = list(_group_edges_of(projection))
    edges = projection.number_of_edges
    spikes_per_second = None
    if seconds_per_step is not None:
        spikes_per_step = float(projection.source.traffic() @ projection.out_degrees)
        spikes_per_second = spikes_per_step / seconds_per_step
    return ProjectionSummary(
        rule=projection.rule,
        source=projection.source.name,
        target=projection.target.name,
        edges=edges,
        zero_edges=edges - sum(group.nonzero for group in groups),
        out_degree=_spread([_extent(projection.out_degrees)], projection.source.size),
        in_degree=_spread([_extent(projection.in_degrees)], projection.target.size),
        weight=_spread([group.weights for group in groups], edges),
        edge=_spread([group.edges for group in groups], edges),
        spikes_per_second=spikes_per_second,
        delay=projection.delay,
    )


def _extent(values: np.ndarray) -> Extent:
    """Return the extent of an array; the sum is computed in int64 or float64."""
    dtype = np.int64 if values.dtype.kind == "i" else np.float64
    return Extent(values.sum(dtype=dtype), values.min(), values.max())


def _spread(extents: Sequence[Extent], count: int) -> Spread:
    """Return the spread of `count` values in groups with these extents."""
    if not count:
        return Spread(0.0, 0.0, 0.0, 0.0)
    total = float(sum(extent.sum for extent in extents))
    return Spread(
        min=float(min(extent.min for extent in extents)),
        mean=total / count,
        max=float(max(extent.max for extent in extents)),
        sum=total,
    )


def _group_edges_of(projection: GraphProjection) -> Iterator[EdgeGroup]:
    """Yield the edges of a projection in groups; enumerate them only if necessary."""
    if not projection.merged:
        yield from _group_taps(projection.connections[0])
        return
    for batch in projection.edge_batches():
        if batch.source.size:
            yield _group_edges(batch.weight, batch.edge)


def _group_edges(weights: np.ndarray, edges: np.ndarray) -> EdgeGroup:
    """Return edges, by weights and values, as a group."""
    return EdgeGroup(_extent(weights), _extent(edges), int(np.count_nonzero(edges)))


def _group_taps(connection: Connection) -> Iterator[EdgeGroup]:
    """Yield the edges of one kernel tap after another in groups.

    All edges of one kernel element share its weight, so that Σ edge = Σ over kernel
    elements of weight × summed rates.
    """
    rows = connection.geometry.rows
    columns = connection.geometry.columns
    is_source = connection.ids != PADDING
    # The rate at a position without a source is the last one, 0.
    rate = np.append(connection.source.edge_rate(1.0), np.float32(0))
    rates = rate[np.where(is_source, connection.ids - connection.source.first, -1)]
    for row_tap in range(rows.taps):
        in_row_tap = rows.tap == row_tap
        row_input = rows.input[in_row_tap]
        row_output = rows.output[in_row_tap]
        for column_tap in range(columns.taps):
            in_column_tap = columns.tap == column_tap
            column_input = columns.input[in_column_tap]
            column_output = columns.output[in_column_tap]
            if not row_input.size or not column_input.size:
                continue
            inputs = np.ix_(row_input, column_input)
            has_source = is_source[inputs]
            if not has_source.any():
                continue
            if connection.kernel is None:
                scale = connection.scale[np.ix_(row_output, column_output)]
                all_weights = np.broadcast_to(scale[:, :, None], has_source.shape)
                weights = all_weights[has_source]
                yield _group_edges(weights, rates[inputs][has_source] * weights)
            else:
                elements = connection.kernel[row_tap, column_tap]
                yield from _group_elements(rates[inputs], has_source, elements)


def _group_elements(
    rates: np.ndarray,
    has_source: np.ndarray,
    elements: np.ndarray,
) -> Iterator[EdgeGroup]:
    """Yield the edges of the elements of one kernel tap in groups.

    `rates` (float32) and `has_source` (bool) have the shape (rows, columns, channels),
    `elements` (float32) the shape (channels, filters).
    """
    uses = has_source.sum(axis=(0, 1))
    rate_sums = rates.sum(axis=(0, 1), dtype=np.float64)
    active = np.count_nonzero(rates, axis=(0, 1))
    min_rates = np.min(rates, axis=(0, 1), where=has_source, initial=np.inf)
    max_rates = np.max(rates, axis=(0, 1), where=has_source, initial=-np.inf)
    step = max(1, CHUNK // elements.shape[1])
    for begin in range(0, uses.size, step):
        block = slice(begin, begin + step)
        channels = begin + np.flatnonzero(uses[block])
        if not channels.size:
            continue
        is_complete = channels.size == len(uses[block])
        weights = elements[block] if is_complete else elements[channels]
        weight_sums = weights.sum(axis=1, dtype=np.float64)
        min_weights = weights.min(axis=1)
        max_weights = weights.max(axis=1)
        extreme_rates = np.stack([min_rates[channels], max_rates[channels]])
        extreme_weights = np.stack([min_weights, max_weights])
        products = extreme_rates[:, None] * extreme_weights
        nonzero_weights = np.count_nonzero(weights, axis=1)
        yield EdgeGroup(
            weights=Extent(
                uses[channels] @ weight_sums,
                min_weights.min(),
                max_weights.max(),
            ),
            edges=Extent(
                rate_sums[channels] @ weight_sums,
                products.min(),
                products.max(),
            ),
            nonzero=int(active[channels] @ nonzero_weights),
        )
