"""The graph of a Keras model's layers, from its description without building it."""

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple

from snnb.conversion.unroll import as_list, is_flat, unrolled
from snnb.core.errors import InputError
from snnb.io.text import JsonValue


@dataclass
class KerasLayer:
    """A layer of a Keras model."""

    name: str
    kind: str
    config: Dict[str, JsonValue]
    nodes: int = 1  # number of uses
    inbound: List["KerasLayer"] = field(default_factory=list)  # at its first use
    outbound: List["KerasLayer"] = field(default_factory=list)
    rank: Optional[int] = None  # axes of its output without the batch axis, if known


@dataclass(frozen=True)
class KerasGraph:
    """A model's layers in network order, its input and output layers, and the input shape without the batch axis."""

    layers: List[KerasLayer]
    inputs: List[KerasLayer]
    outputs: List[KerasLayer]
    input_shape: Optional[Tuple[Optional[int], ...]]


def read_keras_graph(description: Dict[str, JsonValue], *, unroll: bool = False) -> KerasGraph:
    """Read the graph of the layers of a model that Keras has described in JSON.

    With `unroll`, it has a layer for each use of a layer, and the layers of nested models. Raise `InputError` if the
    description is not that of a functional or Sequential model.
    """
    try:
        if unroll and not is_flat(description):
            description, _ = unrolled(description)
        return _sequential(description) if description["class_name"] == "Sequential" else _functional(description)
    except (AttributeError, KeyError, TypeError, IndexError, ValueError):
        name = description.get("class_name")
        raise InputError(f"the model ({name}) is neither functional nor Sequential: build it from layers") from None


def _sequential(description: Dict[str, JsonValue]) -> KerasGraph:
    entries = list(description["config"]["layers"])
    if entries[0]["class_name"] != "InputLayer":
        config = entries[0]["config"]
        config = {"name": f"{config['name']}_input", "batch_input_shape": config.get("batch_input_shape")}
        entries.insert(0, {"class_name": "InputLayer", "config": config})
    layers: List[KerasLayer] = []
    for entry in entries:
        layers.append(_layer(entry, layers[-1:]))
    return _graph(layers, layers[:1], layers[-1:])


def _functional(description: Dict[str, JsonValue]) -> KerasGraph:
    config = description["config"]
    layers: Dict[str, KerasLayer] = {}
    for entry in config["layers"]:
        sources = [layers[source[0]] for node in entry["inbound_nodes"][:1] for source in node]
        layer = layers[entry["config"]["name"]] = _layer(entry, sources)
        layer.nodes = len(entry["inbound_nodes"])
    ends = ([layers[entry[0]] for entry in as_list(config[key])] for key in ("input_layers", "output_layers"))
    return _graph(list(layers.values()), *ends)


def _layer(entry: Dict[str, JsonValue], inbound: List[KerasLayer]) -> KerasLayer:
    config = entry["config"]
    layer = KerasLayer(str(config["name"]), str(entry["class_name"]), config, inbound=inbound)
    for before in inbound:
        before.outbound.append(layer)
    if layer.kind == "InputLayer":
        shape = config.get("batch_input_shape")
        layer.rank = None if shape is None else len(shape) - 1
    elif not inbound:
        raise ValueError("a layer has no input")
    elif layer.kind == "Reshape":
        layer.rank = len(config["target_shape"])
    else:
        layer.rank = 1 if layer.kind == "Flatten" or layer.kind.startswith("Global") else inbound[0].rank
    return layer


def _graph(layers: List[KerasLayer], inputs: List[KerasLayer], outputs: List[KerasLayer]) -> KerasGraph:
    shape = inputs[0].config.get("batch_input_shape")
    return KerasGraph(layers, inputs, outputs, None if shape is None else tuple(shape[1:]))
