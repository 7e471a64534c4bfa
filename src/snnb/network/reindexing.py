"""The layer kinds without neurons: they move the values of their inputs, or pad them."""

import math
from typing import Mapping, Sequence, Tuple, Type

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import Annotated, Literal

from snnb.network.geometry import Shape
from snnb.network.layers import Length

PADDING = -1  # in arrays of neuron ids: no neuron


class Reindexing(BaseModel):
    """A layer whose output has the values of its inputs at other places.

    A subclass has the name of its Keras layer, and its fields have the names in the layer's configuration.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    data_format: Literal["channels_last"] = Field("channels_last", exclude=True)

    @property
    def kind(self) -> str:
        """The Keras class."""
        return type(self).__name__

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the output's shape, given the inputs' shapes; raise `ValueError` if they do not fit."""
        raise NotImplementedError

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Return the output for the given inputs, with `PADDING` for padding."""
        raise NotImplementedError


class Flatten(Reindexing):
    """Flatten to one axis, in C order."""

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `Reindexing`."""
        (shape,) = shapes
        return (math.prod(shape),)

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See `Reindexing`."""
        return inputs[0].reshape(-1)


class Reshape(Reindexing):
    """Change the axes, in C order; one length may be -1."""

    target_shape: Tuple[Annotated[int, Field(strict=True)], ...]

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `Reindexing`."""
        (shape,) = shapes
        size, given = math.prod(shape), math.prod(length for length in self.target_shape if length != -1)
        shaped = tuple(size // given if length == -1 else length for length in self.target_shape)
        if min(shaped, default=0) < 1 or self.target_shape.count(-1) > 1 or math.prod(shaped) != size:
            raise ValueError(f"{size} values do not fill {self.target_shape}")
        return shaped

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See `Reindexing`."""
        return inputs[0].reshape(self.target_shape)


class Permute(Reindexing):
    """Reorder the axes: axis i of the output is axis `dims[i]` of the input, counted from 1."""

    dims: Tuple[Annotated[int, Field(strict=True)], ...]

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `Reindexing`."""
        (shape,) = shapes
        if sorted(self.dims) != list(range(1, len(shape) + 1)):
            raise ValueError(f"{self.dims} are not the {len(shape)} axes of its input")
        return tuple(shape[axis - 1] for axis in self.dims)

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See `Reindexing`."""
        return inputs[0].transpose([axis - 1 for axis in self.dims])


class Concatenate(Reindexing):
    """Concatenate along `axis`, which counts the batch axis as 0, or from the end."""

    axis: Annotated[int, Field(strict=True)]

    def along(self, rank: int) -> int:
        """Return the axis of an output of that many axes, counted without the batch axis."""
        axis = self.axis + rank if self.axis < 0 else self.axis - 1
        if not 0 <= axis < rank:
            raise ValueError(f"axis {self.axis} is not one of the {rank} axes after the sample axis")
        return axis

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `Reindexing`."""
        axis = self.along(len(shapes[0]))
        rest = {(*shape[:axis], 1, *shape[axis + 1 :]) for shape in shapes}
        if len(rest) > 1:
            raise ValueError(f"shapes {', '.join(map(str, shapes))} differ in more than axis {self.axis}")
        return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See `Reindexing`."""
        return np.concatenate(inputs, axis=self.along(inputs[0].ndim))


class _ZeroPadding(Reindexing):
    """Pad all axes but the channels, the last one."""

    def pads(self) -> Sequence[Tuple[int, int]]:
        """Return the padding before and after along each axis but the last."""
        raise NotImplementedError

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `Reindexing`."""
        (shape,), pads = shapes, self.pads()
        if len(shape) != len(pads) + 1:
            raise ValueError(f"an input of shape {shape} does not have {len(pads) + 1} axes")
        return (*(length + sum(pad) for length, pad in zip(shape, pads)), shape[-1])

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See `Reindexing`."""
        return np.pad(inputs[0], [*self.pads(), (0, 0)], constant_values=PADDING)


class ZeroPadding1D(_ZeroPadding):
    """`padding` = (before, after) padding steps."""

    padding: Tuple[Length, Length]

    def pads(self) -> Sequence[Tuple[int, int]]:
        """See `_ZeroPadding`."""
        return [self.padding]


class ZeroPadding2D(_ZeroPadding):
    """`padding` = ((top, bottom), (left, right)) padding rows and columns."""

    padding: Tuple[Tuple[Length, Length], Tuple[Length, Length]]

    def pads(self) -> Sequence[Tuple[int, int]]:
        """See `_ZeroPadding`."""
        return self.padding


class Cropping2D(Reindexing):
    """Remove `cropping` = ((top, bottom), (left, right)) rows and columns."""

    cropping: Tuple[Tuple[Length, Length], Tuple[Length, Length]]

    def shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `Reindexing`."""
        ((height, width, channels),) = shapes
        (top, bottom), (left, right) = self.cropping
        return height - top - bottom, width - left - right, channels

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See `Reindexing`."""
        height, width, _ = self.shape([inputs[0].shape])
        (top, _), (left, _) = self.cropping
        return inputs[0][top : top + height, left : left + width]


_REINDEXING = (Flatten, Reshape, Permute, Concatenate, ZeroPadding1D, ZeroPadding2D, Cropping2D)
REINDEXING: Mapping[str, Type[Reindexing]] = {kind.__name__: kind for kind in _REINDEXING}
