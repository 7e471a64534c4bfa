"""Models in ONNX files, as PyTorch's exporter writes them: operator by operator, Keras layers of the same weights.

The format is that of onnx.proto (https://onnx.ai/onnx/repo-docs/IR.html); nothing in a file is run. Weights may be in
external files next to the model (https://onnx.ai/onnx/repo-docs/ExternalData.html), which PyTorch writes by default.
The package onnx reads them; it refuses files outside the directory of the model, and links.
"""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Tuple

import numpy as np

from snnb.core.errors import InputError, ResourceError, first_line, how_to_install, out_of_memory
from snnb.core.machine import require_memory
from snnb.core.progress import Say
from snnb.io import lazy_keras as keras
from snnb.io.files import refuse_special
from snnb.model_files.kinds import NotReadError
from snnb.model_files.onnx_operators import OPERATORS
from snnb.model_files.onnx_values import Attribute, Given, Layers, Node, Value, vector

if TYPE_CHECKING:
    import onnx


VALUE_BYTES = 8  # of a constant in memory
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
MAGIC_BYTES = 8


@dataclass(frozen=True)
class Graph:
    """The operators that the output depends on, in topological order, and the constants.

    `input_shape` has the batch axis, and None for an axis of any length.
    """

    nodes: List[Node]
    constants: Dict[str, np.ndarray]
    input: str
    input_shape: Tuple[Optional[int], ...]
    output: str


def external_files(path: Path) -> List[Path]:
    """Return the external files in which an ONNX file keeps weights; for errors see `read_graph`."""
    return _external_files(path, _parsed(path, external=False).graph)


def _external_files(path: Path, graph: "onnx.GraphProto") -> List[Path]:
    """Return the external files of a graph; raise `InputError` for one outside of its folder, and for a device."""
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

    Raise `InputError` if the package onnx is not installed, `NotReadError` if the file is damaged or not ONNX, its
    operator set is too old or too new, it has several inputs or outputs, pictures of no fixed size, or weights that are
    incomplete or outside its directory.
    """
    model = _parsed(path)
    graph = model.graph
    constants = {tensor.name: _array(tensor) for tensor in graph.initializer}
    if graph.sparse_initializer:
        raise NotReadError("it has sparse weights, which are not supported")
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise NotReadError(f"it has {len(inputs)} inputs and {len(graph.output)} outputs, one of each is needed")
    [entry], [end] = inputs, graph.output
    shape = tuple(
        int(axis.dim_value) if axis.HasField("dim_value") and axis.dim_value > 0 else None
        for axis in entry.type.tensor_type.shape.dim
    )
    if len(shape) != 4:
        raise NotReadError(
            f"it takes inputs with {len(shape)} axes: make the model take images (batch, channels, height, width) "
            "and flatten them itself"
        )
    if None in shape[1:]:
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
    return Graph(_needed(nodes, end.name), constants, entry.name, shape, end.name)


def _parsed(path: Path, *, external: bool = True) -> "onnx.ModelProto":
    """Parse the file, and read its external weights."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise InputError(f"{path} can be read with the package onnx only: {how_to_install('onnx')}") from None
    try:
        with path.open("rb") as file:
            begin = file.read(MAGIC_BYTES)
        for magic, (reason, advice) in OTHER_FORMATS.items():
            if begin.startswith(magic):
                raise NotReadError(reason, advice)
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # protobuf's, for a part that is not a message
            model = onnx.load(str(path), load_external_data=False)
            if external and _external_files(path, model.graph):
                onnx.load_external_data_for_model(model, str(path.parent))
    except (
        DecodeError,
        OSError,
        RuntimeError,
        RuntimeWarning,
        SystemError,  # of protobuf 3, caused by the RuntimeWarning
        ValueError,
        onnx.checker.ValidationError,
    ) as error:
        cause = error.__cause__ if isinstance(error, SystemError) and error.__cause__ else error
        raise NotReadError(f"it is not a complete .onnx file ({first_line(cause)})") from error
    if not model.graph.node or not model.opset_import:
        raise NotReadError("it is not a complete .onnx file: it has no operators")
    return model


def _node(node: "onnx.NodeProto", number: int, opset: int) -> Node:
    from onnx import helper

    attributes: Dict[str, Attribute] = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        attributes[attribute.name] = tuple(value) if isinstance(value, list) else value
    kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    name = node.name or f"{node.op_type}_{number}"
    return Node(kind, name, tuple(node.input), tuple(node.output), attributes, node, opset)


