"""Read a parsed model's file, with h5py alone; shapes follow from the geometry, as Keras computes them."""

from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import h5py
import numpy as np

from snnb.conversion.h5 import read_architecture
from snnb.errors import InputError
from snnb.simulation.layers import (
    KINDS,
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    InputLayer,
    Layer,
    MaxPooling2D,
    Network,
    Pair,
    Reshape,
    Shape,
    ZeroPadding2D,
    check,
    windows,
)


def read_network(path: Path) -> Network:
    """Read a parsed (normalised) model as Keras wrote it.

    Raises
    ------
    InputError
        The file is broken, or holds a layer that cannot be simulated; the message names it.
    """
    layers: Dict[str, Layer] = {}
    architecture = read_architecture(path)
    if architecture.get("class_name") != "Model":
        raise InputError(f"{path.name}: holds a {architecture.get('class_name')}, no parsed model: run `snnb parse`")
    with h5py.File(path, "r") as file:
        for entry in architecture["config"]["layers"]:
            name, kind = str(entry["config"]["name"]), str(entry["class_name"])
            if kind not in KINDS:
                raise InputError(f"{path.name}: layer {name}: a {kind} cannot be simulated: replace it and parse again")
            inputs = _inputs(path, name, entry.get("inbound_nodes", []))
            try:
                shapes = [layers[source].shape for source in inputs]
                layers[name] = _layer(kind, name, inputs, shapes, entry["config"], file["model_weights"])
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise InputError(f"{path.name}: layer {name} is not as it should be ({error}): parse again") from None
    network = Network(tuple(layers.values()))
    check(network, path)
    return network


def _inputs(path: Path, name: str, nodes: Sequence[Sequence[Sequence[Any]]]) -> Tuple[str, ...]:
    if len(nodes) > 1:
        raise InputError(f"{path.name}: layer {name} is used {len(nodes)} times: give each use a layer of its own")
    return tuple(str(source[0]) for source in nodes[0]) if nodes else ()


def _layer(
    kind: str, name: str, inputs: Tuple[str, ...], shapes: List[Shape], config: Mapping[str, Any], stored: h5py.Group
) -> Layer:
    if config.get("data_format", "channels_last") != "channels_last":
        raise ValueError("its data_format is not channels_last")
    if kind == "InputLayer":
        return InputLayer(name, inputs, tuple(int(size) for size in config["batch_input_shape"][1:]))
    if kind == "Concatenate":
        return _concatenate(name, inputs, shapes, int(config["axis"]))
    (shape,) = shapes
    if kind == "Flatten":
        return Flatten(name, inputs, (int(np.prod(shape)),))
    if kind == "Reshape":
        return Reshape(name, inputs, np.empty(shape, np.bool_).reshape(config["target_shape"]).shape)
    if kind == "ZeroPadding2D":
        (top, bottom), (left, right) = padding = (_pair(config["padding"][0]), _pair(config["padding"][1]))
        return ZeroPadding2D(name, inputs, (shape[0] + top + bottom, shape[1] + left + right, shape[2]), padding)
    if kind in ("AveragePooling2D", "MaxPooling2D"):
        size, strides, mode = _pair(config["pool_size"]), _pair(config["strides"]), str(config["padding"])
        pooled = (*_image(shape, size, strides, (1, 1), mode), shape[2])
        pooling = AveragePooling2D if kind == "AveragePooling2D" else MaxPooling2D
        return pooling(name, inputs, pooled, size, strides, mode)
    weights = _weights(stored[name])
    kernel = weights["depthwise_kernel" if kind == "DepthwiseConv2D" else "kernel"]
    filters = kernel.shape[2] * kernel.shape[3] if kind == "DepthwiseConv2D" else kernel.shape[-1]
    bias = weights["bias"] if config["use_bias"] else np.zeros(filters, np.float32)
    if kind == "Dense":
        return Dense(name, inputs, (*shape[:-1], filters), kernel, bias, config["activation"])
    strides, dilation, mode = _pair(config["strides"]), _pair(config["dilation_rate"]), str(config["padding"])
    convolved = (*_image(shape, _pair(kernel.shape[:2]), strides, dilation, mode), filters)
    convolution = Conv2D if kind == "Conv2D" else DepthwiseConv2D
    return convolution(name, inputs, convolved, kernel, bias, config["activation"], strides, dilation, mode)


def _concatenate(name: str, inputs: Tuple[str, ...], shapes: List[Shape], axis: int) -> Concatenate:
    axis = axis + len(shapes[0]) if axis < 0 else axis - 1
    joined = sum(shape[axis] for shape in shapes)
    return Concatenate(name, inputs, (*shapes[0][:axis], joined, *shapes[0][axis + 1 :]), axis)


def _weights(group: h5py.Group) -> Dict[str, np.ndarray]:
    """Arrays by the last part of their names: `kernel`, `depthwise_kernel`, `bias`."""
    names = [name.decode() if isinstance(name, bytes) else name for name in group.attrs["weight_names"]]
    return {name.split("/")[-1].split(":")[0]: group[name][()].astype(np.float32) for name in names}


def _image(shape: Shape, taps: Pair, strides: Pair, dilation: Pair, padding: str) -> Pair:
    height, width = (windows(shape[i], taps[i], strides[i], dilation[i], padding)[0] for i in (0, 1))
    return height, width


def _pair(values: Sequence[int]) -> Pair:
    first, second = values
    return int(first), int(second)
