"""Linear values of the own parser, and the parsed model that is built from them.

Between two populations, a value is a sum of terms, each one kernel on one layer, and a bias per channel. Layers without
neurons that read such a sum are deferred: they are converted when the next activation is known. `population` makes the
layers of a linear value and its activation, `build_parsed` the Keras model.
"""

import heapq
from dataclasses import dataclass, field, replace
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from snnb.conversion.kernel import IDENTITY, Kernel, NotComposableError, composed
from snnb.io.keras import keras
from snnb.io.text import JsonValue
from snnb.network.geometry import Shape, window_padding


@dataclass(frozen=True, eq=False)
class Node:
    """A layer of the parsed model."""

    kind: str
    shape: Tuple[int, ...]  # of its output, without the batch axis
    position: int  # index of the trained layer that it comes from
    inputs: Tuple["Node", ...] = ()
    config: Dict[str, JsonValue] = field(default_factory=dict)  # without the name
    weights: Sequence[np.ndarray] = ()
    title: str = ""  # kind and shape in the layer's name, if the toolbox writes others than `kind` and `shape`
    rectified: bool = False  # no value can be negative
    activation: str = "linear"  # `softmax` if it ends in one, which is allowed for the output only


@dataclass(frozen=True, eq=False)
class Term:
    """A kernel that reads a layer of the parsed model."""

    source: Node
    kernel: Kernel


@dataclass(frozen=True, eq=False)
class Linear:
    """A sum of terms and a bias."""

    terms: Tuple[Term, ...]
    bias: np.ndarray  # float64 `(channels,)`
    biased: bool  # training can make the bias differ from 0
    shape: Tuple[int, ...]

    def scaled(self, scale: np.ndarray, shift: np.ndarray) -> "Linear":
        """Scale and shift the channels, as batch normalisation does: float64 `(channels,)`."""
        terms = tuple(replace(term, kernel=term.kernel.scaled(scale)) for term in self.terms)
        return replace(self, terms=terms, bias=self.bias * scale + shift, biased=True)

    def followed_by(self, kernel: Kernel, bias: np.ndarray, biased: bool, shape: Tuple[int, ...]) -> "Linear":
        """Compose each term with a kernel and its bias, whose output has that shape.

        Raise `NotComposableError` if the composition would not be exact.
        """
        if self.biased and kernel.pads(self.shape, shape):
            raise NotComposableError(
                "pads a layer with a bias and without activation with zeros, which one kernel cannot do: "
                "put a relu between, or use padding valid"
            )
        terms = tuple(
            replace(term, kernel=composed(term.kernel, kernel, term.source.shape, self.shape, shape))
            for term in self.terms
        )
        return Linear(terms, bias + kernel.of_constant(self.bias), self.biased or biased, shape)


def identity(node: Node, position: int) -> Linear:
    """Return the output of a layer as a linear value, read by the trained layer of index `position`."""
    channels = node.shape[-1]
    kernel = Kernel(IDENTITY, np.ones(channels, np.float32), position)
    return Linear((Term(node, kernel),), np.zeros(channels), False, node.shape)


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


Value = Union[Node, Linear, DeferredLayer]


def node_of(value: DeferredLayer, inputs: Tuple[Node, ...], activation: str = "linear") -> Node:
    """Return the layer of the parsed model that reads `inputs`, which end in `activation`."""
    rectified = all(node.rectified for node in inputs)
    return Node(value.kind, value.shape, value.position, inputs, value.config, (), value.title, rectified, activation)


def padded(value: Value) -> Optional[Linear]:
    """Return zero padding of a sum without bias as a sum; None for any other value.

    Raise `NotComposableError` if its kernels would see a part of their input in the padding.
    """
    if not isinstance(value, DeferredLayer) or value.kind != "ZeroPadding2D" or value.outside is not None:
        return None
    [inside] = value.inputs
    inside = padded(inside) or inside
    if not isinstance(inside, Linear) or inside.biased:
        return None
    ((top, _), (left, _)), channels = value.config["padding"], value.shape[-1]
    ones = np.ones((1, 1, channels, 1), np.float32)
    kernel = Kernel("DepthwiseConv2D", ones, value.position, before=(int(top), int(left)))
    return inside.followed_by(kernel, np.zeros(channels), False, value.shape)


def scaled_units(value: Value) -> Optional[Linear]:
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
    return Linear((Term(node, kernel),), shift, True, value.shape)


def _spread(value: Value) -> Optional[Tuple[Node, np.ndarray, np.ndarray]]:
    """Return a layer, and scale and shift of each of its elements; None for any other value."""
    if isinstance(value, DeferredLayer):
        value = scaled_units(value) or value
    if isinstance(value, Node):
        return value, np.ones(value.shape), np.zeros(value.shape)
    if not isinstance(value, Linear) or len(value.terms) > 1 or value.terms[0].kernel.kind != IDENTITY:
        return None
    [term] = value.terms
    scale, shift = (np.broadcast_to(numbers, value.shape) for numbers in (term.kernel.weights, value.bias))
    return term.source, scale, shift


