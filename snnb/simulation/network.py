"""Read a parsed model's file, with h5py alone; shapes follow from the geometry, as Keras computes them."""

import math
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import h5py
import numpy as np

from snnb.conversion.h5 import read_architecture
from snnb.errors import InputError
from snnb.hdf5 import reading
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

REMEDY = "write it again with `snnb parse --force`"
MOST_NEURONS = 1 << 40  # of one layer: more is damage, and products of such lengths still fit 64 bits
BROKEN = (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError, ZeroDivisionError)


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
    with reading(path, REMEDY) as file:
        for entry in architecture["config"]["layers"]:
            name, kind = entry["config"]["name"], entry["class_name"]
            if name in layers:
                raise InputError(f"{path.name}: has two layers of the name {name}: {REMEDY}")
            if kind not in KINDS:
                raise InputError(f"{path.name}: layer {name}: a {kind} cannot be simulated: replace it and parse again")
            inputs = _inputs(path, name, entry.get("inbound_nodes", []))
            try:
                shapes = [layers[source].shape for source in inputs]
                layers[name] = _layer(kind, name, inputs, shapes, entry["config"], file["model_weights"])
            except BROKEN as error:
                raise InputError(f"{path.name}: layer {name} is not as it should be ({error}): parse again") from None
    network = Network(tuple(layers.values()))
    check(network, path)
    check_geometry(network, path)
    return network


def check_geometry(network: Network, path: Path) -> None:
    """Raise `InputError`, naming file and layer, unless every shape and array is what the layers before it ask for.

    The compiled loops of an engine look at no bounds.
    """
    shapes: Dict[str, Shape] = {}
    for layer in network.layers:
        try:
            right = layer.shape == _shape(layer, [shapes[name] for name in layer.inputs]) and _finite(layer)
        except BROKEN:
            right = False
        if not right or layer.name in shapes or math.prod(layer.shape) > MOST_NEURONS:
            raise InputError(
                f"{path.name}: layer {layer.name}: shape or weights are not what the layers before it ask for: {REMEDY}"
            )
        shapes[layer.name] = layer.shape


def _shape(layer: Layer, shapes: List[Shape]) -> Shape:
    """Shape of a layer's output from those of its inputs; ValueError where its own fields do not fit them."""
    _require(all(type(length) is int and length > 0 for length in layer.shape))
    if isinstance(layer, InputLayer):
        _require(not shapes)
        return layer.shape
    if isinstance(layer, Concatenate):
        axis = layer.axis
        _require(all(shape[:axis] + shape[axis + 1 :] == shapes[0][:axis] + shapes[0][axis + 1 :] for shape in shapes))
        return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])
    (shape,) = shapes
    if isinstance(layer, (Flatten, Reshape)):
        _require(math.prod(shape) == math.prod(layer.shape))
        return layer.shape
    if isinstance(layer, ZeroPadding2D):
        (top, bottom), (left, right) = layer.padding
        _require(all(type(length) is int and length >= 0 for length in (top, bottom, left, right)))
        return shape[0] + top + bottom, shape[1] + left + right, shape[2]
    if isinstance(layer, (AveragePooling2D, MaxPooling2D)):
        return (*_windowed(shape, layer.pool_size, layer.strides, (1, 1), layer.padding), shape[2])
    assert isinstance(layer, (Dense, Conv2D, DepthwiseConv2D))
    filters, inputs = layer.bias.size, layer.kernel.shape[-2]
    if isinstance(layer, DepthwiseConv2D):
        _require(filters == inputs * layer.kernel.shape[3])
    else:
        _require(filters == layer.kernel.shape[-1])
    _require(
        layer.bias.ndim == 1 and inputs == shape[-1] and layer.kernel.ndim == (2 if isinstance(layer, Dense) else 4)
    )
    if isinstance(layer, Dense):
        return (*shape[:-1], filters)
    taps = layer.kernel.shape[:2]
    return (*_windowed(shape, taps, layer.strides, layer.dilation, layer.padding), filters)


def _windowed(shape: Shape, taps: Sequence[int], strides: Pair, dilation: Pair, padding: str) -> Pair:
    values = (*taps, *strides, *dilation)
    _require(len(shape) == 3 and padding in ("valid", "same") and len(values) == 6)
    _require(all(type(value) is int and value > 0 for value in values))
    return _image(shape, _pair(taps), strides, dilation, padding)


def _finite(layer: Layer) -> bool:
    arrays = [value for value in vars(layer).values() if isinstance(value, np.ndarray)]
    return all(array.dtype == np.float32 and bool(np.isfinite(array).all()) for array in arrays)


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("does not fit the layers before it")


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
        return Reshape(name, inputs, _reshaped(shape, config["target_shape"]))
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
    _require(_pair(config["kernel_size"]) == kernel.shape[:2])
    strides, dilation, mode = _pair(config["strides"]), _pair(config["dilation_rate"]), str(config["padding"])
    convolved = (*_image(shape, _pair(kernel.shape[:2]), strides, dilation, mode), filters)
    convolution = Conv2D if kind == "Conv2D" else DepthwiseConv2D
    return convolution(name, inputs, convolved, kernel, bias, config["activation"], strides, dilation, mode)


def _reshaped(shape: Shape, target: Sequence[int]) -> Shape:
    """Fill in the one length that may be left open as -1."""
    rest = math.prod(length for length in target if length != -1)
    return tuple(math.prod(shape) // rest if length == -1 else int(length) for length in target)


def _concatenate(name: str, inputs: Tuple[str, ...], shapes: List[Shape], axis: int) -> Concatenate:
    axis = axis + len(shapes[0]) if axis < 0 else axis - 1
    joined = sum(shape[axis] for shape in shapes)
    return Concatenate(name, inputs, (*shapes[0][:axis], joined, *shapes[0][axis + 1 :]), axis)


def _weights(group: h5py.Group) -> Dict[str, np.ndarray]:
    """Arrays by the last part of their names: `kernel`, `depthwise_kernel`, `bias`."""
    names = [name.decode() if isinstance(name, bytes) else name for name in group.attrs["weight_names"]]
    arrays = {name.split("/")[-1].split(":")[0]: group[name] for name in names}
    _require(all(array.dtype.kind == "f" for array in arrays.values()))
    return {name: array[()].astype(np.float32) for name, array in arrays.items()}


def _image(shape: Shape, taps: Pair, strides: Pair, dilation: Pair, padding: str) -> Pair:
    height, width = (windows(shape[i], taps[i], strides[i], dilation[i], padding)[0] for i in (0, 1))
    return height, width


def _pair(values: Sequence[int]) -> Pair:
    first, second = values
    return int(first), int(second)
