"""Traffic between the cores of a partition, hops of placements, and a lower bound of them, from the edges of a graph.

Needs numpy and scipy, and shares no code with snnb.
"""

import json
from pathlib import Path
from typing import Any, Dict, Tuple

import numpy as np
from grade import Graph, read_numbers
from scipy.sparse import csr_matrix

METHODS = ("snnb", "curve", "force")  # of the placements in placements.json, see place.py


def read_partition(graph: Graph, folder: Path, method: str) -> np.ndarray:
    """Return the core of each placed neuron in the result of a method."""
    return read_numbers(folder / f"{method}.parts.xz", 1)[-(graph.nodes - graph.placed) :, 0]


def core_traffic(graph: Graph, core: np.ndarray) -> csr_matrix:
    """Count the spikes per sample from core to other core, once for each core reached: float64, (cores, cores)."""
    cores = int(core.max()) + 1
    core_of = np.append(np.full(graph.placed, -1), core)
    total = csr_matrix((cores, cores))
    for source, target, _ in graph.edges():
        source, to = np.divmod(np.unique(source * cores + core_of[target]), cores)
        apart = (source >= graph.placed) & (core_of[source] != to)
        source, to = source[apart], to[apart]
        total = total + csr_matrix((graph.counts[source], (core_of[source], to)), (cores, cores))
    return total / graph.samples


def hops_of(traffic: csr_matrix, place: np.ndarray, chip: Dict[str, Any]) -> float:
    """Return `hops_unicast` of cores at `place` (int64, shape (cores, 2)): Σ spikes × distance of their routers."""
    router, between = place // chip.get("tile", (1, 1)), traffic.tocoo()
    return float(between.data @ np.abs(router[between.row] - router[between.col]).sum(axis=1))


def fewest_hops(traffic: csr_matrix, chip: Dict[str, Any]) -> float:
    """Return a number of hops that no placement is below.

    Let t(i, j) be the spikes between the cores i and j in both directions. The hops are Σ t(i, j) · d(i, j) over all
    pairs, half of the sum of h(i) = Σ_j t(i, j) · d(i, j) over all cores i. The other cores are at different positions.
    Within d hops of a router are at most 1 + 4 · (1 + 2 + … + d) routers, each with the cores of a tile: at the most
    m(d) cores but i itself. So the k-th nearest of the other cores is not nearer than D(k), the least d with
    m(d) ≥ k. Hence h(i) is at least a sum of products of the t(i, j) and different D(k), which by the rearrangement
    inequality is least if the largest t(i, j) has D(1), the second D(2), and so on.

    The sorted traffic of all pairs on the sorted distances of all pairs of `cores` positions, of which cores · m(d) / 2
    are within d hops, is a bound as well, but never a higher one: it allows a core more than m(d) others within d hops.
    """
    width, height = chip.get("tile", (1, 1))
    cores = traffic.shape[0]
    reach = np.arange(cores + 1)
    within = (1 + 2 * reach * (reach + 1)) * width * height - 1  # m(d)
    distance = np.searchsorted(within, np.arange(1, cores))  # D(k)
    both = (traffic + traffic.T).tocsr()
    rows = (np.sort(both.data[a:b])[::-1] for a, b in zip(both.indptr, both.indptr[1:]))
    return sum(float(row[: distance.size] @ distance[: row.size]) for row in rows) / 2


def read_placements(folder: Path) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
    """Return the record of the placements of a result, and the placements by method."""
    columns = read_numbers(folder / "placements.xz", 2 * len(METHODS))
    return json.loads((folder / "placements.json").read_text(encoding="utf-8")), dict(
        zip(METHODS, np.split(columns, len(METHODS), 1))
    )


def agrees(folder: Path, traffic: csr_matrix, chip: Dict[str, Any]) -> bool:
    """Return whether the recorded hops and bound are those of the recorded placements with this traffic."""
    stored, places = read_placements(folder)
    for place in places.values():
        wrong = len(place) != traffic.shape[0] or len(np.unique(place, axis=0)) < len(place)
        if wrong or (place >= chip["mesh"]).any():
            return False
    theirs = [stored["bound"], stored["spikes"], *(stored["hops"][name] for name in places)]
    mine = [fewest_hops(traffic, chip), traffic.sum(), *(hops_of(traffic, place, chip) for place in places.values())]
    return bool(np.allclose(mine, theirs, rtol=1e-9, atol=1e-6))
