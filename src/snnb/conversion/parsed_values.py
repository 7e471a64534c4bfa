"""What a layer of a trained network computes, in the form in which the parser keeps it.

A value is one of three things:

- a volume of the parsed network: neurons, the input, or either of them rearranged;
- an affine value: a sum of kernels that read volumes, and a bias, to which further
  linear layers are added until an activation makes a population of it;
- a deferred layer: a layer without weights that reads affine values. It waits for an
  activation, which moves before it.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Optional, Tuple, Union

import numpy as np

from snnb.conversion.kernel import IDENTITY, Kernel, compose
from snnb.network.geometry import Shape
from snnb.network.layers import Pooling2D, Reindexing, ZeroPadding2D
from snnb.network.network import Volume


@dataclass(frozen=True, eq=False)
class Term:
    """A kernel that reads a volume."""

    source: Volume
    kernel: Kernel


@dataclass(frozen=True, eq=False)
class Affine:
    """A sum of terms and a bias."""

    terms: Tuple[Term, ...]
    bias: np.ndarray  # float64, `(channels,)` or `shape`
    shape: Shape

    def scale_channels(self, scale: np.ndarray, shift: np.ndarray) -> "Affine":
        """Multiply the channels by a scale and add a shift: float64 `(channels,)`."""
        terms = []
        for term in self.terms:
            terms.append(replace(term, kernel=term.kernel.scale(scale)))
        return replace(self, terms=tuple(terms), bias=self.bias * scale + shift)

    def follow(self, kernel: Kernel, bias: np.ndarray, shape: Shape) -> "Affine":
        """Return this value after a further kernel and its bias.

        `bias` is float64 `(channels,)`; `shape` is that of the output. Raise
        `NotComposableError` if the composition would not be exact.
        """
        terms = []
        for term in self.terms:
            source_shape = term.source.shape
            both = compose(term.kernel, kernel, source_shape, self.shape, shape)
            terms.append(replace(term, kernel=both))
        pads_bias = self.bias.any() and kernel.pads(self.shape, shape)
        if self.bias.ndim == 1 and not pads_bias:
            bias_after = kernel.apply_to_constant(self.bias)
        else:
            image = np.broadcast_to(self.bias, self.shape)
            bias_after = kernel.apply_to_image(image, shape)
        return Affine(tuple(terms), bias + bias_after, shape)


def identity(volume: Volume, position: int) -> Affine:
    """Return a volume as an affine value.

    `position` is the index of the trained layer that reads it.
    """
    channels = volume.shape[-1]
    kernel = Kernel(IDENTITY, np.ones(channels, np.float32), position)
    return Affine((Term(volume, kernel),), np.zeros(channels), volume.shape)


@dataclass(frozen=True, eq=False)
class Deferred:
    """A layer without weights that reads affine values, or other deferred layers."""

    layer: Union[Pooling2D, Reindexing]
    position: int  # index of the trained layer
    inputs: Tuple["Value", ...]
    shape: Shape
    # Kind and shape in the volume's name, if they are not those of `layer`
    title: str = ""
    # Values, by channel, that replace the zeros of a padding before which a batch
    # normalisation was moved: float64 `(channels,)`
    outside: Optional[np.ndarray] = None

    @cached_property
    def parts(self) -> int:
        """Number of values that it joins: a value that is read twice counts twice."""
        count = 0
        for value in self.inputs:
            count += value.parts if isinstance(value, Deferred) else 1
        return count


Value = Union[Volume, Affine, Deferred]


class ScaledVolume(NamedTuple):
    """A volume each of whose elements is multiplied and shifted by a number."""

    volume: Volume
    scale: np.ndarray  # in the shape of the volume
    shift: np.ndarray


def scaled_volume(value: Value) -> Optional[ScaledVolume]:
    """Return a value as a volume with scaled elements; None if it is none."""
    if isinstance(value, Volume):
        return ScaledVolume(value, np.ones(value.shape), np.zeros(value.shape))
    if not isinstance(value, Affine) or len(value.terms) > 1:
        return None
    [term] = value.terms
    if term.kernel.kind != IDENTITY:
        return None
    scale = np.broadcast_to(term.kernel.weights, value.shape)
    shift = np.broadcast_to(value.bias, value.shape)
    return ScaledVolume(term.source, scale, shift)


def pad_sum(value: Value) -> Optional[Affine]:
    """Return zero padding of an affine value as one; None for any other value.

    Raise `NotComposableError` if its kernels would read a part of their input in the
    padding.
    """
    if not isinstance(value, Deferred) or not isinstance(value.layer, ZeroPadding2D):
        return None
    [source] = value.inputs
    source = pad_sum(source) or source
    if not isinstance(source, Affine):
        return None
    (top_rows, _), (left_columns, _) = value.layer.padding
    channels = value.shape[-1]
    ones = np.ones((1, 1, channels, 1), np.float32)
    kernel = Kernel(
        "DepthwiseConv2D",
        ones,
        value.position,
        before=(top_rows, left_columns),
    )
    result = source.follow(kernel, np.zeros(channels), value.shape)
    if value.outside is None:
        return result
    inside = kernel.apply_to_image(np.ones(source.shape), value.shape)
    return replace(result, bias=result.bias + value.outside * (1 - inside))
