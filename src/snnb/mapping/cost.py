"""What a mapping costs, exactly, over every synapse: the figures of `docs/mapping.md`.

Every figure is per sample. A neuron s that spikes n(s) times reaches the cores D(s) that hold a target of it, its own
core left out: the λ − 1 metric of hypergraph partitioning (Schlag, "High-quality hypergraph partitioning", 2020).
"""

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from snnb.graph import adjacency
from snnb.mapping.hardware import Hardware
from snnb.mapping.mesh import distances, link_loads
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.traffic import Routes, add_up, loads


@dataclass(frozen=True)
class ProjectionCost:
    """What the spikes over one projection cost, as if there were no other.

    Attributes
    ----------
    source, target : str
        Names of the populations.
    connectivity, cut : float
        See `Cost`; 0 for a projection from the input, whose spikes come from outside.
    """

    source: str
    target: str
    connectivity: float
    cut: float


@dataclass(frozen=True, eq=False)
class Cost:
    """What a mapping costs; every figure per sample.

    D(s) are the cores that hold a target of the neuron s, its own core left out; d is the Manhattan distance.

    Attributes
    ----------
    connectivity : float
        Spikes that travel between cores: Σ n(s)·|D(s)|.
    cut : float
        Spikes that leave their core: Σ n(s) over the neurons with D(s) not empty.
    hops_unicast : float
        Links crossed when every core is sent a spike of its own: Σ n(s)·Σ d.
    hops_multicast : float
        Links crossed when a spike is copied where its routes part: Σ n(s)·(links of the union of the routes to D(s)).
        A route runs along x first, then along y.
    energy_pj : float
        Picojoules: Σ n(s)·Σ ((d + 1)·router + d·link), and where the hardware gives the energy of a synaptic
        operation, that of every spike (an input's too) at each of its synapses.
    latency_ns_mean, latency_ns_max : float
        Nanoseconds of (d + 1)·router + d·link: mean over the spikes that travel, and the longest way of one of them.
    link_load_mean, link_load_max : float
        Spikes over a link in one direction, each core being sent a spike of its own: over all links of the mesh.
    cores : int
        Cores used.
    reuse : float
        Synapses of a core divided by its axons: the mean over the cores that have axons (synaptic reuse).
    outside_spikes : float
        Spikes that cores receive from a spiking input: Σ n(s)·|D(s)| over its neurons.
    projections : tuple of ProjectionCost
        In the graph's order.
    neurons, axons, synapses : ndarray of int64, shape (cores,)
        What each core holds; see `usage`.
    spikes_in, spikes_out : ndarray of float64, shape (cores,)
        Spikes that each core receives from other cores, and sends to them, counted once a core they are sent to.
    """

    connectivity: float
    cut: float
    hops_unicast: float
    hops_multicast: float
    energy_pj: float
    latency_ns_mean: float
    latency_ns_max: float
    link_load_mean: float
    link_load_max: float
    cores: int
    reuse: float
    outside_spikes: float
    projections: Tuple[ProjectionCost, ...]
    neurons: np.ndarray
    axons: np.ndarray
    synapses: np.ndarray
    spikes_in: np.ndarray
    spikes_out: np.ndarray


def cost(network: PlacedNetwork, core: np.ndarray, hardware: Hardware, place: np.ndarray) -> Cost:
    """Compute what a mapping costs. Limits are not looked at.

    Parameters
    ----------
    network : PlacedNetwork
    core : ndarray of int32, shape (neurons,)
        Core of each placed neuron, from 0.
    hardware : Hardware
    place : ndarray of int32, shape (cores, 2)
        Where each core is on the mesh: x, y.

    Returns
    -------
    Cost
    """
    x, y = np.ascontiguousarray(place.T, np.int32)
    sums = add_up(network, core, len(place), Routes(x, y, hardware.mesh[0]))
    neurons, synapses = loads(network, core, len(place))
    axons, (spread, cut, multicast) = sums.axons, sums.totals.tolist()
    matrix, energy = sums.traffic, hardware.energy_pj
    spikes, distance = matrix.data, distances(matrix, place)
    delay = (distance + 1) * hardware.latency_ns.router + distance * hardware.latency_ns.link
    work = float(spikes @ ((distance + 1) * energy.router + distance * energy.link))
    if energy.synapse is not None:
        work += energy.synapse * _operations(network)
    load = link_loads(matrix, place, hardware.mesh).all
    return Cost(
        connectivity=spread,
        cut=cut,
        hops_unicast=float(spikes @ distance),
        hops_multicast=multicast,
        energy_pj=work,
        latency_ns_mean=float(spikes @ delay / spikes.sum()) if spikes.size else 0.0,
        latency_ns_max=float(delay.max(initial=0.0)),
        link_load_mean=float(load.mean()) if load.size else 0.0,
        link_load_max=float(load.max(initial=0.0)),
        cores=len(place),
        reuse=float((synapses[axons > 0] / axons[axons > 0]).mean()) if axons.any() else 0.0,
        outside_spikes=sums.outside,
        projections=tuple(ProjectionCost(*of) for of in sums.projections),
        neurons=neurons,
        axons=axons,
        synapses=synapses,
        spikes_in=np.asarray(matrix.sum(axis=0)).ravel(),
        spikes_out=np.asarray(matrix.sum(axis=1)).ravel(),
    )


def _operations(network: PlacedNetwork) -> float:
    """Count the synaptic operations per sample: the spikes of every neuron times its synapses."""
    total = 0.0
    for population in network.sources:
        degrees = adjacency.out_degrees(network.projections_from(population), population)
        total += float(degrees @ network.spikes_of(population))
    return total
