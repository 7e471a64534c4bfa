"""In which order samples stand, so that every prefix is fair to the classes."""

from typing import Optional, Tuple

import numpy as np


def proportional_order(labels: np.ndarray, rng: Optional[np.random.Generator] = None) -> np.ndarray:
    """Order in which every prefix holds the classes in proportion.

    The j-th of a class's n samples stands at the fraction (j + 1/2) / n of the whole. A prefix that ends at fraction t
    thus holds n·t samples of each class, rounded: no class is off its share by more than half a sample and its part
    of the other classes' halves.

    Parameters
    ----------
    labels : int64 (n,)
    rng : shuffles within each class and among samples that tie; without it samples keep the order given.

    Returns
    -------
    int64 (n,): positions in `labels`.
    """
    rank, counts = _rank_in_class(labels, rng)
    fraction = (rank + 0.5) / counts
    return _sorted_by(fraction, labels, rng)


def balanced_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Order in which every prefix holds the same number of each class (±1) until a class has no samples left.

    Parameters and result as for `proportional_order`.
    """
    rank, _ = _rank_in_class(labels, rng)
    return _sorted_by(rank, labels, rng)


def _rank_in_class(labels: np.ndarray, rng: Optional[np.random.Generator]) -> Tuple[np.ndarray, np.ndarray]:
    """For each sample its rank among those of its class, drawn at random with `rng`, and the size of its class."""
    shuffle = rng.random(len(labels)) if rng is not None else np.arange(len(labels))
    by_class = np.lexsort((shuffle, labels))
    _, first, size = np.unique(labels[by_class], return_index=True, return_counts=True)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[by_class] = np.arange(len(labels)) - np.repeat(first, size)
    counts = np.empty(len(labels), dtype=np.int64)
    counts[by_class] = np.repeat(size, size)
    return rank, counts


def _sorted_by(key: np.ndarray, labels: np.ndarray, rng: Optional[np.random.Generator]) -> np.ndarray:
    tie = rng.random(len(labels)) if rng is not None else labels
    return np.lexsort((tie, key))
