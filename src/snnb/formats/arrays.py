"""Graphs that are given in Python: arrays, a sparse matrix of scipy, or a `networkx.DiGraph`."""

import hashlib
from typing import (
    TYPE_CHECKING,
    Hashable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

import numpy as np

from snnb.core.errors import InputError, UsageError
from snnb.formats.tables import unread_note
from snnb.graph.listed import ListedGraph, ListedPopulation
from snnb.graph.neuron_names import as_names, natural_order

if TYPE_CHECKING:
    import networkx
    from numpy.typing import ArrayLike
    from scipy.sparse import spmatrix

Populations = Mapping[
    str,
    Union[int, Sequence[int]],
]  # sizes or shapes by name, in the order of the ids


class EdgeArrays(NamedTuple):
    """Edges of a graph, and spikes of its neurons."""

    source: "ArrayLike"  # (edges,) ids of neurons, from 0
    target: "ArrayLike"
    weight: "Optional[ArrayLike]" = None  # None: 1
    # (neurons,) over all samples and steps; None: not known
    spikes: "Optional[ArrayLike]" = None
    # None: as many as spikes or populations have, or the largest id and 1
    neurons: Optional[int] = None
    names: Optional[Sequence[str]] = None  # (neurons,); None: neurons have ids only
    notes: Tuple[str, ...] = ()  # content that was not read


def arrays_of(graph: "Union[spmatrix, networkx.DiGraph]") -> EdgeArrays:
    """Return the edges of a sparse matrix or of a `networkx.DiGraph`.

    The rows of a matrix are sources. An edge of networkx has the attribute `weight`, by
    default 1; nodes have `spikes`, all or none. Nodes that are the integers 0 to n - 1,
    also as text and in any order, are ids; others are names, in the order of the nodes.
    """
    import networkx
    from scipy.sparse import issparse

    if issparse(graph):
        return _arrays_of_matrix(graph)
    if isinstance(graph, networkx.Graph) and not graph.is_directed():
        raise UsageError(
            "from_graph: the graph is undirected; graph.to_directed() has a synapse "
            "in each direction",
        )
    if not isinstance(graph, networkx.DiGraph):
        raise UsageError(
            f"from_graph: a {type(graph).__name__} is not a graph that snnb reads; "
            "give a file, a sparse matrix of scipy, a networkx.DiGraph, or source and "
            "target"
        )
    return _arrays_of_networkx(graph)


def _arrays_of_matrix(graph: "spmatrix") -> EdgeArrays:
    matrix = graph.tocoo()
    if matrix.shape[0] != matrix.shape[1]:
        raise UsageError(
            f"the matrix is {matrix.shape[0]:,} × {matrix.shape[1]:,}; give a square "
            "one",
        )
    return EdgeArrays(matrix.row, matrix.col, matrix.data, neurons=matrix.shape[0])


def _arrays_of_networkx(graph: "networkx.DiGraph") -> EdgeArrays:
    nodes = list(graph)
    are_ids = set(map(str, nodes)) == set(map(str, range(len(nodes))))
    if are_ids:
        nodes.sort(key=int)
    spikes = _spikes_of_nodes(graph, nodes)
    ids = {node: number for number, node in enumerate(nodes)}
    edges = list(graph.edges(data="weight", default=1.0))
    weights = [weight for _, _, weight in edges]
    attribute_names = set()
    for _, _, attributes in graph.edges(data=True):
        attribute_names.update(attributes)
    return EdgeArrays(
        source=np.array([ids[source] for source, _, _ in edges], int),
        target=np.array([ids[target] for _, target, _ in edges], int),
        weight=np.array(weights) if edges else np.empty(0, int),
        spikes=spikes,
        neurons=len(nodes),
        names=None if are_ids else list(map(str, nodes)),
        notes=unread_note(attribute_names),
    )


def _spikes_of_nodes(
    graph: "networkx.DiGraph",
    nodes: Sequence[Hashable],
) -> Optional[List[float]]:
    """Return the attribute `spikes` of each node; None if no node has it."""
    spikes_by_node = dict(graph.nodes(data="spikes"))
    all_spikes = [spikes_by_node[node] for node in nodes]
    spikes = [count for count in all_spikes if count is not None]
    if spikes and len(spikes) < len(nodes):
        raise UsageError(
            f"{len(nodes) - len(spikes):,} of {len(nodes):,} nodes have no attribute "
            "spikes; give it to all"
        )
    return spikes or None


class _Arrays(NamedTuple):
    """Edges of a graph, and spikes of its neurons, as arrays of numpy."""

    source: np.ndarray  # int64 (edges,)
    target: np.ndarray  # int64 (edges,)
    weight: np.ndarray  # (edges,) numbers
    spikes: Optional[np.ndarray]  # (neurons,) numbers

    @staticmethod
    def of(edges: EdgeArrays) -> "_Arrays":
        """Convert what was given; raise `UsageError` for other types or lengths."""
        source = _ids("source", edges.source)
        target = _ids("target", edges.target)
        weight = np.ones(source.size, np.float32)
        if edges.weight is not None:
            weight = _numbers("weight", edges.weight)
        if not source.size == target.size == weight.size:
            sizes = f"{source.size:,}, {target.size:,} and {weight.size:,} values"
            raise UsageError(
                f"source, target and weight have {sizes}; give one of each for an edge"
            )
        spikes = None if edges.spikes is None else _numbers("spikes", edges.spikes)
        return _Arrays(source, target, weight, spikes)

    def sort(self, order: np.ndarray) -> "_Arrays":
        """Return the same graph with neuron `order[i]` as neuron i."""
        new_id = np.argsort(order)
        return _Arrays(
            source=new_id[self.source],
            target=new_id[self.target],
            weight=self.weight,
            spikes=None if self.spikes is None else self.spikes[order],
        )


def listed(
    edges: EdgeArrays,
    populations: Optional[Populations] = None,
    inputs: int = 0,
) -> Tuple[ListedGraph, str]:
    """Return the graph of some arrays, and their SHA-256.

    Neurons with names are in natural order in each population with one axis.

    Parameters
    ----------
    edges : EdgeArrays
        The edges, and the spikes and names of neurons.
    populations : mapping, optional
        Sizes or shapes by name. Default: one population of all neurons.
    inputs : int
        Number of populations, from the first on, that are inputs.
    """
    arrays = _Arrays.of(edges)
    if populations is None:
        populations = {"neurons": _number_of_neurons(edges.neurons, arrays)}
    shapes = {name: _shape(size) for name, size in populations.items()}
    sizes_of_shapes = [int(np.prod(shape, dtype=np.int64)) for shape in shapes.values()]
    ends = np.cumsum(sizes_of_shapes)
    _check_size("the graph", edges.neurons, ends[-1])
    if arrays.spikes is not None:
        _check_size("spikes", arrays.spikes.size, ends[-1])
    _check_ids(arrays.source, ends[-1])
    _check_ids(arrays.target, ends[-1])
    if not 0 <= inputs < len(shapes):
        raise UsageError(
            f"inputs={inputs}: of {len(shapes)} populations at least one is not an "
            "input"
        )
    names = None
    names_by_population: List[Optional[np.ndarray]] = [None] * len(shapes)
    if edges.names is not None:
        unsorted_names = as_names(edges.names)
        order = _order_of_names(unsorted_names, [*shapes.values()], ends)
        arrays = arrays.sort(order)
        sorted_names = unsorted_names[order]
        names = sorted_names
        names_by_population = [*np.split(sorted_names, ends[:-1])]
    listed_populations: List[ListedPopulation] = []
    for (name, shape), labels in zip(shapes.items(), names_by_population):
        listed_populations.append(ListedPopulation(name, shape, names=labels))
    edge_list = (arrays.source, arrays.target, arrays.weight)
    graph = ListedGraph(listed_populations, [edge_list], inputs, notes=edges.notes)
    if arrays.spikes is not None:
        graph = graph.with_spikes(arrays.spikes)
    return graph, _digest_of(shapes, inputs, names, arrays)


def _number_of_neurons(stated_number: Optional[int], arrays: _Arrays) -> int:
    """Return the stated number, the number of spike counts, or the largest id and 1."""
    neurons = stated_number
    if neurons is None and arrays.spikes is not None:
        neurons = arrays.spikes.size
    if neurons is None:
        ends = (arrays.source, arrays.target)
        largest_ids = [int(ids.max()) for ids in ends if ids.size]
        neurons = 1 + max(largest_ids, default=-1)
    if not neurons:
        raise UsageError("from_graph: the graph has no neurons")
    return neurons


def _check_ids(ids: np.ndarray, neurons: int) -> None:
    """Raise `InputError` for an id that is not below the number of neurons."""
    outside_ids = ids[(ids < 0) | (ids >= neurons)]
    if outside_ids.size:
        raise InputError(
            f"an edge names neuron {outside_ids[0]:,}, and the neurons are 0 to "
            f"{neurons - 1:,}"
        )


def _check_size(name: str, size: Optional[int], neurons: int) -> None:
    """Raise `UsageError` if a number of neurons is not the number in populations."""
    if size is not None and size != neurons:
        raise UsageError(
            f"{name} has {size:,} neurons, and the populations have {neurons:,}"
        )


def _order_of_names(
    names: np.ndarray,
    shapes: Sequence[Tuple[int, ...]],
    ends: np.ndarray,
) -> np.ndarray:
    """Return the nodes in natural order of their names: int64, shape (neurons,).

    The nodes of a population with several axes remain in the order of its positions.
    `ends` are the ends of the populations.
    """
    parts: List[np.ndarray] = []
    for shape, nodes in zip(shapes, np.split(np.arange(names.size), ends[:-1])):
        has_one_axis = len(shape) == 1
        parts.append(nodes[natural_order(names[nodes])] if has_one_axis else nodes)
    return np.concatenate(parts)


def _digest_of(
    shapes: Mapping[str, Tuple[int, ...]],
    inputs: int,
    names: Optional[np.ndarray],
    arrays: _Arrays,
) -> str:
    """Return the SHA-256 of the content of a graph."""
    content = repr((shapes, inputs))
    if names is not None:
        content = repr((shapes, inputs, names.tolist()))
    digest = hashlib.sha256(content.encode())
    for array in arrays:
        if array is None:
            continue
        digest.update(f"{array.dtype.str} {array.size}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _ids(name: str, values: "ArrayLike") -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise UsageError(
            f"{name} has {array.ndim} axes and type {array.dtype}; give one axis of "
            "whole numbers",
        )
    return array.astype(np.int64)


def _numbers(name: str, values: "ArrayLike") -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise UsageError(f"{name} is of type {array.dtype}; give numbers")
    return array.ravel()


def _shape(size: Union[int, Sequence[int]]) -> Tuple[int, ...]:
    shape: List[int] = np.atleast_1d(np.asarray(size)).tolist()
    if not shape or not all(isinstance(length, int) and length > 0 for length in shape):
        raise UsageError(
            f"populations: {size!r} is not a size; give a positive number, or a tuple "
            "of them",
        )
    return tuple(shape)
