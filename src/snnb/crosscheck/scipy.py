"""The exported network stepped with scipy's sparse matrices, all populations in each step, in float64."""

from typing import Dict, List, Tuple

import numpy as np

from snnb.crosscheck.exported import ExportedNetwork, Simulate, largest_counts


def build(network: ExportedNetwork) -> Simulate:
    """Return the simulation function of a network."""
    inbound = {population.name: network.spiking_inbound(population.name) for population in network.simulated}
    buffer_length = 1 + max((projection.delay for projection in network.projections), default=0)  # in steps

    def simulate(inputs: np.ndarray, steps: int) -> Dict[str, np.ndarray]:
        samples = len(inputs)
        constant = network.input.coding == "current"
        currents: Dict[str, np.ndarray] = {p.name: network.input_current(p, inputs) for p in network.simulated}
        potential: Dict[str, np.ndarray] = {
            p.name: np.repeat(p.start[:, None].astype(float), samples, axis=1) for p in network.simulated
        }
        synaptic = {name: np.zeros_like(values) for name, values in potential.items()}
        pooled = {q.source for p in network.simulated if p.counts_largest for q in inbound[p.name]}
        counts = {name: np.zeros((network.population(name).size, samples)) for name in pooled}  # of spikes so far
        highest = {p.name: np.zeros((p.size, samples)) for p in network.simulated if p.counts_largest}
        recorded: Dict[str, List[np.ndarray]] = {name: [np.empty((0, 3), np.int64)] for name in potential}
        spikes: Dict[Tuple[str, int], np.ndarray] = {}  # by name and step modulo `buffer_length`
        for step in range(steps):
            if not constant:
                spikes[network.input.name, step % buffer_length] = inputs[:, :, step].T.astype(np.float64)
                if network.input.name in counts:
                    counts[network.input.name] += spikes[network.input.name, step % buffer_length]
            for population in network.simulated:
                name, membrane = population.name, potential[population.name]
                if population.counts_largest:
                    largest_count = largest_counts(inbound[name], counts)
                    fired = largest_count > highest[name]
                    highest[name] = largest_count
                else:
                    x = population.bias_and_current(step, currents[name])
                    for projection in inbound[name]:
                        if step >= projection.delay:
                            arrived = spikes[projection.source, (step - projection.delay) % buffer_length]
                            x += projection.weights @ arrived
                    population.integrate(membrane, synaptic[name], x)
                    fired = (membrane >= population.threshold[:, None]) & population.fires(step)
                    population.reset(membrane, fired)
                spikes[name, step % buffer_length] = fired.astype(np.float64)
                if name in counts:
                    counts[name] += fired
                sample, neuron = np.nonzero(fired.T)
                recorded[name].append(np.stack([sample, neuron, np.full_like(sample, step)], axis=1))
        return {name: np.concatenate(rows) for name, rows in recorded.items()}

    return simulate
