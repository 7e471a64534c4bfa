"""The graph of a spiking network's synapses, read on demand from MODEL_graph.h5.

The format is described in docs/graph-format.md.
"""

import hashlib
import json
import math
import shutil
from functools import cached_property
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    BinaryIO,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Type,
    Union,
)

import h5py
import numpy as np

from snnb.core.errors import DamagedError, ResourceError, SnnbError, UsageError
from snnb.core.formatting import format_shape
from snnb.core.machine import require_memory
from snnb.graph.connection import (
    Connection,
    EdgeBatch,
    check_values,
    edge_buffer,
    index_dtype,
)
from snnb.graph.neuron_names import labels_of
from snnb.graph.populations import (
    POOL_WEIGHTS,
    RATE_UNITS,
    GraphPopulation,
    Nodes,
    to_integers,
)
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
from snnb.io.atomic import atomic_path
from snnb.io.hdf5 import RAISED_BY_HDF5, damaged, open_file, whole, writing
from snnb.io.memory_group import MemoryGroup
from snnb.io.text import html_table
from snnb.network.geometry import Geometry
from snnb.network.layers import LAYER_KINDS, Layer, configured
from snnb.network.network import DROPPED
from snnb.network.neuron import Neuron
from snnb.network.spike_counts import RECORDING, Recording

if TYPE_CHECKING:
    import networkx
    from scipy.sparse import csr_matrix

NETWORKX_LIMIT = 2_000_000  # nodes and edges
FORMAT = "snnb synapse graph"
VERSION = 1
USER_BLOCK = 512
IN_MEMORY = Path("graph in memory")  # stands for the path of a graph without a file
# Where a file with spike counts does not state it
EDGE_UNIT = "thresholds per time step"


