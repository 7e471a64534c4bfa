"""Lists of the sources of a population's neurons, by position."""

from typing import List, NamedTuple, Tuple, Union

import numpy as np

from snnb.graph.connection import Connection, offsets_of
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection, joined_lists
from snnb.mapping.traffic import MappableNetwork

MOST_SOURCES = 1 << 22  # in a list


class Sources(NamedTuple):
    """The sources of the neurons at some positions of a population."""

    # Offset of each position, and the ids of the sources that its neurons share; a source may occur twice
    position_start: np.ndarray
    position_source: np.ndarray
    # Offset of each neuron, and its further sources
    neuron_start: np.ndarray
    neuron_source: np.ndarray


class SourceLists:
    """Lists of the sources of a population's neurons, by position; there are `filters` neurons at a position."""

    def __init__(self, network: MappableNetwork, population: GraphPopulation) -> None:
        projections = [p for p in network.projections_to(population) if p.source in network.sources]
        self.sparse = [p for p in projections if p.enumerated]
        connections = [connection for p in projections if not p.enumerated for connection in p.connections]
        self.filters, self._nodes = max(1, population.shape[-1]), network.graph.number_of_nodes()
        self.positions = population.size // self.filters
        self._position_inputs = [connection for connection in connections if connection.geometry.pairing == "dense"]
        self._neuron_inputs: List[Union[GraphProjection, Connection]] = [*self.sparse]
        self._neuron_inputs += [connection for connection in connections if connection.geometry.pairing != "dense"]
        # Number of sources that the neurons at each position share, and of further sources of each neuron: over
        # enumerated projections and those of diagonal pairing
        shared = [connection.in_degrees[:: self.filters] for connection in self._position_inputs]
        further = [one.in_degrees for one in self._neuron_inputs]
        self.n_position_sources = sum(shared, np.zeros(self.positions, np.int64))
        self.n_neuron_sources = sum(further, np.zeros(population.size, np.int64))

    def parts(self) -> List[Tuple[int, int]]:
        """Return ranges of positions with at most about `MOST_SOURCES` sources each."""
        n_neuron_sources = self.n_neuron_sources.reshape(self.positions, self.filters).sum(axis=1)
        groups = np.cumsum(1 + self.n_position_sources + n_neuron_sources) // MOST_SOURCES
        ends = [*(np.flatnonzero(np.diff(groups)) + 1).tolist(), self.positions]
        return list(zip([0, *ends], ends))

    def max_of(self, chunks: int) -> int:
        """Return the largest number of sources of a position's neurons, divided into `chunks` chunks of channels."""
        largest = 0
        for first, last in self.parts():
            sources, group = self.of(first, last), np.arange((last - first) * self.filters) // self.filters * chunks
            group += np.tile(np.arange(self.filters) * chunks // self.filters, last - first)
            owner = np.repeat(group, np.diff(sources.neuron_start))
            pairs = np.unique(owner * self._nodes + sources.neuron_source) // self._nodes
            n_sources = np.bincount(pairs, minlength=(last - first) * chunks).reshape(last - first, chunks)
            largest = max(largest, int((n_sources.max(axis=1) + np.diff(sources.position_start)).max()))
        return largest

    def of(self, first: int, last: int) -> Sources:
        """List the sources of the neurons at positions `first` to `last` − 1."""
        position_lists = [
            (offsets_of(c.in_degrees[:: self.filters][first:last]), c.sources_of_range(first, last, by_position=True))
            for c in self._position_inputs
        ]
        begin, end = first * self.filters, last * self.filters
        neuron_lists = [
            (offsets_of(one.in_degrees[begin:end]), one.sources_of_range(begin, end)) for one in self._neuron_inputs
        ]
        return Sources(*joined_lists(position_lists, last - first), *joined_lists(neuron_lists, end - begin))
