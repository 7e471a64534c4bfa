"""The layer kinds, each with the class name and configuration that Keras gives it.

A `Layer` computes neurons and connects them to an input; a `Reindexing` layer moves
values. The other kinds occur in trained networks only: conversion makes them a part of
a population, or removes them.
"""

import math
from dataclasses import replace
from typing import (
    ClassVar,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
    Union,
)

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from typing_extensions import Annotated, Literal

from snnb.core.errors import InputError
from snnb.network.geometry import (
    PADDING,
    Axis,
    Geometry,
    Pads,
    Shape,
    axis_paddings,
    identity_axis,
    transposed_axis,
    transposed_length,
    weights_by_channel,
    weights_by_filter,
    window_axis,
    window_padding,
)

Count = Annotated[int, Field(strict=True, ge=1)]
Length = Annotated[int, Field(strict=True, ge=0)]
Pair = Tuple[Count, Count]
# Numbers of rows before and after an image, and of columns
Margins = Tuple[Tuple[Length, Length], Tuple[Length, Length]]
NO_MARGINS: Margins = ((0, 0), (0, 0))
Kind = TypeVar("Kind", bound="KerasLayer")
JsonObject = Dict[str, object]


class KerasLayer(BaseModel):
    """The configuration of a Keras layer.

    A subclass has the name of the Keras class, and its settings as fields.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    data_format: Literal["channels_last"] = Field(default="channels_last", exclude=True)

    @property
    def kind(self) -> str:
        """The Keras class."""
        return type(self).__name__

    @property
    def keras_config(self) -> Dict[str, object]:
        """The configuration for Keras, whose `MaxPooling2D` has no rule."""
        return self.model_dump(exclude_none=True, exclude={"rule"})

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape of the output for inputs of these shapes.

        Raise `ValueError` if they do not fit.
        """
        return shapes[0]

    def weight_shapes(self, shape: Shape) -> Dict[str, Shape]:
        """Return the shape of each array of weights, for an input of `shape`.

        The arrays have Keras's names, and are in Keras's order.
        """
        return {}


