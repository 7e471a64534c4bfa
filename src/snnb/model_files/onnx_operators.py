"""ONNX's operators (https://onnx.ai/onnx/operators) as Keras's layers, by name.

A function of `OPERATORS` reads one operator: it adds the layers that compute it, and
returns its output. It raises `NotReadError` for what no layer computes.
"""

import math
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from snnb.model_files.kinds import NotReadError
from snnb.model_files.onnx_values import (
    BATCH,
    POSITION_BYTES,
    OnnxNode,
    OnnxValue,
    Operand,
    OperatorCall,
    OperatorReader,
    broadcast_to_channels,
    flatten,
    have_same_order,
    order_or_none,
    require_value,
    to_keras_order,
)
from snnb.network.geometry import Pads, window_zeros
from snnb.network.layers import Conv2DTranspose, configured
from snnb.network.trained import TrainedLayer

CHANNEL_BYTES = 100  # of the weights of a batch normalisation, while it is made
LARGEST_BOUND = 1e30  # of a clipping: above it, there is none
FLOAT_TYPES = (1, 10, 11, 16)  # numbers of ONNX's floating-point types
NO_PADS = ((0, 0), (0, 0))
PADDING_MODES = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")  # of `auto_pad`


class PoolingWindows(NamedTuple):
    """How the windows of a pooling slide over a picture."""

    size: Tuple[int, int]  # taps of rows and columns
    strides: Tuple[int, int]
    same: Pads  # TensorFlow's padding for `same`


