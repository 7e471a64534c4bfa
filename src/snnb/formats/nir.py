"""`nir`: a NIR graph of layers, written by its own library (Pedersen et al., Nature Communications 15:8122, 2024).

A population is an `IF` node, images with channels first; an output that does not spike
is an `I` node, which integrates. Each projection is a node before it, `Conv2d`,
`SumPool2d` (the mean's factor is then the resistance `r` of the neurons) or `Affine` and
`Linear`, and NIR adds the inputs of a node. Thresholds are the largest float32 number
below 1, since NIR's neurons spike above it, or integers. `Flatten` precedes a matrix. The
description lists what NIR cannot express (`nir.losses`).

`Conv2d` has a bias for each channel. Where biases differ between positions, as at the border of pictures less their
mean, a `Conv2d` of zeros with biases of 1 and a `Scale` add the differences.

NIR pads as PyTorch does, the same number of zeros on both sides. Other paddings, a source that is only some channels of
a layer's input, and depthwise layers become the same convolution with taps that are 0.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple, Union

import h5py
import numpy as np

from snnb.core.errors import ResourceError, UsageError
from snnb.formats.description import refuse_max_pooling, refuse_properties
from snnb.formats.request import UNSAFE, Format, Request, starts_above_zero
from snnb.graph.connection import Connection
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.geometry import Axis
from snnb.network.layers import AveragePooling2D, Conv2D, DepthwiseConv2D
from snnb.network.network import of_most_positions

LARGEST_MATRIX = 1 << 28  # numbers: a GiB
MOST_ZERO_TAPS = 64  # around a kernel; usual paddings need fewer
LARGEST_KERNEL = 1 << 26  # numbers; where zeros make it larger, a matrix is tried
Node = object  # of the library, which has no types


@dataclass(frozen=True)
class Convolution:
    """A convolution over images, as NIR's `Conv2d`; pairs are of rows and columns."""

    # (filters, channels, taps, taps) float32; square, since nir 1.0.8 takes the number of row taps for both axes
    weight: np.ndarray
    stride: Tuple[int, int]
    padding: Tuple[int, int]
    dilation: Tuple[int, int]


@dataclass(frozen=True)
class WindowSum:
    """The sum over each window of each channel, as NIR's `SumPool2d`; pairs are of rows and columns."""

    size: Tuple[int, int]
    stride: Tuple[int, int]
    padding: Tuple[int, int]
    mean: np.ndarray  # (rows, columns) float32: weight of a spike in each window, 1 / (neurons in it)


Operation = Union[Convolution, WindowSum, None]  # None: a matrix


