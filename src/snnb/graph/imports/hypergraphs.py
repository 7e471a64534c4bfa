"""Hypergraphs: `.snn` of AxonCUDA and `.hgr` of hMETIS and KaHyPar. A neuron and all its targets are one hyperedge.

The formats are described in graph/export/snn.py and graph/export/hmetis.py. Neither has populations or weights of
synapses; the description that `snnb export` writes next to its files has the populations.
"""

import re
from pathlib import Path
from typing import Iterable, Iterator, NamedTuple, Optional, Tuple

import numpy as np

from snnb.core.errors import DamagedError
from snnb.graph.edges import ranges
from snnb.graph.export.snn import NUMBER
from snnb.graph.imports.hypergraph_loops import find_hyperedges, read_numbers
from snnb.graph.imports.tables import description_of
from snnb.graph.listed import EDGES, Edges, ListedGraph, ListedPopulation
from snnb.graph.populations import Recording

CHUNK = 1 << 22  # bytes of text
NOT_HELD = (
    "the file has no weights of synapses: all are 1",
    "neurons without targets have no hyperedge, and so no spikes",
)
NO_POPULATIONS = "the file has no populations: all neurons are one, and none is an input"
OWN_HEAD = re.compile(rb"% hyperedge weight max\(1, round\((\S+) x spike count of the source\)\)")


def is_snn(path: Path) -> bool:
    """Whether a file has the ending `.snn`."""
    return path.suffix == ".snn" and path.is_file()


def is_hgr(path: Path) -> bool:
    """Whether a file has the ending `.hgr`."""
    return path.suffix == ".hgr" and path.is_file()


