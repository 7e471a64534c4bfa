"""`csv`: a header, and one line per synapse; compressed if the name ends in `.gz`.

An export names neurons, or writes them as `(row, column, channel)`. It has biases,
codings and spike counts of the neurons in `NAME.csv.nodes.csv`, and the description in
`NAME.csv.json`.
"""

import csv
import gzip
import io
import re
import zlib
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import (
    IO,
    TYPE_CHECKING,
    BinaryIO,
    Dict,
    Generator,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    cast,
)

import numpy as np

from snnb.core.errors import DamagedError, first_line
from snnb.formats.description import (
    NODES_ENDING,
    description_path,
    read_description,
    sibling,
)
from snnb.formats.node_table import described_graph
from snnb.formats.request import TEXT_BATCH, Format, Request, file_ending_in
from snnb.formats.tables import (
    COLUMNS,
    LIMIT,
    EdgeTable,
    columns_of,
    graph_of_table,
    unread_note,
)
from snnb.formats.text_lines import lines, texts
from snnb.graph.listed import ListedGraph
from snnb.graph.populations import GraphPopulation
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.files import refuse_special
from snnb.io.text import LONGEST_LINE, read_text

if TYPE_CHECKING:
    import pyarrow

HEADER = b"source_group,source_neuron,dest_group,dest_neuron,weight,rate,edge\n"


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, one line per synapse; see `Format`."""
    import pyarrow

    exact = request.options.exact
    counter = request.counter(graph.number_of_edges())
    scale = request.rate_scale(graph)
    with _open_output(path) as file:
        file.write(HEADER)
        for projection in graph.projections:
            source = projection.source
            target = projection.target
            source_names = pyarrow.array(_names(source))
            target_names = pyarrow.array(_names(target))
            rates = [""] * source.size
            if graph.recording is not None:
                rates = texts(source.edge_rate(scale), exact).to_pylist()
            rate_cells = pyarrow.array([f",{rate}," for rate in rates])
            for batch in projection.edge_batches(TEXT_BATCH, scale):
                source_index = pyarrow.array(batch.source - source.first)
                target_index = pyarrow.array(batch.target - target.first)
                rows = lines(
                    source_names.take(source_index),
                    target_names.take(target_index),
                    texts(batch.weight, exact),
                    rate_cells.take(source_index),
                    texts(batch.edge, exact),
                )
                file.write(rows)
                counter.add(batch.source.size)


@contextmanager
def _open_output(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write; `.gz` is compressed."""
    with path.open("wb") as file:
        if path.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile("", "wb", 1, file, 0) as gzip_file:
            yield cast(BinaryIO, gzip_file)


def _names(population: GraphPopulation) -> List[str]:
    """Return the cells of every neuron: `population,"(row, column, channel)",`.

    Of neurons with names, they are `population,name,`.
    """
    group = _quote(population.name)
    if population.names is not None:
        return [f"{group},{_quote(name)}," for name in population.names.tolist()]
    return [f'{group},"{index}",' for index in np.ndindex(*population.shape)]


def _quote(name: str) -> str:
    """Return a name as a cell, in quotes where CSV requires them."""
    if not any(sign in name for sign in ',"\n\r'):
        return name
    return '"' + name.replace('"', '""') + '"'


BLOCK = 1 << 22  # bytes that are in memory at a time; a line has at most as many
MOST_EMPTY = 100_000  # empty lines after the header
ENCODING = "utf-8-sig"  # with or without a byte order mark
IDS_OR_NAMES = "give ids in all lines, or a name in the first line after the header"
# An id, which pandas may write as 12.0 and numpy as 1.2e+01; 0.3 is a name
ID = re.compile(r"([+-]?[0-9]+(\.0*|(\.[0-9]*)?e[+-]?[0-9]+)?)?", re.IGNORECASE)


def read(path: Path) -> ListedGraph:
    """Read CSV with a header."""
    nodes, rate_scale = _read_export(path)
    header, first_row = _first_lines(path)
    layout = _layout_of(path, header, first_row)
    table = _CsvTable(path, layout, rate_scale)
    graph = graph_of_table(table, nodes)
    return replace(graph, notes=(*graph.notes, *unread_note(layout.fields)))


def _read_export(path: Path) -> Tuple[Optional[ListedGraph], float]:
    """Read the description and the table of nodes next to an export.

    Return its graph without edges, None without both files, and the factor from spikes
    per time step to the unit of the rates.
    """
    nodes_path = sibling(path, NODES_ENDING)
    if not description_path(path).exists():
        return None, 1.0
    description = read_description(description_path(path))
    # The unit of rates is also that of a file without its table of nodes
    if not nodes_path.exists():
        return None, description.rate_scale
    nodes = described_graph(nodes_path, description, _read_nodes(nodes_path))
    files = (path, nodes_path, description_path(path))
    return replace(nodes, files=files), description.rate_scale


def _first_lines(path: Path) -> Tuple[str, str]:
    """Return the header and the first row, which is empty in a table without rows."""
    with _open(path) as file:
        header = _next_line(path, file)
        row = "\n"
        for _ in range(MOST_EMPTY):
            row = _next_line(path, file)
            if not row.isspace():
                break
    if row.isspace():
        raise DamagedError(path, f"has {MOST_EMPTY:,} empty lines after the header")
    return header, row


