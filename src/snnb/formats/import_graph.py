"""Import an external graph as MODEL_graph.h5.

The reader is found by content and ending of the file.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import (
    Callable,
    Dict,
    Generator,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
)

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
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.files import refuse_special, sha256_of
from snnb.network.spike_counts import Recording
from snnb.network.spike_times import SPIKE_TIMES, SpikeTimes

DT_MS = 1.0  # of a time step, where the file does not state it
Reader = TypeVar("Reader")
RateReader = Callable[[Path, ListedGraph, Recording], Rates]
# For each kind of file of spikes: a function that recognises it, and its reader, which
# gets the graph without its spikes, and the recording of the options or of the graph
RATE_READERS: Dict[str, Tuple[Callable[[Path], bool], RateReader]] = {
    "SONATA reports": (sonata_report.is_report, sonata_report.read_report),
    "traces of SANA-FE": (sanafe_trace.is_trace, sanafe_trace.read_trace),
    "npy": (lambda path: path.suffix == ".npy", read_npy),
    "text or CSV": (is_text_file, read_text_file),
}


class RateFile(NamedTuple):
    """A file of spikes, and the population of the file whose spikes are read."""

    path: Path
    population: Optional[str]  # None: all

    def overlaps(self, file: "RateFile") -> bool:
        """Whether spikes of this file are read from the other one too."""
        if self.path != file.path:
            return False
        if self.population is None or file.population is None:
            return True
        return self.population == file.population


class Imported(NamedTuple):
    """An imported graph."""

    graph: SynapseGraph  # opened
    hashes: Dict[Path, str]  # SHA-256 of each file that was read
    # Content that is missing, was not read or was changed, a sentence each
    notes: Tuple[str, ...]


def rate_notes(
    graph: SynapseGraph,
    path: Optional[Path],
    *,
    rates: Sequence[Path] = (),
    samples: Optional[int] = None,
    steps: Optional[int] = None,
) -> List[str]:
    """Return a note if neurons of an external graph spike more than once per time step.

    Parameters
    ----------
    path : Path or None
        Its file; None if it was made of arrays.
    rates : sequence of Path
        Files with its spikes.
    samples, steps : int, optional
        As they were given for the spikes.
    """
    recording = graph.recording
    assert recording is not None  # an external graph has spikes, given or assumed
    max_rate = 0.0
    for population in graph.populations:
        if population.coding != "current" and population.rate is not None:
            max_rate = max(max_rate, float(population.rate.max(initial=0)))
    if max_rate <= 1:
        return []
    names = ("samples", "steps") if path is None else ("--rate-samples", "--rate-steps")
    given_values = zip(names, (samples, steps))
    missing_names = [name for name, value in given_values if value is None]
    remedy = f"correct {' or '.join(names)}"
    if missing_names:
        remedy = f"give {' and '.join(missing_names)}"
    if path is not None and path.suffix == ".h5" and not rates:
        remedy = "correct num_samples and num_timesteps in the file"
    elif path is not None:
        remedy += "; rates must be in spikes per time step, not Hz"
    return [
        f"a neuron has {max_rate:,.4g} spikes per time step, more than the possible "
        f"1; counts are divided by {recording.num_samples:,} samples × "
        f"{recording.num_timesteps:,} time steps: {remedy}",
    ]


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

    Parameters
    ----------
    path : Path
        A file or folder of one of `FORMATS`, or a MODEL_graph.h5, which is copied.
    target : Path
        The MODEL_graph.h5 to write.
    rates : Path or sequence of Path
        Files with the spikes of each neuron, which are added up; FILE:POPULATION is that
        population of a report of SONATA. Default: the spikes of the graph.
    samples, steps : int, optional
        Numbers of samples, and of time steps of each, that the spikes were counted in.
        Default: as the file states, or 1.
    progress : Progress
        Function that gets the number of edges read.

    Raises
    ------
    InputError
        A file is of no known kind, or not valid.
    UsageError
        `samples` or `steps` are given, and there are no spikes, or they are those of a
        MODEL_graph.h5. Spikes are read twice, or those of several files are of
        different numbers of steps.
    """
    reader = find_reader(path)
    rate_paths = [rates] if isinstance(rates, Path) else rates
    rate_files = [_rate_file(rate_path) for rate_path in rate_paths]
    # Before the files are read: a graph of a file that is changed meanwhile is stale.
    # Files next to it follow below.
    input_files = [path, *(file.path for file in rate_files)]
    hashes_before = {file: sha256_of(file) for file in input_files if file.is_file()}
    if reader is None:
        return _import_file(path, target, rate_files, samples, steps, hashes_before)
    external = _read_external(reader, path)
    content = _read_spikes(external, rate_files, samples, steps)
    files = [*(external.files or (path,)), *(file.path for file in rate_files)]
    hashes = {file: hashes_before.get(file) or sha256_of(file) for file in files}
    edges = _CountedEdges(content.graph.edges)
    with edges:
        try:
            graph = write_listed(
                replace(content.graph, edges=edges),
                target,
                content.recording,
                _digest_of([*hashes.values()]),
                progress,
            )
        except DamagedError:
            raise
        except InputError as error:
            raise DamagedError(path, str(error)) from None
    for name, text in external.text_files.items():
        (target.parent / name).write_text(text, encoding="utf-8")
    if content.spike_times is not None:
        spike_table = _spike_times_of(graph, content.spike_times, content.recording)
        spike_table.write(target.with_name(SPIKE_TIMES), with_compression=True)
    merged = merged_note(edges.count, graph.number_of_edges())
    return Imported(graph, hashes, (*external.notes, *content.notes, *merged))