def read_snn(path: Path) -> ListedGraph:
    """Read a hypergraph of AxonCUDA, whose hyperedges weigh the spikes per time step of their source."""
    size = path.stat().st_size
    if size < 8:
        raise DamagedError(path, f"truncated, it has {size} bytes, and the header alone takes 8")
    words = np.asarray(np.memmap(path, NUMBER, "r", shape=(size // 4,)))
    nodes, hyperedges = words[:2].tolist()
    complete, offset = 0, np.empty(0, np.int64)
    if 8 + 12 * hyperedges <= size:
        offset = np.empty(hyperedges + 1, np.int64)
        complete = find_hyperedges(words, offset)
    if complete < hyperedges:
        raise DamagedError(
            path, f"truncated, the {hyperedges:,} hyperedges of its header take more than {size:,} bytes"
        )
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
    described, per_step = description_of(path, format, nodes), format == "snn"
    if described is None:
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
        files=(path, path.with_name(f"{path.name}.json")),
        notes=(*NOT_HELD, *notes),
    )
    return graph if spikes is None else graph.with_spikes(spikes)


class _Head(NamedTuple):
    """First line of a .hgr file."""

    hyperedges: int
    nodes: int
    weighted: bool  # whether hyperedges have weights
    node_weights: bool
    line: int


class _Hyperedges(NamedTuple):
    """Some hyperedges of a .hgr file, with nodes from 0; one value for each, `target` aside."""

    line: np.ndarray
    weight: np.ndarray  # 0 if the file has none
    source: np.ndarray
    degree: np.ndarray  # number of targets
    target: np.ndarray
    node_weights: bool  # whether weights of nodes other than 1 follow


def read_hgr(path: Path) -> ListedGraph:
    """Read a hypergraph of hMETIS: the first pin of a hyperedge is the source, its weight the number of spikes."""
    head, notes = _read_head(path), []
    weight, line = np.zeros(head.nodes), np.zeros(head.nodes, np.int64)  # line of its hyperedge, 0 for none
    node_weights = False
    for part in _hyperedges(path):
        before = line[part.source]
        line[part.source] = part.line
        again = np.flatnonzero((before > 0) | (line[part.source] != part.line))
        if again.size:
            k = again[0]
            lines = sorted((part.line[k], before[k] or line[part.source[k]]))
            raise DamagedError(
                path,
                f"lines {lines[0]:,} and {lines[1]:,} both begin with node {part.source[k] + 1:,}; a neuron is "
                "the first pin of one hyperedge only",
            )
        weight[part.source] = part.weight
        node_weights |= part.node_weights
    if node_weights:
        notes.append("weights of nodes are not read")
    scale, recording = _stated(path)
    if scale is not None:
        notes.append("a weight of 1 may stand for 0 spikes: hyperedges weigh at least 1")
        if scale != 1:
            notes.append(f"numbers of spikes were rounded to multiples of {1 / scale:g}")
    spikes = weight / (scale or 1.0) if head.weighted else None
    return _listed(path, "hmetis", spikes, head.nodes, _hgr_edges(path), recording, tuple(notes))


def _stated(path: Path) -> Tuple[Optional[float], Optional[Recording]]:
    """Return the scale of the weights, and the recording, from the comment of a file that snnb has written."""
    with path.open("rb") as file:
        comment = file.readline(CHUNK)
    own = OWN_HEAD.match(comment)
    if own is None:
        return None, None
    found = dict(re.findall(rb"; (num_samples|num_timesteps|warm_up|dt_ms) ([0-9.e+-]+)", comment))
    try:
        whole = [int(found[name]) for name in (b"num_samples", b"num_timesteps", b"warm_up")]
        return float(own[1]), Recording(whole[0], whole[1], whole[2], float(found[b"dt_ms"]))
    except (KeyError, ValueError):
        raise DamagedError(
            path, "line 1: the comment of snnb is damaged; remove it, or export the file again"
        ) from None


def _hgr_edges(path: Path) -> Iterator[Edges]:
    for part in _hyperedges(path):
        yield np.repeat(part.source, part.degree), part.target, np.ones(part.target.size, np.float32)


def _read_head(path: Path) -> _Head:
    numbers, end, lines = next(_rows(path), (np.empty(0), np.zeros(1, int), np.ones(1, int)))
    row = numbers[: end[0]].tolist()
    format = row[2] if len(row) == 3 else 0
    if len(row) not in (2, 3) or format not in (0, 1, 10, 11):
        raise DamagedError(
            path,
            f"line {lines[0]:,}: the first line has the numbers of hyperedges and nodes, and 1, 10 or 11 if "
            "hyperedges, nodes or both have weights",
        )
    return _Head(row[0], row[1], format % 10 == 1, format >= 10, int(lines[0]))


def _hyperedges(path: Path) -> Iterator[_Hyperedges]:
    """Yield the hyperedges in parts, after checking numbers of lines and pins."""
    head = _read_head(path)
    skipped, done, others = 1, 0, head.nodes if head.node_weights else 0  # row of the head, rows of weights to come
    for numbers, ends, lines in _rows(path):
        begins = np.concatenate([[0], ends[:-1]])
        own = slice(skipped, skipped + head.hyperedges - done)
        skipped = 0
        begin, end, line = begins[own], ends[own], lines[own]
        after, lengths = lines[own.stop :], (ends - begins)[own.stop :]
        excess = np.flatnonzero((np.arange(after.size) >= others) | (lengths != 1))
        if excess.size:
            weights = f" and {head.nodes:,} weights of nodes (one a line)" if head.node_weights else ""
            raise DamagedError(
                path,
                f"line {after[excess[0]]:,} follows the {head.hyperedges:,} hyperedges{weights} that line "
                f"{head.line:,} states",
            )
        others -= after.size
        source: np.ndarray = begin + int(head.weighted)  # indices of the first pins
        empty = np.flatnonzero(source >= end)
        if empty.size:
            raise DamagedError(path, f"line {line[empty[0]]:,}: a hyperedge has a weight and no pins")
        is_pin = np.zeros(numbers.size, bool)
        if line.size:
            is_pin[begin[0] : end[-1]] = True
        if head.weighted:
            is_pin[begin] = False
        wrong = np.flatnonzero(is_pin & ((numbers < 1) | (numbers > head.nodes)))
        if wrong.size:
            row = np.searchsorted(ends, wrong[0], side="right")
            raise DamagedError(
                path,
                f"line {lines[row]:,}: node {numbers[wrong[0]]:,}, and line {head.line:,} states "
                f"{head.nodes:,} nodes, from 1",
            )
        is_pin[source] = False
        done += line.size
        weight = numbers[begin] if head.weighted else np.zeros(line.size, np.int64)
        node_weights = bool((numbers[begins[own.stop :]] != 1).any())
        yield _Hyperedges(line, weight, numbers[source] - 1, end - source - 1, numbers[is_pin] - 1, node_weights)
    if done < head.hyperedges or others:
        weights = f" and {head.nodes - others:,} of {head.nodes:,} weights of nodes" if head.node_weights else ""
        raise DamagedError(path, f"truncated, it has {done:,} of {head.hyperedges:,} hyperedges{weights}")


def _rows(path: Path) -> Iterator[Tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the lines of numbers in parts: numbers, the end of each row in them, and its line."""
    line = 0
    with path.open("rb") as file:
        while True:
            text = np.frombuffer(file.read(CHUNK) + file.readline(), np.uint8)
            if not text.size:
                return
            numbers, end, lines = (np.empty(text.size // 2 + 1, np.int64) for _ in range(3))
            rows, line, wrong = read_numbers(text, line, numbers, end, lines)
            if wrong:
                raise DamagedError(path, f"line {line:,} has other text than whole numbers from 0")
            if rows:
                yield numbers[: end[rows - 1]], end[:rows], lines[:rows]
