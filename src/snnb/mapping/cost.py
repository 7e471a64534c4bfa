"""Exact cost of a mapping, over all synapses, per sample.

`quantities.py` defines the parts of the cost. Events of each core take energy and time:
spikes, messages and synaptic operations. A spike is a message to each core that holds a
target of its neuron, including the core of the neuron itself, and an operation of each
of its synapses, as in SANA-FE (SLAM-Lab/SANA-FE 2.1.1, src/chip.cpp:
`pipeline_process_axon_out`, `process_message`). Energies are events × figures. The time
of a step is that of SANA-FE's timing model `simple` (src/schedule.cpp,
`schedule_messages_timestep_simple`): a core updates its neurons, whose spikes and sent
messages take time, and processes received messages at the same time. The step lasts as
long as the longer of both on the core where it is largest. If spikes take a link for a
time, the step is at least as long as the spikes over its busiest link take, so that it
is the longest of its parts as in arXiv 2601.10035. The time of the barrier at the end
of a step is added.
"""

from typing import Dict, List, Literal, NamedTuple, Optional, Tuple

import numpy as np
from pydantic import PlainSerializer, PlainValidator
from scipy.sparse import csr_matrix
from typing_extensions import Annotated

from snnb.chips.hardware import PARTS, EventFigures, Hardware, Limits, TimesNs
from snnb.graph.projection import GraphProjection, out_degrees
from snnb.io.text import Document
from snnb.mapping.limits import memory_bits
from snnb.mapping.links import (
    LinkLoads,
    RouteLoads,
    busiest_link,
    multicast_loads,
    route_loads,
)
from snnb.mapping.quantities import (
    Connectivity,
    CoreCost,
    Cut,
    EnergyCost,
    InputCost,
    RouteCost,
    StepBound,
    StepCost,
    TrafficCost,
)
from snnb.mapping.routes import Routes
from snnb.mapping.traffic import (
    MappableNetwork,
    TrafficSums,
    nodes_of,
    spikes_between,
    target_sets,
)
from snnb.network.geometry import PADDING

EDGES = 1 << 20  # synapses of a batch, where they are listed
UNEVEN = ("synaptic_operations", "spikes_in", "spikes_out")  # in `Cost.max_over_mean`


def _numbers(values: object) -> np.ndarray:
    numbers = np.asarray(values)
    if numbers.ndim != 1 or numbers.dtype.kind not in "if":
        raise ValueError("not a list of numbers")
    return numbers


# An array of shape (n,), int64 or float64; in JSON a list
Numbers = Annotated[
    np.ndarray,
    PlainValidator(_numbers),
    PlainSerializer(np.ndarray.tolist),
]


class ProjectionCost(Document):
    """Cost of the spikes over one projection, as if there were no other."""

    source: str
    target: str
    # As in `TrafficCost`; 0 for a projection from the input, whose spikes are sent to
    # the chip
    connectivity: Connectivity
    cut: Cut


class Cost(Document):
    """Cost of a mapping per sample, and of each core.

    Events have the names of their keys in a hardware description. None is what this
    description has no numbers for.
    """

    cores: CoreCost
    traffic: TrafficCost
    routes: RouteCost
    energy: EnergyCost
    input: Optional[InputCost] = None  # None: no input ports
    step: Optional[StepCost] = None  # None: no times
    # Largest over mean of the loads of links (`link_load`, `multicast_link_load`), and
    # over the cores with neurons (`synaptic_operations`, `spikes_in`, `spikes_out`);
    # without the ones whose mean is 0
    max_over_mean: Dict[str, float]
    per_projection: List[ProjectionCost]  # in the order of the graph
    events: Optional[Dict[str, float]] = None
    energy_by_event_pj: Optional[Dict[str, float]] = None  # that have an energy
    energy_by_part_pj: Optional[Dict[str, float]] = None  # of each of `PARTS`

    # Arrays of shape (cores,): `neurons`, `axons`, `synapses` (int64; see
    # `TrafficSums`); `spikes_in`, `spikes_out` (float64), spikes received from other
    # cores, and sent to them, once for each core reached; `synaptic_operations`
    # (float64), spikes at the synapses onto the neurons, also of a spiking input and
    # from the core itself; where the description has such figures `axons_out`,
    # `memory_bits` (int64), the spikes received from ports `input_spikes` (float64),
    # and the time of a step `step_ns` (float64)
    per_core: Dict[str, Numbers]

    @property
    def contents(self) -> Dict[str, np.ndarray]:
        """Contents of each core, by the names of `Limits`."""
        names = [name for name in Limits._fields if name in self.per_core]
        return {name: self.per_core[name] for name in names}


