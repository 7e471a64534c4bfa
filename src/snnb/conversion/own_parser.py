"""The parser of snnb: the layers of a trained network become populations.

Each relu, each pooling and the end of the network is a population; each layer that only
moves values is a volume without neurons. The linear layers between two populations are
composed into the projections of the second one: what they compute is a sum of terms,
each of them one kernel on one volume, and a bias per channel, or per position where
zeros are padded around a value with a bias. Layers without weights that read such a sum
are deferred: they are converted when the next activation is known. `parsed_values` has
these forms of a value.
"""

from dataclasses import replace
from functools import singledispatchmethod
from math import prod
from typing import Dict, Iterator, List, Optional, Sequence

import numpy as np

from snnb.conversion.kernel import IDENTITY, Kernel, NotComposableError
from snnb.conversion.parsed_network import NetworkBuilder, keeps_order, step_title
from snnb.conversion.parsed_values import (
    Affine,
    Deferred,
    ScaledVolume,
    Term,
    Value,
    identity,
    pad_sum,
    scaled_volume,
)
from snnb.core.errors import InputError
from snnb.model_files.kinds import Reason, joined
from snnb.network.geometry import Shape, weights_by_filter, window_zeros
from snnb.network.layers import (
    Activation,
    Add,
    AveragePooling2D,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Convolution2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePooling2D,
    KerasLayer,
    MaxPooling2D,
    Pooling2D,
    Reindexing,
    ReLU,
    Reshape,
    SeparableConv2D,
    Weighted,
    ZeroPadding2D,
)
from snnb.network.network import Network, Reindexed, Volume
from snnb.network.trained import TrainedLayer, TrainedNetwork, normalisation

# A value without an activation may grow: in a network of n layers there may be 2^n
MOST_TERMS = 1000  # that it adds
MOST_PARTS = 1000  # that it joins
CONVERSION_FAILS = "cannot convert this model"
REINDEXING = ("Flatten", "Reshape", "Concatenate", "ZeroPadding2D")
KEEP_NEURONS = ("Activation", "ReLU", "BatchNormalization", "Flatten", "Reshape")


def parse_own(
    network: TrainedNetwork,
    *,
    max_pool: str = "exact",
    rectify_linear: bool = False,
) -> Network:
    """Parse a trained or untrained network; the result is not normalised.

    `max_pool` keeps max pooling ("exact", or "toolbox" with its rule) or replaces it
    ("average"); `rectify_linear` converts linear operations that cannot be composed to
    populations without an activation. Raise `InputError` if the network cannot be
    converted; the message has layers and reasons in one line.
    """
    reasons = list(_reasons(network))
    if reasons:
        raise InputError(f"{CONVERSION_FAILS}: {joined(reasons)}")
    try:
        return _Parser(network, max_pool, rectify_linear).parse()
    except RecursionError:
        raise InputError(
            f"{CONVERSION_FAILS}: it has hundreds of layers in sequence without an "
            "activation; insert a relu"
        ) from None


def _reasons(network: TrainedNetwork) -> Iterator[Reason]:
    """Yield the reasons that follow from classes of layers and shapes of inputs."""
    layers = network.by_name()
    end = network.output
    if not any(isinstance(layer.layer, Weighted) for layer in network.layers):
        yield "model", "has no Dense layer and no convolution"
    if len(end.shape) != 1:
        yield (
            end.name,
            "the output has several axes, but one value per class is required: end in "
            "Flatten or Dense",
        )
    while end.kind in KEEP_NEURONS:
        end = layers[end.inputs[0]]
    if end.kind in REINDEXING:
        yield (
            end.label,
            "has no neurons, so it cannot be the output: end in Dense or a convolution",
        )
    for layer in network.layers:
        if layer.kind == "Dense" and len(layers[layer.inputs[0]].shape) != 1:
            yield layer.label, "its input has several axes: insert Flatten before it"


