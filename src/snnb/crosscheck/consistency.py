"""Check that each spike of a simulator follows from the weights and the earlier spikes.

Given the spikes that a neuron received and its own earlier spikes, its membrane
potential is one sum, whatever the rounding in other neurons. A spike is correct where
this sum reaches the threshold, up to its rounding error.
"""

from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np

from snnb.crosscheck.exported import (
    ExportedNetwork,
    ExportedPopulation,
    Spikes,
    largest_counts,
)

UNIT = 2.0**-24  # the largest relative error of a rounding to float32


@dataclass(frozen=True)
class Inconsistent:
    """A spike, or a missing one, that does not follow from the weights.

    `potential` is the membrane potential by the exported weights, `rounding` a bound of
    its rounding error in float32.
    """

    population: str
    sample: int
    neuron: int
    step: int
    spiked: bool
    potential: float
    threshold: float
    rounding: float


def first_inconsistent(
    network: ExportedNetwork, inputs: np.ndarray, spikes: Spikes, steps: int
) -> Optional[Inconsistent]:
    """Return the first spike, or missing one, that does not follow from the weights.

    Populations are checked one after the other. `inputs` are as in `Simulate`, `spikes`
    in order.
    """
    trains = _Trains(network, inputs, spikes)
    for population in network.simulated_populations:
        if population.counts_largest:
            wrong = _check_pooling(trains, population, steps)
        else:
            wrong = _check_population(trains, population, steps)
        if wrong is not None:
            return wrong
    return None


class _Trains(NamedTuple):
    """The spikes of all populations in a simulator."""

    network: ExportedNetwork
    inputs: np.ndarray
    spikes: Spikes

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(self.inputs)

    def spiking_neurons(self, name: str, step: int) -> np.ndarray:
        """Return which neurons of a population spike in a step.

        It is bool (neurons, samples). None spikes before the first step. The input has
        its values in this step.
        """
        spiking = np.zeros((self.network.population(name).size, self.samples), bool)
        if step < 0:
            return spiking
        if name == self.network.input.name:
            return self.inputs[:, :, step].T
        rows = self.spikes[name]
        begin, end = np.searchsorted(rows[:, 2], [step, step + 1])
        spiking[rows[begin:end, 1], rows[begin:end, 0]] = True
        return spiking


class _Recomputation:
    """The membrane potentials of a population, given the spikes of all.

    A sum of n numbers of magnitude a in all is rounded by about sqrt(n) · a units
    (Higham and Mary, SIAM J. Sci. Comput. 41(5), 2019), one added to a potential v by
    at most v; these are sums up over the steps.

    Arrays are float64 (neurons, samples).

    Attributes
    ----------
    membrane : np.ndarray
        Potential after the last step.
    """

    def __init__(
        self,
        trains: _Trains,
        population: ExportedPopulation,
        steps: int,
    ) -> None:
        network = trains.network
        self._trains = trains
        self._population = population
        self._projections = network.spiking_inbound(population.name)
        self._current = network.input_current(population, trains.inputs)
        self.membrane = np.tile(population.start[:, None], (1, trains.samples)).astype(
            float,
        )
        self._synaptic = np.zeros_like(self.membrane)
        # Magnitudes of the potentials, currents and thresholds that were added so far
        self._magnitude = np.zeros_like(self.membrane)
        # Spikes so far of the sources of each projection, (sources, samples)
        self._arrivals = [
            np.zeros(
                (projection.weights.shape[1], trains.samples),
            )
            for projection in self._projections
        ]
        degrees = [
            np.diff(
                projection.weights.indptr,
            )
            for projection in network.inbound(population.name)
        ]
        self._terms = np.sqrt(1 + sum(degrees))  # of a sum, (neurons,)
        numbers = population.numbers
        leak_rate = 1 - np.asarray(numbers.get("current_leak", 0.0))
        gain = np.abs(numbers["gain"] * numbers.get("current_gain", 1.0))
        # A spike arrives as a current over many steps.
        self._gain = gain / np.maximum(leak_rate, 1 / steps)

    def integrate(self, step: int) -> None:
        """Compute the potential of a step, before its spikes."""
        population = self._population
        x = population.bias_and_current(step, self._current)
        for projection, arrivals in zip(self._projections, self._arrivals):
            spiking = self._trains.spiking_neurons(
                projection.source,
                step - projection.delay,
            )
            arrivals += np.abs(spiking)
            x += projection.weights @ spiking
        if self._trains.network.leaky:
            self._magnitude += np.abs(self.membrane)
        population.integrate(self.membrane, self._synaptic, x)
        gain = population.numbers["gain"]
        offset = population.numbers["offset"]
        self._magnitude += np.abs(gain * self._synaptic) + np.abs(offset)
        threshold = population.threshold[:, None]
        finite_threshold = np.where(np.isfinite(threshold), threshold, 0)
        self._magnitude += np.abs(self.membrane) + finite_threshold

    def reset(self, spiking: np.ndarray) -> None:
        """Reset the potential of the neurons that spike."""
        self._population.reset(self.membrane, spiking)

    def excess(self, step: int, spiking: np.ndarray) -> np.ndarray:
        """Return how far each potential is on the wrong side of the threshold.

        It is negative where the potential is on the right side.
        """
        if not self._population.fires(step):
            return np.where(spiking, np.inf, -np.inf)
        distance = self._population.threshold[:, None] - self.membrane
        return np.where(spiking, distance, -distance)

    def rounding(self, neurons: np.ndarray, step: int) -> np.ndarray:
        """Return a bound of the rounding error of some neurons: (neurons, samples)."""
        if self._trains.network.integers:
            return np.zeros((neurons.size, self._trains.samples))
        bias = np.abs(self._population.bias[neurons, None])
        sums = (step + 1) * (np.abs(self._current[neurons]) + bias)
        for projection, arrivals in zip(self._projections, self._arrivals):
            sums += abs(projection.weights[neurons]) @ arrivals
        sums *= self._gain[neurons]
        terms = self._terms[neurons, None]
        return UNIT * (self._magnitude[neurons] + terms * sums)


