"""The compiled work of populations with weights, which are added only where there are spikes.

The spikes of a step are listed in rising order. So a neuron's contributions arrive in the order of its inputs, and its
current is a sequential float32 sum. Why it is fast:

- where there are many filters, the rows of weights that a window of a convolution reads are summed in registers before
  they are stored; a block of rows stays in the cache while all windows of some steps pass (`Windows`);
- where there are few, the contributions of a position's spikes to all windows of a row are one run (`Runs`);
- where a neuron reads few others, 64 neurons are added to at once, and bits choose which of them change (`Reach`).

A population is simulated some steps at a time: first the currents of all of them, one projection after the other, then
the neurons. All samples of a call are done one after the other, without Python between them.
Sums stay in registers while rows are added (see `vectors`); each number of a target is a sequential float32 sum in the
order of the list of spikes.
"""

from typing import Callable, Tuple

import numba
import numpy as np

from snnb.core.compiled import compiled
from snnb.simulation.engines.event.neuron_loops import base_of, count, counted_below, fire, listed
from snnb.simulation.engines.event.types import GROUP, WIDTH, WIDTHS, Neurons, Reach, Runs, Weighted, Windows
from snnb.simulation.engines.event.vectors import element, load, store, where

# Most lists are short: a call of a loop takes as long as the loop.
inlined = numba.njit(nogil=True, boundscheck=False, error_model="numpy", forceinline=True)


def _windows_loop(parts: int) -> Callable[..., None]:
    width = parts * WIDTH

    @compiled
    def add(
        currents: np.ndarray, at: int, windows: Windows, done: int, block: int, lists: np.ndarray, begins: np.ndarray
    ) -> None:
        origin, number = windows.rows * done, windows.target.size
        last = element(windows.start, block * number)
        for window in range(number):
            first, last = last, element(windows.start, block * number + window + 1)
            if first == last:
                continue
            place = at + element(windows.target, window) + done
            sums = load(currents, place, parts)
            for k in range(first, last):
                shift = element(windows.shift, k)
                begin, end = element(begins, element(windows.first, k)), element(begins, element(windows.stop, k))
                for e in range(begin, end):
                    sums = sums + load(windows.weights, origin + (element(lists, e) + shift) * width, parts)
            store(currents, place, sums)

    return add


_WINDOWS_16, _WINDOWS_32, _WINDOWS_64 = (_windows_loop(parts) for parts in (1, 2, 4))


@compiled
def add_windows(
    currents: np.ndarray,
    at: int,
    windows: Windows,
    done: int,
    block: int,
    lists: np.ndarray,
    begins: np.ndarray,
    width: int,
) -> None:
    """Add to the currents of a step the contributions of a block of weights to all windows.

    Parameters
    ----------
    currents : ndarray of float32, flat
    at : int
        Index of the current of the population's first neuron in this step.
    windows : Windows
    done : int
        First of the filters that are added.
    block : int
    lists : ndarray of int32
        Neurons that spike.
    begins : ndarray of int32, shape (units + 1,)
        The spikes of unit u are lists[begins[u] : begins[u + 1]].
    width : {16, 32, 64}
        Number of filters that are added.
    """
    if width == 64:
        _WINDOWS_64(currents, at, windows, done, block, lists, begins)
    elif width == 32:
        _WINDOWS_32(currents, at, windows, done, block, lists, begins)
    else:
        _WINDOWS_16(currents, at, windows, done, block, lists, begins)


def _run_loop(parts: int) -> Callable[..., None]:
    @inlined
    def add(
        target: np.ndarray,
        at: int,
        weights: np.ndarray,
        first: int,
        stride: int,
        lists: np.ndarray,
        begin: int,
        end: int,
    ) -> None:
        sums = load(target, at, parts)
        for e in range(begin, end):
            sums = sums + load(weights, first + element(lists, e) * stride, parts)
        store(target, at, sums)

    return add


_RUN_1, _RUN_2, _RUN_3, _RUN_4, _RUN_5, _RUN_6 = (_run_loop(parts) for parts in range(1, 7))


@inlined
def add_run(
    target: np.ndarray,
    at: int,
    weights: np.ndarray,
    first: int,
    stride: int,
    lists: np.ndarray,
    begin: int,
    end: int,
    parts: int,
) -> None:
    """Add weights[first + i * stride :][:n] to target[at : at + n] for i in lists[begin:end], n = WIDTH * parts."""
    if parts == 1:
        _RUN_1(target, at, weights, first, stride, lists, begin, end)
    elif parts == 2:
        _RUN_2(target, at, weights, first, stride, lists, begin, end)
    elif parts == 3:
        _RUN_3(target, at, weights, first, stride, lists, begin, end)
    elif parts == 4:
        _RUN_4(target, at, weights, first, stride, lists, begin, end)
    elif parts == 5:
        _RUN_5(target, at, weights, first, stride, lists, begin, end)
    else:
        _RUN_6(target, at, weights, first, stride, lists, begin, end)


@inlined
def add_where(bits: np.uint64, target: np.ndarray, at: int, weights: np.ndarray, first: int, parts: int) -> None:
    """Add weights[first + i] to target[at + i] for each i whose bit is set; `parts` is 1, 2 or 4.

    All WIDTH * parts numbers are read and written.
    """
    if parts == 4:
        before = load(target, at, 4)
        store(target, at, where(bits, before + load(weights, first, 4), before))
    elif parts == 2:
        half = load(target, at, 2)
        store(target, at, where(bits, half + load(weights, first, 2), half))
    else:
        quarter = load(target, at, 1)
        store(target, at, where(bits, quarter + load(weights, first, 1), quarter))


# All bits of a word, and the shift from a neuron's number to its word's: numba's division is slow.
ALL, SHIFT = np.uint64(0xFFFFFFFFFFFFFFFF), 6


@compiled
def _add_windows(bits: np.ndarray, currents: np.ndarray, stride: int, windows: Windows, room: np.ndarray) -> None:
    """Add the currents of windows that read all channels, in some steps.

    bits : ndarray of uint64, shape (steps, words)
    currents : ndarray of float32, flat; step i begins at i * stride
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
    """Add the currents of windows that read all channels, in a step.

    bits : ndarray of uint64, shape (words,)
    currents : ndarray of float32, flat; the step begins at `at`; with room for a group after the last
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
    """Add the currents of windows that read one channel each, in a step; see `_add_runs`."""
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
        Spikes that the projections read.
    projections : tuple of Weighted
        As many.
    neurons : Neurons
    spikes : ndarray of uint64, shape (samples, steps, words)
        Output.
    divisors : ndarray of float32, shape (neurons,), filled up
        Divisors of the sums; of shape (0,) where there are none.
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
