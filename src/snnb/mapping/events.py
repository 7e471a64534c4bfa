"""Events of each core that take energy and time, their energies, and the time of a step.

Events are spikes, messages and synaptic operations. A spike is a message to each core that holds a target of its
neuron, including that of the neuron itself, and an operation of each of its synapses, as in SANA-FE (SLAM-Lab/SANA-FE
2.1.1, src/chip.cpp: `pipeline_process_axon_out`, `process_message`).

Energies are events × figures. The time of a step is that of SANA-FE's timing model `simple` (src/schedule.cpp,
`schedule_messages_timestep_simple`): a core updates its neurons, whose spikes and sent messages take time, and
processes received messages at the same time; the core with the largest of both ends the step.
"""

from dataclasses import dataclass
from typing import Dict, Optional

import numpy as np
from scipy.sparse import csr_matrix

from snnb.graph.projection import GraphProjection
from snnb.mapping.cost_kernels import count_messages
from snnb.mapping.hardware import EventFigures, Hardware, TimesNs
from snnb.mapping.neurons import PlacedNetwork
from snnb.mapping.traffic import TrafficSums, offsets
from snnb.network.geometry import PADDING

EDGES = 1 << 20  # of a batch
NOTHING = np.empty(0, np.int32)


def core_events(sums: TrafficSums, spikes: np.ndarray, outside: Optional[np.ndarray] = None) -> np.ndarray:
    """Count the events of each core: float64, shape (4, rows, cores).

    They are spikes of the neurons of the core, messages that these send, messages that the core receives (including
    those from a spiking input), and synaptic operations: spikes at the synapses onto its neurons.

    Parameters
    ----------
    spikes : (rows, neurons) float64 array; spikes of each placed neuron in a time step, or in several
    outside : (rows, input) float64 array; spikes of the input; None for a constant current
    """
    network, rows = sums.network, len(spikes)
    events = np.zeros((4, rows, sums.cores))
    for population, sets in sums.sets:
        placed = population.first >= network.first
        own = sums.core[network.part(population)] if placed else NOTHING
        sent = network.sent_by(population, spikes, outside)
        for row in range(rows):
            count_messages(own, np.ascontiguousarray(sent[row]), sets, events[1, row], events[2, row])
    number = np.arange(network.neurons)
    members = csr_matrix((np.ones(number.size), (sums.core, number)), (sums.cores, number.size))
    events[0], events[3] = (members @ spikes.T).T, (members @ received(network, spikes, outside).T).T
    return events


def axons_out(sums: TrafficSums) -> np.ndarray:
    """Count the output axons of each core: pairs of a neuron of it and a core that holds a target; int64, (cores,)."""
    out = np.zeros(sums.cores)
    for population, sets in sums.sets:
        if population.first >= sums.network.first:
            own = sums.core[sums.network.part(population)]
            count_messages(own, np.ones(population.size), sets, out, np.zeros(sums.cores))
    return out.astype(np.int64)


def updated_neurons(sums: TrafficSums) -> np.ndarray:
    """Count the active neurons of each core, and the others: int64, shape (2, cores)."""
    active = active_neurons(sums.network)
    return np.stack([np.bincount(sums.core[which], minlength=sums.cores) for which in (active, ~active)])


def active_neurons(network: PlacedNetwork) -> np.ndarray:
    """Return which neurons are active in a step: bool, shape (neurons,).

    Active neurons have a bias, an offset of their model, a current as input, an initial potential, or a source that
    spikes in some sample. A neuron of SANA-FE is active in each step in which bias, input or potential are not 0
    (src/models.cpp): these in some steps, all others in none.
    """
    outside = None if network.outside is None else network.outside[None]
    active = received(network, network.spikes[None], outside)[0] > 0
    for population in network.populations:
        part = active[network.part(population)]
        part |= population.bias.ravel() != 0
        if population.later_bias is not None:
            part |= np.broadcast_to(population.later_bias != 0, population.shape).ravel()
        if population.neuron is not None:
            numbers = population.neuron.numbers(population.shape)
            part |= ((numbers["offset"] != 0) | (numbers["initial"] != 0)).ravel()
        if population.initial_potential is not None:
            part |= np.broadcast_to(population.initial_potential != 0, population.shape).ravel()
    for projection in network.graph.projections:
        if projection.source not in network.sources:  # a constant current
            active[network.part(projection.target)] |= projection.in_degrees > 0
    return active


def received(network: PlacedNetwork, spikes: np.ndarray, outside: Optional[np.ndarray] = None) -> np.ndarray:
    """Count the spikes at the synapses of each placed neuron: float64, shape (rows, neurons); see `core_events`."""
    found = np.zeros(spikes.shape)
    for projection in network.graph.projections:
        if projection.source in network.sources:
            sent = network.sent_by(projection.source, spikes, outside)
            over = _over_edges if projection.merged else _over_windows
            found[:, network.part(projection.target)] += over(projection, sent)
    return found


def _over_edges(projection: GraphProjection, spikes: np.ndarray) -> np.ndarray:
    """Count the spikes at the targets of a projection by listing its synapses, a batch at a time."""
    source, target = projection.source, projection.target
    found = np.zeros((len(spikes), target.size))
    for batch in projection.edge_batches(EDGES):
        ends = batch.source - source.first, batch.target - target.first
        found += (csr_matrix((np.ones(ends[0].size), ends), (source.size, target.size)).T @ spikes.T).T
    return found


