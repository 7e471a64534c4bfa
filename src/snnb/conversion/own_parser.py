"""The parser of snnb: linear operations between two populations are composed into the projections of a population.

Each relu, each pooling and the end of the network is a population. It becomes layers as in the file of a parsed
network, of which `snnb.network.read_network.assemble` makes the network: of a sum of several terms, layers without
activation, an `Add` and an activation; of a single term, the layer that snntoolbox 0.5's parser would make of it.

Between two populations, a value is a sum of terms, each one kernel on one layer, and a bias per channel, or per
position where a layer pads a value with a bias with zeros. Layers without neurons that read such a sum are deferred:
they are converted when the next activation is known.
"""

import heapq
from dataclasses import dataclass, field, replace
from math import prod
from typing import Dict, Iterator, List, Mapping, Optional, Tuple, Union

import numpy as np

from snnb.conversion.kernel import (
    IDENTITY,
    Kernel,
    NotComposableError,
    bias_of,
    composed,
    kernels_of,
    padding_before,
)
from snnb.core.errors import InputError
from snnb.io.keras_file import StoredLayer
from snnb.io.text import JsonValue
from snnb.model_files.kinds import Reason, joined
from snnb.network.geometry import Shape, window_padding
from snnb.network.layers import Activation, ReLU, Weighted
from snnb.network.network import INPUT, Network
from snnb.network.read_network import POSITION_BIAS, SHIFT, assemble, shift_weights
from snnb.network.trained import TrainedLayer, TrainedNetwork, normalisation

# Keys of a trained layer's configuration that the parsed layer does not have.
DROPPED = {"name", "activation", "use_bias"}
REINDEXING = ("Flatten", "Reshape", "Concatenate", "ZeroPadding2D")


@dataclass(frozen=True, eq=False)
class Node:
    """A layer of the parsed model."""

    kind: str
    shape: Tuple[int, ...]  # of its output, without the batch axis
    position: int  # index of the trained layer that it comes from
    inputs: Tuple["Node", ...] = ()
    config: Dict[str, JsonValue] = field(default_factory=dict)  # without the name
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)
    title: str = ""  # kind and shape in the layer's name, if the toolbox writes others than `kind` and `shape`
    rectified: bool = False  # no value can be negative
    activation: str = "linear"  # `softmax` if it ends in one, which is allowed for the output only


@dataclass(frozen=True, eq=False)
class Term:
    """A kernel that reads a layer of the parsed model."""

    source: Node
    kernel: Kernel


@dataclass(frozen=True, eq=False)
class Affine:
    """A sum of terms and a bias."""

    terms: Tuple[Term, ...]
    bias: np.ndarray  # float64, `(channels,)` or `shape`
    shape: Tuple[int, ...]

    def scaled(self, scale: np.ndarray, shift: np.ndarray) -> "Affine":
        """Scale and shift the channels, as batch normalisation does: float64 `(channels,)`."""
        terms = tuple(replace(term, kernel=term.kernel.scaled(scale)) for term in self.terms)
        return replace(self, terms=terms, bias=self.bias * scale + shift)

    def followed_by(self, kernel: Kernel, bias: np.ndarray, shape: Tuple[int, ...]) -> "Affine":
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


def identity(node: Node, position: int) -> Affine:
    """Return the output of a layer as a linear value, read by the trained layer of index `position`."""
    channels = node.shape[-1]
    kernel = Kernel(IDENTITY, np.ones(channels, np.float32), position)
    return Affine((Term(node, kernel),), np.zeros(channels), node.shape)


@dataclass(frozen=True, eq=False)
class DeferredLayer:
    """A layer without neurons that reads a linear value: a relu after it, with which it commutes, moves before it."""

    kind: str
    config: Dict[str, JsonValue]
    title: str
    position: int
    inputs: Tuple["Value", ...]
    shape: Tuple[int, ...]
    # Values, by channel, that replace the zeros of a padding before which a batch normalisation was moved.
    outside: Optional[np.ndarray] = None


