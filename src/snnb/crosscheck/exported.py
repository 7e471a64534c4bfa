"""A network read from an export of format `sonata` and its description only."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import UsageError
from snnb.formats import sonata
from snnb.formats.description import describe
from snnb.formats.request import Request, Simulated
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.hdf5 import reading
from snnb.io.text import JsonValue
from snnb.network.neuron import Neuron

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


# Spikes by population, int64 of shape (spikes, 3): sample, neuron, and step counted from the population's first.
Spikes = Mapping[str, np.ndarray]
# Simulation function: takes inputs (constant: float64 of shape (samples, inputs); spikes: bool of shape (samples,
# inputs, steps)) and the number of steps; returns the spikes of each simulated population.
Simulate = Callable[[np.ndarray, int], Dict[str, np.ndarray]]


def in_order(spikes: np.ndarray) -> np.ndarray:
    """Sort rows by step, sample, neuron."""
    return spikes[np.lexsort((spikes[:, 1], spikes[:, 0], spikes[:, 2]))]


def counts_of(spikes: np.ndarray, samples: int, size: int, counted_from: int) -> np.ndarray:
    """Count spikes: int64 of shape (samples, size), without the steps before `counted_from`."""
    counted = spikes[spikes[:, 2] >= counted_from]
    return np.bincount(counted[:, 0] * size + counted[:, 1], minlength=samples * size).reshape(samples, size)


@dataclass(frozen=True)
class ExportedPopulation:
    """A population as a simulator needs it: parameters of each neuron, all numbers from the files of an export."""

    name: str
    size: int
    coding: str  # spikes, current, random, or steps (an input whose current is another one in each step)
    first_step: int  # of the population in a simulator that delays each synapse
    bias: np.ndarray  # added in every step, see `gathered`: float64 (size,)
    start: np.ndarray  # membrane potential before the first step: float64 (size,)
    threshold: np.ndarray  # potential at which a neuron spikes: float64 (size,)
    numbers: Mapping[str, np.ndarray]  # of the neuron model, by name: float64 (size, 1); without a model, no leak
    window: Optional[Tuple[int, int]] = None  # steps in which a neuron can fire, the end excluded; None for every step
    later_bias: Optional[np.ndarray] = None  # added from the second step on: float64 (size,)
    counts_largest: bool = False  # max pooling: without a membrane, see `largest`

    @property
    def steps(self) -> int:
        """Length of the window."""
        return 0 if self.window is None else self.window[1] - self.window[0]

    def fires(self, step: int) -> bool:
        """Whether the neurons can fire in a step."""
        return self.window is None or self.window[0] <= step < self.window[1]

    def gathered(self, step: int, current: np.ndarray) -> np.ndarray:
        """Return the sum of the biases and the current of a constant input in a step: float64 (size, samples).

        With a window, the bias acts in the steps before it, as many as it has, and a constant input in as many steps
        from the first.
        """
        x = np.zeros_like(current)
        if self.window is None or self.window[0] - self.steps <= step < self.window[0]:
            x += self.bias[:, None]
        if step and self.later_bias is not None:
            x += self.later_bias[:, None]
        if self.window is None or step < self.steps:
            x += current
        return x

    def integrate(self, membrane: np.ndarray, current: np.ndarray, x: np.ndarray) -> None:
        """Add the input `x` of a step to the membrane potential and the synaptic current, in place: (size, samples).

        The synaptic current is always 0 in a model without one.
        """
        if "current_leak" in self.numbers:
            current += self.numbers["current_gain"] * x - (1 - self.numbers["current_leak"]) * current
            x = current
        membrane += self.numbers["gain"] * x + self.numbers["offset"] - (1 - self.numbers["leak"]) * membrane

    def reset(self, membrane: np.ndarray, fired: np.ndarray) -> None:
        """Reset the membrane potential of the neurons that fired, in place."""
        if "reset" in self.numbers:
            np.copyto(membrane, self.numbers["reset"], where=fired)
        else:
            membrane -= fired * self.numbers["subtrahend"]


@dataclass(frozen=True)
class ExportedProjection:
    """Synapses from one population to another."""

    source: str
    target: str
    weights: "csr_matrix"  # contribution of a spike, or of a current of 1: float64 (targets, sources)
    delay_steps: int  # at least 1, for simulators that delay each synapse
    delay: int = 0  # time steps from a spike to its arrival in others


def largest(projections: Sequence[ExportedProjection], counts: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the largest of the counts of the sources of each target: (targets, samples), 0 without a source.

    `counts` has the spike counts of each population, (neurons, samples).
    """
    first = projections[0]
    found = np.zeros((first.weights.shape[0], counts[first.source].shape[1]), counts[first.source].dtype)
    for projection in projections:
        windows = projection.weights
        targets = np.flatnonzero(np.diff(windows.indptr))
        if targets.size:
            values = np.maximum.reduceat(counts[projection.source][windows.indices], windows.indptr[targets], axis=0)
            found[targets] = np.maximum(found[targets], values)
    return found


