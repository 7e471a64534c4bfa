"""A network read from an export of format `sonata` and its description only.

`exported_network` writes the files of an export and reads them again, so that what
other simulators compute depends on nothing but these files and their description. The
description itself is passed on without a file.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Callable,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import h5py
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


# Spikes by population, int64 of shape (spikes, 3): sample, neuron, and step counted
# from the population's first.
Spikes = Mapping[str, np.ndarray]
# Simulation function: takes inputs (constant: float64 of shape (samples, inputs);
# spikes: bool of shape (samples, inputs, steps)) and the number of steps; returns the
# spikes of each simulated population.
Simulate = Callable[[np.ndarray, int], Dict[str, np.ndarray]]


def in_order(spikes: np.ndarray) -> np.ndarray:
    """Sort the rows of `Spikes` of a population by step, then sample, then neuron."""
    sample, neuron, step = spikes.T
    return spikes[np.lexsort((neuron, sample, step))]


def counts_of(
    spikes: np.ndarray,
    samples: int,
    size: int,
    first_counted_step: int,
) -> np.ndarray:
    """Count the spikes of a population: int64 (samples, size).

    Those before the step `first_counted_step` do not count.
    """
    sample, neuron, _ = spikes[spikes[:, 2] >= first_counted_step].T
    counts = np.bincount(sample * size + neuron, minlength=samples * size)
    return counts.reshape(samples, size)


@dataclass(frozen=True)
class ExportedPopulation:
    """A population as a simulator needs it: parameters of each neuron.

    All numbers are from the files of an export and its description.

    Attributes
    ----------
    name : str
        Name in the graph.
    size : int
        Number of neurons.
    coding : str
        `spikes`, `current`, `random`, or `steps` (an input whose current is another one
        in each step).
    first_step : int
        First step of the population in a simulator that delays each synapse.
    bias : np.ndarray
        Added in every step, see `bias_and_current`: float64 (size,).
    start : np.ndarray
        Membrane potential before the first step: float64 (size,).
    threshold : np.ndarray
        Potential at which a neuron spikes: float64 (size,).
    numbers : mapping of str to np.ndarray
        Numbers of the neuron model by name: float64 (size, 1). Neurons of a converted
        network have no leak: the number `leak`, a factor of the potential, is 1.
    window : tuple of int, optional
        Steps in which a neuron can fire, the end excluded. None: every step.
    later_bias : np.ndarray, optional
        Added from the second step on: float64 (size,).
    counts_largest : bool
        Whether it is a max pooling, which has no membrane, see `largest_counts`.
    fixed_point : bool
        Whether the neurons compute with fixed-point numbers; the description of the
        export states how. The gains are 1.
    """

    name: str
    size: int
    coding: str
    first_step: int
    bias: np.ndarray
    start: np.ndarray
    threshold: np.ndarray
    numbers: Mapping[str, np.ndarray]
    window: Optional[Tuple[int, int]] = None
    later_bias: Optional[np.ndarray] = None
    counts_largest: bool = False
    fixed_point: bool = False

    @property
    def window_steps(self) -> int:
        """Number of steps of the window, 0 without one."""
        return 0 if self.window is None else self.window[1] - self.window[0]

    def fires(self, step: int) -> bool:
        """Whether the neurons can fire in a step."""
        return self.window is None or self.window[0] <= step < self.window[1]

    def bias_and_current(self, step: int, current: np.ndarray) -> np.ndarray:
        """Return the sum of the biases and a constant `current` in a step.

        Both are float64 (size, samples). The current of fixed-point neurons includes
        the bias. With a window, the bias acts in the steps before it, as many as it
        has, and a constant input in as many steps from the first.
        """
        has_bias = True
        has_current = True
        if self.window is not None:
            begin = self.window[0]
            has_bias = begin - self.window_steps <= step < begin
            has_current = step < self.window_steps
        x = np.zeros_like(current)
        if has_bias and not self.fixed_point:
            x += self.bias[:, None]
        if step and self.later_bias is not None:
            x += self.later_bias[:, None]
        if has_current:
            x += current
        return x

    def integrate(
        self,
        membrane: np.ndarray,
        current: np.ndarray,
        x: np.ndarray,
    ) -> None:
        """Add the input `x` of a step to the membrane potential and synaptic current.

        `membrane` and `current`, float64 (size, samples), are changed in place; the
        synaptic current stays 0 in a model without one. `x` has the same shape.
        """
        numbers = self.numbers
        if self.fixed_point:
            self._integrate_fixed_point(membrane, current, x)
            return
        if "current_leak" in numbers:
            current_leak_rate = 1 - numbers["current_leak"]
            current += numbers["current_gain"] * x - current_leak_rate * current
            x = current
        leak_rate = 1 - numbers["leak"]
        membrane += numbers["gain"] * x + numbers["offset"] - leak_rate * membrane

    def _integrate_fixed_point(
        self,
        membrane: np.ndarray,
        current: np.ndarray,
        x: np.ndarray,
    ) -> None:
        """See `integrate`; whole numbers of the smallest step are computed with."""
        numbers = self.numbers
        unit = 64
        wrapped = (x.astype(np.int64) + 2**23) % 2**24 - 2**23
        kept_current = np.trunc(numbers["current_leak"] * current * unit)
        sums = kept_current.astype(np.int64) + unit * wrapped
        sums = np.where(sums > 2**23, sums - 2**24, sums)
        sums = np.where(sums <= -(2**23), sums + 2**24, sums)
        offset = (numbers["offset"] * unit).astype(np.int64)
        kept_potential = np.trunc(numbers["leak"] * membrane * unit)
        potential = kept_potential.astype(np.int64) + sums + offset
        limit = 2**23 - 1
        current[:] = sums / unit
        membrane[:] = np.clip(potential, -limit, limit) / unit

    def reset(self, membrane: np.ndarray, spiking: np.ndarray) -> None:
        """Reset the membrane potential of the neurons that spike, in place."""
        if "reset" in self.numbers:
            np.copyto(membrane, self.numbers["reset"], where=spiking)
        else:
            membrane -= spiking * self.numbers["subtrahend"]


@dataclass(frozen=True)
class ExportedProjection:
    """Synapses from one population to another."""

    source: str
    target: str
    # Contribution of a spike, or of a current of 1: float64 (targets, sources)
    weights: "csr_matrix"
    delay_steps: int  # at least 1, for simulators that delay each synapse
    delay: int = 0  # time steps from a spike to its arrival in others


def largest_counts(
    projections: Sequence[ExportedProjection],
    counts: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Return the largest of the spike counts of the sources of each target.

    It is an array (targets, samples), 0 for a target without a source. `counts` has the
    spike counts of each population, (neurons, samples).
    """
    targets = projections[0].weights.shape[0]
    source_counts = counts[projections[0].source]
    largest = np.zeros((targets, source_counts.shape[1]), source_counts.dtype)
    for projection in projections:
        windows = projection.weights
        filled_rows = np.flatnonzero(np.diff(windows.indptr))
        if filled_rows.size:
            values = np.maximum.reduceat(
                counts[projection.source][windows.indices],
                windows.indptr[filled_rows],
                axis=0,
            )
            largest[filled_rows] = np.maximum(largest[filled_rows], values)
    return largest


