"""`npz`: matrices or arrays of numpy.

An export is a directory with a scipy CSR matrix per projection, for
`scipy.sparse.load_npz`, and the table of nodes. An import reads such a directory, one
sparse matrix of scipy, or arrays `source` and `target`.
"""

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Generator,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Sequence,
    Tuple,
)

import numpy as np

from snnb.core.errors import DamagedError
from snnb.formats.description import DESCRIPTION, Description, read_description
from snnb.formats.named_neurons import NEURONS
from snnb.formats.node_table import described_graph, node_columns
from snnb.formats.request import BATCH, Counter, Format, Request, file_name
from snnb.formats.tables import EdgeTable, columns_of, graph_of_table, unread_note
from snnb.graph.connection import index_dtype
from snnb.graph.listed import EDGES, NEURON_BYTES, Edges, ListedGraph, ListedPopulation
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.budget import Budget
from snnb.io.npy import (
    RAISED_BY_NUMPY,
    check_archive,
    load_archive,
    write_header,
    write_member,
)

if TYPE_CHECKING:
    from scipy.sparse import coo_matrix


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, one sparse matrix per projection; see `Format`."""
    path.mkdir()
    counter = request.counter(3 * graph.number_of_edges())
    scale = request.rate_scale(graph)
    for number, projection in enumerate(graph.projections):
        dtype = index_dtype(max(projection.number_of_edges, projection.target.size))
        indptr = np.concatenate([[0], np.cumsum(projection.out_degrees)]).astype(dtype)
        shape = np.array([projection.source.size, projection.target.size])
        with zipfile.ZipFile(
            str(path / f"{file_name(number, projection)}.npz"),
            "w",
        ) as archive:
            write_member(archive, "format", np.array(b"csr"))
            write_member(archive, "shape", shape)
            write_member(archive, "indptr", indptr)
            for name, kind in (
                ("indices", dtype),
                ("data", np.dtype(np.float32)),
                ("edge", np.dtype(np.float32)),
            ):
                _write_array(archive, name, kind, projection, scale, counter)
    with (path / "nodes.npz").open("wb") as file:
        np.savez(file, **node_columns(graph, request))


def _write_array(
    archive: zipfile.ZipFile,
    name: str,
    dtype: np.dtype,
    projection: GraphProjection,
    scale: float,
    counter: Counter,
) -> None:
    """Write an array of the edges, some at a time; an npz file is a zip archive of npy files."""
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
        write_header(file, dtype, (projection.number_of_edges,))
        for batch in projection.edge_batches(BATCH, scale):
            counter.add(batch.source.size)
            arrays = {
                "indices": batch.target - projection.target.first,
                "data": batch.weight,
                "edge": batch.edge,
            }
            file.write(
                arrays[name].astype(dtype, copy=False).data.cast("B"),
            )  # zipfile counts items, not bytes


def recognises(path: Path) -> bool:
    """Whether a path is an npz file, or a directory of matrices that `snnb` has exported."""
    if path.is_dir():
        return (path / "nodes.npz").is_file()
    return path.is_file() and path.suffix == ".npz"


def read(path: Path) -> ListedGraph:
    """Read a directory of `snnb`, one sparse matrix of scipy, or arrays that are the columns of a table of edges.

    A matrix that is not square has two populations.
    """
    if path.is_dir():
        return _read_matrices(path)
    arrays = load_archive(path)
    if "format" in arrays and "shape" in arrays:
        return _read_matrix(path)
    columns = columns_of(path, list(arrays))
    values = {key: arrays[name] for key, name in columns.items()}
    shapes = {columns[key]: array.shape for key, array in values.items()}
    if len(set(shapes.values())) > 1 or values["source"].ndim != 1:
        raise DamagedError(
            path, f"its arrays have different lengths, or several axes: {shapes}"
        )
    has_names = "source_group" in columns or values["source"].dtype.kind == "U"
    graph = graph_of_table(_ArrayTable(path, columns, has_names, values))
    return replace(graph, notes=(*graph.notes, *unread_note(arrays)))


class _ArrayTable(EdgeTable):
    """A table of edges whose columns are arrays in memory."""

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, str],
        has_names: bool,
        values: Mapping[str, np.ndarray],
    ) -> None:
        super().__init__(path, columns, has_names)
        self._values = values

    def batches(self) -> Generator[Mapping[str, np.ndarray], None, None]:
        """Yield the columns of `EDGES` rows at a time."""
        for begin in range(0, self._values["source"].size, EDGES):
            rows = slice(begin, begin + EDGES)
            yield {key: array[rows] for key, array in self._values.items()}

    def place(self, row: int) -> str:
        """Return `edge 7` for a row."""
        return f"edge {row:,}"


def _read_matrix(path: Path) -> ListedGraph:
    """Read a sparse matrix of scipy: rows are sources, columns are targets."""
    matrix = _matrix(path)
    sources, targets = matrix.shape
    Budget(path).draw(sources + targets, "neurons", NEURON_BYTES)
    if sources == targets:
        population = ListedPopulation(NEURONS, (sources,))
        return ListedGraph([population], _edges_of(matrix))
    populations = [
        ListedPopulation("sources", (sources,)),
        ListedPopulation("targets", (targets,)),
    ]
    size = f"{sources:,} by {targets:,}"
    note = f"a matrix of {size} is read as populations sources and targets"
    return ListedGraph(populations, _edges_of(matrix, 0, sources), notes=(note,))


class _MatrixFile(NamedTuple):
    """The synapses of a projection in an export: rows are sources, columns targets."""

    path: Path
    shape: Tuple[int, int]
    first_source: int  # id
    first_target: int


def _read_matrices(folder: Path) -> ListedGraph:
    """Read a directory of `snnb`."""
    description_path = folder / DESCRIPTION
    nodes_path = folder / "nodes.npz"
    description = read_description(description_path)
    arrays = load_archive(nodes_path, must=("population", "population_names"))
    names = np.array(arrays["population_names"].tolist(), object)
    columns = {**arrays, "population": names[arrays["population"]]}
    graph = described_graph(nodes_path, description, columns)
    matrices = _matrix_files(folder, description, graph.ids_by_population)
    files = [description_path, nodes_path, *(matrix.path for matrix in matrices)]
    return replace(graph, edges=_edges_of_files(matrices), files=tuple(files))


def _matrix_files(
    folder: Path,
    description: Description,
    ids: Mapping[str, range],
) -> List[_MatrixFile]:
    """Return the files of the projections; `ids` are those of the populations.

    Raise `DamagedError` if a file or a population of a projection is missing.
    """
    files: List[_MatrixFile] = []
    for number, projection in enumerate(description.projections):
        source = ids.get(projection.source)
        target = ids.get(projection.target)
        paths = sorted(folder.glob(f"{number:04d}_*.npz"))
        if not paths or source is None or target is None:
            ends = f"from {projection.source} to {projection.target}"
            raise DamagedError(
                folder, f"has no matrix {number:04d}_*.npz, the synapses {ends}"
            )
        shape = (len(source), len(target))
        files.append(_MatrixFile(paths[0], shape, source.start, target.start))
    return files


def _edges_of_files(files: Sequence[_MatrixFile]) -> Iterator[Edges]:
    """Yield the edges of all projections; read a matrix at a time."""
    for path, shape, first_source, first_target in files:
        matrix = _matrix(path)
        if matrix.shape != shape:
            raise DamagedError(path, f"a matrix of shape {matrix.shape}, not {shape}")
        yield from _edges_of(matrix, first_source, first_target)


def _matrix(path: Path) -> "coo_matrix":
    """Read a sparse matrix that scipy has saved."""
    from scipy.sparse import load_npz

    check_archive(path)
    try:
        matrix = load_npz(str(path))
        if matrix.format in ("csr", "csc"):
            matrix.check_format()
        return matrix.tocoo()
    except RAISED_BY_NUMPY as error:
        raise DamagedError(path, f"not a sparse matrix of scipy ({error})") from None


def _edges_of(
    matrix: "coo_matrix",
    first_row: int = 0,
    first_column: int = 0,
) -> Iterator[Edges]:
    for begin in range(0, matrix.nnz, EDGES):
        part = slice(begin, begin + EDGES)
        weight = matrix.data[part].astype(np.float32)
        yield (
            matrix.row[part] + np.int64(first_row),
            matrix.col[part] + np.int64(first_column),
            weight,
        )


FORMAT = Format(
    "_npz",
    write,
    directory=True,
    own_options=("rate_unit",),
    reader=(recognises, read),
)
