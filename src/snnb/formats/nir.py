"""`nir`: a NIR graph of layers, written by its own library.

(Pedersen et al., Nature Communications 15:8122, 2024.)

A population is an `IF` node, images with channels first; an output that does not spike
is an `I` node, which integrates. Each projection is a node before it, `Conv2d`,
`SumPool2d` (the mean's factor is then the resistance `r` of the neurons) or `Affine`
and `Linear`, and NIR adds the inputs of a node; `nir_layers` finds them. Thresholds are
the largest float32 number below 1, since NIR's neurons spike above it, or integers.
`Flatten` precedes a matrix. The description lists what NIR cannot express
(`nir.losses`).

`Conv2d` has a bias for each channel. Where biases differ between positions, as at the
border of pictures less their mean, a `Conv2d` of zeros with biases of 1 and a `Scale`
add the differences.
"""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

import h5py
import numpy as np

from snnb.core.errors import ResourceError, UsageError
from snnb.formats.description import refuse_max_pooling, refuse_properties
from snnb.formats.nir_layers import Convolution, Operation, WindowSum, linear_layers
from snnb.formats.request import UNSAFE, Format, Request, starts_above_zero
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.network import channel_medians

LARGEST_MATRIX = 1 << 28  # numbers: a GiB
LibraryNode = object  # of the library, which has no types
# Nodes from a source to its target in order, by what they do
Chain = Dict[str, LibraryNode]


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, one node per population, and one or more per projection.

    See `Format`.
    """
    import nir

    writer = _NirWriter(nir, graph, request)
    for population in graph.inputs:
        writer.add_input(population)
    for population in graph.layers:
        writer.add_layer(population)
    edges = writer.edges()
    for population in _outputs(graph):
        edges.append(writer.add_output(population))
    written = nir.NIRGraph(writer.nodes, edges)
    if h5py.version.version_tuple[0] < 3:
        # It does not take strings in lists; TensorFlow 2.2 needs it
        written.edges = np.array(edges, h5py.string_dtype())
    nir.write(str(path), written)


def _outputs(graph: SynapseGraph) -> Sequence[GraphPopulation]:
    """Return the populations that no other reads, or the last one of a neuron model.

    The last one is also the output of a graph in which each population is read.
    """
    sources = [projection.source for projection in graph.projections]
    unread = [p for p in graph.populations if p not in sources]
    return graph.layers[-1:] if graph.neuron_model or not unread else unread


class _Path(NamedTuple):
    """The names of the nodes from a population to another one."""

    nodes: List[str]
    first_id: int  # of the target population


class _NirWriter:
    """The nodes and edges of a NIR graph.

    Attributes
    ----------
    nodes : dict
        Nodes by name.
    """

    def __init__(self, nir: ModuleType, graph: SynapseGraph, request: Request) -> None:
        self.nodes: Dict[str, LibraryNode] = {}
        self._nir = nir
        self._graph = graph
        self._request = request
        self._images, self._operations = linear_layers(graph)
        self._names = _node_names(graph)
        self._counter = request.counter(graph.number_of_edges())
        self._paths: List[_Path] = []

    def add_input(self, population: GraphPopulation) -> None:
        """Add the node of an input."""
        shape = np.array(_shape(population, self._images))
        self.nodes[self._names[population.name]] = self._nir.Input(shape)

    def add_layer(self, population: GraphPopulation) -> None:
        """Add the nodes of a population that is no input, and of its projections."""
        resistance = np.ones(_shape(population, self._images), np.float32)
        amplitude = self._request.amplitude
        bias: Optional[np.ndarray] = np.divide(
            population.bias,
            amplitude,
            dtype=np.float64,
        )
        later_bias: Optional[np.ndarray] = None  # comes with spikes that close a cycle
        if population.later_bias is not None:
            later_bias = np.broadcast_to(population.later_bias, population.shape)
        for number, projection in enumerate(self._graph.projections):
            if projection.target is not population:
                continue
            closes_cycle = _closes_cycle(projection)
            for part, operation in enumerate(self._operations[number]):
                if isinstance(operation, WindowSum):
                    mean = (operation.mean / self._unit(projection)).astype(np.float32)
                    windows = np.broadcast_to(mean, resistance.shape)
                    resistance = np.ascontiguousarray(windows)
                # A bias is added by one operation only
                if closes_cycle:
                    chains = self._chains(projection, operation, later_bias)
                    later_bias = None
                else:
                    chains = self._chains(projection, operation, bias)
                    bias = None
                for chain in chains:
                    self._add_chain(projection, f"{number:04d}_{part}", chain)
            self._counter.add(projection.number_of_edges)
        neurons = self._neurons(population, resistance)
        self.nodes[self._names[population.name]] = neurons

    def add_output(self, population: GraphPopulation) -> Tuple[str, str]:
        """Add the node of an output; return the edge that leads to it."""
        source = self._names[population.name]
        target = f"{source}_output"
        shape = np.array(_shape(population, self._images))
        self.nodes[target] = self._nir.Output(shape)
        return source, target

    def edges(self) -> List[Tuple[str, str]]:
        """Return the edges between all nodes but the outputs.

        Raise `UsageError` if readers would find other edges that close cycles.
        """
        # A reader finds the edges that close cycles by a search from the input, as they
        # are written.
        paths = sorted(self._paths, key=lambda path: -path.first_id)
        edges: List[Tuple[str, str]] = []
        for path in paths:
            edges += zip(path.nodes, path.nodes[1:])
        if not self._graph.neuron_model:
            return edges
        cycles: Set[Tuple[str, str]] = set()
        for projection in self._graph.projections:
            if _closes_cycle(projection):
                source = self._names[projection.source.name]
                cycles.add((source, self._names[projection.target.name]))
        closing_edges: Set[Tuple[str, str]] = set()
        for path in paths:
            if (path.nodes[0], path.nodes[-1]) in cycles:
                closing_edges.add((path.nodes[-2], path.nodes[-1]))
        inputs = [self._names[population.name] for population in self._graph.inputs]
        _check_cycles(edges, inputs, closing_edges)
        return edges

    def _unit(self, projection: GraphProjection) -> float:
        """Return the unit of the weights: an input has spikes of amplitude 1."""
        if projection.source in self._graph.inputs:
            return self._request.amplitude
        return 1.0

    def _chains(
        self,
        projection: GraphProjection,
        operation: Operation,
        bias: Optional[np.ndarray],
    ) -> List[Chain]:
        """Return the chains of an operation, whose sum has a bias for each neuron."""
        chains = [self._chain(projection, operation, bias)]
        if bias is None or not isinstance(operation, Convolution):
            return chains
        differences = bias - channel_medians(bias)
        if not differences.any():
            return chains
        # A convolution of zeros whose bias is 1, times the differences
        zeros = replace(operation, weight=np.zeros_like(operation.weight))
        ones = self._chain(projection, zeros, np.ones_like(bias))
        factors = np.ascontiguousarray(differences.transpose(2, 0, 1), np.float32)
        chain = {"ones": ones.pop("convolution"), "rest": self._nir.Scale(factors)}
        chains.append({**chain, **ones})
        return chains

    def _chain(
        self,
        projection: GraphProjection,
        operation: Operation,
        bias: Optional[np.ndarray],
    ) -> Chain:
        """Return the nodes of an operation; weights and bias are divided by the unit.

        A convolution has only the bias that most positions of a channel have.
        """
        source, target = projection.source, projection.target
        if isinstance(operation, WindowSum):
            window_sum = self._nir.SumPool2d(
                np.array(operation.size),
                np.array(operation.stride),
                np.array(operation.padding),
            )
            return {"sum": window_sum}
        if operation is None:
            return self._matrix(projection, bias)
        channel_bias = np.zeros(target.shape[-1])
        if bias is not None:
            channel_bias = channel_medians(bias)
        convolution = self._nir.Conv2d(
            input_shape=np.array(source.shape[:2]),
            weight=(operation.weight / self._unit(projection)).astype(np.float32),
            stride=np.array(operation.stride),
            padding=np.array(operation.padding),
            dilation=np.array(operation.dilation),
            groups=operation.groups,
            bias=channel_bias.astype(np.float32),
        )
        # nir 1.0.8 takes the channels of a group for those of the input.
        convolution.input_type = {"input": np.array(_channels_first(source.shape))}
        if target.name in self._images:
            return {"convolution": convolution}
        shape = np.array(_channels_first(target.shape))
        flatten = self._nir.Flatten({"input": shape}, 0, -1)
        return {"convolution": convolution, "flatten": flatten}

    def _matrix(self, projection: GraphProjection, bias: Optional[np.ndarray]) -> Chain:
        """Return the nodes of a projection as a matrix (targets, sources)."""
        source, target = projection.source, projection.target
        chain: Chain = {}
        if source.name in self._images:
            shape = np.array(_shape(source, self._images))
            chain["flatten"] = self._nir.Flatten({"input": shape}, 0, -1)
        columns = _channels_first_order(source)
        rows = _channels_first_order(target)
        weight = projection.to_scipy().T.toarray()[rows][:, columns]
        weight = (weight / self._unit(projection)).astype(np.float32)
        if bias is None or not bias.any():
            chain["matrix"] = self._nir.Linear(weight=weight)
        else:
            row_bias = bias.ravel()[rows].astype(np.float32)
            chain["matrix"] = self._nir.Affine(weight=weight, bias=row_bias)
        return chain

    def _add_chain(self, projection: GraphProjection, label: str, chain: Chain) -> None:
        """Add the nodes of a chain, and the path from source to target through them.

        A delay comes first; a spike that closes a cycle takes a step without it.
        """
        delay = projection.delay - int(_closes_cycle(projection))
        if delay > 0:
            shape = _shape(projection.source, self._images)
            waiting = self._nir.Delay(np.full(shape, float(delay)))
            chain = {"delay": waiting, **chain}
        nodes = {f"{label}_{kind}": node for kind, node in chain.items()}
        self.nodes.update(nodes)
        source = self._names[projection.source.name]
        target = self._names[projection.target.name]
        self._paths.append(_Path([source, *nodes, target], projection.target.first))

    def _neurons(
        self, population: GraphPopulation, resistance: np.ndarray
    ) -> LibraryNode:
        """Return the node of the neurons of a population."""
        order = _channels_first_order(population)
        if population.neuron is not None:
            numbers = {}
            for name, values in population.neuron.numbers(population.shape).items():
                numbers[name] = values.ravel()[order].reshape(resistance.shape)
            return _model_neurons(self._nir, numbers, resistance)
        neuron = self._request.neuron_of(population)
        if not neuron.is_spiking:
            return self._nir.I(r=resistance)
        threshold = neuron.threshold / self._request.amplitude
        thresholds = np.broadcast_to(threshold, population.shape)
        thresholds = thresholds.astype(np.float32).ravel()[order]
        if not self._graph.integers:
            thresholds = np.nextafter(thresholds, np.float32(0))
        thresholds = np.ascontiguousarray(thresholds.reshape(resistance.shape))
        return self._nir.IF(r=resistance, v_threshold=thresholds)


def _closes_cycle(projection: GraphProjection) -> bool:
    """Whether spikes of a projection act in the next step, on a population before it."""
    return projection.delay > 0 and projection.source.first >= projection.target.first


def _check_cycles(
    edges: Sequence[Tuple[str, str]],
    inputs: Sequence[str],
    closing_edges: Set[Tuple[str, str]],
) -> None:
    """Raise `UsageError` if a reader would find other edges that close cycles.

    A reader searches the edges in their order, depth first.
    """
    import networkx

    root = ""
    root_edges = [(root, name) for name in reversed(inputs)]
    graph = networkx.DiGraph([*root_edges, *edges])
    preorder = networkx.dfs_preorder_nodes(graph, root)
    entry_time = {name: number for number, name in enumerate(preorder)}
    postorder = networkx.dfs_postorder_nodes(graph, root)
    exit_time = {name: number for number, name in enumerate(postorder)}
    # An edge closes a cycle if the search enters its target before its source, and
    # leaves it after it.
    back_edges: Set[Tuple[str, str]] = set()
    for source, target in edges:
        if source not in entry_time:
            continue
        enters_before = entry_time[target] <= entry_time[source]
        if enters_before and exit_time[target] >= exit_time[source]:
            back_edges.add((source, target))
    if back_edges != closing_edges:
        raise UsageError(
            "NIR readers would infer other delays in the cycles of this network; use "
            "csv or npz"
        )


def _model_neurons(
    nir: ModuleType,
    numbers: Mapping[str, np.ndarray],
    resistance: np.ndarray,
) -> LibraryNode:
    """Return the node of neurons with a model, whose time step is 1.

    `_check` refuses properties that NIR does not have.
    """
    leak_rate = 1 - numbers["leak"]
    has_leak = bool(leak_rate.all())
    has_current = "current_leak" in numbers
    has_threshold = "threshold" in numbers
    parameters = {"r": numbers["gain"] * resistance}
    if has_leak:
        parameters["r"] = parameters["r"] / leak_rate
        parameters["v_leak"] = numbers["offset"] / leak_rate
        parameters["tau_mem" if has_current else "tau"] = 1 / leak_rate
    if has_current:
        current_leak_rate = 1 - numbers["current_leak"]
        parameters["tau_syn"] = 1 / current_leak_rate
        parameters["w_in"] = numbers["current_gain"] / current_leak_rate
    if has_threshold:
        threshold = numbers["threshold"].astype(np.float32)
        parameters["v_threshold"] = np.nextafter(threshold, np.float32(-np.inf))
        if numbers.get("reset", np.zeros(1)).any():
            parameters["v_reset"] = numbers["reset"]
    kind = f"{'Cuba' * has_current}{'L' * has_leak}I{'F' * has_threshold}"
    arrays = {}
    for name, values in parameters.items():
        arrays[name] = np.ascontiguousarray(values)
    try:
        return getattr(nir, kind)(**arrays)
    except (AttributeError, TypeError) as error:
        raise UsageError(
            f"the installed nir has no {kind} with {', '.join(arrays)}; install a "
            "newer one"
        ) from error


def _node_names(graph: SynapseGraph) -> Dict[str, str]:
    """Return the name of each population's node by the name of the population.

    Characters that names in HDF5 may not have are replaced.
    """
    names = {}
    for number, population in enumerate(graph.populations):
        safe_name = UNSAFE.sub("_", population.name)
        names[population.name] = f"{number:04d}_{safe_name}"
    return names


def _channels_first_order(population: GraphPopulation) -> np.ndarray:
    """Return the indices that put neurons, in rows, into the order of NIR: int64."""
    numbers = np.arange(population.size).reshape(population.shape)
    if len(population.shape) == 3:
        numbers = numbers.transpose(2, 0, 1)
    return numbers.ravel()


def _shape(population: GraphPopulation, images: Set[str]) -> Tuple[int, ...]:
    """Return the shape of a population's node."""
    if population.name in images:
        return _channels_first(population.shape)
    return (population.size,)