# Keys of a trained layer's configuration that the parsed layer does not have.
DROPPED = {"name", "activation", "use_bias"}


def population(value: Linear, activation: str, limit: Optional[float], position: int) -> Node:
    """Make the layers of a population of that input current, activation, and value at which activations are clipped.

    `position` is the index of the activation among the trained layers. Raise `NotComposableError` if Keras has no layer
    for a term.
    """
    single = len(value.terms) == 1
    own = activation if single and limit is None else "linear"
    rectified = own == "relu"
    ends: List[Node] = []
    for index, term in enumerate(value.terms):
        term, padding = _placed(term, value.shape)
        kind, config, kernel = _layer(term.kernel, padding, len(value.shape))
        config.update(activation=own, use_bias=index == 0)
        weights = [kernel, value.bias.astype(np.float32)] if index == 0 else [kernel]
        ends.append(Node(kind, value.shape, term.kernel.position, (term.source,), config, weights, "", rectified, own))
    if single and limit is None:
        return ends[0]
    end = ends[0] if single else Node("Add", value.shape, position, tuple(ends))
    if limit is not None:
        return Node("ReLU", value.shape, position, (end,), {"max_value": limit}, rectified=True)
    if activation == "linear":
        return end
    config = {"activation": activation}
    return Node(
        "Activation", value.shape, position, (end,), config, rectified=activation == "relu", activation=activation
    )


def _placed(term: Term, written: Shape) -> Tuple[Term, str]:
    """Return a term with Keras's padding, `valid` or `same`; if neither fits, with a padding layer before it."""
    kernel, read = term.kernel, term.source.shape
    if kernel.weights.ndim < 4:
        return term, "valid"
    places = [(kernel.before[axis], written[axis]) for axis in (0, 1)]
    numbers = list(zip(read, kernel.size, kernel.strides, kernel.dilation))
    for padding in (kernel.padding, "valid", "same"):
        if [window_padding(*axis, padding) for axis in numbers] == places:
            return term, padding
    after = [max(kernel.reach(axis, written[axis])[1] + 1 - read[axis], 0) for axis in (0, 1)]
    pads = tuple(zip(kernel.before, after))
    shape = (*(length + sum(pad) for length, pad in zip(read, pads)), read[-1])
    padded = Node(
        "ZeroPadding2D", shape, kernel.position, (term.source,), {"padding": pads}, rectified=term.source.rectified
    )
    return Term(padded, kernel), "valid"


def _layer(kernel: Kernel, padding: str, rank: int) -> Tuple[str, Dict[str, JsonValue], np.ndarray]:
    """Return the Keras class, the configuration and the weights of a term."""
    if kernel.kind == "Dense":
        return "Dense", {**_shared_config(kernel), "units": kernel.outputs}, kernel.weights
    if kernel.kind == IDENTITY:
        if rank != 3:
            raise NotComposableError(
                "connects units of a Dense layer one to one, which only feature maps can: put a Dense layer there"
            )
        weights = kernel.weights.reshape(1, 1, -1, 1)
        kernel = Kernel("DepthwiseConv2D", weights, kernel.position)
    rows, columns, _, last = kernel.weights.shape
    if kernel.kind == "DepthwiseConv2D" and kernel.strides[0] != kernel.strides[1]:
        raise NotComposableError(
            f"has strides of {kernel.strides[0]} × {kernel.strides[1]} for each channel, which TensorFlow "
            "computes only where they are equal: use equal strides, or put a relu before"
        )
    config = {
        **_shared_config(kernel),
        "kernel_size": (rows, columns),
        "strides": kernel.strides,
        "padding": padding,
        "dilation_rate": kernel.dilation,
        ("filters" if kernel.kind == "Conv2D" else "depth_multiplier"): last,
    }
    return kernel.kind, config, kernel.weights


def _shared_config(kernel: Kernel) -> Dict[str, JsonValue]:
    return {key: value for key, value in kernel.config.items() if key not in DROPPED}


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


def build_parsed(output: Node) -> keras.Model:
    """Build the Keras model that ends in a node; its layers have the toolbox's names, `NNKind_shape`."""
    tensors = {}
    for number, node in enumerate(_in_order(output), -1):
        if not node.inputs:
            first = tensors[id(node)] = keras.layers.Input(node.shape, name="input")
            continue
        read = [tensors[id(source)] for source in node.inputs]
        title = node.title or f"{node.kind}_{'x'.join(map(str, node.shape))}"
        config = {**node.config, "name": f"{number:02d}{title}"}
        if node.weights:
            config["weights"] = list(node.weights)
        layer = getattr(keras.layers, node.kind)(**config)
        tensors[id(node)] = layer(read if len(read) > 1 or node.kind in ("Add", "Concatenate") else read[0])
    model = keras.Model(first, tensors[id(output)])
    # Compiled as by the toolbox, so that the same network gives the same file.
    model.compile("sgd", "categorical_crossentropy", ["accuracy", keras.metrics.top_k_categorical_accuracy])
    return model
