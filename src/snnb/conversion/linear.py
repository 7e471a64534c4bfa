"""The operations between two populations: a sum of terms, each one kernel on one layer, and a bias per channel."""

from dataclasses import dataclass, field, replace
from typing import Dict, Sequence, Tuple

import numpy as np

from snnb.conversion.kernel import IDENTITY, Kernel, NotComposableError, composed
from snnb.io.text import JsonValue


@dataclass(frozen=True, eq=False)
class Node:
    """A layer of the parsed model.

    Attributes
    ----------
    kind : str
        Its Keras class.
    shape : tuple of int
        Shape of its output without the batch axis.
    position : int
        Index of the trained layer that it comes from.
    inputs : tuple of Node
    config : dict
        Keras's configuration, without the name.
    weights : list of np.ndarray
    title : str
        Kind and shape as the toolbox would write them in the layer's name; empty for `kind` and `shape`.
    rectified : bool
        Whether no value can be negative.
    activation : str
        `softmax` if it ends in one, which is allowed for the output only.
    """

    kind: str
    shape: Tuple[int, ...]
    position: int
    inputs: Tuple["Node", ...] = ()
    config: Dict[str, JsonValue] = field(default_factory=dict)
    weights: Sequence[np.ndarray] = ()
    title: str = ""
    rectified: bool = False
    activation: str = "linear"


@dataclass(frozen=True, eq=False)
class Term:
    """A kernel that reads a layer of the parsed model."""

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
        Whether training can make the bias differ from 0.
    shape : tuple of int
        Shape without the batch axis.
    """

    terms: Tuple[Term, ...]
    bias: np.ndarray
    biased: bool
    shape: Tuple[int, ...]

    def scaled(self, scale: np.ndarray, shift: np.ndarray) -> "Linear":
        """Scale and shift the channels, as batch normalisation does.

        Parameters
        ----------
        scale, shift : ndarray of float64, shape (channels,)
            Factor and offset of each channel.
        """
        terms = tuple(replace(term, kernel=term.kernel.scaled(scale)) for term in self.terms)
        return replace(self, terms=terms, bias=self.bias * scale + shift, biased=True)

    def followed_by(self, kernel: Kernel, bias: np.ndarray, biased: bool, shape: Tuple[int, ...]) -> "Linear":
        """Compose each term with a kernel.

        Parameters
        ----------
        kernel : Kernel
            The next operation.
        bias : ndarray of float64, shape (filters,)
            What it adds.
        biased : bool
            Whether training can make `bias` differ from 0.
        shape : tuple of int
            Shape of its output without the batch axis.

        Raises
        ------
        NotComposableError
            The composition would not be exact.
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
    """Return the output of a layer as a linear value.

    Parameters
    ----------
    node : Node
        The layer.
    position : int
        Index of the trained layer that reads it.
    """
    channels = node.shape[-1]
    kernel = Kernel(IDENTITY, np.ones(channels, np.float32), position)
    return Linear((Term(node, kernel),), np.zeros(channels), False, node.shape)
