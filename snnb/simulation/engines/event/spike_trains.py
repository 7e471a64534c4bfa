"""Spikes of populations under other numbers, and of two populations in one train."""

import numpy as np

from snnb.compiled import compiled
from snnb.simulation.engines.event.types import SpikeTrain


@compiled
def renumbered(steps: int, source: SpikeTrain, table: np.ndarray, train: SpikeTrain) -> None:
    """Write the same spikes where neuron i is called `table[i]`, which rises with i."""
    end = source.start[steps]
    for e in range(end):
        train.events[e] = table[source.events[e]]
    train.start[: steps + 1] = source.start[: steps + 1]


@compiled
def merged(steps: int, one: SpikeTrain, two: SpikeTrain, train: SpikeTrain) -> None:
    """Write the spikes of two populations in rising order."""
    n = 0
    for step in range(steps):
        train.start[step] = n
        a, b = one.start[step], two.start[step]
        while a < one.start[step + 1] or b < two.start[step + 1]:
            if b == two.start[step + 1] or (a < one.start[step + 1] and one.events[a] <= two.events[b]):
                train.events[n] = one.events[a]
                a += 1
            else:
                train.events[n] = two.events[b]
                b += 1
            n += 1
    train.start[steps] = n
