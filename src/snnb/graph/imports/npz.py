"""`npz`: a directory of `snnb`, one sparse matrix of scipy, or arrays source and target."""

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import IO, Dict, Iterator, Sequence, Tuple

import numpy as np

from snnb.core.errors import DamagedError
from snnb.graph.edges import ranges
from snnb.graph.imports.tables import NEURONS, Chunk, Table, columns_of, listed_graph, read_description, read_nodes
from snnb.graph.listed import EDGES, Edges, ListedGraph, ListedPopulation
from snnb.io.npy import RAISED_BY_NUMPY, load_archive


def is_npz(path: Path) -> bool:
    """Whether a path is an npz file, or a directory of matrices that `snnb` has exported."""
    return (path / "nodes.npz").is_file() if path.is_dir() else path.is_file() and path.suffix == ".npz"


def read_npz(path: Path) -> ListedGraph:
    """Read a directory of `snnb`, one sparse matrix of scipy, or arrays source, target and others."""
    if path.is_dir():
        return _read_matrices(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name[: -len(".npy")] for name in archive.namelist() if name.endswith(".npy")}
    except RAISED_BY_NUMPY as error:
        raise DamagedError(path, f"not a complete npz file ({error})") from None
    if "format" in members and "shape" in members:
        return _read_matrix(path)
    columns, notes = columns_of(path, sorted(members))
    used = [columns.source, columns.target, columns.weight, columns.rate]

    def chunks() -> Iterator[Chunk]:
        with _Arrays(path, [name for name in used if name is not None]) as arrays:
            sizes = {array.size for array in arrays.values()}
            if len(sizes) > 1:
                described = ", ".join(f"{name} {array.size:,}" for name, array in arrays.items())
                raise DamagedError(path, f"its arrays have different lengths: {described}")
            for begin in range(0, max(sizes), EDGES):
                count = min(EDGES, max(sizes) - begin)
                source, target = (arrays[name].integers(count) for name in (columns.source, columns.target))
                weight = np.ones(count, np.float32) if columns.weight is None else arrays[columns.weight].floats(count)
                yield Chunk(
                    source, target, weight, None if columns.rate is None else arrays[columns.rate].floats(count)
                )

    return listed_graph(Table(path, chunks, lambda row: f"edge {row:,}", tuple(notes)))


def _read_matrices(folder: Path) -> ListedGraph:
    """Read a directory of `snnb`."""
    described, table = folder / "description.json", folder / "nodes.npz"
    description = read_description(described)
    arrays = load_archive(table, must=("population", "population_names"))
    owner = np.array(arrays["population_names"].tolist(), object)[arrays["population"]]
    columns = {"population": owner}
    columns.update({name: arrays[of] for name, of in (("bias", "bias"), ("spikes", "spike_count")) if of in arrays})
    nodes = read_nodes(table, description, columns)
    populations = nodes.graph.populations
    first = dict(zip([p.name for p in populations], np.cumsum([0, *(p.size for p in populations)]).tolist()))
    size = {population.name: population.size for population in populations}
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
            for rows, ends, weight in _matrix_edges(path, (size[source], size[target])):
                yield rows + first[source], ends + first[target], weight

    return replace(nodes.graph, edges=edges(), files=tuple(files))


def _read_matrix(path: Path) -> ListedGraph:
    """Read a matrix of scipy: rows are sources, columns are targets; if it is not square, two populations."""
    shape = load_archive(path, names=["shape"], must=["shape"])["shape"]
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or shape.min() < 0:
        raise DamagedError(path, "the shape of its matrix is not two numbers")
    rows, columns = (int(length) for length in shape)
    if rows == columns:
        return ListedGraph([ListedPopulation(NEURONS, (rows,))], _matrix_edges(path, (rows, columns)))
    edges = ((source, target + rows, weight) for source, target, weight in _matrix_edges(path, (rows, columns)))
    note = f"a matrix of {rows:,} by {columns:,} is read as populations sources and targets"
    return ListedGraph(
        [ListedPopulation("sources", (rows,)), ListedPopulation("targets", (columns,))], edges, notes=(note,)
    )


