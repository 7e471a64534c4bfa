"""Write a graph with listed edges: an external graph, or one made of arrays."""

import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Dict, Iterable, Iterator, Mapping, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.core.errors import InputError
from snnb.core.machine import mapped_zeros
from snnb.core.progress import Progress, Throttle, silent
from snnb.graph.connection import index_dtype, offsets_of, ranges
from snnb.graph.neuron_names import fault_of_names, ids_by_label, write_names
from snnb.graph.synapse_graph import (
    EDGE_UNIT,
    FORMAT,
    USER_BLOCK,
    VERSION,
    SynapseGraph,
    list_name,
    seal,
)
from snnb.io.atomic import atomic_path
from snnb.io.hdf5 import write_array, writing
from snnb.io.text import LONGEST_NAME, is_name
from snnb.network.network import Volume
from snnb.network.spike_counts import Recording

EDGES = 1 << 22  # edges in memory at a time
FINITE = "give finite numbers, at most 3.4e38"  # the largest number of float32
NEURON_BYTES = 64  # memory of a neuron while a graph is written
RATE_UNIT = "spikes per time step"
# Largest number of spikes of all neurons together: sums are exact in float64, and in
# int64
MOST_SPIKES = 2**53
Edges = Tuple[np.ndarray, np.ndarray, np.ndarray]  # ids of sources and targets, weights


@dataclass(frozen=True, eq=False)
class ListedPopulation(Volume):
    """Neurons with consecutive ids.

    Arrays with a number for each neuron are in the shape of the population, or flat.
    """

    layer: str = "neurons"  # kind of the layer, or of the neurons
    coding: str = "spikes"  # one of `CODINGS`
    # Spikes of each neuron over all samples and steps, not negative; None if not known
    spikes: Optional[np.ndarray] = None
    bias: Optional[np.ndarray] = None  # thresholds per step
    # First and last (exclusive) time step in which the neurons can fire
    window: Optional[Tuple[int, int]] = None
    # (channels,), as a fraction of the threshold
    initial_potential: Optional[np.ndarray] = None
    # Names of the neurons: str in an array of objects, flat
    names: Optional[np.ndarray] = None


@dataclass(frozen=True, eq=False)
class ListedGraph:
    """Content of an external graph."""

    # The inputs first; ids run from 0, population after population
    populations: Sequence[ListedPopulation]
    # In any order, some millions at a time; parallel edges are one synapse with the sum
    # of their weights
    edges: Iterable[Edges]
    # Number of populations that are inputs: no edge leads to them, and they are not
    # placed on cores
    inputs: int = 0
    # Samples and steps that the spikes were counted in, if the file states them
    recording: Optional[Recording] = None
    # Whether `spikes` are spikes per time step, with the precision of float32
    per_step: bool = False
    # Whether the spikes of the exported graph were assumed: they are not counts of a
    # simulation
    assumed: bool = False
    # Files that were read; empty if only the named file was
    files: Tuple[Path, ...] = ()
    # Information that the format does not hold, or that was not read
    notes: Tuple[str, ...] = ()
    names: Optional[Mapping[str, int]] = None  # of an export: ids by names in the file
    # Ids by population of the file, if `populations` differ
    ranges: Mapping[str, range] = field(default_factory=dict)
    # Text files to write next to the graph, by name
    text_files: Mapping[str, str] = field(default_factory=dict)

    def with_spikes(self, spikes: np.ndarray) -> "ListedGraph":
        """Return the graph with other spikes of its neurons, by id: shape (nodes,)."""
        populations = []
        for population, ids in zip(self.populations, self._id_ranges()):
            population_spikes = spikes[ids.start : ids.stop]
            populations.append(replace(population, spikes=population_spikes))
        return replace(self, populations=populations)

    def _id_ranges(self) -> Iterator[range]:
        """Yield the ids of each population."""
        start = 0
        for population in self.populations:
            yield range(start, start + population.size)
            start += population.size

    @property
    def named(self) -> bool:
        """Whether the neurons have names."""
        return any(population.names is not None for population in self.populations)

    @property
    def ids(self) -> Mapping[str, int]:
        """Ids of neurons by their names in a file of spikes.

        It is empty if such a file has ids instead of names.
        """
        return ids_by_label(self.populations) or self.names or {}

    @property
    def ids_by_population(self) -> Mapping[str, range]:
        """Ids by population of the file, in order."""
        names = [population.name for population in self.populations]
        return self.ranges or dict(zip(names, self._id_ranges()))

    @property
    def nodes(self) -> int:
        """Number of neurons and inputs."""
        return sum(population.size for population in self.populations)


