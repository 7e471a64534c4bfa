"""The description of an export (docs/exports.md).

It has all that a simulator requires, except the edges, and the biases and spike counts
of single neurons.
"""

from dataclasses import asdict
from pathlib import Path
from typing import (
    Callable,
    Container,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

import numpy as np
from pydantic import BaseModel, ValidationError

from snnb.core.errors import DamagedError, UsageError
from snnb.core.recommendation import recommend
from snnb.formats.request import Format, Request
from snnb.graph.listed import ListedGraph, ListedPopulation
from snnb.graph.populations import Coding, GraphPopulation
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.text import JsonValue
from snnb.network.layers import MaxPooling2D
from snnb.network.neuron import CURRENT_LIMIT, FRACTION, SUM_LIMIT
from snnb.network.spike_counts import Recording
from snnb.version import __version__

SCHEMA = 2
DESCRIPTION = "description.json"  # in an export that is a directory
NODES_ENDING = ".nodes.csv"  # of the table of nodes next to an export that is a file
ORDER = "all populations in every time step, in the order of the list"
SPIKE_EFFECT = "added to the membrane potential"
# By whether the network is written as integers
WEIGHT_UNIT = {
    False: (
        f"{SPIKE_EFFECT}, whose threshold the weights are normalised to, by a spike of "
        "1"
    ),
    True: (
        f"integers, {SPIKE_EFFECT} by a spike of 1; each population states its "
        "thresholds"
    ),
}
CURRENT_UNIT = "added to the input x of the neuron by a spike of 1"
NEURON_MODEL = {
    "model": "leaky integrate and fire; populations have the numbers of their neurons",
    "input": (
        "x: sum of weight × spikes, or × the current of the input, and the bias; "
        "later_bias from the second time step on"
    ),
    "current": "i = current_leak i + current_gain x; i = x without current_leak",
    "potential": "v = leak v + gain i + offset",
    "spikes_at": "v >= threshold, unless spikes is false",
    "reset": "v = reset, or v = v - subtrahend",
    "bias_unit": CURRENT_UNIT,
    "order": f"{ORDER}; delay of a projection in time steps",
}
FIXED_POINT_MODEL = {
    **NEURON_MODEL,
    "model": (
        "leaky integrate and fire with fixed-point numbers, as in Lava and on Loihi 2; "
        "populations have the numbers of their neurons"
    ),
    "rounding": (
        f"z(y): y rounded towards 0 to a multiple of 1/{FRACTION}; all numbers are "
        "exact in float64"
    ),
    "input": (
        "x: the sum of the weights of each projection, rounded down; of a constant "
        "input, the sum of weight × pixel and the bias, rounded towards 0. It wraps "
        f"around to at least -{SUM_LIMIT:.0f} and less than {SUM_LIMIT:.0f}"
    ),
    "current": (
        f"i = z(current_leak i) + x; minus {2 * CURRENT_LIMIT:.0f} above "
        f"{CURRENT_LIMIT:.0f}, plus it at -{CURRENT_LIMIT:.0f} and below"
    ),
    "potential": (
        f"v = z(leak v) + i + offset, limited to ±({CURRENT_LIMIT:.0f} - 1/{FRACTION})"
    ),
}
MAX_POOLING = {  # by the rule that is the weighting of its projections
    "largest_count": (
        "no membrane: a neuron spikes in a time step in which the largest spike count "
        "so far of the sources of its edges rises, this step included; weights do not "
        "matter, and windows do not restrict it"
    ),
    "leading_input": (
        "no membrane: a neuron spikes when the source of its edges with the most "
        "spikes so far, this step included, spikes; of several, the first in the "
        "order of ids"
    ),
}
# Returns a number of a neuron model that a program does not have; None without one
Rule = Callable[[Mapping[str, np.ndarray]], Optional[str]]
# By whether populations have windows
BIAS_STEPS = {
    False: "every time step",
    True: (
        "the time steps before the window of the population, as many as it has; a "
        "constant input acts in the first time steps, as many as a window has"
    ),
}


def describe(
    graph: SynapseGraph,
    format: str,
    exporter: Format,
    request: Request,
    origin: Optional[Mapping[str, str]],
) -> Dict[str, JsonValue]:
    """Return the description of an export of a graph.

    Parameters
    ----------
    graph : SynapseGraph
        The graph, which has the pool weight of the format.
    format : str
        Name of the format.
    exporter : Format
        The format.
    request : Request
        Options and inputs of the export.
    origin : mapping, optional
        Stamp of the graph and SHA-256 of its file.
    """
    part = exporter.part_of(graph, request)
    populations, projections = part
    description: Dict[str, JsonValue] = {
        "format": format,
        "schema": SCHEMA,
        "snnb": __version__,
    }
    if origin is not None:
        description["graph"] = dict(origin)
    description.update(graph.describe(request.options.rate_unit))
    weight_unit = WEIGHT_UNIT[graph.integers]
    neuron = _describe_converted_neurons(graph, request)
    if graph.neuron_model:
        weight_unit = CURRENT_UNIT
        neuron = FIXED_POINT_MODEL if graph.fixed_point else NEURON_MODEL
    description["nodes"] = part.nodes
    description["edges"] = part.edges
    description["weight_unit"] = weight_unit
    description["neuron"] = neuron
    description["input"] = _describe_inputs(graph)
    if request.simulated is not None:
        description["simulation"] = asdict(request.simulated)
    if exporter.extra_description is not None:
        description.update(exporter.extra_description(graph, request))
    first_ids = _first_ids(graph, exporter, populations)
    description["populations"] = [
        _describe_population(population, first_id, graph, request)
        for population, first_id in zip(populations, first_ids)
    ]
    description["projections"] = [_describe_projection(p, graph) for p in projections]
    rules = MAX_POOLING.keys() & set(map(weighting_of, projections))
    if rules:
        description["max_pooling"] = {rule: MAX_POOLING[rule] for rule in sorted(rules)}
    return description


def _describe_inputs(graph: SynapseGraph) -> JsonValue:
    """Return the entry of one input, a list of several, or None without any."""
    inputs = []
    for population in graph.inputs:
        inputs.append({"population": population.name, "coding": population.coding})
    if len(inputs) > 1:
        return inputs
    return inputs[0] if inputs else None


def _describe_converted_neurons(
    graph: SynapseGraph,
    request: Request,
) -> Dict[str, JsonValue]:
    """Return the properties that the neurons of a converted network have in common."""
    has_windows = any(population.window is not None for population in graph.populations)
    input_amplitude = 1.0  # of a Poisson spike of the input, or of a pixel of 1
    if graph.integers:
        input_amplitude = float(str(graph.attributes["pixel"]))
    return {
        "model": "integrate and fire, without leak",
        "threshold": float(request.neuron.threshold),
        "spikes_at": "membrane potential >= threshold",
        "reset": request.reset,
        "spike_amplitude": request.amplitude,
        "initial_potential": float(request.neuron.initial),
        "input_spike_amplitude": input_amplitude,
        "refractory_steps": 0,
        "bias_unit": f"added to the membrane potential in {BIAS_STEPS[has_windows]}",
        "delay_steps": 0,
        "order": ORDER,
    }


def _first_ids(
    graph: SynapseGraph,
    exporter: Format,
    populations: Sequence[GraphPopulation],
) -> List[int]:
    """Return the id in the export of the first neuron of each population.

    Ids count from the first population that is written; in a format that numbers the
    input separately, the ids of the other populations begin at 0 again.
    """
    input_size = 0
    if exporter.input_apart:
        input_size = sum(population.size for population in graph.inputs)
    first_ids: List[int] = []
    for population in populations:
        first_id = population.first - populations[0].first
        if first_id >= input_size:
            first_id -= input_size
        first_ids.append(first_id)
    return first_ids


def _describe_population(
    population: GraphPopulation,
    first_id: int,
    graph: SynapseGraph,
    request: Request,
) -> Dict[str, JsonValue]:
    """Return the entry of a population."""
    properties: Dict[str, JsonValue] = {
        "name": population.name,
        "layer": population.layer,
        "shape": list(population.shape),
        "first_id": first_id,
        "size": population.size,
        "coding": population.coding,
        "has_bias": population.stored_bias is not None,
        "first_step": graph.first_steps[population.name],
    }
    if population.window is not None:
        properties["window"] = list(population.window)
    neuron = request.neuron_of(population)
    if population.neuron is not None:
        # Each is one number, one for each channel or each neuron.
        stated_numbers = {
            "subtrahend": neuron.reset_or_subtrahend,
            **neuron.stored_numbers,
        }
        numbers: Dict[str, JsonValue] = {"spikes": neuron.is_spiking}
        if neuron.fixed_point:
            numbers["fixed_point"] = True
        for name in neuron.numbers(population.shape):
            numbers[name] = stated_numbers[name].tolist()
        properties["neuron"] = numbers
    else:
        has_integer_threshold = population.integer_threshold is not None
        if has_integer_threshold or population.initial_potential is not None:
            potential = np.broadcast_to(neuron.initial, population.shape[-1:])
            properties["initial_potential"] = potential.tolist()
        if has_integer_threshold and graph.integers:
            threshold = np.asarray(neuron.threshold)
            properties["threshold"] = threshold.tolist()
    if population.later_bias is not None:
        properties["later_bias"] = population.later_bias.tolist()
    return properties


def _describe_projection(
    projection: GraphProjection,
    graph: SynapseGraph,
) -> Dict[str, JsonValue]:
    """Return the entry of a projection."""
    properties: Dict[str, JsonValue] = {
        "source": projection.source.name,
        "target": projection.target.name,
        "rule": projection.rule,
        "weights": weighting_of(projection),
        "edges": projection.number_of_edges,
        "delay_steps": graph.delay_steps[projection],
    }
    if graph.neuron_model:
        properties["delay"] = projection.delay
    return properties


def weighting_of(projection: GraphProjection) -> str:
    """Return the weighting of the synapses.

    It is `kernel`, `one`, `mean`, `listed`, or the rule of a max pooling; of several
    connections that of the first.
    """
    if not projection.connections:
        return "listed"
    connection = projection.connections[0]
    is_alone = len(projection.connections) == 1
    if is_alone and isinstance(connection.layer, MaxPooling2D):
        return connection.layer.rule
    return connection.weighting


def max_poolings(graph: SynapseGraph) -> List[str]:
    """Return the names of the populations that are max poolings."""
    names: List[str] = []
    for projection in graph.projections:
        if weighting_of(projection) in MAX_POOLING:
            names.append(projection.target.name)
    return list(dict.fromkeys(names))


def neuron_warning(graph: SynapseGraph, program: str) -> Optional[str]:
    """Return the warning that a program does not have the neurons of a graph.

    They are max poolings, or have fixed-point numbers; return None for other neurons.
    """
    if graph.fixed_point:
        return (
            f"{program} has no neurons with fixed-point numbers, which the description "
            "states as neuron"
        )
    names = ", ".join(max_poolings(graph))
    if not names:
        return None
    return (
        f"max pooling ({names}): {program} has no neuron with its rule, which the "
        "description states as max_pooling"
    )


def unsupported_property(
    population: GraphPopulation,
    rule: Rule,
    has_later_bias: bool = False,
) -> Optional[str]:
    """Return a property of a population's neuron model that a program does not have.

    `rule` finds it among the numbers of the neurons; `has_later_bias` is whether the
    program has a bias that begins in the second step.
    """
    if population.neuron is None:
        return None
    later_bias = population.later_bias
    if later_bias is not None and later_bias.any() and not has_later_bias:
        return "later_bias, a bias that begins in the second step"
    if population.neuron.fixed_point:
        return "fixed-point numbers, which are rounded and wrap around in each step"
    return rule(population.neuron.numbers(population.shape))


def refuse_properties(
    graph: SynapseGraph,
    program: str,
    rule: Rule,
    with_later_bias: Container[GraphPopulation] = (),
) -> None:
    """Raise `UsageError` for a property that the neurons of a program do not have.

    `with_later_bias` are populations whose later bias the program has.
    """
    for population in graph.layers:
        has_later_bias = population in with_later_bias
        fault = unsupported_property(population, rule, has_later_bias)
        if fault is not None:
            raise UsageError(
                f"{program} does not support this property of {population.name}: "
                f"{fault}; use csv or npz, whose description has all numbers",
            )


def refuse_max_pooling(graph: SynapseGraph, program: str) -> None:
    """Raise `UsageError` for max pooling, whose rule no neuron of a program has."""
    for name in max_poolings(graph):
        raise UsageError(
            f"{name} is a max pooling, which {program} does not have: use "
            f"{recommend('parse', max_pool='average')}, or formats sonata or npz, "
            "whose description states the rule",
        )


def refuse_fast_cycles(graph: SynapseGraph, request: Request) -> None:
    """Raise `UsageError` if spikes pass several populations of a cycle in a step."""
    if not graph.neuron_model:  # a converted network has no cycles
        return
    steps = graph.first_steps
    for projection in graph.projections:
        steps_between = steps[projection.target.name] - steps[projection.source.name]
        if steps_between + projection.delay < 1:
            raise UsageError(
                "each synapse takes a time step in this format, and spikes of this "
                "network pass several populations of a cycle in one; use csv or npz",
            )


class _Input(BaseModel):
    population: str


class _Population(BaseModel):
    name: str
    layer: str
    shape: Tuple[int, ...]
    coding: Optional[Coding]  # None in a graph without spike counts
    window: Optional[Tuple[int, int]] = None
    # Of each channel, in the unit of the threshold
    initial_potential: Optional[List[float]] = None
    neuron: JsonValue = None  # the numbers of a neuron model


class _Projection(BaseModel):
    source: str
    target: str
    delay: int = 0


class _Neuron(BaseModel):
    threshold: float = 1.0


class _Origin(BaseModel):
    stamp: str
    sha256: str


class Description(BaseModel):
    """The part of a description (docs/exports.md) that is read again."""

    format: str
    graph: Optional[_Origin] = None  # the graph of a run that was exported
    files: Optional[List[str]] = None  # of a directory
    input: Union[_Input, List[_Input], None] = None
    populations: List[_Population]
    projections: List[_Projection] = []
    neuron: _Neuron = _Neuron()
    assumed_spikes: bool = False
    weight_bits: Optional[int] = None
    weight_unit: str = ""
    rate_unit: str = "spikes per time step"
    spike_weight: Optional[float] = None  # of hmetis and metis: weight of a spike
    num_samples: int = 1
    num_timesteps: int = 1
    warm_up: int = 0
    dt_ms: float = 1.0

    @property
    def recording(self) -> Recording:
        """Samples and steps that the spikes were counted in."""
        return Recording(self.num_samples, self.num_timesteps, self.warm_up, self.dt_ms)

    @property
    def notes(self) -> List[str]:
        """Content of the description that an import does not read, a sentence each."""
        notes: List[str] = []
        if "integer" in self.weight_unit:
            integers = "weights and biases are integers"
            notes.append(f"{integers}, whose thresholds are not read")
        potentials = [p.initial_potential for p in self.populations]
        if self.weight_bits is not None and any(np.any(p or 0) for p in potentials):
            notes.append("initial potentials of integer networks are not read")
        if any(population.neuron is not None for population in self.populations):
            numbers = "leaks, resets, offsets, biases of later steps"
            notes.append(f"the numbers of neuron models are not read: {numbers}")
        if any(projection.delay for projection in self.projections):
            synapses = "synapses of one pair of neurons with different delays are one"
            notes.append(f"delays are not read, and {synapses}")
        return notes

    @property
    def rate_scale(self) -> float:
        """Factor from spikes per time step to the unit of the rates in the export."""
        units = {"spikes per second": "hz", "spikes per sample": "sample"}
        return self.recording.rate_scale(units.get(self.rate_unit, "step"))

    @property
    def graph_without_edges(self) -> ListedGraph:
        """The populations, without spikes and biases, and the recording."""
        populations: List[ListedPopulation] = []
        for population in self.populations:
            initial_potential = None  # an integer network's may be the default
            if population.initial_potential is not None and self.weight_bits is None:
                potentials = np.array(population.initial_potential)
                initial_potential = potentials / self.neuron.threshold
            populations.append(
                ListedPopulation(
                    population.name,
                    population.shape,
                    population.layer,
                    population.coding or "spikes",
                    window=population.window,
                    initial_potential=initial_potential,
                ),
            )
        input_names = self._input_names
        return ListedGraph(
            populations,
            (),
            sum(population.name in input_names for population in populations),
            self.recording,
            assumed=self.assumed_spikes,
            notes=tuple(self.notes),
        )

    @property
    def _input_names(self) -> Set[str]:
        if self.input is None:
            return set()
        inputs = self.input if isinstance(self.input, list) else [self.input]
        return {entry.population for entry in inputs}


def sibling(target: Path, ending: str) -> Path:
    """Return the path of a file next to an export: the export's name with an ending."""
    return target.with_name(target.name + ending)


def description_path(target: Path) -> Path:
    """Return the path of the description of an export that is a file."""
    return sibling(target, ".json")


def read_description(path: Path) -> Description:
    """Read the description of an export.

    Raise `DamagedError` if the file is missing or not a description.
    """
    if not path.is_file():
        raise DamagedError(path, "no such file")
    try:
        return Description.model_validate_json(path.read_bytes())
    except ValidationError:
        raise DamagedError(
            path,
            "not the description of an export of snnb; export the graph again, or "
            "move this file away",
        ) from None


def find_description(path: Path) -> Optional[Description]:
    """Return the description of an export.

    Return None if the file is missing, a link, or not a description.
    """
    try:
        return None if path.is_symlink() else read_description(path)
    except (OSError, DamagedError):
        return None
