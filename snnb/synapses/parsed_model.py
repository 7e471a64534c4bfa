"""Read a parsed Keras model (MODEL_parsed.h5) with h5py alone: its layers, how they connect, and their weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import h5py
import numpy as np

from snnb.errors import InputError
from snnb.hdf5 import RAISED_BY_HDF5, damaged, json_attribute, open_hdf5
from snnb.synapses.fields import is_name

INPUT = "input"
REMEDY = "write the model again with `snnb parse --force`"
BROKEN = (*RAISED_BY_HDF5, IndexError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Layer:
    """One layer of the parsed model, as the file describes it.

    Attributes
    ----------
    name, kind : str
        The layer's name (`00Conv2D_28x28x6`) and its Keras class (`Conv2D`).
    config : mapping
        Keras's own configuration of the layer.
    inbound : tuple of str
        Names of the layers it is fed by, in order; the same name may stand there twice.
    weights : mapping of str to str
        Path in the file of each array, by its last name (`kernel`, `bias`).
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    inbound: Tuple[str, ...]
    weights: Mapping[str, str]


@dataclass(frozen=True)
class ParsedModel:
    """The layers of a parsed model in network order, the input first, and the open file that holds their weights."""

    path: Path
    file: h5py.File
    layers: Tuple[Layer, ...]

    def shape(self, layer: Layer, name: str) -> Tuple[int, ...]:
        """Return the shape of one array of a layer; `InputError` if the file lacks it."""
        return tuple(self._find(layer, name).shape)

    def _find(self, layer: Layer, name: str) -> h5py.Dataset:
        path = layer.weights.get(name)
        try:
            array = None if path is None else self.file.get(path)
            if isinstance(array, h5py.Dataset) and array.dtype.kind == "f" and array.shape is not None:
                return array
        except RAISED_BY_HDF5 as error:
            raise damaged(self.path, error, REMEDY) from error
        raise InputError(f"{self.path}: layer {layer.name} has no {name} in this file; {REMEDY}")

    def read(self, layer: Layer, name: str) -> np.ndarray:
        """Read one array of a layer as float32.

        Raises
        ------
        InputError
            If the file lacks the array, or if a value in it is not finite.
        """
        try:
            values = np.asarray(self._find(layer, name)[()]).astype(np.float32, copy=False)
        except RAISED_BY_HDF5 as error:
            raise damaged(self.path, error, REMEDY) from error
        # A sum is finite when its terms are, overflow apart, and needs no array of booleans as large as the kernel.
        with np.errstate(invalid="ignore", over="ignore"):
            suspicious = not np.isfinite(values.sum())
        if suspicious and not np.isfinite(values).all():
            raise InputError(
                f"{self.path}: {name} of layer {layer.name} holds NaN or infinite values; train the model again"
            )
        return values


def open_parsed_model(path: Path) -> ParsedModel:
    """Open a parsed Keras model.

    Parameters
    ----------
    path : Path
        An HDF5 file that Keras wrote with `model.save`: a functional or sequential model with one input.

    Returns
    -------
    ParsedModel
        Its file stays open; the caller closes it.

    Raises
    ------
    InputError
        If the file is missing, broken, or not such a model.
    """
    file = open_hdf5(path, REMEDY)
    try:
        layers = _layers(path, file)
    except BROKEN as error:
        file.close()
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{path}: not a Keras model as `snnb parse` writes it ({type(error).__name__}: {line}); {REMEDY}"
        ) from error
    except InputError:
        file.close()
        raise
    return ParsedModel(path, file, layers)


def _layers(path: Path, file: h5py.File) -> Tuple[Layer, ...]:
    model = json_attribute(file, "model_config", path, REMEDY)
    config = model["config"]
    entries = _sequential(config) if model["class_name"] == "Sequential" else config["layers"]
    names: Dict[str, str] = {}  # Keras's name of a layer to ours: the input is always called `input`
    layers: List[Layer] = []
    for entry in entries:
        own = _name(path, entry["config"]["name"])
        inbound = _inbound(path, own, entry["inbound_nodes"])
        unknown = [name for name in inbound if name not in names]
        if unknown:
            raise InputError(
                f"{path}: layer {own} is fed by {unknown[0]!r}, which does not stand before it in the file; {REMEDY}"
            )
        if own in names:
            raise InputError(f"{path}: two layers are called {own}; {REMEDY}")
        if entry["class_name"] == "InputLayer":
            if INPUT in names.values():
                raise InputError(f"{path}: the model has several inputs; a graph is made of models with one")
            names[own] = INPUT
        elif own == INPUT:
            raise InputError(f"{path}: a layer that is no input is called {INPUT}; give it another name")
        else:
            names[own] = own
        layers.append(
            Layer(
                names[own],
                str(entry["class_name"]),
                {**entry["config"]},
                tuple(names[name] for name in inbound),
                _weights(file, own),
            )
        )
    if not layers or layers[0].name != INPUT:
        raise InputError(f"{path}: the model does not begin with an input layer; {REMEDY}")
    return tuple(layers)


def _name(path: Path, name: Any) -> str:
    if not isinstance(name, str) or not is_name(name):
        raise InputError(f"{path}: a layer is called {str(name)[:50]!r}, which is no name; {REMEDY}")
    return name


def _sequential(config: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """Write the layers of a sequential model as a functional model's, each fed by the one before it."""
    layers = list(config["layers"])
    if layers[0]["class_name"] != "InputLayer":
        shape = layers[0]["config"]["batch_input_shape"]
        layers.insert(0, {"class_name": "InputLayer", "config": {"name": INPUT, "batch_input_shape": shape}})
    chain = [None, *(layer["config"]["name"] for layer in layers)]
    return [
        {**layer, "inbound_nodes": [] if before is None else [[[before, 0, 0, {}]]]}
        for before, layer in zip(chain, layers)
    ]


def _inbound(path: Path, name: str, nodes: Sequence[Any]) -> List[str]:
    if len(nodes) > 1:
        raise InputError(
            f"{path}: layer {name} is used {len(nodes)} times; a layer shared by two places has no graph yet"
        )
    if not nodes:
        return []
    for inbound, node, tensor, *_ in nodes[0]:
        if node or tensor:
            raise InputError(
                f"{path}: layer {name} takes tensor {tensor} of use {node} of {inbound}; only the first exists"
            )
    return [entry[0] for entry in nodes[0]]


def _weights(file: h5py.File, layer: str) -> Dict[str, str]:
    group = file["model_weights"].get(layer)
    if not isinstance(group, h5py.Group):
        return {}
    paths = [_text(name) for name in group.attrs.get("weight_names", [])]
    return {path.rsplit("/", 1)[-1].split(":")[0]: f"model_weights/{layer}/{path}" for path in paths}


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
