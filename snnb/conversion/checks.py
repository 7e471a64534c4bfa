"""Refuse what cannot be converted before any work is done, and name the layer and the reason.

The rules are those of snntoolbox 0.5's parser and INI simulator: what they would refuse after a part of the work, and
what they would turn into another network without a message.
"""

import json
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Tuple

from snnb.conversion.branches import check_branches
from snnb.conversion.keras_graph import KerasGraph, KerasLayer, read_keras_graph
from snnb.errors import InputError
from snnb.text import JsonValue

if TYPE_CHECKING:
    from tensorflow import keras

WEIGHTED = {"Dense", "Conv2D", "DepthwiseConv2D"}
POOLING = {"AveragePooling2D", "MaxPooling2D", "GlobalAveragePooling2D"}
REINDEXING = {"Flatten", "Reshape", "Concatenate", "ZeroPadding2D"}
ACTIVATIONS = {"Activation", "ReLU"}
TRAINING_ONLY = {"Dropout", "ActivityRegularization", "GaussianNoise"}
CONVERTIBLE = WEIGHTED | POOLING | REINDEXING | ACTIVATIONS | TRAINING_ONLY | {"InputLayer", "BatchNormalization"}

RECURRENT = {"RNN", "SimpleRNN", "LSTM", "GRU", "ConvLSTM2D", "Bidirectional", "StackedRNNCells"}
OTHER_ACTIVATIONS = {"LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Softmax"}
MERGING = {"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Dot"}

# Layers that the parser skips on its way from a layer back to the one before it, and how many of them at most.
PASSED_OVER = ACTIVATIONS | TRAINING_ONLY | {"BatchNormalization"}
PARSER_PASSES_OVER = 6
# How many layers behind a layer with weights the parser looks for its activation.
PARSER_LOOKS_AHEAD = 3

Reason = Tuple[str, str]  # layer and reason


def check_convertible(model: "keras.Model", *, max_pool: str = "error", rectify_linear: bool = False) -> None:
    """Refuse a model in memory that cannot be converted, whatever its weights are.

    Parameters
    ----------
    model : keras.Model
        The model, trained or not.
    max_pool, rectify_linear
        As for `check_architecture`.

    Raises
    ------
    InputError
        The model cannot be converted; the message names layers and reasons in one line.
    """
    try:
        description = json.loads(model.to_json())
    except NotImplementedError:
        raise InputError(
            "the model or one of its layers is a class of its own: build it from Keras's own layers"
        ) from None
    check_architecture(description, max_pool=max_pool, rectify_linear=rectify_linear)
    check_branches(model)


def check_architecture(
    description: Dict[str, JsonValue], *, max_pool: str = "error", rectify_linear: bool = False
) -> None:
    """Refuse a model that cannot be converted.

    Parameters
    ----------
    description : dict
        What `h5.read_architecture` returns. No layer of it is built: a Lambda layer would run code.
    max_pool : {"error", "average", "spiking"}
        `error` refuses max pooling, `average` replaces it, `spiking` keeps it.
    rectify_linear : bool
        Accept hidden layers without an activation, though spikes rectify them.

    Raises
    ------
    InputError
        The model cannot be converted; the message names layers and reasons in one line.
    """
    graph = read_keras_graph(description)
    reasons = list(_of_the_model(graph))
    for layer in graph.layers:
        reasons += [(f"{layer.name} ({layer.kind})", reason) for reason in _of_a_layer(layer, max_pool)]
    # The checks below look at neighbouring layers, which is of no use as long as a layer is not understood.
    if all(layer.kind in CONVERTIBLE for layer in graph.layers):
        for layer in graph.layers:
            found = _of_its_place(layer, graph, max_pool, rectify_linear)
            reasons += [(f"{layer.name} ({layer.kind})", reason) for reason in found]
    if reasons:
        raise InputError("cannot convert this model: " + "; ".join(f"{name}: {reason}" for name, reason in reasons))


