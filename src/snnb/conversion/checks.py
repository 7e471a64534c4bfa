"""Check that a model can be converted, and choose the parser."""

from typing import TYPE_CHECKING, Dict

from snnb.conversion.branches import check_branches
from snnb.conversion.conversion_settings import Parser
from snnb.conversion.keras_graph import read_keras_graph
from snnb.conversion.layer_rules import own_reasons, refused, toolbox_reasons
from snnb.conversion.toolbox_config import has_toolbox
from snnb.core.errors import InputError
from snnb.io.keras_file import LAYERS
from snnb.io.text import JsonValue

if TYPE_CHECKING:
    from snnb.io.keras import keras


def check_convertible(
    model: "keras.Model", *, max_pool: str = "error", rectify_linear: bool = False, parser: Parser = "toolbox"
) -> Parser:
    """Check that a model in memory can be converted, with any weights.

    Parameters
    ----------
    model : keras.Model
    max_pool : {"error", "average", "spiking"}
        `error` refuses max pooling, `average` replaces it, `spiking` keeps it.
    rectify_linear : bool
        Accept hidden layers without an activation, though spikes rectify them.
    parser : {"auto", "toolbox", "own"}
        `auto` is the toolbox's if it is installed and can convert the model, else the own parser.

    Returns
    -------
    {"toolbox", "own"}
        The parser to use.

    Raises
    ------
    InputError
        The model cannot be converted; the message names layers and reasons in one line.
    """
    from snnb.io.keras import description_of

    try:
        description = description_of(model)
    except NotImplementedError:
        raise InputError("the model or one of its layers is a custom class: build it from Keras's own layers") from None
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
    """Check that a model can be converted, without building it, since a Lambda layer would run code.

    `description` is the JSON of Keras, as `h5.read_architecture` returns it. For the own parser only the layer classes
    are checked here; `parse_own` checks the rest. Options, result and errors: see `check_convertible`.
    """
    if parser == "toolbox" or (parser == "auto" and has_toolbox()):
        reasons = toolbox_reasons(read_keras_graph(description), max_pool, rectify_linear)
        if not reasons:
            return "toolbox"
        if parser == "toolbox":
            raise refused(reasons)
    graph = read_keras_graph(description, unroll=True)
    if not all(layer.kind in LAYERS for layer in graph.layers):
        raise refused(own_reasons(graph, max_pool))
    return "own"