@dataclass(frozen=True)
class ExportedNetwork:
    """Populations, projections, and the parameters that all neurons share."""

    populations: Tuple[ExportedPopulation, ...]  # the input first
    projections: Tuple[ExportedProjection, ...]
    leaky: bool  # whether populations have a neuron model
    integers: bool = False  # whether all numbers are integers, so that no sum is rounded
    pixel: float = 1.0  # the integer of a pixel of 1 in a network of integers

    @property
    def input(self) -> ExportedPopulation:
        """The input."""
        return self.populations[0]

    @property
    def simulated(self) -> List[ExportedPopulation]:
        """The populations whose spikes follow from the network: without the input and spikes drawn at random."""
        return [population for population in self.populations[1:] if population.coding == "spikes"]

    def population(self, name: str) -> ExportedPopulation:
        """Return the population of that name."""
        return next(population for population in self.populations if population.name == name)

    def inbound(self, name: str) -> List[ExportedProjection]:
        """Return the projections to a population."""
        return [projection for projection in self.projections if projection.target == name]

    def input_current(self, population: ExportedPopulation, inputs: np.ndarray) -> np.ndarray:
        """Return the current of a constant input, 0 for another one: float64 (size, samples)."""
        current = np.zeros((population.size, len(inputs)))
        if self.input.coding == "current":
            pixels = inputs.T
            if self.integers:  # rounded in float32, as the simulation does
                pixels = np.rint(pixels.astype(np.float32) * np.float32(self.pixel)).astype(np.float64)
            for projection in self.inbound(population.name):
                if projection.source == self.input.name:
                    current += projection.weights @ pixels
        return current

    def changing_current(self, population: ExportedPopulation, values: np.ndarray) -> np.ndarray:
        """Return the current of an input that changes or spikes, (inputs, steps), by the step in which it arrives.

        It is float64 (steps + 1, size), with zeros at the end.
        """
        current = np.zeros((values.shape[1] + 1, population.size))
        for projection in self.inbound(population.name):
            if projection.source == self.input.name:
                sent = (projection.weights @ values).T
                current[projection.delay : -1] += sent[: len(sent) - projection.delay]
        return current

    def refuse_late(self, simulator: str) -> None:
        """Raise `UsageError` if a cycle needs a synapse without delay, for a simulator whose synapses take a step."""
        first = {population.name: population.first_step for population in self.populations}
        for p in self.projections:
            later = first[p.target] - first[p.source]
            if self.leaky and p.source != self.input.name and p.delay_steps != p.delay + later:
                raise UsageError(
                    f"--with {simulator} carries a spike over each layer in a step, so {p.source} would reach "
                    f"{p.target} too late in their cycle; compare with --with scipy"
                )

    def spiking_inbound(self, name: str) -> List[ExportedProjection]:
        """Return the projections to a population whose sources spike."""
        return [p for p in self.inbound(name) if self.input.coding != "current" or p.source != self.input.name]


