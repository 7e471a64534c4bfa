"""Models in ONNX files, as PyTorch's exporter writes them.

Each operator becomes Keras's layers of the same weights. The format is that of
onnx.proto (https://onnx.ai/onnx/repo-docs/IR.html); nothing in a file is run. Weights
may be in external files next to the model
(https://onnx.ai/onnx/repo-docs/ExternalData.html), which PyTorch writes by default. The
package onnx reads them; it refuses files outside the directory of the model, and links.
"""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import onnx
import onnx.checker
import onnx.shape_inference
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper
from onnx.checker import ValidationError

from snnb.core.errors import (
    DamagedError,
    InputError,
    SnnbError,
    first_line,
    out_of_memory,
)
from snnb.core.progress import Say
from snnb.io.budget import Budget
from snnb.io.files import refuse_special
from snnb.model_files.kinds import NotReadError
from snnb.model_files.onnx_operators import OPERATORS
from snnb.model_files.onnx_values import (
    Attribute,
    LayerCollector,
    OnnxNode,
    OnnxValue,
    Operand,
    OperatorCall,
    flatten,
)
from snnb.network.trained import TrainedNetwork

SHAPE_NUMBERS = 100  # of a constant that may be a shape, axes or pads, at most
# Operator set versions that the tests compare with onnxruntime
OLDEST_OPSET = 9
NEWEST_OPSET = 22
DOMAINS = ("", "ai.onnx")  # of ONNX's own operators
_EXPORT_CALL = "torch.onnx.export(model, torch.zeros(1, 3, 32, 32), 'net.onnx'"
EXPORT = f"export it again, as with {_EXPORT_CALL}, opset_version=17)"
CHANGE = "change this part of the model, and export it again"

PICKLE = ("it is a pickle, whose reading can run code", EXPORT)
# First bytes of files of other formats -> reason and advice. No ONNX file begins with
# them.
OTHER_FORMATS: Dict[bytes, Tuple[str, str]] = {
    b"\x89HDF\r\n\x1a\n": (
        "it is an HDF5 file",
        "rename it to end in .h5 if Keras wrote it, in .nir if it is a NIR file",
    ),
    b"PK\x03\x04": (
        "it is a zip archive",
        f"rename it to end in .keras if Keras wrote it; if PyTorch wrote it, {EXPORT}",
    ),
    **{bytes([0x80, protocol]): PICKLE for protocol in range(2, 6)},
}
RAISED_BY_ONNX = (
    DecodeError,
    OSError,
    RuntimeError,
    SystemError,  # of protobuf 3, caused by the warning
    ValidationError,
    ValueError,
    Warning,
)


@dataclass(frozen=True)
class OnnxGraph:
    """The operators that the output depends on, in topological order.

    The constants, and the input and output of the graph, are beside them.
    """

    nodes: List[OnnxNode]
    constants: Dict[str, np.ndarray]
    input: str
    batch: Optional[int]  # number of pictures in a batch if the file fixes it
    shape: Tuple[int, ...]  # of a picture, in ONNX's order
    output: str
    budget: Budget  # of the file, with its external files


def external_files(
    path: Path,
    graph: "Optional[onnx.GraphProto]" = None,
) -> List[Path]:
    """Return the external files in which an ONNX file keeps weights.

    `graph` is that of the file, if it is read already. Raise `InputError` for a file
    outside of its folder, and for a device; for other errors see `read_graph`.
    """
    if graph is None:
        graph = _parse(path).graph
    files = set()
    for tensor in _tensors(graph):
        if tensor.data_location == tensor.EXTERNAL:
            for entry in tensor.external_data:
                if entry.key == "location":
                    files.add(path.parent / entry.value)
    sorted_files = sorted(files)
    for file in sorted_files:
        refuse_special(file)
    folder = path.parent.resolve()
    for file in sorted_files:
        if folder not in file.resolve().parents:
            raise InputError(
                f"{path}: its weights are in {file}, outside of its folder; {EXPORT}"
            )
    return sorted_files