def _over_windows(projection: GraphProjection, spikes: np.ndarray) -> np.ndarray:
    """Count the spikes at the targets of a projection in the windows of its only connection."""
    (connection,) = projection.connections
    ids = connection.positions.ids
    index = np.where(ids == PADDING, spikes.shape[1], ids - connection.source.first)
    padded: np.ndarray = np.concatenate([spikes, np.zeros((len(spikes), 1))], axis=1)
    return connection.geometry.sums(padded[:, index]).reshape(len(spikes), -1)


# Parts of the energy, and their events by their keys in a description
PARTS = {
    "synapses": ("synapse",),
    "neurons": ("neuron_inactive", "neuron_active", "spike"),
    "axons": ("axon_out", "axon_in"),
    "network": ("router", "link_x", "link_y", "between_chips"),
}


@dataclass(frozen=True, eq=False)
class Routes:
    """Distances of the spikes between cores: int64, shape (2, elements of the traffic), along x and y."""

    hops: np.ndarray  # links between routers
    borders: np.ndarray  # links that lead to another chip

    @classmethod
    def of(cls, traffic: csr_matrix, hardware: Hardware, place: np.ndarray) -> "Routes":
        """Return the distances between cores at `place` (int32, shape (cores, 2))."""
        return cls(offsets(traffic, hardware.router_of(place)), offsets(traffic, hardware.chip_of(place)))


@dataclass(frozen=True, eq=False)
class EventCost:
    """Events of a sample, their energies, and the time of a step with the mean number of events."""

    events: Dict[str, float]  # per sample, by their keys in a description
    energy_pj: Dict[str, float]  # of each kind of event that has a figure
    core_ns: np.ndarray  # (cores,) float64: time of each core in a step; 0 without figures
    step_ns: Optional[float]  # None without figures
    interval: int  # time steps between the beginnings of two samples
    latency: int  # time steps until a sample has passed all populations

    @property
    def energy_by_part(self) -> Dict[str, float]:
        """Energy in pJ of each of `PARTS`."""
        return {part: sum(self.energy_pj.get(name, 0.0) for name in names) for part, names in PARTS.items()}


def event_cost(sums: TrafficSums, hardware: Hardware, place: np.ndarray, routes: Routes) -> Optional[EventCost]:
    """Return the cost of the events of a mapping; None if the description has no figures of events."""
    if not hardware.events and hardware.time_ns is None:
        return None
    network, graph = sums.network, sums.network.graph
    outside = None if network.outside is None else network.outside[None]
    events = core_events(sums, network.spikes[None], outside)
    updates = updated_neurons(sums)
    counts = event_counts(events, updates * graph.interval, hardware, sums.matrix, routes)
    core_ns, step_ns = np.zeros(sums.cores), None
    if hardware.time_ns is not None:
        core_ns = core_times(events / graph.interval, updates, hardware.time_ns)[0]
        step_ns = float(core_ns.max(initial=0.0)) + barrier(sums, hardware, place)
    return EventCost(counts, energies(counts, hardware.energy_pj), core_ns, step_ns, graph.interval, graph.latency)


def event_counts(
    events: np.ndarray, updates: np.ndarray, hardware: Hardware, traffic: csr_matrix, routes: Routes
) -> Dict[str, float]:
    """Count the events of a sample by their keys in a description.

    Parameters
    ----------
    events, updates : as from `core_events` and `updated_neurons`, but of the sample
    traffic : spikes of the sample from core to core
    """
    borders = routes.borders if hardware.energy_pj.between_chips is not None else np.zeros_like(routes.borders)
    inside = routes.hops - borders
    active, inactive = updates.sum(axis=1).tolist()
    spikes, out, into, operations = events.sum(axis=(1, 2)).tolist()
    return {
        "synapse": operations,
        "neuron_inactive": float(inactive),
        "neuron_active": float(active),
        "spike": spikes,
        "axon_out": out,
        "axon_in": into,
        "router": float(traffic.data @ (routes.hops.sum(axis=0) + 1)),
        "link_x": float(traffic.data @ inside[0]),
        "link_y": float(traffic.data @ inside[1]),
        "between_chips": float(traffic.data @ borders.sum(axis=0)),
    }


def energies(counts: Dict[str, float], figures: EventFigures) -> Dict[str, float]:
    """Return the energy in pJ of each kind of event that has a figure."""
    figure = dict(figures)
    for name in ("link_x", "link_y"):
        figure[name] = figure[name] if figures.link is None else figures.link
    return {name: count * figure[name] for name, count in counts.items() if figure[name] is not None}


def core_times(events: np.ndarray, updates: np.ndarray, times: TimesNs) -> np.ndarray:
    """Return the time in ns that each core takes for each row of `events`, one step: float64, shape (rows, cores).

    `events` and `updates` are as from `core_events` and `updated_neurons`.
    """
    (spikes, out, into, operations), (active, inactive) = events, updates
    neurons = active * (times.neuron_active or 0.0) + inactive * (times.neuron_inactive or 0.0)
    neurons = neurons + spikes * (times.spike or 0.0) + out * (times.axon_out or 0.0)
    messages = into * (times.axon_in or 0.0) + operations * (times.synapse or 0.0)
    return np.maximum(neurons, messages)


def barrier(sums: TrafficSums, hardware: Hardware, place: np.ndarray) -> float:
    """Return the time in ns of the end of a step, with cores at `place`."""
    assert hardware.time_ns is not None
    return hardware.time_ns.barrier_of(len(np.unique(hardware.router_of(place)[sums.neurons > 0], axis=0)))
