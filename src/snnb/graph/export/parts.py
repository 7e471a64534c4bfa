"""Format `parts`: Parquet files by projection for DuckDB, Spark, Dask, Polars, written by threads or a cluster."""

import csv
from pathlib import Path

from snnb.core.processors import processors
from snnb.graph.export.parquet import check_library, parquet_size, write_nodes
from snnb.graph.export.part import parts_of, write_side_by_side
from snnb.graph.export.parts_shared import write_on_cluster
from snnb.graph.export.request import Format, Request
from snnb.graph.synapse_graph import SynapseGraph

INDEX = "index.csv"
COLUMNS = ("file", "source", "target", "edges", "first_source_id", "last_source_id")


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the parts, their index and the nodes.

    Parameters
    ----------
    graph : SynapseGraph
    path : Path
        Directory to create.
    request : Request
    """
    path.mkdir()
    write_nodes(graph, path, request)
    parts = list(parts_of(graph))
    counter = request.counter(graph.number_of_edges())
    largest_first = sorted(parts, key=lambda part: -part.edges)
    if request.options.scheduler is None:
        write_side_by_side(graph, path, largest_first, request, request.options.workers or processors(), counter.add)
    else:
        write_on_cluster(graph, path, largest_first, request, counter.add)
    with (path / INDEX).open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for part in parts:
            first, source = part.projection.source.first, part.projection.source.name
            ids = first + part.start, first + part.stop - 1
            rows.writerow([part.name, source, part.projection.target.name, part.edges, *ids])


FORMAT = Format(
    "DuckDB, Spark, Dask, Polars",
    "_parts",
    write,
    parquet_size,
    8e7,
    check_library,
    directory=True,
    own_options=("rate_unit", "workers", "scheduler"),
)
