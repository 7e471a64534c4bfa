"""Exact cost of a mapping, over all synapses. All quantities are per sample; `docs/mapping.md` defines them.

A neuron s that spikes n(s) times reaches D(s), the cores that hold a target of s, except its own core. Σ n(s)·|D(s)| is
the λ − 1 metric of hypergraph partitioning (Schlag, "High-quality hypergraph partitioning", 2020).

Events of each core take energy and time: spikes, messages and synaptic operations. A spike is a message to each core
that holds a target of its neuron, including that of the neuron itself, and an operation of each of its synapses, as in
SANA-FE (SLAM-Lab/SANA-FE 2.1.1, src/chip.cpp: `pipeline_process_axon_out`, `process_message`). Energies are events ×
figures. The time of a step is that of SANA-FE's timing model `simple` (src/schedule.cpp,
`schedule_messages_timestep_simple`): a core updates its neurons, whose spikes and sent messages take time, and
processes received messages at the same time; the core with the largest of both ends the step.
"""

from dataclasses import dataclass
from typing import Dict, List, Literal, Optional, Tuple

import numpy as np
from pydantic import Field, PlainSerializer, PlainValidator
from scipy.sparse import csr_matrix
from typing_extensions import Annotated

from snnb.chips.hardware import PARTS, EventFigures, Hardware, Limits, TimesNs
from snnb.graph.projection import out_degrees
from snnb.io.text import Document
from snnb.mapping.limits import memory_bits
from snnb.mapping.links import multicast_loads, used_link_loads
from snnb.mapping.traffic import (
    NOTHING,
    MappableNetwork,
    TrafficSums,
    count_messages,
    nodes_of,
    spikes_between,
    target_sets,
)
from snnb.network.geometry import PADDING

EDGES = 1 << 20  # of a batch


def _numbers(values: object) -> np.ndarray:
    numbers = np.asarray(values)
    if numbers.ndim != 1 or numbers.dtype.kind not in "if":
        raise ValueError("not a list of numbers")
    return numbers


# An array of shape (n,), int64 or float64; in JSON a list
Numbers = Annotated[np.ndarray, PlainValidator(_numbers), PlainSerializer(np.ndarray.tolist)]


@dataclass(frozen=True, eq=False)
class Routes:
    """Distances of the spikes between cores: int64, shape (2, elements of the traffic), along x and y."""

    hops: np.ndarray  # links between routers
    borders: np.ndarray  # links that lead to another chip

    @classmethod
    def of(cls, traffic: csr_matrix, hardware: Hardware, place: np.ndarray) -> "Routes":
        """Return the distances between cores at `place` (int32, shape (cores, 2))."""
        cores = traffic.tocoo()
        positions = (hardware.router_of(place).astype(np.int64), hardware.chip_of(place).astype(np.int64))
        return cls(*(np.abs(at[cores.row] - at[cores.col]).T for at in positions))


class StepBound(Document):
    """Largest share of the time of a step with the mean number of events: of its busiest core, or of its end.

    The busiest core either receives messages (`axons`: the messages, `synapses`: their synaptic operations) or updates
    neurons (`neurons`: updates and spikes, `axons`: the messages sent), whichever takes longer.
    """

    by: Literal["synapses", "neurons", "axons", "barrier"]
    ns: float
    core: Optional[int] = None  # None: barrier


class ProjectionCost(Document):
    """Cost of the spikes over one projection, as if there were no other."""

    source: str
    target: str
    # See `Cost`; 0 for a projection from the input, whose spikes are sent to the chip.
    connectivity: float
    cut: float


