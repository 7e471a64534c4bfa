"""The file of an instance, a MODEL_graph.h5 with placeholders for weights, compressed; its hyperedges and traffic."""

import hashlib
from pathlib import Path
from typing import Dict, Iterator

import h5py
import numpy as np

from snnb.core.errors import UsageError
from snnb.graph.connection import ranges
from snnb.graph.populations import GraphPopulation
from snnb.graph.projection import out_degrees, targets
from snnb.graph.synapse_graph import USER_BLOCK, SynapseGraph, open_store, seal
from snnb.io.atomic import atomic_path
from snnb.io.hdf5 import write_array
from snnb.network.network import DROPPED

# Attributes of the root: hashes of files that do not come with an instance, and numbers of integer weights
LEFT_OUT = ("parsed_sha256", "counts_sha256", "weight_bits", "pixel")
EDGES = 1 << 20  # synapses in memory at a time
PACKED_FROM = 1024  # bytes of an array that is compressed
ONE = np.array(1, np.float32).view(np.int32)


def write_instance(graph: Path, target: Path, full_name: str) -> None:
    """Write structure and spike counts of a graph of `snnb`, as docs/graph-format.md describes.

    No two weights of its kernels are equal, so that a memory of synapses that stores equal lists once holds as much as
    with trained weights. They are the float32 numbers from 1 on, every second one. A weight of 0 stays 0 if it is no
    synapse.

    Parameters
    ----------
    graph : Path
        MODEL_graph.h5 with the spike counts of a simulation.
    target : Path
    full_name : str
        Recorded in the file.
    """
    with open_store(graph) as file, atomic_path(target, force=True) as temporary:
        if "connections" not in file or "num_samples" not in file.attrs:
            raise UsageError(
                f"{graph}: an instance is made of the graph of a simulation"
            )
        zeros = file.attrs.get("zeros")
        with h5py.File(str(temporary), "w", userblock_size=USER_BLOCK) as instance:
            root = {
                name: value
                for name, value in file.attrs.items()
                if name not in LEFT_OUT
            }
            if zeros != DROPPED:
                root.pop("zeros", None)  # no placeholder is 0
            instance.attrs.update({**root, "instance": full_name})
            _copy(file, instance, _placeholders(file, dropped=zeros == DROPPED))
        seal(temporary)


def _placeholders(file: h5py.File, *, dropped: bool) -> Dict[str, np.ndarray]:
    """Return the placeholders of all kernels, by their names in the file."""
    found, used = {}, 0
    groups = file["connections"]
    for kernel in (
        groups[name]["kernel"] for name in sorted(groups) if "kernel" in groups[name]
    ):
        bits = ONE + 2 * np.arange(used, used + kernel.size, dtype=np.int32)
        used += kernel.size
        weights = bits.view(np.float32).reshape(kernel.shape)
        found[kernel.name] = (
            np.where(kernel[()] == 0, np.float32(0), weights) if dropped else weights
        )
    return found


def _copy(
    source: h5py.Group, target: h5py.Group, kernels: Dict[str, np.ndarray]
) -> None:
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            group = target.create_group(name)
            group.attrs.update(item.attrs)
            _copy(item, group, kernels)
        elif (
            name != "threshold" or "neuron" in item.parent.name
        ):  # not that of integer weights
            values = kernels[item.name] if item.name in kernels else item[()]
            if values.nbytes < PACKED_FROM:
                write_array(target, name, values)
            else:  # compressed, in one chunk
                packed = {
                    "chunks": values.shape,
                    "compression": "gzip",
                    "compression_opts": 9,
                    "shuffle": True,
                }
                target.create_dataset(name, data=values, track_times=False, **packed)


def hyperedges(graph: SynapseGraph) -> Iterator[np.ndarray]:
    """Generate the list of hyperedges in parts, int64.

    A hyperedge is a neuron or input with all its targets. For each one with at least one target, in the order of the
    ids, the list has: its id, its spike count (0 for a constant input), the number of targets, and their ids,
    ascending, each once.
    """
    for source in graph.populations:
        projections = [
            projection
            for projection in graph.projections
            if projection.source is source
        ]
        counts = spike_counts(source)
        for start, stop in ranges(out_degrees(projections, source), EDGES):
            indptr, target, _ = targets(projections, source, start, stop)
            owner = np.repeat(np.arange(stop - start), np.diff(indptr))
            # Two projections with different delays can have synapses between the same neurons.
            pairs = np.unique(owner * len(graph.nodes) + target)
            owner, target = np.divmod(pairs, len(graph.nodes))
            degree = np.bincount(owner, minlength=stop - start)
            rows = np.flatnonzero(degree)
            heads = np.stack(
                [source.first + start + rows, counts[start + rows], degree[rows]],
                axis=1,
            )
            yield np.insert(
                target,
                np.repeat(np.cumsum(degree)[rows] - degree[rows], 3),
                heads.ravel(),
            )


def hyperedges_sha256(graph: SynapseGraph) -> str:
    """Return the SHA-256 of the list of hyperedges as one stream of little-endian int64, in hexadecimal."""
    digest = hashlib.sha256()
    for part in hyperedges(graph):
        digest.update(part.astype("<i8").tobytes())
    return digest.hexdigest()


def spike_counts(population: GraphPopulation) -> np.ndarray:
    """Return the spikes of each neuron over all samples and steps, int64; 0 for a constant input."""
    if population.spike_count is None or population.coding == "current":
        return np.zeros(population.size, np.int64)
    return np.rint(population.spike_count).astype(np.int64).ravel()


def traffic(graph: SynapseGraph) -> float:
    """Return the spikes per sample of all neurons and inputs that have targets."""
    assert graph.recording is not None
    total = 0
    for source in graph.populations:
        leaving = out_degrees(graph.projections, source) > 0
        total += int(spike_counts(source)[leaving].sum())
    return total / graph.recording.num_samples
