"""`networkx` and `graphml`: the graph as a `networkx.DiGraph`, pickled, or for Gephi and similar programs.

Nodes of the pickled graph are `(population, index)`, see `SynapseGraph.to_networkx`.
Node names of `graphml`, which is for small graphs only, are ids; nodes have population
and index.
"""

import pickle
from pathlib import Path

from snnb.core.errors import ResourceError
from snnb.core.machine import memory
from snnb.formats.request import Format, Request
from snnb.graph.synapse_graph import NETWORKX_LIMIT, SynapseGraph

EDGE_BYTES, NODE_BYTES = 800, 1500  # in memory


def write_pickle(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the pickled graph; see `Format`."""
    edges = graph.number_of_edges()
    request.progress(0, edges)
    with path.open("wb") as file:
        digraph = graph.to_networkx(
            limit=graph.number_of_nodes() + edges, rate_unit=request.options.rate_unit
        )
        pickle.dump(digraph, file, protocol=4)
    request.progress(edges, edges)


def _check_memory(graph: SynapseGraph, request: Request) -> None:
    need = EDGE_BYTES * graph.number_of_edges() + NODE_BYTES * graph.number_of_nodes()
    free = memory().available
    if need > free:
        raise ResourceError(
            f"networkx will take about {need / 1e9:,.1f} GB of memory for "
            f"{graph.number_of_edges():,} edges, {free / 1e9:,.1f} GB are free; use "
            "npz, parquet or csv"
        )


def write_graphml(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph with all attributes; see `Format`."""
    import networkx

    edges = graph.number_of_edges()
    request.progress(0, edges)
    digraph = graph.to_networkx(rate_unit=request.options.rate_unit)
    for (population, index), values in digraph.nodes(data=True):
        values.update(population=population, index=str(index))
        if (
            "spike_count" in values
            # A current of the input is not an integer, and a key of GraphML has one type
        ):
            values["spike_count"] = float(values["spike_count"])
    numbered_graph = networkx.convert_node_labels_to_integers(digraph)
    networkx.write_graphml_xml(numbered_graph, str(path), prettyprint=False)
    request.progress(edges, edges)


def _check_size(graph: SynapseGraph, request: Request) -> None:
    size = graph.number_of_nodes() + graph.number_of_edges()
    if size > NETWORKX_LIMIT:
        raise ResourceError(
            f"{size:,} nodes and edges exceed the capacity of GraphML programs "
            f"({NETWORKX_LIMIT:,}); use parquet, npz or csv"
        )


FORMAT = Format(
    ".pickle", write_pickle, _check_memory, has_names=True, own_options=("rate_unit",)
)
GRAPHML = Format(
    ".graphml", write_graphml, _check_size, has_names=True, own_options=("rate_unit",)
)
