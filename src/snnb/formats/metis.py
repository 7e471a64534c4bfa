"""`metis`: the undirected graph for METIS, KaHIP, NetworKit; an edge weighs the traffic of its synapse.

Nodes count from 1; the weight is max(1, round(scale × traffic)), traffic the spikes per step of the source. Synapses in
both directions are one edge with the sum of their weights, synapses of a pair with different delays count once; a
synapse of a neuron onto itself is omitted.
"""

from pathlib import Path
from typing import Dict, Iterator, Optional, Tuple

import numpy as np

from snnb.core.errors import UsageError
from snnb.formats.request import TEXT_BATCH, Format, Request, SpikingPart, need_counts
from snnb.formats.text_lines import lines, rows, texts
from snnb.graph.connection import ranges
from snnb.graph.projection import distinct, in_degrees, out_degrees, repeats, sources, targets
from snnb.graph.synapse_graph import SynapseGraph

LARGEST = 2**30  # edges that a reader with 32-bit indices holds: it keeps both directions
LARGEST_SUM = 2**31 - 1  # of integer weights in a partitioner


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, each neuron with its neighbours; see `Format`."""
    part = SpikingPart.of(graph, request)
    weights, scale = _weights(graph, part, request)
    recurrent = any(p.source.first >= p.target.first for p in part.projections)
    merged = recurrent or repeats(part.projections)
    edges = sum(neighbour.size for _, neighbour, _ in _neighbours(part, weights)) // 2 if merged else part.edges
    counter = request.counter(2 * edges)
    with path.open("wb") as file:
        metadata = "; ".join(f"{name} {value}" for name, value in graph.describe().items())
        file.write(
            f"% edge weight max(1, round({scale!r} x spikes per time step of the source)); {metadata}\n".encode()
        )
        file.write(f"{part.nodes} {edges} 001\n".encode())
        for indptr, neighbour, weight in _neighbours(part, weights):
            pairs = np.stack([neighbour + 1, weight], axis=1).ravel()
            file.write(lines(rows(2 * indptr, texts(pairs))))
            counter.add(neighbour.size)


def _weights(graph: SynapseGraph, part: SpikingPart, request: Request) -> Tuple[np.ndarray, float]:
    """Return the weight of the edges of each source, int64 (nodes,), and that of a spike per time step."""
    assert graph.recording is not None
    steps = graph.recording.steps
    traffic = np.concatenate([population.traffic() for population in part.populations])
    degrees = np.concatenate([out_degrees(part.projections, p) for p in part.populations])
    default = steps * count_scale(steps * traffic, degrees)
    return scaled(traffic, degrees, request.options.scale, default)


def _described(graph: SynapseGraph, request: Request) -> Dict[str, object]:
    """Return the entry of the description that states the weight of a spike."""
    assert graph.recording is not None
    _, scale = _weights(graph, SpikingPart.of(graph, request), request)
    return {"spike_weight": scale / graph.recording.steps}


def _neighbours(part: SpikingPart, weights: np.ndarray) -> Iterator[Tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield `indptr`, neighbours from 0 and the weights of their edges, of some neurons at a time: int64.

    The weight of an edge is that of its source, the sum of both for synapses in both directions; a synapse of a neuron
    with itself is left out.
    """
    for population in part.populations:
        degrees = in_degrees(part.projections, population) + out_degrees(part.projections, population)
        for start, stop in ranges(degrees, TEXT_BATCH):
            in_indptr, source = sources(part.projections, population, start, stop)
            out_indptr, target, _ = targets(part.projections, population, start, stop)
            if repeats(part.projections):
                in_indptr, source = distinct(in_indptr, source)
                out_indptr, target = distinct(out_indptr, target)
            neuron = np.arange(population.first + start, population.first + stop) - part.first
            entered, left = neuron.repeat(np.diff(in_indptr)), neuron.repeat(np.diff(out_indptr))
            neighbour = np.concatenate([source, target]) - part.first
            own, weight = np.concatenate([entered, left]), weights[np.concatenate([source - part.first, left])]
            other = neighbour != own
            pair, weight = (own * part.nodes + neighbour)[other], weight[other]
            order = np.argsort(pair, kind="stable")  # which merges the two sorted halves
            pair, weight = pair[order], weight[order]
            first = np.flatnonzero(np.diff(pair, prepend=-1))
            pair, weight = pair[first], np.add.reduceat(weight, first)
            yield np.searchsorted(pair, np.append(neuron, neuron[-1] + 1) * part.nodes), pair % part.nodes, weight


def count_scale(counts: np.ndarray, repeats: np.ndarray) -> float:
    """Return the smallest power of ten with which integer weights keep spike counts to the precision of float32.

    It is 1 for whole numbers. `counts` are float64 (nodes,), `repeats` as in `scaled`. If no integers of a sum that
    partitioners hold keep the counts, it is the first power with a larger sum, which `scaled` halves.
    """
    scale = 1.0
    while scale * float(counts @ repeats) <= LARGEST_SUM:
        values = scale * counts
        if (np.abs(np.rint(values) - values) <= np.finfo(np.float32).eps * values).all():
            break
        scale *= 10
    return scale


def scaled(values: np.ndarray, repeats: np.ndarray, scale: Optional[float], default: float) -> Tuple[np.ndarray, float]:
    """Scale weights to integers whose sum partitioners hold: max(1, round(scale × value)) as int64, and the scale.

    `values` are float64 (nodes,), `repeats` the number of occurrences of each weight in the file. Without a `scale`,
    the default is halved until the sum fits.
    """
    tried = default if scale is None else scale
    while True:
        weights = np.maximum(1, np.rint(tried * values))
        total = float(weights @ repeats.astype(np.float64))
        if total <= LARGEST_SUM:
            return weights.astype(np.int64), tried
        if scale is not None or weights.max(initial=1) == 1:
            break
        tried /= 2
    raise UsageError(
        f"the weights sum to {total:,.0f}, partitioners hold {LARGEST_SUM:,}; "
        + ("give a smaller --scale" if scale is not None else "the graph is too large for this format")
    )


def _check(graph: SynapseGraph, request: Request) -> None:
    need_counts(graph, request)
    part = SpikingPart.of(graph, request)
    if part.edges > LARGEST and not request.options.idx64:
        raise UsageError(
            f"{part.edges:,} edges are more than a reader with 32-bit indices supports ({LARGEST:,}); "
            "give --idx64 for one built with 64-bit indices"
        )


FORMAT = Format(
    ".graph",
    write,
    _check,
    partial=True,
    own_options=("scale", "idx64", "with_input"),
    extra_description=_described,
)
