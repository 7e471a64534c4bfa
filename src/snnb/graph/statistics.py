"""Statistics of a projection's synapses, computed from kernel elements and summed rates instead of edge by edge."""

from dataclasses import dataclass, field
from typing import Iterator, Optional, Tuple

import numpy as np

from snnb.graph.connection import Connection
from snnb.graph.projection import GraphProjection
from snnb.network.reindexing import PADDING

CHUNK = 1 << 22  # kernel elements in a block, so that large dense kernels are not copied


@dataclass(frozen=True)
class Spread:
    """Minimum, mean, maximum and sum."""

    min: float
    mean: float
    max: float
    sum: float


@dataclass(frozen=True)
class ProjectionSummary:
    """Statistics of the synapses of a projection.

    Attributes
    ----------
    rule, source, target : str
        Keras class of the target's layer; names of the populations.
    edges, zero_edges : int
        Synapses, and those among them whose weight or rate is 0.
    out_degree, in_degree : Spread
        Synapses of a source, and onto a target.
    weight, edge : Spread
        In thresholds, and thresholds per time step.
    spikes_per_second : float or None
        Spikes that the synapses carry in a second of simulated time; 0 for a constant input, None without spike counts.
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


@dataclass
class _Moments:
    """Count, sum, least and greatest of values that come in groups."""

    sum: float = 0.0
    least: float = field(default=np.inf)
    greatest: float = field(default=-np.inf)

    def add(self, total: float, least: float, greatest: float) -> None:
        self.sum += total
        self.least = min(self.least, least)
        self.greatest = max(self.greatest, greatest)

    def spread(self, count: int) -> Spread:
        if not count:
            return Spread(0.0, 0.0, 0.0, 0.0)
        return Spread(float(self.least), float(self.sum / count), float(self.greatest), float(self.sum))


def summarize(projection: GraphProjection, seconds_per_step: Optional[float]) -> ProjectionSummary:
    """Summarize a projection.

    Parameters
    ----------
    projection : GraphProjection
    seconds_per_step : float or None
        None for a graph without spike counts.
    """
    weight, edge, nonzero = _Moments(), _Moments(), 0
    groups = _generated(projection) if projection.merged else _by_tap(projection.connections[0])
    for of_weight, of_edge, count in groups:
        weight.add(*of_weight)
        edge.add(*of_edge)
        nonzero += count
    edges = projection.number_of_edges
    carried = None
    if seconds_per_step is not None:
        carried = float(projection.source.traffic() @ projection.out_degrees) / seconds_per_step
    return ProjectionSummary(
        projection.rule,
        projection.source.name,
        projection.target.name,
        edges,
        edges - nonzero,
        _degrees(projection.out_degrees),
        _degrees(projection.in_degrees),
        weight.spread(edges),
        edge.spread(edges),
        carried,
    )


Group = Tuple[Tuple[float, float, float], Tuple[float, float, float], int]


def _by_tap(connection: Connection) -> Iterator[Group]:
    """Yield sum, least and greatest of weights and of edges, and the non-zero edges, for one kernel tap after another.

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
                yield _of_scale(rates[here], real[here], connection.scale[row_output[:, None], column_output[None, :]])
            else:
                yield from _of_kernel(rates[here], real[here], connection.kernel[i, j])


def _of_scale(rates: np.ndarray, real: np.ndarray, scale: np.ndarray) -> Group:
    """Take rates and mask (rows, columns, channels) of one tap, and its outputs' weights (rows, columns)."""
    weights = np.broadcast_to(scale[:, :, None], rates.shape)[real]
    edges = rates[real] * weights
    return (
        (weights.sum(dtype=np.float64), weights.min(), weights.max()),
        (edges.sum(dtype=np.float64), edges.min(), edges.max()),
        int(np.count_nonzero(rates[real])),
    )


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


def _generated(projection: GraphProjection) -> Iterator[Group]:
    for batch in projection.edge_batches():
        yield (
            (batch.weight.sum(dtype=np.float64), batch.weight.min(), batch.weight.max()),
            (batch.edge.sum(dtype=np.float64), batch.edge.min(), batch.edge.max()),
            int(np.count_nonzero(batch.edge)),
        )


def _degrees(degrees: np.ndarray) -> Spread:
    return Spread(float(degrees.min()), float(degrees.mean()), float(degrees.max()), float(degrees.sum()))
