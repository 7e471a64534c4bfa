"""Energy of a picture and time of a step, from the events of the cores.

Energies are events × figures. The time of a step is that of SANA-FE's timing model `simple` (SLAM-Lab/SANA-FE 2.1.1,
src/schedule.cpp, `schedule_messages_timestep_simple`): a core updates its neurons, whose spikes and sent messages take
time, and processes received messages at the same time; the core with the largest of both ends the step.
"""

from dataclasses import dataclass
from typing import Dict, Optional

import numpy as np
from scipy.sparse import csr_matrix

from snnb.mapping.events import core_events, updated_neurons
from snnb.mapping.hardware import EventFigures, Hardware, TimesNs
from snnb.mapping.mesh import offsets
from snnb.mapping.traffic import TrafficSums

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
