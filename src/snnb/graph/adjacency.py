"""Neighbours of ranges of neurons of a population, over several projections."""

from typing import Sequence, Tuple

import numpy as np

from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection


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
    """Return the targets of some neurons of a population in CSR form.

    Parameters
    ----------
    projections : sequence of GraphProjection
    source : GraphPopulation
    start, stop : int
        Range of indices in the population.

    Returns
    -------
    indptr : (stop - start + 1,) int64 array
    target : (edges,) int32 or int64 array of node ids, for each neuron ascending in each projection
    weight : (edges,) float32 array
    """
    leaving = [projection for projection in projections if projection.source is source]
    indptr = _indptr([projection.out_degrees[start:stop] for projection in leaving], stop - start)
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
    indptr = _indptr([projection.in_degrees[start:stop] for projection in arriving], stop - start)
    parts = [projection.sources_of_range(start, stop) for projection in arriving]
    if len(parts) == 1:
        return indptr, parts[0]
    if not parts:
        return indptr, np.empty(0, np.int64)
    owners = [np.repeat(np.arange(start, stop), projection.in_degrees[start:stop]) for projection in arriving]
    order = np.argsort(np.concatenate(owners), kind="stable")
    return indptr, np.concatenate(parts)[order]


def repeats(projections: Sequence[GraphProjection]) -> bool:
    """Whether two neurons may have several synapses, with different delays."""
    return len({(p.source.name, p.target.name) for p in projections}) < len(projections)


def distinct(indptr: np.ndarray, neighbours: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return a CSR form with each neighbour of a neuron once, ascending."""
    rows = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
    order = np.lexsort((neighbours, rows))
    rows, neighbours = rows[order], neighbours[order]
    first = np.ones(rows.size, bool)
    first[1:] = (np.diff(rows) != 0) | (np.diff(neighbours) != 0)
    degree = np.bincount(rows[first], minlength=indptr.size - 1)
    return np.concatenate([[0], np.cumsum(degree)]), neighbours[first]


def _indptr(degrees: Sequence[np.ndarray], neurons: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sum(degrees, np.zeros(neurons, np.int64)))])


def with_heads(indptr: np.ndarray, values: np.ndarray, heads: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Insert numbers at the beginning of each row of a CSR form, and remove the empty rows.

    Parameters
    ----------
    indptr : (rows + 1,) int64 array
    values : (values,) int array
    heads : (rows, heads) int64 array
    """
    degree = np.diff(indptr)
    rows, count = np.flatnonzero(degree), heads.shape[1]
    inserted = np.insert(values, indptr[rows].repeat(count), heads[rows].ravel())
    return np.concatenate([[0], np.cumsum(degree[rows] + count)]), inserted
