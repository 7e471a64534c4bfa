"""The graph of a spiking network's synapses: connection geometry, the store, queries, exporters. Imports no TensorFlow."""

from snnb.synapses.graph import SynapseGraph

__all__ = ["SynapseGraph"]
