"""`hmetis`: the hypergraph for hMETIS, KaHyPar, Mt-KaHyPar: a neuron and all its targets are one hyperedge.

Nodes count from 1; a hyperedge weighs max(1, round(scale × spike count)), each node 1:
one neuron to place. The source is the first pin. A synapse of a neuron with itself adds
the source once more, which partitioners ignore. The file has no populations and no
weights of synapses; the description next to an export has the populations, and the
weight of a spike.
"""

from itertools import islice
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple

import numpy as np

from snnb.core.errors import DamagedError
from snnb.formats.description import description_path
from snnb.formats.hypergraph import description_of, hypergraph_of
from snnb.formats.metis import count_scale, metadata_line, scale_weights
from snnb.formats.request import (
    TEXT_BATCH,
    Format,
    Request,
    SpikingPart,
    file_ending_in,
    need_counts,
    nonempty_rows,
)
from snnb.formats.text_lines import lines, rows, texts
from snnb.graph.listed import NEURON_BYTES, Edges, ListedGraph
from snnb.graph.projection import distinct, out_degrees, repeats
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.budget import Budget

HYPEREDGES = 1 << 10  # in memory at a time
LARGEST = np.iinfo(np.int64).max  # as which numpy reads larger numbers of text


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, one hyperedge per neuron; see `Format`."""
    part = SpikingPart.of(graph, request)
    degrees, weights, scale = _weights(part, request)
    counter = request.counter(part.edges)
    with path.open("wb") as file:
        file.write(
            f"% hyperedge weight max(1, round({scale!r} x spike count of the "
            f"source)); {metadata_line(graph)}\n".encode(),
        )
        file.write(f"{np.count_nonzero(degrees)} {part.nodes} 11\n".encode())
        for node, indptr, target, _ in part.rows(TEXT_BATCH):
            if repeats(part.projections):
                indptr, target = distinct(indptr, target)
            row_numbers, starts = nonempty_rows(indptr)
            source = node[row_numbers]
            pins = rows(starts, texts(target + 1))
            file.write(lines(texts(weights[source]), " ", texts(source + 1), " ", pins))
            counter.add(target.size)
        file.write(b"1\n" * part.nodes)


def _weights(
    part: SpikingPart,
    request: Request,
) -> Tuple[np.ndarray, np.ndarray, float]:
    """Return out-degrees of the neurons, weights of their hyperedges, weight of a spike.

    The arrays are int64 of shape (nodes,).
    """
    parts: List[np.ndarray] = []
    for population in part.populations:
        if population.coding == "current" or population.spike_count is None:
            parts.append(np.zeros(population.size))
        else:
            parts.append(population.spike_count.ravel().astype(np.float64))
    counts = np.concatenate(parts)
    degrees = np.concatenate(
        [out_degrees(part.projections, p) for p in part.populations],
    )
    has_targets = degrees > 0
    default = count_scale(counts, has_targets)
    scale = request.options.scale
    return (degrees, *scale_weights(counts, has_targets, scale, default))


def read(path: Path) -> ListedGraph:
    """Read a hypergraph of hMETIS: the first pin of a hyperedge is the source, its weight the number of spikes."""
    head = _read_head(path, _rows(path))
    Budget(path).draw(head.nodes, "neurons", NEURON_BYTES)
    weights = np.zeros(head.nodes)
    lines = np.zeros(head.nodes, np.int64)  # line of its hyperedge, 0 for none
    for line, weight, pins in _hyperedges(path):
        source = pins[0]
        if lines[source]:
            raise DamagedError(
                path,
                f"lines {lines[source]:,} and {line:,} both begin with node "
                f"{source + 1:,}; a neuron is the first pin of one hyperedge only",
            )
        weights[source] = weight
        lines[source] = line
    notes: List[str] = []
    scale = 1.0
    description = description_of(path, "hmetis", head.nodes)
    if description is not None:
        if description.spike_weight is None:
            raise DamagedError(
                description_path(path), "states no spike_weight: export the graph again"
            )
        scale = description.spike_weight
        notes.append("a weight of 1 may mean 0 spikes: hyperedges weigh at least 1")
        if scale != 1:
            notes.append(
                f"numbers of spikes were rounded to multiples of {1 / scale:g}",
            )
    elif head.node_weights:
        notes.append("weights of nodes are not read")
    spikes = weights / scale if head.weighted else None
    edges = _edges(path)
    return hypergraph_of(path, description, head.nodes, edges, spikes, notes=notes)


def _edges(path: Path) -> Iterator[Edges]:
    hyperedges = _hyperedges(path)
    while True:
        batch = [pins for _, _, pins in islice(hyperedges, HYPEREDGES)]
        if not batch:
            return
        sources = [pins[0] for pins in batch]
        source = np.repeat(sources, [pins.size - 1 for pins in batch])
        target = np.concatenate([pins[1:] for pins in batch])
        yield source, target, np.ones(source.size, np.float32)


class _Head(NamedTuple):
    """First line of a .hgr file."""

    line: int
    hyperedges: int
    nodes: int
    weighted: bool  # whether hyperedges have weights
    node_weights: bool


def _read_head(path: Path, rows: Iterator[Tuple[int, np.ndarray]]) -> _Head:
    line, numbers = next(rows, (1, np.empty(0, np.int64)))
    format = numbers[2] if numbers.size == 3 else 0
    if numbers.size not in (2, 3) or format not in (0, 1, 10, 11):
        raise DamagedError(
            path,
            f"line {line:,}: the first line has the numbers of hyperedges and nodes, "
            "and 1, 10 or 11 if hyperedges, nodes or both have weights",
        )
    return _Head(line, int(numbers[0]), int(numbers[1]), format % 10 == 1, format >= 10)


def _hyperedges(path: Path) -> Iterator[Tuple[int, int, np.ndarray]]:
    """Yield line, weight (0 if the file has none) and pins, from 0, of each hyperedge.

    Raise `DamagedError` at the end if the number of lines is wrong.
    """
    rows = _rows(path)
    head = _read_head(path, rows)
    hyperedges = 0
    for line, numbers in islice(rows, head.hyperedges):
        weight = 0
        pins = numbers
        if head.weighted:
            weight = int(numbers[0])
            pins = numbers[1:]
        if not pins.size:
            raise DamagedError(
                path, f"line {line:,}: a hyperedge has a weight and no pins"
            )
        wrong_pins = pins[(pins < 1) | (pins > head.nodes)]
        if wrong_pins.size:
            nodes = f"line {head.line:,} states {head.nodes:,} nodes, from 1"
            raise DamagedError(
                path, f"line {line:,}: node {wrong_pins[0]:,}, and {nodes}"
            )
        hyperedges += 1
        yield line, weight, pins - 1
    all_weights = head.nodes if head.node_weights else 0
    node_weights = 0
    for line, numbers in rows:
        node_weights += 1
        if node_weights > all_weights or numbers.size != 1:
            content = f"{head.hyperedges:,} hyperedges"
            if all_weights:
                content += f" and {all_weights:,} weights of nodes (one a line)"
            raise DamagedError(
                path,
                f"line {line:,} follows the {content} that line {head.line:,} states",
            )
    if (hyperedges, node_weights) != (head.hyperedges, all_weights):
        content = f"{hyperedges:,} of {head.hyperedges:,} hyperedges"
        if all_weights:
            content += f" and {node_weights:,} of {all_weights:,} weights of nodes"
        raise DamagedError(path, f"truncated, it has {content}")


def _rows(path: Path) -> Iterator[Tuple[int, np.ndarray]]:
    """Yield the number and the integers of each line that is not empty and not a comment."""
    with path.open("rb") as file:
        for line, text in enumerate(file, 1):
            if text.strip() and not text.startswith(b"%"):
                if text.translate(None, b"0123456789 \t\r\n"):
                    raise DamagedError(
                        path,
                        f"line {line:,} has other text than whole numbers from 0",
                    )
                numbers = np.fromstring(text, np.int64, sep=" ")
                if numbers.max() == LARGEST:
                    raise DamagedError(
                        path,
                        f"line {line:,} has a number of 2^63 - 1 or more",
                    )
                yield line, numbers


FORMAT = Format(
    ".hgr",
    write,
    need_counts,
    partial=True,
    own_options=("scale", "with_input"),
    extra_description=lambda graph, request: {
        "spike_weight": _weights(SpikingPart.of(graph, request), request)[2],
    },
    reader=(file_ending_in(".hgr"), read),
)
