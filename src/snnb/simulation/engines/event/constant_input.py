"""What the constant input does to the populations that it reaches: the same in every step, so computed once."""

from typing import Dict, Set

import numpy as np
import tensorflow as tf

from snnb.conversion.batch import batch_of, padded
from snnb.conversion.currents import Currents, reindexed
from snnb.network.network import Network, Population, Reindexed


class ConstantInput:
    """Computes it with TensorFlow, so that the currents are those of the engine `tensorflow`.

    Parameters
    ----------
    network : Network

    Attributes
    ----------
    passing : set of str
        Names of the input and of the volumes that pass its values on, beside spikes perhaps.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.passing: Set[str] = {network.input.name}
        for volume in network.volumes:
            if isinstance(volume, Reindexed) and self.passing.intersection(volume.inputs):
                self.passing.add(volume.name)
        self._currents = Currents([p for p in network.populations if self.passing.intersection(p.inputs)])

    def contributions(self, x: np.ndarray, unsummed: Set[str]) -> Dict[str, np.ndarray]:
        """Compute what the input contributes to the populations that it reaches.

        Parameters
        ----------
        x : ndarray of float32, shape (samples, ...)
        unsummed : set of str
            Names of the populations that need each of the values that they read, not their current.

        Returns
        -------
        dict of str to ndarray of float32
            By population, its current with the bias but without spikes, shape (samples, neurons); or what it reads,
            shape (samples, inputs), 0 where spikes arrive.
        """
        batch = batch_of(self._network)
        slices = [x[first : first + batch] for first in range(0, len(x), batch)]
        parts = [self._batch(part, batch, unsummed) for part in slices]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _batch(self, x: np.ndarray, batch: int, unsummed: Set[str]) -> Dict[str, np.ndarray]:
        tensors = {self._network.input.name: tf.constant(padded(x, batch))}
        found: Dict[str, np.ndarray] = {}
        for volume in self._network.volumes[1:]:
            tensors[volume.name] = tf.zeros((batch, *volume.shape))  # no spikes
            if isinstance(volume, Population):
                read = {name: tensors[name] for name in volume.inputs if name in self.passing}
                if read:
                    values = read[volume.only.input] if volume.name in unsummed else self._currents.of(volume, read)
                    found[volume.name] = values.numpy()[: len(x)].reshape(len(x), -1)
            elif isinstance(volume, Reindexed) and volume.name in self.passing:
                tensors[volume.name] = reindexed(volume, tensors)
        return found
