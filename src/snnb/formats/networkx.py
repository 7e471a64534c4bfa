"""`networkx`: a pickled `networkx.DiGraph` with nodes `(population, index)`, see `SynapseGraph.to_networkx`."""

import pickle
from pathlib import Path

from snnb.core.errors import ResourceError
from snnb.core.machine import memory
from snnb.formats.request import Format, Request
from snnb.graph.synapse_graph import SynapseGraph

EDGE_BYTES, NODE_BYTES = 800, 1500  # in memory


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the pickled graph; see `Format`."""
    edges = graph.number_of_edges()
    request.progress(0, edges)
    with path.open("wb") as file:
        digraph = graph.to_networkx(limit=graph.number_of_nodes() + edges, rate_unit=request.options.rate_unit)
        pickle.dump(digraph, file, protocol=4)
    request.progress(edges, edges)


def _check(graph: SynapseGraph, request: Request) -> None:
    need = EDGE_BYTES * graph.number_of_edges() + NODE_BYTES * graph.number_of_nodes()
    free = memory().available
    if need > free:
        raise ResourceError(
            f"networkx will take about {need / 1e9:,.1f} GB of memory for {graph.number_of_edges():,} edges, "
            f"{free / 1e9:,.1f} GB are free; use npz, parquet or csv"
        )


FORMAT = Format(".pickle", write, _check, has_names=True, own_options=("rate_unit",))
