"""Random graphs of listed edges: self-connections, cycles, isolated neurons, parallel edges, any number of inputs."""

from collections import defaultdict

import numpy as np

from snnb.graph.listed import ListedGraph, ListedPopulation, write_listed
from snnb.network.spike_counts import Recording


def random_graph(
    path,
    seed,
    sizes=(4, 9, 7),
    inputs=1,
    density=0.2,
    chunks=3,
    fractional=True,
    codings=("spikes",),
):
    """A graph, opened, and its synapses: float64 sums of the weights of parallel edges by source and target."""
    random = np.random.default_rng(seed)
    nodes = sum(sizes)
    first_neuron = sum(sizes[:inputs])
    populations = []
    for number, size in enumerate(sizes):
        shape = (size // 2, 2) if size % 2 == 0 and number % 2 else (size,)
        spikes = random.integers(0, 30, shape) * (random.random(shape) < 0.8)
        populations.append(
            ListedPopulation(
                name=f"p{number}",
                shape=shape,
                layer="LIF",
                coding=codings[number % len(codings)] if number < inputs else "spikes",
                spikes=spikes + 0.37 * (spikes > 3) if fractional else spikes,
                bias=random.choice([0, 0.25], shape) if number % 2 else None,
            )
        )
    edges = int(density * nodes**2)
    ends = random.integers(0, nodes, edges), random.integers(first_neuron, nodes, edges)
    weights = random.choice([-1.5, -0.25, 0.0, 0.5, 1.0, 1.0], ends[0].size)
    synapses = defaultdict(float)
    for source, target, weight in zip(
        *(values.tolist() for values in (*ends, weights))
    ):
        synapses[source, target] += weight
    parts = zip(*(np.array_split(values, chunks) for values in (*ends, weights)))
    listed_graph = ListedGraph(populations, parts, inputs=inputs)
    graph = write_listed(listed_graph, path, Recording(4, 25, 0, 0.5), "0" * 64)
    return graph, dict(synapses)


def with_names(graph, synapses):
    """The synapses as `tests.mapping.brute_force` takes them: source, target, names of their populations, weight."""
    name = [p.name for p in graph.populations for _ in range(p.size)]
    return [(s, t, (name[s], name[t]), w) for (s, t), w in sorted(synapses.items())]
