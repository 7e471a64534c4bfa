"""Sums over the samples of a simulation, and their addition.

A block of samples has `Totals`; those of all blocks are added. A sum does not depend on
how the samples are divided into blocks, because it is a sum of integers, or of numbers
that are rounded to multiples of `scorers.ERROR_UNIT`.
"""

from typing import Any, Dict, List, NamedTuple, Optional, TypeVar, cast

import numpy as np

S = TypeVar("S")


class QualitySums(NamedTuple):
    """Sums that measure the output of the networks.

    Of a classifier they are numbers of samples; `by_step`, `ann`, `readout` and
    `readout_by_step` count correct guesses. Of a network that reproduces its input,
    `by_step`, `ann` and `readout` are sums of mean squared errors, and the other fields
    have their defaults.
    """

    # Of the spiking network after each step: int64, or float64 for errors, (steps,)
    by_step: np.ndarray
    ann: Optional[float]  # None if there is no analogue network
    # Of the accumulated input of the output layer; None if the engine provides none
    readout: Optional[float]
    readout_by_step: Optional[np.ndarray] = None  # of the read-out after each step
    # Samples for which the guesses of the two networks differ; None without analogue
    # network, as `ann_top`
    differ: Optional[int] = 0
    ann_top: Optional[int] = 0  # samples whose class is among the five best
    snn_top: int = 0
    # Samples by class and by the guess of the spiking network after the last step:
    # int64 (classes, classes + 1). The last column has the samples without a spike.
    confusion: Optional[np.ndarray] = None
    # The same by class of the read-out; None without a read-out
    readout_confusion: Optional[np.ndarray] = None


class Totals(NamedTuple):
    """Sums over the samples of a block, or of all blocks; see `engine.BlockCounts`."""

    samples: int
    # Spikes by population: int64, in its shape. The input is among them if it spikes.
    counts: Dict[str, np.ndarray]
    quality: QualitySums
    late: Optional[np.ndarray]
    spikes: Dict[str, List[np.ndarray]]  # by population, a table of each block
    # A table (samples, units) of each block: spikes of the output layer, or its
    # read-out if it does not spike or spikes at random
    outputs: List[np.ndarray]
    ties: int = 0
    membrane_updates: Optional[int] = None


def add_sums(left: S, right: S) -> S:
    """Add numbers, arrays or lists, and dictionaries and named tuples of these.

    Lists are concatenated, in the order of the blocks. A key that only one of two
    dictionaries has keeps its value. None plus any sum is None.
    """
    sums: Any = None
    if isinstance(left, dict) and isinstance(right, dict):
        common_keys = left.keys() & right.keys()
        shared_sums = {key: add_sums(left[key], right[key]) for key in common_keys}
        sums = {**left, **right, **shared_sums}
    elif isinstance(left, tuple) and isinstance(right, tuple):
        sums = type(left)(*map(add_sums, left, right))
    elif left is not None and right is not None:
        sums = left + right  # type: ignore[operator]
    return cast(S, sums)
