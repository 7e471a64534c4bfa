"""Write the file of an instance: a MODEL_graph.h5 with placeholders for weights, compressed."""

from pathlib import Path
from typing import Dict, Iterator

import h5py
import numpy as np

from snnb.core.errors import UsageError
from snnb.graph import store
from snnb.io.files import atomic_path
from snnb.io.hdf5 import write_array
from snnb.network.network import DROPPED

# Attributes of the root: hashes of files that do not come with an instance, and numbers of integer weights
LEFT_OUT = ("parsed_sha256", "counts_sha256", "weight_bits", "pixel")
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
    with store.open_store(graph) as file, atomic_path(target, force=True) as temporary:
        if "connections" not in file or "num_samples" not in file.attrs:
            raise UsageError(f"{graph}: an instance is made of the graph of a simulation")
        version, zeros = int(file.attrs["version"]), file.attrs.get("zeros")
        with h5py.File(str(temporary), "w", userblock_size=store.USER_BLOCK) as instance:
            root = {name: value for name, value in file.attrs.items() if name not in LEFT_OUT}
            if zeros != DROPPED:
                root.pop("zeros", None)  # no placeholder is 0
            instance.attrs.update({**root, "instance": full_name})
            _copy(file, instance, _placeholders(file, dropped=zeros == DROPPED))
        store.seal(temporary, version)


def _placeholders(file: h5py.File, *, dropped: bool) -> Dict[str, np.ndarray]:
    """Return the placeholders of all kernels, by their names in the file."""
    found, used = {}, 0
    for kernel in _kernels(file):
        bits = ONE + 2 * np.arange(used, used + kernel.size, dtype=np.int32)
        used += kernel.size
        weights = bits.view(np.float32).reshape(kernel.shape)
        found[kernel.name] = np.where(kernel[()] == 0, np.float32(0), weights) if dropped else weights
    return found


def _kernels(file: h5py.File) -> Iterator[h5py.Dataset]:
    groups = file["connections"]
    return (groups[name]["kernel"] for name in sorted(groups) if "kernel" in groups[name])


def _copy(source: h5py.Group, target: h5py.Group, kernels: Dict[str, np.ndarray]) -> None:
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            group = target.create_group(name)
            group.attrs.update(item.attrs)
            _copy(item, group, kernels)
        elif name != "threshold" or "neuron" in item.parent.name:  # not that of integer weights
            _write(target, name, kernels[item.name] if item.name in kernels else item[()])


def _write(group: h5py.Group, name: str, values: np.ndarray) -> None:
    """Write an array, compressed in one chunk if it is not small."""
    if values.nbytes < PACKED_FROM:
        write_array(group, name, values)
        return
    packed = {"chunks": values.shape, "compression": "gzip", "compression_opts": 9, "shuffle": True}
    group.create_dataset(name, data=values, track_times=False, **packed)
