"""Build an ONNX graph of Keras's operations, in Keras's order of axes, and run it.

The operators are those of https://onnx.ai/onnx/operators.
"""

import itertools
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from snnb.network.geometry import Pads, Shape, window_zeros
from snnb.network.layers import (
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Convolution2D,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Layer,
    MaxPooling2D,
    Permute,
    Pooling2D,
    Reindexing,
    Reshape,
    Scale,
    ZeroPadding2D,
)

OPSET = 13
IR_VERSION = 8
# Orders of the axes of an image
CHANNELS_FIRST = [0, 3, 1, 2]
CHANNELS_LAST = [0, 2, 3, 1]
# The name of a value, or numbers
Operand = Union[str, np.ndarray, np.float32]


class Session:
    """Runs a graph."""

    def __init__(
        self,
        model: bytes,
        inputs: Mapping[str, str],
        outputs: Sequence[str],
        threads: int,
    ) -> None:
        """Prepare a serialized model.

        `inputs` has the names of values in the model by the names of inputs, and
        `outputs` the names of the values that are returned.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._inputs = inputs
        self._outputs = list(outputs)
        self._session = onnxruntime.InferenceSession(
            model,
            options,
            providers=["CPUExecutionProvider"],
            # This optimiser also merges padding into poolings that it does not fit.
            disabled_optimizers=["Pad_Fusion"],
        )

    def run(
        self,
        values: Mapping[str, np.ndarray],
        number: Optional[int] = None,
    ) -> List[np.ndarray]:
        """Return the first `number` outputs, by default all.

        `values` are float32 by the name of the input.
        """
        feed = {}
        for name, input_values in values.items():
            key = self._inputs[name]
            feed[key] = np.ascontiguousarray(input_values, np.float32)
        outputs: List[np.ndarray] = self._session.run(self._outputs[:number], feed)
        return outputs


class OnnxGraph:
    """An ONNX graph that is built node by node.

    Methods that add nodes return the name of a value, their result.
    """

    def __init__(self) -> None:
        self._nodes: List[onnx.NodeProto] = []
        self._constants: List[onnx.TensorProto] = []
        self._inputs: Dict[str, Tuple[str, Shape]] = {}
        self._values: Dict[str, str] = {}  # by the name from `name_value`
        self._numbers = itertools.count()

    def add_input(self, name: str, shape: Shape) -> None:
        """Add an input of float32 (samples, *shape)."""
        value = self._make_name()
        self._values[name] = value
        self._inputs[name] = (value, shape)

    def name_value(self, name: str, value: str) -> None:
        """Name a value: methods accept the name, and `make_session` returns it."""
        self._values[name] = self._values.get(value, value)

    def make_session(self, names: Sequence[str], threads: int) -> Session:
        """Return a session of the graph, with the values of these names as outputs."""
        output_values = []
        for name in names:
            output_values.append(self.add_node("Identity", [self._values[name]]))
        input_infos = []
        inputs = {}
        for name, (value, shape) in self._inputs.items():
            input_infos.append(_float_info(value, [None, *shape]))
            inputs[name] = value
        output_infos = [_float_info(value, None) for value in output_values]
        graph = helper.make_graph(
            self._nodes,
            "network",
            input_infos,
            output_infos,
            self._constants,
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset])
        model.ir_version = IR_VERSION
        return Session(model.SerializeToString(), inputs, output_values, threads)

    def add_layer(
        self,
        layer: Layer,
        value: str,
        shape: Shape,
        kernel: Optional[np.ndarray] = None,
        bias: Optional[np.ndarray] = None,
    ) -> str:
        """Add a layer with neurons, without its activation.

        It reads a `value` of the shape `shape`, without the axis of samples. `kernel`
        has the shape of the layer's kernel in a file, `bias` the shape (channels,).
        """
        if isinstance(layer, Pooling2D):
            return self._add_pooling(layer, value, shape)
        assert kernel is not None
        if isinstance(layer, Dense):
            product = self.add_node("MatMul", [value, kernel])
            if bias is None:
                return product
            return self.add_node("Add", [product, bias])
        if isinstance(layer, Scale):
            positions = shape[:-1] if layer.by_position else ()
            factors = kernel.reshape(*positions, -1)
            return self.add_node("Mul", [value, factors])
        if isinstance(layer, Conv2D):
            weights = kernel.transpose(3, 2, 0, 1)
            groups = layer.groups
            return self._add_convolution(layer, value, shape, weights, groups, bias)
        if isinstance(layer, DepthwiseConv2D):
            kernel_size = kernel.shape[:2]
            weights = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel_size)
            groups = shape[-1]
            return self._add_convolution(layer, value, shape, weights, groups, bias)
        if isinstance(layer, Conv2DTranspose):
            weights = kernel.transpose(3, 2, 0, 1)
            return self._add_transposed(layer, value, shape, weights, bias)
        raise TypeError(f"no rule for {layer.kind}")

    def _add_transposed(
        self,
        layer: Conv2DTranspose,
        value: str,
        shape: Shape,
        weights: np.ndarray,
        bias: Optional[np.ndarray],
    ) -> str:
        """Add a transposed convolution; `weights` are in ONNX's order of axes."""
        (top, bottom), (left_columns, right_columns) = layer.cut_margins(shape)
        pads = (top, max(bottom, 0)), (left_columns, max(right_columns, 0))
        return self._add_windows(
            "ConvTranspose",
            layer,
            [value, weights, bias],
            pads=_order_pads(pads),
            output_padding=[max(-bottom, 0), max(-right_columns, 0)],
            group=layer.groups,
        )

    def _add_convolution(
        self,
        layer: Convolution2D,
        value: str,
        shape: Shape,
        weights: np.ndarray,
        groups: int,
        bias: Optional[np.ndarray],
    ) -> str:
        """Add a convolution of an image; `weights` are in ONNX's order of axes."""
        zeros = window_zeros(
            shape,
            layer.kernel_size,
            layer.strides,
            layer.dilation_rate,
            layer.padding,
        )
        return self._add_windows(
            "Conv",
            layer,
            [value, weights, bias],
            pads=_order_pads(zeros),
            group=groups,
        )

    def _add_windows(
        self,
        operator: str,
        layer: Union[Convolution2D, Conv2DTranspose],
        operands: Sequence[Optional[Operand]],
        **attributes: object,
    ) -> str:
        """Add an operator whose kernel slides over an image, the first of `operands`.

        An operand that is None is left out.
        """
        image, *arrays = [operand for operand in operands if operand is not None]
        assert isinstance(image, str)
        sums = self.add_node(
            operator,
            [self._move_channels_first(image), *arrays],
            kernel_shape=list(layer.kernel_size),
            strides=list(layer.strides),
            dilations=list(layer.dilation_rate),
            **attributes,
        )
        return self._move_channels_last(sums)

    def _add_pooling(
        self,
        layer: Pooling2D,
        value: str,
        shape: Shape,
    ) -> str:
        """Add a pooling of an image."""
        dilations = (1, 1)
        zeros = window_zeros(
            shape,
            layer.pool_size,
            layer.strides,
            dilations,
            layer.padding,
        )
        operator = "MaxPool" if isinstance(layer, MaxPooling2D) else "AveragePool"
        pooling = self.add_node(
            operator,
            [self._move_channels_first(value)],
            pads=_order_pads(zeros),
            kernel_shape=list(layer.pool_size),
            strides=list(layer.strides),
        )
        return self._move_channels_last(pooling)

    def add_reindexing(
        self,
        layer: Reindexing,
        values: Sequence[str],
        shape: Shape,
    ) -> str:
        """Add a layer without neurons that reads `values`.

        Its output has the shape `shape`, without the axis of samples.
        """
        value = values[0]
        if isinstance(layer, (Flatten, Reshape)):
            return self.add_node("Reshape", [value, _integers(-1, *shape)])
        if isinstance(layer, Permute):
            return self.add_node("Transpose", [value], perm=[0, *layer.dims])
        if isinstance(layer, Concatenate):
            axis = layer.along(len(shape)) + 1
            return self.add_node("Concat", list(values), axis=axis)
        if isinstance(layer, ZeroPadding2D):
            (top, bottom), (left_columns, right_columns) = layer.padding
            zeros_before = (0, top, left_columns, 0)
            zeros_after = (0, bottom, right_columns, 0)
            pads = _integers(*zeros_before, *zeros_after)
            return self.add_node("Pad", [value, pads])
        if isinstance(layer, Cropping2D):
            (top, _), (left_columns, _) = layer.cropping
            height, width = shape[:2]
            begins = _integers(top, left_columns)
            ends = _integers(top + height, left_columns + width)
            axes = _integers(1, 2)
            return self.add_node("Slice", [value, begins, ends, axes])
        raise TypeError(f"no rule for {layer.kind}")

    def add_activation(
        self,
        value: str,
        activation: str,
        limit: Optional[float] = None,
        levels: Optional[int] = None,
    ) -> str:
        """Add an activation by Keras's name.

        It clips at `limit`, and rounds to `levels` levels up to the limit (QCFS).
        """
        if activation == "softmax":
            return self.add_node("Softmax", [value], axis=-1)
        if activation == "relu":
            value = self.add_node("Relu", [value])
        if limit is None:
            return value
        bound = np.float32(limit)
        value = self.add_node("Min", [value, bound])
        if levels is None:
            return value
        number = np.float32(levels)
        share = self.add_node("Div", [value, bound])
        level = self.add_node("Mul", [share, number])
        level = self.add_node("Add", [level, np.float32(0.5)])
        level = self.add_node("Floor", [level])
        share = self.add_node("Div", [level, number])
        return self.add_node("Mul", [share, bound])

    def add_mean(self, value: str) -> str:
        """Add the mean over height and width."""
        image = self._move_channels_first(value)
        return self.add_node("Flatten", [self.add_node("GlobalAveragePool", [image])])

    def add_sum(self, values: Sequence[str]) -> str:
        """Add the sum of values of one shape, in order."""
        total = values[0]
        for value in values[1:]:
            total = self.add_node("Add", [total, value])
        return total

    def _move_channels_first(self, value: str) -> str:
        """Add a transposition from Keras's order of axes to ONNX's."""
        return self.add_node("Transpose", [value], perm=CHANNELS_FIRST)

    def _move_channels_last(self, value: str) -> str:
        """Add a transposition from ONNX's order of axes to Keras's."""
        return self.add_node("Transpose", [value], perm=CHANNELS_LAST)

    def add_node(
        self,
        operator: str,
        operands: Sequence[Operand],
        **attributes: Any,
    ) -> str:
        """Add an operator of ONNX that reads values and numbers."""
        output = self._make_name()
        inputs = [self._add_operand(operand) for operand in operands]
        node = helper.make_node(operator, inputs, [output], **attributes)
        self._nodes.append(node)
        return output

    def _add_operand(self, operand: Operand) -> str:
        """Return the name of a value; numbers become a constant, float32 or int64."""
        if isinstance(operand, str):
            return self._values.get(operand, operand)
        name = self._make_name()
        numbers = np.asarray(operand)
        number_type = np.int64 if numbers.dtype == np.int64 else np.float32
        # The shape of a scalar is () again.
        array = np.ascontiguousarray(numbers, number_type).reshape(numbers.shape)
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def _make_name(self) -> str:
        """Return a new name of a value."""
        return f"#{next(self._numbers)}"


def _float_info(
    name: str,
    shape: Optional[Sequence[Optional[int]]],
) -> onnx.ValueInfoProto:
    """Return the type of an input or output of a graph; `shape` is None if unknown."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _integers(*numbers: int) -> np.ndarray:
    """Return numbers as int64 (numbers,)."""
    return np.array(numbers, np.int64)


def _order_pads(zeros: Pads) -> List[int]:
    """Return the numbers of zeros of `window_zeros` in ONNX's order."""
    (top, bottom), (left_columns, right_columns) = zeros
    return [top, left_columns, bottom, right_columns]
