"""Every figure of a cost by its definition, with plain dictionaries.

The edges are those that the csv export lists.
"""

import csv
from ast import literal_eval
from collections import defaultdict

import numpy as np
import pytest

from snnb.core.quantities import values
from snnb.formats.write_export import export


def csv_edges(graph, folder):
    """List the edges of the csv export.

    Each is (source id, target id, names of both populations, weight).
    """
    populations = {population.name: population for population in graph.populations}
    edges = []
    with export(graph, "csv", folder / "edges.csv", force=True).path.open() as file:
        for row in csv.DictReader(file):
            names = (row["source_group"], row["dest_group"])
            source = node_id(populations[names[0]], row["source_neuron"])
            target = node_id(populations[names[1]], row["dest_neuron"])
            edges.append((source, target, names, float(row["weight"])))
    return edges


def node_id(population, index):
    """The id of a neuron whose index is a tuple as text."""
    position = np.ravel_multi_index(literal_eval(index), population.shape)
    return population.first + int(position)


def spikes_of(graph):
    """Spikes per sample by id; a constant input has none."""
    spikes = {}
    for population in graph.populations:
        for number, count in enumerate(population.spike_count.ravel().tolist()):
            if population.coding != "current":
                spikes[population.first + number] = count / graph.recording.num_samples
    return spikes


def route(begin, end):
    """Links from a place to another: along x first."""
    x, y = begin
    links = set()
    while x != end[0]:
        step = 1 if end[0] > x else -1
        links.add(((x, y), (x + step, y)))
        x += step
    while y != end[1]:
        step = 1 if end[1] > y else -1
        links.add(((x, y), (x, y + step)))
        y += step
    return links


TIMED_EVENTS = (
    "neuron_active",
    "neuron_inactive",
    "spike",
    "axon_in",
    "axon_out",
    "synapse",
)


