"""The spikes between cores, and what cores hold: the sums over all synapses that the cost of a mapping is made of."""

from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np

from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.reach import Marks, Reached, reached

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BUFFER = 1 << 20  # elements of traffic found before they are put together


class Routes(NamedTuple):
    """Where the cores are, for loops that follow routes.

    Attributes
    ----------
    x, y : ndarray of int32, shape (cores,)
    columns : int
        Length of the mesh along x; 0 where no routes are followed.
    """

    x: np.ndarray
    y: np.ndarray
    columns: int


NO_ROUTES = Routes(np.zeros(1, np.int32), np.zeros(1, np.int32), 0)


class Sums:
    """What is added up, source population after source population.

    Attributes
    ----------
    totals : ndarray of float64, shape (3,)
        `Cost.connectivity`, `Cost.cut` and `Cost.hops_multicast`.
    outside : float
        `Cost.outside_spikes`.
    axons : ndarray of int64, shape (cores,)
    traffic : csr_matrix of float64, shape (cores, cores)
    projections : list of (str, str, float, float)
        Source, target, connectivity and cut of each projection.
    """

    def __init__(self, cores: int) -> None:
        from scipy.sparse import csr_matrix

        self.totals = np.zeros(3)
        self.outside = 0.0
        self.axons = np.zeros(cores, np.int64)
        self.traffic = csr_matrix((cores, cores), dtype=np.float64)
        self.projections: List[Tuple[str, str, float, float]] = []


def traffic(network: PlacedNetwork, core: np.ndarray, cores: int) -> "csr_matrix":
    """Count the spikes between cores.

    Parameters
    ----------
    network : PlacedNetwork
    core : ndarray of int32, shape (neurons,)
        Core of each placed neuron, from 0.
    cores : int

    Returns
    -------
    csr_matrix of float64, shape (cores, cores)
        Spikes per sample from each core (rows) to each other one: a spike counts once for each core that it reaches.
    """
    return add_up(network, core, cores).traffic


def connectivity(network: PlacedNetwork, core: np.ndarray, cores: int) -> float:
    """Return the spikes per sample that travel between cores: `Cost.connectivity`.

    Parameters
    ----------
    network : PlacedNetwork
    core : ndarray of int32, shape (neurons,)
        Core of each placed neuron, from 0.
    cores : int
    """
    return float(add_up(network, core, cores).totals[0])


def usage(network: PlacedNetwork, core: np.ndarray, cores: int) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count what the limits of a core are about.

    Parameters
    ----------
    network : PlacedNetwork
    core : ndarray of int32, shape (neurons,)
        Core of each placed neuron, from 0.
    cores : int

    Returns
    -------
    neurons : ndarray of int64, shape (cores,)
    axons : ndarray of int64, shape (cores,)
        Distinct neurons whose spikes the core's synapses receive, its own and a spiking input's included.
    synapses : ndarray of int64, shape (cores,)
        Synapses onto the core's neurons, those from a constant input included.
    """
    axons = np.zeros(cores, np.int64)
    for _, sets in _by_source(network, core, Marks(cores)):
        _count_axons(sets, axons)
    neurons, synapses = loads(network, core, cores)
    return neurons, axons, synapses


def loads(network: PlacedNetwork, core: np.ndarray, cores: int) -> Tuple[np.ndarray, np.ndarray]:
    """Count neurons and synapses of each core: see `usage`.

    Parameters
    ----------
    network : PlacedNetwork
    core : ndarray of int32, shape (neurons,)
        Core of each placed neuron, from 0.
    cores : int
    """
    synapses = np.bincount(core, network.in_degrees, minlength=cores)  # float64: exact up to 2 ** 53
    return np.bincount(core, minlength=cores), synapses.astype(np.int64)


def add_up(network: PlacedNetwork, core: np.ndarray, cores: int, routes: Routes = NO_ROUTES) -> Sums:
    """Go over all sources and add up what their spikes cost.

    Parameters
    ----------
    network : PlacedNetwork
    core : ndarray of int32, shape (neurons,)
        Core of each placed neuron, from 0.
    cores : int
    routes : Routes, optional
        Left out, hops of multicast are not counted.

    Returns
    -------
    Sums
    """
    sums, marks = Sums(cores), Marks(cores)
    apart: Dict[Tuple[str, str], np.ndarray] = {}
    for population, sets in _by_source(network, core, marks):
        _count_axons(sets, sums.axons)
        if population.first < network.first:
            sums.outside += float(network.spikes_of(population) @ np.diff(sets.start)[sets.set_of])
            continue
        here, spikes = core[network.part(population)], network.spikes_of(population)
        totals, found = _spread(here, spikes, sets, cores, routes)
        sums.traffic = sums.traffic + found
        sums.totals += totals
        projections = network.projections_from(population)
        for projection in projections:
            if len(projections) > 1:
                alone = _reached(network, core, marks, (projection,))
                totals, _ = _spread(here, spikes, alone, cores, NO_ROUTES)
            apart[projection.source.name, projection.target.name] = totals
    for projection in network.graph.projections:
        names = projection.source.name, projection.target.name
        spread, cut, _ = apart.get(names, np.zeros(3)).tolist()
        sums.projections.append((*names, spread, cut))
    return sums


def _by_source(network: PlacedNetwork, core: np.ndarray, marks: Marks) -> Iterator[Tuple[GraphPopulation, Reached]]:
    """Yield each population that sends spikes, and the cores that its neurons reach."""
    for population in network.sources:
        projections = network.projections_from(population)
        if projections:
            yield population, _reached(network, core, marks, projections)


def _reached(
    network: PlacedNetwork, core: np.ndarray, marks: Marks, projections: Tuple[GraphProjection, ...]
) -> Reached:
    connections = [connection for projection in projections for connection in projection.connections]
    return reached(connections, core, network.first, marks)


def _count_axons(sets: Reached, axons: np.ndarray) -> None:
    from snnb.mapping.cost_kernels import count_axons

    count_axons(np.bincount(sets.set_of, minlength=sets.start.size - 1), sets.start, sets.label, axons)


def _spread(
    here: np.ndarray, spikes: np.ndarray, sets: Reached, cores: int, routes: Routes
) -> Tuple[np.ndarray, "csr_matrix"]:
    """Add up the spikes of one population, neuron n of which is on core here[n].

    Returns
    -------
    totals : ndarray of float64, shape (3,)
        Connectivity, cut and hops of multicast.
    found : csr_matrix of float64, shape (cores, cores)
        The traffic.
    """
    from scipy.sparse import coo_matrix

    from snnb.mapping.cost_kernels import add_up as add_up_cores

    totals, row = np.zeros(3), np.zeros(cores)
    buffers: Tuple[np.ndarray, ...] = tuple(np.empty(max(BUFFER, cores), kind) for kind in ("i4", "i4", "f8"))
    order = np.argsort(here, kind="stable")
    begin, parts = 0, [tuple(buffer[:0] for buffer in buffers)]
    while begin < order.size:
        begin, filled = add_up_cores(order, begin, here, spikes, *sets, *routes, totals, row, *buffers)
        parts.append(tuple(buffer[:filled].copy() for buffer in buffers))
    source, target, carried = (np.concatenate(values) for values in zip(*parts))
    return totals, coo_matrix((carried, (source, target)), shape=(cores, cores)).tocsr()
