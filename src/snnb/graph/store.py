"""Seal, open and read MODEL_graph.h5, the compact form of a graph (format: docs/graph-format.md)."""

import hashlib
import json
from itertools import count, takewhile
from pathlib import Path
from typing import BinaryIO, Dict, List, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.core.errors import DamagedError
from snnb.graph.connection import Connection
from snnb.graph.populations import RECORDING, GraphPopulation, Recording, to_integers
from snnb.network.geometry import Geometry
from snnb.network.layers import LAYER_KINDS, Layer, configured
from snnb.network.network import Neuron

FORMAT = "snnb synapse graph"
VERSION, VERSION_WITH_SUMS = 1, 2  # the latter where a population is the sum of several connections
VERSION_WITH_LISTS = 3  # where edges are listed, or the inputs are not exactly the first population
VERSION_WITH_NEURONS = 4  # where populations have a neuron model, or projections a delay
USER_BLOCK = 512
EDGE_UNIT = "thresholds per time step"  # where a file with spike counts does not state it
INT32_LIMIT = 2**31 - 1  # tests lower it so that 64-bit ids run on small graphs


def index_dtype(count: int) -> np.dtype:
    """Return the integer type of ids that stay below `count`: 32 bits while they fit."""
    return np.dtype(np.int32 if count <= INT32_LIMIT else np.int64)


def seal(path: Path, version: int) -> None:
    """Write format, version and the SHA-256 of all bytes after the user block into the user block."""
    with path.open("r+b") as file:
        digest, size = _digest(file)
        file.seek(0)
        file.write(_head(version, digest, size))


def open_store(path: Path) -> h5py.File:
    """Open a graph file after checking its format version and checksum."""
    if not path.exists():
        raise DamagedError(path, "no such graph")
    with path.open("rb") as file:
        head = file.read(USER_BLOCK)
        if not head.startswith(FORMAT.encode() + b" "):
            raise DamagedError(path, f"not a {FORMAT}")
        version = head[len(FORMAT) : head.find(b"\n")].decode("ascii", "replace").strip()
        if version not in map(str, range(VERSION, VERSION_WITH_NEURONS + 1)):
            raise DamagedError(
                path, f"graph format {version[:20]!r}, this snnb reads {VERSION} to {VERSION_WITH_NEURONS}"
            )
        if head != _head(int(version), *_digest(file)):
            raise DamagedError(path, "truncated or altered, its SHA-256 is not the recorded one")
    return h5py.File(str(path), "r")


def connection_name(population: int, number: int) -> str:
    """Return the name of the group of a population's connection, by numbers of population and connection."""
    return f"connections/{population:04d}" + (f".{number}" if number else "")


def list_name(projection: int) -> str:
    """Return the name of the group of the listed edges of a projection, by its row in `projections`."""
    return f"lists/{projection:04d}"


def weighting(layer: Layer, pool_weight: str) -> str:
    """Return the weighting of a layer's synapses: `kernel`, `one` or `mean`."""
    return {"kernel": "kernel", "average": pool_weight}.get(layer.WEIGHTING, "one")


def _head(version: int, digest: str, size: int) -> bytes:
    return f"{FORMAT} {version}\nsha256 {digest}\nbytes {size}\n".encode().ljust(USER_BLOCK, b"\0")


def _digest(file: BinaryIO) -> Tuple[str, int]:
    """Return the SHA-256 and the number of the bytes after the user block."""
    file.seek(USER_BLOCK)
    digest = hashlib.sha256()
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
    return digest.hexdigest(), max(0, file.tell() - USER_BLOCK)


def read_head(file: h5py.File) -> Tuple[Dict[str, object], Optional[Recording]]:
    """Return the attributes of the root, and the recording of the spike counts if there are any."""
    attributes = {
        name: value.item() if isinstance(value, np.generic) else value for name, value in sorted(file.attrs.items())
    }
    if "num_samples" not in attributes:
        return attributes, None
    attributes.setdefault("edge_unit", EDGE_UNIT)  # of a file that another program wrote
    return attributes, Recording(*(attributes[name] for name in RECORDING))


