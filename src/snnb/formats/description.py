"""The description of an export (docs/exports.md), which has all that a simulator needs but edges."""

from dataclasses import asdict
from pathlib import Path
from typing import Callable, Container, Dict, List, Mapping, Optional, Tuple, Union

import numpy as np
from pydantic import BaseModel, ValidationError

from snnb.core.errors import DamagedError, UsageError
from snnb.formats.request import Format, Request
from snnb.graph.listed import ListedGraph, ListedPopulation
from snnb.graph.populations import Coding, GraphPopulation, Recording
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.text import JsonValue
from snnb.network.layers import MaxPooling2D
from snnb.version import __version__

SCHEMA = 2
DESCRIPTION = "description.json"  # in an export that is a directory
NODES_ENDING = ".nodes.csv"  # of the table of nodes next to an export that is a file
WEIGHT_UNIT = {
    False: "added to the membrane potential, whose threshold the weights are normalised to, by a spike of 1",
    True: "integers, added to the membrane potential by a spike of 1; each population states its thresholds",
}
CURRENT_UNIT = "added to the input x of the neuron by a spike of 1"
NEURON_MODEL = {
    "model": "leaky integrate and fire; populations have the numbers of their neurons",
    "input": "x: sum of weight × spikes, or × the current of the input, and the bias; later_bias from the second time "
    "step on",
    "current": "i = current_leak i + current_gain x; i = x without current_leak",
    "potential": "v = leak v + gain i + offset",
    "spikes_at": "v >= threshold, unless spikes is false",
    "reset": "v = reset, or v = v - subtrahend",
    "bias_unit": CURRENT_UNIT,
    "order": "all populations in every time step, in the order of the list; delay of a projection in time steps",
}
MAX_POOLING = {  # by the rule that is the weighting of its projections
    "largest_count": "no membrane: a neuron spikes in a time step in which the largest spike count so far of the "
    "sources of its edges rises, this step included; weights do not matter, and windows do not restrict it",
    "leading_input": "no membrane: a neuron spikes when the source of its edges with the most spikes so far, this step "
    "included, spikes; of several, the first in the order of ids",
}
Rule = Callable[[Mapping[str, np.ndarray]], Optional[str]]  # returns a number that a program does not have
BIAS_STEPS = {
    False: "every time step",
    True: "the time steps before the window of the population, as many as it has; a constant input acts in the first "
    "time steps, as many as a window has",
}


