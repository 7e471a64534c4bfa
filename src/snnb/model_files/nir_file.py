"""Read NIR files with h5py (Neuromorphic Intermediate Representation: Pedersen et al., Nature Communications 15:8122).

The library `nir` for Python 3.8 does not read the files that are written today. A file is a group for each node, with
its `type` and parameters, and a list of edges. Nested graphs are flattened: a node has the name `GRAPH.NODE`.
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

# Parameters that a node must have, by type. `v_reset`, `w_in`, and the bias of a convolution are optional.
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
GRAPH = "NIRGraph"
IDENTITY = "identity"  # type here of the inputs and outputs of nested graphs


@dataclass(frozen=True, eq=False)
class Node:
    """A node of a NIR graph."""

    name: str
    kind: str  # its type, a key of `PARAMETERS`, or `IDENTITY`
    parameters: Mapping[str, np.ndarray]  # numbers are finite; a text is an array of type str
    budget: Budget  # of the file

    @property
    def title(self) -> str:
        """Name and type, for messages."""
        return f"node {self.name} ({self.kind})"

    def refuse(self, fault: str) -> NotReadError:
        """Return an error that names the node."""
        return NotReadError(f"{self.title} {fault}")

    def whole(self, name: str, length: int) -> Tuple[int, ...]:
        """Return a parameter of one whole number, or one for each of `length` axes, such as a stride."""
        values = self.parameters[name].ravel()
        if values.size not in (1, length) or values.dtype.kind not in "iuf" or (values != np.floor(values)).any():
            given = ", ".join(map(str, values[:4].tolist())) or "of no number"
            raise self.refuse(f"has {name} {given}: it must be {length} whole numbers")
        return tuple(np.resize(values, length).astype(int).tolist())

    def of_shape(self, name: str, shape: Shape, default: float = 0.0) -> np.ndarray:
        """Return a parameter of one number for each element of `shape`, as float64; broadcast to it."""
        values = np.asarray(self.parameters.get(name, default), np.float64)
        while values.ndim > len(shape) and values.shape[0] == 1:
            values = values[0]
        try:
            return np.broadcast_to(values, shape)
        except ValueError:
            raise self.refuse(f"has {name} of shape {times(values.shape)}, but its input is {times(shape)}") from None


@dataclass(frozen=True, eq=False)
class NirGraph:
    """A NIR graph without nested graphs.

    Each node follows the nodes that it reads, except over edges that close a cycle.
    """

    nodes: Mapping[str, Node]
    sources: Mapping[str, List[str]]  # by name of a node, names of the nodes that it reads
    closing: Set[Tuple[str, str]]  # edges that close a cycle, in a depth-first search from the input
    input: str
    output: str
    budget: Budget  # of the file


def read_nir_graph(path: Path) -> NirGraph:
    """Read a NIR file.

    Raise `DamagedError` if the file is not complete, `NotReadError` if it is not a NIR file, a node has an unknown type
    or bad parameters, or an edge names a missing node.
    """
    with reading(path) as file:
        group = file.get("node")
        if not isinstance(group, h5py.Group) or _text(group, "type") != GRAPH:
            raise NotReadError("has no NIR graph")
        budget = budget_of(group)
        nodes, edges = _flattened(group, "")
    inputs, outputs = ([name for name, node in nodes.items() if node.kind == kind] for kind in ("Input", "Output"))
    ends = ("input", "since a sample is one array"), ("output", "which has the classes")
    for names, (part, reason) in zip((inputs, outputs), ends):
        if len(names) != 1:
            listed = ", ".join(names) or "none"
            raise NotReadError(f"has {len(names)} {part} nodes ({listed}): exactly one is supported, {reason}")
    graph = networkx.DiGraph(edges)
    graph.add_node(inputs[0])
    order = list(networkx.dfs_postorder_nodes(graph, inputs[0]))[::-1]
    place = {name: index for index, name in enumerate(order)}
    unreached = [node.title for name, node in nodes.items() if name not in place]
    if unreached:
        raise NotReadError(f"{unreached[0]} cannot be reached from the input {inputs[0]}")
    closing = {(source, target) for source, target in edges if place[target] <= place[source]}
    sources: Dict[str, List[str]] = {name: [] for name in order}
    for source, target in edges:
        sources[target].append(source)
    return NirGraph({name: nodes[name] for name in order}, sources, closing, inputs[0], outputs[0], budget)


def _flattened(group: h5py.Group, prefix: str) -> Tuple[Dict[str, Node], List[Tuple[str, str]]]:
    """Return the nodes of a graph and of its nested graphs, by name, and the edges."""
    budget = budget_of(group)
    nodes: Dict[str, Node] = {}
    edges: Dict[Tuple[str, str], None] = {}  # in order
    entries: Dict[str, str] = {}  # name in the file -> node that an edge to it leads to
    exits: Dict[str, str] = {}
    for name, item in group["nodes"].items():
        budget.draw_steps(1, "nodes")
        kind, full = _text(item, "type"), prefix + name
        if kind == GRAPH:
            inner, within = _flattened(item, f"{full}.")
            edges.update(dict.fromkeys(within))
            for end_kind, ends, part in (("Input", entries, "input"), ("Output", exits, "output")):
                end_nodes = [node.name for node in inner.values() if node.kind == end_kind]
                if len(end_nodes) != 1:
                    names = ", ".join(end_nodes) or "none"
                    raise NotReadError(
                        f"the nested graph {full} has {len(end_nodes)} {part} nodes ({names}): an edge that names the "
                        "graph leads to one"
                    )
                ends[name] = end_nodes[0]
                inner[end_nodes[0]] = Node(end_nodes[0], IDENTITY, {}, budget)
        else:
            inner = {full: _node(full, kind, item)}
            entries[name] = exits[name] = full
        repeated = next((key for key in inner if key in nodes), None)
        if repeated is not None:
            raise NotReadError(f"two nodes are called {repeated}")
        nodes.update(inner)
    known = {name[len(prefix) :]: name for name in nodes}
    for pair in whole(group["edges"]) if "edges" in group else []:
        source, target = map(text_of, pair)
        start, end = exits.get(source, known.get(source)), entries.get(target, known.get(target))
        if start is None or end is None:
            missing = source if start is None else target
            raise NotReadError(f"the edge from {source} to {target} names node {prefix}{missing}, which does not exist")
        if (start, end) in edges:
            raise NotReadError(f"the edge from {start} to {end} is listed twice")
        edges[start, end] = None
    return nodes, list(edges)


def _node(name: str, kind: str, group: h5py.Group) -> Node:
    parameters: Dict[str, np.ndarray] = {}
    node = Node(name, kind, parameters, budget_of(group))
    if kind not in PARAMETERS:
        raise node.refuse(f"has a type without a rule; there are rules for {', '.join(sorted(PARAMETERS))}")
    for key, item in group.items():
        if key == "type" or not isinstance(item, h5py.Dataset) or item.shape is None:
            continue
        values = np.asarray(whole(item) if item.dtype.kind in "biuf" else _text(group, key))
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise node.refuse(f"has {key} with values that are not finite")
        parameters[key] = values
    missing = [key for key in PARAMETERS[kind] if key not in parameters]
    if missing:
        raise node.refuse(f"has no {missing[0]}")
    return node


def _text(group: h5py.Group, name: str) -> str:
    return text_of(whole(group[name])) if name in group else ""


def times(shape: Shape) -> str:
    """Return a shape as text: 2×34×34."""
    return "×".join(map(str, shape)) or "one number"