Value = Union[Node, Affine, DeferredLayer]


def parse_own(network: TrainedNetwork, *, max_pool: str = "exact", rectify_linear: bool = False) -> Network:
    """Parse a trained or untrained network; the result is not normalised.

    `max_pool` keeps max pooling ("exact", or "toolbox" with its rule) or replaces it ("average"); `rectify_linear`
    converts linear operations that cannot be composed to populations without an activation. Raise `InputError` if the
    network cannot be converted; the message has layers and reasons in one line.
    """
    reasons = list(_reasons(network))
    if reasons:
        raise InputError(f"cannot convert this model: {joined(reasons)}")
    output = _Parser(network, max_pool, rectify_linear).parse()
    return replace(assemble(stored_layers(output)), levels=network.levels)


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
        self._network, self._layers = network, network.by_name()
        self._max_pool, self._rectify_linear = max_pool, rectify_linear
        self._position = 0

    def parse(self) -> Node:
        """Return the layer of the parsed network that ends it."""
        reasons: List[Reason] = []
        start, *others = self._network.layers
        values: Dict[str, Value] = {start.name: Node("InputLayer", start.shape, -1)}
        for self._position, layer in enumerate(others):
            try:
                values[layer.name] = self._value(layer, [values[name] for name in layer.inputs])
            except NotComposableError as error:
                reasons.append((layer.label, str(error)))
                values[layer.name] = Node("refused", layer.shape, self._position, rectified=True)
        last = self._network.output
        try:
            output = self._activated(values[last.name], "linear", None)
            if not reasons:
                _check_softmax(output)
        except NotComposableError as error:
            reasons.append((last.name, str(error)))
        if reasons:
            raise InputError(f"cannot convert this model: {joined(reasons)}")
        return output

    def _value(self, layer: TrainedLayer, read: List[Value]) -> Value:
        own = layer.layer
        if isinstance(own, Activation):
            return read[0] if own.activation == "linear" else self._activated(read[0], own.activation, None)
        if isinstance(own, ReLU):
            return self._activated(read[0], "relu", own.max_value)
        if layer.kind == "BatchNormalization":
            return self._normalised(read[0], *normalisation(layer))
        if layer.kind == "Add":
            return self._sum(read)
        if "Pooling2D" in layer.kind:
            return self._pooled(layer, read[0])
        if isinstance(own, Weighted):
            return self._weighted(layer, own.activation, read[0])
        return self._rearranged(layer, read)

    def _weighted(self, layer: TrainedLayer, activation: str, value: Value) -> Value:
        *first, last = kernels_of(layer, self._position, value.shape)
        current = self._linear(value)
        for kernel in first:
            current = self._followed(current, kernel, np.zeros(kernel.outputs), (*layer.shape[:-1], kernel.outputs))
        current = self._followed(current, last, bias_of(layer), layer.shape)
        return current if activation == "linear" else self._activated(current, activation, None)

    def _followed(self, value: Affine, kernel: Kernel, bias: np.ndarray, shape: Tuple[int, ...]) -> Affine:
        try:
            return value.followed_by(kernel, bias, shape)
        except NotComposableError:
            if not self._rectify_linear:
                raise
        rectified = identity(population(value, "linear", None, self._position), self._position)
        return rectified.followed_by(kernel, bias, shape)

    def _linear(self, value: Value) -> Affine:
        """Return a value as a sum of terms."""
        if isinstance(value, DeferredLayer):
            scaled = scaled_units(value) or padded(value)
            if scaled is not None:
                return scaled
            if not self._rectify_linear:
                raise NotComposableError(
                    f"reads a {value.kind} of a layer without activation: insert a relu between them"
                )
            value = self._activated(value, "linear", None)
        return identity(value, self._position) if isinstance(value, Node) else value

    def _normalised(self, value: Value, scale: np.ndarray, shift: np.ndarray) -> Value:
        if not isinstance(value, DeferredLayer):
            return self._linear(value).scaled(scale, shift)
        if value.kind == "MaxPooling2D":
            negative = int((scale < 0).sum())
            if negative:
                raise NotComposableError(
                    f"scales {negative} of {len(scale)} channels by negative numbers after a maximum of values that "
                    "may be negative: move batch normalisation and relu before the pooling"
                )
            return replace(value, inputs=(self._normalised(value.inputs[0], scale, shift),))
        if value.kind == "ZeroPadding2D":
            outside = shift if value.outside is None else value.outside * scale + shift
            return replace(value, inputs=(self._normalised(value.inputs[0], scale, shift),), outside=outside)
        rank = len(value.shape)
        if value.kind != "Concatenate" or value.config["axis"] not in (-1, rank):
            raise NotComposableError(f"follows a {value.kind} of a layer without activation: put it before that layer")
        ends = np.cumsum([part.shape[-1] for part in value.inputs])[:-1]
        parts = zip(value.inputs, np.split(scale, ends), np.split(shift, ends))
        inputs = tuple(self._normalised(part, *numbers) for part, *numbers in parts)
        return replace(value, inputs=inputs)

    def _sum(self, read: List[Value]) -> Affine:
        parts = [self._linear(value) for value in read]
        if len({part.shape for part in parts}) > 1:
            raise NotComposableError("adds shapes that differ")
        terms = tuple(term for part in parts for term in part.terms)
        return Affine(terms, np.asarray(sum(part.bias for part in parts)), parts[0].shape)

    def _activated(self, value: Value, activation: str, limit: Optional[float]) -> Node:
        """Return the population of a value; `linear` is for the end of the network."""
        if isinstance(value, DeferredLayer):
            return self._activated_before(value, activation, limit)
        if isinstance(value, Node):
            if activation == "linear" or (activation == "relu" and limit is None and value.rectified):
                return value
            if activation == "softmax" and prod(value.shape) != value.shape[-1]:
                raise NotComposableError("softmax over positions: insert Flatten and a Dense layer before it")
            if activation == "softmax" and len(value.shape) != 3:
                return self._softmax_before(value)
            value = identity(value, self._position)
        return population(value, activation, limit, self._position)

    def _softmax_before(self, value: Node) -> Node:
        """Move the softmax of a vector before the layer that flattened it: one synapse for each class."""
        if value.kind not in ("Flatten", "Reshape") or prod(value.inputs[0].shape) != value.inputs[0].shape[-1]:
            raise NotComposableError(
                f"softmax over {value.kind}, which has no weights: insert a Dense layer between them"
            )
        return replace(value, inputs=(self._activated(value.inputs[0], "softmax", None),), activation="softmax")

    def _activated_before(self, value: DeferredLayer, activation: str, limit: Optional[float]) -> Node:
        if activation == "softmax" and not all(part.shape[-1] == np.prod(value.shape) for part in value.inputs):
            raise NotComposableError(f"softmax over values rearranged by {value.kind}: insert a Dense layer before it")
        if activation == "linear" and value.kind == "MaxPooling2D" and not self._rectify_linear:
            raise NotComposableError("maximum of values that may be negative: insert a relu before it")
        if value.outside is not None and (value.outside > 0).any():
            raise NotComposableError(
                f"batch normalisation makes {int((value.outside > 0).sum())} of {len(value.outside)} channels positive "
                "where zeros are padded before it: move batch normalisation and relu before the padding"
            )
        inputs = tuple(self._activated(part, activation, limit) for part in value.inputs)
        return node_of(value, inputs, "softmax" if activation == "softmax" else "linear")

    def _pooled(self, layer: TrainedLayer, value: Value) -> Value:
        kind, shape, title = layer.kind, layer.shape, ""
        config = layer.layer.model_dump()
        averaging = "Average" in kind or self._max_pool == "average"
        if kind == "MaxPooling2D" and self._max_pool == "toolbox":
            config["rule"] = "leading_input"
        if kind == "GlobalAveragePooling2D":
            height, width, channels = value.shape
            title, shape = f"AveragePooling2D_{channels}", (1, 1, channels)
            config = {"pool_size": (height, width), "strides": (1, 1)}
        elif averaging != ("Average" in kind):
            title = f"{kind}_{'x'.join(map(str, shape))}"
        pooling = "AveragePooling2D" if averaging else "MaxPooling2D"
        deferred = DeferredLayer(pooling, config, title, self._position, (value,), shape)
        if isinstance(value, Node):
            pooled: Value = node_of(deferred, (value,))
        elif averaging or tuple(config["pool_size"]) == (1, 1):
            pooled = self._averaged(deferred, value, kind)
        else:
            pooled = deferred
        if kind != "GlobalAveragePooling2D":
            return pooled
        flat = DeferredLayer("Flatten", {}, "", self._position, (pooled,), layer.shape)
        return node_of(flat, (pooled,)) if isinstance(pooled, Node) else flat

    def _averaged(self, pooling: DeferredLayer, value: Value, kind: str) -> Value:
        """Return the mean of a linear value: a depthwise convolution of equal weights."""
        rows, columns = pooling.config["pool_size"]
        strides = (int(pooling.config["strides"][0]), int(pooling.config["strides"][1]))
        weights = np.full((rows, columns, value.shape[-1], 1), 1 / (rows * columns), np.float32)
        padding = str(pooling.config.get("padding", "valid"))
        before = padding_before(value.shape, (rows, columns), strides, (1, 1), padding)
        kernel = Kernel("DepthwiseConv2D", weights, self._position, strides, before=before)
        try:
            if kind == "MaxPooling2D" and rows * columns > 1:
                raise NotComposableError("max pooling of a layer without activation: move the relu before the pooling")
            if kernel.pads(value.shape, pooling.shape):
                raise NotComposableError(
                    "average pooling with padding of a layer without activation: insert a relu between them"
                )
            if kind == "GlobalAveragePooling2D" and self._rectify_linear:
                raise NotComposableError("has a kernel of the size of the map")
            return self._linear(value).followed_by(kernel, np.zeros(kernel.outputs), pooling.shape)
        except NotComposableError:
            if not self._rectify_linear:
                raise
        return node_of(pooling, (self._activated(value, "linear", None),))

    def _rearranged(self, layer: TrainedLayer, read: List[Value]) -> Value:
        config = layer.layer.model_dump()
        deferred = DeferredLayer(layer.kind, config, "", self._position, tuple(read), layer.shape)
        nodes = [value for value in read if isinstance(value, Node)]
        return node_of(deferred, tuple(nodes)) if len(nodes) == len(read) else deferred


