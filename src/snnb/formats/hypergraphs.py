"""Hypergraphs: `.snn` of AxonCUDA and `.hgr` of hMETIS and KaHyPar. A neuron and all its targets are one hyperedge.

The formats are described in formats/axoncuda.py and formats/hmetis.py. Neither has populations or weights of
synapses; the description that `snnb export` writes next to its files has the populations.
"""

import re
from itertools import islice
from pathlib import Path
from typing import Iterable, Iterator, NamedTuple, Optional, Tuple

import numpy as np

from snnb.core.errors import DamagedError
from snnb.formats.axoncuda import NUMBER
from snnb.formats.description import description_path, read_description
from snnb.graph.connection import ranges
from snnb.graph.listed import EDGES, Edges, ListedGraph, ListedPopulation, require_neurons
from snnb.graph.populations import Recording

HYPEREDGES = 1 << 10  # in memory at a time
NOT_HELD = (
    "the file has no weights of synapses: all are 1",
    "neurons without targets have no hyperedge, and so no spikes",
)
NO_POPULATIONS = "the file has no populations: all neurons are one, and none is an input"
OWN_HEAD = re.compile(rb"% hyperedge weight max\(1, round\((\S+) x spike count of the source\)\)")


def read_snn(path: Path) -> ListedGraph:
    """Read a hypergraph of AxonCUDA, whose hyperedges weigh the spikes per time step of their source."""
    size = path.stat().st_size
    if size < 8:
        raise DamagedError(path, f"truncated, it has {size} bytes, and the header alone takes 8")
    words = np.asarray(np.memmap(path, NUMBER, "r", shape=(size // 4,)))
    nodes, hyperedges = words[:2].tolist()
    require_neurons(path, nodes)
    ends = [2]  # the first word of each hyperedge, and the end of the last
    while len(ends) <= hyperedges and ends[-1] + 3 <= words.size:
        ends.append(ends[-1] + int(words[ends[-1]]) + 3)
    if len(ends) <= hyperedges or ends[-1] > words.size:
        raise DamagedError(
            path, f"truncated, the {hyperedges:,} hyperedges of its header take more than {size:,} bytes"
        )
    offset = np.array(ends, np.int64)
    if size > 4 * offset[-1]:
        raise DamagedError(
            path, f"its header states {hyperedges:,} hyperedges, which end at byte {4 * offset[-1]:,} of {size:,}"
        )
    source, rate = words[offset[:-1] + 1].astype(np.int64), words[offset[1:] - 1].view("<f4")
    _check_ids(path, source, nodes)
    spikes = np.zeros(nodes, np.float32)
    spikes[source] = rate
    wrong = np.flatnonzero(~((rate >= 0) & np.isfinite(rate)))
    if wrong.size:
        raise DamagedError(
            path, f"the hyperedge of neuron {source[wrong[0]]:,} weighs {rate[wrong[0]]}; give spikes per time step"
        )
    other = np.flatnonzero(spikes[source] != rate)
    if other.size:
        node, weight = source[other[0]], rate[other[0]]
        raise DamagedError(
            path,
            f"two hyperedges of neuron {node:,} weigh {weight} and {spikes[node]}; give both its spikes per time step",
        )
    return _listed(path, "snn", spikes, nodes, _snn_edges(path, words, offset, nodes))


def _snn_edges(path: Path, words: np.ndarray, offset: np.ndarray, nodes: int) -> Iterator[Edges]:
    degree = np.diff(offset) - 3
    for start, stop in ranges(degree, EDGES):
        begin, end = offset[start:stop] - offset[start], offset[start + 1 : stop + 1] - offset[start]
        part = words[offset[start] : offset[stop]]
        is_target = np.ones(part.size, bool)
        is_target[begin] = is_target[begin + 1] = is_target[end - 1] = False
        target = part[is_target]
        _check_ids(path, target, nodes)
        yield np.repeat(part[begin + 1].astype(np.int64), degree[start:stop]), target, np.ones(target.size, np.float32)


def _check_ids(path: Path, ids: np.ndarray, nodes: int) -> None:
    if ids.size and ids.max() >= nodes:
        raise DamagedError(path, f"a hyperedge names neuron {ids.max():,}, and the header states {nodes:,}, from 0")


def _listed(
    path: Path,
    format: str,
    spikes: Optional[np.ndarray],
    nodes: int,
    edges: Iterable[Edges],
    recording: Optional[Recording] = None,
    notes: Tuple[str, ...] = (),
) -> ListedGraph:
    """Return the graph with the populations of its description, if there is one."""
    description, per_step = description_path(path), format == "snn"
    described = read_description(description) if description.is_file() else None
    if described is None or (described.format, sum(one.size for one in described.listed)) != (format, nodes):
        population = ListedPopulation("neurons", (nodes,), spikes=spikes)
        notes = (*NOT_HELD, NO_POPULATIONS, *notes)
        return ListedGraph([population], edges, recording=recording, per_step=per_step, notes=notes)
    if per_step and spikes is not None:
        spikes = spikes.astype(np.float64) / described.rate_scale
    graph = ListedGraph(
        described.listed,
        edges,
        inputs=described.inputs,
        recording=described.recording,
        per_step=per_step,
        assumed=described.assumed_spikes,
        files=(path, description),
        notes=(*NOT_HELD, *notes),
    )
    return graph if spikes is None else graph.with_spikes(spikes)


def read_hgr(path: Path) -> ListedGraph:
    """Read a hypergraph of hMETIS: the first pin of a hyperedge is the source, its weight the number of spikes."""
    head = _read_head(path, _rows(path))
    require_neurons(path, head.nodes)
    weights, lines = np.zeros(head.nodes), np.zeros(head.nodes, np.int64)  # line of its hyperedge, 0 for none
    for line, weight, pins in _hyperedges(path):
        source = pins[0]
        if lines[source]:
            raise DamagedError(
                path,
                f"lines {lines[source]:,} and {line:,} both begin with node {source + 1:,}; a neuron is the first pin "
                "of one hyperedge only",
            )
        weights[source], lines[source] = weight, line
    notes = []
    scale, recording = _stated(path)
    if scale is not None:
        notes.append("a weight of 1 may stand for 0 spikes: hyperedges weigh at least 1")
        if scale != 1:
            notes.append(f"numbers of spikes were rounded to multiples of {1 / scale:g}")
    elif head.node_weights:
        notes.append("weights of nodes are not read")
    spikes = weights / (scale or 1.0) if head.weighted else None
    return _listed(path, "hmetis", spikes, head.nodes, _hgr_edges(path), recording, tuple(notes))


def _stated(path: Path) -> Tuple[Optional[float], Optional[Recording]]:
    """Return the scale of the weights, and the recording, from the comment of a file that snnb has written."""
    with path.open("rb") as file:
        comment = file.readline(1 << 16)
    own = OWN_HEAD.match(comment)
    if own is None:
        return None, None
    numbers = dict(re.findall(rb"; (num_samples|num_timesteps|warm_up|dt_ms) ([0-9.e+-]+)", comment))
    try:
        counts = [int(numbers[name]) for name in (b"num_samples", b"num_timesteps", b"warm_up")]
        return float(own[1]), Recording(counts[0], counts[1], counts[2], float(numbers[b"dt_ms"]))
    except (KeyError, ValueError):
        raise DamagedError(
            path, "line 1: the comment of snnb is damaged; remove it, or export the file again"
        ) from None


def _hgr_edges(path: Path) -> Iterator[Edges]:
    hyperedges = _hyperedges(path)
    while True:
        pins = [own for _, _, own in islice(hyperedges, HYPEREDGES)]
        if not pins:
            return
        source = np.repeat([own[0] for own in pins], [own.size - 1 for own in pins])
        yield source, np.concatenate([own[1:] for own in pins]), np.ones(source.size, np.float32)


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
            f"line {line:,}: the first line has the numbers of hyperedges and nodes, and 1, 10 or 11 if hyperedges, "
            "nodes or both have weights",
        )
    return _Head(line, int(numbers[0]), int(numbers[1]), format % 10 == 1, format >= 10)


def _hyperedges(path: Path) -> Iterator[Tuple[int, int, np.ndarray]]:
    """Yield line, weight (0 if the file has none) and pins, from 0, of each hyperedge; check the number of lines."""
    rows = _rows(path)
    head = _read_head(path, rows)
    done = others = 0
    for line, numbers in islice(rows, head.hyperedges):
        weight, pins = (int(numbers[0]), numbers[1:]) if head.weighted else (0, numbers)
        if not pins.size:
            raise DamagedError(path, f"line {line:,}: a hyperedge has a weight and no pins")
        wrong = pins[(pins < 1) | (pins > head.nodes)]
        if wrong.size:
            raise DamagedError(
                path, f"line {line:,}: node {wrong[0]:,}, and line {head.line:,} states {head.nodes:,} nodes, from 1"
            )
        done += 1
        yield line, weight, pins - 1
    expected = head.nodes if head.node_weights else 0
    for line, numbers in rows:
        others += 1
        if others > expected or numbers.size != 1:
            weights = f" and {expected:,} weights of nodes (one a line)" if expected else ""
            raise DamagedError(
                path,
                f"line {line:,} follows the {head.hyperedges:,} hyperedges{weights} that line {head.line:,} states",
            )
    if (done, others) != (head.hyperedges, expected):
        weights = f" and {others:,} of {expected:,} weights of nodes" if expected else ""
        raise DamagedError(path, f"truncated, it has {done:,} of {head.hyperedges:,} hyperedges{weights}")


def _rows(path: Path) -> Iterator[Tuple[int, np.ndarray]]:
    """Yield the number and the integers of each line that is not empty and not a comment."""
    with path.open("rb") as file:
        for line, text in enumerate(file, 1):
            if text.strip() and not text.startswith(b"%"):
                if text.translate(None, b"0123456789 \t\r\n"):
                    raise DamagedError(path, f"line {line:,} has other text than whole numbers from 0")
                yield line, np.fromstring(text, np.int64, sep=" ")
