"""Layers without neurons behind something linear: a relu is pulled before them, and some are composed."""

from dataclasses import dataclass
from typing import Dict, Optional, Tuple, Union

import numpy as np

from snnb.conversion.kernel import IDENTITY, Kernel
from snnb.conversion.linear import Linear, Term
from snnb.conversion.own_nodes import Node
from snnb.io.text import JsonValue


@dataclass(frozen=True, eq=False)
class Waiting:
    """A layer behind something linear that a relu commutes with: the relu is pulled before it.

    Attributes
    ----------
    kind : str
        Its Keras class.
    config : dict
        Keras's configuration, without the name.
    title : str
        See `Node`.
    position : int
        Where it stands in the trained model.
    inputs : tuple
        What it reads.
    shape : tuple of int
        Without the batch axis.
    outside : ndarray of float64, shape (channels,), or None
        Of a zero padding that a batch normalisation was pulled before: what stands in the place of zeros.
    """

    kind: str
    config: Dict[str, JsonValue]
    title: str
    position: int
    inputs: Tuple["Value", ...]
    shape: Tuple[int, ...]
    outside: Optional[np.ndarray] = None


Value = Union[Node, Linear, Waiting]


def node_of(value: Waiting, inputs: Tuple[Node, ...], activation: str = "linear") -> Node:
    """Return the layer of the parsed model, behind other layers of it."""
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
    """Return zeros around a sum without bias as a sum; None for anything else.

    Raises
    ------
    NotComposableError
        Its kernels would see a part of their input there.
    """
    if not isinstance(value, Waiting) or value.kind != "ZeroPadding2D" or value.outside is not None:
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
    """Return re-indexed volumes whose elements are scaled and shifted, as one axis of units; None for anything else."""
    if not isinstance(value, Waiting) or value.kind not in ("Flatten", "Reshape", "Concatenate"):
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
    """Return a volume, and by what each of its elements is multiplied and shifted; None for anything else."""
    if isinstance(value, Waiting):
        value = scaled_units(value) or value
    if isinstance(value, Node):
        return value, np.ones(value.shape), np.zeros(value.shape)
    if not isinstance(value, Linear) or len(value.terms) > 1 or value.terms[0].kernel.kind != IDENTITY:
        return None
    [term] = value.terms
    scale, shift = (np.broadcast_to(numbers, value.shape) for numbers in (term.kernel.weights, value.bias))
    return term.source, scale, shift