def _layers(graph: SynapseGraph) -> Tuple[Set[str], List[List[Operation]]]:
    """Return the names of populations of images, and the layers of each projection, one for each connection."""
    images = {population.name for population in graph.inputs if len(population.shape) == 3}
    layers: List[List[Operation]] = [[None] for _ in graph.projections]
    for population in graph.layers:
        inbound = [(number, p) for number, p in enumerate(graph.projections) if p.target is population]
        # The factor of a pooling is a property of the neuron, which multiplies its entire input.
        has_one_input = len(inbound) == 1 and not population.bias.any()
        for number, projection in inbound:
            if projection.source.name not in images or not projection.connections:
                continue
            pooling = window_sum_of(projection) if has_one_input else None
            found: List[Operation] = (
                [convolution_of(c) for c in projection.connections] if pooling is None else [pooling]
            )
            if None not in found:
                layers[number] = found
        if inbound and all(None not in layers[number] for number, _ in inbound):
            images.add(population.name)
    return images, layers


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, one node per population, and one or more per projection; see `Format`."""
    import nir

    (images, layers), names = _layers(graph), _node_names(graph)
    amplitude, counter = request.amplitude, request.counter(graph.number_of_edges())
    nodes: Dict[str, Node] = {names[p.name]: nir.Input(np.array(_shape(p, images))) for p in graph.inputs}
    ways: List[Tuple[int, List[str]]] = []  # and the id of the first neuron at the end
    for population in graph.layers:
        resistance = np.ones(_shape(population, images), np.float32)
        biases: List[Optional[np.ndarray]] = [population.bias.astype(np.float64) / amplitude, None]
        if population.later_bias is not None:  # comes with the spikes that close a cycle
            biases[1] = np.broadcast_to(population.later_bias, population.shape)
        for number, projection in enumerate(graph.projections):
            if projection.target is not population:
                continue
            # The amplitude of a spike of the input is 1
            unit = amplitude if projection.source in graph.inputs else 1.0
            for part, linear in enumerate(layers[number]):
                if isinstance(linear, WindowSum):
                    mean = (linear.mean / unit).astype(np.float32)
                    resistance = np.ascontiguousarray(np.broadcast_to(mean, resistance.shape))
                closes = _closes_cycle(projection)
                chains = [_chain(nir, projection, linear, unit, biases[closes], images)]
                bias = biases[closes]
                if isinstance(linear, Convolution) and bias is not None:
                    rest = bias - of_most_positions(bias)
                    if rest.any():
                        # A convolution of zeros whose bias is 1, times the rest
                        zeros = replace(linear, weight=np.zeros_like(linear.weight))
                        scale = nir.Scale(np.ascontiguousarray(rest.transpose(2, 0, 1), np.float32))
                        ones = _chain(nir, projection, zeros, unit, np.ones_like(bias), images)
                        chains.append({"ones": ones.pop("convolution"), "rest": scale, **ones})
                biases[closes] = None  # added once
                for chain in chains:
                    if projection.delay > closes:
                        waits = np.full(_shape(projection.source, images), float(projection.delay - closes))
                        chain = {"delay": nir.Delay(waits), **chain}
                    labels = [f"{number:04d}_{part}_{kind}" for kind in chain]
                    nodes.update(zip(labels, chain.values()))
                    way = [names[projection.source.name], *labels, names[population.name]]
                    ways.append((population.first, way))
            counter.add(projection.number_of_edges)
        order = _channels_first_order(population)
        if population.neuron is not None:
            values = population.neuron.numbers(population.shape)
            numbers = {name: value.ravel()[order].reshape(resistance.shape) for name, value in values.items()}
            nodes[names[population.name]] = _neurons(nir, numbers, resistance)
            continue
        neuron = request.neuron_of(population)
        if not neuron.spikes:
            nodes[names[population.name]] = nir.I(r=resistance)
            continue
        threshold = neuron.firing_threshold / amplitude
        potential = np.broadcast_to(threshold, population.shape)
        thresholds = potential.astype(np.float32).ravel()[order]
        if not graph.integers:
            thresholds = np.nextafter(thresholds, np.float32(0))
        threshold_of = np.ascontiguousarray(thresholds.reshape(resistance.shape))
        nodes[names[population.name]] = nir.IF(r=resistance, v_threshold=threshold_of)
    # A reader finds the edges that close cycles by a search from the input, as they are written.
    ways.sort(key=lambda way: -way[0])
    edges = [edge for _, way in ways for edge in zip(way, way[1:])]
    if graph.neuron_model:
        cycles = {(names[p.source.name], names[p.target.name]) for p in graph.projections if _closes_cycle(p)}
        closing = {(way[-2], way[-1]) for _, way in ways if (way[0], way[-1]) in cycles}
        _check_cycles(edges, [names[p.name] for p in graph.inputs], closing)
    sources = [projection.source for projection in graph.projections]
    unread = [population for population in graph.populations if population not in sources]
    for population in graph.layers[-1:] if graph.neuron_model or not unread else unread:
        name = f"{names[population.name]}_output"
        nodes[name] = nir.Output(np.array(_shape(population, images)))
        edges.append((names[population.name], name))
    written = nir.NIRGraph(nodes, edges)
    if h5py.version.version_tuple[0] < 3:  # which does not take strings in lists; TensorFlow 2.2 needs it
        written.edges = np.array(edges, h5py.string_dtype())
    nir.write(str(path), written)


def _closes_cycle(projection: GraphProjection) -> bool:
    return projection.delay > 0 and projection.source.first >= projection.target.first


def _check_cycles(edges: Sequence[Tuple[str, str]], inputs: Sequence[str], closing: Set[Tuple[str, str]]) -> None:
    """Raise `UsageError` unless a depth-first search of the edges in their order finds just these that close cycles."""
    import networkx

    root = ""
    searched = networkx.DiGraph([*((root, name) for name in reversed(inputs)), *edges])
    before = {name: number for number, name in enumerate(networkx.dfs_preorder_nodes(searched, root))}
    after = {name: number for number, name in enumerate(networkx.dfs_postorder_nodes(searched, root))}
    # An edge closes a cycle if the search enters its target before its source, and leaves it after it.
    back_edges = {(a, b) for a, b in edges if a in before and before[b] <= before[a] and after[b] >= after[a]}
    if back_edges != closing:
        raise UsageError("NIR readers would infer other delays in the cycles of this network; use csv or npz")


def _neurons(nir: ModuleType, numbers: Dict[str, np.ndarray], resistance: np.ndarray) -> Node:
    """Return the node of neurons with a model, whose time step is 1; `_check` refuses other properties."""
    decay, parameters = 1 - numbers["leak"], {"r": numbers["gain"] * resistance}
    leaks = bool(decay.all())
    if leaks:
        name = "tau_mem" if "current_leak" in numbers else "tau"
        parameters.update(r=parameters["r"] / decay, v_leak=numbers["offset"] / decay)
        parameters[name] = 1 / decay
    if "current_leak" in numbers:
        parameters["tau_syn"] = 1 / (1 - numbers["current_leak"])
        parameters["w_in"] = numbers["current_gain"] / (1 - numbers["current_leak"])
    if "threshold" in numbers:
        parameters["v_threshold"] = np.nextafter(numbers["threshold"].astype(np.float32), np.float32(-np.inf))
        if numbers.get("reset", np.zeros(1)).any():
            parameters["v_reset"] = numbers["reset"]
    kind = f"{'Cuba' * ('current_leak' in numbers)}{'L' * leaks}I{'F' * ('threshold' in numbers)}"
    arrays = {name: np.ascontiguousarray(values) for name, values in parameters.items()}
    try:
        return getattr(nir, kind)(**arrays)
    except (AttributeError, TypeError) as error:
        raise UsageError(f"the installed nir has no {kind} with {', '.join(arrays)}; install a newer one") from error


def _chain(
    nir: ModuleType,
    projection: GraphProjection,
    linear: Operation,
    unit: float,
    bias: Optional[np.ndarray],
    images: Set[str],
) -> Dict[str, Node]:
    """Return the nodes from a source to its target, one after the other; weights and bias are divided by `unit`."""
    source, target = projection.source, projection.target
    if isinstance(linear, WindowSum):
        size, stride, padding = (np.array(value) for value in (linear.size, linear.stride, linear.padding))
        return {"sum": nir.SumPool2d(size, stride, padding)}
    if linear is None:
        flat = nir.Flatten({"input": np.array(_shape(source, images))}, 0, -1)
        before = {"flatten": flat} if source.name in images else {}
        columns, rows = _channels_first_order(source), _channels_first_order(target)
        weight = (projection.to_scipy().T.toarray()[rows][:, columns] / unit).astype(np.float32)
        if bias is None or not bias.any():
            return {**before, "matrix": nir.Linear(weight=weight)}
        return {**before, "matrix": nir.Affine(weight=weight, bias=bias.ravel()[rows].astype(np.float32))}
    added = np.zeros(target.shape[-1]) if bias is None else of_most_positions(bias)
    convolution = nir.Conv2d(
        input_shape=np.array(source.shape[:2]),
        weight=(linear.weight / unit).astype(np.float32),
        stride=np.array(linear.stride),
        padding=np.array(linear.padding),
        dilation=np.array(linear.dilation),
        groups=1,
        bias=added.astype(np.float32),
    )
    if target.name in images:
        return {"convolution": convolution}
    flat = nir.Flatten({"input": np.array(_channels_first(target.shape))}, 0, -1)
    return {"convolution": convolution, "flatten": flat}


def _node_names(graph: SynapseGraph) -> Dict[str, str]:
    """Return the name of each population's node, without characters that names in HDF5 may not have."""
    return {p.name: f"{number:04d}_{UNSAFE.sub('_', p.name)}" for number, p in enumerate(graph.populations)}


