"""Operators of ONNX files, and values between them: the layer that computes a value, and the meaning of ONNX's axes.

ONNX's pictures are (batch, channels, height, width), Keras's are (batch, height, width, channels). A value records the
meaning of each of ONNX's axes, so that no value is transposed: only the weights after a Flatten are reordered, once.
"""

import math
import re
from dataclasses import dataclass, replace
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union, cast

import numpy as np
import onnx

from snnb.core.errors import ResourceError
from snnb.io.budget import Budget
from snnb.model_files.kinds import NotReadError
from snnb.network.layers import KERAS_KINDS, configured
from snnb.network.trained import TrainedLayer, TrainedNetwork, input_layer

Attribute = Union[int, float, str, Tuple[float, ...]]
_T = TypeVar("_T", int, float, str, Tuple[int, ...])
WEIGHT_BYTES = 4  # of a weight in memory
POSITION_BYTES = 32  # of a flattened value, while the order of values is computed
BATCH = -(1 << 40)  # stands for the number of pictures in a shape that the model computes


@dataclass(frozen=True)
class Node:
    """An operator, with the version of its operator set."""

    kind: str
    name: str
    inputs: Tuple[str, ...]  # names of the values that it reads, "" for an omitted one
    outputs: Tuple[str, ...]  # names of the values that it computes
    attributes: Mapping[str, Attribute]
    proto: onnx.NodeProto  # the operator as the file has it
    opset: int

    def get(self, name: str, default: _T) -> _T:
        """Return an attribute, or `default` if the file has none with that name."""
        return cast(_T, self.attributes.get(name, default))


Operand = Union["Value", np.ndarray, None]  # input of an operator: a value, a constant, or none


@dataclass(frozen=True)
class Value:
    """Output of an operator."""

    layer: TrainedLayer  # (height, width, channels), or (units,) of a vector and of a picture of 1×1
    axes: str  # meaning of ONNX's axes: N batch, C channels, H height, W width, F units of a vector
    order: Optional[np.ndarray] = None  # index in the layer of each unit in ONNX's order; None if it is the same
    nonnegative: bool = False  # whether all its numbers are known to be at least 0

    @property
    def lengths(self) -> Dict[str, int]:
        """Length of each axis but the batch."""
        shape = self.layer.shape
        if self.axes == "NF":
            return {"F": shape[0]}
        return dict(zip("HWC", shape if len(shape) == 3 else (1, 1, *shape)))

    @property
    def shape(self) -> Tuple[int, ...]:
        """Shape without the batch, in ONNX's order."""
        return tuple(self.lengths[axis] for axis in self.axes[1:])

    def like(self, layer: TrainedLayer, nonnegative: bool = False) -> "Value":
        """Return the value of another layer with the same axes and order."""
        return replace(self, layer=layer, nonnegative=nonnegative)


