"""Random numbers as a function of seed, sample, time step and neuron."""

from typing import List, Tuple

import numpy as np

INPUT = 0
SOFTMAX = 1


class Streams:
    """Random numbers of consecutive samples for one purpose, drawn step after step.

    A sample's numbers come from Philox, a function of key and counter (Salmon et al. 2011, Parallel random numbers: as
    easy as 1, 2, 3): the key is (seed, sample), and the counter's highest word is the use: `INPUT` for Poisson input,
    `SOFTMAX` + i for the i-th softmax layer.
    """

    def __init__(self, seed: int, samples: range, use: int) -> None:
        counter = np.array([0, 0, 0, use], np.uint64)
        keys = [np.array([seed, sample], np.uint64) for sample in samples]
        self._generators = [np.random.Generator(np.random.Philox(key=key, counter=counter)) for key in keys]

    def uniform(self, steps: int, shape: Tuple[int, ...]) -> np.ndarray:
        """Draw numbers in [0, 1) in order of step, then neuron: float32 (samples, steps, *shape)."""
        draws: List[np.ndarray] = [g.random((steps, *shape), dtype=np.float32) for g in self._generators]
        return np.stack(draws)

    def poisson(self, x: np.ndarray, rate: float, steps: int) -> np.ndarray:
        """Draw the spikes of Poisson input for images in [0, 1]: bool (samples, steps, ...).

        Each is a spike with probability min(1, x * rate * dt / 1000), at a `rate` in Hz and dt = 1 ms.
        """
        probability = x[:, np.newaxis] * np.float32(rate / 1000)
        spikes: np.ndarray = self.uniform(steps, x.shape[1:]) < probability
        return spikes
