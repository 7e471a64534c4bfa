"""The converted network: populations, the projections each of them sums, and their geometry; without TensorFlow."""
