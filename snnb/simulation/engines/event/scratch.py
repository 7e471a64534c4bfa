"""What a thread of the event-driven engine works with while it is at a sample."""

from typing import Dict, Tuple

import numpy as np

from snnb.network.network import Volume
from snnb.simulation.engines.event.arrays import aligned
from snnb.simulation.engines.event.types import SpikeTrain


class Scratch:
    """Arrays that a thread uses again for every sample; they are made when they are first asked for.

    Parameters
    ----------
    steps : int
        The most steps that a spike train has.
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._trains: Dict[Tuple[str, int], SpikeTrain] = {}
        self._currents: Dict[str, Tuple[np.ndarray, np.ndarray]] = {}

    def spike_train(self, volume: Volume, number: int = 0) -> SpikeTrain:
        """Return room for the spikes of all neurons of a volume in all steps; `number` tells several of one apart."""
        if (volume.name, number) not in self._trains:
            events = np.empty(self._steps * volume.size, np.int32)
            self._trains[volume.name, number] = SpikeTrain(events, np.zeros(self._steps + 1, np.int64))
        return self._trains[volume.name, number]

    def current(self, name: str, base: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Return the current of a population, set to its base, and its spikes of a step."""
        if name not in self._currents:
            self._currents[name] = aligned(base), aligned(np.zeros(len(base), np.uint8))
        current, spikes = self._currents[name]
        current[:] = base
        return current, spikes
