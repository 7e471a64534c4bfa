"""An external MODEL_graph.h5: from another run, or written by another program after docs/graph-format.md."""

import math
import shutil
from dataclasses import asdict
from itertools import count, takewhile
from pathlib import Path
from typing import Optional, Sequence, Set

import h5py
import numpy as np

from snnb.core.errors import DamagedError, InputError
from snnb.graph.connection import ranges
from snnb.graph.listed import EDGES, RATE_UNIT, as_integers, check_spikes
from snnb.graph.neuron_names import fault_of_names
from snnb.graph.populations import CODINGS, GraphPopulation
from snnb.graph.projection import ListedProjection
from snnb.graph.synapse_graph import (
    EDGE_UNIT,
    FORMAT,
    SynapseGraph,
    connection_name,
    list_name,
    read_geometry,
    seal,
)
from snnb.io.atomic import atomic_path
from snnb.io.hdf5 import RAISED_BY_HDF5, damaged, reading, whole, write_array, writing
from snnb.io.text import is_name
from snnb.network.geometry import PADDING
from snnb.network.spike_counts import Recording


def recognises(path: Path) -> bool:
    """Whether a file begins as a MODEL_graph.h5."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(FORMAT)) == FORMAT.encode()


def copy(
    path: Path,
    target: Path,
    spikes: Optional[np.ndarray] = None,
    recording: Optional[Recording] = None,
    *,
    assumed_spikes: bool = False,
) -> SynapseGraph:
    """Copy a graph's file, which `open_checked` has opened before, and open the copy.

    `spikes`, a (nodes,) array, replaces the spikes of each neuron; `recording` states
    the samples and steps that they were counted in, and `assumed_spikes` that they are
    assumed.
    """
    with atomic_path(target, force=True) as temporary:
        shutil.copyfile(path, temporary)
        if spikes is not None and recording is not None:
            with writing(temporary, "r+") as file:
                _replace_spikes(file, spikes, recording)
                if assumed_spikes:
                    file.attrs["assumed_spikes"] = 1
            seal(temporary)
    return SynapseGraph.open(target)


def _replace_spikes(file: h5py.Group, spikes: np.ndarray, recording: Recording) -> None:
    """Replace the spikes of each neuron, and state the samples and steps in which they were counted."""
    first_node = 0
    for number in range(len(file["populations"])):
        group = file["populations"][f"{number:04d}"]
        shape = tuple(group.attrs["shape"].tolist())
        size = int(np.prod(shape, dtype=np.int64))
        group.attrs.setdefault("coding", "spikes")
        if "spike_count" in group:
            del group["spike_count"]
        write_array(
            group,
            "spike_count",
            as_integers(spikes[first_node : first_node + size]).reshape(shape),
        )
        first_node += size
    file.attrs.update(asdict(recording))
    unit = str(file.attrs.get("edge_unit", EDGE_UNIT)).split()[
        0
    ]  # thresholds, or currents
    file.attrs["rate_unit"], file.attrs["edge_unit"] = (
        RATE_UNIT,
        f"{unit} per time step",
    )
    for name in ("counts_sha256", "assumed_spikes"):
        if name in file.attrs:
            del file.attrs[name]


def open_checked(path: Path) -> SynapseGraph:
    """Open a graph's file after checking its content, which may be written by hand."""
    graph = SynapseGraph.open(path)
    try:
        _check(graph)
    except BaseException as error:
        graph.close()
        if isinstance(error, (*RAISED_BY_HDF5, AttributeError)):
            raise damaged(path, error) from error
        raise
    return graph


def _check(graph: SynapseGraph) -> None:
    """Raise `DamagedError` if the content of a file is not valid.

    Populations, spikes and listed edges must not contradict each other.
    """
    if not graph.layers:
        raise DamagedError(
            graph.path, "inputs: all populations are inputs, and none is left to place"
        )
    _check_populations(graph)
    fault = fault_of_names(graph.populations)
    if fault is not None:
        raise DamagedError(graph.path, f"names: {fault}")
    if graph.recording is not None:
        _check_recording(graph, graph.recording)
    _check_projections(graph)
    _check_layers(graph)


def _check_populations(graph: SynapseGraph) -> None:
    """Check names, shapes, first ids and spikes of the populations."""
    first_node = 0
    names: Set[str] = set()
    for number, population in enumerate(graph.populations):
        place = f"populations/{number:04d}"
        if not is_name(population.name) or population.name in names:
            raise DamagedError(
                graph.path,
                f"{place}: the name {population.name!r} is not valid or occurs twice",
            )
        names.add(population.name)
        fault = _fault_of_shape(population, first_node)
        if fault is None and graph.recording is not None:
            fault = _fault_of_spikes(population)
        if fault is not None:
            raise DamagedError(graph.path, f"{place}: {fault}")
        first_node += population.size


def _fault_of_shape(population: GraphPopulation, first_node: int) -> Optional[str]:
    """Return the fault of shape or first id of a population; None if both are valid."""
    shape = population.shape
    if shape and min(shape) >= 1 and population.first == first_node:
        return None
    return (
        f"shape {shape} and first_id {population.first:,}; first_id must be "
        f"{first_node:,}, the number of neurons before, and the shape positive numbers"
    )


