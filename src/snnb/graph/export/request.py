"""What an exporter is asked for, and what it says of itself."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

from snnb.core.errors import UsageError
from snnb.core.progress import Progress, Throttle, silent
from snnb.graph.export.export_options import DEFAULTS, ExportOptions
from snnb.graph.export.simulated import Simulated
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph

UNSAFE = re.compile(r"[^\w.-]", re.ASCII)
LONGEST_PART = 80  # of a name's 255 bytes
BATCH = 1 << 18  # edges handed to a writer at a time
TEXT_BATCH = 1 << 14  # in a text format: so that their lines stay in the second-level cache


@dataclass(frozen=True)
class Request:
    """What an export is asked for; a format uses what applies to it.

    Attributes
    ----------
    options : ExportOptions
    spike_times : Path or None
        spike_times.npz of the simulation, for spinemap.
    compressed : bool
        Whether a csv file is compressed.
    progress : Progress
        Told of the edges written.
    simulated : Simulated or None
        The simulation that the spikes are from.
    """

    options: ExportOptions = DEFAULTS
    spike_times: Optional[Path] = None
    compressed: bool = False
    progress: Progress = silent
    simulated: Optional[Simulated] = None

    @property
    def threshold(self) -> float:
        """The membrane potential at which a neuron spikes; 1, which weights are normalised to, if none is known."""
        return 1.0 if self.simulated is None else self.simulated.threshold

    @property
    def reset(self) -> str:
        """What follows a spike, `subtraction` or `zero`; the former where no simulation is known."""
        return "subtraction" if self.simulated is None else self.simulated.reset

    @property
    def initial_potential(self) -> float:
        """The membrane potential of a neuron before the first step."""
        return 0.0 if self.simulated is None else self.simulated.initial_potential * self.threshold

    def rate_scale(self, graph: SynapseGraph) -> float:
        """Return the factor from spikes per time step to the unit of rates."""
        return 1.0 if graph.recording is None else graph.recording.rate_scale(self.options.rate_unit)

    def counter(self, total: int) -> "Counter":
        """Return what counts the edges written, `total` in all."""
        return Counter(self.progress, total)


class Counter:
    """Pass on how many edges are written, not too often."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done, self._throttle = progress, total, 0, Throttle()

    def add(self, edges: int) -> None:
        """Count edges."""
        self._done += edges
        if self._throttle.due(last=self._done == self._total):
            self._progress(self._done, self._total)


class PlacedNeurons:
    """The part of a graph that partition and spike formats keep: all but a constant-current input, ids again from 0.

    Attributes
    ----------
    first : int
        Id in the graph of the node that becomes 0.
    nodes : int
    populations : list of GraphPopulation
    projections : list of GraphProjection
    """

    def __init__(self, graph: SynapseGraph, request: Request) -> None:
        left_out = graph.populations[0].coding == "current" and not request.options.with_input
        self.populations: List[GraphPopulation] = list(graph.populations[1 if left_out else 0 :])
        self.first = self.populations[0].first
        self.nodes = graph.number_of_nodes() - self.first
        kept = {population.name for population in self.populations}
        self.projections: List[GraphProjection] = [p for p in graph.projections if p.source.name in kept]

    @property
    def edges(self) -> int:
        """Number of synapses."""
        return sum(projection.number_of_edges for projection in self.projections)

    def from_source(self, population: GraphPopulation) -> List[GraphProjection]:
        """Return the projections from a population."""
        return [p for p in self.projections if p.source is population]

    def to_target(self, population: GraphPopulation) -> List[GraphProjection]:
        """Return the projections to a population."""
        return [p for p in self.projections if p.target is population]


def file_name(number: int, projection: GraphProjection) -> str:
    """Return what the files of a projection are called: names of populations may hold what names of files may not."""
    source, target = (UNSAFE.sub("_", p.name)[:LONGEST_PART] for p in (projection.source, projection.target))
    return f"{number:04d}_{source}__{target}"


def need_counts(graph: SynapseGraph, request: Request) -> None:
    """Refuse a graph without spike counts where a format is about traffic."""
    if graph.recording is None:
        raise UsageError(
            f"{graph.path} has weights only, and this format is about spikes; make the graph of a simulation"
        )


@dataclass(frozen=True)
class Format:
    """A format: how it is written and how large and long that will be.

    Attributes
    ----------
    title : str
        What reads it.
    suffix : str
        What is put behind the model's name to name the file, or the directory of files.
    write : callable
        Takes graph, path and request and writes there.
    size : callable
        Estimates the bytes from graph and request.
    edges_per_second : float
        How fast it goes on one core, to estimate the time (benchmarks/graph.py measures it).
    check : callable or None
        Raises an error for a graph or request that the format cannot hold.
    directory : bool
        Whether it is a directory of files; its description.json states units and the like.
    sidecar : bool
        Whether these always stand in a file NAME.json beside it, since the format has no place for them.
    partial : bool
        Whether it leaves a constant-current input out (`PlacedNeurons`).
    simulates : bool
        Whether a simulator reads it: average poolings then weigh the mean, whatever the graph was made with.
    input_apart : bool
        Whether the input's neurons and the others are numbered apart, both from 0.
    nodes_beside : bool
        Whether a table of nodes stands in a file of its own beside it (`target.nodes_beside`).
    own_options : tuple of str
        Options that only some formats have, this one among them.
    stated : callable or None
        What the description says of this format alone, from graph and request.
    """

    title: str
    suffix: str
    write: Callable[[SynapseGraph, Path, Request], None]
    size: Callable[[SynapseGraph, Request], float]
    edges_per_second: float
    check: Optional[Callable[[SynapseGraph, Request], None]] = None
    directory: bool = False
    sidecar: bool = False
    partial: bool = False
    simulates: bool = False
    input_apart: bool = False
    nodes_beside: bool = False
    own_options: Tuple[str, ...] = ()
    stated: Optional[Callable[[SynapseGraph, Request], Dict[str, object]]] = None
