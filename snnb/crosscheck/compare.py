"""Spike counts of two simulators, neuron by neuron."""

from dataclasses import dataclass
from typing import List, Mapping

import numpy as np

ONE_IN = 1000  # pairs of sample and neuron, of which one may differ, by one spike (float32 and float64 round otherwise)


@dataclass(frozen=True)
class Compared:
    """A population in both simulators.

    Attributes
    ----------
    population : str
    pairs : int
        Pairs of sample and neuron.
    differing : int
        Pairs whose spike counts differ; where only sums over the samples are known, spikes by which these differ.
    largest : int
        The largest difference.
    spikes : int
        Spikes in the simulation.
    within : bool
        At most one pair in a thousand differs (in a small population, one), by one spike.
    """

    population: str
    pairs: int
    differing: int
    largest: int
    spikes: int
    within: bool


def compare(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], samples: int) -> List[Compared]:
    """Compare spike counts, population by population in the order of `found`.

    Parameters
    ----------
    found : mapping of str to ndarray of int64, shape (samples, neurons)
    expected : mapping of str to ndarray of int64, shape (samples, neurons) or (neurons,)
        In the latter shape, summed over the samples.
    samples : int
    """
    compared = []
    for name, counts in found.items():
        wanted = expected[name]
        difference = np.abs((counts.sum(axis=0) if wanted.ndim == 1 else counts) - wanted)
        pairs = samples * counts.shape[1]
        differing = int(difference.sum()) if wanted.ndim == 1 else int(np.count_nonzero(difference))
        largest = int(difference.max(initial=0))
        alone = 1 if wanted.ndim == 2 else samples
        within = differing <= max(1, pairs // ONE_IN) and largest <= alone
        compared.append(Compared(name, pairs, differing, largest, int(wanted.sum()), within))
    return compared