def write_listed(
    graph: ListedGraph,
    target: Path,
    recording: Recording,
    source_sha256: str,
    progress: Progress = silent,
) -> SynapseGraph:
    """Write a graph of listed edges as a MODEL_graph.h5, and open it.

    The file appears when it is complete. The edges are sorted in files next to
    `target`, which take 20 bytes an edge; a part of them, and a few numbers for each
    neuron, are in memory at a time. Where no population has spikes, each neuron counts
    as one spike, and the attribute `assumed_spikes` states this. `source_sha256` is the
    SHA-256 of the file that the graph was read from; `progress` is called with the
    number of edges read.

    Raise `InputError` if an edge leads to an input, a weight or bias is not finite in
    float32, a number of spikes is not finite, negative or more than `MOST_SPIKES`, or a
    name is not valid or occurs twice.
    """
    if not graph.nodes:
        raise InputError(
            "the graph has no neurons; give a file with at least one edge or neuron",
        )
    _check_names(graph)
    has_spikes = any(population.spikes is not None for population in graph.populations)
    check_spikes(
        np.zeros(population.size) if population.spikes is None else population.spikes
        for population in graph.populations
    )
    with ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(target, force=True))
        scratch = tempfile.TemporaryDirectory(dir=temporary.parent)
        rows = _sort_edges(graph, Path(stack.enter_context(scratch)), progress)
        with writing(temporary, userblock_size=USER_BLOCK) as file:
            file.attrs["format"] = FORMAT
            file.attrs["version"] = VERSION
            file.attrs["inputs"] = graph.inputs
            file.attrs["source_sha256"] = source_sha256
            file.attrs["edge_unit"] = EDGE_UNIT
            file.attrs["rate_unit"] = RATE_UNIT
            file.attrs.update(**asdict(recording))
            if not has_spikes:
                file.attrs["assumed_spikes"] = 1
            default_count = 0 if has_spikes else 1
            first_id = 0
            for number, population in enumerate(graph.populations):
                group = file.create_group(f"populations/{number:04d}")
                _write_population(group, population, first_id, default_count)
                first_id += population.size
            _write_lists(file, graph.populations, rows)
        seal(temporary)
    return SynapseGraph.open(target)


def _check_names(graph: ListedGraph) -> None:
    """Raise `InputError` if a name of a population or of a neuron is not valid."""
    names = Counter(population.name for population in graph.populations)
    for name, number in names.items():
        if number > 1 or not is_name(name):
            raise InputError(
                f"the name of a population, {name[:LONGEST_NAME]!r}, occurs twice, "
                f"or is not 1 to {LONGEST_NAME} printable characters",
            )
    fault = fault_of_names(graph.populations)
    if fault is not None:
        raise InputError(fault)