def _channels_first(shape: Sequence[int]) -> Tuple[int, ...]:
    return (shape[2], shape[0], shape[1])


def _warning(graph: SynapseGraph, request: Request) -> Optional[str]:
    """Return the warning of a reset by subtraction, which NIR cannot express.

    Return None for a reset to a value.
    """
    models = [p.neuron.numbers(p.shape) for p in graph.layers if p.neuron is not None]
    subtracting = [numbers for numbers in models if "subtrahend" in numbers]
    subtracts = request.reset == "subtraction"
    if graph.neuron_model:
        subtracts = bool(subtracting)
    if not subtracts:
        return None
    reset = "subtract"
    for numbers in subtracting:
        # A subtrahend above the threshold states that the threshold is subtracted in
        # the next step, after the decay.
        if (numbers["subtrahend"] > numbers["threshold"] * (1 + 1e-6)).any():
            reset = "subtract_delayed"
    return (
        "NIR cannot express the reset by subtraction of these neurons; "
        f"read the file with --nir-reset {reset} --time-step 1"
    )


def _describe_losses(graph: SynapseGraph, request: Request) -> Dict[str, object]:
    """Return the entry of the description with the names of nodes and what is lost."""
    entry: Dict[str, object] = {"nodes": _node_names(graph)}
    if graph.neuron_model:
        warning = _warning(graph, request)
        losses = ["time: constants are in time steps; the time step is 1"]
        if warning is not None:
            losses.append(warning)
    else:
        losses = _losses_of_converted(graph, request)
        if not graph.integers:
            entry["threshold"] = 1.0
    entry["losses"] = losses
    return {"nir": entry}


