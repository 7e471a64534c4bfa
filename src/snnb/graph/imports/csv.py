"""`csv`: a line for each edge, with a header; compressed if the name ends in `.gz`.

Next to an export of `snnb` are its table of nodes, NAME.csv.nodes.csv, and its description, NAME.csv.json.
"""

import csv
import gzip
import io
import re
import tempfile
import zlib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Dict, Iterator, List, Sequence, Tuple, cast

import numpy as np

from snnb.core.errors import DamagedError, ResourceError
from snnb.graph.imports import text_edges
from snnb.graph.imports.tables import Chunk, Table, columns_of, listed_graph, read_description, read_nodes
from snnb.graph.listed import ListedGraph
from snnb.io.text import decoded, read_text

BLOCK = 1 << 24  # bytes of text in memory at a time
NAMES = 1 << 16  # capacity of the table of names at first


def is_csv(path: Path) -> bool:
    """Whether a file is CSV by its ending, compressed or not."""
    return path.is_file() and path.name.lower().endswith((".csv", ".csv.gz", ".tsv", ".tsv.gz"))


def read_csv(path: Path) -> ListedGraph:
    """Read CSV with a header."""
    beside, description = path.with_name(f"{path.name}.nodes.csv"), path.with_name(f"{path.name}.json")
    nodes = None
    if beside.exists():
        files = [path, beside, *([description] if description.exists() else [])]
        nodes = read_nodes(
            beside, read_description(description) if description.exists() else None, _node_columns(beside)
        )
        nodes = nodes._replace(graph=replace(nodes.graph, files=tuple(files)))
    spool = _Spool(path)
    with _opened(path) as file:
        text = decoded(file.readline(BLOCK), path).lstrip("\ufeff").rstrip("\r\n")
        delimiter = max(",;\t", key=text.count)
        fields = [name.strip().lower() for name in next(csv.reader([text], delimiter=delimiter), [])]
        columns, notes = columns_of(path, fields, "line 1: ")
        uses = {
            columns.source: text_edges.SOURCE,
            columns.target: text_edges.TARGET,
            columns.weight: text_edges.WEIGHT,
            columns.rate: text_edges.RATE,
            columns.source_group: text_edges.SOURCE_GROUP,
            columns.target_group: text_edges.TARGET_GROUP,
        }
        spool.parse(file, np.array([uses.get(name, text_edges.SKIP) for name in fields]), delimiter, fields)
    names = spool.names if spool.named else None
    return listed_graph(Table(path, spool.chunks, lambda row: f"line {row + 2:,}", tuple(notes), names), nodes)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, compressed or not; raise `DamagedError` if the block finds it damaged."""
    with path.open("rb") as plain:
        try:
            yield cast(IO[bytes], gzip.GzipFile(fileobj=plain)) if path.suffix.lower() == ".gz" else plain
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DamagedError(path, f"not a complete gzip file ({error})") from None


class _Spool:
    """Edges of a CSV, parsed once into a file without a name: 12 or 16 bytes an edge."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = tempfile.TemporaryFile()  # noqa: SIM115, closed with this object
        self._rows: List[int] = []
        self._weighted = self._rated = False
        self._texts: Tuple[np.ndarray, np.ndarray] = np.zeros(1, np.int64), np.empty(0, np.uint8)
        self.named = False  # whether neurons have names

    def names(self) -> List[str]:
        """Return the names of the neurons, by id."""
        start, texts = self._texts
        text, bounds = texts[: start[-1]].tobytes(), start.tolist()
        names = [decoded(text[begin:end], self._path) for begin, end in zip(bounds, bounds[1:])]
        return [name.replace('""', '"') for name in names]

    def chunks(self) -> Iterator[Chunk]:
        """Read the edges."""
        self._file.seek(0)
        for rows in self._rows:
            source, target = (np.fromfile(self._file, np.int32, rows) for _ in range(2))
            weight = np.fromfile(self._file, np.float32, rows) if self._weighted else np.ones(rows, np.float32)
            yield Chunk(source, target, weight, np.fromfile(self._file, np.float32, rows) if self._rated else None)

    def parse(self, file: IO[bytes], columns: np.ndarray, delimiter: str, header: Sequence[str]) -> None:
        """Parse the lines after the header.

        Parameters
        ----------
        file : binary file
        columns : use of each column, see `text_edges`
        delimiter : str
        header : names of the columns
        """
        self._weighted, self._rated = (use in columns for use in (text_edges.WEIGHT, text_edges.RATE))
        table, known = text_edges.name_table(0, 0), 0
        for block in _blocks(file):
            text = np.frombuffer(block, np.uint8)
            if not self._rows:
                self.named = text_edges.SOURCE_GROUP in columns or self._has_names(block, columns, delimiter)
                table = text_edges.name_table(NAMES if self.named else 0, 2 * len(block) + 4)
            rows = int(np.count_nonzero(text == text_edges.NEWLINE))
            ends, values = np.empty((2, rows), np.int32), np.empty((2, rows), np.float32)
            at = row = 0
            while at < text.size:
                at, row, known, status, column = text_edges.parse_edges(
                    text, at, row, columns, ord(delimiter), table, known, (ends[0], ends[1], values[0], values[1])
                )
                if status == text_edges.FULL:
                    table = text_edges.enlarged(table, known, 2 * len(block) + 4)
                elif status != text_edges.DONE:
                    raise self._fault(block[at:], status, column, sum(self._rows) + row + 2, delimiter, header)
            try:
                for used, array in zip((True, True, self._weighted, self._rated), (*ends, *values)):
                    if used:
                        array.tofile(self._file)
            except OSError as error:
                raise ResourceError(
                    f"{tempfile.gettempdir()}: the disk is full; make space, or name another folder in TMPDIR"
                ) from error
            self._rows.append(rows)
        self._texts = table[1][: known + 1], table[2]

    def _has_names(self, block: bytes, columns: np.ndarray, delimiter: str) -> bool:
        """Whether a neuron of the first line is not an integer."""
        line = block[: block.find(b"\n")].decode("utf-8", "replace")
        fields = next(csv.reader([line], delimiter=delimiter), [])
        ends = [field for field, use in zip(fields, columns) if use in (text_edges.SOURCE, text_edges.TARGET)]
        return not all(re.fullmatch("-?[0-9]*", end.strip()) for end in ends)

    def _fault(
        self, rest: bytes, status: int, column: int, number: int, delimiter: str, header: Sequence[str]
    ) -> DamagedError:
        """Return the error of a line that `parse_edges` has not read."""
        line = rest[: rest.find(b"\n")].decode("utf-8", "replace").strip("\r")
        fields = next(csv.reader([line], delimiter=delimiter), [])
        if status == text_edges.OPEN_QUOTE:
            fault = "a quoted field does not end in its line"
        elif status == text_edges.FIELDS:
            fault = f"has {len(fields)} fields, the header has {len(header)}"
        else:
            text = f"{header[column]} {fields[column].strip()[:40]!r}"
            fault = {
                text_edges.NOT_AN_ID: f"{text} is not an id from 0; give ids in all lines, or names in all",
                text_edges.NO_NAME: f"{text} is no name",
                text_edges.TOO_LARGE: f"{text} is more than {text_edges.LARGEST:,}; number the neurons from 0",
                text_edges.NOT_A_NUMBER: f"{text} is not a finite number",
            }[status]
        return DamagedError(self._path, f"line {number:,}: {fault}")


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the rest of a file in parts that end in a line feed, without empty lines at the end of the file."""
    rest = b""
    while True:
        read = file.read(BLOCK)
        block = rest + read
        last = len(block.rstrip())
        if not read:
            if last:
                yield block[:last] + b"\n"
            return
        cut = block.rfind(b"\n", 0, last) + 1
        if cut:
            yield block[:cut]
        rest = block[cut:]


def _node_columns(path: Path) -> Dict[str, np.ndarray]:
    """Read NAME.csv.nodes.csv."""
    rows = list(csv.reader(io.StringIO(read_text(path))))
    header, rows = [name.strip() for name in rows[0]] if rows else [], rows[1:]
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise DamagedError(path, f"line {number:,}: has {len(row)} fields, the header has {len(header)}")
    if "id" not in header or not rows:
        raise DamagedError(path, "line 1: has no column id, or no rows follow")
    texts = {name: np.array([row[k] for row in rows], object) for k, name in enumerate(header)}
    wrong = np.flatnonzero(texts["id"] != np.arange(len(rows)).astype(str).astype(object))
    if wrong.size:
        raise DamagedError(path, f"line {wrong[0] + 2:,}: id {texts['id'][wrong[0]]}, expected is {wrong[0]}")
    columns = {name: texts[name] for name in ("population", "index", "coding") if name in texts}
    for name, of in (("bias", "bias"), ("spikes", "spike_count")):
        if of in texts and (texts[of] != "").any():
            columns[name] = _numbers(path, of, texts[of])
    return columns or {"id": texts["id"]}


def _numbers(path: Path, name: str, texts: np.ndarray) -> np.ndarray:
    values = np.empty(texts.size)
    for k, text in enumerate(texts.tolist()):
        try:
            values[k] = float(text)
        except ValueError:
            raise DamagedError(path, f"line {k + 2:,}: {name} {text[:40]!r} is not a number") from None
    return values
