"""Placement of cores on the mesh, so that routes take little energy, or have few links.

The objective, Σ spikes × distance over all pairs of cores, is a quadratic assignment problem. The distance is that of
coordinates along x and y, which increase at borders of tiles, and by more at borders of chips. It is solved
heuristically: initial placements in the order of the cores' numbers and by eigenvectors (Hall, Management Science 17,
1970); simulated annealing (Kirkpatrick et al., Science 220, 1983), with moves to empty positions as in VPR (Betz and
Rose, FPL 1997); and a descent.
"""

from typing import Iterator, NamedTuple, Sequence, Tuple

import numpy as np
from scipy.sparse import csr_matrix, diags, identity, tril, triu

from snnb.chips.hardware import Hardware
from snnb.core.compiled import compiled, inlined
from snnb.core.progress import Progress, Throttle, silent
from snnb.mapping.partition.settings import SearchSettings
from snnb.mapping.xorshift import draw_below

PRODUCTS_OF_ITERATION = 20  # of the matrix with a vector: the number of Lanczos vectors of ARPACK
NOBODY = -1  # at a position without a core


class Links(NamedTuple):
    """Spikes between cores, both directions added: a symmetric CSR matrix without diagonal."""

    indptr: np.ndarray  # (cores + 1,) int64
    other: np.ndarray  # (links,) int32: the core at the other end
    spikes: np.ndarray  # (links,) float64


class Board(NamedTuple):
    """Positions of cores on a part of the mesh."""

    x: np.ndarray  # (cores,) int32
    y: np.ndarray  # (cores,) int32
    who: np.ndarray  # (width, height) int32: the core at each position, or −1
    # (width,) and (height,) float64: coordinates whose differences are distances along x and along y
    column: np.ndarray
    row: np.ndarray
    # (cores,) float64: `column[x]` and `row[y]`, which the search reads most often
    at_x: np.ndarray
    at_y: np.ndarray