def _tensors(graph: "onnx.GraphProto") -> "Iterator[onnx.TensorProto]":
    """Yield the constants of a graph, of its operators, and of the graphs in them."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            yield from _tensors(attribute.g)
            for inner_graph in attribute.graphs:
                yield from _tensors(inner_graph)


def read_graph(path: Path) -> OnnxGraph:
    """Read the graph of an ONNX file.

    Raise `NotReadError` if the file is damaged or not ONNX, its operator set is too old
    or too new, it has several inputs or outputs, pictures of no fixed size, or weights
    that are incomplete or outside its directory.
    """
    model = _parse(path)
    graph = model.graph
    budget = _load_external(path, model)
    constants = {tensor.name: _array(tensor) for tensor in graph.initializer}
    if graph.sparse_initializer:
        raise NotReadError("it has sparse weights, which are not supported")
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise NotReadError(
            f"it has {len(inputs)} inputs and {len(graph.output)} outputs, one of each "
            "is needed"
        )
    [graph_input] = inputs
    [graph_output] = graph.output
    batch, *shape = _input_lengths(graph_input)
    opset = _opset(model)
    nodes = [_node(node, number, opset) for number, node in enumerate(graph.node)]
    return OnnxGraph(
        _nodes_before(nodes, graph_output.name),
        constants,
        graph_input.name,
        batch if batch > 0 else None,
        tuple(shape),
        graph_output.name,
        budget,
    )


def _input_lengths(graph_input: "onnx.ValueInfoProto") -> List[int]:
    """Return the lengths of the axes of an input: batch, channels, height, width.

    The number of pictures in a batch is not above 0 if it is not fixed.
    """
    axes = graph_input.type.tensor_type.shape.dim
    lengths = [int(axis.dim_value) for axis in axes]  # not above 0: of any length
    if len(lengths) != 4:
        raise NotReadError(
            f"it takes inputs with {len(lengths)} axes: make the model take images "
            "(batch, channels, height, width) and flatten them itself",
        )
    if min(lengths[1:]) < 1:
        raise NotReadError(
            f"it takes images of any size ({graph_input.name})",
            "export it with one size, with at most a dynamic batch size, as with "
            f"{_EXPORT_CALL}, input_names=['picture'], "
            "dynamic_axes={'picture': {0: 'batch'}})",
        )
    return lengths


def _opset(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's operator set; raise `NotReadError` for another."""
    entries = [entry for entry in model.opset_import if entry.domain in DOMAINS]
    opset = int(entries[0].version) if entries else 0
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise NotReadError(
            f"it is of opset {opset}, and {OLDEST_OPSET} to {NEWEST_OPSET} are "
            "supported"
        )
    return opset


def _nodes_before(nodes: Sequence[OnnxNode], output: str) -> List[OnnxNode]:
    """Return the operators that a value depends on, in their order."""
    values = {output}
    result = []
    for node in reversed(nodes):
        if values & set(node.outputs):
            values.update(node.inputs)
            result.append(node)
    return result[::-1]


def _parse(path: Path) -> onnx.ModelProto:
    """Parse the file, without its external weights."""
    try:
        with path.open("rb") as file:
            begin = file.read(max(map(len, OTHER_FORMATS)))
        for magic, (reason, advice) in OTHER_FORMATS.items():
            if begin.startswith(magic):
                raise NotReadError(reason, advice)
        with warnings.catch_warnings():
            # protobuf's, for a part that is not a message
            warnings.simplefilter("error", RuntimeWarning)
            model = onnx.load(str(path), load_external_data=False)
    except RAISED_BY_ONNX as error:
        cause: Optional[BaseException] = None
        if isinstance(error, SystemError):
            cause = error.__cause__
        reason = first_line(cause or error)
        raise NotReadError(f"it is not a complete .onnx file ({reason})") from error
    if not model.graph.node or not model.opset_import:
        raise NotReadError("it is not a complete .onnx file: it has no operators")
    return model


