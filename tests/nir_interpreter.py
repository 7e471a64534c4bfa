"""NIR networks for tests: written to HDF5, and interpreted in plain numpy, channels first, without code of the package.

A graph is `(nodes, edges)`: nodes are dictionaries with `type` and parameters, by name; a nested graph has `nodes` and
`edges`. Time is discretised as the design says: explicit Euler, a spike where v > threshold.
"""

import h5py
import numpy as np

NEURONS = ("IF", "LI", "LIF", "CubaLIF", "Threshold")


def write(path, nodes, edges):
    """Write a graph as the library `nir` does."""
    with h5py.File(path, "w") as file:
        file["version"] = "1.0.8"
        _write(
            file.create_group("node"),
            {"type": "NIRGraph", "nodes": nodes, "edges": edges},
        )
    return path


def read(path):
    """Return the graph of a file without nested graphs, as it was given to `write`."""

    def text(value):
        return value.decode() if isinstance(value, bytes) else value

    with h5py.File(path, "r") as file:
        nodes = {
            name: {key: text(value[()]) for key, value in node.items()}
            for name, node in file["node/nodes"].items()
        }
        return nodes, [
            (text(source), text(target)) for source, target in file["node/edges"][()]
        ]


def _write(group, node):
    for key, value in node.items():
        if key == "nodes":
            for name, inner in value.items():
                _write(group.create_group(f"nodes/{name}"), inner)
        elif key == "edges":
            group.create_dataset(
                key,
                data=np.array(value, object).reshape(-1, 2),
                dtype=h5py.special_dtype(vlen=str),
            )
        elif isinstance(value, str):
            group.create_dataset(
                key, data=str(value), dtype=h5py.special_dtype(vlen=str)
            )
        else:
            group.create_dataset(key, data=np.asarray(value))


def flat(nodes, edges, prefix=""):
    """Return the graph without nested graphs."""
    found_nodes, edge_list = {}, []
    for name, node in nodes.items():
        if node["type"] == "NIRGraph":
            inner, between = flat(node["nodes"], node["edges"], f"{prefix}{name}.")
            ends = {
                kind: next(
                    n for n, one_inner in inner.items() if one_inner["type"] == kind
                )
                for kind in ("Input", "Output")
            }
            for end in ends.values():
                inner[end] = {"type": "Nothing"}
            found_nodes.update(inner)
            edge_list += between
            edges = [
                (ends["Output"] if a == name else a, ends["Input"] if b == name else b)
                for a, b in edges
            ]
        else:
            found_nodes[prefix + name] = node
            edges = [
                (prefix + name if a == name else a, prefix + name if b == name else b)
                for a, b in edges
            ]
    return found_nodes, [*edge_list, *edges]


class Interpreter:
    """State of a network, and its time step; every value is float64."""

    def __init__(self, nodes, edges, dt=1.0, reset="value"):
        self.nodes, self.edges = flat(nodes, edges)
        self.dt = dt
        self.reset = reset
        self.state = {}
        self.past = []
        self.order = []
        self.closing = set()
        on_path = []

        def visit(name):
            on_path.append(name)
            for source, target in self.edges:
                if source == name and target in on_path:
                    self.closing.add((source, target))
                elif source == name and target not in self.order:
                    visit(target)
            self.order.insert(0, on_path.pop())

        visit(
            next(name for name, node in self.nodes.items() if node["type"] == "Input")
        )

    def step(self, x):
        """Do a time step with the input x; return the value of each node."""
        values = {}
        for name in self.order:
            if self.nodes[name]["type"] == "Input":
                values[name] = np.asarray(x, np.float64)
                continue
            read = []
            for source, target in self.edges:
                if target == name and (source, target) not in self.closing:
                    read.append(values[source])
                elif target == name and self.past and source in self.past[-1]:
                    read.append(self.past[-1][source])
            if any(value is None for value in read):
                read = [value for value in read if value is not None]
            values[name] = (
                self.value(name, self.nodes[name], sum(read)) if read else None
            )
        self.past.append(values)
        return values

    def value(self, name, node, x):
        """Return the output of a node that reads x."""
        kind = node["type"]
        if kind in NEURONS:
            return self.neurons(name, node, kind, x)
        if kind == "Delay":
            history = self.state.setdefault(name, [])
            history.append(x)
            steps = np.broadcast_to(
                np.round(np.asarray(node["delay"]) / self.dt).astype(int), x.shape
            )
            late = np.zeros(x.shape)
            for index in np.ndindex(x.shape):
                if steps[index] < len(history):
                    late[index] = history[-1 - steps[index]][index]
            return late
        return linear(node, x)

    def neurons(self, name, node, kind, x):
        """Integrate x; return spikes, or the potential."""
        i, v, late = self.state.get(name, (np.zeros(x.shape),) * 3)
        dt = self.dt
        if kind == "Threshold":
            return (x > node["threshold"]) * 1.0
        if kind == "CubaLIF":
            i = i + dt / node["tau_syn"] * (-i + node.get("w_in", 1.0) * x)
            x = i
        if kind == "IF":
            v = v + x * (1.0 if np.all(np.asarray(node["r"]) == 1) else node["r"] * dt)
        else:
            tau = node["tau_mem" if kind == "CubaLIF" else "tau"]
            v = v + dt / tau * (node["v_leak"] - v + node["r"] * x)
        v = v - late
        if kind == "LI":
            self.state[name] = i, v, late
            return v
        spikes = (v > node["v_threshold"]) * 1.0
        if self.reset == "subtract_delayed":
            self.state[name] = i, v, spikes * node["v_threshold"]
            return spikes
        after = (
            v - node["v_threshold"]
            if self.reset == "subtract"
            else node.get("v_reset", 0.0)
        )
        self.state[name] = i, np.where(spikes > 0, after, v), late
        return spikes


