"""Which numbers can be seeds."""

LARGEST_SEED = 2**32 - 1  # of numpy.random.seed
