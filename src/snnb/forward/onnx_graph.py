"""Build an ONNX graph of Keras's operations, in Keras's order of axes, and run it (https://onnx.ai/onnx/operators)."""

import itertools
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from snnb.network.geometry import Shape, window_zeros
from snnb.network.layers import (
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Layer,
    MaxPooling2D,
    Permute,
    Reindexing,
    Reshape,
    Scale,
    ZeroPadding2D,
)

OPSET, IR_VERSION = 13, 8
CHANNELS_FIRST, CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
Operand = Union[str, np.ndarray, np.float32]


class Session:
    """Runs a graph."""

    def __init__(self, model: bytes, inputs: Mapping[str, str], outputs: Sequence[str], threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._inputs, self._outputs = inputs, list(outputs)
        # This optimiser also merges padding into poolings that it does not fit.
        off = ["Pad_Fusion"]
        providers = ["CPUExecutionProvider"]
        self._session = onnxruntime.InferenceSession(model, options, providers=providers, disabled_optimizers=off)

    def run(self, values: Mapping[str, np.ndarray], number: Optional[int] = None) -> List[np.ndarray]:
        """Return the first `number` outputs, by default all, given float32 values by the name of the input."""
        feed = {self._inputs[name]: np.ascontiguousarray(each, np.float32) for name, each in values.items()}
        outputs: List[np.ndarray] = self._session.run(self._outputs[:number], feed)
        return outputs


class Graph:
    """An ONNX graph that is built node by node. Each method adds nodes, and returns the name of a value."""

    def __init__(self) -> None:
        self._nodes: List[onnx.NodeProto] = []
        self._constants: List[onnx.TensorProto] = []
        self._inputs: Dict[str, Tuple[str, Shape]] = {}
        self._values: Dict[str, str] = {}  # by the name that `name` has given
        self._numbers = itertools.count()

    def input(self, name: str, shape: Shape) -> None:
        """Add an input of float32 (samples, *shape)."""
        self._values[name] = self._new()
        self._inputs[name] = self._values[name], shape

    def name(self, name: str, value: str) -> None:
        """Give a value a name, by which the methods take it and `session` returns it."""
        self._values[name] = self._values.get(value, value)

    def session(self, names: Sequence[str], threads: int) -> Session:
        """Return a session of the graph, with the values of these names as outputs."""
        ends = [self.node("Identity", [self._values[name]]) for name in names]
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self._nodes,
            "network",
            [value(key, TensorProto.FLOAT, [None, *shape]) for key, shape in self._inputs.values()],
            [value(key, TensorProto.FLOAT, None) for key in ends],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        inputs = {name: key for name, (key, _) in self._inputs.items()}
        return Session(model.SerializeToString(), inputs, ends, threads)

    def weighted(
        self,
        layer: Layer,
        value: str,
        shape: Shape,
        kernel: Optional[np.ndarray] = None,
        bias: Optional[np.ndarray] = None,
    ) -> str:
        """Add a layer with neurons, without its activation, that reads a value of a shape without the batch axis.

        `kernel` has the shape of the layer's kernel in a file, `bias` the shape (channels,).
        """
        if isinstance(layer, Dense):
            assert kernel is not None
            product = self.node("MatMul", [value, kernel])
            return product if bias is None else self.node("Add", [product, bias])
        if isinstance(layer, Scale):
            assert kernel is not None
            return self.node("Mul", [value, kernel.reshape(*(shape[:-1] if layer.by_position else ()), -1)])
        if isinstance(layer, (Conv2D, DepthwiseConv2D)):
            assert kernel is not None
            pads = _onnx_order(
                window_zeros(shape, layer.kernel_size, layer.strides, layer.dilation_rate, layer.padding)
            )
            groups = 1
            if isinstance(layer, Conv2D):
                weights = kernel.transpose(3, 2, 0, 1)
            else:
                groups = shape[-1]
                weights = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
            operands: List[Operand] = [self._first(value), weights]
            return self._last(
                self.node(
                    "Conv",
                    operands if bias is None else [*operands, bias],
                    kernel_shape=list(layer.kernel_size),
                    strides=list(layer.strides),
                    dilations=list(layer.dilation_rate),
                    pads=pads,
                    group=groups,
                )
            )
        if isinstance(layer, (AveragePooling2D, MaxPooling2D)):
            pads = _onnx_order(window_zeros(shape, layer.pool_size, layer.strides, (1, 1), layer.padding))
            kind = "MaxPool" if isinstance(layer, MaxPooling2D) else "AveragePool"
            sizes = {"kernel_shape": list(layer.pool_size), "strides": list(layer.strides)}
            return self._last(self.node(kind, [self._first(value)], pads=pads, **sizes))
        raise TypeError(f"no rule for {layer.kind}")

    def rearranged(self, layer: Reindexing, values: Sequence[str], shape: Shape) -> str:
        """Add a layer without neurons that reads values; its output has the shape `shape`."""
        if isinstance(layer, (Flatten, Reshape)):
            return self.node("Reshape", [values[0], np.array([-1, *shape], np.int64)])
        if isinstance(layer, Permute):
            return self.node("Transpose", [values[0]], perm=[0, *layer.dims])
        if isinstance(layer, Concatenate):
            return self.node("Concat", list(values), axis=layer.along(len(shape)) + 1)
        if isinstance(layer, ZeroPadding2D):
            (top, bottom), (left, right) = layer.padding
            return self.node("Pad", [values[0], np.array([0, top, left, 0, 0, bottom, right, 0], np.int64)])
        if isinstance(layer, Cropping2D):
            (top, _), (left, _) = layer.cropping
            ends = [np.array(ends, np.int64) for ends in ([top, left], [top + shape[0], left + shape[1]], [1, 2])]
            return self.node("Slice", [values[0], *ends])
        raise TypeError(f"no rule for {layer.kind}")

    def activated(
        self, value: str, activation: str, limit: Optional[float] = None, levels: Optional[int] = None
    ) -> str:
        """Add an activation by Keras's name, which clips at `limit`, and rounds to `levels` of it (QCFS)."""
        if activation == "softmax":
            return self.node("Softmax", [value], axis=-1)
        if activation == "relu":
            value = self.node("Relu", [value])
        if limit is None:
            return value
        bound = np.float32(limit)
        value = self.node("Min", [value, bound])
        if levels is None:
            return value
        share = self.node("Mul", [self.node("Div", [value, bound]), np.float32(levels)])
        level = self.node("Floor", [self.node("Add", [share, np.float32(0.5)])])
        return self.node("Mul", [self.node("Div", [level, np.float32(levels)]), bound])

    def mean(self, value: str) -> str:
        """Add the mean over height and width."""
        return self.node("Flatten", [self.node("GlobalAveragePool", [self._first(value)])])

    def sum(self, values: Sequence[str]) -> str:
        """Add the sum of values of one shape, in order."""
        total = values[0]
        for value in values[1:]:
            total = self.node("Add", [total, value])
        return total

    def _first(self, value: str) -> str:
        return self.node("Transpose", [value], perm=CHANNELS_FIRST)

    def _last(self, value: str) -> str:
        return self.node("Transpose", [value], perm=CHANNELS_LAST)

    def node(self, kind: str, operands: Sequence[Operand], **attributes: Any) -> str:
        """Add an operator of ONNX that reads values and numbers."""
        output = self._new()
        self._nodes.append(helper.make_node(kind, [self._operand(each) for each in operands], [output], **attributes))
        return output

    def _operand(self, operand: Operand) -> str:
        if isinstance(operand, str):
            return self._values.get(operand, operand)
        name, array = self._new(), np.asarray(operand)
        array = np.ascontiguousarray(array, np.int64 if array.dtype == np.int64 else np.float32)
        self._constants.append(numpy_helper.from_array(array.reshape(np.shape(operand)), name))
        return name

    def _new(self) -> str:
        return f"#{next(self._numbers)}"


def _onnx_order(zeros: Tuple[Tuple[int, int], Tuple[int, int]]) -> List[int]:
    (top, bottom), (left, right) = zeros
    return [top, left, bottom, right]
