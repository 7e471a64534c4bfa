"""Spikes between cores, contents of cores, and load of links: the sums over all synapses that a cost consists of."""

from dataclasses import dataclass
from functools import cached_property
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from snnb.graph.populations import GraphPopulation
from snnb.mapping.cost_kernels import TrafficBuffers, add_spikes, count_axons
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.reach import Marks, Reached, reached

BUFFER = 1 << 20  # elements of the traffic matrix that are collected before they are merged
SourceSets = List[Tuple[GraphPopulation, Reached]]  # the cores that the neurons of each source population reach


@dataclass(frozen=True, eq=False)
class TrafficSums:
    """Traffic and contents of the cores for one assignment of neurons to cores."""

    network: PlacedNetwork
    core: np.ndarray  # (neurons,) int32: core of each placed neuron, from 0
    sets: SourceSets  # the cores that the neurons of each source population reach
    # (cores, cores) float64: spikes per sample from core (row) to other core (column), once for each core reached
    matrix: csr_matrix
    # See `Cost`; `outside` is `Cost.outside_spikes`.
    connectivity: float
    cut: float
    outside: float
    by_source: Dict[str, np.ndarray]  # connectivity and cut of the spikes of each placed population, by its name
    neurons: np.ndarray  # (cores,) int64
    # (cores,) int64: distinct neurons whose spikes a core receives, including its own and neurons of a spiking input
    axons: np.ndarray
    synapses: np.ndarray  # (cores,) int64: synapses onto the neurons of a core, including those from a constant input
    method: str = ""  # the partitioning method
    entries: Optional[np.ndarray] = None  # (cores,) int64: of the lists of each core that sources share, where counted

    @property
    def cores(self) -> int:
        """Number of cores, including empty ones."""
        return self.neurons.size

    @cached_property
    def rank(self) -> np.ndarray:
        """Rank of each placed neuron by id within its core: int64, shape (neurons,)."""
        order, rank = np.argsort(self.core, kind="stable"), np.empty(self.core.size, np.int64)
        rank[order] = np.arange(order.size) - (np.cumsum(self.neurons) - self.neurons)[self.core[order]]
        return rank

    @property
    def contents(self) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Neurons, axons and synapses of each core."""
        return self.neurons, self.axons, self.synapses


def count_traffic(network: PlacedNetwork, core: np.ndarray, cores: int) -> TrafficSums:
    """Sum up the traffic between cores, and the contents of the cores, for the core of each placed neuron (int32)."""
    marks, sets = Marks(cores), []
    totals, outside, axons, by_source = np.zeros(2), 0.0, np.zeros(cores, np.int64), {}
    matrix = csr_matrix((cores, cores), dtype=np.float64)
    for population in network.sources:
        projections = network.projections_from(population)
        if not projections:
            continue
        found = reached(projections, core, network.first, marks)
        sets.append((population, found))
        count_axons(np.bincount(found.set_of, minlength=found.start.size - 1), found, axons)
        if population.first < network.first:
            outside += float(network.spikes_of(population) @ np.diff(found.start)[found.set_of])
            continue
        by_source[population.name], between = spikes_between(network, core, cores, population, found)
        matrix = matrix + between
        totals += by_source[population.name]
    synapses = np.bincount(core, network.in_degrees, minlength=cores)  # float64: exact up to 2 ** 53
    connectivity, cut = totals.tolist()
    return TrafficSums(
        network,
        core,
        sets,
        matrix,
        connectivity,
        cut,
        outside,
        by_source,
        neurons=np.bincount(core, minlength=cores),
        axons=axons,
        synapses=synapses.astype(np.int64),
    )


def traffic_of(sums: TrafficSums, spikes: np.ndarray) -> csr_matrix:
    """Return `TrafficSums.matrix` for other spikes of each placed neuron, float64."""
    network = sums.network
    matrix = csr_matrix((sums.cores, sums.cores), dtype=np.float64)
    for population, sets in sums.sets:
        if population.first >= network.first:
            own, sent = sums.core[network.part(population)], spikes[network.part(population)]
            matrix = matrix + _between(own, sent, sums.cores, sets)[1]
    return matrix


def spikes_between(
    network: PlacedNetwork, core: np.ndarray, cores: int, population: GraphPopulation, sets: Reached
) -> Tuple[np.ndarray, csr_matrix]:
    """Sum up the spikes of one placed population; `core` is that of all placed neurons.

    Return connectivity and cut, and the spikes per sample from core to core: float64, shape (cores, cores).
    """
    return _between(core[network.part(population)], network.spikes_of(population), cores, sets)


def _between(own: np.ndarray, spikes: np.ndarray, cores: int, sets: Reached) -> Tuple[np.ndarray, csr_matrix]:
    totals, row, size = np.zeros(2), np.zeros(cores), max(BUFFER, cores)
    buffers = TrafficBuffers(np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size))
    order = np.argsort(own, kind="stable")
    begin, parts = 0, [tuple(buffer[:0] for buffer in buffers)]
    while begin < order.size:
        begin, filled = add_spikes(order, begin, own, spikes, sets, totals, row, buffers)
        parts.append(tuple(buffer[:filled].copy() for buffer in buffers))
    source, target, carried = (np.concatenate(values) for values in zip(*parts))
    return totals, coo_matrix((carried, (source, target)), shape=(cores, cores)).tocsr()


class LinkLoads(NamedTuple):
    """Spikes per sample over each link of a mesh in each direction."""

    # (height, width - 1) float64: over the links along x, towards larger and towards smaller x
    right: np.ndarray
    left: np.ndarray
    # (height - 1, width) float64: over the links along y, towards larger and towards smaller y
    up: np.ndarray
    down: np.ndarray

    @property
    def all(self) -> np.ndarray:
        """Loads of all links: float64, flat."""
        return np.concatenate([load.ravel() for load in self])


def offsets(traffic: csr_matrix, place: np.ndarray) -> np.ndarray:
    """Return the distances along x and y between the cores of each element of the traffic: int64, (2, elements)."""
    source, target = _pairs(traffic)
    return np.abs(place[source].astype(np.int64) - place[target]).T


def link_loads(traffic: csr_matrix, place: np.ndarray, mesh: Tuple[int, int]) -> LinkLoads:
    """Count spikes on links with unicast routing: each core reached is sent a separate spike.

    Parameters
    ----------
    traffic : (cores, cores) csr_matrix of float64; spikes per sample from core to core
    place : (cores, 2) int array; x and y of each core
    """
    width, height = mesh
    source, target = _pairs(traffic)
    (x, y), (to_x, to_y) = place[source].T.astype(np.int64), place[target].T.astype(np.int64)
    right = _runs(y, x, to_x, traffic.data, height, width)
    left = _runs(y, to_x, x, traffic.data, height, width)
    up = _runs(to_x, y, to_y, traffic.data, width, height)
    down = _runs(to_x, to_y, y, traffic.data, width, height)
    return LinkLoads(right, left, up.T, down.T)


def _pairs(traffic: csr_matrix) -> Tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(traffic.shape[0]), np.diff(traffic.indptr)), traffic.indices


def _runs(
    line: np.ndarray, begin: np.ndarray, end: np.ndarray, load: np.ndarray, lines: int, length: int
) -> np.ndarray:
    """Add each load to the links of its line from `begin` to `end` if begin < end: shape (lines, length - 1)."""
    there = begin < end
    line, begin, end, load = line[there], begin[there], end[there], load[there]
    places = np.concatenate([line * length + begin, line * length + end])
    change = np.bincount(places, np.concatenate([load, -load]), minlength=lines * length)
    loads = np.cumsum(change.reshape(lines, length), axis=1)[:, :-1]
    return np.maximum(loads, 0.0)  # rounding may leave a sum below 0
