"""Firing rates and operations of a simulation, and warnings about silent, saturated and rising populations."""

from dataclasses import dataclass
from typing import Dict, List

import numpy as np

from snnb.network.network import MEMBRANE, Network
from snnb.simulation.totals import Totals

# A population whose mean rate is above this share of the highest possible one spikes at nearly every step.
SATURATED = 0.99
# A rate that is in the last quarter of the time above that of the quarter before by this factor still rises.
RISING = 1.05
FEW = 5


@dataclass(frozen=True)
class Findings:
    """Firing rates, operations per sample, and warnings; by population in network order."""

    mean_rates: Dict[str, float]  # spikes per neuron and step
    silent: Dict[str, float]  # share of the neurons that never spiked
    saturated: Dict[str, float]  # share of the neurons that spiked at every step of every sample
    rising: List[str]  # populations whose rate still rose at the end
    synapses: int  # those from the input included; the analogue network multiplies and accumulates once for each
    # Per sample: sum over neurons of spikes times out-degree. The input's neurons count if they spike.
    synaptic_operations: float
    warnings: List[str]  # what to try, one line each


def findings(network: Network, totals: Totals, steps: int) -> Findings:
    """Compute rates, operations and warnings from the sums of a simulation of so many counted time steps."""
    most = totals.samples * steps
    mean_rates = {name: float(counts.mean() / most) for name, counts in totals.counts.items()}
    rising = _rising(network, totals)
    spiking = [population for population in network.populations if population.activation != MEMBRANE]
    silent = [population.name for population in spiking if mean_rates[population.name] == 0]
    never = [f"layer {name} never spikes" for name in silent]
    if len(silent) > FEW:
        never = [f"{_named(silent)} never spike"]
    warnings = [f"{which}: simulate longer (--duration), or parse with a lower --percentile" for which in never]
    for population in network.populations:
        if mean_rates[population.name] > SATURATED and population is not network.output:
            warnings.append(
                f"layer {population.name} spikes nearly every step: raise --threshold, or parse with a higher "
                "--percentile"
            )
    fan_out = network.fan_out()
    return Findings(
        mean_rates=mean_rates,
        silent={name: float((counts == 0).mean()) for name, counts in totals.counts.items()},
        saturated={name: float((counts == most).mean()) for name, counts in totals.counts.items()},
        rising=rising,
        synapses=sum(int(leaving.sum()) for leaving in fan_out.values()),
        synaptic_operations=sum(int((n * fan_out[name]).sum()) for name, n in totals.counts.items()) / totals.samples,
        warnings=warnings,
    )


def _named(names: List[str]) -> str:
    """Name a few; of many the first, the last and the number: `sim_accuracies.json` has all."""
    return ", ".join(names) if len(names) <= FEW else f"{len(names)} layers, first {names[0]} and last {names[-1]},"


def _rising(network: Network, totals: Totals) -> List[str]:
    if totals.late is None:
        return []
    before, last = totals.late.T
    # Three standard deviations of a Poisson count, so that few spikes do not look like a rise.
    risen = (last > RISING * before) & (last - before > 3 * np.sqrt(last))
    return [population.name for population, rises in zip(network.populations, risen) if rises]
