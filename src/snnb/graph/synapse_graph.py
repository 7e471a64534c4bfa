"""The graph of a spiking network's synapses, read lazily from MODEL_graph.h5 (format: docs/graph-format.md)."""

import hashlib
import json
import math
from functools import cached_property
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Dict, Iterator, List, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.core.errors import DamagedError, ResourceError, SnnbError, UsageError
from snnb.core.formatting import times
from snnb.core.machine import require_memory
from snnb.graph.connection import Connection, EdgeBatch, check_values, edge_buffer, index_dtype
from snnb.graph.neuron_names import labels_of
from snnb.graph.populations import POOL_WEIGHTS, RATE_UNITS, RECORDING, GraphPopulation, Nodes, Recording, to_integers
from snnb.graph.projection import (
    CACHE_EDGES,
    GraphProjection,
    KernelProjection,
    ListedProjection,
    ProjectionSummary,
    SparseProjection,
    repeats,
    summarize,
)
from snnb.io.hdf5 import RAISED_BY_HDF5, damaged, open_file, whole
from snnb.io.text import html_table
from snnb.network.geometry import Geometry
from snnb.network.layers import LAYER_KINDS, Layer, configured
from snnb.network.network import DROPPED
from snnb.network.neuron import Neuron

if TYPE_CHECKING:
    import networkx
    from scipy.sparse import csr_matrix

NETWORKX_LIMIT = 2_000_000  # nodes and edges
FORMAT = "snnb synapse graph"
VERSION = 1
USER_BLOCK = 512
EDGE_UNIT = "thresholds per time step"  # where a file with spike counts does not state it


