"""Neighbours of many neurons at once: targets and sources over all projections of a population together."""

from typing import TYPE_CHECKING, Iterator, Sequence, Tuple

import numpy as np

from snnb.synapses.population import Population
from snnb.synapses.store import index_dtype

if TYPE_CHECKING:
    from snnb.synapses.projection import Projection

MOST_NEURONS = 1 << 16  # in a range: neurons without edges take room too


def ranges(degrees: np.ndarray, max_edges: int) -> Iterator[Tuple[int, int]]:
    """Cut neurons into ranges of at most `max_edges` edges; a neuron that has more is a range of its own."""
    ends = np.concatenate([[0], np.cumsum(degrees)])
    start = 0
    while start < degrees.size:
        stop = int(np.searchsorted(ends, ends[start] + max_edges, side="right")) - 1
        stop = min(max(stop, start + 1), start + MOST_NEURONS, degrees.size)
        yield start, stop
        start = stop


def out_degrees(projections: Sequence["Projection"], population: Population) -> np.ndarray:
    return sum((p.out_degrees for p in projections), np.zeros(population.size, np.int64))


def in_degrees(projections: Sequence["Projection"], population: Population) -> np.ndarray:
    return sum((p.in_degrees for p in projections), np.zeros(population.size, np.int64))


def targets(projections: Sequence["Projection"], start: int, stop: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the targets of neurons `start` to `stop` of the population that the projections come from.

    Parameters
    ----------
    projections : sequence of Projection
    start, stop : int

    Returns
    -------
    indptr : ndarray of int64, shape (stop - start + 1,)
    target : ndarray of int32 or int64
        Node ids, neuron after neuron, ascending.
    weight : ndarray of float32
    """
    indptr = _indptr([projection.out_degrees[start:stop] for projection in projections], stop - start)
    batches = [projection.edges_of(start, stop) for projection in projections]
    if len(batches) == 1:
        return indptr, batches[0].target, batches[0].weight
    if not batches:
        return indptr, np.empty(0, np.int64), np.empty(0, np.float32)
    order = np.argsort(np.concatenate([batch.source for batch in batches]), kind="stable")
    target, weight = (np.concatenate([getattr(batch, name) for batch in batches]) for name in ("target", "weight"))
    return indptr, target[order], weight[order]


def sources(projections: Sequence["Projection"], start: int, stop: int) -> Tuple[np.ndarray, np.ndarray]:
    """List the sources of neurons `start` to `stop` of the projections' target: indptr and ids, as `targets` does."""
    indptr = _indptr([projection.in_degrees[start:stop] for projection in projections], stop - start)
    parts = [_sources(projection, start, stop) for projection in projections]
    if len(parts) == 1:
        return indptr, parts[0]
    if not parts:
        return indptr, np.empty(0, np.int64)
    owners = [np.repeat(np.arange(start, stop), projection.in_degrees[start:stop]) for projection in projections]
    order = np.argsort(np.concatenate(owners), kind="stable")
    return indptr, np.concatenate(parts)[order]


def _sources(projection: "Projection", start: int, stop: int) -> np.ndarray:
    if projection.reindexing.parallel:
        first = projection.target.first
        return np.concatenate([projection.predecessors(first + target)[0] for target in range(start, stop)])
    from snnb.synapses.kernels import list_sources

    connection = projection.connection
    row_order, row_start = connection.rows.by_output()
    column_order, column_start = connection.columns.by_output()
    last = projection.source.first + projection.source.size
    found = np.empty(int(projection.in_degrees[start:stop].sum()), index_dtype(last))
    list_sources(
        projection.reindexing.ids,
        row_start,
        connection.rows.input[row_order],
        column_start,
        connection.columns.input[column_order],
        connection.filters,
        0 if connection.pairing == "dense" else connection.multiplier,
        start,
        stop,
        found,
    )
    return found


def _indptr(degrees: Sequence[np.ndarray], neurons: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sum(degrees, np.zeros(neurons, np.int64)))])
