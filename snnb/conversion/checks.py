"""Refuse what cannot be converted before any work is done, name the layers and the reasons, and choose the parser."""

import json
from typing import TYPE_CHECKING, Dict

from snnb.conversion.branches import check_branches
from snnb.conversion.conversion_settings import Parser
from snnb.conversion.keras_graph import KerasGraph, read_keras_graph
from snnb.conversion.layer_rules import of_a_layer, of_the_model, refused
from snnb.conversion.toolbox_rules import toolbox_reasons
from snnb.errors import InputError
from snnb.text import JsonValue

if TYPE_CHECKING:
    from tensorflow import keras


def check_convertible(
    model: "keras.Model", *, max_pool: str = "error", rectify_linear: bool = False, parser: Parser = "toolbox"
) -> Parser:
    """Refuse a model in memory that cannot be converted, whatever its weights are.

    Parameters
    ----------
    model : keras.Model
        The model, trained or not.
    max_pool, rectify_linear, parser
        As for `check_architecture`.

    Returns
    -------
    {"toolbox", "own"}
        The parser that takes the model.

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
    chosen = check_architecture(description, max_pool=max_pool, rectify_linear=rectify_linear, parser=parser)
    if chosen == "own":
        from snnb.conversion.own_parser import parse_own

        model = parse_own(model, max_pool=max_pool, rectify_linear=rectify_linear)
    check_branches(model)
    return chosen


def check_architecture(
    description: Dict[str, JsonValue],
    *,
    max_pool: str = "error",
    rectify_linear: bool = False,
    parser: Parser = "toolbox",
) -> Parser:
    """Refuse a model that cannot be converted.

    Parameters
    ----------
    description : dict
        What `h5.read_architecture` returns. No layer of it is built: a Lambda layer would run code.
    max_pool : {"error", "average", "spiking"}
        `error` refuses max pooling, `average` replaces it, `spiking` keeps it.
    rectify_linear : bool
        Accept hidden layers without an activation, though spikes rectify them.
    parser : {"auto", "toolbox", "own"}
        `auto` is the toolbox's where it takes the model, else our own. What ours refuses because of its place in the
        network is known only when it parses.

    Returns
    -------
    {"toolbox", "own"}
        The parser that takes the model.

    Raises
    ------
    InputError
        The model cannot be converted; the message names layers and reasons in one line.
    """
    if parser != "own":
        reasons = toolbox_reasons(read_keras_graph(description), max_pool, rectify_linear)
        if not reasons:
            return "toolbox"
        if parser == "toolbox":
            raise refused(reasons)
    _check_kinds(read_keras_graph(description, unroll=True), max_pool)
    return "own"


def _check_kinds(graph: KerasGraph, max_pool: str) -> None:
    """Refuse what our own parser cannot convert by its kind."""
    reasons = list(of_the_model(graph))
    for layer in graph.layers:
        reasons += [(f"{layer.name} ({layer.kind})", reason) for reason in of_a_layer(layer, max_pool, own=True)]
        if layer.kind == "Dense" and layer.inbound[0].rank not in (1, None):
            reasons.append((f"{layer.name} (Dense)", "its input has several axes: put Flatten before it"))
        axes = layer.config.get("axis", -1) if layer.kind == "BatchNormalization" else -1
        if layer.rank is not None and axes not in (-1, [-1], layer.rank, [layer.rank]):
            reasons.append((f"{layer.name} ({layer.kind})", f"normalises axis {axes}, not the channels"))
    if reasons:
        raise refused(reasons)
