"""Write a graph with listed edges: an external graph, or one made of arrays."""

import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.core.errors import InputError
from snnb.core.machine import mapped_zeros
from snnb.core.progress import Progress, Throttle, silent
from snnb.graph.connection import index_dtype, offsets_of, ranges
from snnb.graph.neuron_names import fault_of_names, ids_by_label, write_names
from snnb.graph.populations import Recording
from snnb.graph.synapse_graph import EDGE_UNIT, FORMAT, USER_BLOCK, VERSION, SynapseGraph, list_name, seal
from snnb.io.files import atomic_path
from snnb.io.hdf5 import write_array, writing
from snnb.io.text import LONGEST_NAME, is_name
from snnb.network.network import Volume

EDGES = 1 << 22  # in memory at a time
FINITE = "give finite numbers, at most 3.4e38"  # of float32
NEURON_BYTES = 64  # of a neuron in memory while a graph is written
RATE_UNIT = "spikes per time step"
MOST_SPIKES = 2**53  # of all neurons together: their sums are exact in float64, and in int64
Edges = Tuple[np.ndarray, np.ndarray, np.ndarray]  # ids of sources and targets, weights


@dataclass(frozen=True, eq=False)
class ListedPopulation(Volume):
    """Neurons with consecutive ids; arrays of a number for each neuron are in the shape or flat."""

    layer: str = "neurons"  # kind of the layer, or of the neurons
    coding: str = "spikes"  # one of `CODINGS`
    spikes: Optional[np.ndarray] = None  # over all samples and steps, not negative; None if not known
    bias: Optional[np.ndarray] = None  # in thresholds per step
    window: Optional[Tuple[int, int]] = None  # first and last (exclusive) time step in which the neurons can fire
    initial_potential: Optional[np.ndarray] = None  # (channels,), as a fraction of the threshold
    names: Optional[np.ndarray] = None  # of the neurons: str in an array of objects, flat


@dataclass(frozen=True, eq=False)
class ListedGraph:
    """Content of an external graph."""

    populations: Sequence[ListedPopulation]  # the inputs first; ids run from 0, population after population
    # In any order, some millions at a time; parallel edges are one synapse with the sum of their weights
    edges: Iterable[Edges]
    inputs: int = 0  # number of populations that are inputs: no edge leads to them, and they are not placed on cores
    recording: Optional[Recording] = None  # samples and steps that the spikes were counted in, if the file states them
    per_step: bool = False  # whether `spikes` are spikes per time step, with the precision of float32
    assumed: bool = False  # whether the spikes of the exported graph were assumed: they are not counts of a simulation
    files: Tuple[Path, ...] = ()  # that were read; empty if that is only the given one
    notes: Tuple[str, ...] = ()  # information that the format does not hold, or that was not read
    names: Optional[Mapping[str, int]] = None  # of an export: ids by names in the file
    ranges: Mapping[str, range] = field(default_factory=dict)  # ids by population of the file, if `populations` differ
    text_files: Mapping[str, str] = field(default_factory=dict)  # to write next to the graph, by name

    def with_spikes(self, spikes: np.ndarray) -> "ListedGraph":
        """Return the graph with other spikes of its neurons: (nodes,) array by id."""
        ends = np.cumsum([population.size for population in self.populations])
        parts = zip(self.populations, np.split(spikes, ends[:-1]))
        return replace(self, populations=[replace(population, spikes=part) for population, part in parts])

    @property
    def named(self) -> bool:
        """Whether the neurons have names."""
        return any(population.names is not None for population in self.populations)

    @property
    def ids(self) -> Mapping[str, int]:
        """Ids of neurons by the texts that name them in a file of spikes; empty where only ids do."""
        return ids_by_label(self.populations) or self.names or {}

    @property
    def ids_by_population(self) -> Mapping[str, range]:
        """Ids by population of the file, in order."""
        ends = np.cumsum([population.size for population in self.populations]).tolist()
        return self.ranges or {p.name: range(end - p.size, end) for p, end in zip(self.populations, ends)}

    @property
    def nodes(self) -> int:
        """Number of neurons and inputs."""
        return sum(population.size for population in self.populations)


