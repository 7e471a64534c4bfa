"""Number type in which all sums of an integer network are exact, in any order."""

from typing import Any, Tuple, Type

import numpy as np

from snnb.core.errors import InputError
from snnb.network.network import Network, Population
from snnb.simulation.simulation_settings import SimulationSettings

Real = Type["np.floating[Any]"]


def number_type(network: Network, settings: SimulationSettings) -> Real:
    """Return float32, or float64 for an integer network whose sums may not be exact in float32.

    Raise `InputError` if they may not be exact in float64 either.
    """
    if network.weight_bits is None:
        return np.float32
    largest = max(_largest(network, population, settings) for population in network.populations)
    kinds: Tuple[Real, Real] = (np.float32, np.float64)
    for real in kinds:
        if largest < 2.0 ** (np.finfo(real).nmant + 1):
            return real
    raise InputError(f"membrane potentials may reach {largest:.3g}, which float64 does not hold exactly: simulate less")


def _largest(network: Network, population: Population, settings: SimulationSettings) -> float:
    """Return a bound of the magnitude of sums and membrane potentials in the simulated time.

    In a step at most all positive weights of a neuron arrive, or all negative ones. A spike subtracts the threshold.
    """
    assert population.threshold is not None
    channels = population.shape[-1]
    up, down = np.zeros(channels), np.zeros(channels)
    from_input = network.input.name in network.senders(population)
    for projection in population.projections:
        amplitude = network.pixel if from_input else 1
        if projection.kernel is None:  # a maximum, of sums over the time
            up += amplitude * settings.duration
            continue
        weights = np.asarray(projection.kernel, np.float64).reshape(-1, channels) * amplitude
        up += np.maximum(weights, 0).sum(axis=0)
        down += np.maximum(-weights, 0).sum(axis=0)
    if population.bias is not None:
        up, down = up + np.maximum(population.bias, 0), down + np.maximum(-population.bias, 0)
    start = np.zeros(1) if population.initial_potential is None else np.abs(population.initial_potential)
    once = start + 2 * population.threshold + up + down
    weighted = all(p.kernel is not None for p in population.projections)
    if from_input and weighted and settings.input == "constant" and population.window is None:
        # The current is the same in every step: a potential that leaves the exact numbers never comes back.
        return float(once.max())
    resets = population.window is None and population is not network.output and settings.reset == "subtraction"
    rise = np.maximum(up - population.threshold, 0) if resets else up
    return float((once + settings.duration * np.maximum(rise, down)).max())