def _losses_of_converted(graph: SynapseGraph, request: Request) -> List[str]:
    """Return what the NIR file of a converted network does not state, a sentence each."""
    steps = "here each step adds r I once"
    steps += ", and a spike passes all layers in the same step"
    losses = [
        f"reset: the neurons of this network reset by {request.reset}; nir up to "
        "1.0.1 defines IF with reset by subtraction, later versions with reset to "
        "v_reset, 0, and files cannot express the former",
        f"time: in NIR dv/dt = r I; {steps}",
    ]
    if graph.integers:
        condition = "a neuron spikes when its potential is at least the threshold"
        losses.append(f"threshold: {condition}, in NIR when it is above it")
    if starts_above_zero(graph):
        start = "neurons have individual initial potentials (see the description)"
        losses.append(f"start: {start}, which NIR does not have")
    if request.neuron.initial:
        share = float(request.neuron.initial) / request.amplitude
        start = f"neurons start at {share:g} of their threshold"
        losses.append(f"start: {start}; NIR has no initial potentials")
    targets = [projection.target for projection in graph.projections]
    for population in graph.layers:
        if population not in targets and population.bias.any():
            fault = f"{population.name} has no synapses onto it"
            losses.append(f"bias: {fault}, so that no node has its biases")
    for population in graph.populations:
        if population.coding == "random":
            fault = f"the softmax layer {population.name} is written as IF"
            spikes = "its spikes are drawn from softmax of its input"
            losses.append(f"random: {fault}; {spikes}")
    return losses


