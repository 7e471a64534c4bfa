"""Compiled loops of the placement: exact changes of the cost, annealing and descent. Importing this imports numba."""

from typing import NamedTuple, Tuple

import numpy as np

from snnb.core.compiled import compiled
from snnb.mapping.search_kernels import draw_below

NOBODY = -1


class Links(NamedTuple):
    """Spikes between cores, both directions added: a symmetric CSR matrix without diagonal."""

    indptr: np.ndarray  # (cores + 1,) int64
    other: np.ndarray  # ndarray of int32
    spikes: np.ndarray  # ndarray of float64


class Board(NamedTuple):
    """Positions of cores on a part of the mesh."""

    x: np.ndarray  # (cores,) int32
    y: np.ndarray  # (cores,) int32
    who: np.ndarray  # (width, height) int32: the core at each position, or −1
    # (width,) and (height,) float64: coordinates whose differences are distances along x and along y
    column: np.ndarray
    row: np.ndarray


@compiled
def _distance(board: Board, x: int, y: int, core: int) -> float:
    """Return the distance of a position from a core."""
    column, row = board.column, board.row
    return abs(column[x] - column[board.x[core]]) + abs(row[y] - row[board.y[core]])


@compiled
def board_cost(links: Links, board: Board) -> float:
    """Sum spikes × distance over all pairs of cores."""
    total = 0.0
    for core in range(board.x.size):
        for k in range(links.indptr[core], links.indptr[core + 1]):
            other = links.other[k]
            if other > core:
                total += links.spikes[k] * _distance(board, board.x[core], board.y[core], other)
    return total


@compiled
def swap_change(links: Links, board: Board, core: int, x: int, y: int) -> float:
    """Return the change of the cost if a core and the one at (x, y), if any, exchange positions."""
    from_x, from_y, there = board.x[core], board.y[core], board.who[x, y]
    total = 0.0
    for k in range(links.indptr[core], links.indptr[core + 1]):
        other = links.other[k]
        if other != there:
            now = _distance(board, from_x, from_y, other)
            total += links.spikes[k] * (_distance(board, x, y, other) - now)
    if there == NOBODY:
        return total
    for k in range(links.indptr[there], links.indptr[there + 1]):
        other = links.other[k]
        if other != core:
            now = _distance(board, x, y, other)
            total += links.spikes[k] * (_distance(board, from_x, from_y, other) - now)
    return total


@compiled
def swap(board: Board, core: int, x: int, y: int) -> None:
    """Exchange the positions of a core and of the one at (x, y), if any."""
    there, from_x, from_y = board.who[x, y], board.x[core], board.y[core]
    board.who[from_x, from_y] = there
    if there != NOBODY:
        board.x[there], board.y[there] = from_x, from_y
    board.who[x, y] = core
    board.x[core], board.y[core] = x, y


@compiled
def _draw_position(links: Links, board: Board, core: int, reach: int, state: np.ndarray) -> Tuple[int, int]:
    """Draw a position within `reach` of the core, or of a core that it exchanges spikes with."""
    around = core
    first, degree = links.indptr[core], links.indptr[core + 1] - links.indptr[core]
    if degree and draw_below(state, 2):
        around = links.other[first + draw_below(state, degree)]
    x = board.x[around] + draw_below(state, 2 * reach + 1) - reach
    y = board.y[around] + draw_below(state, 2 * reach + 1) - reach
    width, height = board.who.shape
    return min(max(x, 0), width - 1), min(max(y, 0), height - 1)


