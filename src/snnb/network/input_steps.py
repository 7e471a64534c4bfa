"""Input that changes from step to step: currents, or counts of events, without the zeros."""

import math
from dataclasses import dataclass
from typing import Optional

import numpy as np

from snnb.network.geometry import Shape


@dataclass(frozen=True, eq=False)
class InputSteps:
    """Entries of consecutive samples, sorted by sample, time step, and neuron of the input.

    A sample has no end: after its last entry it is silent. A slice `steps[first:stop]` has some of the samples.
    """

    shape: Shape  # of the input
    bounds: np.ndarray  # int64 (samples + 1,): sample i has the entries bounds[i] to before bounds[i + 1]
    step: np.ndarray  # int32 (entries,)
    neuron: np.ndarray  # int32 (entries,): index into the flattened input
    value: np.ndarray  # float32 (entries,): current of the neuron's projections, before weighting

    @classmethod
    def dense(cls, x: np.ndarray) -> "InputSteps":
        """Take the entries other than 0 of an array of shape (samples, steps, *shape)."""
        flat = x.reshape(*x.shape[:2], -1)
        sample, step, neuron = np.nonzero(flat)
        bounds = np.searchsorted(sample, np.arange(len(x) + 1))
        value = flat[sample, step, neuron].astype(np.float32)
        return cls(x.shape[2:], bounds, step.astype(np.int32), neuron.astype(np.int32), value)

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def __getitem__(self, samples: slice) -> "InputSteps":
        first, stop, _ = samples.indices(len(self))
        bounds = self.bounds[first : max(first, stop) + 1]
        part = slice(bounds[0], bounds[-1])
        return InputSteps(self.shape, bounds - bounds[0], self.step[part], self.neuron[part], self.value[part])

    @property
    def sample(self) -> np.ndarray:
        """Index of the sample of each entry: int64."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))

    def starts(self, steps: int) -> np.ndarray:
        """Return the index of the first entry of each step, and the end of the last: int64 (samples, steps + 1)."""
        bounds, numbers = self.bounds, np.arange(steps + 1)
        found = [a + np.searchsorted(self.step[a:b], numbers) for a, b in zip(bounds[:-1], bounds[1:])]
        return np.array(found, np.int64).reshape(len(self), steps + 1)

    def between(self, first: int, stop: Optional[int]) -> np.ndarray:
        """Return the indices of the entries in the steps from `first` to before `stop`, or to the end."""
        after = self.step >= first
        return np.flatnonzero(after if stop is None else after & (self.step < stop))

    def frames(self, first: int, stop: int) -> np.ndarray:
        """Return the input in the steps from `first` to before `stop`: float32 (samples, steps, *shape)."""
        chosen = self.between(first, stop)
        frames = np.zeros((len(self), stop - first, math.prod(self.shape)), np.float32)
        frames[self.sample[chosen], self.step[chosen] - first, self.neuron[chosen]] = self.value[chosen]
        return frames.reshape(len(self), stop - first, *self.shape)

    def sums(self, first: int, stop: Optional[int]) -> np.ndarray:
        """Sum the steps from `first` to before `stop`, or to the end: float64 (samples, *shape)."""
        chosen, size = self.between(first, stop), math.prod(self.shape)
        place = self.sample[chosen] * size + self.neuron[chosen]
        return np.bincount(place, self.value[chosen], minlength=len(self) * size).reshape(len(self), *self.shape)
