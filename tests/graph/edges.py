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


def step_by_graph(graph, x, steps):
    """Spike counts of each population: membrane += W @ spikes + b, a spike at 1, reset by subtraction, no delay.

    A pooled sum is divided after adding, as TensorFlow does.
    """
    currents = {p: p.bias.ravel() for p in graph.populations}
    inbound = {p: [q for q in graph.projections if q.target is p] for p in graph.populations}
    matrices = {}
    for projection in graph.projections:
        matrix = projection.to_scipy().T.tocsr()
        if projection.connections[0].weighting == "mean":
            matrix.data[:] = 1
        matrices[projection] = matrix
    counts = {p.name: np.zeros((len(x), p.size), np.int64) for p in graph.populations[1:]}
    for sample, pixels in enumerate(x):
        membrane = {p: np.zeros(p.size, np.float32) for p in graph.populations}
        for _ in range(steps):
            active = {graph.populations[0]: pixels.ravel()}
            for population in graph.populations[1:]:
                sums = sum(matrices[q] @ active[q.source] for q in inbound[population])
                if inbound[population][0].connections[0].weighting == "mean":
                    sums = sums / sum(q.in_degrees for q in inbound[population])
                membrane[population] += (sums + currents[population]).astype(np.float32)
                active[population] = (membrane[population] >= 1).astype(np.float32)
                membrane[population] -= active[population]
                counts[population.name][sample] += active[population].astype(np.int64)
    return counts
