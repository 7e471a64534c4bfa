"""Spikes as sorted rows of sample, neuron and step."""

from typing import Callable, Dict, Mapping

import numpy as np

from snnb.crosscheck.exported import ExportedNetwork

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


class StepByStep:
    """Spikes of all populations by time step.

    Parameters
    ----------
    network : ExportedNetwork
    inputs : ndarray
        As in `Simulate`.
    spikes : Spikes
        In order.
    """

    def __init__(self, network: ExportedNetwork, inputs: np.ndarray, spikes: Spikes) -> None:
        self._network, self._inputs, self._spikes = network, inputs, spikes

    def at(self, name: str, step: int) -> np.ndarray:
        """Return the neurons that spike in a step: bool, shape (neurons, samples)."""
        if name == self._network.input.name:
            return self._inputs[:, :, step].T
        spikes = self._spikes[name]
        now = spikes[slice(*np.searchsorted(spikes[:, 2], [step, step + 1]))]
        fired = np.zeros((self._network.population(name).size, len(self._inputs)), bool)
        fired[now[:, 1], now[:, 0]] = True
        return fired