@dataclass(frozen=True)
class ExportedNetwork:
    """Populations, projections, and the parameters that all neurons share."""

    populations: Tuple[ExportedPopulation, ...]  # the input first
    projections: Tuple[ExportedProjection, ...]
    leaky: bool  # whether populations have a neuron model
    # Whether all numbers are integers, so that no sum is rounded
    integers: bool = False
    pixel: float = 1.0  # the integer of a pixel of 1 in a network of integers

    @property
    def input(self) -> ExportedPopulation:
        """The input."""
        return self.populations[0]

    @property
    def simulated_populations(self) -> List[ExportedPopulation]:
        """The populations whose spikes follow from the network.

        They are all but the input and spikes that are drawn at random.
        """
        return [p for p in self.populations[1:] if p.coding == "spikes"]

    def population(self, name: str) -> ExportedPopulation:
        """Return the population of that name."""
        return next(p for p in self.populations if p.name == name)

    def inbound(self, name: str) -> List[ExportedProjection]:
        """Return the projections to a population."""
        return [p for p in self.projections if p.target == name]

    def _input_projections(self, name: str) -> List[ExportedProjection]:
        """Return the projections from the input to a population."""
        return [p for p in self.inbound(name) if p.source == self.input.name]

    def spiking_inbound(self, name: str) -> List[ExportedProjection]:
        """Return the projections to a population whose sources spike."""
        if self.input.coding != "current":
            return self.inbound(name)
        return [p for p in self.inbound(name) if p.source != self.input.name]

    def input_current(
        self,
        population: ExportedPopulation,
        inputs: np.ndarray,
    ) -> np.ndarray:
        """Return the current of a constant input: float64 (size, samples).

        It is 0 for another input.
        """
        current = np.zeros((population.size, len(inputs)))
        if self.input.coding != "current":
            return current
        pixels = inputs.T
        if self.integers:  # rounded in float32, as the simulation does
            scaled_pixels = pixels.astype(np.float32) * np.float32(self.pixel)
            pixels = np.rint(scaled_pixels).astype(np.float64)
        for projection in self._input_projections(population.name):
            current += projection.weights @ pixels
        if population.fixed_point:  # the bias is rounded with it
            return np.trunc(current + population.bias[:, None])
        return current

    def changing_current(
        self,
        population: ExportedPopulation,
        values: np.ndarray,
    ) -> np.ndarray:
        """Return the current of an input that changes or spikes, in a sample.

        `values` are (inputs, steps). The result is float64 (steps + 1, size), by the
        step in which the current arrives, with zeros before the delay and in the last
        row.
        """
        steps = values.shape[1]
        current = np.zeros((steps + 1, population.size))
        for projection in self._input_projections(population.name):
            contribution = (projection.weights @ values).T
            delay = projection.delay
            current[delay:-1] += contribution[: steps - delay]
        return current

    def refuse_fixed_point(self, simulator: str) -> None:
        """Raise `UsageError` for fixed-point neurons, which a simulator does not have."""
        if any(population.fixed_point for population in self.populations):
            raise UsageError(
                f"--with {simulator} has no neurons with fixed-point numbers; compare "
                "with --with scipy"
            )

    def refuse_late(self, simulator: str) -> None:
        """Raise `UsageError` if a spike needs to pass a synapse of a cycle in no step.

        It is for a simulator whose synapses take a step. Converted networks have no
        cycles.
        """
        first_step = {p.name: p.first_step for p in self.populations}
        for projection in self.projections:
            source = projection.source
            target = projection.target
            delay = projection.delay + first_step[target] - first_step[source]
            if not self.leaky or source == self.input.name:
                continue
            if projection.delay_steps != delay:
                raise UsageError(
                    f"--with {simulator} carries a spike over each layer in a step, so "
                    f"{source} would reach {target} too late in their cycle; compare "
                    "with --with scipy"
                )


