"""`csv`: one line per synapse, with a header; compressed if the name ends in `.gz`.

Written are neurons as `(row, column, channel)` or by name; biases, coding and spike counts of the neurons are in
`NAME.csv.nodes.csv` next to it, and the description in `NAME.csv.json`.
"""

import csv
import gzip
import io
import re
import zlib
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import IO, BinaryIO, Dict, Iterator, List, cast

import numpy as np

from snnb.core.errors import DamagedError
from snnb.formats.description import description_path, read_description
from snnb.formats.request import TEXT_BATCH, Format, Request
from snnb.formats.tables import LIMIT, columns_of, delay_note, described_graph, listed_graph
from snnb.graph.listed import ListedGraph
from snnb.graph.populations import GraphPopulation
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.text import read_text

HEADER = b"source_group,source_neuron,dest_group,dest_neuron,weight,rate,edge\n"


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph, one line per synapse; see `Format`."""
    from snnb.formats.text_lines import EdgeWriter, number_texts

    counter, scale = request.counter(graph.number_of_edges()), request.rate_scale(graph)
    with ExitStack() as stack:
        file: BinaryIO = stack.enter_context(path.open("wb"))
        if request.compressed:
            file = cast(BinaryIO, stack.enter_context(gzip.GzipFile("", "wb", 1, file, 0)))
        file.write(HEADER)
        for projection in graph.projections:
            source, target = projection.source, projection.target
            rates = [""] * source.size
            if graph.recording is not None:
                rates = number_texts(source.edge_rate(scale), request.options.exact)
            after = [f",{rate}," for rate in rates]
            writer = EdgeWriter(_names(source), _names(target), after, request.options.exact)
            for batch in projection.edge_batches(TEXT_BATCH, scale):
                ends = batch.source - source.first, batch.target - target.first
                file.write(writer.lines(*ends, batch.weight, batch.edge))
                counter.add(batch.source.size)


def _names(population: GraphPopulation) -> List[str]:
    """Return `population,"(row, column, channel)",` of every neuron, or `population,name,`."""
    group = _quoted(population.name)
    if population.names is not None:
        return [f"{group},{_quoted(name)}," for name in population.names.tolist()]
    return [f'{group},"{index}",' for index in np.ndindex(*population.shape)]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(sign in name for sign in ',"\n\r') else name


ROWS = 1 << 18  # in memory at a time
LONGEST_LINE = 100_000  # characters
ENCODING = "utf-8-sig"  # with or without a byte order mark
# An id, which pandas may write as 12.0 and numpy as 1.2e+01; 0.3 is a name
ID = re.compile(r"([+-]?[0-9]+(\.0*|(\.[0-9]*)?e[+-]?[0-9]+)?)?", re.IGNORECASE)


def recognises(path: Path) -> bool:
    """Whether a file is CSV by its ending, compressed or not."""
    return path.is_file() and path.name.lower().endswith((".csv", ".csv.gz", ".tsv", ".tsv.gz"))


def read(path: Path) -> ListedGraph:
    """Read CSV with a header."""
    table, described = path.with_name(f"{path.name}.nodes.csv"), description_path(path)
    nodes, scale = None, 1.0
    if described.exists():
        description = read_description(described)
        scale = description.rate_scale  # the unit of rates is the file's, also without its table of nodes
        if table.exists():
            nodes = described_graph(table, description, _node_columns(table))
            nodes = replace(nodes, files=(path, table, described))
    with _open(path) as file:
        header = "".join(_next_lines(path, file, 1))
        first = next((line for line in iter(lambda: "".join(_next_lines(path, file, 1)), "") if line.strip()), "")
    delimiter = max(",;\t", key=header.count)
    fields = [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]
    columns = columns_of(path, fields, "line 1: ")
    values = dict(zip(fields, next(csv.reader([first], delimiter=delimiter), [])))
    named = "source_group" in columns or not all(
        ID.fullmatch(values.get(columns[end], "").strip()) for end in ("source", "target")
    )
    unrated = "rate" in columns and not values.get(columns["rate"], "-").strip()  # an export of a graph of weights
    if unrated:
        del columns["rate"]
    texts = [key for key in columns if key not in ("weight", "rate")] if named else []
    # Ids are read as float64: loadtxt takes 1.5 for the integer 1. Of columns that are not read it keeps a character.
    kinds = dict.fromkeys(fields, "U1")
    kinds.update({name: "O" if key in texts else "f8" for key, name in columns.items()})
    empty: List[int] = []  # numbers of lines that are skipped
    row = np.dtype([(str(k), kinds[name]) for k, name in enumerate(fields)])

    def batches() -> Iterator[Dict[str, np.ndarray]]:
        with _open(path) as file:
            _next_lines(path, file, 1)
            empty.clear()
            for begin in count(2, ROWS):
                lines = _next_lines(path, file, ROWS)
                if not lines:
                    return
                number, blank = begin + np.arange(len(lines)), [k for k, line in enumerate(lines) if line.isspace()]
                if blank:
                    empty.extend(number[blank].tolist())
                    number = np.delete(number, blank)
                    lines = [lines[k - begin] for k in number.tolist()]
                if not lines:
                    continue
                table = _parsed(path, lines, number, row, delimiter)
                if unrated and (table[str(fields.index("rate"))] != "").any():
                    raise DamagedError(path, "some rates are empty; give all of them, or none")
                batch = {key: table[str(fields.index(name))] for key, name in columns.items()}
                batch.update({key: np.array([text.strip() for text in batch[key]], object) for key in texts})
                if "rate" in batch:
                    batch["rate"] = batch["rate"] / scale
                if not named:
                    batch.update({end: _ids(path, columns[end], batch[end], number) for end in ("source", "target")})
                yield batch

    def place(row: int) -> str:
        line = row + 2
        for skipped in empty:
            line += skipped <= line
        return f"line {line:,}"

    graph = listed_graph(path, columns, batches, place, named=named, nodes=nodes)
    return replace(graph, notes=(*graph.notes, *delay_note(fields)))


def _open(path: Path) -> IO[str]:
    return gzip.open(path, "rt", encoding=ENCODING) if path.suffix.lower() == ".gz" else path.open(encoding=ENCODING)


def _next_lines(path: Path, file: IO[str], number: int) -> List[str]:
    try:
        lines = list(islice(iter(partial(file.readline, LONGEST_LINE), ""), number))
    except UnicodeDecodeError:
        raise DamagedError(path, "not text") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedError(path, f"not a complete gzip file ({error})") from None
    if any("\0" in line for line in lines):
        raise DamagedError(path, "not text")
    if any(len(line) == LONGEST_LINE for line in lines):
        raise DamagedError(path, f"has a line of {LONGEST_LINE:,} characters or more")
    return lines


def _parsed(path: Path, lines: List[str], numbers: np.ndarray, row: np.dtype, delimiter: str) -> np.ndarray:
    """Parse lines with their numbers; raise `DamagedError` with the number of the line that is wrong."""
    try:
        return np.loadtxt(lines, row, delimiter=delimiter, quotechar='"', comments=None, ndmin=1)
    except ValueError as error:
        half = len(lines) // 2
        if half:
            _parsed(path, lines[:half], numbers[:half], row, delimiter)
            _parsed(path, lines[half:], numbers[half:], row, delimiter)
        fields, header = next(csv.reader(lines, delimiter=delimiter), []), row.names or ()
        fault = str(error).partition(" at row")[0]
        if len(fields) != len(header):
            fault = f"has {len(fields)} fields, the header has {len(header)}"
        raise DamagedError(path, f"line {numbers[0]:,}: {fault}") from None


def _ids(path: Path, name: str, values: np.ndarray, line: np.ndarray) -> np.ndarray:
    wrong = np.flatnonzero(values != np.rint(values))
    if wrong.size:
        raise DamagedError(
            path,
            f"line {line[wrong[0]]:,}: {name} {values[wrong[0]]} is not an id from 0; give ids, or names in all lines",
        )
    large = np.flatnonzero(np.abs(values) > LIMIT)  # int64 does not hold all of them
    if large.size:
        k = large[0]
        raise DamagedError(
            path, f"line {line[k]:,}: {name} {values[k]:.6g} is too large; the neurons are 0 to {LIMIT - 1:,}"
        )
    return values.astype(np.int64)


def _node_columns(path: Path) -> Dict[str, np.ndarray]:
    """Read NAME.csv.nodes.csv."""
    rows = list(csv.DictReader(io.StringIO(read_text(path))))
    try:
        ids, biases = [int(row["id"]) for row in rows], [float(row["bias"]) for row in rows]
        columns = {"population": np.array([row["population"] for row in rows], object), "bias": np.array(biases)}
        if any(row["spike_count"] for row in rows):
            columns["spike_count"] = np.array([float(row["spike_count"]) for row in rows])
        if rows and "name" in rows[0]:
            columns["name"] = np.array([row["name"] for row in rows], object)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(path, f"not the table of nodes of an export ({error})") from None
    if ids != list(range(len(rows))):
        raise DamagedError(path, "its ids are not 0, 1, 2 …")
    return columns


FORMAT = Format(
    ".csv", write, sidecar=True, nodes_beside=True, own_options=("rate_unit", "exact"), recognises=recognises, read=read
)