def _write_population(
    group: h5py.Group,
    population: ListedPopulation,
    first_id: int,
    default_count: int,
) -> None:
    """Write a population; without spikes, each of its neurons has `default_count`."""
    group.attrs["name"] = population.name
    group.attrs["layer"] = population.layer
    group.attrs["shape"] = np.array(population.shape, np.int64)
    group.attrs["first_id"] = first_id
    group.attrs["coding"] = population.coding
    is_current = population.coding == "current"
    spikes = population.spikes
    if spikes is None:
        count = 0 if is_current else default_count
        spikes = np.full(population.shape, count, np.int64)
    if not is_current:
        spikes = as_integers(spikes)
    write_array(group, "spike_count", spikes.reshape(population.shape))
    if population.bias is not None:
        bias = _in_float32(population.bias, f"a bias of {population.name}")
        write_array(group, "bias", bias.reshape(population.shape))
    if population.window is not None:
        group.attrs["window"] = np.array(population.window, np.int64)
    if population.initial_potential is not None:
        value_name = f"an initial potential of {population.name}"
        potential = _in_float32(population.initial_potential, value_name)
        write_array(group, "initial_potential", potential)
    if population.names is not None:
        write_names(group, "names", population.names, population.shape)


def _in_float32(values: np.ndarray, name: str) -> np.ndarray:
    """Return numbers as float32; raise `InputError` if one is not finite then.

    `name` names one of the numbers in the message.
    """
    with np.errstate(over="ignore"):
        values32 = values.astype(np.float32, copy=False)
    is_infinite = ~np.isfinite(values32)
    if is_infinite.any():
        raise InputError(f"{name} is {values[is_infinite][0]}; {FINITE}")
    return values32


def check_spikes(spikes: Iterable[np.ndarray]) -> None:
    """Raise `InputError` for an invalid number of spikes.

    The arrays have the numbers of neurons with consecutive ids, from 0.
    """
    first_id = 0
    total = 0.0
    for part in spikes:
        flat = part.ravel()
        is_valid = (flat >= 0) & (flat <= MOST_SPIKES)
        if not is_valid.all():
            index = int(np.flatnonzero(~is_valid)[0])
            fault = spikes_fault(str(flat[index]))
            raise InputError(f"neuron {first_id + index:,} has {fault}")
        first_id += flat.size
        total += float(flat.sum(dtype=np.float64))
    if total > MOST_SPIKES:
        raise InputError(
            f"the neurons have {total:.4g} spikes in total; give at most 2^53",
        )


def spikes_fault(text: str) -> str:
    """Return the fault of a number of spikes that is not valid."""
    return f"{text} spikes; give finite non-negative numbers, at most 2^53"


def merged_note(edges: int, synapses: int) -> Tuple[str, ...]:
    """Return a note about parallel edges, if there are any.

    There are parallel edges if there are more edges than synapses.
    """
    if edges == synapses:
        return ()
    return (
        f"{edges:,} edges are {synapses:,} synapses: the weights of parallel edges are "
        "summed",
    )


def as_integers(spikes: np.ndarray) -> np.ndarray:
    """Return numbers of spikes as int64 if all are whole numbers, else unchanged."""
    if (spikes == np.rint(spikes)).all():
        return spikes.astype(np.int64)
    return spikes


@dataclass(frozen=True, eq=False)
class _Rows:
    """Edges sorted by source, then target, at most one between two neurons.

    The arrays are mapped from files that are removed later.
    """

    start: np.ndarray  # int64, shape (nodes + 1,): offset of each source's first edge
    target: np.ndarray  # int32 or int64, shape (edges,): ids
    weight: np.ndarray  # float32, shape (edges,)

    def parts(self, first_id: int, size: int) -> Iterator[Edges]:
        """Yield the edges of `size` sources from `first_id` on, some at a time."""
        degrees = np.diff(self.start[first_id : first_id + size + 1])
        for begin, end in ranges(degrees, EDGES):
            sources = np.arange(first_id + begin, first_id + end)
            part = slice(self.start[first_id + begin], self.start[first_id + end])
            yield (
                np.repeat(sources, degrees[begin:end]),
                self.target[part],
                self.weight[part],
            )


