"""`snn`: the binary hypergraph of AxonCUDA: a neuron and all its targets are one directed hyperedge.

Little-endian: uint32 nodes, uint32 hyperedges; for each hyperedge uint32 number of targets, uint32 source, uint32
targets, float32 weight: the rate of the source. Nodes count from 0. (EMJzero/AxonCUDA, includes/hgraph.hpp, "SNN binary
hypergraph format".)
"""

from pathlib import Path

import numpy as np

from snnb.formats.request import BATCH, Format, Request, SpikingPart, need_counts
from snnb.graph.projection import distinct, out_degrees, repeats
from snnb.graph.synapse_graph import SynapseGraph

NUMBER = np.dtype("<u4")


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, one hyperedge per neuron with targets; see `Format`."""
    part = SpikingPart.of(graph, request)
    rate = np.concatenate([population.traffic() for population in part.populations]) * request.rate_scale(graph)
    degrees = (out_degrees(part.projections, population) for population in part.populations)
    counter = request.counter(part.edges)
    with path.open("wb") as file:
        hyperedges = sum(int(np.count_nonzero(degree)) for degree in degrees)
        file.write(np.array([part.nodes, hyperedges], NUMBER).data)
        for node, indptr, target, _ in part.rows(BATCH):
            if repeats(part.projections):
                indptr, target = distinct(indptr, target)
            file.write(_records(node, np.diff(indptr), target, rate[node]).data)
            counter.add(target.size)


def _records(node: np.ndarray, degree: np.ndarray, target: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Return the hyperedges (uint32) of some neurons, given all their targets, neuron after neuron."""
    sources = np.flatnonzero(degree)
    number = degree[sources]
    end = np.cumsum(number)
    places = np.stack([end - number, end - number, end], axis=1)
    inserted = np.stack([number, node[sources], rate[sources].astype("<f4").view(NUMBER)], axis=1)
    return np.insert(target.astype(NUMBER), places.ravel(), inserted.ravel())


FORMAT = Format(".snn", write, need_counts, partial=True, own_options=("rate_unit", "with_input"))
