"""Models in ONNX files, as PyTorch's exporter writes them: operator by operator, Keras layers of the same weights."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional

import numpy as np

from snnb.core.errors import out_of_memory
from snnb.core.progress import Say
from snnb.model_files.kinds import NotReadError
from snnb.model_files.onnx_graph import Graph, Node, read_graph
from snnb.model_files.onnx_operators import OPERATORS
from snnb.model_files.onnx_values import Given, Layers, Value, vector

if TYPE_CHECKING:
    from snnb.io.keras import keras

OF_CONSTANTS = ("Constant", "Gather", "Slice")  # read where all inputs are constants, as of a computed shape
ELEMENTWISE = ("Add", "Cast", "Div", "Identity", "Mul", "Sub")


def read_onnx(path: Path, warn: Say) -> "keras.Model":
    """Read a model with its weights as an uncompiled Keras model that takes pictures (batch, height, width, channels).

    Parameters
    ----------
    path : Path
        The ONNX file.
    warn : callable
        Called with a message for each difference between the model returned and the file.

    Raises
    ------
    InputError
        The package onnx is not installed.
    NotReadError
        The file is damaged, its weights are incomplete or outside its directory, or an operator is not read.
    """
    from snnb.io.keras import keras

    graph = read_graph(path)
    _refuse_unknown(graph)
    layers, nodes = Layers(graph.input_shape[0]), _with_bias(graph)
    axes = "NHWC" if _channels_last(graph) else "NCHW"
    lengths = dict(zip(axes[1:], graph.input_shape[1:]))
    picture = keras.Input([lengths[axis] for axis in "HWC"], name=layers.free(graph.input))
    values: Dict[str, Given] = {**graph.constants, graph.input: Value(picture, axes), "": None}
    for node in nodes:
        if node.kind == "LogSoftmax":
            if node.outputs[0] != graph.output:
                raise NotReadError(
                    f"operator LogSoftmax ({node.name}): a logarithm inside the network has no spiking counterpart"
                )
            warn(f"the model ends in the logarithm of a softmax ({node.name}); here in the softmax")
        try:
            values[node.outputs[0]] = _computed(node, layers, [values[name] for name in node.inputs])
        except NotReadError as error:
            reason = str(error)
        except KeyError as error:
            reason = f"it takes {error}, which no operator before it gives"
        except Exception as error:  # Keras and numpy raise errors of any type for an invalid operator
            if out_of_memory(error):
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        else:
            continue
        raise NotReadError(f"operator {node.kind} ({node.name}, opset {node.opset}): {reason}")
    output = values.get(graph.output)
    if not isinstance(output, Value):
        raise NotReadError(f"its output {graph.output} is not computed from its input")
    if output.axes != "NF" and output.shape.count(1) >= 2:
        output = vector(layers, "flatten_output", output)
    if output.order is not None:
        raise NotReadError("it ends in a flattened picture, not in classes")
    return keras.Model(picture, output.tensor)


def _refuse_unknown(graph: Graph) -> None:
    unknown = sorted({node.kind for node in graph.nodes} - {*OPERATORS, *OF_CONSTANTS})
    if unknown:
        first = next(node for node in graph.nodes if node.kind == unknown[0])
        more = f", and {', '.join(unknown[1:])}" if unknown[1:] else ""
        raise NotReadError(
            f"operator {unknown[0]} ({first.name}, opset {first.opset}){more}: not read",
            "docs/models-from-elsewhere.md lists the operators that are; build the model of these, and export it again",
        )


def _computed(node: Node, layers: Layers, inputs: List[Given]) -> Given:
    """Return the output of an operator; from constants, by the reference implementation of the package onnx."""
    if any(isinstance(given, Value) for given in inputs):
        if node.kind in OF_CONSTANTS:
            raise NotReadError("it takes part of a value; only complete pictures and vectors are read")
        return OPERATORS[node.kind](layers, node, inputs)
    from onnx import ValueInfoProto as Info
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    constants = {name: given for name, given in zip(node.inputs, inputs) if given is not None}
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


def _with_bias(graph: Graph) -> List[Node]:
    """Return the operators; a MatMul or Conv followed by the Add of a constant becomes one with a bias."""
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
    """Return the numbers that an Add after an operator adds to each channel or unit; None if it is not a bias."""
    if node.kind == "MatMul":
        return np.ravel(constant) if constant.ndim == 1 or constant.shape[:-1] == (1,) else None
    plain = constant.ndim in (3, 4) and constant.shape[-2:] == (1, 1) and constant.size == constant.shape[-3]
    return np.ravel(constant) if plain else None
