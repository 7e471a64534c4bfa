"""`parquet`: a file of edges, a directory of them, or a directory of `snnb` with edges and nodes. Needs pyarrow."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterator, List, Sequence

import numpy as np

from snnb.core.errors import DamagedError
from snnb.graph.export.parquet import load_library
from snnb.graph.imports.tables import SEPARATOR, Chunk, Table, columns_of, listed_graph, read_description, read_nodes
from snnb.graph.listed import ListedGraph

if TYPE_CHECKING:
    import pyarrow

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
    read = _Edges(edges)
    names = read.names if read.named else None
    graph = listed_graph(Table(path, read.chunks, lambda row: f"row {row:,}", tuple(read.notes), names), nodes)
    return replace(graph, files=(*edges, *further))


class _Edges:
    """Edges of several files with the same columns."""

    def __init__(self, files: Sequence[Path]) -> None:
        _, parquet = load_library()
        self._files = files
        with _reading(files[0]):
            schema = parquet.read_schema(str(files[0]))
        self._columns, notes = columns_of(files[0], schema.names)
        self.notes: Sequence[str] = notes
        ends = self._columns.source, self._columns.target
        grouped = self._columns.source_group is not None
        self.named: bool = grouped or any(not _is_integer(schema.field(end)) for end in ends)
        self._ids: Dict[str, int] = {}

    def names(self) -> List[str]:
        """Return the names of the neurons, by id, once the edges were read."""
        return list(self._ids)

    def chunks(self) -> Iterator[Chunk]:
        """Read the edges."""
        _, parquet = load_library()
        columns, row = self._columns, 0
        for path in self._files:
            with _reading(path):
                for batch in parquet.ParquetFile(str(path)).iter_batches(
                    ROWS, columns=[name for name in columns if name is not None]
                ):
                    for name, values in zip(batch.schema.names, batch.columns):
                        if values.null_count:
                            k = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
                            raise DamagedError(path, f"row {row + k:,}: {name} is null")
                    ends = [batch.column(name) for name in (columns.source, columns.target)]
                    if self.named:
                        groups = [None if name is None else batch.column(name) for name in columns[4:]]
                        source, target = self._named(ends, groups)
                    else:
                        source, target = (end.to_numpy() for end in ends)
                    weight, rate = (None if name is None else _floats(batch.column(name)) for name in columns[2:4])
                    yield Chunk(source, target, np.ones(source.size, np.float32) if weight is None else weight, rate)
                    row += batch.num_rows

    def _named(self, ends: "Sequence[pyarrow.Array]", groups: "Sequence[pyarrow.Array]") -> Iterator[np.ndarray]:
        """Return ids of sources and targets, in order of first appearance row by row."""
        from pyarrow import compute

        codes: List[np.ndarray] = []
        texts: List[str] = []
        for end, group in zip(ends, groups):
            name = end.cast("string")
            if group is not None:
                name = compute.binary_join_element_wise(group.cast("string"), name, SEPARATOR)
            encoded = name.dictionary_encode()
            codes.append(encoded.indices.to_numpy() + len(texts))
            texts += encoded.dictionary.to_pylist()
        distinct, first = np.unique(np.stack(codes, axis=1).ravel(), return_index=True)
        for k in distinct[np.argsort(first)].tolist():
            self._ids.setdefault(texts[k], len(self._ids))
        ids = np.array([self._ids[text] for text in texts], np.int64)
        return (ids[code] for code in codes)


def _is_integer(field: "pyarrow.Field") -> bool:
    arrow, _ = load_library()
    return bool(arrow.types.is_integer(field.type))


def _floats(values: "pyarrow.Array") -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)


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
