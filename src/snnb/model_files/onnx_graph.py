"""The graph of operators of an ONNX file, read without running anything; its constants are arrays.

The format is that of onnx.proto (https://onnx.ai/onnx/repo-docs/IR.html). Weights may lie in files beside the model
(https://onnx.ai/onnx/repo-docs/ExternalData.html), which PyTorch writes by default.
"""

import math
import warnings
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from snnb.core.errors import InputError, how_to_install

if TYPE_CHECKING:
    import onnx

OLDEST, NEWEST = 9, 22  # versions of the set of operators whose meaning was compared with what is done here
EXPORT = "export it again, as with torch.onnx.export(model, torch.zeros(1, 3, 32, 32), 'net.onnx', opset_version=17)"
Attribute = Union[int, float, str, Sequence[int], Sequence[float], np.ndarray]


@dataclass(frozen=True)
class Node:
    """An operator: its type, name, the names of what it takes ("" where it is left out) and gives, its attributes."""

    kind: str
    name: str
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]
    attributes: Mapping[str, Attribute]

    def integers(self, name: str, default: Sequence[int] = ()) -> Tuple[int, ...]:
        """Return an attribute that is a list of integers."""
        value = self.attributes.get(name, default)
        return tuple(int(number) for number in np.ravel(value))

    def integer(self, name: str, default: int) -> int:
        """Return an attribute that is an integer."""
        return int(self.attributes.get(name, default))  # type: ignore[arg-type]

    def number(self, name: str, default: float) -> float:
        """Return an attribute that is a number."""
        return float(self.attributes.get(name, default))  # type: ignore[arg-type]

    def text(self, name: str, default: str) -> str:
        """Return an attribute that is text."""
        return str(self.attributes.get(name, default))


@dataclass(frozen=True)
class Graph:
    """The operators that the output needs, in order; constants by name; the input with its shape (None: any number)."""

    nodes: List[Node]
    constants: Dict[str, np.ndarray]
    input: str
    input_shape: Tuple[Optional[int], ...]
    output: str
    opset: int


def external_files(path: Path) -> List[Path]:
    """Return the files beside an ONNX file in which it keeps weights; the same checks are made as in `read_graph`."""
    graph = _parsed(path).graph
    tensors = [*graph.initializer, *(a.t for node in graph.node for a in node.attribute if a.HasField("t"))]
    return sorted({_beside(path, tensor) for tensor in tensors if tensor.data_location == tensor.EXTERNAL})


def read_graph(path: Path) -> Graph:
    """Read the graph of an ONNX file.

    Raises
    ------
    InputError
        The file is damaged or no ONNX, is of a version that is not read, has several inputs or outputs, pictures of no
        fixed size, or weights that are incomplete or not in its folder; or the package onnx is not installed.
    """
    model = _parsed(path)
    graph = model.graph
    constants = {tensor.name: _array(tensor, path) for tensor in graph.initializer}
    if graph.sparse_initializer:
        raise InputError(f"{path} has sparse weights, which are not read; {EXPORT}")
    nodes = [_node(node, number, path) for number, node in enumerate(graph.node)]
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise InputError(
            f"{path} has {len(inputs)} inputs and {len(graph.output)} outputs: give the model one of each, and {EXPORT}"
        )
    [entry], [end] = inputs, graph.output
    shape = tuple(
        int(axis.dim_value) if axis.HasField("dim_value") and axis.dim_value > 0 else None
        for axis in entry.type.tensor_type.shape.dim
    )
    if len(shape) != 4:
        raise InputError(
            f"{path} takes inputs with {len(shape)} axes: make the model take pictures (batch, channels, height, "
            f"width) and flatten them itself, and {EXPORT}"
        )
    if None in shape[1:]:
        raise InputError(
            f"{path} takes pictures of any size ({entry.name}): export it with one size, with at most the batch left "
            f"open, as with torch.onnx.export(model, torch.zeros(1, 3, 32, 32), 'net.onnx', input_names=['picture'], "
            "dynamic_axes={'picture': {0: 'batch'}})"
        )
    return Graph(_needed(nodes, end.name), constants, entry.name, shape, end.name, _opset(model, path))


def _parsed(path: Path) -> "onnx.ModelProto":
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise InputError(f"{path} can be read with the package onnx only: {how_to_install('onnx')}") from None
    model = onnx.ModelProto()
    try:
        with warnings.catch_warnings(record=True) as warned:  # protobuf's, when a part of the file is no message
            warnings.simplefilter("always")
            model.ParseFromString(path.read_bytes())
        whole = not warned
    except (DecodeError, RuntimeError, ValueError):
        whole = False
    if not whole:
        raise InputError(f"{path} is not a complete .onnx file; {EXPORT}") from None
    if not model.graph.node or not model.opset_import:
        raise InputError(f"{path} is not a complete .onnx file: it has no operators; {EXPORT}")
    return model


