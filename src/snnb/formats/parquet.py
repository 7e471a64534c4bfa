"""`parquet`: tables for DuckDB, Spark, Dask, Polars.

An export is a directory of two tables, `edges.parquet` and `nodes.parquet`. An import
reads such a directory, with or without the table of nodes, or a file of edges.
"""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Dict,
    Generator,
    Iterable,
    Iterator,
    List,
    Mapping,
    Sequence,
)

import numpy as np

from snnb.core.errors import DamagedError, first_line
from snnb.core.machine import require_memory
from snnb.formats.description import DESCRIPTION, read_description
from snnb.formats.node_table import described_graph, node_columns
from snnb.formats.request import Format, Request
from snnb.formats.tables import EdgeTable, columns_of, graph_of_table, unread_note
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
OPTIONS = {
    "compression": "none",
    "use_dictionary": False,
    "write_statistics": ["source", "target"],
}


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write a table of edges and a table of nodes; see `Format`."""
    path.mkdir()
    write_edges(path / "edges.parquet", graph, request, _batches(graph, request))
    write_nodes(graph, path, request)


def _batches(graph: SynapseGraph, request: Request) -> Iterator[EdgeBatch]:
    """Yield all edges, and count those that are written."""
    counter = request.counter(graph.number_of_edges())
    scale = request.rate_scale(graph)
    for projection in graph.projections:
        for batch in projection.edge_batches(ROWS, scale):
            yield batch
            counter.add(batch.source.size)


def write_edges(
    path: Path,
    graph: SynapseGraph,
    request: Request,
    batches: Iterable[EdgeBatch],
    rows: int = ROWS,
) -> None:
    """Write a table of edges, with the metadata of the graph and at most `rows` rows in a row group."""
    import pyarrow
    from pyarrow import parquet

    kind = pyarrow.from_numpy_dtype(index_dtype(graph.number_of_nodes()))
    kinds = {
        "source": kind,
        "target": kind,
        "weight": pyarrow.float32(),
        "edge": pyarrow.float32(),
    }
    # A column that cannot be null is written twice as fast.
    fields = [pyarrow.field(name, kind, nullable=False) for name, kind in kinds.items()]
    metadata = graph.describe(request.options.rate_unit)
    schema = pyarrow.schema(
        fields,
        metadata={name: str(value) for name, value in metadata.items()},
    )
    with parquet.ParquetWriter(str(path), schema, **OPTIONS) as writer:
        for batch in batches:
            columns = [pyarrow.array(values) for values in batch]
            writer.write_table(
                pyarrow.Table.from_arrays(columns, schema=schema),
                row_group_size=rows,
            )


def write_nodes(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write `nodes.parquet`."""
    import pyarrow
    from pyarrow import parquet

    table = node_columns(graph, request)
    names, index = table.pop("population_names"), table.pop("index")
    nodes = {
        "id": range(graph.number_of_nodes()),
        "population": pyarrow.DictionaryArray.from_arrays(
            table.pop("population"),
            pyarrow.array(names.tolist()),
        ),
        **{f"index_{axis}": index[:, axis] for axis in range(index.shape[1])},
        **table,
    }
    parquet.write_table(
        pyarrow.table(nodes),
        str(path / "nodes.parquet"),
        compression="none",
    )


def recognises(path: Path) -> bool:
    """Whether a path is a Parquet file, or a directory of them."""
    if path.is_dir():
        return any(path.glob("*.parquet"))
    return path.is_file() and path.suffix in (".parquet", ".pq")


def read(path: Path) -> ListedGraph:
    """Read a Parquet file, a directory of them, or an export of `snnb`.

    An export has the format `parquet` or `parts`.
    """
    from pyarrow import parquet

    if path.name == "edges.parquet" and (path.parent / "nodes.parquet").is_file():
        path = path.parent
    edge_files = [path]
    node_files: List[Path] = []
    nodes = None
    if path.is_dir():
        nodes_path = path / "nodes.parquet"
        description_path = path / DESCRIPTION
        edge_files = sorted({*path.glob("*.parquet")} - {nodes_path})
        if nodes_path.is_file() and description_path.is_file():
            node_files = [nodes_path, description_path]
            description = read_description(description_path)
            nodes = described_graph(nodes_path, description, _read_nodes(nodes_path))
    if not edge_files:
        raise DamagedError(path, "has no file of edges")
    for file in edge_files:
        refuse_special(file)
    with _reading(edge_files[0]):
        schema = parquet.read_schema(str(edge_files[0]))
    for file in edge_files:
        _check_size(file)
    graph = graph_of_table(_table_of(path, edge_files, schema), nodes)
    return replace(
        graph,
        files=(*edge_files, *node_files),
        notes=(*graph.notes, *unread_note(schema.names)),
    )


