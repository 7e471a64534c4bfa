"""Exact cost of a mapping, over every synapse. All figures are per sample; `docs/mapping.md` defines them.

A neuron s that spikes n(s) times reaches D(s), the cores that hold a target of s, except its own core. Σ n(s)·|D(s)| is
the λ − 1 metric of hypergraph partitioning (Schlag, "High-quality hypergraph partitioning", 2020).
"""

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from snnb.graph import adjacency
from snnb.mapping.cost_kernels import MeshPositions, multicast_hops
from snnb.mapping.hardware import Hardware
from snnb.mapping.mesh import distances, link_loads
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.reach import Marks, reached
from snnb.mapping.traffic import TrafficSums, spikes_between


@dataclass(frozen=True)
class ProjectionCost:
    """Cost of the spikes over one projection, as if there were no other."""

    source: str
    target: str
    # See `Cost`; 0 for a projection from the input, whose spikes come from outside the chip.
    connectivity: float
    cut: float


@dataclass(frozen=True, eq=False)
class Cost:
    """Cost of a mapping; all figures per sample.

    D(s) are the cores that hold a target of the neuron s, except its own core; d is the Manhattan distance.
    """

    connectivity: float  # spikes between cores: Σ n(s)·|D(s)|
    cut: float  # spikes that leave their core: Σ n(s) over the neurons with D(s) not empty
    hops_unicast: float  # links crossed if each core reached is sent a separate spike: Σ n(s)·Σ d
    # Links crossed if a spike is copied where its routes part: Σ n(s)·(links in the union of the routes to D(s)). A
    # route runs along x first, then along y
    hops_multicast: float
    # Picojoules: Σ n(s)·Σ ((d + 1)·router + d·link). If the hardware states the energy of a synaptic operation, that of
    # every spike (also of the input) at each of its synapses is added
    energy_pj: float
    # (d + 1)·router + d·link: mean over the spikes between cores, and maximum
    latency_ns_mean: float
    latency_ns_max: float
    # Spikes over a link in one direction with unicast routing: over all links of the mesh
    link_load_mean: float
    link_load_max: float
    cores: int
    reuse: float  # synaptic reuse: synapses / axons of a core, mean over the cores that have axons
    outside_spikes: float  # spikes that cores receive from a spiking input: Σ n(s)·|D(s)| over its neurons
    projections: Tuple[ProjectionCost, ...]  # in the order of the graph
    # (cores,) int64: contents of each core; see `TrafficSums`
    neurons: np.ndarray
    axons: np.ndarray
    synapses: np.ndarray
    # (cores,) float64: spikes received from other cores, and sent to them (once for each core reached)
    spikes_in: np.ndarray
    spikes_out: np.ndarray


def cost(sums: TrafficSums, hardware: Hardware, place: np.ndarray) -> Cost:
    """Compute the cost of a mapping with the cores at `place` (int32, shape (cores, 2)); limits are not checked."""
    neurons, axons, synapses = sums.contents
    matrix, energy = sums.matrix, hardware.energy_pj
    spikes, distance = matrix.data, distances(matrix, place)
    delay = (distance + 1) * hardware.latency_ns.router + distance * hardware.latency_ns.link
    work = float(spikes @ ((distance + 1) * energy.router + distance * energy.link))
    if energy.synapse is not None:
        work += energy.synapse * _synaptic_operations(sums.network)
    load = link_loads(matrix, place, hardware.mesh).all
    return Cost(
        connectivity=sums.connectivity,
        cut=sums.cut,
        hops_unicast=float(spikes @ distance),
        hops_multicast=_multicast(sums, hardware, place),
        energy_pj=work,
        latency_ns_mean=float(spikes @ delay / spikes.sum()) if spikes.size else 0.0,
        latency_ns_max=float(delay.max(initial=0.0)),
        link_load_mean=float(load.mean()) if load.size else 0.0,
        link_load_max=float(load.max(initial=0.0)),
        cores=len(place),
        reuse=float((synapses[axons > 0] / axons[axons > 0]).mean()) if axons.any() else 0.0,
        outside_spikes=sums.outside,
        projections=_projections(sums),
        neurons=neurons,
        axons=axons,
        synapses=synapses,
        spikes_in=np.asarray(matrix.sum(axis=0)).ravel(),
        spikes_out=np.asarray(matrix.sum(axis=1)).ravel(),
    )


def _multicast(sums: TrafficSums, hardware: Hardware, place: np.ndarray) -> float:
    x, y = np.ascontiguousarray(place.T, np.int32)
    positions, network, total = MeshPositions(x, y, hardware.mesh[0]), sums.network, 0.0
    for population, sets in sums.sets:
        if population.first >= network.first:
            own = sums.core[network.part(population)]
            order = np.argsort(own, kind="stable")
            total += multicast_hops(order, own, network.spikes_of(population), sets, positions)
    return total


def _projections(sums: TrafficSums) -> Tuple[ProjectionCost, ...]:
    """Return the cost of each projection; where a population has several, find the cores that each of them reaches."""
    network, marks, costs = sums.network, Marks(sums.cores), []
    for projection in network.graph.projections:
        source, totals = projection.source, np.zeros(2)
        if source.first >= network.first:
            totals = sums.by_source[source.name]
            if len(network.projections_from(source)) > 1:
                sets = reached([projection], sums.core, network.first, marks)
                totals, _ = spikes_between(network, sums.core, sums.cores, source, sets)
        costs.append(ProjectionCost(source.name, projection.target.name, *totals.tolist()))
    return tuple(costs)


def _synaptic_operations(network: PlacedNetwork) -> float:
    """Count the synaptic operations per sample: the spikes of every neuron times its synapses."""
    total = 0.0
    for population in network.sources:
        degrees = adjacency.out_degrees(network.projections_from(population), population)
        total += float(degrees @ network.spikes_of(population))
    return total
