"""Check that each spike follows from the exported weights and the spikes before it.

Two simulators of a deep network differ in many spikes: they add in different orders, or in float32 and float64. A
neuron whose potential is close to the threshold then spikes a step earlier in one of them, which shifts later spikes.
Total counts are therefore a weak check. But given the spikes that a neuron received and its own earlier spikes, its
membrane potential is one sum, and a spike is correct where this sum reaches the threshold, up to its rounding error.
"""

from dataclasses import dataclass
from typing import Optional

import numpy as np

from snnb.crosscheck.exported import ExportedNetwork, ExportedPopulation, Spikes

UNIT = 2.0**-24  # the largest relative error of a rounding to float32


@dataclass(frozen=True)
class Inconsistent:
    """A spike, or a missing one, that does not follow from the weights.

    `potential` is the membrane potential by the exported weights, `rounding` a bound of its rounding error in float32.
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
    """Return the first spike, or missing one, that does not follow from the weights, by population.

    Parameters
    ----------
    network : ExportedNetwork
    inputs : ndarray, as in `Simulate`
    spikes : Spikes of one simulator, in order
    steps : int
    """
    found = (_of_population(network, population, inputs, spikes, steps) for population in network.simulated)
    return next((wrong for wrong in found if wrong is not None), None)


def _fired(network: ExportedNetwork, inputs: np.ndarray, spikes: Spikes, name: str, step: int) -> np.ndarray:
    """Return the neurons of a population that spike in a step, none before the first: shape (neurons, samples)."""
    if step < 0:
        return np.zeros((network.population(name).size, len(inputs)), bool)
    if name == network.input.name:
        return inputs[:, :, step].T
    rows = spikes[name]
    now = rows[slice(*np.searchsorted(rows[:, 2], [step, step + 1]))]
    fired = np.zeros((network.population(name).size, len(inputs)), bool)
    fired[now[:, 1], now[:, 0]] = True
    return fired


def _of_population(
    network: ExportedNetwork, population: ExportedPopulation, inputs: np.ndarray, spikes: Spikes, steps: int
) -> Optional[Inconsistent]:
    """Check a population, given the spikes of all.

    Notes
    -----
    A sum of n numbers of magnitude a in all is rounded by about sqrt(n) · a units (Higham and Mary, SIAM J. Sci.
    Comput. 41(5), 2019), one added to a potential v by at most v; these are summed up over the steps.
    """
    constant = inputs.T if network.input.coding == "current" else np.zeros((network.input.size, len(inputs)))
    current = network.input_current(population, constant)
    bias = np.repeat(population.bias[:, None], len(inputs), axis=1)
    inbound = network.spiking_inbound(population.name)
    received = [np.zeros((projection.weights.shape[1], len(inputs))) for projection in inbound]
    terms = np.sqrt(1 + sum(np.diff(p.weights.indptr) for p in network.inbound(population.name)))
    membrane, passed = np.repeat(population.start[:, None].astype(float), len(inputs), axis=1), np.zeros_like(current)
    threshold, synaptic, gain = population.threshold[:, None], np.zeros_like(membrane), np.ones((population.size, 1))
    if population.numbers is not None:
        gain = np.abs(population.numbers["gain"] * population.numbers.get("current_gain", 1.0))
        decay = 1 - np.asarray(population.numbers.get("current_leak", 0.0))
        gain = gain / np.maximum(decay, 1 / steps)  # a spike arrives as a current over many steps
    for step in range(steps):
        x = membrane if population.numbers is None else np.zeros_like(membrane)
        x += bias * population.bias_acts(step) + current * population.input_acts(step)
        if step and population.later_bias is not None:
            x += population.later_bias[:, None]
        for projection, so_far in zip(inbound, received):
            source = projection.source
            arrived = _fired(network, inputs, spikes, source, step - projection.delay) * network.amplitude_of(source)
            so_far += np.abs(arrived)
            x += projection.weights @ arrived
        if population.numbers is not None:
            before = np.abs(membrane)
            population.integrate(membrane, synaptic, x)
            passed += before + np.abs(population.numbers["gain"] * synaptic) + np.abs(population.numbers["offset"])
        passed += np.abs(membrane) + np.where(np.isfinite(threshold), threshold, 0)
        fired = _fired(network, inputs, spikes, population.name, step)
        beyond = np.where(fired, threshold - membrane, membrane - threshold)
        if not population.fires(step):
            beyond = np.where(fired, np.inf, -np.inf)
        right = np.where(fired, beyond <= 0, beyond < 0)  # False for NaN
        doubtful = np.flatnonzero(~right.all(axis=1))
        if doubtful.size:
            summed = (step + 1) * (np.abs(current[doubtful]) + np.abs(bias[doubtful]))
            for projection, so_far in zip(inbound, received):
                summed += abs(projection.weights[doubtful]) @ so_far
            summed *= gain[doubtful]
            unit = 0 if network.integers else UNIT
            rounding = unit * (passed[doubtful] + terms[doubtful, None] * summed)
            wrong = np.argwhere(~right[doubtful] & ~(beyond[doubtful] <= rounding))
            if wrong.size:
                row, sample = wrong[0].tolist()
                at = int(doubtful[row]), sample
                potential, bound = float(membrane[at]), float(rounding[row, sample])
                return Inconsistent(
                    population.name, sample, at[0], step, bool(fired[at]), potential, float(threshold[at[0], 0]), bound
                )
        population.reset(membrane, fired, network.resets_to_zero)
    return None
