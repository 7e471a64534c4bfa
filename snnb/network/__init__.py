"""The converted network: populations, the projections each of them sums, and the geometry of both, without TensorFlow."""
