"""Mean activations of the trained network over the test samples."""

from typing import Dict

import numpy as np

from snnb.core.progress import Progress, silent
from snnb.network.forward import activations
from snnb.network.network import Network

BLOCK = 1 << 24  # activations in memory at a time
OPERATIONS = 20_000_000_000  # limit of multiplications over all samples


def samples_within(network: Network, samples: int, operations: int = OPERATIONS) -> int:
    """Return the number of samples, at least one, that need at most this number of multiplications."""
    each = sum(int(leaving.sum()) for leaving in network.fan_out().values())
    return max(1, min(samples, operations // max(1, each)))


def mean_activations(
    network: Network, x: np.ndarray, scale: float, progress: Progress = silent
) -> Dict[str, np.ndarray]:
    """Return the mean activation of each neuron over samples: by population, float64 in its shape.

    Parameters
    ----------
    network : Network
        Network with kernels in memory. Its weights are normalised: an activation of 1 is a spike in every time step.
    x : (samples, height, width, channels) array
    scale : float
        A pixel is value / scale.
    progress : Progress
    """
    nodes = network.input.size + network.neurons
    batch = max(1, BLOCK // nodes)
    sums: Dict[str, np.ndarray] = {population.name: np.zeros(population.shape) for population in network.populations}
    for first in range(0, len(x), batch):
        part = np.asarray(x[first : first + batch], np.float32) / np.float32(scale)
        for population, values in activations(network, part.reshape(len(part), -1)):
            sums[population.name] += values.sum(axis=0, dtype=np.float64)
        progress(min(first + batch, len(x)), len(x))
    return {name: total / max(1, len(x)) for name, total in sums.items()}
