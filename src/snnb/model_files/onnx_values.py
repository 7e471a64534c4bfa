"""Operators of ONNX files, and the values between them.

A value has the layer that computes it, and the meaning of ONNX's axes. ONNX's pictures
are (batch, channels, height, width), Keras's are (batch, height, width, channels). A
value records the meaning of each of ONNX's axes, so that no value is transposed: only
the weights after a Flatten are reordered, once.
"""

import math
import re
from dataclasses import dataclass, replace
from typing import (
    Callable,
    Dict,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
    cast,
)

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
BATCH = -(1 << 40)  # is the number of pictures in a shape that the model computes
NAME_LENGTH = 80  # of a layer, at most


@dataclass(frozen=True)
class OnnxNode:
    """An operator in a file, with the version of its operator set."""

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


# Input of an operator: a value, a constant, or none
Operand = Union["OnnxValue", np.ndarray, None]


@dataclass(frozen=True)
class OnnxValue:
    """Output of an operator."""

    # (height, width, channels), or (units,) of a vector and of a picture of 1×1
    layer: TrainedLayer
    # Meaning of ONNX's axes: N batch, C channels, H height, W width, F units
    axes: str
    # Index in the layer of each unit in ONNX's order; None if it is the same
    order: Optional[np.ndarray] = None
    # Whether all its numbers are known to be at least 0
    nonnegative: bool = False

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

    @property
    def size(self) -> int:
        """Number of its numbers, for one picture."""
        return math.prod(self.shape)

    @property
    def channel_axis(self) -> str:
        """Meaning of the axis of its channels or units."""
        return "F" if self.axes == "NF" else "C"

    def meaning(self, axis: int) -> str:
        """Return the meaning of an axis; raise `NotReadError` if it has none."""
        rank = len(self.axes)
        if not -rank <= axis < rank:
            raise NotReadError(f"its axis is {axis}, and its input has {rank} axes")
        return self.axes[axis]

    def follow(self, layer: TrainedLayer, nonnegative: bool = False) -> "OnnxValue":
        """Return the value of a further layer with the same axes and order."""
        return replace(self, layer=layer, nonnegative=nonnegative)


class LayerCollector:
    """Collects the layers of a network, with unique names derived from ONNX's names.

    `budget` is that of the file; `batch` is the number of pictures in a batch if the
    ONNX file fixes it; `shape` is (height, width, channels).
    """

    def __init__(
        self,
        budget: Budget,
        batch: Optional[int],
        name: str,
        shape: Tuple[int, ...],
    ) -> None:
        self.budget = budget
        self.batch = batch
        # By name in lower case, the number of the last layer that has got it
        self._numbers: Dict[str, int] = {}
        self.input = input_layer(self._unique_name(name), shape)
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

        `name` is that of the ONNX operator, `weights` are in Keras's order, `settings`
        are the layer's configuration. Raise `NotReadError` if the layer does not fit
        the shapes of its inputs or weights, or a weight is no float32 number.
        """
        name = self._unique_name(name)
        keras_layer = configured(KERAS_KINDS[kind], settings, name)
        count = sum(map(np.size, weights))
        self.budget.draw(count, f"weights of {name}", WEIGHT_BYTES)
        try:
            shapes = keras_layer.weight_shapes(inputs[0].shape)
            arrays: Dict[str, np.ndarray] = {}
            with np.errstate(over="ignore"):
                for key, array in zip(shapes, weights):
                    arrays[key] = np.asarray(array, np.float32)
            layer = TrainedLayer.reading(name, keras_layer, inputs, arrays)
        except ValueError as error:  # it does not fit the shapes of its inputs
            raise NotReadError(str(error)) from error
        except ResourceError as error:
            raise ResourceError(f"{self.budget.path}: {error}") from error
        for key, shape in shapes.items():
            array = arrays[key]
            if array.shape != shape:
                raise NotReadError(
                    f"its {key} has the shape {array.shape}, not {shape}"
                )
            if not np.isfinite(array).all():
                raise NotReadError(
                    f"its {key} holds numbers that float32 does not hold, or NaN"
                )
        self._layers.append(layer)
        return layer

    def network(self, output: TrainedLayer) -> TrainedNetwork:
        """Return the network of the layers that the output depends on."""
        return TrainedNetwork.ending_in(output, self._layers)

    def _unique_name(self, name: str) -> str:
        """Return a name that no layer has yet."""
        base = re.sub("[^A-Za-z0-9]", "_", str(name)).strip("_")
        base = base[:NAME_LENGTH] or "layer"
        unique_name = base
        number = self._numbers.get(base.lower(), 1)
        while unique_name.lower() in self._numbers:
            number += 1
            unique_name = f"{base}_{number}"
        self._numbers[unique_name.lower()] = 1
        self._numbers[base.lower()] = number
        return unique_name


@dataclass(frozen=True, eq=False)
class OperatorCall:
    """An operator with its inputs, and the collector that its layers are added to."""

    node: OnnxNode
    inputs: Sequence[Operand]
    layers: LayerCollector

    @property
    def value(self) -> OnnxValue:
        """The first input, which must be a value."""
        return require_value(self.inputs[0])

    @property
    def picture(self) -> OnnxValue:
        """The first input as a picture with ONNX's axes NCHW."""
        return self.to_picture(self.inputs[0])

    def constant(self, number: int, role: str) -> np.ndarray:
        """Return an input that must be a constant; messages call it `role`."""
        operand = self.inputs[number] if number < len(self.inputs) else None
        if not isinstance(operand, np.ndarray):
            raise NotReadError(f"its {role} is not a constant")
        return operand

    def optional_constant(self, number: int, role: str) -> Optional[np.ndarray]:
        """Return an input that must be a constant, None if the operator has it not."""
        if number >= len(self.inputs) or self.inputs[number] is None:
            return None
        return self.constant(number, role)

    def add(
        self,
        kind: str,
        inputs: Sequence[OnnxValue],
        weights: Sequence[np.ndarray] = (),
        **settings: object,
    ) -> TrainedLayer:
        """Add a layer with the operator's name; see `LayerCollector.add`."""
        layers = [value.layer for value in inputs]
        return self.layers.add(kind, self.node.name, layers, weights, **settings)

    def to_picture(self, operand: Operand) -> OnnxValue:
        """Return an input as a picture with ONNX's axes NCHW.

        A vector gets axes of length 1. Raise `NotReadError` for other axes.
        """
        if not isinstance(operand, OnnxValue) or operand.axes != "NCHW":
            axes = operand.axes if isinstance(operand, OnnxValue) else "a constant"
            raise NotReadError(
                f"it takes {axes}, not an image (batch, channels, height, width)"
            )
        if len(operand.layer.shape) == 3:
            return operand
        shape = (1, 1, operand.lengths["C"])
        name = f"{self.node.name}_1x1"
        layer = self.layers.add("Reshape", name, [operand.layer], target_shape=shape)
        return operand.follow(layer, operand.nonnegative)