def _check_softmax(output: Node) -> None:
    """Raise an error for a softmax that is followed by more than re-indexing."""
    pending, met = [(output, True)], set()
    while pending:
        node, last = pending.pop()
        if node.activation == "softmax" and not last:
            raise NotComposableError("softmax in a hidden layer: only the output layer may have softmax")
        if (id(node), last) in met:
            continue
        met.add((id(node), last))
        at_end = last and node.kind in ("Flatten", "Reshape", "Activation")
        pending += [(source, at_end) for source in node.inputs]


def node_of(value: DeferredLayer, inputs: Tuple[Node, ...], activation: str = "linear") -> Node:
    """Return the layer of the parsed model that reads `inputs`, which end in `activation`."""
    rectified = all(node.rectified for node in inputs)
    return Node(value.kind, value.shape, value.position, inputs, value.config, {}, value.title, rectified, activation)


def padded(value: Value) -> Optional[Affine]:
    """Return zero padding of a sum as a sum; None for any other value.

    Raise `NotComposableError` if its kernels would see a part of their input in the padding.
    """
    if not isinstance(value, DeferredLayer) or value.kind != "ZeroPadding2D":
        return None
    [inside] = value.inputs
    inside = padded(inside) or inside
    if not isinstance(inside, Affine):
        return None
    ((top, _), (left, _)), channels = value.config["padding"], value.shape[-1]
    ones = np.ones((1, 1, channels, 1), np.float32)
    kernel = Kernel("DepthwiseConv2D", ones, value.position, before=(int(top), int(left)))
    result = inside.followed_by(kernel, np.zeros(channels), value.shape)
    if value.outside is None:
        return result
    beyond = value.outside * (1 - kernel.of_image(np.ones(inside.shape), value.shape))
    return replace(result, bias=result.bias + beyond)


