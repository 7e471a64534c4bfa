"""Every figure of a cost by its definition, with plain dictionaries, of the edges that the csv export lists."""

import csv
from ast import literal_eval
from collections import defaultdict

import numpy as np
import pytest

from snnb.core.quantities import values
from snnb.formats.write_export import export


def csv_edges(graph, folder):
    """List (source id, target id, names of both populations, weight) of each line of the csv export."""
    populations = {population.name: population for population in graph.populations}

    def node(name, index):
        population = populations[name]
        return population.first + int(
            np.ravel_multi_index(literal_eval(index), population.shape)
        )

    with export(graph, "csv", folder / "edges.csv", force=True).path.open() as file:
        return [
            (
                node(row["source_group"], row["source_neuron"]),
                node(row["dest_group"], row["dest_neuron"]),
                (row["source_group"], row["dest_group"]),
                float(row["weight"]),
            )
            for row in csv.DictReader(file)
        ]


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
    (x, y), links = begin, set()
    while x != end[0]:
        step = 1 if end[0] > x else -1
        links.add(((x, y), (x + step, y)))
        x += step
    while y != end[1]:
        step = 1 if end[1] > y else -1
        links.add(((x, y), (x, y + step)))
        y += step
    return links


class Expected:
    """The figures of a mapping under the names of `Cost`, each by its definition."""

    def __init__(self, graph, edges, core, hardware, place):
        self.graph = graph
        self.edges = edges
        self.hardware = hardware
        self.first, self.steps = graph.layers[0].first, graph.recording.num_timesteps
        self.place, self.tile = (
            [tuple(map(int, where)) for where in place],
            hardware.tile or (1, 1),
        )
        self.core = {
            self.first + number: int(where) for number, where in enumerate(core)
        }
        self.spikes, self.cores = spikes_of(graph), len(self.place)
        self.reached, by_projection = (
            defaultdict(set),
            defaultdict(lambda: defaultdict(set)),
        )
        for source, target, names, _ in edges:
            if source in self.spikes:
                self.reached[source].add(self.core[target])
                by_projection[names][source].add(self.core[target])
        self.neurons = self._per_core(self.core.values())
        self.synapses = self._per_core(self.core[target] for _, target, *_ in edges)
        self.axons = self._per_core(
            where for cores in self.reached.values() for where in cores
        )
        core_places = {
            source: cores
            for source, cores in self.reached.items()
            if source >= self.first
        }
        self.axons_out = self._per_core(
            self.core[source] for source, cores in core_places.items() for _ in cores
        )
        self.outside_spikes = sum(
            self.spikes[s] * len(c) for s, c in self.reached.items() if s < self.first
        )
        self.away, self.connectivity, self.cut = self._spread(self.reached)
        self.projections = [
            (*names, *self._spread(by_projection[names])[1:])
            for names in (
                (projection.source.name, projection.target.name)
                for projection in graph.projections
            )
        ]
        shares = [s / a for s, a in zip(self.synapses, self.axons) if a]
        self.reuse = sum(shares) / len(shares) if shares else 0
        targets, sources = defaultdict(set), defaultdict(set)
        for source, target, *_ in edges:
            if source in self.spikes:
                targets[source].add(target)
                sources[self.core[target]].add((source, target))
        self.external_degrees = sum(
            self.spikes[s] * len(c) * (1 + len(targets[s]))
            for s, c in self.away.items()
        )
        used = [core for core in range(self.cores) if self.neurons[core]]
        overlap = [
            len(sources[core]) / self.axons[core] if self.axons[core] else 0
            for core in used
        ]
        self.overlap_mean = sum(overlap) / len(used)
        self.overlap_geometric_mean = np.prod(
            [one_overlap for one_overlap in overlap if one_overlap]
        ) ** (1 / len(used))
        self.active = {
            target for source, target, *_ in edges if self.spikes.get(source, 1)
        }
        for population in graph.layers:
            self.active |= {
                population.first + int(n)
                for n in np.flatnonzero(population.bias.ravel())
            }
        self._routes()
        figures = dict(hardware.energy_pj)
        figures.update(
            {
                name: figures["link"]
                for name in ("link_x", "link_y")
                if figures["link"] is not None
            }
        )
        self.event_counts, self.core_ns = self.events(self.spikes, self.steps)
        picojoules = sum(
            n * figures[name]
            for name, n in self.event_counts.items()
            if figures[name] is not None
        )
        neuron_counts = (
            "neuron_inactive",
            "neuron_active",
            "spike",
            "axon_out",
            "axon_in",
        )
        self.energy_pj = self.network_energy_pj = None
        if any(figures[name] is not None for name in neuron_counts):
            self.energy_pj = picojoules
        else:
            self.network_energy_pj = picojoules
        self.link_ns, self.busiest_link = self.link_time(self.spikes, self.steps)
        self.step_ns = None
        if hardware.time_ns is not None:
            self.step_ns = max(*self.core_ns, self.link_ns) + self.barrier()
        self.chips, self.spikes_between_chips, self.hops_between_chips = (
            self._count_chips()
        )

    def _spread(self, reached_cores):
        away = {
            s: cores - {self.core[s]}
            for s, cores in reached_cores.items()
            if s >= self.first
        }
        connectivity = sum(self.spikes[s] * len(cores) for s, cores in away.items())
        return away, connectivity, sum(self.spikes[s] for s in away if away[s])

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
        """Source, position where its spike begins, and core reached, of each message that has a route."""
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
        self.hops_unicast = 0
        self.spikes_in, self.spikes_out = [0] * self.cores, [0] * self.cores
        self.traffic, latency = (
            np.zeros((self.cores, self.cores)),
            self.hardware.latency_ns,
        )
        delays = []
        self.input_hops_unicast = self.input_hops_multicast = 0
        self.input_loads = defaultdict(float)
        for source, begin, place in self.journeys():
            spikes = self.spikes[source]
            links = route(self.router_at(begin), self.router(place))
            self.hops_unicast += spikes * len(links)
            if source >= self.first:
                here_core = self.core[source]
                self.traffic[here_core, place] += spikes
                self.spikes_out[here_core] += spikes
                self.spikes_in[place] += spikes
            else:
                self.input_hops_unicast += spikes * len(links)
                for crossed_link in links:
                    self.input_loads[crossed_link] += spikes
            if latency is not None:
                delays.append(
                    (
                        (len(links) + 1) * latency.router + len(links) * latency.link,
                        spikes,
                    )
                )
        self.loads, self.multicast_loads = self.link_loads(self.spikes)
        self.hops_multicast = sum(self.multicast_loads.values())
        inputs = {
            source: spikes
            for source, spikes in self.spikes.items()
            if source < self.first
        }
        self.input_hops_multicast = sum(self.link_loads(inputs)[1].values())
        weight = sum(spikes for _, spikes in delays)
        self.latency_ns_mean = (
            sum(delay * spikes for delay, spikes in delays) / weight if weight else 0
        )
        self.latency_ns_max = max(
            (delay for delay, spikes in delays if spikes), default=0
        )
        width, height = (
            side // tile for side, tile in zip(self.hardware.mesh, self.tile)
        )
        links = 2 * ((width - 1) * height + width * (height - 1))
        self.link_load_mean = sum(self.loads.values()) / links if links else 0
        self.link_load_max = max(self.loads.values(), default=0)
        self.multicast_link_load_mean = (
            sum(self.multicast_loads.values()) / links if links else 0
        )
        self.multicast_link_load_max = max(self.multicast_loads.values(), default=0)
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
            values = [
                value
                for value, neurons in zip(getattr(self, name), self.neurons)
                if neurons
            ]
            if any(values):
                self.max_over_mean[name] = max(values) * len(values) / sum(values)

    def link_loads(self, spikes):
        """Spikes over each link, with a route for each message, and with those of a source and begin joined."""
        unicast = defaultdict(float)
        multicast = defaultdict(float)
        unions = defaultdict(set)
        for source, begin, there_place in self.journeys():
            links = route(self.router_at(begin), self.router(there_place))
            unions[source, begin] |= links
            for link in links:
                unicast[link] += spikes.get(source, 0)
        for (source, _), links in unions.items():
            for link in links:
                multicast[link] += spikes.get(source, 0)
        return unicast, multicast

    def link_time(self, spikes, steps):
        """Time for which the busiest link is taken in a step, and its ends: the first of equal ones, by x and y."""
        times = self.hardware.time_ns
        if times is None or times.link_spike is None:
            return 0.0, None
        loads = self.link_loads(spikes)[times.routing == "multicast"]
        busiest = min(loads, key=lambda link: (-loads[link], link), default=None)
        return loads[busiest] / steps * times.link_spike if loads else 0.0, busiest

    def events(self, spikes, steps):
        """Events of all cores, and the time of each core, for a number of steps."""
        counts, parts = defaultdict(float), defaultdict(lambda: [0.0] * self.cores)
        names = (
            "neuron_active",
            "neuron_inactive",
            "spike",
            "axon_in",
            "axon_out",
            "synapse",
        )
        ns = {name: getattr(self.hardware.time_ns, name, None) or 0 for name in names}
        for neuron, core in self.core.items():
            kind = "neuron_active" if neuron in self.active else "neuron_inactive"
            counts[kind] += steps
            counts["spike"] += spikes.get(neuron, 0)
            parts["neurons"][core] += (
                steps * ns[kind] + spikes.get(neuron, 0) * ns["spike"]
            )
        for source, cores in self.reached.items():
            for there_core in cores:
                number = spikes.get(source, 0)
                counts["axon_in"] += number
                parts["axons in"][there_core] += number * ns["axon_in"]
                if source >= self.first:
                    counts["axon_out"] += number
                    parts["axons out"][self.core[source]] += number * ns["axon_out"]
        for source, begin, there_core in self.journeys():
            number = spikes.get(source, 0)
            links = route(self.router_at(begin), self.router(there_core))
            counts["router"] += number * (1 + len(links))
            for link in links:
                counts[self._kind_of(*link)] += number
        for source, target, *_ in self.edges:
            number = spikes.get(source, 0)
            counts["synapse"] += number
            parts["synapses"][self.core[target]] += number * ns["synapse"]
        parts = {
            name: np.array(parts[name]) / steps
            for name in ("neurons", "axons out", "axons in", "synapses")
        }
        sides = [("neurons", "axons out"), ("axons in", "synapses")]
        totals = np.array(
            [parts[side] + parts[other_side] for side, other_side in sides]
        )
        busiest = int(totals.max(axis=0).argmax())
        longest = max(
            sides[totals[:, busiest].argmax()], key=lambda part: parts[part][busiest]
        )
        self.bound = longest.split()[0], parts[longest][busiest], busiest
        return counts, totals.max(axis=0).tolist()

    def _kind_of(self, begin, end):
        """The event of a spike on a link between two routers."""
        sides = self.hardware.chip or self.hardware.mesh
        chips = [
            tuple(
                end_part * tile // side
                for end_part, tile, side in zip(ends, self.tile, sides)
            )
            for ends in (begin, end)
        ]
        if self.hardware.energy_pj.between_chips is not None and chips[0] != chips[1]:
            return "between_chips"
        return "link_x" if begin[0] != end[0] else "link_y"

    def _count_chips(self):
        """Chips in use, spikes between them, and the borders of chips that these cross."""
        chip = self.hardware.chip
        if chip is None:
            return None, None, None

        def chip_at(position):
            return position[0] // chip[0], position[1] // chip[1]

        borders = [
            (self.spikes[source], len(route(chip_at(begin), chip_at(self.place[core]))))
            for source, begin, core in self.journeys()
        ]
        leaving = sum(spikes for spikes, borders_crossed in borders if borders_crossed)
        chips = {chip_at(self.place[core]) for core in self.core.values()}
        return (
            len(chips),
            leaving,
            sum(spikes * borders_crossed for spikes, borders_crossed in borders),
        )

    def barrier(self):
        used, table = (
            len({self.router(core) for core in self.core.values()}),
            self.hardware.time_ns.barrier,
        )
        return table[max([key for key in table if key <= used] or [min(table)])]

    def memory_bits(self, sharing):
        """Bits of the memory of each core: of the lists of all sources, or of the different ones."""
        lists = defaultdict(list)
        distinct = defaultdict(set)
        local = {}
        seen = defaultdict(int)
        for neuron in sorted(self.core):
            local[neuron] = seen[self.core[neuron]]
            seen[self.core[neuron]] += 1
        for source, target, _, weight in self.edges:
            lists[self.core[target], source].append((local[target], weight))
        for (core, source), entries in lists.items():
            entries.sort()
            shifted_kernel = tuple(
                (index - entries[0][0], weight) for index, weight in entries
            )
            distinct[core].add((shifted_kernel, source if sharing == "none" else None))
        return [
            19 * sum(len(sources) for sources, _ in distinct[core])
            for core in range(self.cores)
        ]


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
