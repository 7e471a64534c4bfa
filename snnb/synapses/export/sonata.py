"""`sonata`: a directory of SONATA files for libsonata and bmtk: one population `snn`, ids as in the graph.

(SONATA data format, version 0.1: Dai et al., PLOS Computational Biology 16(2), 2020.)
"""

import json
from pathlib import Path
from typing import Dict

import h5py
import numpy as np
import psutil

from snnb.errors import ResourceError, UsageError
from snnb.synapses.export.nodes import node_table
from snnb.synapses.export.request import BATCH, Format, Request
from snnb.synapses.graph import SynapseGraph

NODES, EDGES = "snn", "snn_snn"
INDEX_BYTES = 45  # of memory that libsonata's index writer takes for an edge
BLOCK = 8 * BATCH


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    path.mkdir()
    _write_nodes(graph, path, request)
    _write_edges(graph, path, request)
    circuit = {
        "manifest": {"$BASE_DIR": "."},
        "networks": {
            kind: [
                {
                    f"{kind}_file": f"$BASE_DIR/{kind}.h5",
                    f"{kind[:-1]}_types_file": f"$BASE_DIR/{kind[:-1]}_types.csv",
                    "populations": {population: properties},
                }
            ]
            for kind, population, properties in (("nodes", NODES, {"type": "point_neuron"}), ("edges", EDGES, {}))
        },
    }
    (path / "circuit_config.json").write_text(json.dumps(circuit, indent=2) + "\n")


def _create(path: Path) -> h5py.File:
    file = h5py.File(str(path), "w")
    file.attrs["magic"] = np.uint32(0x0A7A)
    file.attrs["version"] = np.array([0, 1], np.uint32)
    return file


def _write_nodes(graph: SynapseGraph, path: Path, request: Request) -> None:
    table = node_table(graph, request)
    with _create(path / "nodes.h5") as file:
        group = file.create_group(f"nodes/{NODES}")
        ids = np.arange(graph.number_of_nodes(), dtype=np.uint64)
        columns: Dict[str, np.ndarray] = {
            "node_id": ids,
            "node_type_id": table["population"].astype(np.uint64),
            "node_group_id": np.zeros(ids.size, np.uint64),
            "node_group_index": ids,
            **{f"0/index_{axis}": table["index"][:, axis] for axis in range(table["index"].shape[1])},
            **{f"0/{name}": table[name] for name in ("bias", "rate", "spike_count") if name in table},
        }
        for name, values in columns.items():
            group.create_dataset(name, data=values, track_times=False)
    lines = ["node_type_id pop_name layer model_type coding"]
    for number, population in enumerate(graph.populations):
        model = "virtual" if population is graph.populations[0] else "point_neuron"
        lines.append(f'{number} "{population.name}" {population.layer} {model} {population.coding or "none"}')
    (path / "node_types.csv").write_text("\n".join(lines) + "\n")


def _write_edges(graph: SynapseGraph, path: Path, request: Request) -> None:
    import libsonata

    edges = graph.number_of_edges()
    counter = request.counter(edges)
    scale = request.rate_scale(graph)
    whole = np.dtype(np.uint32 if edges < 2**32 else np.uint64)
    with _create(path / "edges.h5") as file:
        file.attrs.update(graph.describe(request.rate_unit))
        group = file.create_group(f"edges/{EDGES}")
        kinds = {
            "source_node_id": np.dtype(np.uint64),
            "target_node_id": np.dtype(np.uint64),
            "edge_type_id": np.dtype(np.uint16),
            "edge_group_index": whole,
            "0/syn_weight": np.dtype(np.float32),
            "0/edge": np.dtype(np.float32),
        }
        columns = {name: group.create_dataset(name, (edges,), kind, track_times=False) for name, kind in kinds.items()}
        # All edges are in group 0: a dataset that is all fill value and takes no room.
        group.create_dataset("edge_group_id", (edges,), np.uint16, chunks=True, fillvalue=0, track_times=False)
        for name in ("source_node_id", "target_node_id"):
            columns[name].attrs["node_population"] = NODES
        done = 0
        for number, projection in enumerate(graph.projections):
            rate = projection.source.edge_rate(scale)
            for batch in projection.edge_batches(BLOCK, scale):
                part = slice(done, done + batch.source.size)
                columns["source_node_id"][part] = batch.source
                columns["target_node_id"][part] = batch.target
                columns["edge_type_id"][part] = np.full(batch.source.size, number, np.uint16)
                columns["edge_group_index"][part] = np.arange(part.start, part.stop, dtype=whole)
                columns["0/syn_weight"][part] = batch.weight
                if "0/rate" in columns:
                    columns["0/rate"][part] = rate[batch.source - projection.source.first]
                columns["0/edge"][part] = batch.edge
                done = part.stop
                counter.add(batch.source.size)
    lines = ["edge_type_id source target rule"]
    for number, projection in enumerate(graph.projections):
        lines.append(f'{number} "{projection.source.name}" "{projection.target.name}" {projection.connection.rule}')
    (path / "edge_types.csv").write_text("\n".join(lines) + "\n")
    nodes = graph.number_of_nodes()
    libsonata.EdgePopulation.write_indices(str(path / "edges.h5"), EDGES, nodes, nodes)
    with h5py.File(str(path / "edges.h5"), "r+") as file:
        for index in file[f"edges/{EDGES}/indices"].values():
            index["node_id_to_range"] = index["node_id_to_ranges"]  # bmtk's name for it, a hard link


def _check(graph: SynapseGraph, request: Request) -> None:
    try:
        import libsonata  # noqa: F401
    except ImportError as error:
        raise UsageError("sonata needs libsonata; install snnb with its extra `sonata`") from error
    need, free = INDEX_BYTES * graph.number_of_edges(), psutil.virtual_memory().available
    if need > free:
        raise ResourceError(
            f"libsonata will take about {need / 1e9:,.1f} GB of memory to index {graph.number_of_edges():,} edges, "
            f"{free / 1e9:,.1f} GB are free; take parquet or npz, or a machine with more memory"
        )


def _size(graph: SynapseGraph, request: Request) -> float:
    return 51.0 * graph.number_of_edges() + 100.0 * graph.number_of_nodes()


FORMAT = Format("libsonata, bmtk", "_sonata", write, _size, 4e6, _check)