class Layers:
    """Collects the layers of a network, with unique names derived from ONNX's names.

    `budget` is that of the file; `batch` is the number of pictures in a batch if the ONNX file fixes it; `shape` is
    (height, width, channels).
    """

    def __init__(self, budget: Budget, batch: Optional[int], name: str, shape: Tuple[int, ...]) -> None:
        self.budget = budget
        self.batch = batch
        self._names: Dict[str, int] = {}  # with the number that the last layer of this name has got
        self.input = input_layer(self._free(name), shape)
        self._layers = [self.input]

    def add(
        self,
        kind: str,
        name: str,
        inputs: Sequence[TrainedLayer],
        weights: Sequence[np.ndarray] = (),
        **settings: object,
    ) -> TrainedLayer:
        """Add a layer of a Keras class.

        `name` is that of the ONNX operator, `weights` are in Keras's order, `settings` are the layer's configuration.
        """
        name = self._free(name)
        layer = configured(KERAS_KINDS[kind], settings, name)
        self.budget.draw(sum(map(np.size, weights)), f"weights of {name}", WEIGHT_BYTES)
        try:
            shapes = layer.weight_shapes(inputs[0].shape)
            with np.errstate(over="ignore"):
                arrays = {key: np.asarray(array, np.float32) for key, array in zip(shapes, weights)}
            made = TrainedLayer.reading(name, layer, inputs, arrays)
        except ValueError as error:  # it does not fit the shapes of its inputs
            raise NotReadError(str(error)) from error
        except ResourceError as error:
            raise ResourceError(f"{self.budget.path}: {error}") from error
        for key, shape in shapes.items():
            if arrays[key].shape != shape:
                raise NotReadError(f"its {key} has the shape {arrays[key].shape}, not {shape}")
            if not np.isfinite(arrays[key]).all():
                raise NotReadError(f"its {key} holds numbers that float32 does not hold, or NaN")
        self._layers.append(made)
        return made

    def network(self, output: TrainedLayer) -> TrainedNetwork:
        """Return the network of the layers that the output depends on."""
        return TrainedNetwork.ending_in(output, self._layers)

    def _free(self, name: str) -> str:
        """Return a name that no layer has yet."""
        plain = re.sub("[^A-Za-z0-9]", "_", str(name)).strip("_")[:80] or "layer"
        free, number = plain, self._names.get(plain.lower(), 1)
        while free.lower() in self._names:
            number += 1
            free = f"{plain}_{number}"
        self._names[free.lower()] = 1
        self._names[plain.lower()] = number
        return free


Operator = Callable[[Layers, Node, List[Operand]], Operand]  # adds the layers of an operator that reads these inputs


def picture(layers: Layers, name: str, value: Operand) -> Value:
    """Return the input of operator `name` as a picture with ONNX's axes NCHW; a vector gets axes of length 1."""
    if not isinstance(value, Value) or value.axes != "NCHW":
        axes = value.axes if isinstance(value, Value) else "a constant"
        raise NotReadError(f"it takes {axes}, not an image (batch, channels, height, width)")
    if len(value.layer.shape) == 3:
        return value
    layer = layers.add("Reshape", f"{name}_1x1", [value.layer], target_shape=(1, 1, value.lengths["C"]))
    return value.like(layer, value.nonnegative)


def vector(layers: Layers, name: str, value: Value) -> Value:
    """Flatten a picture or vector in a layer `name`."""
    if value.axes == "NF":
        return value
    lengths = value.lengths
    size = math.prod(lengths.values())
    if len(value.layer.shape) == 1:
        return replace(value, axes="NF")
    layers.budget.draw(size, f"values that {name} flattens", POSITION_BYTES)
    places = np.arange(size).reshape([lengths[axis] for axis in "HWC"])
    order = places.transpose(["HWC".index(axis) for axis in value.axes[1:]]).ravel()
    layer = layers.add("Flatten", name, [value.layer])
    return Value(layer, "NF", None if np.array_equal(order, np.arange(size)) else order, value.nonnegative)


def in_keras_order(numbers: np.ndarray, order: Optional[np.ndarray]) -> np.ndarray:
    """Return numbers (units, …) in Keras's order; `order` is that of a `Value`."""
    if order is None:
        return numbers
    moved = np.empty_like(numbers)
    moved[order] = numbers
    return moved


def same_order(values: Sequence[Value]) -> bool:
    """Return whether all values have the same axes and order."""
    first = values[0]
    return all(
        value.axes == first.axes
        and np.array_equal([] if value.order is None else value.order, [] if first.order is None else first.order)
        for value in values
    )


def per_channel(numbers: np.ndarray, value: Value) -> np.ndarray:
    """Return a constant that ONNX broadcasts with a value as one number for each channel or unit, in Keras's order."""
    channels = "F" if value.axes == "NF" else "C"
    shape = (1, *value.shape)
    if numbers.ndim > len(shape) or any(
        given != 1 and (axis != channels or given != length)
        for given, axis, length in zip(numbers.shape[::-1], value.axes[::-1], shape[::-1])
    ):
        raise NotReadError(f"it combines an image {value.shape} with a constant {numbers.shape}, not one a channel")
    return in_keras_order(np.broadcast_to(numbers.ravel(), value.lengths[channels]), value.order)
