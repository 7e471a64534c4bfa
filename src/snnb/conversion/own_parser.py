"""The parser of snnb: linear operations between two populations are composed into the projections of a population.

Each relu, each pooling and the end of the network is a population; each layer that only moves values is a volume
without neurons. Between two populations, a value is a sum of terms, each one kernel on one volume, and a bias per
channel, or per position where zeros are padded around a value with a bias. Layers without weights that read a sum are
deferred: they are converted when the next activation is known.
"""

import heapq
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from math import prod
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from snnb.conversion.kernel import IDENTITY, Kernel, NotComposableError, composed
from snnb.core.errors import InputError
from snnb.core.machine import require_memory
from snnb.model_files.kinds import Reason, joined
from snnb.network.geometry import Shape, window_padding, window_zeros
from snnb.network.layers import (
    LAYER_KINDS,
    Activation,
    AveragePooling2D,
    Concatenate,
    Convolution2D,
    Flatten,
    MaxPooling2D,
    Pooling2D,
    Reindexing,
    ReLU,
    Reshape,
    SeparableConv2D,
    Weighted,
    ZeroPadding2D,
)
from snnb.network.network import INPUT, Network, Population, Projection, Reindexed, Volume
from snnb.network.trained import TrainedLayer, TrainedNetwork, normalisation

# Of a value without an activation: in a network of n layers there may be 2^n.
MOST_TERMS = 1000  # that it adds
MOST_PARTS = 1000  # that it joins
REINDEXING = ("Flatten", "Reshape", "Concatenate", "ZeroPadding2D")


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

    def scaled(self, scale: np.ndarray, shift: np.ndarray) -> "Affine":
        """Scale and shift the channels, as batch normalisation does: float64 `(channels,)`."""
        terms = tuple(replace(term, kernel=term.kernel.scaled(scale)) for term in self.terms)
        return replace(self, terms=terms, bias=self.bias * scale + shift)

    def followed_by(self, kernel: Kernel, bias: np.ndarray, shape: Shape) -> "Affine":
        """Compose each term with a kernel and its bias, whose output has that shape.

        Raise `NotComposableError` if the composition would not be exact.
        """
        terms = tuple(
            replace(term, kernel=composed(term.kernel, kernel, term.source.shape, self.shape, shape))
            for term in self.terms
        )
        if self.bias.ndim == 1 and not (self.bias.any() and kernel.pads(self.shape, shape)):
            return Affine(terms, bias + kernel.of_constant(self.bias), shape)
        added = kernel.of_image(np.broadcast_to(self.bias, self.shape), shape)
        return Affine(terms, bias + added, shape)


def identity(volume: Volume, position: int) -> Affine:
    """Return a volume as a linear value, read by the trained layer of index `position`."""
    channels = volume.shape[-1]
    kernel = Kernel(IDENTITY, np.ones(channels, np.float32), position)
    return Affine((Term(volume, kernel),), np.zeros(channels), volume.shape)


@dataclass(frozen=True, eq=False)
class Deferred:
    """A layer without weights that reads a linear value: a relu after it, with which it commutes, moves before it."""

    layer: Union[Pooling2D, Reindexing]
    position: int
    inputs: Tuple["Value", ...]
    shape: Shape
    title: str = ""  # kind and shape in the volume's name, if the toolbox's name differs from that of `layer`
    # Values, by channel, that replace the zeros of a padding before which a batch normalisation was moved.
    outside: Optional[np.ndarray] = None

    @cached_property
    def parts(self) -> int:
        """Number of values that it joins: one that is read twice counts twice."""
        return sum(part.parts if isinstance(part, Deferred) else 1 for part in self.inputs)


Value = Union[Volume, Affine, Deferred]


class Step(NamedTuple):
    """A layer of the parsed model's file; its number in the file begins the name of a volume.

    A population is one layer; a sum of several terms is layers without activation, an `Add` and an activation.
    """

    title: str  # kind and shape
    position: int  # index of the trained layer that it comes from
    inputs: Tuple[str, ...]  # keys of the steps that it reads


