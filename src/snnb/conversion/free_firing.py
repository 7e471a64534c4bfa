"""Calibration of a population that fires at the same time as all others.

Its spikes are simulated, since they depend on the times at which its input arrives. The
errors of candidates are measured before, at and after the calibrated number of time
steps, so that the rates are right at any time. A candidate has a delay, too: the
initial potential is not always half the threshold (Deng & Gu 2021, Optimal conversion,
ICLR).
"""

from itertools import product
from typing import Iterator, List

import numpy as np

from snnb.conversion.calibration_activations import SpikeTrain, TrainedActivation
from snnb.conversion.calibration_firing import (
    Candidates,
    Choice,
    Firing,
    Output,
    Sample,
    centre,
)
from snnb.conversion.calibration_loops import fire, firing_errors
from snnb.conversion.calibration_workspace import ALL_SAMPLES, Workspace
from snnb.conversion.conversion_settings import ConversionSettings
from snnb.conversion.rewriting import Channels
from snnb.core.machine import scratch_array
from snnb.network.network import Network, Population

# Times after which errors are measured, as multiples of the calibrated number of steps
ERROR_TIMES = (0.75, 1, 1.5)
SEARCH_SAMPLES = slice(0, 32)  # on which candidates are compared, until the last time
OTHER_SAMPLES = slice(32, None)  # simulated for the calibrated number of steps only
SEARCH_POSITIONS = 64  # rows of each of these samples
STEP_ARRAYS = 4  # arrays of a time step: spikes, rates, and currents twice


def _delays() -> np.ndarray:
    """Return the candidates (D, B) of the delay, see `firing_errors`: float32 (n, 2).

    B is 0, half of D, or D.
    """
    delays = [(0.0, 0.0)]
    for potential_delay, bias_share in product(
        (0.25, 0.5, 0.75, 1, 1.5, 2, 3),
        (0, 0.5, 1),
    ):
        delays.append((potential_delay, bias_share * potential_delay))
    return np.array(delays, np.float32)


DELAYS = _delays()
NO_DELAY = DELAYS[:1]
# Candidates for an output: multiples of the scale factor of rounded logits, and D = B
OUTPUT_FACTORS = np.geomspace(0.1, 3, 14).astype(np.float32)
OUTPUT_DELAYS = (0.25, 0.5, 0.75, 1.0)


