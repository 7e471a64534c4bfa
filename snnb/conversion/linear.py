"""What is linear between two populations: a sum of terms, each one kernel on one volume, and a bias per channel.

Kernels in a row are composed into one where that is exact at every position, borders included.
"""

from dataclasses import dataclass, field, replace
from typing import Dict, Tuple

import numpy as np

from snnb.conversion.own_nodes import Node
from snnb.text import JsonValue

IDENTITY = "identity"
Pair = Tuple[int, int]


class NotComposableError(Exception):
    """Two layers in a row have no exact common kernel; the message is the reason for a person."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """A linear operation without its bias.

    Attributes
    ----------
    kind : {"Conv2D", "DepthwiseConv2D", "Dense", "identity"}
        The Keras class; `identity` multiplies each channel by a number.
    weights : np.ndarray
        float32, as Keras keeps them; of `identity`, `(channels,)`.
    strides, dilation : tuple of two int
    padding : {"valid", "same"}
    config : dict
        Keras's configuration of the layer that it comes from.
    position : int
        Where that layer stands in the trained model, for the order and the names of the parsed layers.
    """

    kind: str
    weights: np.ndarray
    position: int
    strides: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: str = "valid"
    config: Dict[str, JsonValue] = field(default_factory=dict)

    @property
    def pointwise(self) -> bool:
        """Whether each output position depends on the input at the same position only."""
        return self.kind == IDENTITY or (
            self.kind != "Dense" and self.weights.shape[:2] == (1, 1) and self.strides == (1, 1)
        )

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        shape = self.weights.shape
        return int(shape[-1] * shape[-2]) if self.kind == "DepthwiseConv2D" else int(shape[-1])

    @property
    def pads(self) -> bool:
        """Whether it reads zeros around its input."""
        return self.padding == "same" and self.weights.ndim == 4 and self.weights.shape[:2] != (1, 1)

    def scaled(self, scale: np.ndarray) -> "Kernel":
        """Multiply output channels by numbers, `(channels,)`."""
        if self.kind == "DepthwiseConv2D":
            scale = scale.reshape(self.weights.shape[-2:])
        return replace(self, weights=(self.weights * scale).astype(np.float32))

    def of_constant(self, values: np.ndarray) -> np.ndarray:
        """Apply it to an image that is the same at every position: float64, `(channels,)` to `(channels,)`."""
        weights = self.weights.astype(np.float64)
        if self.kind == IDENTITY:
            return np.asarray(weights * values)
        if self.kind == "Dense":
            return np.asarray(values @ weights)
        summed = weights.sum(axis=(0, 1))
        return np.asarray(
            (summed * values[:, np.newaxis]).ravel() if self.kind == "DepthwiseConv2D" else values @ summed
        )


@dataclass(frozen=True, eq=False)
class Term:
    """A kernel on a volume."""

    source: Node
    kernel: Kernel


@dataclass(frozen=True, eq=False)
class Linear:
    """A sum of terms and a bias.

    Attributes
    ----------
    terms : tuple of Term
    bias : np.ndarray
        float64 `(channels,)`.
    biased : bool
        Whether the bias may differ from 0, whatever its values are in an untrained network.
    shape : tuple of int
        Without the batch axis.
    """

    terms: Tuple[Term, ...]
    bias: np.ndarray
    biased: bool
    shape: Tuple[int, ...]

    def scaled(self, scale: np.ndarray, shift: np.ndarray) -> "Linear":
        """Multiply channels by numbers and add others, as batch normalisation does: float64 `(channels,)`."""
        terms = tuple(replace(term, kernel=term.kernel.scaled(scale)) for term in self.terms)
        return replace(self, terms=terms, bias=self.bias * scale + shift, biased=True)

    def followed_by(self, kernel: Kernel, bias: np.ndarray, biased: bool, shape: Tuple[int, ...]) -> "Linear":
        """Compose each term with a kernel.

        Raises
        ------
        NotComposableError
            That would not be exact.
        """
        if self.biased and kernel.pads:
            raise NotComposableError(
                "pads with zeros what a layer without activation adds a bias to, which one kernel cannot do: "
                "put a relu between, or use padding valid"
            )
        terms = tuple(replace(term, kernel=composed(term.kernel, kernel)) for term in self.terms)
        return Linear(terms, bias + kernel.of_constant(self.bias), self.biased or biased, shape)


def identity(node: Node, position: int) -> Linear:
    """Return what a volume is as a linear value: itself."""
    channels = node.shape[-1]
    kernel = Kernel(IDENTITY, np.ones(channels, np.float32), position)
    return Linear((Term(node, kernel),), np.zeros(channels), False, node.shape)


def composed(first: Kernel, second: Kernel) -> Kernel:
    """Return the kernel that does what two do in a row.

    Raises
    ------
    NotComposableError
        There is none of the kinds that are supported, or it would not be exact at the borders.
    """
    if second.kind == IDENTITY:
        return replace(first.scaled(second.weights), position=second.position)
    if first.kind == IDENTITY:
        return _behind_identity(first, second)
    if second.kind == "Dense" and first.kind == "Dense":
        return replace(second, weights=_product(first.weights, second.weights))
    if "Dense" in (first.kind, second.kind):
        raise NotComposableError("reads a convolution without activation as a Dense layer: put a relu between")
    if second.pointwise:
        return _before_pointwise(first, second)
    if first.pointwise:
        return _behind_pointwise(first, second)
    raise NotComposableError(
        "is a kernel over the kernel of a layer without activation: put a relu between (only 1×1 is composed)"
    )


def _product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Multiply matrices, in float64, the last axis of the first with the last but one of the second."""
    return np.asarray((first.astype(np.float64) @ second.astype(np.float64)).astype(np.float32))


