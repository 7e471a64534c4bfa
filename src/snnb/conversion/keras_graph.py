"""The graph of a Keras model's layers, read from its architecture without building it."""

from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Optional, Set, Tuple

from snnb.conversion.unroll import is_flat, unrolled
from snnb.core.errors import InputError
from snnb.io.text import JsonValue


@dataclass
class KerasLayer:
    """A layer as Keras writes it, its neighbours, and the number of axes of its output without the batch axis."""

    name: str
    kind: str
    config: Dict[str, JsonValue]
    nodes: int = 1
    inbound: List["KerasLayer"] = field(default_factory=list)
    outbound: List["KerasLayer"] = field(default_factory=list)
    rank: Optional[int] = None


@dataclass(frozen=True)
class KerasGraph:
    """A model's layers in network order, the first of which may be an `InputLayer`."""

    layers: List[KerasLayer]
    inputs: List[KerasLayer]
    outputs: List[KerasLayer]
    input_shape: Optional[Tuple[Optional[int], ...]]


def read_keras_graph(description: Dict[str, JsonValue], *, unroll: bool = False) -> KerasGraph:
    """Read the graph of a model's layers.

    Parameters
    ----------
    description : dict
        What `h5.read_architecture` returns, or the parsed JSON of a model's `to_json`.
    unroll : bool
        Give a layer for each use of a layer, and the layers of models inside the model.

    Returns
    -------
    KerasGraph
        Its layers, connected.

    Raises
    ------
    InputError
        The description is neither that of a functional model nor that of a Sequential one.
    """
    try:
        if unroll and not is_flat(description):
            description, _ = unrolled(description)
        return _sequential(description) if description["class_name"] == "Sequential" else _functional(description)
    except (AttributeError, KeyError, TypeError, IndexError, ValueError):
        name = description.get("class_name")
        raise InputError(f"the model ({name}) is neither functional nor Sequential: build it from layers") from None


def _sequential(description: Dict[str, JsonValue]) -> KerasGraph:
    layers = [_layer(entry) for entry in description["config"]["layers"]]
    if layers[0].kind != "InputLayer":
        shape = layers[0].config.get("batch_input_shape")
        layers.insert(0, KerasLayer(f"{layers[0].name}_input", "InputLayer", {"batch_input_shape": shape}))
    for before, after in zip(layers, layers[1:]):
        _connect(before, after)
    return _with_ranks(layers, [layers[0].name], [layers[-1].name])


def _functional(description: Dict[str, JsonValue]) -> KerasGraph:
    config = description["config"]
    layers = [_layer(entry) for entry in config["layers"]]
    by_name = {layer.name: layer for layer in layers}
    for entry, layer in zip(config["layers"], layers):
        layer.nodes = len(entry["inbound_nodes"])
        for connection in entry["inbound_nodes"][:1]:
            for source in connection:
                _connect(by_name[source[0]], layer)
    inputs, outputs = ([entry[0] for entry in _as_list(config[key])] for key in ("input_layers", "output_layers"))
    return _with_ranks(layers, inputs, outputs)


def _layer(entry: Dict[str, JsonValue]) -> KerasLayer:
    name, kind = entry["config"]["name"], entry["class_name"]
    if not isinstance(name, str) or not isinstance(kind, str):
        raise TypeError("a layer's name and class are text")
    return KerasLayer(name, kind, entry["config"])


def _connect(before: KerasLayer, after: KerasLayer) -> None:
    before.outbound.append(after)
    after.inbound.append(before)


def _as_list(entries: List[JsonValue]) -> List[JsonValue]:
    """Keras writes a single input as `[name, node, tensor]`, several as a list of these."""
    return [entries] if isinstance(entries[0], str) else entries


def _with_ranks(layers: List[KerasLayer], inputs: List[str], outputs: List[str]) -> KerasGraph:
    by_name = {layer.name: layer for layer in layers}
    shape = by_name[inputs[0]].config.get("batch_input_shape")
    for layer in _in_order(layers):
        if not layer.inbound and layer.kind != "InputLayer":
            raise ValueError("a layer has no input")
        if layer.kind == "InputLayer":
            shape_here = layer.config.get("batch_input_shape")
            layer.rank = None if shape_here is None else len(shape_here) - 1
        elif layer.kind == "Reshape":
            layer.rank = len(layer.config["target_shape"])
        elif layer.kind == "Flatten" or layer.kind.startswith("Global"):
            layer.rank = 1
        else:
            layer.rank = layer.inbound[0].rank
    return KerasGraph(
        layers=layers,
        inputs=[by_name[name] for name in inputs],
        outputs=[by_name[name] for name in outputs],
        input_shape=None if shape is None else tuple(shape[1:]),
    )


def _in_order(layers: List[KerasLayer]) -> Iterator[KerasLayer]:
    """Yield the layers, each after all layers that it takes its input from."""
    seen: Set[str] = set()
    waiting = list(layers)
    while waiting:
        ready = [layer for layer in waiting if all(before.name in seen for before in layer.inbound)]
        if not ready:
            raise ValueError("layers form a loop")
        for layer in ready:
            seen.add(layer.name)
            waiting.remove(layer)
            yield layer
