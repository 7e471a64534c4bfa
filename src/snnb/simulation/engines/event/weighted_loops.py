"""The compiled work of populations with weights, which are added only where there are spikes.

The spikes of a step are listed in rising order. So a neuron's contributions arrive in the order of its inputs, and its
current is a sequential float32 sum. What makes it fast:

- where there are many filters, the rows of weights that a window of a convolution reads are summed in registers before
  they are stored; a block of rows stays in the cache while all windows of some steps pass (`Windows`);
- where there are few, what the spikes of a position add to all windows of a row is one run of numbers (`Runs`);
- where a neuron reads few others, 64 neurons are added to at once, and bits choose which of them change (`Reach`).

A population is simulated some steps at a time: first the currents of all of them, one projection after the other, then
the neurons. All samples of a call are done one after the other, without Python between them.
"""

from typing import Tuple

import numpy as np

from snnb.core.compiled import compiled
from snnb.simulation.engines.event.neuron_loops import base_of, count, fire
from snnb.simulation.engines.event.row_loops import add_run, add_where, add_windows
from snnb.simulation.engines.event.spike_bits import counted_below, listed
from snnb.simulation.engines.event.types import GROUP, WIDTH, WIDTHS, Neurons, Reach, Runs, Weighted, Windows
from snnb.simulation.engines.event.vectors import element, load, store

# All bits of a word, and what a number is shifted by to get that of its word: numba's division is a slow one.
ALL, SHIFT = np.uint64(0xFFFFFFFFFFFFFFFF), 6


@compiled
def _add_windows(bits: np.ndarray, currents: np.ndarray, stride: int, windows: Windows, room: np.ndarray) -> None:
    """Add what windows that read all channels receive, in some steps.

    bits : ndarray of uint64, shape (steps, words)
    currents : ndarray of float32, flat; those of step i begin at i * stride
    room : ndarray of int32
    """
    steps, number, bounds = bits.shape[0], windows.target.size, windows.bounds.size
    begins = np.empty(steps * bounds, np.int32)
    end = 0
    for step in range(steps):
        counted_below(bits[step], windows.bounds, begins[step * bounds : (step + 1) * bounds], end)
        end = listed(bits[step], room, end)
    blocks, done = (windows.start.size - 1) // number, 0
    while done < windows.filters:
        width = WIDTHS[0]
        while width > windows.filters - done:
            width //= 2
        for block in range(blocks):
            for step in range(steps):
                add_windows(currents, step * stride, windows, done, block, room, begins[step * bounds :], width)
        done += width


@compiled
def _add_runs(bits: np.ndarray, currents: np.ndarray, at: int, runs: Runs, room: np.ndarray) -> None:
    """Add what windows that read all channels receive in a step.

    bits : ndarray of uint64, shape (words,)
    currents : ndarray of float32, flat; those of the step begin at `at`, with room for a group behind all
    room : ndarray of int32
    """
    positions = runs.bounds.size - 1
    begins = np.empty(positions + 1, np.int32)
    counted_below(bits, runs.bounds, begins, 0)
    listed(bits, room, 0)
    end = 0
    for position in range(positions):
        begin, end = end, element(begins, position + 1)
        if begin < end:
            for k in range(element(runs.start, position), element(runs.start, position + 1)):
                add_run(
                    currents, at + element(runs.target, k), runs.weights, element(runs.first, k),
                    element(runs.stride, k), room, begin, end, element(runs.parts, k),
                )  # fmt: skip


@compiled
def _part_of(bits: np.ndarray, begin: int, end: int) -> np.uint64:
    """Return the bits from `begin` to before `end`, at most 64 of them, as the lowest bits of a number."""
    word, offset = begin >> SHIFT, np.uint64(begin & (GROUP - 1))
    part = element(bits, word) >> offset
    if offset and word + 1 < bits.size:
        part |= element(bits, word + 1) << (np.uint64(GROUP) - offset)
    return part & (ALL >> np.uint64(GROUP - (end - begin)))


@compiled
def _add_reach(bits: np.ndarray, currents: np.ndarray, at: int, reach: Reach, room: np.ndarray) -> None:
    """Add what windows that read one channel each receive in a step; see `_add_runs`."""
    channels = reach.channels
    if channels == 0:
        for word in range(bits.size):
            if bits[word]:
                add_where(bits[word], currents, at + word * GROUP, reach.weights, word * GROUP, GROUP // WIDTH)
    elif reach.start.size == 0:
        for e in range(listed(bits, room, 0)):
            i = element(room, e)
            currents[at + element(reach.target, i)] += reach.weights[element(reach.tap, i)]
    elif channels == 1:
        for e in range(listed(bits, room, 0)):
            i = element(room, e)
            for k in range(element(reach.start, i), element(reach.start, i + 1)):
                currents[at + element(reach.target, k)] += reach.weights[element(reach.tap, k)]
    else:
        for position in range(reach.start.size - 1):
            for first in range(0, channels, GROUP):
                begin, parts = position * channels + first, 2 if channels - first <= 2 * WIDTH else 4
                part = _part_of(bits, begin, begin + min(GROUP, channels - first))
                if part:
                    for k in range(element(reach.start, position), element(reach.start, position + 1)):
                        target, tap = at + element(reach.target, k) + first, element(reach.tap, k) + first
                        add_where(part, currents, target, reach.weights, tap, parts)


@compiled
def weighted(
    sources: Tuple[np.ndarray, ...],
    projections: Tuple[Weighted, ...],
    neurons: Neurons,
    spikes: np.ndarray,
    divisors: np.ndarray,
    currents: np.ndarray,
    room: np.ndarray,
) -> None:
    """Simulate a population that sums projections with weights.

    Parameters
    ----------
    sources : tuple of ndarray of uint64, shape (samples, steps, words)
        What the projections read.
    projections : tuple of Weighted
        As many.
    neurons : Neurons
    spikes : ndarray of uint64, shape (samples, steps, words)
        Output.
    divisors : ndarray of float32, shape (neurons,), filled up
        What the sums are divided by at last; of shape (0,) where they are not.
    currents : ndarray of float32, flat
        Buffer for the currents of the steps that are done at a time, and `GROUP` numbers.
    room : ndarray of int32
        Buffer for two lists of all neurons of a source: for each step that is done at a time, and for one more.
    """
    size = neurons.potential.shape[1]
    at_once = (currents.size - GROUP) // size
    for sample in range(spikes.shape[0]):
        base = base_of(neurons, sample)
        for start in range(0, spikes.shape[1], at_once):
            steps = min(at_once, spikes.shape[1] - start)
            for step in range(steps):
                for at in range(0, size, GROUP):
                    store(currents, step * size + at, load(base, at, 4))
            for i in range(len(projections)):
                bits, projection = sources[i][sample, start : start + steps], projections[i]
                if projection.windows.filters:
                    _add_windows(bits, currents, size, projection.windows, room)
                elif projection.runs.bounds.size:
                    for step in range(steps):
                        _add_runs(bits[step], currents, step * size, projection.runs, room)
                else:
                    for step in range(steps):
                        _add_reach(bits[step], currents, step * size, projection.reach, room)
            if divisors.size:
                for step in range(steps):
                    for at in range(0, size, GROUP):
                        sums = load(currents, step * size + at, 4)
                        store(currents, step * size + at, sums / load(divisors, at, 4))
            fire(neurons, sample, currents, size, steps, start, spikes[sample])
        count(neurons, sample, spikes[sample])
