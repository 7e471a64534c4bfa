"""The exported network stepped with scipy's sparse matrices, all populations in each step, in float64."""

from typing import Dict

import numpy as np

from snnb.crosscheck.exported import ExportedNetwork
from snnb.progress import Progress, silent


def simulate(
    network: ExportedNetwork, inputs: np.ndarray, steps: int, counted_from: int, progress: Progress = silent
) -> Dict[str, np.ndarray]:
    """Count spikes.

    Parameters
    ----------
    network : ExportedNetwork
    inputs : ndarray
        Of a constant input: float64, shape (samples, inputs). Of one that spikes: bool, shape (samples, inputs, steps).
    steps : int
    counted_from : int
        The first step whose spikes are counted.
    progress : Progress
        Told of the samples done.

    Returns
    -------
    dict of str to ndarray of int64, shape (samples, neurons)
        Of each population that follows from the network.
    """
    samples, block = len(inputs), 64
    counts = {p.name: np.zeros((samples, p.size), np.int64) for p in network.simulated}
    for begin in range(0, samples, block):
        part = slice(begin, min(begin + block, samples))
        for name, found in _block(network, inputs[part], steps, counted_from).items():
            counts[name][part] = found
        progress(part.stop, samples)
    return counts


def _block(network: ExportedNetwork, inputs: np.ndarray, steps: int, counted_from: int) -> Dict[str, np.ndarray]:
    samples = len(inputs)
    constant = network.input.coding == "current"
    pixels = inputs.T if constant else np.zeros((network.input.size, samples))
    currents = {p.name: network.constant_current(p, pixels) for p in network.simulated}
    inbound = {p.name: network.spiking_inbound(p.name) for p in network.simulated}
    potential = {p.name: np.zeros((p.size, samples)) for p in network.simulated}
    counts = {p.name: np.zeros((samples, p.size), np.int64) for p in network.simulated}
    spikes: Dict[str, np.ndarray] = {}
    for step in range(steps):
        if not constant:
            spikes[network.input.name] = inputs[:, :, step].T.astype(np.float64)
        for name, membrane in potential.items():
            membrane += currents[name]
            for projection in inbound[name]:
                membrane += projection.weights @ spikes[projection.source]
            fired = membrane >= network.threshold
            if network.resets_to_zero:
                membrane[fired] = 0
            else:
                membrane[fired] -= network.threshold
            spikes[name] = fired * network.amplitude_of(name)
            if step >= counted_from:
                counts[name] += fired.T
    return counts
