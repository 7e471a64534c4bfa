"""Models in ONNX files, as PyTorch's exporter writes them: operator by operator, Keras layers of the same weights."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Optional

import numpy as np

from snnb.core.errors import InputError, out_of_memory
from snnb.core.progress import Say
from snnb.model_files import onnx_operators as operators
from snnb.model_files import onnx_pictures as pictures
from snnb.model_files.onnx_graph import EXPORT, Graph, Node, read_graph
from snnb.model_files.onnx_values import Given, Layers, NotReadError, Value, vector

if TYPE_CHECKING:
    from tensorflow.keras import Model

Operator = Callable[[Layers, Node, List[Given]], Given]
OPERATORS: Dict[str, Operator] = {
    "Add": operators.add,
    "AveragePool": pictures.average_pooling,
    "BatchNormalization": pictures.normalisation,
    "Cast": operators.cast,
    "Clip": operators.clip,
    "Concat": operators.concatenate,
    "Constant": operators.constant_of,
    "Conv": pictures.convolution,
    "Div": operators.divide,
    "Dropout": operators.identity,
    "Flatten": operators.flatten,
    "Gather": operators.gather,
    "Gemm": operators.dense,
    "GlobalAveragePool": pictures.global_average_pooling,
    "Identity": operators.identity,
    "MatMul": operators.dense,
    "MaxPool": pictures.max_pooling,
    "Mul": operators.multiply,
    "Pad": pictures.padding,
    "ReduceMean": operators.mean,
    "Relu": operators.relu,
    "Shape": operators.shape_of,
    "Slice": operators.slice_of,
    "Squeeze": operators.squeeze,
    "Sub": operators.subtract,
    "Sum": operators.add,
    "Transpose": operators.transpose,
    "Unsqueeze": operators.unsqueeze,
}
WITH_GRAPH = ("LogSoftmax", "Reshape", "Softmax")
ELEMENTWISE = ("Add", "Cast", "Div", "Identity", "Mul", "Sub")


def read_onnx(path: Path, tell: Say) -> "Model":
    """Read a model with its weights, uncompiled.

    Raises
    ------
    InputError
        The file is damaged, its weights are incomplete or outside its folder, or it has an operator that is not read.
    """
    from tensorflow import keras

    graph = read_graph(path)
    known = {*OPERATORS, *WITH_GRAPH}
    unknown = sorted({node.kind for node in graph.nodes} - known)
    if unknown:
        first = next(node for node in graph.nodes if node.kind == unknown[0])
        more = f", and {', '.join(unknown[1:])}" if unknown[1:] else ""
        raise InputError(
            f"{path}: operator {unknown[0]} ({first.name[:100]}, opset {graph.opset}){more}: not read; "
            "docs/models-from-elsewhere.md lists the operators that are; build the model of these, and export it again"
        )
    layers, nodes = Layers(), _with_bias(graph)
    shape = graph.input_shape[1:]
    axes = "NHWC" if _channels_last(graph) else "NCHW"
    lengths = dict(zip(axes[1:], shape))
    picture = keras.Input([lengths[axis] for axis in "HWC"], name=layers.free(graph.input))
    values: Dict[str, Given] = {**graph.constants, graph.input: Value(picture, axes), "": None}
    for node in nodes:
        try:
            values[node.outputs[0]] = _operator(node, graph, tell)(layers, node, [values[name] for name in node.inputs])
        except NotReadError as error:
            reason = str(error)
        except KeyError as error:
            reason = f"it takes {str(error)[:100]}, which no operator before it gives"
        except Exception as error:  # whatever Keras or numpy raise here is about the file
            if out_of_memory(error):
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        else:
            continue
        raise InputError(f"{path}: operator {node.kind} ({node.name[:100]}, opset {graph.opset}): {reason}; {EXPORT}")
    output = values.get(graph.output)
    if not isinstance(output, Value):
        raise InputError(f"{path}: its output {graph.output} is not computed from its input; {EXPORT}")
    if output.axes != "NF" and output.shape.count(1) >= 2:
        output = vector(layers, "flatten_output", output)
    if output.order is not None:
        raise InputError(f"{path}: it ends in a flattened picture, not in classes; {EXPORT}")
    return keras.Model(picture, output.tensor)


def _operator(node: Node, graph: Graph, tell: Say) -> Operator:
    if node.kind == "Reshape":
        return partial(operators.reshape, batch=graph.input_shape[0])
    if node.kind == "LogSoftmax":
        if node.outputs[0] != graph.output:
            raise NotReadError("a logarithm inside the network has no spiking counterpart")
        tell(f"the model ends in the logarithm of a softmax ({node.name}); here in the softmax")
    if node.kind in ("Softmax", "LogSoftmax"):
        return partial(operators.softmax, opset=graph.opset)
    return OPERATORS[node.kind]


def _channels_last(graph: Graph) -> bool:
    """Say whether the input has its channels last, as in models that were made of TensorFlow's.

    They move the channels before anything looks at neighbouring pixels. PyTorch's pictures have them first.
    """
    names, moved, others = {graph.input}, False, False
    for node in graph.nodes:
        if names & set(node.inputs):
            if node.kind in ELEMENTWISE:
                names.update(node.outputs)
            elif node.kind == "Transpose" and node.integers("perm") == (0, 3, 1, 2):
                moved = True
            else:
                others = True
    return moved and not others


def _with_bias(graph: Graph) -> List[Node]:
    """Return the operators, with MatMul or Conv and the Add of a constant behind it as one."""
    uses: Dict[str, int] = {graph.output: 1}
    for node in graph.nodes:
        for name in node.inputs:
            uses[name] = uses.get(name, 0) + 1
    nodes: List[Node] = []
    made: Dict[str, int] = {}
    for node in graph.nodes:
        source = next((name for name in node.inputs if name in made and uses[name] == 1), None)
        bias = next((name for name in node.inputs if name in graph.constants), None)
        if node.kind == "Add" and source is not None and bias is not None and len(node.inputs) == 2:
            before = nodes[made[source]]
            numbers = _bias_of(before, graph.constants[bias])
            if numbers is not None:
                graph.constants[f"{bias} of {before.name}"] = numbers
                inputs = (*before.inputs[:2], f"{bias} of {before.name}")
                nodes[made[source]] = replace(before, inputs=inputs, outputs=node.outputs)
                continue
        if node.kind in ("MatMul", "Conv") and len(node.inputs) == 2 and node.inputs[1] in graph.constants:
            made[node.outputs[0]] = len(nodes)
        nodes.append(node)
    return nodes


def _bias_of(node: Node, constant: np.ndarray) -> Optional[np.ndarray]:
    """Return what an Add behind an operator adds to each channel or unit; None when it is not that."""
    if node.kind == "MatMul":
        return np.ravel(constant) if constant.ndim == 1 or constant.shape[:-1] == (1,) else None
    plain = constant.ndim in (3, 4) and constant.shape[-2:] == (1, 1) and constant.size == constant.shape[-3]
    return np.ravel(constant) if plain else None
