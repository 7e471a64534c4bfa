"""`sonata`: a directory of SONATA files for libsonata and bmtk: one population `snn`, ids as in the graph.

(SONATA data format, version 0.1: Dai et al., PLOS Computational Biology 16(2), 2020.)
"""

import json
from pathlib import Path
from typing import Dict

import h5py
import numpy as np

from snnb.synapses.export.nodes import node_table
from snnb.synapses.export.request import BATCH, Format, Request
from snnb.synapses.graph import SynapseGraph

NODES, EDGES = "snn", "snn_snn"


def write(graph: SynapseGraph, path: Path, request: Request) -> None:
    """Write the graph: nodes, edges and their indices; see `Format`."""
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
        coding = population.coding or "none"
        lines.append(f"{number} {_quoted(population.name)} {population.layer} {model} {coding}")
    (path / "node_types.csv").write_text("\n".join(lines) + "\n")


def _write_edges(graph: SynapseGraph, path: Path, request: Request) -> None:
    from snnb.synapses.export.sonata_index import RunCounter, write_indices

    edges = graph.number_of_edges()
    counter = request.counter(2 * edges)
    scale = request.rate_scale(graph)
    whole = np.dtype(np.uint32 if edges < 2**32 else np.uint64)
    kinds: Dict[str, np.dtype] = {
        "source_node_id": np.dtype(np.uint64),
        "target_node_id": np.dtype(np.uint64),
        "edge_type_id": np.dtype(np.uint16),
        "edge_group_index": whole,
        "0/syn_weight": np.dtype(np.float32),
        "0/edge": np.dtype(np.float32),
    }
    if graph.recording is not None:
        kinds["0/rate"] = np.dtype(np.float32)
    with _create(path / "edges.h5") as file:
        file.attrs.update(graph.describe(request.options.rate_unit))
        group = file.create_group(f"edges/{EDGES}")
        columns = {name: group.create_dataset(name, (edges,), kind, track_times=False) for name, kind in kinds.items()}
        # All edges are in group 0: a dataset that is all fill value and takes no room.
        group.create_dataset("edge_group_id", (edges,), np.uint16, chunks=True, fillvalue=0, track_times=False)
        for name in ("source_node_id", "target_node_id"):
            columns[name].attrs["node_population"] = NODES
        runs = {"source": RunCounter(), "target": RunCounter()}
        done = 0
        for number, projection in enumerate(graph.projections):
            rate = projection.source.edge_rate(scale)
            for batch in projection.edge_batches(BATCH, scale):
                part = slice(done, done + batch.source.size)
                values: Dict[str, np.ndarray] = {
                    "source_node_id": batch.source,
                    "target_node_id": batch.target,
                    "edge_type_id": np.full(batch.source.size, number),
                    "edge_group_index": np.arange(part.start, part.stop),
                    "0/syn_weight": batch.weight,
                    "0/edge": batch.edge,
                }
                if "0/rate" in columns:
                    values["0/rate"] = rate[batch.source - projection.source.first]
                for name, column in columns.items():  # converted here: HDF5 does it slowly
                    column[part] = values[name].astype(kinds[name], copy=False)
                runs["source"].add(batch.source)
                runs["target"].add(batch.target)
                done = part.stop
                counter.add(batch.source.size)
        write_indices(group, graph, runs["source"].runs, runs["target"].runs, counter.add)
    lines = ["edge_type_id source target rule"]
    for number, projection in enumerate(graph.projections):
        source, target = _quoted(projection.source.name), _quoted(projection.target.name)
        lines.append(f"{number} {source} {target} {projection.rule}")
    (path / "edge_types.csv").write_text("\n".join(lines) + "\n")


def _quoted(name: str) -> str:
    """Return a name as a field of a table whose fields are separated by spaces."""
    return '"' + name.replace('"', '""') + '"'


def _size(graph: SynapseGraph, request: Request) -> float:
    return 51.0 * graph.number_of_edges() + 100.0 * graph.number_of_nodes()


FORMAT = Format("libsonata, bmtk", "_sonata", write, _size, 2e7, directory=True)