def _channels_first_order(population: GraphPopulation) -> np.ndarray:
    numbers = np.arange(population.size).reshape(population.shape)
    return numbers.transpose(2, 0, 1).ravel() if len(population.shape) == 3 else numbers.ravel()


def _shape(population: GraphPopulation, images: Set[str]) -> Tuple[int, ...]:
    return _channels_first(population.shape) if population.name in images else (population.size,)


def _channels_first(shape: Sequence[int]) -> Tuple[int, ...]:
    return (shape[2], shape[0], shape[1])


def _warning(graph: SynapseGraph, request: Request) -> Optional[str]:
    """Return the warning of a reset by subtraction, which NIR cannot express; None for a reset to a value."""
    models = [p.neuron.numbers(p.shape) for p in graph.layers if p.neuron is not None]
    subtracting = [numbers for numbers in models if "subtrahend" in numbers]
    if not (subtracting if graph.neuron_model else request.reset == "subtraction"):
        return None
    # A subtrahend above the threshold states that the threshold is subtracted in the next step, after the decay.
    later = any((numbers["subtrahend"] > numbers["threshold"] * (1 + 1e-6)).any() for numbers in subtracting)
    return (
        "NIR cannot express the reset by subtraction of these neurons; "
        f"read the file with --nir-reset {'subtract_delayed' if later else 'subtract'} --time-step 1"
    )


