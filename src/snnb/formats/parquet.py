"""`parquet`: a directory of two tables, `edges.parquet` and `nodes.parquet`, for DuckDB, Spark, Dask, Polars."""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Tuple

from snnb.core.errors import UsageError, how_to_install
from snnb.formats.description import node_table
from snnb.formats.request import Format, Request
from snnb.graph.connection import index_dtype
from snnb.graph.synapse_graph import SynapseGraph

if TYPE_CHECKING:
    import pyarrow

ROWS = 1 << 20  # in a row group
OPTIONS = {"compression": "none", "use_dictionary": False, "write_statistics": ["source", "target"]}


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write a table of edges and a table of nodes; see `Format`."""
    arrow, parquet = load_library()
    path.mkdir()
    counter = request.counter(graph.number_of_edges())
    scale = request.rate_scale(graph)
    schema = edge_schema(arrow, graph, request)
    with parquet.ParquetWriter(str(path / "edges.parquet"), schema, **OPTIONS) as writer:
        for projection in graph.projections:
            for batch in projection.edge_batches(ROWS, scale):
                columns = [arrow.array(values) for values in batch]
                writer.write_table(arrow.Table.from_arrays(columns, schema=schema), row_group_size=ROWS)
                counter.add(batch.source.size)
    write_nodes(graph, path, request)


def edge_schema(arrow: ModuleType, graph: SynapseGraph, request: Request) -> "pyarrow.Schema":
    """Return the columns of a table of edges, with the metadata of the graph."""
    kind = arrow.from_numpy_dtype(index_dtype(graph.number_of_nodes()))
    kinds = {"source": kind, "target": kind, "weight": arrow.float32(), "edge": arrow.float32()}
    # A column that cannot be null is written twice as fast.
    fields = [arrow.field(name, kind, nullable=False) for name, kind in kinds.items()]
    metadata = graph.describe(request.options.rate_unit)
    return arrow.schema(fields, metadata={name: str(value) for name, value in metadata.items()})


def write_nodes(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write `nodes.parquet`."""
    arrow, parquet = load_library()
    table = node_table(graph, request)
    names, index = table.pop("population_names"), table.pop("index")
    nodes = {
        "id": range(graph.number_of_nodes()),
        "population": arrow.DictionaryArray.from_arrays(table.pop("population"), arrow.array(names.tolist())),
        **{f"index_{axis}": index[:, axis] for axis in range(index.shape[1])},
        **table,
    }
    parquet.write_table(arrow.table(nodes), str(path / "nodes.parquet"), compression="none")


def load_library() -> Tuple[ModuleType, ModuleType]:
    """Return `pyarrow` and `pyarrow.parquet`; `UsageError` where they are not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UsageError(f"parquet needs pyarrow: {how_to_install('parquet')}") from error
    return pyarrow, parquet


FORMAT = Format("_parquet", write, directory=True, own_options=("rate_unit",))
