"""What calibration asks of the way in which the neurons of a population fire."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from snnb.conversion.calibration_activations import TrainedActivation
from snnb.conversion.calibration_workspace import Workspace
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.rewriting import Channels
from snnb.forward.analogue import PopulationSums
from snnb.network.network import Network, Population


class Sample(NamedTuple):
    """Rows on which candidates are compared; a row is a position of an image."""

    # Input current without the bias: float32 (rows, channels), with free firing of each
    # time step, (steps, rows, channels)
    current: np.ndarray
    target: np.ndarray  # activation of the trained network: float32 (rows, channels)

    @property
    def power(self) -> float:
        """Sum of the squares of the target; 1 if they are all 0."""
        # In contrast to a square of the array, `einsum` makes no copy in float64.
        power = np.einsum("rc,rc->", self.target, self.target, dtype=np.float64)
        return float(power) or 1.0


@dataclass(frozen=True)
class Choice:
    """Parameters of the channels of a population, and their error on the sample."""

    bias: np.ndarray  # float32 (channels,): that without a delay, in activations
    scale: np.ndarray  # float32 (channels,): scale factors
    delay: np.ndarray  # float32 (channels, 2), see `firing_errors`; 0 without a delay
    error: float  # squared, summed over rows and channels

    def channels(self, steps: int) -> Channels:
        """Return the parameters in a calibration for a number of time steps.

        The delay (D, B) lowers the initial potential from ½ to ½ − D, and the bias adds
        B spikes in these steps.
        """
        potential_delay, bias_spikes = self.delay.T
        bias = self.bias + bias_spikes * self.scale / steps
        start = 0.5 - potential_delay
        return Channels(self.scale, bias.astype(np.float32), start.astype(np.float32))


class Candidates(NamedTuple):
    """Scale factors and delays of which a channel gets one each, and their errors."""

    scales: np.ndarray  # float32 (scale factors, channels)
    delays: np.ndarray  # float32 (delays, 2), see `firing_errors`
    # Squared error of each, summed over the rows: float64 (delays, scales, channels)
    errors: np.ndarray
    # What the choice minimises: the errors, or a weighted sum of errors and spikes
    costs: np.ndarray

    def best(self, bias: np.ndarray) -> Choice:
        """Return the candidates of the smallest cost of each channel, with a bias."""
        delays, scales, channels = self.costs.shape
        best_index = self.costs.reshape(-1, channels).argmin(axis=0)
        delay_index, scale_index = np.unravel_index(best_index, (delays, scales))
        channel_index = np.arange(channels)
        errors = self.errors[delay_index, scale_index, channel_index]
        return Choice(
            bias=bias,
            scale=self.scales[scale_index, channel_index],
            delay=self.delays[delay_index],
            error=float(errors.sum()),
        )

    @property
    def smallest_error(self) -> float:
        """Sum of the smallest errors of the channels, whatever their cost."""
        return float(self.errors.min(axis=(0, 1)).sum())


class Output(NamedTuple):
    """Parameters with which the spikes of an output replace its softmax."""

    scale: np.float32  # scale factor, the same for all classes
    delay: float  # D = B of a delay, see `firing_errors`


class Firing(ABC):
    """A population whose parameters are chosen for one way of firing.

    There is a class for each value of `--firing`. Its kernels are those of the
    calibrated network; its senders are calibrated.
    """

    # Candidates of the scale factor, as shares of the channel's largest activation
    SCALE_SHARES: ClassVar[np.ndarray]

    def __init__(
        self,
        workspace: Workspace,
        population: Population,
        settings: ConversionSettings,
    ) -> None:
        assert settings.calibrate is not None
        self._workspace = workspace
        self._population = population
        self._steps = settings.calibrate
        self._sums = PopulationSums(workspace.network, population)

    @abstractmethod
    def current(self, samples: slice) -> np.ndarray:
        """Return the mean input current, over the time steps, of a block of samples.

        It is without the bias of channels: float32 (samples, *shape).
        """

    @abstractmethod
    def sample(self, target: TrainedActivation) -> Sample:
        """Return the rows on which candidates are compared."""

    @abstractmethod
    def search_bias(
        self,
        sample: Sample,
        bias: np.ndarray,
        largest: np.ndarray,
    ) -> np.ndarray:
        """Return the bias with which candidates are compared: float32 (channels,).

        With `bias`, the mean input current is that of the trained network; `largest` is
        the largest activation. Both are float32 (channels,).
        """

    @abstractmethod
    def error(self, sample: Sample, bias: np.ndarray, scale: np.ndarray) -> float:
        """Return the error of bias and scale factors, (channels,), without a delay."""

    @abstractmethod
    def candidates(
        self,
        sample: Sample,
        bias: np.ndarray,
        scales: np.ndarray,
    ) -> Candidates:
        """Return all candidates with these scale factors, (candidates, channels)."""

    @abstractmethod
    def correct(self, sample: Sample, choice: Choice) -> Choice:
        """Return the choice with the bias that suits its scale factors."""

    @abstractmethod
    def output(
        self,
        classes: np.ndarray,
        bias: np.ndarray,
        scale: np.float32,
    ) -> Output:
        """Return the parameters of an output that was a softmax.

        `classes`, int64 (samples,), are those of the trained network. `bias`, float32
        (classes,), is that of logits whose mean is 0, and `scale` the best scale factor
        of rounded logits.
        """

    @abstractmethod
    def fire(self, channels: Channels) -> None:
        """Record what the spikes of the population stand for, given its parameters."""

    @staticmethod
    @abstractmethod
    def schedule(network: Network, steps: int) -> Network:
        """Return a calibrated network with the times when its populations can fire."""


def centre(population: Population, current: np.ndarray) -> np.ndarray:
    """Return the input currents of an output minus their mean: float32 (..., classes).

    If the softmax has been replaced, the kernel has a mean of 0 and so have they.
    """
    if population.activation != "softmax":
        return current
    logits: np.ndarray = current - current.mean(axis=-1, keepdims=True)
    return logits
