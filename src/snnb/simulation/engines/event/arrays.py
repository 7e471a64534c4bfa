"""Arrays for the compiled loops: aligned to cache lines, and filled up to a multiple of a group of neurons."""

import math
from typing import Dict, Tuple, Type

import numpy as np

from snnb.simulation.engines.event.types import GROUP
from snnb.simulation.exactness import Real

LINE = 64  # bytes of a cache line


def zeros(shape: Tuple[int, ...], dtype: Type[np.generic]) -> np.ndarray:
    """Make an array aligned to cache lines, so that rows and vectors of 16 numbers lie in one line each."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.zeros(size + LINE, np.uint8)  # untouched memory, which the operating system has made zero
    start = -room.ctypes.data % LINE
    return room[start : start + size].view(dtype).reshape(shape)


def aligned(values: np.ndarray) -> np.ndarray:
    """Copy an array, aligned to cache lines."""
    copy = zeros(values.shape, values.dtype.type)
    copy[...] = values
    return copy


def filled_up(neurons: int) -> int:
    """Return the next multiple of `GROUP`."""
    return -(-neurons // GROUP) * GROUP


def neurons_of(values: np.ndarray) -> np.ndarray:
    """Copy an array of shape `(..., neurons)`, with zeros up to a multiple of `GROUP` neurons, aligned."""
    filled = zeros((*values.shape[:-1], filled_up(values.shape[-1])), values.dtype.type)
    filled[..., : values.shape[-1]] = values
    return filled


class Scratch:
    """Buffers that a thread uses again for other samples; they are made, or made larger, on demand."""

    def __init__(self, real: Real) -> None:
        self._spikes: Dict[str, np.ndarray] = {}
        self._currents = np.zeros(0, real)
        self._room = np.zeros(0, np.int32)

    def spikes(self, name: str, samples: int, steps: int, words: int) -> np.ndarray:
        """Return a buffer for the spikes of a volume: uint64, shape (samples, steps, words)."""
        size = samples * steps * words
        if name not in self._spikes or self._spikes[name].size < size:
            self._spikes[name] = np.empty(size, np.uint64)
        return self._spikes[name][:size].reshape(samples, steps, words)

    def currents(self, size: int) -> np.ndarray:
        """Return a buffer for currents."""
        if self._currents.size < size:
            self._currents = zeros((size,), self._currents.dtype.type)
        return self._currents[:size]

    def room(self, size: int) -> np.ndarray:
        """Return a buffer for lists of neurons: int32."""
        if self._room.size < size:
            self._room = np.empty(size, np.int32)
        return self._room[:size]