class SynapseGraph:
    """A directed graph whose nodes are neurons and whose edges are synapses.

    Methods have the names of networkx.

    The file contains kernels instead of edges, or lists of edges. Edges are generated
    on demand, always in the same order: projection after projection, within each by
    source, then target. Open a file with `SynapseGraph.open`, or build a graph in
    memory with `snnb.build_graph`.

    Attributes
    ----------
    path : Path
        File of the graph; `graph in memory` if it has none.
    populations : tuple of GraphPopulation
        The inputs first, then the spiking layers in network order.
    inputs, layers : tuple of GraphPopulation
        The populations that are inputs, one in a graph of `snnb`; and the others.
    projections : tuple of GraphProjection
        By target, then source, in the populations' order, then delay. In a network with
        cycles a projection may read a later population, or its target.
    nodes : Nodes
        `nodes[n]` has population, index, rate, spike count and bias of a neuron.
    recording : Recording or None
        Samples and time steps that spikes were counted in; None for a graph without
        spike counts.
    attributes : dict
        Attributes of the file: pool_weight, parsed_sha256, counts_sha256, units;
        weight_bits and pixel of an integer network; zeros of a pruned one.
    integers : bool
        Whether weights are integers, see `with_integers`, not in thresholds.
    """

    def __init__(
        self,
        path: Path,
        file: Union[h5py.File, MemoryGroup],  # noqa: TID251
        pool_weight: Optional[str] = None,
        integers: bool = False,
    ) -> None:
        self.path = path
        self._file = file
        self.attributes = _read_attributes(file)
        self.recording = _read_recording(self.attributes)
        stored = file["populations"]
        groups = [stored[f"{number:04d}"] for number in range(len(stored))]
        nodes = sum(math.prod(group.attrs["shape"].tolist()) for group in groups)
        number_bytes = 8  # a number for each neuron
        require_memory(number_bytes * nodes, f"{file.filename}: the {nodes:,} neurons")
        populations = [_read_population(g, self.recording, integers) for g in groups]
        self.populations = tuple(populations)
        self.nodes = Nodes(self.populations)
        if pool_weight is not None:
            self.attributes["pool_weight"] = pool_weight
        self.integers = integers
        n_inputs = int(str(self.attributes.pop("inputs", 1)))
        self.inputs = self.populations[:n_inputs]
        self.layers = self.populations[n_inputs:]
        self.projections = self._read_projections()

    def _read_projections(self) -> Tuple[GraphProjection, ...]:
        """Return the projections in the order of the file."""
        pool_weight = str(self.attributes.get("pool_weight"))
        connections_by_link = read_connections(
            self._file,
            self.populations,
            pool_weight,
            self.integers,
        )
        drops_zeros = self.attributes.get("zeros") == DROPPED
        nodes = len(self.nodes)
        projections: List[GraphProjection] = []
        for number, (link, connections) in enumerate(connections_by_link.items()):
            if not connections:
                ends = self.populations[link.source], self.populations[link.target]
                edge_list = self._file[list_name(number)]
                projections.append(ListedProjection(edge_list, ends, nodes))
            elif drops_zeros and any(c.has_zeros for c in connections):
                projections.append(SparseProjection(connections, nodes))
            else:  # no weight is 0, or such weights are synapses
                projections.append(KernelProjection(connections, nodes))
        return tuple(projections)

    @classmethod
    def open(cls, path: Path, *, checked: bool = False) -> "SynapseGraph":
        """Open a graph after checking the checksum of the file.

        Parameters
        ----------
        path : Path
        checked : bool
            Whether the caller has compared the hash of the file; its content is then
            not hashed again.

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
        """Return the graph with average-pooling synapses of weight `one` or `mean`.

        Close only the graph that this method is called on.
        """
        if pool_weight not in POOL_WEIGHTS:
            choices = ", ".join(POOL_WEIGHTS)
            raise UsageError(
                f"pool weight {pool_weight!r} is unknown; use one of {choices}",
            )
        # Without the attribute, the edges are listed with their weights.
        current_weight = self.attributes.get("pool_weight", pool_weight)
        if current_weight == pool_weight:
            return self
        return SynapseGraph(self.path, self._file, pool_weight, self.integers)

    def with_integers(self) -> "SynapseGraph":
        """Return the graph with the integers of an integer network.

        Weights, biases and initial potentials are integers; a pixel of 1 is the
        attribute `pixel`, a neuron's threshold `firing_threshold`. Close only the graph
        that this method is called on.
        """
        if "weight_bits" not in self.attributes:
            raise UsageError(
                f"{self.path} has no integer weights; convert with weight bits to have "
                "them"
            )
        pool_weight = str(self.attributes["pool_weight"])
        return SynapseGraph(self.path, self._file, pool_weight, integers=True)

    def write(self, path: Union[str, Path]) -> None:
        """Write the graph as MODEL_graph.h5, which `SynapseGraph.open` reads.

        The file appears when it is complete.

        Parameters
        ----------
        path : str or Path
            An existing file is replaced.

        Raises
        ------
        UsageError
            The weights are those of `with_pool_weight` or `with_integers`; write the
            graph on which the method was called.
        """
        pool_weight = self.attributes.get("pool_weight")
        if self.integers or pool_weight != self._file.attrs.get("pool_weight"):
            raise UsageError(
                f"{self.path}: the weights are not the stored ones; write the graph on "
                "which with_pool_weight or with_integers was called"
            )
        with atomic_path(Path(path), force=True) as temporary:
            if isinstance(self._file, MemoryGroup):
                with writing(temporary, userblock_size=USER_BLOCK) as file:
                    self._file.write(file)
                seal(temporary)
            else:
                shutil.copyfile(self.path, temporary)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "SynapseGraph":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        nodes = self.number_of_nodes()
        edges = self.number_of_edges()
        return f"<SynapseGraph {self.path.name}: {nodes:,} nodes, {edges:,} edges>"

    def _repr_html_(self) -> str:
        rows = [
            (
                population.name,
                population.layer,
                format_shape(population.shape),
                f"{population.size:,}",
            )
            for population in self.populations
        ]
        head = ("population", "layer", "shape", "neurons")
        return html_table(repr(self)[1:-1], rows, head)

    @property
    def has_average_pooling(self) -> bool:
        """Whether some synapses have the attribute `pool_weight` as weight.

        It is False if poolings became convolutions.
        """
        return any(c.layer.WEIGHTING == "average" for c in self._connections())

    def _connections(self) -> Iterator[Connection]:
        """Yield the connections of all projections."""
        for projection in self.projections:
            yield from projection.connections

    @property
    def assumed_spikes(self) -> bool:
        """Whether one spike per neuron is assumed, since there are no spike counts."""
        return bool(self.attributes.get("assumed_spikes"))

    @property
    def neuron_model(self) -> bool:
        """Whether populations have a neuron model, as in a network from a NIR file."""
        return any(population.neuron is not None for population in self.layers)

    @property
    def fixed_point(self) -> bool:
        """Whether populations have fixed-point neurons, see `Neuron`."""
        models = [population.neuron for population in self.layers]
        return any(model is not None and model.fixed_point for model in models)

    @cached_property
    def names(self) -> Optional[List[str]]:
        """Name of each neuron by id; None without names.

        In a graph of several populations, a name is `POPULATION,NAME`.
        """
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
        """Time steps until a recorded sample has passed all populations.

        See `Network.latency`.
        """
        assert self.recording is not None
        duration = self.recording.warm_up + self.recording.num_timesteps
        window_ends = [p.window[1] for p in self.populations if p.window]
        return max(window_ends, default=duration)

    @property
    def interval(self) -> int:
        """Time steps from the beginning of a sample to the next, without the warm-up.

        See `Network.interval`.
        """
        assert self.recording is not None
        spans = []
        for projection in self.projections:
            target_window = projection.target.window
            if target_window is None:
                continue
            source_window = projection.source.window
            source_start = 0 if source_window is None else source_window[0]
            spans.append(target_window[1] - source_start)
        return max(spans, default=self.recording.num_timesteps)

    @cached_property
    def first_steps(self) -> Dict[str, int]:
        """First step of each population where every synapse takes at least a step.

        In such a simulator the populations of a network of depth d begin one after the
        other; with a delay of the first step of the target less that of the source, all
        spikes that meet in a simulator without delays meet there too, also if
        connections skip populations. Biases, a constant input and the counting of
        spikes begin at the first step. The input begins at 0 if it spikes, at -1 if it
        is a current, which is there at once. The delay of a projection is part of the
        step that its synapses take. In a graph with a cycle of more projections than
        delays, which no such simulator can step, all populations begin at 0.
        """
        steps = {population.name: 0 for population in self.layers}
        for population in self.inputs:
            steps[population.name] = 0 if population.coding == "spikes" else -1
        for _ in self.populations:
            previous_steps = dict(steps)
            for projection in self.projections:
                target = projection.target.name
                arrival = steps[projection.source.name] + 1 - projection.delay
                steps[target] = max(steps[target], arrival)
            if steps == previous_steps:
                return steps
        return {population.name: 0 for population in self.populations}

    @cached_property
    def delay_steps(self) -> Dict[GraphProjection, int]:
        """Delay of each projection in the simulator of `first_steps`, in time steps."""
        delays = {}
        for projection in self.projections:
            source_step = self.first_steps[projection.source.name]
            target_step = self.first_steps[projection.target.name]
            delays[projection] = max(target_step - source_step + projection.delay, 1)
        return delays

    def describe(self, rate_unit: str = "step") -> Dict[str, object]:
        """Return the metadata of an export: units, recording, hashes of the inputs."""
        if rate_unit not in RATE_UNITS:
            choices = ", ".join(RATE_UNITS)
            raise UsageError(
                f"rate unit {rate_unit!r} is unknown; use one of {choices}",
            )
        metadata = dict(self.attributes)
        metadata.pop("format", None)
        metadata.pop("version", None)
        if self.recording is not None:
            periods = {"step": "time step", "hz": "second", "sample": "sample"}
            period = periods[rate_unit]
            edge_unit = str(self.attributes["edge_unit"])
            metadata["rate_unit"] = f"spikes per {period}"
            metadata["edge_unit"] = edge_unit.replace("time step", period)
        if self.integers:
            edge_unit = str(metadata["edge_unit"])
            metadata["edge_unit"] = edge_unit.replace("thresholds", "integer weights")
        return metadata

    def edge_batches(self, max_edges: int = CACHE_EDGES) -> Iterator[EdgeBatch]:
        """Generate all edges in batches of at most `max_edges`.

        Each batch overwrites the one before.
        """
        for projection in self.projections:
            yield from projection.edge_batches(max_edges)

    def successors(self, node: int) -> np.ndarray:
        """Return the ids (int64) of the targets of `node`, ordered by projection."""
        return self.edges_of(node).target.astype(np.int64)

    def predecessors(self, node: int) -> np.ndarray:
        """Return the ids of the sources of `node`: int64, ordered by projection.

        They ascend in each projection. A source with several delays is there for each.
        """
        return self.edges_of(node, "in").source.astype(np.int64)

    def edges_of(self, node: int, direction: str = "out") -> EdgeBatch:
        """Return the synapses of one neuron with their weights, in new arrays.

        Parameters
        ----------
        node : int
            Id of a neuron or input.
        direction : {"out", "in"}
            Synapses from the neuron, in the order of `successors`, or onto it, in the
            order of `predecessors`.

        Returns
        -------
        EdgeBatch
            Arrays `source`, `target`, `weight` (float32) and `edge` (float32, rate of
            the source × weight).

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
        population = self.nodes.population(node)
        id_dtype = index_dtype(len(self.nodes))
        parts = [edge_buffer(0, id_dtype)]
        for projection in self.projections:
            if direction == "out" and projection.source is population:
                index = node - population.first
                parts.append(projection.edges_of(index, index + 1))
            elif direction == "in" and projection.target is population:
                sources, weights = projection.predecessors(node)
                rates = projection.source.edge_rate(1.0)
                in_edges = EdgeBatch(
                    source=sources.astype(id_dtype),
                    target=np.full(sources.size, node, id_dtype),
                    weight=weights,
                    edge=rates[sources - projection.source.first] * weights,
                )
                parts.append(in_edges)
        return EdgeBatch(*map(np.concatenate, zip(*parts)))

    def out_degree(self, node: int) -> int:
        """Return the number of synapses of one neuron.

        See `projection.out_degrees` for all neurons.
        """
        return len(self.successors(node))

    def in_degree(self, node: int) -> int:
        """Return the number of synapses onto one neuron.

        See `projection.in_degrees` for all neurons.
        """
        return len(self.predecessors(node))

    def summary(self) -> Tuple[ProjectionSummary, ...]:
        """Summarize every projection: degrees, weights, edges, spikes."""
        seconds_per_step = None
        if self.recording is not None:
            # A sample takes the interval; a population with a window counts a part of
            # it.
            dt_seconds = self.recording.dt_ms / 1000
            seconds = dt_seconds * self.interval
            seconds_per_step = seconds / self.recording.num_timesteps
        return tuple(summarize(p, seconds_per_step) for p in self.projections)

    def to_scipy(self, values: str = "weight") -> "csr_matrix":
        """Return a sparse matrix of shape (nodes, nodes), whose rows are the sources.

        `values` is `weight` or `edge`.
        """
        from scipy.sparse import coo_matrix

        check_values(values)
        nodes = len(self.nodes)
        id_dtype = index_dtype(nodes)
        total = self.number_of_edges()
        rows = np.empty(total, id_dtype)
        columns = np.empty(total, id_dtype)
        data = np.empty(total, np.float32)
        done = 0
        for batch in self.edge_batches():
            part = slice(done, done + batch.source.size)
            rows[part] = batch.source
            columns[part] = batch.target
            data[part] = getattr(batch, values)
            done = part.stop
        return coo_matrix((data, (rows, columns)), shape=(nodes, nodes)).tocsr()

    def to_networkx(
        self,
        limit: int = NETWORKX_LIMIT,
        rate_unit: str = "step",
    ) -> "networkx.DiGraph":
        """Return a small graph as `networkx.DiGraph` with nodes `(population, index)`.

        Where synapses between two populations have different delays, it is a
        `networkx.MultiDiGraph`, whose edges have the attribute `delay`, in time steps.

        Parameters
        ----------
        limit : int
            Largest number of nodes and edges together; more are a ResourceError. A node
            takes about 1,500 bytes of memory, an edge 800.
        rate_unit : {"step", "hz", "sample"}
        """
        size = self.number_of_nodes() + self.number_of_edges()
        if size > limit:
            raise ResourceError(
                f"{size:,} nodes and edges are more than the limit of {limit:,} "
                "for networkx; raise the limit, or use "
                "edge_batches(), to_scipy() or an export"
            )
        import networkx

        has_parallel_edges = repeats(self.projections)
        graph_class: Type[networkx.DiGraph] = networkx.DiGraph
        if has_parallel_edges:
            graph_class = networkx.MultiDiGraph
        result = graph_class(**self.describe(rate_unit))
        scale = 1.0
        if self.recording is not None:
            scale = self.recording.rate_scale(rate_unit)
        names: List[NodeName] = []  # by id
        # The edge attribute `rate`, by id of the source
        rates: List[Dict[str, float]] = []
        for population in self.populations:
            for name, attributes in _named_nodes(population, scale):
                result.add_node(name, **attributes)
                names.append(name)
            for rate in population.edge_rate(scale).tolist():
                rates.append({} if self.recording is None else {"rate": rate})
        for projection in self.projections:
            delay = {"delay": projection.delay} if has_parallel_edges else {}
            for batch in projection.edge_batches(rate_scale=scale):
                rows = zip(*(values.tolist() for values in batch))
                result.add_edges_from(
                    (
                        names[s],
                        names[t],
                        {"weight": weight, **rates[s], "edge": edge, **delay},
                    )
                    for s, t, weight, edge in rows
                )
        return result


