"""`parts`: Parquet files by projection for DuckDB, Spark, Dask, Polars, written by threads or by a Dask cluster.

Each file has the edges of a range of sources of a projection. The loops that generate
edges and the writer of Arrow release the GIL.
"""

import csv
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, NamedTuple, Sequence, Tuple

from snnb.cluster.connect import connected, results
from snnb.core.errors import InputError
from snnb.core.machine import processors
from snnb.core.progress import silent
from snnb.formats.parquet import write_edges, write_nodes
from snnb.formats.request import Format, Request, file_name
from snnb.graph.connection import ranges
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.files import sha256_of

INDEX = "index.csv"
COLUMNS = ("file", "source", "target", "edges", "first_source_id", "last_source_id")
PART = 1 << 24  # edges in a part, about 270 MB
ROWS = 1 << 18  # in a row group, which a thread holds in memory


class Part(NamedTuple):
    """The edges of the sources `start` to `stop - 1` of a projection, by index in the population."""

    name: str
    projection: int  # number in the graph
    start: int
    stop: int
    edges: int


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the parts, their index and the nodes; see `Format`."""
    path.mkdir()
    write_nodes(graph, path, request)
    parts = _list_parts(graph)
    counter = request.counter(graph.number_of_edges())
    largest_first = sorted(parts, key=lambda part: -part.edges)
    if request.options.scheduler is None:
        threads = request.options.workers or processors()
        edge_counts = _write_with_threads(graph, path, largest_first, request, threads)
    else:
        edge_counts = _write_on_cluster(graph, path, largest_first, request)
    for edges in edge_counts:
        counter.add(edges)
    _write_index(path / INDEX, graph, parts)


def _list_parts(graph: SynapseGraph) -> List[Part]:
    """Return the parts of each projection, about `PART` edges each."""
    parts: List[Part] = []
    for number, projection in enumerate(graph.projections):
        name = file_name(number, projection)
        sources = ranges(projection.out_degrees, PART, projection.source.size)
        for k, (start, stop) in enumerate(sources):
            edges = int(projection.out_degrees[start:stop].sum())
            parts.append(Part(f"{name}_{k:04d}.parquet", number, start, stop, edges))
    return parts


def _write_index(path: Path, graph: SynapseGraph, parts: Sequence[Part]) -> None:
    """Write a CSV file with a row of the columns `COLUMNS` for each part."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for part in parts:
            source = graph.projections[part.projection].source
            target = graph.projections[part.projection].target
            first_id = source.first + part.start
            last_id = source.first + part.stop - 1
            rows.writerow(
                [part.name, source.name, target.name, part.edges, first_id, last_id]
            )


def _write_with_threads(
    graph: SynapseGraph,
    folder: Path,
    parts: Sequence[Part],
    request: Request,
    threads: int,
) -> Iterator[int]:
    """Write parts with several threads; yield the number of edges of each."""
    for projection in (
        graph.projections
    ):  # cached properties are not computed by several threads at once
        projection.edges_of(0, 1)
    scale = request.rate_scale(graph)

    def write_part(part: Part) -> int:
        projection = graph.projections[part.projection]
        sources = ranges(projection.out_degrees[part.start : part.stop], ROWS)
        batches = (
            projection.edges_of(part.start + start, part.start + stop, scale)
            for start, stop in sources
        )
        write_edges(folder / part.name, graph, request, batches, ROWS)
        return part.edges

    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(write_part, parts)


@dataclass(frozen=True)
class _Shared:
    """Data that every worker needs: graph file and its SHA-256, directory of the parts, request."""

    graph: Path
    digest: str
    folder: Path
    request: Request


def _write_on_cluster(
    graph: SynapseGraph, folder: Path, parts: Sequence[Part], request: Request
) -> Iterator[int]:
    """Write parts with the workers of a cluster on a shared file system; yield their edges."""
    common = _Shared(
        graph.path.resolve(),
        sha256_of(graph.path),
        folder.resolve(),
        dataclasses.replace(request, progress=silent),
    )
    with connected(1, request.options.scheduler) as client:
        threads = client.ncores().values()
        size = max(
            1, min(max(threads), -(-len(parts) // len(threads)))
        )  # parts of a call
        calls = (parts[i : i + size] for i in range(0, len(parts), size))
        yield from results(client, _open, _write, common, calls)


def _open(common: _Shared, threads: int) -> Tuple[_Shared, SynapseGraph, int]:
    """Open the graph in a worker; raise `InputError` if the worker has other files."""
    if not common.folder.is_dir():
        raise InputError(
            f"a worker of the cluster cannot access {common.folder.parent.parent}; "
            "give --output in a directory that all workers share under the same path"
        )
    if not common.graph.is_file() or sha256_of(common.graph) != common.digest:
        raise InputError(
            f"a worker of the cluster cannot access {common.graph}; put the run into "
            "a directory that all workers share under the same path"
        )
    graph = SynapseGraph.open(common.graph)
    return (
        common,
        graph.with_integers() if common.request.options.integers else graph,
        threads,
    )


def _write(
    worker_state: Tuple[_Shared, SynapseGraph, int], parts: Sequence[Part]
) -> int:
    """Write parts in a worker; return the number of their edges."""
    common, graph, threads = worker_state
    return sum(
        _write_with_threads(graph, common.folder, parts, common.request, threads)
    )


FORMAT = Format(
    "_parts", write, directory=True, own_options=("rate_unit", "workers", "scheduler")
)