def exported_network(
    graph: SynapseGraph,
    simulation: Optional[Simulated] = None,
) -> ExportedNetwork:
    """Export a graph to temporary files, and read these.

    `simulation` has the parameters of the simulation of its spikes. The files have the
    format of `snnb export --format sonata`, which refuses numbers that NEST's neurons
    do not have. Max pooling by the toolbox's rule is refused here.
    """
    if "weight_bits" in graph.attributes:
        graph = graph.with_integers()
    graph = graph.with_pool_weight("mean")
    request = Request(simulated=simulation)
    description = describe(graph, "sonata", sonata.FORMAT, request, None)
    for projection in description["projections"]:
        if projection["weights"] == "leading_input":
            raise UsageError(
                f"{projection['target']} is a max pooling by the toolbox's rule; use "
                "parse --max-pool exact"
            )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "graph"
        sonata.write(graph, folder, request)
        return read_export(folder, description)


def read_export(folder: Path, description: Mapping[str, JsonValue]) -> ExportedNetwork:
    """Read an export of format `sonata`, given its description."""
    with reading(folder / "nodes.h5") as file:
        biases = file["nodes/snn/0/bias"][()].astype(np.float64)
    populations = []
    for number, properties in enumerate(description["populations"]):
        population = _population(properties, description, biases, is_input=not number)
        populations.append(population)
    parameters = description["neuron"]
    pixel = float(parameters.get("input_spike_amplitude", 1))
    amplitude = float(parameters.get("spike_amplitude", 1))
    amplitudes = {population.name: amplitude for population in populations}
    first_population = populations[0]
    is_constant = first_population.coding == "current"
    amplitudes[first_population.name] = 1.0 if is_constant else pixel
    projections = read_projections(folder / "edges.h5", description, amplitudes)
    return ExportedNetwork(
        populations=tuple(populations),
        projections=tuple(projections),
        leaky=any("neuron" in p for p in description["populations"]),
        integers=any("threshold" in p for p in description["populations"]),
        pixel=pixel,
    )