NodeName = Tuple[str, Tuple[int, ...]]  # population, and index in its shape


def _named_nodes(
    population: GraphPopulation,
    rate_scale: float,
) -> Iterator[Tuple[NodeName, Dict[str, object]]]:
    """Yield name and attributes of the node of each neuron of a population."""
    columns = {}
    if population.rate is not None and population.spike_count is not None:
        columns["rate"] = population.rate * rate_scale
        columns["spike_count"] = population.spike_count
    columns["bias"] = population.bias
    if population.names is not None:
        columns["name"] = population.names
    coding = {} if population.recording is None else {"coding": population.coding}
    rows = zip(*(column.ravel().tolist() for column in columns.values()))
    for index, row in zip(np.ndindex(*population.shape), rows):
        yield (population.name, index), {**dict(zip(columns, row)), **coding}


def seal(path: Path) -> None:
    """Write the user block: format, version and SHA-256 of all bytes after it."""
    with path.open("r+b") as file:
        digest, size = _digest(file)
        file.seek(0)
        file.write(_head(digest, size))


def open_store(path: Path, *, checked: bool = False) -> h5py.File:  # noqa: TID251
    """Open a graph file after checking its format version and its checksum.

    `checked`: the caller has compared the hash of the file, so the checksum is not.
    """
    if not path.exists():
        raise DamagedError(path, "no such graph")
    with path.open("rb") as file:
        head = file.read(USER_BLOCK)
        if not head.startswith(FORMAT.encode() + b" "):
            raise DamagedError(path, f"not a {FORMAT}")
        stored_version = head[len(FORMAT) : head.find(b"\n")]
        version = stored_version.decode("ascii", "replace").strip()
        if version != str(VERSION):
            raise DamagedError(
                path, f"graph format {version[:20]!r}, this snnb reads {VERSION}"
            )
        if not checked and head != _head(*_digest(file)):
            raise DamagedError(
                path, "truncated or altered, its SHA-256 is not the recorded one"
            )
    return open_file(path)


