"""`parts`, written by the workers of a cluster, which must see the folder and the graph under the same names."""

import dataclasses
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Sequence

from snnb.cluster.connect import connected
from snnb.cluster.work import Stopped, Work
from snnb.core.errors import InputError
from snnb.core.progress import silent
from snnb.graph.export.part import Part, parts_of, write_side_by_side
from snnb.graph.export.request import Request
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.files import sha256_of

SIGN = ".seen-by-all"


@dataclass(frozen=True)
class _Export:
    """What a worker must know.

    Attributes
    ----------
    graph : Path
    digest : str
        SHA-256 of the graph's file.
    folder : Path
        Where the parts are written.
    sign : str
        What stands in a file there, so that a worker knows that it is this very folder.
    request : Request
    """

    graph: Path
    digest: str
    folder: Path
    sign: str
    request: Request


@dataclass(frozen=True)
class _Opened:
    export: _Export
    graph: SynapseGraph
    parts: List[Part]
    threads: int


def write_on_cluster(
    graph: SynapseGraph, folder: Path, parts: Sequence[Part], request: Request, add: Callable[[int], None]
) -> None:
    """Let the workers of a cluster write parts.

    Parameters
    ----------
    graph : SynapseGraph
    folder : Path
        Where the parts are written; it exists.
    parts : sequence of Part
        In the order in which they are begun.
    request : Request
        Whose options name the scheduler.
    add : callable
        Told the edges of each part that is written.

    Raises
    ------
    InputError
        A worker does not see the graph or the folder.
    """
    place = {part.name: i for i, part in enumerate(parts_of(graph))}
    export = _Export(
        graph.path.resolve(),
        sha256_of(graph.path),
        folder.resolve(),
        secrets.token_hex(16),
        dataclasses.replace(request, progress=silent),
    )
    sign = folder / SIGN
    sign.write_text(export.sign)
    with connected(1, request.options.scheduler) as cluster:
        work = Work(export, _opened, _write, ("pyarrow", "numba", "llvmlite"))
        each = max(1, min(cluster.threads, -(-len(parts) // cluster.size)))
        calls = [parts[i : i + each] for i in range(0, len(parts), each)]
        for edges in cluster.results(work, ([place[part.name] for part in call] for call in calls)):
            add(edges)
    sign.unlink()


def _opened(export: _Export, threads: int) -> _Opened:
    """Open the graph in a worker, once it is sure that it sees the same files."""
    seen = ""
    with suppress(OSError):
        seen = (export.folder / SIGN).read_text()
    if seen != export.sign:
        raise InputError(
            f"a worker of the cluster does not see {export.folder.parent.parent}; give --output in a folder that all "
            "workers share, under one path"
        )
    try:
        same = sha256_of(export.graph) == export.digest
    except OSError:
        same = False
    if not same:
        raise InputError(
            f"a worker of the cluster does not see {export.graph}; put the run into a folder that all workers share, "
            "under one path"
        )
    graph = SynapseGraph.open(export.graph)
    return _Opened(export, graph, list(parts_of(graph)), threads)


def _write(opened: _Opened, numbers: List[int], stopped: Stopped) -> int:
    parts = [opened.parts[number] for number in numbers]
    done: List[int] = []
    write_side_by_side(
        opened.graph, opened.export.folder, parts, opened.export.request, opened.threads, done.append, stopped
    )
    return sum(done)
