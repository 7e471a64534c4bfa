"""`parts`: parquet in parts by projection, written side by side by several threads, for DuckDB, Spark, Dask, Polars.

The loops that generate edges and Arrow's writer both work without Python's lock, so that threads share the work.
"""

import csv
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

from snnb.processors import processors
from snnb.synapses.adjacency import ranges
from snnb.synapses.export.parquet import (
    OPTIONS,
    check_library,
    edge_schema,
    load_library,
    parquet_size,
    write_nodes,
)
from snnb.synapses.export.request import Format, Request, file_name
from snnb.synapses.graph import SynapseGraph
from snnb.synapses.projection import GraphProjection

PART = 1 << 24  # edges in a part, about 270 MB
ROWS = 1 << 18  # in a row group: what a thread holds at a time
INDEX = "index.csv"
COLUMNS = ("file", "source", "target", "edges", "first_source_id", "last_source_id")


@dataclass(frozen=True)
class _Part:
    """The edges of some sources of a projection: by index in the population, from `start` to before `stop`."""

    name: str
    projection: GraphProjection
    start: int
    stop: int

    @property
    def edges(self) -> int:
        return int(self.projection.out_degrees[self.start : self.stop].sum())


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph: parts of its edges, their index, the nodes; see `Format`."""
    path.mkdir()
    write_nodes(graph, path, request)
    parts = list(_parts(graph))
    scale = request.rate_scale(graph)
    for projection in graph.projections:  # what is read when it is first asked for: not by several threads at once
        projection.source.edge_rate(scale)
        projection.edges_of(0, 1)
    stopped = threading.Event()
    counter = request.counter(graph.number_of_edges())
    with ThreadPoolExecutor(request.options.workers or processors()) as pool:
        pending: Dict[Future[None], _Part] = {
            pool.submit(_write_part, graph, path, part, request, stopped): part
            for part in sorted(parts, key=lambda part: -part.edges)
        }
        try:
            while pending:
                done, _ = wait(pending, timeout=0.2, return_when="FIRST_COMPLETED")
                for future in done:
                    future.result()
                    counter.add(pending.pop(future).edges)
        except BaseException:
            stopped.set()
            for future in pending:
                future.cancel()
            raise
    with (path / INDEX).open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for part in parts:
            first, source = part.projection.source.first, part.projection.source.name
            ids = first + part.start, first + part.stop - 1
            rows.writerow([part.name, source, part.projection.target.name, part.edges, *ids])


def _parts(graph: SynapseGraph) -> Iterator[_Part]:
    for number, projection in enumerate(graph.projections):
        name = file_name(number, projection)
        for k, (start, stop) in enumerate(_ranges(projection, PART)):
            yield _Part(f"{name}_{k:04d}.parquet", projection, start, stop)


def _ranges(projection: GraphProjection, edges: int) -> List[Tuple[int, int]]:
    """Cut the sources into ranges of at most so many edges, where one has no more."""
    cut = list(ranges(projection.out_degrees, edges))
    joined = [cut[0]]
    for start, stop in cut[1:]:  # `ranges` cuts after so many neurons too
        if int(projection.out_degrees[joined[-1][0] : stop].sum()) <= edges:
            joined[-1] = joined[-1][0], stop
        else:
            joined.append((start, stop))
    return joined


def _write_part(graph: SynapseGraph, path: Path, part: _Part, request: Request, stopped: threading.Event) -> None:
    arrow, parquet = load_library()
    scale = request.rate_scale(graph)
    projection = part.projection
    rate = projection.source.edge_rate(scale)
    schema = edge_schema(arrow, graph, request)
    with parquet.ParquetWriter(str(path / part.name), schema, **OPTIONS) as writer:
        for start, stop in ranges(projection.out_degrees[part.start : part.stop], ROWS):
            if stopped.is_set():
                return
            batch = projection.edges_of(part.start + start, part.start + stop)
            edge = batch.edge if scale == 1 else rate[batch.source - projection.source.first] * batch.weight
            columns = [arrow.array(values) for values in (batch.source, batch.target, batch.weight, edge)]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema), row_group_size=ROWS)


FORMAT = Format("DuckDB, Spark, Dask, Polars", "_parts", write, parquet_size, 8e7, check_library, directory=True)