def connection_name(population: int, number: int) -> str:
    """Return the name of the group of a connection, by number, of a population."""
    return f"connections/{population:04d}" + (f".{number}" if number else "")


def list_name(projection: int) -> str:
    """Return the name of the group of listed edges of a projection, by its number."""
    return f"lists/{projection:04d}"


def weighting(layer: Layer, pool_weight: str) -> str:
    """Return the weighting of a layer's synapses: `kernel`, `one` or `mean`."""
    return {"kernel": "kernel", "average": pool_weight}.get(layer.WEIGHTING, "one")


def _head(digest: str, size: int) -> bytes:
    """Return the user block, by SHA-256 and number of the bytes after it."""
    text = f"{FORMAT} {VERSION}\nsha256 {digest}\nbytes {size}\n"
    return text.encode().ljust(USER_BLOCK, b"\0")


def _digest(file: BinaryIO) -> Tuple[str, int]:
    """Return the SHA-256 and the number of the bytes after the user block."""
    file.seek(USER_BLOCK)
    digest = hashlib.sha256()
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest(), max(0, file.tell() - USER_BLOCK)


def _read_attributes(file: h5py.Group) -> Dict[str, object]:
    """Return the attributes of a graph file by name, sorted, as Python's types."""
    attributes = {}
    for name, value in sorted(file.attrs.items()):
        attributes[name] = value.item() if isinstance(value, np.generic) else value
    if "num_samples" in attributes:
        attributes.setdefault("edge_unit", EDGE_UNIT)  # another program wrote the file
    return attributes