def cost(
    sums: TrafficSums,
    hardware: Hardware,
    place: np.ndarray,
    loads: Optional[RouteLoads] = None,
) -> Cost:
    """Compute the cost of a mapping with the cores at `place`; limits are not checked.

    Parameters
    ----------
    place : (cores, 2) int32 array
        x and y of each core.
    loads : RouteLoads, optional
        Of this mapping, if they are known.
    """
    network = sums.network
    interval = network.graph.interval
    input_spikes = sums.input_spikes(network.spikes)
    routes, unicast, multicast = loads or route_loads(sums, hardware, place)
    events = core_events(sums, network.spikes[None])
    per_core = {
        **dict(zip(Limits._fields, sums.contents)),
        "spikes_in": np.asarray(sums.matrix.sum(axis=0)).ravel(),
        "spikes_out": np.asarray(sums.matrix.sum(axis=1)).ravel(),
        "synaptic_operations": events[3, 0],
    }
    if hardware.axons_out_per_core is not None:
        per_core["axons_out"] = sums.axons_out
    if hardware.synapse_memory is not None:
        per_core["memory_bits"] = memory_bits(sums, hardware.synapse_memory)
    if hardware.input_ports:
        per_core["input_spikes"] = input_spikes
    counts: Optional[Dict[str, float]] = None
    by_event: Optional[Dict[str, float]] = None
    by_part: Optional[Dict[str, float]] = None
    step: Optional[StepCost] = None
    if hardware.counts_events:
        updates = updated_neurons(sums)
        counts = event_counts(events, updates * interval, hardware, routes)
        by_event = energies(counts, hardware.energy_pj)
        by_part = _sum_parts(by_event)
        times = hardware.time_ns
        if times is not None:
            link_times = multicast if times.routing == "multicast" else unicast
            step_times = _StepTimes(
                core_ns=core_times(events / interval, updates, times)[0],
                core_bound=_core_bound(events[:, 0] / interval, updates, times),
                link_bound=_link_bound(link_times, routes, interval, times),
                barrier_ns=barrier(sums, hardware, place),
            )
            per_core["step_ns"] = step_times.core_ns
            step = _step_cost(network, step_times)
    return Cost(
        cores=_core_cost(sums, hardware, place),
        traffic=_traffic_cost(sums, hardware, routes),
        routes=_route_cost(hardware, routes, unicast.all, multicast.all),
        energy=_energy_cost(sums, hardware, routes, by_event),
        input=_input_cost(sums, hardware, place, routes),
        step=step,
        max_over_mean=_max_over_mean(
            {"link_load": unicast.all, "multicast_link_load": multicast.all},
            hardware.links,
            {name: per_core[name][sums.neurons > 0] for name in UNEVEN},
        ),
        per_projection=_projections(sums),
        events=counts,
        energy_by_event_pj=by_event,
        energy_by_part_pj=by_part,
        per_core=per_core,
    )


def _sum_parts(by_event: Dict[str, float]) -> Dict[str, float]:
    """Sum up the energies of events for each of `PARTS`."""
    by_part: Dict[str, float] = {}
    for part, events in PARTS.items():
        by_part[part] = sum(by_event.get(event, 0.0) for event in events)
    return by_part


