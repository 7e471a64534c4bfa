"""Loops that add rows of weights to currents; the sums stay in registers meanwhile (see `vectors`).

Each number of the target is a sequential float32 sum in the order of the list of spikes.
"""

from typing import Callable

import numba
import numpy as np

from snnb.core.compiled import compiled
from snnb.simulation.engines.event.types import WIDTH, Windows
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
    """Add to the currents of a step what all windows read of a block of weights.

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
