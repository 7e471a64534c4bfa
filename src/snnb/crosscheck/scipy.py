"""The exported network stepped with scipy's sparse matrices, all populations in each step, in float64."""

from typing import Dict, List

import numpy as np

from snnb.crosscheck.exported import ExportedNetwork, Simulate


def build(network: ExportedNetwork) -> Simulate:
    """Return the simulation function of a network."""
    inbound = {
        population.name: [
            (projection.source, projection.weights * network.amplitude_of(projection.source))
            for projection in network.spiking_inbound(population.name)
        ]
        for population in network.simulated
    }

    def simulate(inputs: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
        samples = len(inputs)
        constant = network.input.coding == "current"
        pixels = inputs.T if constant else np.zeros((network.input.size, samples))
        currents: Dict[str, np.ndarray] = {p.name: network.input_current(p, pixels) for p in network.simulated}
        potential: Dict[str, np.ndarray] = {
            p.name: np.repeat(p.start[:, None].astype(float), samples, axis=1) for p in network.simulated
        }
        found: Dict[str, List[np.ndarray]] = {name: [np.empty((0, 3), np.int64)] for name in potential}
        spikes: Dict[str, np.ndarray] = {}
        for step in range(steps):
            if not constant:
                spikes[network.input.name] = inputs[:, :, step].T.astype(np.float64)
            for population in network.simulated:
                name, membrane = population.name, potential[population.name]
                if population.bias_acts(step):
                    membrane += population.bias[:, None]
                if population.input_acts(step):
                    membrane += currents[name]
                for source, weights in inbound[name]:
                    membrane += weights @ spikes[source]
                fired = (membrane >= population.threshold[:, None]) & population.fires(step)
                if network.resets_to_zero:
                    membrane[fired] = 0
                else:
                    membrane -= fired * population.threshold[:, None]
                spikes[name] = fired.astype(np.float64)
                sample, neuron = np.nonzero(fired.T)
                found[name].append(np.stack([sample, neuron, np.full_like(sample, step)], axis=1))
        return {name: np.concatenate(rows) for name, rows in found.items()}

    return simulate
