"""ONNX's operators on pictures as layers of Keras (https://onnx.ai/onnx/operators): convolution, pooling, padding."""

from typing import List, Mapping, Sequence, Tuple

import numpy as np

from snnb.model_files.kinds import NotReadError
from snnb.model_files.onnx_graph import Node
from snnb.model_files.onnx_values import Given, Layers, Operator, Value, in_keras_order, picture

Pads = Tuple[Tuple[int, int], Tuple[int, int]]  # before and after, of height and width


def constant(inputs: Sequence[Given], number: int, what: str) -> np.ndarray:
    """Return an input of an operator that must be a constant; `what` describes it in the message."""
    given = inputs[number] if number < len(inputs) else None
    if not isinstance(given, np.ndarray):
        raise NotReadError(f"its {what} is no constant")
    return given


def _convolution(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Conv with one group, or with one for each channel."""
    value = picture(layers, node.name, inputs[0])
    weights = constant(inputs, 1, "kernel").astype(np.float32)
    bias = constant(inputs, 2, "bias") if len(inputs) > 2 and inputs[2] is not None else None
    if weights.ndim != 4:
        raise NotReadError(f"it has a kernel of shape {weights.shape}")
    filters, channels, *size = weights.shape
    strides, dilations = _pair(node, "strides"), _pair(node, "dilations")
    groups = node.get("group", 1)
    if node.get("kernel_shape", tuple(size)) != tuple(size) or channels * groups != value.lengths["C"]:
        raise NotReadError(f"its kernel {weights.shape} does not fit {value.lengths['C']} channels in {groups} groups")
    if max(strides) > 1 and max(dilations) > 1:
        raise NotReadError("it has strides and dilations, which TensorFlow does not do together")
    value, padding = _padded(
        layers, node, value, _pads(node, value, size, strides, dilations), size, strides, dilations
    )
    settings = {"strides": strides, "dilation_rate": dilations, "padding": padding, "use_bias": bias is not None}
    biases = [] if bias is None else [bias]
    if groups == 1:
        kernel = weights.transpose(2, 3, 1, 0)
        layer = layers.add(
            "Conv2D", node.name, [value.tensor], [kernel, *biases], filters=filters, kernel_size=size, **settings
        )
        return Value(layer, "NCHW")
    if channels != 1 or filters % groups:
        raise NotReadError(f"it has {groups} groups of {channels} channels; one group, or one for each channel is read")
    if strides[0] != strides[1]:
        raise NotReadError("it has one group for each channel and two different strides, which TensorFlow does not do")
    kernel = weights.reshape(groups, filters // groups, *size).transpose(2, 3, 0, 1)
    layer = layers.add(
        "DepthwiseConv2D",
        node.name,
        [value.tensor],
        [kernel, *biases],
        kernel_size=size,
        depth_multiplier=filters // groups,
        **settings,
    )
    return Value(layer, "NCHW")


def _pooling(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """MaxPool or AveragePool; the padding of MaxPool is below every number: for nonnegative numbers, 0 is the same."""
    kind = "MaxPooling2D" if node.kind == "MaxPool" else "AveragePooling2D"
    value = picture(layers, node.name, inputs[0])
    size, strides, dilations = node.get("kernel_shape", ()), _pair(node, "strides"), _pair(node, "dilations")
    if len(size) != 2 or max(dilations) > 1 or len([output for output in node.outputs if output]) > 1:
        raise NotReadError("it is not a plain pooling of pictures: it has dilations, or gives places too")
    pads = _pads(node, value, size, strides, dilations)
    if node.get("ceil_mode", 0):
        pads = _last_windows(value, pads, size, strides)
    counted = node.get("count_include_pad", 0) == 1
    same = pads == _same(value, size, strides, dilations)
    if size == (1, 1) and strides == (1, 1) and pads == ((0, 0), (0, 0)):
        return value
    if np.any(pads) and not (same and not counted):
        if kind == "MaxPooling2D" and not value.nonnegative:
            raise NotReadError("it pads numbers that may be negative: put a ReLU before the max pooling")
        if kind == "AveragePooling2D" and (not counted or node.get("ceil_mode", 0)):
            raise NotReadError(f"it leaves its padding {pads} out of the average, which Keras does for `same` only")
    before = value.nonnegative
    if counted and np.any(pads):
        value, padding = _zeros(layers, node, value, pads), "valid"
    else:
        value, padding = _padded(layers, node, value, pads, size, strides, dilations)
    tensor = layers.add(kind, node.name, [value.tensor], pool_size=size, strides=strides, padding=padding)
    return value.like(tensor, before)


def _global_average_pooling(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """GlobalAveragePool; axes of length 1 are inserted again only where an operator needs them."""
    value = picture(layers, node.name, inputs[0])
    return value.like(layers.add("GlobalAveragePooling2D", node.name, [value.tensor]), value.nonnegative)


def _padding(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """Pad a picture with zeros."""
    value = inputs[0]
    if not isinstance(value, Value):
        raise NotReadError("it pads a constant")
    if node.get("mode", "constant") != "constant":
        raise NotReadError(f"its mode is {node.get('mode', '')}; padding with zeros is read")
    given = len(inputs) > 2 and inputs[2] is not None
    fill = float(np.ravel(constant(inputs, 2, "value"))[0]) if given else node.get("value", 0.0)
    ends = node.get("pads", ()) or tuple(int(n) for n in np.ravel(constant(inputs, 1, "padding")))
    rank = len(value.axes)
    if len(inputs) > 3 and inputs[3] is not None:
        axes = [int(axis) % rank for axis in np.ravel(constant(inputs, 3, "axes"))]
    else:
        axes = list(range(rank))
    if len(ends) != 2 * len(axes):
        raise NotReadError(f"its padding {ends} does not fit {len(axes)} axes")
    pads = {value.axes[axis]: (ends[i], ends[i + len(axes)]) for i, axis in enumerate(axes)}
    if not any(number for pair in pads.values() for number in pair):
        return value
    if fill != 0 or min(ends) < 0 or any(pads[axis] != (0, 0) for axis in pads if axis not in "HW"):
        raise NotReadError(f"it pads {pads} with {fill:g}; padding of height and width with zeros is read")
    return _zeros(layers, node, picture(layers, node.name, value), (pads.get("H", (0, 0)), pads.get("W", (0, 0))))


def _normalisation(layers: Layers, node: Node, inputs: List[Given]) -> Value:
    """BatchNormalization with its recorded mean and variance."""
    value = inputs[0]
    if not isinstance(value, Value) or node.get("training_mode", 0):
        raise NotReadError("it normalises as while training: export after model.eval()")
    scale, shift, mean, variance = (constant(inputs, number, "numbers").astype(np.float64) for number in range(1, 5))
    if any(
        array.shape != (value.lengths["F" if value.axes == "NF" else "C"],) for array in (scale, shift, mean, variance)
    ):
        raise NotReadError(f"its numbers {scale.shape} do not fit the picture {value.shape}")
    factor = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
    ordered = [in_keras_order(array, value.order) for array in (factor, shift - mean * factor)]
    return scaled(layers, node, value, *ordered)


def scaled(layers: Layers, node: Node, value: Value, factor: np.ndarray, shift: np.ndarray) -> Value:
    """Scale and shift each channel or unit of a picture or vector; the numbers are in Keras's order.

    Keras's BatchNormalization does it with mean 0 and a variance that makes up for its epsilon: TensorFlow computes
    with no smaller one than 1.001e-5, and PyTorch's is 1e-5.
    """
    epsilon = 1e-3
    arrays = [factor, shift, np.zeros(len(factor)), np.full(len(factor), 1 - epsilon)]
    return value.like(layers.add("BatchNormalization", node.name, [value.tensor], arrays, epsilon=epsilon))


def _pair(node: Node, name: str) -> Tuple[int, int]:
    numbers = node.get(name, (1, 1))
    if len(numbers) != 2 or min(numbers) < 1:
        raise NotReadError(f"its {name} are {numbers}, not two numbers from 1 on")
    return numbers[0], numbers[1]


def _pads(node: Node, value: Value, size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Pads:
    automatic = node.get("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        (top, bottom), (left, right) = _same(value, size, strides, dilations)
        return ((top, bottom), (left, right)) if automatic == "SAME_UPPER" else ((bottom, top), (right, left))
    numbers = node.get("pads", (0, 0, 0, 0)) if automatic == "NOTSET" else (0, 0, 0, 0)
    if len(numbers) != 4 or min(numbers) < 0:
        raise NotReadError(f"its pads are {numbers}, not four numbers from 0 on")
    top, left, bottom, right = numbers
    return (top, bottom), (left, right)


def _same(value: Value, size: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> Pads:
    """Return what TensorFlow pads for `same`."""
    ends = []
    for axis, taps, stride, dilation in zip("HW", size, strides, dilations):
        length = value.lengths[axis]
        total = max((-(-length // stride) - 1) * stride + (taps - 1) * dilation + 1 - length, 0)
        ends.append((total // 2, total - total // 2))
    return ends[0], ends[1]


def _last_windows(value: Value, pads: Pads, size: Sequence[int], strides: Sequence[int]) -> Pads:
    """Return the padding that completes the last windows, which ceil_mode keeps."""
    ends = []
    for axis, (before, after), taps, stride in zip("HW", pads, size, strides):
        length = value.lengths[axis]
        windows = -(-(length + before + after - taps) // stride) + 1
        if (windows - 1) * stride >= length + before:  # PyTorch leaves it out, onnxruntime 1.19 does not
            raise NotReadError("by its ceil_mode, the last window begins in the padding: leave ceil_mode out")
        ends.append((before, max((windows - 1) * stride + taps - length - before, after)))
    return ends[0], ends[1]


def _padded(
    layers: Layers,
    node: Node,
    value: Value,
    pads: Pads,
    size: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> Tuple[Value, str]:
    """Return the value, padded where Keras's `same` is not what ONNX pads, and the padding of the layer."""
    if not np.any(pads):
        return value, "valid"
    if pads == _same(value, size, strides, dilations):
        return value, "same"
    return _zeros(layers, node, value, pads), "valid"


def _zeros(layers: Layers, node: Node, value: Value, pads: Pads) -> Value:
    return value.like(layers.add("ZeroPadding2D", f"{node.name}_pad", [value.tensor], padding=pads), value.nonnegative)


OPERATORS: Mapping[str, Operator] = {
    "AveragePool": _pooling,
    "BatchNormalization": _normalisation,
    "Conv": _convolution,
    "GlobalAveragePool": _global_average_pooling,
    "MaxPool": _pooling,
    "Pad": _padding,
}