def exported_network(graph: SynapseGraph, simulated: Optional[Simulated] = None) -> ExportedNetwork:
    """Export a graph to temporary files, and read these; `simulated` is the simulation of its spikes.

    The files have the format of `snnb export --format sonata`, which refuses numbers that NEST's neurons do not have.
    Max pooling by the toolbox's rule is refused here.
    """
    graph = (graph.with_integers() if "weight_bits" in graph.attributes else graph).with_pool_weight("mean")
    request = Request(simulated=simulated)
    description = describe(graph, "sonata", sonata.FORMAT, request, None)
    for projection in description["projections"]:
        if projection["weights"] == "leading_input":
            raise UsageError(
                f"{projection['target']} is a max pooling by the toolbox's rule; use parse --max-pool exact"
            )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "graph"
        sonata.write(graph, folder, request)
        return _read(folder, description)


def _read(folder: Path, description: Mapping[str, JsonValue]) -> ExportedNetwork:
    """Read an export of format `sonata`."""
    with reading(folder / "nodes.h5") as file:
        biases = file["nodes/snn/0/bias"][()].astype(np.float64)
    populations, shared = [], description["neuron"]
    steps = description.get("simulation", {}).get("input") == "steps"
    pools = {p["target"] for p in description["projections"] if p["weights"] == "largest_count"}
    for i, population in enumerate(description["populations"]):
        first, size, shape = population["first_id"], population["size"], tuple(population["shape"])
        neuron = _neuron_of(population, shared)
        populations.append(
            ExportedPopulation(
                name=population["name"],
                size=size,
                coding="steps" if steps and not i else population["coding"],
                first_step=population["first_step"],
                bias=biases[first : first + size] if i else np.zeros(size),
                start=np.broadcast_to(neuron.initial, shape).ravel(),
                threshold=np.broadcast_to(neuron.firing_threshold, shape).ravel(),
                numbers={name: values.reshape(size, 1) for name, values in neuron.numbers(shape).items()},
                window=tuple(population["window"])
                if "window" in population and population["name"] not in pools
                else None,
                later_bias=np.resize(population["later_bias"], size) if "later_bias" in population else None,
                counts_largest=population["name"] in pools,
            )
        )
    pixel = float(shared.get("input_spike_amplitude", 1))
    amplitudes = dict.fromkeys((population.name for population in populations), float(shared.get("spike_amplitude", 1)))
    amplitudes[populations[0].name] = 1.0 if populations[0].coding == "current" else pixel
    return ExportedNetwork(
        tuple(populations),
        tuple(_projections(folder / "edges.h5", description, amplitudes)),
        any("neuron" in population for population in description["populations"]),
        any("threshold" in population for population in description["populations"]),
        pixel,
    )


def _neuron_of(population: Mapping[str, JsonValue], shared: Mapping[str, JsonValue]) -> Neuron:
    """Return the neurons that a description states of a population; `shared` are the parameters of all."""
    if "neuron" in population:
        numbers = {"threshold": np.inf, **population["neuron"]}
        spikes = numbers.pop("spikes")
        return Neuron.of(numbers, spikes=spikes)
    return Neuron(
        population.get("threshold", shared.get("threshold", 1)),
        reset=0.0 if shared["reset"] == "zero" else None,
        initial=population.get("initial_potential", shared.get("initial_potential", 0)),
    )


def _projections(
    path: Path, description: Mapping[str, JsonValue], amplitudes: Mapping[str, float]
) -> List[ExportedProjection]:
    from scipy.sparse import coo_matrix

    populations = {population["name"]: population for population in description["populations"]}
    projections: Dict[int, ExportedProjection] = {}
    with reading(path) as file:
        for edges in file["edges"].values():
            kinds = edges["edge_type_id"][()]
            for number in np.unique(kinds).tolist():
                part = slice(*np.searchsorted(kinds, [number, number + 1]))
                projection = description["projections"][number]
                source, target = populations[projection["source"]], populations[projection["target"]]
                rows = edges["target_node_id"][part].astype(np.int64) - target["first_id"]
                columns = edges["source_node_id"][part].astype(np.int64) - source["first_id"]
                weights = edges["0/syn_weight"][part].astype(np.float64) * amplitudes[source["name"]]
                matrix = coo_matrix((weights, (rows, columns)), shape=(target["size"], source["size"])).tocsr()
                ends = source["name"], target["name"]
                delays = projection["delay_steps"], projection.get("delay", 0)
                projections[number] = ExportedProjection(*ends, matrix, *delays)
    return [projections[number] for number in sorted(projections)]