class Expected:
    """The figures of a mapping under the names of `Cost`, each by its definition."""

    def __init__(self, graph, edges, core, hardware, place):
        self.graph = graph
        self.edges = edges
        self.hardware = hardware
        self.first = graph.layers[0].first
        self.steps = graph.recording.num_timesteps
        self.place = [tuple(map(int, position)) for position in place]
        self.tile = hardware.tile or (1, 1)
        self.core = {}
        for number, core_number in enumerate(core):
            self.core[self.first + number] = int(core_number)
        self.spikes = spikes_of(graph)
        self.cores = len(self.place)
        self.reached = defaultdict(set)
        reached_by_projection = defaultdict(lambda: defaultdict(set))
        for source, target, names, _ in edges:
            if source in self.spikes:
                self.reached[source].add(self.core[target])
                reached_by_projection[names][source].add(self.core[target])
        self._count_axons()
        self.away, self.connectivity, self.cut = self._spread(self.reached)
        self.projections = []
        for projection in graph.projections:
            names = (projection.source.name, projection.target.name)
            _, connectivity, cut = self._spread(reached_by_projection[names])
            self.projections.append((*names, connectivity, cut))
        self._count_shared_axons()
        self.active = self._active_neurons()
        self._routes()
        self.event_counts, self.core_ns = self.events(self.spikes, self.steps)
        self._add_energies()
        self.link_ns, self.busiest_link = self.link_time(self.spikes, self.steps)
        self.step_ns = None
        if hardware.time_ns is not None:
            self.step_ns = max(*self.core_ns, self.link_ns) + self.barrier()
        self._count_chips()

    def _count_axons(self):
        """Neurons, synapses and axons of each core, and spikes of the inputs."""
        self.neurons = self._per_core(self.core.values())
        target_cores = [self.core[target] for _, target, *_ in self.edges]
        self.synapses = self._per_core(target_cores)
        axons_in = []
        axons_out = []
        self.outside_spikes = 0
        for source, cores in self.reached.items():
            axons_in.extend(cores)
            if source >= self.first:
                axons_out.extend(len(cores) * [self.core[source]])
            else:
                self.outside_spikes += self.spikes[source] * len(cores)
        self.axons = self._per_core(axons_in)
        self.axons_out = self._per_core(axons_out)

    def _count_shared_axons(self):
        """How many synapses share an axon, and what leaves the cores."""
        shares = [s / a for s, a in zip(self.synapses, self.axons) if a]
        self.reuse = sum(shares) / len(shares) if shares else 0
        targets = defaultdict(set)
        core_pairs = defaultdict(set)
        for source, target, *_ in self.edges:
            if source in self.spikes:
                targets[source].add(target)
                core_pairs[self.core[target]].add((source, target))
        self.external_degrees = 0
        for source, cores in self.away.items():
            spikes = self.spikes[source] * len(cores)
            self.external_degrees += spikes * (1 + len(targets[source]))
        overlaps = []
        for core in range(self.cores):
            if self.neurons[core]:
                pairs = len(core_pairs[core])
                overlaps.append(pairs / self.axons[core] if self.axons[core] else 0)
        self.overlap_mean = sum(overlaps) / len(overlaps)
        product = np.prod([overlap for overlap in overlaps if overlap])
        self.overlap_geometric_mean = product ** (1 / len(overlaps))

    def _active_neurons(self):
        """Neurons with a bias or a source that spikes, or is a current."""
        active = set()
        for source, target, *_ in self.edges:
            if self.spikes.get(source, 1):
                active.add(target)
        for population in self.graph.layers:
            for number in np.flatnonzero(population.bias.ravel()).tolist():
                active.add(population.first + number)
        return active

    def _add_energies(self):
        """The energy of all events, or without figures of neurons that of the network."""
        picojoules_of = dict(self.hardware.energy_pj)
        if picojoules_of["link"] is not None:
            picojoules_of["link_x"] = picojoules_of["link"]
            picojoules_of["link_y"] = picojoules_of["link"]
        total = 0
        for name, count in self.event_counts.items():
            if picojoules_of[name] is not None:
                total += count * picojoules_of[name]
        events_of_cores = (
            "neuron_inactive",
            "neuron_active",
            "spike",
            "axon_out",
            "axon_in",
        )
        self.energy_pj = None
        self.network_energy_pj = None
        if any(picojoules_of[name] is not None for name in events_of_cores):
            self.energy_pj = total
        else:
            self.network_energy_pj = total

    def _spread(self, reached_cores):
        """Other cores that each neuron reaches, spikes to them, and of such neurons."""
        away = {}
        for source, cores in reached_cores.items():
            if source >= self.first:
                away[source] = cores - {self.core[source]}
        connectivity = sum(self.spikes[s] * len(cores) for s, cores in away.items())
        cut = sum(self.spikes[source] for source, cores in away.items() if cores)
        return away, connectivity, cut

    def _per_core(self, cores):
        return np.bincount([*cores], minlength=self.cores).tolist()

    def router_at(self, position):
        return tuple(
            position_part // side for position_part, side in zip(position, self.tile)
        )

    def router(self, core):
        return self.router_at(self.place[core])

    def port_of(self, core):
        """The port with the fewest hops to a core; of equal ones the first."""
        return min(
            self.hardware.input_ports,
            key=lambda port: len(route(self.router_at(port), self.router(core))),
        )

    def messages(self):
        """Source, position where its spike begins, and core that it reaches.

        They are those of each message that has a route.
        """
        for source, cores in self.reached.items():
            for core in sorted(cores):
                if source >= self.first:
                    yield source, self.place[self.core[source]], core
                elif self.hardware.input_ports:
                    yield source, tuple(self.port_of(core)), core

    def journeys(self):
        """The same without messages of a placed neuron to its own core."""
        for source, begin, core in self.messages():
            if source < self.first or self.core[source] != core:
                yield source, begin, core

    def _routes(self):
        """Spikes that leave and reach each core, their links and delays."""
        self.hops_unicast = 0
        self.spikes_in = [0] * self.cores
        self.spikes_out = [0] * self.cores
        self.traffic = np.zeros((self.cores, self.cores))
        latency = self.hardware.latency_ns
        delays = []
        self.input_hops_unicast = 0
        self.input_loads = defaultdict(float)
        for source, begin, core in self.journeys():
            spikes = self.spikes[source]
            links = route(self.router_at(begin), self.router(core))
            self.hops_unicast += spikes * len(links)
            if source >= self.first:
                source_core = self.core[source]
                self.traffic[source_core, core] += spikes
                self.spikes_out[source_core] += spikes
                self.spikes_in[core] += spikes
            else:
                self.input_hops_unicast += spikes * len(links)
                for crossed_link in links:
                    self.input_loads[crossed_link] += spikes
            if latency is not None:
                router_ns = (len(links) + 1) * latency.router
                delays.append((router_ns + len(links) * latency.link, spikes))
        self.latency_ns_mean, self.latency_ns_max = summarise(delays)
        self.loads, self.multicast_loads = self.link_loads(self.spikes)
        self.hops_multicast = sum(self.multicast_loads.values())
        input_spikes = {s: n for s, n in self.spikes.items() if s < self.first}
        _, input_multicast_loads = self.link_loads(input_spikes)
        self.input_hops_multicast = sum(input_multicast_loads.values())
        width = self.hardware.mesh[0] // self.tile[0]
        height = self.hardware.mesh[1] // self.tile[1]
        # A mesh of one router has no links, and no loads
        link_count = max(1, 2 * ((width - 1) * height + width * (height - 1)))
        self.link_load_mean = sum(self.loads.values()) / link_count
        self.link_load_max = max(self.loads.values(), default=0)
        self.multicast_link_load_mean = self.hops_multicast / link_count
        self.multicast_link_load_max = max(self.multicast_loads.values(), default=0)
        self._add_operations()

    def _add_operations(self):
        """Synaptic operations of each core, and how unequal loads are."""
        self.synaptic_operations = [0] * self.cores
        for source, target, *_ in self.edges:
            self.synaptic_operations[self.core[target]] += self.spikes.get(source, 0)
        self.max_over_mean = {}
        if self.link_load_max:
            self.max_over_mean["link_load"] = self.link_load_max / self.link_load_mean
            self.max_over_mean["multicast_link_load"] = (
                self.multicast_link_load_max / self.multicast_link_load_mean
            )
        for name in ("synaptic_operations", "spikes_in", "spikes_out"):
            per_core = zip(getattr(self, name), self.neurons)
            values = [value for value, neurons in per_core if neurons]
            if any(values):
                self.max_over_mean[name] = max(values) * len(values) / sum(values)

    def link_loads(self, spikes):
        """Spikes over each link: with a route for each message, and with joined routes.

        The routes of a source that begin at the same position are joined.
        """
        unicast = defaultdict(float)
        multicast = defaultdict(float)
        unions = defaultdict(set)
        for source, begin, core in self.journeys():
            links = route(self.router_at(begin), self.router(core))
            unions[source, begin] |= links
            for link in links:
                unicast[link] += spikes.get(source, 0)
        for (source, _), links in unions.items():
            for link in links:
                multicast[link] += spikes.get(source, 0)
        return unicast, multicast

    def link_time(self, spikes, steps):
        """Time for which the busiest link is used in a step, and its ends.

        It is the first of equal ones, by x and y.
        """
        times = self.hardware.time_ns
        if times is None or times.link_spike is None:
            return 0.0, None
        loads = self.link_loads(spikes)[times.routing == "multicast"]
        busiest = min(loads, key=lambda link: (-loads[link], link), default=None)
        return loads[busiest] / steps * times.link_spike if loads else 0.0, busiest

    def events(self, spikes, steps):
        """Events of all cores, and the time of each core, for a number of steps."""
        counts = defaultdict(float)
        parts = defaultdict(lambda: [0.0] * self.cores)
        ns = {}
        for name in TIMED_EVENTS:
            ns[name] = getattr(self.hardware.time_ns, name, None) or 0
        for neuron, core in self.core.items():
            kind = "neuron_active" if neuron in self.active else "neuron_inactive"
            counts[kind] += steps
            number = spikes.get(neuron, 0)
            counts["spike"] += number
            parts["neurons"][core] += steps * ns[kind] + number * ns["spike"]
        for source, cores in self.reached.items():
            for core in cores:
                number = spikes.get(source, 0)
                counts["axon_in"] += number
                parts["axons in"][core] += number * ns["axon_in"]
                if source >= self.first:
                    counts["axon_out"] += number
                    parts["axons out"][self.core[source]] += number * ns["axon_out"]
        for source, begin, core in self.journeys():
            number = spikes.get(source, 0)
            links = route(self.router_at(begin), self.router(core))
            counts["router"] += number * (1 + len(links))
            for link in links:
                counts[self._kind_of(*link)] += number
        for source, target, *_ in self.edges:
            number = spikes.get(source, 0)
            counts["synapse"] += number
            parts["synapses"][self.core[target]] += number * ns["synapse"]
        return counts, self._core_times(parts, steps)

    def _core_times(self, parts, steps):
        """The time of each core in a step; the longest part of the busiest is `bound`.

        Neurons and axons out are one side of a core, which works while the other does.
        """
        step_parts = {}
        for name in ("neurons", "axons out", "axons in", "synapses"):
            step_parts[name] = np.array(parts[name]) / steps
        sides = [("neurons", "axons out"), ("axons in", "synapses")]
        totals = np.array([step_parts[a] + step_parts[b] for a, b in sides])
        busiest_core = int(totals.max(axis=0).argmax())
        busiest_side = sides[totals[:, busiest_core].argmax()]
        longest_part = max(
            busiest_side, key=lambda part: step_parts[part][busiest_core]
        )
        longest_ns = step_parts[longest_part][busiest_core]
        self.bound = longest_part.split()[0], longest_ns, busiest_core
        return totals.max(axis=0).tolist()

    def _kind_of(self, begin, end):
        """The event of a spike on a link between two routers."""
        sides = self.hardware.chip or self.hardware.mesh
        crosses_chips = False
        for axis in (0, 1):
            begin_chip = begin[axis] * self.tile[axis] // sides[axis]
            end_chip = end[axis] * self.tile[axis] // sides[axis]
            crosses_chips |= begin_chip != end_chip
        if self.hardware.energy_pj.between_chips is not None and crosses_chips:
            return "between_chips"
        return "link_x" if begin[0] != end[0] else "link_y"

    def _count_chips(self):
        """Chips in use, spikes between them, and the borders of chips that these cross."""
        self.chips = None
        self.spikes_between_chips = None
        self.hops_between_chips = None
        if self.hardware.chip is None:
            return
        self.chips = len({self._chip_at(self.place[c]) for c in self.core.values()})
        self.spikes_between_chips = 0
        self.hops_between_chips = 0
        for source, begin, core in self.journeys():
            chip = self._chip_at(begin)
            borders = len(route(chip, self._chip_at(self.place[core])))
            if borders:
                self.spikes_between_chips += self.spikes[source]
            self.hops_between_chips += self.spikes[source] * borders

    def _chip_at(self, position):
        width, height = self.hardware.chip
        return position[0] // width, position[1] // height

    def barrier(self):
        """Time of the barrier of as many routers as have cores in use."""
        routers = len({self.router(core) for core in self.core.values()})
        table = self.hardware.time_ns.barrier
        smaller_keys = [key for key in table if key <= routers]
        return table[max(smaller_keys, default=min(table))]

    def memory_bits(self, sharing):
        """Bits of the memory of each core.

        They are those of the lists of all sources, or of the different ones.
        """
        lists = defaultdict(list)
        local_index = {}
        core_sizes = defaultdict(int)
        for neuron in sorted(self.core):
            core = self.core[neuron]
            local_index[neuron] = core_sizes[core]
            core_sizes[core] += 1
        for source, target, _, weight in self.edges:
            lists[self.core[target], source].append((local_index[target], weight))
        stored_lists = defaultdict(set)
        for (core, source), entries in lists.items():
            entries.sort()
            first_index = entries[0][0]
            kernel = tuple((index - first_index, weight) for index, weight in entries)
            stored_lists[core].add((kernel, source if sharing == "none" else None))
        bits = []
        for core in range(self.cores):
            bits.append(19 * sum(len(kernel) for kernel, _ in stored_lists[core]))
        return bits


