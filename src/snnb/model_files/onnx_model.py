"""Models in ONNX files, as PyTorch's exporter writes them: operator by operator, Keras's layers of the same weights.

The format is that of onnx.proto (https://onnx.ai/onnx/repo-docs/IR.html); nothing in a file is run. Weights may be in
external files next to the model (https://onnx.ai/onnx/repo-docs/ExternalData.html), which PyTorch writes by default.
The package onnx reads them; it refuses files outside the directory of the model, and links.
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

from snnb.core.errors import DamagedError, InputError, SnnbError, first_line, out_of_memory
from snnb.core.progress import Say
from snnb.io.budget import Budget
from snnb.io.files import refuse_special
from snnb.model_files.kinds import NotReadError
from snnb.model_files.onnx_operators import OPERATORS
from snnb.model_files.onnx_values import Attribute, Layers, Node, Operand, Value, vector
from snnb.network.trained import TrainedNetwork

SHAPE_NUMBERS = 100  # of a constant that may be a shape, axes or pads, at most
OLDEST, NEWEST = 9, 22  # operator set versions that the tests compare with onnxruntime
EXPORT = "export it again, as with torch.onnx.export(model, torch.zeros(1, 3, 32, 32), 'net.onnx', opset_version=17)"
CHANGE = "change this part of the model, and export it again"

# First bytes of files of other formats -> reason and advice. No ONNX file begins with them.
OTHER_FORMATS: Dict[bytes, Tuple[str, str]] = {
    b"\x89HDF\r\n\x1a\n": (
        "it is an HDF5 file",
        "rename it to end in .h5 if Keras wrote it, in .nir if it is a NIR file",
    ),
    b"PK\x03\x04": (
        "it is a zip archive",
        f"rename it to end in .keras if Keras wrote it; if PyTorch wrote it, {EXPORT}",
    ),
    **{bytes([0x80, protocol]): ("it is a pickle, whose reading can run code", EXPORT) for protocol in range(2, 6)},
}
# SystemError is of protobuf 3, caused by the warning
RAISED_BY_ONNX = (DecodeError, OSError, RuntimeError, SystemError, ValidationError, ValueError, Warning)


@dataclass(frozen=True)
class Graph:
    """The operators that the output depends on, in topological order, and the constants."""

    nodes: List[Node]
    constants: Dict[str, np.ndarray]
    input: str
    batch: Optional[int]  # number of pictures in a batch if the file fixes it
    shape: Tuple[int, ...]  # of a picture, in ONNX's order
    output: str
    budget: Budget  # of the file, with its external files


def external_files(path: Path, graph: "Optional[onnx.GraphProto]" = None) -> List[Path]:
    """Return the external files in which an ONNX file, whose graph may be given, keeps weights.

    Raise `InputError` for one outside of its folder, and for a device; for other errors see `read_graph`.
    """
    if graph is None:
        graph = _parsed(path).graph
    entries = [
        entry for tensor in _tensors(graph) if tensor.data_location == tensor.EXTERNAL for entry in tensor.external_data
    ]
    files = sorted({path.parent / entry.value for entry in entries if entry.key == "location"})
    for file in files:
        refuse_special(file)
    outside = [file for file in files if path.parent.resolve() not in file.resolve().parents]
    if outside:
        raise InputError(f"{path}: its weights are in {outside[0]}, outside of its folder; {EXPORT}")
    return files


def _tensors(graph: "onnx.GraphProto") -> "Iterator[onnx.TensorProto]":
    """Yield the constants of a graph, of its operators, and of the graphs in them."""
    yield from graph.initializer
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        yield from (attribute.t, *attribute.tensors)
        for inner in (attribute.g, *attribute.graphs):
            yield from _tensors(inner)


def read_graph(path: Path) -> Graph:
    """Read the graph of an ONNX file.

    Raise `NotReadError` if the file is damaged or not ONNX, its operator set is too old or too new, it has several
    inputs or outputs, pictures of no fixed size, or weights that are incomplete or outside its directory.
    """
    model = _parsed(path)
    graph = model.graph
    budget = _load_external(path, model)
    constants = {tensor.name: _array(tensor) for tensor in graph.initializer}
    if graph.sparse_initializer:
        raise NotReadError("it has sparse weights, which are not supported")
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise NotReadError(f"it has {len(inputs)} inputs and {len(graph.output)} outputs, one of each is needed")
    [entry], [end] = inputs, graph.output
    lengths = [int(axis.dim_value) for axis in entry.type.tensor_type.shape.dim]  # not above 0: of any length
    if len(lengths) != 4:
        raise NotReadError(
            f"it takes inputs with {len(lengths)} axes: make the model take images (batch, channels, height, width) "
            "and flatten them itself"
        )
    batch, *shape = lengths
    if min(shape) < 1:
        raise NotReadError(
            f"it takes images of any size ({entry.name})",
            "export it with one size, with at most a dynamic batch size, as with torch.onnx.export(model, "
            "torch.zeros(1, 3, 32, 32), 'net.onnx', input_names=['picture'], dynamic_axes={'picture': {0: 'batch'}})",
        )
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    opset = int(versions[0]) if versions else 0
    if not OLDEST <= opset <= NEWEST:
        raise NotReadError(f"it is of opset {opset}, and {OLDEST} to {NEWEST} are supported")
    nodes = [_node(node, number, opset) for number, node in enumerate(graph.node)]
    wanted, needed = {end.name}, []  # values that the output depends on, and the operators that compute them
    for node in reversed(nodes):
        if wanted & set(node.outputs):
            wanted.update(node.inputs)
            needed.append(node)
    fixed = batch if batch > 0 else None
    return Graph(needed[::-1], constants, entry.name, fixed, tuple(shape), end.name, budget)


def _parsed(path: Path) -> onnx.ModelProto:
    """Parse the file, without its external weights."""
    try:
        with path.open("rb") as file:
            begin = file.read(max(map(len, OTHER_FORMATS)))
        for magic, (reason, advice) in OTHER_FORMATS.items():
            if begin.startswith(magic):
                raise NotReadError(reason, advice)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # protobuf's, for a part that is not a message
            model = onnx.load(str(path), load_external_data=False)
    except RAISED_BY_ONNX as error:
        cause = error.__cause__ if isinstance(error, SystemError) and error.__cause__ else error
        raise NotReadError(f"it is not a complete .onnx file ({first_line(cause)})") from error
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
            name, shape = tensor.name or "a constant", tuple(tensor.dims)
            raise NotReadError(f"{name} is damaged: its shape is {shape}")
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
        raise NotReadError(f"its file of external weights is damaged ({first_line(error)})") from error
    return budget


def _node(node: onnx.NodeProto, number: int, opset: int) -> Node:
    attributes: Dict[str, Attribute] = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        attributes[attribute.name] = tuple(value) if isinstance(value, list) else value
    # Protobuf until 3.20 returns bytes if a text is not UTF-8.
    kind = str(node.op_type) if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    name = node.name or f"{node.op_type}_{number}"
    return Node(kind, name, tuple(node.input), tuple(node.output), attributes, node, opset)


def _array(tensor: onnx.TensorProto) -> np.ndarray:
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError) as error:  # an unknown type, or not as many numbers as its shape says
        raise NotReadError(f"{tensor.name or 'a constant'} is damaged ({error})") from error


OF_CONSTANTS = ("Constant", "Gather", "Slice")  # read where all inputs are constants, as of a computed shape
WINDOWED = ("AveragePool", "Conv", "GlobalAveragePool", "MaxPool")  # of images only
CONSTANT_BYTES = 8  # of a number of a constant in memory
ELEMENTWISE = ("Add", "Cast", "Div", "Identity", "Mul", "Sub")


def read_onnx(path: Path, warn: Say) -> TrainedNetwork:
    """Read a model with its weights as a network that takes pictures (height, width, channels).

    `warn` is called with a message for each difference between the network returned and the file. Raise the errors of
    `read_graph`, and `NotReadError` if an operator is not read.
    """
    graph = read_graph(path)
    unknown = sorted({node.kind for node in graph.nodes} - {*OPERATORS, *OF_CONSTANTS})
    if unknown:
        first = next(node for node in graph.nodes if node.kind == unknown[0])
        more = f", and {', '.join(unknown[1:])}" if unknown[1:] else ""
        raise NotReadError(
            f"operator {unknown[0]} ({first.name}, opset {first.opset}){more}: not read",
            f"build the model of {', '.join(OPERATORS)}, and export it again",
        )
    axes = "NHWC" if _channels_last(graph) else "NCHW"
    lengths = dict(zip(axes[1:], graph.shape))
    layers = Layers(graph.budget, graph.batch, graph.input, tuple(lengths[axis] for axis in "HWC"))
    values: Dict[str, Operand] = {**graph.constants, graph.input: Value(layers.input, axes), "": None}
    for node in graph.nodes:
        if node.kind == "LogSoftmax":
            if node.outputs[0] != graph.output:
                raise NotReadError(f"operator LogSoftmax ({node.name}): no spiking form of a logarithm", CHANGE)
            warn(f"the model ends in the logarithm of a softmax ({node.name}), which is replaced by the softmax")
        try:
            values[node.outputs[0]] = _computed(node, layers, values)
        except DamagedError:  # of the file, not of the operator
            raise
        except (NotReadError, InputError) as error:
            raise NotReadError(f"operator {node.kind} ({node.name}, opset {node.opset}): {error}", CHANGE) from error
    output = values.get(graph.output)
    if not isinstance(output, Value):
        raise NotReadError(f"its output {graph.output} is not computed from its input")
    if output.axes != "NF" and output.shape.count(1) >= 2:
        output = vector(layers, "flatten_output", output)
    if output.order is not None:
        raise NotReadError("it ends in a flattened image, not in classes")
    return layers.network(output.layer)


def _computed(node: Node, layers: Layers, values: Mapping[str, Operand]) -> Operand:
    """Return the output of an operator; `values` has those of the operators before it."""
    missing = [name for name in node.inputs if name not in values]
    if missing:
        raise NotReadError(f"it takes {missing[0]!r}, which no preceding operator outputs")
    inputs = [values[name] for name in node.inputs]
    if not any(isinstance(operand, Value) for operand in inputs):
        return _constant(node, inputs, layers.budget)
    if node.kind in OF_CONSTANTS:
        raise NotReadError("it takes part of a value; only complete images and vectors are supported")
    try:
        return OPERATORS[node.kind](layers, node, inputs)
    except (NotReadError, SnnbError):
        raise
    except Exception as error:
        # A fault of the model is one that ONNX's own definition of the operator finds.
        fault = None if out_of_memory(error) else _fault_of(node, inputs, layers.batch)
        if fault is None:
            raise
        raise NotReadError(fault) from error


def _constant(node: Node, inputs: Sequence[Operand], budget: Budget) -> np.ndarray:
    """Compute the output of an operator on constants.

    The package onnx computes it, by its reference implementation of the operator.
    """
    from onnx.reference import ReferenceEvaluator  # takes long to import

    if node.kind in WINDOWED:
        raise NotReadError("it takes a constant where an image is needed")
    operands = dict(zip(node.inputs, inputs))
    constants = {name: operand for name, operand in operands.items() if operand is not None}
    ends = [onnx.ValueInfoProto(name=name) for name in (*constants, node.outputs[0])]
    graph = helper.make_graph([node.proto], "constants", ends[:-1], ends[-1:])
    try:
        output = _inferred(node, inputs)
        axes = output.shape.dim
        if not output.HasField("shape") or not all(axis.HasField("dim_value") for axis in axes):
            raise NotReadError("the size of its output does not follow from its inputs")
        size = math.prod(axis.dim_value for axis in axes)
        budget.draw(size, f"values of the constant {node.outputs[0]}", CONSTANT_BYTES)
        evaluator = ReferenceEvaluator(graph, opsets={"": node.opset})
        [computed] = evaluator.run([node.outputs[0]], constants)
        return np.asarray(computed)
    except (NotReadError, SnnbError):
        raise
    except Exception as error:  # of any type, by numpy and onnx, for an invalid operator
        if out_of_memory(error):
            raise
        raise NotReadError(first_line(error)) from error


def _inferred(node: Node, inputs: Sequence[Operand], batch: Optional[int] = None) -> onnx.TypeProto.Tensor:
    """Return the type of an operator's output by ONNX's shape inference.

    Raise an error of onnx if the inputs do not fit.
    """
    types: Dict[str, onnx.TypeProto] = {}
    numbers: Dict[str, onnx.TensorProto] = {}
    for name, operand in zip(node.inputs, inputs):
        if isinstance(operand, Value):
            shape = (batch, *operand.shape)
            types[name] = helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, shape)
        elif operand is not None:
            kind = helper.np_dtype_to_tensor_dtype(operand.dtype)
            types[name] = helper.make_tensor_type_proto(kind, operand.shape)
            if operand.size <= SHAPE_NUMBERS:
                numbers[name] = numpy_helper.from_array(operand, name)
    opsets = [helper.make_opsetid("", node.opset)]
    schema = onnx.defs.get_schema(node.kind, node.opset, "")
    inferred = onnx.shape_inference.infer_node_outputs(
        schema,
        node.proto,
        types,
        numbers,
        opset_imports=opsets,
    )
    return inferred[node.outputs[0]].tensor_type


def _fault_of(node: Node, inputs: Sequence[Operand], batch: Optional[int]) -> Optional[str]:
    """Return the fault of an operator's attributes or inputs, by ONNX's definition.

    None without any: the error that led here is then one of this package.
    """
    context = onnx.checker.C.CheckerContext()
    context.ir_version = onnx.IR_VERSION
    context.opset_imports = {"": node.opset}
    try:
        onnx.checker.check_node(node.proto, context)
        _inferred(node, inputs, batch)
    except Exception as error:  # of any type
        return first_line(error)
    return None


def _channels_last(graph: Graph) -> bool:
    """Return whether the input has its channels last, as in models converted from TensorFlow.

    They transpose the channels before any operator on neighbouring pixels. PyTorch's pictures have them first.
    """
    names, moved, others = {graph.input}, False, False
    for node in graph.nodes:
        if names & set(node.inputs):
            if node.kind in ELEMENTWISE:
                names.update(node.outputs)
            elif node.kind == "Transpose" and node.get("perm", ()) == (0, 3, 1, 2):
                moved = True
            else:
                others = True
    return moved and not others


def outputs_of_file(path: Path, x: np.ndarray, *, softmax: bool) -> np.ndarray:
    """Compute the outputs of the network in an ONNX file by ONNX Runtime: float32 (samples, elements).

    `x` are images with the pixels that the file takes, float32 (samples, height, width, channels). `softmax`: logits,
    and the logarithm of a softmax, become the softmax.
    """
    graph = read_graph(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    pictures = np.ascontiguousarray(x if _channels_last(graph) else x.transpose(0, 3, 1, 2), np.float32)
    size = graph.batch or len(x)
    filled = np.resize(pictures, (-(-len(x) // size) * size, *pictures.shape[1:]))
    parts = [filled[first : first + size] for first in range(0, len(filled), size)]
    outputs: np.ndarray = np.concatenate([session.run([graph.output], {graph.input: part})[0] for part in parts])
    outputs = outputs.reshape(len(filled), -1)[: len(x)]
    if not softmax or any(node.kind == "Softmax" for node in graph.nodes):
        return outputs
    powers: np.ndarray = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