def scaled_units(value: Value) -> Optional[Affine]:
    """Return flattened layers whose elements are scaled and shifted, as a linear value; None for any other value."""
    if not isinstance(value, DeferredLayer) or value.kind not in ("Flatten", "Reshape", "Concatenate"):
        return None
    if len(value.shape) > 1:
        return None
    parts = [_spread(part) for part in value.inputs]
    scaled = [part for part in parts if part is not None]
    if len(scaled) < len(parts):
        return None
    # In C order, as these layers rearrange; of several parts, each is one axis long.
    scale, shift = (np.concatenate([numbers[i].ravel() for _, *numbers in scaled]) for i in (0, 1))
    node = node_of(value, tuple(source for source, *_ in scaled))
    kernel = Kernel(IDENTITY, scale.astype(np.float32), value.position)
    return Affine((Term(node, kernel),), shift, value.shape)


def _spread(value: Value) -> Optional[Tuple[Node, np.ndarray, np.ndarray]]:
    """Return a layer, and scale and shift of each of its elements; None for any other value."""
    if isinstance(value, DeferredLayer):
        value = scaled_units(value) or value
    if isinstance(value, Node):
        return value, np.ones(value.shape), np.zeros(value.shape)
    if not isinstance(value, Affine) or len(value.terms) > 1 or value.terms[0].kernel.kind != IDENTITY:
        return None
    [term] = value.terms
    scale, shift = (np.broadcast_to(numbers, value.shape) for numbers in (term.kernel.weights, value.bias))
    return term.source, scale, shift


