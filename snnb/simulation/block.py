"""What passes between an engine and the rest: a block of samples in, what was counted out."""

from dataclasses import dataclass
from typing import Callable, Dict, List, Protocol, Tuple

import numpy as np

# Is given the output layer's spikes of the next steps, bool `(samples, steps, units)`.
Observe = Callable[[np.ndarray], None]


@dataclass(frozen=True)
class BlockCounts:
    """What an engine counted for a block of n samples.

    Attributes
    ----------
    counts
        Spikes of each population's neurons in the steps after the warm-up: integers `(n,) + shape`. The input is
        among the populations when it spikes (Poisson).
    readout
        Input current of the output layer summed over all steps: float32 `(n, units)`.
    late
        Spikes of each population in the last two quarters of the steps (see `late_quarters`), summed over samples and
        neurons: int64 `(populations, 2)`.
    spikes
        Of the recorded samples, by population, the input included: int32 `(spikes, 3)`, see `spike_table`.
    """

    counts: Dict[str, np.ndarray]
    readout: np.ndarray
    late: np.ndarray
    spikes: Dict[str, np.ndarray]


class Engine(Protocol):
    """Simulates a network, a block of samples at a time."""

    def simulate(self, x: np.ndarray, first: int, observe: Observe) -> BlockCounts:
        """Simulate the samples `x`, float32 `(n,) + shape` in [0, 1]; the first is number `first` of the run."""


def late_quarters(duration: int) -> Tuple[int, int]:
    """First step of the quarter before the last, and of the last; both quarters are empty below four steps."""
    quarter = duration // 4
    return duration - 2 * quarter, duration - quarter


def spike_table(parts: List[np.ndarray]) -> np.ndarray:
    """Join tables of spikes, int32 `(spikes, 3)` with the columns sample, neuron, step: by sample, step, neuron."""
    table = np.concatenate([np.zeros((0, 3), np.int32), *parts])
    return table[np.lexsort((table[:, 1], table[:, 2], table[:, 0]))]
