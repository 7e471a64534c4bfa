"""Spikes as bits: listed, counted, and under other numbers."""

import numpy as np

from snnb.core.compiled import compiled
from snnb.simulation.engines.event.types import GROUP, SLACK
from snnb.simulation.engines.event.vectors import bits_set, lowest_bit


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
