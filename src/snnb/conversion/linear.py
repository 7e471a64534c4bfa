"""What is linear between two populations: a sum of terms, each one kernel on one volume, and a bias per channel."""

from dataclasses import dataclass, replace
from typing import Tuple

import numpy as np

from snnb.conversion.kernel import IDENTITY, Kernel, NotComposableError, composed
from snnb.conversion.own_nodes import Node


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
    """Return what a volume is as a linear value: itself."""
    channels = node.shape[-1]
    kernel = Kernel(IDENTITY, np.ones(channels, np.float32), position)
    return Linear((Term(node, kernel),), np.zeros(channels), False, node.shape)