def _same_pads(
    value: OnnxValue,
    size: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> Pads:
    """Return TensorFlow's padding for `same`."""
    picture = (value.lengths["H"], value.lengths["W"])
    return window_zeros(picture, size, strides, dilations, "same")


def _pair(node: OnnxNode, name: str) -> Tuple[int, int]:
    numbers = node.get(name, (1, 1))
    if len(numbers) != 2 or min(numbers) < 1:
        raise NotReadError(f"its {name} are {numbers}, not two numbers from 1 on")
    return numbers[0], numbers[1]


def _padding_mode(node: OnnxNode) -> str:
    """Return the `auto_pad` of an operator, one of `PADDING_MODES`."""
    mode = node.get("auto_pad", "NOTSET")
    if mode not in PADDING_MODES:
        raise NotReadError(
            f"its auto_pad is {mode!r}, not one of {', '.join(PADDING_MODES)}"
        )
    return mode


def _read_pads(node: OnnxNode, same: Pads) -> Pads:
    """Return the padding of an operator; `same` is TensorFlow's padding of this name.

    ONNX's `SAME_LOWER` has the larger half at the beginning.
    """
    automatic = _padding_mode(node)
    if automatic == "SAME_UPPER":
        return same
    if automatic == "SAME_LOWER":
        (top, bottom), (left, right) = same
        return (bottom, top), (right, left)
    zeros = (0, 0, 0, 0)
    numbers = node.get("pads", zeros) if automatic == "NOTSET" else zeros
    if len(numbers) != 4 or min(numbers) < 0:
        raise NotReadError(f"its pads are {numbers}, not four numbers from 0 on")
    top, left, bottom, right = numbers
    return (top, bottom), (left, right)


class KernelOperands(NamedTuple):
    """The kernel of a convolution, and how it slides over a picture."""

    weights: np.ndarray  # float32, with four axes, the last two rows and columns
    size: Tuple[int, int]
    strides: Tuple[int, int]
    dilations: Tuple[int, int]
    groups: int

    def refuse(self, value: OnnxValue) -> NotReadError:
        """Return an error for a picture whose channels the kernel does not fit."""
        channels = value.lengths["C"]
        return NotReadError(
            f"its kernel {self.weights.shape} does not fit {channels} channels in "
            f"{self.groups} groups"
        )


def _read_kernel(call: OperatorCall) -> KernelOperands:
    """Read the kernel of Conv or ConvTranspose."""
    node = call.node
    weights = call.constant(1, "kernel").astype(np.float32)
    if weights.ndim != 4:
        raise NotReadError(f"it has a kernel of shape {weights.shape}")
    groups = node.get("group", 1)
    if groups < 1:
        raise NotReadError(f"its group is {groups}, not a number from 1 on")
    mode = _padding_mode(node)
    if mode != "NOTSET" and "pads" in node.attributes:
        raise NotReadError(f"it has pads and auto_pad {mode}: omit one of them")
    rows, columns = weights.shape[2:]
    operands = KernelOperands(
        weights=weights,
        size=(rows, columns),
        strides=_pair(node, "strides"),
        dilations=_pair(node, "dilations"),
        groups=groups,
    )
    if node.get("kernel_shape", operands.size) != operands.size:
        raise operands.refuse(call.picture)
    return operands


def _read_bias(call: OperatorCall) -> List[np.ndarray]:
    """Return the bias of Conv or ConvTranspose, or no array."""
    bias = call.optional_constant(2, "bias")
    return [] if bias is None else [bias]


def _convolution(call: OperatorCall) -> OnnxValue:
    """Conv; with a group for each channel, it is a depthwise convolution.

    That of Keras has equal strides; with others, it is a convolution in groups.
    """
    node = call.node
    value = call.picture
    operands = _read_kernel(call)
    biases = _read_bias(call)
    weights, size, strides, dilations, groups = operands
    filters, channels = weights.shape[:2]
    if channels * groups != value.lengths["C"]:
        raise operands.refuse(value)
    if max(strides) > 1 and max(dilations) > 1:
        raise NotReadError(
            "it has strides and dilations, which are not supported together"
        )
    same = _same_pads(value, size, strides, dilations)
    pads = _read_pads(node, same)
    padded_value, padding = _apply_pads(call, value, pads, same)
    if filters % groups:
        raise NotReadError(
            f"its {filters} filters are not divisible into {groups} groups"
        )
    if groups > 1 and channels == 1 and strides[0] == strides[1]:
        kind = "DepthwiseConv2D"
        multiplier = filters // groups
        group_weights = weights.reshape(groups, multiplier, *size)
        kernel = group_weights.transpose(2, 3, 0, 1)
        channel_settings = {"depth_multiplier": multiplier}
    else:
        kind = "Conv2D"
        kernel = weights.transpose(2, 3, 1, 0)
        channel_settings = {"filters": filters, "groups": groups}
    layer = call.add(
        kind,
        [padded_value],
        [kernel, *biases],
        padding=padding,
        use_bias=bool(biases),
        kernel_size=size,
        strides=strides,
        dilation_rate=dilations,
        **channel_settings,
    )
    return OnnxValue(layer, "NCHW")


def _read_cuts(
    node: OnnxNode,
    value: OnnxValue,
    operands: KernelOperands,
    output_padding: Tuple[int, int],
) -> Pads:
    """Return how many rows and columns a ConvTranspose cuts before and after.

    They are its pads, or follow from `output_shape` or `auto_pad`: the output then has
    this shape, or the stride times the length of the input, and an odd row or column is
    cut at the end with `SAME_UPPER`, else at the beginning.
    """
    automatic = _padding_mode(node)
    lengths = node.get("output_shape", ())
    has_same_pads = automatic in ("SAME_UPPER", "SAME_LOWER")
    if not lengths and not has_same_pads:
        return _read_pads(node, NO_PADS)
    if lengths and len(lengths) != 2:
        raise NotReadError(f"its output_shape is {lengths}, not two numbers")
    cuts = []
    for axis, name in enumerate("HW"):
        stride = operands.strides[axis]
        reach = (operands.size[axis] - 1) * operands.dilations[axis] + 1
        size = (value.lengths[name] - 1) * stride + reach + output_padding[axis]
        length = lengths[axis] if lengths else value.lengths[name] * stride
        cut = size - length
        if cut < 0 and lengths:
            raise NotReadError(
                f"its output_shape is {lengths}, but its windows end at {size}: export "
                "the model with output_padding"
            )
        cut = max(cut, 0)
        smaller = cut // 2
        if automatic == "SAME_UPPER":
            cuts.append((smaller, cut - smaller))
        else:
            cuts.append((cut - smaller, smaller))
    rows, columns = cuts
    return rows, columns


def _transposed_convolution(call: OperatorCall) -> OnnxValue:
    """ConvTranspose; its pads are rows and columns that are cut from the output."""
    node = call.node
    value = call.picture
    operands = _read_kernel(call)
    biases = _read_bias(call)
    weights, size, strides, dilations, groups = operands
    channels, multiplier = weights.shape[:2]
    if channels != value.lengths["C"] or channels % groups:
        raise operands.refuse(value)
    output_padding = node.get("output_padding", (0, 0))
    if len(output_padding) != 2 or min(output_padding) < 0:
        raise NotReadError(
            f"its output_padding is {output_padding}, not two numbers from 0 on"
        )
    pads = _read_cuts(node, value, operands, output_padding)
    kernel = weights.transpose(2, 3, 1, 0)
    settings: Dict[str, object] = {
        "use_bias": bool(biases),
        "kernel_size": size,
        "strides": strides,
        "dilation_rate": dilations,
        "filters": multiplier * groups,
        "groups": groups,
    }
    picture_shape = (value.lengths["H"], value.lengths["W"], channels)
    margins = [
        (before, after - added) for (before, after), added in zip(pads, output_padding)
    ]
    padding: Dict[str, object] = {"output_padding": output_padding, "cropping": pads}
    for keras_padding in ("same", "valid"):
        keras_settings = {**settings, "padding": keras_padding}
        layer = configured(Conv2DTranspose, keras_settings, node.name)
        if list(layer.cut_margins(picture_shape)) == margins:
            padding = {"padding": keras_padding}
    transposed = call.add(
        "Conv2DTranspose",
        [value],
        [kernel, *biases],
        **settings,
        **padding,
    )
    return OnnxValue(transposed, "NCHW")


def _max_pooling(call: OperatorCall) -> OnnxValue:
    """MaxPool; its padding is below every number: of nonnegative numbers, 0 is too."""
    value = call.picture
    windows = _pooling_windows(call.node, value)
    pads = _pooling_pads(call.node, value, windows)
    if _is_identity(windows, pads):
        return value
    counts_pads = call.node.get("count_include_pad", 0) == 1
    adds_zeros = np.any(pads) and (counts_pads or pads != windows.same)
    if adds_zeros and not value.nonnegative:
        raise NotReadError(
            "it pads numbers that may be negative: put a ReLU before the max pooling"
        )
    keras_pads = None if counts_pads else windows.same
    return _add_pooling(call, "MaxPooling2D", value, windows, pads, keras_pads)


def _average_pooling(call: OperatorCall) -> OnnxValue:
    """AveragePool; a layer leaves its own padding out of an average."""
    node = call.node
    value = call.picture
    windows = _pooling_windows(node, value)
    pads = _pooling_pads(node, value, windows)
    if _is_identity(windows, pads):
        return value
    for size, axis_pads in zip(windows.size, pads):
        if max(axis_pads) >= size:
            raise NotReadError(
                f"its padding {pads} has windows without a pixel: pad less than the "
                f"windows {windows.size}"
            )
    if node.get("count_include_pad", 0) == 1:
        # PyTorch counts its padding only, onnxruntime 1.19 all taps
        if pads != _read_pads(node, windows.same):
            raise NotReadError(
                "it counts its padding, and its ceil_mode adds to it: omit ceil_mode, "
                "or count_include_pad"
            )
        return _add_pooling(call, "AveragePooling2D", value, windows, pads, None)
    layer = call.add(
        "AveragePooling2D",
        [value],
        pool_size=windows.size,
        strides=windows.strides,
        padding=_name_padding(value, windows, pads),
    )
    return value.follow(layer, value.nonnegative)


def _name_padding(
    value: OnnxValue,
    windows: PoolingWindows,
    pads: Pads,
) -> Union[str, Pads]:
    """Return the padding that a pooling reads, by Keras's name if it has one."""
    picture = (value.lengths["H"], value.lengths["W"])
    zeros = window_zeros(picture, windows.size, windows.strides, (1, 1), pads)
    if zeros == NO_PADS:
        return "valid"
    return "same" if zeros == windows.same else zeros


def _pooling_windows(node: OnnxNode, value: OnnxValue) -> PoolingWindows:
    """Return the windows of a pooling."""
    size = node.get("kernel_shape", ())
    strides = _pair(node, "strides")
    dilations = _pair(node, "dilations")
    outputs = [output for output in node.outputs if output]
    if len(size) != 2 or max(dilations) > 1 or len(outputs) > 1:
        raise NotReadError(
            "it is not a plain pooling of images: it has dilations, or outputs indices"
        )
    same = _same_pads(value, size, strides, dilations)
    return PoolingWindows((size[0], size[1]), strides, same)


def _pooling_pads(node: OnnxNode, value: OnnxValue, windows: PoolingWindows) -> Pads:
    """Return the padding of a pooling, with the rows and columns of its `ceil_mode`."""
    pads = _read_pads(node, windows.same)
    if not node.get("ceil_mode", 0):
        return pads
    rows = _complete_windows(value.lengths["H"], pads[0], windows, 0)
    columns = _complete_windows(value.lengths["W"], pads[1], windows, 1)
    return rows, columns


def _complete_windows(
    length: int,
    pads: Tuple[int, int],
    windows: PoolingWindows,
    axis: int,
) -> Tuple[int, int]:
    """Return the padding that completes the last window, which `ceil_mode` keeps."""
    before, after = pads
    taps = windows.size[axis]
    stride = windows.strides[axis]
    count = -(-(length + before + after - taps) // stride) + 1
    last_start = (count - 1) * stride
    # PyTorch leaves this window out, onnxruntime 1.19 does not
    if last_start >= length + before:
        raise NotReadError(
            "by its ceil_mode, the last window begins in the padding: omit ceil_mode"
        )
    return before, max(last_start + taps - length - before, after)


def _is_identity(windows: PoolingWindows, pads: Pads) -> bool:
    """Whether the windows of a pooling are the pixels."""
    return windows.size == (1, 1) and windows.strides == (1, 1) and pads == NO_PADS


def _add_pooling(
    call: OperatorCall,
    kind: str,
    value: OnnxValue,
    windows: PoolingWindows,
    pads: Pads,
    keras_pads: Optional[Pads],
) -> OnnxValue:
    """Add a pooling of a Keras class, after a padding that it does not do itself.

    `keras_pads` is the padding that Keras's `same` may stand for; None: it may not.
    """
    padded_value, padding = _apply_pads(call, value, pads, keras_pads)
    layer = call.add(
        kind,
        [padded_value],
        pool_size=windows.size,
        strides=windows.strides,
        padding=padding,
    )
    return padded_value.follow(layer, padded_value.nonnegative)


def _apply_pads(
    call: OperatorCall,
    value: OnnxValue,
    pads: Pads,
    keras_pads: Optional[Pads],
) -> Tuple[OnnxValue, str]:
    """Return the value that a layer reads, and the layer's padding in Keras.

    A padding that is not `keras_pads`, which Keras's `same` adds, is a layer.
    """
    if not np.any(pads):
        return value, "valid"
    if pads == keras_pads:
        return value, "same"
    return _add_zeros(call, value, pads), "valid"


def _add_zeros(call: OperatorCall, value: OnnxValue, pads: Pads) -> OnnxValue:
    """Pad a picture with zeros, in a layer before that of the operator."""
    name = f"{call.node.name}_pad"
    layer = call.layers.add("ZeroPadding2D", name, [value.layer], padding=pads)
    return value.follow(layer, value.nonnegative)


def _global_average_pooling(call: OperatorCall) -> OnnxValue:
    """GlobalAveragePool.

    Axes of length 1 are inserted again only where an operator needs them.
    """
    value = call.picture
    layer = call.add("GlobalAveragePooling2D", [value])
    return value.follow(layer, value.nonnegative)


def _global_max_pooling(call: OperatorCall) -> OnnxValue:
    """GlobalMaxPool: max pooling with one window."""
    return _picture_maximum(call, call.picture)


def _picture_maximum(call: OperatorCall, value: OnnxValue) -> OnnxValue:
    """Return the maximum of each channel, a picture of 1×1."""
    window = (value.lengths["H"], value.lengths["W"])
    if window[0] * window[1] == 1:
        return value
    layer = call.add(
        "MaxPooling2D",
        [value],
        pool_size=window,
        strides=window,
        padding="valid",
    )
    return value.follow(layer, value.nonnegative)


def _padding(call: OperatorCall) -> OnnxValue:
    """Pad a picture with zeros."""
    node = call.node
    value = call.value
    if node.get("mode", "constant") != "constant":
        raise NotReadError(
            f"its mode is {node.get('mode', '')}; only padding with zeros is supported"
        )
    fill_constant = call.optional_constant(2, "value")
    fill = node.get("value", 0.0)
    if fill_constant is not None:
        fill = _number(fill_constant)
    ends = node.get("pads", ())
    if not ends:
        ends = tuple(int(number) for number in np.ravel(call.constant(1, "padding")))
    rank = len(value.axes)
    axes_constant = call.optional_constant(3, "axes")
    axes = list(range(rank))
    if axes_constant is not None:
        axes = [int(axis) % rank for axis in np.ravel(axes_constant)]
    if len(ends) != 2 * len(axes):
        raise NotReadError(f"its padding {ends} does not fit {len(axes)} axes")
    pads = {}  # by meaning of the axis
    for axis, before, after in zip(axes, ends, ends[len(axes) :]):
        pads[value.axes[axis]] = (before, after)
    if not any(map(any, pads.values())):
        return value
    pads_others = any(pads[axis] != (0, 0) for axis in pads if axis not in "HW")
    if fill != 0 or min(ends) < 0 or pads_others:
        raise NotReadError(
            f"it pads {pads} with {fill:g}; only padding of height and width with "
            "zeros is supported"
        )
    picture = call.to_picture(value)
    height_pads = pads.get("H", (0, 0))
    width_pads = pads.get("W", (0, 0))
    return _add_zeros(call, picture, (height_pads, width_pads))


def _normalisation(call: OperatorCall) -> OnnxValue:
    """BatchNormalization with its recorded mean and variance."""
    value = call.value
    if call.node.get("training_mode", 0):
        raise NotReadError("it is in training mode: export after model.eval()")
    numbers = []
    for number in range(1, 5):
        numbers.append(call.constant(number, "numbers").astype(np.float64))
    channels = value.lengths[value.channel_axis]
    scale, shift, mean, variance = numbers
    if any(array.shape != (channels,) for array in numbers):
        raise NotReadError(
            f"its numbers {scale.shape} do not fit the image {value.shape}"
        )
    factor = scale / np.sqrt(variance + call.node.get("epsilon", 1e-5))
    keras_factor = to_keras_order(factor, value.order)
    keras_shift = to_keras_order(shift - mean * factor, value.order)
    return _scale_in_keras_order(call, value, keras_factor, keras_shift)


def _scale_in_keras_order(
    call: OperatorCall,
    value: OnnxValue,
    factor: np.ndarray,
    shift: np.ndarray,
) -> OnnxValue:
    """Scale and shift each channel or unit; the numbers are in Keras's order.

    Keras's BatchNormalization does it with mean 0 and a variance that makes up for its
    epsilon: TensorFlow computes with no smaller one than 1.001e-5, and PyTorch's is
    1e-5.
    """
    epsilon = 1e-3
    channels = len(factor)
    subject = f"channels that {call.node.name} scales"
    call.layers.budget.draw(channels, subject, CHANNEL_BYTES)
    mean = np.zeros(channels)
    variance = np.full(channels, 1 - epsilon)
    weights = [factor, shift, mean, variance]
    layer = call.add("BatchNormalization", [value], weights, epsilon=epsilon)
    return value.follow(layer)


def _scale(
    call: OperatorCall,
    value: OnnxValue,
    factor: np.ndarray,
    shift: np.ndarray,
) -> OnnxValue:
    """Scale and shift a value by constants that ONNX broadcasts with it."""
    factors = broadcast_to_channels(np.asarray(factor, np.float64), value)
    shifts = broadcast_to_channels(np.asarray(shift, np.float64), value)
    return _scale_in_keras_order(call, value, factors, shifts)


def _relu(call: OperatorCall) -> OnnxValue:
    """Relu."""
    layer = call.add("Activation", [call.value], activation="relu")
    return call.value.follow(layer, nonnegative=True)


def _clip(call: OperatorCall) -> OnnxValue:
    """Clip from 0 on, as ReLU6 is."""
    value = call.value
    low = call.node.get("min", -np.inf)
    high = call.node.get("max", np.inf)
    low_constant = call.optional_constant(1, "bound")
    if low_constant is not None:
        low = _number(low_constant)
    high_constant = call.optional_constant(2, "bound")
    if high_constant is not None:
        high = _number(high_constant)
    if low != 0 or not high > 0:
        raise NotReadError(
            f"it clips to [{low:g}, {high:g}]; only a range from 0 is supported"
        )
    if high > LARGEST_BOUND:
        return _relu(call)
    layer = call.add("ReLU", [value], max_value=high)
    return value.follow(layer, nonnegative=True)


def _add(call: OperatorCall) -> OnnxValue:
    """Add or Sum of values, or of a value and one constant a channel."""
    values = [operand for operand in call.inputs if isinstance(operand, OnnxValue)]
    constants = [operand for operand in call.inputs if isinstance(operand, np.ndarray)]
    if len(values) == 1 and len(constants) == 1:
        return _scale(call, values[0], np.ones(1), constants[0])
    if constants or len(values) < 2:
        raise NotReadError("it adds more than one constant to a value")
    values = _with_equal_ranks(call, values)
    if not have_same_order(values) or len({value.shape for value in values}) > 1:
        shapes = ", ".join(str(value.shape) for value in values)
        raise NotReadError(f"it adds values of the shapes {shapes}")
    layer = call.add("Add", values)
    return values[0].follow(layer, all(value.nonnegative for value in values))


def _with_equal_ranks(
    call: OperatorCall,
    values: List[OnnxValue],
) -> List[OnnxValue]:
    """Return values whose layers have as many axes: pictures, if there are several."""
    ranks = {len(value.layer.shape) for value in values}
    if len(ranks) == 1:
        return values
    return [call.to_picture(value) for value in values]


def _subtract(call: OperatorCall) -> OnnxValue:
    """Sub of a constant."""
    value = call.value
    shift = -call.constant(1, "second input").astype(np.float64)
    return _scale(call, value, np.ones(1), shift)


def _multiply(call: OperatorCall) -> OnnxValue:
    """Mul by a constant."""
    value, factor = call.inputs
    if not isinstance(value, OnnxValue):
        factor, value = call.inputs
    if not isinstance(value, OnnxValue) or not isinstance(factor, np.ndarray):
        raise NotReadError(
            "it multiplies two values, which has no spiking form in snnb"
        )
    return _scale(call, value, factor, np.zeros(1))


def _divide(call: OperatorCall) -> OnnxValue:
    """Div by a constant."""
    divisor = call.constant(1, "second input").astype(np.float64)
    if np.any(divisor == 0):
        raise NotReadError("it divides by 0")
    return _scale(call, call.value, 1 / divisor, np.zeros(1))


def _concatenation(call: OperatorCall) -> OnnxValue:
    """Concat of channels or units."""
    axis = call.node.get("axis", 1)
    values = [require_value(operand) for operand in call.inputs]
    if len({value.axes for value in values}) > 1:
        raise NotReadError("it concatenates values with different axes")
    meaning = values[0].meaning(axis)
    nonnegative = all(value.nonnegative for value in values)
    if values[0].axes == "NF" and meaning == "F":
        layer = call.add("Concatenate", values, axis=-1)
        order = _concatenated_order(call, values)
        return OnnxValue(layer, "NF", order, nonnegative)
    if meaning != "C":
        raise NotReadError(
            "it concatenates images along height or width; only concatenation of "
            "channels is supported"
        )
    values = _with_equal_ranks(call, values)
    layer = call.add("Concatenate", values, axis=-1)
    return values[0].follow(layer, nonnegative)


def _concatenated_order(
    call: OperatorCall,
    values: Sequence[OnnxValue],
) -> Optional[np.ndarray]:
    """Return the order of the units of concatenated vectors, see `OnnxValue.order`."""
    size = sum(value.size for value in values)
    subject = f"values that {call.node.name} concatenates"
    call.layers.budget.draw(size, subject, POSITION_BYTES)
    orders = []
    start = 0
    for value in values:
        order = np.arange(value.size) if value.order is None else value.order
        orders.append(start + order)
        start += value.size
    return order_or_none(np.concatenate(orders))


def _dense(call: OperatorCall) -> OnnxValue:
    """Gemm or MatMul of a vector with constant weights."""
    node = call.node
    value = call.value
    weights = call.constant(1, "second input").astype(np.float32)
    if node.get("transB", 0):
        weights = weights.T
    if value.axes != "NF" or weights.ndim != 2 or node.get("transA", 0):
        raise NotReadError(
            f"it multiplies {value.axes} {value.shape} by {weights.shape}; only a "
            "vector by a matrix is supported"
        )
    if weights.shape[0] != value.shape[0]:
        raise NotReadError(
            f"it multiplies a vector of {value.shape[0]:,} by a matrix {weights.shape}"
        )
    factor = np.float32(node.get("alpha", 1.0))
    kernel = to_keras_order(weights, value.order) * factor
    units = kernel.shape[1]
    arrays = [kernel]
    bias = call.optional_constant(2, "bias")
    if bias is not None:
        bias = bias * np.float32(node.get("beta", 1.0))
        fits = bias.size in (1, units) and bias.shape[-1:] in ((), (1,), (units,))
        if not fits:
            raise NotReadError(f"its bias {bias.shape} does not fit {units} units")
        arrays.append(np.broadcast_to(np.ravel(bias), (units,)))
    layer = call.add("Dense", [value], arrays, units=units, use_bias=bias is not None)
    return OnnxValue(layer, "NF")


def _softmax(call: OperatorCall) -> OnnxValue:
    """Softmax over channels or units."""
    value = call.value
    axis = call.node.get("axis", -1 if call.node.opset >= 13 else 1)
    if len(value.layer.shape) == 3 and value.shape[1:] == (1, 1):
        name = f"{call.node.name}_flat"
        value = OnnxValue(call.layers.add("Flatten", name, [value.layer]), value.axes)
    if value.meaning(axis) not in "FC" or len(value.layer.shape) != 1:
        raise NotReadError("it is over an axis of the image, not over the classes")
    layer = call.add("Activation", [value], activation="softmax")
    return value.follow(layer, nonnegative=True)


def _flattening(call: OperatorCall) -> OnnxValue:
    """Flatten a picture."""
    value = call.value
    axis = call.node.get("axis", 1)
    if axis % len(value.axes) != 1:
        raise NotReadError(
            f"its axis is {axis}: flatten all axes but the batch, as torch.flatten(x, "
            "1)"
        )
    return flatten(call.layers, call.node.name, value)


def _reshape(call: OperatorCall) -> OnnxValue:
    """Reshape to a vector, or to a picture of 1×1."""
    constant = call.constant(1, "shape")
    shape = [int(length) for length in np.ravel(constant)]
    value = call.value
    batch_lengths = (BATCH, 0, -1, call.layers.batch)
    has_batch = len(shape) > 0 and shape[0] in batch_lengths
    if not has_batch or shape[1:].count(-1) > 1 or BATCH in shape[1:]:
        raise NotReadError(f"it changes the axis of the batch, to {shape}")
    if not call.node.get("allowzero", 0):
        shape[1:] = _replace_zeros(shape[1:], value.shape)
    lengths = _replace_unknown_length(shape[1:], value.size)
    if math.prod(lengths) != value.size or min(lengths, default=0) < 1:
        raise NotReadError(f"it makes {shape} of {value.shape}")
    if tuple(lengths) == value.shape:
        return value
    if len(lengths) == 1:
        return flatten(call.layers, call.node.name, value)
    is_vector = set(value.shape) <= {1, value.size}
    if len(lengths) == 3 and sorted(lengths)[:2] == [1, 1] and is_vector:
        units = flatten(call.layers, call.node.name, value)
        if units.order is None:
            place = int(np.argmax(lengths))
            axes = ("NCHW", "NHCW", "NHWC")[place]
            return OnnxValue(units.layer, axes, None, value.nonnegative)
    raise NotReadError(
        f"it makes {tuple(lengths)} of {value.shape}; only flattening an image to a "
        "vector is supported"
    )


def _replace_zeros(lengths: List[int], value_shape: Sequence[int]) -> List[int]:
    """Return the lengths of a new shape; 0 stands for the length of the axis before."""
    result = list(lengths)
    for axis, length in enumerate(value_shape[: len(lengths)]):
        if result[axis] == 0:
            result[axis] = length
    return result


def _replace_unknown_length(lengths: List[int], size: int) -> List[int]:
    """Return the lengths of a new shape; -1 stands for what makes `size` numbers."""
    if -1 not in lengths:
        return lengths
    result = list(lengths)
    size_of_others = -math.prod(lengths)
    place = lengths.index(-1)
    result[place] = size // size_of_others if size_of_others > 0 else 0
    return result


def _squeeze(call: OperatorCall) -> OnnxValue:
    """Remove axes of length 1."""
    axes = _read_axes(call)
    value = call.value
    meanings = {value.meaning(axis) for axis in axes}
    is_picture = value.axes != "NF" and meanings == {"H", "W"}
    if not is_picture or value.lengths["H"] * value.lengths["W"] != 1:
        raise NotReadError(
            f"it removes the axes {axes} of {value.shape}; only height and width of "
            "1×1 can be removed"
        )
    return flatten(call.layers, call.node.name, value)


def _unsqueeze(call: OperatorCall) -> OnnxValue:
    """Insert axes of length 1."""
    axes = _read_axes(call)
    value = call.value
    places = sorted(axis % 4 for axis in axes)
    if value.axes != "NF" or value.order is not None or places != [2, 3]:
        raise NotReadError(
            f"it inserts the axes {axes}; only a vector can become an image of 1×1"
        )
    return OnnxValue(value.layer, "NCHW", None, value.nonnegative)


def _transpose(call: OperatorCall) -> OnnxValue:
    """Transpose the channels: only the meaning of ONNX's axes changes."""
    value = call.value
    rank = len(value.axes)
    order = call.node.get("perm", tuple(range(rank))[::-1])
    if sorted(order) != list(range(rank)) or order[0] != 0:
        raise NotReadError(f"it moves the axes to {order}, the batch too")
    axes = "".join(value.axes[axis] for axis in order)
    return OnnxValue(value.layer, axes, value.order, value.nonnegative)


def _mean(call: OperatorCall) -> OnnxValue:
    """ReduceMean over height and width."""
    value = call.value
    axes = _read_axes(call)
    meanings = set() if value.axes == "NF" else {value.meaning(axis) for axis in axes}
    if meanings != {"H", "W"}:
        raise NotReadError(
            f"it averages over the axes {axes}; only the mean over height and width is "
            "supported"
        )
    layer: TrainedLayer = value.layer
    if len(layer.shape) == 3:
        layer = call.add("GlobalAveragePooling2D", [value])
    output_axes = value.axes if call.node.get("keepdims", 1) else "NF"
    return OnnxValue(layer, output_axes, None, value.nonnegative)


def _maximum(call: OperatorCall) -> OnnxValue:
    """ReduceMax over height and width, as PyTorch exports AdaptiveMaxPool2d(1)."""
    value = call.value
    axes = _read_axes(call)
    is_picture = value.axes != "NF"
    if not is_picture or {value.axes[axis] for axis in axes} != {"H", "W"}:
        raise NotReadError(
            f"it takes the maximum over the axes {axes}; only the maximum over height "
            "and width is supported"
        )
    maximum = _picture_maximum(call, value)
    if call.node.get("keepdims", 1):
        return maximum
    return flatten(call.layers, f"{call.node.name}_flat", maximum)


def _identity(call: OperatorCall) -> Operand:
    """Dropout and Identity."""
    return call.inputs[0]


def _cast(call: OperatorCall) -> Operand:
    """Cast to another floating-point type: Keras computes in float32 anyway."""
    if call.node.get("to", 1) not in FLOAT_TYPES:
        raise NotReadError("it converts to another type of number")
    return call.inputs[0]


def _shape(call: OperatorCall) -> np.ndarray:
    """Shape, with `BATCH` for the number of pictures: int64 (axes,)."""
    shape = (BATCH, *call.value.shape)
    start = call.node.get("start", 0)
    end = call.node.get("end", len(shape))
    return np.array(shape[start:end], np.int64)


def _read_axes(call: OperatorCall) -> List[int]:
    """Return the axes that an operator has as an attribute or as an input."""
    constant = call.optional_constant(1, "axes")
    axes = call.node.get("axes", ()) if constant is None else np.ravel(constant)
    return [int(axis) for axis in axes]


def _number(constant: np.ndarray) -> float:
    """Return a constant of one number."""
    if constant.size != 1:
        raise NotReadError(
            f"it takes a constant of shape {constant.shape} where a number is needed"
        )
    return float(constant.ravel()[0])


# The function that reads an operator, by its name
OPERATORS: Mapping[str, OperatorReader] = {
    "Add": _add,
    "AveragePool": _average_pooling,
    "BatchNormalization": _normalisation,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concatenation,
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "Div": _divide,
    "Dropout": _identity,
    "Flatten": _flattening,
    "Gemm": _dense,
    "GlobalAveragePool": _global_average_pooling,
    "GlobalMaxPool": _global_max_pooling,
    "Identity": _identity,
    "LogSoftmax": _softmax,
    "MatMul": _dense,
    "MaxPool": _max_pooling,
    "Mul": _multiply,
    "Pad": _padding,
    "ReduceMax": _maximum,
    "ReduceMean": _mean,
    "Relu": _relu,
    "Reshape": _reshape,
    "Shape": _shape,
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Sub": _subtract,
    "Sum": _add,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
