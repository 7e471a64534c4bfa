"""`metis`: the undirected graph for METIS, KaHIP, NetworKit; an edge weighs what its synapse carries.

Nodes count from 1; the weight is max(1, round(scale × traffic)), traffic the spikes per step of the source.
"""

from pathlib import Path

import numpy as np

from snnb.core.errors import UsageError
from snnb.graph.adjacency import in_degrees, out_degrees, sources, targets
from snnb.graph.edges import ranges
from snnb.graph.export.request import TEXT_BATCH, Format, PlacedNeurons, Request, need_counts
from snnb.graph.export.weights import scaled
from snnb.graph.synapse_graph import SynapseGraph

LARGEST = 2**30  # edges that a reader with 32-bit indices holds: it keeps both directions


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph: each neuron with its neighbours; see `Format`."""
    from snnb.graph.export.decimals import NUMBER
    from snnb.graph.export.text import weighted_neighbours

    placed = PlacedNeurons(graph, request)
    assert graph.recording is not None
    traffic = np.concatenate([population.traffic() for population in placed.populations])
    degrees = np.concatenate([out_degrees(placed.from_source(p), p) for p in placed.populations])
    weights, scale = scaled(traffic, degrees, request.options.scale, float(graph.recording.steps))
    counter = request.counter(2 * placed.edges)
    with path.open("wb") as file:
        stated = "; ".join(f"{name} {value}" for name, value in graph.describe().items())
        file.write(f"% edge weight max(1, round({scale!r} x spikes per time step of the source)); {stated}\n".encode())
        file.write(f"{placed.nodes} {placed.edges} 001\n".encode())
        for population in placed.populations:
            to, of = placed.to_target(population), placed.from_source(population)
            for start, stop in ranges(in_degrees(to, population) + out_degrees(of, population), TEXT_BATCH):
                in_indptr, source = sources(to, start, stop)
                out_indptr, target, _ = targets(of, start, stop)
                out = np.empty((2 * (source.size + target.size) + stop - start) * NUMBER, np.uint8)
                first = population.first + start - placed.first
                neighbours = source - placed.first, out_indptr, target - placed.first
                file.write(out[: weighted_neighbours(out, first, in_indptr, *neighbours, weights)].data)
                counter.add(source.size + target.size)


def _check(graph: SynapseGraph, request: Request) -> None:
    need_counts(graph, request)
    placed = PlacedNeurons(graph, request)
    if placed.edges > LARGEST and not request.options.idx64:
        raise UsageError(
            f"{placed.edges:,} edges are more than a reader with 32-bit indices holds ({LARGEST:,}); "
            "give --idx64 for one built with 64-bit indices"
        )


def _size(graph: SynapseGraph, request: Request) -> float:
    placed = PlacedNeurons(graph, request)
    return 2 * (len(str(placed.nodes)) + 5) * placed.edges + placed.nodes


FORMAT = Format(".graph", write, _size, 8e6, _check, partial=True, own_options=("scale", "idx64"))
