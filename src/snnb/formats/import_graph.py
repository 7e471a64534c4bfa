"""Import an external graph as MODEL_graph.h5: find the reader by content and ending, read the spikes, write it."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, TypeVar, Union

import numpy as np

from snnb.core.errors import DamagedError, InputError, UsageError
from snnb.core.machine import require_memory
from snnb.core.progress import Progress, silent
from snnb.formats import graph_file, sanafe_trace, sonata_report
from snnb.formats.all import FORMATS
from snnb.formats.rates import Rates, is_text_file, read_npy, read_text_file
from snnb.graph.listed import (
    NEURON_BYTES,
    Edges,
    ListedGraph,
    ListedPopulation,
    check_spikes,
    merged_note,
    write_listed,
)
from snnb.graph.populations import Recording
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.files import refuse_special, sha256_of
from snnb.network.spike_times import SPIKE_TIMES, SpikeTimes

DT_MS = 1.0  # of a time step, where the file does not state it
RateFile = Tuple[Path, Optional[str]]  # a file of spikes, and the population whose spikes they are if it is given
Reader = TypeVar("Reader")
# For each kind of file of spikes: a function that recognises it, and its reader, which gets the graph without its
# spikes, and the recording of the options or of the graph
RATE_READERS: Dict[str, Tuple[Callable[[Path], bool], Callable[[Path, ListedGraph, Recording], Rates]]] = {
    "SONATA reports": (sonata_report.is_report, sonata_report.read_report),
    "traces of SANA-FE": (sanafe_trace.is_trace, sanafe_trace.read_trace),
    "npy": (lambda path: path.suffix == ".npy", read_npy),
    "text or CSV": (is_text_file, read_text_file),
}


class Imported(NamedTuple):
    """An imported graph, opened; the SHA-256 of each file; and notes about content that is missing or not read."""

    graph: SynapseGraph
    hashes: Dict[Path, str]
    notes: Tuple[str, ...]


def import_graph(
    path: Path,
    target: Path,
    *,
    rates: Union[Path, Sequence[Path]] = (),
    samples: Optional[int] = None,
    steps: Optional[int] = None,
    progress: Progress = silent,
) -> Imported:
    """Read an external graph, write it as MODEL_graph.h5, atomically, and open it.

    `path` is a file or folder of one of `FORMATS`, or a MODEL_graph.h5, which is copied; `rates` a file with the spikes
    of each neuron, by default those of the graph, or several files whose spikes are added up; FILE:POPULATION is that
    population of a report of SONATA. `samples` and `steps` are the numbers of samples, and of time steps of each, that
    the spikes were counted in; by default as the file states, or 1. Raise `InputError` for a file that is of no known
    kind, or not valid, `UsageError` for `samples` or `steps` without spikes.
    """
    reader = find_reader(path)
    given = [_rate_file(one) for one in ([rates] if isinstance(rates, Path) else rates)]
    # Before the files are read: a graph of a file that is changed meanwhile is stale. Files next to it follow below.
    first = {file: sha256_of(file) for file in (path, *(file for file, _ in given)) if file.is_file()}
    if reader is None:
        return _import_file(path, target, given, samples, steps, first)
    read = reader(path)
    require_memory(NEURON_BYTES * read.nodes, f"{path}: the {read.nodes:,} neurons")
    if read.assumed:
        read = replace(read, populations=[replace(population, spikes=None) for population in read.populations])
    stated = read.recording or Recording(1, 1, 0, DT_MS)
    if not given and all(population.spikes is None for population in read.populations):
        stated = Recording(1, 1, 0, stated.dt_ms)  # each neuron counts as one spike
        refuse_without_spikes(samples, steps)
    recording = _recording(stated, samples, steps)
    files, notes, times = read.files or (path,), read.notes, None
    if given:
        found = _read_rates(given, read, recording)
        recording = _recording(found.recording or recording, samples, steps)
        read = read.with_spikes(found.spikes)
        files, notes, times = (*files, *(file for file, _ in given)), (*notes, *found.notes), found.times
    elif read.per_step:
        read = replace(read, populations=[_counted(population, recording) for population in read.populations])
    hashes = {file: first.get(file) or sha256_of(file) for file in files}
    digests = [*hashes.values()]
    digest = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    edges = 0

    def counted() -> Iterator[Edges]:
        nonlocal edges
        for part in read.edges:
            edges += part[0].size
            yield part

    try:
        graph = write_listed(replace(read, edges=counted()), target, recording, digest, progress)
    except DamagedError:
        raise
    except InputError as error:
        raise DamagedError(path, str(error)) from None
    for name, text in read.text_files.items():
        (target.parent / name).write_text(text, encoding="utf-8")
    if times is not None:
        rows = {}  # sample, neuron and step of each spike, as of a simulation of one sample
        for population in graph.populations:
            own = times[:, (times[0] >= population.first) & (times[0] < population.first + population.size)]
            rows[population.name] = np.stack([np.zeros_like(own[0]), own[0] - population.first, own[1]], axis=1)
        SpikeTimes(range(1), recording.num_timesteps, rows).write(target.with_name(SPIKE_TIMES), compressed=True)
    return Imported(graph, hashes, (*notes, *merged_note(edges, graph.number_of_edges())))


def refuse_without_spikes(samples: Optional[int], steps: Optional[int]) -> None:
    """Raise `UsageError` for numbers of samples or steps of a graph without spikes, which they would divide."""
    given = {"--rate-samples": samples, "--rate-steps": steps}
    names = [name for name, number in given.items() if number is not None]
    if names:
        raise UsageError(f"{', '.join(names)}: no spike counts; give --rates, or omit it")


def find_reader(path: Path) -> Optional[Callable[[Path], ListedGraph]]:
    """Return the reader of an external graph, None for a MODEL_graph.h5; raise `InputError` for any other file."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    refuse_special(path)
    if graph_file.recognises(path):
        return None
    readers = {name: format.reader for name, format in FORMATS.items() if format.reader is not None}
    return _reader_of(path, readers, "a graph that snnb reads; it reads MODEL_graph.h5,")


