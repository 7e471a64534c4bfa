"""Random NIR networks of all nodes that can be read. Weights are multiples of 1/4, so that sums are exact."""

import numpy as np

from tests.nir_interpreter import linear


def quarters(draw, *shape, low=-3):
    return draw.integers(low, 4, shape) / 4


def linear_node(draw, shape, *, any_pool=True):
    """Return a linear node for an input of that shape, or None if the one that was drawn does not fit."""
    kinds = {1: ["Affine", "Linear", "Scale"], 2: ["Conv1d", "Scale", "Flatten"]}.get(
        len(shape), ["Conv2d", "Conv2d", "SumPool2d", "AvgPool2d", "Scale", "Flatten"]
    )
    kind = draw.choice(kinds)
    if kind in ("Affine", "Linear"):
        units = int(draw.integers(1, 7))
        node = {"type": kind, "weight": quarters(draw, units, shape[0])}
        return {**node, "bias": quarters(draw, units)} if kind == "Affine" else node
    if kind == "Scale":
        parameter_shape = [shape, (), (shape[0], *[1] * (len(shape) - 1))][
            draw.integers(3)
        ]
        return {"type": kind, "scale": 2.0 ** draw.integers(-1, 2, parameter_shape)}
    if kind == "Flatten":
        last = int(draw.choice([-1, len(shape) - 1, *range(len(shape))]))
        return {
            "type": kind,
            "start_dim": int(draw.integers(0, (last % len(shape)) + 1)),
            "end_dim": last,
        }
    axes = len(shape) - 1
    taps = [int(draw.integers(1, 4)) for _ in range(axes)]
    if kind.startswith("Conv"):
        groups = int(draw.choice([g for g in (1, 2, 3, 4) if shape[0] % g == 0]))
        filters = groups * int(draw.integers(1, 4))
        padding = draw.choice(["same", "valid", "numbers"])
        return {
            "type": kind,
            "input_shape": shape[1]
            if axes == 1
            else np.array(shape[1:]),  # which is not needed
            "weight": quarters(draw, filters, shape[0] // groups, *taps),
            "bias": quarters(draw, filters),
            "stride": strides(draw, axes),
            "dilation": strides(draw, axes),
            "padding": str(padding)
            if padding != "numbers"
            else draw.integers(0, 3, axes),
            "groups": groups,
        }
    if kind == "AvgPool2d" and not any_pool:
        taps = [int(draw.choice([1, 2, 4])) for _ in range(axes)]
    padding = [int(draw.integers(0, n // 2 + 1)) for n in taps]
    return {
        "type": kind,
        "kernel_size": np.array(taps),
        "stride": strides(draw, axes),
        "padding": np.array(padding),
    }


def strides(draw, axes):
    """Return a number for each axis, or one for all."""
    return (
        int(draw.integers(1, 4)) if draw.random() < 0.3 else draw.integers(1, 4, axes)
    )


def input_shape(draw):
    axes = draw.integers(1, 4)
    return tuple(
        int(n) for n in (draw.choice([1, 2, 3, 4, 6]), *draw.integers(3, 9, 2))[:axes]
    )


DT = 2.0**-10


def neurons(draw, kind, shape, full):
    """Return a node of neurons whose decay factors are 0 and 1/2: potentials have few bits after some steps."""

    def choose(*values):
        return draw.choice(values, [shape, shape if full else ()][draw.integers(2)])

    if kind == "Threshold":
        return {"type": kind, "threshold": choose(0.0, 0.5, 1.0)}
    node = {"type": kind, "r": choose(0.5, 1.0, 2.0)}
    if kind == "IF":
        node["r"] = np.broadcast_to(
            draw.choice([1.0, 1 / DT, 0.5 / DT]), shape if full else ()
        )
    elif kind == "CubaLIF":
        node.update(
            tau_syn=DT * choose(1, 2),
            tau_mem=DT * choose(1, 2, 2),
            w_in=choose(1.0, 2.0),
        )
    else:
        node.update(tau=DT * choose(1, 2, 2))
    if kind != "IF":
        node["v_leak"] = choose(0.0, 0.25, -0.25)
    if kind != "LI":
        node["v_threshold"] = choose(0.25, 0.5, 1.0)
        if draw.random() < 0.5:
            node["v_reset"] = choose(0.0, 0.25, -0.5)
    return node


def recurrent(draw, shape):
    """Return a linear node whose output has the shape of its input."""
    if len(shape) == 1:
        size = shape[0]
        return {
            "type": "Affine",
            "weight": quarters(draw, size, size, low=-2),
            "bias": quarters(draw, size),
        }
    axes, channels = len(shape) - 1, shape[0]
    return {
        "type": f"Conv{axes}d",
        "input_shape": shape[1] if axes == 1 else np.array(shape[1:]),
        "weight": quarters(draw, channels, channels, *[3] * axes),
        "bias": quarters(draw, channels),
        "stride": 1,
        "dilation": 1,
        "padding": "same",
        "groups": 1,
    }


def network(draw, full=False):
    """Return nodes and edges: two to four populations with linear nodes between, cycles, and nested graphs.

    Parameters of neurons, delays and scales are arrays of the node's shape, or, unless `full`, also single numbers.
    """
    shape = input_shape(draw)
    nodes = {"input": {"type": "Input", "shape": np.array(shape)}}
    edges = []
    last = "input"
    sums = []  # populations of one axis that other nodes can reach: name and size
    populations = int(draw.integers(2, 5))
    for k in range(populations):
        is_nested = draw.random() < 0.3
        inside, between = (
            ({"in": {"type": "Input", "shape": np.array(shape)}}, [])
            if is_nested
            else (nodes, edges)
        )
        before = "in" if is_nested else last
        for i in range(draw.integers(0 if k else 1, 3)):
            node = linear_node(draw, shape, any_pool=False)
            if draw.random() < 0.3 and not i:
                node = {
                    "type": "Delay",
                    "delay": DT
                    * draw.integers(
                        0, 3, [shape, shape if full else ()][draw.integers(2)]
                    ),
                }
            try:
                out = linear(node, np.zeros(shape)).shape
            except ValueError:  # a kernel larger than its input
                continue
            if 0 in out:
                continue
            if full and node["type"] == "Scale":
                node["scale"] = np.broadcast_to(node["scale"], shape)
            name, shape = f"n{k}{i}", tuple(out)
            inside[name] = node
            between.append((before, name))
            before = name
        end = k == populations - 1
        kind = draw.choice(
            ["IF", "LIF", "CubaLIF", "CubaLIF", "Threshold"] + ["LI"] * 4 * end
        )
        name = f"p{k}"
        inside[name] = neurons(draw, kind, shape, full)
        between.append((before, name))
        if kind != "LI" and draw.random() < 0.5:
            inside[f"r{k}"] = recurrent(draw, shape)
            between += [(f"r{k}", name), (name, f"r{k}")]
        if is_nested:
            inside["out"] = {"type": "Output", "shape": np.array(shape)}
            between.append((name, "out"))
            nodes[f"g{k}"] = {"type": "NIRGraph", "nodes": inside, "edges": between}
            edges.append((last, f"g{k}"))
        last = f"g{k}" if is_nested else name
        sums.append((last, shape, is_nested, kind))
    nodes["output"] = {"type": "Output", "shape": np.array(shape)}
    edges.append((last, "output"))
    # One more edge between two populations, forwards over others or backwards.
    first_population, second_population = sorted(
        draw.choice(populations, 2, replace=False).tolist()
    )
    source, target = (
        (second_population, first_population)
        if draw.random() < 0.5
        else (first_population, second_population)
    )
    (name, shape, _, kind), (onto, size, is_nested, _) = sums[source], sums[target]
    if len(size) == 1 and not is_nested and kind != "LI":
        nodes["flat"] = {"type": "Flatten", "start_dim": 0, "end_dim": -1}
        weight = quarters(draw, size[0], int(np.prod(shape)), low=-2)
        nodes["more"] = {
            "type": "Affine",
            "weight": weight,
            "bias": quarters(draw, size[0]),
        }
        edges += [(name, "flat"), ("flat", "more"), ("more", onto)]
    return nodes, edges
