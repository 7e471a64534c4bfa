"""A population of the parsed model: the layers that something linear and its activation become."""

from typing import Dict, List, Optional, Tuple

import numpy as np

from snnb.conversion.linear import IDENTITY, Kernel, Linear, NotComposableError
from snnb.conversion.own_nodes import Node
from snnb.text import JsonValue

# What a parsed layer does not take over from the trained one.
DROPPED = {"name", "activation", "use_bias"}


def population(value: Linear, activation: str, limit: Optional[float], position: int) -> Node:
    """Make the layers of a population.

    Parameters
    ----------
    value : Linear
        Its current.
    activation : {"relu", "softmax", "linear"}
    limit : float or None
        Where its activations are clipped.
    position : int
        Where the activation stands in the trained model.

    Raises
    ------
    NotComposableError
        A term needs a kind of layer that there is none of.
    """
    single = len(value.terms) == 1
    own = activation if single and limit is None else "linear"
    rectified = own == "relu"
    ends: List[Node] = []
    for index, term in enumerate(value.terms):
        kind, config, kernel = _layer(term.kernel, len(value.shape))
        config.update(activation=own, use_bias=index == 0)
        weights = [kernel, value.bias.astype(np.float32)] if index == 0 else [kernel]
        ends.append(Node(kind, value.shape, term.kernel.position, (term.source,), config, weights, "", rectified, own))
    if single and limit is None:
        return ends[0]
    end = ends[0] if single else Node("Add", value.shape, position, tuple(ends))
    if limit is not None:
        return Node("ReLU", value.shape, position, (end,), {"max_value": limit}, rectified=True)
    if activation == "linear":
        return end
    config = {"activation": activation}
    return Node(
        "Activation", value.shape, position, (end,), config, rectified=activation == "relu", activation=activation
    )


def _layer(kernel: Kernel, rank: int) -> Tuple[str, Dict[str, JsonValue], np.ndarray]:
    """Return the Keras class, the configuration and the weights of a term."""
    if kernel.kind == "Dense":
        return "Dense", {**_kept(kernel), "units": kernel.outputs}, kernel.weights
    if kernel.kind == IDENTITY:
        if rank != 3:
            raise NotComposableError(
                "connects units of a Dense layer one to one, which only feature maps can: put a Dense layer there"
            )
        weights = kernel.weights.reshape(1, 1, -1, 1)
        kernel = Kernel("DepthwiseConv2D", weights, kernel.position)
    rows, columns, _, last = kernel.weights.shape
    config = {
        **_kept(kernel),
        "kernel_size": (rows, columns),
        "strides": kernel.strides,
        "padding": kernel.padding,
        "dilation_rate": kernel.dilation,
        ("filters" if kernel.kind == "Conv2D" else "depth_multiplier"): last,
    }
    return kernel.kind, config, kernel.weights


def _kept(kernel: Kernel) -> Dict[str, JsonValue]:
    return {key: value for key, value in kernel.config.items() if key not in DROPPED}