def place(
    traffic: csr_matrix,
    hardware: Hardware,
    seed: int = 0,
    progress: Progress = silent,
    *,
    hops: bool = False,
    settings: SearchSettings = SearchSettings(),  # noqa: B008 - frozen
) -> np.ndarray:
    """Assign each core a position on the mesh: int32, shape (cores, 2); the same seed gives the same positions.

    Routes take the least energy, or with `hops` have the fewest links, that the search finds.
    `traffic` (csr_matrix of float64, shape (cores, cores)) are spikes per sample; the diagonal is ignored. There are at
    most as many cores as the hardware has.
    """
    cores = traffic.shape[0]
    between_cores = triu(traffic, 1) + tril(traffic, -1)
    both = (between_cores + between_cores.T).tocsr()
    both.sort_indices()
    links = Links(both.indptr.astype(np.int64), both.indices.astype(np.int32), both.data)
    board = _board(cores, hardware, settings, hops)
    snake = _positions(board)
    if cores < 2 or not links.other.size:
        return snake
    lowest, best = board_cost(links, board), snake
    for places in _by_eigenvectors(links, snake, settings):
        _put(board, places)
        cost = board_cost(links, board)
        if cost < lowest:
            lowest, best = cost, places
    degree, partners = max(1.0, links.other.size / cores), settings.max_partners / 2
    rounds = int(np.clip(settings.max_rounds_of_cores // cores, 1, settings.max_placement_rounds))
    swaps = int(min(settings.swaps_per_core * cores, settings.max_swaps / rounds, partners / (degree * rounds)))
    reach = settings.reach_of_descent
    passes = max(1, int(partners / (links.other.size * 2 * (2 * reach + 1) ** 2)))
    state = np.array([2 * seed + 1], np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    throttle, steps = Throttle(), rounds * settings.temperature_steps
    for number in range(rounds):
        _put(board, best)
        for step in _anneal(links, board, state, swaps, settings):
            done = number * settings.temperature_steps + step + 1
            if throttle.due(last=done == steps):
                progress(done, steps, f"spikes × distance {lowest:,.6g}")
        for _ in range(passes):  # or until no position within reach is better
            if descend_swaps(links, board, reach) >= 0:
                break
        cost = board_cost(links, board)
        if cost < lowest:
            lowest, best = cost, _positions(board)
    return best


def _board(cores: int, hardware: Hardware, settings: SearchSettings, hops: bool) -> Board:
    """Take a corner of the mesh, a little wider than the cores need, and place them in a snake."""
    most_x, most_y = sides = hardware.mesh
    if hardware.chip is not None:  # the fewest chips, in the most square arrangement
        across, down = hardware.chip
        columns, rows = most_x // across, most_y // down
        grids = ((x, -(-cores // (x * across * down))) for x in range(1, columns + 1))  # the fewest rows that suffice
        candidates = [(x * across, y * down) for x, y in grids if y <= rows]
        most_x, most_y = sides = min(candidates, key=lambda sides: (sides[0] * sides[1], max(sides)))
    width = min(most_x, int(np.ceil(np.sqrt(cores))))
    height = -(-cores // width)
    if height > most_y:
        width, height = -(-cores // most_y), most_y
    share, min_spare = settings.spare_share_of_side, settings.min_spare_positions
    sides_in_use = [min(side, length + int(share * length) + min_spare) for side, length in zip(sides, (width, height))]
    who = np.full(sides_in_use, NOBODY, np.int32)
    x, y = np.empty((2, cores), np.int32)
    board = Board(x, y, who, *_coordinates(sides_in_use, hardware, hops), *np.empty((2, cores)))
    column, row = np.divmod(np.arange(cores), height)
    _put(board, np.stack([column, np.where(column % 2, height - 1 - row, row)], axis=1))
    return board


def _coordinates(sides: Sequence[int], hardware: Hardware, hops: bool) -> Iterator[np.ndarray]:
    """Yield coordinates of positions along x, and along y: the energy, or with `hops` the links, of the route from 0.

    The unit of energy is that of a link along x (along y, if that is 0) and its router, so coordinates count links if
    all take the same.
    """
    energy = hardware.energy_pj
    units = energy.of_routes(np.eye(2, dtype=np.int64), np.zeros((2, 2)), first=False)
    unit = float(units[0] or units[1])
    for axis, side in enumerate(sides):
        at = np.zeros((side, 2), np.int32)
        at[:, axis] = np.arange(side)
        links, borders = hardware.router_of(at).T, hardware.chip_of(at).T
        if hops or unit <= 0:
            yield links.sum(axis=0).astype(np.float64)
        else:
            yield np.round(energy.of_routes(links, borders, first=False) / unit, 9)


def _positions(board: Board) -> np.ndarray:
    return np.stack([board.x, board.y], axis=1)


def _put(board: Board, places: np.ndarray) -> None:
    board.who[:] = NOBODY
    board.x[:], board.y[:] = places.T
    board.who[board.x, board.y] = np.arange(board.x.size)
    board.at_x[:], board.at_y[:] = board.column[board.x], board.row[board.y]


def _by_eigenvectors(links: Links, positions: np.ndarray, settings: SearchSettings) -> Iterator[np.ndarray]:
    """Yield two placements on these positions: columns by one eigenvector, rows within a column by another.

    The second and third eigenvectors of the normalised Laplacian bring partners together (Hall, 1970).
    """
    cores = links.indptr.size - 1
    if cores < settings.min_cores_for_eigenvectors:
        return
    from scipy.sparse.linalg import ArpackError, eigsh

    matrix = csr_matrix((links.spikes, links.other, links.indptr), shape=(cores, cores))
    weight = np.asarray(matrix.sum(axis=1)).ravel()
    root = np.sqrt(np.where(weight > 0, weight, 1.0))
    scaled = diags(1 / root) @ matrix @ diags(1 / root) + identity(cores)
    start = root + 0.01 * root.mean() * np.cos(np.arange(cores))
    iterations = max(2, int(settings.max_products_for_eigenvectors / (PRODUCTS_OF_ITERATION * matrix.nnz)))
    try:
        _, vectors = eigsh(scaled, k=3, which="LA", v0=start, tol=settings.eigenvector_tolerance, maxiter=iterations)
    except ArpackError:  # no convergence: the snake remains
        return
    order = positions[np.lexsort((positions[:, 1], positions[:, 0]))]
    starts = np.flatnonzero(np.diff(order[:, 0], prepend=-1))
    for along, within in ((vectors[:, 1], vectors[:, 0]), (vectors[:, 0], vectors[:, 1])):
        by_column, places = np.argsort(along / root, kind="stable"), np.empty_like(positions)
        for column in np.split(np.arange(cores), starts[1:]):
            members = by_column[column]
            places[members[np.argsort((within / root)[members], kind="stable")]] = order[column]
        yield places


def _anneal(links: Links, board: Board, state: np.ndarray, swaps: int, settings: SearchSettings) -> Iterator[int]:
    """Anneal with swaps of decreasing distance; yield each step of the temperature that is done."""
    longest, steps = max(board.who.shape), settings.temperature_steps
    copy = Board(*(array.copy() for array in board))
    _, increase = anneal_swaps(links, copy, state, 0.0, 1, settings.probes)
    temperature = settings.hottest_swap * (increase / settings.probes)
    for step in range(steps):
        reach = max(1, round(longest * (1 - step / steps) ** settings.exponent_of_reach))
        anneal_swaps(links, board, state, temperature, reach, max(1, swaps // steps))
        yield step
        temperature *= (settings.coldest_swap / settings.hottest_swap) ** (1 / steps)


@compiled
def board_cost(links: Links, board: Board) -> float:
    """Sum spikes × distance over all pairs of cores."""
    total = 0.0
    for core in range(board.x.size):
        for k in range(links.indptr[core], links.indptr[core + 1]):
            partner = links.other[k]
            if partner > core:
                distance = abs(board.at_x[core] - board.at_x[partner]) + abs(board.at_y[core] - board.at_y[partner])
                total += links.spikes[k] * distance
    return total


@inlined
def swap_change(links: Links, board: Board, core: int, x: int, y: int) -> float:
    """Return the change of the cost if a core and the one at (x, y), if any, exchange positions."""
    occupant = board.who[x, y]
    to_x, to_y = board.column[x], board.row[y]
    from_x, from_y = board.at_x[core], board.at_y[core]
    total = 0.0
    for k in range(links.indptr[core], links.indptr[core + 1]):
        partner = links.other[k]
        if partner != occupant:
            at_x, at_y = board.at_x[partner], board.at_y[partner]
            now = abs(from_x - at_x) + abs(from_y - at_y)
            total += links.spikes[k] * (abs(to_x - at_x) + abs(to_y - at_y) - now)
    if occupant == NOBODY:
        return total
    for k in range(links.indptr[occupant], links.indptr[occupant + 1]):
        partner = links.other[k]
        if partner != core:
            at_x, at_y = board.at_x[partner], board.at_y[partner]
            now = abs(to_x - at_x) + abs(to_y - at_y)
            total += links.spikes[k] * (abs(from_x - at_x) + abs(from_y - at_y) - now)
    return total


@inlined
def swap(board: Board, core: int, x: int, y: int) -> None:
    """Exchange the positions of a core and of the one at (x, y), if any."""
    occupant, from_x, from_y = board.who[x, y], board.x[core], board.y[core]
    board.who[from_x, from_y] = occupant
    if occupant != NOBODY:
        board.x[occupant], board.y[occupant] = from_x, from_y
        board.at_x[occupant], board.at_y[occupant] = board.column[from_x], board.row[from_y]
    board.who[x, y] = core
    board.x[core], board.y[core] = x, y
    board.at_x[core], board.at_y[core] = board.column[x], board.row[y]


@inlined
def _draw_position(links: Links, board: Board, core: int, reach: int, state: np.ndarray) -> Tuple[int, int]:
    """Draw a position within `reach` of the core, or of a core that it exchanges spikes with."""
    first, degree = links.indptr[core], links.indptr[core + 1] - links.indptr[core]
    near = degree > 0 and draw_below(state, np.int64(2)) > 0
    around = links.other[first + draw_below(state, degree)] if near else core
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
            chance = draw_below(state, np.int64(1 << 30)) / (1 << 30)
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
    weight = np.empty(max(width, height), np.float64)
    for core in range(board.x.size):
        first, last = links.indptr[core], links.indptr[core + 1]
        if first == last:
            continue
        for around in range(2):
            at_x, at_y = board.x[core], board.y[core]
            if around == 1:
                at_x = _median(board.x, links, first, last, weight[:width])
                at_y = _median(board.y, links, first, last, weight[:height])
            largest = 0.0
            for k in range(first, last):
                largest = max(largest, links.spikes[k])
            best, best_x, best_y = -1e-12 * largest, at_x, at_y
            for x in range(max(0, at_x - reach), min(width, at_x + reach + 1)):
                for y in range(max(0, at_y - reach), min(height, at_y + reach + 1)):
                    if board.who[x, y] != core:
                        difference = swap_change(links, board, core, x, y)
                        if difference < best:
                            best, best_x, best_y = difference, x, y
            if best < -1e-12 * largest:
                swap(board, core, best_x, best_y)
                total += best
    return total


@inlined
def _median(position: np.ndarray, links: Links, first: int, last: int, weight: np.ndarray) -> int:
    """Return the coordinate with the least sum of spikes × distance to the partners along one axis.

    `weight` is a buffer, float64 (coordinates,).
    """
    weight[:] = 0
    for k in range(first, last):
        weight[position[links.other[k]]] += links.spikes[k]
    total, passed = 0.0, 0.0
    for at in range(weight.size):
        total += weight[at]
    for at in range(weight.size):
        passed += weight[at]
        if passed >= total / 2:
            return at
    return weight.size - 1
