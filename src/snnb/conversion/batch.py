"""How many samples TensorFlow computes at a time."""

import numpy as np

from snnb.network.network import Network

# Elements of an array of a batch of samples: keeps a batch in tens of megabytes, and its operations long enough.
BATCH_NEURONS = 2_000_000
# TensorFlow multiplies by a matrix of fewer than 10 rows with another kernel, which rounds differently.
SMALLEST_BATCH, LARGEST_BATCH = 10, 100


def batch_of(network: Network) -> int:
    """Return the samples that TensorFlow computes at a time: always so many, so that results depend on nothing else."""
    return max(SMALLEST_BATCH, min(LARGEST_BATCH, BATCH_NEURONS // network.neurons))


def padded(x: np.ndarray, batch: int) -> np.ndarray:
    """Add samples of zeros to `x`, shape `(samples, ...)`, until it has `batch` samples."""
    return np.concatenate([x, np.zeros((batch - len(x), *x.shape[1:]), x.dtype)])
