"""Every figure of a cost by its definition, with plain dictionaries, of the edges that the csv export lists."""

import csv
from ast import literal_eval
from collections import defaultdict

import numpy as np

from snnb.graph.export.write_export import export


def csv_edges(graph, folder):
    """List (source id, target id, names of both populations, weight) of each line of the csv export."""
    populations = {population.name: population for population in graph.populations}

    def node(name, index):
        population = populations[name]
        return population.first + int(np.ravel_multi_index(literal_eval(index), population.shape))

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
    """The figures under the names of `Cost`."""

    def __init__(self, graph, edges, core, hardware, place):
        first, spikes = graph.layers[0].first, spikes_of(graph)
        places = [tuple(map(int, where)) for where in place]
        core = {first + number: int(where) for number, where in enumerate(core)}
        self.cores, operations = len(places), 0
        reached, by_projection = defaultdict(set), defaultdict(lambda: defaultdict(set))
        for source, target, names, _ in edges:
            if source in spikes:
                reached[source].add(core[target])
                by_projection[names][source].add(core[target])
                operations += spikes[source]
        self.neurons = self._per_core(core.values())
        self.synapses = self._per_core(core[target] for _, target, *_ in edges)
        self.axons = self._per_core(where for cores in reached.values() for where in cores)
        self.outside_spikes = sum(spikes[s] * len(cores) for s, cores in reached.items() if s < first)
        away, self.connectivity, self.cut = self._spread(reached, core, spikes, first)
        self.projections = [
            (*names, *self._spread(by_projection[names], core, spikes, first)[1:])
            for names in ((projection.source.name, projection.target.name) for projection in graph.projections)
        ]
        self._routes(away, core, spikes, hardware, places)
        if hardware.energy_pj.synapse is not None:
            self.energy_pj += operations * hardware.energy_pj.synapse
        shares = [s / a for s, a in zip(self.synapses, self.axons) if a]
        self.reuse = sum(shares) / len(shares) if shares else 0

    @staticmethod
    def _spread(reached, core, spikes, first):
        away = {s: cores - {core[s]} for s, cores in reached.items() if s >= first}
        connectivity = sum(spikes[s] * len(cores) for s, cores in away.items())
        return away, connectivity, sum(spikes[s] for s in away if away[s])

    def _per_core(self, cores):
        return np.bincount(list(cores), minlength=self.cores).tolist()

    def _routes(self, away, core, spikes, hardware, places):
        router, link = hardware.energy_pj.router, hardware.energy_pj.link
        self.hops_unicast = self.hops_multicast = self.energy_pj = 0
        self.spikes_in, self.spikes_out = [0] * self.cores, [0] * self.cores
        self.traffic = np.zeros((self.cores, self.cores))
        loads, delays = defaultdict(float), []
        for source, cores in away.items():
            here, union = core[source], set()
            for there in cores:
                links = route(places[here], places[there])
                union |= links
                hops = len(links)
                self.hops_unicast += spikes[source] * hops
                self.energy_pj += spikes[source] * ((hops + 1) * router + hops * link)
                self.traffic[here, there] += spikes[source]
                self.spikes_out[here] += spikes[source]
                self.spikes_in[there] += spikes[source]
                delay = (hops + 1) * hardware.latency_ns.router + hops * hardware.latency_ns.link
                delays.append((delay, spikes[source]))
                for crossed in links:
                    loads[crossed] += spikes[source]
            self.hops_multicast += spikes[source] * len(union)
        weight = sum(spikes for _, spikes in delays)
        self.latency_ns_mean = sum(delay * spikes for delay, spikes in delays) / weight if weight else 0
        self.latency_ns_max = max((delay for delay, spikes in delays if spikes), default=0)
        width, height = hardware.mesh
        links = 2 * ((width - 1) * height + width * (height - 1))
        self.link_load_mean = sum(loads.values()) / links if links else 0
        self.link_load_max = max(loads.values(), default=0)


def total_hops(traffic, places):
    """Spikes times Manhattan distance, summed over all pairs of cores."""
    entries = traffic.tocoo()
    return sum(n * np.abs(places[a] - places[b]).sum() for a, b, n in zip(entries.row, entries.col, entries.data))
