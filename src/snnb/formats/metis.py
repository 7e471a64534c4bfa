"""`metis`: the undirected graph for METIS, KaHIP, NetworKit; an edge weighs the traffic of its synapse.

Nodes count from 1; the weight is max(1, round(scale × traffic)), traffic the spikes per
step of the source. Synapses in both directions are one edge with the sum of their
weights, synapses of a pair with different delays count once; a synapse of a neuron onto
itself is omitted.
"""

from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Optional, Tuple

import numpy as np

from snnb.core.errors import UsageError
from snnb.formats.request import TEXT_BATCH, Format, Request, SpikingPart, need_counts
from snnb.formats.text_lines import lines, rows, texts
from snnb.graph.connection import ranges
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import (
    distinct,
    in_degrees,
    out_degrees,
    repeats,
    sources,
    targets,
)
from snnb.graph.synapse_graph import SynapseGraph

# Edges that a reader with 32-bit indices holds: it keeps both directions
LARGEST = 2**30
LARGEST_SUM = 2**31 - 1  # of integer weights in a partitioner


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, each neuron with its neighbours; see `Format`."""
    part = SpikingPart.of(graph, request)
    weights, scale = _weights(graph, part, request)
    edges = part.edges
    is_recurrent = any(p.source.first >= p.target.first for p in part.projections)
    if is_recurrent or repeats(part.projections):  # several synapses are one edge
        neighbours = _neighbours(part, weights)
        edges = sum(batch.neighbour.size for batch in neighbours) // 2
    counter = request.counter(2 * edges)
    rule = f"max(1, round({scale!r} x spikes per time step of the source))"
    with path.open("wb") as file:
        file.write(f"% edge weight {rule}; {metadata_line(graph)}\n".encode())
        file.write(f"{part.nodes} {edges} 001\n".encode())
        for indptr, neighbour, weight in _neighbours(part, weights):
            pairs = np.stack([neighbour + 1, weight], axis=1).ravel()
            file.write(lines(rows(2 * indptr, texts(pairs))))
            counter.add(neighbour.size)


def metadata_line(graph: SynapseGraph) -> str:
    """Return the metadata of a graph in a line: `name value; name value`."""
    return "; ".join(f"{name} {value}" for name, value in graph.describe().items())


def _weights(
    graph: SynapseGraph,
    part: SpikingPart,
    request: Request,
) -> Tuple[np.ndarray, float]:
    """Return the weight of the edges of each source, and of a spike per time step.

    The former is int64 of shape (nodes,).
    """
    assert graph.recording is not None
    steps = graph.recording.steps
    traffic = np.concatenate([population.traffic() for population in part.populations])
    degrees = np.concatenate(
        [out_degrees(part.projections, p) for p in part.populations],
    )
    default = steps * count_scale(steps * traffic, degrees)
    return scale_weights(traffic, degrees, request.options.scale, default)


def _describe_scale(graph: SynapseGraph, request: Request) -> Dict[str, object]:
    """Return the entry of the description that states the weight of a spike."""
    assert graph.recording is not None
    _, scale = _weights(graph, SpikingPart.of(graph, request), request)
    return {"spike_weight": scale / graph.recording.steps}


class _Neighbours(NamedTuple):
    """The neighbours of some neurons in a row, in CSR form; arrays are int64."""

    indptr: np.ndarray  # (neurons + 1,): where the neighbours of each neuron begin
    neighbour: np.ndarray  # ids of the neighbours from 0, ascending for each neuron
    weight: np.ndarray  # of the edges to them


def _neighbours(part: SpikingPart, weights: np.ndarray) -> Iterator[_Neighbours]:
    """Yield the neighbours of all neurons, some neurons at a time.

    The weight of an edge is that of its source, the sum of both for synapses in both
    directions. A synapse of a neuron with itself is omitted.
    """
    for population in part.populations:
        in_degree = in_degrees(part.projections, population)
        out_degree = out_degrees(part.projections, population)
        for start, stop in ranges(in_degree + out_degree, TEXT_BATCH):
            yield _neighbours_of(part, weights, population, start, stop)


def _neighbours_of(
    part: SpikingPart,
    weights: np.ndarray,
    population: GraphPopulation,
    start: int,
    stop: int,
) -> _Neighbours:
    """Return the neighbours of the neurons `start` to `stop - 1` of a population."""
    in_indptr, source = sources(part.projections, population, start, stop)
    out_indptr, target, _ = targets(part.projections, population, start, stop)
    if repeats(part.projections):
        in_indptr, source = distinct(in_indptr, source)
        out_indptr, target = distinct(out_indptr, target)
    neuron = population.first - part.first + np.arange(start, stop)
    synapse_source = np.concatenate(
        [source - part.first, neuron.repeat(np.diff(out_indptr))],
    )
    neighbour = np.concatenate([source, target]) - part.first
    neuron_of_pair = np.concatenate(
        [neuron.repeat(np.diff(in_indptr)), neuron.repeat(np.diff(out_indptr))],
    )
    is_pair = neighbour != neuron_of_pair
    # A number for each pair, which sorts by neuron, then by neighbour
    pair = (neuron_of_pair * part.nodes + neighbour)[is_pair]
    weight = weights[synapse_source][is_pair]
    order = np.argsort(pair, kind="stable")  # which merges the two sorted halves
    pair = pair[order]
    begin = np.flatnonzero(np.diff(pair, prepend=-1))
    pair = pair[begin]
    row_ends = np.append(neuron, neuron[-1] + 1) * part.nodes
    return _Neighbours(
        np.searchsorted(pair, row_ends),
        pair % part.nodes,
        np.add.reduceat(weight[order], begin),
    )


def count_scale(counts: np.ndarray, repeats: np.ndarray) -> float:
    """Return the smallest power of ten with which integer weights keep spike counts.

    They keep them to the precision of float32; it is 1 for whole numbers. `counts` are
    float64 (nodes,), `repeats` as in `scale_weights`. If no integers of a sum that
    partitioners hold keep the counts, it is the first power with a larger sum, which
    `scale_weights` halves.
    """
    scale = 1.0
    while scale * float(counts @ repeats) <= LARGEST_SUM:
        values = scale * counts
        rounding = np.abs(np.rint(values) - values)
        if (rounding <= np.finfo(np.float32).eps * values).all():
            break
        scale *= 10
    return scale


def scale_weights(
    values: np.ndarray, repeats: np.ndarray, scale: Optional[float], default: float
) -> Tuple[np.ndarray, float]:
    """Scale weights to integers whose sum partitioners hold; return them and the scale.

    Parameters
    ----------
    values : array
        Weights: float64, shape (nodes,).
    repeats : array
        Number of occurrences of each weight in the file.
    scale : float, optional
        Factor from the values to the integers. Default: `default`, halved until the sum
        fits.
    default : float
        The factor without a `scale`.

    Returns
    -------
    array
        max(1, round(scale × value)): int64, shape (nodes,).
    float
        The scale.

    Raises
    ------
    UsageError
        The sum is too large.
    """
    trial_scale = default if scale is None else scale
    while True:
        weights = np.maximum(1, np.rint(trial_scale * values))
        total = float(weights @ repeats.astype(np.float64))
        if total <= LARGEST_SUM:
            return weights.astype(np.int64), trial_scale
        if scale is not None or weights.max(initial=1) == 1:
            break
        trial_scale /= 2
    advice = "give a smaller --scale"
    if scale is None:
        advice = "the graph is too large for this format"
    raise UsageError(
        f"the weights sum to {total:,.0f}, partitioners hold {LARGEST_SUM:,}; {advice}"
    )


def _check(graph: SynapseGraph, request: Request) -> None:
    need_counts(graph, request)
    part = SpikingPart.of(graph, request)
    if part.edges > LARGEST and not request.options.idx64:
        raise UsageError(
            f"{part.edges:,} edges are more than a reader with 32-bit indices supports "
            f"({LARGEST:,}); give --idx64 for one built with 64-bit indices"
        )


FORMAT = Format(
    ".graph",
    write,
    _check,
    partial=True,
    own_options=("scale", "idx64", "with_input"),
    extra_description=_describe_scale,
)
