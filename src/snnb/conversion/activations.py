"""Activations of the trained and of the spiking network during a calibration."""

from typing import Dict, Iterator, List, Mapping, Tuple

import numpy as np
import tensorflow as tf

from snnb.conversion.channel_scales import Channels
from snnb.conversion.currents import Currents, reindexed
from snnb.network.network import Network, Population, Reindexed

SEARCHED_SAMPLES, SEARCHED_POSITIONS = 64, 64  # simulated for each candidate
BLOCK_BYTES = 16_000_000  # of arrays that are in memory at a time
STEP_ARRAYS = 4  # of a time step of free firing: spikes, rates, and currents twice


class Activations:
    """Trained and spiking activations of the populations calibrated so far, in the unit of the parsed network.

    Parameters
    ----------
    network : Network
    x : ndarray of float32, shape (samples, ...)
        Training images, in [0, 1].
    steps : int
        Number of time steps.
    """

    def __init__(self, network: Network, x: np.ndarray, steps: int) -> None:
        self.network = network
        self.channels: Dict[str, Channels] = {}
        self._steps, self._samples = steps, len(x)
        self._trained: Dict[str, np.ndarray] = {network.input.name: x}
        self._spiking: Dict[str, np.ndarray] = {network.input.name: x}  # rates times scale factors
        self._trains: Dict[str, np.ndarray] = {}  # of free firing, bits of neurons: (steps, samples, ⌈size / 8⌉)
        self._last_reader = _last_readers(network)

    def _searched(self, population: Population, sums: Currents) -> Tuple[np.ndarray, np.ndarray]:
        """Return currents (steps, rows, channels) and targets (rows, channels) of some positions of some images."""
        channels = population.shape[-1]
        positions = population.size // channels
        taken = np.unique(np.linspace(0, positions - 1, min(positions, SEARCHED_POSITIONS)).astype(int))
        parts: List[np.ndarray] = []
        for block in self._blocks(population, STEP_ARRAYS * self._steps, SEARCHED_SAMPLES):
            currents = self._currents(sums, population, block)
            parts.append(currents.reshape(*currents.shape[:2], positions, channels)[:, :, taken])
        currents = np.concatenate(parts, axis=1)
        target = self._trained[population.name][: currents.shape[1]].reshape(-1, positions, channels)[:, taken]
        return currents.reshape(self._steps, -1, channels), target.reshape(-1, channels)

    def _currents(self, sums: Currents, population: Population, block: slice) -> np.ndarray:
        """Return the currents of all time steps of free firing, without the bias: float32 (steps, samples, *shape)."""
        sent: Dict[str, np.ndarray] = {}  # of all steps, one behind the other
        for name in self.network.senders(population):
            shape = self.network.volume(name).shape
            if name in self._trains:
                bits = np.unpackbits(self._trains[name][:, block], axis=-1, count=self.network.volume(name).size)
                sent[name] = bits.reshape(-1, *shape) * self.channels[name].scale
            else:  # the constant input
                sent[name] = np.stack([self._spiking[name][block]] * self._steps).reshape(-1, *shape)
        return self._sums(sums, population, slice(None), sent).reshape(self._steps, -1, *population.shape)

    def _sums(
        self, currents: Currents, population: Population, block: slice, values: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        """Return the sums of a population's projections, given the values of populations and of the input."""
        sums: np.ndarray = currents.of(population, self._read(population, block, values)).numpy()
        return sums

    def _read(self, population: Population, block: slice, values: Mapping[str, np.ndarray]) -> Dict[str, tf.Tensor]:
        """Return what the volumes that a population reads pass on, by name."""

        def read(name: str) -> tf.Tensor:
            volume = self.network.volume(name)
            if isinstance(volume, Reindexed):
                return reindexed(volume, {source: read(source) for source in volume.inputs})
            return tf.constant(np.asarray(values[name][block], np.float32))

        return {name: read(name) for name in population.inputs}

    def _blocks(self, population: Population, arrays: int, most: int = 1 << 62) -> Iterator[slice]:
        """Yield blocks of up to `most` samples of which `arrays` of the largest volume fit into `BLOCK_BYTES`."""
        largest = max(self.network.volume(name).size for name in (*population.inputs, population.name))
        size, samples = max(1, BLOCK_BYTES // (4 * largest * arrays)), min(most, self._samples)
        for first in range(0, samples, size):
            yield slice(first, min(first + size, samples))


def _last_readers(network: Network) -> Dict[str, str]:
    """Return the last population that reads each population or the input, also through re-indexing layers."""
    return {name: population.name for population in network.populations for name in network.senders(population)}