def read_populations(file: h5py.File, recording: Optional[Recording], integers: bool) -> Tuple[GraphPopulation, ...]:
    """Return the populations in the order of their numbers, in thresholds or as integers."""
    groups = file["populations"]
    return tuple(_read_population(groups[f"{number:04d}"], recording, integers) for number in range(len(groups)))


def _read_population(group: h5py.Group, recording: Optional[Recording], integers: bool) -> GraphPopulation:
    begin, end = group.attrs.get("window", (0, 0))
    threshold, start = (group[name][()] if name in group else None for name in ("threshold", "initial_potential"))
    if integers and threshold is not None and start is not None:
        start = to_integers(start, threshold)
    neuron = None
    if "neuron" in group:
        numbers = {name: values[()] for name, values in group["neuron"].items()}
        neuron = Neuron(**numbers, spikes=bool(group["neuron"].attrs["spikes"]))
        neuron.check(tuple(group.attrs["shape"].tolist()))
    return GraphPopulation(
        name=group.attrs["name"],
        shape=tuple(group.attrs["shape"].tolist()),
        layer=group.attrs["layer"],
        first=int(group.attrs["first_id"]),
        coding=None if recording is None else group.attrs["coding"],
        window=(int(begin), int(end)) if "window" in group.attrs else None,
        initial_potential=start,
        threshold=threshold,
        integers=integers,
        recording=recording,
        stored_counts=None if recording is None else group["spike_count"],
        stored_bias=group.get("bias"),
        neuron=neuron,
        later_bias=group["later_bias"][()] if "later_bias" in group else None,
    )


def read_connections(
    file: h5py.File, populations: Sequence[GraphPopulation], pool_weight: str, integers: bool
) -> Dict[Tuple[int, int, int], List[Connection]]:
    """Return the connections of each projection, by numbers of source and target and the delay; none of listed edges.

    Parameters
    ----------
    file : h5py.File
    populations : sequence of GraphPopulation
    pool_weight : {"one", "mean"}
    integers : bool
        Whether weights are integers, not in thresholds.
    """
    table = file["projections"][()]
    delays = file["delays"][()] if "delays" in file else np.zeros(len(table), np.int64)
    links = [(source, target, delay) for (source, target), delay in zip(table.tolist(), delays.tolist())]
    between: Dict[Tuple[int, int, int], List[Connection]] = {link: [] for link in links}
    for number, target in enumerate(populations):
        names = (connection_name(number, i) for i in count())
        for group in (file[name] for name in takewhile(file.__contains__, names)):
            layer, geometry = _read_geometry(group, target.name)
            weights = weighting(layer, pool_weight)
            kernel = None if layer.KERNEL is None else group["kernel"]
            delay = int(group.attrs.get("delay", 0))
            for k in map(int, group.attrs.get("sources", [source for source, of, _ in links if of == number])):
                unit = None
                if integers and kernel is not None and target.threshold is not None:
                    unit = target.threshold / (1 if k else np.float32(file.attrs["pixel"]))
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


def _read_geometry(group: h5py.Group, name: str) -> Tuple[Layer, Geometry]:
    """Return a layer made from its stored configuration, and its geometry for the stored input volume."""
    rule, volume = group.attrs["rule"], tuple(group.attrs["input_volume"].tolist())
    filters, channels = int(group.attrs["output_volume"][-1]), volume[-1]
    defaults = {"filters": filters, "depth_multiplier": max(1, filters // channels)}
    layer: Layer = configured(LAYER_KINDS[rule], {**defaults, **json.loads(group.attrs["geometry"])}, name)
    return layer, layer.geometry(volume[layer.LEADING_AXES :])