def _core_cost(sums: TrafficSums, hardware: Hardware, place: np.ndarray) -> CoreCost:
    """Return what the neurons of the cores share, see `CoreCost`."""
    neurons, axons, synapses = sums.contents
    is_used = neurons > 0
    chips = np.unique(hardware.chip_of(place)[is_used], axis=0)
    has_axons = axons > 0
    reuse = synapses[has_axons] / axons[has_axons]
    # Pairs of a source of spikes and a target on each core
    pairs = np.bincount(sums.core, sums.network.fan_in, sums.cores)[is_used]
    overlap = pairs / np.maximum(1, axons[is_used])
    log_overlap = np.log(overlap[overlap > 0])
    return CoreCost(
        cores=int(np.count_nonzero(neurons)),
        chips=None if hardware.chip is None else len(chips),
        reuse=float(reuse.mean()) if has_axons.any() else 0.0,
        overlap_mean=float(overlap.mean()),
        overlap_geometric_mean=float(np.exp(log_overlap.sum() / overlap.size)),
    )


def _traffic_cost(sums: TrafficSums, hardware: Hardware, routes: Routes) -> TrafficCost:
    """Return the spikes between cores and between chips, see `TrafficCost`."""
    between_chips: Optional[float] = None
    if hardware.chip is not None:
        between_chips = float(routes.spikes @ routes.borders.any(axis=0))
    return TrafficCost(
        connectivity=sums.connectivity,
        cut=sums.cut,
        external_degrees=_external_degrees(sums),
        outside_spikes=sums.outside,
        spikes_between_chips=between_chips,
    )


def _route_cost(
    hardware: Hardware,
    routes: Routes,
    unicast: np.ndarray,
    multicast: np.ndarray,
) -> RouteCost:
    """Return the cost of routes.

    `unicast` and `multicast` (float64, shape (links,)) are the loads of the links of
    the area of the routes, in the order of `LinkLoads.all`.
    """
    spikes = routes.spikes
    latency_ns = hardware.latency.sum_routes(routes.hops, routes.borders)
    mean_latency = 0.0
    if spikes.size:
        mean_latency = float(spikes @ latency_ns / spikes.sum())
    links = max(1, hardware.links)
    between_chips: Optional[float] = None
    if hardware.chip is not None:
        between_chips = float(spikes @ routes.borders.sum(axis=0))
    return RouteCost(
        hops_unicast=float(spikes @ routes.hops.sum(axis=0)),
        hops_multicast=float(multicast.sum()),
        hops_between_chips=between_chips,
        latency_ns_mean=mean_latency,
        latency_ns_max=float(latency_ns.max(initial=0.0)),
        link_load_mean=float(unicast.sum()) / links,
        link_load_max=float(unicast.max(initial=0.0)),
        multicast_link_load_mean=float(multicast.sum()) / links,
        multicast_link_load_max=float(multicast.max(initial=0.0)),
    )


def _input_cost(
    sums: TrafficSums,
    hardware: Hardware,
    place: np.ndarray,
    routes: Routes,
) -> Optional[InputCost]:
    """Return the cost of the input's routes; None without ports."""
    if not hardware.input_ports:
        return None
    part = routes.of_input
    spikes = routes.spikes[part]
    hops = routes.hops[:, part]
    energy = hardware.energy_pj.sum_routes(hops, routes.borders[:, part])
    n_inputs = sums.network.first
    spikes_without_neurons = sums.network.spikes.copy()
    spikes_without_neurons[n_inputs:] = 0
    loads = multicast_loads(sums, spikes_without_neurons, hardware, place, routes.area)
    return InputCost(
        spikes_with_input=sums.connectivity + sums.outside,
        input_hops_unicast=float(spikes @ hops.sum(axis=0)),
        input_hops_multicast=float(loads.all.sum()),
        input_route_energy_pj=float(spikes @ energy),
    )


def _energy_cost(
    sums: TrafficSums,
    hardware: Hardware,
    routes: Routes,
    by_event: Optional[Dict[str, float]],
) -> EnergyCost:
    """Return the energy of a sample.

    `by_event` is the energy in pJ of each kind of event, None if they are not counted.
    If the description has energies of routes and synapses only, these are summed up
    without it.
    """
    energy = hardware.energy_pj
    if by_event is not None and hardware.events:
        picojoules = sum(by_event.values())
    else:
        route_energy = energy.sum_routes(routes.hops, routes.borders)
        picojoules = float(routes.spikes @ route_energy)
        if energy.synapse is not None:
            network = sums.network
            operations = 0.0
            for population in network.sources:
                degrees = out_degrees(network.graph.projections, population)
                operations += float(degrees @ network.spikes_of(population))
            picojoules += energy.synapse * operations
    if hardware.energy_of == "events":
        return EnergyCost(energy_pj=picojoules)
    return EnergyCost(network_energy_pj=picojoules)


