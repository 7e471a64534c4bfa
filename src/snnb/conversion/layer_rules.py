"""Check that a model can be converted, and choose the parser: the own one, or the one of snntoolbox 0.5.

The rules for the toolbox also find models that it silently converts to another network; they look at the layers around
a layer, as that parser does.
"""

from collections import Counter
from typing import Dict, Iterator, List, Optional, Tuple

from snnb.conversion.conversion_settings import Parser
from snnb.conversion.keras_graph import KerasLayer, models_inside, nodes_of, read_keras_graph, unrolled_model
from snnb.conversion.toolbox_config import has_toolbox, require_toolbox
from snnb.core.errors import InputError
from snnb.io.keras import keras

WEIGHTED = {"Dense", "Conv2D", "DepthwiseConv2D"}
POOLING = {"AveragePooling2D", "MaxPooling2D", "GlobalAveragePooling2D"}
CONVERTIBLE_REINDEXING = {"Flatten", "Reshape", "Concatenate", "ZeroPadding2D"}
ACTIVATIONS = {"Activation", "ReLU"}
TRAINING_ONLY = {"Dropout", "ActivityRegularization", "GaussianNoise"}
CONVERTIBLE = (
    WEIGHTED | POOLING | CONVERTIBLE_REINDEXING | ACTIVATIONS | TRAINING_ONLY | {"InputLayer", "BatchNormalization"}
)

OTHER_ACTIVATIONS = {"LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Softmax"}
MERGING = {"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Dot"}


# Layers that only the own parser converts.
OWN_TRAINING_ONLY = TRAINING_ONLY | {"SpatialDropout2D", "GaussianDropout", "AlphaDropout"}
OWN_WEIGHTED = WEIGHTED | {"SeparableConv2D"}
OWN_CONVERTIBLE = CONVERTIBLE | OWN_TRAINING_ONLY | OWN_WEIGHTED | {"Add"}

SKIPPED = ACTIVATIONS | TRAINING_ONLY | {"BatchNormalization"}
NAMES_AT_MOST = 5  # names of layers in a message

Reason = Tuple[str, str]  # layer and reason


def choose_parser(model: keras.Model, *, max_pool: str, rectify_linear: bool, parser: Parser) -> Parser:
    """Return the parser of a model; the own one checks the model itself.

    Options: see `convert.check_convertible`. Raise `InputError` if the toolbox's parser is asked for and is not
    installed or cannot convert the model.
    """
    if parser == "own" or (parser == "auto" and not has_toolbox()):
        return "own"
    reasons = toolbox_reasons(model, max_pool, rectify_linear)
    if parser == "toolbox":
        if reasons:
            raise refused(reasons)
        require_toolbox("--parser toolbox", "--parser own")
    return "own" if reasons else "toolbox"


def refused(reasons: List[Reason]) -> InputError:
    """Return the error that lists all reasons in one line, each once with the layers that it concerns."""
    layers: Dict[str, List[str]] = {}
    for name, reason in reasons:
        layers.setdefault(reason, []).append(name)
    phrases = []
    for reason, names in layers.items():
        more = f" and {len(names) - NAMES_AT_MOST} more" if len(names) > NAMES_AT_MOST else ""
        phrases.append(f"{', '.join(names[:NAMES_AT_MOST])}{more}: {reason}")
    return InputError("cannot convert this model: " + "; ".join(phrases))


def _model_reasons(layers: List[KerasLayer]) -> Iterator[Reason]:
    """Yield reasons that concern the output of the model."""
    if not any(layer.kind in OWN_WEIGHTED for layer in layers):
        yield "model", "has no Dense layer and no convolution"
    last = layers[-1]
    if last.kind in CONVERTIBLE and last.rank != 1:
        yield last.name, "the output has several axes, but one value per class is required: end in Flatten or Dense"
    while last.kind in SKIPPED | {"Flatten", "Reshape"}:
        last = last.inbound[0]
    if last.kind in CONVERTIBLE_REINDEXING:
        yield last.label, "has no neurons, so it cannot be the output: end in Dense or a convolution"


