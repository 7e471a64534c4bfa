"""Parallel connections: where a tensor is concatenated with itself, two neurons meet twice and have one synapse."""

from typing import Callable, Iterator, Tuple

import numpy as np

from snnb.synapses.generate import EdgeBatch


def merge(nodes: np.ndarray, weights: np.ndarray, rule: str) -> Tuple[np.ndarray, np.ndarray]:
    """Sort nodes and merge equal ones, their weights summed; a maximum over equal inputs is that input, so it stays 1.

    Parameters
    ----------
    nodes : ndarray of int64, shape (connections,)
    weights : ndarray of float32, shape (connections,)
    rule : str
        The Keras class of the layer.

    Returns
    -------
    nodes : ndarray of int64, ascending
    weights : ndarray of float32
    """
    merged, inverse = np.unique(nodes, return_inverse=True)
    if merged.size == nodes.size:
        order = np.argsort(nodes)
        return nodes[order], weights[order]
    if rule == "MaxPooling2D":
        return merged, np.ones(merged.size, np.float32)
    return merged, np.bincount(inverse, weights).astype(np.float32)


def merged_batches(
    successors: Callable[[int], Tuple[np.ndarray, np.ndarray]],
    first_source: int,
    rate: np.ndarray,
    max_edges: int,
    dtype: np.dtype,
) -> Iterator[EdgeBatch]:
    """Generate the edges of a projection with merged connections, source by source.

    Parameters
    ----------
    successors : callable
        Gives the merged targets and weights of a source.
    first_source : int
        Id of the first source.
    rate : ndarray of float32, shape (sources,)
    max_edges : int
        Most edges in a batch.
    dtype : dtype
        Of the ids.
    """
    for local, value in enumerate(rate):
        targets, weights = successors(first_source + local)
        for begin in range(0, targets.size, max_edges):
            part = slice(begin, begin + max_edges)
            target, weight = targets[part].astype(dtype), weights[part]
            yield EdgeBatch(np.full(target.size, first_source + local, dtype), target, weight, value * weight)
