"""Statistics of synapses, from kernel elements and summed rates instead of edge by edge."""

from dataclasses import dataclass
from typing import Iterator, Optional, Sequence, Tuple

import numpy as np

from snnb.graph.connection import Connection
from snnb.graph.projection import GraphProjection
from snnb.network.geometry import PADDING

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
    """Statistics of the synapses of a projection.

    Attributes
    ----------
    rule, source, target : str
        Keras class of the target's layer; names of the populations.
    edges, zero_edges : int
        Number of synapses, and number of synapses whose weight or rate is 0.
    out_degree, in_degree, weight, edge : Spread
        Synapses of a source, and onto a target; thresholds, and thresholds per time step (currents, where populations
        have a neuron model).
    spikes_per_second : float or None
        Spikes that the synapses carry in a second of simulated time; 0 for a constant input, None without spike counts.
    delay : int
        Time steps from a spike to its arrival.
    """

    rule: str
    source: str
    target: str
    edges: int
    zero_edges: int
    out_degree: Spread
    in_degree: Spread
    weight: Spread
    edge: Spread
    spikes_per_second: Optional[float]
    delay: int = 0


def summarize(projection: GraphProjection, seconds_per_step: Optional[float]) -> ProjectionSummary:
    """Summarize a projection; `seconds_per_step` is None for a graph without spike counts."""
    batches = (_group(batch.weight, batch.edge) for batch in projection.edge_batches())
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
    sums, least, greatest = zip(*groups)
    total = float(sum(sums))
    return Spread(float(min(least)), total / count, float(max(greatest)), total)


def _of_degrees(degrees: np.ndarray) -> Spread:
    return _spread([(degrees.sum(), degrees.min(), degrees.max())], degrees.size)


def _by_tap(connection: Connection) -> Iterator[Group]:
    """Yield groups for one kernel tap after another.

    All edges of one kernel element share its weight, so that Σ edge = Σ over kernel elements of weight × summed rates.
    """
    rows, columns = connection.geometry.rows, connection.geometry.columns
    rate = np.append(connection.source.edge_rate(1.0), np.float32(0))
    real = connection.positions.ids != PADDING
    rates = rate[np.where(real, connection.positions.ids - connection.source.first, -1)]
    for i in range(rows.taps):
        in_tap = rows.tap == i
        row_input, row_output = rows.input[in_tap], rows.output[in_tap]
        for j in range(columns.taps):
            in_tap = columns.tap == j
            column_input, column_output = columns.input[in_tap], columns.output[in_tap]
            here = row_input[:, None], column_input[None, :]
            if not row_input.size or not column_input.size or not real[here].any():
                continue
            if connection.kernel is None:
                scale = connection.scale[row_output[:, None], column_output[None, :]]
                weights = np.broadcast_to(scale[:, :, None], real[here].shape)[real[here]]
                yield _group(weights, rates[here][real[here]] * weights)
            else:
                yield from _of_kernel(rates[here], real[here], connection.kernel[i, j])


def _of_kernel(rates: np.ndarray, real: np.ndarray, kernel: np.ndarray) -> Iterator[Group]:
    """Take rates and mask (rows, columns, channels) of one tap, and its kernel elements (channels, filters)."""
    uses = real.sum(axis=(0, 1))
    sums = rates.sum(axis=(0, 1), dtype=np.float64)
    active = np.count_nonzero(rates, axis=(0, 1))
    least = np.min(rates, axis=(0, 1), where=real, initial=np.inf)
    greatest = np.max(rates, axis=(0, 1), where=real, initial=-np.inf)
    step = max(1, CHUNK // kernel.shape[1])
    for begin in range(0, uses.size, step):
        part = begin + np.flatnonzero(uses[begin : begin + step])
        if not part.size:
            continue
        weights = kernel[part] if part.size < len(uses[begin : begin + step]) else kernel[begin : begin + step]
        total, low, high = weights.sum(axis=1, dtype=np.float64), weights.min(axis=1), weights.max(axis=1)
        corners = np.stack([least[part], greatest[part]])[:, None] * np.stack([low, high])
        yield (
            (uses[part] @ total, low.min(), high.max()),
            (sums[part] @ total, corners.min(), corners.max()),
            int(active[part] @ np.count_nonzero(weights, axis=1)),
        )
