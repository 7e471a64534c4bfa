"""Number of samples that TensorFlow computes at a time: sums of another number of rows may be rounded differently."""

import numpy as np

from snnb.network.network import Network

# Number of elements in an array of a batch: a batch takes tens of megabytes, and its operations are long enough.
BATCH_NEURONS = 2_000_000
# TensorFlow multiplies by a matrix of fewer than 10 rows with another kernel, which rounds differently.
SMALLEST_BATCH, LARGEST_BATCH = 10, 100


def batch_of(network: Network) -> int:
    """Return the number of samples that TensorFlow computes at a time; results do not depend on other numbers."""
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, BATCH_NEURONS // network.neurons))


def padded(x: np.ndarray, batch: int) -> np.ndarray:
    """Add samples of zeros to `x`, shape `(samples, ...)`, until it has `batch` samples."""
    return np.concatenate([x, np.zeros((batch - len(x), *x.shape[1:]), x.dtype)])
