"""ONNX's other operators as layers of Keras: activations, sums, dense layers, and changes of shape."""

from typing import List, Mapping, Sequence

import numpy as np

from snnb.model_files.kinds import NotReadError
from snnb.model_files.onnx_graph import Node
from snnb.model_files.onnx_pictures import constant, scaled
from snnb.model_files.onnx_values import (
    BATCH,
    Given,
    Layers,
    Operator,
    Value,
    in_keras_order,
    per_channel,
    picture,
    same_order,
    vector,
)


def _relu(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Relu."""
    value = _value(inputs[0])
    return value.like(layers.add("Activation", node.name, [value.tensor], activation="relu"), True)


def _clip(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Clip from 0 on, as ReLU6 is."""
    value = _value(inputs[0])
    bounds = [node.get("min", -np.inf), node.get("max", np.inf)]
    for number in (1, 2):
        if len(inputs) > number and inputs[number] is not None:
            bounds[number - 1] = float(np.ravel(constant(inputs, number, "bound"))[0])
    low, high = bounds
    if low != 0 or not high > 0:
        raise NotReadError(f"it clips to [{low:g}, {high:g}]; from 0 to a number above it is read")
    if high > 1e30:
        return _relu(layers, node, inputs)
    return value.like(layers.add("ReLU", node.name, [value.tensor], max_value=high), True)


def _add(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Add or Sum of values, or of a value and one constant a channel."""
    values = [given for given in inputs if isinstance(given, Value)]
    constants = [given for given in inputs if isinstance(given, np.ndarray)]
    if len(values) == 1 and len(constants) == 1:
        return _shifted(layers, node, values[0], np.ones(1), constants[0])
    if constants or len(values) < 2:
        raise NotReadError("it adds more than one constant to a value")
    if any(len(value.tensor.shape) != len(values[0].tensor.shape) for value in values):
        values = [picture(layers, node.name, value) for value in values]
    if not same_order(values) or len({value.shape for value in values}) > 1:
        raise NotReadError(f"it adds values of the shapes {', '.join(str(value.shape) for value in values)}")
    tensor = layers.add("Add", node.name, [value.tensor for value in values])
    return values[0].like(tensor, all(value.nonnegative for value in values))


def _subtract(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Sub of a constant."""
    value = _value(inputs[0])
    return _shifted(layers, node, value, np.ones(1), -constant(inputs, 1, "second input").astype(np.float64))


def _multiply(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Mul by a constant."""
    first, second = inputs
    value, factor = (first, second) if isinstance(first, Value) else (second, first)
    if not isinstance(value, Value) or not isinstance(factor, np.ndarray):
        raise NotReadError("it multiplies two values, which no spiking neuron does")
    return _shifted(layers, node, value, factor, np.zeros(1))


def _divide(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Div by a constant."""
    divisor = constant(inputs, 1, "second input").astype(np.float64)
    if np.any(divisor == 0):
        raise NotReadError("it divides by 0")
    return _shifted(layers, node, _value(inputs[0]), 1 / divisor, np.zeros(1))


def _shifted(layers: Layers, node: Node, value: Value, factor: np.ndarray, shift: np.ndarray) -> Value:
    factors, shifts = (per_channel(np.asarray(numbers, np.float64), value) for numbers in (factor, shift))
    return scaled(layers, node, value, factors, shifts)


def _concatenate(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Concat of channels or units."""
    axis = node.get("axis", 1)
    values = [_value(given) for given in inputs]
    if len({value.axes for value in values}) > 1:
        raise NotReadError("it joins values with different axes")
    axes = values[0].axes
    joined = axes[axis]
    if axes == "NF" and joined == "F":
        starts = np.cumsum([0, *(value.shape[0] for value in values)])
        orders = [
            start + (np.arange(value.shape[0]) if value.order is None else value.order)
            for start, value in zip(starts, values)
        ]
        order = np.concatenate(orders)
        tensor = layers.add("Concatenate", node.name, [value.tensor for value in values])
        plain = np.array_equal(order, np.arange(len(order)))
        return Value(tensor, "NF", None if plain else order, all(value.nonnegative for value in values))
    if joined != "C":
        raise NotReadError("it joins pictures side by side; joining their channels is read")
    if any(len(value.tensor.shape) != len(values[0].tensor.shape) for value in values):
        values = [picture(layers, node.name, value) for value in values]
    tensor = layers.add("Concatenate", node.name, [value.tensor for value in values])
    return values[0].like(tensor, all(value.nonnegative for value in values))


def _dense(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Gemm or MatMul of a vector with constant weights."""
    value = _value(inputs[0])
    weights = constant(inputs, 1, "second input").astype(np.float32)
    if node.get("transB", 0):
        weights = weights.T
    if value.axes != "NF" or weights.ndim != 2 or node.get("transA", 0):
        raise NotReadError(f"it multiplies {value.axes} {value.shape} by {weights.shape}; a vector by a matrix is read")
    if weights.shape[0] != value.shape[0]:
        raise NotReadError(f"it multiplies a vector of {value.shape[0]:,} by a matrix {weights.shape}")
    kernel = in_keras_order(weights, value.order) * np.float32(node.get("alpha", 1.0))
    biased = len(inputs) > 2 and inputs[2] is not None
    arrays = [kernel]
    if biased:
        bias = constant(inputs, 2, "bias") * np.float32(node.get("beta", 1.0))
        if bias.size not in (1, kernel.shape[1]) or bias.shape[-1:] not in ((), (1,), (kernel.shape[1],)):
            raise NotReadError(f"its bias {bias.shape} does not fit {kernel.shape[1]} units")
        arrays.append(np.broadcast_to(np.ravel(bias), kernel.shape[1:]))
    units = kernel.shape[1]
    return Value(layers.add("Dense", node.name, [value.tensor], arrays, units=units, use_bias=biased), "NF")


def _softmax(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Softmax over channels or units."""
    value = _value(inputs[0])
    axis = node.get("axis", -1 if node.opset >= 13 else 1)
    if len(value.tensor.shape) == 4 and value.shape[1:] == (1, 1):
        value = Value(layers.add("Flatten", f"{node.name}_flat", [value.tensor]), value.axes)
    if value.axes[axis] not in "FC" or len(value.tensor.shape) != 2:
        raise NotReadError("it is over an axis of the picture, not over the classes")
    return value.like(layers.add("Activation", node.name, [value.tensor], activation="softmax"), True)


def _flatten(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Flatten a picture."""
    value = _value(inputs[0])
    if node.get("axis", 1) % len(value.axes) != 1:
        raise NotReadError(f"its axis is {node.get('axis', 1)}: flatten all axes but the batch, as torch.flatten(x, 1)")
    return vector(layers, node.name, value)


def _reshape(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Reshape to a vector, or to a picture of 1×1."""
    shape = [int(length) for length in np.ravel(constant(inputs, 1, "shape"))]
    value = _value(inputs[0])
    if not shape or shape[0] not in (BATCH, 0, -1, layers.batch) or shape[1:].count(-1) > 1 or BATCH in shape[1:]:
        raise NotReadError(f"it changes the axis of the batch, to {shape}")
    if not node.get("allowzero", 0):
        shape[1:] = [
            value.shape[i] if length == 0 and i < len(value.shape) else length for i, length in enumerate(shape[1:])
        ]
    size = int(np.prod(value.shape))
    rest = shape[1:]
    if -1 in rest:
        others = -int(np.prod(rest))
        rest[rest.index(-1)] = size // others if others > 0 else 0
    if int(np.prod(rest)) != size or min(rest, default=0) < 1:
        raise NotReadError(f"it makes {shape} of {value.shape}")
    if tuple(rest) == value.shape:
        return value
    if len(rest) == 1:
        return vector(layers, node.name, value)
    if len(rest) == 3 and sorted(rest)[:2] == [1, 1] and set(value.shape) <= {1, size}:
        units = vector(layers, node.name, value)
        if units.order is None:
            place = int(np.argmax(rest))
            return Value(units.tensor, "N" + ("CHW", "HCW", "HWC")[place], None, value.nonnegative)
    raise NotReadError(f"it makes {tuple(rest)} of {value.shape}; to make one vector of a picture is read")


def _squeeze(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Remove axes of length 1."""
    axes = _axes(node, inputs)
    value = _value(inputs[0])
    left = {value.axes[axis] for axis in axes}
    if value.axes == "NF" or left != {"H", "W"} or value.lengths["H"] * value.lengths["W"] != 1:
        raise NotReadError(f"it leaves out the axes {axes} of {value.shape}; height and width of 1×1 can be left out")
    return vector(layers, node.name, value)


def _unsqueeze(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Insert axes of length 1."""
    axes = _axes(node, inputs)
    value = _value(inputs[0])
    if value.axes != "NF" or value.order is not None or sorted(axis % 4 for axis in axes) != [2, 3]:
        raise NotReadError(f"it puts in the axes {axes}; to make a vector a picture of 1×1 is read")
    return Value(value.tensor, "NCHW", None, value.nonnegative)


def _transpose(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Transpose the channels: only the meaning of ONNX's axes changes."""
    value = _value(inputs[0])
    order = node.get("perm", tuple(range(len(value.axes)))[::-1])
    if sorted(order) != list(range(len(value.axes))) or order[0] != 0:
        raise NotReadError(f"it moves the axes to {order}, the batch too")
    return Value(value.tensor, "".join(value.axes[axis] for axis in order), value.order, value.nonnegative)


def _mean(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """ReduceMean over height and width."""
    value = _value(inputs[0])
    axes = _axes(node, inputs)
    if value.axes == "NF" or {value.axes[axis] for axis in axes} != {"H", "W"}:
        raise NotReadError(f"it averages over the axes {axes}; over height and width together is read")
    tensor = value.tensor
    if len(tensor.shape) == 4:
        tensor = layers.add("GlobalAveragePooling2D", node.name, [tensor])
    return Value(tensor, value.axes if node.get("keepdims", 1) else "NF", None, value.nonnegative)


def _identity(layers: Layers, node: Node, inputs: List[Given]) -> Given:
    """Dropout and Identity."""
    return inputs[0]


def _cast(layers: Layers, node: Node, inputs: List[Given]) -> Given:
    """Cast to another floating-point type: Keras computes in float32 anyway."""
    if node.get("to", 1) not in (1, 10, 11, 16):
        raise NotReadError("it rounds to another type of number")
    return inputs[0]


def _shape_of(layers: Layers, node: Node, inputs: List[Given]) -> np.ndarray:
    """Shape, with `BATCH` for the number of pictures."""
    shape = (BATCH, *_value(inputs[0]).shape)
    return np.array(shape[node.get("start", 0) : node.get("end", len(shape))], np.int64)


def _axes(node: Node, inputs: Sequence[Given]) -> List[int]:
    if len(inputs) > 1 and inputs[1] is not None:
        return [int(axis) for axis in np.ravel(constant(inputs, 1, "axes"))]
    return list(node.get("axes", ()))


def _value(given: Given) -> Value:
    if not isinstance(given, Value):
        raise NotReadError("it takes a constant where a value is needed")
    return given


OPERATORS: Mapping[str, Operator] = {
    "Add": _add,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concatenate,
    "Div": _divide,
    "Dropout": _identity,
    "Flatten": _flatten,
    "Gemm": _dense,
    "Identity": _identity,
    "LogSoftmax": _softmax,
    "MatMul": _dense,
    "Mul": _multiply,
    "ReduceMean": _mean,
    "Relu": _relu,
    "Reshape": _reshape,
    "Shape": _shape_of,
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Sub": _subtract,
    "Sum": _add,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