def _table_of(
    path: Path,
    files: Sequence[Path],
    schema: "pyarrow.Schema",
) -> "_ParquetTable":
    """Return the table of edges in files of one schema.

    Ends of edges that are no numbers are names of neurons.
    """
    import pyarrow

    columns = columns_of(files[0], schema.names)
    text_types = (pyarrow.string(), pyarrow.large_string())
    texts = [name for name in columns.values() if schema.field(name).type in text_types]
    end_types = [schema.field(columns[end]).type for end in ("source", "target")]
    has_ids = all(map(_is_numeric, end_types))
    has_names = "source_group" in columns or not has_ids
    return _ParquetTable(path, columns, has_names, files, texts)


def _check_size(path: Path) -> None:
    """Draw the rows of a file; raise an error if a row group does not fit into memory."""
    from pyarrow import parquet

    with _reading(path):
        metadata = parquet.read_metadata(str(path))
    Budget(path).draw(metadata.num_rows, "rows", in_memory=False)
    groups = [metadata.row_group(k) for k in range(metadata.num_row_groups)]
    rows = max((group.num_rows for group in groups), default=0)
    require_memory(ROW_BYTES * rows, f"{path}: the {rows:,} rows of a row group")


def _is_numeric(kind: "pyarrow.DataType") -> bool:
    from pyarrow import types

    return types.is_integer(kind) or types.is_floating(kind)


class _ParquetTable(EdgeTable):
    """A table of edges in one or more Parquet files."""

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, str],
        has_names: bool,
        files: Sequence[Path],
        texts: Sequence[str],
    ) -> None:
        """Read the `columns` of `files`; `texts` are the names of columns of text."""
        super().__init__(path, columns, has_names)
        self._files = files
        self._texts = list(texts)

    def batches(self) -> Generator[Mapping[str, np.ndarray], None, None]:
        """Yield the columns of `ROWS` rows at a time."""
        from pyarrow import parquet

        # No `with` and no `except` holds a `yield`, see `snnb.formats.csv`
        first_row = 0
        for file in self._files:
            with _reading(file):
                table = parquet.ParquetFile(str(file), read_dictionary=self._texts)
                rows = table.iter_batches(ROWS, columns=list(self.columns.values()))
            while True:
                with _reading(file):
                    batch = next(rows, None)
                    if batch is None:
                        break
                    columns = self._arrays(file, batch, first_row)
                yield columns
                first_row += batch.num_rows

    def place(self, row: int) -> str:
        """Return `row 7` for a row; rows count over all files."""
        return f"row {row:,}"

    def _arrays(
        self,
        file: Path,
        batch: "pyarrow.RecordBatch",
        first_row: int,
    ) -> Dict[str, np.ndarray]:
        """Return the columns of some rows; raise `DamagedError` for null."""
        for name, values in zip(batch.schema.names, batch.columns):
            _refuse_long_texts(file, name, values)
            if values.null_count:
                is_null = values.is_null().to_numpy(zero_copy_only=False)
                place = self.place(first_row + int(np.flatnonzero(is_null)[0]))
                raise DamagedError(file, f"{place}: {name} is null")
        arrays = {}
        for key, name in self.columns.items():
            arrays[key] = batch.column(name).to_numpy(zero_copy_only=False)
        return arrays


def _refuse_long_texts(path: Path, name: str, values: "pyarrow.Array") -> None:
    """Raise `DamagedError` if a column has texts too long for names, before they are repeated."""
    import pyarrow
    from pyarrow import compute

    if pyarrow.types.is_dictionary(values.type) and not pyarrow.types.is_primitive(
        values.type.value_type,
    ):
        longest = compute.max(compute.binary_length(values.dictionary)).as_py() or 0
        if longest > 4 * LONGEST_NAME:  # bytes of a character
            raise DamagedError(
                path,
                f"{name} has a text of {longest:,} bytes; a name has {LONGEST_NAME} "
                "characters at most",
            )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise `DamagedError` where pyarrow fails."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DamagedError(
            path,
            f"not a complete Parquet file ({first_line(error)})",
        ) from None


def _read_nodes(path: Path) -> Dict[str, np.ndarray]:
    """Read nodes.parquet: return the columns that `described_graph` requires."""
    from pyarrow import parquet

    with _reading(path):
        rows = parquet.read_metadata(str(path)).num_rows
        Budget(path).draw(rows, "rows", NODE_BYTES)
        table = parquet.read_table(str(path)).to_pydict()
    if table.get("id") != list(range(len(table.get("population", ())))):
        raise DamagedError(
            path,
            "not the table of nodes of an export: its ids are not 0, 1, 2 …",
        )
    kinds = {
        "population": object,
        "bias": np.float64,
        "spike_count": np.float64,
        "name": object,
    }
    columns = kinds.keys() & table.keys()
    return {name: np.array(table[name], kinds[name]) for name in columns}


FORMAT = Format(
    "_parquet",
    write,
    directory=True,
    own_options=("rate_unit",),
    reader=(recognises, read),
)