def _array(tensor: "onnx.TensorProto") -> np.ndarray:
    from onnx import numpy_helper

    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError) as error:  # an unknown type, or not as many numbers as its shape says
        raise NotReadError(f"{tensor.name or 'a constant'} is damaged ({error})") from error


def _needed(nodes: List[Node], output: str) -> List[Node]:
    """Return the operators that the output depends on, in order."""
    wanted, needed = {output}, []
    for node in reversed(nodes):
        if wanted & set(node.outputs):
            wanted.update(node.inputs)
            needed.append(node)
    return needed[::-1]


OF_CONSTANTS = ("Constant", "Gather", "Slice")  # read where all inputs are constants, as of a computed shape
ELEMENTWISE = ("Add", "Cast", "Div", "Identity", "Mul", "Sub")


def read_onnx(path: Path, warn: Say) -> "keras.Model":
    """Read a model with its weights as an uncompiled Keras model that takes pictures (batch, height, width, channels).

    `warn` is called with a message for each difference between the model returned and the file. Raise the errors of
    `read_graph`, and `NotReadError` if an operator is not read.
    """
    graph = read_graph(path)
    _refuse_unknown(graph)
    layers = Layers(graph.input_shape[0])
    axes = "NHWC" if _channels_last(graph) else "NCHW"
    lengths = dict(zip(axes[1:], graph.input_shape[1:]))
    picture = keras.Input([lengths[axis] for axis in "HWC"], name=layers.free(graph.input))
    values: Dict[str, Given] = {**graph.constants, graph.input: Value(picture, axes), "": None}
    for node in graph.nodes:
        if node.kind == "LogSoftmax":
            if node.outputs[0] != graph.output:
                raise NotReadError(
                    f"operator LogSoftmax ({node.name}): a logarithm inside the network has no spiking form in snnb",
                    CHANGE,
                )
            warn(f"the model ends in the logarithm of a softmax ({node.name}), which is replaced by the softmax")
        try:
            values[node.outputs[0]] = _computed(node, layers, [values[name] for name in node.inputs])
        except NotReadError as error:
            reason = str(error)
        except ResourceError as error:
            raise ResourceError(f"{path}: {error}") from error
        except KeyError as error:
            reason = f"it takes {error}, which no preceding operator outputs"
        except Exception as error:  # Keras and numpy raise errors of any type for an invalid operator
            if out_of_memory(error):
                raise
            reason = first_line(error)
        else:
            continue
        raise NotReadError(f"operator {node.kind} ({node.name}, opset {node.opset}): {reason}", CHANGE)
    output = values.get(graph.output)
    if not isinstance(output, Value):
        raise NotReadError(f"its output {graph.output} is not computed from its input")
    if output.axes != "NF" and output.shape.count(1) >= 2:
        output = vector(layers, "flatten_output", output)
    if output.order is not None:
        raise NotReadError("it ends in a flattened image, not in classes")
    return keras.Model(picture, output.tensor)


def _refuse_unknown(graph: Graph) -> None:
    unknown = sorted({node.kind for node in graph.nodes} - {*OPERATORS, *OF_CONSTANTS})
    if unknown:
        first = next(node for node in graph.nodes if node.kind == unknown[0])
        more = f", and {', '.join(unknown[1:])}" if unknown[1:] else ""
        raise NotReadError(
            f"operator {unknown[0]} ({first.name}, opset {first.opset}){more}: not read",
            f"build the model of {', '.join(OPERATORS)}, and export it again",
        )


def _computed(node: Node, layers: Layers, inputs: List[Given]) -> Given:
    """Return the output of an operator; from constants, by the reference implementation of the package onnx."""
    if any(isinstance(given, Value) for given in inputs):
        if node.kind in OF_CONSTANTS:
            raise NotReadError("it takes part of a value; only complete images and vectors are supported")
        return OPERATORS[node.kind](layers, node, inputs)
    from onnx import ValueInfoProto as Info
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    constants = {name: given for name, given in zip(node.inputs, inputs) if given is not None}
    if node.kind == "Gather":  # whose output can be larger than its inputs
        size = math.prod(given.size for given in constants.values() if isinstance(given, np.ndarray))
        require_memory(VALUE_BYTES * size, f"the {size:,} constants that {node.name} gathers")
    graph = helper.make_graph(
        [node.proto], "constants", [Info(name=n) for n in constants], [Info(name=node.outputs[0])]
    )
    [output] = ReferenceEvaluator(graph, opsets={"": node.opset}).run([node.outputs[0]], constants)
    return np.asarray(output)


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
