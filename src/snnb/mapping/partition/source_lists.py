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
        self._shared = [connection for connection in connections if connection.geometry.pairing == "dense"]
        self._further: List[Union[GraphProjection, Connection]] = [*self.sparse]
        self._further += [connection for connection in connections if connection.geometry.pairing != "dense"]
        # Numbers of sources that the neurons at each position share, and of further sources of each neuron
        shared = [connection.in_degrees[:: self.filters] for connection in self._shared]
        self._n_shared = sum(shared, np.zeros(self.positions, np.int64))
        self._n_further = sum((one.in_degrees for one in self._further), np.zeros(population.size, np.int64))

    @property
    def max_shared(self) -> int:
        """Largest number of sources that the neurons at a position share."""
        return int(self._n_shared.max())

    @property
    def max_further(self) -> int:
        """Largest number of further sources of a neuron: over enumerated projections and those of diagonal pairing."""
        return int(self._n_further.max())

    def parts(self) -> List[Tuple[int, int]]:
        """Return ranges of positions with at most about `MOST_SOURCES` sources each."""
        further = self._n_further.reshape(self.positions, self.filters).sum(axis=1)
        groups = np.cumsum(1 + self._n_shared + further) // MOST_SOURCES
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
            further = np.bincount(pairs, minlength=(last - first) * chunks).reshape(last - first, chunks)
            largest = max(largest, int((further.max(axis=1) + np.diff(sources.position_start)).max()))
        return largest

    def of(self, first: int, last: int) -> Sources:
        """List the sources of the neurons at positions `first` to `last` − 1."""
        shared = [
            (offsets_of(c.in_degrees[:: self.filters][first:last]), c.sources_of_range(first, last, by_position=True))
            for c in self._shared
        ]
        begin, end = first * self.filters, last * self.filters
        further = [(offsets_of(one.in_degrees[begin:end]), one.sources_of_range(begin, end)) for one in self._further]
        return Sources(*joined_lists(shared, last - first), *joined_lists(further, end - begin))
