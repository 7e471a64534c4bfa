"""`parquet`: a file of edges, a directory of them, or a directory of `snnb` with edges and nodes. Needs pyarrow."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterator

import numpy as np

from snnb.core.errors import DamagedError
from snnb.graph.export.description import read_description
from snnb.graph.export.parquet import load_library
from snnb.graph.imports.tables import Columns, listed_graph, read_nodes
from snnb.graph.listed import ListedGraph

ROWS = 1 << 20  # in memory at a time


def is_parquet(path: Path) -> bool:
    """Whether a path is a Parquet file, or a directory of them."""
    if path.is_dir():
        return any(path.glob("*.parquet"))
    return path.is_file() and path.suffix in (".parquet", ".pq")


def read_parquet(path: Path) -> ListedGraph:
    """Read a Parquet file, a directory of them, or an export of `snnb` in the formats `parquet` and `parts`."""
    if path.name == "edges.parquet" and (path.parent / "nodes.parquet").is_file():
        path = path.parent
    edges, further, nodes = [path], [], None
    if path.is_dir():
        table, described = path / "nodes.parquet", path / "description.json"
        edges = [file for file in sorted(path.glob("*.parquet")) if file != table]
        if table.is_file():
            further = [file for file in (table, described) if file.is_file()]
            description = read_description(described) if described.is_file() else None
            nodes = read_nodes(table, description, _node_columns(table))
    if not edges:
        raise DamagedError(path, "has no file of edges")
    arrow, parquet = load_library()
    with _reading(edges[0]):
        schema = parquet.read_schema(str(edges[0]))
    columns = Columns.of(edges[0], schema.names)
    named = columns.source_group is not None or not all(
        arrow.types.is_integer(schema.field(end).type) for end in columns[:2]
    )

    def batches() -> Iterator[Dict[str, np.ndarray]]:
        row = 0
        for file in edges:
            with _reading(file):
                for batch in parquet.ParquetFile(str(file)).iter_batches(ROWS, columns=columns.used):
                    for name, values in zip(batch.schema.names, batch.columns):
                        if values.null_count:
                            k = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
                            raise DamagedError(file, f"row {row + k:,}: {name} is null")
                    yield {name: batch.column(name).to_numpy(zero_copy_only=False) for name in columns.used}
                    row += batch.num_rows

    graph = listed_graph(path, columns, batches, lambda row: f"row {row:,}", named=named, nodes=nodes)
    return replace(graph, files=(*edges, *further))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise `DamagedError` where pyarrow fails."""
    arrow, _ = load_library()
    try:
        yield
    except (arrow.ArrowException, OSError) as error:
        raise DamagedError(path, f"not a complete Parquet file ({str(error).splitlines()[0]})") from None


def _node_columns(path: Path) -> Dict[str, np.ndarray]:
    """Read nodes.parquet."""
    _, parquet = load_library()
    with _reading(path):
        table = parquet.read_table(str(path))
    if "id" not in table.column_names or table.num_rows == 0:
        raise DamagedError(path, "has no column id, or no rows")
    wrong = np.flatnonzero(table.column("id").to_numpy() != np.arange(table.num_rows))
    if wrong.size:
        raise DamagedError(path, f"row {wrong[0]:,}: the ids are not 0, 1, 2 …")
    columns = {"id": np.arange(table.num_rows)}
    for name in ("population", "coding"):
        if name in table.column_names:
            columns[name] = np.array(table.column(name).cast("string").to_pylist(), object)
    for name, of in (("bias", "bias"), ("spikes", "spike_count")):
        if of in table.column_names:
            columns[name] = table.column(of).to_numpy()
    axes = [table.column(name).to_pylist() for name in table.column_names if name.startswith("index_")]
    if axes:
        columns["index"] = np.array([str(tuple(index for index in row if index >= 0)) for row in zip(*axes)], object)
    return columns
