"""Neighbours of many neurons at once: targets and sources over all projections of a population together."""

from typing import Iterator, Sequence, Tuple

import numpy as np

from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection

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


def out_degrees(projections: Sequence[GraphProjection], population: GraphPopulation) -> np.ndarray:
    """Count the synapses of each neuron of the population that the projections come from: int64."""
    return sum((p.out_degrees for p in projections), np.zeros(population.size, np.int64))


def in_degrees(projections: Sequence[GraphProjection], population: GraphPopulation) -> np.ndarray:
    """Count the synapses onto each neuron of the population that the projections lead to: int64."""
    return sum((p.in_degrees for p in projections), np.zeros(population.size, np.int64))


def targets(projections: Sequence[GraphProjection], start: int, stop: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the targets of neurons `start` to `stop` of the population that the projections come from.

    Parameters
    ----------
    projections : sequence of GraphProjection
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


def sources(projections: Sequence[GraphProjection], start: int, stop: int) -> Tuple[np.ndarray, np.ndarray]:
    """List the sources of neurons `start` to `stop` of the projections' target: indptr and ids, as `targets` does."""
    indptr = _indptr([projection.in_degrees[start:stop] for projection in projections], stop - start)
    parts = [projection.sources_of_range(start, stop) for projection in projections]
    if len(parts) == 1:
        return indptr, parts[0]
    if not parts:
        return indptr, np.empty(0, np.int64)
    owners = [np.repeat(np.arange(start, stop), projection.in_degrees[start:stop]) for projection in projections]
    order = np.argsort(np.concatenate(owners), kind="stable")
    return indptr, np.concatenate(parts)[order]


def _indptr(degrees: Sequence[np.ndarray], neurons: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sum(degrees, np.zeros(neurons, np.int64)))])