def _unsupported_number(numbers: Mapping[str, np.ndarray]) -> Optional[str]:
    """Return a number of a neuron model that NIR does not have."""
    has_leak = numbers["leak"] < 1
    if numbers["initial"].any():
        return "initial, a potential before the first step"
    if has_leak.any() != has_leak.all() or (numbers["leak"] > 1).any():
        return "a leak of 1 in some neurons only, or above 1"
    has_current = "current_leak" in numbers
    if not has_leak.any() and (numbers["offset"].any() or has_current):
        return "an offset or a synaptic current without leak"
    if has_current and (numbers["current_leak"] >= 1).any():
        return "a current_leak of 1"
    return None


def _check(graph: SynapseGraph, request: Request) -> Optional[str]:
    """Refuse a graph that NIR cannot express; return a warning of its reset."""
    if not graph.inputs:
        raise UsageError(
            "a NIR file begins with an input, and the graph has none; use csv or npz"
        )
    # The later bias of these populations comes with the spikes that close a cycle
    with_later_bias = {p.target for p in graph.projections if _closes_cycle(p)}
    refuse_properties(graph, "NIR", _unsupported_number, with_later_bias)
    refuse_max_pooling(graph, "NIR")
    operations = linear_layers(graph).operations
    for projection, projection_operations in zip(graph.projections, operations):
        weights = projection.source.size * projection.target.size
        if None in projection_operations and weights > LARGEST_MATRIX:
            raise ResourceError(
                f"{projection.source.name} → {projection.target.name} "
                f"({projection.rule}) is not a layer of NIR, and as matrix it has "
                f"{weights:,} weights, more than {LARGEST_MATRIX:,}; use sonata or npz",
            )
    return _warning(graph, request)


FORMAT = Format(
    ".nir",
    write,
    _check,
    simulates=True,
    extra_description=_describe_losses,
)