def _layer_reasons(layer: KerasLayer, max_pool: str, *, own: bool = False) -> Iterator[str]:
    """Yield reasons that concern the layer and the shape of its input, for the own parser or else the toolbox's."""
    config = layer.config
    if layer.kind not in (OWN_CONVERTIBLE if own else CONVERTIBLE):
        if layer.kind == "Lambda":
            yield "runs custom code, which is neither loaded nor converted"
        elif layer.kind in OTHER_ACTIVATIONS:
            yield "a spike rate can represent relu, softmax and linear only, as Activation, ReLU or in the layer itself"
        elif layer.kind in MERGING:
            yield f"merges branches, which only {'Add and Concatenate' if own else 'Concatenate'} can do"
        else:
            yield f"snnb does not support this layer type{'' if own else ' with snntoolbox 0.5'}"
        return
    if config.get("data_format", "channels_last") != "channels_last":
        yield "channels_first: use channels_last"
    if config.get("dtype", "float32") != "float32":
        yield f"computes in {config['dtype']}, float32 is needed"
    if config.get("groups", 1) != 1:
        yield f"groups {config['groups']}: grouped convolutions cannot be converted"
    if layer.kind in OWN_WEIGHTED | {"Activation"} and config.get("activation") not in ("relu", "softmax", "linear"):
        yield f"activation {config.get('activation')}: a spike rate can represent relu, softmax and linear only"
    if layer.kind == "ReLU":
        if config.get("max_value") is not None and not own:
            yield f"max_value {config['max_value']}: spike rates do not saturate there"
        if config.get("negative_slope"):
            yield f"negative_slope {config['negative_slope']}: a spike rate is never negative"
        if config.get("threshold"):
            yield f"threshold {config['threshold']}: the parser ignores it"
    if layer.kind == "Reshape" and -1 in list(config["target_shape"]):
        yield "has -1 in its shape: specify the size"
    if layer.kind == "Dense" and layer.inbound[0].rank != 1:
        yield "its input has several axes: insert Flatten before it"
    if layer.kind == "BatchNormalization" and list(config["axis"]) != [layer.rank]:
        yield f"normalises axis {', '.join(map(str, config['axis']))}, not the channels"
    if layer.kind == "MaxPooling2D" and max_pool == "error":
        yield "max pooling: choose --max-pool average or --max-pool spiking"


def own_reasons(layers: List[KerasLayer], max_pool: str) -> List[Reason]:
    """Return the layers that the own parser cannot convert, by class and configuration."""
    alone = [(layer.label, reason) for layer in layers for reason in _layer_reasons(layer, max_pool, own=True)]
    return [*_model_reasons(layers), *alone]


# Largest number of consecutive layers that the toolbox's parser skips between a layer and its predecessor.
MOST_SKIPPED = 6
# Number of layers after a layer with weights among which the toolbox's parser finds the activation.
ACTIVATION_WITHIN = 3


def toolbox_reasons(model: keras.Model, max_pool: str, rectify_linear: bool) -> List[Reason]:
    """Return the reasons why the toolbox's parser cannot convert a model."""
    layers = read_keras_graph(unrolled_model(model))
    reasons = list(_model_reasons(layers))
    for inside in models_inside(model):
        reasons.append((f"{inside.name} ({type(inside).__name__})", "a nested model: add its layers directly"))
    for layer, uses in Counter(node.outbound_layer for node in nodes_of(model)).items():
        if uses > 1 and not isinstance(layer, keras.Model):
            label = f"{layer.name} ({type(layer).__name__})"
            reasons.append((label, "is used more than once, but the parser only supports its first use"))
    reasons += [(layer.label, reason) for layer in layers for reason in _layer_reasons(layer, max_pool)]
    # Rules for neighbouring layers need layers of known classes.
    if all(layer.kind in CONVERTIBLE for layer in layers):
        for layer in layers:
            reasons += [(layer.label, r) for r in _neighbour_reasons(layer, layers, max_pool, rectify_linear)]
    return reasons