def _matrix_edges(path: Path, shape: Tuple[int, int]) -> Iterator[Edges]:
    """Yield row, column and value of the elements of a sparse matrix that scipy has saved."""
    head = load_archive(path, names=["format", "shape"], must=["format", "shape"])
    form = head["format"].item()
    form = form.decode("ascii", "replace") if isinstance(form, bytes) else str(form)
    if tuple(head["shape"].tolist()) != shape:
        raise DamagedError(path, f"a matrix of shape {tuple(head['shape'].tolist())}, expected is {shape}")
    if form == "coo":
        with _Arrays(path, ["row", "col", "data"]) as arrays:
            if len({array.size for array in arrays.values()}) > 1:
                raise DamagedError(path, "row, col and data have different lengths")
            for begin in range(0, arrays["data"].size, EDGES):
                count = min(EDGES, arrays["data"].size - begin)
                ends = arrays["row"].integers(count), arrays["col"].integers(count)
                for ids, length in zip(ends, shape):
                    _check_range(path, ids, length)
                yield (*ends, arrays["data"].floats(count))
        return
    if form not in ("csr", "csc"):
        raise DamagedError(path, f"a matrix in the format {form}; save it as csr, csc or coo: matrix.tocsr()")
    majors, minors = shape if form == "csr" else shape[::-1]
    indptr = load_archive(path, names=["indptr"], must=["indptr"])["indptr"]
    with _Arrays(path, ["indices", "data"]) as arrays:
        total = arrays["indices"].size
        valid = indptr.shape == (majors + 1,) and indptr.dtype.kind in "iu" and indptr[0] == 0
        if not (valid and (np.diff(indptr) >= 0).all() and indptr[-1] == total == arrays["data"].size):
            raise DamagedError(path, "not a sparse matrix: indptr does not fit shape, indices and data")
        degrees = np.diff(indptr.astype(np.int64))
        for start, stop in ranges(degrees, EDGES):
            count = int(indptr[stop] - indptr[start])
            major, minor = np.repeat(np.arange(start, stop), degrees[start:stop]), arrays["indices"].integers(count)
            _check_range(path, minor, minors)
            ends = (major, minor) if form == "csr" else (minor, major)
            yield (*ends, arrays["data"].floats(count))


def _check_range(path: Path, ids: np.ndarray, length: int) -> None:
    bad = np.flatnonzero((ids < 0) | (ids >= length))
    if bad.size:
        raise DamagedError(path, f"index {ids[bad[0]]} of a row or column; they are 0 to {length - 1:,}")


class _Array:
    """A one-dimensional array of an npz file, read in parts."""

    def __init__(self, path: Path, name: str, file: IO[bytes]) -> None:
        self._path, self._name, self._file = path, name, file
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, self._kind = read(file)
        if len(shape) != 1:
            raise DamagedError(path, f"{name} has {len(shape)} axes, expected is 1")
        self.size: int = shape[0]

    def integers(self, count: int) -> np.ndarray:
        """Read the next integers."""
        return self._next(count, "iu", "integers")

    def floats(self, count: int) -> np.ndarray:
        """Read the next numbers: float32."""
        with np.errstate(over="ignore"):
            return self._next(count, "iufb", "numbers").astype(np.float32, copy=False)

    def _next(self, count: int, kinds: str, expected: str) -> np.ndarray:
        if self._kind.kind not in kinds:
            raise DamagedError(self._path, f"{self._name} is of type {self._kind}, expected are {expected}")
        content = self._file.read(count * self._kind.itemsize)
        if len(content) < count * self._kind.itemsize:
            raise DamagedError(self._path, f"{self._name} ends early")
        return np.frombuffer(content, self._kind)


class _Arrays(Dict[str, _Array]):
    """Arrays of an npz file that are read in parts, side by side; a context manager."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        super().__init__()
        self._path = path
        try:
            self._archive = zipfile.ZipFile(path)
            for name in names:
                if f"{name}.npy" not in self._archive.namelist():
                    raise DamagedError(path, f"has no array {name}")
                self[name] = _Array(path, name, self._archive.open(f"{name}.npy"))
        except RAISED_BY_NUMPY as error:
            raise DamagedError(path, f"not a complete npz file ({error})") from None

    def __enter__(self) -> "_Arrays":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._archive.close()
        if isinstance(error, RAISED_BY_NUMPY):
            raise DamagedError(self._path, f"not a complete npz file ({error})") from None
