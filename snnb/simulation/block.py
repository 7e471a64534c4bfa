"""What passes between an engine and the rest: a block of samples in, what was counted out."""

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Protocol, Tuple

import numpy as np

# Is given the output layer's spikes of the next steps, bool `(samples, steps, units)`.
Observe = Callable[[np.ndarray], None]


@dataclass(frozen=True)
class BlockCounts:
    """What an engine counted for a block of n samples.

    Attributes
    ----------
    counts : dict of str to ndarray of int, shape (n, *shape)
        Spikes of each population's neurons in the steps after the warm-up; shape (1, *shape) from an engine that only
        knows the sum over the samples. The input is among the populations when it spikes (Poisson).
    readout : ndarray of float32, shape (n, units), or None
        Input current of the output layer summed over all steps; None where the engine does not say.
    late : ndarray of int64, shape (populations, 2), or None
        Spikes of each population in the last two quarters of the steps (see `late_quarters`), summed over samples and
        neurons; None where the engine does not say.
    spikes : dict of str to ndarray of int32, shape (spikes, 3)
        Of the recorded samples, by population, the input included; see `spike_table`.
    """

    counts: Dict[str, np.ndarray]
    readout: Optional[np.ndarray]
    late: Optional[np.ndarray]
    spikes: Dict[str, np.ndarray]


class Engine(Protocol):
    """Simulates a network, a block of samples at a time."""

    def simulate(self, x: np.ndarray, first: int, observe: Observe) -> BlockCounts:
        """Simulate samples.

        Parameters
        ----------
        x : ndarray of float32, shape (samples, height, width, channels)
            Pictures, in [0, 1].
        first : int
            Number of the first of them in the run.
        observe : callable
            Given the output layer's spikes, part by part.
        """


def late_quarters(duration: int) -> Tuple[int, int]:
    """Return the first step of the quarter before the last, and of the last; both are empty below four steps."""
    quarter = duration // 4
    return duration - 2 * quarter, duration - quarter


def spike_table(parts: List[np.ndarray]) -> np.ndarray:
    """Join tables of spikes, int32 `(spikes, 3)` with the columns sample, neuron, step: by sample, step, neuron."""
    table = np.concatenate([np.zeros((0, 3), np.int32), *parts])
    return table[np.lexsort((table[:, 1], table[:, 2], table[:, 0]))]