class FreeFiring(Firing):
    """A population with free firing; see `Firing`."""

    SCALE_SHARES = np.geomspace(1.1, 0.15, 14)

    def __init__(
        self,
        workspace: Workspace,
        population: Population,
        settings: ConversionSettings,
    ) -> None:
        super().__init__(workspace, population, settings)
        error_steps = np.ceil(np.multiply(ERROR_TIMES, self._steps)).astype(int)
        # Weight of the errors after each time step: float64 (search steps,)
        self._error_weights = np.bincount(error_steps)[1:] / len(ERROR_TIMES)
        self._search_steps = len(self._error_weights)

    def current(self, samples: slice) -> np.ndarray:
        """See `Firing`."""
        workspace = self._workspace
        rates = workspace.inputs(self._population, workspace.spiking, samples)
        return self._sums.compute(rates)

    def sample(self, target: TrainedActivation) -> Sample:
        """Return up to `SEARCH_POSITIONS` rows of each of the `SEARCH_SAMPLES`."""
        channels = self._population.shape[-1]
        positions = self._population.size // channels
        distances = np.linspace(0, positions - 1, min(positions, SEARCH_POSITIONS))
        search_positions = np.unique(distances.astype(int))
        currents: List[np.ndarray] = []
        targets: List[np.ndarray] = []
        for block in self._blocks(self._search_steps, SEARCH_SAMPLES):
            block_current = self._step_currents(block, self._search_steps)
            by_position = (*block_current.shape[:2], positions, channels)
            currents.append(block_current.reshape(by_position)[:, :, search_positions])
            block_target = target.block(block).reshape(-1, positions, channels)
            targets.append(block_target[:, search_positions])
        current = np.concatenate(currents, axis=1)
        return Sample(
            current.reshape(self._search_steps, -1, channels),
            np.concatenate(targets).reshape(-1, channels),
        )

    def search_bias(
        self,
        sample: Sample,
        bias: np.ndarray,
        largest: np.ndarray,
    ) -> np.ndarray:
        """Return the bias as it is."""
        return bias

    def error(self, sample: Sample, bias: np.ndarray, scale: np.ndarray) -> float:
        """See `Firing`; the mean of the errors after `ERROR_TIMES`."""
        errors = self._errors(sample, bias, scale[np.newaxis], NO_DELAY)
        return float(errors.sum())

    def candidates(
        self,
        sample: Sample,
        bias: np.ndarray,
        scales: np.ndarray,
    ) -> Candidates:
        """Return the scale factors with each of the `DELAYS`; costs are errors."""
        errors = self._errors(sample, bias, scales, DELAYS)
        return Candidates(scales, DELAYS, errors, costs=errors)

    def correct(self, sample: Sample, choice: Choice) -> Choice:
        """Return the choice as it is."""
        return choice

    def output(
        self,
        classes: np.ndarray,
        bias: np.ndarray,
        scale: np.float32,
    ) -> Output:
        """Return the parameters with which most samples get the trained class."""
        current = self._output_current()
        best_output = Output(scale, 0.0)
        best_agreement = -1
        for output_scale, delay in product(scale * OUTPUT_FACTORS, OUTPUT_DELAYS):
            step_bias = bias / output_scale + np.float32(delay / self._steps)
            start = np.full(len(bias), 0.5 - delay, np.float32)
            spike_counts = simulate(current / output_scale, step_bias, start).sum(
                axis=0,
            )
            agreement = np.count_nonzero(spike_counts.argmax(axis=-1) == classes)
            output = Output(output_scale, delay)
            if (agreement, *output) > (best_agreement, *best_output):
                best_agreement = agreement
                best_output = output
        return best_output

    def fire(self, channels: Channels) -> None:
        """Simulate the population, and record its spikes and rates.

        Only on `SEARCH_SAMPLES` are the spikes after the calibrated steps needed.
        """
        workspace = self._workspace
        population = self._population
        neuron_bytes = -(-population.size // 8)
        bits_shape = (self._search_steps, workspace.samples, neuron_bytes)
        bits = scratch_array(bits_shape, np.uint8)
        rates_shape = (workspace.samples, *population.shape)
        activation = scratch_array(rates_shape, np.float32)
        for samples, steps in (
            (SEARCH_SAMPLES, self._search_steps),
            (OTHER_SAMPLES, self._steps),
        ):
            for block in self._blocks(steps, samples):
                spikes = self._simulate(block, steps, channels)
                rates = spikes[: self._steps].mean(axis=0, dtype=np.float32)
                activation[block] = rates * channels.scale
                vectors = spikes.reshape(*spikes.shape[:2], -1)
                bits[:steps, block] = np.packbits(vectors, axis=-1)
        train = SpikeTrain(activation, bits, population.shape, channels.scale)
        workspace.spike_trains[population.name] = train
        workspace.spiking[population.name] = train

    @staticmethod
    def schedule(network: Network, steps: int) -> Network:
        """Return the network as it is: its populations can fire at any time."""
        return network

    def _errors(
        self,
        sample: Sample,
        bias: np.ndarray,
        scales: np.ndarray,
        delays: np.ndarray,
    ) -> np.ndarray:
        """Return the mean of the errors after `ERROR_TIMES`.

        They are float64 (delays, scale factors, channels), sums over the rows.
        """
        weights = self._error_weights
        return firing_errors(*sample, self._steps, weights, bias, scales, delays)

    def _output_current(self) -> np.ndarray:
        """Return the logits without the bias, minus their mean.

        They are float32 (steps, samples, ..., classes), of all samples.
        """
        currents: List[np.ndarray] = []
        for block in self._blocks(self._steps, ALL_SAMPLES):
            currents.append(self._step_currents(block, self._steps))
        return centre(self._population, np.concatenate(currents, axis=1))

    def _blocks(self, steps: int, samples: slice) -> Iterator[slice]:
        """Yield blocks of samples whose time steps are in memory together."""
        return self._workspace.blocks(self._population, STEP_ARRAYS * steps, samples)

    def _simulate(self, samples: slice, steps: int, channels: Channels) -> np.ndarray:
        """Return the spikes of a block of samples: bool (steps, samples, *shape)."""
        currents = self._step_currents(samples, steps)
        if self._population.counts_largest:
            # A max pooling fires where the largest number of spikes of a window rises.
            spikes: np.ndarray = np.diff(currents, axis=0, prepend=0) > 0
            return spikes
        bias = channels.bias / channels.scale
        return simulate(currents / channels.scale, bias, channels.start)

    def _step_currents(self, samples: slice, steps: int) -> np.ndarray:
        """Return the input current of each time step, without the bias of channels.

        It is float32 (steps, samples, *shape). Of a max pooling, return the largest
        number of spikes of each window up to then, multiplied by the scale factor.
        """
        senders = self._workspace.network.senders(self._population)
        if not self._workspace.spike_trains.keys() & senders:
            return _repeat(self.current(samples), steps)
        signals = {name: self._signal(name, samples, steps) for name in senders}
        return self._sums.compute(signals).reshape(steps, -1, *self._population.shape)

    def _signal(self, sender: str, samples: slice, steps: int) -> np.ndarray:
        """Return what a sender sends in each step: float32 (steps × samples, *shape).

        The input, which is constant, has no spike train.
        """
        train = self._workspace.spike_trains.get(sender)
        if train is not None:
            return train.signal(samples, steps, self._population.counts_largest)
        pixels = _repeat(self._workspace.spiking[sender].block(samples), steps)
        return pixels.reshape(-1, *pixels.shape[2:])


def _repeat(values: np.ndarray, steps: int) -> np.ndarray:
    """Return the values, (samples, ...), once for each step: (steps, samples, ...)."""
    return np.stack([values] * steps)


def simulate(currents: np.ndarray, bias: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Simulate integrate-and-fire neurons with reset by subtraction.

    All arrays are float32 in units of the threshold: the input `currents` without the
    bias, (steps, ..., channels), the `bias` and the initial potential `start`,
    (channels,). Return the spikes, bool in the shape of the currents.
    """
    rows = (len(currents), -1, currents.shape[-1])
    spikes = np.empty(currents.shape, np.bool_)
    fire(currents.reshape(rows), bias, start, spikes.reshape(rows))
    return spikes