def _read_recording(attributes: Mapping[str, Any]) -> Optional[Recording]:
    """Return the recording that the attributes describe; None without spike counts."""
    if "num_samples" not in attributes:
        return None
    return Recording(*(attributes[name] for name in RECORDING))


def _read_population(
    group: h5py.Group,
    recording: Optional[Recording],
    integers: bool,
) -> GraphPopulation:
    """Return a population, whose initial potential is an integer if `integers`."""
    threshold = _read_optional(group, "threshold")
    initial_potential = _read_optional(group, "initial_potential")
    if integers and threshold is not None and initial_potential is not None:
        initial_potential = to_integers(initial_potential, threshold)
    window = group.attrs.get("window")
    return GraphPopulation(
        name=group.attrs["name"],
        shape=tuple(group.attrs["shape"].tolist()),
        layer=group.attrs["layer"],
        first=int(group.attrs["first_id"]),
        coding=None if recording is None else group.attrs["coding"],
        window=None if window is None else (int(window[0]), int(window[1])),
        initial_potential=initial_potential,
        integer_threshold=threshold,
        integers=integers,
        recording=recording,
        stored_counts=None if recording is None else group["spike_count"],
        stored_bias=group.get("bias"),
        neuron=_read_neuron(group),
        later_bias=_read_optional(group, "later_bias"),
        stored_names=group.get("names"),
    )