class Cost(Document):
    """Figures of a mapping per sample, and of each core; the description of a field is its unit.

    D(s) are the cores that hold a target of the neuron s, except its own core; d is the Manhattan distance. Events have
    the names of their keys in a hardware description. None is a figure that this description has no numbers for.
    """

    connectivity: float = Field(description="spikes between cores per sample")  # Σ n(s)·|D(s)|
    # Σ n(s) over the neurons with D(s) not empty
    cut: float = Field(description="spikes leaving their core per sample")
    # Σ n(s)·Σ d
    hops_unicast: float = Field(description="links crossed per sample (unicast)")
    # Σ n(s)·(links in the union of the routes to D(s)). A route runs along x first, then along y
    hops_multicast: float = Field(description="links crossed per sample (multicast)")
    # Sum over all events if the description has energies of them; otherwise Σ n(s)·Σ ((d + 1)·router + d·link), and if
    # it has the energy of a synaptic operation, that of every spike (also of the input) at each of its synapses
    energy_pj: float = Field(description="pJ per sample")
    latency_ns_mean: float = Field(description="ns, mean over the spikes between cores")  # (d + 1)·router + d·link
    latency_ns_max: float = Field(description="ns")
    # With unicast routing
    link_load_mean: float = Field(
        description="spikes per sample over a link in one direction, mean over all links of the mesh"
    )
    link_load_max: float = Field(description="spikes per sample over a link in one direction")
    # With multicast routing
    multicast_link_load_mean: float = Field(
        description="spikes per sample over a link in one direction, mean over all links (multicast)"
    )
    multicast_link_load_max: float = Field(description="spikes per sample over a link in one direction (multicast)")
    # Largest over mean of the loads of links (`link_load`, `multicast_link_load`), and over the cores with neurons
    # (`synaptic_operations`, `spikes_in`, `spikes_out`); without the ones whose mean is 0
    max_over_mean: Dict[str, float]
    cores: int = Field(description="cores with neurons")
    reuse: float = Field(description="synapses / axons of a core, mean over the cores that have axons")
    # As AxonCUDA's grader defines them, without a spiking input: Σ n(s)·|D(s)|·(1 + distinct targets of s); and the
    # means over the cores with neurons of synapses / axons, of distinct spiking sources
    external_degrees: float = Field(description="sum of external degrees × spikes per sample")
    overlap_mean: float = Field(description="hyperedge overlap, arithmetic mean")
    overlap_geometric_mean: float = Field(description="hyperedge overlap, geometric mean")
    # Σ n(s)·|D(s)| over the neurons of the input
    outside_spikes: float = Field(description="spikes per sample from a spiking input to cores")
    chips: Optional[int] = Field(default=None, description="chips with neurons")
    spikes_between_chips: Optional[float] = Field(default=None, description="spikes between chips per sample")
    hops_between_chips: Optional[float] = Field(
        default=None, description="links between chips crossed per sample (unicast)"
    )
    step_ns: Optional[float] = Field(default=None, description="ns per time step with the mean number of events")
    sample_ns: Optional[float] = Field(default=None, description="ns, sample interval")
    sample_latency_ns: Optional[float] = Field(default=None, description="ns, latency of a sample")
    step_bound: Optional[StepBound] = None  # None: no times
    per_projection: List[ProjectionCost]  # in the order of the graph
    events: Optional[Dict[str, float]] = None
    energy_by_event_pj: Optional[Dict[str, float]] = None  # of the events that have an energy
    energy_by_part_pj: Optional[Dict[str, float]] = None  # of each of `PARTS`

    # Arrays of shape (cores,): `neurons`, `axons`, `synapses` (int64; see `TrafficSums`); `spikes_in`, `spikes_out`
    # (float64), spikes received from other cores, and sent to them, once for each core reached; `synaptic_operations`
    # (float64), spikes at the synapses onto the neurons, also of a spiking input and from the core itself; where the
    # description has such figures `axons_out`, `memory_bits` (int64), and the time of a step `step_ns` (float64)
    per_core: Dict[str, Numbers]

    @property
    def contents(self) -> Dict[str, np.ndarray]:
        """Contents of each core, by the names of `Limits`."""
        return {name: self.per_core[name] for name in Limits._fields if name in self.per_core}


