"""`snn` and `axh`: the binary hypergraphs of AxonCUDA: a neuron and all its targets are one directed hyperedge.

Little-endian: uint32 nodes, uint32 hyperedges; for each hyperedge a header, uint32
source, uint32 targets, float32 weight: the rate of the source. The header is uint32
number of targets in `.snn`; uint32 number of pins with the source and uint32 number of
sources, here 1, in `.axh`. Nodes count from 0. (EMJzero/AxonCUDA, includes/hgraph.hpp,
"SNN binary hypergraph format", "Axon hypergraph binary format".) The files have no
populations and no weights of synapses; the description next to an export has the
populations.
"""

from functools import partial
from pathlib import Path
from typing import Iterator, Literal

import numpy as np

from snnb.core.errors import DamagedError
from snnb.formats.hypergraph import description_of, hypergraph_of
from snnb.formats.request import (
    BATCH,
    Format,
    Request,
    SpikingPart,
    file_ending_in,
    need_counts,
    nonempty_rows,
)
from snnb.graph.connection import ranges
from snnb.graph.listed import EDGES, NEURON_BYTES, Edges, ListedGraph
from snnb.graph.projection import distinct, out_degrees, repeats
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.budget import Budget

NUMBER = np.dtype("<u4")
Name = Literal["snn", "axh"]
HEADER = {"snn": 1, "axh": 2}  # words of a hyperedge before its source
# Words of a hyperedge that its first word does not count: itself, the weight, and the
# source or the number of sources
OTHERS = 3


