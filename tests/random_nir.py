"""Random NIR networks of all nodes that can be read. Weights are multiples of 1/4, so that sums are exact."""

import numpy as np


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
        of = [shape, (), (shape[0], *[1] * (len(shape) - 1))][draw.integers(3)]
        return {"type": kind, "scale": 2.0 ** draw.integers(-1, 2, of)}
    if kind == "Flatten":
        last = int(draw.choice([-1, len(shape) - 1, *range(len(shape))]))
        return {"type": kind, "start_dim": int(draw.integers(0, (last % len(shape)) + 1)), "end_dim": last}
    axes = len(shape) - 1
    taps = [int(draw.integers(1, 4)) for _ in range(axes)]
    if kind.startswith("Conv"):
        groups = int(draw.choice([g for g in (1, 2, 3, 4) if shape[0] % g == 0]))
        filters = groups * int(draw.integers(1, 4))
        padding = draw.choice(["same", "valid", "numbers"])
        return {
            "type": kind,
            "weight": quarters(draw, filters, shape[0] // groups, *taps),
            "bias": quarters(draw, filters),
            "stride": strides(draw, axes),
            "dilation": strides(draw, axes),
            "padding": str(padding) if padding != "numbers" else draw.integers(0, 3, axes),
            "groups": groups,
        }
    if kind == "AvgPool2d" and not any_pool:
        taps = [int(draw.choice([1, 2, 4])) for _ in range(axes)]
    padding = [int(draw.integers(0, n // 2 + 1)) for n in taps]
    return {"type": kind, "kernel_size": np.array(taps), "stride": strides(draw, axes), "padding": np.array(padding)}


def strides(draw, axes):
    """Return a number for each axis, or one for all."""
    return int(draw.integers(1, 4)) if draw.random() < 0.3 else draw.integers(1, 4, axes)


def input_shape(draw):
    axes = draw.integers(1, 4)
    return tuple(int(n) for n in (draw.choice([1, 2, 3, 4, 6]), *draw.integers(3, 9, 2))[:axes])
