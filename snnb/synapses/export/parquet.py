"""`parquet`: a directory of two tables, `edges.parquet` and `nodes.parquet`, for DuckDB, Spark, Dask, Polars."""

from pathlib import Path
from typing import Any

from snnb.errors import UsageError
from snnb.synapses.export.nodes import node_table
from snnb.synapses.export.request import Format, Request
from snnb.synapses.graph import SynapseGraph

ROWS = 1 << 20  # in a row group


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph: a table of edges and one of nodes; see `Format`."""
    arrow, parquet = _pyarrow()
    path.mkdir()
    counter = request.counter(graph.number_of_edges())
    scale = request.rate_scale(graph)
    kind = arrow.int32() if graph.projections[0].buffer(0).source.dtype.itemsize == 4 else arrow.int64()
    kinds = {"source": kind, "target": kind, "weight": arrow.float32(), "edge": arrow.float32()}
    # A column that cannot be null is written twice as fast.
    fields = [arrow.field(name, kind, nullable=False) for name, kind in kinds.items()]
    schema = arrow.schema(
        fields, metadata={name: str(value) for name, value in graph.describe(request.options.rate_unit).items()}
    )
    options = {"compression": "none", "use_dictionary": False, "write_statistics": ["source", "target"]}
    with parquet.ParquetWriter(str(path / "edges.parquet"), schema, **options) as writer:
        for projection in graph.projections:
            for batch in projection.edge_batches(ROWS, scale):
                columns = [arrow.array(values) for values in batch]
                writer.write_table(arrow.Table.from_arrays(columns, schema=schema), row_group_size=ROWS)
                counter.add(batch.source.size)
    table = node_table(graph, request)
    names, index = table.pop("population_names"), table.pop("index")
    nodes = {
        "id": range(graph.number_of_nodes()),
        "population": arrow.DictionaryArray.from_arrays(table.pop("population"), arrow.array(names.tolist())),
        **{f"index_{axis}": index[:, axis] for axis in range(index.shape[1])},
        **table,
    }
    parquet.write_table(arrow.table(nodes), str(path / "nodes.parquet"), compression="none")


def _pyarrow() -> Any:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError("parquet needs pyarrow; install snnb with its extra `parquet`") from error
    return pyarrow, parquet


def _check(graph: SynapseGraph, request: Request) -> None:
    _pyarrow()


def _size(graph: SynapseGraph, request: Request) -> float:
    return 16.0 * graph.number_of_edges() + 45.0 * graph.number_of_nodes()


FORMAT = Format("DuckDB, Spark, Dask, Polars", "_parquet", write, _size, 4e7, _check, directory=True)
