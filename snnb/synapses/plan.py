"""Walk a parsed model with arrays of node ids: who is a neuron, and which neuron stands where in each layer's input."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np

from snnb.errors import InputError
from snnb.synapses.parsed_model import BROKEN, INPUT, REMEDY, Layer, ParsedModel
from snnb.synapses.population import require_memory
from snnb.synapses.reindex import REINDEXING
from snnb.synapses.rules import CONNECTING, PADDING, Connection, Shape


@dataclass(frozen=True)
class PlannedPopulation:
    """One population to be: its layer, its place among the nodes, and what it is computed from.

    Attributes
    ----------
    layer : Layer
    first : int
        Id of its first neuron; the others follow in Keras order (row, column, channel).
    shape : tuple of int
    connection : Connection or None
        None for the input.
    ids : ndarray of int64, shape `connection.input_volume`, or None
        Which node stands at each position of the layer's input, -1 for padding.
    """

    layer: Layer
    first: int
    shape: Shape
    connection: Optional[Connection] = None
    ids: Optional[np.ndarray] = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def plan(model: ParsedModel, pool_weight: str) -> List[PlannedPopulation]:
    """Number the neurons of a parsed model and find out what each spiking layer is fed with.

    An array of node ids runs through the layers that only re-index, in the place of activations. What arrives at a
    spiking layer says which neuron each of its inputs is, however many such layers stand in a row.

    Parameters
    ----------
    model : ParsedModel
    pool_weight : {"one", "mean"}

    Returns
    -------
    list of PlannedPopulation
        The input first, then the spiking layers in network order.

    Raises
    ------
    InputError
        If a layer has no rule, or is fed something that its rule cannot take. No weight has been read then.
    """
    _refuse_unknown(model)
    tensors: Dict[str, np.ndarray] = {}
    populations: List[PlannedPopulation] = []
    first = 0
    for layer in model.layers:
        inbound = [tensors[name] for name in layer.inbound]
        try:
            if layer.kind in REINDEXING:
                tensors[layer.name] = _reindex(layer, inbound, model.path)
                continue
            if layer.name == INPUT:
                population = PlannedPopulation(layer, first, _input_shape(layer))
            else:
                population = _connect(layer, first, inbound[0], pool_weight)
        except InputError as error:
            raise InputError(f"{model.path}: {error}") from error
        except BROKEN as error:
            raise InputError(
                f"{model.path}: layer {layer.name} ({layer.kind}) is not configured as Keras does it "
                f"({type(error).__name__}: {error}); {REMEDY}"
            ) from error
        _check_kernel(model, population)
        require_memory(population.size, f"{model.path}: layer {layer.name}")
        populations.append(population)
        tensors[layer.name] = np.arange(first, first + population.size).reshape(population.shape)
        first += population.size
    if len(populations) < 2:
        raise InputError(f"{model.path}: no layer of the model has neurons; add a Dense or Conv2D layer")
    return populations


def _check_kernel(model: ParsedModel, population: PlannedPopulation) -> None:
    """Refuse a layer whose weights are not as many as its configuration says, before memory is taken for it."""
    connection = population.connection
    if connection is None or connection.kernel is None:
        return
    shape = model.shape(population.layer, connection.kernel)
    if math.prod(shape) != math.prod(connection.kernel_shape):
        raise InputError(
            f"{model.path}: {connection.kernel} of layer {population.layer.name} has shape {shape}, its configuration "
            f"and input ask for {connection.kernel_shape}; {REMEDY}"
        )


def _refuse_unknown(model: ParsedModel) -> None:
    known = {*CONNECTING, *REINDEXING, "InputLayer"}
    unknown = [f"{layer.name} ({layer.kind})" for layer in model.layers if layer.kind not in known]
    if unknown:
        raise InputError(
            f"{model.path}: no rule for {', '.join(unknown)}; "
            f"the graph knows {', '.join(sorted(CONNECTING))} and the re-indexing {', '.join(sorted(REINDEXING))}"
        )


def _input_shape(layer: Layer) -> Shape:
    shape = tuple(layer.config["batch_input_shape"][1:])
    if not shape or not all(type(length) is int and length > 0 for length in shape):
        raise InputError(f"layer {layer.name} has the open shape {shape}; build the model with a fixed input shape")
    return shape


def _reindex(layer: Layer, inbound: List[np.ndarray], path: Path) -> np.ndarray:
    try:
        if layer.kind.startswith("ZeroPadding"):
            require_memory(_padded(layer, inbound[0].shape), f"{path}: layer {layer.name}")
        return REINDEXING[layer.kind](layer, inbound)
    except ValueError as error:
        shapes = ", ".join(str(ids.shape) for ids in inbound)
        raise InputError(
            f"layer {layer.name} ({layer.kind}) cannot re-index inputs of shape {shapes}: {error}"
        ) from error


def _padded(layer: Layer, shape: Shape) -> int:
    """Count the positions behind a padding."""
    pads = np.reshape(layer.config["padding"], (-1, 2)).tolist()
    return math.prod(length + sum(pad) for length, pad in zip(shape, pads)) * math.prod(shape[len(pads) :])


def _connect(layer: Layer, first: int, ids: np.ndarray, pool_weight: str) -> PlannedPopulation:
    connection = CONNECTING[layer.kind](layer, ids.shape, pool_weight)
    if 0 in connection.shape:
        raise InputError(
            f"layer {layer.name} has no outputs: its kernel does not fit into its input of shape {ids.shape}"
        )
    return PlannedPopulation(layer, first, connection.shape, connection, ids.reshape(connection.input_volume))


def consecutive(ids: np.ndarray) -> Optional[int]:
    """Return the first id if `ids` counts up from it without a gap, else None."""
    flat = ids.ravel()
    return int(flat[0]) if (flat[0] != PADDING and (np.diff(flat) == 1).all()) else None


def sources(ids: np.ndarray, firsts: np.ndarray) -> Tuple[int, ...]:
    """Tell which populations, given their first ids, have neurons among `ids`."""
    flat = ids[ids != PADDING]
    return tuple(np.unique(np.searchsorted(firsts, flat, side="right") - 1).tolist())