def write_listed(
    graph: ListedGraph, target: Path, recording: Recording, source_sha256: str, progress: Progress = silent
) -> SynapseGraph:
    """Write a graph of listed edges as a MODEL_graph.h5, which appears when it is complete, and open it.

    The edges are sorted in files next to `target`, which take 20 bytes an edge; memory is that of a part of them, and
    of a few numbers for each neuron. Where no population has spikes, each neuron counts as one spike, and the attribute
    `assumed_spikes` states this. `source_sha256` is that of the file that the graph was read from; `progress` is called
    with the number of edges read.

    Raise `InputError` if an edge leads to an input, a weight or bias is not finite in float32, a number of spikes is
    not finite, negative or more than `MOST_SPIKES`, or a name is not valid or occurs twice.
    """
    if not graph.nodes:
        raise InputError("the graph has no neurons; give a file with at least one edge or neuron")
    names = Counter(population.name for population in graph.populations)
    wrong = [name for name, number in names.items() if number > 1 or not is_name(name)]
    if wrong:
        raise InputError(
            f"the name of a population, {wrong[0][:LONGEST_NAME]!r}, occurs twice, or is not 1 to {LONGEST_NAME} "
            "printable characters"
        )
    fault = fault_of_names(graph.populations)
    if fault is not None:
        raise InputError(fault)
    assumed = all(population.spikes is None for population in graph.populations)
    check_spikes([np.zeros(p.size) if p.spikes is None else p.spikes for p in graph.populations])
    with atomic_path(target, force=True) as temporary, tempfile.TemporaryDirectory(dir=temporary.parent) as scratch:
        rows = _sorted_edges(graph, Path(scratch), progress)
        with writing(temporary, userblock_size=USER_BLOCK) as file:
            file.attrs.update(format=FORMAT, version=VERSION, inputs=graph.inputs, source_sha256=source_sha256)
            file.attrs.update(edge_unit=EDGE_UNIT, rate_unit=RATE_UNIT, **asdict(recording))
            if assumed:
                file.attrs["assumed_spikes"] = 1
            first = 0
            for number, population in enumerate(graph.populations):
                _write_population(file.create_group(f"populations/{number:04d}"), population, first, assumed)
                first += population.size
            _write_lists(file, graph.populations, rows)
        seal(temporary)
    return SynapseGraph.open(target)


def _write_population(group: h5py.Group, population: ListedPopulation, first: int, assumed: bool) -> None:
    group.attrs.update(name=population.name, layer=population.layer, shape=np.array(population.shape, np.int64))
    group.attrs.update(first_id=first, coding=population.coding)
    spikes = population.spikes
    if spikes is None:
        spikes = np.full(population.shape, 1 if assumed and population.coding != "current" else 0, np.int64)
    spikes = spikes if population.coding == "current" else as_integers(spikes)
    write_array(group, "spike_count", spikes.reshape(population.shape))
    if population.bias is not None:
        bias = _in_float32(population.bias, f"a bias of {population.name}")
        write_array(group, "bias", bias.reshape(population.shape))
    if population.window is not None:
        group.attrs["window"] = np.array(population.window, np.int64)
    if population.initial_potential is not None:
        potential = population.initial_potential
        values = _in_float32(potential, f"an initial potential of {population.name}")
        write_array(group, "initial_potential", values)
    if population.names is not None:
        write_names(group, "names", population.names, population.shape)


def _in_float32(values: np.ndarray, name: str) -> np.ndarray:
    """Return numbers as float32; raise `InputError` if one is not finite then."""
    with np.errstate(over="ignore"):
        converted = values.astype(np.float32, copy=False)
    is_infinite = ~np.isfinite(converted)
    if is_infinite.any():
        raise InputError(f"{name} is {values[is_infinite][0]}; {FINITE}")
    return converted


def check_spikes(spikes: Iterable[np.ndarray]) -> None:
    """Raise `InputError` for an invalid number of spikes; the arrays are those of consecutive ids, from 0."""
    first, total = 0, 0.0
    for part in spikes:
        flat = part.ravel()
        bad = np.flatnonzero(~((flat >= 0) & (flat <= MOST_SPIKES)))
        if bad.size:
            raise InputError(f"neuron {first + bad[0]:,} has {spikes_fault(str(flat[bad[0]]))}")
        first, total = first + flat.size, total + float(flat.sum(dtype=np.float64))
    if total > MOST_SPIKES:
        raise InputError(f"the neurons have {total:.4g} spikes in total; give at most 2^53")


def spikes_fault(text: str) -> str:
    """Return the fault of a number of spikes that is not valid."""
    return f"{text} spikes; give finite non-negative numbers, at most 2^53"


def merged_note(edges: int, synapses: int) -> Tuple[str, ...]:
    """Return a note about parallel edges, if there are any, with the numbers of edges and synapses."""
    if edges == synapses:
        return ()
    return (f"{edges:,} edges are {synapses:,} synapses: the weights of parallel edges are summed",)


def as_integers(spikes: np.ndarray) -> np.ndarray:
    """Return numbers of spikes as int64 if all are whole numbers, else unchanged."""
    return spikes.astype(np.int64) if (spikes == np.rint(spikes)).all() else spikes