def _of_the_model(graph: KerasGraph) -> Iterator[Reason]:
    if len(graph.inputs) != 1:
        yield "model", f"has {len(graph.inputs)} inputs, one is needed"
    if len(graph.outputs) != 1:
        yield "model", f"has {len(graph.outputs)} outputs, one is needed"
    shape = graph.input_shape
    if shape is None or None in shape:
        yield "model", "has no fixed input shape: give its first layer an input_shape"
    if not any(layer.kind in WEIGHTED for layer in graph.layers):
        yield "model", "has no Dense layer and no convolution"
    last = graph.outputs[0]
    if last.kind in CONVERTIBLE and last.rank not in (1, None):
        yield last.name, "the output has several axes, but one value for each class is needed: end in Flatten or Dense"
    while last.kind in PASSED_OVER | {"Flatten", "Reshape"}:
        last = last.inbound[0]
    if last.kind in REINDEXING:
        yield f"{last.name} ({last.kind})", "has no neurons, so it cannot be the output: end in Dense or a convolution"


def _of_a_layer(layer: KerasLayer, max_pool: str) -> Iterator[str]:
    """Return reasons that lie in the layer alone."""
    config = layer.config
    if layer.kind not in CONVERTIBLE:
        yield _why_not_convertible(layer.kind)
        return
    if layer.nodes > 1:
        yield "is used more than once, but the parser sees its first use only: build a layer for each use"
    if config.get("data_format", "channels_last") != "channels_last":
        yield "channels_first: use channels_last"
    if config.get("dtype", "float32") != "float32":
        yield f"computes in {config['dtype']}, float32 is needed"
    if layer.kind in WEIGHTED | {"Activation"} and config.get("activation") not in ("relu", "softmax", "linear"):
        yield f"activation {config.get('activation')}: a spike rate can follow relu, softmax and linear only"
    if layer.kind == "ReLU":
        if config.get("max_value") is not None:
            yield f"max_value {config['max_value']}: spikes do not saturate there"
        if config.get("negative_slope"):
            yield f"negative_slope {config['negative_slope']}: a spike rate is never negative"
        if config.get("threshold"):
            yield f"threshold {config['threshold']}: the parser leaves it out"
    if layer.kind == "Reshape" and -1 in list(config["target_shape"]):
        yield "has -1 in its shape: write the number instead"
    if layer.kind == "MaxPooling2D" and max_pool == "error":
        yield "max pooling: choose --max-pool average or --max-pool spiking"


def _why_not_convertible(kind: str) -> str:
    if kind == "Lambda":
        return "runs code of its own, which cannot be converted and is not loaded"
    if kind in RECURRENT or kind.endswith("Cell"):
        return "recurrent layers cannot be converted"
    if kind in OTHER_ACTIVATIONS:
        return "a spike rate can follow relu, softmax and linear only, as Activation, ReLU or in the layer itself"
    if kind in MERGING:
        return "merges branches, which only Concatenate can do"
    if kind in ("Model", "Functional", "Sequential"):
        return "a model inside the model: use its layers one by one"
    return "snntoolbox 0.5 has no conversion for this type of layer"


def _of_its_place(layer: KerasLayer, graph: KerasGraph, max_pool: str, rectify_linear: bool) -> Iterator[str]:
    """Return reasons that lie in the layers before and after this one."""
    if layer.kind not in PASSED_OVER and any(_passed_over(before) > PARSER_PASSES_OVER for before in layer.inbound):
        yield f"more than {PARSER_PASSES_OVER} Dropout, activation and similar layers before it: leave some out"
    if layer.kind in WEIGHTED:
        yield from _of_weights(layer, rectify_linear)
    elif layer.kind in ACTIVATIONS:
        yield from _of_activation(layer, max_pool)
    elif layer.kind == "BatchNormalization":
        yield from _of_batch_normalization(layer)
    elif layer.kind == "GlobalAveragePooling2D":
        yield from _of_global_pooling(layer, graph)
    elif layer.kind == "Concatenate" and any(_skip_training_only(b).kind == "InputLayer" for b in layer.inbound):
        yield "takes the input of the model: the parser would drop the other branches"


def _of_weights(layer: KerasLayer, rectify_linear: bool) -> Iterator[str]:
    if layer.kind == "Dense" and layer.inbound[0].rank not in (1, None):
        yield "its input has several axes: put Flatten before it"
    absorbed = absorbed_activation(layer)
    activation = activation_name(absorbed or layer)
    hidden = _has_neurons_behind(layer)
    if hidden and activation == "softmax":
        yield "softmax inside the network: only the output layer may have it"
    if hidden and activation == "linear" and not rectify_linear:
        yield "no activation, but spikes rectify: add relu, or accept that with --rectify-linear"
    own = layer.config.get("activation")
    if absorbed is not None and own != "linear" and (own != activation or own == "softmax"):
        yield f"activation {own}, which the parser would replace by {absorbed.name}'s {activation}"


