"""Write a graph in another program's format: streamed, estimated first, whole or not at all."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict

from snnb.errors import ResourceError, UsageError
from snnb.progress import Progress, silent
from snnb.synapses.export import csv, networkx
from snnb.synapses.export.request import Format, Request
from snnb.synapses.files import refuse_existing, written_whole
from snnb.synapses.graph import SynapseGraph
from snnb.synapses.population import RATE_UNITS

FORMATS: Dict[str, Format] = {
    "networkx": networkx.FORMAT,
    "csv": csv.FORMAT,
}


@dataclass(frozen=True)
class Estimate:
    """What an export will take."""

    edges: int
    size_bytes: int
    seconds: float


@dataclass(frozen=True)
class Export:
    """What an export has written."""

    path: Path
    format: str
    edges: int
    size_bytes: int
    seconds: float


def estimate(graph: SynapseGraph, format: str) -> Estimate:
    """Estimate size and time of an export without writing anything."""
    described = _find(format)
    edges = graph.number_of_edges()
    return Estimate(edges, round(described.size(graph)), edges / described.edges_per_second)


def export(
    graph: SynapseGraph,
    format: str,
    target: Path,
    *,
    rate_unit: str = "step",
    force: bool = False,
    with_input: bool = False,
    progress: Progress = silent,
) -> Export:
    """Write the graph in another program's format.

    Parameters
    ----------
    graph : SynapseGraph
    format : str
        One of `FORMATS`.
    target : Path
        File or directory (as the format has it) to write; it appears under this name only when it is complete.
    rate_unit : {"step", "hz", "sample"}
        Unit of the rates written, and so of the edges.
    force : bool
        Replace an existing target.
    with_input : bool
        Keep a constant-current input population in partition and spike formats.
    progress : Progress
        Told of the edges written.

    Raises
    ------
    UsageError
        For an unknown format or unit, or a target that exists.
    ResourceError
        If the estimated size does not fit on the disk.
    """
    described = _find(format)
    if rate_unit not in RATE_UNITS:
        raise UsageError(f"rate unit {rate_unit!r} is unknown; use one of {', '.join(RATE_UNITS)}")
    request = Request(rate_unit, with_input, progress)
    refuse_existing(target, force=force)
    if described.check is not None:
        described.check(graph, request)
    expected = estimate(graph, format)
    free = shutil.disk_usage(str(target.parent)).free
    if expected.size_bytes > free:
        raise ResourceError(
            f"{target}: {format} will take about {expected.size_bytes / 1e9:,.1f} GB, the disk has "
            f"{free / 1e9:,.1f} GB free; give --output on another disk, or another format"
        )
    begin = time.monotonic()
    with written_whole(target, force=force) as temporary:
        described.write(graph, temporary, request)
    files = target.rglob("*") if target.is_dir() else [target]
    size = sum(path.stat().st_size for path in files if path.is_file())
    return Export(target, format, expected.edges, size, time.monotonic() - begin)


def _find(format: str) -> Format:
    if format not in FORMATS:
        raise UsageError(f"format {format!r} is unknown; use one of {', '.join(FORMATS)}")
    return FORMATS[format]