class _EdgeFile:
    """Edges in the order in which they were read, in a file for each column."""

    def __init__(self, scratch: Path, id_dtype: np.dtype, stack: ExitStack) -> None:
        """Create the files in the folder `scratch`; `stack` closes them."""
        self._dtypes = (id_dtype, id_dtype, np.dtype(np.float32))
        paths = [scratch / name for name in ("source", "target", "weight")]
        self._files = [stack.enter_context(path.open("w+b")) for path in paths]
        self.edges = 0  # number of edges written

    def append(self, columns: Edges) -> None:
        """Write edges behind the edges before."""
        for file, values, dtype in zip(self._files, columns, self._dtypes):
            values.astype(dtype, copy=False).tofile(file)
        self.edges += columns[0].size

    def read(self) -> Iterator[Edges]:
        """Yield all edges, some at a time.

        The files are not mapped into memory, since mapped pages count as memory.
        """
        for file in self._files:
            file.seek(0)
        source_file, target_file, weight_file = self._files
        source_dtype, target_dtype, weight_dtype = self._dtypes
        for _ in range(0, self.edges, EDGES):
            source = np.fromfile(source_file, source_dtype, EDGES)
            target = np.fromfile(target_file, target_dtype, EDGES)
            weight = np.fromfile(weight_file, weight_dtype, EDGES)
            yield source, target, weight


def _sort_edges(graph: ListedGraph, scratch: Path, progress: Progress) -> _Rows:
    """Sort the edges in files in the folder `scratch`, and unite parallel edges."""
    from snnb.graph.edge_loops import scatter, unite_parallel

    nodes = graph.nodes
    id_dtype = index_dtype(nodes)
    inputs = graph.populations[: graph.inputs]
    first_target = sum(population.size for population in inputs)
    degrees = np.zeros(nodes, np.int64)
    throttle = Throttle()
    with ExitStack() as stack:
        edge_file = _EdgeFile(scratch, id_dtype, stack)
        for source, target, weight in graph.edges:
            weight32 = _check_edges(source, target, weight, first_target)
            degrees += np.bincount(source, minlength=nodes)
            edge_file.append((source, target, weight32))
            if throttle.due():
                progress(edge_file.edges, 0, "edges read")
        total = edge_file.edges
        targets = _map_file(scratch / "sorted target", id_dtype, total)
        weights = _map_file(scratch / "sorted weight", np.dtype(np.float32), total)
        next_place = np.cumsum(degrees) - degrees  # of each source in the sorted arrays
        for source, target, weight in edge_file.read():
            scatter(source, target, next_place.copy(), targets)
            scatter(source, weight, next_place, weights)
    start = np.zeros(nodes + 1, np.int64)
    n_synapses = unite_parallel(offsets_of(degrees), targets, weights, start)
    if n_synapses < total:
        _check_sums(weights[:n_synapses], targets, start)
    return _Rows(start, targets[:n_synapses], weights[:n_synapses])


def _check_edges(
    source: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    first_target: int,
) -> np.ndarray:
    """Return the weights as float32.

    Raise `InputError` if an edge leads to a neuron before `first_target`, or a weight
    is not finite.
    """
    if target.size and target.min() < first_target:
        node = int(target.min())
        raise InputError(
            f"an edge leads to input {node:,}; inputs have no incoming edges",
        )
    with np.errstate(over="ignore"):
        weight32 = weight.astype(np.float32, copy=False)
    is_finite = np.isfinite(weight32)
    if not is_finite.all():
        k = int(np.flatnonzero(~is_finite)[0])
        raise InputError(
            f"the edge from neuron {int(source[k]):,} to {int(target[k]):,} has the "
            f"weight {weight[k]}; {FINITE}"
        )
    return weight32


def _check_sums(weights: np.ndarray, targets: np.ndarray, start: np.ndarray) -> None:
    """Raise `InputError` if a sum of weights of parallel edges is not finite."""
    for begin in range(0, weights.size, EDGES):
        is_finite = np.isfinite(weights[begin : begin + EDGES])
        if not is_finite.all():
            edge = begin + int(np.flatnonzero(~is_finite)[0])
            source = int(np.searchsorted(start, edge, side="right")) - 1
            raise InputError(
                f"the weights of the edges from neuron {source:,} to "
                f"{int(targets[edge]):,} have a sum that float32 does not hold; "
                f"{FINITE}"
            )


