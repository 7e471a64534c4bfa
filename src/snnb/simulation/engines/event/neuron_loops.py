"""Compiled loops over spikes as bits and over the neurons of a population: potentials, spikes and counts."""

import numpy as np

from snnb.core.compiled import compiled
from snnb.simulation.engines.event.types import GROUP, SLACK, Neurons
from snnb.simulation.engines.event.vectors import add_bits, bits_set, load, lowest_bit, reached, reset, store


@compiled
def listed(bits: np.ndarray, lists: np.ndarray, n: int) -> int:
    """Write the neurons that spike in a step to `lists` from index `n` on, and return the index after them.

    There must be room for all neurons and `SLACK` more.
    """
    for word in range(bits.size):
        left = bits[word]
        if left:
            end, first = n + bits_set(left), word * GROUP
            for i in range(SLACK):  # the processor foresees this, as a loop that ends with the last bit it would not
                lists[n + i] = first + lowest_bit(left)
                left &= left - np.uint64(1)
            n += SLACK
            while left:
                lists[n] = first + lowest_bit(left)
                left &= left - np.uint64(1)
                n += 1
            n = end
    return n


@compiled
def counted_below(bits: np.ndarray, bounds: np.ndarray, begins: np.ndarray, n: int) -> None:
    """Set begins[i] to n and the number of spikes of the neurons before bounds[i], which rises."""
    word = 0
    for i in range(bounds.size):
        bound = bounds[i]
        while (word + 1) * GROUP <= bound:
            n += bits_set(bits[word])
            word += 1
        rest = bound - word * GROUP
        begins[i] = n + (bits_set(bits[word] & ((np.uint64(1) << np.uint64(rest)) - np.uint64(1))) if rest else 0)


@compiled
def renumbered(source: np.ndarray, table: np.ndarray, target: np.ndarray, lists: np.ndarray) -> None:
    """Add to `target` the spikes of `source` with neuron i renumbered as `table[i]`; `lists` is a buffer."""
    for sample in range(source.shape[0]):
        for step in range(source.shape[1]):
            for e in range(listed(source[sample, step], lists, 0)):
                i = table[lists[e]]
                target[sample, step, i // GROUP] |= np.uint64(1) << np.uint64(i % GROUP)


@compiled
def number_of(bits: np.ndarray, begin: int, end: int) -> int:
    """Count the spikes of all samples and neurons in the steps from `begin` to before `end`."""
    n = 0
    for sample in range(bits.shape[0]):
        for step in range(begin, end):
            for word in range(bits.shape[2]):
                n += bits_set(bits[sample, step, word])
    return n


@compiled
def _softmax(
    potential: np.ndarray,
    current: np.ndarray,
    bias: np.ndarray,
    uniforms: np.ndarray,
    powers: np.ndarray,
    bits: np.ndarray,
) -> None:
    """Spike where the random number is at most the softmax of the potential; such a neuron is reset to zero."""
    bits[:] = 0
    for first in range(0, uniforms.size, powers.size):  # groups of neurons of a softmax
        highest, total = np.float32(-np.inf), np.float32(0)
        for i in range(first, first + powers.size):
            potential[i] += current[i] + bias[i]
            highest = max(highest, potential[i])
        for i in range(powers.size):
            powers[i] = np.exp(potential[first + i] - highest)
            total += powers[i]
        for i in range(powers.size):
            if uniforms[first + i] <= powers[i] / total:
                bits[(first + i) // GROUP] |= np.uint64(1) << np.uint64((first + i) % GROUP)
                potential[first + i] = 0


@compiled
def fire(
    neurons: Neurons, sample: int, currents: np.ndarray, stride: int, steps: int, start: int, bits: np.ndarray
) -> None:
    """Simulate consecutive steps of a sample from `start`, given the current of each; write the spikes to `bits`.

    The currents of the i-th step, without bias, begin at index i × stride.
    """
    words, received = bits.shape[1], neurons.received[sample]
    for step in range(steps if received.shape[1] else 0):
        for i in range(received.shape[1]):
            received[start + step, i] = currents[step * stride + i] + neurons.bias[i]
    potential = neurons.potential[sample]
    if neurons.uniforms.shape[2]:
        powers = np.empty(neurons.classes, np.float32)
        for step in range(steps):
            current, uniforms = currents[step * stride :], neurons.uniforms[sample, start + step]
            _softmax(potential, current, neurons.bias, uniforms, powers, bits[start + step])
        return
    for word in range(words):
        at = word * GROUP
        values, thresholds, bias = load(potential, at, 4), load(neurons.threshold, at, 4), load(neurons.bias, at, 4)
        for step in range(steps):
            values = values + (load(currents, step * stride + at, 4) + bias)
            bits[start + step, word] = reached(values, thresholds)
            values = reset(values, thresholds, neurons.to_zero)
        store(potential, at, values)


@compiled
def count(neurons: Neurons, sample: int, bits: np.ndarray) -> None:
    """Count the spikes of a sample, uint64 (steps, words)."""
    counts = neurons.counts[sample]
    for word in range(bits.shape[1]):
        for step in range(bits.shape[0]):
            add_bits(counts, word * GROUP, bits[step, word])


@compiled
def base_of(neurons: Neurons, sample: int) -> np.ndarray:
    """Return the current of constant input alone: that of each sample, or zeros for all."""
    return neurons.base[min(sample, neurons.base.shape[0] - 1)]


@compiled
def unchanging(neurons: Neurons, spikes: np.ndarray) -> None:
    """Simulate all steps of a population whose current never changes; write its spikes."""
    for sample in range(spikes.shape[0]):
        fire(neurons, sample, base_of(neurons, sample), 0, spikes.shape[1], 0, spikes[sample])
        count(neurons, sample, spikes[sample])
