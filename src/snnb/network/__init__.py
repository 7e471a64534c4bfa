"""The networks that are trained and simulated, without TensorFlow.

A network that is simulated has populations, the projections that each of them sums, and
the geometry of these.
"""
