"""The own parser: the linear operations between two populations are composed into the layers that a population sums.

Each relu, each pooling and the end of the network is a population. A sum of several terms becomes layers without
activation, an `Add` and an activation; a single term becomes the layer that snntoolbox 0.5's parser would make of it.
"""

from dataclasses import replace
from math import prod
from typing import Dict, List, Optional, Tuple

import numpy as np

from snnb.conversion.branches import inbound
from snnb.conversion.keras_graph import read_keras_graph, unrolled_model
from snnb.conversion.kernel import Kernel, NotComposableError, bias_of, kernels_of, normalisation, padding_before
from snnb.conversion.layer_rules import OWN_TRAINING_ONLY, Reason, label, own_reasons, refused
from snnb.conversion.linear import (
    DeferredLayer,
    Linear,
    Node,
    Value,
    build_parsed,
    identity,
    node_of,
    padded,
    population,
    scaled_units,
)
from snnb.io.keras import description_of, keras


def parse_own(model: keras.Model, *, max_pool: str = "error", rectify_linear: bool = False) -> keras.Model:
    """Parse a trained or untrained model, which is not changed; the parsed model is not normalised.

    `max_pool="average"` replaces max pooling; `rectify_linear` converts linear operations that cannot be composed to
    populations without an activation. Raise `InputError` if the model cannot be converted; the message has all layers
    and reasons in one line.
    """
    flat = unrolled_model(model)
    reasons = own_reasons(read_keras_graph(description_of(flat)), max_pool)
    try:
        return _Parser(max_pool, rectify_linear, reasons).parse(flat)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        if not reasons:
            raise
        raise refused(reasons) from None  # raised after a layer of an unknown class


IMAGE = ("height", "width", "channels")