class _StepTimes(NamedTuple):
    """Times of a step with the mean number of events."""

    core_ns: np.ndarray  # (cores,) float64: time that each core takes
    core_bound: StepBound  # largest part of the time of the busiest core
    link_bound: Optional[StepBound]  # busiest link; None: see `_link_bound`
    barrier_ns: float  # end of the step, which is added to the rest


def _step_cost(network: MappableNetwork, times: _StepTimes) -> StepCost:
    """Return the times of a step and of a sample."""
    recording = network.graph.recording
    assert recording is not None  # a mapping needs spikes
    sample_steps = recording.warm_up + network.graph.interval
    busy_ns = float(times.core_ns.max(initial=0.0))
    bound = times.core_bound
    link_bound = times.link_bound
    if link_bound is not None and link_bound.ns > busy_ns:
        busy_ns = link_bound.ns
        bound = link_bound
    if times.barrier_ns > bound.ns:
        bound = StepBound(by="barrier", ns=times.barrier_ns)
    step_ns = busy_ns + times.barrier_ns
    return StepCost(
        step_ns=step_ns,
        sample_ns=sample_steps * step_ns,
        sample_latency_ns=network.latency * step_ns,
        link_ns=None if link_bound is None else link_bound.ns,
        busiest_link=None if link_bound is None else link_bound.link,
        step_bound=bound,
    )


def _max_over_mean(
    link_loads: Dict[str, np.ndarray], links: int, core_loads: Dict[str, np.ndarray]
) -> Dict[str, float]:
    """Return the largest load over the mean by name, without those whose mean is 0.

    Parameters
    ----------
    link_loads : loads of the links of the area of the routes
    links : number of links of the mesh, over which the mean is taken
    core_loads : loads of the cores with neurons
    """
    sizes = dict.fromkeys(link_loads, links)
    sizes.update({name: load.size for name, load in core_loads.items()})
    return {
        name: float(load.max() / (load.sum() / sizes[name]))
        for name, load in {**link_loads, **core_loads}.items()
        if load.any()
    }


def _external_degrees(sums: TrafficSums) -> float:
    """Return `TrafficCost.external_degrees`.

    Its source is EMJzero/AxonCUDA, includes/hgraph.hpp, `soedFromPart`.
    """
    network = sums.network
    total = 0.0
    for population, source_core, sets in sums.placed_sets():
        spikes = network.spikes_of(population)
        neuron = np.flatnonzero(spikes)  # neurons that spike
        neuron_set = sets.set_of[neuron]
        is_target_core = csr_matrix(
            (np.ones(sets.label.size), sets.label, sets.start),
            (sets.start.size - 1, sums.cores),
        )
        is_own_core = is_target_core[neuron_set, source_core[neuron]]
        other_cores = np.diff(sets.start)[neuron_set] - np.asarray(is_own_core).ravel()
        targets = network.fan_out[network.part(population)][neuron]
        total += float((spikes[neuron] * (1 + targets)) @ other_cores)
    return total


def _projections(sums: TrafficSums) -> List[ProjectionCost]:
    """Return the cost of each projection.

    Where a population has several, find the cores that each of them reaches.
    """
    network = sums.network
    costs: List[ProjectionCost] = []
    for projection in network.graph.projections:
        source = projection.source
        totals = np.zeros(2)  # connectivity and cut
        if source.first >= network.first:
            totals = sums.by_source[source.name]
            if len(network.projections_from(source)) > 1:
                totals, _ = spikes_between(
                    sums.core[network.part(source)],
                    network.spikes_of(source),
                    sums.cores,
                    target_sets([projection], sums.core, sums.cores, network.first),
                )
        connectivity, cut = totals.tolist()
        projection_cost = ProjectionCost(
            source=source.name,
            target=projection.target.name,
            connectivity=connectivity,
            cut=cut,
        )
        costs.append(projection_cost)
    return costs


