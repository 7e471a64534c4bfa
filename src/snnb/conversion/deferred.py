"""Deferred layers: layers without neurons that read a linear value, converted when the next activation is known."""

from dataclasses import dataclass
from typing import Dict, Optional, Tuple, Union

import numpy as np

from snnb.conversion.kernel import IDENTITY, Kernel
from snnb.conversion.linear import Linear, Node, Term
from snnb.io.text import JsonValue


@dataclass(frozen=True, eq=False)
class DeferredLayer:
    """A layer that reads a linear value and commutes with relu: a relu behind it is moved before it.

    Attributes
    ----------
    kind : str
        Its Keras class.
    config : dict
        Keras's configuration, without the name.
    title : str
        See `Node`.
    position : int
        Its index in the trained model.
    inputs : tuple of Value
        The values that it reads.
    shape : tuple of int
        Shape of its output without the batch axis.
    outside : ndarray of float64, shape (channels,), or None
        For zero padding before which a batch normalisation was moved: the values that replace the zeros.
    """

    kind: str
    config: Dict[str, JsonValue]
    title: str
    position: int
    inputs: Tuple["Value", ...]
    shape: Tuple[int, ...]
    outside: Optional[np.ndarray] = None


Value = Union[Node, Linear, DeferredLayer]


def node_of(value: DeferredLayer, inputs: Tuple[Node, ...], activation: str = "linear") -> Node:
    """Return the layer of the parsed model.

    Parameters
    ----------
    value : DeferredLayer
        The layer.
    inputs : tuple of Node
        The layers of the parsed model that it reads.
    activation : {"linear", "softmax"}
        Activation that its inputs end in.
    """
    return Node(
        value.kind,
        value.shape,
        value.position,
        inputs,
        value.config,
        title=value.title,
        rectified=all(node.rectified for node in inputs),
        activation=activation,
    )


def padded(value: Value) -> Optional[Linear]:
    """Return zero padding of a sum without bias as a sum; None for any other value.

    Raises
    ------
    NotComposableError
        Its kernels would see a part of their input in the padding.
    """
    if not isinstance(value, DeferredLayer) or value.kind != "ZeroPadding2D" or value.outside is not None:
        return None
    [inside] = value.inputs
    inside = padded(inside) or inside
    if not isinstance(inside, Linear) or inside.biased:
        return None
    ((top, _), (left, _)), channels = value.config["padding"], value.shape[-1]
    ones = np.ones((1, 1, channels, 1), np.float32)
    kernel = Kernel("DepthwiseConv2D", ones, value.position, before=(int(top), int(left)))
    return inside.followed_by(kernel, np.zeros(channels), False, value.shape)


def scaled_units(value: Value) -> Optional[Linear]:
    """Return flattened layers whose elements are scaled and shifted, as a linear value; None for any other value."""
    if not isinstance(value, DeferredLayer) or value.kind not in ("Flatten", "Reshape", "Concatenate"):
        return None
    if len(value.shape) > 1:
        return None
    parts = [_spread(part) for part in value.inputs]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    # In C order, as these layers rearrange; of several parts, each is one axis long.
    scale, shift = (np.concatenate([numbers[i].ravel() for _, *numbers in found]) for i in (0, 1))
    node = node_of(value, tuple(source for source, *_ in found))
    kernel = Kernel(IDENTITY, scale.astype(np.float32), value.position)
    return Linear((Term(node, kernel),), shift, True, value.shape)


def _spread(value: Value) -> Optional[Tuple[Node, np.ndarray, np.ndarray]]:
    """Return a layer, and scale and shift of each of its elements; None for any other value."""
    if isinstance(value, DeferredLayer):
        value = scaled_units(value) or value
    if isinstance(value, Node):
        return value, np.ones(value.shape), np.zeros(value.shape)
    if not isinstance(value, Linear) or len(value.terms) > 1 or value.terms[0].kernel.kind != IDENTITY:
        return None
    [term] = value.terms
    scale, shift = (np.broadcast_to(numbers, value.shape) for numbers in (term.kernel.weights, value.bias))
    return term.source, scale, shift
