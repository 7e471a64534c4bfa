"""Read populations and connections from MODEL_graph.h5."""

import json
from itertools import count, takewhile
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import h5py
import numpy as np

from snnb.graph.connection import Connection
from snnb.graph.populations import GraphPopulation, Recording
from snnb.graph.positions import Positions
from snnb.graph.store import connection_name, weighting
from snnb.network.geometry import Geometry
from snnb.network.layers import KINDS, Layer, configured


def read_head(file: h5py.File) -> Tuple[Dict[str, object], Optional[Recording]]:
    """Return the attributes of the root, and the recording of the spike counts if there are any."""
    attributes = {
        name: value.item() if isinstance(value, np.generic) else value for name, value in sorted(file.attrs.items())
    }
    if "num_samples" not in attributes:
        return attributes, None
    names = ("num_samples", "num_timesteps", "warm_up", "dt_ms")
    return attributes, Recording(*(attributes[name] for name in names))


def read_populations(file: h5py.File, recording: Optional[Recording]) -> Tuple[GraphPopulation, ...]:
    """Return the populations in the order of their numbers."""
    groups = file["populations"]
    return tuple(GraphPopulation(groups[f"{number:04d}"], recording) for number in range(len(groups)))


def read_connections(
    file: h5py.File, populations: Sequence[GraphPopulation], pool_weight: str
) -> List[List[Connection]]:
    """Return the connections of each projection; projections by target, then source.

    Parameters
    ----------
    file : h5py.File
    populations : sequence of GraphPopulation
    pool_weight : {"one", "mean"}
    """
    links = [(source, target) for source, target in file["projections"][()].tolist()]
    between: Dict[Tuple[int, int], List[Connection]] = {link: [] for link in links}
    for number, target in enumerate(populations[1:], 1):
        for group in _groups(file, number):
            layer, geometry = _read_geometry(group, target.name)
            weights = weighting(layer, pool_weight)
            kernel = None if layer.KERNEL is None else group["kernel"]
            for k in map(int, group.attrs.get("sources", [source for source, of in links if of == number])):
                positions = _read_positions(group, populations[k], geometry.input_volume)
                connection = Connection(populations[k], target, layer, geometry, weights, positions, kernel)
                between[k, number].append(connection)
    return list(between.values())


def _groups(file: h5py.File, population: int) -> Iterator[h5py.Group]:
    """Yield the groups of a population's connections."""
    names = (connection_name(population, number) for number in count())
    return (file[name] for name in takewhile(file.__contains__, names))


def _read_geometry(group: h5py.Group, name: str) -> Tuple[Layer, Geometry]:
    """Return a layer made from its stored configuration, and its geometry for the stored input volume."""
    rule, volume = group.attrs["rule"], tuple(group.attrs["input_volume"].tolist())
    filters, channels = int(group.attrs["output_volume"][-1]), volume[-1]
    defaults = {"filters": filters, "depth_multiplier": max(1, filters // channels)}
    layer: Layer = configured(KINDS[rule], {**defaults, **json.loads(group.attrs["geometry"])}, name)
    return layer, layer.geometry(volume[1:] if rule in ("Dense", "Conv1D") else volume)


def _read_positions(group: h5py.Group, source: GraphPopulation, shape: Tuple[int, int, int]) -> Positions:
    parallel = bool(group.attrs["parallel"])
    if "first_id" in group.attrs:
        return Positions(source, shape, parallel, int(group.attrs["first_id"]), None)
    return Positions(source, shape, parallel, None, group["ids"])