def population(value: Affine, activation: str, limit: Optional[float], position: int) -> Node:
    """Make the layers of a population of that input current, activation, and value at which activations are clipped.

    `position` is the index of the activation among the trained layers. Raise `NotComposableError` if Keras has no layer
    for a term.
    """
    bias = value.bias.astype(np.float32)
    if bias.ndim > 1 and (bias == bias[0, 0]).all():
        bias = bias[0, 0]
    by_position = bias.ndim > 1
    alone = len(value.terms) == 1 and limit is None and not by_position
    own, first = activation if alone else "linear", None if by_position else bias
    ends = [_layer(term, value.shape, own, None if index else first) for index, term in enumerate(value.terms)]
    if alone:
        return ends[0]
    end = ends[0] if len(ends) == 1 else Node("Add", value.shape, position, tuple(ends))
    if by_position:
        end = Node(POSITION_BIAS, value.shape, position, (end,), dict(SHIFT), shift_weights(bias))
    if limit is not None:
        return Node("ReLU", value.shape, position, (end,), {"max_value": limit}, rectified=True)
    if activation == "linear":
        return end
    config = {"activation": activation}
    return Node(
        "Activation", value.shape, position, (end,), config, rectified=activation == "relu", activation=activation
    )


def _layer(term: Term, written: Shape, activation: str, bias: Optional[np.ndarray]) -> Node:
    """Return the layer of a term, whose output has the shape `written`."""
    kernel, source, read = term.kernel, term.source, term.source.shape
    config = {key: value for key, value in kernel.config.items() if key not in DROPPED}
    config.update(activation=activation, use_bias=bias is not None)
    if kernel.kind == IDENTITY:
        if len(written) != 3:
            raise NotComposableError(
                "connects units of a Dense layer one to one, which only feature maps support: use a Dense layer"
            )
        kernel = Kernel("DepthwiseConv2D", kernel.weights.reshape(1, 1, -1, 1), kernel.position)
    if kernel.kind == "Dense":
        config["units"] = kernel.outputs
    else:
        if kernel.kind == "DepthwiseConv2D" and kernel.strides[0] != kernel.strides[1]:
            raise NotComposableError(
                f"has strides of {kernel.strides[0]} × {kernel.strides[1]} for each channel, which are "
                "not supported: use equal strides, or insert a relu before it"
            )
        places = [(kernel.before[axis], written[axis]) for axis in (0, 1)]
        axes = list(zip(read, kernel.size, kernel.strides, kernel.dilation))
        fitting = (
            padding
            for padding in (kernel.padding, "valid", "same")
            if [window_padding(*axis, padding) for axis in axes] == places
        )
        padding = next(fitting, None)
        if padding is None:
            after = [max(kernel.reach(axis, written[axis])[1] + 1 - read[axis], 0) for axis in (0, 1)]
            pads = tuple(zip(kernel.before, after))
            shape = (*(length + sum(pad) for length, pad in zip(read, pads)), read[-1])
            source = Node(
                "ZeroPadding2D", shape, kernel.position, (source,), {"padding": pads}, rectified=source.rectified
            )
        config.update(
            kernel_size=kernel.size, strides=kernel.strides, padding=padding or "valid", dilation_rate=kernel.dilation
        )
        config["filters" if kernel.kind == "Conv2D" else "depth_multiplier"] = kernel.weights.shape[-1]
    name = "depthwise_kernel" if kernel.kind == "DepthwiseConv2D" else "kernel"
    weights = {name: kernel.weights} if bias is None else {name: kernel.weights, "bias": bias}
    rectified = activation == "relu"
    return Node(kernel.kind, written, kernel.position, (source,), config, weights, "", rectified, activation)