def _load_external(path: Path, model: onnx.ModelProto) -> Budget:
    """Read the external weights of a model, after drawing their bytes.

    Return the budget of the file and its external files.
    """
    files = external_files(path, model.graph)
    sizes = {file: file.stat().st_size for file in files if file.is_file()}
    budget = Budget(path, path.stat().st_size + sum(sizes.values()))
    for tensor in _tensors(model.graph):
        if any(length < 0 for length in tensor.dims):
            name = tensor.name or "a constant"
            raise NotReadError(f"{name} is damaged: its shape is {tuple(tensor.dims)}")
        if tensor.data_location == tensor.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            size = sizes.get(path.parent / entries.get("location", ""), 0)
            length = entries.get("length", "")
            size = int(length) if length.isdecimal() else size
            budget.draw(size, f"bytes of {tensor.name}")
    try:
        if files:
            onnx.load_external_data_for_model(model, str(path.parent))
    except RAISED_BY_ONNX as error:
        reason = first_line(error)
        raise NotReadError(
            f"its file of external weights is damaged ({reason})"
        ) from error
    return budget


def _node(node: onnx.NodeProto, number: int, opset: int) -> OnnxNode:
    """Return an operator of a graph; `number` is its index there."""
    attributes: Dict[str, Attribute] = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        attributes[attribute.name] = tuple(value) if isinstance(value, list) else value
    # Protobuf until 3.20 returns bytes if a text is not UTF-8.
    kind = str(node.op_type)
    if node.domain in DOMAINS:
        node.domain = ""  # the only name that onnx's definitions have
    else:
        kind = f"{node.domain}.{node.op_type}"
    return OnnxNode(
        kind,
        node.name or f"{node.op_type}_{number}",
        tuple(node.input),
        tuple(node.output),
        attributes,
        node,
        opset,
    )


def _array(tensor: onnx.TensorProto) -> np.ndarray:
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError) as error:
        # An unknown type, or not as many numbers as its shape says
        name = tensor.name or "a constant"
        raise NotReadError(f"{name} is damaged ({error})") from error


# Operators that are read where all inputs are constants, as of a computed shape
CONSTANT_OPERATORS = ("Constant", "ConstantOfShape", "Gather", "Slice")
PICTURE_OPERATORS = (
    "AveragePool",
    "Conv",
    "ConvTranspose",
    "GlobalAveragePool",
    "MaxPool",
)
CONSTANT_BYTES = 8  # of a number of a constant in memory
ELEMENTWISE_OPERATORS = ("Add", "Cast", "Div", "Identity", "Mul", "Sub")


def read_onnx(path: Path, warn: Say) -> TrainedNetwork:
    """Read a model with its weights as a network.

    It takes pictures (height, width, channels). `warn` is called with a message for
    each difference between the network returned and the file. Raise the errors of
    `read_graph`, and `NotReadError` if an operator is not read.
    """
    graph = read_graph(path)
    _refuse_unknown_operators(graph)
    axes = "NHWC" if _has_channels_last(graph) else "NCHW"
    lengths = dict(zip(axes[1:], graph.shape))
    picture_shape = tuple(lengths[axis] for axis in "HWC")
    layers = LayerCollector(graph.budget, graph.batch, graph.input, picture_shape)
    values: Dict[str, Operand] = {
        **graph.constants,
        graph.input: OnnxValue(layers.input, axes),
        "": None,
    }
    for node in graph.nodes:
        if node.kind == "LogSoftmax":
            if node.outputs[0] != graph.output:
                raise NotReadError(
                    f"operator LogSoftmax ({node.name}): no spiking form of a logarithm",
                    CHANGE,
                )
            fault = f"the model ends in the logarithm of a softmax ({node.name})"
            warn(f"{fault}, which is replaced by the softmax")
        try:
            values[node.outputs[0]] = _read_operator(node, layers, values)
        except DamagedError:  # of the file, not of the operator
            raise
        except (NotReadError, InputError) as error:
            raise NotReadError(
                f"operator {node.kind} ({node.name}, opset {node.opset}): {error}",
                CHANGE,
            ) from error
    output = values.get(graph.output)
    if not isinstance(output, OnnxValue):
        raise NotReadError(f"its output {graph.output} is not computed from its input")
    if output.axes != "NF" and output.shape.count(1) >= 2:
        output = flatten(layers, "flatten_output", output)
    if output.order is not None:
        raise NotReadError("it ends in a flattened image, not in classes")
    return layers.network(output.layer)