def _neighbour_reasons(
    layer: KerasLayer, layers: List[KerasLayer], max_pool: str, rectify_linear: bool
) -> Iterator[str]:
    """Yield reasons that concern the layers before and after this one."""
    if layer.kind not in SKIPPED and any(_skipped_before(before) > MOST_SKIPPED for before in layer.inbound):
        yield f"more than {MOST_SKIPPED} Dropout, activation and similar layers before it: remove some"
    if layer.kind in WEIGHTED:
        yield from _of_weights(layer, rectify_linear)
    elif layer.kind in ACTIVATIONS:
        yield from _of_activation(layer, max_pool)
    elif layer.kind == "BatchNormalization":
        yield from _of_batch_normalization(layer)
    elif layer.kind == "GlobalAveragePooling2D":
        # The parser joins the next layer in the list to it, whichever that is.
        position = layers.index(layer)
        if _following(layer) != [after for after in layers[position + 1 :] if after.kind not in SKIPPED][:1]:
            yield "the parser would connect it to another branch: use AveragePooling2D over the entire map and Flatten"
    elif layer.kind == "Concatenate" and any(_skip_training_only(b).kind == "InputLayer" for b in layer.inbound):
        yield "takes the input of the model: the parser would drop the other branches"


def _of_weights(layer: KerasLayer, rectify_linear: bool) -> Iterator[str]:
    absorbed = _absorbed_activation(layer)
    activation = _activation_name(absorbed or layer)
    hidden = _has_neurons_after(layer)
    if hidden and activation == "softmax":
        yield "softmax in a hidden layer: only the output layer may have softmax"
    if hidden and activation == "linear" and not rectify_linear:
        yield "no activation, but spiking neurons rectify: add relu, or give --rectify-linear"
    own = layer.config.get("activation")
    if absorbed is not None and own != "linear" and (own != activation or own == "softmax"):
        yield f"activation {own}, which the parser would replace by {absorbed.name}'s {activation}"


def _of_activation(layer: KerasLayer, max_pool: str) -> Iterator[str]:
    """Return reasons why the parser would not make it the activation of the layers with weights before it."""
    name = _activation_name(layer)
    # The parser skips these layers, and a relu computes the same before and after them.
    passed = TRAINING_ONLY | {"BatchNormalization"} | (CONVERTIBLE_REINDEXING if name == "relu" else set())
    if name == "relu" and max_pool == "spiking":
        passed |= {"MaxPooling2D"}
    pending = list(layer.inbound) if name != "linear" else []
    while pending:
        before = pending.pop(0)
        if before.kind in WEIGHTED:
            if _absorbed_activation(before) is not layer:
                yield f"the parser would not assign it to {before.name}: move it directly after that layer"
        elif before.kind == "InputLayer":
            yield "no layer with weights before it"
        elif before.kind in ACTIVATIONS and _activation_name(before) != "linear":
            yield f"follows another activation, {before.name}"
        elif before.kind in passed | ACTIVATIONS:
            pending += before.inbound
        else:
            yield f"the parser would move it before {before.name}: move it into a layer with weights"


def _of_batch_normalization(layer: KerasLayer) -> Iterator[str]:
    before = _skip_training_only(layer.inbound[0])
    if before.kind in ACTIVATIONS or (before.kind in WEIGHTED and before.config.get("activation") != "linear"):
        yield f"is after the activation of {before.name}: move it between the weights and the activation"
    elif before.kind not in WEIGHTED:
        reason = "it can only be absorbed directly after Dense or a convolution, or with --parser own"
        yield f"follows {before.name} ({before.kind}): {reason}"
    elif len(before.outbound) > 1:
        yield f"{before.name} also feeds other layers, which absorbing this layer would change"
    elif before.kind == "DepthwiseConv2D" and before.config.get("depth_multiplier", 1) != 1:
        yield "the parser cannot absorb it into a depthwise convolution with a depth_multiplier"


def _absorbed_activation(layer: KerasLayer) -> Optional[KerasLayer]:
    """Return the Activation or ReLU that the parser's `absorb_activation` takes as the activation of a layer."""
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
    """Return the number of consecutive layers that the parser skips, from this one towards the input."""
    count = 0
    while layer.kind in SKIPPED:
        layer, count = layer.inbound[0], count + 1
    return count


def _following(layer: KerasLayer) -> List[KerasLayer]:
    """Return the next layers in the direction of the output that the parser does not skip."""
    following: List[KerasLayer] = []
    pending = list(layer.outbound)
    while pending:
        after = pending.pop(0)
        if after.kind in SKIPPED:
            pending = after.outbound + pending
        else:
            following.append(after)
    return following


def _has_neurons_after(layer: KerasLayer) -> bool:
    pending, met = list(layer.outbound), set()
    while pending:
        after = pending.pop()
        if after.kind in WEIGHTED | POOLING:
            return True
        if after.name not in met:
            met.add(after.name)
            pending += after.outbound
    return False
