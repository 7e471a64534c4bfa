"""A population of the parsed model: the layers that something linear and its activation become."""

from typing import Dict, List, Optional, Tuple

import numpy as np

from snnb.conversion.kernel import IDENTITY, Kernel, NotComposableError, Shape, window
from snnb.conversion.linear import Linear, Term
from snnb.conversion.own_nodes import Node
from snnb.io.text import JsonValue

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
        term, padding = _placed(term, value.shape)
        kind, config, kernel = _layer(term.kernel, padding, len(value.shape))
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


def _placed(term: Term, written: Shape) -> Tuple[Term, str]:
    """Say where a kernel lies in Keras's words, `valid` or `same`; where neither does, a layer pads before it."""
    kernel, read = term.kernel, term.source.shape
    if kernel.weights.ndim < 4:
        return term, "valid"
    places = [(kernel.before[axis], written[axis]) for axis in (0, 1)]
    numbers = list(zip(read, kernel.size, kernel.strides, kernel.dilation))
    for padding in (kernel.padding, "valid", "same"):
        if [window(*axis, padding) for axis in numbers] == places:
            return term, padding
    behind = [max(kernel.reach(axis, written[axis])[1] + 1 - read[axis], 0) for axis in (0, 1)]
    pads = tuple(zip(kernel.before, behind))
    shape = (*(length + sum(pad) for length, pad in zip(read, pads)), read[-1])
    # It stands where the kernel does, so that the layers keep their order.
    padded = Node(
        "ZeroPadding2D",
        shape,
        kernel.position,
        (term.source,),
        {"padding": pads},
        rectified=term.source.rectified,
    )
    return Term(padded, kernel), "valid"


def _layer(kernel: Kernel, padding: str, rank: int) -> Tuple[str, Dict[str, JsonValue], np.ndarray]:
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
    if kernel.kind == "DepthwiseConv2D" and kernel.strides[0] != kernel.strides[1]:
        raise NotComposableError(
            f"has strides of {kernel.strides[0]} × {kernel.strides[1]} for each channel apart, which TensorFlow "
            "computes only where they are equal: use equal strides, or put a relu before"
        )
    config = {
        **_kept(kernel),
        "kernel_size": (rows, columns),
        "strides": kernel.strides,
        "padding": padding,
        "dilation_rate": kernel.dilation,
        ("filters" if kernel.kind == "Conv2D" else "depth_multiplier"): last,
    }
    return kernel.kind, config, kernel.weights


def _kept(kernel: Kernel) -> Dict[str, JsonValue]:
    return {key: value for key, value in kernel.config.items() if key not in DROPPED}