def _population(
    properties: Mapping[str, JsonValue],
    description: Mapping[str, JsonValue],
    biases: np.ndarray,
    *,
    is_input: bool,
) -> ExportedPopulation:
    """Return a population with its `properties` in the description.

    `biases` are those of all neurons but the input's: float64 (neurons,).
    """
    name = properties["name"]
    size = properties["size"]
    shape = tuple(properties["shape"])
    coding = properties["coding"]
    begin = properties["first_id"]
    bias = biases[begin : begin + size]
    if is_input:
        bias = np.zeros(size)
        if description.get("simulation", {}).get("input") == "steps":
            coding = "steps"
    counts_largest = any(
        projection["target"] == name and projection["weights"] == "largest_count"
        for projection in description["projections"]
    )
    window = None
    if "window" in properties and not counts_largest:
        window = tuple(properties["window"])
    later_bias = None
    if "later_bias" in properties:
        later_bias = np.resize(properties["later_bias"], size)
    neuron = _neuron(properties, description["neuron"])
    numbers = neuron.numbers(shape)
    return ExportedPopulation(
        name=name,
        size=size,
        coding=coding,
        first_step=properties["first_step"],
        bias=bias,
        start=np.broadcast_to(neuron.initial, shape).ravel(),
        threshold=np.broadcast_to(neuron.threshold, shape).ravel(),
        numbers={key: values.reshape(size, 1) for key, values in numbers.items()},
        window=window,
        later_bias=later_bias,
        counts_largest=counts_largest,
        fixed_point=neuron.fixed_point,
    )


def _neuron(
    properties: Mapping[str, JsonValue],
    defaults: Mapping[str, JsonValue],
) -> Neuron:
    """Return the neurons of a population; `defaults` are the parameters of all.

    A population with a neuron model of its own has no use for them.
    """
    if "neuron" in properties:
        numbers = {"threshold": np.inf, **properties["neuron"]}
        spikes = numbers.pop("spikes")
        fixed_point = numbers.pop("fixed_point", False)
        return Neuron.from_numbers(numbers, is_spiking=spikes, fixed_point=fixed_point)
    return Neuron(
        properties.get("threshold", defaults.get("threshold", 1)),
        reset_potential=0.0 if defaults["reset"] == "zero" else None,
        initial=properties.get(
            "initial_potential",
            defaults.get("initial_potential", 0),
        ),
    )


class _EdgeColumns(NamedTuple):
    """Edges of a projection: (edges,) arrays."""

    source: np.ndarray  # int64, from 0 in the population of the file
    target: np.ndarray
    weight: np.ndarray  # float64

    @classmethod
    def read(cls, edges: h5py.Group, rows: slice) -> "_EdgeColumns":
        """Read some rows of a group of edges."""
        return cls(
            source=edges["source_node_id"][rows].astype(np.int64),
            target=edges["target_node_id"][rows].astype(np.int64),
            weight=edges["0/syn_weight"][rows].astype(np.float64),
        )


def read_projections(
    path: Path,
    description: Mapping[str, JsonValue],
    amplitudes: Mapping[str, float],
) -> List[ExportedProjection]:
    """Return the projections that have edges, in the order of the description.

    `edge_type_id` of an edge is the index of its projection there. `amplitudes` are
    those of a spike, or of a current of 1, by population.
    """
    populations = {p["name"]: p for p in description["populations"]}
    projections: Dict[int, ExportedProjection] = {}
    with reading(path) as file:
        for edges in file["edges"].values():
            types = edges["edge_type_id"][()]  # ascending
            for number in np.unique(types).tolist():
                rows = slice(*np.searchsorted(types, [number, number + 1]))
                properties = description["projections"][number]
                source = populations[properties["source"]]
                target = populations[properties["target"]]
                columns = _EdgeColumns.read(edges, rows)
                amplitude = amplitudes[source["name"]]
                projections[number] = ExportedProjection(
                    source=source["name"],
                    target=target["name"],
                    weights=_matrix_of(columns, source, target, amplitude),
                    delay_steps=properties["delay_steps"],
                    delay=properties.get("delay", 0),
                )
    return [projections[number] for number in sorted(projections)]


def _matrix_of(
    columns: _EdgeColumns,
    source: Mapping[str, JsonValue],
    target: Mapping[str, JsonValue],
    amplitude: float,
) -> "csr_matrix":
    """Return the weights times `amplitude`, by target and source."""
    from scipy.sparse import coo_matrix

    weights = columns.weight * amplitude
    target_numbers = columns.target - target["first_id"]
    source_numbers = columns.source - source["first_id"]
    matrix = coo_matrix(
        (weights, (target_numbers, source_numbers)),
        shape=(target["size"], source["size"]),
    )
    return matrix.tocsr()
