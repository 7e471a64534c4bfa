"""Orders of samples in which every prefix contains the classes in proportion, or the same number of each."""

from typing import Optional, Tuple

import numpy as np


def proportional_order(labels: np.ndarray, rng: Optional[np.random.Generator] = None) -> np.ndarray:
    """Return an order in which every prefix contains the classes in proportion.

    The j-th of a class's n samples is placed at the fraction (j + 1/2) / n of the order. A prefix that ends at the
    fraction t then contains n·t samples of each class, rounded.

    Parameters
    ----------
    labels : (n,) int64 array
    rng : np.random.Generator, optional
        Shuffles the samples of a class and samples at the same fraction; without it they keep the given order.

    Returns
    -------
    (n,) int64 array
        Positions in `labels`.
    """
    rank, counts = _rank_in_class(labels, rng)
    return np.lexsort((labels if rng is None else rng.random(len(labels)), (rank + 0.5) / counts))


def balanced_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an order in which every prefix contains the same number of each class (±1) until a class is exhausted.

    Parameters
    ----------
    labels : (n,) int64 array
    rng : np.random.Generator
        Shuffles the samples of a class, and samples of the same rank.

    Returns
    -------
    (n,) int64 array
        Positions in `labels`.
    """
    rank, _ = _rank_in_class(labels, rng)
    return np.lexsort((rng.random(len(labels)), rank))


def _rank_in_class(labels: np.ndarray, rng: Optional[np.random.Generator]) -> Tuple[np.ndarray, np.ndarray]:
    """Return for each sample its rank in its class, random if `rng` is given, and the size of its class."""
    shuffle = rng.random(len(labels)) if rng is not None else np.arange(len(labels))
    by_class = np.lexsort((shuffle, labels))
    _, first, size = np.unique(labels[by_class], return_index=True, return_counts=True)
    rank = np.empty(len(labels), dtype=np.int64)
    rank[by_class] = np.arange(len(labels)) - np.repeat(first, size)
    counts = np.empty(len(labels), dtype=np.int64)
    counts[by_class] = np.repeat(size, size)
    return rank, counts
