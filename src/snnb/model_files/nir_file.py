"""Read NIR files with h5py (Neuromorphic Intermediate Representation).

Pedersen et al., Nature Communications 15:8122, describe the format. The library `nir`
for Python 3.8 does not read the files that are written today. A file is a group for
each node, with its `type` and parameters, and a list of edges. Nested graphs are
flattened: a node has the name `GRAPH.NODE`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Set, Tuple

import h5py
import networkx
import numpy as np

from snnb.io.budget import Budget
from snnb.io.hdf5 import budget_of, reading, text_of, whole
from snnb.model_files.kinds import NotReadError
from snnb.network.geometry import Shape

# Parameters that a node must have, by type. `v_reset`, `w_in`, and the bias of a
# convolution are optional.
PARAMETERS: Mapping[str, Tuple[str, ...]] = {
    "Input": ("shape",),
    "Output": (),
    "Affine": ("weight", "bias"),
    "Linear": ("weight",),
    "Scale": ("scale",),
    "Conv1d": ("weight", "stride", "padding", "dilation", "groups"),
    "Conv2d": ("weight", "stride", "padding", "dilation", "groups"),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "Flatten": ("start_dim", "end_dim"),
    "Delay": ("delay",),
    "Threshold": ("threshold",),
    "I": ("r",),
    "IF": ("r", "v_threshold"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
}
# Parameters that may be a text: `same` or `valid`
TEXTS = ("padding",)
LARGEST_NUMBER = 2**53  # of a shape, stride or delay: float64 has all up to it
GRAPH = "NIRGraph"
IDENTITY = "identity"  # type here of the inputs and outputs of nested graphs
Edge = Tuple[str, str]  # names of its source and its target


@dataclass(frozen=True, eq=False)
class NirNode:
    """A node of a NIR graph."""

    name: str
    kind: str  # its type, a key of `PARAMETERS`, or `IDENTITY`
    # Numbers are finite; a text is an array of type str
    parameters: Mapping[str, np.ndarray]
    budget: Budget  # of the file

    @property
    def title(self) -> str:
        """Name and type, for messages."""
        return f"node {self.name} ({self.kind})"

    def refuse(self, fault: str) -> NotReadError:
        """Return an error that names the node."""
        return NotReadError(f"{self.title} {fault}")

    def whole_numbers(self, name: str, length: int) -> Tuple[int, ...]:
        """Return a parameter of whole numbers, such as a stride, for `length` axes.

        A single number in the file holds for all axes.
        """
        values = self.parameters[name].ravel()
        fits = values.dtype.kind in "iuf" and values.size in (1, length)
        if fits:
            is_whole = (values == np.floor(values)) & (values <= LARGEST_NUMBER)
            fits = bool(is_whole.all())
        if not fits:
            numbers = ", ".join(map(str, values[:4].tolist())) or "of no number"
            raise self.refuse(
                f"has {name} {numbers}: it must be {length} whole numbers"
            )
        return tuple(np.resize(values, length).astype(int).tolist())

    def broadcast(self, name: str, shape: Shape, default: float = 0.0) -> np.ndarray:
        """Return a parameter with a number for each element: float64 of `shape`.

        `default` is the number of a node without this parameter.
        """
        values = np.asarray(self.parameters.get(name, default), np.float64)
        while values.ndim > len(shape) and values.shape[0] == 1:
            values = values[0]
        try:
            return np.broadcast_to(values, shape)
        except ValueError:
            raise self.refuse(
                f"has {name} of shape {describe_shape(values.shape)}, but its input is "
                f"{describe_shape(shape)}"
            ) from None


@dataclass(frozen=True, eq=False)
class NirGraph:
    """A NIR graph without nested graphs.

    Each node follows the nodes that it reads, except over edges that close a cycle.
    """

    nodes: Mapping[str, NirNode]
    sources: Mapping[str, List[str]]  # by name of a node, names of the nodes it reads
    # Edges that close a cycle, in a depth-first search from the input
    closing_edges: Set[Edge]
    input: str
    output: str
    budget: Budget  # of the file


def read_nir_graph(path: Path) -> NirGraph:
    """Read a NIR file.

    Raise `DamagedError` if the file is not complete, `NotReadError` if it is not a NIR
    file, a node has an unknown type or bad parameters, or an edge names a missing node.
    """
    with reading(path) as file:
        group = file.get("node")
        if not isinstance(group, h5py.Group) or _text(group, "type") != GRAPH:
            raise NotReadError("has no NIR graph")
        budget = budget_of(group)
        flat = _FlatGraph(group, "")
    inputs = flat.names_of_kind("Input")
    outputs = flat.names_of_kind("Output")
    _require_one(inputs, "input", "since a sample is one array")
    _require_one(outputs, "output", "which has the classes")
    input_name = inputs[0]
    graph = networkx.DiGraph(list(flat.edges))
    graph.add_node(input_name)
    order = list(networkx.dfs_postorder_nodes(graph, input_name))[::-1]
    place = {name: index for index, name in enumerate(order)}
    for name, node in flat.nodes.items():
        if name not in place:
            raise NotReadError(
                f"{node.title} cannot be reached from the input {input_name}"
            )
    closing_edges: Set[Edge] = set()
    sources: Dict[str, List[str]] = {name: [] for name in order}
    for source, target in flat.edges:
        sources[target].append(source)
        if place[target] <= place[source]:
            closing_edges.add((source, target))
    return NirGraph(
        nodes={name: flat.nodes[name] for name in order},
        sources=sources,
        closing_edges=closing_edges,
        input=input_name,
        output=outputs[0],
        budget=budget,
    )


def _require_one(names: List[str], role: str, reason: str) -> None:
    """Raise `NotReadError` unless a graph has exactly one input or output node."""
    if len(names) == 1:
        return
    listing = ", ".join(names) or "none"
    raise NotReadError(
        f"has {len(names)} {role} nodes ({listing}): exactly one is supported, {reason}"
    )


class _FlatGraph:
    """Nodes and edges of a graph in a file, with those of its nested graphs.

    An edge to a nested graph leads to its node `Input`, an edge from it comes from its
    node `Output`; both become nodes of type `IDENTITY`. `prefix` begins the names of
    the graph's nodes: it is empty, or ends in a full stop.
    """

    def __init__(self, group: h5py.Group, prefix: str) -> None:
        self.nodes: Dict[str, NirNode] = {}
        self.edges: Dict[Edge, None] = {}  # in the order of the file
        self._prefix = prefix
        self._budget = budget_of(group)
        # By name in this graph, the node that an edge to or from it leads to
        self._entries: Dict[str, str] = {}
        self._exits: Dict[str, str] = {}
        nodes = group.get("nodes")
        if not isinstance(nodes, h5py.Group):
            raise NotReadError(f"has a graph without a group of nodes: {group.name}")
        for name, item in nodes.items():
            self._budget.draw_steps(1, "nodes")
            if not isinstance(item, h5py.Group):
                raise NotReadError(f"node {prefix}{name} is an array, not a group")
            kind = _text(item, "type")
            if kind == GRAPH:
                self._add_graph(name, item)
            else:
                full_name = prefix + name
                self._add_nodes({full_name: _node(full_name, kind, item)})
                self._entries[name] = full_name
                self._exits[name] = full_name
        inner_names = {name[len(prefix) :]: name for name in self.nodes}
        starts = {**inner_names, **self._exits}
        ends = {**inner_names, **self._entries}
        for edge in whole(group["edges"]) if "edges" in group else []:
            source, target = map(text_of, edge)
            self._add_edge(source, target, starts, ends)

    def names_of_kind(self, kind: str) -> List[str]:
        """Return the names of the nodes of a type."""
        return [name for name, node in self.nodes.items() if node.kind == kind]

    def _add_nodes(self, nodes: Mapping[str, NirNode]) -> None:
        for name in nodes:
            if name in self.nodes:
                raise NotReadError(f"two nodes are called {name}")
        self.nodes.update(nodes)

    def _add_graph(self, name: str, group: h5py.Group) -> None:
        """Add the nodes and edges of a nested graph."""
        full_name = self._prefix + name
        inner_graph = _FlatGraph(group, f"{full_name}.")
        self.edges.update(inner_graph.edges)
        self._entries[name] = self._open_end(full_name, inner_graph, "Input", "input")
        self._exits[name] = self._open_end(full_name, inner_graph, "Output", "output")
        self._add_nodes(inner_graph.nodes)

    def _open_end(
        self,
        graph_name: str,
        inner_graph: "_FlatGraph",
        kind: str,
        role: str,
    ) -> str:
        """Replace the input or output of a nested graph by an identity.

        Return its name.
        """
        names = inner_graph.names_of_kind(kind)
        if len(names) != 1:
            listing = ", ".join(names) or "none"
            raise NotReadError(
                f"the nested graph {graph_name} has {len(names)} {role} nodes "
                f"({listing}): an edge that names the graph leads to one"
            )
        [name] = names
        inner_graph.nodes[name] = NirNode(name, IDENTITY, {}, self._budget)
        return name

    def _add_edge(
        self,
        source: str,
        target: str,
        starts: Mapping[str, str],
        ends: Mapping[str, str],
    ) -> None:
        """Add an edge; its ends have the names in this graph."""
        for end, names in ((source, starts), (target, ends)):
            if end not in names:
                raise NotReadError(
                    f"the edge from {source} to {target} names node "
                    f"{self._prefix}{end}, which does not exist"
                )
        edge = (starts[source], ends[target])
        if edge in self.edges:
            raise NotReadError(f"the edge from {edge[0]} to {edge[1]} is listed twice")
        self.edges[edge] = None


def _node(name: str, kind: str, group: h5py.Group) -> NirNode:
    """Read a node of a type, with its parameters."""
    parameters: Dict[str, np.ndarray] = {}
    node = NirNode(name, kind, parameters, budget_of(group))
    if kind not in PARAMETERS:
        kinds = ", ".join(sorted(PARAMETERS))
        raise node.refuse(f"has a type without a rule; there are rules for {kinds}")
    for key, item in group.items():
        if key == "type" or not isinstance(item, h5py.Dataset) or item.shape is None:
            continue
        is_number = item.dtype.kind in "iuf"
        if not is_number and key not in TEXTS:
            raise node.refuse(f"has {key} that is not a number")
        values = np.asarray(whole(item) if is_number else _text(group, key))
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise node.refuse(f"has {key} with values that are not finite")
        parameters[key] = values
    for key in PARAMETERS[kind]:
        if key not in parameters:
            raise node.refuse(f"has no {key}")
    return node


def _text(group: h5py.Group, name: str) -> str:
    return text_of(whole(group[name])) if name in group else ""


def describe_shape(shape: Shape) -> str:
    """Return a shape as text: 2×34×34."""
    return "×".join(map(str, shape)) or "one number"
