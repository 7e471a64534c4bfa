"""Calibration of a population that fires after all its input has arrived.

Separated firing is due to Liu et al. 2022 (SpikeConverter, AAAI). The number of spikes
of a neuron is a rounded sum, see `RoundedActivation`, so nothing has to be simulated.
"""

from dataclasses import replace

import numpy as np

from snnb.conversion.calibration_activations import RoundedActivation, TrainedActivation
from snnb.conversion.calibration_firing import (
    Candidates,
    Choice,
    Firing,
    Output,
    Sample,
)
from snnb.conversion.calibration_loops import balanced_bias, rounded_errors
from snnb.conversion.calibration_workspace import Workspace
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.least_squares import ROWS
from snnb.conversion.rewriting import Channels
from snnb.network.network import Network, Population

FINE_LEVELS = 1000  # levels of activations that are hardly rounded
NO_DELAY = np.zeros((1, 2), np.float32)


class SeparatedFiring(Firing):
    """A population with separated firing; see `Firing`.

    Its input current is stored, since the means, the candidates and the populations
    that read its spikes follow from it.
    """

    SCALE_SHARES = np.geomspace(1.1, 0.15, 24)

    def __init__(
        self,
        workspace: Workspace,
        population: Population,
        settings: ConversionSettings,
    ) -> None:
        super().__init__(workspace, population, settings)
        self._spike_weight = settings.spike_weight
        spiking = workspace.spiking
        self._current = workspace.input_current(population, self._sums, spiking)

    def current(self, samples: slice) -> np.ndarray:
        """See `Firing`."""
        return self._current[samples]

    def sample(self, target: TrainedActivation) -> Sample:
        """Return about `ROWS` rows at equal distances, or all of them.

        The distance is odd, so that they are not all in one column of the images.
        """
        current_rows = self._current.reshape(-1, self._current.shape[-1])
        distance = len(current_rows) // ROWS | 1
        rows = slice(None, None, distance)
        return Sample(current_rows[rows], target.rows(rows))

    def search_bias(
        self,
        sample: Sample,
        bias: np.ndarray,
        largest: np.ndarray,
    ) -> np.ndarray:
        """Return the bias with which the mean activation is that of the target.

        It is the mean after the ReLU, for activations up to `largest`.
        """
        target = sample.target
        return balanced_bias(sample.current, target, bias, largest, FINE_LEVELS)

    def error(self, sample: Sample, bias: np.ndarray, scale: np.ndarray) -> float:
        """See `Firing`."""
        scales = scale[np.newaxis]
        errors, _ = rounded_errors(*sample, bias, scales, self._steps)
        return float(errors.sum())

    def candidates(
        self,
        sample: Sample,
        bias: np.ndarray,
        scales: np.ndarray,
    ) -> Candidates:
        """Return all candidates with these scale factors; there is no delay.

        The cost is the error plus `--spike-weight` times the number of spikes. Both
        count as shares of their values where each channel has its smallest error.
        """
        errors, spikes = rounded_errors(*sample, bias, scales, self._steps)
        spikes_of_best = spikes[errors.argmin(axis=0), np.arange(len(bias))]
        error_unit = errors.min(axis=0).sum() or 1.0
        spike_unit = spikes_of_best.sum() or 1.0
        costs = errors / error_unit + self._spike_weight * spikes / spike_unit
        return Candidates(scales, NO_DELAY, errors[np.newaxis], costs[np.newaxis])

    def correct(self, sample: Sample, choice: Choice) -> Choice:
        """Return the choice with the bias that makes the mean that of the target.

        It is the mean of the rounded and clipped activations, which the next
        populations read.
        """
        scale = choice.scale
        bias = balanced_bias(*sample, choice.bias, scale, self._steps)
        return replace(choice, bias=bias, error=self.error(sample, bias, scale))

    def output(
        self,
        classes: np.ndarray,
        bias: np.ndarray,
        scale: np.float32,
    ) -> Output:
        """Return the scale factor of rounded logits: rates are rounded logits."""
        return Output(scale, delay=0.0)

    def fire(self, channels: Channels) -> None:
        """See `Firing`."""
        activation = RoundedActivation(self._current, channels, self._steps)
        self._workspace.spiking[self._population.name] = activation

    @staticmethod
    def schedule(network: Network, steps: int) -> Network:
        """Return the network with a window of time steps for each population."""
        return network.separated(steps)
