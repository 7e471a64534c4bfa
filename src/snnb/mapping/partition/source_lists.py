"""Lists of the sources of a population's neurons, by position."""

from typing import List, NamedTuple, Tuple, Union

import numpy as np

from snnb.graph.connection import Connection, offsets_of
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection, joined_lists
from snnb.mapping.traffic import MappableNetwork

MOST_SOURCES = 1 << 22  # in a list


class Sources(NamedTuple):
    """The sources of the neurons at some positions of a population, int64.

    The neurons at position p share the sources position_start[p] to before
    position_start[p + 1] of `position_source`; a source may occur twice. Neuron n has
    further sources in `neuron_source`, likewise.
    """

    position_start: np.ndarray  # (positions + 1,)
    position_source: np.ndarray  # ids of nodes of the graph
    neuron_start: np.ndarray  # (neurons + 1,)
    neuron_source: np.ndarray  # ids of nodes of the graph


class SourceLists:
    """Lists of the sources of a population's neurons, by position.

    There are `filters` neurons at a position.

    Attributes
    ----------
    filters, positions : int
        Their product is the size of the population.
    has_listed_edges : bool
        Whether a projection onto the population has listed edges.
    position_counts : (positions,) int64 array
        Number of sources that the neurons at a position share: those over kernels that
        read all channels.
    neuron_counts : (neurons,) int64 array
        Number of further sources of a neuron: those over listed edges, and over kernels
        that read some channels.
    """

    def __init__(self, network: MappableNetwork, population: GraphPopulation) -> None:
        incoming = network.projections_to(population)
        projections = [p for p in incoming if p.source in network.sources]
        self._position_inputs: List[Connection] = []
        self._neuron_inputs: List[Union[GraphProjection, Connection]] = []
        self._neuron_inputs += [p for p in projections if p.enumerated]
        self.has_listed_edges = len(self._neuron_inputs) > 0
        for projection in projections:
            if projection.enumerated:
                continue
            for connection in projection.connections:
                if connection.geometry.pairing == "dense":
                    self._position_inputs.append(connection)
                else:
                    self._neuron_inputs.append(connection)
        self.filters = max(1, population.shape[-1])
        self.positions = population.size // self.filters
        self._nodes = network.graph.number_of_nodes()
        self.position_counts = np.zeros(self.positions, np.int64)
        for connection in self._position_inputs:
            self.position_counts += connection.in_degrees[:: self.filters]
        self.neuron_counts = np.zeros(population.size, np.int64)
        for neuron_input in self._neuron_inputs:
            self.neuron_counts += neuron_input.in_degrees

    def ranges(self) -> List[Tuple[int, int]]:
        """Return ranges of positions with at most about `MOST_SOURCES` sources each.

        A range is its first position, and the position after its last.
        """
        by_position = self.neuron_counts.reshape(self.positions, self.filters)
        neuron_counts = by_position.sum(axis=1)
        sources = np.cumsum(1 + self.position_counts + neuron_counts)
        is_last_of_range = np.diff(sources // MOST_SOURCES) > 0
        begins = [0, *(np.flatnonzero(is_last_of_range) + 1).tolist()]
        return list(zip(begins, [*begins[1:], self.positions]))

    def most_sources(self, chunks: int) -> int:
        """Return the largest number of sources of a chunk of neurons at a position.

        The neurons at each position are divided into `chunks` chunks of channels.
        """
        max_sources = 0
        chunk_of_filter = np.arange(self.filters) * chunks // self.filters
        for begin, end in self.ranges():
            positions = end - begin
            sources = self.list_sources(begin, end)
            first_chunk = np.arange(positions) * chunks
            chunk = np.add.outer(first_chunk, chunk_of_filter).ravel()
            chunk_of_source = np.repeat(chunk, np.diff(sources.neuron_start))
            pairs = np.unique(chunk_of_source * self._nodes + sources.neuron_source)
            counts = np.bincount(pairs // self._nodes, minlength=positions * chunks)
            chunk_counts = counts.reshape(positions, chunks).max(axis=1)
            position_counts = np.diff(sources.position_start)
            max_sources = max(max_sources, int((chunk_counts + position_counts).max()))
        return max_sources

    def list_sources(self, begin: int, end: int) -> Sources:
        """List the sources of the neurons at positions `begin` to `end` − 1."""
        position_lists = []
        for connection in self._position_inputs:
            counts = connection.in_degrees[:: self.filters][begin:end]
            sources = connection.sources_of_range(begin, end, by_position=True)
            position_lists.append((offsets_of(counts), sources))
        first_neuron = begin * self.filters
        end_neuron = end * self.filters
        neuron_lists = []
        for neuron_input in self._neuron_inputs:
            counts = neuron_input.in_degrees[first_neuron:end_neuron]
            sources = neuron_input.sources_of_range(first_neuron, end_neuron)
            neuron_lists.append((offsets_of(counts), sources))
        positions = joined_lists(position_lists, end - begin)
        neurons = joined_lists(neuron_lists, end_neuron - first_neuron)
        return Sources(*positions, *neurons)