def _opset(model: "onnx.ModelProto", path: Path) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    version = int(versions[0]) if versions else 0
    if not OLDEST <= version <= NEWEST:
        raise InputError(f"{path} is of opset {version}, and {OLDEST} to {NEWEST} are read; {EXPORT}")
    return version


def _node(node: "onnx.NodeProto", number: int, path: Path) -> Node:
    kind = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
    attributes = {attribute.name: _attribute(attribute, path) for attribute in node.attribute}
    name = node.name or f"{node.op_type}_{number}"
    return Node(
        kind, name, tuple(node.input), tuple(node.output), {k: v for k, v in attributes.items() if v is not None}
    )


def _attribute(attribute: "onnx.AttributeProto", path: Path) -> Optional[Attribute]:
    """Return a value; None for a graph or another object, which no operator that is read has."""
    from onnx import AttributeProto as kinds  # noqa: N813

    if attribute.type == kinds.FLOAT:
        return float(attribute.f)
    if attribute.type == kinds.INT:
        return int(attribute.i)
    if attribute.type == kinds.STRING:
        return bytes(attribute.s).decode("utf-8", "replace")
    if attribute.type == kinds.TENSOR:
        return _array(attribute.t, path)
    if attribute.type == kinds.FLOATS:
        return [float(number) for number in attribute.floats]
    if attribute.type == kinds.INTS:
        return [int(number) for number in attribute.ints]
    return None


def _array(tensor: "onnx.TensorProto", path: Path) -> np.ndarray:
    from onnx import TensorProto, numpy_helper

    types: Dict[int, str] = {
        TensorProto.FLOAT: "<f4",
        TensorProto.DOUBLE: "<f8",
        TensorProto.FLOAT16: "<f2",
        TensorProto.INT64: "<i8",
        TensorProto.INT32: "<i4",
        TensorProto.INT8: "i1",
        TensorProto.UINT8: "u1",
        TensorProto.BOOL: "?",
    }
    name, shape = tensor.name[:100] or "a constant", tuple(tensor.dims)
    if tensor.data_type not in types:
        kind = next((kind for kind, number in TensorProto.DataType.items() if number == tensor.data_type), "?")
        raise InputError(f"{path}: {name} holds numbers of the type {kind}, which is not read; {EXPORT}")
    dtype = np.dtype(types[tensor.data_type])
    size = math.prod(shape) * dtype.itemsize
    if any(length < 0 for length in shape):
        raise InputError(f"{path}: {name} has the shape {shape}; {EXPORT}")
    if tensor.data_location == TensorProto.EXTERNAL:
        return _external(tensor, path, size).view(dtype).reshape(shape)
    if tensor.HasField("raw_data"):
        if len(tensor.raw_data) != size:
            raise InputError(f"{path}: {name} declares {size:,} bytes, but has {len(tensor.raw_data):,}; {EXPORT}")
        return np.frombuffer(tensor.raw_data, dtype).reshape(shape)
    stored = max(len(tensor.float_data), len(tensor.double_data), len(tensor.int64_data), len(tensor.int32_data))
    if stored != math.prod(shape):
        raise InputError(f"{path}: {name} declares {math.prod(shape):,} numbers, but has {stored:,}; {EXPORT}")
    return np.asarray(numpy_helper.to_array(tensor)).astype(dtype)


def _beside(path: Path, tensor: "onnx.TensorProto") -> Path:
    """Return the file that holds a tensor's numbers; never one outside the model's folder."""
    location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    inside = PurePosixPath(location)
    folder = path.parent.resolve()
    target = folder / inside
    if not location or "\0" in location or inside.is_absolute() or ".." in inside.parts or "\\" in location:
        raise InputError(f"{path}: its weights are in {location[:100]!r}, outside its folder, and not read; {EXPORT}")
    if target.resolve() != target:
        raise InputError(f"{path}: its weights are in {location[:100]!r}, which is a link, and not read; {EXPORT}")
    if not target.exists():
        raise InputError(f"{target} is missing, in which {path.name} has its weights: put it there")
    return target


def _external(tensor: "onnx.TensorProto", path: Path, size: int) -> np.ndarray:
    target = _beside(path, tensor)
    told = {entry.key: entry.value for entry in tensor.external_data}
    try:
        offset, length = int(told.get("offset") or 0), int(told.get("length") or size)
    except ValueError:
        raise InputError(f"{path}: {tensor.name[:100]} has no valid place in {target.name}; {EXPORT}") from None
    with target.open("rb") as file:
        stored = target.stat().st_size
        if length != size or offset < 0 or offset + size > stored:
            raise InputError(
                f"{path}: {tensor.name[:100]} needs {size:,} bytes from {offset:,} on, "
                f"but {target.name} has {stored:,}; {EXPORT}"
            )
        file.seek(offset)
        return np.frombuffer(file.read(size), np.uint8)


def _needed(nodes: List[Node], output: str) -> List[Node]:
    """Return the operators that the output depends on, in order."""
    wanted, needed = {output}, []
    for node in reversed(nodes):
        if wanted & set(node.outputs):
            wanted.update(node.inputs)
            needed.append(node)
    return needed[::-1]
