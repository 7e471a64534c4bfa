"""The graph of a spiking network's synapses: geometry, store, queries, exporters. Imports no TensorFlow."""
