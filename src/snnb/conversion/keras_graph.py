"""The graph of a Keras model's layers, from its description without building it; a layer for each use of a layer."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, List, Sequence, Tuple

from snnb.io.keras import description_of, keras
from snnb.io.keras_file import MODELS
from snnb.io.text import JsonValue

Origin = Tuple[str, ...]  # names of the models around a layer, the outermost first, and of the layer
Entry = Dict[str, JsonValue]


def unrolled(description: Entry) -> Tuple[Entry, Dict[str, Origin]]:
    """Describe the same network with a layer for each use of a layer, in network order, as a functional model.

    Return also, by the name of each of its layers, the path to the layer in the model whose weights it uses.
    """
    unroll = _Unroll()
    inputs = [unroll.layer(entry, (), []) for entry in _inputs(description)]
    outputs = unroll.model(description, (), inputs)
    config = {
        "name": description["config"]["name"],
        "layers": unroll.layers,
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [[name, 0, 0] for name in outputs],
    }
    return {"class_name": "Model", "config": config}, unroll.origins


def unrolled_model(model: keras.Model) -> keras.Model:
    """Build the same network with a layer for each use of a layer; return the model itself if each is used once."""
    description = description_of(model)
    layers = description["config"]["layers"]
    if not any(entry["class_name"] in MODELS or len(entry.get("inbound_nodes", [])) > 1 for entry in layers):
        return model
    description, origins = unrolled(description)
    flat = keras.models.model_from_json(json.dumps(description))
    for layer in flat.layers:
        if layer.weights:
            source = model
            for name in origins[layer.name]:
                source = source.get_layer(name)
            layer.set_weights(source.get_weights())
    return flat


class _Unroll:
    def __init__(self) -> None:
        self.layers: List[Entry] = []
        self.origins: Dict[str, Origin] = {}
        self._uses: Counter = Counter()

    def layer(self, entry: Entry, around: Origin, reads: Sequence[str], arguments: Sequence[Entry] = ()) -> str:
        """Add one use of a layer inside the models `around` it, and return its new name."""
        origin = (*around, entry["config"]["name"])
        path = name = "/".join(origin)
        while name in self.origins:
            self._uses[path] += 1
            name = f"{path}_use{self._uses[path] + 1}"
        self.origins[name] = origin
        node = [[read, 0, 0, argument] for read, argument in zip(reads, arguments or [{}] * len(reads))]
        config = {**entry["config"], "name": name}
        self.layers.append(
            {"class_name": entry["class_name"], "name": name, "config": config, "inbound_nodes": [node] if node else []}
        )
        return name

    def model(self, description: Entry, around: Origin, inputs: Sequence[str]) -> List[str]:
        """Add the layers of a model that reads `inputs`, and return the names of its outputs."""
        config = description["config"]
        if description["class_name"] == "Sequential":
            outputs = list(inputs)
            for entry in config["layers"]:
                outputs = self._called(entry, around, outputs, ())
            return outputs
        values: Dict[Tuple[str, int], List[str]] = {}
        for (name, *_), value in zip(_as_list(config["input_layers"]), inputs):
            values[name, 0] = [value]
        pending = [
            (entry, number, node)
            for entry in config["layers"]
            for number, node in enumerate(entry["inbound_nodes"], _first_use(entry))
            if (entry["config"]["name"], number) not in values
        ]
        while pending:
            left = []
            for entry, number, node in pending:
                if any((source[0], source[1]) not in values for source in node):
                    left.append((entry, number, node))
                    continue
                reads = [values[source[0], source[1]][source[2]] for source in node]
                arguments = [source[3] if len(source) > 3 else {} for source in node]
                values[entry["config"]["name"], number] = self._called(entry, around, reads, arguments)
            if len(left) == len(pending):
                raise ValueError("layers form a loop")
            pending = left
        return [values[name, number][tensor] for name, number, tensor in _as_list(config["output_layers"])]

    def _called(self, entry: Entry, around: Origin, reads: List[str], arguments: Sequence[Entry]) -> List[str]:
        if entry["class_name"] in MODELS:
            return self.model(entry, (*around, entry["config"]["name"]), reads)
        return reads if entry["class_name"] == "InputLayer" else [self.layer(entry, around, reads, arguments)]


def _inputs(description: Entry) -> List[Entry]:
    """Return the input layers of a model, in order."""
    config = description["config"]
    if description["class_name"] != "Sequential":
        layers = {entry["config"]["name"]: entry for entry in config["layers"]}
        return [layers[name] for name, *_ in _as_list(config["input_layers"])]
    first = config["layers"][0]
    if first["class_name"] == "InputLayer":
        return [first]
    shape = first["config"].get("batch_input_shape")
    if shape is None and first["class_name"] in MODELS:
        shape = config.get("build_input_shape")
        if shape is None:
            return _inputs(first)
    name = f"{first['config']['name']}_input"
    return [{"class_name": "InputLayer", "config": {"name": name, "batch_input_shape": shape, "dtype": "float32"}}]


def _as_list(entries: List[JsonValue]) -> List[JsonValue]:
    """Return a list of `[name, node, tensor]`; Keras writes a single input without the outer list."""
    return [entries] if isinstance(entries[0], str) else entries


def _first_use(layer: Entry) -> int:
    """Return the node index of a layer's first use: 1 for a model with an input, since Keras counts that as a use."""
    while layer["class_name"] == "Sequential":
        layer = layer["config"]["layers"][0]
        if "batch_input_shape" in layer["config"]:
            return 1
    return int(layer["class_name"] in MODELS)


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


def read_keras_graph(description: Entry) -> List[KerasLayer]:
    """Return the layers of a model that Keras has described in JSON, in network order; a layer for each use of one."""
    layers: Dict[str, KerasLayer] = {}
    for entry in unrolled(description)[0]["config"]["layers"]:
        inbound = [layers[source] for node in entry["inbound_nodes"] for source, *_ in node]
        layer = layers[entry["name"]] = KerasLayer(entry["name"], entry["class_name"], entry["config"], inbound)
        for before in inbound:
            before.outbound.append(layer)
        if layer.kind == "InputLayer":
            layer.rank = len(layer.config["batch_input_shape"]) - 1
        elif layer.kind == "Reshape":
            layer.rank = len(layer.config["target_shape"])
        else:
            layer.rank = 1 if layer.kind == "Flatten" or layer.kind.startswith("Global") else inbound[0].rank
    return list(layers.values())


def inbound(layer: keras.layers.Layer) -> List[keras.layers.Layer]:
    """Return the layers that a layer of a Keras model reads at its first use."""
    layers = layer.inbound_nodes[0].inbound_layers
    return layers if isinstance(layers, list) else [layers]
