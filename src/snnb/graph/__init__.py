"""The graph of a spiking network's synapses.

Geometry, store, queries. Imports no TensorFlow.

Terms:

neuron, input
    A node of the graph has an id; inputs come first. An input whose coding is `current`
    sends no spikes.
projection
    All synapses from one population to another with one delay.
connection
    A layer between two populations, as kernel and geometry, from which synapses are
    generated. A `KernelProjection` has all of them, a `SparseProjection` those whose
    weight is not 0.
listed
    With every synapse in the file instead of connections: `ListedProjection`. A
    `ListedGraph` of `ListedPopulation` is such a graph before it is written: from
    another program, or made of arrays.
edge
    A synapse as source, target, weight and firing rate of the source. Edges come in
    batches.
position
    A row and a column of a population; its neurons there are its channels.
"""
