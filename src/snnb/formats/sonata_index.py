"""The two indices of a SONATA edge file: the edges of each node, as ranges of consecutive edge ids.

(SONATA data format, version 0.1, "Edges: indices": Dai et al., PLOS Computational
Biology 16(2), 2020.)

libsonata's own `write_indices` sorts all edges in memory, 45 bytes per edge. Sorting is
not needed here: edges are in order of source and then target, so that the edges of a
source follow from its degree, and, walking the targets in ascending order, a source
that comes up for the k-th time does so by its k-th edge.
"""

from typing import Callable, Iterator, Sequence, Tuple

import h5py
import numpy as np

from snnb.core.compiled import compiled
from snnb.graph.connection import ranges
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection, in_degrees

CHUNK = 1 << 16  # edges indexed at a time

Lists = Iterator[
    Tuple[np.ndarray, np.ndarray]
]  # for neuron after neuron: indptr, and ranges [from, to) of edge ids


def write_indices(
    group: h5py.Group,
    sources: Sequence[GraphPopulation],
    targets: Sequence[GraphPopulation],
    projections: Sequence[GraphProjection],
    done: Callable[[int], None],
) -> None:
    """Write the indices of sources and of targets, under libsonata's and bmtk's names.

    They are `indices/source_to_target` and `indices/target_to_source`. `projections`
    are in the order of their edges in the edge population `group`. `done` is called
    with the number of edges whose target is indexed.
    """
    sizes = [projection.number_of_edges for projection in projections]
    offsets = np.cumsum([0, *sizes]).tolist()
    index = _Index(group, "source_to_target", sources)
    for population in sources:
        for indptr, edges in _by_source(population, projections, offsets):
            index.append(indptr, edges)
    index = _Index(group, "target_to_source", targets)
    for population in targets:
        for indptr, edges in _by_target(population, projections, offsets):
            index.append(indptr, edges)
            done(int(indptr[-1]))


class _Index:
    """An index of an edge file, to which neurons are appended in order of their ids."""

    def __init__(
        self, group: h5py.Group, name: str, populations: Sequence[GraphPopulation]
    ) -> None:
        """Create `indices/NAME` in `group`, for the nodes of `populations`."""
        nodes = sum(population.size for population in populations)
        index = group.create_group(f"indices/{name}")
        self._node_ranges = index.create_dataset(
            "node_id_to_ranges", (nodes, 2), np.uint64, track_times=False
        )
        # bmtk's name for it, a hard link
        index["node_id_to_range"] = self._node_ranges
        self._range_edges = index.create_dataset(
            "range_to_edge_id", (0, 2), np.uint64, maxshape=(None, 2), track_times=False
        )
        self._nodes = 0  # appended so far, as the ranges
        self._ranges = 0

    def append(self, indptr: np.ndarray, edges: np.ndarray) -> None:
        """Append neurons with their edges.

        `edges[indptr[k] : indptr[k + 1]]` are the ranges [from, to) of the k-th. Ranges
        of a neuron that follow upon each other are merged, in `edges`.
        """
        first_range = np.empty(indptr.size, np.int64)
        n_ranges = merge_adjacent(indptr, edges, first_range)
        first_range += self._ranges
        node_ranges = np.stack([first_range[:-1], first_range[1:]], axis=1)
        end_node = self._nodes + indptr.size - 1
        self._node_ranges[self._nodes : end_node] = node_ranges.astype(np.uint64)
        self._range_edges.resize(self._ranges + n_ranges, axis=0)
        self._range_edges[self._ranges :] = edges[:n_ranges]
        self._nodes = end_node
        self._ranges += n_ranges


def _by_source(
    population: GraphPopulation,
    projections: Sequence[GraphProjection],
    offsets: Sequence[int],
) -> Lists:
    """List the edges of each source, a range for each of its projections."""
    block_edges = [
        (p.out_degrees, offset)
        for p, offset in zip(projections, offsets)
        if p.source is population
    ]
    degrees = (
        np.array([degrees for degrees, _ in block_edges], np.int64)
        .reshape(len(block_edges), population.size)
        .T
    )
    ends = np.cumsum(degrees, axis=0) + np.array(
        [offset for _, offset in block_edges], np.int64
    )
    ranges_of = np.stack([ends - degrees, ends], axis=-1)[degrees > 0].astype(np.uint64)
    yield np.concatenate([[0], np.cumsum(np.count_nonzero(degrees, axis=1))]), ranges_of


def _by_target(
    population: GraphPopulation,
    projections: Sequence[GraphProjection],
    offsets: Sequence[int],
) -> Lists:
    """List the edges of each target one by one."""
    block_edges = [
        (p, offset) for p, offset in zip(projections, offsets) if p.target is population
    ]
    following = [
        offset + np.cumsum(p.out_degrees) - p.out_degrees for p, offset in block_edges
    ]
    degrees = in_degrees(projections, population)
    for start, stop in ranges(degrees, CHUNK):
        targets, edges = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for (projection, _), next_edges in zip(block_edges, following):
            targets.append(
                np.repeat(np.arange(stop - start), projection.in_degrees[start:stop])
            )
            edges.append(
                take_edges(
                    projection.sources_of_range(start, stop) - projection.source.first,
                    next_edges,
                )
            )
        ids = np.concatenate(edges)[np.argsort(np.concatenate(targets), kind="stable")]
        indptr = np.concatenate([[0], np.cumsum(degrees[start:stop])])
        yield indptr, np.stack([ids, ids + 1], axis=1).astype(np.uint64)


@compiled
def take_edges(source: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Return the next edge of each source, and count it in `following`, int64 by source."""
    edges = np.empty(source.size, np.int64)
    for k in range(source.size):
        edges[k] = following[source[k]]
        following[source[k]] += 1
    return edges


@compiled
def merge_adjacent(
    indptr: np.ndarray, edges: np.ndarray, first_range: np.ndarray
) -> int:
    """Merge ranges of a neuron that follow upon each other, in place.

    `first_range` receives where the ranges of each neuron begin.
    """
    n_ranges = 0
    for neuron in range(indptr.size - 1):
        first_range[neuron] = n_ranges
        for k in range(indptr[neuron], indptr[neuron + 1]):
            if n_ranges > first_range[neuron] and edges[n_ranges - 1, 1] == edges[k, 0]:
                edges[n_ranges - 1, 1] = edges[k, 1]
            else:
                edges[n_ranges, 0] = edges[k, 0]
                edges[n_ranges, 1] = edges[k, 1]
                n_ranges += 1
    first_range[indptr.size - 1] = n_ranges
    return n_ranges