@compiled
def anneal_swaps(
    links: Links, board: Board, state: np.ndarray, temperature: float, reach: int, trials: int
) -> Tuple[float, float]:
    """Try random swaps; accept an increase d of the cost with probability exp(−d / temperature).

    Return the change of the cost, and the sum of the increases that were tried, accepted or not. `reach` is the largest
    distance of a swap along an axis.
    """
    total, worse = 0.0, 0.0
    for _ in range(trials):
        core = draw_below(state, board.x.size)
        x, y = _draw_position(links, board, core, reach, state)
        if board.who[x, y] == core:
            continue
        difference = swap_change(links, board, core, x, y)
        if difference > 0.0:
            worse += difference
            chance = draw_below(state, 1 << 30) / (1 << 30)
            if temperature <= 0.0 or chance >= np.exp(-difference / temperature):
                continue
        swap(board, core, x, y)
        total += difference
    return total, worse


@compiled
def descend_swaps(links: Links, board: Board, reach: int) -> float:
    """Move each core to the best position within `reach` of its own, then of the median of its partners.

    Return the change of the cost: 0 if no core has a better position.
    """
    total = 0.0
    width, height = board.who.shape
    for core in range(board.x.size):
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
                        difference = swap_change(links, board, core, x, y)
                        if difference < best:
                            best, best_x, best_y = difference, x, y
            if best_x >= 0:
                swap(board, core, best_x, best_y)
                total += best
    return total


@compiled
def _median(position: np.ndarray, links: Links, first: int, last: int, length: int) -> int:
    """Return the coordinate with the least sum of spikes × distance to the partners along one axis."""
    weight = np.zeros(length)
    for k in range(first, last):
        weight[position[links.other[k]]] += links.spikes[k]
    half, passed = weight.sum() / 2, 0.0
    for at in range(length):
        passed += weight[at]
        if passed >= half:
            return at
    return length - 1


def hilbert_curve(width: int, height: int) -> np.ndarray:
    """Return the positions of a rectangle along a generalised Hilbert curve: int32, shape (width × height, 2).

    The algorithm is Jakub Červený's (github.com/jakubcerveny/gilbert): a rectangle is divided recursively into two or
    three. On a rectangle whose longer side is odd and whose shorter side is even, one step is diagonal.
    """
    places = np.empty((width * height, 2), np.int32)
    _walk(width, height, places)
    return places


@compiled
def _sign(value: int) -> int:
    return 1 if value > 0 else -1 if value < 0 else 0


@compiled
def _walk(width: int, height: int, places: np.ndarray) -> None:
    """Fill `places`. A rectangle on the stack is a corner and two sides, each a vector along an axis."""
    stack = np.empty((200, 6), np.int64)
    stack[0] = (0, 0, width, 0, 0, height) if width >= height else (0, 0, 0, height, width, 0)
    depth, done = 1, 0
    while depth:
        depth -= 1
        x, y, ax, ay, bx, by = stack[depth]
        along, across = abs(ax + ay), abs(bx + by)
        dax, day, dbx, dby = _sign(ax), _sign(ay), _sign(bx), _sign(by)
        if across == 1 or along == 1:
            dx, dy = (dax, day) if across == 1 else (dbx, dby)
            for _ in range(max(along, across)):
                places[done] = x, y
                done, x, y = done + 1, x + dx, y + dy
            continue
        ax2, ay2, bx2, by2 = ax // 2, ay // 2, bx // 2, by // 2
        if 2 * along > 3 * across:
            if abs(ax2 + ay2) % 2 and along > 2:
                ax2, ay2 = ax2 + dax, ay2 + day
            stack[depth] = (x + ax2, y + ay2, ax - ax2, ay - ay2, bx, by)
            stack[depth + 1] = (x, y, ax2, ay2, bx, by)
            depth += 2
            continue
        if abs(bx2 + by2) % 2 and across > 2:
            bx2, by2 = bx2 + dbx, by2 + dby
        end_x, end_y = x + (ax - dax) + (bx2 - dbx), y + (ay - day) + (by2 - dby)
        stack[depth] = (end_x, end_y, -bx2, -by2, -(ax - ax2), -(ay - ay2))
        stack[depth + 1] = (x + bx2, y + by2, ax, ay, bx - bx2, by - by2)
        stack[depth + 2] = (x, y, bx2, by2, ax2, ay2)
        depth += 3
