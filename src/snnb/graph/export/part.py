"""Parts of the format `parts`: ranges of the edges of a projection, written by several threads.

The loops that generate edges and Arrow's writer release the GIL.
"""

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Sequence, Tuple

from snnb.graph.edges import ranges
from snnb.graph.export.parquet import OPTIONS, edge_schema, load_library
from snnb.graph.export.request import Request, file_name
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph

PART = 1 << 24  # edges in a part, about 270 MB
ROWS = 1 << 18  # in a row group, which a thread holds in memory


@dataclass(frozen=True)
class Part:
    """The edges of the sources `start` to `stop - 1` of a projection, by index in the population."""

    name: str
    projection: GraphProjection
    start: int
    stop: int

    @property
    def edges(self) -> int:
        """Number of edges."""
        return int(self.projection.out_degrees[self.start : self.stop].sum())


def write_side_by_side(
    graph: SynapseGraph,
    path: Path,
    parts: Sequence[Part],
    request: Request,
    threads: int,
    add: Callable[[int], None],
) -> None:
    """Write parts with several threads.

    Parameters
    ----------
    graph : SynapseGraph
    path : Path
        Existing directory of the parts.
    parts : sequence of Part
    request : Request
    threads : int
    add : callable
        Called with the number of edges of each part that is complete.
    """
    scale = request.rate_scale(graph)
    for projection in graph.projections:  # lazily read attributes: not from several threads
        projection.source.edge_rate(scale)
        projection.edges_of(0, 1)
    failed = threading.Event()
    with ThreadPoolExecutor(threads) as pool:
        pending: Dict[Future[None], Part] = {
            pool.submit(_write_part, graph, path, part, request, failed): part for part in parts
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
    """Divide the sources into ranges of at most `edges` edges; a source with more has a range to itself."""
    cut = list(ranges(projection.out_degrees, edges))
    joined = [cut[0]]
    for start, stop in cut[1:]:  # `ranges` also limits the number of neurons
        if int(projection.out_degrees[joined[-1][0] : stop].sum()) <= edges:
            joined[-1] = joined[-1][0], stop
        else:
            joined.append((start, stop))
    return joined


def _write_part(graph: SynapseGraph, path: Path, part: Part, request: Request, failed: threading.Event) -> None:
    arrow, parquet = load_library()
    scale = request.rate_scale(graph)
    projection = part.projection
    rate = projection.source.edge_rate(scale)
    schema = edge_schema(arrow, graph, request)
    with parquet.ParquetWriter(str(path / part.name), schema, **OPTIONS) as writer:
        for start, stop in ranges(projection.out_degrees[part.start : part.stop], ROWS):
            if failed.is_set():
                return
            batch = projection.edges_of(part.start + start, part.start + stop)
            edge = batch.edge if scale == 1 else rate[batch.source - projection.source.first] * batch.weight
            columns = [arrow.array(values) for values in (batch.source, batch.target, batch.weight, edge)]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema), row_group_size=ROWS)
