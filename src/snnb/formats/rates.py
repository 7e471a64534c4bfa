"""Spikes of each neuron of an external graph, in text, CSV and arrays: `snnb graph --from GRAPH --rates FILE`.

If neurons have names, the file must name them: a list of numbers is refused, since its
order is unknown.
"""

import csv
from pathlib import Path
from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from snnb.core.errors import DamagedError
from snnb.graph.listed import MOST_SPIKES, ListedGraph, spikes_fault
from snnb.graph.neuron_names import missing_names, named_values
from snnb.io.npy import load_array
from snnb.io.text import read_lines
from snnb.network.spike_counts import Recording

MOST_DIGITS = 18  # of a number that fits into 64 bits
NAME_VALUE = "give a text file with a row `name value` for each, such as"
NUMBERS = (
    "give a number for each neuron, one a line, or CSV with the columns id and spikes"
)
IDS, SPIKES, RATES = (
    ("id", "neuron", "name"),
    ("spikes", "spike_count"),
    ("rate", "rates"),
)  # columns of a CSV


class Rates(NamedTuple):
    """Spikes of each neuron."""

    spikes: np.ndarray  # (nodes,) over all samples and steps, not negative, by id
    recording: Optional[Recording] = (
        None  # samples and steps that they were counted in, if the file states them
    )
    notes: Tuple[
        str, ...
    ] = ()  # content that is missing in the file or was not read, a sentence each
    # (2, spikes) int64: id and time step, from 0, of each spike of a sample, in order
    # of the steps
    times: Optional[np.ndarray] = None


def read_npy(path: Path, graph: ListedGraph, recording: Recording) -> Rates:
    """Read an array of numpy, a value for each neuron."""
    if graph.named:
        raise DamagedError(
            path,
            f"has no names, and neurons of this graph have names; {NAME_VALUE} "
            f"{next(iter(graph.ids))!r}",
        )
    values = load_array(path)
    if values.dtype.kind not in "iuf" or values.size != graph.nodes:
        raise DamagedError(
            path,
            f"has {values.size:,} values of {values.dtype}, not {graph.nodes:,} "
            "numbers",
        )
    values = values.ravel()
    bad = np.flatnonzero(~((values >= 0) & (values <= MOST_SPIKES)))
    if bad.size:
        raise DamagedError(
            path, f"neuron {bad[0]:,}: {spikes_fault(str(values[bad[0]]))}"
        )
    return Rates(np.array(values))


def refuse_numbers(path: Path, graph: ListedGraph) -> None:
    """Raise `DamagedError` for a file that numbers neurons if these have other names, whose order it does not state.

    A graph of SONATA numbers its neurons as its files do.
    """
    for population in () if graph.ranges else graph.populations:
        if population.names is not None and population.names.tolist() != [
            *map(str, range(population.size))
        ]:
            raise DamagedError(
                path,
                f"numbers neurons, but neurons of {population.name} have names; "
                f"{NAME_VALUE} {next(iter(graph.ids))!r}",
            )


def is_text_file(path: Path) -> bool:
    """Whether a file is text by its ending, compressed or not."""
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return name.suffix.lower() in (".txt", ".csv", ".tsv", ".dat", "")


def read_text_file(path: Path, graph: ListedGraph, recording: Recording) -> Rates:
    """Read numbers, one a line, or CSV whose header names a column of neurons and one of spikes or rates.

    For a graph whose neurons have names, read rows `name value` instead of numbers.
    """
    lines = read_lines(path)
    delimiter = max(",;\t", key=(lines or [""])[0].count)
    header = [
        name.strip().lower()
        for name in next(csv.reader(lines[:1], delimiter=delimiter), [])
    ]
    has_columns = bool({*IDS} & {*header} and {*SPIKES, *RATES} & {*header})
    if has_columns or (len(header) > 1 and not graph.named):
        return _read_csv(path, lines, delimiter, graph, recording)
    if graph.named:
        spikes = np.full(graph.nodes, np.nan)
        for number, node, text in named_values(path, lines, graph.ids):
            spikes[node] = _number(path, number, text)
        return _complete(path, spikes, graph)
    values = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise DamagedError(path, f"line {number:,} is empty; {NUMBERS}")
        values.append(_number(path, number, line, NUMBERS))
    if len(values) != graph.nodes:
        raise DamagedError(
            path,
            f"has {len(values):,} numbers, and the graph has {graph.nodes:,} neurons "
            "and inputs",
        )
    return Rates(np.array(values))


def _read_csv(
    path: Path,
    lines: List[str],
    delimiter: str,
    graph: ListedGraph,
    recording: Recording,
) -> Rates:
    """Read the lines of a CSV file, of which the first names the columns."""
    first_row = next(csv.reader(lines[:1], delimiter=delimiter))
    header = [name.strip().lower() for name in first_row]
    neuron_column = _find_column(header, IDS)
    value_column = _find_column(header, (*SPIKES, *RATES))
    if neuron_column is None or value_column is None:
        raise DamagedError(
            path, "line 1: name the columns: id (or neuron) and spikes (or rate)"
        )
    values = [name for name in header if name in (*SPIKES, *RATES)]
    if len(values) > 1:
        raise DamagedError(
            path, f"line 1: has the columns {' and '.join(values)}; give one of them"
        )
    scale = recording.steps if header[value_column] in RATES else 1
    spikes = np.full(graph.nodes, np.nan)
    ids = graph.ids
    has_names = graph.named
    rows = csv.reader(lines[1:], delimiter=delimiter)
    for row in rows:
        number = rows.line_num + 1
        if not row:
            continue
        if len(row) != len(header):
            raise DamagedError(
                path,
                f"line {number}: has {len(row)} fields, the header has {len(header)}",
            )
        text = row[neuron_column].strip()
        node = _find_neuron(text, ids, graph.nodes, has_names)
        if node is None:
            fault = f"the graph has no neuron {text[:40]!r}"
            if has_names:
                fault += f"; its neurons have names such as {next(iter(ids))!r}"
            raise DamagedError(path, f"line {number}: {fault}")
        if not np.isnan(spikes[node]):
            raise DamagedError(
                path, f"line {number}: neuron {text[:40]} has a value before"
            )
        spikes[node] = scale * _number(path, number, row[value_column])
    return _complete(path, spikes, graph)


def _find_column(header: Sequence[str], names: Sequence[str]) -> Optional[int]:
    """Return the index of the column with the first of `names` that occurs, or None."""
    for name in names:
        if name in header:
            return header.index(name)
    return None


def _find_neuron(
    text: str, ids: Mapping[str, int], nodes: int, has_names: bool
) -> Optional[int]:
    """Return the id of a neuron by its name, or its number if neurons have no names.

    None if there is no such neuron.
    """
    node = ids.get(text)
    if node is None:
        if has_names or not text.isdecimal() or len(text) > MOST_DIGITS:
            return None
        node = int(text)
    return node if 0 <= node < nodes else None


def _complete(path: Path, spikes: np.ndarray, graph: ListedGraph) -> Rates:
    missing_nodes = np.flatnonzero(np.isnan(spikes))
    if missing_nodes.size:
        raise missing_names(path, graph.populations, missing_nodes)
    return Rates(spikes)


def _number(path: Path, line: int, text: str, form: str = "") -> float:
    try:
        value = float(text)
    except ValueError:
        advice = f"; {form}" if form else ""
        raise DamagedError(
            path, f"line {line}: {text.strip()[:40]!r} is not a number{advice}"
        ) from None
    if not 0 <= value <= MOST_SPIKES:
        raise DamagedError(path, f"line {line}: {spikes_fault(text.strip())}")
    return value
