"""`parquet`: tables for DuckDB, Spark, Dask, Polars.

An export is a directory of two tables, `edges.parquet` and `nodes.parquet`. An import reads such a directory, with or
without the table of nodes, or a file of edges.
"""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterable, Iterator

import numpy as np

from snnb.core.errors import DamagedError, first_line
from snnb.core.machine import require_memory
from snnb.formats.description import DESCRIPTION, node_table, read_description
from snnb.formats.request import Format, Request
from snnb.formats.tables import columns_of, described_graph, listed_graph, unread_note
from snnb.graph.connection import EdgeBatch, index_dtype
from snnb.graph.listed import ListedGraph
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.budget import Budget
from snnb.io.files import refuse_special
from snnb.io.text import LONGEST_NAME

if TYPE_CHECKING:
    import pyarrow

ROWS = 1 << 20  # in a row group, and in memory at a time
ROW_BYTES = 32  # of a row of a row group in memory
NODE_BYTES = 500  # of a row of the table of nodes in memory
OPTIONS = {"compression": "none", "use_dictionary": False, "write_statistics": ["source", "target"]}


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write a table of edges and a table of nodes; see `Format`."""
    path.mkdir()
    counter, scale = request.counter(graph.number_of_edges()), request.rate_scale(graph)

    def batches() -> Iterator[EdgeBatch]:
        for projection in graph.projections:
            for batch in projection.edge_batches(ROWS, scale):
                yield batch
                counter.add(batch.source.size)

    write_edges(path / "edges.parquet", graph, request, batches())
    write_nodes(graph, path, request)


def write_edges(
    path: Path, graph: SynapseGraph, request: Request, batches: Iterable[EdgeBatch], rows: int = ROWS
) -> None:
    """Write a table of edges, with the metadata of the graph and at most `rows` rows in a row group."""
    import pyarrow
    from pyarrow import parquet

    kind = pyarrow.from_numpy_dtype(index_dtype(graph.number_of_nodes()))
    kinds = {"source": kind, "target": kind, "weight": pyarrow.float32(), "edge": pyarrow.float32()}
    # A column that cannot be null is written twice as fast.
    fields = [pyarrow.field(name, kind, nullable=False) for name, kind in kinds.items()]
    metadata = graph.describe(request.options.rate_unit)
    schema = pyarrow.schema(fields, metadata={name: str(value) for name, value in metadata.items()})
    with parquet.ParquetWriter(str(path), schema, **OPTIONS) as writer:
        for batch in batches:
            columns = [pyarrow.array(values) for values in batch]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema), row_group_size=rows)


def write_nodes(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write `nodes.parquet`."""
    import pyarrow
    from pyarrow import parquet

    table = node_table(graph, request)
    names, index = table.pop("population_names"), table.pop("index")
    nodes = {
        "id": range(graph.number_of_nodes()),
        "population": pyarrow.DictionaryArray.from_arrays(table.pop("population"), pyarrow.array(names.tolist())),
        **{f"index_{axis}": index[:, axis] for axis in range(index.shape[1])},
        **table,
    }
    parquet.write_table(pyarrow.table(nodes), str(path / "nodes.parquet"), compression="none")


def recognises(path: Path) -> bool:
    """Whether a path is a Parquet file, or a directory of them."""
    if path.is_dir():
        return any(path.glob("*.parquet"))
    return path.is_file() and path.suffix in (".parquet", ".pq")


def read(path: Path) -> ListedGraph:
    """Read a Parquet file, a directory of them, or an export of `snnb` in the formats `parquet` and `parts`."""
    import pyarrow
    from pyarrow import parquet

    if path.name == "edges.parquet" and (path.parent / "nodes.parquet").is_file():
        path = path.parent
    edges, further, nodes = [path], [], None
    if path.is_dir():
        table, described = path / "nodes.parquet", path / DESCRIPTION
        edges = [file for file in sorted(path.glob("*.parquet")) if file != table]
        if table.is_file() and described.is_file():
            further = [table, described]
            nodes = described_graph(table, read_description(described), _node_columns(table))
    if not edges:
        raise DamagedError(path, "has no file of edges")
    for file in edges:
        refuse_special(file)
    with _reading(edges[0]):
        schema = parquet.read_schema(str(edges[0]))
    for file in edges:
        with _reading(file):
            parts = parquet.read_metadata(str(file))
        Budget(file).draw(parts.num_rows, "rows", in_memory=False)
        largest = max((parts.row_group(k).num_rows for k in range(parts.num_row_groups)), default=0)
        require_memory(ROW_BYTES * largest, f"{file}: the {largest:,} rows of a row group")
    columns = columns_of(edges[0], schema.names)
    texts = [name for name in columns.values() if schema.field(name).type in (pyarrow.string(), pyarrow.large_string())]
    kinds, types = [schema.field(columns[end]).type for end in ("source", "target")], pyarrow.types
    named = "source_group" in columns or not all(types.is_integer(kind) or types.is_floating(kind) for kind in kinds)

    def batches() -> Iterator[Dict[str, np.ndarray]]:
        row = 0
        for file in edges:
            with _reading(file):
                opened = parquet.ParquetFile(str(file), read_dictionary=texts)  # a text is in memory once
                for batch in opened.iter_batches(ROWS, columns=list(columns.values())):
                    for name, values in zip(batch.schema.names, batch.columns):
                        _refuse_long_texts(file, name, values)
                        if values.null_count:
                            k = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
                            raise DamagedError(file, f"row {row + k:,}: {name} is null")
                    yield {key: batch.column(name).to_numpy(zero_copy_only=False) for key, name in columns.items()}
                    row += batch.num_rows

    graph = listed_graph(path, columns, batches, lambda row: f"row {row:,}", named=named, nodes=nodes)
    return replace(graph, files=(*edges, *further), notes=(*graph.notes, *unread_note(schema.names)))


def _refuse_long_texts(path: Path, name: str, values: "pyarrow.Array") -> None:
    """Raise `DamagedError` if a column has texts too long for names, before they are repeated."""
    import pyarrow
    from pyarrow import compute

    if pyarrow.types.is_dictionary(values.type) and not pyarrow.types.is_primitive(values.type.value_type):
        longest = compute.max(compute.binary_length(values.dictionary)).as_py() or 0
        if longest > 4 * LONGEST_NAME:  # bytes of a character
            raise DamagedError(
                path, f"{name} has a text of {longest:,} bytes; a name has {LONGEST_NAME} characters at most"
            )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise `DamagedError` where pyarrow fails."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DamagedError(path, f"not a complete Parquet file ({first_line(error)})") from None


def _node_columns(path: Path) -> Dict[str, np.ndarray]:
    """Read nodes.parquet."""
    from pyarrow import parquet

    with _reading(path):
        rows = parquet.read_metadata(str(path)).num_rows
        Budget(path).draw(rows, "rows", NODE_BYTES)
        table = parquet.read_table(str(path)).to_pydict()
    if table.get("id") != list(range(len(table.get("population", ())))):
        raise DamagedError(path, "not the table of nodes of an export: its ids are not 0, 1, 2 …")
    kinds = {"population": object, "bias": np.float64, "spike_count": np.float64, "name": object}
    return {name: np.array(table[name], kind) for name, kind in kinds.items() if name in table}


FORMAT = Format("_parquet", write, directory=True, own_options=("rate_unit",), reader=(recognises, read))
