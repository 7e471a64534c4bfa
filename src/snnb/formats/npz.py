"""`npz`: matrices or arrays of numpy.

An export is a directory with a scipy CSR matrix per projection, for `scipy.sparse.load_npz`, and the table of nodes. An
import reads such a directory, one sparse matrix of scipy, or arrays `source` and `target`.
"""

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterator

import numpy as np

from snnb.core.errors import DamagedError
from snnb.formats.description import DESCRIPTION, node_table, read_description
from snnb.formats.request import BATCH, Counter, Format, Request, file_name
from snnb.formats.tables import NEURONS, columns_of, described_graph, listed_graph, unread_note
from snnb.graph.connection import index_dtype
from snnb.graph.listed import EDGES, NEURON_BYTES, Edges, ListedGraph, ListedPopulation
from snnb.graph.projection import GraphProjection
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.budget import Budget
from snnb.io.npy import RAISED_BY_NUMPY, check_archive, load_archive, write_header, write_member

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
        with zipfile.ZipFile(str(path / f"{file_name(number, projection)}.npz"), "w") as archive:
            write_member(archive, "format", np.array(b"csr"))
            write_member(archive, "shape", shape)
            write_member(archive, "indptr", indptr)
            for name, kind in (("indices", dtype), ("data", np.dtype(np.float32)), ("edge", np.dtype(np.float32))):
                _write_array(archive, name, kind, projection, scale, counter)
    with (path / "nodes.npz").open("wb") as file:
        np.savez(file, **node_table(graph, request))


def _write_array(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype, projection: GraphProjection, scale: float, counter: Counter
) -> None:
    """Write an array of the edges, some at a time; an npz file is a zip archive of npy files."""
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
        write_header(file, dtype, (projection.number_of_edges,))
        for batch in projection.edge_batches(BATCH, scale):
            counter.add(batch.source.size)
            arrays = {"indices": batch.target - projection.target.first, "data": batch.weight, "edge": batch.edge}
            file.write(arrays[name].astype(dtype, copy=False).data.cast("B"))  # zipfile counts items, not bytes


def recognises(path: Path) -> bool:
    """Whether a path is an npz file, or a directory of matrices that `snnb` has exported."""
    return (path / "nodes.npz").is_file() if path.is_dir() else path.is_file() and path.suffix == ".npz"


def read(path: Path) -> ListedGraph:
    """Read a directory of `snnb`, one sparse matrix of scipy, or arrays that are the columns of a table of edges.

    A matrix that is not square has two populations.
    """
    if path.is_dir():
        return _read_matrices(path)
    arrays = load_archive(path)
    if "format" in arrays and "shape" in arrays:  # of scipy: rows are sources, columns are targets
        matrix = _matrix(path)
        rows, targets = matrix.shape
        Budget(path).draw(rows + targets, "neurons", NEURON_BYTES)
        if rows == targets:
            return ListedGraph([ListedPopulation(NEURONS, (rows,))], _edges_of(matrix))
        note = f"a matrix of {rows:,} by {targets:,} is read as populations sources and targets"
        populations = [ListedPopulation("sources", (rows,)), ListedPopulation("targets", (targets,))]
        return ListedGraph(populations, _edges_of(matrix, 0, rows), notes=(note,))
    columns = columns_of(path, list(arrays))
    used = {key: arrays[name] for key, name in columns.items()}
    shapes = {columns[key]: array.shape for key, array in used.items()}
    if len(set(shapes.values())) > 1 or used["source"].ndim != 1:
        raise DamagedError(path, f"its arrays have different lengths, or several axes: {shapes}")

    def batches() -> Iterator[Dict[str, np.ndarray]]:
        for begin in range(0, used["source"].size, EDGES):
            yield {key: array[begin : begin + EDGES] for key, array in used.items()}

    named = "source_group" in columns or used["source"].dtype.kind == "U"
    graph = listed_graph(path, columns, batches, lambda row: f"edge {row:,}", named=named)
    return replace(graph, notes=(*graph.notes, *unread_note(arrays)))


def _read_matrices(folder: Path) -> ListedGraph:
    """Read a directory of `snnb`."""
    described, table = folder / DESCRIPTION, folder / "nodes.npz"
    description = read_description(described)
    arrays = load_archive(table, must=("population", "population_names"))
    owner = np.array(arrays["population_names"].tolist(), object)[arrays["population"]]
    graph = described_graph(table, description, {**arrays, "population": owner})
    size = {population.name: population.size for population in graph.populations}
    first = dict(zip(size, np.cumsum([0, *size.values()]).tolist()))
    files, matrices = [described, table], []
    for number, projection in enumerate(description.projections):
        ends = projection.source, projection.target
        path = next(iter(sorted(folder.glob(f"{number:04d}_*.npz"))), None)
        if path is None or not all(name in size for name in ends):
            raise DamagedError(folder, f"has no matrix {number:04d}_*.npz, the synapses from {ends[0]} to {ends[1]}")
        files.append(path)
        matrices.append((path, ends))

    def edges() -> Iterator[Edges]:
        for path, (source, target) in matrices:
            matrix, shape = _matrix(path), (size[source], size[target])
            if matrix.shape != shape:
                raise DamagedError(path, f"a matrix of shape {matrix.shape}, not {shape}")
            yield from _edges_of(matrix, first[source], first[target])

    return replace(graph, edges=edges(), files=tuple(files))


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


def _edges_of(matrix: "coo_matrix", first_row: int = 0, first_column: int = 0) -> Iterator[Edges]:
    for begin in range(0, matrix.nnz, EDGES):
        part = slice(begin, begin + EDGES)
        weight = matrix.data[part].astype(np.float32)
        yield matrix.row[part] + np.int64(first_row), matrix.col[part] + np.int64(first_column), weight


FORMAT = Format("_npz", write, directory=True, own_options=("rate_unit",), reader=(recognises, read))