def summarise(delays):
    """Mean and largest delay of spikes, given (delay, spikes) of each message."""
    spike_total = sum(spikes for _, spikes in delays)
    delay_total = sum(delay * spikes for delay, spikes in delays)
    mean = delay_total / spike_total if spike_total else 0
    return mean, max((delay for delay, spikes in delays if spikes), default=0)


def found_load(message, link):
    """Spikes over a link with the routing that takes its time."""
    multicast = message.hardware.time_ns.routing == "multicast"
    return (message.multicast_loads if multicast else message.loads)[link]


SCALARS = [
    "connectivity",
    "cut",
    "hops_unicast",
    "hops_multicast",
    "link_load_mean",
    "link_load_max",
]
SCALARS += ["energy_pj", "network_energy_pj"]
SCALARS += ["multicast_link_load_mean", "multicast_link_load_max"]
SCALARS += ["external_degrees", "overlap_mean", "overlap_geometric_mean"]
SCALARS += ["reuse", "outside_spikes", "latency_ns_mean", "latency_ns_max"]
OF_EVENTS = ["step_ns", "chips", "spikes_between_chips", "hops_between_chips"]


def assert_equal_figures(figures, reference):
    """Compare every figure of a cost."""
    hardware, value_of = reference.hardware, values(figures)
    for name in SCALARS[: -2 if hardware.latency_ns is None else None] + OF_EVENTS:
        value = getattr(reference, name)
        assert value_of.get(name) == (
            None if value is None else pytest.approx(value, rel=1e-12, abs=1e-9)
        ), name
    for name in ("neurons", "axons", "synapses"):
        np.testing.assert_array_equal(figures.per_core[name], getattr(reference, name))
    assert figures.max_over_mean == pytest.approx(reference.max_over_mean)
    for name in ("spikes_in", "spikes_out", "synaptic_operations"):
        np.testing.assert_allclose(
            figures.per_core[name], getattr(reference, name), atol=1e-9
        )
    assert figures.cores.cores == np.count_nonzero(reference.neurons)
    if hardware.input_ports:
        assert figures.input.spikes_with_input == pytest.approx(
            reference.connectivity + reference.outside_spikes
        )
        assert figures.input.input_hops_unicast == pytest.approx(
            reference.input_hops_unicast
        )
        assert figures.input.input_hops_multicast == pytest.approx(
            reference.input_hops_multicast
        )
    for own_projection, other_projection in zip(
        figures.per_projection, reference.projections
    ):
        assert (own_projection.source, own_projection.target) == other_projection[:2]
        assert (own_projection.connectivity, own_projection.cut) == pytest.approx(
            other_projection[2:]
        )
    assert len(figures.per_projection) == len(reference.projections)
    if hardware.axons_out_per_core is not None:
        assert figures.per_core["axons_out"].tolist() == reference.axons_out
    if hardware.synapse_memory is not None:
        assert figures.per_core["memory_bits"].tolist() == reference.memory_bits(
            hardware.synapse_memory.sharing
        )
    if hardware.events:
        counts = reference.event_counts
        assert figures.events == pytest.approx(
            {name: counts[name] for name in figures.events}
        )
        assert sum(figures.energy_by_part_pj.values()) == pytest.approx(
            figures.energy.picojoules
        )
        np.testing.assert_allclose(figures.per_core["step_ns"], reference.core_ns)
        bound, end = reference.bound, reference.barrier()
        if reference.link_ns > max(reference.core_ns):
            bound = ("link", reference.link_ns, None)
        bound = ("barrier", end, None) if end > bound[1] else bound
        step_bound = figures.step.step_bound
        assert (step_bound.by, step_bound.core) == (bound[0], bound[2])
        assert step_bound.ns == pytest.approx(bound[1])
        if bound[0] == "link":
            ends = tuple(map(tuple, step_bound.link))
            assert found_load(reference, ends) == pytest.approx(
                found_load(reference, reference.busiest_link)
            )


def total_hops(traffic, places):
    """Spikes times Manhattan distance, summed over all pairs of cores."""
    entries = traffic.tocoo()
    return sum(
        n * np.abs(places[a] - places[b]).sum()
        for a, b, n in zip(entries.row, entries.col, entries.data)
    )
