"""The layers of a parsed model before they are built: what reads what, in which order, under which names."""

import heapq
from dataclasses import dataclass, field
from typing import Dict, List, Sequence, Tuple

import numpy as np
from tensorflow import keras

from snnb.io.text import JsonValue


@dataclass(frozen=True, eq=False)
class Node:
    """A layer of the parsed model.

    Attributes
    ----------
    kind : str
        Its Keras class.
    shape : tuple of int
        Of its output, without the batch axis.
    position : int
        Where the layer that it comes from stands in the trained model.
    inputs : tuple of Node
    config : dict
        Keras's configuration, without the name.
    weights : list of np.ndarray
    title : str
        The kind as the layer's name has it, and the shape: what the toolbox would call the layer.
    rectified : bool
        Whether no value can be negative.
    activation : str
        `softmax` where it ends in one, which only the output may.
    """

    kind: str
    shape: Tuple[int, ...]
    position: int
    inputs: Tuple["Node", ...] = ()
    config: Dict[str, JsonValue] = field(default_factory=dict)
    weights: Sequence[np.ndarray] = ()
    title: str = ""
    rectified: bool = False
    activation: str = "linear"


def in_order(output: Node) -> List[Node]:
    """Return the nodes that an output depends on, each after those it reads, else as the trained model has them."""
    readers: Dict[int, List[Node]] = {}
    missing: Dict[int, int] = {}
    numbers: Dict[int, int] = {}
    waiting, ready = [output], []
    while waiting:
        node = waiting.pop()
        if id(node) in missing:
            continue
        missing[id(node)] = len(node.inputs)
        for source in node.inputs:
            readers.setdefault(id(source), []).append(node)
            waiting.append(source)
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


def built(output: Node) -> keras.Model:
    """Build the Keras model that ends in a node; layers are called as the toolbox calls them, `NNKind_shape`."""
    tensors = {}
    for number, node in enumerate(in_order(output), -1):
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
    # As the toolbox compiles it, so that the same network gives the same file.
    model.compile("sgd", "categorical_crossentropy", ["accuracy", keras.metrics.top_k_categorical_accuracy])
    return model
