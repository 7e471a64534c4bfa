"""The request that an exporter gets, and the properties of a format."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, NamedTuple, Optional, Tuple

import numpy as np

from snnb.core.errors import UsageError
from snnb.core.progress import Progress, Throttle, silent
from snnb.formats.export_options import ExportOptions
from snnb.graph.connection import ranges
from snnb.graph.listed import ListedGraph
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection, out_degrees, targets
from snnb.graph.synapse_graph import SynapseGraph
from snnb.network.neuron import Neuron, NeuronOptions, Normalised, converted_neuron

UNSAFE = re.compile(r"[^\w.-]", re.ASCII)
DEFAULTS = ExportOptions()
LONGEST_PART = 80  # of the 255 bytes of a file name
BATCH = 1 << 18  # edges in a batch
TEXT_BATCH = 1 << 14  # in a text format: lines stay in the second-level cache


@dataclass(frozen=True)
class Simulated:
    """Parameters of the simulation whose spikes the graph has."""

    threshold: float  # of the membrane potential, and amplitude of a spike
    reset: str  # subtraction or zero
    input: str  # constant or poisson
    input_rate_hz: Optional[float]  # Poisson rate of a pixel of value 1
    pixel_scale: Optional[float]  # a pixel is value / scale, in float32
    samples_file: Optional[
        str
    ]  # path in the run, of shape (samples, height, width, channels)
    samples_sha256: Optional[str]
    duration: int  # time steps of a sample
    recorded_samples: int  # number of samples whose spike times were recorded
    seed: int
    first_sample: int = 0
    initial_potential: float = (
        0.0  # before the first step, as a fraction of the threshold
    )


@dataclass(frozen=True, eq=False)
class OnCores:
    """Neurons on the cores of a chip, for sanafe: arrays of all neurons but the input's, by id."""

    tile: np.ndarray
    core: np.ndarray  # number in the tile
    updated: np.ndarray  # bool, whether a neuron is updated in every time step
    architecture: str  # content of the architecture file
    mapping: Dict[str, str]  # stamp and hardware


@dataclass(frozen=True, eq=False)
class MeshTraffic:
    """Spikes between the routers of a mesh, for noxim: arrays of the pairs of different routers with spikes."""

    source: np.ndarray  # int (pairs, 2), as `target`: x and y of the routers
    target: np.ndarray
    spikes: (
        np.ndarray
    )  # float64 (pairs,), spikes per time step, one for each core reached
    routers: Tuple[int, int]  # number along x and along y
    step_ns: Optional[float]  # None if the hardware has no times
    mapping: Dict[str, str]  # stamp and hardware


@dataclass(frozen=True)
class Request:
    """Options and inputs of an export; each format uses some of them."""

    options: ExportOptions = DEFAULTS
    spike_times: Optional[Path] = (
        None  # spike_times.npz of the simulation, for spinemap
    )
    progress: Progress = silent
    simulated: Optional[Simulated] = None  # the simulation of the spike counts
    on_cores: Optional[OnCores] = None  # the mapping, for sanafe
    traffic: Optional[MeshTraffic] = None  # likewise for noxim

    @property
    def _neurons(self) -> NeuronOptions:
        return Normalised() if self.simulated is None else self.simulated

    @property
    def amplitude(self) -> float:
        """Amplitude of a spike, in units of the weights: the unit of potentials, biases and weights of the input."""
        return self._neurons.threshold

    @property
    def reset(self) -> str:
        """Reset of the neurons of a converted network, `subtraction` or `zero`."""
        return self._neurons.reset

    @property
    def neuron(self) -> Neuron:
        """The neurons of a converted network whose populations have no separate initial potentials."""
        return converted_neuron(self._neurons)

    def neuron_of(self, population: GraphPopulation) -> Neuron:
        """Return the neurons of a population, with potentials in the unit of the weights."""
        return population.neuron_with(self._neurons)

    def reset_of(self, population: GraphPopulation) -> str:
        """Return the reset of the neurons of a population, which their model states if they have one.

        It is `zero` for neurons that do not spike, since more simulators have a leaky
        neuron with this reset.
        """
        if population.neuron is None:
            return self.reset
        return (
            "subtraction"
            if population.neuron.reset_potential is None
            and population.neuron.is_spiking
            else "zero"
        )

    def rate_scale(self, graph: SynapseGraph) -> float:
        """Return the factor from spikes per time step to the unit of rates."""
        return (
            1.0
            if graph.recording is None
            else graph.recording.rate_scale(self.options.rate_unit)
        )

    def counter(self, total: int) -> "Counter":
        """Return a counter of the edges written."""
        return Counter(self.progress, total)


DEFAULT_REQUEST = Request()