class _Layout(NamedTuple):
    """What the header and the first row of a table state."""

    fields: Sequence[str]  # names in the header, in lower case
    delimiter: str
    columns: Mapping[str, str]  # fields that are read, by keys of `COLUMNS`
    numbers: Set[str]  # those of them that are read as numbers
    named: bool  # whether neurons have names, not ids
    # Whether the cells of the rates are empty, as in an export of a graph of weights
    has_empty_rates: bool

    @property
    def value_columns(self) -> Dict[str, str]:
        """The columns with values, by keys of `COLUMNS`."""
        columns = dict(self.columns)
        if self.has_empty_rates:
            del columns["rate"]
        return columns


def _layout_of(path: Path, header: str, first_row: str) -> _Layout:
    """Return the layout of a table with a header and a first row."""
    delimiter = max(",;\t", key=header.count)
    fields = [name.strip().lower() for name in _cells_of(header, delimiter)]
    columns = columns_of(path, fields, "line 1: ")
    cells = dict(zip(fields, _cells_of(first_row, delimiter)))
    ends = [cells.get(columns[end], "").strip() for end in ("source", "target")]
    has_names = "source_group" in columns or not all(map(ID.fullmatch, ends))
    has_empty_rates = False
    if "rate" in columns:
        has_empty_rates = not cells.get(columns["rate"], "-").strip()
    numbers = set()
    for key, name in columns.items():
        is_text = has_names and key not in ("weight", "rate")
        if not is_text and not (has_empty_rates and key == "rate"):
            numbers.add(name)
    return _Layout(fields, delimiter, columns, numbers, has_names, has_empty_rates)


def _cells_of(line: str, delimiter: str) -> List[str]:
    """Return the cells of a line, none for an empty line."""
    return next(csv.reader([line], delimiter=delimiter), [])


class _CsvTable(EdgeTable):
    """A table of edges in a file of CSV."""

    def __init__(self, path: Path, layout: _Layout, rate_scale: float) -> None:
        super().__init__(path, layout.value_columns, layout.named)
        self._layout = layout
        self._rate_scale = rate_scale

    def batches(self) -> Generator[Mapping[str, np.ndarray], None, None]:
        """Yield columns, some rows at a time; rates are in spikes per time step."""
        row = 0
        for block in _blocks(self.path, self._layout):
            batch = {key: block[name] for key, name in self._layout.columns.items()}
            if self._layout.has_empty_rates and (batch.pop("rate") != "").any():
                raise DamagedError(
                    self.path, "some rates are empty; give all of them, or none"
                )
            if "rate" in batch:
                batch["rate"] = batch["rate"] / self._rate_scale
            if not self.has_names:
                batch["source"] = self._ids("source", batch["source"], row)
                batch["target"] = self._ids("target", batch["target"], row)
            yield batch
            row += batch["source"].size

    def place(self, row: int) -> str:
        """Return `line 7` for a row; the header and empty lines are not rows."""
        with _open(self.path) as file:
            rows_before = -1  # without the header
            for number, line in enumerate(file, 1):
                if number == 1 or not line.isspace():
                    rows_before += 1
                if rows_before > row:
                    break
        return f"line {number:,}"

    def _ids(self, end: str, values: np.ndarray, first_row: int) -> np.ndarray:
        """Return the ids of some rows, which are read as float64, as int64."""
        is_wrong = (values != np.rint(values)) | (np.abs(values) > LIMIT)
        if not is_wrong.any():
            return values.astype(np.int64)
        row = int(np.flatnonzero(is_wrong)[0])
        value = values[row]
        place = f"{self.place(first_row + row)}: {self.columns[end]}"
        if value != np.rint(value):
            fault = f"{place} {value} is not an id from 0; {IDS_OR_NAMES}"
        else:
            limit = f"the neurons are 0 to {LIMIT - 1:,}"
            fault = f"{place} {value:.6g} is too large; {limit}"
        raise DamagedError(self.path, fault)


def _is_compressed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _open(path: Path) -> IO[str]:
    """Open a table for reading text."""
    refuse_special(path)
    if _is_compressed(path):
        return gzip.open(path, "rt", encoding=ENCODING)
    return path.open(encoding=ENCODING)


def _next_line(path: Path, file: IO[str]) -> str:
    """Return the next line with its end, "" after the last line.

    Raise `DamagedError` if it is not text, or longer than `LONGEST_LINE`.
    """
    try:
        line = file.readline(LONGEST_LINE)
    except UnicodeDecodeError:
        raise DamagedError(path, "not text") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedError(path, f"not a complete gzip file ({error})") from None
    if "\0" in line:
        raise DamagedError(path, "not text")
    if len(line) == LONGEST_LINE:
        raise DamagedError(path, f"has a line of {LONGEST_LINE:,} characters or more")
    return line


