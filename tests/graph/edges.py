"""The edges of a graph as plain arrays, and its nodes by name: what the exports are held against."""

from typing import List, Tuple

import numpy as np

from snnb.graph import SynapseGraph


def all_edges(graph: SynapseGraph, rate_scale: float = 1.0) -> List[np.ndarray]:
    """Source, target, weight, edge of the whole graph, copied out of the batches."""
    batches = (batch for p in graph.projections for batch in p.edge_batches(rate_scale=rate_scale))
    return [np.concatenate(columns) for columns in zip(*([values.copy() for values in batch] for batch in batches))]


def names_of(graph: SynapseGraph) -> List[Tuple[str, Tuple[int, ...]]]:
    """Population and index of every node, by id."""
    return [(graph.nodes[n].population, graph.nodes[n].index) for n in graph.nodes]
