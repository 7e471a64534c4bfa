"""Read the spikes of each neuron of a graph from outside: `snnb graph --from GRAPH --rates FILE`."""

import csv
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

import h5py
import numpy as np

from snnb.core.errors import DamagedError, InputError
from snnb.graph.listed import EDGES, ListedGraph
from snnb.graph.populations import Recording
from snnb.io.hdf5 import reading
from snnb.io.npy import load_array
from snnb.io.text import read_text

TRACE = b"neuron,timestep"  # first line of a trace of SANA-FE
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


class RateReader(NamedTuple):
    """A kind of file with the spikes of neurons.

    Attributes
    ----------
    recognises : whether a file is of this kind
    read : reads it, given the graph without its spikes, and the recording that the options or the graph state
    """

    recognises: Callable[[Path], bool]
    read: Callable[[Path, ListedGraph, Recording], Rates]


def read_rates(path: Path, graph: ListedGraph, recording: Recording) -> Rates:
    """Read the spikes of the neurons of a graph from a file of one of `READERS`.

    Raise `InputError` if the file is of no known kind, has no value of some neuron, or a value that is no number,
    negative or infinite.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    kind = next((name for name, reader in READERS.items() if reader.recognises(path)), None)
    if kind is None:
        raise InputError(f"{path}: not a file of spikes that snnb reads; it reads {', '.join(READERS)}")
    return READERS[kind].read(path, graph, recording)


def _read_npy(path: Path, graph: ListedGraph, recording: Recording) -> Rates:
    values = load_array(path)
    if values.dtype.kind not in "iuf" or values.size != graph.nodes:
        raise DamagedError(
            path,
            f"has {values.size:,} values of type {values.dtype}, expected are {graph.nodes:,} numbers, one a neuron",
        )
    values = values.ravel()
    bad = np.flatnonzero(~((values >= 0) & np.isfinite(values)))
    if bad.size:
        raise DamagedError(path, f"neuron {bad[0]:,}: {_fault(str(values[bad[0]]))}")
    return Rates(np.array(values))


def _read_text(path: Path, graph: ListedGraph, recording: Recording) -> Rates:
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
            raise DamagedError(path, f"line {number}: the graph has no neuron {text[:40]!r}")
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
    if not 0 <= value < np.inf:
        raise DamagedError(path, f"line {line}: {_fault(text.strip())}")
    return value


def _fault(text: str) -> str:
    return f"{text} spikes; give finite numbers that are not negative"


def _is_report(path: Path) -> bool:
    """Whether a file is HDF5 with spikes as SONATA has them."""
    if not h5py.is_hdf5(str(path)):
        return False
    with reading(path) as file:
        return "spikes" in file


def _read_report(path: Path, graph: ListedGraph, recording: Recording) -> Rates:
    """Count the spikes of a SONATA report: `/spikes/POPULATION/node_ids`, in older files `/spikes/gids`."""
    ends = np.cumsum([population.size for population in graph.populations]).tolist()
    own = {p.name: range(end - p.size, end) for p, end in zip(graph.populations, ends)}
    ranges, spikes, notes = graph.ranges or own, np.zeros(graph.nodes, np.int64), []
    with reading(path) as file:
        columns = {name: group["node_ids"] for name, group in file["spikes"].items() if isinstance(group, h5py.Group)}
        if "gids" in file["spikes"]:
            first = sum(population.size for population in graph.populations[: graph.inputs])
            neurons = [name for name, ids in ranges.items() if ids.start >= first]
            if len(neurons) != 1:
                raise DamagedError(path, f"names no population of its spikes, and the graph has {', '.join(neurons)}")
            columns[neurons[0]] = file["spikes/gids"]
        for name, column in columns.items():
            ids = ranges.get(name)
            if ids is None:
                raise DamagedError(path, f"has spikes of {name!r}, and the populations are {', '.join(ranges)}")
            for begin in range(0, column.size, EDGES):
                nodes = column[begin : begin + EDGES].astype(np.int64)
                if not 0 <= nodes.min() <= nodes.max() < len(ids):
                    wrong = nodes[(nodes < 0) | (nodes >= len(ids))][0]
                    raise DamagedError(path, f"has a spike of node {wrong:,} of {name}, which has {len(ids):,}, from 0")
                spikes[ids.start : ids.stop] += np.bincount(nodes, minlength=len(ids))
    missing = [name for name in ranges if name not in columns]
    if missing:
        notes.append(f"{path.name} has no spikes of {', '.join(missing)}")
    if recording.steps == 1:
        notes.append(f"{path.name} does not state the time steps that its spikes were counted in: give --rate-steps")
    return Rates(spikes, notes=tuple(notes))


def _is_trace(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline(100).strip() == TRACE


def _read_trace(path: Path, graph: ListedGraph, recording: Recording) -> Rates:
    """Count the spikes of a trace of SANA-FE, which has a line for each: GROUP.NEURON,STEP with steps from 1."""
    nodes, steps, last = array("q"), array("q"), 0
    with path.open(encoding="utf-8", errors="replace") as file:
        next(file)
        for line, text in enumerate(file, 2):
            neuron, _, step = text.strip().rpartition(",")
            name, _, number = neuron.partition(".")
            if not (step.isdecimal() and number.isdecimal() and int(step)):
                raise DamagedError(path, f"line {line}: {text[:40].strip()!r} is not a spike, GROUP.NEURON,STEP")
            ids = graph.ranges.get(name, ())
            if int(number) >= len(ids):
                raise DamagedError(path, f"line {line}: the graph has no neuron {neuron[:40]!r}")
            if recording.steps > 1 and int(step) > recording.steps:
                raise DamagedError(
                    path, f"line {line}: a spike in step {step}, and the spikes are of {recording.steps:,} steps"
                )
            nodes.append(ids[int(number)])
            steps.append(int(step) - 1)
            last = max(last, int(step))
    notes = ["neurons whose spikes SANA-FE has not logged (log_spikes) count as silent"]
    if recording.steps == 1:
        recording = replace(recording, num_timesteps=max(last, 1))
        notes.append(f"{last:,} time steps are assumed, up to the last spike of the trace")
    times = np.array([nodes, steps], np.int64)
    if (np.diff(times[1]) < 0).any():
        times = times[:, np.argsort(times[1], kind="stable")]
    spikes = np.bincount(times[0], minlength=graph.nodes)
    return Rates(spikes, recording, tuple(notes), times if recording.num_samples == 1 else None)


# By kind, the first that recognises a file reads it
READERS: Dict[str, RateReader] = {
    "SONATA reports": RateReader(_is_report, _read_report),
    "traces of SANA-FE": RateReader(_is_trace, _read_trace),
    "npy": RateReader(lambda path: path.suffix == ".npy", _read_npy),
    "text or CSV": RateReader(lambda path: path.suffix in (".txt", ".csv", ".dat", ""), _read_text),
}