def _behind_identity(first: Kernel, second: Kernel) -> Kernel:
    # The axis before the last is that of the input's channels, for all three kinds.
    return replace(second, weights=(second.weights * first.weights[:, np.newaxis]).astype(np.float32))


def _before_pointwise(first: Kernel, second: Kernel) -> Kernel:
    """Compose any convolution with a 1×1 one behind it: strides, padding and dilation are the first one's."""
    place = replace(first, position=second.position)
    rows, columns, channels, filters = first.weights.shape
    if second.kind == "Conv2D":
        if first.kind == "Conv2D":
            return replace(place, weights=_product(first.weights, second.weights[0, 0]))
        behind = second.weights[0, 0].reshape(channels, filters, -1)
        weights = np.einsum("hwcm,cmg->hwcg", first.weights.astype(np.float64), behind.astype(np.float64))
        return replace(place, kind="Conv2D", config={}, weights=weights.astype(np.float32))
    # Depthwise: each channel becomes as many as the multiplier says, beside one another.
    each = second.weights[0, 0]
    if first.kind == "Conv2D":
        weights = first.weights[..., np.newaxis] * each
        return replace(place, config={}, weights=weights.reshape(rows, columns, channels, -1))
    weights = first.weights[..., np.newaxis] * each.reshape(channels, filters, -1)
    return replace(place, config={}, weights=weights.reshape(rows, columns, channels, -1))


def _behind_pointwise(first: Kernel, second: Kernel) -> Kernel:
    """Compose a 1×1 convolution with any one behind it: strides, padding and dilation are the second one's."""
    rows, columns, channels, filters = second.weights.shape
    before = _dense(first)
    if second.kind == "Conv2D":
        return replace(second, config={}, weights=_product(before, second.weights))
    weights = np.einsum("cf,hwfm->hwcfm", before.astype(np.float64), second.weights.astype(np.float64))
    weights = weights.reshape(rows, columns, len(before), channels * filters)
    return replace(second, kind="Conv2D", config={}, weights=weights.astype(np.float32))


def _dense(pointwise: Kernel) -> np.ndarray:
    """Return the matrix `(inputs, outputs)` of a 1×1 convolution."""
    weights = pointwise.weights[0, 0]
    if pointwise.kind == "Conv2D":
        return weights
    channels, multiplier = weights.shape
    matrix = np.zeros((channels, channels, multiplier), weights.dtype)
    matrix[np.arange(channels), np.arange(channels)] = weights
    return matrix.reshape(channels, -1)
