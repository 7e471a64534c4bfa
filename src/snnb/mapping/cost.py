"""Exact cost of a mapping, over every synapse. All figures are per sample; `docs/mapping.md` defines them.

A neuron s that spikes n(s) times reaches D(s), the cores that hold a target of s, except its own core. Σ n(s)·|D(s)| is
the λ − 1 metric of hypergraph partitioning (Schlag, "High-quality hypergraph partitioning", 2020).
"""

from dataclasses import dataclass
from typing import Dict, Optional, Tuple

import numpy as np

from snnb.graph import adjacency
from snnb.io.text import Document
from snnb.mapping.cost_kernels import MeshPositions, multicast_hops
from snnb.mapping.events import EventCost, Routes, axons_out, event_cost
from snnb.mapping.hardware import Hardware
from snnb.mapping.memory import memory_bits
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.reach import Marks, reached
from snnb.mapping.traffic import TrafficSums, link_loads, spikes_between


class ProjectionCost(Document):
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
    # None where the description has no such figures. Both (cores,) int64: pairs of a neuron of a core and
    # a core that holds a target of it; bits of the synapse memory
    axons_out: Optional[np.ndarray]
    memory_bits: Optional[np.ndarray]
    events: Optional[EventCost]
    chips: Optional[int]  # with neurons
    spikes_between_chips: Optional[float]  # spikes between cores of different chips
    hops_between_chips: Optional[float]  # links that lead to another chip, as `hops_unicast`

    @property
    def step_ns(self) -> Optional[float]:
        """Time in ns of a time step with the mean number of events."""
        return None if self.events is None else self.events.step_ns

    @property
    def sample_ns(self) -> Optional[float]:
        """Time in ns between the beginnings of two samples."""
        return None if self.events is None or self.step_ns is None else self.events.interval * self.step_ns

    @property
    def sample_latency_ns(self) -> Optional[float]:
        """Time in ns until a sample has passed all populations."""
        return None if self.events is None or self.step_ns is None else self.events.latency * self.step_ns

    @property
    def contents(self) -> Dict[str, np.ndarray]:
        """Contents of each core, by the names of `Limits`."""
        names = ("neurons", "axons", "synapses", "axons_out", "memory_bits")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def cost(sums: TrafficSums, hardware: Hardware, place: np.ndarray) -> Cost:
    """Compute the cost of a mapping with the cores at `place` (int32, shape (cores, 2)); limits are not checked."""
    neurons, axons, synapses = sums.contents
    matrix, energy, latency = sums.matrix, hardware.energy_pj, hardware.latency
    routes = Routes.of(matrix, hardware, place)
    spikes, distance = matrix.data, routes.hops.sum(axis=0)
    delay = (distance + 1) * latency.router + latency.of_links(routes.hops, routes.borders)
    events = event_cost(sums, hardware, place, routes)
    if events is not None and hardware.events:
        work = sum(events.energy_pj.values())
    else:
        work = float(spikes @ ((distance + 1) * energy.router + energy.of_links(routes.hops, routes.borders)))
        if energy.synapse is not None:
            work += energy.synapse * _synaptic_operations(sums.network)
    load = link_loads(matrix, hardware.router_of(place), hardware.routers).all
    leaving = routes.borders.any(axis=0)
    several = hardware.chip is not None
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
        axons_out=None if hardware.axons_out_per_core is None else axons_out(sums),
        memory_bits=memory_bits(sums, hardware.synapse_memory),
        events=events,
        chips=len(np.unique(hardware.chip_of(place)[neurons > 0], axis=0)) if several else None,
        spikes_between_chips=float(spikes @ leaving) if several else None,
        hops_between_chips=float(spikes @ routes.borders.sum(axis=0)) if several else None,
    )


def _multicast(sums: TrafficSums, hardware: Hardware, place: np.ndarray) -> float:
    x, y = np.ascontiguousarray(hardware.router_of(place).T, np.int32)
    positions, network, total = MeshPositions(x, y, hardware.routers[0]), sums.network, 0.0
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
        connectivity, cut = totals.tolist()
        costs.append(
            ProjectionCost(source=source.name, target=projection.target.name, connectivity=connectivity, cut=cut)
        )
    return tuple(costs)


def _synaptic_operations(network: PlacedNetwork) -> float:
    """Count the synaptic operations per sample: the spikes of every neuron times its synapses."""
    total = 0.0
    for population in network.sources:
        degrees = adjacency.out_degrees(network.graph.projections, population)
        total += float(degrees @ network.spikes_of(population))
    return total