def _check_population(
    trains: _Trains,
    population: ExportedPopulation,
    steps: int,
) -> Optional[Inconsistent]:
    """Return the first wrong spike of a population with a membrane."""
    recomputation = _Recomputation(trains, population, steps)
    for step in range(steps):
        recomputation.integrate(step)
        spiking = trains.spiking_neurons(population.name, step)
        excess = recomputation.excess(step, spiking)
        is_right = np.where(spiking, excess <= 0, excess < 0)  # False for NaN
        neurons = np.flatnonzero(~is_right.all(axis=1))
        if neurons.size:
            rounding = recomputation.rounding(neurons, step)
            is_explained = excess[neurons] <= rounding
            wrong = np.argwhere(~is_right[neurons] & ~is_explained)
            if wrong.size:
                row, sample = wrong[0].tolist()
                neuron = int(neurons[row])
                return Inconsistent(
                    population=population.name,
                    sample=sample,
                    neuron=neuron,
                    step=step,
                    spiked=bool(spiking[neuron, sample]),
                    potential=float(recomputation.membrane[neuron, sample]),
                    threshold=float(population.threshold[neuron]),
                    rounding=float(rounding[row, sample]),
                )
        recomputation.reset(spiking)
    return None


def _check_pooling(
    trains: _Trains,
    population: ExportedPopulation,
    steps: int,
) -> Optional[Inconsistent]:
    """Return the first wrong spike of a max pooling.

    After each step, its count is the largest count of its inputs. These two are the
    threshold and the potential of the result.
    """
    network = trains.network
    projections = network.inbound(population.name)
    counts = {}  # of the sources so far, int64 (neurons, samples)
    for projection in projections:
        source = network.population(projection.source)
        counts[source.name] = np.zeros((source.size, trains.samples), np.int64)
    own_count = np.zeros((population.size, trains.samples), np.int64)
    for step in range(steps):
        for name, count in counts.items():
            count += trains.spiking_neurons(name, step).astype(np.int64)
        spiking = trains.spiking_neurons(population.name, step)
        own_count += spiking
        largest_count = largest_counts(projections, counts)
        wrong = np.argwhere(own_count != largest_count)
        if wrong.size:
            neuron, sample = wrong[0].tolist()
            return Inconsistent(
                population=population.name,
                sample=sample,
                neuron=neuron,
                step=step,
                spiked=bool(spiking[neuron, sample]),
                potential=float(largest_count[neuron, sample]),
                threshold=float(own_count[neuron, sample]),
                rounding=0,
            )
    return None