def _refuse_unknown_operators(graph: OnnxGraph) -> None:
    """Raise `NotReadError` if the graph has an operator that is not read."""
    kinds = {node.kind for node in graph.nodes}
    unknown_kinds = sorted(kinds - {*OPERATORS, *CONSTANT_OPERATORS})
    if not unknown_kinds:
        return
    kind, *further_kinds = unknown_kinds
    node = next(node for node in graph.nodes if node.kind == kind)
    more = f", and {', '.join(further_kinds)}" if further_kinds else ""
    raise NotReadError(
        f"operator {kind} ({node.name}, opset {node.opset}){more}: not read",
        f"build the model of {', '.join(OPERATORS)}, and export it again",
    )


def _read_operator(
    node: OnnxNode,
    layers: LayerCollector,
    values: Mapping[str, Operand],
) -> Operand:
    """Return the output of an operator; `values` has those of the operators before."""
    for name in node.inputs:
        if name not in values:
            raise NotReadError(
                f"it takes {name!r}, which no preceding operator outputs"
            )
    _check_node(node)
    inputs = [values[name] for name in node.inputs]
    if not any(isinstance(operand, OnnxValue) for operand in inputs):
        return _compute_constant(node, inputs, layers.budget)
    if node.kind in CONSTANT_OPERATORS:
        raise NotReadError(
            "it takes part of a value; only complete images and vectors are supported"
        )
    try:
        return OPERATORS[node.kind](OperatorCall(node, inputs, layers))
    except (NotReadError, SnnbError):
        raise
    except Exception as error:
        # A fault of the model is one that ONNX's own definition of the operator finds.
        if out_of_memory(error):
            raise
        fault_of_model = _find_fault(node, inputs, layers.batch)
        if fault_of_model is None:
            raise
        raise NotReadError(fault_of_model) from error


def _compute_constant(
    node: OnnxNode,
    inputs: Sequence[Operand],
    budget: Budget,
) -> np.ndarray:
    """Compute the output of an operator on constants.

    The package onnx computes it, by its reference implementation of the operator.
    """
    from onnx.reference import ReferenceEvaluator  # takes long to import

    if node.kind in PICTURE_OPERATORS:
        raise NotReadError("it takes a constant where an image is needed")
    output = node.outputs[0]
    constants: Dict[str, np.ndarray] = {}
    for name, operand in zip(node.inputs, inputs):
        if isinstance(operand, np.ndarray):
            constants[name] = operand
    input_infos = [onnx.ValueInfoProto(name=name) for name in constants]
    output_info = onnx.ValueInfoProto(name=output)
    graph = helper.make_graph([node.proto], "constants", input_infos, [output_info])
    try:
        output_type = _infer_type(node, inputs)
        axes = output_type.shape.dim
        has_lengths = all(axis.HasField("dim_value") for axis in axes)
        if not output_type.HasField("shape") or not has_lengths:
            raise NotReadError("the size of its output does not follow from its inputs")
        size = math.prod(axis.dim_value for axis in axes)
        budget.draw(size, f"values of the constant {output}", CONSTANT_BYTES)
        evaluator = ReferenceEvaluator(graph, opsets={"": node.opset})
        [constant] = evaluator.run([output], constants)
        return np.asarray(constant)
    except (NotReadError, SnnbError):
        raise
    except Exception as error:
        # Of any type, by numpy and onnx, for an invalid operator
        if out_of_memory(error):
            raise
        raise NotReadError(first_line(error)) from error