def describe(
    graph: SynapseGraph, format: str, exporter: Format, request: Request, origin: Optional[Mapping[str, str]]
) -> Dict[str, JsonValue]:
    """Return the description of an export of a graph, which has the pool weight of the format."""
    simulated, default = request.simulated, request.neuron
    populations, projections = written = exporter.part_of(graph, request)
    windows = any(population.window is not None for population in graph.populations)
    inputs = [{"population": population.name, "coding": population.coding} for population in graph.inputs]
    description: Dict[str, JsonValue] = {"format": format, "schema": SCHEMA, "snnb": __version__}
    if origin is not None:
        description["graph"] = dict(origin)
    description.update(graph.describe(request.options.rate_unit))
    description.update(
        nodes=written.nodes,
        edges=written.edges,
        weight_unit=CURRENT_UNIT if graph.neuron_model else WEIGHT_UNIT[graph.integers],
        neuron={
            "model": "integrate and fire, without leak",
            "threshold": float(default.firing_threshold),
            "spikes_at": "membrane potential >= threshold",
            "reset": request.reset,
            "spike_amplitude": request.amplitude,
            "initial_potential": float(default.initial),
            # Of a Poisson spike of the input, or of a pixel of 1
            "input_spike_amplitude": float(str(graph.attributes["pixel"])) if graph.integers else 1.0,
            "refractory_steps": 0,
            "bias_unit": f"added to the membrane potential in {BIAS_STEPS[windows]}",
            "delay_steps": 0,
            "order": "all populations in every time step, in the order of the list",
        },
        input=inputs if len(inputs) > 1 else inputs[0] if inputs else None,
    )
    if graph.neuron_model:
        description["neuron"] = NEURON_MODEL
    if simulated is not None:
        description["simulation"] = asdict(simulated)
    if exporter.extra_description is not None:
        description.update(exporter.extra_description(graph, request))
    offset = populations[0].first
    apart = sum(population.size for population in graph.inputs) if exporter.input_apart else 0
    listed = []
    for population in populations:
        first_id = population.first - offset
        properties: Dict[str, JsonValue] = {
            "name": population.name,
            "layer": population.layer,
            "shape": list(population.shape),
            "first_id": first_id - apart if first_id >= apart else first_id,
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
            given = {"subtrahend": neuron.after, **neuron.given}
            numbers = {name: given[name].tolist() for name in neuron.numbers(population.shape)}
            properties["neuron"] = {"spikes": neuron.spikes, **numbers}
        else:
            own = population.integer_threshold is not None
            if own or population.initial_potential is not None:
                start = np.broadcast_to(neuron.initial, population.shape[-1:])
                properties["initial_potential"] = start.tolist()
            if own and graph.integers:
                properties["threshold"] = np.asarray(neuron.firing_threshold).tolist()
        if population.later_bias is not None:
            properties["later_bias"] = population.later_bias.tolist()
        listed.append(properties)
    description["populations"] = listed
    description["projections"] = [
        {
            "source": projection.source.name,
            "target": projection.target.name,
            "rule": projection.rule,
            "weights": weighting_of(projection),
            "edges": projection.number_of_edges,
            "delay_steps": graph.delay_steps[projection],
            **({"delay": projection.delay} if graph.neuron_model else {}),
        }
        for projection in projections
    ]
    rules = MAX_POOLING.keys() & {weighting_of(projection) for projection in projections}
    if rules:
        description["max_pooling"] = {rule: MAX_POOLING[rule] for rule in sorted(rules)}
    return description


def weighting_of(projection: GraphProjection) -> str:
    """Return the weighting of the synapses: `kernel`, `one`, `mean`, `listed`, or the rule of a max pooling."""
    if not projection.connections:
        return "listed"
    connection, *others = projection.connections
    return connection.weighting if others or not isinstance(connection.layer, MaxPooling2D) else connection.layer.rule


def max_poolings(graph: SynapseGraph) -> List[str]:
    """Return the names of the populations that are max poolings."""
    names = [p.target.name for p in graph.projections if weighting_of(p) in MAX_POOLING]
    return list(dict.fromkeys(names))


def only_described(graph: SynapseGraph, program: str) -> Optional[str]:
    """Return the warning that neurons of a program do not have the rule of max pooling; None without max pooling."""
    names = ", ".join(max_poolings(graph))
    rule = f"{program} has no neuron with its rule, which the description states as max_pooling"
    return f"max pooling ({names}): {rule}" if names else None


def unsupported_property(population: GraphPopulation, rule: Rule, has_later_bias: bool = False) -> Optional[str]:
    """Return a property of the neuron model of a population that a program does not have, by the rule for numbers."""
    if population.neuron is None:
        return None
    if population.later_bias is not None and population.later_bias.any() and not has_later_bias:
        return "later_bias, a bias that begins in the second step"
    return rule(population.neuron.numbers(population.shape))


def refuse_properties(
    graph: SynapseGraph, program: str, rule: Rule, with_later_bias: Container[GraphPopulation] = ()
) -> None:
    """Raise `UsageError` for a population with a property that the neurons of a program do not have.

    `with_later_bias` are populations whose later bias the program has.
    """
    for population in graph.layers:
        missing = unsupported_property(population, rule, population in with_later_bias)
        if missing is not None:
            raise UsageError(
                f"{program} does not support this property of {population.name}: {missing}; use csv or npz, whose "
                "description has all numbers"
            )


def refuse_max_pooling(graph: SynapseGraph, program: str) -> None:
    """Raise `UsageError` for max pooling, since a program has no neuron with its rule."""
    for name in max_poolings(graph):
        raise UsageError(
            f"{name} is a max pooling, which {program} does not have: use parse --max-pool average, or formats sonata "
            "or npz, whose description states the rule"
        )


def refuse_fast_cycles(graph: SynapseGraph, request: Request) -> None:
    """Raise `UsageError` if spikes of a simulation pass several populations of a cycle in a time step."""
    steps = graph.first_steps
    late = any(steps[p.target.name] - steps[p.source.name] + p.delay < 1 for p in graph.projections)
    if graph.neuron_model and late:
        raise UsageError(
            "each synapse takes a time step in this format, and spikes of this network pass several populations of a "
            "cycle in one; use csv or npz"
        )


class _Input(BaseModel):
    population: str


class _Population(BaseModel):
    name: str
    layer: str
    shape: Tuple[int, ...]
    coding: Optional[Coding]  # None in a graph without spike counts
    window: Optional[Tuple[int, int]] = None
    initial_potential: Optional[List[float]] = None  # of each channel, times the threshold
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
    graph: Optional[_Origin] = None
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
        notes = []
        if "integer" in self.weight_unit:
            notes.append("weights and biases are integers, whose thresholds are not read")
        if self.weight_bits is not None and any(np.any(one.initial_potential or 0) for one in self.populations):
            notes.append("initial potentials of integer networks are not read")
        if any(population.neuron is not None for population in self.populations):
            notes.append("the numbers of neuron models are not read: leaks, resets, offsets, biases of later steps")
        if any(projection.delay for projection in self.projections):
            notes.append("delays are not read, and synapses of one pair of neurons with different delays are one")
        return notes

    @property
    def rate_scale(self) -> float:
        """Factor from spikes per time step to the unit of rates."""
        units = {"spikes per second": "hz", "spikes per sample": "sample"}
        return self.recording.rate_scale(units.get(self.rate_unit, "step"))

    @property
    def graph_without_edges(self) -> ListedGraph:
        """The populations, without spikes and biases, and the samples and steps of the export."""
        given = self.input if isinstance(self.input, list) else [] if self.input is None else [self.input]
        inputs = {one.population for one in given}
        populations = []
        for own in self.populations:
            shares = None  # an integer network's may be the default
            if own.initial_potential is not None and self.weight_bits is None:
                shares = np.array(own.initial_potential) / self.neuron.threshold
            coding = own.coding or "spikes"
            population = ListedPopulation(
                own.name, own.shape, own.layer, coding, window=own.window, initial_potential=shares
            )
            populations.append(population)
        number = sum(population.name in inputs for population in populations)
        return ListedGraph(
            populations, (), number, self.recording, assumed=self.assumed_spikes, notes=tuple(self.notes)
        )


def sibling(target: Path, ending: str) -> Path:
    """Return the path of a file next to an export that is a file: its name with an ending."""
    return target.with_name(target.name + ending)


def description_path(target: Path) -> Path:
    """Return the path of the description of an export that is a file."""
    return sibling(target, ".json")


def read_description(path: Path) -> Description:
    """Read the description of an export; raise `DamagedError` if the file is missing or not a description."""
    if not path.is_file():
        raise DamagedError(path, "no such file")
    try:
        return Description.model_validate_json(path.read_bytes())
    except ValidationError:
        raise DamagedError(
            path, "not the description of an export of snnb; export the graph again, or move this file away"
        ) from None


def find_description(path: Path) -> Optional[Description]:
    """Return the description of an export; None if the file is missing, a link, or not a description."""
    try:
        return None if path.is_symlink() else read_description(path)
    except (OSError, DamagedError):
        return None
