"""The graph of a spiking network's synapses: geometry, store, queries, exporters. Imports no TensorFlow."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snnb.graph.synapse_graph import SynapseGraph

__all__ = ["SynapseGraph"]


def __getattr__(name: str) -> object:
    """Import the graph when it is first asked for: the options of its exports are read for every `snnb --help`."""
    if name != "SynapseGraph":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from snnb.graph.synapse_graph import SynapseGraph

    return SynapseGraph