def _reader_of(path: Path, readers: Mapping[str, Tuple[Callable[[Path], bool], Reader]], expected: str) -> Reader:
    for recognises, reader in readers.values():
        if recognises(path):
            return reader
    raise InputError(f"{path}: not {expected} {', '.join(readers)}")


def _rate_file(given: Path) -> RateFile:
    """Split FILE:POPULATION; a file whose name has a colon is that file."""
    refuse_special(given)
    text = str(given)
    for end in [len(text), *(k for k, sign in enumerate(text) if sign == ":")]:
        path = Path(text[:end])
        if path.is_file():
            return path, text[end + 1 :] if end < len(text) else None
    raise InputError(f"{given}: no such file")


def _read_rates(files: Sequence[RateFile], graph: ListedGraph, recording: Recording) -> Rates:
    """Read files of spikes, and add them up."""
    found: List[Rates] = []
    for number, (path, population) in enumerate(files):
        if any(path == other and (None in (population, of) or population == of) for other, of in files[:number]):
            raise UsageError(f"--rates {path}: given twice, which would count its spikes twice")
        if population is None:
            read = _reader_of(path, RATE_READERS, "a file of spikes that snnb reads; it reads")
            found.append(read(path, graph, recording))
        elif sonata_report.is_report(path):
            found.append(sonata_report.read_report(path, graph, recording, population))
        else:
            raise UsageError(f"--rates {path}:{population}: not a report of SONATA, so omit :{population}")
        stated = found[-1].recording or recording
        if len(files) > 1 and stated != recording:
            raise UsageError(f"--rates {path}: spikes of {stated.steps:,} steps; give --rate-steps for all files")
    spikes = found[0].spikes if len(found) == 1 else np.sum([one.spikes for one in found], axis=0)
    notes = list(dict.fromkeys(note for one in found for note in one.notes))
    try:
        check_spikes([spikes])
    except InputError as error:
        raise InputError(f"{', '.join(str(path) for path, _ in files)}: {error}") from None
    silent = [name for name, ids in graph.ids_by_population.items() if not spikes[ids.start : ids.stop].any()]
    if silent:
        notes.append(f"no spike counts for {', '.join(silent)}")
    return Rates(spikes, found[0].recording, tuple(notes), found[0].times if len(found) == 1 else None)


def _import_file(
    path: Path,
    target: Path,
    rates: Sequence[RateFile],
    samples: Optional[int],
    steps: Optional[int],
    hashes: Dict[Path, str],
) -> Imported:
    """Copy a MODEL_graph.h5, with spikes from another file if there is one; assume spikes if there are none."""
    with graph_file.open_checked(path) as graph:
        if not rates and graph.recording is not None:
            if samples is not None or steps is not None:
                raise UsageError("--rate-samples, --rate-steps: only with --rates; a MODEL_graph.h5 states both")
            return Imported(graph_file.copy(path, target), hashes, ())
        populations = [ListedPopulation(p.name, p.shape, p.layer, names=p.names) for p in graph.populations]
        recording = _recording(graph.recording or Recording(1, 1, 0, DT_MS), samples, steps)
        inputs, nodes = len(graph.inputs), graph.number_of_nodes()
    if not rates:
        refuse_without_spikes(samples, steps)
        spikes = np.ones(nodes, np.int64)
        return Imported(graph_file.copy(path, target, spikes, recording, assumed=True), hashes, ())
    found = _read_rates(rates, ListedGraph(populations, (), inputs), recording)
    recording = _recording(found.recording or recording, samples, steps)
    return Imported(graph_file.copy(path, target, found.spikes, recording), hashes, found.notes)


def _recording(recording: Recording, samples: Optional[int], steps: Optional[int]) -> Recording:
    """Return a recording in which the options that are given replace the numbers of a file."""
    return replace(
        recording, num_samples=samples or recording.num_samples, num_timesteps=steps or recording.num_timesteps
    )


def _counted(population: ListedPopulation, recording: Recording) -> ListedPopulation:
    """Multiply spikes per step by the steps; restore whole numbers whose rates were rounded to float32."""
    if population.spikes is None:
        return population
    spikes = population.spikes.astype(np.float64) * recording.steps
    rounded = np.rint(spikes)
    return replace(population, spikes=np.where(np.abs(spikes - rounded) <= 2.0**-23 * rounded, rounded, spikes))