def _map_file(path: Path, dtype: np.dtype, size: int) -> np.ndarray:
    """Create a file of `size` zeros, and return it as an array mapped into memory."""
    with path.open("w+b") as file:
        return mapped_zeros(file, (size,), dtype) if size else np.empty(0, dtype)


def _write_lists(
    file: h5py.Group,
    populations: Sequence[ListedPopulation],
    rows: _Rows,
) -> None:
    """Write the list of the edges of each projection, and the table of projections."""
    sizes = [population.size for population in populations]
    first_ids = np.cumsum([0, *sizes]).tolist()
    counts = _count_edges(rows, first_ids)
    links = [(source, target) for target, source in sorted(counts)]
    table = np.array(links, np.int64).reshape(-1, 2)
    write_array(file, "projections", table)
    for source in range(len(populations)):
        groups = {}  # by target, all created before their content
        for number, (link_source, target) in enumerate(links):
            if link_source == source:
                groups[target] = file.create_group(list_name(number))
        writers = {}
        for target, group in groups.items():
            group.attrs["rule"] = populations[target].layer
            shape = (counts[target, source],)
            for name, values in (("target", rows.target), ("weight", rows.weight)):
                group.create_dataset(name, shape, values.dtype, track_times=False)
            writers[target] = _ListWriter(group, first_ids[source], sizes[source])
        _append_edges(writers, rows.parts(first_ids[source], sizes[source]), first_ids)
        for writer in writers.values():
            writer.finish()


def _append_edges(
    writers: Mapping[int, "_ListWriter"],
    edges: Iterable[Edges],
    first_ids: Sequence[int],
) -> None:
    """Append each edge to the list of the population that it leads to.

    `writers` are by number of the population, `first_ids` the first id of each.
    """
    for source, target, weight in edges:
        numbers = np.searchsorted(first_ids, target, side="right") - 1
        for number, writer in writers.items():
            part = np.flatnonzero(numbers == number)
            writer.append(source[part], target[part], weight[part])


def _count_edges(rows: _Rows, first_ids: Sequence[int]) -> Dict[Tuple[int, int], int]:
    """Return the number of edges by numbers of target and source population.

    Populations without edges between them are left out. `first_ids` has the first id of
    each population, then the number of nodes.
    """
    n_populations = len(first_ids) - 1
    counts: Dict[Tuple[int, int], int] = {}
    for source in range(n_populations):
        size = first_ids[source + 1] - first_ids[source]
        target_counts = np.zeros(n_populations, np.int64)
        for _, ends, _ in rows.parts(first_ids[source], size):
            targets = np.searchsorted(first_ids, ends, side="right") - 1
            target_counts += np.bincount(targets, minlength=n_populations)
        for target in np.flatnonzero(target_counts).tolist():
            counts[target, source] = int(target_counts[target])
    return counts


class _ListWriter:
    """Writes the edges of a projection to its group, some at a time."""

    def __init__(self, group: h5py.Group, first_source: int, sources: int) -> None:
        self._group = group
        self._first_source = first_source  # id of the first source
        self._degrees = np.zeros(sources, np.int64)
        self._edges = 0  # number of edges written

    def append(self, ids: np.ndarray, ends: np.ndarray, weights: np.ndarray) -> None:
        """Write edges by ids of sources and targets, and weights."""
        part = slice(self._edges, self._edges + ids.size)
        self._group["target"][part] = ends
        self._group["weight"][part] = weights
        index = ids - self._first_source
        self._degrees += np.bincount(index, minlength=self._degrees.size)
        self._edges = part.stop

    def finish(self) -> None:
        """Write the offsets of the sources."""
        write_array(self._group, "start", offsets_of(self._degrees))