def _read_optional(group: h5py.Group, name: str) -> Optional[np.ndarray]:
    """Return an array of a group; None if the group has no such array."""
    return whole(group[name]) if name in group else None


def _read_neuron(group: h5py.Group) -> Optional[Neuron]:
    """Return the neuron model of a population; None in a converted network."""
    if "neuron" not in group:
        return None
    stored = group["neuron"]
    numbers = {name: whole(values) for name, values in stored.items()}
    neuron = Neuron.from_numbers(
        numbers,
        is_spiking=bool(stored.attrs["spikes"]),
        fixed_point=bool(stored.attrs.get("fixed_point", False)),
    )
    neuron.check(tuple(group.attrs["shape"].tolist()))
    return neuron


class Link(NamedTuple):
    """Numbers of the populations of a projection, and its delay in time steps."""

    source: int
    target: int
    delay: int


def read_connections(
    file: h5py.Group,
    populations: Sequence[GraphPopulation],
    pool_weight: str,
    integers: bool,
) -> Dict[Link, List[Connection]]:
    """Return the connections of each projection, in the order of the projections.

    The list of a projection with listed edges is empty. `integers`: weights are
    integers, not in thresholds.
    """
    links = _read_links(file)
    connections: Dict[Link, List[Connection]] = {link: [] for link in links}
    for number, target in enumerate(populations):
        all_sources = [link.source for link in links if link.target == number]
        for group in _connection_groups(file, number):
            layer, geometry = read_geometry(group, target.name)
            kernel = None if layer.KERNEL is None else group["kernel"]
            delay = int(group.attrs.get("delay", 0))
            for source in map(int, group.attrs.get("sources", all_sources)):
                unit = None
                threshold = target.integer_threshold
                if integers and kernel is not None and threshold is not None:
                    # A network of integers has one input, population 0
                    pixel = 1 if source else np.float32(file.attrs["pixel"])
                    unit = geometry.spread_filters(threshold / pixel)
                connection = Connection(
                    source=populations[source],
                    target=target,
                    layer=layer,
                    geometry=geometry,
                    weighting=weighting(layer, pool_weight),
                    parallel=bool(group.attrs["parallel"]),
                    first_id=int(group.attrs.get("first_id", 0)),
                    stored_ids=group.get("ids"),
                    stored_kernel=kernel,
                    unit=unit,
                    delay=delay,
                )
                connections[Link(source, number, delay)].append(connection)
    return connections


def _read_links(file: h5py.Group) -> List[Link]:
    """Return source, target and delay of each projection, in the order of the file."""
    ends = whole(file["projections"])
    delays = np.zeros(len(ends), np.int64)
    if "delays" in file:
        delays = whole(file["delays"])
    rows = zip(ends.tolist(), delays.tolist())
    return [Link(source, target, delay) for (source, target), delay in rows]


