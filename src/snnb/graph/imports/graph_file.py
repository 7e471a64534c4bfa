"""A MODEL_graph.h5 from outside: of another run, or written by hand after docs/graph-format.md."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Optional

import h5py
import numpy as np

from snnb.graph import store
from snnb.graph.listed import EDGE_UNIT, RATE_UNIT, whole
from snnb.graph.populations import Recording
from snnb.graph.synapse_graph import SynapseGraph
from snnb.io.atomic import atomic_path
from snnb.io.hdf5 import write_array


def recognises(path: Path) -> bool:
    """Whether a file begins as a MODEL_graph.h5."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(store.FORMAT)) == store.FORMAT.encode()


def copy(
    path: Path,
    target: Path,
    spikes: Optional[np.ndarray] = None,
    recording: Optional[Recording] = None,
    *,
    assumed: bool = False,
) -> SynapseGraph:
    """Copy a graph's file after checking it, and open the copy.

    Parameters
    ----------
    path, target : Path
    spikes : (nodes,) array, optional
        Spikes of each neuron in place of those in the file.
    recording : Recording, optional
        Samples and steps that these were counted in.
    assumed : bool
        Whether the spikes are assumed.
    """
    SynapseGraph.open(path).close()
    with atomic_path(target, force=True) as temporary:
        shutil.copyfile(path, temporary)
        if spikes is not None and recording is not None:
            version = _version(path)
            with h5py.File(str(temporary), "r+") as file:
                _replace_spikes(file, spikes, recording)
                if assumed:
                    file.attrs["assumed_spikes"] = 1
            store.seal(temporary, version)
    return SynapseGraph.open(target)


def _version(path: Path) -> int:
    with path.open("rb") as file:
        return int(file.readline()[len(store.FORMAT) :])


def _replace_spikes(file: h5py.File, spikes: np.ndarray, recording: Recording) -> None:
    first = 0
    for number in range(len(file["populations"])):
        group = file["populations"][f"{number:04d}"]
        shape = tuple(group.attrs["shape"].tolist())
        size = int(np.prod(shape, dtype=np.int64))
        group.attrs.setdefault("coding", "spikes")
        if "spike_count" in group:
            del group["spike_count"]
        write_array(group, "spike_count", whole(spikes[first : first + size]).reshape(shape))
        first += size
    file.attrs.update(asdict(recording))
    file.attrs["rate_unit"], file.attrs["edge_unit"] = RATE_UNIT, EDGE_UNIT
    for name in ("counts_sha256", "class_number", "class_name", "assumed_spikes"):
        if name in file.attrs:
            del file.attrs[name]