UNITS = {name: field.description for name, field in Cost.model_fields.items() if field.description is not None}


def cost(sums: TrafficSums, hardware: Hardware, place: np.ndarray) -> Cost:
    """Compute the cost of a mapping with the cores at `place` (int32, shape (cores, 2)); limits are not checked."""
    network, matrix, graph = sums.network, sums.matrix, sums.network.graph
    neurons, axons, synapses = sums.contents
    routes = Routes.of(matrix, hardware, place)
    spikes, energy = matrix.data, hardware.energy_pj
    delay = hardware.latency.of_routes(routes.hops, routes.borders)
    router = hardware.router_of(place)
    unicast, multicast = used_link_loads(matrix, router).all, multicast_loads(sums, router).all
    events = core_events(sums, network.spikes[None])
    per_core = {
        **dict(zip(Limits._fields, sums.contents)),
        "spikes_in": np.asarray(matrix.sum(axis=0)).ravel(),
        "spikes_out": np.asarray(matrix.sum(axis=1)).ravel(),
        "synaptic_operations": events[3, 0],
    }
    if hardware.axons_out_per_core is not None:
        per_core["axons_out"] = sums.axons_out
    if hardware.synapse_memory is not None:
        per_core["memory_bits"] = memory_bits(sums, hardware.synapse_memory)
    counts: Optional[Dict[str, float]] = None
    by_event: Optional[Dict[str, float]] = None
    by_part: Optional[Dict[str, float]] = None
    step_ns: Optional[float] = None
    step_bound: Optional[StepBound] = None
    if hardware.counts_events:
        updates = updated_neurons(sums)
        counts = event_counts(events, updates * graph.interval, hardware, matrix, routes)
        by_event = energies(counts, energy)
        by_part = {part: sum(by_event.get(name, 0.0) for name in names) for part, names in PARTS.items()}
        if hardware.time_ns is not None:
            per_core["step_ns"] = core_times(events / graph.interval, updates, hardware.time_ns)[0]
            end = barrier(sums, hardware, place)
            step_ns = float(per_core["step_ns"].max(initial=0.0)) + end
            step_bound = _step_bound(events[:, 0] / graph.interval, updates, hardware.time_ns, end)
    if by_event is not None and hardware.events:
        picojoules = sum(by_event.values())
    else:
        picojoules = float(spikes @ energy.of_routes(routes.hops, routes.borders))
        if energy.synapse is not None:
            degrees = ((p, out_degrees(graph.projections, p)) for p in network.sources)
            picojoules += energy.synapse * sum(float(degree @ network.spikes_of(p)) for p, degree in degrees)
    of_cores = {name: per_core[name][neurons > 0] for name in ("synaptic_operations", "spikes_in", "spikes_out")}
    loads = {"link_load": (unicast, hardware.links), "multicast_link_load": (multicast, hardware.links)}
    loads.update({name: (values, values.size) for name, values in of_cores.items()})
    max_over_mean = {name: float(load.max() / (load.sum() / n)) for name, (load, n) in loads.items() if load.any()}
    overlap = np.bincount(sums.core, network.fan_in, sums.cores)[neurons > 0] / np.maximum(1, axons[neurons > 0])
    assert graph.recording is not None  # a mapping needs spikes
    sample_steps = graph.recording.warm_up + graph.interval
    one_chip = hardware.chip is None
    return Cost(
        connectivity=sums.connectivity,
        cut=sums.cut,
        hops_unicast=float(spikes @ routes.hops.sum(axis=0)),
        hops_multicast=float(multicast.sum()),
        energy_pj=picojoules,
        latency_ns_mean=float(spikes @ delay / spikes.sum()) if spikes.size else 0.0,
        latency_ns_max=float(delay.max(initial=0.0)),
        link_load_mean=float(unicast.sum()) / max(1, hardware.links),
        link_load_max=float(unicast.max(initial=0.0)),
        multicast_link_load_mean=float(multicast.sum()) / max(1, hardware.links),
        multicast_link_load_max=float(multicast.max(initial=0.0)),
        max_over_mean=max_over_mean,
        cores=int(np.count_nonzero(neurons)),
        reuse=float((synapses[axons > 0] / axons[axons > 0]).mean()) if axons.any() else 0.0,
        external_degrees=_external_degrees(sums),
        overlap_mean=float(overlap.mean()),
        overlap_geometric_mean=float(np.exp(np.log(overlap[overlap > 0]).sum() / overlap.size)),
        outside_spikes=sums.outside,
        chips=None if one_chip else len(np.unique(hardware.chip_of(place)[neurons > 0], axis=0)),
        spikes_between_chips=None if one_chip else float(spikes @ routes.borders.any(axis=0)),
        hops_between_chips=None if one_chip else float(spikes @ routes.borders.sum(axis=0)),
        step_ns=step_ns,
        step_bound=step_bound,
        sample_ns=None if step_ns is None else sample_steps * step_ns,
        sample_latency_ns=None if step_ns is None else network.latency * step_ns,
        per_projection=_projections(sums),
        events=counts,
        energy_by_event_pj=by_event,
        energy_by_part_pj=by_part,
        per_core=per_core,
    )


