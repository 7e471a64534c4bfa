"""Write a graph in the format of another program, after an estimate of size and time."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Mapping, Optional

from snnb.core.errors import ResourceError, UsageError
from snnb.core.options import option_name
from snnb.core.progress import Progress, silent
from snnb.graph.export import (
    csv,
    graphml,
    hmetis,
    metis,
    networkx,
    nir,
    npz,
    parquet,
    parts,
    pynn,
    sanafe,
    snn,
    sonata,
    spinemap,
)
from snnb.graph.export.description import describe
from snnb.graph.export.export_options import DEFAULTS, ExportOptions
from snnb.graph.export.nodes import write_node_csv
from snnb.graph.export.request import Format, OnCores, PlacedNeurons, Request
from snnb.graph.export.simulated import Simulated
from snnb.graph.export.target import DESCRIPTION, architecture_beside, beside, check_target, nodes_beside
from snnb.graph.export.target import described as description
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.atomic import atomic_path, flushed_meanwhile
from snnb.io.files import raise_on_full_disk

_MODULES = (networkx, csv, npz, parquet, parts, sonata, spinemap, nir, pynn, sanafe, metis, hmetis, snn, graphml)
FORMATS: Dict[str, Format] = {module.__name__.rpartition(".")[2]: module.FORMAT for module in _MODULES}


@dataclass(frozen=True)
class Estimate:
    """Estimated size and time of an export."""

    edges: int
    size_bytes: int
    seconds: float


@dataclass(frozen=True)
class Export:
    """An export that has been written."""

    path: Path
    format: str
    edges: int
    size_bytes: int
    seconds: float
    origin: Optional[Mapping[str, str]] = None


def estimate(graph: SynapseGraph, format: str, options: ExportOptions = DEFAULTS) -> Estimate:
    """Estimate size and time of an export in one of `FORMATS`."""
    return _estimate(graph, find_format(format), Request(options))


def _estimate(graph: SynapseGraph, described: Format, request: Request) -> Estimate:
    edges = PlacedNeurons(graph, request).edges if described.partial else graph.number_of_edges()
    return Estimate(edges, round(described.size(graph, request)), edges / described.edges_per_second)


def export(
    graph: SynapseGraph,
    format: str,
    target: Path,
    options: ExportOptions = DEFAULTS,
    *,
    force: bool = False,
    spike_times: Optional[Path] = None,
    origin: Optional[Mapping[str, str]] = None,
    simulated: Optional[Simulated] = None,
    on_cores: Optional[OnCores] = None,
    progress: Progress = silent,
) -> Export:
    """Write the graph in the format of another program.

    Parameters
    ----------
    graph : SynapseGraph
    format : str, one of `FORMATS`
    target : Path
        File or directory to write; it appears when it is complete.
    options : ExportOptions
    force : bool
        Replace a file, or a directory that an export has made.
    spike_times : path of spike_times.npz of the simulation, which spinemap needs
    origin : mapping, optional
        Stamp of the graph and SHA-256 of its file. A format that is a file then has a description `NAME.json`.
    simulated : simulation of the spike counts, for the description
    on_cores : mapping, for sanafe
    progress : Progress
    """
    described = find_format(format)
    request = Request(options, spike_times, target.suffix == ".gz", progress, simulated, on_cores)
    refuse_foreign_options(format, options)
    sidecar = not described.directory and (described.sidecar or origin is not None)
    # The description first: it lets `--force` replace the rest
    siblings = [beside(target), nodes_beside(target), architecture_beside(target)]
    used = (sidecar, described.nodes_beside, on_cores is not None)
    written = [path for path, is_used in zip(siblings, used) if is_used]
    check_target(target, written, FORMATS, force=force)
    own = target.exists() and description(beside(target), FORMATS) is not None
    outdated = [path for path in siblings if own and path not in written]
    if options.integers:
        graph = graph.with_integers()
    if described.simulates:
        graph = graph.with_pool_weight("mean")
    if described.simulates and format != "sonata" and any(p.window is not None for p in graph.populations):
        raise UsageError(
            f"format {format} cannot state that populations fire in windows of time steps: take sonata, whose "
            "description has them, or a network converted with --firing free"
        )
    if described.check is not None:
        described.check(graph, request)
    expected = _estimate(graph, described, request)
    _refuse_full_disk(expected.size_bytes, format, target)
    stated = describe(graph, format, described, request, origin)
    begin = time.monotonic()
    atomic = atomic_path(target, force=force, beside=written, outdated=outdated)
    with atomic as temporary, raise_on_full_disk(temporary.parent):
        _write(graph, described, request, temporary, stated)
        if described.nodes_beside:
            write_node_csv(nodes_beside(temporary), graph.populations)
        if on_cores is not None:
            architecture_beside(temporary).write_text(on_cores.architecture)
        if sidecar:
            _write_description(beside(temporary), stated)
    files_written = target.iterdir() if described.directory else [target]
    size = sum(path.stat().st_size for path in files_written)
    return Export(target, format, expected.edges, size, time.monotonic() - begin, origin)


def _write(graph: SynapseGraph, described: Format, request: Request, path: Path, stated: Mapping[str, object]) -> None:
    """Write a file, or a directory with its description."""
    with flushed_meanwhile(path):
        described.write(graph, path, request)
    if described.directory:
        files = sorted(entry.name for entry in path.iterdir())
        _write_description(path / DESCRIPTION, {**stated, "files": files})


def _write_description(path: Path, stated: Mapping[str, object]) -> None:
    path.write_text(json.dumps(stated, indent=2) + "\n")


def find_format(name: str) -> Format:
    """Return a format by name; raise `UsageError` if it is unknown."""
    if name not in FORMATS:
        raise UsageError(f"format {name!r} is unknown; use one of {', '.join(FORMATS)}")
    return FORMATS[name]


def refuse_foreign_options(format: str, options: ExportOptions) -> None:
    """Raise `UsageError` for an option that only other formats have."""
    for name in ExportOptions.model_fields:
        having = [other for other, described in FORMATS.items() if name in described.own_options]
        if having and format not in having and getattr(options, name) != getattr(DEFAULTS, name):
            option = option_name(ExportOptions, name)
            raise UsageError(f"{option} is for --format {', '.join(having)}, not for {format}; leave it out")


def _refuse_full_disk(size: int, format: str, target: Path) -> None:
    from rich.filesize import decimal

    free = shutil.disk_usage(str(target.parent)).free
    if size > free:
        raise ResourceError(
            f"{target}: {format} will take about {decimal(size)}, the disk has {decimal(free)} free; "
            "give --output on another disk, or another format"
        )
