"""`hmetis`: the hypergraph for hMETIS, KaHyPar, Mt-KaHyPar: a neuron and all its targets are one hyperedge.

Nodes count from 1; a hyperedge weighs max(1, round(scale × spike count)), each node 1: one neuron to place.
"""

from pathlib import Path

import numpy as np

from snnb.graph.adjacency import out_degrees, targets, with_heads
from snnb.graph.edges import ranges
from snnb.graph.export.request import TEXT_BATCH, Format, PlacedNeurons, Request, need_counts
from snnb.graph.export.weights import scaled
from snnb.graph.synapse_graph import SynapseGraph


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph: a hyperedge a neuron; see `Format`."""
    from snnb.graph.export.text import integer_rows

    placed = PlacedNeurons(graph, request)
    spikes = [
        np.zeros(p.size) if p.coding == "current" or p.spike_count is None else p.spike_count.ravel().astype(np.float64)
        for p in placed.populations
    ]
    degrees = np.concatenate([out_degrees(placed.from_source(p), p) for p in placed.populations])
    weights, scale = scaled(np.concatenate(spikes), degrees > 0, request.options.scale, 1.0)
    counter = request.counter(placed.edges)
    with path.open("wb") as file:
        stated = "; ".join(f"{name} {value}" for name, value in graph.describe().items())
        file.write(f"% hyperedge weight max(1, round({scale!r} x spike count of the source)); {stated}\n".encode())
        file.write(f"{np.count_nonzero(degrees)} {placed.nodes} 11\n".encode())
        for population in placed.populations:
            projections = placed.from_source(population)
            for start, stop in ranges(out_degrees(projections, population), TEXT_BATCH):
                indptr, target, _ = targets(projections, start, stop)
                node = np.arange(population.first + start, population.first + stop) - placed.first
                heads = np.stack([weights[node], node + 1], axis=1)
                file.write(integer_rows(*with_heads(indptr, target - (placed.first - 1), heads)).data)
                counter.add(target.size)
        file.write(b"1\n" * placed.nodes)


def _size(graph: SynapseGraph, request: Request) -> float:
    placed = PlacedNeurons(graph, request)
    return (len(str(placed.nodes)) + 1) * placed.edges + 16 * placed.nodes


FORMAT = Format(".hgr", write, _size, 2e7, need_counts, partial=True, own_options=("scale",))
