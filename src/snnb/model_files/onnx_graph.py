"""Read the graph of operators of an ONNX file, without running anything; its constants become arrays.

The format is that of onnx.proto (https://onnx.ai/onnx/repo-docs/IR.html). Weights may be in external files next to the
model (https://onnx.ai/onnx/repo-docs/ExternalData.html), which PyTorch writes by default. The package onnx reads them;
it refuses files outside the directory of the model, and links.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Tuple, TypeVar, Union, cast

import numpy as np

from snnb.core.errors import InputError, how_to_install
from snnb.model_files.kinds import NotReadError

if TYPE_CHECKING:
    import onnx

OLDEST, NEWEST = 9, 22  # operator set versions that the tests compare with onnxruntime
EXPORT = "export it again, as with torch.onnx.export(model, torch.zeros(1, 3, 32, 32), 'net.onnx', opset_version=17)"
Attribute = Union[int, float, str, Tuple[float, ...], np.ndarray]
_T = TypeVar("_T", int, float, str, Tuple[int, ...])


@dataclass(frozen=True)
class Node:
    """An operator, with the version of its operator set.

    Attributes
    ----------
    inputs, outputs : tuple of str
        Names of the values it reads ("" for one that is left out) and computes.
    attributes : mapping
        Tensors are arrays.
    proto : onnx.NodeProto
        The operator as the file has it.
    """

    kind: str
    name: str
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]
    attributes: Mapping[str, Attribute]
    proto: "onnx.NodeProto"
    opset: int

    def get(self, name: str, default: _T) -> _T:
        """Return an attribute, or `default` if the file has none with that name."""
        return cast(_T, self.attributes.get(name, default))


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
    """Return the external files in which an ONNX file keeps weights."""
    graph = _parsed(path, external=False).graph
    tensors = [*graph.initializer, *(a.t for node in graph.node for a in node.attribute if a.HasField("t"))]
    entries = [entry for tensor in tensors if tensor.data_location == tensor.EXTERNAL for entry in tensor.external_data]
    return sorted({path.parent / entry.value for entry in entries if entry.key == "location"})


def read_graph(path: Path) -> Graph:
    """Read the graph of an ONNX file.

    Raises
    ------
    InputError
        The package onnx is not installed.
    NotReadError
        The file is damaged or not ONNX, its operator set is too old or too new, it has several inputs or outputs,
        pictures of no fixed size, or weights that are incomplete or outside its directory.
    """
    model = _parsed(path)
    graph = model.graph
    constants = {tensor.name: _array(tensor) for tensor in graph.initializer}
    if graph.sparse_initializer:
        raise NotReadError("it has sparse weights, which are not read")
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
            f"it takes inputs with {len(shape)} axes: make the model take pictures (batch, channels, height, width) "
            "and flatten them itself"
        )
    if None in shape[1:]:
        raise NotReadError(
            f"it takes pictures of any size ({entry.name})",
            "export it with one size, with at most the batch left open, as with torch.onnx.export(model, "
            "torch.zeros(1, 3, 32, 32), 'net.onnx', input_names=['picture'], dynamic_axes={'picture': {0: 'batch'}})",
        )
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    opset = int(versions[0]) if versions else 0
    if not OLDEST <= opset <= NEWEST:
        raise NotReadError(f"it is of opset {opset}, and {OLDEST} to {NEWEST} are read")
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
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # protobuf's, for a part that is not a message
            model = onnx.load(str(path), load_external_data=False)
            if external:
                onnx.load_external_data_for_model(model, str(path.parent))
    except (DecodeError, RuntimeWarning, onnx.checker.ValidationError, RuntimeError, ValueError, OSError) as error:
        line = (str(error).splitlines() or [""])[0]
        raise NotReadError(f"it is not a complete .onnx file ({line})") from error
    if not model.graph.node or not model.opset_import:
        raise NotReadError("it is not a complete .onnx file: it has no operators")
    return model


def _node(node: "onnx.NodeProto", number: int, opset: int) -> Node:
    kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    attributes = {attribute.name: _attribute(attribute) for attribute in node.attribute}
    name = node.name or f"{node.op_type}_{number}"
    known = {key: value for key, value in attributes.items() if value is not None}
    return Node(kind, name, tuple(node.input), tuple(node.output), known, node, opset)


def _attribute(attribute: "onnx.AttributeProto") -> Optional[Attribute]:
    """Return a value; None for a graph or another object, which no operator that is read has."""
    from onnx import TensorProto, helper

    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, TensorProto):
        return _array(value)
    numbers = tuple(value) if isinstance(value, list) else (value,)
    if not all(isinstance(number, (int, float)) for number in numbers):
        return None
    return numbers if isinstance(value, list) else value


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
