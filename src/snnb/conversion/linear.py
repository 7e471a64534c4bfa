"""The operations between two populations: a sum of terms, each one kernel on one layer, and a bias per channel.

Layers without neurons that read such a sum are deferred: they are converted when the next activation is known.
"""

from dataclasses import dataclass, field, replace
from typing import Dict, Optional, Sequence, Tuple, Union

import numpy as np

from snnb.conversion.kernel import IDENTITY, Kernel, NotComposableError, composed
from snnb.io.text import JsonValue


@dataclass(frozen=True, eq=False)
class Node:
    """A layer of the parsed model."""

    kind: str
    shape: Tuple[int, ...]  # of its output, without the batch axis
    position: int  # index of the trained layer that it comes from
    inputs: Tuple["Node", ...] = ()
    config: Dict[str, JsonValue] = field(default_factory=dict)  # without the name
    weights: Sequence[np.ndarray] = ()
    title: str = ""  # kind and shape as the toolbox writes them in a layer's name; empty for `kind` and `shape`
    rectified: bool = False  # no value can be negative
    activation: str = "linear"  # `softmax` if it ends in one, which is allowed for the output only


@dataclass(frozen=True, eq=False)
class Term:
    """A kernel that reads a layer of the parsed model."""

    source: Node
    kernel: Kernel


@dataclass(frozen=True, eq=False)
class Linear:
    """A sum of terms and a bias."""

    terms: Tuple[Term, ...]
    bias: np.ndarray  # float64 `(channels,)`
    biased: bool  # training can make the bias differ from 0
    shape: Tuple[int, ...]

    def scaled(self, scale: np.ndarray, shift: np.ndarray) -> "Linear":
        """Scale and shift the channels, as batch normalisation does: float64 `(channels,)`."""
        terms = tuple(replace(term, kernel=term.kernel.scaled(scale)) for term in self.terms)
        return replace(self, terms=terms, bias=self.bias * scale + shift, biased=True)

    def followed_by(self, kernel: Kernel, bias: np.ndarray, biased: bool, shape: Tuple[int, ...]) -> "Linear":
        """Compose each term with a kernel and its bias, whose output has that shape.

        Raise `NotComposableError` if the composition would not be exact.
        """
        if self.biased and kernel.pads(self.shape, shape):
            raise NotComposableError(
                "pads with zeros what a layer without activation adds a bias to, which one kernel cannot do: "
                "put a relu between, or use padding valid"
            )
        terms = tuple(
            replace(term, kernel=composed(term.kernel, kernel, term.source.shape, self.shape, shape))
            for term in self.terms
        )
        return Linear(terms, bias + kernel.of_constant(self.bias), self.biased or biased, shape)


def identity(node: Node, position: int) -> Linear:
    """Return the output of a layer as a linear value, read by the trained layer of index `position`."""
    channels = node.shape[-1]
    kernel = Kernel(IDENTITY, np.ones(channels, np.float32), position)
    return Linear((Term(node, kernel),), np.zeros(channels), False, node.shape)


@dataclass(frozen=True, eq=False)
class DeferredLayer:
    """A layer without neurons that reads a linear value: a relu behind it, with which it commutes, moves before it."""

    kind: str
    config: Dict[str, JsonValue]
    title: str
    position: int
    inputs: Tuple["Value", ...]
    shape: Tuple[int, ...]
    # Of a zero padding before which a batch normalisation was moved: the values that replace the zeros, by channel.
    outside: Optional[np.ndarray] = None


Value = Union[Node, Linear, DeferredLayer]


def node_of(value: DeferredLayer, inputs: Tuple[Node, ...], activation: str = "linear") -> Node:
    """Return the layer of the parsed model that reads `inputs`, which end in `activation`."""
    rectified = all(node.rectified for node in inputs)
    return Node(value.kind, value.shape, value.position, inputs, value.config, (), value.title, rectified, activation)


def padded(value: Value) -> Optional[Linear]:
    """Return zero padding of a sum without bias as a sum; None for any other value.

    Raise `NotComposableError` if its kernels would see a part of their input in the padding.
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