class Counter:
    """Report the number of edges written, throttled."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done, self._throttle = (
            progress,
            total,
            0,
            Throttle(),
        )

    def add(self, edges: int) -> None:
        """Count edges."""
        self._done += edges
        if self._throttle.due(last=self._done == self._total):
            self._progress(self._done, self._total)


class SpikingPart(NamedTuple):
    """The part of a graph that partition and spike formats write, its neurons numbered from 0."""

    populations: Tuple[GraphPopulation, ...]  # all except a constant input
    projections: Tuple[GraphProjection, ...]  # all between them

    @classmethod
    def of(cls, graph: SynapseGraph, request: Request) -> "SpikingPart":
        """Return the part to write: with the option `with_input`, the entire graph."""
        if request.options.with_input or any(
            population.coding != "current" for population in graph.inputs
        ):
            return cls(graph.populations, graph.projections)
        return cls(
            graph.layers,
            tuple(p for p in graph.projections if p.source not in graph.inputs),
        )

    @property
    def first(self) -> int:
        """Id in the graph of the neuron that is written as 0."""
        return self.populations[0].first

    @property
    def nodes(self) -> int:
        """Number of neurons."""
        return sum(population.size for population in self.populations)

    @property
    def edges(self) -> int:
        """Number of synapses."""
        return sum(projection.number_of_edges for projection in self.projections)

    def rows(
        self, edges: int
    ) -> Iterator[Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Yield neurons, and start, targets and weights of their synapses, for about a number of edges at a time."""
        for population in self.populations:
            for start, stop in ranges(out_degrees(self.projections, population), edges):
                indptr, target, weight = targets(
                    self.projections, population, start, stop
                )
                yield (
                    np.arange(start, stop) + population.first - self.first,
                    indptr,
                    target - self.first,
                    weight,
                )


def nonempty_rows(indptr: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Return the indices of the rows of a CSR form that are not empty, and the `indptr` of these."""
    rows = np.flatnonzero(np.diff(indptr))
    return rows, np.append(indptr[rows], indptr[-1])


def file_name(number: int, projection: GraphProjection) -> str:
    """Return the stem of the names of a projection's files, without characters that file names may not have."""
    source, target = (
        UNSAFE.sub("_", p.name)[:LONGEST_PART]
        for p in (projection.source, projection.target)
    )
    return f"{number:04d}_{source}__{target}"


def starts_above_zero(graph: SynapseGraph) -> bool:
    """Whether neurons of a calibrated network have initial potentials other than 0."""
    return any(
        p.initial_potential is not None and p.initial_potential.any()
        for p in graph.populations
    )


def need_counts(graph: SynapseGraph, request: "Request") -> None:
    """Raise `UsageError` for a graph without spike counts."""
    if graph.recording is None:
        raise UsageError(
            f"{graph.path} has no spike counts, which this format requires; simulate "
            "first"
        )


def file_ending_in(*endings: str) -> Callable[[Path], bool]:
    """Return a function that recognises files by the ends of their names."""
    return lambda path: path.is_file() and path.name.lower().endswith(endings)


@dataclass(frozen=True)
class Format:
    """A format and its properties."""

    suffix: str  # default suffix of the file or directory
    write: Callable[[SynapseGraph, Path, Request], None]
    # Raises an error for a graph or request that the format cannot represent, or
    # returns a warning of lost content
    check: Optional[Callable[[SynapseGraph, Request], Optional[str]]] = None
    directory: bool = False  # whether it is a directory of files
    partial: bool = False  # whether it omits a constant input (`SpikingPart`)
    # Whether a simulator reads it: average poolings have the pool weight `mean` then,
    # which is 1 / (neurons in the window) for each synapse
    simulates: bool = False
    needs_mapping: bool = False  # whether it is of a mapping
    # Whether the neurons of the input are numbered separately from the others, both
    # from 0
    input_apart: bool = False
    nodes_file: bool = False  # whether a table of nodes is written to a file next to it
    # Whether it holds the names of neurons, which otherwise a file next to it does
    has_names: bool = False
    own_options: Tuple[
        str, ...
        # Options that only some formats have, including this one; others refuse them
    ] = ()
    extra_description: Optional[
        Callable[[SynapseGraph, Request], Dict[str, object]]
    ] = None  # entries
    # Functions that recognise a file or directory, and read it; None if the format is
    # only written
    reader: Optional[Tuple[Callable[[Path], bool], Callable[[Path], ListedGraph]]] = (
        None
    )

    def part_of(self, graph: SynapseGraph, request: Request) -> SpikingPart:
        """Return the part of a graph that is written."""
        if self.partial:
            return SpikingPart.of(graph, request)
        return SpikingPart(graph.populations, graph.projections)
