"""The neurons of a graph that are placed on cores, and the spikes that they send."""

from dataclasses import dataclass
from functools import cached_property
from typing import Optional, Tuple

import numpy as np

from snnb.core.errors import UsageError
from snnb.graph import adjacency
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import LIST_EDGES, GraphProjection
from snnb.graph.store import index_dtype
from snnb.graph.synapse_graph import SynapseGraph

MOST_WEIGHT = 2.0**40  # sum of the weights of the search for spikes that are not whole numbers


@dataclass(frozen=True, eq=False)
class PlacedNetwork:
    """A graph to map: all neurons except the inputs are placed, and numbered from 0."""

    graph: SynapseGraph  # a graph with spike counts
    first: int  # id in the graph of the first placed neuron: the size of the inputs
    spikes: np.ndarray  # (neurons,) float64: spikes of each neuron per sample
    # (neurons,) int64: weights of the neurons in the search, in proportion to `spikes`: the spikes over all samples, if
    # these are whole numbers
    counts: np.ndarray
    # (inputs,) float64: spikes per sample of the inputs; None if all are constant currents, which need no axons
    outside: Optional[np.ndarray]

    @classmethod
    def of(cls, graph: SynapseGraph) -> "PlacedNetwork":
        """Return the network of a graph; raise `UsageError` if the graph has no spike counts."""
        if graph.recording is None:
            raise UsageError(
                f"{graph.path} has weights only, and a mapping is about spikes; make the graph of a simulation"
            )
        if not graph.number_of_neurons():
            raise UsageError(f"{graph.path} has inputs only, and no neurons to map")
        samples = graph.recording.num_samples
        found = np.concatenate([np.asarray(population.spike_count).ravel() for population in graph.layers])
        counts = found.astype(np.int64)
        if (counts != found).any():
            counts = np.rint(found * (MOST_WEIGHT / found.sum())).astype(np.int64)
        outside = None
        if any(population.coding != "current" for population in graph.inputs):
            sent = [np.asarray(p.spike_count).ravel() * (p.coding != "current") for p in graph.inputs]
            outside = np.concatenate(sent) / samples
        return cls(graph, graph.layers[0].first, found / samples, counts, outside)

    @property
    def neurons(self) -> int:
        """Number of placed neurons."""
        return self.counts.size

    @property
    def samples(self) -> int:
        """Number of samples over which the spikes were counted."""
        assert self.graph.recording is not None  # `of` refuses such a graph
        return self.graph.recording.num_samples

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """Synapses onto each neuron: int64, shape (neurons,); a constant input's too, as they take synapse memory."""
        return self._onto(self.graph.projections)

    @cached_property
    def fan_in(self) -> np.ndarray:
        """Distinct sources of spikes of each neuron, including a spiking input: int64, shape (neurons,)."""
        return self._onto(tuple(p for p in self.graph.projections if p.source in self.sources))

    @property
    def listed(self) -> bool:
        """Whether edges are listed, or there are none: no kernel tells which neurons share sources."""
        projections = self.graph.projections
        return not projections or any(not projection.connections for projection in projections)

    @cached_property
    def source_lists(self) -> Tuple[np.ndarray, np.ndarray]:
        """Ids of the distinct sources of spikes of each neuron, including a spiking input, in CSR form: int64, int."""
        from snnb.graph.edge_loops import scatter_sources

        start = np.concatenate([[0], np.cumsum(self.fan_in)])
        ends, source = start[:-1].copy(), np.empty(start[-1], index_dtype(self.graph.number_of_nodes()))
        for projection in self.graph.projections:
            if projection.source in self.sources:
                for batch in projection.edge_batches(LIST_EDGES):
                    scatter_sources(batch.source, batch.target, self.first, ends, source)
        return start, source

    def _onto(self, projections: Tuple[GraphProjection, ...]) -> np.ndarray:
        return np.concatenate([adjacency.in_degrees(projections, target) for target in self.populations])

    @property
    def populations(self) -> Tuple[GraphPopulation, ...]:
        """The placed populations, in the order of their neurons' numbers."""
        return self.graph.layers

    @property
    def sources(self) -> Tuple[GraphPopulation, ...]:
        """The populations whose neurons send spikes."""
        return tuple(p for p in self.graph.populations if p.first >= self.first or p.coding != "current")

    def part(self, population: GraphPopulation) -> slice:
        """Return the slice of a placed population among all placed neurons."""
        start = population.first - self.first
        return slice(start, start + population.size)

    def spikes_of(self, population: GraphPopulation) -> np.ndarray:
        """Return the spikes per sample of each neuron of one of `sources`: float64, flat."""
        return self.sent_by(population, self.spikes[None], None if self.outside is None else self.outside[None])[0]

    def sent_by(self, population: GraphPopulation, spikes: np.ndarray, outside: Optional[np.ndarray]) -> np.ndarray:
        """Return the columns of one of `sources` of `spikes` (rows, neurons), or of `outside` (rows, inputs)."""
        if population.first >= self.first:
            return spikes[:, self.part(population)]
        assert outside is not None  # otherwise it is not a source
        return outside[:, population.first : population.first + population.size]

    def projections_from(self, population: GraphPopulation) -> Tuple[GraphProjection, ...]:
        """Return the projections from a population, in the order of the graph."""
        return tuple(p for p in self.graph.projections if p.source is population)

    def projections_to(self, population: GraphPopulation) -> Tuple[GraphProjection, ...]:
        """Return the projections to a population, in the order of the graph."""
        return tuple(p for p in self.graph.projections if p.target is population)
