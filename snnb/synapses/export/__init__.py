"""Write a graph in another program's format: streamed, estimated first, whole or not at all."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from snnb.errors import ResourceError, UsageError
from snnb.files import flushed_meanwhile, written_whole
from snnb.progress import Progress, silent
from snnb.synapses.export import csv, graphml, hmetis, metis, networkx, npz, parquet, pynn, sonata, spinemap
from snnb.synapses.export.request import Format, PlacedNeurons, Request
from snnb.synapses.export.target import DESCRIPTION, beside, check_target
from snnb.synapses.graph import SynapseGraph
from snnb.synapses.population import RATE_UNITS

FORMATS: Dict[str, Format] = {
    "networkx": networkx.FORMAT,
    "csv": csv.FORMAT,
    "npz": npz.FORMAT,
    "parquet": parquet.FORMAT,
    "sonata": sonata.FORMAT,
    "spinemap": spinemap.FORMAT,
    "pynn": pynn.FORMAT,
    "metis": metis.FORMAT,
    "hmetis": hmetis.FORMAT,
    "graphml": graphml.FORMAT,
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
    origin: Optional[Mapping[str, str]] = None


def estimate(graph: SynapseGraph, format: str, *, with_input: bool = False) -> Estimate:
    """Estimate size and time of an export without writing anything."""
    return _estimate(graph, _find(format), Request(with_input=with_input))


def _estimate(graph: SynapseGraph, described: Format, request: Request) -> Estimate:
    edges = PlacedNeurons(graph, request).edges if described.partial else graph.number_of_edges()
    return Estimate(edges, round(described.size(graph, request)), edges / described.edges_per_second)


def export(
    graph: SynapseGraph,
    format: str,
    target: Path,
    *,
    rate_unit: str = "step",
    force: bool = False,
    with_input: bool = False,
    scale: Optional[float] = None,
    idx64: bool = False,
    spike_times: Optional[Path] = None,
    origin: Optional[Mapping[str, str]] = None,
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
        Replace a file, or a directory that an export has made.
    with_input : bool
        Keep a constant-current input population in the partition and spike formats (metis, hmetis, spinemap).
    scale : float, optional
        Factor to integer weights: of spikes per step (metis), of spike counts (hmetis). Chosen when left out.
    idx64 : bool
        The reader of a metis file holds more than 2³⁰ edges.
    spike_times : Path, optional
        spike_times.npz of the simulation, which spinemap needs.
    origin : mapping, optional
        Which graph it is, for the description: its stamp and the SHA-256 of its file. Then a format that is a file has
        a description too, `NAME.json` beside it.
    progress : Progress
        Told of the edges written.

    Raises
    ------
    UsageError
        For an unknown format or unit, an option that the graph cannot meet, or a target that exists; with `force`, one
        that is neither a file nor what an export has made.
    ResourceError
        If the estimated size does not fit on the disk, or a library's need not into memory.
    """
    check_options(format, rate_unit, scale)
    described = _find(format)
    request = Request(rate_unit, with_input, scale, idx64, spike_times, target.suffix == ".gz", progress)
    sidecar = not described.directory and (described.sidecar or origin is not None)
    check_target(target, FORMATS, force=force, sidecar=sidecar)
    if described.check is not None:
        described.check(graph, request)
    expected = _estimate(graph, described, request)
    _refuse_full_disk(expected.size_bytes, format, target)
    stated: Dict[str, Any] = {"format": format, **graph.describe(rate_unit)}
    if origin is not None:
        stated["graph"] = dict(origin)
    begin = time.monotonic()
    with written_whole(target, force=force) as temporary:
        with flushed_meanwhile(temporary):
            described.write(graph, temporary, request)
        if described.directory:
            files = sorted(path.name for path in temporary.iterdir())
            (temporary / DESCRIPTION).write_text(_json({**stated, "files": files}))
    if sidecar:
        with written_whole(beside(target), force=force) as temporary:
            temporary.write_text(_json(stated))
    files_written = target.iterdir() if described.directory else [target]
    size = sum(path.stat().st_size for path in files_written)
    return Export(target, format, expected.edges, size, time.monotonic() - begin, origin)


def check_options(format: str, rate_unit: str = "step", scale: Optional[float] = None) -> None:
    """Raise `UsageError` for an unknown format or unit, or a scale that cannot be."""
    _find(format)
    if rate_unit not in RATE_UNITS:
        raise UsageError(f"rate unit {rate_unit!r} is unknown; use one of {', '.join(RATE_UNITS)}")
    if scale is not None and not 0 < scale < float("inf"):
        raise UsageError(f"scale {scale} cannot be; give a number above 0")


def _json(stated: Mapping[str, Any]) -> str:
    return json.dumps(stated, indent=2) + "\n"


def _refuse_full_disk(size: int, format: str, target: Path) -> None:
    free = shutil.disk_usage(str(target.parent)).free
    if size > free:
        raise ResourceError(
            f"{target}: {format} will take about {size / 1e9:,.1f} GB, the disk has {free / 1e9:,.1f} GB free; "
            "give --output on another disk, or another format"
        )


def _find(format: str) -> Format:
    if format not in FORMATS:
        raise UsageError(f"format {format!r} is unknown; use one of {', '.join(FORMATS)}")
    return FORMATS[format]
