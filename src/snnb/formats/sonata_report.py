"""Read reports of SONATA: the spikes of a simulation, from which spikes are counted.

A report has the node of each spike in the dataset `/spikes/POPULATION/node_ids` or,
without the name of a population, in `/spikes/node_ids` or (older reports)
`/spikes/gids`.
"""

import shlex
from pathlib import Path
from typing import Dict, Mapping, Optional

import h5py
import numpy as np

from snnb.core.errors import DamagedError, InputError
from snnb.formats.rates import Rates, refuse_numbers
from snnb.graph.listed import EDGES, ListedGraph
from snnb.io.hdf5 import read_rows, reading
from snnb.network.spike_counts import Recording

UNNAMED = ("node_ids", "gids")  # datasets of spikes of a population without a name
NO_STEPS = (
    "a report of SONATA does not state the time steps that spikes were counted in: "
    "give --rate-steps"
)


def is_report(path: Path) -> bool:
    """Whether a file is HDF5 with spikes as SONATA has them."""
    if not h5py.is_hdf5(str(path)):
        return False
    with reading(path) as file:
        return "spikes" in file


def read_report(
    path: Path,
    graph: ListedGraph,
    recording: Recording,
    population: Optional[str] = None,
) -> Rates:
    """Count the spikes of a report.

    `population` is the one to read of several, or that of spikes without a name. By
    default all are read; spikes without a name are those of a graph of one population.
    """
    refuse_numbers(path, graph)
    ranges = graph.ids_by_population
    if population is not None and population not in ranges:
        raise InputError(
            f"{path}:{population}: no such population; the graph has "
            f"{', '.join(ranges)}"
        )
    spikes = np.zeros(graph.nodes, np.int64)
    with reading(path) as file:
        columns = _spike_columns(path, file["spikes"], ranges, population)
        if population is not None and population not in columns:
            raise DamagedError(
                path,
                f"has no spikes of {population}; it has spikes of {', '.join(columns)}",
            )
        for name in columns if population is None else [population]:
            if name not in ranges:
                raise DamagedError(
                    path,
                    f"has spikes of {name!r}, and the populations are "
                    f"{', '.join(ranges)}",
                )
            ids = ranges[name]
            counts = _count_spikes(path, columns[name], name, len(ids))
            spikes[ids.start : ids.stop] += counts
    return Rates(spikes, notes=(NO_STEPS,) if recording.steps == 1 else ())


def _spike_columns(
    path: Path,
    group: h5py.Group,
    ranges: Mapping[str, range],
    population: Optional[str],
) -> Dict[str, h5py.Dataset]:
    """Return the ids of the nodes of the spikes, by population.

    `population` is that of spikes without a name, if it is given.
    """
    columns: Dict[str, h5py.Dataset] = {}
    for name, item in group.items():
        if isinstance(item, h5py.Group):
            if "node_ids" not in item:
                raise DamagedError(path, f"has no /spikes/{name}/node_ids")
            columns[name] = item["node_ids"]
    column = next((group[name] for name in UNNAMED if name in group), None)
    if column is None:
        if not columns:
            raise DamagedError(
                path,
                "has no spikes: neither /spikes/POPULATION/node_ids nor /spikes/gids",
            )
        return columns
    if population is None and len(ranges) > 1:
        raise DamagedError(
            path,
            "names no population of its spikes, and the graph has "
            f"{', '.join(ranges)}; give --rates {shlex.quote(path.name)}:POPULATION",
        )
    owner = population or next(iter(ranges))
    if owner in columns:
        raise DamagedError(
            path,
            f"has spikes of {owner}, and spikes of no named population",
        )
    columns[owner] = column
    return columns


def _count_spikes(path: Path, column: h5py.Dataset, name: str, size: int) -> np.ndarray:
    """Return the number of spikes of each node of a population: int64 (size,)."""
    if column.dtype.kind not in "iu" and column.size:
        raise DamagedError(
            path,
            f"the ids of the spikes of {name} are of type {column.dtype}, not integers",
        )
    counts = np.zeros(size, np.int64)
    for begin in range(0, column.size, EDGES):
        nodes = read_rows(column, begin, begin + EDGES)
        outside = nodes[(nodes < 0) | (nodes >= size)]
        if outside.size:
            raise DamagedError(
                path,
                f"has a spike of node {outside[0]:,} of {name}, which has {size:,}, "
                "from 0",
            )
        counts += np.bincount(nodes.astype(np.int64), minlength=size)
    return counts
