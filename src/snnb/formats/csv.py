"""`csv`: a header, and one line per synapse; compressed if the name ends in `.gz`.

An export names neurons, or writes them as `(row, column, channel)`. It has biases, codings and spike counts of the
neurons in `NAME.csv.nodes.csv`, and the description in `NAME.csv.json`.
"""

import csv
import gzip
import io
import re
import zlib
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO, Callable, Dict, Iterator, List, Optional, Sequence, Set, cast

import numpy as np

from snnb.core.errors import DamagedError, first_line
from snnb.formats.description import NODES_ENDING, description_path, read_description, sibling
from snnb.formats.request import TEXT_BATCH, Format, Request, file_ending_in
from snnb.formats.tables import COLUMNS, LIMIT, columns_of, described_graph, listed_graph, unread_note
from snnb.formats.text_lines import lines, texts
from snnb.graph.listed import ListedGraph
from snnb.graph.populations import GraphPopulation
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.files import refuse_special
from snnb.io.text import LONGEST_LINE, read_text

HEADER = b"source_group,source_neuron,dest_group,dest_neuron,weight,rate,edge\n"


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, one line per synapse; see `Format`."""
    import pyarrow

    exact = request.options.exact
    counter, scale = request.counter(graph.number_of_edges()), request.rate_scale(graph)
    with ExitStack() as stack:
        file: BinaryIO = stack.enter_context(path.open("wb"))
        if path.suffix == ".gz":
            file = cast(BinaryIO, stack.enter_context(gzip.GzipFile("", "wb", 1, file, 0)))
        file.write(HEADER)
        for projection in graph.projections:
            source, target = projection.source, projection.target
            sources, targets = pyarrow.array(_names(source)), pyarrow.array(_names(target))
            rates = (
                texts(source.edge_rate(scale), exact).to_pylist() if graph.recording is not None else [""] * source.size
            )
            after = pyarrow.array([f",{rate}," for rate in rates])
            for batch in projection.edge_batches(TEXT_BATCH, scale):
                own = pyarrow.array(batch.source - source.first)
                names = sources.take(own), targets.take(pyarrow.array(batch.target - target.first))
                file.write(lines(*names, texts(batch.weight, exact), after.take(own), texts(batch.edge, exact)))
                counter.add(batch.source.size)


def _names(population: GraphPopulation) -> List[str]:
    """Return `population,"(row, column, channel)",` of every neuron, or `population,name,`."""
    group = _quoted(population.name)
    if population.names is not None:
        return [f"{group},{_quoted(name)}," for name in population.names.tolist()]
    return [f'{group},"{index}",' for index in np.ndindex(*population.shape)]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(sign in name for sign in ',"\n\r') else name


BLOCK = 1 << 22  # bytes that are in memory at a time; a line has at most as many
MOST_EMPTY = 100_000  # empty lines after the header
ENCODING = "utf-8-sig"  # with or without a byte order mark
IDS_OR_NAMES = "give ids in all lines, or a name in the first line after the header"
# An id, which pandas may write as 12.0 and numpy as 1.2e+01; 0.3 is a name
ID = re.compile(r"([+-]?[0-9]+(\.0*|(\.[0-9]*)?e[+-]?[0-9]+)?)?", re.IGNORECASE)


def read(path: Path) -> ListedGraph:
    """Read CSV with a header."""
    table, described = sibling(path, NODES_ENDING), description_path(path)
    nodes, scale = None, 1.0
    if described.exists():
        description = read_description(described)
        scale = description.rate_scale  # the unit of rates is the file's, also without its table of nodes
        if table.exists():
            nodes = described_graph(table, description, _node_columns(table))
            nodes = replace(nodes, files=(path, table, described))
    with _open(path) as file:
        header = _next_line(path, file)
        lines = (_next_line(path, file) for _ in range(MOST_EMPTY))
        first = next((line for line in lines if not line.isspace()), "\n")
    if first.isspace():
        raise DamagedError(path, f"has {MOST_EMPTY:,} empty lines after the header")
    delimiter = max(",;\t", key=header.count)
    fields = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
    columns = columns_of(path, fields, "line 1: ")
    values = dict(zip(fields, next(csv.reader([first], delimiter=delimiter), [])))
    named = "source_group" in columns or not all(
        ID.fullmatch(values.get(columns[end], "").strip()) for end in ("source", "target")
    )
    unrated = "rate" in columns and not values.get(columns["rate"], "-").strip()  # an export of a graph of weights
    texts = [key for key in columns if key not in ("weight", "rate")] if named else []
    numbers = {name for key, name in columns.items() if key not in texts and not (unrated and key == "rate")}

    def batches() -> Iterator[Dict[str, np.ndarray]]:
        row = 0
        for batch in _blocks(path, fields, [*columns.values()], numbers, delimiter):
            table = {key: batch[name] for key, name in columns.items()}
            if unrated and (table.pop("rate") != "").any():
                raise DamagedError(path, "some rates are empty; give all of them, or none")
            if "rate" in table:
                table["rate"] = table["rate"] / scale
            if not named:
                table.update({end: _ids(path, columns[end], table[end], row, place) for end in ("source", "target")})
            yield table
            row += table["source"].size

    def place(row: int) -> str:
        with _open(path) as file:
            lines = (number for number, line in enumerate(file, 1) if number > 1 and not line.isspace())
            return f"line {next(islice(lines, row, None)):,}"

    with_values = {key: name for key, name in columns.items() if not (unrated and key == "rate")}
    graph = listed_graph(path, with_values, batches, place, named=named, nodes=nodes)
    return replace(graph, notes=(*graph.notes, *unread_note(fields)))


def _open(path: Path) -> IO[str]:
    refuse_special(path)
    return gzip.open(path, "rt", encoding=ENCODING) if path.suffix.lower() == ".gz" else path.open(encoding=ENCODING)


def _next_line(path: Path, file: IO[str]) -> str:
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


def _blocks(
    path: Path, fields: Sequence[str], names: Sequence[str], numbers: Set[str], delimiter: str
) -> Iterator[Dict[str, np.ndarray]]:
    """Yield columns by name, some lines at a time: float64 of `numbers`, str without spaces at the ends of others.

    Ids are read as float64, so that 1.5 is refused, and 12.0 is 12.
    """
    import pyarrow
    from pyarrow import compute
    from pyarrow import csv as arrow

    keys = {name: str(fields.index(name)) for name in names}  # the names of fields may occur twice
    kinds = {keys[name]: pyarrow.float64() if name in numbers else pyarrow.string() for name in names}
    try:
        with pyarrow.input_stream(str(path), "gzip" if path.suffix.lower() == ".gz" else None) as file:
            reader = arrow.open_csv(
                file,
                arrow.ReadOptions(block_size=BLOCK, skip_rows=1, column_names=[str(k) for k in range(len(fields))]),
                arrow.ParseOptions(
                    delimiter=delimiter, invalid_row_handler=lambda row: "skip" if row.text.isspace() else "error"
                ),
                arrow.ConvertOptions(column_types=kinds, include_columns=list(kinds), null_values=[]),
            )
            for batch in reader:
                columns = {name: batch.column(key) for name, key in keys.items()}
                columns.update({n: compute.utf8_trim_whitespace(columns[n]) for n in names if n not in numbers})
                yield {name: column.to_numpy(zero_copy_only=False) for name, column in columns.items()}
    except (pyarrow.ArrowException, OSError) as error:
        raise DamagedError(path, _fault_of(path, fields, numbers, delimiter) or first_line(error)) from None


def _fault_of(path: Path, fields: Sequence[str], numbers: Set[str], delimiter: str) -> Optional[str]:
    """Return the first line that is wrong, and its fault; None if there is none. Arrow does not count empty lines."""
    ends = {*COLUMNS["source"], *COLUMNS["target"]}
    with _open(path) as file:
        _next_line(path, file)
        for line, text in enumerate(iter(partial(_next_line, path, file), ""), 2):
            values = next(csv.reader([text], delimiter=delimiter), [])
            if len(values) != len(fields):
                if text.isspace():
                    continue
                return f"line {line:,}: has {len(values)} fields, the header has {len(fields)}"
            for name, value in zip(fields, values):
                try:
                    if name in numbers:
                        float(value)
                except ValueError:
                    if name in ends:
                        return f"line {line:,}: {name} {value.strip()!r} is not an id from 0; {IDS_OR_NAMES}"
                    return f"line {line:,}: could not convert string {value!r} to a number"
    return None


def _ids(path: Path, name: str, values: np.ndarray, first: int, place: Callable[[int], str]) -> np.ndarray:
    """Return a column of ids, whose first value is in the row `first`, as int64."""
    wrong = np.flatnonzero((values != np.rint(values)) | (np.abs(values) > LIMIT))
    if not wrong.size:
        return values.astype(np.int64)
    value, line = values[wrong[0]], place(first + int(wrong[0]))
    if value != np.rint(value):
        raise DamagedError(path, f"{line}: {name} {value} is not an id from 0; {IDS_OR_NAMES}")
    raise DamagedError(path, f"{line}: {name} {value:.6g} is too large; the neurons are 0 to {LIMIT - 1:,}")


def _node_columns(path: Path) -> Dict[str, np.ndarray]:
    """Read NAME.csv.nodes.csv."""
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path))))
        ids, biases = [int(row["id"]) for row in rows], [float(row["bias"]) for row in rows]
        columns = {"population": np.array([row["population"] for row in rows], object), "bias": np.array(biases)}
        if any(row["spike_count"] for row in rows):
            columns["spike_count"] = np.array([float(row["spike_count"]) for row in rows])
        if rows and "name" in rows[0]:
            columns["name"] = np.array([row["name"] for row in rows], object)
    except (csv.Error, KeyError, TypeError, ValueError) as error:
        raise DamagedError(path, f"not the table of nodes of an export ({error})") from None
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
