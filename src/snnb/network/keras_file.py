"""Keras's h5 files as snnb writes them."""

import json
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.io.hdf5 import reading, text_of, write_array, writing
from snnb.io.text import JsonValue

# Attribute of the file of a model trained with quantised activations
QCFS_LEVELS = "qcfs_levels"
MODELS = ("Sequential", "Model", "Functional")


def read_levels(path: Path) -> Optional[int]:
    """Return the levels of the quantised activations of a model; None without them."""
    with reading(path) as file:
        return levels_in(file)


def levels_in(file: h5py.Group) -> Optional[int]:
    """Return the levels of quantised activations in an open file; see `read_levels`."""
    levels = file.attrs.get(QCFS_LEVELS)
    return None if levels is None else int(levels)


def array_names(group: h5py.Group) -> List[str]:
    """Return the names in a layer's group of its arrays, in Keras's order.

    Keras splits a list of names that is too long for one attribute.
    """
    keys = [key for key in group.attrs if key.startswith("weight_names")]
    keys.sort(key=lambda key: (len(key), key))
    names: List[str] = []
    for key in keys:
        names += map(text_of, group.attrs[key])
    return names


class StoredLayer(NamedTuple):
    """A layer as a file describes it."""

    name: str
    kind: str  # the Keras class
    # Keras's configuration of the layer, the name apart
    config: Mapping[str, JsonValue]
    # Names of the layers it reads, in order; a name can occur twice
    inputs: Tuple[str, ...]
    # Its weights by Keras's names (`kernel`, `bias`), in Keras's order
    arrays: Mapping[str, np.ndarray]


# Of TensorFlow 2.2
_VERSION = {"backend": b"tensorflow", "keras_version": b"2.3.0-tf"}
# As the toolbox compiles a model, so that its command line does not ask for a loss.
_COMPILED = {
    "loss": "categorical_crossentropy",
    "metrics": ["accuracy", "top_k_categorical_accuracy"],
    "weighted_metrics": None,
    "loss_weights": None,
    "sample_weight_mode": None,
    "optimizer_config": {
        "class_name": "SGD",
        "config": {
            "name": "SGD",
            "learning_rate": 0.01,
            "decay": 0.0,
            "momentum": 0.0,
            "nesterov": False,
        },
    },
}
_NAMES_BYTES = 64000  # of an attribute, at most


def write_model(
    path: Path,
    name: str,
    layers: Sequence[StoredLayer],
    *,
    levels: Optional[int] = None,
    with_compilation: bool = False,
) -> None:
    """Write a model as Keras of TensorFlow 2.2 does with `model.save`, without times.

    `layers` are in topological order, the input first and the output last. For `levels`
    see `read_levels`; `with_compilation` adds loss and metrics, as the toolbox has
    them.
    """
    description = _describe_model(name, layers)
    with writing(path) as file:
        file.attrs.update(_VERSION)
        file.attrs["model_config"] = json.dumps(description).encode()
        if with_compilation:
            file.attrs["training_config"] = json.dumps(_COMPILED).encode()
        if levels is not None:
            file.attrs[QCFS_LEVELS] = levels
        weights = file.create_group("model_weights")
        weights.attrs.update(_VERSION)
        layer_names = [layer_name.encode() for layer_name in _loading_order(layers)]
        names = np.array(layer_names)
        parts = np.array_split(names, -(-names.nbytes // _NAMES_BYTES))
        for number, part in enumerate(parts):
            suffix = str(number) if len(parts) > 1 else ""
            weights.attrs[f"layer_names{suffix}"] = part
        for layer in sorted(layers, key=lambda layer: layer.name):
            group = weights.require_group(layer.name)
            keys = [f"{layer.name}/{key}:0" for key in layer.arrays]
            group.attrs["weight_names"] = np.array([key.encode() for key in keys])
            for key, values in zip(keys, layer.arrays.values()):
                write_array(group, key, np.asarray(values, np.float32))


def _describe_model(name: str, layers: Sequence[StoredLayer]) -> Dict[str, object]:
    """Return the description of a model, which Keras has in `model_config`."""
    entries: List[JsonValue] = []
    for layer in layers:
        tensors = [[source, 0, 0, {}] for source in layer.inputs]
        layer_config: Dict[str, JsonValue] = {"name": layer.name, "dtype": "float32"}
        layer_config.update(layer.config)
        entries.append(
            {
                "class_name": layer.kind,
                "config": layer_config,
                "name": layer.name,
                "inbound_nodes": [tensors] if tensors else [],
            },
        )
    config: Dict[str, JsonValue] = {
        "name": name,
        "layers": entries,
        "input_layers": [[layers[0].name, 0, 0]],
        "output_layers": [[layers[-1].name, 0, 0]],
    }
    return {"class_name": "Model", "config": config}


def _loading_order(layers: Sequence[StoredLayer]) -> List[str]:
    """Return the names of layers in the order in which Keras loads their weights.

    It is that of `Model.layers`, and weights are not loaded by name. Like
    `_map_graph_network` in `tensorflow/python/keras/engine/network.py`, it sorts layers
    by the longest path to the output, then by the order in which a depth-first search
    from the output visits them.
    """
    inputs = {layer.name: layer.inputs for layer in layers}
    depths = dict.fromkeys(inputs, 0)
    for layer in reversed(layers):
        for name in layer.inputs:
            depths[name] = max(depths[name], depths[layer.name] + 1)
    visit: Dict[str, int] = {}  # number of the visit to a layer
    stack = [layers[-1].name]
    while stack:
        name = stack.pop()
        if name not in visit:
            visit[name] = len(visit)
            stack += reversed(inputs[name])
    return sorted(visit, key=lambda name: (-depths[name], visit[name]))
