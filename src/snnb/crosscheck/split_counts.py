"""Spikes of a network whose fan-in was split, and what they differ in from those without relays."""

from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Tuple

import numpy as np

from snnb.core.progress import Progress, silent
from snnb.crosscheck.check import samples_at_a_time
from snnb.crosscheck.exported import ExportedNetwork
from snnb.crosscheck.scipy import build
from snnb.crosscheck.spike_rows import Simulate, counts_of

Counts = Dict[str, np.ndarray]
OPERATIONS = 1 << 36  # synapses × time steps × samples that are stepped: some minutes


@dataclass(frozen=True)
class SplitCounts:
    """Spikes of the split network, and of the original one over the same samples.

    Attributes
    ----------
    samples : int
    counts : mapping of str to (neurons,) int64 array
        Spikes of each population of the split network, summed over the samples; without those drawn at random.
    pairs, differing : pairs of sample and original neuron that spikes follow for, and those whose counts differ
    mean_difference : mean absolute difference of the counts of such a pair
    mean_count : mean count of such a pair in the original network
    accuracy : share of the samples of which the largest accumulated input of the output is that of the class, of the
        original and the split network; None without classes
    """

    samples: int
    counts: Mapping[str, np.ndarray]
    pairs: int
    differing: int
    mean_difference: float
    mean_count: float
    accuracy: Optional[Tuple[float, float]]


def samples_of(network: ExportedNetwork, steps: int, available: int) -> int:
    """Return the number of samples that are stepped, at least one."""
    synapses = sum(projection.weights.nnz for projection in network.projections)
    return int(np.clip(OPERATIONS // max(1, synapses * steps), 1, available))


def split_counts(
    original: ExportedNetwork,
    split: ExportedNetwork,
    inputs: np.ndarray,
    labels: Optional[np.ndarray],
    *,
    duration: int,
    counted_from: int = 0,
    progress: Progress = silent,
) -> SplitCounts:
    """Step both networks in scipy, and compare the spikes of the neurons that both have.

    Parameters
    ----------
    original, split : ExportedNetwork
    inputs : ndarray, as in `Simulate`; of one that spikes for all steps of the split network
    labels : (samples,) int64 array
        Classes of the samples; None for a network without classes.
    duration : int
        Time steps of a sample in a network without windows.
    counted_from : int
        First step whose spikes are counted.
    progress : Progress
        Called with the number of samples done.
    """
    networks = original, split
    steppers = [(network, build(network), last_step(network, duration)) for network in networks]
    totals: Counts = {p.name: np.zeros(p.size, np.int64) for p in split.simulated}
    right, pairs, differing, difference, spikes = np.zeros(2), 0, 0, 0, 0
    at_a_time, samples = samples_at_a_time(split), len(inputs)
    for begin in range(0, samples, at_a_time):
        part = slice(begin, min(begin + at_a_time, samples))
        found: List[Counts] = [_counts(*stepper, inputs[part], counted_from) for stepper in steppers]
        for name, counts in found[1].items():
            totals[name] += counts.sum(axis=0)
        for name, counts in found[0].items():
            apart = np.abs(counts - found[1][name])
            pairs, differing = pairs + apart.size, differing + np.count_nonzero(apart)
            difference, spikes = difference + int(apart.sum()), spikes + int(counts.sum())
        if labels is not None:
            read = [_readout(n, of, inputs[part], end, counted_from) for (n, _, end), of in zip(steppers, found)]
            guesses = [values.argmax(axis=0) for values in read]
            right += [np.count_nonzero(guess == labels[part]) for guess in guesses]
        progress(part.stop, samples)
    accuracy = None if labels is None else (right[0] / samples, right[1] / samples)
    return SplitCounts(samples, totals, pairs, differing, difference / max(pairs, 1), spikes / max(pairs, 1), accuracy)


def last_step(network: ExportedNetwork, duration: int) -> int:
    """Return the number of time steps of a sample."""
    return max((p.window[1] for p in network.populations if p.window is not None), default=duration)


def _counts(network: ExportedNetwork, simulate: Simulate, steps: int, inputs: np.ndarray, counted_from: int) -> Counts:
    """Return the spikes of each population that follows from the network: int64, shape (samples, neurons)."""
    rows = simulate(inputs, steps)
    return {p.name: counts_of(rows[p.name], len(inputs), p.size, counted_from) for p in network.simulated}


def _readout(network: ExportedNetwork, counts: Counts, inputs: np.ndarray, steps: int, counted_from: int) -> np.ndarray:
    """Return the accumulated input of the output in the counted steps: float64, shape (outputs, samples)."""
    output = network.populations[-1]
    constant = network.input.coding == "current"
    acting = output.steps if output.window is not None else steps - counted_from
    pixels = inputs.T if constant else np.zeros((network.input.size, len(inputs)))
    total = (network.input_current(output, pixels) + output.bias[:, np.newaxis]) * acting
    sent = counts if constant else {**counts, network.input.name: inputs[:, :, counted_from:].sum(axis=2)}
    for projection in network.spiking_inbound(output.name):
        total += projection.weights @ sent[projection.source].T * network.amplitude_of(projection.source)
    return total
