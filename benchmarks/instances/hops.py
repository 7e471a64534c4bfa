"""Traffic between the cores of a partition, hops of placements, and a lower bound of them, from the edges of a graph.

Needs numpy and scipy, and shares no code with snnb.
"""

from typing import Any, Dict

import numpy as np
from grade import Graph
from scipy.sparse import csr_matrix


def core_traffic(graph: Graph, core: np.ndarray) -> csr_matrix:
    """Count the spikes per sample from core to other core, once for each core reached: float64, (cores, cores)."""
    cores = int(core.max()) + 1
    core_of = np.append(np.full(graph.placed, -1), core)
    total = csr_matrix((cores, cores))
    for source, target, _ in graph.edges():
        source, to = np.divmod(np.unique(source * cores + core_of[target]), cores)
        apart = (source >= graph.placed) & (core_of[source] != to)
        source, to = source[apart], to[apart]
        total = total + csr_matrix(
            (graph.counts[source], (core_of[source], to)), (cores, cores)
        )
    return total / graph.samples


def input_spikes(graph: Graph, core: np.ndarray) -> np.ndarray:
    """Count the spikes per sample of the input to each core: float64, (cores,).

    A spike counts once for each core that holds a target of its input neuron.
    """
    cores = int(core.max()) + 1
    core_of = np.append(np.full(graph.placed, -1), core)
    total = np.zeros(cores)
    for source, target, _ in graph.edges():
        is_input = source < graph.placed
        pairs = np.unique(source[is_input] * cores + core_of[target[is_input]])
        source, to = np.divmod(pairs, cores)
        total += np.bincount(to, graph.counts[source], cores)
    return total / graph.samples


def hops_of(traffic: csr_matrix, place: np.ndarray, chip: Dict[str, Any]) -> float:
    """Return `hops_unicast` of cores at `place` (int64, shape (cores, 2)): Σ spikes × distance of their routers."""
    router, between = place // chip.get("tile", (1, 1)), traffic.tocoo()
    return float(
        between.data @ np.abs(router[between.row] - router[between.col]).sum(axis=1)
    )


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