def _connection_groups(file: h5py.Group, population: int) -> Iterator[h5py.Group]:
    """Yield the groups of the connections onto a population, by number from 0."""
    number = 0
    while connection_name(population, number) in file:
        yield file[connection_name(population, number)]
        number += 1


def read_geometry(group: h5py.Group, name: str) -> Tuple[Layer, Geometry]:
    """Return a layer from its stored configuration, and its geometry.

    The geometry is that of the layer for the stored input volume; `name` is the name of
    the layer for messages.
    """
    layer_class = LAYER_KINDS[group.attrs["rule"]]
    input_volume = tuple(group.attrs["input_volume"].tolist())
    filters = int(group.attrs["output_volume"][-1])
    channels = input_volume[-1]
    config = {
        "filters": filters,
        "depth_multiplier": max(1, filters // channels),
        **json.loads(group.attrs["geometry"]),
    }
    layer: Layer = configured(layer_class, config, name)
    return layer, layer.geometry(input_volume[layer.LEADING_AXES :])


def log_lines(graph: SynapseGraph) -> List[str]:
    """Return the lines of the log of a graph."""
    nodes = graph.number_of_nodes()
    populations = f"{len(graph.populations)} populations"
    projections = f"{len(graph.projections)} projections"
    lines = [f"graph of {nodes:,} nodes in {populations}, {projections}"]
    if graph.has_average_pooling:
        lines.append(f"weights of average pooling: {graph.attributes['pool_weight']}")
    if "parsed_sha256" in graph.attributes:
        sha256 = graph.attributes["parsed_sha256"]
        lines.append(f"SHA-256 of the parsed model: {sha256}")
    if "source_sha256" in graph.attributes:
        sha256 = graph.attributes["source_sha256"]
        lines.append(f"SHA-256 of the source file or arrays of the graph: {sha256}")
    lines += _recording_lines(graph)
    lines.append("")
    for summary in graph.summary():
        lines += _projection_lines(summary)
        lines.append("")
    neurons = graph.number_of_neurons()
    lines.append(f"neurons             {neurons:,} (nodes, with the input: {nodes:,})")
    lines.append(f"synapses            {graph.number_of_edges():,}")
    return lines


def _recording_lines(graph: SynapseGraph) -> List[str]:
    """Return the lines of the log about spike counts, rates and codings."""
    recording = graph.recording
    if recording is None:
        return ["weights only, no spike counts: edge = weight"]
    lines = []
    if "counts_sha256" in graph.attributes:
        sha256 = graph.attributes["counts_sha256"]
        lines.append(f"SHA-256 of the spike counts: {sha256}")
    lines.append(
        f"rates: spikes per time step of {recording.dt_ms:g} ms, "
        f"over {recording.num_samples:,} samples of {recording.num_timesteps:,} steps "
        f"counted after a warm-up of {recording.warm_up:,}",
    )
    edge_unit = graph.attributes["edge_unit"]
    lines.append(f"edge = rate of the source × weight, in {edge_unit}")
    codings = []
    for population in graph.populations:
        if population.coding is not None and population.coding != "spikes":
            codings.append((population.coding, population.name))
    lines += [f"coding of {name}: {coding}" for coding, name in sorted(codings)]
    return lines


def _projection_lines(summary: ProjectionSummary) -> List[str]:
    """Return the lines of the log about a projection."""
    rule = summary.rule
    if summary.delay:
        plural = "s" * (summary.delay > 1)
        rule += f", {summary.delay} time step{plural} later"
    zero_edges = f"{summary.zero_edges:,} are 0 (no weight or no spike)"
    lines = [
        f"{summary.source} → {summary.target} ({rule})",
        f"  edges               {summary.edges:,}, of which {zero_edges}",
        f"  out-degree          {summary.out_degree}",
        f"  in-degree           {summary.in_degree}",
        f"  weight              {summary.weight}",
        f"  edge                {summary.edge}, sum {summary.edge.sum:.9g}",
    ]
    if summary.spikes_per_second is not None:
        lines.append(f"  spikes carried      {summary.spikes_per_second:,.6g} a second")
    return lines