class _Content(NamedTuple):
    """An external graph with its spikes."""

    graph: ListedGraph
    recording: Recording  # samples and steps that the spikes were counted in
    spike_times: Optional[np.ndarray] = None  # see `Rates`
    notes: Tuple[str, ...] = ()  # about the files of spikes


def _read_spikes(
    external: ListedGraph,
    rate_files: Sequence[RateFile],
    samples: Optional[int],
    steps: Optional[int],
) -> _Content:
    """Return a graph with the spikes of files; without files, with its own spikes.

    Each neuron of a graph without spikes counts as one spike.
    """
    stated_recording = external.recording or Recording(1, 1, 0, DT_MS)
    has_spikes = any(p.spikes is not None for p in external.populations)
    if not rate_files and not has_spikes:
        stated_recording = Recording(1, 1, 0, stated_recording.dt_ms)
        refuse_without_spikes(samples, steps)
    recording = _recording(stated_recording, samples, steps)
    if rate_files:
        rates = _read_rates(rate_files, external, recording)
        return _Content(
            graph=external.with_spikes(rates.spikes),
            recording=_recording(rates.recording or recording, samples, steps),
            spike_times=rates.times,
            notes=rates.notes,
        )
    if not external.per_step:
        return _Content(external, recording)
    populations = [_with_counts(p, recording) for p in external.populations]
    return _Content(replace(external, populations=populations), recording)


class _CountedEdges:
    """The edges of an external graph, which are counted when they are iterated.

    As a context, it closes their generator at the end, before modules are emptied.

    Attributes
    ----------
    count : int
        Number of edges so far.
    """

    def __init__(self, edges: Iterable[Edges]) -> None:
        self.count = 0
        self._edges = iter(edges)

    def __iter__(self) -> Iterator[Edges]:
        for part in self._edges:
            self.count += part[0].size
            yield part

    def __enter__(self) -> "_CountedEdges":
        return self

    def __exit__(self, *error: object) -> None:
        if isinstance(self._edges, Generator):
            self._edges.close()


def _read_external(reader: Callable[[Path], ListedGraph], path: Path) -> ListedGraph:
    """Read an external graph; drop the spikes if those of an export were assumed."""
    external = reader(path)
    require_memory(
        NEURON_BYTES * external.nodes,
        f"{path}: the {external.nodes:,} neurons",
    )
    if not external.assumed:
        return external
    populations = [replace(p, spikes=None) for p in external.populations]
    return replace(external, populations=populations)


def _digest_of(hashes: Sequence[str]) -> str:
    """Return the hash of one file, or a hash of the hashes of several files."""
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _spike_times_of(
    graph: SynapseGraph,
    times: np.ndarray,
    recording: Recording,
) -> SpikeTimes:
    """Return the spike times by population, as of a simulation of one sample.

    `times` are the ids and time steps of the spikes, see `Rates`.
    """
    ids, steps = times
    rows = {}
    for population in graph.populations:
        end = population.first + population.size
        in_population = (ids >= population.first) & (ids < end)
        neurons = ids[in_population] - population.first
        samples = np.zeros_like(neurons)
        rows[population.name] = np.stack(
            [samples, neurons, steps[in_population]],
            axis=1,
        )
    return SpikeTimes(range(1), recording.num_timesteps, rows)


def refuse_without_spikes(samples: Optional[int], steps: Optional[int]) -> None:
    """Raise `UsageError` for numbers of samples or steps of a graph without spikes.

    They would divide the spikes.
    """
    options = {"--rate-samples": samples, "--rate-steps": steps}
    names = [name for name, number in options.items() if number is not None]
    if names:
        raise UsageError(
            f"{', '.join(names)}: no spike counts; give --rates, or omit it"
        )


