"""The neurons of a graph that are placed on cores, and the spikes that they send."""

from dataclasses import dataclass
from functools import cached_property
from typing import Optional, Tuple

import numpy as np

from snnb.core.errors import UsageError
from snnb.graph import adjacency
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph


@dataclass(frozen=True, eq=False)
class PlacedNetwork:
    """A graph to map: all neurons except the input are placed, and numbered from 0."""

    graph: SynapseGraph  # a graph with spike counts
    first: int  # id in the graph of the first placed neuron: the size of the input
    counts: np.ndarray  # (neurons,) int64: spikes of each neuron over all samples
    # (input,) float64: spikes per sample of a spiking input; None for a constant current, which needs no axons
    outside: Optional[np.ndarray]

    @classmethod
    def of(cls, graph: SynapseGraph) -> "PlacedNetwork":
        """Return the network of a graph; raise `UsageError` if the graph has no spike counts."""
        if graph.recording is None:
            raise UsageError(
                f"{graph.path} has weights only, and a mapping is about spikes; make the graph of a simulation"
            )
        source, *placed = graph.populations
        counts = np.concatenate([np.asarray(population.spike_count).ravel() for population in placed])
        spiking = source.coding != "current"
        outside = np.asarray(source.spike_count).ravel() / graph.recording.num_samples if spiking else None
        return cls(graph, source.size, counts.astype(np.int64, copy=False), outside)

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
    def spikes(self) -> np.ndarray:
        """Spikes of each neuron per sample: float64, shape (neurons,)."""
        return self.counts / self.samples

    @cached_property
    def in_degrees(self) -> np.ndarray:
        """Synapses onto each neuron: int64, shape (neurons,); a constant input's too, as they take synapse memory."""
        return self._onto(self.graph.projections)

    @cached_property
    def fan_in(self) -> np.ndarray:
        """Distinct sources of spikes of each neuron, including a spiking input: int64, shape (neurons,)."""
        return self._onto(tuple(p for p in self.graph.projections if p.source in self.sources))

    def _onto(self, projections: Tuple[GraphProjection, ...]) -> np.ndarray:
        return np.concatenate([adjacency.in_degrees(projections, target) for target in self.populations])

    @property
    def populations(self) -> Tuple[GraphPopulation, ...]:
        """The placed populations, in the order of their neurons' numbers."""
        return self.graph.populations[1:]

    @property
    def sources(self) -> Tuple[GraphPopulation, ...]:
        """The populations whose neurons send spikes."""
        return self.graph.populations[1 if self.outside is None else 0 :]

    def part(self, population: GraphPopulation) -> slice:
        """Return the slice of a placed population among all placed neurons."""
        start = population.first - self.first
        return slice(start, start + population.size)

    def spikes_of(self, population: GraphPopulation) -> np.ndarray:
        """Return the spikes per sample of each neuron of one of `sources`: float64, flat."""
        if population.first >= self.first:
            return self.spikes[self.part(population)]
        assert self.outside is not None  # otherwise it is not a source
        return self.outside

    def projections_from(self, population: GraphPopulation) -> Tuple[GraphProjection, ...]:
        """Return the projections from a population, in the order of the graph."""
        return tuple(p for p in self.graph.projections if p.source is population)

    def projections_to(self, population: GraphPopulation) -> Tuple[GraphProjection, ...]:
        """Return the projections to a population, in the order of the graph."""
        return tuple(p for p in self.graph.projections if p.target is population)
