"""The parts of the format `parts`: some edges of a projection each, written side by side by several threads.

The loops that generate edges and Arrow's writer both work without Python's lock, so that threads share the work.
"""

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Sequence, Tuple

from snnb.graph.adjacency import ranges
from snnb.graph.export.parquet import OPTIONS, edge_schema, load_library
from snnb.graph.export.request import Request, file_name
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph

PART = 1 << 24  # edges in a part, about 270 MB
ROWS = 1 << 18  # in a row group: what a thread holds at a time


@dataclass(frozen=True)
class Part:
    """The edges of some sources of a projection: by index in the population, from `start` to before `stop`."""

    name: str
    projection: GraphProjection
    start: int
    stop: int

    @property
    def edges(self) -> int:
        """Number of them."""
        return int(self.projection.out_degrees[self.start : self.stop].sum())


def write_side_by_side(
    graph: SynapseGraph,
    path: Path,
    parts: Sequence[Part],
    request: Request,
    threads: int,
    add: Callable[[int], None],
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Write parts with several threads; `add` is told the edges of each, and none is begun once `stopped`."""
    scale = request.rate_scale(graph)
    for projection in graph.projections:  # what is read when it is first asked for: not by several threads at once
        projection.source.edge_rate(scale)
        projection.edges_of(0, 1)
    failed = threading.Event()
    with ThreadPoolExecutor(threads) as pool:
        pending: Dict[Future[None], Part] = {
            pool.submit(_write_part, graph, path, part, request, lambda: failed.is_set() or stopped()): part
            for part in parts
        }
        try:
            while pending:
                done, _ = wait(pending, timeout=0.2, return_when="FIRST_COMPLETED")
                for future in done:
                    future.result()
                    add(pending.pop(future).edges)
        except BaseException:
            failed.set()
            for future in pending:
                future.cancel()
            raise


def parts_of(graph: SynapseGraph) -> Iterator[Part]:
    """Yield the parts, in order."""
    for number, projection in enumerate(graph.projections):
        name = file_name(number, projection)
        for k, (start, stop) in enumerate(_ranges(projection, PART)):
            yield Part(f"{name}_{k:04d}.parquet", projection, start, stop)


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


def _write_part(graph: SynapseGraph, path: Path, part: Part, request: Request, stopped: Callable[[], bool]) -> None:
    arrow, parquet = load_library()
    scale = request.rate_scale(graph)
    projection = part.projection
    rate = projection.source.edge_rate(scale)
    schema = edge_schema(arrow, graph, request)
    with parquet.ParquetWriter(str(path / part.name), schema, **OPTIONS) as writer:
        for start, stop in ranges(projection.out_degrees[part.start : part.stop], ROWS):
            if stopped():
                return
            batch = projection.edges_of(part.start + start, part.start + stop)
            edge = batch.edge if scale == 1 else rate[batch.source - projection.source.first] * batch.weight
            columns = [arrow.array(values) for values in (batch.source, batch.target, batch.weight, edge)]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema), row_group_size=ROWS)
