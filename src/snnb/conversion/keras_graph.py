"""The graph of a Keras model's layers, with a layer for each use of a layer."""

from dataclasses import dataclass, field
from typing import Dict, List, Tuple

import tensorflow as tf

from snnb.io.keras import keras
from snnb.io.text import JsonValue


def nodes_of(model: keras.Model) -> List["keras.layers.Node"]:
    """Return Keras's records of the uses of layers in a model, in network order."""
    return [node for depth in sorted(model._nodes_by_depth, reverse=True) for node in model._nodes_by_depth[depth]]


def unrolled_model(model: keras.Model) -> keras.Model:
    """Build the same network with a layer for each use of a layer.

    Return the model itself if each is used once, and in no other model.
    """
    if all(len(node.outbound_layer.inbound_nodes) == 1 for node in nodes_of(model)) and not models_inside(model):
        return model
    copies: Dict[str, Tuple[keras.layers.Layer, keras.layers.Layer]] = {}  # by name: copy and original

    def applied(inside: keras.Model, tensors: List[tf.Tensor], around: str) -> List[tf.Tensor]:
        """Apply copies of the layers of a model to tensors; `around` is the beginning of their names."""
        if isinstance(inside, keras.Sequential):  # without nodes if it was made without the shape of its input
            for layer in inside.layers:
                tensors = called(layer, tensors, around)
            return tensors
        values = dict(zip(map(id, inside.inputs), tensors))
        for node in nodes_of(inside):
            if not isinstance(node.outbound_layer, keras.layers.InputLayer):
                read = [values[id(tensor)] for tensor in tf.nest.flatten(node.input_tensors)]
                outputs = called(node.outbound_layer, read, around)
                values.update(zip(map(id, tf.nest.flatten(node.output_tensors)), outputs))
        return [values[id(tensor)] for tensor in inside.outputs]

    def called(layer: keras.layers.Layer, tensors: List[tf.Tensor], around: str) -> List[tf.Tensor]:
        path = name = f"{around}{layer.name}"
        if isinstance(layer, keras.Model):
            return applied(layer, tensors, f"{path}/")
        uses = 1
        while name in copies:
            uses += 1
            name = f"{path}_use{uses}"
        copy = type(layer).from_config({**layer.get_config(), "name": name})
        copies[name] = copy, layer
        return tf.nest.flatten(copy(tensors if len(tensors) > 1 else tensors[0]))

    inputs = [
        keras.Input(tensor.shape[1:], tensor.shape[0], name=layer.name, dtype=tensor.dtype)
        for tensor, layer in zip(model.inputs, model._input_layers)
    ]
    flat = keras.Model(inputs, applied(model, inputs, ""))
    for copy, original in copies.values():
        copy.set_weights(original.get_weights())
    return flat


def models_inside(model: keras.Model) -> List[keras.Model]:
    """Return the models that are layers of a model."""
    return [layer for layer in model.layers if isinstance(layer, keras.Model)]


@dataclass
class KerasLayer:
    """A layer of a Keras model."""

    name: str
    kind: str
    config: Dict[str, JsonValue]
    inbound: List["KerasLayer"]
    outbound: List["KerasLayer"] = field(default_factory=list)
    rank: int = 0  # axes of its output without the batch axis

    @property
    def label(self) -> str:
        """Name and class, for messages."""
        return f"{self.name} ({self.kind})"


def read_keras_graph(model: keras.Model) -> List[KerasLayer]:
    """Return the layers of a model that `unrolled_model` returns, in network order."""
    nodes = {node.outbound_layer.name: node for node in nodes_of(model)}
    layers: Dict[str, KerasLayer] = {}
    for original in [*model._input_layers, *model.layers]:
        name = original.name
        if name in layers:
            continue
        sources = [layers[source.name] for source in tf.nest.flatten(nodes[name].inbound_layers)]
        [output] = tf.nest.flatten(nodes[name].output_tensors)
        layers[name] = KerasLayer(
            name, type(original).__name__, original.get_config(), sources, rank=len(output.shape) - 1
        )
        for source in sources:
            source.outbound.append(layers[name])
    return list(layers.values())


def inbound(layer: keras.layers.Layer) -> List[keras.layers.Layer]:
    """Return the layers that a layer of a Keras model reads at its first use."""
    layers = layer.inbound_nodes[0].inbound_layers
    return layers if isinstance(layers, list) else [layers]
