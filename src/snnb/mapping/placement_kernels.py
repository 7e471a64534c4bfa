"""The compiled loops of the placement: exact changes of the objective, random swaps that cool down, and a descent."""

from typing import NamedTuple, Tuple

import numpy as np

from snnb.core.compiled import compiled

NOBODY = -1
MIX_1, MIX_2, MIX_3 = np.uint64(12), np.uint64(25), np.uint64(27)
MULTIPLIER, SHIFT = np.uint64(2685821657736338717), np.uint64(33)


class Links(NamedTuple):
    """Spikes between cores, both directions together: a symmetric matrix without a diagonal, as scipy's CSR has it.

    Attributes
    ----------
    indptr : ndarray of int64, shape (cores + 1,)
    other : ndarray of int32
    spikes : ndarray of float64
    """

    indptr: np.ndarray
    other: np.ndarray
    spikes: np.ndarray


class Board(NamedTuple):
    """Which core is where.

    Attributes
    ----------
    x, y : ndarray of int32, shape (cores,)
    who : ndarray of int32, shape (width, height)
        The core at each place, or -1.
    """

    x: np.ndarray
    y: np.ndarray
    who: np.ndarray


@compiled
def random_below(state: np.ndarray, limit: int) -> int:
    """Draw a number from 0 to `limit` - 1; `state` (uint64, one number, not 0) changes (xorshift64*, Vigna 2016)."""
    value = state[0]
    value ^= value >> MIX_1
    value ^= value << MIX_2
    value ^= value >> MIX_3
    state[0] = value
    return int((value * MULTIPLIER) >> SHIFT) % limit


@compiled
def hops(links: Links, board: Board) -> float:
    """Sum spikes × distance over all pairs of cores."""
    total = 0.0
    for core in range(board.x.size):
        for k in range(links.indptr[core], links.indptr[core + 1]):
            other = links.other[k]
            if other > core:
                distance = abs(board.x[core] - board.x[other]) + abs(board.y[core] - board.y[other])
                total += links.spikes[k] * distance
    return total


@compiled
def change(links: Links, board: Board, core: int, x: int, y: int) -> float:
    """By how much the hops change when a core changes place with whoever is at (x, y)."""
    from_x, from_y, there = board.x[core], board.y[core], board.who[x, y]
    total = 0.0
    for k in range(links.indptr[core], links.indptr[core + 1]):
        other = links.other[k]
        if other != there:
            now = abs(from_x - board.x[other]) + abs(from_y - board.y[other])
            total += links.spikes[k] * (abs(x - board.x[other]) + abs(y - board.y[other]) - now)
    if there == NOBODY:
        return total
    for k in range(links.indptr[there], links.indptr[there + 1]):
        other = links.other[k]
        if other != core:
            now = abs(x - board.x[other]) + abs(y - board.y[other])
            total += links.spikes[k] * (abs(from_x - board.x[other]) + abs(from_y - board.y[other]) - now)
    return total


@compiled
def swap(board: Board, core: int, x: int, y: int) -> None:
    """Let a core change place with whoever is at (x, y)."""
    there, from_x, from_y = board.who[x, y], board.x[core], board.y[core]
    board.who[from_x, from_y] = there
    if there != NOBODY:
        board.x[there], board.y[there] = from_x, from_y
    board.who[x, y] = core
    board.x[core], board.y[core] = x, y


@compiled
def _goal(links: Links, board: Board, core: int, reach: int, state: np.ndarray) -> Tuple[int, int]:
    """Draw a place within `reach` of the core, or of one that it exchanges spikes with."""
    around = core
    first, degree = links.indptr[core], links.indptr[core + 1] - links.indptr[core]
    if degree and random_below(state, 2):
        around = links.other[first + random_below(state, degree)]
    x = board.x[around] + random_below(state, 2 * reach + 1) - reach
    y = board.y[around] + random_below(state, 2 * reach + 1) - reach
    width, height = board.who.shape
    return min(max(x, 0), width - 1), min(max(y, 0), height - 1)


@compiled
def anneal(
    links: Links, board: Board, state: np.ndarray, temperature: float, reach: int, trials: int
) -> Tuple[float, float]:
    """Try random swaps; take one that makes things worse by d with probability exp(-d / temperature).

    Returns
    -------
    change : float
        Of the hops.
    tried : float
        Sum of what the trials would have made worse, of those that would have.
    """
    total, worse = 0.0, 0.0
    for _ in range(trials):
        core = random_below(state, board.x.size)
        x, y = _goal(links, board, core, reach, state)
        if board.who[x, y] == core:
            continue
        difference = change(links, board, core, x, y)
        if difference > 0.0:
            worse += difference
            chance = random_below(state, 1 << 30) / (1 << 30)
            if temperature <= 0.0 or chance >= np.exp(-difference / temperature):
                continue
        swap(board, core, x, y)
        total += difference
    return total, worse


@compiled
def descend(links: Links, board: Board, start: int, stop: int, reach: int) -> float:
    """Give each of some cores its best place within `reach` of where it is, or of the median of its partners.

    Returns
    -------
    float
        By how much the hops change: 0 when none of them could do better.
    """
    total = 0.0
    width, height = board.who.shape
    for core in range(start, stop):
        first, last = links.indptr[core], links.indptr[core + 1]
        if first == last:
            continue
        for around in range(2):
            at_x, at_y = board.x[core], board.y[core]
            if around == 1:
                at_x = _median(board.x, links, first, last, width)
                at_y = _median(board.y, links, first, last, height)
            best, best_x, best_y = -1e-12 * links.spikes[first:last].max(), -1, -1
            for x in range(max(0, at_x - reach), min(width, at_x + reach + 1)):
                for y in range(max(0, at_y - reach), min(height, at_y + reach + 1)):
                    if board.who[x, y] != core:
                        difference = change(links, board, core, x, y)
                        if difference < best:
                            best, best_x, best_y = difference, x, y
            if best_x >= 0:
                swap(board, core, best_x, best_y)
                total += best
    return total


@compiled
def _median(position: np.ndarray, links: Links, first: int, last: int, length: int) -> int:
    """Find the coordinate from which spikes × distance to the partners is least along one axis."""
    weight = np.zeros(length)
    for k in range(first, last):
        weight[position[links.other[k]]] += links.spikes[k]
    half, passed = weight.sum() / 2, 0.0
    for at in range(length):
        passed += weight[at]
        if passed >= half:
            return at
    return length - 1
