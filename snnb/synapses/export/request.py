"""What an exporter is asked for, and what it says of itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

from snnb.progress import Progress, silent
from snnb.synapses.graph import SynapseGraph


@dataclass(frozen=True)
class Request:
    """The options of an export; an exporter heeds those that its format has.

    Attributes
    ----------
    rate_unit : {"step", "hz", "sample"}
        Unit of rates, and with it of edges, in what is written.
    with_input : bool
        Whether partition and spike formats keep an input population that is a constant current.
    progress : Progress
        Told of the edges written.
    """

    rate_unit: str = "step"
    with_input: bool = False
    progress: Progress = silent

    def rate_scale(self, graph: SynapseGraph) -> float:
        return 1.0 if graph.recording is None else graph.recording.rate_scale(self.rate_unit)


@dataclass(frozen=True)
class Format:
    """A format: how it is written and how large and long that will be.

    Attributes
    ----------
    title : str
        What reads it.
    suffix : str
        What a file's name ends in; empty for a directory of files.
    write : callable
        Takes graph, path and request and writes there.
    size : callable
        Estimates the bytes from the graph.
    edges_per_second : float
        How fast it goes, to estimate the time; measured by benchmarks/graph.py.
    check : callable or None
        Raises an error for a graph or request that the format cannot hold.
    """

    title: str
    suffix: str
    write: Callable[[SynapseGraph, Path, Request], None]
    size: Callable[[SynapseGraph], float]
    edges_per_second: float
    check: Optional[Callable[[SynapseGraph, Request], None]] = None
