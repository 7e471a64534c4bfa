"""`networkx`: a pickled `networkx.DiGraph` with nodes `(population, index)`."""

import pickle
from pathlib import Path

from snnb.synapses.export.request import Format, Request
from snnb.synapses.graph import SynapseGraph


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    edges = graph.number_of_edges()
    request.progress(0, edges)
    with path.open("wb") as file:
        pickle.dump(graph.to_networkx(limit=edges, rate_unit=request.rate_unit), file, protocol=4)
    request.progress(edges, edges)


def _size(graph: SynapseGraph) -> float:
    return 60 * graph.number_of_nodes() + 45 * graph.number_of_edges()


FORMAT = Format("networkx (pickle)", ".pickle", write, _size, 250_000)
