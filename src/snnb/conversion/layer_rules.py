"""Which layers both parsers can convert by class and configuration, and the message that lists the reasons."""

from typing import Dict, Iterator, List, Tuple

from snnb.conversion.keras_graph import KerasGraph, KerasLayer
from snnb.core.errors import InputError

WEIGHTED = {"Dense", "Conv2D", "DepthwiseConv2D"}
POOLING = {"AveragePooling2D", "MaxPooling2D", "GlobalAveragePooling2D"}
REINDEXING = {"Flatten", "Reshape", "Concatenate", "ZeroPadding2D"}
ACTIVATIONS = {"Activation", "ReLU"}
TRAINING_ONLY = {"Dropout", "ActivityRegularization", "GaussianNoise"}
CONVERTIBLE = WEIGHTED | POOLING | REINDEXING | ACTIVATIONS | TRAINING_ONLY | {"InputLayer", "BatchNormalization"}

RECURRENT = {"RNN", "SimpleRNN", "LSTM", "GRU", "ConvLSTM2D", "Bidirectional", "StackedRNNCells"}
OTHER_ACTIVATIONS = {"LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Softmax"}
MERGING = {"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Dot"}


# Layers that only the own parser converts.
OWN_TRAINING_ONLY = TRAINING_ONLY | {"SpatialDropout2D", "GaussianDropout", "AlphaDropout"}
OWN_WEIGHTED = WEIGHTED | {"SeparableConv2D"}
OWN_CONVERTIBLE = CONVERTIBLE | OWN_TRAINING_ONLY | OWN_WEIGHTED | {"Add"}

SKIPPED = ACTIVATIONS | TRAINING_ONLY | {"BatchNormalization"}
NAMES_AT_MOST = 5  # of layers refused for the same reason

Reason = Tuple[str, str]  # layer and reason


def refused(reasons: List[Reason]) -> InputError:
    """Return the error that lists all reasons in one line, each once with the layers that it concerns."""
    layers: Dict[str, List[str]] = {}
    for name, reason in reasons:
        layers.setdefault(reason, []).append(name)
    phrases = [f"{_joined(names)}: {reason}" for reason, names in layers.items()]
    return InputError("cannot convert this model: " + "; ".join(phrases))


def _joined(names: List[str]) -> str:
    more = len(names) - NAMES_AT_MOST
    return ", ".join(names[:NAMES_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def of_the_model(graph: KerasGraph) -> Iterator[Reason]:
    """Yield reasons that concern the inputs and outputs of the model."""
    if len(graph.inputs) != 1:
        yield "model", f"has {len(graph.inputs)} inputs, one is needed"
    if len(graph.outputs) != 1:
        yield "model", f"has {len(graph.outputs)} outputs, one is needed"
    shape = graph.input_shape
    if shape is None or None in shape:
        yield "model", "has no fixed input shape: give its first layer an input_shape"
    if not any(layer.kind in OWN_WEIGHTED for layer in graph.layers):
        yield "model", "has no Dense layer and no convolution"
    last = graph.outputs[0]
    if last.kind in CONVERTIBLE and last.rank not in (1, None):
        yield last.name, "the output has several axes, but one value for each class is needed: end in Flatten or Dense"
    while last.kind in SKIPPED | {"Flatten", "Reshape"}:
        last = last.inbound[0]
    if last.kind in REINDEXING:
        yield f"{last.name} ({last.kind})", "has no neurons, so it cannot be the output: end in Dense or a convolution"


def of_a_layer(layer: KerasLayer, max_pool: str, *, own: bool = False) -> Iterator[str]:
    """Yield reasons that concern the layer alone, for the own parser or else the toolbox's."""
    config = layer.config
    if layer.kind not in (OWN_CONVERTIBLE if own else CONVERTIBLE):
        yield _why_not_convertible(layer.kind, own)
        return
    if layer.nodes > 1:
        yield "is used more than once, but the parser sees its first use only: build a layer for each use"
    if config.get("data_format", "channels_last") != "channels_last":
        yield "channels_first: use channels_last"
    if config.get("dtype", "float32") != "float32":
        yield f"computes in {config['dtype']}, float32 is needed"
    if config.get("groups", 1) != 1:
        yield f"groups {config['groups']}: a convolution in groups cannot be converted"
    if layer.kind in OWN_WEIGHTED | {"Activation"} and config.get("activation") not in ("relu", "softmax", "linear"):
        yield f"activation {config.get('activation')}: a spike rate can follow relu, softmax and linear only"
    if layer.kind == "ReLU":
        if config.get("max_value") is not None and not own:
            yield f"max_value {config['max_value']}: spikes do not saturate there"
        if config.get("negative_slope"):
            yield f"negative_slope {config['negative_slope']}: a spike rate is never negative"
        if config.get("threshold"):
            yield f"threshold {config['threshold']}: the parser leaves it out"
    if layer.kind == "Reshape" and -1 in list(config["target_shape"]):
        yield "has -1 in its shape: write the number instead"
    if layer.kind == "MaxPooling2D" and max_pool == "error":
        yield "max pooling: choose --max-pool average or --max-pool spiking"


def _why_not_convertible(kind: str, own: bool) -> str:
    if kind == "Lambda":
        return "runs code of its own, which cannot be converted and is not loaded"
    if kind in RECURRENT or kind.endswith("Cell"):
        return "recurrent layers cannot be converted"
    if kind in OTHER_ACTIVATIONS:
        return "a spike rate can follow relu, softmax and linear only, as Activation, ReLU or in the layer itself"
    if kind in MERGING:
        return f"merges branches, which only {'Add and Concatenate' if own else 'Concatenate'} can do"
    if kind in ("Model", "Functional", "Sequential"):
        return "a model inside the model: use its layers one by one"
    return f"{'snnb' if own else 'snntoolbox 0.5'} has no conversion for this type of layer"


def own_reasons(graph: KerasGraph, max_pool: str) -> List[Reason]:
    """Return the layers that the own parser cannot convert, by class and configuration; each is used once."""
    reasons = list(of_the_model(graph))
    for layer in graph.layers:
        reasons += [(label(layer.name, layer.kind), reason) for reason in of_a_layer(layer, max_pool, own=True)]
        if layer.kind == "Dense" and layer.inbound[0].rank not in (1, None):
            reasons.append((label(layer.name, layer.kind), "its input has several axes: put Flatten before it"))
        axes = layer.config.get("axis", -1) if layer.kind == "BatchNormalization" else -1
        if layer.rank is not None and axes not in (-1, [-1], layer.rank, [layer.rank]):
            reasons.append((label(layer.name, layer.kind), f"normalises axis {axes}, not the channels"))
    return reasons


def label(name: str, kind: str) -> str:
    """Return the name of a layer in messages."""
    return f"{name} ({kind})"
