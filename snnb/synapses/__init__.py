"""The graph of a spiking network's synapses: geometry, store, queries, exporters. Imports no TensorFlow."""

from snnb.synapses.graph import SynapseGraph

__all__ = ["SynapseGraph"]
