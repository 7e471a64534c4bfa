"""Spikes as sorted rows of sample, neuron and step."""

from typing import Callable, Dict, Mapping

import numpy as np

# By population, int64 of shape (spikes, 3): sample, neuron, step from the first in which the population takes part.
Spikes = Mapping[str, np.ndarray]
# Takes inputs (of a constant input float64, shape (samples, inputs); of one that spikes bool, shape (samples, inputs,
# steps)) and the number of steps; returns the spikes of each population that follows from the network.
Simulate = Callable[[np.ndarray, int], Dict[str, np.ndarray]]


def in_order(spikes: np.ndarray) -> np.ndarray:
    """Sort rows by step, sample, neuron."""
    return spikes[np.lexsort((spikes[:, 1], spikes[:, 0], spikes[:, 2]))]


def counts_of(spikes: np.ndarray, samples: int, size: int, counted_from: int) -> np.ndarray:
    """Count spikes: int64 of shape (samples, size), without the steps before `counted_from`."""
    counted = spikes[spikes[:, 2] >= counted_from]
    return np.bincount(counted[:, 0] * size + counted[:, 1], minlength=samples * size).reshape(samples, size)
