"""Keras's h5 files as snnb writes them."""

import json
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from snnb.io.hdf5 import reading, write_array, writing
from snnb.io.text import JsonValue

QCFS_LEVELS = "qcfs_levels"  # attribute of the file of a model trained with quantised activations
MODELS = ("Sequential", "Model", "Functional")


def read_levels(path: Path) -> Optional[int]:
    """Return the levels of the quantised activations that a model was trained with; None without such activations."""
    with reading(path) as file:
        levels = file.attrs.get(QCFS_LEVELS)
    return None if levels is None else int(levels)


class StoredLayer(NamedTuple):
    """A layer as a file describes it."""

    name: str
    kind: str  # the Keras class
    config: Mapping[str, JsonValue]  # Keras's configuration of the layer, the name apart
    inputs: Tuple[str, ...]  # names of the layers it reads, in order; a name can occur twice
    arrays: Mapping[str, np.ndarray]  # its weights by Keras's names (`kernel`, `bias`), in Keras's order


_VERSION = {"backend": b"tensorflow", "keras_version": b"2.3.0-tf"}  # of TensorFlow 2.2
# As the toolbox compiles a model, so that its command line does not ask for a loss.
_COMPILED = {
    "loss": "categorical_crossentropy",
    "metrics": ["accuracy", "top_k_categorical_accuracy"],
    "weighted_metrics": None,
    "loss_weights": None,
    "sample_weight_mode": None,
    "optimizer_config": {
        "class_name": "SGD",
        "config": {"name": "SGD", "learning_rate": 0.01, "decay": 0.0, "momentum": 0.0, "nesterov": False},
    },
}
_NAMES_BYTES = 64000  # of an attribute, at most


def write_model(
    path: Path, name: str, layers: Sequence[StoredLayer], *, levels: Optional[int] = None, compiled: bool = False
) -> None:
    """Write a model as Keras of TensorFlow 2.2 does with `model.save`, and without times.

    `layers` are in topological order, the input first and the output last. For `levels` see `read_levels`; `compiled`
    adds loss and metrics, as the toolbox has them.
    """
    entries = []
    for layer in layers:
        nodes = [[[read, 0, 0, {}] for read in layer.inputs]] if layer.inputs else []
        config = {"name": layer.name, "dtype": "float32", **layer.config}
        entries.append({"class_name": layer.kind, "config": config, "name": layer.name, "inbound_nodes": nodes})
    ends = {"input_layers": [[layers[0].name, 0, 0]], "output_layers": [[layers[-1].name, 0, 0]]}
    description = {"class_name": "Model", "config": {"name": name, "layers": entries, **ends}}
    with writing(path) as file:
        file.attrs.update({**_VERSION, "model_config": json.dumps(description).encode()})
        if compiled:
            file.attrs["training_config"] = json.dumps(_COMPILED).encode()
        if levels is not None:
            file.attrs[QCFS_LEVELS] = levels
        weights = file.create_group("model_weights")
        weights.attrs.update(_VERSION)
        names = np.array([name.encode() for name in _order_of_loading(layers)])
        parts = np.array_split(names, -(-names.nbytes // _NAMES_BYTES))
        for number, part in enumerate(parts):
            weights.attrs[f"layer_names{number}" if len(parts) > 1 else "layer_names"] = part
        for layer in sorted(layers, key=lambda each: each.name):
            group = weights.require_group(layer.name)
            keys = {f"{layer.name}/{key}:0": values for key, values in layer.arrays.items()}
            group.attrs["weight_names"] = np.array([key.encode() for key in keys])
            for key, values in keys.items():
                write_array(group, key, np.asarray(values, np.float32))


def _order_of_loading(layers: Sequence[StoredLayer]) -> List[str]:
    """Return the names of layers in the order of `Model.layers`, in which Keras loads their weights, not by name.

    Like `_map_graph_network` in `tensorflow/python/keras/engine/network.py`, it sorts layers by the longest path to the
    output, then by the order in which a depth-first search from the output visits them.
    """
    inputs = {layer.name: layer.inputs for layer in layers}
    depths = dict.fromkeys(inputs, 0)
    for layer in reversed(layers):
        for name in layer.inputs:
            depths[name] = max(depths[name], depths[layer.name] + 1)
    met: Dict[str, int] = {}
    pending = [layers[-1].name]
    while pending:
        name = pending.pop()
        if name not in met:
            met[name] = len(met)
            pending += reversed(inputs[name])
    return sorted(met, key=lambda name: (-depths[name], met[name]))