def _infer_type(
    node: OnnxNode,
    inputs: Sequence[Operand],
    batch: Optional[int] = None,
) -> onnx.TypeProto.Tensor:
    """Return the type of an operator's output by ONNX's shape inference.

    Raise an error of onnx if the inputs do not fit.
    """
    types: Dict[str, onnx.TypeProto] = {}
    numbers: Dict[str, onnx.TensorProto] = {}
    for name, operand in zip(node.inputs, inputs):
        if isinstance(operand, OnnxValue):
            shape = (batch, *operand.shape)
            types[name] = helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, shape)
        elif operand is not None:
            kind = helper.np_dtype_to_tensor_dtype(operand.dtype)
            types[name] = helper.make_tensor_type_proto(kind, operand.shape)
            if operand.size <= SHAPE_NUMBERS:
                numbers[name] = numpy_helper.from_array(operand, name)
    opsets = [helper.make_opsetid("", node.opset)]
    schema = onnx.defs.get_schema(node.kind, node.opset, "")
    output_types = onnx.shape_inference.infer_node_outputs(
        schema,
        node.proto,
        types,
        numbers,
        opset_imports=opsets,
    )
    return output_types[node.outputs[0]].tensor_type


def _check_node(node: OnnxNode) -> None:
    """Raise `NotReadError` if an operator is not as ONNX's definition says.

    The definition has the attributes with their types, and the number of inputs.
    """
    context = onnx.checker.C.CheckerContext()
    context.ir_version = onnx.IR_VERSION
    context.opset_imports = {"": node.opset}
    try:
        onnx.checker.check_node(node.proto, context)
    except RAISED_BY_ONNX as error:
        raise NotReadError(first_line(error)) from error


def _find_fault(
    node: OnnxNode,
    inputs: Sequence[Operand],
    batch: Optional[int],
) -> Optional[str]:
    """Return the fault of an operator's inputs, by ONNX's definition.

    None without any: the error that led here is then one of this package.
    """
    try:
        _infer_type(node, inputs, batch)
    except Exception as error:  # of any type
        return first_line(error)
    return None


def _has_channels_last(graph: OnnxGraph) -> bool:
    """Return whether the input has its channels last, as models of TensorFlow have.

    Converted from TensorFlow, they transpose the channels before any operator on
    neighbouring pixels. PyTorch's pictures have them first.
    """
    names = {graph.input}  # of values of the picture, before a transposition
    has_transposition = False
    for node in graph.nodes:
        if not names & set(node.inputs):
            continue
        if node.kind in ELEMENTWISE_OPERATORS:
            names.update(node.outputs)
        elif node.kind == "Transpose" and node.get("perm", ()) == (0, 3, 1, 2):
            has_transposition = True
        else:
            return False
    return has_transposition


def outputs_of_file(path: Path, x: np.ndarray, *, softmax: bool) -> np.ndarray:
    """Compute the outputs of the network in an ONNX file by ONNX Runtime.

    `x` are images with the pixels that the file takes, float32 (samples, height, width,
    channels); the outputs are float32 (samples, elements). `softmax`: logits, and the
    logarithm of a softmax, become the softmax.
    """
    graph = read_graph(path)
    session = onnxruntime.InferenceSession(
        str(path),
        providers=["CPUExecutionProvider"],
        # This optimiser also merges padding into averages, which then exclude it.
        disabled_optimizers=["Pad_Fusion"],
    )
    pictures = x if _has_channels_last(graph) else x.transpose(0, 3, 1, 2)
    pictures = np.ascontiguousarray(pictures, np.float32)
    samples = len(x)
    batch = graph.batch or samples
    batches = -(-samples // batch)
    # The last batch is filled with the pictures from the beginning
    full_batches = np.resize(pictures, (batches * batch, *pictures.shape[1:]))
    batch_outputs = []
    for start in range(0, len(full_batches), batch):
        feed = {graph.input: full_batches[start : start + batch]}
        batch_outputs += session.run([graph.output], feed)
    outputs: np.ndarray = np.concatenate(batch_outputs)
    outputs = outputs.reshape(len(full_batches), -1)[:samples]
    if not softmax or any(node.kind == "Softmax" for node in graph.nodes):
        return outputs
    powers: np.ndarray = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
