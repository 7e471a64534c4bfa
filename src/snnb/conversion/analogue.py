"""The analogue network: the parsed model's forward pass, which the spiking network is compared with."""

import numpy as np
import tensorflow as tf

from snnb.conversion.batch import batch_of, padded
from snnb.conversion.currents import Currents, reindexed
from snnb.network.network import Network, Population, Reindexed

ACTIVATE = {"relu": tf.nn.relu, "softmax": tf.nn.softmax, "linear": tf.identity}


class AnalogueNetwork:
    """Computes what the parsed model does, layer by layer."""

    def __init__(self, network: Network) -> None:
        self._network, self._currents = network, Currents(network.populations)

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Compute the outputs for images, float32 (samples, ...) to float32 (samples, units)."""
        batch = batch_of(self._network)
        parts = [x[first : first + batch] for first in range(0, len(x), batch)]
        batches = [self._batch(padded(part, batch)) for part in parts]
        return np.concatenate([outputs[: len(part)] for outputs, part in zip(batches, parts)])

    def _batch(self, x: np.ndarray) -> np.ndarray:
        tensors = {self._network.input.name: tf.constant(x)}
        for volume in self._network.volumes:
            if isinstance(volume, Reindexed):
                tensors[volume.name] = reindexed(volume, tensors)
            elif isinstance(volume, Population):
                activations = ACTIVATE[volume.activation](self._currents.of(volume, tensors))
                limit, levels = volume.max_value, self._network.levels
                if limit is not None:
                    activations = tf.minimum(activations, limit)
                    if levels is not None:
                        activations = tf.floor(activations * (levels / limit) + 0.5) * (limit / levels)
                tensors[volume.name] = activations
        outputs: np.ndarray = tensors[self._network.output.name].numpy().reshape(len(x), -1)
        return outputs
