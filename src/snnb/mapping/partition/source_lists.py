"""Lists of the sources of a population's neurons, by position."""

from typing import List, NamedTuple, Tuple, Union

import numpy as np

from snnb.graph.connection import Connection
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection, joined_lists
from snnb.mapping.traffic import MappableNetwork
from snnb.network.geometry import PADDING

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
        connections = [c for projection in projections if projection not in self.sparse for c in projection.connections]
        self.filters, self._nodes = max(1, population.shape[-1]), network.graph.number_of_nodes()
        self.positions = population.size // self.filters
        self._shared = [_Inputs(one) for one in connections if one.geometry.pairing == "dense"]
        self._apart: List[Union[_Inputs, _SparseInputs]] = list(map(_SparseInputs, self.sparse))
        self._apart += [_Inputs(one) for one in connections if one.geometry.pairing != "dense"]

    @property
    def most_shared(self) -> int:
        """Largest number of sources that the neurons at a position share."""
        return int(np.max(sum((inputs.counts for inputs in self._shared), np.zeros(self.positions, np.int64))))

    @property
    def most_own(self) -> int:
        """Largest number of further sources of a neuron: over enumerated projections and those of diagonal pairing."""
        return int(np.max(sum((inputs.counts for inputs in self._apart), np.zeros(1, np.int64))))

    def parts(self) -> List[Tuple[int, int]]:
        """Return ranges of positions with at most about `MOST_SOURCES` sources each."""
        weights = sum((inputs.counts for inputs in self._shared), np.ones(self.positions, np.int64))
        for inputs in self._apart:
            weights = weights + inputs.counts.reshape(self.positions, -1).sum(axis=1)
        groups = np.cumsum(weights) // MOST_SOURCES
        ends = [*(np.flatnonzero(np.diff(groups)) + 1).tolist(), self.positions]
        return list(zip([0, *ends], ends))

    def most_of(self, chunks: int) -> int:
        """Return the largest number of sources of a position's neurons, divided into `chunks` chunks of channels."""
        most = 0
        for first, last in self.parts():
            sources, group = self.of(first, last), np.arange((last - first) * self.filters) // self.filters * chunks
            group += np.tile(np.arange(self.filters) * chunks // self.filters, last - first)
            owner = np.repeat(group, np.diff(sources.neuron_start))
            pairs = np.unique(owner * self._nodes + sources.neuron_source) // self._nodes
            further = np.bincount(pairs, minlength=(last - first) * chunks).reshape(last - first, chunks)
            most = max(most, int((further.max(axis=1) + np.diff(sources.position_start)).max()))
        return most

    def of(self, first: int, last: int) -> Sources:
        """List the sources of the neurons at positions `first` to `last` − 1."""
        shared = joined_lists([inputs.sources_of(first, last) for inputs in self._shared], last - first)
        first, last = first * self.filters, last * self.filters
        return Sources(*shared, *joined_lists([inputs.sources_of(first, last) for inputs in self._apart], last - first))


class _Inputs:
    """The sources over one connection: of each position, or with diagonal pairing of each neuron."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._by_position = connection.geometry.pairing == "dense"
        fan_in = connection.geometry.fan_in(connection.ids != PADDING)
        self.counts = (fan_in[:, :, 0] if self._by_position else fan_in).ravel()

    def sources_of(self, first: int, last: int) -> Tuple[np.ndarray, np.ndarray]:
        start = np.concatenate([[0], np.cumsum(self.counts[first:last])])
        source = np.empty(start[-1], np.int64)
        self._connection.sources_of_range(first, last, source, by_position=self._by_position)
        return start, source


class _SparseInputs:
    """The sources of each neuron in a pruned projection: those at a position are not the same."""

    def __init__(self, projection: GraphProjection) -> None:
        self._projection, self.counts = projection, projection.in_degrees

    def sources_of(self, first: int, last: int) -> Tuple[np.ndarray, np.ndarray]:
        start = np.concatenate([[0], np.cumsum(self.counts[first:last])])
        return start, self._projection.sources_of_range(first, last)
