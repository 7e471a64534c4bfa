"""Differences of the spike counts of two simulators."""

from dataclasses import dataclass
from typing import List, Mapping

import numpy as np

PAIRS = 1000  # pairs of sample and neuron per spike that may differ without a reason


@dataclass(frozen=True)
class CountDifference:
    """Differences of the spike counts of a population in two simulators.

    A *pair* is a sample and a neuron of the population.
    """

    population: str
    pairs: int
    # Pairs whose counts differ; if only sums over the samples are known, the number of
    # spikes by which these differ
    differing: int
    largest: int  # the largest difference
    spikes: int  # in the simulation

    @property
    def share(self) -> float:
        """Share of the pairs whose counts differ."""
        return self.differing / self.pairs


def count_differences(
    counts: Mapping[str, np.ndarray],
    expected_counts: Mapping[str, np.ndarray],
    samples: int,
) -> List[CountDifference]:
    """Compare spike counts, population by population in the order of `counts`.

    Counts are int64 (samples, neurons), or (neurons,) if they are summed over the
    samples.
    """
    differences = []
    for name, population_counts in counts.items():
        difference = np.abs(population_counts - expected_counts[name])
        is_sum = difference.ndim == 1
        differing = difference.sum() if is_sum else np.count_nonzero(difference)
        differences.append(
            CountDifference(
                population=name,
                pairs=samples * difference.shape[-1],
                differing=int(differing),
                largest=int(difference.max(initial=0)),
                spikes=int(expected_counts[name].sum()),
            )
        )
    return differences


def within_rounding(difference: CountDifference, samples: int) -> bool:
    """Whether sums over samples differ by no more than rounding.

    They may differ by one spike in `PAIRS` pairs, or one in all, and in each neuron by
    one per sample.
    """
    limit = max(1, difference.pairs // PAIRS)
    return difference.differing <= limit and difference.largest <= samples
