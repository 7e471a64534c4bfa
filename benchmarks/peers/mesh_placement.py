"""Place cores on a mesh by the two methods that the papers of AxonCUDA compare: the peers of placement.py of snnb.

`along_curves` places the cores in an order along a space-filling curve, and `force_directed` swaps neighbours on the
mesh, as Jin et al., Mapping very large scale spiking neuron network to neuromorphic hardware, ASPLOS 2023, and Ronzani
and Silvano, A case for hypergraphs to model and map SNNs on neuromorphic hardware, arXiv 2601.16118 (2026), describe
them. Written from these descriptions, with numpy and scipy. `traffic` is a symmetric csr_matrix of float64 without
diagonal, the spikes between each two cores in both directions; places are int64 arrays of shape (cores, 2).
"""

from typing import Iterator, List, Tuple

import numpy as np
from scipy.sparse import csr_matrix, diags, identity
from scipy.sparse.linalg import eigsh

SHARE = 0.3  # of the pairs with a positive tension that are swapped before all tensions are computed anew: Jin et al.
LEAST = 1e-9  # gain of a swap, in sums of the traffic
STEPS = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])


def sides(cores: int, mesh: Tuple[int, int]) -> Tuple[int, int]:
    """Return the sides of the most square rectangle of the mesh that holds the cores."""
    widths = [w for w in range(1, mesh[0] + 1) if -(-cores // w) <= mesh[1]]
    return min(
        ((w, -(-cores // w)) for w in widths),
        key=lambda s: (abs(s[0] - s[1]), s[0] * s[1]),
    )


def hilbert(
    x: int, y: int, ax: int, ay: int, bx: int, by: int
) -> Iterator[Tuple[int, int]]:
    """Yield the cells of the rectangle at (x, y) between the vectors a and b, along a generalised Hilbert curve."""
    along, across = abs(ax + ay), abs(bx + by)
    da, db = (np.sign(ax), np.sign(ay)), (np.sign(bx), np.sign(by))
    if across == 1 or along == 1:
        step = da if across == 1 else db
        yield from (
            (x + k * step[0], y + k * step[1]) for k in range(max(along, across))
        )
        return
    ax2, ay2, bx2, by2 = (int(v / 2) for v in (ax, ay, bx, by))
    if 2 * along > 3 * across:  # a long rectangle: halves
        if abs(ax2 + ay2) % 2 and along > 2:
            ax2, ay2 = ax2 + da[0], ay2 + da[1]
        yield from hilbert(x, y, ax2, ay2, bx, by)
        yield from hilbert(x + ax2, y + ay2, ax - ax2, ay - ay2, bx, by)
        return
    if abs(bx2 + by2) % 2 and across > 2:
        bx2, by2 = bx2 + db[0], by2 + db[1]
    yield from hilbert(x, y, bx2, by2, ax2, ay2)
    yield from hilbert(x + bx2, y + by2, ax, ay, bx - bx2, by - by2)
    end = x + ax - da[0] + bx2 - db[0], y + ay - da[1] + by2 - db[1]
    yield from hilbert(*end, -bx2, -by2, ax2 - ax, ay2 - ay)


def along_curves(
    traffic: csr_matrix, rank: np.ndarray, mesh: Tuple[int, int]
) -> List[np.ndarray]:
    """Place the cores in the order of `rank`, and of the Fiedler vector, along Hilbert's curve and along a snake."""
    cores = traffic.shape[0]
    width, height = sides(cores, mesh)
    first = (width, 0, 0, height) if width >= height else (0, height, width, 0)
    snake = [
        (x, y if x % 2 == 0 else height - 1 - y)
        for x in range(width)
        for y in range(height)
    ]
    orders = [
        np.argsort(values, kind="stable")
        for values in (rank, *eigenvectors(traffic)[:1])
    ]
    placements = []
    for curve in (list(hilbert(0, 0, *first)), snake):
        for order in orders:
            places = np.empty((cores, 2), np.int64)
            places[order] = curve[:cores]
            placements.append(places)
    return placements


def spectral(traffic: csr_matrix, mesh: Tuple[int, int]) -> List[np.ndarray]:
    """Place the cores by two eigenvectors: columns by the first, rows by the second."""
    vectors, cores = eigenvectors(traffic), traffic.shape[0]
    if not vectors:
        return []
    places, height = np.empty((cores, 2), np.int64), sides(cores, mesh)[1]
    for x, column in enumerate(
        np.array_split(
            np.argsort(vectors[0], kind="stable"), range(height, cores, height)
        )
    ):
        members = column[np.argsort(vectors[1][column], kind="stable")]
        places[members] = np.stack(
            [np.full(members.size, x), np.arange(members.size)], axis=1
        )
    return [places]


def eigenvectors(traffic: csr_matrix) -> List[np.ndarray]:
    """Return the second and third eigenvector of the normalised Laplacian; none of few cores."""
    cores = traffic.shape[0]
    if cores < 5:
        return []
    weight = np.asarray(traffic.sum(axis=1)).ravel()
    root = np.sqrt(np.where(weight > 0, weight, 1.0))
    scaled = diags(1 / root) @ traffic @ diags(1 / root) + identity(cores)
    _, vectors = eigsh(scaled, k=3, which="LA", v0=root, tol=1e-4, maxiter=20 * cores)
    return [vectors[:, 1] / root, vectors[:, 0] / root]


def force_directed(
    traffic: csr_matrix,
    places: np.ndarray,
    mesh: Tuple[int, int],
    tile: Tuple[int, int],
) -> np.ndarray:
    """Swap neighbours on the mesh, or move to an empty neighbour, as long as a swap has a positive tension.

    The force on a core in a direction is the decrease of its distances × traffic by one step; the tension of a pair of
    neighbours is the sum of their forces towards each other, the decrease by a swap. Distances are those of tiles. The
    pairs of largest tension are swapped first, each if no earlier swap has diminished its tension.
    """
    at, who = places.astype(np.int32), np.full(mesh, -1)
    who[tuple(at.T)] = np.arange(len(at))
    of = np.repeat(np.arange(len(at), dtype=np.int32), np.diff(traffic.indptr))
    least = LEAST * traffic.data.sum()
    x, y = (axis.ravel() for axis in np.meshgrid(*map(np.arange, mesh), indexing="ij"))
    pairs = [
        (x[x + 1 < mesh[0]], y[x + 1 < mesh[0]], 0),
        (x[y + 1 < mesh[1]], y[y + 1 < mesh[1]], 2),
    ]
    while True:
        forces = np.zeros((4, len(at) + 1))  # the last core is an empty position
        for number, step in enumerate(STEPS):
            gain = decrease(at.T, step, of, traffic.indices, tile)
            forces[number, :-1] = np.bincount(of, traffic.data * gain, len(at))
        tension, listed = [], []
        for left, low, number in pairs:
            right, high = left + STEPS[number][0], low + STEPS[number][1]
            one, other = who[left, low], who[right, high]
            tension.append(
                np.where(
                    (one < 0) & (other < 0),
                    0,
                    forces[number, one] + forces[number + 1, other],
                )
            )
            listed.append(np.stack([left, low, right, high], axis=1))
        tensions, cells = np.concatenate(tension), np.concatenate(listed)
        order = np.argsort(-tensions, kind="stable")[
            : np.count_nonzero(tensions > least)
        ]
        if not order.size:
            return at
        for k in order[: max(1, int(SHARE * order.size))]:
            a, b = cells[k, :2], cells[k, 2:]
            moves = [
                (core, end - begin)
                for core, begin, end in ((who[tuple(a)], a, b), (who[tuple(b)], b, a))
            ]
            moves = [move for move in moves if move[0] >= 0]
            if (
                sum(force(traffic, at.T, core, step, tile) for core, step in moves)
                >= tensions[k] - least / 2
            ):
                who[tuple(a)] = who[tuple(b)] = -1
                for core, step in moves:
                    at[core] += step
                    who[tuple(at[core])] = core


def decrease(
    at: np.ndarray,
    step: np.ndarray,
    core: np.ndarray,
    other: np.ndarray,
    tile: Tuple[int, int],
) -> np.ndarray:
    """Return by how many hops `core` steps nearer to `other`, 0 if the two change places; `at` is (2, cores)."""
    axis = int(step[1] != 0)
    along, across = at[axis], at[1 - axis]
    here, there, end = along // tile[axis], along[other], along[core] + step[axis]
    far = here[other]
    swapped = (there == end) & (across[other] == across[core])
    return (np.abs(far - here[core]) - np.abs(far - end // tile[axis])) * ~swapped


def force(
    traffic: csr_matrix,
    at: np.ndarray,
    core: int,
    step: np.ndarray,
    tile: Tuple[int, int],
) -> float:
    """Return the force on a core in the direction of a step."""
    part = slice(traffic.indptr[core], traffic.indptr[core + 1])
    return float(
        traffic.data[part] @ decrease(at, step, core, traffic.indices[part], tile)
    )
