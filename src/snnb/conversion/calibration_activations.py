"""Activations of all training images, which are computed when they are read.

An array of each population would take as much memory as its input currents. So what
is stored is what the activations follow from: the input currents of the population,
or its spikes. The populations that read them do so in blocks of samples.
"""

from dataclasses import dataclass
from typing import Optional

import numpy as np
from typing_extensions import Protocol

from snnb.conversion.rewriting import Channels
from snnb.network.geometry import Shape


class Activation(Protocol):
    """The activations of the input, or of one population, in all training images.

    They are in units of the parsed network, in which 1 is the percentile of the
    normalisation.
    """

    def block(self, samples: slice) -> np.ndarray:
        """Return the activations in a block of samples: float32 (samples, *shape)."""


@dataclass(frozen=True)
class Pixels:
    """The images, which both networks read as they are."""

    images: np.ndarray  # float32 (samples, *shape)

    def block(self, samples: slice) -> np.ndarray:
        """See `Activation`."""
        return self.images[samples]


@dataclass(frozen=True)
class TrainedActivation:
    """A population of the trained network, whose activation is a clipped ReLU."""

    current: np.ndarray  # float32 (samples, *shape): its input current without the bias
    bias: np.ndarray  # float32 (channels,)
    max_value: Optional[float]  # where the ReLU is clipped; None: nowhere

    def block(self, samples: slice) -> np.ndarray:
        """See `Activation`."""
        return self._rectify(self.current[samples] + self.bias)

    def rows(self, rows: slice) -> np.ndarray:
        """Return the activations of some rows, see `current_rows`."""
        return self._rectify(self.current_rows[rows] + self.bias)

    def largest(self) -> np.ndarray:
        """Return the largest activation of each channel: float32 (channels,).

        It is that of the largest current, since a ReLU does not decrease. Return 1
        for a channel that is never active.
        """
        largest = self._rectify(self.current_rows.max(axis=0) + self.bias)
        return np.where(largest == 0, np.float32(1), largest)

    @property
    def current_rows(self) -> np.ndarray:
        """The current as a table: float32 (rows, channels).

        There is a row for each position of each sample, those of the first one first.
        """
        return self.current.reshape(-1, len(self.bias))

    def _rectify(self, pre_activation: np.ndarray) -> np.ndarray:
        activation: np.ndarray = np.clip(pre_activation, 0, self.max_value)
        return activation


@dataclass(frozen=True)
class RoundedActivation:
    """A population with separated firing, whose spike count is a rounded sum.

    A neuron with the scale factor s fires min(T, ⌊½ + T · z / s⌋) spikes in T time
    steps. Each of them stands for the activation s / T.
    """

    current: np.ndarray  # float32 (samples, *shape): z without the bias
    channels: Channels
    steps: int  # T

    def block(self, samples: slice) -> np.ndarray:
        """See `Activation`."""
        spike_value = self.channels.scale / np.float32(self.steps)
        current = self.current[samples] + self.channels.bias
        spike_count = np.floor(current / spike_value + np.float32(0.5))
        activation: np.ndarray = np.clip(spike_count, 0, self.steps) * spike_value
        return activation


@dataclass(frozen=True)
class SpikeTrain:
    """A population with free firing, and its simulated spikes.

    Its activations are its firing rates in the calibrated number of time steps,
    multiplied by the scale factors.
    """

    activation: np.ndarray  # float32 (samples, *shape)
    bits: np.ndarray  # uint8 (steps, samples, ⌈neurons / 8⌉), see `numpy.packbits`
    shape: Shape  # of the population
    scale: np.ndarray  # float32 (channels,): scale factors

    def block(self, samples: slice) -> np.ndarray:
        """See `Activation`."""
        return self.activation[samples]

    def signal(self, samples: slice, steps: int, counts: bool) -> np.ndarray:
        """Return what the population sends in each of the first time steps.

        The values are the spikes, or with `counts` the numbers of spikes up to then,
        multiplied by the scale factors: float32 (steps × samples, *shape).
        """
        bits = self.bits[:steps, samples]
        spikes = np.unpackbits(bits, axis=-1, count=int(np.prod(self.shape)))
        values = np.cumsum(spikes, axis=0, dtype=np.float32) if counts else spikes
        signal: np.ndarray = values.reshape(-1, *self.shape) * self.scale
        return signal