def write(name: Name, graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, one hyperedge per neuron with targets; see `Format`."""
    part = SpikingPart.of(graph, request)
    spikes = np.concatenate([population.traffic() for population in part.populations])
    rate = spikes * request.rate_scale(graph)
    hyperedges = 0
    for population in part.populations:
        degrees = out_degrees(part.projections, population)
        hyperedges += int(np.count_nonzero(degrees))
    counter = request.counter(part.edges)
    with path.open("wb") as file:
        file.write(np.array([part.nodes, hyperedges], NUMBER).data)
        for node, indptr, target, _ in part.rows(BATCH):
            if repeats(part.projections):
                indptr, target = distinct(indptr, target)
            rows_with_edges, starts = nonempty_rows(indptr)
            source = node[rows_with_edges]
            file.write(_hyperedges(name, source, rate[source], starts, target).data)
            counter.add(target.size)


def _hyperedges(
    name: Name,
    source: np.ndarray,
    rate: np.ndarray,
    starts: np.ndarray,
    target: np.ndarray,
) -> np.ndarray:
    """Return the words of the hyperedges of some sources: uint32, shape (words,).

    The targets of source k are `target[starts[k] : starts[k + 1]]`. In `snn`, source 5
    with the targets 7 and 9 gives the words 2, 5, 7, 9 and the rate.
    """
    targets = np.diff(starts)
    words_before = [targets, source]
    if name == "axh":
        pins = targets + 1
        sources = np.ones_like(targets)
        words_before = [pins, sources, source]
    weight = rate.astype("<f4").view(NUMBER)
    words = np.stack([*words_before, weight], axis=1)
    # Where in `target` the words are inserted: all but the weight before the targets
    places = [starts[:-1]] * len(words_before) + [starts[1:]]
    return np.insert(
        target.astype(NUMBER),
        np.stack(places, axis=1).ravel(),
        words.ravel(),
    )


def read(name: Name, path: Path) -> ListedGraph:
    """Read a hypergraph of AxonCUDA.

    A hyperedge weighs the spikes per time step of its source.
    """
    size = path.stat().st_size
    if size < 8:
        raise DamagedError(
            path, f"truncated, it has {size} bytes, and the header alone takes 8"
        )
    words = np.asarray(np.memmap(path, NUMBER, "r", shape=(size // 4,)))
    nodes, hyperedges = words[:2].tolist()
    Budget(path).draw(nodes, "neurons", NEURON_BYTES)
    offset = _find_hyperedges(path, words, hyperedges, size)
    if name == "axh":
        _check_single_sources(path, words, offset[:-1])
    source = words[offset[:-1] + HEADER[name]].astype(np.int64)
    rate = words[offset[1:] - 1].view("<f4")
    _check_ids(path, source, nodes)
    spikes = _spikes_of_neurons(path, source, rate, nodes)
    description = description_of(path, name, nodes)
    scale = 1.0 if description is None else description.rate_scale
    edges = _edges(HEADER[name], path, words, offset, nodes)
    return hypergraph_of(
        path,
        description,
        nodes,
        edges,
        spikes.astype(np.float64) / scale,
        per_step=True,
    )


def _find_hyperedges(
    path: Path, words: np.ndarray, hyperedges: int, size: int
) -> np.ndarray:
    """Return where each hyperedge begins, and the end of the last.

    Indices of words: int64, shape (hyperedges + 1,). Raise `DamagedError` if they do
    not fill the file of `size` bytes.
    """
    ends = [2]
    while len(ends) <= hyperedges and ends[-1] + OTHERS <= words.size:
        ends.append(ends[-1] + int(words[ends[-1]]) + OTHERS)
    if len(ends) <= hyperedges or ends[-1] > words.size:
        raise DamagedError(
            path,
            f"truncated, the {hyperedges:,} hyperedges of its header take more than "
            f"{size:,} bytes",
        )
    offset = np.array(ends, np.int64)
    if size > 4 * offset[-1]:
        raise DamagedError(
            path,
            f"its header states {hyperedges:,} hyperedges, which end at byte "
            f"{4 * offset[-1]:,} of {size:,}",
        )
    return offset


def _check_single_sources(
    path: Path, words: np.ndarray, first_word: np.ndarray
) -> None:
    """Raise `DamagedError` for a hyperedge of `axh` without exactly one source.

    `first_word` is where each hyperedge begins in the words of the file.
    """
    pins = words[first_word]
    sources = words[first_word + 1]
    bad_hyperedges = np.flatnonzero((sources != 1) | (pins == 0))
    if bad_hyperedges.size:
        hyperedge = bad_hyperedges[0]
        raise DamagedError(
            path,
            f"hyperedge {hyperedge:,} has {pins[hyperedge]:,} pins and "
            f"{sources[hyperedge]:,} sources; give hyperedges of one source",
        )


def _spikes_of_neurons(
    path: Path, source: np.ndarray, rate: np.ndarray, nodes: int
) -> np.ndarray:
    """Return the spikes per time step of each neuron: float32, shape (nodes,).

    `rate` is the weight of each hyperedge. Raise `DamagedError` for a weight that is no
    rate, and for two hyperedges of a neuron that differ in weight.
    """
    spikes = np.zeros(nodes, np.float32)
    spikes[source] = rate
    bad_hyperedges = np.flatnonzero(~((rate >= 0) & np.isfinite(rate)))
    if bad_hyperedges.size:
        hyperedge = bad_hyperedges[0]
        raise DamagedError(
            path,
            f"the hyperedge of neuron {source[hyperedge]:,} weighs {rate[hyperedge]}; "
            "give spikes per time step",
        )
    different_hyperedges = np.flatnonzero(spikes[source] != rate)
    if different_hyperedges.size:
        hyperedge = different_hyperedges[0]
        node = source[hyperedge]
        raise DamagedError(
            path,
            f"two hyperedges of neuron {node:,} weigh {rate[hyperedge]} and "
            f"{spikes[node]}; give both its spikes per time step",
        )
    return spikes


def _edges(
    header: int, path: Path, words: np.ndarray, offset: np.ndarray, nodes: int
) -> Iterator[Edges]:
    degree = np.diff(offset) - header - 2
    for start, stop in ranges(degree, EDGES):
        begin, end = (
            offset[start:stop] - offset[start],
            offset[start + 1 : stop + 1] - offset[start],
        )
        part = words[offset[start] : offset[stop]]
        is_target = np.ones(part.size, bool)
        for place in (*(begin + word for word in range(header + 1)), end - 1):
            is_target[place] = False
        target = part[is_target]
        _check_ids(path, target, nodes)
        yield (
            np.repeat(part[begin + header].astype(np.int64), degree[start:stop]),
            target,
            np.ones(target.size, np.float32),
        )


def _check_ids(path: Path, ids: np.ndarray, nodes: int) -> None:
    if ids.size and ids.max() >= nodes:
        raise DamagedError(
            path,
            f"a hyperedge names neuron {ids.max():,}, and the header states "
            f"{nodes:,}, from 0",
        )


def _format(name: Name) -> Format:
    return Format(
        f".{name}",
        partial(write, name),
        need_counts,
        partial=True,
        own_options=("rate_unit", "with_input"),
        reader=(file_ending_in(f".{name}"), partial(read, name)),
    )


SNN, AXH = _format("snn"), _format("axh")
