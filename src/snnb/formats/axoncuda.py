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
    rate = np.concatenate(
        [population.traffic() for population in part.populations]
    ) * request.rate_scale(graph)
    degrees = (
        out_degrees(part.projections, population) for population in part.populations
    )
    counter = request.counter(part.edges)
    with path.open("wb") as file:
        hyperedges = sum(int(np.count_nonzero(degree)) for degree in degrees)
        file.write(np.array([part.nodes, hyperedges], NUMBER).data)
        for node, indptr, target, _ in part.rows(BATCH):
            if repeats(part.projections):
                indptr, target = distinct(indptr, target)
            rows_with_edges, starts = nonempty_rows(indptr)
            source, number = node[rows_with_edges], np.diff(starts)
            header = [number] if name == "snn" else [number + 1, np.ones_like(number)]
            words = [*header, source, rate[source].astype("<f4").view(NUMBER)]
            places = np.stack([starts[:-1]] * (len(words) - 1) + [starts[1:]], axis=1)
            file.write(
                np.insert(
                    target.astype(NUMBER),
                    places.ravel(),
                    np.stack(words, axis=1).ravel(),
                ).data
            )
            counter.add(target.size)


def read(name: Name, path: Path) -> ListedGraph:
    """Read a hypergraph of AxonCUDA, whose hyperedges weigh the spikes per time step of their source."""
    size = path.stat().st_size
    if size < 8:
        raise DamagedError(
            path, f"truncated, it has {size} bytes, and the header alone takes 8"
        )
    words = np.asarray(np.memmap(path, NUMBER, "r", shape=(size // 4,)))
    nodes, hyperedges = words[:2].tolist()
    Budget(path).draw(nodes, "neurons", NEURON_BYTES)
    ends = [2]  # the first word of each hyperedge, and the end of the last
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
    if name == "axh":
        pins, sources = words[offset[:-1]], words[offset[:-1] + 1]
        bad_hyperedges = np.flatnonzero((sources != 1) | (pins == 0))
        if bad_hyperedges.size:
            counts = (
                f"{pins[bad_hyperedges[0]]:,} pins and {sources[bad_hyperedges[0]]:,} "
                "sources"
            )
            raise DamagedError(
                path,
                f"hyperedge {bad_hyperedges[0]:,} has {counts}; give hyperedges of "
                "one source",
            )
    source, rate = (
        words[offset[:-1] + HEADER[name]].astype(np.int64),
        words[offset[1:] - 1].view("<f4"),
    )
    _check_ids(path, source, nodes)
    spikes = np.zeros(nodes, np.float32)
    spikes[source] = rate
    wrong = np.flatnonzero(~((rate >= 0) & np.isfinite(rate)))
    if wrong.size:
        raise DamagedError(
            path,
            f"the hyperedge of neuron {source[wrong[0]]:,} weighs {rate[wrong[0]]}; "
            "give spikes per time step",
        )
    bad_hyperedges = np.flatnonzero(spikes[source] != rate)
    if bad_hyperedges.size:
        node, weight = source[bad_hyperedges[0]], rate[bad_hyperedges[0]]
        raise DamagedError(
            path,
            f"two hyperedges of neuron {node:,} weigh {weight} and {spikes[node]}; "
            "give both its spikes per time step",
        )
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