class Layer(KerasLayer):
    """A layer that computes neurons from the volume it reads."""

    # "kernel": weights of the kernel. Otherwise a synapse weighs 1, and the window is
    # summed ("one"), averaged ("average") or its maximum taken ("maximum")
    WEIGHTING: ClassVar[str] = "kernel"
    # Name of the array of weights in a Keras file
    KERNEL: ClassVar[Optional[str]] = "kernel"
    # Number of axes of that array: the last of `Geometry.kernel_shape`
    KERNEL_AXES: ClassVar[int] = 4
    # Number of axes of size 1 before the layer's own in an input volume of a graph file
    LEADING_AXES: ClassVar[int] = 0

    def geometry(self, shape: Shape) -> Geometry:
        """Connect an input of this shape.

        Raise `ValueError` if the layer does not take such an input.
        """
        raise NotImplementedError

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `KerasLayer`."""
        return self.geometry(shapes[0]).shape

    def weight_shapes(self, shape: Shape) -> Dict[str, Shape]:
        """See `KerasLayer`."""
        if self.KERNEL is None:
            return {}
        return {self.KERNEL: self.kernel_shape(self.geometry(shape))}

    def geometry_settings(self) -> Dict[str, object]:
        """Return the settings that do not follow from array shapes, such as strides.

        They have Keras's names.
        """
        return self.model_dump(
            exclude={"filters", "depth_multiplier", "activation", "use_bias"},
            exclude_none=True,
        )

    def kernel_shape(self, geometry: Geometry) -> Shape:
        """Return the shape of the array of weights in a file."""
        return geometry.kernel_shape[-self.KERNEL_AXES :]

    def read_weights(self, kernel: np.ndarray, geometry: Geometry) -> np.ndarray:
        """Return weights in the shape `geometry.kernel_shape`, given those in a file."""
        return kernel.reshape(geometry.kernel_shape)

    def store_weights(self, weights: np.ndarray, geometry: Geometry) -> np.ndarray:
        """Return weights as they are in a file, in the shape `kernel_shape`."""
        return weights.reshape(self.kernel_shape(geometry))


class Weighted(Layer):
    """A layer with a kernel and an optional bias."""

    activation: Annotated[str, Field(strict=True)] = "linear"
    use_bias: Annotated[bool, Field(strict=True)] = True

    def weight_shapes(self, shape: Shape) -> Dict[str, Shape]:
        """See `KerasLayer`."""
        biases = {"bias": (self.geometry(shape).filters,)} if self.use_bias else {}
        return {**super().weight_shapes(shape), **biases}


class Dense(Weighted):
    """Connections from every input to every unit.

    Of several axes, the last one is summed over (Keras's `Dense`).
    """

    KERNEL_AXES: ClassVar[int] = 2
    LEADING_AXES: ClassVar[int] = 1

    units: Count

    def geometry(self, shape: Shape) -> Geometry:
        """See `Layer`: a 1×1 kernel over the leading positions."""
        columns = identity_axis(int(np.prod(shape[:-1], dtype=np.int64)))
        return Geometry(
            identity_axis(1),
            columns,
            shape[-1],
            self.units,
            "dense",
            (*shape[:-1], self.units),
        )


class Scale(Weighted):
    """A factor for each value, the same at all positions unless `by_position`.

    Keras has no such layer.
    """

    by_position: Annotated[bool, Field(strict=True)] = False

    def geometry(self, shape: Shape) -> Geometry:
        """See `Layer`: a tap for each position, or one for all."""
        *leading, channels = shape
        columns = identity_axis(math.prod(leading))
        if self.by_position:
            columns = replace(columns, taps=columns.size, tap=columns.input)
        rows = identity_axis(1)
        return Geometry(rows, columns, channels, channels, "diagonal", shape)


def _omit_defaults(
    layer: KerasLayer,
    settings: JsonObject,
    names: Sequence[str],
) -> JsonObject:
    """Remove settings of a layer that have their default."""
    for name in names:
        if getattr(layer, name) == type(layer).model_fields[name].default:
            settings.pop(name, None)
    return settings


class Convolution2D(Weighted):
    """Base of convolutions over images: input (height, width, channels)."""

    kernel_size: Pair
    strides: Pair = (1, 1)
    dilation_rate: Pair = (1, 1)
    padding: Literal["valid", "same"] = "valid"

    def _windows(self, shape: Shape) -> Tuple[Axis, Axis, int]:
        return _windows(
            shape,
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            self.padding,
        )


class Conv2D(Convolution2D):
    """A convolution: kernel (height, width, channels, filters).

    In `groups` groups, part g of the filters reads part g of the channels; the kernel
    has the channels of one group.
    """

    filters: Count
    groups: Count = 1

    @model_serializer(mode="wrap")
    def _omit_one_group(self, serialize: SerializerFunctionWrapHandler) -> JsonObject:
        """Leave out one group, which older files do not state."""
        return _omit_defaults(self, serialize(self), ["groups"])

    def geometry(self, shape: Shape) -> Geometry:
        """See `Layer`."""
        rows, columns, channels = self._windows(shape)
        _check_groups(channels, self.filters, self.groups)
        return _image(rows, columns, channels, self.filters, "dense", self.groups)

    def kernel_shape(self, geometry: Geometry) -> Shape:
        """See `Layer`."""
        taps = geometry.kernel_shape[:2]
        return (*taps, geometry.channels_read, geometry.filters)

    def read_weights(self, kernel: np.ndarray, geometry: Geometry) -> np.ndarray:
        """See `Layer`."""
        return weights_by_channel(kernel, self.groups)

    def store_weights(self, weights: np.ndarray, geometry: Geometry) -> np.ndarray:
        """See `Layer`."""
        return weights_by_filter(weights, self.groups)


class DepthwiseConv2D(Convolution2D):
    """A separate convolution of each channel.

    The kernel has the shape (height, width, channels, multiplier).
    """

    KERNEL: ClassVar[Optional[str]] = "depthwise_kernel"

    depth_multiplier: Count = 1
    groups: Literal[1] = Field(1, exclude=True)

    def geometry(self, shape: Shape) -> Geometry:
        """See `Layer`."""
        rows, columns, channels = self._windows(shape)
        filters = channels * self.depth_multiplier
        return _image(rows, columns, channels, filters, "diagonal")


class Conv2DTranspose(Weighted):
    """A transposed convolution: an input meets the outputs that a window would read.

    The kernel has the shape (height, width, filters of a group, channels). Keras does
    not have `cropping`, the rows and columns that are cut from the output (before and
    after), and `groups`, which are those of `Conv2D`.
    """

    kernel_size: Pair
    strides: Pair = (1, 1)
    dilation_rate: Pair = (1, 1)
    padding: Literal["valid", "same"] = "valid"
    output_padding: Optional[Tuple[Length, Length]] = None
    filters: Count
    cropping: Margins = NO_MARGINS
    groups: Count = 1

    @model_serializer(mode="wrap")
    def _omit_extensions(self, serialize: SerializerFunctionWrapHandler) -> JsonObject:
        """Leave out what Keras does not have, if it has no effect."""
        return _omit_defaults(self, serialize(self), ["groups", "cropping"])

    def geometry(self, shape: Shape) -> Geometry:
        """See `Layer`."""
        height, width, channels = _axes(shape, 3)
        _check_groups(channels, self.filters, self.groups)
        rows = self._axis(height, 0)
        columns = self._axis(width, 1)
        return _image(rows, columns, channels, self.filters, "dense", self.groups)

    def cut_margins(self, shape: Shape) -> Tuple[Tuple[int, int], Tuple[int, int]]:
        """Return how much smaller the output is than what all windows of an input meet.

        The numbers are of rows before and after, and of columns. A negative one after
        means that no window meets the last positions.
        """
        rows = self._cut_margin(shape[0], 0)
        columns = self._cut_margin(shape[1], 1)
        return rows, columns

    def _axis(self, size: int, axis: int) -> Axis:
        """Connect the positions of rows (0) or columns (1)."""
        window = (self.kernel_size[axis], self.strides[axis], self.dilation_rate[axis])
        before, after = self._cut_margin(size, axis)
        outputs = max(self._reach(size, axis) - before - after, 0)
        return transposed_axis(size, outputs, *window, before)

    def _reach(self, size: int, axis: int) -> int:
        """Return the number of positions from the first to the last window's end."""
        reach = (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1
        return (size - 1) * self.strides[axis] + reach

    def _cut_margin(self, size: int, axis: int) -> Tuple[int, int]:
        """Return the numbers of rows (0) or columns (1) of `cut_margins`."""
        window = (self.kernel_size[axis], self.strides[axis], self.dilation_rate[axis])
        output_padding = None
        if self.output_padding is not None:
            output_padding = self.output_padding[axis]
        length = transposed_length(size, *window, self.padding, output_padding)
        before, windows = window_padding(length, *window, self.padding)
        if windows != size:
            raise ValueError(
                f"output_padding {self.output_padding} does not fit strides "
                f"{self.strides} and the kernel"
            )
        after = self._reach(size, axis) - length - before
        cut_before, cut_after = self.cropping[axis]
        return before + cut_before, after + cut_after

    def kernel_shape(self, geometry: Geometry) -> Shape:
        """See `Layer`."""
        row_taps, column_taps, channels, multiplier = geometry.kernel_shape
        return row_taps, column_taps, multiplier, channels

    def read_weights(self, kernel: np.ndarray, geometry: Geometry) -> np.ndarray:
        """See `Layer`: the taps are counted from the end (`transposed_axis`)."""
        return kernel[::-1, ::-1].transpose(0, 1, 3, 2)

    def store_weights(self, weights: np.ndarray, geometry: Geometry) -> np.ndarray:
        """See `Layer`."""
        return weights[::-1, ::-1].transpose(0, 1, 3, 2)


class Pooling2D(Layer):
    """Base of poolings: windows over each channel of an image."""

    KERNEL: ClassVar[Optional[str]] = None

    pool_size: Pair
    strides: Pair
    padding: Union[Literal["valid", "same"], Margins] = "valid"

    @property
    def has_keras_padding(self) -> bool:
        """Whether Keras has its padding."""
        return isinstance(self.padding, str)

    def geometry(self, shape: Shape) -> Geometry:
        """See `Layer`."""
        rows, columns, channels = _windows(
            shape,
            self.pool_size,
            self.strides,
            (1, 1),
            self.padding,
        )
        return _image(rows, columns, channels, channels, "diagonal")


class AveragePooling2D(Pooling2D):
    """The mean over the taps of each window that are not padding.

    The padding may be ((top, bottom), (left, right)), which Keras does not have.
    """

    WEIGHTING: ClassVar[str] = "average"


class MaxPooling2D(Pooling2D):
    """Max pooling of spikes, by one of two rules.

    `largest_count`: a window spikes in a step in which the largest spike count so far
    of its inputs rises. A count rises by at most one in a step, so the largest count
    does too, and the count of the window ends as the largest count of its inputs,
    whatever the order of the spikes. `leading_input`, the rule of snntoolbox: a window
    forwards the present spike of the input that has accumulated most so far.
    """

    WEIGHTING: ClassVar[str] = "maximum"

    padding: Literal["valid", "same"] = "valid"
    rule: Literal["largest_count", "leading_input"] = "largest_count"


_KINDS = (
    *(Dense, Scale, Conv2D, Conv2DTranspose, DepthwiseConv2D),
    *(AveragePooling2D, MaxPooling2D),
)
LAYER_KINDS: Mapping[str, Type[Layer]] = {kind.__name__: kind for kind in _KINDS}


def configured(kind: Type[Kind], config: Mapping[str, object], name: str) -> Kind:
    """Make a layer of `kind` from Keras's configuration.

    Raise `InputError` with the layer and an invalid value.
    """
    try:
        return kind.model_validate(config)
    except ValidationError as error:
        fault = error.errors()[0]
        key = str(fault["loc"][0]) if fault["loc"] else "configuration"
    if key not in config:
        raise InputError(f"layer {name}: its configuration has no {key}")
    value = str(config[key])[:50]
    if key in REFUSED:
        raise InputError(f"layer {name}: {key} is {value!r}: {REFUSED[key]}")
    raise InputError(
        f"layer {name}: {key} is {value!r}, which a {kind.__name__} cannot have"
    )


REFUSED = {
    "data_format": "build the model with channels last",
    "groups": "only convolutions and transposed ones have groups",
}


def _axes(shape: Shape, number: int) -> Shape:
    if len(shape) != number:
        raise ValueError(f"an input of shape {shape} does not have {number} axes")
    return shape


def _windows(
    shape: Shape,
    sizes: Pair,
    strides: Pair,
    dilations: Pair,
    padding: Union[str, Pads],
) -> Tuple[Axis, Axis, int]:
    """Return the rows and columns of windows over an image, and its channels."""
    height, width, channels = _axes(shape, 3)
    row_padding, column_padding = axis_paddings(padding)
    rows = window_axis(height, sizes[0], strides[0], dilations[0], row_padding)
    columns = window_axis(width, sizes[1], strides[1], dilations[1], column_padding)
    return rows, columns, channels


def _image(
    rows: Axis,
    columns: Axis,
    channels: int,
    filters: int,
    pairing: str,
    groups: int = 1,
) -> Geometry:
    """Return the geometry of windows over an image."""
    shape = (rows.outputs, columns.outputs, filters)
    pairing = "grouped" if groups > 1 else pairing
    return Geometry(rows, columns, channels, filters, pairing, shape, groups)


def _check_groups(channels: int, filters: int, groups: int) -> None:
    """Raise `ValueError` unless groups of equal sizes are possible."""
    if channels % groups or filters % groups:
        raise ValueError(
            f"{channels} channels and {filters} filters are not divisible into "
            f"{groups} groups"
        )


class Reindexing(KerasLayer):
    """A layer whose output has the values of its inputs at other places."""

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `KerasLayer`."""
        inputs = [np.broadcast_to(np.int8(0), shape) for shape in shapes]
        return self.apply(inputs).shape

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Return the output for the given inputs, with `PADDING` for padding.

        Raise `ValueError` if they do not fit.
        """
        raise NotImplementedError


class Flatten(Reindexing):
    """Flatten to one axis, in C order."""

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See `Reindexing`."""
        return inputs[0].reshape(-1)


class Reshape(Reindexing):
    """Change the axes, in C order; one length may be -1."""

    target_shape: Tuple[Annotated[int, Field(strict=True)], ...]

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See `Reindexing`."""
        return inputs[0].reshape(self.target_shape)


class Permute(Reindexing):
    """Reorder the axes.

    Axis i of the output is axis `dims[i]` of the input, counted from 1.
    """

    dims: Tuple[Count, ...]

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See `Reindexing`."""
        return inputs[0].transpose([axis - 1 for axis in self.dims])


class Concatenate(Reindexing):
    """Concatenate along `axis`, which counts the batch axis as 0, or from the end."""

    axis: Annotated[int, Field(strict=True)]

    def along(self, rank: int) -> int:
        """Return the axis of an output of `rank` axes, the batch axis left out."""
        axis = self.axis + rank if self.axis < 0 else self.axis - 1
        if not 0 <= axis < rank:
            raise ValueError(
                f"axis {self.axis} is not one of the {rank} axes after the sample axis"
            )
        return axis

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `KerasLayer`; no array is made, which may be larger than memory."""
        shape = shapes[0]
        axis = self.along(len(shape))
        remaining_axes = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
        if len(remaining_axes) > 1:
            listing = ", ".join(map(str, shapes))
            raise ValueError(f"concatenates shapes that differ: {listing}")
        length = sum(shape[axis] for shape in shapes)
        return (*shape[:axis], length, *shape[axis + 1 :])

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See `Reindexing`."""
        return np.concatenate(inputs, axis=self.along(inputs[0].ndim))


class ZeroPadding2D(Reindexing):
    """`padding` = ((top, bottom), (left, right)) padding rows and columns."""

    padding: Margins

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `KerasLayer`; no array is made, which may be larger than memory."""
        height, width, channels = _axes(shapes[0], 3)
        return height + sum(self.padding[0]), width + sum(self.padding[1]), channels

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See `Reindexing`."""
        return np.pad(inputs[0], [*self.padding, (0, 0)], constant_values=PADDING)


class Cropping2D(Reindexing):
    """Remove `cropping` = ((top, bottom), (left, right)) rows and columns."""

    cropping: Margins

    def apply(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """See `Reindexing`."""
        height, width, _ = inputs[0].shape
        (top, bottom), (left, right) = self.cropping
        return inputs[0][top : height - bottom, left : width - right]


_REINDEXING = (Flatten, Reshape, Permute, Concatenate, ZeroPadding2D, Cropping2D)
_BY_NAME = {kind.__name__: kind for kind in _REINDEXING}
REINDEXING: Mapping[str, Type[Reindexing]] = _BY_NAME


class InputLayer(KerasLayer):
    """The input of a trained network: (batch, height, width, channels)."""

    batch_input_shape: Tuple[Optional[int], ...]

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `KerasLayer`."""
        return tuple(int(length or 0) for length in self.batch_input_shape[1:])


class SeparableConv2D(Convolution2D):
    """A convolution of each channel, then a 1×1 convolution over all channels."""

    filters: Count
    depth_multiplier: Count = 1
    groups: Literal[1] = Field(1, exclude=True)

    def depthwise(self) -> DepthwiseConv2D:
        """Return its first convolution, without a bias."""
        return configured(
            DepthwiseConv2D,
            {**self.model_dump(), "activation": "linear", "use_bias": False},
            self.kind,
        )

    def pointwise(self) -> Conv2D:
        """Return its second convolution, with bias and activation."""
        settings: Dict[str, object] = {
            "filters": self.filters,
            "activation": self.activation,
            "use_bias": self.use_bias,
        }
        return configured(Conv2D, {**settings, "kernel_size": (1, 1)}, self.kind)

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `KerasLayer`."""
        return self.pointwise().output_shape([self.depthwise().output_shape(shapes)])

    def weight_shapes(self, shape: Shape) -> Dict[str, Shape]:
        """See `KerasLayer`."""
        pointwise_kernel = (1, 1, shape[-1] * self.depth_multiplier, self.filters)
        biases = {"bias": (self.filters,)} if self.use_bias else {}
        return {
            **self.depthwise().weight_shapes(shape),
            "pointwise_kernel": pointwise_kernel,
            **biases,
        }


class GlobalAveragePooling2D(KerasLayer):
    """The mean of each channel of an image."""

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `KerasLayer`."""
        return _axes(shapes[0], 3)[-1:]


class BatchNormalization(KerasLayer):
    """Scale and shift of each channel.

    The result is (x - mean) / √(variance + epsilon) · gamma + beta.
    """

    axis: Union[int, List[int]] = -1
    epsilon: float = 1e-3
    center: Annotated[bool, Field(strict=True)] = True
    scale: Annotated[bool, Field(strict=True)] = True

    def weight_shapes(self, shape: Shape) -> Dict[str, Shape]:
        """See `KerasLayer`."""
        names = ["moving_mean", "moving_variance"]
        if self.center:
            names.insert(0, "beta")
        if self.scale:
            names.insert(0, "gamma")
        return dict.fromkeys(names, shape[-1:])


class Activation(KerasLayer):
    """An activation as a layer."""

    activation: Annotated[str, Field(strict=True)]


class ReLU(KerasLayer):
    """A relu, which may be clipped at `max_value`."""

    max_value: Optional[float] = Field(None, gt=0, allow_inf_nan=False)


class Add(KerasLayer):
    """The sum of its inputs, which have one shape."""

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """See `KerasLayer`."""
        if len(set(shapes)) > 1:
            raise ValueError(f"adds shapes that differ: {', '.join(map(str, shapes))}")
        return shapes[0]


_CONVERTED = (
    *(InputLayer, Dense, Conv2D, Conv2DTranspose, DepthwiseConv2D, SeparableConv2D),
    *(AveragePooling2D, MaxPooling2D, GlobalAveragePooling2D),
    *(Flatten, Reshape, Concatenate, ZeroPadding2D),
    *(Activation, ReLU, BatchNormalization, Add),
)
KERAS_KINDS: Mapping[str, Type[KerasLayer]] = {
    kind.__name__: kind for kind in _CONVERTED
}  # of the layers of a trained network