def parse_own(network: TrainedNetwork, *, max_pool: str = "exact", rectify_linear: bool = False) -> Network:
    """Parse a trained or untrained network; the result is not normalised.

    `max_pool` keeps max pooling ("exact", or "toolbox" with its rule) or replaces it ("average"); `rectify_linear`
    converts linear operations that cannot be composed to populations without an activation. Raise `InputError` if the
    network cannot be converted; the message has layers and reasons in one line.
    """
    reasons = list(_reasons(network))
    if reasons:
        raise InputError(f"cannot convert this model: {joined(reasons)}")
    try:
        return _Parser(network, max_pool, rectify_linear).parse()
    except RecursionError:
        raise InputError(
            "cannot convert this model: it has hundreds of layers in sequence without an activation; insert a relu"
        ) from None


def _reasons(network: TrainedNetwork) -> Iterator[Reason]:
    """Yield the reasons that follow from the class of a layer and the shape of its input."""
    layers, last = network.by_name(), network.output
    if not any(isinstance(layer.layer, Weighted) for layer in network.layers):
        yield "model", "has no Dense layer and no convolution"
    if len(last.shape) != 1:
        yield last.name, "the output has several axes, but one value per class is required: end in Flatten or Dense"
    while last.kind in ("Activation", "ReLU", "BatchNormalization", "Flatten", "Reshape"):
        last = layers[last.inputs[0]]
    if last.kind in REINDEXING:
        yield last.label, "has no neurons, so it cannot be the output: end in Dense or a convolution"
    for layer in network.layers:
        if layer.kind == "Dense" and len(layers[layer.inputs[0]].shape) != 1:
            yield layer.label, "its input has several axes: insert Flatten before it"


