"""Spikes of each neuron of a graph from outside, in text, CSV and arrays: `snnb graph --from GRAPH --rates FILE`."""

import csv
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from snnb.core.errors import DamagedError
from snnb.graph.listed import MOST_SPIKES, ListedGraph, spikes_fault
from snnb.graph.populations import Recording
from snnb.io.npy import load_array
from snnb.io.text import read_text

IDS, SPIKES, RATES = ("id", "neuron", "name"), ("spikes", "spike_count"), ("rate", "rates")  # columns of a CSV


class Rates(NamedTuple):
    """Spikes of each neuron.

    Attributes
    ----------
    spikes : (nodes,) array; spikes over all samples and steps, not negative, by id
    recording : samples and steps that they were counted in, if the file states them
    notes : content that is missing in the file or was not read, a sentence each
    times : (2, spikes) int64 array, or None; id and time step from 0 of each spike of a sample, in order of the steps
    """

    spikes: np.ndarray
    recording: Optional[Recording] = None
    notes: Tuple[str, ...] = ()
    times: Optional[np.ndarray] = None


def read_npy(path: Path, graph: ListedGraph, recording: Recording) -> Rates:
    """Read an array of numpy, a value for each neuron."""
    values = load_array(path)
    if values.dtype.kind not in "iuf" or values.size != graph.nodes:
        raise DamagedError(
            path,
            f"has {values.size:,} values of type {values.dtype}, expected are {graph.nodes:,} numbers, one a neuron",
        )
    values = values.ravel()
    bad = np.flatnonzero(~((values >= 0) & (values <= MOST_SPIKES)))
    if bad.size:
        raise DamagedError(path, f"neuron {bad[0]:,}: {spikes_fault(str(values[bad[0]]))}")
    return Rates(np.array(values))


def read_text_file(path: Path, graph: ListedGraph, recording: Recording) -> Rates:
    """Read numbers, one a line, or CSV whose header names a column of neurons and one of spikes or rates."""
    lines = read_text(path).splitlines()
    if lines and "," in lines[0]:
        return _read_csv(path, lines, graph, recording)
    values = [_number(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if len(values) != graph.nodes:
        raise DamagedError(path, f"has {len(values):,} numbers, and the graph has {graph.nodes:,} neurons and inputs")
    return Rates(np.array(values))


def _read_csv(path: Path, lines: List[str], graph: ListedGraph, recording: Recording) -> Rates:
    header = [name.strip().lower() for name in next(csv.reader(lines[:1]))]
    neuron, value = (next((name for name in names if name in header), None) for names in (IDS, (*SPIKES, *RATES)))
    if neuron is None or value is None:
        raise DamagedError(path, "line 1: name the columns: id (or neuron) and spikes (or rate)")
    values = [name for name in header if name in (*SPIKES, *RATES)]
    if len(values) > 1:
        raise DamagedError(path, f"line 1: has the columns {' and '.join(values)}; give one of them")
    scale = recording.steps if value in RATES else 1
    spikes = np.full(graph.nodes, np.nan)
    for number, row in enumerate(csv.reader(lines[1:]), 2):
        if not row:
            continue
        if len(row) != len(header):
            raise DamagedError(path, f"line {number}: has {len(row)} fields, the header has {len(header)}")
        text = row[header.index(neuron)].strip()
        known = graph.names if graph.names is not None else {text: int(text)} if text.isdecimal() else {}
        node = known.get(text, -1)
        if not 0 <= node < graph.nodes:
            named = "" if graph.names is None else f"; its neurons have names such as {next(iter(graph.names))!r}"
            raise DamagedError(path, f"line {number}: the graph has no neuron {text[:40]!r}{named}")
        if not np.isnan(spikes[node]):
            raise DamagedError(path, f"line {number}: neuron {text[:40]} has a value before")
        spikes[node] = scale * _number(path, number, row[header.index(value)])
    missing = np.flatnonzero(np.isnan(spikes))
    if missing.size:
        names = {} if graph.names is None else {node: name for name, node in graph.names.items()}
        first = names.get(int(missing[0]), str(missing[0]))
        raise DamagedError(path, f"has no value of {missing.size:,} of {graph.nodes:,} neurons, the first is {first}")
    return Rates(spikes)


def _number(path: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise DamagedError(path, f"line {line}: {text.strip()[:40]!r} is not a number") from None
    if not 0 <= value <= MOST_SPIKES:
        raise DamagedError(path, f"line {line}: {spikes_fault(text.strip())}")
    return value
