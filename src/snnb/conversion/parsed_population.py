"""Build the parsed model: the layers that a linear value and its activation become, and the Keras model of them."""

import heapq
from typing import Dict, List, Optional, Tuple

import numpy as np

from snnb.conversion.kernel import IDENTITY, Kernel, NotComposableError, Shape, window
from snnb.conversion.linear import Linear, Node, Term
from snnb.io.keras import keras
from snnb.io.text import JsonValue

# Keys of a trained layer's configuration that its parsed layer does not have.
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
        if [window(*axis, padding) for axis in numbers] == places:
            return term, padding
    behind = [max(kernel.reach(axis, written[axis])[1] + 1 - read[axis], 0) for axis in (0, 1)]
    pads = tuple(zip(kernel.before, behind))
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
            f"has strides of {kernel.strides[0]} × {kernel.strides[1]} for each channel apart, which TensorFlow "
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
    found: List[Node] = []
    while ready:
        *_, node = heapq.heappop(ready)
        found.append(node)
        for reader in readers.get(id(node), []):
            missing[id(reader)] -= 1
            if missing[id(reader)] == 0:
                numbers[id(reader)] = len(numbers) + 1
                heapq.heappush(ready, (reader.position, numbers[id(reader)], id(reader), reader))
    return found


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