@dataclass(frozen=True, eq=False)
class _Rows:
    """Edges sorted by source, then target, at most one between two neurons; arrays of files that are removed later."""

    start: np.ndarray  # (nodes + 1,) int64: offset of each source's first edge
    target: np.ndarray
    weight: np.ndarray

    def parts(self, first: int, size: int) -> Iterator[Tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield the edges of `size` sources from `first` on: source, target, weight."""
        degrees = np.diff(self.start[first : first + size + 1])
        for begin, end in ranges(degrees, EDGES):
            part = slice(self.start[first + begin], self.start[first + end])
            yield (
                np.repeat(np.arange(first + begin, first + end), degrees[begin:end]),
                self.target[part],
                self.weight[part],
            )


def _sorted_edges(graph: ListedGraph, scratch: Path, progress: Progress) -> _Rows:
    """Sort the edges in files, and unite parallel ones."""
    from snnb.graph.edge_loops import scatter, unite_parallel

    nodes, ids = graph.nodes, index_dtype(graph.nodes)
    first = sum(population.size for population in graph.populations[: graph.inputs])  # that an edge may lead to
    columns = {"source": ids, "target": ids, "weight": np.dtype(np.float32)}
    degrees, throttle, total = np.zeros(nodes, np.int64), Throttle(), 0
    with ExitStack() as stack:
        files = [stack.enter_context((scratch / name).open("w+b")) for name in columns]
        for source, target, weight in graph.edges:
            if target.size and target.min() < first:
                raise InputError(f"an edge leads to input {int(target.min()):,}; inputs have no incoming edges")
            with np.errstate(over="ignore"):
                weights_read = weight.astype(np.float32, copy=False)
            if not np.isfinite(weights_read).all():
                k = int(np.flatnonzero(~np.isfinite(weights_read))[0])
                ends = f"from neuron {int(source[k]):,} to {int(target[k]):,}"
                raise InputError(f"the edge {ends} has the weight {weight[k]}; {FINITE}")
            degrees += np.bincount(source, minlength=nodes)
            for file, values, kind in zip(files, (source, target, weights_read), columns.values()):
                values.astype(kind, copy=False).tofile(file)
            total += source.size
            if throttle.due():
                progress(total, 0, "edges read")
        targets, weights = (_mapped(scratch / f"sorted {name}", columns[name], total) for name in ("target", "weight"))
        places = np.cumsum(degrees) - degrees
        for file in files:
            file.seek(0)
        for _ in range(0, total, EDGES):  # not mapped into memory, of which the pages would be counted
            source, target, weight = (np.fromfile(file, kind, EDGES) for file, kind in zip(files, columns.values()))
            scatter(source, target, places.copy(), targets)
            scatter(source, weight, places, weights)
    start = np.zeros(nodes + 1, np.int64)
    filled = unite_parallel(offsets_of(degrees), targets, weights, start)
    if filled < total:
        _check_sums(weights[:filled], targets, start)
    return _Rows(start, targets[:filled], weights[:filled])


def _check_sums(weights: np.ndarray, targets: np.ndarray, start: np.ndarray) -> None:
    """Raise `InputError` if the weights of parallel edges have a sum that is not finite in float32."""
    for begin in range(0, weights.size, EDGES):
        is_finite = np.isfinite(weights[begin : begin + EDGES])
        if not is_finite.all():
            edge = begin + int(np.flatnonzero(~is_finite)[0])
            source = int(np.searchsorted(start, edge, side="right")) - 1
            raise InputError(
                f"the weights of the edges from neuron {source:,} to {int(targets[edge]):,} "
                f"have a sum that float32 does not hold; {FINITE}"
            )


def _mapped(path: Path, kind: np.dtype, size: int) -> np.ndarray:
    """Make a file that is mapped into memory."""
    with path.open("w+b") as file:
        return mapped_zeros(file, (size,), kind) if size else np.empty(0, kind)


def _write_lists(file: h5py.Group, populations: Sequence[ListedPopulation], rows: _Rows) -> None:
    """Write the edges between each two populations, and the table of these pairs."""
    firsts = np.cumsum([0, *(population.size for population in populations)]).tolist()
    counts: Dict[Tuple[int, int], int] = {}  # by target and source: the order of the projections
    for k, population in enumerate(populations):
        between = np.zeros(len(populations), np.int64)
        for _, target, _ in rows.parts(firsts[k], population.size):
            between += np.bincount(np.searchsorted(firsts, target, side="right") - 1, minlength=between.size)
        counts.update({(to, k): between[to] for to in np.flatnonzero(between).tolist()})
    links: List[Tuple[int, int]] = [(k, to) for to, k in sorted(counts)]
    write_array(file, "projections", np.array(links, np.int64).reshape(-1, 2))
    columns = {"target": rows.target.dtype, "weight": rows.weight.dtype}
    for k, population in enumerate(populations):
        leaving = [(number, to) for number, (source, to) in enumerate(links) if source == k]
        groups = {to: file.create_group(list_name(number)) for number, to in leaving}
        degrees = {to: np.zeros(population.size, np.int64) for to in groups}
        filled = dict.fromkeys(groups, 0)
        for to, group in groups.items():
            group.attrs["rule"] = populations[to].layer
            for name, kind in columns.items():
                group.create_dataset(name, (counts[to, k],), kind, track_times=False)
        for ids, ends, weights in rows.parts(firsts[k], population.size):
            numbers = np.searchsorted(firsts, ends, side="right") - 1
            for to, group in groups.items():
                chosen = np.flatnonzero(numbers == to)
                part = slice(filled[to], filled[to] + chosen.size)
                group["target"][part], group["weight"][part] = ends[chosen], weights[chosen]
                degrees[to] += np.bincount(ids[chosen] - firsts[k], minlength=population.size)
                filled[to] = part.stop
        for to, group in groups.items():
            write_array(group, "start", offsets_of(degrees[to]))
