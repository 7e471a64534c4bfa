"""`graphml`: for Gephi and similar programs; small graphs only.

Node names are ids; nodes have population and index.
"""

from pathlib import Path

from snnb.core.errors import ResourceError
from snnb.formats.request import Format, Request
from snnb.graph.synapse_graph import NETWORKX_LIMIT, SynapseGraph


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph with all attributes; see `Format`."""
    import networkx

    edges = graph.number_of_edges()
    request.progress(0, edges)
    digraph = graph.to_networkx(rate_unit=request.options.rate_unit)
    for (population, index), values in digraph.nodes(data=True):
        values.update(population=population, index=str(index))
        if "spike_count" in values:  # a current of the input is not an integer, and a key of GraphML has one type
            values["spike_count"] = float(values["spike_count"])
    numbered = networkx.convert_node_labels_to_integers(digraph)
    networkx.write_graphml_xml(numbered, str(path), prettyprint=False)
    request.progress(edges, edges)


def _check(graph: SynapseGraph, request: Request) -> None:
    size = graph.number_of_nodes() + graph.number_of_edges()
    if size > NETWORKX_LIMIT:
        raise ResourceError(
            f"{size:,} nodes and edges exceed the capacity of GraphML programs ({NETWORKX_LIMIT:,}); use parquet, npz "
            "or csv"
        )


FORMAT = Format(".graphml", write, _check, has_names=True, own_options=("rate_unit",))
