"""What a thread of the event-driven engine works with while it is at some samples."""

from typing import Dict

import numpy as np

from snnb.simulation.engines.event.arrays import zeros


class Scratch:
    """Arrays that a thread uses again for other samples; they are made, or made larger, when they are asked for."""

    def __init__(self) -> None:
        self._spikes: Dict[str, np.ndarray] = {}
        self._currents = np.zeros(0, np.float32)
        self._room = np.zeros(0, np.int32)

    def spikes(self, name: str, samples: int, steps: int, words: int) -> np.ndarray:
        """Return room for the spikes of a volume: uint64, shape (samples, steps, words)."""
        size = samples * steps * words
        if name not in self._spikes or self._spikes[name].size < size:
            self._spikes[name] = np.empty(size, np.uint64)
        return self._spikes[name][:size].reshape(samples, steps, words)

    def currents(self, size: int) -> np.ndarray:
        """Return room for currents: float32."""
        if self._currents.size < size:
            self._currents = zeros((size,), np.float32)
        return self._currents[:size]

    def room(self, size: int) -> np.ndarray:
        """Return room for lists of neurons: int32."""
        if self._room.size < size:
            self._room = np.empty(size, np.int32)
        return self._room[:size]