class _Parser:
    def __init__(self, network: TrainedNetwork, max_pool: str, rectify_linear: bool) -> None:
        self._network, self._max_pool, self._rectify_linear = network, max_pool, rectify_linear
        self._position = 0
        # By key, which is the name of a volume until the volumes that the output depends on are named.
        self._steps: Dict[str, Step] = {}
        self._volumes: Dict[str, Volume] = {}
        self._rectified: Dict[str, bool] = {}  # by key, whether no value of the volume can be negative

    def parse(self) -> Network:
        """Return the network."""
        reasons: List[Reason] = []
        start, *others = self._network.layers
        self._steps[INPUT], self._volumes[INPUT] = Step("", -1, ()), Volume(INPUT, start.shape)
        self._rectified[INPUT] = False
        values: Dict[str, Value] = {start.name: self._volumes[INPUT]}
        for self._position, layer in enumerate(others):
            try:
                values[layer.name] = self._value(layer, [values[name] for name in layer.inputs])
            except NotComposableError as error:
                reasons.append((layer.label, str(error)))
                key = self._step(layer.kind, self._position, ())
                self._volumes[key] = Population(key, layer.shape, layer.kind, (), np.zeros(1), "relu")
                self._rectified[key] = True
                values[layer.name] = self._volumes[key]
        last = self._network.output
        try:
            output = self._activated(values[last.name], "linear", None)
            if not reasons:
                return self._ending_in(output)
        except NotComposableError as error:
            reasons.append((last.name, str(error)))
        raise InputError(f"cannot convert this model: {joined(reasons)}")

    def _ending_in(self, output: Volume) -> Network:
        """Return the network of the volumes that an output depends on; raise an error for a softmax in a hidden one."""
        names = self._names(output.name)
        volumes: List[Volume] = []
        for volume in (replace(self._volumes[key], name=names[key]) for key in names if key in self._volumes):
            require_memory(8 * volume.size, f"the {volume.size:,} neurons of layer {volume.name}")
            if isinstance(volume, Population):
                projections = tuple(replace(p, input=names[p.input]) for p in volume.projections)
                volume = replace(volume, projections=projections)
            elif isinstance(volume, Reindexed):
                volume = replace(volume, inputs=tuple(names[read] for read in volume.inputs))
            volumes.append(volume)
        network = Network(tuple(volumes), levels=self._network.levels)
        end = volumes[-1]
        while isinstance(end, Reindexed) and isinstance(end.layer, (Flatten, Reshape)):
            end = network.volume(end.inputs[0])
        if any(volume.activation == "softmax" and volume is not end for volume in network.populations):
            raise NotComposableError("softmax in a hidden layer: only the output layer may have softmax")
        return network

    def _names(self, output: str) -> Dict[str, str]:
        """Return the names, `NNKind_shape`, of the steps that an output depends on, by key.

        The order is topological; among steps that could be next, the one of the earliest trained layer comes first.
        """
        readers: Dict[str, List[str]] = {}
        missing: Dict[str, int] = {}
        pending = [output]
        while pending:
            key = pending.pop()
            if key not in missing:
                missing[key] = len(self._steps[key].inputs)
                pending += self._steps[key].inputs
                for source in self._steps[key].inputs:
                    readers.setdefault(source, []).append(key)
        names: Dict[str, str] = {}
        order, ready = count(1), [(-1, 0, INPUT)]
        while ready:
            *_, key = heapq.heappop(ready)
            names[key] = f"{len(names) - 1:02d}{self._steps[key].title}" if names else INPUT
            for reader in readers.get(key, []):
                missing[reader] -= 1
                if missing[reader] == 0:
                    heapq.heappush(ready, (self._steps[reader].position, next(order), reader))
        return names

    def _step(self, title: str, position: int, inputs: Sequence[str]) -> str:
        """Add a step; return its key."""
        key = str(len(self._steps))
        self._steps[key] = Step(title, position, tuple(inputs))
        return key

    def _volume(self, value: Deferred, inputs: Sequence[Volume]) -> Volume:
        """Add the volume of a layer without weights, which reads `inputs`."""
        names = tuple(volume.name for volume in inputs)
        name = self._step(value.title or _title(value.layer.kind, value.shape), value.position, names)
        if isinstance(value.layer, Reindexing):
            self._volumes[name] = Reindexed(name, value.shape, value.layer, names)
        else:
            projection = Projection(names[0], value.layer, value.layer.geometry(inputs[0].shape))
            self._volumes[name] = Population(name, value.shape, value.layer.kind, (projection,), None, "linear")
        self._rectified[name] = all(self._rectified[read] for read in names)
        return self._volumes[name]

    def _population(self, value: Affine, activation: str, limit: Optional[float]) -> Population:
        """Add the population of that input current, activation, and value at which activations are clipped.

        Raise `NotComposableError` if Keras has no layer for a term.
        """
        bias = value.bias.astype(np.float32)
        if bias.ndim > 1 and (bias == bias[0, 0]).all():
            bias = bias[0, 0]
        by_position = bias.ndim > 1
        layer_activation = "linear" if len(value.terms) > 1 or by_position or limit is not None else activation
        projections = tuple(
            self._projection(term, value.shape, layer_activation, use_bias=not (number or by_position))
            for number, term in enumerate(value.terms)
        )
        steps = [
            self._step(_title(projection.layer.kind, value.shape), term.kernel.position, (projection.input,))
            for term, projection in zip(value.terms, projections)
        ]
        after = ["Add"] if len(steps) > 1 else []
        kind = "Add" if after else projections[0].layer.kind
        after += ["BatchNormalization"] if by_position else []  # adds the bias of each position
        if limit is not None:
            after.append("ReLU")
        elif after and activation != "linear":
            after.append("Activation")
        for each in after:
            steps = [self._step(_title(each, value.shape), self._position, steps)]
        population = Population(steps[0], value.shape, kind, projections, bias, activation, limit)
        self._volumes[population.name] = population
        self._rectified[population.name] = activation == "relu"
        return population

    def _projection(self, term: Term, written: Shape, activation: str, *, use_bias: bool) -> Projection:
        """Return the projection of a term, for an output of the shape `written`; the other arguments are Keras's."""
        kernel, source, read = term.kernel, term.source, term.source.shape
        if kernel.kind == IDENTITY:
            if len(written) != 3:
                raise NotComposableError(
                    "connects units of a Dense layer one to one, which only feature maps support: use a Dense layer"
                )
            kernel = Kernel("DepthwiseConv2D", kernel.weights.reshape(1, 1, -1, 1), kernel.position)
        if kernel.kind == "DepthwiseConv2D" and kernel.strides[0] != kernel.strides[1]:
            raise NotComposableError(
                f"has strides of {kernel.strides[0]} × {kernel.strides[1]} for each channel, which are not supported: "
                "use equal strides, or insert a relu before it"
            )
        number = kernel.weights.shape[-1]
        settings: Dict[str, object] = {"activation": activation, "use_bias": use_bias}
        settings.update(dict.fromkeys(("units", "filters", "depth_multiplier"), number))
        if kernel.kind != "Dense":
            axes = list(zip(read, kernel.size, kernel.strides, kernel.dilation))
            fitting = [
                padding
                for padding in (kernel.padding, "valid", "same")
                if [window_padding(*axis, padding) for axis in axes] == list(zip(kernel.before, written))
            ]
            if not fitting:
                rows, columns = kernel.zeros_around(read, written)
                zeros = ZeroPadding2D(padding=(rows, columns))
                source = self._volume(Deferred(zeros, kernel.position, (), zeros.output_shape([read])), [source])
            settings.update(kernel_size=kernel.size, strides=kernel.strides, dilation_rate=kernel.dilation)
            settings["padding"] = [*fitting, "valid"][0]
        layer = LAYER_KINDS[kernel.kind].model_validate(settings)
        return Projection(source.name, layer, layer.geometry(source.shape), kernel.weights)

    def _value(self, layer: TrainedLayer, read: List[Value]) -> Value:
        kind = layer.layer
        if isinstance(kind, Activation):
            return read[0] if kind.activation == "linear" else self._activated(read[0], kind.activation, None)
        if isinstance(kind, ReLU):
            return self._activated(read[0], "relu", kind.max_value)
        if layer.kind == "BatchNormalization":
            return self._normalised(read[0], *normalisation(layer))
        if layer.kind == "Add":
            return self._sum(read)
        if "Pooling2D" in layer.kind:
            return self._pooled(layer, read[0])
        if isinstance(kind, Weighted):
            return self._weighted(layer, kind.activation, read[0])
        assert isinstance(kind, Reindexing)
        return self._deferred(kind, layer.shape, read)

    def _weighted(self, layer: TrainedLayer, activation: str, value: Value) -> Value:
        kind, weights, current = layer.layer, layer.weights, self._linear(value)
        if not isinstance(kind, Convolution2D):
            kernel = Kernel("Dense", weights["kernel"], self._position)
        else:
            strides, dilation = kind.strides, kind.dilation_rate
            (top, _), (left, _) = window_zeros(value.shape, kind.kernel_size, strides, dilation, kind.padding)
            name, first = "Conv2D", "kernel"
            if layer.kind != "Conv2D":  # depthwise, alone or as the first part of a separable convolution
                name, first = "DepthwiseConv2D", "depthwise_kernel"
            kernel = Kernel(name, weights[first], self._position, strides, dilation, (top, left), kind.padding)
        if isinstance(kind, SeparableConv2D):
            current = self._followed(current, kernel, np.zeros(kernel.outputs), (*layer.shape[:-1], kernel.outputs))
            kernel = Kernel("Conv2D", weights["pointwise_kernel"], self._position)
        bias = np.asarray(weights.get("bias", np.zeros(layer.shape[-1])), np.float64)
        current = self._followed(current, kernel, bias, layer.shape)
        return current if activation == "linear" else self._activated(current, activation, None)

    def _followed(self, value: Affine, kernel: Kernel, bias: np.ndarray, shape: Tuple[int, ...]) -> Affine:
        try:
            return value.followed_by(kernel, bias, shape)
        except NotComposableError:
            if not self._rectify_linear:
                raise
        rectified = identity(self._population(value, "linear", None), self._position)
        return rectified.followed_by(kernel, bias, shape)

    def _linear(self, value: Value) -> Affine:
        """Return a value as a sum of terms."""
        if isinstance(value, Deferred):
            scaled = self._scaled_units(value) or padded(value)
            if scaled is not None:
                return scaled
            if not self._rectify_linear:
                raise NotComposableError(
                    f"reads a {value.layer.kind} of a layer without activation: insert a relu between them"
                )
            value = self._activated(value, "linear", None)
        return identity(value, self._position) if isinstance(value, Volume) else value

    def _normalised(self, value: Value, scale: np.ndarray, shift: np.ndarray) -> Value:
        if not isinstance(value, Deferred):
            return self._linear(value).scaled(scale, shift)
        if isinstance(value.layer, MaxPooling2D):
            negative = int((scale < 0).sum())
            if negative:
                raise NotComposableError(
                    f"scales {negative} of {len(scale)} channels by negative numbers after a maximum of values that "
                    "may be negative: move batch normalisation and relu before the pooling"
                )
            return replace(value, inputs=(self._normalised(value.inputs[0], scale, shift),))
        if isinstance(value.layer, ZeroPadding2D):
            outside = shift if value.outside is None else value.outside * scale + shift
            return replace(value, inputs=(self._normalised(value.inputs[0], scale, shift),), outside=outside)
        rank = len(value.shape)
        if not isinstance(value.layer, Concatenate) or value.layer.axis not in (-1, rank):
            raise NotComposableError(
                f"follows a {value.layer.kind} of a layer without activation: put it before that layer"
            )
        ends = np.cumsum([part.shape[-1] for part in value.inputs])[:-1]
        parts = zip(value.inputs, np.split(scale, ends), np.split(shift, ends))
        inputs = tuple(self._normalised(part, *numbers) for part, *numbers in parts)
        return replace(value, inputs=inputs)

    def _sum(self, read: List[Value]) -> Affine:
        parts = [self._linear(value) for value in read]
        if len({part.shape for part in parts}) > 1:
            raise NotComposableError("adds shapes that differ")
        terms = tuple(term for part in parts for term in part.terms)
        if len(terms) > MOST_TERMS:
            raise NotComposableError(f"adds {len(terms):,} terms without an activation between them: insert a relu")
        return Affine(terms, np.asarray(sum(part.bias for part in parts)), parts[0].shape)

    def _activated(self, value: Value, activation: str, limit: Optional[float]) -> Volume:
        """Return the population of a value; `linear` is for the end of the network."""
        if isinstance(value, Deferred):
            return self._activated_before(value, activation, limit)
        if isinstance(value, Volume):
            if activation == "linear" or (activation == "relu" and limit is None and self._rectified[value.name]):
                return value
            if activation == "softmax" and prod(value.shape) != value.shape[-1]:
                raise NotComposableError("softmax over positions: insert Flatten and a Dense layer before it")
            if activation == "softmax" and len(value.shape) != 3:
                return self._softmax_before(value)
            value = identity(value, self._position)
        return self._population(value, activation, limit)

    def _softmax_before(self, value: Volume) -> Volume:
        """Move the softmax of a vector before the layer that flattened it: one synapse for each class."""
        if isinstance(value, Reindexed) and isinstance(value.layer, (Flatten, Reshape)):
            source = self._volumes[value.inputs[0]]
            if source.size == source.shape[-1]:
                flat = Deferred(value.layer, self._steps[value.name].position, (), value.shape)
                return self._volume(flat, [self._activated(source, "softmax", None)])
        kind = value.layer.kind if isinstance(value, Reindexed) else "an activation"
        raise NotComposableError(f"softmax over {kind}, which has no weights: insert a Dense layer between them")

    def _activated_before(self, value: Deferred, activation: str, limit: Optional[float]) -> Volume:
        if activation == "softmax" and not all(part.shape[-1] == np.prod(value.shape) for part in value.inputs):
            raise NotComposableError(
                f"softmax over values rearranged by {value.layer.kind}: insert a Dense layer before it"
            )
        if activation == "linear" and isinstance(value.layer, MaxPooling2D) and not self._rectify_linear:
            raise NotComposableError("maximum of values that may be negative: insert a relu before it")
        if value.outside is not None and (value.outside > 0).any():
            raise NotComposableError(
                f"batch normalisation makes {int((value.outside > 0).sum())} of {len(value.outside)} channels positive "
                "where zeros are padded before it: move batch normalisation and relu before the padding"
            )
        return self._volume(value, [self._activated(part, activation, limit) for part in value.inputs])

    def _pooled(self, layer: TrainedLayer, value: Value) -> Value:
        kind, shape, title = layer.layer, layer.shape, ""
        if isinstance(kind, MaxPooling2D) and self._max_pool == "average":
            pooling: Pooling2D = AveragePooling2D(**kind.model_dump())
            title = _title(layer.kind, shape)
        elif isinstance(kind, Pooling2D):
            leading = isinstance(kind, MaxPooling2D) and self._max_pool == "toolbox"
            pooling = kind.model_copy(update={"rule": "leading_input"}) if leading else kind
        else:
            height, width, channels = value.shape
            pooling = AveragePooling2D(pool_size=(height, width), strides=(1, 1))
            title, shape = f"AveragePooling2D_{channels}", (1, 1, channels)
        deferred = Deferred(pooling, self._position, (value,), shape, title)
        if isinstance(value, Volume):
            pooled: Value = self._volume(deferred, [value])
        elif isinstance(pooling, AveragePooling2D) or pooling.pool_size == (1, 1):
            pooled = self._averaged(deferred, pooling, value, layer.kind)
        else:
            pooled = deferred
        return pooled if shape == layer.shape else self._deferred(Flatten(), layer.shape, [pooled])

    def _averaged(self, deferred: Deferred, pooling: Pooling2D, value: Value, kind: str) -> Value:
        """Return the mean of a linear value: a depthwise convolution of equal weights."""
        rows, columns = pooling.pool_size
        weights = np.full((rows, columns, value.shape[-1], 1), 1 / (rows * columns), np.float32)
        (top, _), (left, _) = window_zeros(value.shape, pooling.pool_size, pooling.strides, (1, 1), pooling.padding)
        kernel = Kernel("DepthwiseConv2D", weights, self._position, pooling.strides, before=(top, left))
        try:
            if kind == "MaxPooling2D" and rows * columns > 1:
                raise NotComposableError("max pooling of a layer without activation: move the relu before the pooling")
            if kernel.pads(value.shape, deferred.shape):
                raise NotComposableError(
                    "average pooling with padding of a layer without activation: insert a relu between them"
                )
            if kind == "GlobalAveragePooling2D" and self._rectify_linear:
                raise NotComposableError("has a kernel of the size of the map")
            return self._linear(value).followed_by(kernel, np.zeros(kernel.outputs), deferred.shape)
        except NotComposableError:
            if not self._rectify_linear:
                raise
        return self._volume(deferred, [self._activated(value, "linear", None)])

    def _deferred(self, layer: Reindexing, shape: Shape, read: Sequence[Value]) -> Value:
        """Return the value of a layer that moves values: a volume, unless it reads a linear value."""
        deferred = Deferred(layer, self._position, tuple(read), shape)
        if deferred.parts > MOST_PARTS:
            raise NotComposableError(f"joins {deferred.parts:,} values without an activation: insert a relu")
        volumes = [value for value in read if isinstance(value, Volume)]
        return self._volume(deferred, volumes) if len(volumes) == len(read) else deferred

    def _scaled_units(self, value: Deferred) -> Optional[Affine]:
        """Return flattened volumes whose elements are scaled and shifted, as a linear value; None for another value."""
        if not isinstance(value.layer, (Flatten, Reshape, Concatenate)) or len(value.shape) > 1:
            return None
        parts = [self._spread(part) for part in value.inputs]
        scaled = [part for part in parts if part is not None]
        if len(scaled) < len(parts):
            return None
        # In C order, as these layers rearrange; of several parts, each is one axis long.
        scale, shift = (np.concatenate([numbers[i].ravel() for _, *numbers in scaled]) for i in (0, 1))
        volume = self._volume(value, [source for source, *_ in scaled])
        return Affine((Term(volume, Kernel(IDENTITY, scale.astype(np.float32), value.position)),), shift, value.shape)

    def _spread(self, value: Value) -> Optional[Tuple[Volume, np.ndarray, np.ndarray]]:
        """Return a volume, and scale and shift of each of its elements; None for any other value."""
        if isinstance(value, Deferred):
            value = self._scaled_units(value) or value
        if isinstance(value, Volume):
            return value, np.ones(value.shape), np.zeros(value.shape)
        if not isinstance(value, Affine) or len(value.terms) > 1 or value.terms[0].kernel.kind != IDENTITY:
            return None
        [term] = value.terms
        scale, shift = (np.broadcast_to(numbers, value.shape) for numbers in (term.kernel.weights, value.bias))
        return term.source, scale, shift


def padded(value: Value) -> Optional[Affine]:
    """Return zero padding of a sum as a sum; None for any other value.

    Raise `NotComposableError` if its kernels would read a part of their input in the padding.
    """
    if not isinstance(value, Deferred) or not isinstance(value.layer, ZeroPadding2D):
        return None
    [inside] = value.inputs
    inside = padded(inside) or inside
    if not isinstance(inside, Affine):
        return None
    ((top, _), (left, _)), channels = value.layer.padding, value.shape[-1]
    ones = np.ones((1, 1, channels, 1), np.float32)
    kernel = Kernel("DepthwiseConv2D", ones, value.position, before=(top, left))
    result = inside.followed_by(kernel, np.zeros(channels), value.shape)
    if value.outside is None:
        return result
    beyond = value.outside * (1 - kernel.of_image(np.ones(inside.shape), value.shape))
    return replace(result, bias=result.bias + beyond)


def _title(kind: str, shape: Shape) -> str:
    return f"{kind}_{'x'.join(map(str, shape))}"