def find_reader(path: Path) -> Optional[Callable[[Path], ListedGraph]]:
    """Return the reader of an external graph, None for a MODEL_graph.h5.

    Raise `InputError` for any other file.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file")
    refuse_special(path)
    if graph_file.recognises(path):
        return None
    readers = {}
    for name, format in FORMATS.items():
        if format.reader is not None:
            readers[name] = format.reader
    return _reader_of(
        path, readers, "a graph that snnb reads; it reads MODEL_graph.h5,"
    )


def _reader_of(
    path: Path,
    readers: Mapping[str, Tuple[Callable[[Path], bool], Reader]],
    content: str,
) -> Reader:
    """Return the first reader that recognises a file.

    Raise `InputError` without one, with the `content` that the file should have.
    """
    for recognises, reader in readers.values():
        if recognises(path):
            return reader
    raise InputError(f"{path}: not {content} {', '.join(readers)}")


def _rate_file(argument: Path) -> RateFile:
    """Split FILE:POPULATION; a file whose name has a colon is that file."""
    refuse_special(argument)
    text = str(argument)
    if argument.is_file():
        return RateFile(argument, None)
    colons = [index for index, sign in enumerate(text) if sign == ":"]
    for colon in colons:
        path = Path(text[:colon])
        if path.is_file():
            return RateFile(path, text[colon + 1 :])
    raise InputError(f"{argument}: no such file")


def _read_rates(
    files: Sequence[RateFile],
    graph: ListedGraph,
    recording: Recording,
) -> Rates:
    """Read files of spikes, and add them up."""
    all_rates: List[Rates] = []
    for number, file in enumerate(files):
        if any(file.overlaps(earlier_file) for earlier_file in files[:number]):
            raise UsageError(
                f"--rates {file.path}: given twice, which would count its spikes twice"
            )
        rates = _read_rate_file(file, graph, recording)
        stated_recording = rates.recording or recording
        if len(files) > 1 and stated_recording != recording:
            raise UsageError(
                f"--rates {file.path}: spikes of {stated_recording.steps:,} steps; "
                "give --rate-steps for all files"
            )
        all_rates.append(rates)
    spikes = all_rates[0].spikes
    times = all_rates[0].times
    if len(all_rates) > 1:
        spikes = np.sum([rates.spikes for rates in all_rates], axis=0)
        times = None
    try:
        check_spikes([spikes])
    except InputError as error:
        paths = ", ".join(str(file.path) for file in files)
        raise InputError(f"{paths}: {error}") from None
    notes: List[str] = []
    for rates in all_rates:
        notes += rates.notes
    notes = list(dict.fromkeys(notes))
    silent_populations: List[str] = []
    for name, ids in graph.ids_by_population.items():
        if not spikes[ids.start : ids.stop].any():
            silent_populations.append(name)
    if silent_populations:
        notes.append(f"no spike counts for {', '.join(silent_populations)}")
    return Rates(spikes, all_rates[0].recording, tuple(notes), times)


def _read_rate_file(file: RateFile, graph: ListedGraph, recording: Recording) -> Rates:
    """Read a file of spikes; only a report of SONATA has populations."""
    path, population = file
    if population is None:
        content = "a file of spikes that snnb reads; it reads"
        read = _reader_of(path, RATE_READERS, content)
        return read(path, graph, recording)
    if not sonata_report.is_report(path):
        raise UsageError(
            f"--rates {path}:{population}: not a report of SONATA, so omit "
            f":{population}"
        )
    return sonata_report.read_report(path, graph, recording, population)


def _import_file(
    path: Path,
    target: Path,
    rate_files: Sequence[RateFile],
    samples: Optional[int],
    steps: Optional[int],
    hashes: Dict[Path, str],
) -> Imported:
    """Copy a MODEL_graph.h5, with spikes from other files if there are any.

    A graph without spikes gets assumed ones.
    """
    with graph_file.open_checked(path) as graph:
        if not rate_files and graph.recording is not None:
            if samples is not None or steps is not None:
                raise UsageError(
                    "--rate-samples, --rate-steps: only with --rates; a MODEL_graph.h5 "
                    "states both"
                )
            return Imported(graph_file.copy(path, target), hashes, ())
        populations: List[ListedPopulation] = []
        for p in graph.populations:
            populations.append(
                ListedPopulation(p.name, p.shape, p.layer, names=p.names),
            )
        external = ListedGraph(populations, (), len(graph.inputs))
        stated_recording = graph.recording or Recording(1, 1, 0, DT_MS)
        recording = _recording(stated_recording, samples, steps)
    if not rate_files:
        refuse_without_spikes(samples, steps)
        spikes = np.ones(external.nodes, np.int64)
        graph_copy = graph_file.copy(
            path, target, spikes, recording, assumed_spikes=True
        )
        return Imported(graph_copy, hashes, ())
    rates = _read_rates(rate_files, external, recording)
    recording = _recording(rates.recording or recording, samples, steps)
    graph_copy = graph_file.copy(path, target, rates.spikes, recording)
    return Imported(graph_copy, hashes, rates.notes)


def _recording(
    recording: Recording,
    samples: Optional[int],
    steps: Optional[int],
) -> Recording:
    """Return a recording in which options replace the numbers of a file."""
    return replace(
        recording,
        num_samples=samples or recording.num_samples,
        num_timesteps=steps or recording.num_timesteps,
    )


def _with_counts(
    population: ListedPopulation,
    recording: Recording,
) -> ListedPopulation:
    """Multiply spikes per step by the steps over all samples.

    Restore whole numbers whose rates were rounded to float32.
    """
    if population.spikes is None:
        return population
    spikes = population.spikes.astype(np.float64) * recording.steps
    whole_spikes = np.rint(spikes)
    is_whole = np.abs(spikes - whole_spikes) <= 2.0**-23 * whole_spikes
    return replace(population, spikes=np.where(is_whole, whole_spikes, spikes))