def _losses(graph: SynapseGraph, request: Request) -> Dict[str, object]:
    if graph.neuron_model:
        warning = _warning(graph, request)
        steps = "time: constants are in time steps; the time step is 1"
        return {"nir": {"nodes": _node_names(graph), "losses": [steps, *([] if warning is None else [warning])]}}
    losses = [
        f"reset: the neurons of this network reset by {request.reset}; nir up to 1.0.1 defines IF with reset by "
        "subtraction, later versions with reset to v_reset, 0, and files cannot express the former",
        "time: in NIR dv/dt = r I; here each step adds r I once, and a spike passes all layers in the same step",
    ]
    if graph.integers:
        losses.append(
            "threshold: a neuron spikes when its potential is at least the threshold, in NIR when it is above it"
        )
    if starts_above_zero(graph):
        losses.append(
            "start: neurons have individual initial potentials (see the description), which NIR does not have"
        )
    if request.neuron.initial:
        losses.append(
            f"start: neurons start at {float(request.neuron.initial) / request.amplitude:g} of their threshold; "
            "NIR has no initial potentials"
        )
    targets = [projection.target for projection in graph.projections]
    losses += [
        f"bias: {population.name} has no synapses onto it, so that no node has its biases"
        for population in graph.layers
        if population not in targets and population.bias.any()
    ]
    losses += [
        f"random: the softmax layer {population.name} is written as IF; its spikes are drawn from softmax of its input"
        for population in graph.populations
        if population.coding == "random"
    ]
    thresholds: Dict[str, object] = {} if graph.integers else {"threshold": 1.0}
    return {"nir": {"nodes": _node_names(graph), **thresholds, "losses": losses}}


def _unsupported_number(numbers: Mapping[str, np.ndarray]) -> Optional[str]:
    """Return a number of a neuron model that NIR does not have."""
    leaks = numbers["leak"] < 1
    if numbers["initial"].any():
        return "initial, a potential before the first step"
    if leaks.any() != leaks.all() or (numbers["leak"] > 1).any():
        return "a leak of 1 in some neurons only, or above 1"
    if not leaks.any() and (numbers["offset"].any() or "current_leak" in numbers):
        return "an offset or a synaptic current without leak"
    if (numbers.get("current_leak", np.zeros(1)) >= 1).any():
        return "a current_leak of 1"
    return None


def _check(graph: SynapseGraph, request: Request) -> Optional[str]:
    if not graph.inputs:
        raise UsageError("a NIR file begins with an input, and the graph has none; use csv or npz")
    closing = {p.target for p in graph.projections if _closes_cycle(p)}  # whose later bias comes with these spikes
    refuse_properties(graph, "NIR", _unsupported_number, closing)
    refuse_max_pooling(graph, "NIR")
    for projection, linear in zip(graph.projections, _layers(graph)[1]):
        if None in linear and projection.source.size * projection.target.size > LARGEST_MATRIX:
            raise ResourceError(
                f"{projection.source.name} → {projection.target.name} ({projection.rule}) is not a layer of NIR, and "
                f"as matrix it has {projection.source.size * projection.target.size:,} weights, more than "
                f"{LARGEST_MATRIX:,}; use sonata or npz"
            )
    return _warning(graph, request)


FORMAT = Format(".nir", write, _check, simulates=True, extra_description=_losses)


