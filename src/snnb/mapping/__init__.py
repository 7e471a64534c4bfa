"""The graph on hardware: partition into cores, placement on the mesh, exact cost.

Imports no TensorFlow. In `snnb map`, map_network.py calls partition.py (neurons to
cores), placement.py (cores to positions) and cost.py; files.py writes the result.
Terms:

core, tile, chip
    Of the hardware. The cores of a tile share a router. A core number without neurons
    is an empty core.
partition, placement
    The core of each neuron; x and y of each core on the mesh.
label
    A number of each neuron: of its core, or of its group.
target set
    The distinct labels that hold a target of a source. Sources with equal sets mostly
    share one (traffic.py).
traffic
    Spikes per sample from core to core.
group
    Neurons that the search moves together (groups.py): a position and a chunk of
    channels, or a patch.
chunk
    Consecutive channels of a population.
patch, grid
    A rectangle of positions with a chunk of channels; the number of patches along rows
    and columns.
layer, term
    On a chip with a core for each layer (layers/): a population in the form of a core;
    spikes that it reads.
list, entry
    In the memory for synapses of a core: the synapses of one source onto its neurons;
    one synapse of it (limits.py).
"""