def _external_degrees(sums: TrafficSums) -> float:
    """Return `Cost.external_degrees` (EMJzero/AxonCUDA, includes/hgraph.hpp, `soedFromPart`)."""
    network, total = sums.network, 0.0
    for population, source_core, sets in sums.placed_sets():
        spikes = network.spikes_of(population)
        spiking = np.flatnonzero(spikes)
        reached = csr_matrix((np.ones(sets.label.size), sets.label, sets.start), (sets.start.size - 1, sums.cores))
        n_others = (
            np.diff(sets.start)[sets.set_of[spiking]]
            - np.asarray(reached[sets.set_of[spiking], source_core[spiking]]).ravel()
        )
        total += float((spikes[spiking] * (1 + network.fan_out[network.part(population)][spiking])) @ n_others)
    return total


def _projections(sums: TrafficSums) -> List[ProjectionCost]:
    """Return the cost of each projection; where a population has several, find the cores that each of them reaches."""
    network, costs = sums.network, []
    for projection in network.graph.projections:
        source, totals = projection.source, np.zeros(2)
        if source.first >= network.first:
            totals = sums.by_source[source.name]
            if len(network.projections_from(source)) > 1:
                sets = target_sets([projection], sums.core, sums.cores, network.first)
                source_core, spikes = sums.core[network.part(source)], network.spikes_of(source)
                totals, _ = spikes_between(source_core, spikes, sums.cores, sets)
        connectivity, cut = totals.tolist()
        costs.append(
            ProjectionCost(source=source.name, target=projection.target.name, connectivity=connectivity, cut=cut)
        )
    return costs


def core_events(sums: TrafficSums, spikes: np.ndarray) -> np.ndarray:
    """Count the events of each core: float64, shape (4, rows, cores).

    They are spikes of the neurons of the core, messages that these send, messages that the core receives (including
    those from a spiking input), and synaptic operations: spikes at the synapses onto its neurons. `spikes` (float64,
    shape (rows, nodes)) are those of each node of the graph in a time step, or in several.
    """
    network, rows = sums.network, len(spikes)
    events = np.zeros((4, rows, sums.cores))
    for population, sets in sums.sets:
        placed = population.first >= network.first
        source_core = sums.core[network.part(population)] if placed else NOTHING
        sent = spikes[:, nodes_of(population)]
        for row in range(rows):
            count_messages(source_core, np.ascontiguousarray(sent[row]), sets, events[1, row], events[2, row])
    number = np.arange(network.neurons)
    members = csr_matrix((np.ones(number.size), (sums.core, number)), (sums.cores, number.size))
    events[0] = (members @ spikes[:, network.first :].T).T
    events[3] = (members @ received(network, spikes).T).T
    return events


