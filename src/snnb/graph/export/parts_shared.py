"""Write the format `parts` with the workers of a Dask cluster, on a file system that all of them share."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Sequence

from snnb.cluster.connect import connected, results
from snnb.core.errors import InputError
from snnb.core.progress import silent
from snnb.graph.export.part import Part, parts_of, write_side_by_side
from snnb.graph.export.request import Request
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.files import sha256_of


@dataclass(frozen=True)
class _Export:
    """Data that every worker needs.

    Attributes
    ----------
    graph : Path
        File of the graph.
    digest : str
        SHA-256 of that file.
    folder : Path
        Directory of the parts.
    request : Request
    """

    graph: Path
    digest: str
    folder: Path
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
    """Write parts with the workers of a cluster.

    Parameters
    ----------
    graph : SynapseGraph
    folder : Path
        Existing directory of the parts.
    parts : sequence of Part
        In the order in which they are started.
    request : Request
        Its options name the scheduler.
    add : callable
        Called with the number of edges written since the last call.

    Raises
    ------
    InputError
        A worker cannot read the graph or see the folder.
    """
    index = {part.name: i for i, part in enumerate(parts_of(graph))}
    export = _Export(
        graph.path.resolve(), sha256_of(graph.path), folder.resolve(), dataclasses.replace(request, progress=silent)
    )
    with connected(1, request.options.scheduler) as client:
        threads = client.ncores().values()
        each = max(1, min(max(threads), -(-len(parts) // len(threads))))
        calls = ([index[part.name] for part in parts[i : i + each]] for i in range(0, len(parts), each))
        for edges in results(client, _open, _write, export, calls):
            add(edges)


def _open(export: _Export, threads: int) -> _Opened:
    """Open the graph in a worker; raise `InputError` unless the worker sees the same files."""
    if not export.folder.is_dir():
        raise InputError(
            f"a worker of the cluster does not see {export.folder.parent.parent}; give --output in a directory that "
            "all workers share under the same path"
        )
    if not export.graph.is_file() or sha256_of(export.graph) != export.digest:
        raise InputError(
            f"a worker of the cluster does not see {export.graph}; put the run into a directory that all workers share "
            "under the same path"
        )
    graph = SynapseGraph.open(export.graph)
    return _Opened(export, graph, list(parts_of(graph)), threads)


def _write(opened: _Opened, numbers: List[int]) -> int:
    """Write parts in a worker; return the number of their edges."""
    parts = [opened.parts[number] for number in numbers]
    write_side_by_side(
        opened.graph, opened.export.folder, parts, opened.export.request, opened.threads, lambda edges: None
    )
    return sum(part.edges for part in parts)