def _in_order(output: Node) -> List[Node]:
    """Return the nodes that an output depends on: topological order, ties as in the trained model."""
    readers: Dict[int, List[Node]] = {}
    missing: Dict[int, int] = {}
    numbers: Dict[int, int] = {}
    pending, ready = [output], []
    while pending:
        node = pending.pop()
        if id(node) in missing:
            continue
        missing[id(node)] = len(node.inputs)
        for source in node.inputs:
            readers.setdefault(id(source), []).append(node)
            pending.append(source)
        if not node.inputs:
            ready.append((node.position, 0, id(node), node))
    ordered: List[Node] = []
    while ready:
        *_, node = heapq.heappop(ready)
        ordered.append(node)
        for reader in readers.get(id(node), []):
            missing[id(reader)] -= 1
            if missing[id(reader)] == 0:
                numbers[id(reader)] = len(numbers) + 1
                heapq.heappush(ready, (reader.position, numbers[id(reader)], id(reader), reader))
    return ordered


def stored_layers(output: Node) -> List[StoredLayer]:
    """Return the layers of the parsed network that ends in a node, with the toolbox's names, `NNKind_shape`."""
    names: Dict[int, str] = {}
    layers: List[StoredLayer] = []
    for number, node in enumerate(_in_order(output), -1):
        title = node.title or f"{node.kind}_{'x'.join(map(str, node.shape))}"
        names[id(node)] = f"{number:02d}{title}" if node.inputs else INPUT
        config = node.config if node.inputs else {"batch_input_shape": (None, *node.shape)}
        read = tuple(names[id(source)] for source in node.inputs)
        layers.append(StoredLayer(names[id(node)], node.kind, config, read, node.weights))
    return layers
