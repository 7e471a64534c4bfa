"""Compare the spikes of a network with and without relay neurons."""

from typing import Dict, NamedTuple, Optional

import numpy as np

from snnb.core.progress import Progress, silent
from snnb.crosscheck.check import samples_at_a_time
from snnb.crosscheck.exported import ExportedNetwork, counts_of
from snnb.crosscheck.scipy import build

OPERATIONS = 1 << 36  # synapses × time steps × samples that are stepped: some minutes


class SplitCounts(NamedTuple):
    """Spikes of both networks."""

    # Spikes of each population with relays, summed over the samples, without those drawn at random: int64 (neurons,).
    counts: Dict[str, np.ndarray]
    differing_counts: float  # share of the counts of a neuron and a sample that differ from those without relays
    mean_count: float  # without relays
    mean_count_difference: float  # mean absolute difference
    # Shares of samples whose class has the largest accumulated input, None without classes: without relays, and with.
    unsplit_readout_accuracy: Optional[float]
    readout_accuracy: Optional[float]


def samples_of(network: ExportedNetwork, steps: int, available: int) -> int:
    """Return the number of samples that are stepped."""
    synapses = sum(projection.weights.nnz for projection in network.projections)
    return int(np.clip(OPERATIONS // max(1, synapses * steps), 1, available))


def last_step(network: ExportedNetwork, duration: int) -> int:
    """Return the number of time steps of a sample; `duration` of a network without windows."""
    return max((p.window[1] for p in network.populations if p.window is not None), default=duration)


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
    """Step both networks in scipy, `duration` time steps of each sample, or the steps of the windows.

    `inputs` are as in `Simulate`, of an input that spikes for all steps of the network with relays. `labels` are the
    classes of the samples, int64 (samples,), or None. Spikes are counted from the step `counted_from`.
    """
    networks = [(network, build(network), last_step(network, duration)) for network in (original, split)]
    totals = {p.name: np.zeros(p.size, np.int64) for p in split.simulated}
    differing, difference, spikes, right = 0, 0, 0, np.zeros(2)
    samples, at_a_time = len(inputs), samples_at_a_time(split, "scipy")
    for begin in range(0, samples, at_a_time):
        values, spike_counts = inputs[begin : begin + at_a_time], []
        for number, (network, simulate, steps) in enumerate(networks):
            rows = simulate(values, steps)
            sizes = {p.name: p.size for p in network.simulated}
            spike_counts.append(
                {name: counts_of(rows[name], len(values), size, counted_from) for name, size in sizes.items()}
            )
            if labels is not None:
                guess = _readout(network, spike_counts[-1], values, steps, counted_from).argmax(axis=0)
                right[number] += np.count_nonzero(guess == labels[begin : begin + at_a_time])
        for name, counts in spike_counts[1].items():
            totals[name] += counts.sum(axis=0)
        for name, counts in spike_counts[0].items():
            apart = np.abs(counts - spike_counts[1][name])
            differing, difference = differing + np.count_nonzero(apart), difference + apart.sum()
            spikes += counts.sum()
        progress(begin + len(values), samples)
    pairs = samples * sum(population.size for population in original.simulated)
    accuracies = (None, None) if labels is None else (right / samples).tolist()
    return SplitCounts(totals, differing / pairs, float(spikes) / pairs, float(difference) / pairs, *accuracies)


def _readout(
    network: ExportedNetwork, counts: Dict[str, np.ndarray], inputs: np.ndarray, steps: int, counted_from: int
) -> np.ndarray:
    """Return the accumulated input of the output in the counted steps: float64, shape (outputs, samples)."""
    output, constant = network.populations[-1], network.input.coding == "current"
    acting = output.steps if output.window is not None else steps - counted_from
    current = network.input_current(output, inputs)
    total: np.ndarray = (current + output.bias[:, np.newaxis]) * acting
    sent = counts if constant else {**counts, network.input.name: inputs[:, :, counted_from:].sum(axis=2)}
    for projection in network.spiking_inbound(output.name):
        total += projection.weights @ sent[projection.source].T
    return total