def _blocks(path: Path, layout: _Layout) -> Iterator[Dict[str, np.ndarray]]:
    """Yield columns by name, some lines at a time.

    Numbers are float64, and others are str without spaces at the ends. Ids are read as
    float64, so that 1.5 is refused, and 12.0 is 12.
    """
    # No `with` and no `except` holds a `yield`: closed at the end of the process, when
    # modules are empty already, this generator has nothing to do.
    reader = _BlockReader(path, layout)
    block = reader.next_block()
    while block is not None:
        yield block
        block = reader.next_block()


class _BlockReader:
    """Reader of the columns of a table by Arrow, some lines at a time."""

    def __init__(self, path: Path, layout: _Layout) -> None:
        self._path = path
        self._layout = layout
        self._names = [*layout.columns.values()]
        # The names of fields may occur twice, so Arrow gets the numbers of the fields
        self._keys = {name: str(layout.fields.index(name)) for name in self._names}
        self._batches: Optional[Iterator[pyarrow.RecordBatch]] = None

    def next_block(self) -> Optional[Dict[str, np.ndarray]]:
        """Return the columns of the next lines by name; None at the end of the file.

        Raise `DamagedError` with the first wrong line if Arrow fails.
        """
        import pyarrow

        try:
            if self._batches is None:
                self._batches = iter(self._open())
            batch = next(self._batches, None)
            return None if batch is None else self._columns_of(batch)
        except (pyarrow.ArrowException, OSError) as error:
            fault = _fault_of(self._path, self._layout) or first_line(error)
            raise DamagedError(self._path, fault) from None

    def _open(self) -> "pyarrow.csv.CSVStreamingReader":
        import pyarrow
        from pyarrow import csv as arrow

        kinds = {}
        for name, key in self._keys.items():
            is_number = name in self._layout.numbers
            kinds[key] = pyarrow.float64() if is_number else pyarrow.string()
        compression = "gzip" if _is_compressed(self._path) else None
        return arrow.open_csv(
            pyarrow.input_stream(str(self._path), compression),
            arrow.ReadOptions(
                block_size=BLOCK,
                skip_rows=1,
                column_names=[str(key) for key in range(len(self._layout.fields))],
            ),
            arrow.ParseOptions(
                delimiter=self._layout.delimiter,
                invalid_row_handler=_skip_empty_row,
            ),
            arrow.ConvertOptions(
                column_types=kinds,
                include_columns=list(kinds),
                null_values=[],
            ),
        )

    def _columns_of(self, batch: "pyarrow.RecordBatch") -> Dict[str, np.ndarray]:
        from pyarrow import compute

        columns = {}
        for name in self._names:
            column = batch.column(self._keys[name])
            if name not in self._layout.numbers:
                column = compute.utf8_trim_whitespace(column)
            columns[name] = column.to_numpy(zero_copy_only=False)
        return columns


def _skip_empty_row(row: "pyarrow.csv.InvalidRow") -> str:
    """Return what Arrow does with a row that has a wrong number of cells."""
    return "skip" if row.text.isspace() else "error"


def _fault_of(path: Path, layout: _Layout) -> Optional[str]:
    """Return the first line that is wrong, and its fault; None if there is none.

    Arrow does not count empty lines.
    """
    ends = {*COLUMNS["source"], *COLUMNS["target"]}
    with _open(path) as file:
        _next_line(path, file)
        for line, text in enumerate(iter(partial(_next_line, path, file), ""), 2):
            cells = _cells_of(text, layout.delimiter)
            if len(cells) != len(layout.fields):
                if text.isspace():
                    continue
                return (
                    f"line {line:,}: has {len(cells)} fields, the header has "
                    f"{len(layout.fields)}"
                )
            for name, cell in zip(layout.fields, cells):
                if name not in layout.numbers or _is_number(cell):
                    continue
                if name in ends:
                    return (
                        f"line {line:,}: {name} {cell.strip()!r} is not an id from 0; "
                        f"{IDS_OR_NAMES}"
                    )
                return f"line {line:,}: could not convert string {cell!r} to a number"
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_nodes(path: Path) -> Dict[str, np.ndarray]:
    """Read NAME.csv.nodes.csv: return the columns that `described_graph` requires."""
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path))))
        ids = [int(row["id"]) for row in rows]
        biases = [float(row["bias"]) for row in rows]
        populations = [row["population"] for row in rows]
        columns = {
            "population": np.array(populations, object),
            "bias": np.array(biases),
        }
        if any(row["spike_count"] for row in rows):
            spike_counts = [float(row["spike_count"]) for row in rows]
            columns["spike_count"] = np.array(spike_counts)
        if rows and "name" in rows[0]:
            columns["name"] = np.array([row["name"] for row in rows], object)
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise DamagedError(
            path, f"not the table of nodes of an export ({error})"
        ) from None
    if ids != list(range(len(rows))):
        raise DamagedError(path, "its ids are not 0, 1, 2 …")
    return columns


FORMAT = Format(
    ".csv",
    write,
    nodes_file=True,
    own_options=("rate_unit", "exact"),
    reader=(file_ending_in(".csv", ".csv.gz", ".tsv", ".tsv.gz"), read),
)