class SynapseGraph:
    """A directed graph whose nodes are neurons and whose edges are synapses, with method names as in networkx.

    The file contains kernels instead of edges, or lists of edges. Edges are generated on demand, always in the same
    order: projection after projection, within each by source, then target. Open it with `SynapseGraph.open`.

    Attributes
    ----------
    path : Path
    populations : tuple of GraphPopulation
        The inputs first, then the spiking layers in network order.
    inputs, layers : tuple of GraphPopulation
        The populations that are inputs, one in a graph of `snnb`; and the others.
    projections : tuple of GraphProjection
        By target, then source, in the populations' order, then delay. In a network with cycles a projection may read a
        later population, or its target.
    nodes : Nodes
        `nodes[n]` has population, index, rate, spike count and bias of a neuron.
    recording : Recording or None
        Samples and time steps that spikes were counted in; None for a graph without spike counts.
    attributes : dict
        Attributes of the file: pool_weight, parsed_sha256, counts_sha256, units; weight_bits and pixel of an integer
        network; zeros of a pruned one.
    integers : bool
        Whether weights are integers, see `with_integers`, not in thresholds.
    """

    def __init__(
        self,
        path: Path,
        file: h5py.File,  # noqa: TID251 - the type
        pool_weight: Optional[str] = None,
        integers: bool = False,
    ) -> None:
        self.path = path
        self._file = file
        attributes = {
            name: value.item() if isinstance(value, np.generic) else value for name, value in sorted(file.attrs.items())
        }
        self.recording: Optional[Recording] = None
        if "num_samples" in attributes:
            attributes.setdefault("edge_unit", EDGE_UNIT)  # of a file that another program wrote
            self.recording = Recording(*(attributes[name] for name in RECORDING))
        self.attributes: Dict[str, object] = attributes
        groups = [file["populations"][f"{number:04d}"] for number in range(len(file["populations"]))]
        nodes = sum(math.prod(group.attrs["shape"].tolist()) for group in groups)
        require_memory(8 * nodes, f"{file.filename}: the {nodes:,} neurons")  # a number for each
        self.populations = tuple(_read_population(group, self.recording, integers) for group in groups)
        self.nodes = Nodes(self.populations)
        if pool_weight is not None:
            self.attributes["pool_weight"] = pool_weight
        self.integers = integers
        self.inputs = self.populations[: int(str(self.attributes.pop("inputs", 1)))]
        self.layers = self.populations[len(self.inputs) :]
        connections = read_connections(file, self.populations, str(self.attributes.get("pool_weight")), integers)
        projections: List[GraphProjection] = []
        for number, ((source, target, _), between) in enumerate(connections.items()):
            if not between:
                ends = self.populations[source], self.populations[target]
                projections.append(ListedProjection(file[list_name(number)], ends, len(self.nodes)))
            elif self.attributes.get("zeros") == DROPPED and any(connection.has_zeros for connection in between):
                projections.append(SparseProjection(between, len(self.nodes)))
            else:  # no weight is 0, or such weights are synapses
                projections.append(KernelProjection(between, len(self.nodes)))
        self.projections = tuple(projections)

    @classmethod
    def open(cls, path: Path, *, checked: bool = False) -> "SynapseGraph":
        """Open a graph after checking the checksum of the file.

        Parameters
        ----------
        path : Path
        checked : bool
            Whether the caller has compared the hash of the file; its content is then not hashed again.

        Raises
        ------
        DamagedError : the file is missing, altered, or no graph
        """
        path = Path(path)
        try:
            file = open_store(path, checked=checked)
            try:
                return cls(path, file)
            except BaseException:
                file.close()
                raise
        except SnnbError:
            raise
        except (*RAISED_BY_HDF5, AttributeError) as error:
            raise damaged(path, error) from error

    def with_pool_weight(self, pool_weight: str) -> "SynapseGraph":
        """Return the graph with average-pooling synapses of weight `one` or `mean`. Close only this graph."""
        if pool_weight not in POOL_WEIGHTS:
            raise UsageError(f"pool weight {pool_weight!r} is unknown; use one of {', '.join(POOL_WEIGHTS)}")
        if self.attributes.get("pool_weight", pool_weight) == pool_weight:  # listed edges have stored weights
            return self
        return SynapseGraph(self.path, self._file, pool_weight, self.integers)

    def with_integers(self) -> "SynapseGraph":
        """Return the graph with the integers of an integer network as weights, biases and initial potentials.

        A pixel of 1 is the attribute `pixel`, a neuron's threshold `firing_threshold`. Close only this graph.
        """
        if "weight_bits" not in self.attributes:
            raise UsageError(f"{self.path} has no integer weights; convert with weight bits to have them")
        return SynapseGraph(self.path, self._file, str(self.attributes["pool_weight"]), integers=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "SynapseGraph":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SynapseGraph {self.path.name}: {self.number_of_nodes():,} nodes, {self.number_of_edges():,} edges>"

    def _repr_html_(self) -> str:
        rows = [(one.name, one.layer, times(one.shape), f"{one.size:,}") for one in self.populations]
        return html_table(repr(self)[1:-1], rows, ("population", "layer", "shape", "neurons"))

    @property
    def has_average_pooling(self) -> bool:
        """Whether the attribute `pool_weight` is the weight of some synapses; not if poolings became convolutions."""
        return any(one.layer.WEIGHTING == "average" for p in self.projections for one in p.connections)

    @property
    def assumed_spikes(self) -> bool:
        """Whether one spike per neuron is assumed, since there are no spike counts."""
        return bool(self.attributes.get("assumed_spikes"))

    @property
    def neuron_model(self) -> bool:
        """Whether the network is from a NIR file: its populations have a neuron model."""
        return any(population.neuron is not None for population in self.layers)

    @cached_property
    def names(self) -> Optional[List[str]]:
        """Name of each neuron by id, in a graph of several populations `POPULATION,NAME`; None without names."""
        return labels_of(self.populations)

    def number_of_nodes(self) -> int:
        """Return the number of nodes, including the input."""
        return len(self.nodes)

    def number_of_neurons(self) -> int:
        """Return the number of nodes without the input."""
        return sum(population.size for population in self.layers)

    def number_of_edges(self) -> int:
        """Return the number of synapses."""
        return sum(projection.number_of_edges for projection in self.projections)

    @property
    def latency(self) -> int:
        """Time steps until a recorded sample has passed all populations; see `Network.latency`."""
        assert self.recording is not None
        duration = self.recording.warm_up + self.recording.num_timesteps
        return max((p.window[1] for p in self.populations if p.window), default=duration)

    @property
    def interval(self) -> int:
        """Time steps between the beginnings of two recorded samples, without the warm-up; see `Network.interval`."""
        assert self.recording is not None
        spans = [p.target.window[1] - (p.source.window or (0,))[0] for p in self.projections if p.target.window]
        return max(spans, default=self.recording.num_timesteps)

    @cached_property
    def first_steps(self) -> Dict[str, int]:
        """First step of each population in a simulator where every synapse has a delay of at least a step.

        There the populations of a network of depth d begin one after the other; with a delay of the first step of the
        target less that of the source, all spikes that meet in a simulator without delays meet there too, also if
        connections skip populations. Biases, a constant input and the counting of spikes begin at the first step. The
        input begins at 0 if it spikes, at -1 if it is a current, which is there at once. The delay of a projection is
        part of the step that its synapses take. In a graph with a cycle of more projections than delays, which no such
        simulator can step, all populations begin at 0.
        """
        steps = {p.name: 0 for p in self.layers}
        steps.update({p.name: 0 if p.coding == "spikes" else -1 for p in self.inputs})
        for _ in self.populations:
            previous = dict(steps)
            for p in self.projections:
                steps[p.target.name] = max(steps[p.target.name], steps[p.source.name] + 1 - p.delay)
            if steps == previous:
                return steps
        return {population.name: 0 for population in self.populations}

    @cached_property
    def delay_steps(self) -> Dict[GraphProjection, int]:
        """Delay of each projection in such a simulator, in time steps."""
        steps = self.first_steps
        return {p: max(steps[p.target.name] - steps[p.source.name] + p.delay, 1) for p in self.projections}

    def describe(self, rate_unit: str = "step") -> Dict[str, object]:
        """Return the metadata of an export: units, recording, hashes of the inputs."""
        if rate_unit not in RATE_UNITS:
            raise UsageError(f"rate unit {rate_unit!r} is unknown; use one of {', '.join(RATE_UNITS)}")
        metadata = {name: value for name, value in self.attributes.items() if name not in ("format", "version")}
        if self.recording is not None:
            per = {"step": "time step", "hz": "second", "sample": "sample"}[rate_unit]
            unit = str(self.attributes["edge_unit"]).replace("time step", per)
            metadata.update(rate_unit=f"spikes per {per}", edge_unit=unit)
        if self.integers:
            metadata["edge_unit"] = str(metadata["edge_unit"]).replace("thresholds", "integer weights")
        return metadata

    def edge_batches(self, max_edges: int = CACHE_EDGES) -> Iterator[EdgeBatch]:
        """Generate all edges in batches of at most `max_edges`, each overwriting the one before."""
        for projection in self.projections:
            yield from projection.edge_batches(max_edges)

    def successors(self, node: int) -> np.ndarray:
        """Return the ids (int64) of the targets of `node`, ordered by projection."""
        return self.edges_of(node).target.astype(np.int64)

    def predecessors(self, node: int) -> np.ndarray:
        """Return the ids (int64, ascending) of the sources of `node`."""
        return self.edges_of(node, "in").source.astype(np.int64)

    def edges_of(self, node: int, direction: str = "out") -> EdgeBatch:
        """Return the synapses of one neuron with their weights, in new arrays.

        Parameters
        ----------
        node : int
            Id of a neuron or input.
        direction : {"out", "in"}
            Synapses from the neuron, in the order of `successors`, or onto it, in the order of `predecessors`.

        Returns
        -------
        EdgeBatch
            Arrays `source`, `target`, `weight` (float32) and `edge` (float32, rate of the source × weight).

        Raises
        ------
        KeyError
            There is no such node.
        UsageError
            The direction is unknown.

        Examples
        --------
        >>> edges = graph.edges_of(300, "in")
        >>> edges.source[edges.weight.argmax()]
        """
        if direction not in ("out", "in"):
            raise UsageError(f"direction {direction!r} is unknown; use one of out, in")
        population, ids = self.nodes.population(node), index_dtype(len(self.nodes))
        parts = [edge_buffer(0, ids)]
        for p in self.projections:
            if direction == "out" and p.source is population:
                index = node - population.first
                parts.append(p.edges_of(index, index + 1))
            elif direction == "in" and p.target is population:
                sources, weights = p.predecessors(node)
                edge = p.source.edge_rate(1.0)[sources - p.source.first] * weights
                parts.append(EdgeBatch(sources.astype(ids), np.full(sources.size, node, ids), weights, edge))
        return EdgeBatch(*map(np.concatenate, zip(*parts)))

    def out_degree(self, node: int) -> int:
        """Return the number of synapses of one neuron; see `projection.out_degrees` for all neurons."""
        return len(self.successors(node))

    def in_degree(self, node: int) -> int:
        """Return the number of synapses onto one neuron; see `projection.in_degrees` for all neurons."""
        return len(self.predecessors(node))

    def summary(self) -> Tuple[ProjectionSummary, ...]:
        """Summarize every projection: degrees, weights, edges, spikes."""
        seconds = None
        if self.recording is not None:  # a sample takes the interval, of which a population with a window counts a part
            seconds = self.recording.dt_ms / 1000 * self.interval / self.recording.num_timesteps
        return tuple(summarize(projection, seconds) for projection in self.projections)

    def to_scipy(self, values: str = "weight") -> "csr_matrix":
        """Return a sparse matrix of shape (nodes, nodes), rows the sources; `values` is `weight` or `edge`."""
        from scipy.sparse import coo_matrix

        check_values(values)
        total, done = self.number_of_edges(), 0
        ids = index_dtype(len(self.nodes))
        rows, columns, data = np.empty(total, ids), np.empty(total, ids), np.empty(total, np.float32)
        for batch in self.edge_batches():
            part = slice(done, done + batch.source.size)
            rows[part], columns[part], data[part] = batch.source, batch.target, getattr(batch, values)
            done = part.stop
        return coo_matrix((data, (rows, columns)), shape=(len(self.nodes),) * 2).tocsr()

    def to_networkx(self, limit: int = NETWORKX_LIMIT, rate_unit: str = "step") -> "networkx.DiGraph":
        """Return a `networkx.DiGraph` with nodes `(population, index)`, for small graphs.

        Where synapses between two populations have different delays, it is a `networkx.MultiDiGraph`, whose edges have
        the attribute `delay`, in time steps.

        Parameters
        ----------
        limit : int
            Largest number of nodes and edges together; more are a ResourceError. A node takes about 1,500 bytes of
            memory, an edge 800.
        rate_unit : {"step", "hz", "sample"}
        """
        size = self.number_of_nodes() + self.number_of_edges()
        if size > limit:
            raise ResourceError(
                f"{size:,} nodes and edges are more than the limit of {limit:,} for networkx; raise the limit, or use "
                "edge_batches(), to_scipy() or an export"
            )
        import networkx

        several = repeats(self.projections)
        result = (networkx.MultiDiGraph if several else networkx.DiGraph)(**self.describe(rate_unit))
        scale = 1.0 if self.recording is None else self.recording.rate_scale(rate_unit)
        names: List[Tuple[str, Tuple[int, ...]]] = []
        rates: List[Dict[str, float]] = []
        for population in self.populations:
            indices = [(population.name, index) for index in np.ndindex(*population.shape)]
            attributes = {"bias": population.bias}
            if population.rate is not None and population.spike_count is not None:
                attributes = {"rate": population.rate * scale, "spike_count": population.spike_count, **attributes}
            coding = {} if self.recording is None else {"coding": population.coding}
            if population.names is not None:
                attributes["name"] = population.names
            for index, values in zip(indices, zip(*(column.ravel().tolist() for column in attributes.values()))):
                result.add_node(index, **dict(zip(attributes, values)), **coding)
            names += indices
            rates += [{} if self.recording is None else {"rate": rate} for rate in population.edge_rate(scale).tolist()]
        for projection in self.projections:
            delay = {"delay": projection.delay} if several else {}
            for batch in projection.edge_batches(rate_scale=scale):
                result.add_edges_from(
                    (names[s], names[t], {"weight": weight, **rates[s], "edge": edge, **delay})
                    for s, t, weight, edge in zip(*(values.tolist() for values in batch))
                )
        return result


def seal(path: Path) -> None:
    """Write format, version and the SHA-256 of all bytes after the user block into the user block."""
    with path.open("r+b") as file:
        digest, size = _digest(file)
        file.seek(0)
        file.write(_head(digest, size))


def open_store(path: Path, *, checked: bool = False) -> h5py.File:  # noqa: TID251 - the type
    """Open a graph file after checking its format version and, unless it is `checked`, its checksum."""
    if not path.exists():
        raise DamagedError(path, "no such graph")
    with path.open("rb") as file:
        head = file.read(USER_BLOCK)
        if not head.startswith(FORMAT.encode() + b" "):
            raise DamagedError(path, f"not a {FORMAT}")
        version = head[len(FORMAT) : head.find(b"\n")].decode("ascii", "replace").strip()
        if version != str(VERSION):
            raise DamagedError(path, f"graph format {version[:20]!r}, this snnb reads {VERSION}")
        if not checked and head != _head(*_digest(file)):
            raise DamagedError(path, "truncated or altered, its SHA-256 is not the recorded one")
    return open_file(path)


def connection_name(population: int, number: int) -> str:
    """Return the name of the group of a population's connection, by numbers of population and connection."""
    return f"connections/{population:04d}" + (f".{number}" if number else "")


def list_name(projection: int) -> str:
    """Return the name of the group of the listed edges of a projection, by its row in `projections`."""
    return f"lists/{projection:04d}"


def weighting(layer: Layer, pool_weight: str) -> str:
    """Return the weighting of a layer's synapses: `kernel`, `one` or `mean`."""
    return {"kernel": "kernel", "average": pool_weight}.get(layer.WEIGHTING, "one")


def _head(digest: str, size: int) -> bytes:
    return f"{FORMAT} {VERSION}\nsha256 {digest}\nbytes {size}\n".encode().ljust(USER_BLOCK, b"\0")


def _digest(file: BinaryIO) -> Tuple[str, int]:
    """Return the SHA-256 and the number of the bytes after the user block."""
    file.seek(USER_BLOCK)
    digest = hashlib.sha256()
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest(), max(0, file.tell() - USER_BLOCK)


def _read_population(group: h5py.Group, recording: Optional[Recording], integers: bool) -> GraphPopulation:
    """Return a population in thresholds or as integers."""
    arrays = {name: whole(group[name]) for name in ("threshold", "initial_potential", "later_bias") if name in group}
    threshold, start = arrays.get("threshold"), arrays.get("initial_potential")
    if integers and threshold is not None and start is not None:
        start = to_integers(start, threshold)
    window, neuron = group.attrs.get("window"), None
    if "neuron" in group:
        numbers = {name: whole(values) for name, values in group["neuron"].items()}
        neuron = Neuron.of(numbers, spikes=bool(group["neuron"].attrs["spikes"]))
        neuron.check(tuple(group.attrs["shape"].tolist()))
    return GraphPopulation(
        name=group.attrs["name"],
        shape=tuple(group.attrs["shape"].tolist()),
        layer=group.attrs["layer"],
        first=int(group.attrs["first_id"]),
        coding=None if recording is None else group.attrs["coding"],
        window=None if window is None else (int(window[0]), int(window[1])),
        initial_potential=start,
        integer_threshold=threshold,
        integers=integers,
        recording=recording,
        stored_counts=None if recording is None else group["spike_count"],
        stored_bias=group.get("bias"),
        neuron=neuron,
        later_bias=arrays.get("later_bias"),
        stored_names=group.get("names"),
    )


def read_connections(
    file: h5py.Group, populations: Sequence[GraphPopulation], pool_weight: str, integers: bool
) -> Dict[Tuple[int, int, int], List[Connection]]:
    """Return the connections of each projection, by numbers of source and target and the delay; none of listed edges.

    `integers`: weights are integers, not in thresholds.
    """
    table = whole(file["projections"])
    delays = whole(file["delays"]) if "delays" in file else np.zeros(len(table), np.int64)
    links = [(source, target, delay) for (source, target), delay in zip(table.tolist(), delays.tolist())]
    between: Dict[Tuple[int, int, int], List[Connection]] = {link: [] for link in links}
    for number, target in enumerate(populations):
        names = (connection_name(number, i) for i in count())
        for group in (file[name] for name in takewhile(file.__contains__, names)):
            layer, geometry = read_geometry(group, target.name)
            weights = weighting(layer, pool_weight)
            kernel = None if layer.KERNEL is None else group["kernel"]
            delay = int(group.attrs.get("delay", 0))
            for k in map(int, group.attrs.get("sources", [source for source, to, _ in links if to == number])):
                unit = None
                if integers and kernel is not None and target.integer_threshold is not None:
                    unit = target.integer_threshold / (1 if k else np.float32(file.attrs["pixel"]))
                    unit = unit.reshape(geometry.kernel_shape[2:]) if geometry.pairing == "diagonal" else unit
                connection = Connection(
                    source=populations[k],
                    target=target,
                    layer=layer,
                    geometry=geometry,
                    weighting=weights,
                    parallel=bool(group.attrs["parallel"]),
                    first_id=int(group.attrs.get("first_id", 0)),
                    stored_ids=group.get("ids"),
                    stored_kernel=kernel,
                    unit=unit,
                    delay=delay,
                )
                between[k, number, delay].append(connection)
    return between


def read_geometry(group: h5py.Group, name: str) -> Tuple[Layer, Geometry]:
    """Return a layer made from its stored configuration, and its geometry for the stored input volume."""
    rule, volume = group.attrs["rule"], tuple(group.attrs["input_volume"].tolist())
    filters, channels = int(group.attrs["output_volume"][-1]), volume[-1]
    defaults = {"filters": filters, "depth_multiplier": max(1, filters // channels)}
    layer: Layer = configured(LAYER_KINDS[rule], {**defaults, **json.loads(group.attrs["geometry"])}, name)
    return layer, layer.geometry(volume[layer.LEADING_AXES :])


def log_lines(graph: SynapseGraph) -> List[str]:
    """Return the lines of the log of a graph."""
    text = [
        f"graph of {graph.number_of_nodes():,} nodes "
        f"in {len(graph.populations)} populations, {len(graph.projections)} projections"
    ]
    if graph.has_average_pooling:
        text.append(f"weights of average pooling: {graph.attributes['pool_weight']}")
    for name, content in (("parsed_sha256", "parsed model"), ("source_sha256", "source file or arrays of the graph")):
        if name in graph.attributes:
            text.append(f"SHA-256 of the {content}: {graph.attributes[name]}")
    if graph.recording is None:
        text.append("weights only, no spike counts: edge = weight")
    else:
        recording = graph.recording
        if "counts_sha256" in graph.attributes:
            text.append(f"SHA-256 of the spike counts: {graph.attributes['counts_sha256']}")
        text += [
            f"rates: spikes per time step of {recording.dt_ms:g} ms, over {recording.num_samples:,} samples of "
            f"{recording.num_timesteps:,} steps counted after a warm-up of {recording.warm_up:,}",
            f"edge = rate of the source × weight, in {graph.attributes['edge_unit']}",
        ]
        codings = sorted((p.coding, p.name) for p in graph.populations if p.coding is not None and p.coding != "spikes")
        text += [f"coding of {name}: {coding}" for coding, name in codings]
    text.append("")
    for summary in graph.summary():
        late = f", {summary.delay} time step{'s' * (summary.delay > 1)} later" if summary.delay else ""
        text += [
            f"{summary.source} → {summary.target} ({summary.rule}{late})",
            f"  edges               {summary.edges:,}, of which {summary.zero_edges:,} are 0 (no weight or no spike)",
            f"  out-degree          {summary.out_degree}",
            f"  in-degree           {summary.in_degree}",
            f"  weight              {summary.weight}",
            f"  edge                {summary.edge}, sum {summary.edge.sum:.9g}",
        ]
        if summary.spikes_per_second is not None:
            text.append(f"  spikes carried      {summary.spikes_per_second:,.6g} a second")
        text.append("")
    return [
        *text,
        f"neurons             {graph.number_of_neurons():,} (nodes, with the input: {graph.number_of_nodes():,})",
        f"synapses            {graph.number_of_edges():,}",
    ]
