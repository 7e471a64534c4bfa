"""Graphs that are given in Python: arrays, a sparse matrix of scipy, or a `networkx.DiGraph`."""

import hashlib
from typing import TYPE_CHECKING, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from snnb.core.errors import InputError, UsageError
from snnb.formats.tables import unread_note
from snnb.graph.listed import ListedGraph, ListedPopulation
from snnb.graph.neuron_names import as_names, natural_order

if TYPE_CHECKING:
    import networkx
    from numpy.typing import ArrayLike
    from scipy.sparse import spmatrix

Populations = Mapping[str, Union[int, Sequence[int]]]  # sizes or shapes by name, in the order of the ids


class EdgeArrays(NamedTuple):
    """Edges of a graph, and spikes of its neurons."""

    source: "ArrayLike"  # (edges,) ids of neurons, from 0
    target: "ArrayLike"
    weight: "Optional[ArrayLike]" = None  # None: 1
    spikes: "Optional[ArrayLike]" = None  # (neurons,) over all samples and steps; None: not known
    neurons: Optional[int] = None  # None: as many as spikes or populations have, or the largest id and 1
    names: Optional[Sequence[str]] = None  # (neurons,); None: neurons have ids only
    notes: Tuple[str, ...] = ()  # content that was not read


def arrays_of(graph: "Union[spmatrix, networkx.DiGraph]") -> EdgeArrays:
    """Return the edges of a sparse matrix, whose rows are sources, or of a `networkx.DiGraph`.

    An edge of networkx has the attribute `weight`, by default 1; nodes have `spikes`, all or none. Nodes that
    are the integers 0 to n - 1, also as text and in any order, are ids; others are names, in the order of the nodes.
    """
    import networkx
    from scipy.sparse import issparse

    if issparse(graph):
        matrix = graph.tocoo()
        if matrix.shape[0] != matrix.shape[1]:
            raise UsageError(f"the matrix is {matrix.shape[0]:,} × {matrix.shape[1]:,}; give a square one")
        return EdgeArrays(matrix.row, matrix.col, matrix.data, neurons=matrix.shape[0])
    if isinstance(graph, networkx.Graph) and not graph.is_directed():
        raise UsageError("from_graph: the graph is undirected; graph.to_directed() has a synapse in each direction")
    if not isinstance(graph, networkx.DiGraph):
        raise UsageError(
            f"from_graph: a {type(graph).__name__} is not a graph that snnb reads; give a file, a sparse matrix of "
            "scipy, a networkx.DiGraph, or source and target"
        )
    nodes = list(graph)
    numbered = set(map(str, nodes)) == set(map(str, range(len(nodes))))
    if numbered:
        nodes.sort(key=int)
    ids = {node: number for number, node in enumerate(nodes)}
    edges = [(ids[source], ids[target], weight) for source, target, weight in graph.edges(data="weight", default=1.0)]
    counts = dict(graph.nodes(data="spikes"))
    spikes = [counts[node] for node in nodes if counts[node] is not None]
    if spikes and len(spikes) < len(ids):
        raise UsageError(f"{len(ids) - len(spikes):,} of {len(ids):,} nodes have no attribute spikes; give it to all")
    source, target, weight = (np.array(column) for column in (zip(*edges) if edges else np.empty((3, 0), int)))
    names = None if numbered else list(map(str, nodes))
    notes = unread_note({key for *_, attributes in graph.edges(data=True) for key in attributes})
    return EdgeArrays(source, target, weight, spikes or None, len(ids), names, notes)


def listed(edges: EdgeArrays, populations: Optional[Populations] = None, inputs: int = 0) -> Tuple[ListedGraph, str]:
    """Return the graph of some arrays, and their SHA-256.

    Neurons with names are in natural order in each population with one axis. `populations` are sizes or shapes by name,
    by default one of all neurons; the first `inputs` of them are inputs.
    """
    source, target = _ids("source", edges.source), _ids("target", edges.target)
    weight = np.ones(source.size, np.float32) if edges.weight is None else _numbers("weight", edges.weight)
    if not source.size == target.size == weight.size:
        raise UsageError(
            f"source, target and weight have {source.size:,}, {target.size:,} and {weight.size:,} values; give one "
            "of each for an edge"
        )
    spikes = None if edges.spikes is None else _numbers("spikes", edges.spikes)
    if populations is None:
        last = max((int(ids.max()) for ids in (source, target) if ids.size), default=-1)
        neurons = edges.neurons if edges.neurons is not None else last + 1 if spikes is None else spikes.size
        if not neurons:
            raise UsageError("from_graph: the graph has no neurons")
        populations = {"neurons": neurons}
    shapes = {name: _shape(size) for name, size in populations.items()}
    ends = np.cumsum([int(np.prod(shape, dtype=np.int64)) for shape in shapes.values()])
    for name, size in (("the graph", edges.neurons), ("spikes", None if spikes is None else spikes.size)):
        if size is not None and size != ends[-1]:
            raise UsageError(f"{name} has {size:,} neurons, and the populations have {ends[-1]:,}")
    for ids in (source, target):
        outside = np.flatnonzero((ids < 0) | (ids >= ends[-1]))
        if outside.size:
            raise InputError(f"an edge names neuron {ids[outside[0]]:,}, and the neurons are 0 to {ends[-1] - 1:,}")
    if not 0 <= inputs < len(shapes):
        raise UsageError(f"inputs={inputs}: of {len(shapes)} populations at least one is not an input")
    names = None if edges.names is None else as_names(edges.names)
    if names is not None:
        own_ids = zip(shapes.values(), np.split(np.arange(names.size), ends[:-1]))
        # The nodes of a population with several axes are in the order of its positions
        order = np.concatenate([ids[natural_order(names[ids])] if len(shape) == 1 else ids for shape, ids in own_ids])
        number = np.argsort(order)
        source, target, names = number[source], number[target], names[order]
        spikes = None if spikes is None else spikes[order]
    labels = [None] * len(shapes) if names is None else np.split(names, ends[:-1])
    listed_populations = [
        ListedPopulation(name, shape, names=own) for (name, shape), own in zip(shapes.items(), labels)
    ]
    graph = ListedGraph(listed_populations, [(source, target, weight)], inputs, notes=edges.notes)
    described = (shapes, inputs) if names is None else (shapes, inputs, names.tolist())
    digest = hashlib.sha256(repr(described).encode())
    for array in (source, target, weight, *([] if spikes is None else [spikes])):
        digest.update(f"{array.dtype.str} {array.size}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return graph if spikes is None else graph.with_spikes(spikes), digest.hexdigest()


def _ids(name: str, values: "ArrayLike") -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise UsageError(f"{name} has {array.ndim} axes and type {array.dtype}; give one axis of whole numbers")
    return array.astype(np.int64)


def _numbers(name: str, values: "ArrayLike") -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise UsageError(f"{name} is of type {array.dtype}; give numbers")
    return array.ravel()


def _shape(size: Union[int, Sequence[int]]) -> Tuple[int, ...]:
    shape: List[int] = np.atleast_1d(np.asarray(size)).tolist()
    if not shape or not all(isinstance(length, int) and length > 0 for length in shape):
        raise UsageError(f"populations: {size!r} is not a size; give a positive number, or a tuple of them")
    return tuple(shape)
