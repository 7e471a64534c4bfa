"""The hyperedges of a graph, neuron by neuron, and their hash."""

import hashlib
from typing import Iterator

import numpy as np

from snnb.graph import adjacency
from snnb.graph.edges import ranges
from snnb.graph.populations import GraphPopulation
from snnb.graph.synapse_graph import SynapseGraph

EDGES = 1 << 20  # synapses in memory at a time


def hyperedges(graph: SynapseGraph) -> Iterator[np.ndarray]:
    """Generate the list of hyperedges in parts, int64.

    A hyperedge is a neuron or input with all its targets. For each one with at least one target, in the order of the
    ids, the list has: its id, its spike count (0 for a constant input), the number of targets, and their ids,
    ascending, each once.
    """
    for source in graph.populations:
        projections = [projection for projection in graph.projections if projection.source is source]
        counts = spike_counts(source)
        for start, stop in ranges(adjacency.out_degrees(projections, source), EDGES):
            indptr, target, _ = adjacency.targets(projections, source, start, stop)
            owner = np.repeat(np.arange(stop - start), np.diff(indptr))
            # Two projections with different delays can have synapses between the same neurons.
            pairs = np.unique(owner * len(graph.nodes) + target)
            owner, target = np.divmod(pairs, len(graph.nodes))
            degree = np.bincount(owner, minlength=stop - start)
            index = np.arange(start, stop)
            heads = np.stack([source.first + index, counts[index], degree], axis=1)
            yield adjacency.with_heads(np.concatenate([[0], np.cumsum(degree)]), target, heads)[1]


def hyperedges_sha256(graph: SynapseGraph) -> str:
    """Return the SHA-256 of the list of hyperedges as one stream of little-endian int64, in hexadecimal."""
    digest = hashlib.sha256()
    for part in hyperedges(graph):
        digest.update(part.astype("<i8").tobytes())
    return digest.hexdigest()


def spike_counts(population: GraphPopulation) -> np.ndarray:
    """Return the spikes of each neuron over all samples and steps, int64; 0 for a constant input."""
    if population.spike_count is None or population.coding == "current":
        return np.zeros(population.size, np.int64)
    return np.rint(population.spike_count).astype(np.int64).ravel()


def traffic(graph: SynapseGraph) -> float:
    """Return the spikes per sample of all neurons and inputs that have targets."""
    assert graph.recording is not None
    total = 0
    for source in graph.populations:
        leaving = adjacency.out_degrees(graph.projections, source) > 0
        total += int(spike_counts(source)[leaving].sum())
    return total / graph.recording.num_samples