def interpret(nodes, edges, frames, dt=1.0, reset="value"):
    """Values of each node in each step of one sample."""
    interpreter = Interpreter(nodes, edges, dt, reset)
    return [interpreter.step(frame) for frame in frames]


def linear(node, x):
    """Return the output of a linear node without state."""
    kind = node["type"]
    if kind in ("Affine", "Linear"):
        return node["weight"] @ x.reshape(-1) + node.get("bias", 0.0)
    if kind == "Scale":
        return x * node["scale"]
    if kind == "Flatten":
        first_node, last = (
            axis % x.ndim for axis in (int(node["start_dim"]), int(node["end_dim"]))
        )
        return x.reshape(*x.shape[:first_node], -1, *x.shape[last + 1 :])
    if kind == "Conv1d":
        table = {key: np.append(1, node[key]) for key in ("stride", "dilation")}
        table["padding"] = (
            node["padding"]
            if isinstance(node["padding"], str)
            else np.append(0, node["padding"])
        )
        weight = node["weight"][:, :, None]
        return linear(
            {**node, **table, "type": "Conv2d", "weight": weight}, x[:, None]
        )[:, 0]
    if kind == "Conv2d":
        return convolution(node, x)
    if kind in ("SumPool2d", "AvgPool2d"):
        taps = tuple(np.resize(node["kernel_size"], 2))
        weight = np.full(
            (len(x), 1, *taps), 1 / np.prod(taps) if kind == "AvgPool2d" else 1.0
        )
        return convolution(
            {**node, "weight": weight, "dilation": 1, "groups": len(x)}, x
        )
    return x


def convolution(node, x):
    """Return a convolution, window by window."""
    weight, groups = node["weight"], int(node["groups"])
    (sh, sw), (dh, dw) = np.resize(node["stride"], 2), np.resize(node["dilation"], 2)
    rows, columns = (weight.shape[2] - 1) * dh + 1, (weight.shape[3] - 1) * dw + 1
    if isinstance(node["padding"], str):
        around = [
            (n // 2, n - n // 2) if node["padding"] == "same" else (0, 0)
            for n in (rows - 1, columns - 1)
        ]
    else:
        around = [(n, n) for n in np.resize(node["padding"], 2)]
    x = np.pad(x, [(0, 0), *around])
    height, width = (x.shape[1] - rows) // sh + 1, (x.shape[2] - columns) // sw + 1
    out = np.zeros((len(weight), height, width))
    group_filters, read = len(weight) // groups, len(x) // groups
    for f, r, c in np.ndindex(out.shape):
        first_group = f // group_filters * read
        window = x[
            first_group : first_group + read,
            r * sh : r * sh + rows : dh,
            c * sw : c * sw + columns : dw,
        ]
        out[f, r, c] = (window * weight[f]).sum()
    return out + np.reshape(
        np.broadcast_to(node.get("bias", 0.0), (len(weight),)), (-1, 1, 1)
    )
