"""Where each core sits on the mesh, so that spikes travel over few links.

The objective is Σ spikes × Manhattan distance over all pairs of cores: the hops of spikes that are sent once for each
core they go to. It is a quadratic assignment problem, so what is found is good, not proved best: an order of the cores
along a space-filling curve (as in Jin et al., ASPLOS 2023), then random swaps that cool down (Kirkpatrick et al.,
Science 220, 1983; moves also to empty places, as VPR makes them for circuits: Betz and Rose, FPL 1997), then a
descent. The same seed gives the same places.
"""

from typing import Iterator, List, Tuple

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags, identity
from scipy.sparse.linalg import ArpackError, eigsh

from snnb.core.errors import InputError
from snnb.core.progress import Progress, Throttle, silent
from snnb.mapping.curve import hilbert_curve
from snnb.mapping.hardware import Hardware
from snnb.mapping.placement_kernels import NOBODY, Board, Links, anneal, descend, hops

SWEEPS = 30  # times that cores are put in the order of their barycentres
MOST_WORK = 1e9  # partners looked at in all trials together: a few seconds
MOST_TRIALS = 2e7  # likewise
TRIALS_A_CORE = 20_000  # at most, in each round
STEPS = 120  # of the temperature
# Temperatures, in mean worsenings by a swap of neighbours: the first where there are ENOUGH trials a core to find back
# from it, the first where there are fewer, and the last.
HOTTEST, WARM, COOLEST = 10.0, 3.0, 0.02
ENOUGH = 10_000
SLICE = 2_000_000  # partners looked at without a look at Ctrl-C
MOST_ROUNDS = 8
SMALL = 400  # places of a board on which the last descent looks at every place
MOST_PRODUCTS = 2e9  # of numbers, to find eigenvectors
EACH_ROUND = 20  # products of the matrix with a vector that ARPACK makes before it looks at what it has