def core_events(sums: TrafficSums, spikes: np.ndarray) -> np.ndarray:
    """Count the events of each core: float64, shape (4, rows, cores).

    They are spikes of the neurons of the core, messages that these send, messages that
    the core receives (including those from a spiking input), and synaptic operations:
    spikes at the synapses onto its neurons. Messages to the core of the neuron itself
    count for both, unlike in `TrafficSums.matrix`.

    `spikes` (float64, shape (rows, nodes)) are those of each node of the graph in a
    time step, or in several.
    """
    network = sums.network
    rows = len(spikes)
    events = np.zeros((4, rows, sums.cores))
    for row in range(rows):
        events[1:3, row] = sums.messages(spikes[row])
    neuron = np.arange(network.neurons)
    is_member = csr_matrix(
        (np.ones(neuron.size), (sums.core, neuron)),
        (sums.cores, neuron.size),
    )
    events[0] = (is_member @ spikes[:, network.first :].T).T
    events[3] = (is_member @ count_operations(network, spikes).T).T
    return events


def updated_neurons(sums: TrafficSums) -> np.ndarray:
    """Count active and inactive neurons of each core: int64, shape (2, cores).

    Each is updated once in every time step.
    """
    is_active = active_neurons(sums.network)
    active = np.bincount(sums.core[is_active], minlength=sums.cores)
    inactive = np.bincount(sums.core[~is_active], minlength=sums.cores)
    return np.stack([active, inactive])


def active_neurons(network: MappableNetwork) -> np.ndarray:
    """Return which neurons are active in a step: bool, shape (neurons,).

    Active neurons have a bias, an offset of their model, a current as input, an initial
    potential, or a source that spikes in some sample. A neuron of SANA-FE is active in
    each step in which bias, input or potential are not 0 (src/models.cpp): these in
    some steps, all others in none.
    """
    is_active = count_operations(network, network.spikes[None])[0] > 0
    for population in network.populations:
        part = is_active[network.part(population)]
        part |= population.bias.ravel() != 0
        if population.later_bias is not None:
            part |= np.broadcast_to(
                population.later_bias != 0,
                population.shape,
            ).ravel()
        if population.neuron is not None:
            numbers = population.neuron.numbers(population.shape)
            part |= ((numbers["offset"] != 0) | (numbers["initial"] != 0)).ravel()
        if population.initial_potential is not None:
            part |= np.broadcast_to(
                population.initial_potential != 0,
                population.shape,
            ).ravel()
    for projection in network.graph.projections:
        if projection.source not in network.sources:  # a constant current
            is_active[network.part(projection.target)] |= projection.in_degrees > 0
    return is_active


def count_operations(network: MappableNetwork, spikes: np.ndarray) -> np.ndarray:
    """Count the spikes at the synapses of each placed neuron.

    Return float64, shape (rows, neurons). For `spikes` see `core_events`.
    """
    operations = np.zeros((len(spikes), network.neurons))
    for projection in network.graph.projections:
        if projection.source in network.sources:
            source_spikes = spikes[:, nodes_of(projection.source)]
            part = network.part(projection.target)
            operations[:, part] += _projection_operations(projection, source_spikes)
    return operations


def _projection_operations(
    projection: GraphProjection,
    spikes: np.ndarray,
) -> np.ndarray:
    """Count the spikes at the synapses of a projection onto each target.

    Return float64, shape (rows, targets). `spikes` has the shape (rows, sources).
    """
    source = projection.source
    target = projection.target
    operations = np.zeros((len(spikes), target.size))
    if projection.merged:  # list the synapses
        for batch in projection.edge_batches(EDGES):
            ends = (batch.source - source.first, batch.target - target.first)
            ones = np.ones(batch.source.size)
            n_synapses = csr_matrix((ones, ends), (source.size, target.size))
            operations += (n_synapses.T @ spikes.T).T
        return operations
    # Sum up the windows of the only connection
    (connection,) = projection.connections
    index = np.where(
        connection.ids == PADDING,
        source.size,
        connection.ids - source.first,
    )
    no_spikes = np.zeros((len(spikes), 1))
    padded_spikes = np.concatenate([spikes, no_spikes], axis=1)
    sums = connection.geometry.sums(padded_spikes[:, index])
    return np.asarray(sums.reshape(operations.shape))