# Adds the layers of an operator, and returns its output
OperatorReader = Callable[[OperatorCall], Operand]


def require_value(operand: Operand) -> OnnxValue:
    """Return an input that must be a value; raise `NotReadError` otherwise."""
    if not isinstance(operand, OnnxValue):
        raise NotReadError("it takes a constant where a value is needed")
    return operand


def flatten(layers: LayerCollector, name: str, value: OnnxValue) -> OnnxValue:
    """Flatten a picture or vector in a layer `name`."""
    if value.axes == "NF":
        return value
    if len(value.layer.shape) == 1:
        return replace(value, axes="NF")
    size = value.size
    layers.budget.draw(size, f"values that {name} flattens", POSITION_BYTES)
    places = np.arange(size).reshape([value.lengths[axis] for axis in "HWC"])
    onnx_axes = ["HWC".index(axis) for axis in value.axes[1:]]
    order = places.transpose(onnx_axes).ravel()
    layer = layers.add("Flatten", name, [value.layer])
    return OnnxValue(layer, "NF", order_or_none(order), value.nonnegative)


def order_or_none(order: np.ndarray) -> Optional[np.ndarray]:
    """Return the order of a value; None if it is that of the layer."""
    return None if np.array_equal(order, np.arange(order.size)) else order


def to_keras_order(numbers: np.ndarray, order: Optional[np.ndarray]) -> np.ndarray:
    """Return numbers (units, …) in Keras's order; `order` is that of a value."""
    if order is None:
        return numbers
    result = np.empty_like(numbers)
    result[order] = numbers
    return result


def have_same_order(values: Sequence[OnnxValue]) -> bool:
    """Return whether all values have the same axes and order."""
    if len({value.axes for value in values}) > 1:
        return False
    order = _order_or_empty(values[0])
    return all(np.array_equal(_order_or_empty(value), order) for value in values)


def _order_or_empty(value: OnnxValue) -> np.ndarray:
    return np.zeros(0, int) if value.order is None else value.order


def broadcast_to_channels(numbers: np.ndarray, value: OnnxValue) -> np.ndarray:
    """Return a constant as one number for each channel or unit, in Keras's order.

    ONNX broadcasts the constant with the value. Raise `NotReadError` if it differs
    along another axis.
    """
    rank = len(value.axes)
    fits = numbers.ndim <= rank
    shape = (1, *value.shape)
    for constant_length, axis, length in zip(
        numbers.shape[::-1],
        value.axes[::-1],
        shape[::-1],
    ):
        is_along_channels = axis == value.channel_axis and constant_length == length
        fits = fits and (constant_length == 1 or is_along_channels)
    if not fits:
        raise NotReadError(
            f"it combines an image {value.shape} with a constant {numbers.shape}, not "
            "one a channel"
        )
    channels = value.lengths[value.channel_axis]
    channel_numbers = np.broadcast_to(numbers.ravel(), channels)
    return to_keras_order(channel_numbers, value.order)