def place(traffic: csr_matrix, hardware: Hardware, seed: int = 0, progress: Progress = silent) -> np.ndarray:
    """Give each core a place.

    Parameters
    ----------
    traffic : csr_matrix of float64, shape (cores, cores)
        Spikes from core to core a sample; what a core sends to itself does not count.
    hardware : Hardware
    seed : int
        Of the random swaps.
    progress : Progress
        Told of the trials done, with the hops so far.

    Returns
    -------
    ndarray of int32, shape (cores, 2)
        x and y of each core, all different.

    Raises
    ------
    InputError
        There are more cores than places.
    """
    cores = traffic.shape[0]
    if cores > hardware.cores:
        raise InputError(
            f"{cores:,} cores do not fit on {hardware.name}, which has {hardware.cores:,}; choose larger hardware"
        )
    links, board = _links(traffic), _board(cores, hardware)
    if cores < 2 or not links.other.size:
        return np.stack([board.x, board.y], axis=1)
    best = _best_start(links, board)
    trials, rounds = _effort(links)
    state = np.array([2 * seed + 1], np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    told = _Told(progress, trials * rounds, best[0])
    for _ in range(rounds):
        _take(board, best[1])
        _search(links, board, state, trials, told)
        found = hops(links, board)
        if found < best[0]:
            best = found, np.stack([board.x, board.y], axis=1)
            told.best = found
    return best[1]


def total_hops(traffic: csr_matrix, places: np.ndarray) -> float:
    """Sum spikes × Manhattan distance over all pairs of cores; float64.

    Parameters
    ----------
    traffic : csr_matrix of float64, shape (cores, cores)
    places : ndarray of int32, shape (cores, 2)
    """
    entries = traffic.tocoo()
    apart = np.abs(places[entries.row].astype(np.int64) - places[entries.col]).sum(axis=1)
    return float(entries.data @ apart)


class _Told:
    """What the progress is told of: trials, and the fewest hops."""

    def __init__(self, progress: Progress, total: int, best: float) -> None:
        self.best = best
        self._progress, self._total, self._done, self._throttle = progress, total, 0, Throttle()

    def add(self, trials: int) -> None:
        self._done += trials
        if self._throttle.due(last=self._done == self._total):
            self._progress(self._done, self._total, f"{self.best:,.6g} hops a sample")


def _links(traffic: csr_matrix) -> Links:
    between = traffic.tocoo()
    apart = (between.row != between.col) & (between.data > 0)
    row, column, spikes = between.row[apart], between.col[apart], between.data[apart]
    both = coo_matrix((spikes, (row, column)), shape=traffic.shape).tocsr()
    both = (both + both.T).tocsr()
    both.sort_indices()
    return Links(both.indptr.astype(np.int64), both.indices.astype(np.int32), both.data.astype(np.float64))


def _board(cores: int, hardware: Hardware) -> Board:
    """Take a corner of the mesh, a little wider than the cores need, with them along the curve in their order."""
    width, height = _rectangle(cores, *hardware.mesh)
    roomy = [min(side, length + length // 8 + 2) for side, length in zip(hardware.mesh, (width, height))]
    curve = hilbert_curve(width, height)[:cores]
    board = Board(np.empty(cores, np.int32), np.empty(cores, np.int32), np.full(roomy, NOBODY, np.int32))
    _take(board, curve)
    return board


def _rectangle(cores: int, most_x: int, most_y: int) -> Tuple[int, int]:
    """Sides of about a square that holds the cores."""
    width = min(most_x, int(np.ceil(np.sqrt(cores))))
    height = -(-cores // width)
    if height > most_y:
        return -(-cores // most_y), most_y
    return width, height


def _take(board: Board, places: np.ndarray) -> None:
    """Put every core where `places` says."""
    board.who[:] = NOBODY
    board.x[:], board.y[:] = places.T
    board.who[board.x, board.y] = np.arange(board.x.size)


def _best_start(links: Links, board: Board) -> Tuple[float, np.ndarray]:
    """Return the best of several first placements, and its hops."""
    curve = np.stack([board.x, board.y], axis=1)
    best = hops(links, board), curve
    for places in _starts(links, curve):
        _take(board, places)
        found = hops(links, board)
        if found < best[0]:
            best = found, places
    return best


def _starts(links: Links, curve: np.ndarray) -> Iterator[np.ndarray]:
    """Placements of the cores on the places of the curve: by barycentres along it, and by two eigenvectors."""
    cores = links.indptr.size - 1
    matrix = csr_matrix((links.spikes, links.other, links.indptr), shape=(cores, cores))
    for order in _barycentre_orders(matrix):
        places = np.empty_like(curve)
        places[order] = curve
        yield places
    for first, second in _plane(matrix):
        # Columns by the one, rows in each by the other.
        along, order = np.argsort(first, kind="stable"), curve[np.lexsort((curve[:, 1], curve[:, 0]))]
        starts = np.flatnonzero(np.diff(order[:, 0], prepend=-1))
        places = np.empty_like(curve)
        for column in np.split(np.arange(cores), starts[1:]):
            members = along[column]
            places[members[np.argsort(second[members], kind="stable")]] = order[column]
        yield places


def _barycentre_orders(matrix: csr_matrix) -> Iterator[np.ndarray]:
    """Cores sorted by the mean position of those that they exchange spikes with, starting from the order of numbers."""
    cores = matrix.shape[0]
    weight = np.asarray(matrix.sum(axis=1)).ravel()
    position = np.arange(cores, dtype=np.float64)
    for _ in range(SWEEPS):
        mean = np.divide(matrix @ position, weight, out=position.copy(), where=weight > 0)
        order = np.argsort(position + mean, kind="stable")
        position[order] = np.arange(cores)
        yield order


def _plane(matrix: csr_matrix) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Coordinates that place cores near those they exchange spikes with (Hall, Management Science 17, 1970).

    They are the eigenvectors of the normalised Laplacian behind the constant one, each pair in both orders.
    """
    cores = matrix.shape[0]
    if cores < 8:
        return
    weight = np.asarray(matrix.sum(axis=1)).ravel()
    root = np.sqrt(np.where(weight > 0, weight, 1.0))
    scaled = diags(1 / root) @ matrix @ diags(1 / root) + identity(cores)
    start = root + 0.01 * root.mean() * np.cos(np.arange(cores))
    most = int(np.clip(MOST_PRODUCTS / (EACH_ROUND * matrix.nnz), 2, 2000))
    try:
        _, vectors = eigsh(scaled, k=3, which="LA", v0=start, tol=1e-4, maxiter=most)
    except ArpackError:  # not found in so many rounds: the other starts remain
        return
    first, second = vectors[:, 1] / root, vectors[:, 0] / root
    yield first, second
    yield second, first


def _effort(links: Links) -> Tuple[int, int]:
    """Trials a round, and rounds: bounded by the cores and by what all of them look at."""
    cores = links.indptr.size - 1
    degree = max(1.0, links.other.size / cores)
    rounds = int(np.clip(1000 // cores, 1, MOST_ROUNDS))
    trials = int(min(TRIALS_A_CORE * cores, MOST_TRIALS / rounds, MOST_WORK / (2 * degree * rounds)))
    return max(STEPS, trials // STEPS * STEPS), rounds


def _search(links: Links, board: Board, state: np.ndarray, trials: int, told: _Told) -> None:
    """Swap at random while it cools down, nearer and nearer; then descend."""
    degree = max(1.0, links.other.size / board.x.size)
    at_once = max(1, int(SLICE / (2 * degree)))
    widest = max(board.who.shape)
    hottest = HOTTEST if trials >= ENOUGH * board.x.size else WARM
    temperature = hottest * _mean_worsening(links, board, state)
    cooling = (COOLEST / hottest) ** (1 / STEPS)
    for step in range(STEPS):
        reach = max(1, round(widest * (1 - step / STEPS) ** 2))
        for part in _parts(trials // STEPS, at_once):
            anneal(links, board, state, temperature, reach, part)
            told.add(part)
        temperature *= cooling
    _descend(links, board, at_once)


def _parts(whole: int, largest: int) -> List[int]:
    """Cut a number into parts of at most `largest`."""
    return [min(largest, whole - done) for done in range(0, whole, largest)]


def _mean_worsening(links: Links, board: Board, state: np.ndarray) -> float:
    """Mean of what random swaps of neighbouring places make worse."""
    trials = 2000
    copy = Board(board.x.copy(), board.y.copy(), board.who.copy())
    _, worse = anneal(links, copy, state, 0.0, 1, trials)
    return worse / trials


def _descend(links: Links, board: Board, at_once: int) -> None:
    """Improve until nothing within reach is better, or enough is tried; on a small board everything is within reach."""
    cores = board.x.size
    reach = max(board.who.shape) if board.who.size <= SMALL else 2
    looked_at = 2 * (2 * reach + 1) ** 2  # places of a core
    step = max(1, at_once // looked_at)
    sweeps = max(1, int(MOST_WORK / (2 * links.other.size * looked_at)))
    for _ in range(sweeps):
        if sum(descend(links, board, start, min(cores, start + step), reach) for start in range(0, cores, step)) >= 0:
            return
