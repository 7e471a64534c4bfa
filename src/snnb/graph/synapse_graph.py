"""The graph of a spiking network's synapses, read lazily from MODEL_graph.h5."""

from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Tuple

import h5py
import numpy as np

from snnb.core.errors import ResourceError, SnnbError, UsageError
from snnb.graph.connection import Connection
from snnb.graph.edges import EdgeBatch
from snnb.graph.fields import REMEDY, wrong
from snnb.graph.populations import POOL_WEIGHTS, Nodes
from snnb.graph.positions import InputVolume
from snnb.graph.projection import CACHE_EDGES, GraphProjection
from snnb.graph.read_graph import (
    connection_groups,
    read_geometry,
    read_head,
    read_kernel,
    read_populations,
    read_projections,
    read_sources,
)
from snnb.graph.statistics import ProjectionSummary, summarize
from snnb.graph.store import index_dtype, open_store, weighting
from snnb.io.hdf5 import RAISED_BY_HDF5, damaged

if TYPE_CHECKING:
    import networkx
    from scipy.sparse import csr_matrix

NETWORKX_LIMIT = 2_000_000


class SynapseGraph:
    """A directed graph: nodes are neurons, edges are synapses; methods are named as networkx names them.

    The file keeps kernels, not edges: edges are generated when asked for, always in the same order: projection after
    projection, in each by source, then target. Open it with `SynapseGraph.open`.

    Attributes
    ----------
    path : Path
    populations : tuple of GraphPopulation
        The input first, then the spiking layers in network order.
    projections : tuple of GraphProjection
        By target, then source, in the populations' order.
    nodes : Nodes
        `nodes[n]` tells population, index, rate, spike count and bias of a neuron.
    recording : Recording or None
        What the spike counts were recorded over; None if the graph holds weights only.
    attributes : dict
        The file's own: pool_weight, parsed_sha256, counts_sha256, units; class_number and class_name where the spikes
        are those of one class.
    """

    def __init__(self, path: Path, file: h5py.File, pool_weight: Optional[str] = None) -> None:
        self.path = path
        self._file = file
        self.attributes, self.recording = read_head(file)
        self.populations = read_populations(file, self.recording)
        self.nodes = Nodes(self.populations)
        self.projections = self._read_projections(pool_weight or str(self.attributes["pool_weight"]))
        self.attributes.update(pool_weight=pool_weight or self.attributes["pool_weight"])

    @classmethod
    def open(cls, path: Path) -> "SynapseGraph":
        """Open a graph after checking that the file is whole and unaltered.

        Raises
        ------
        InputError
            If it is missing, truncated, altered, of another format version, or no graph.
        """
        path = Path(path)
        file = open_store(path.absolute())  # kernels are mapped by name later, whatever the working directory is then
        try:
            return cls(path, file)
        except (*RAISED_BY_HDF5, IndexError, AttributeError) as error:
            file.close()
            raise damaged(path, error, REMEDY) from error
        except SnnbError:
            file.close()
            raise

    def with_pool_weight(self, pool_weight: str) -> "SynapseGraph":
        """Return the graph with average-pooling synapses of weight `one` or `mean`, whatever it was made with.

        It reads the same open file: close this graph, and not that one.
        """
        if pool_weight not in POOL_WEIGHTS:
            raise UsageError(f"pool weight {pool_weight!r} is unknown; use one of {', '.join(POOL_WEIGHTS)}")
        if pool_weight == self.attributes["pool_weight"]:
            return self
        return SynapseGraph(self.path, self._file, pool_weight)

    def _read_projections(self, pool_weight: str) -> Tuple[GraphProjection, ...]:
        links = read_projections(self._file, len(self.populations))
        stored = str(self.attributes["pool_weight"])
        between: Dict[Tuple[int, int], List[Connection]] = {link: [] for link in links}
        for number, groups in connection_groups(self._file, len(self.populations)).items():
            target = self.populations[number]
            fed = [source for source, of in links if of == number]
            for group in groups:
                layer, geometry = read_geometry(group, target, stored)
                numbers = read_sources(group, len(self.populations), fed)
                sources = [self.populations[source] for source in numbers]
                volume = InputVolume(group, geometry.input_volume, target, sources)
                kernel = read_kernel(group, target, layer, geometry)
                weights = weighting(layer, pool_weight)
                for source, population in zip(numbers, sources):
                    connection = Connection(population, target, layer, geometry, weights, volume, kernel)
                    between[source, number].append(connection)
        if not all(between.values()):
            raise wrong(self._file["projections"], "names a source that no connection has")
        return tuple(GraphProjection(connections, len(self.nodes)) for connections in between.values())

    def close(self) -> None:
        """Close the file; what has been read stays."""
        self._file.close()

    def __enter__(self) -> "SynapseGraph":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SynapseGraph {self.path.name}: {self.number_of_nodes():,} nodes, {self.number_of_edges():,} edges>"

    @property
    def class_name(self) -> Optional[str]:
        """The class whose samples the spikes are of; None for all samples."""
        name = self.attributes.get("class_name")
        return None if name is None else str(name)

    def number_of_nodes(self) -> int:
        """Count the nodes, the input's too."""
        return len(self.nodes)

    def number_of_neurons(self) -> int:
        """Count the nodes without the input's."""
        return len(self.nodes) - self.populations[0].size

    def number_of_edges(self) -> int:
        """Count the synapses."""
        return sum(projection.number_of_edges for projection in self.projections)

    def describe(self, rate_unit: str = "step") -> Dict[str, object]:
        """Return what a file of the graph must state: units, time step, samples, steps, warm-up, input hashes."""
        described = {name: value for name, value in self.attributes.items() if name not in ("format", "version")}
        if self.recording is not None:
            per = {"step": "time step", "hz": "second", "sample": "sample"}[rate_unit]
            described.update(rate_unit=f"spikes per {per}", edge_unit=f"thresholds per {per}")
        return described

    def edge_batches(self, max_edges: int = CACHE_EDGES) -> Iterator[EdgeBatch]:
        """Generate all edges in batches of at most `max_edges`, each overwriting the one before."""
        for projection in self.projections:
            yield from projection.edge_batches(max_edges)

    def successors(self, node: int) -> np.ndarray:
        """Return the ids (int64) of the neurons that `node` has synapses onto, projection after projection."""
        population = self.nodes.population(node)
        found = [p.successors(node)[0] for p in self.projections if p.source is population]
        return np.concatenate([np.empty(0, np.int64), *found])

    def predecessors(self, node: int) -> np.ndarray:
        """Return the ids (int64, ascending) of the neurons that have synapses onto `node`."""
        population = self.nodes.population(node)
        found = [p.predecessors(node)[0] for p in self.projections if p.target is population]
        return np.concatenate([np.empty(0, np.int64), *found])

    def out_degree(self, node: int) -> int:
        """Count the synapses of one neuron; `projection.out_degrees` has those of all."""
        return len(self.successors(node))

    def in_degree(self, node: int) -> int:
        """Count the synapses onto one neuron; `projection.in_degrees` has those of all."""
        return len(self.predecessors(node))

    def summary(self) -> Tuple[ProjectionSummary, ...]:
        """Summarize every projection: degrees, weights, edges, spikes carried; computed without generating edges."""
        seconds = None if self.recording is None else self.recording.dt_ms / 1000
        return tuple(summarize(projection, seconds) for projection in self.projections)

    def to_scipy(self, values: str = "weight") -> "csr_matrix":
        """Return the whole graph as a sparse matrix of shape (nodes, nodes), rows the sources.

        Parameters
        ----------
        values : {"weight", "edge"}
        """
        from scipy.sparse import coo_matrix

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

        Raises
        ------
        ResourceError
            If there are more than `limit` edges: about 800 bytes each.
        """
        edges = self.number_of_edges()
        if edges > limit:
            raise ResourceError(
                f"{edges:,} edges are more than the limit of {limit:,} for networkx, about "
                f"{edges * 800 / 1e9:,.1f} GB; raise the limit, or take edge_batches(), to_scipy() or `snnb export`"
            )
        from snnb.graph.networkx_graph import digraph

        described = self.describe(rate_unit)
        return digraph(self.populations, self.projections, self.recording, described, rate_unit)
