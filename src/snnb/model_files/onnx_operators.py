"""ONNX's operators (https://onnx.ai/onnx/operators) as Keras's layers, by name in `OPERATORS`."""

from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from snnb.model_files.kinds import NotReadError
from snnb.model_files.onnx_values import (
    BATCH,
    POSITION_BYTES,
    Layers,
    Node,
    Operand,
    Operator,
    Value,
    in_keras_order,
    per_channel,
    picture,
    same_order,
    vector,
)
from snnb.network.geometry import window_zeros

CHANNEL_BYTES = 100  # of the weights of a batch normalisation, while it is made
Pads = Tuple[Tuple[int, int], Tuple[int, int]]  # before and after, of height and width


def _constant(inputs: Sequence[Operand], number: int, role: str) -> np.ndarray:
    """Return an input of an operator that must be a constant; `role` describes it in the message."""
    given = inputs[number] if number < len(inputs) else None
    if not isinstance(given, np.ndarray):
        raise NotReadError(f"its {role} is not a constant")
    return given


def _optional(inputs: Sequence[Operand], number: int, role: str) -> Optional[np.ndarray]:
    """Return an input that must be a constant, None if the operator does not have it."""
    return _constant(inputs, number, role) if number < len(inputs) and inputs[number] is not None else None


def _convolution(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Conv with one group, or with one for each channel."""
    value = picture(layers, node.name, inputs[0])
    weights = _constant(inputs, 1, "kernel").astype(np.float32)
    bias = _optional(inputs, 2, "bias")
    if weights.ndim != 4:
        raise NotReadError(f"it has a kernel of shape {weights.shape}")
    filters, channels, *size = weights.shape
    strides, dilations = _pair(node, "strides"), _pair(node, "dilations")
    groups = node.get("group", 1)
    if node.get("kernel_shape", tuple(size)) != tuple(size) or channels * groups != value.lengths["C"]:
        raise NotReadError(f"its kernel {weights.shape} does not fit {value.lengths['C']} channels in {groups} groups")
    if max(strides) > 1 and max(dilations) > 1:
        raise NotReadError("it has strides and dilations, which are not supported together")
    same = _same(value, size, strides, dilations)
    value, padding = _padded(layers, node, value, _pads(node, same), same)
    settings: Dict[str, object] = {"kernel_size": size, "strides": strides, "dilation_rate": dilations}
    if groups == 1:
        kind, kernel = "Conv2D", weights.transpose(2, 3, 1, 0)
        settings["filters"] = filters
    elif channels != 1 or filters % groups:
        raise NotReadError(f"it has {groups} groups of {channels} channels; only one, or one per channel, is read")
    elif strides[0] != strides[1]:
        raise NotReadError("it has one group per channel and unequal strides, which are not supported together")
    else:
        kind, kernel = "DepthwiseConv2D", weights.reshape(groups, filters // groups, *size).transpose(2, 3, 0, 1)
        settings["depth_multiplier"] = filters // groups
    arrays = [kernel] if bias is None else [kernel, bias]
    layer = layers.add(kind, node.name, [value.layer], arrays, padding=padding, use_bias=bias is not None, **settings)
    return Value(layer, "NCHW")


def _pooling(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """MaxPool or AveragePool; the padding of MaxPool is below every number: for nonnegative numbers, 0 is the same."""
    kind = "MaxPooling2D" if node.kind == "MaxPool" else "AveragePooling2D"
    value = picture(layers, node.name, inputs[0])
    size, strides, dilations = node.get("kernel_shape", ()), _pair(node, "strides"), _pair(node, "dilations")
    if len(size) != 2 or max(dilations) > 1 or len([output for output in node.outputs if output]) > 1:
        raise NotReadError("it is not a plain pooling of images: it has dilations, or outputs indices")
    same = _same(value, size, strides, dilations)
    pads = _pads(node, same)
    if node.get("ceil_mode", 0):
        pads = _last_windows(value, pads, size, strides)
    counted = node.get("count_include_pad", 0) == 1
    if size == (1, 1) and strides == (1, 1) and pads == ((0, 0), (0, 0)):
        return value
    if np.any(pads) and (counted or pads != same):
        if kind == "MaxPooling2D" and not value.nonnegative:
            raise NotReadError("it pads numbers that may be negative: put a ReLU before the max pooling")
        if kind == "AveragePooling2D" and (not counted or node.get("ceil_mode", 0)):
            raise NotReadError(f"it excludes its padding {pads} from the average, which Keras supports for `same` only")
    # Keras leaves its own padding out of an average.
    value, padding = _padded(layers, node, value, pads, None if counted else same)
    layer = layers.add(kind, node.name, [value.layer], pool_size=size, strides=strides, padding=padding)
    return value.like(layer, value.nonnegative)


def _global_average_pooling(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """GlobalAveragePool; axes of length 1 are inserted again only where an operator needs them."""
    value = picture(layers, node.name, inputs[0])
    return value.like(layers.add("GlobalAveragePooling2D", node.name, [value.layer]), value.nonnegative)


def _global_max_pooling(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """GlobalMaxPool: max pooling with one window."""
    return _picture_maximum(layers, node, picture(layers, node.name, inputs[0]))


def _picture_maximum(layers: Layers, node: Node, value: Value) -> Value:
    """Return the maximum of each channel, a picture of 1×1."""
    if value.lengths["H"] * value.lengths["W"] == 1:
        return value
    window = value.lengths["H"], value.lengths["W"]
    layer = layers.add(
        "MaxPooling2D",
        node.name,
        [value.layer],
        pool_size=window,
        strides=window,
        padding="valid",
    )
    return value.like(layer, value.nonnegative)


def _padding(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Pad a picture with zeros."""
    value = _value(inputs[0])
    if node.get("mode", "constant") != "constant":
        raise NotReadError(f"its mode is {node.get('mode', '')}; only padding with zeros is supported")
    given = _optional(inputs, 2, "value")
    fill = node.get("value", 0.0) if given is None else _number(given)
    ends = node.get("pads", ()) or tuple(int(n) for n in np.ravel(_constant(inputs, 1, "padding")))
    rank = len(value.axes)
    given = _optional(inputs, 3, "axes")
    axes = list(range(rank)) if given is None else [int(axis) % rank for axis in np.ravel(given)]
    if len(ends) != 2 * len(axes):
        raise NotReadError(f"its padding {ends} does not fit {len(axes)} axes")
    pads = {value.axes[axis]: (ends[i], ends[i + len(axes)]) for i, axis in enumerate(axes)}
    if not any(number for pair in pads.values() for number in pair):
        return value
    if fill != 0 or min(ends) < 0 or any(pads[axis] != (0, 0) for axis in pads if axis not in "HW"):
        raise NotReadError(f"it pads {pads} with {fill:g}; only padding of height and width with zeros is supported")
    return _zeros(layers, node, picture(layers, node.name, value), (pads.get("H", (0, 0)), pads.get("W", (0, 0))))


def _normalisation(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """BatchNormalization with its recorded mean and variance."""
    value = _value(inputs[0])
    if node.get("training_mode", 0):
        raise NotReadError("it is in training mode: export after model.eval()")
    scale, shift, mean, variance = (_constant(inputs, number, "numbers").astype(np.float64) for number in range(1, 5))
    if any(
        array.shape != (value.lengths["F" if value.axes == "NF" else "C"],) for array in (scale, shift, mean, variance)
    ):
        raise NotReadError(f"its numbers {scale.shape} do not fit the image {value.shape}")
    factor = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
    ordered = [in_keras_order(array, value.order) for array in (factor, shift - mean * factor)]
    return _scaled(layers, node, value, *ordered)


def _scaled(layers: Layers, node: Node, value: Value, factor: np.ndarray, shift: np.ndarray) -> Value:
    """Scale and shift each channel or unit of a picture or vector; the numbers are in Keras's order.

    Keras's BatchNormalization does it with mean 0 and a variance that makes up for its epsilon: TensorFlow computes
    with no smaller one than 1.001e-5, and PyTorch's is 1e-5.
    """
    epsilon = 1e-3
    layers.budget.draw(len(factor), f"channels that {node.name} scales", CHANNEL_BYTES)
    arrays = [factor, shift, np.zeros(len(factor)), np.full(len(factor), 1 - epsilon)]
    return value.like(layers.add("BatchNormalization", node.name, [value.layer], arrays, epsilon=epsilon))


def _pair(node: Node, name: str) -> Tuple[int, int]:
    numbers = node.get(name, (1, 1))
    if len(numbers) != 2 or min(numbers) < 1:
        raise NotReadError(f"its {name} are {numbers}, not two numbers from 1 on")
    return numbers[0], numbers[1]


def _pads(node: Node, same: Pads) -> Pads:
    automatic = node.get("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        (top, bottom), (left, right) = same
        return ((top, bottom), (left, right)) if automatic == "SAME_UPPER" else ((bottom, top), (right, left))
    numbers = node.get("pads", (0, 0, 0, 0)) if automatic == "NOTSET" else (0, 0, 0, 0)
    if len(numbers) != 4 or min(numbers) < 0:
        raise NotReadError(f"its pads are {numbers}, not four numbers from 0 on")
    top, left, bottom, right = numbers
    return (top, bottom), (left, right)


def _same(value: Value, size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Pads:
    """Return TensorFlow's padding for `same`."""
    return window_zeros((value.lengths["H"], value.lengths["W"]), size, strides, dilations, "same")


def _last_windows(value: Value, pads: Pads, size: Sequence[int], strides: Sequence[int]) -> Pads:
    """Return the padding that completes the last windows, which ceil_mode keeps."""
    ends = []
    for axis, (before, after), taps, stride in zip("HW", pads, size, strides):
        length = value.lengths[axis]
        windows = -(-(length + before + after - taps) // stride) + 1
        if (windows - 1) * stride >= length + before:  # PyTorch leaves it out, onnxruntime 1.19 does not
            raise NotReadError("by its ceil_mode, the last window begins in the padding: omit ceil_mode")
        ends.append((before, max((windows - 1) * stride + taps - length - before, after)))
    return ends[0], ends[1]


def _padded(layers: Layers, node: Node, value: Value, pads: Pads, same: Optional[Pads]) -> Tuple[Value, str]:
    """Return the value, padded unless the layer does it by Keras's padding `same`, and the padding of the layer."""
    if not np.any(pads):
        return value, "valid"
    if pads == same:
        return value, "same"
    return _zeros(layers, node, value, pads), "valid"


def _zeros(layers: Layers, node: Node, value: Value, pads: Pads) -> Value:
    return value.like(layers.add("ZeroPadding2D", f"{node.name}_pad", [value.layer], padding=pads), value.nonnegative)


def _relu(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Relu."""
    value = _value(inputs[0])
    return value.like(layers.add("Activation", node.name, [value.layer], activation="relu"), True)


def _clip(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Clip from 0 on, as ReLU6 is."""
    value = _value(inputs[0])
    bounds = [node.get("min", -np.inf), node.get("max", np.inf)]
    for number in (1, 2):
        given = _optional(inputs, number, "bound")
        if given is not None:
            bounds[number - 1] = _number(given)
    low, high = bounds
    if low != 0 or not high > 0:
        raise NotReadError(f"it clips to [{low:g}, {high:g}]; only a range from 0 is supported")
    if high > 1e30:
        return _relu(layers, node, inputs)
    return value.like(layers.add("ReLU", node.name, [value.layer], max_value=high), True)


def _add(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Add or Sum of values, or of a value and one constant a channel."""
    values = [given for given in inputs if isinstance(given, Value)]
    constants = [given for given in inputs if isinstance(given, np.ndarray)]
    if len(values) == 1 and len(constants) == 1:
        return _shifted(layers, node, values[0], np.ones(1), constants[0])
    if constants or len(values) < 2:
        raise NotReadError("it adds more than one constant to a value")
    if any(len(value.layer.shape) != len(values[0].layer.shape) for value in values):
        values = [picture(layers, node.name, value) for value in values]
    if not same_order(values) or len({value.shape for value in values}) > 1:
        raise NotReadError(f"it adds values of the shapes {', '.join(str(value.shape) for value in values)}")
    layer = layers.add("Add", node.name, [value.layer for value in values])
    return values[0].like(layer, all(value.nonnegative for value in values))


def _subtract(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Sub of a constant."""
    value = _value(inputs[0])
    return _shifted(layers, node, value, np.ones(1), -_constant(inputs, 1, "second input").astype(np.float64))


def _multiply(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Mul by a constant."""
    first, second = inputs
    value, factor = (first, second) if isinstance(first, Value) else (second, first)
    if not isinstance(value, Value) or not isinstance(factor, np.ndarray):
        raise NotReadError("it multiplies two values, which has no spiking form in snnb")
    return _shifted(layers, node, value, factor, np.zeros(1))


def _divide(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Div by a constant."""
    divisor = _constant(inputs, 1, "second input").astype(np.float64)
    if np.any(divisor == 0):
        raise NotReadError("it divides by 0")
    return _shifted(layers, node, _value(inputs[0]), 1 / divisor, np.zeros(1))


def _shifted(layers: Layers, node: Node, value: Value, factor: np.ndarray, shift: np.ndarray) -> Value:
    factors, shifts = (per_channel(np.asarray(numbers, np.float64), value) for numbers in (factor, shift))
    return _scaled(layers, node, value, factors, shifts)


def _concatenate(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Concat of channels or units."""
    axis = node.get("axis", 1)
    values = [_value(given) for given in inputs]
    if len({value.axes for value in values}) > 1:
        raise NotReadError("it concatenates values with different axes")
    axes = values[0].axes
    joined = _meaning(values[0], axis)
    if axes == "NF" and joined == "F":
        layer = layers.add("Concatenate", node.name, [value.layer for value in values], axis=-1)
        nonnegative = all(value.nonnegative for value in values)
        starts = np.cumsum([0, *(value.shape[0] for value in values)])
        layers.budget.draw(int(starts[-1]), f"values that {node.name} concatenates", POSITION_BYTES)
        orders = [
            start + (np.arange(value.shape[0]) if value.order is None else value.order)
            for start, value in zip(starts, values)
        ]
        order = np.concatenate(orders)
        plain = np.array_equal(order, np.arange(order.size))
        return Value(layer, "NF", None if plain else order, nonnegative)
    if joined != "C":
        raise NotReadError("it concatenates images along height or width; only concatenation of channels is supported")
    if any(len(value.layer.shape) != len(values[0].layer.shape) for value in values):
        values = [picture(layers, node.name, value) for value in values]
    layer = layers.add("Concatenate", node.name, [value.layer for value in values], axis=-1)
    return values[0].like(layer, all(value.nonnegative for value in values))


def _dense(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Gemm or MatMul of a vector with constant weights."""
    value = _value(inputs[0])
    weights = _constant(inputs, 1, "second input").astype(np.float32)
    if node.get("transB", 0):
        weights = weights.T
    if value.axes != "NF" or weights.ndim != 2 or node.get("transA", 0):
        raise NotReadError(
            f"it multiplies {value.axes} {value.shape} by {weights.shape}; only a vector by a matrix is supported"
        )
    if weights.shape[0] != value.shape[0]:
        raise NotReadError(f"it multiplies a vector of {value.shape[0]:,} by a matrix {weights.shape}")
    kernel = in_keras_order(weights, value.order) * np.float32(node.get("alpha", 1.0))
    bias = _optional(inputs, 2, "bias")
    arrays = [kernel]
    if bias is not None:
        bias = bias * np.float32(node.get("beta", 1.0))
        if bias.size not in (1, kernel.shape[1]) or bias.shape[-1:] not in ((), (1,), (kernel.shape[1],)):
            raise NotReadError(f"its bias {bias.shape} does not fit {kernel.shape[1]} units")
        arrays.append(np.broadcast_to(np.ravel(bias), kernel.shape[1:]))
    units, biased = kernel.shape[1], bias is not None
    return Value(layers.add("Dense", node.name, [value.layer], arrays, units=units, use_bias=biased), "NF")


def _softmax(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Softmax over channels or units."""
    value = _value(inputs[0])
    axis = node.get("axis", -1 if node.opset >= 13 else 1)
    if len(value.layer.shape) == 3 and value.shape[1:] == (1, 1):
        value = Value(layers.add("Flatten", f"{node.name}_flat", [value.layer]), value.axes)
    if _meaning(value, axis) not in "FC" or len(value.layer.shape) != 1:
        raise NotReadError("it is over an axis of the image, not over the classes")
    return value.like(layers.add("Activation", node.name, [value.layer], activation="softmax"), True)


def _flatten(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Flatten a picture."""
    value = _value(inputs[0])
    if node.get("axis", 1) % len(value.axes) != 1:
        raise NotReadError(f"its axis is {node.get('axis', 1)}: flatten all axes but the batch, as torch.flatten(x, 1)")
    return vector(layers, node.name, value)


def _reshape(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Reshape to a vector, or to a picture of 1×1."""
    shape = [int(length) for length in np.ravel(_constant(inputs, 1, "shape"))]
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
            return Value(units.layer, "N" + ("CHW", "HCW", "HWC")[place], None, value.nonnegative)
    raise NotReadError(f"it makes {tuple(rest)} of {value.shape}; only flattening an image to a vector is supported")


def _squeeze(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Remove axes of length 1."""
    axes = _axes(node, inputs)
    value = _value(inputs[0])
    left = {_meaning(value, axis) for axis in axes}
    if value.axes == "NF" or left != {"H", "W"} or value.lengths["H"] * value.lengths["W"] != 1:
        raise NotReadError(f"it removes the axes {axes} of {value.shape}; only height and width of 1×1 can be removed")
    return vector(layers, node.name, value)


def _unsqueeze(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Insert axes of length 1."""
    axes = _axes(node, inputs)
    value = _value(inputs[0])
    if value.axes != "NF" or value.order is not None or sorted(axis % 4 for axis in axes) != [2, 3]:
        raise NotReadError(f"it inserts the axes {axes}; only a vector can become an image of 1×1")
    return Value(value.layer, "NCHW", None, value.nonnegative)


def _transpose(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """Transpose the channels: only the meaning of ONNX's axes changes."""
    value = _value(inputs[0])
    order = node.get("perm", tuple(range(len(value.axes)))[::-1])
    if sorted(order) != list(range(len(value.axes))) or order[0] != 0:
        raise NotReadError(f"it moves the axes to {order}, the batch too")
    return Value(value.layer, "".join(value.axes[axis] for axis in order), value.order, value.nonnegative)


def _mean(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """ReduceMean over height and width."""
    value = _value(inputs[0])
    axes = _axes(node, inputs)
    if value.axes == "NF" or {_meaning(value, axis) for axis in axes} != {"H", "W"}:
        raise NotReadError(f"it averages over the axes {axes}; only the mean over height and width is supported")
    layer = value.layer
    if len(layer.shape) == 3:
        layer = layers.add("GlobalAveragePooling2D", node.name, [layer])
    return Value(layer, value.axes if node.get("keepdims", 1) else "NF", None, value.nonnegative)


def _maximum(layers: Layers, node: Node, inputs: List[Operand]) -> Value:
    """ReduceMax over height and width, as PyTorch exports AdaptiveMaxPool2d(1)."""
    value = _value(inputs[0])
    axes = _axes(node, inputs)
    if value.axes == "NF" or {value.axes[axis] for axis in axes} != {"H", "W"}:
        raise NotReadError(
            f"it takes the maximum over the axes {axes}; only the maximum over height and width is supported"
        )
    highest = _picture_maximum(layers, node, value)
    if node.get("keepdims", 1):
        return highest
    return vector(layers, f"{node.name}_flat", highest)


def _identity(layers: Layers, node: Node, inputs: List[Operand]) -> Operand:
    """Dropout and Identity."""
    return inputs[0]


def _cast(layers: Layers, node: Node, inputs: List[Operand]) -> Operand:
    """Cast to another floating-point type: Keras computes in float32 anyway."""
    if node.get("to", 1) not in (1, 10, 11, 16):
        raise NotReadError("it converts to another type of number")
    return inputs[0]


def _shape_of(layers: Layers, node: Node, inputs: List[Operand]) -> np.ndarray:
    """Shape, with `BATCH` for the number of pictures."""
    shape = (BATCH, *_value(inputs[0]).shape)
    return np.array(shape[node.get("start", 0) : node.get("end", len(shape))], np.int64)


def _axes(node: Node, inputs: Sequence[Operand]) -> List[int]:
    given = _optional(inputs, 1, "axes")
    return [int(axis) for axis in (node.get("axes", ()) if given is None else np.ravel(given))]


def _meaning(value: Value, axis: int) -> str:
    """Return the meaning of an axis of a value, see `Value.axes`."""
    if not -len(value.axes) <= axis < len(value.axes):
        raise NotReadError(f"its axis is {axis}, and its input has {len(value.axes)} axes")
    return value.axes[axis]


def _number(constant: np.ndarray) -> float:
    """Return a constant of one number."""
    if constant.size != 1:
        raise NotReadError(f"it takes a constant of shape {constant.shape} where a number is needed")
    return float(constant.ravel()[0])


def _value(given: Operand) -> Value:
    if not isinstance(given, Value):
        raise NotReadError("it takes a constant where a value is needed")
    return given


OPERATORS: Mapping[str, Operator] = {
    "Add": _add,
    "AveragePool": _pooling,
    "BatchNormalization": _normalisation,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concatenate,
    "Conv": _convolution,
    "Div": _divide,
    "Dropout": _identity,
    "Flatten": _flatten,
    "Gemm": _dense,
    "GlobalAveragePool": _global_average_pooling,
    "GlobalMaxPool": _global_max_pooling,
    "Identity": _identity,
    "LogSoftmax": _softmax,
    "MatMul": _dense,
    "MaxPool": _pooling,
    "Mul": _multiply,
    "Pad": _padding,
    "ReduceMax": _maximum,
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
