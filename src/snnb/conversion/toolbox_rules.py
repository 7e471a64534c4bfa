"""Models on which the parser of snntoolbox 0.5 fails, or that it silently converts to another network.

The rules look at the layers around a layer, as that parser does.
"""

from typing import Iterator, List, Optional

from snnb.conversion.keras_graph import KerasGraph, KerasLayer
from snnb.conversion.layer_rules import (
    ACTIVATIONS,
    CONVERTIBLE,
    POOLING,
    REINDEXING,
    SKIPPED,
    TRAINING_ONLY,
    WEIGHTED,
    Reason,
    label,
    of_a_layer,
    of_the_model,
)

# Most consecutive layers that the parser skips between a layer and its predecessor.
MOST_SKIPPED = 6
# Number of layers behind a layer with weights among which the parser finds its activation.
ACTIVATION_WITHIN = 3


def toolbox_reasons(graph: KerasGraph, max_pool: str, rectify_linear: bool) -> List[Reason]:
    """Return why the toolbox's parser cannot convert a model."""
    reasons = list(of_the_model(graph))
    for layer in graph.layers:
        reasons += [(label(layer.name, layer.kind), reason) for reason in of_a_layer(layer, max_pool)]
    # Rules for neighbouring layers need layers of known classes.
    if all(layer.kind in CONVERTIBLE for layer in graph.layers):
        for layer in graph.layers:
            found = _of_its_place(layer, graph, max_pool, rectify_linear)
            reasons += [(label(layer.name, layer.kind), reason) for reason in found]
    return reasons


def _of_its_place(layer: KerasLayer, graph: KerasGraph, max_pool: str, rectify_linear: bool) -> Iterator[str]:
    """Yield reasons that concern the layers before and after this one."""
    if layer.kind not in SKIPPED and any(_skipped_before(before) > MOST_SKIPPED for before in layer.inbound):
        yield f"more than {MOST_SKIPPED} Dropout, activation and similar layers before it: leave some out"
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
    absorbed = _absorbed_activation(layer)
    activation = _activation_name(absorbed or layer)
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
    name = _activation_name(layer)
    # The parser skips these layers, and a relu computes the same before and after them.
    passed = TRAINING_ONLY | {"BatchNormalization"} | (REINDEXING if name == "relu" else set())
    if name == "relu" and max_pool == "spiking":
        passed |= {"MaxPooling2D"}
    pending = list(layer.inbound) if name != "linear" else []
    while pending:
        before = pending.pop(0)
        if before.kind in WEIGHTED:
            if _absorbed_activation(before) is not layer:
                yield f"the parser would not find it for {before.name}: put it directly after that layer"
        elif before.kind == "InputLayer":
            yield "no layer with weights before it"
        elif before.kind in ACTIVATIONS and _activation_name(before) != "linear":
            yield f"follows another activation, {before.name}"
        elif before.kind in passed | ACTIVATIONS:
            pending += before.inbound
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
    following = [after for after in graph.layers[position + 1 :] if after.kind not in SKIPPED]
    if _behind(layer) != following[:1]:
        yield "the parser would join it to another branch: use AveragePooling2D over the whole map and Flatten"


def _absorbed_activation(layer: KerasLayer) -> Optional[KerasLayer]:
    """Return the Activation or ReLU that the parser's `absorb_activation` makes that of a layer with weights."""
    for _ in range(ACTIVATION_WITHIN):
        if len(layer.outbound) != 1:
            return None
        layer = layer.outbound[0]
        if layer.kind in ACTIVATIONS:
            return layer
        if layer.kind in WEIGHTED:
            return None
    return None


def _activation_name(layer: KerasLayer) -> str:
    """Return Keras's name of the activation of a layer."""
    return "relu" if layer.kind == "ReLU" else str(layer.config.get("activation"))


def _skip_training_only(layer: KerasLayer) -> KerasLayer:
    while layer.kind in TRAINING_ONLY:
        layer = layer.inbound[0]
    return layer


def _skipped_before(layer: KerasLayer) -> int:
    """Return how many layers in a row, from this one towards the input, the parser skips."""
    count = 0
    while layer.kind in SKIPPED:
        layer, count = layer.inbound[0], count + 1
    return count


def _behind(layer: KerasLayer) -> List[KerasLayer]:
    """Return the next layers in the direction of the output that the parser does not skip."""
    found: List[KerasLayer] = []
    pending = list(layer.outbound)
    while pending:
        after = pending.pop(0)
        if after.kind in SKIPPED:
            pending = after.outbound + pending
        else:
            found.append(after)
    return found


def _has_neurons_behind(layer: KerasLayer) -> bool:
    pending, met = list(layer.outbound), set()
    while pending:
        after = pending.pop()
        if after.kind in WEIGHTED | POOLING:
            return True
        if after.name not in met:
            met.add(after.name)
            pending += after.outbound
    return False