class _Parser:
    def __init__(self, max_pool: str, rectify_linear: bool, reasons: List[Reason]) -> None:
        self._max_pool, self._rectify_linear = max_pool, rectify_linear
        self._reasons = list(reasons)
        self._position = 0

    def parse(self, model: keras.Model) -> keras.Model:
        refused_already = {name for name, _ in self._reasons}
        values: Dict[str, Value] = {}
        for layer in model._input_layers:
            values[layer.name] = Node("InputLayer", tuple(layer.output_shape[0][1:]), -1)
        for self._position, layer in enumerate(model.layers):
            if layer.name in values:
                continue
            name = label(layer.name, type(layer).__name__)
            read = [values[before.name] for before in inbound(layer)]
            try:
                if name in refused_already:
                    raise NotComposableError
                values[layer.name] = self._value(layer, read)
            except NotComposableError as error:
                if name not in refused_already:
                    self._reasons.append((name, str(error)))
                values[layer.name] = Node("refused", tuple(layer.output_shape[1:]), self._position, rectified=True)
        last = model.layers[-1] if not model._output_layers else model._output_layers[0]
        try:
            output = self._activated(values[last.name], "linear", None)
            if not self._reasons:
                _check_softmax(output)
        except NotComposableError as error:
            self._reasons.append((last.name, str(error)))
        if self._reasons:
            raise refused(self._reasons)
        return build_parsed(output)

    def _value(self, layer: keras.layers.Layer, read: List[Value]) -> Value:
        kind = type(layer).__name__
        if kind in OWN_TRAINING_ONLY:
            return read[0]
        if kind in ("Activation", "ReLU"):
            name = "relu" if kind == "ReLU" else layer.activation.__name__
            limit = None if kind == "Activation" or layer.max_value is None else float(layer.max_value)
            return read[0] if name == "linear" else self._activated(read[0], name, limit)
        if kind == "BatchNormalization":
            return self._normalised(read[0], *normalisation(layer))
        if kind == "Add":
            return self._sum(read)
        if "Pooling2D" in kind:
            return self._pooled(layer, read[0])
        if layer.weights:
            return self._weighted(layer, read[0])
        return self._rearranged(layer, read)

    def _weighted(self, layer: keras.layers.Layer, value: Value) -> Value:
        *first, last = kernels_of(layer, self._position)
        shape = tuple(layer.output_shape[1:])
        current = self._linear(value)
        for kernel in first:
            current = self._followed(current, kernel, np.zeros(kernel.outputs), False, (*shape[:-1], kernel.outputs))
        current = self._followed(current, last, bias_of(layer), bool(layer.use_bias), shape)
        activation = layer.activation.__name__
        return current if activation == "linear" else self._activated(current, activation, None)

    def _followed(
        self, value: Linear, kernel: Kernel, bias: np.ndarray, biased: bool, shape: Tuple[int, ...]
    ) -> Linear:
        try:
            return value.followed_by(kernel, bias, biased, shape)
        except NotComposableError:
            if not self._rectify_linear:
                raise
        rectified = identity(population(value, "linear", None, self._position), self._position)
        return rectified.followed_by(kernel, bias, biased, shape)

    def _linear(self, value: Value) -> Linear:
        """Return a value as a sum of terms."""
        if isinstance(value, DeferredLayer):
            scaled = scaled_units(value) or padded(value)
            if scaled is not None:
                return scaled
            if not self._rectify_linear:
                raise NotComposableError(f"reads a {value.kind} of a layer without activation: put a relu between")
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
                    "may be negative: put batch normalisation and relu before the pooling"
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

    def _sum(self, read: List[Value]) -> Linear:
        parts = [self._linear(value) for value in read]
        if len({part.shape for part in parts}) > 1:
            raise NotComposableError("adds shapes that differ")
        terms = tuple(term for part in parts for term in part.terms)
        bias = np.sum([part.bias for part in parts], axis=0)
        return Linear(terms, bias, any(part.biased for part in parts), parts[0].shape)

    def _activated(self, value: Value, activation: str, limit: Optional[float]) -> Node:
        """Return the population of a value; `linear` is for the end of the network."""
        if isinstance(value, DeferredLayer):
            return self._activated_before(value, activation, limit)
        if isinstance(value, Node):
            if activation == "linear" or (activation == "relu" and limit is None and value.rectified):
                return value
            if activation == "softmax" and prod(value.shape) != value.shape[-1]:
                raise NotComposableError("softmax over positions: put Flatten and a Dense layer before it")
            if activation == "softmax" and len(value.shape) != len(IMAGE):
                return self._softmax_before(value)
            value = identity(value, self._position)
        return population(value, activation, limit, self._position)

    def _softmax_before(self, value: Node) -> Node:
        """Move the softmax of a vector before the layer that flattened it: one synapse for each class."""
        if value.kind not in ("Flatten", "Reshape") or prod(value.inputs[0].shape) != value.inputs[0].shape[-1]:
            raise NotComposableError(
                f"softmax over {value.kind}, which has no weights: put a Dense layer between the two"
            )
        return replace(value, inputs=(self._activated(value.inputs[0], "softmax", None),), activation="softmax")

    def _activated_before(self, value: DeferredLayer, activation: str, limit: Optional[float]) -> Node:
        if activation == "softmax" and not all(part.shape[-1] == np.prod(value.shape) for part in value.inputs):
            raise NotComposableError(f"softmax over what {value.kind} rearranges: put a Dense layer before it")
        if activation == "linear" and value.kind == "MaxPooling2D" and not self._rectify_linear:
            raise NotComposableError("a maximum of values that may be negative: put a relu before it")
        if value.outside is not None and (value.outside > 0).any():
            raise NotComposableError(
                f"batch normalisation makes {int((value.outside > 0).sum())} of {len(value.outside)} channels positive "
                "where zeros are padded before it: put batch normalisation and relu before the padding"
            )
        inputs = tuple(self._activated(part, activation, limit) for part in value.inputs)
        return node_of(value, inputs, "softmax" if activation == "softmax" else "linear")

    def _pooled(self, layer: keras.layers.Layer, value: Value) -> Value:
        kind, shape, title = type(layer).__name__, tuple(layer.output_shape[1:]), ""
        config = {key: content for key, content in layer.get_config().items() if key != "name"}
        averaging = "Average" in kind or self._max_pool == "average"
        if kind == "GlobalAveragePooling2D":
            height, width, channels = layer.input_shape[1:]
            title, shape = f"AveragePooling2D_{channels}", (1, 1, channels)
            config = {"pool_size": (height, width), "strides": [1, 1]}
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
        flat = DeferredLayer("Flatten", {}, "", self._position, (pooled,), tuple(layer.output_shape[1:]))
        return node_of(flat, (pooled,)) if isinstance(pooled, Node) else flat

    def _averaged(self, pooling: DeferredLayer, value: Value, kind: str) -> Value:
        """Return the mean of a linear value: a depthwise convolution of equal weights."""
        if self._rectify_linear:
            return node_of(pooling, (self._activated(value, "linear", None),))
        rows, columns = pooling.config["pool_size"]
        if kind == "MaxPooling2D" and rows * columns > 1:
            raise NotComposableError("max pooling of a layer without activation: put the relu before the pooling")
        strides = (int(pooling.config["strides"][0]), int(pooling.config["strides"][1]))
        weights = np.full((rows, columns, value.shape[-1], 1), 1 / (rows * columns), np.float32)
        before = padding_before(
            value.shape, (rows, columns), strides, (1, 1), str(pooling.config.get("padding", "valid"))
        )
        kernel = Kernel("DepthwiseConv2D", weights, self._position, strides, before=before)
        if kernel.pads(value.shape, pooling.shape):
            raise NotComposableError("average pooling with padding of a layer without activation: put a relu between")
        return self._linear(value).followed_by(kernel, np.zeros(kernel.outputs), False, pooling.shape)

    def _rearranged(self, layer: keras.layers.Layer, read: List[Value]) -> Value:
        config = {key: content for key, content in layer.get_config().items() if key != "name"}
        shape = tuple(layer.output_shape[1:])
        deferred = DeferredLayer(type(layer).__name__, config, "", self._position, tuple(read), shape)
        nodes = [value for value in read if isinstance(value, Node)]
        return node_of(deferred, tuple(nodes)) if len(nodes) == len(read) else deferred


def _check_softmax(output: Node) -> None:
    """Raise an error for a softmax that is followed by more than re-indexing."""
    pending, met = [(output, True)], set()
    while pending:
        node, last = pending.pop()
        if node.activation == "softmax" and not last:
            raise NotComposableError("the network has a softmax inside: only the output layer may have it")
        if (id(node), last) in met:
            continue
        met.add((id(node), last))
        at_end = last and node.kind in ("Flatten", "Reshape", "Activation")
        pending += [(source, at_end) for source in node.inputs]