def _of_activation(layer: KerasLayer, max_pool: str) -> Iterator[str]:
    """Return reasons why the parser would not make it the activation of the layers with weights before it."""
    name = activation_name(layer)
    # The parser skips these layers, and a relu computes the same before and after them.
    passed = TRAINING_ONLY | {"BatchNormalization"} | (REINDEXING if name == "relu" else set())
    if name == "relu" and max_pool == "spiking":
        passed |= {"MaxPooling2D"}
    waiting = list(layer.inbound) if name != "linear" else []
    while waiting:
        before = waiting.pop(0)
        if before.kind in WEIGHTED:
            if absorbed_activation(before) is not layer:
                yield f"the parser would not find it for {before.name}: put it directly after that layer"
        elif before.kind == "InputLayer":
            yield "no layer with weights before it"
        elif before.kind in ACTIVATIONS and activation_name(before) != "linear":
            yield f"follows another activation, {before.name}"
        elif before.kind in passed | ACTIVATIONS:
            waiting += before.inbound
        else:
            yield f"the parser would move it before {before.name}: put it into a layer with weights"


def _of_batch_normalization(layer: KerasLayer) -> Iterator[str]:
    before = _skip_training_only(layer.inbound[0])
    axis = layer.config.get("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    if before.kind in ACTIVATIONS or (before.kind in WEIGHTED and before.config.get("activation") != "linear"):
        yield f"stands after the activation of {before.name}: put it between the weights and the activation"
    elif before.kind not in WEIGHTED:
        yield f"follows {before.name} ({before.kind}): only directly after Dense or a convolution can it be absorbed"
    elif len(before.outbound) > 1:
        yield f"{before.name} also feeds other layers, which absorbing this one into it would change"
    elif before.kind == "DepthwiseConv2D" and before.config.get("depth_multiplier", 1) != 1:
        yield "the parser cannot absorb it into a depthwise convolution with a depth_multiplier"
    if layer.rank is not None and axes not in ([-1], [layer.rank]):
        yield f"normalises axis {axis}, not the channels"


def _of_global_pooling(layer: KerasLayer, graph: KerasGraph) -> Iterator[str]:
    # The parser joins the layer that stands next in the list to it, whichever that is.
    position = graph.layers.index(layer)
    following = [after for after in graph.layers[position + 1 :] if after.kind not in PASSED_OVER]
    if _behind(layer) != following[:1]:
        yield "the parser would join it to another branch: use AveragePooling2D over the whole map and Flatten"


def absorbed_activation(layer: KerasLayer) -> Optional[KerasLayer]:
    """Return the Activation or ReLU that the parser makes the activation of a layer with weights.

    The parser does it in `absorb_activation`.
    """
    for _ in range(PARSER_LOOKS_AHEAD):
        if len(layer.outbound) != 1:
            return None
        layer = layer.outbound[0]
        if layer.kind in ACTIVATIONS:
            return layer
        if layer.kind in WEIGHTED:
            return None
    return None


def activation_name(layer: KerasLayer) -> str:
    """Return Keras's name of the activation of a layer."""
    return "relu" if layer.kind == "ReLU" else str(layer.config.get("activation"))


def _skip_training_only(layer: KerasLayer) -> KerasLayer:
    while layer.kind in TRAINING_ONLY:
        layer = layer.inbound[0]
    return layer


def _passed_over(layer: KerasLayer) -> int:
    """Return how many layers in a row, from this one towards the input, the parser skips."""
    count = 0
    while layer.kind in PASSED_OVER:
        layer, count = layer.inbound[0], count + 1
    return count


def _behind(layer: KerasLayer) -> List[KerasLayer]:
    """Return the next layers in the direction of the output that the parser does not skip."""
    found: List[KerasLayer] = []
    waiting = list(layer.outbound)
    while waiting:
        after = waiting.pop(0)
        if after.kind in PASSED_OVER:
            waiting = after.outbound + waiting
        else:
            found.append(after)
    return found


def _has_neurons_behind(layer: KerasLayer) -> bool:
    waiting, met = list(layer.outbound), set()
    while waiting:
        after = waiting.pop()
        if after.kind in WEIGHTED | POOLING:
            return True
        if after.name not in met:
            met.add(after.name)
            waiting += after.outbound
    return False