def _fault_of_spikes(population: GraphPopulation) -> Optional[str]:
    """Return the fault of coding or spikes of a population; None if both are valid."""
    counts = np.asarray(population.spike_count)
    if (
        population.coding not in CODINGS
        or counts.shape != population.shape
        or counts.dtype.kind not in "iuf"
    ):
        return (
            f"coding {population.coding!r} and spike_count of shape {counts.shape}; "
            f"the coding must be one of {', '.join(CODINGS)}, and the shape "
            f"{population.shape}"
        )
    if not (np.isfinite(counts) & (counts >= 0)).all():
        return "spike_count has numbers that are negative or not finite"
    return None


def _check_recording(graph: SynapseGraph, recording: Recording) -> None:
    """Check the number of spikes, and the time in which they were counted."""
    try:
        check_spikes(
            np.asarray(population.spike_count) for population in graph.populations
        )
    except InputError as error:
        raise DamagedError(graph.path, str(error)) from None
    if recording.steps <= 0 or recording.dt_ms <= 0:
        raise DamagedError(
            graph.path, "num_samples, num_timesteps and dt_ms are not positive"
        )


def _check_projections(graph: SynapseGraph) -> None:
    """Check order and targets of the projections, and the edges of those with lists."""
    order = [(p.target.first, p.source.first, p.delay) for p in graph.projections]
    if any(below >= above for below, above in zip(order, order[1:])):
        raise DamagedError(
            graph.path,
            "projections: rows are not sorted by target, source and delay, or occur "
            "twice",
        )
    for number, projection in enumerate(graph.projections):
        if projection.target in graph.inputs:
            raise DamagedError(
                graph.path,
                f"projections: row {number} leads to input {projection.target.name}",
            )
        if isinstance(projection, ListedProjection):
            fault = _fault_of(projection)
            if fault is not None:
                raise DamagedError(graph.path, f"{list_name(number)}: {fault}")


def _check_layers(graph: SynapseGraph) -> None:
    """Check that the arrays of connections are those of the layers that they name."""
    with reading(graph.path) as file:
        for number, population in enumerate(graph.populations):
            sources = [
                projection.source
                for projection in graph.projections
                if projection.target is population
            ]
            for name in takewhile(
                file.__contains__, (connection_name(number, i) for i in count())
            ):
                fault = _fault_of_layer(file[name], population, sources)
                if fault is not None:
                    raise DamagedError(graph.path, f"{name}: {fault}")


def _fault_of_layer(
    group: h5py.Group, population: GraphPopulation, sources: Sequence[GraphPopulation]
) -> Optional[str]:
    """Return the fault of a connection whose arrays contradict its layer, which generates the edges; else None."""
    layer, geometry = read_geometry(group, population.name)
    axes = {"rows": geometry.rows, "columns": geometry.columns}
    tables = {
        name: np.stack([axis.input, axis.output, axis.tap], axis=1)
        for name, axis in axes.items()
    }
    wrong = [
        name
        for name, table in tables.items()
        if not np.array_equal(whole(group[name]), table)
    ]
    if layer.KERNEL is not None and group["kernel"].shape != geometry.kernel_shape:
        wrong.append("kernel")
    if math.prod(geometry.output_volume) != population.size:
        wrong.append("output_volume")
    if wrong:
        return (
            f"{', '.join(wrong)}: not as in a {layer.kind} of this geometry; list the "
            "edges of another layer"
        )
    ids = group.attrs.get("first_id", 0) + np.arange(math.prod(geometry.input_volume))
    ids = whole(group["ids"]).ravel() if "ids" in group else ids
    for source in sources:
        ids = ids[(ids < source.first) | (ids >= source.first + source.size)]
    source_ids = ids[ids != PADDING]
    return (
        f"neuron {source_ids[0]:,} is of no source in projections"
        if source_ids.size
        else None
    )


def _fault_of(projection: ListedProjection) -> Optional[str]:
    """Return the fault of the list of a projection; None if it is valid."""
    source, target = projection.source, projection.target
    start, ends, weights = projection.start, projection.ends, projection.weights
    if start.dtype != np.int64 or start.shape != (source.size + 1,):
        return (
            f"start is {start.dtype} of shape {start.shape}, not int64 of shape "
            f"({source.size + 1},)"
        )
    if (
        ends.ndim != 1
        or ends.dtype.kind not in "iu"
        or weights.shape != ends.shape
        or weights.dtype != np.float32
    ):
        return (
            f"target is {ends.dtype} of shape {ends.shape} and weight {weights.dtype} "
            f"of shape {weights.shape}; they must be integers and float32 of the same "
            "length"
        )
    if start[0] != 0 or start[-1] != ends.size or (np.diff(start) < 0).any():
        return f"start does not ascend from 0 to {ends.size:,}, the number of synapses"
    for low, high in ranges(np.diff(start), EDGES):
        part = slice(start[low], start[high])
        ids = ends[part].astype(np.int64)
        outside = np.flatnonzero(
            (ids < target.first) | (ids >= target.first + target.size)
        )
        if outside.size:
            last = target.first + target.size - 1
            return (
                f"target {ids[outside[0]]:,}, but the neurons of {target.name} are "
                f"{target.first:,} to {last:,}"
            )
        row = np.repeat(np.arange(high - low), np.diff(start[low : high + 1]))
        unsorted_rows = np.flatnonzero((np.diff(row) == 0) & (np.diff(ids) <= 0))
        if unsorted_rows.size:
            neuron = source.first + low + row[unsorted_rows[0]]
            return (
                f"the targets of neuron {neuron:,} do not ascend, or one occurs twice"
            )
        if not np.isfinite(weights[part]).all():
            return "weight has numbers that are not finite"
    return None
