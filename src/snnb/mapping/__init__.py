"""The graph on hardware: descriptions of chips, partition into cores, placement on the mesh, exact cost.

Imports no TensorFlow.
"""