def window_sum_of(projection: GraphProjection) -> Optional[WindowSum]:
    """Return an average pooling of an entire population, whose windows NIR can place; None for anything else."""
    connection, *others = projection.connections
    layer = connection.layer
    if others or not isinstance(layer, AveragePooling2D) or connection.weighting != "mean":
        return None
    box = _box(connection)
    if box is None or box[2] or connection.source.shape != connection.geometry.input_volume:
        return None
    axes = connection.geometry.rows, connection.geometry.columns
    each = zip(axes, connection.source.shape, box, layer.strides, layer.pool_size)
    row, column = (_fit(axis, length, first, stride, 1, size) for axis, length, first, stride, size in each)
    if row is None or column is None or row[0] or column[0]:
        return None
    return WindowSum(layer.pool_size, layer.strides, (row[1], column[1]), connection.scale)


def convolution_of(connection: Connection) -> Optional[Convolution]:
    """Return a connection as a convolution with the same weights; None if it cannot be one."""
    layer, geometry = connection.layer, connection.geometry
    if isinstance(layer, (Conv2D, DepthwiseConv2D)):
        taps, strides, dilations = layer.kernel_size, layer.strides, layer.dilation_rate
    elif isinstance(layer, AveragePooling2D):
        taps, strides, dilations = layer.pool_size, layer.strides, (1, 1)
        if np.ptp(connection.scale):  # windows that reach over the edge weigh otherwise
            return None
    else:
        return None
    box = _box(connection)
    channels = connection.source.shape[-1]
    if box is None or geometry.filters * channels * max(taps) ** 2 > LARGEST_KERNEL:
        return None
    axes = list(zip((geometry.rows, geometry.columns), connection.source.shape, box, strides, dilations))
    for size in range(max(taps), max(taps) + MOST_ZERO_TAPS):
        row, column = (_fit(axis, n, first, stride, dilation, size) for axis, n, first, stride, dilation in axes)
        if row is not None and column is not None:
            weight = np.zeros((geometry.filters, channels, size, size), np.float32)
            inner = weight[:, :, row[0] : row[0] + taps[0], column[0] : column[0] + taps[1]]
            inner[...] = _kernel(connection, box[2], channels)
            return Convolution(weight, strides, (row[1], column[1]), dilations)
    return None


def _kernel(connection: Connection, first: int, channels: int) -> np.ndarray:
    """Return the weights (filters, channels, row taps, column taps) of the channels from `first` on."""
    geometry = connection.geometry
    taps = geometry.rows.taps, geometry.columns.taps
    if geometry.pairing == "dense":
        assert connection.kernel is not None
        return connection.kernel[:, :, first : first + channels].transpose(3, 2, 0, 1)
    kernel = np.zeros((geometry.filters, channels, *taps), np.float32)
    for channel, m in np.ndindex(channels, geometry.multiplier):
        own = connection.scale[0, 0] if connection.kernel is None else connection.kernel[..., first + channel, m]
        kernel[(first + channel) * geometry.multiplier + m, channel] = own
    return kernel


def _box(connection: Connection) -> Optional[Tuple[int, int, int]]:
    """Return first row, column and channel of the source in the layer's input; None if it is not a block."""
    source, ids = connection.source, connection.ids
    if len(source.shape) != 3 or len(connection.target.shape) != 3 or connection.parallel:
        return None
    where = np.argwhere(ids == source.first)
    if len(where) != 1:
        return None
    first = where[0].tolist()
    block = ids[tuple(slice(begin, begin + length) for begin, length in zip(first, source.shape))]
    numbers = source.first + np.arange(source.size).reshape(source.shape)
    if not np.array_equal(block, numbers) or np.count_nonzero(ids >= 0) != source.size:
        return None
    return first[0], first[1], first[2]


def _fit(axis: Axis, length: int, first: int, stride: int, dilation: int, taps: int) -> Optional[Tuple[int, int]]:
    """Fit a kernel of `taps` taps, the taps of the axis and others of weight 0, to a source of a length.

    Return the number of taps of weight 0 before the axis's, and the padding on either side; None if none fits.
    """
    if not axis.input.size:
        return None
    before = axis.output * stride + axis.tap * dilation - axis.input
    if np.ptp(before):
        return None
    own = int(before[0]) + first  # rows of nothing before the source that the first window covers
    for zeros in range(taps - axis.taps + 1):
        padding = own + zeros * dilation
        reach = length + 2 * padding - dilation * (taps - 1) - 1
        if padding >= 0 and reach >= 0 and reach // stride + 1 == axis.outputs:
            return zeros, padding
    return None
