"""Spike counts of two simulators, neuron by neuron."""

from dataclasses import dataclass
from typing import List, Mapping

import numpy as np

ONE_IN = 1000  # of sums over samples, spikes of pairs of sample and neuron that may differ without a reason


@dataclass(frozen=True)
class Compared:
    """A population in both simulators.

    Attributes
    ----------
    population : str
    pairs : pairs of sample and neuron
    differing : pairs whose spike counts differ; if only sums over the samples are known, spikes by which these differ
    largest : the largest difference
    spikes : spikes in the simulation
    """

    population: str
    pairs: int
    differing: int
    largest: int
    spikes: int


def compare(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], samples: int) -> List[Compared]:
    """Compare spike counts, population by population in the order of `found`.

    Parameters
    ----------
    found, expected : mapping of str to (samples, neurons) int64 array, or (neurons,) if summed over samples
    samples : int
    """
    compared = []
    for name, counts in found.items():
        difference = np.abs(counts - expected[name])
        differing = int(difference.sum() if difference.ndim == 1 else np.count_nonzero(difference))
        largest, spikes = int(difference.max(initial=0)), int(expected[name].sum())
        compared.append(Compared(name, samples * counts.shape[-1], differing, largest, spikes))
    return compared


def few(compared: Compared, samples: int) -> bool:
    """Whether sums differ by at most a spike in a thousand pairs, or by one; of a neuron, by at most one a sample."""
    return compared.differing <= max(1, compared.pairs // ONE_IN) and compared.largest <= samples