def updated_neurons(sums: TrafficSums) -> np.ndarray:
    """Count the active neurons of each core, and the others: int64, shape (2, cores)."""
    active = active_neurons(sums.network)
    return np.stack([np.bincount(sums.core[mask], minlength=sums.cores) for mask in (active, ~active)])


def active_neurons(network: MappableNetwork) -> np.ndarray:
    """Return which neurons are active in a step: bool, shape (neurons,).

    Active neurons have a bias, an offset of their model, a current as input, an initial potential, or a source that
    spikes in some sample. A neuron of SANA-FE is active in each step in which bias, input or potential are not 0
    (src/models.cpp): these in some steps, all others in none.
    """
    active = received(network, network.spikes[None])[0] > 0
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


def received(network: MappableNetwork, spikes: np.ndarray) -> np.ndarray:
    """Count the spikes at the synapses of each placed neuron: float64, shape (rows, neurons); see `core_events`."""
    counts = np.zeros((len(spikes), network.neurons))
    for projection in network.graph.projections:
        source, target = projection.source, projection.target
        if source not in network.sources:
            continue
        sent, onto = spikes[:, nodes_of(source)], np.zeros((len(spikes), target.size))
        if projection.merged:  # list the synapses
            for batch in projection.edge_batches(EDGES):
                ends = batch.source - source.first, batch.target - target.first
                onto += (csr_matrix((np.ones(ends[0].size), ends), (source.size, target.size)).T @ sent.T).T
        else:  # sum up the windows of the only connection
            (connection,) = projection.connections
            index = np.where(connection.ids == PADDING, source.size, connection.ids - source.first)
            padded: np.ndarray = np.concatenate([sent, np.zeros((len(spikes), 1))], axis=1)
            onto = connection.geometry.sums(padded[:, index]).reshape(onto.shape)
        counts[:, network.part(target)] += onto
    return counts


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
    updating, receiving = _times_by_part(events, updates, times)
    return np.maximum(sum(updating.values()), sum(receiving.values()))


Part = Literal["synapses", "neurons", "axons"]


def _times_by_part(
    events: np.ndarray, updates: np.ndarray, times: TimesNs
) -> Tuple[Dict[Part, np.ndarray], Dict[Part, np.ndarray]]:
    """Return the times in ns of the neuron updates and of the received messages; a core does both at the same time."""
    (spikes, out, into, operations), (active, inactive) = events, updates
    neurons = active * (times.neuron_active or 0.0) + inactive * (times.neuron_inactive or 0.0)
    updating: Dict[Part, np.ndarray] = {
        "neurons": neurons + spikes * (times.spike or 0.0),
        "axons": out * (times.axon_out or 0.0),
    }
    receiving: Dict[Part, np.ndarray] = {
        "axons": into * (times.axon_in or 0.0),
        "synapses": operations * (times.synapse or 0.0),
    }
    return updating, receiving


def _step_bound(events: np.ndarray, updates: np.ndarray, times: TimesNs, end: float) -> StepBound:
    """Return what takes longest in a step with these events (float64, shape (4, cores)), given its end in ns."""
    sides = _times_by_part(events, updates, times)
    totals = np.stack([np.asarray(sum(side.values())) for side in sides])
    core = int(totals.max(axis=0).argmax())
    side = sides[int(totals[:, core].argmax())]
    longest = max(side, key=lambda part: float(side[part][core]))
    ns = float(side[longest][core])
    return StepBound(by="barrier", ns=end) if end > ns else StepBound(by=longest, ns=ns, core=core)


def barrier(sums: TrafficSums, hardware: Hardware, place: np.ndarray) -> float:
    """Return the time in ns of the end of a step, with cores at `place`."""
    assert hardware.time_ns is not None
    return hardware.time_ns.barrier_of(len(np.unique(hardware.router_of(place)[sums.neurons > 0], axis=0)))