class _Parser:
    """Converts the layers of a network, one after the other in topological order."""

    def __init__(
        self,
        network: TrainedNetwork,
        max_pool: str,
        rectify_linear: bool,
    ) -> None:
        self._network = network
        self._max_pool = max_pool
        self._rectify_linear = rectify_linear
        self._builder = NetworkBuilder(network.input.shape, network.levels)
        # Index of the trained layer that is being converted, without the input
        self._position = 0

    def parse(self) -> Network:
        """Return the parsed network."""
        reasons: List[Reason] = []
        input_layer, *layers = self._network.layers
        values: Dict[str, Value] = {input_layer.name: self._builder.input}
        for position, layer in enumerate(layers):
            self._position = position
            inputs = [values[name] for name in layer.inputs]
            try:
                value = self._convert(layer.layer, layer, inputs)
            except NotComposableError as error:
                reasons.append((layer.label, str(error)))
                value = self._builder.add_placeholder(
                    layer.kind,
                    layer.shape,
                    position,
                )
            values[layer.name] = value
        output_layer = self._network.output
        try:
            output = self._activate(values[output_layer.name], "linear")
            if not reasons:
                return self._builder.build(output)
        except NotComposableError as error:
            reasons.append((output_layer.name, str(error)))
        raise InputError(f"{CONVERSION_FAILS}: {joined(reasons)}")

    @singledispatchmethod
    def _convert(
        self,
        kind: KerasLayer,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        """Return the value of a layer, given the values that it reads.

        There is a method for each class of layers; `kind` is `layer.layer`. Raise
        `NotComposableError` if the layer cannot be converted.
        """
        raise AssertionError(f"internal error: no method converts {layer.label}")

    @_convert.register
    def _convert_activation(
        self,
        kind: Activation,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        [value] = inputs
        if kind.activation == "linear":
            return value
        return self._activate(value, kind.activation)

    @_convert.register
    def _convert_relu(
        self,
        kind: ReLU,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        return self._activate(inputs[0], "relu", kind.max_value)

    @_convert.register
    def _convert_normalisation(
        self,
        kind: BatchNormalization,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        scale, shift = normalisation(layer)
        return self._scale_channels(inputs[0], scale, shift)

    @_convert.register
    def _convert_sum(
        self,
        kind: Add,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        summands = [self._affine(value) for value in inputs]
        shape = summands[0].shape
        if any(summand.shape != shape for summand in summands):
            raise NotComposableError("adds shapes that differ")
        terms: List[Term] = []
        for summand in summands:
            terms += summand.terms
        if len(terms) > MOST_TERMS:
            raise NotComposableError(
                f"adds {len(terms):,} terms without an activation between them: insert "
                "a relu"
            )
        bias = np.asarray(sum(summand.bias for summand in summands))
        return Affine(tuple(terms), bias, shape)

    @_convert.register
    def _convert_moves(
        self,
        kind: Reindexing,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        return self._move(kind, layer.shape, inputs)

    @_convert.register
    def _convert_dense(
        self,
        kind: Dense,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        [value] = inputs
        position_sums = _flattened_position(value)
        if position_sums is not None:
            return self._weigh_position(kind, layer, position_sums)
        current = self._affine(value)
        kernel = Kernel("Dense", layer.weights["kernel"], self._position)
        return self._weigh(kind, layer, current, kernel, layer.shape)

    @_convert.register
    def _convert_convolution(
        self,
        kind: Conv2D,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        current = self._affine(inputs[0])
        weights = layer.weights["kernel"]
        kernel = self._convolution(kind, "Conv2D", weights, inputs[0].shape)
        kernel = replace(kernel, groups=kind.groups)
        return self._weigh(kind, layer, current, kernel, layer.shape)

    @_convert.register
    def _convert_transposed(
        self,
        kind: Conv2DTranspose,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        current = self._affine(inputs[0])
        geometry = kind.geometry(inputs[0].shape)
        weights = kind.read_weights(layer.weights["kernel"], geometry)
        kernel = Kernel(
            "Conv2DTranspose",
            weights_by_filter(weights, kind.groups),
            self._position,
            groups=kind.groups,
            transposed=kind,
        )
        return self._weigh(kind, layer, current, kernel, layer.shape)

    @_convert.register
    def _convert_depthwise(
        self,
        kind: DepthwiseConv2D,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        current = self._affine(inputs[0])
        weights = layer.weights["depthwise_kernel"]
        kernel = self._convolution(kind, "DepthwiseConv2D", weights, inputs[0].shape)
        return self._weigh(kind, layer, current, kernel, layer.shape)

    @_convert.register
    def _convert_separable(
        self,
        kind: SeparableConv2D,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        current = self._affine(inputs[0])
        weights = layer.weights["depthwise_kernel"]
        kernel = self._convolution(kind, "DepthwiseConv2D", weights, inputs[0].shape)
        shape = (*layer.shape[:-1], kernel.outputs)
        current = self._follow(current, kernel, np.zeros(kernel.outputs), shape)
        pointwise_kernel = layer.weights["pointwise_kernel"]
        pointwise = Kernel("Conv2D", pointwise_kernel, self._position)
        return self._weigh(kind, layer, current, pointwise, layer.shape)

    @_convert.register
    def _convert_max_pooling(
        self,
        kind: MaxPooling2D,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        [value] = inputs
        if self._max_pool == "average":
            average = AveragePooling2D(**kind.model_dump())
            title = step_title(layer.kind, layer.shape)
            pooling = self._defer(average, value, layer.shape, title)
        elif self._max_pool == "toolbox":
            maximum = kind.model_copy(update={"rule": "leading_input"})
            pooling = self._defer(maximum, value, layer.shape)
        else:
            pooling = self._defer(kind, value, layer.shape)
        return self._pool(pooling, value, layer.kind)

    @_convert.register
    def _convert_average_pooling(
        self,
        kind: AveragePooling2D,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        [value] = inputs
        pooling = self._defer(kind, value, layer.shape)
        return self._pool(pooling, value, layer.kind)

    @_convert.register
    def _convert_global_average(
        self,
        kind: GlobalAveragePooling2D,
        layer: TrainedLayer,
        inputs: List[Value],
    ) -> Value:
        [value] = inputs
        height, width, channels = value.shape
        average = AveragePooling2D(pool_size=(height, width), strides=(1, 1))
        title = step_title(average.kind, (channels,))
        pooling = self._defer(average, value, (1, 1, channels), title)
        means = self._pool(pooling, value, layer.kind)
        return self._move(Flatten(), layer.shape, [means])

    def _convolution(
        self,
        layer: Convolution2D,
        kind: str,
        weights: np.ndarray,
        shape: Shape,
    ) -> Kernel:
        """Return the kernel of a convolution over an input of a shape."""
        strides = layer.strides
        dilation = layer.dilation_rate
        zeros = window_zeros(shape, layer.kernel_size, strides, dilation, layer.padding)
        (top_rows, _), (left_columns, _) = zeros
        return Kernel(
            kind,
            weights,
            self._position,
            strides,
            dilation,
            (top_rows, left_columns),
            layer.padding,
        )

    def _weigh_position(
        self,
        kind: Dense,
        layer: TrainedLayer,
        current: Affine,
    ) -> Value:
        """Return the value of a dense layer that reads sums of shape (1, 1, channels).

        It is a convolution of 1×1, which is flattened after its activation.
        """
        weights = layer.weights["kernel"][np.newaxis, np.newaxis]
        kernel = Kernel("Conv2D", weights, self._position)
        sums = self._weigh(kind, layer, current, kernel, (1, 1, *layer.shape))
        return self._move(Flatten(), layer.shape, [sums])

    def _weigh(
        self,
        kind: Weighted,
        layer: TrainedLayer,
        current: Affine,
        kernel: Kernel,
        shape: Shape,
    ) -> Value:
        """Return a layer's value, which has this shape.

        It is `current`, then the last kernel, the bias and the activation.
        """
        zeros = np.zeros(shape[-1])
        bias = np.asarray(layer.weights.get("bias", zeros), np.float64)
        output = self._follow(current, kernel, bias, shape)
        if kind.activation == "linear":
            return output
        return self._activate(output, kind.activation)

    def _follow(
        self,
        value: Affine,
        kernel: Kernel,
        bias: np.ndarray,
        shape: Shape,
    ) -> Affine:
        """Return a value after a further kernel, see `Affine.follow`.

        With `rectify_linear`, the value becomes a population if the composition would
        not be exact.
        """
        try:
            return value.follow(kernel, bias, shape)
        except NotComposableError:
            if not self._rectify_linear:
                raise
        population = self._add_population(value, "linear")
        return identity(population, self._position).follow(kernel, bias, shape)

    def _affine(self, value: Value) -> Affine:
        """Return a value as an affine value.

        Raise `NotComposableError` if a deferred layer is not affine.
        """
        if isinstance(value, Affine):
            return value
        if isinstance(value, Deferred):
            composed_layer = (
                self._scaled_units(value)
                or pad_sum(value)
                or self._scaled_maximum(value)
            )
            if composed_layer is not None:
                return composed_layer
            if not self._rectify_linear:
                raise NotComposableError(
                    f"reads a {value.layer.kind} of a layer without activation: insert "
                    "a relu between them"
                )
            value = self._activate(value, "linear")
        return identity(value, self._position)

    def _scale_channels(
        self,
        value: Value,
        scale: np.ndarray,
        shift: np.ndarray,
    ) -> Value:
        """Return a value after a batch normalisation; it moves before deferred layers.

        `scale` and `shift` are float64 `(channels,)`.
        """
        if not isinstance(value, Deferred):
            return self._affine(value).scale_channels(scale, shift)
        layer = value.layer
        if isinstance(layer, MaxPooling2D):
            _refuse_negative(scale)
            source = self._scale_channels(value.inputs[0], scale, shift)
            return _with_inputs(value, [source])
        if isinstance(layer, ZeroPadding2D):
            outside = shift
            if value.outside is not None:
                outside = value.outside * scale + shift
            source = self._scale_channels(value.inputs[0], scale, shift)
            return _with_inputs(value, [source], outside)
        if isinstance(layer, Concatenate) and layer.axis in (-1, len(value.shape)):
            ends = np.cumsum([part.shape[-1] for part in value.inputs])[:-1]
            scales = np.split(scale, ends)
            shifts = np.split(shift, ends)
            parts: List[Value] = []
            for part, part_scale, part_shift in zip(value.inputs, scales, shifts):
                parts.append(self._scale_channels(part, part_scale, part_shift))
            return _with_inputs(value, parts)
        raise NotComposableError(
            f"follows a {layer.kind} of a layer without activation: put it before that "
            "layer"
        )

    def _add_population(
        self,
        value: Affine,
        activation: str,
        max_value: Optional[float] = None,
    ) -> Volume:
        """Add the population of an affine value, see `NetworkBuilder`."""
        builder = self._builder
        return builder.add_population(value, activation, max_value, self._position)

    def _activate(
        self,
        value: Value,
        activation: str,
        max_value: Optional[float] = None,
    ) -> Volume:
        """Return the volume of a value after an activation, clipped at `max_value`.

        `linear` is for the end of the network.
        """
        if isinstance(value, Deferred):
            return self._activate_before(value, activation, max_value)
        if isinstance(value, Affine):
            return self._add_population(value, activation, max_value)
        if activation == "linear":
            return value
        is_plain_relu = activation == "relu" and max_value is None
        if is_plain_relu and self._builder.is_nonnegative(value):
            return value
        if activation == "softmax":
            if prod(value.shape) != value.shape[-1]:
                raise NotComposableError(
                    "softmax over positions: insert Flatten and a Dense layer before it"
                )
            if len(value.shape) != 3:
                return self._softmax_before(value)
        return self._add_population(
            identity(value, self._position),
            activation,
            max_value,
        )

    def _softmax_before(self, value: Volume) -> Volume:
        """Move the softmax of a vector before the layer that flattened it.

        So there is one synapse for each class.
        """
        builder = self._builder
        kind = "an activation"
        if isinstance(value, Reindexed):
            kind = value.layer.kind
            source = builder.source(value)
            if keeps_order(value) and source.size == source.shape[-1]:
                softmax = self._activate(source, "softmax")
                position = builder.position(value)
                flat = Deferred(value.layer, position, (), value.shape)
                return builder.add_layer(flat, [softmax])
        raise NotComposableError(
            f"softmax over {kind}, which has no weights: insert a Dense layer between "
            "them"
        )

    def _activate_before(
        self,
        value: Deferred,
        activation: str,
        max_value: Optional[float],
    ) -> Volume:
        """Add a deferred layer, and before it an activation, with which it commutes."""
        kind = value.layer.kind
        size = prod(value.shape)
        has_all_classes = all(part.shape[-1] == size for part in value.inputs)
        if activation == "softmax" and not has_all_classes:
            raise NotComposableError(
                f"softmax over values rearranged by {kind}: insert a Dense layer "
                "before it"
            )
        is_maximum = isinstance(value.layer, MaxPooling2D)
        if activation == "linear" and is_maximum and not self._rectify_linear:
            raise NotComposableError(
                "maximum of values that may be negative: insert a relu before it"
            )
        if value.outside is not None:
            _refuse_positive(value.outside)
        volumes: List[Volume] = []
        for part in value.inputs:
            volumes.append(self._activate(part, activation, max_value))
        return self._builder.add_layer(value, volumes)

    def _defer(
        self,
        pooling: Pooling2D,
        value: Value,
        shape: Shape,
        title: str = "",
    ) -> Deferred:
        return Deferred(pooling, self._position, (value,), shape, title)

    def _pool(self, pooling: Deferred, value: Value, kind: str) -> Value:
        """Return the value of a pooling; `kind` is that of the trained layer."""
        if isinstance(value, Volume):
            return self._builder.add_layer(pooling, [value])
        layer = pooling.layer
        assert isinstance(layer, Pooling2D)
        if isinstance(layer, AveragePooling2D) or layer.pool_size == (1, 1):
            return self._average(pooling, layer, value, kind)
        return pooling

    def _average(
        self,
        pooling: Deferred,
        layer: Pooling2D,
        value: Value,
        kind: str,
    ) -> Value:
        """Return the mean of an affine value: a depthwise convolution of equal weights.

        With `rectify_linear`, a mean that this would not compute is a population.
        """
        kernel = self._mean_kernel(layer, value.shape)
        try:
            if kind == "MaxPooling2D" and prod(layer.pool_size) > 1:
                raise NotComposableError(
                    "max pooling of a layer without activation: move the relu before "
                    "the pooling"
                )
            if kernel.pads(value.shape, pooling.shape):
                raise NotComposableError(
                    "average pooling with padding of a layer without activation: "
                    "insert a relu between them"
                )
            if kind == "GlobalAveragePooling2D" and self._rectify_linear:
                raise NotComposableError("has a kernel of the size of the map")
            zeros = np.zeros(kernel.outputs)
            return self._affine(value).follow(kernel, zeros, pooling.shape)
        except NotComposableError:
            if not self._rectify_linear:
                raise
        population = self._activate(value, "linear")
        return self._builder.add_layer(pooling, [population])

    def _mean_kernel(self, layer: Pooling2D, shape: Shape) -> Kernel:
        """Return the kernel of the means of windows of an input of a shape."""
        size = layer.pool_size
        strides = layer.strides
        weights_shape = (*size, shape[-1], 1)
        weights = np.full(weights_shape, 1 / prod(size), np.float32)
        zeros = window_zeros(shape, size, strides, (1, 1), layer.padding)
        (top_rows, _), (left_columns, _) = zeros
        return Kernel(
            "DepthwiseConv2D",
            weights,
            self._position,
            strides,
            before=(top_rows, left_columns),
        )

    def _move(self, layer: Reindexing, shape: Shape, inputs: Sequence[Value]) -> Value:
        """Return the value of a layer that moves values.

        It is a volume, unless one of the values is affine or deferred.
        """
        move = Deferred(layer, self._position, tuple(inputs), shape)
        if move.parts > MOST_PARTS:
            raise NotComposableError(
                f"joins {move.parts:,} values without an activation: insert a relu"
            )
        volumes = [value for value in inputs if isinstance(value, Volume)]
        if len(volumes) < len(inputs):
            return move
        return self._builder.add_layer(move, volumes)

    def _scaled_units(self, value: Deferred) -> Optional[Affine]:
        """Return flattened volumes with scaled elements as an affine value.

        Return None for any other deferred layer.
        """
        is_joining = isinstance(value.layer, (Flatten, Reshape, Concatenate))
        if not is_joining or len(value.shape) > 1:
            return None
        parts: List[Optional[ScaledVolume]] = []
        for part in value.inputs:
            composed_part: Optional[Affine] = None
            if isinstance(part, Deferred):
                composed_part = self._scaled_units(part)
            parts.append(scaled_volume(composed_part or part))
        scaled_parts = [part for part in parts if part is not None]
        if len(scaled_parts) < len(parts):
            return None
        # In C order, as these layers rearrange; of several parts, each has one axis.
        scale = np.concatenate([part.scale.ravel() for part in scaled_parts])
        shift = np.concatenate([part.shift.ravel() for part in scaled_parts])
        volumes = [part.volume for part in scaled_parts]
        volume = self._builder.add_layer(value, volumes)
        kernel = Kernel(IDENTITY, scale.astype(np.float32), value.position)
        return Affine((Term(volume, kernel),), shift, value.shape)

    def _scaled_maximum(self, value: Deferred) -> Optional[Affine]:
        """Return a max pooling of a volume with scaled channels as an affine value.

        The maximum is taken before the scale, which is not negative. Return None for
        any other deferred layer.
        """
        if not isinstance(value.layer, MaxPooling2D) or value.outside is not None:
            return None
        [part] = value.inputs
        scaled_part = scaled_volume(part)
        if scaled_part is None or isinstance(part, Volume):
            return None
        channels = value.shape[-1]
        scales = scaled_part.scale.reshape(-1, channels)
        shifts = scaled_part.shift.reshape(-1, channels)
        if (scales != scales[0]).any() or (shifts != shifts[0]).any():
            return None
        _refuse_negative(scales[0])
        volume = self._builder.add_layer(value, [scaled_part.volume])
        kernel = Kernel(IDENTITY, scales[0].astype(np.float32), value.position)
        return Affine((Term(volume, kernel),), shifts[0], value.shape)


def _with_inputs(
    value: Deferred,
    inputs: Sequence[Value],
    outside: Optional[np.ndarray] = None,
) -> Deferred:
    """Return a deferred layer with other inputs, of the same shapes."""
    return replace(value, inputs=tuple(inputs), outside=outside)


def _flattened_position(value: Value) -> Optional[Affine]:
    """Return the sums of shape (1, 1, channels) that a layer flattens.

    Return None for any other value, and for scaled volumes, whose elements are read.
    """
    if not isinstance(value, Deferred):
        return None
    if not isinstance(value.layer, (Flatten, Reshape)) or len(value.shape) > 1:
        return None
    [source] = value.inputs
    if not isinstance(source, Affine) or source.shape != (1, 1, *value.shape):
        return None
    return None if scaled_volume(source) is not None else source


def _refuse_negative(scale: np.ndarray) -> None:
    """Raise `NotComposableError` if a maximum is scaled by negative numbers."""
    negative_count = int((scale < 0).sum())
    if negative_count:
        raise NotComposableError(
            f"scales {negative_count} of {len(scale)} channels by negative numbers "
            "after a maximum of values that may be negative: move batch normalisation "
            "and relu before the pooling",
        )


def _refuse_positive(outside: np.ndarray) -> None:
    """Raise `NotComposableError` if a padding has positive numbers for zeros."""
    positive_count = int((outside > 0).sum())
    if positive_count:
        raise NotComposableError(
            f"batch normalisation makes {positive_count} of {len(outside)} channels "
            "positive where zeros are padded before it: move batch normalisation and "
            "relu before the padding",
        )