def event_counts(
    events: np.ndarray,
    updates: np.ndarray,
    hardware: Hardware,
    routes: Routes,
) -> Dict[str, float]:
    """Count the events of a sample by their keys in a description.

    Parameters
    ----------
    events, updates : as from `core_events` and `updated_neurons`, but of the sample
    routes : of the spikes of the sample
    """
    route_spikes = routes.spikes
    borders = np.zeros_like(routes.borders)
    if hardware.energy_pj.between_chips is not None:
        borders = routes.borders
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
        "router": float(route_spikes @ (routes.hops.sum(axis=0) + 1)),
        "link_x": float(route_spikes @ inside[0]),
        "link_y": float(route_spikes @ inside[1]),
        "between_chips": float(route_spikes @ borders.sum(axis=0)),
    }


def energies(counts: Dict[str, float], figures: EventFigures) -> Dict[str, float]:
    """Return the energy in pJ of each kind of event that has a figure."""
    figure = dict(figures)
    for name in ("link_x", "link_y"):
        figure[name] = figure[name] if figures.link is None else figures.link
    energy: Dict[str, float] = {}
    for name, count in counts.items():
        if figure[name] is not None:
            energy[name] = count * figure[name]
    return energy


def core_times(events: np.ndarray, updates: np.ndarray, times: TimesNs) -> np.ndarray:
    """Return the time in ns that each core takes for each row of `events`, one step.

    The times are float64, shape (rows, cores). `events` and `updates` are as from
    `core_events` and `updated_neurons`.
    """
    updating, receiving = _times_by_part(events, updates, times)
    return np.maximum(sum(updating.values()), sum(receiving.values()))


Part = Literal["synapses", "neurons", "axons"]


def _times_by_part(
    events: np.ndarray, updates: np.ndarray, times: TimesNs
) -> Tuple[Dict[Part, np.ndarray], Dict[Part, np.ndarray]]:
    """Return the times in ns of the neuron updates and of the received messages.

    A core does both at the same time; each is the sum of its parts. A part has the
    shape of the events without their first axis.
    """
    spikes, out, into, operations = events
    active, inactive = updates
    active_ns = active * (times.neuron_active or 0.0)
    neurons = active_ns + inactive * (times.neuron_inactive or 0.0)
    updating: Dict[Part, np.ndarray] = {
        "neurons": neurons + spikes * (times.spike or 0.0),
        "axons": out * (times.axon_out or 0.0),
    }
    receiving: Dict[Part, np.ndarray] = {
        "axons": into * (times.axon_in or 0.0),
        "synapses": operations * (times.synapse or 0.0),
    }
    return updating, receiving


def _core_bound(events: np.ndarray, updates: np.ndarray, times: TimesNs) -> StepBound:
    """Return the part that takes longest in the busiest core.

    `events` (float64, shape (4, cores)) are the events of a step.
    """
    sides = _times_by_part(events, updates, times)
    totals = np.stack([np.asarray(sum(side.values())) for side in sides])
    core = int(totals.max(axis=0).argmax())
    side = sides[int(totals[:, core].argmax())]
    longest = max(side, key=lambda part: float(side[part][core]))
    return StepBound(by=longest, ns=float(side[longest][core]), core=core)


def _link_bound(
    loads: LinkLoads,
    routes: Routes,
    interval: int,
    times: TimesNs,
) -> Optional[StepBound]:
    """Return the time that the spikes of a step take the busiest link, if they do.

    `loads` are those of a sample, which has `interval` steps.
    """
    if times.link_spike is None or not loads.all.any():
        return None
    ns = float(loads.all.max()) / interval * times.link_spike
    return StepBound(by="link", ns=ns, link=busiest_link(loads, routes.area))


def barrier(sums: TrafficSums, hardware: Hardware, place: np.ndarray) -> float:
    """Return the time in ns of the end of a step, with cores at `place`."""
    assert hardware.time_ns is not None
    routers = np.unique(hardware.router_of(place)[sums.neurons > 0], axis=0)
    return hardware.time_ns.barrier_of(len(routers))
