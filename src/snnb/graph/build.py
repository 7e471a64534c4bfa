"""Build the graph of a network and the spike counts of a simulation."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

import h5py
import numpy as np

from snnb.core.progress import Progress, silent
from snnb.graph.connection import index_dtype
from snnb.graph.synapse_graph import (
    FORMAT,
    IN_MEMORY,
    USER_BLOCK,
    VERSION,
    SynapseGraph,
    connection_name,
    seal,
    weighting,
)
from snnb.io.atomic import atomic_path
from snnb.io.hdf5 import write_array, writing
from snnb.io.memory_group import MemoryGroup
from snnb.network.geometry import PADDING, Axis
from snnb.network.network import INPUT, Network, Population, Units
from snnb.network.spike_counts import SpikeCounts

Group = Union[h5py.Group, MemoryGroup]


class Provenance(NamedTuple):
    """SHA-256 of the files that a graph is made from."""

    parsed_sha256: str
    counts_sha256: Optional[str] = None  # None without spike counts


def build_graph(
    network: Network,
    counts: Optional[SpikeCounts] = None,
    *,
    pool_weight: str = "mean",
    path: Optional[Path] = None,
    provenance: Optional[Provenance] = None,
    progress: Progress = silent,
) -> SynapseGraph:
    """Build the graph of the synapses of a network.

    Parameters
    ----------
    network : Network
    counts : SpikeCounts, optional
        Of a simulation; without them the graph has weights only (edge = weight).
    pool_weight : {"mean", "one"}
        Weight of average-pooling synapses: 1 / (taps in the window), as simulated, or
        1, as in snnbuilder's graphs.
    path : Path, optional
        File to write; it appears when it is complete. By default the graph is in
        memory, and shares its kernels with the network.
    provenance : Provenance, optional
        Hashes of the files that the arguments were read from.
    """
    if network.windowed and counts is not None:
        network = network.separated(counts.recording.num_timesteps)
    attributes = _graph_attributes(network, counts, pool_weight, provenance)
    if path is None:
        store = MemoryGroup(str(IN_MEMORY))
        store.attrs.update(attributes)
        _write_populations(store, network, counts, pool_weight, progress)
        return SynapseGraph(IN_MEMORY, store)
    with atomic_path(path, force=True) as temporary:
        with writing(temporary, userblock_size=USER_BLOCK) as file:
            file.attrs.update(attributes)
            _write_populations(file, network, counts, pool_weight, progress)
        seal(temporary)
    return SynapseGraph.open(path)


def _graph_attributes(
    network: Network,
    counts: Optional[SpikeCounts],
    pool_weight: str,
    provenance: Optional[Provenance],
) -> Dict[str, object]:
    """Return the attributes of a graph, in the order in which they are written."""
    attributes: Dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "pool_weight": pool_weight,
    }
    if provenance is not None:
        attributes["parsed_sha256"] = provenance.parsed_sha256
    unit = "currents" if network.trained_spiking else "thresholds"
    attributes["edge_unit"] = unit if counts is None else f"{unit} per time step"
    if counts is not None:
        if provenance is not None:
            attributes["counts_sha256"] = provenance.counts_sha256
        attributes["rate_unit"] = "spikes per time step"
        attributes.update(asdict(counts.recording))
    if network.weight_bits is not None:
        attributes["weight_bits"] = network.weight_bits
        attributes["pixel"] = network.pixel
    if network.zeros is not None:
        attributes["zeros"] = network.zeros
    return attributes


def _write_populations(
    file: Group,
    network: Network,
    counts: Optional[SpikeCounts],
    pool_weight: str,
    progress: Progress,
) -> None:
    """Write all populations with the connections onto them, then the projections."""
    sizes = [population.size for population in network.populations]
    # The first id of each population, and the number of nodes
    first_ids = np.cumsum([0, network.input.size, *sizes])
    links: List[Tuple[int, int, int]] = []
    total = 1 + len(network.populations)
    for number, (volume, ids) in enumerate(network.ids()):
        progress(number, total, volume.name)
        group = file.create_group(f"populations/{number:04d}")
        layer = volume.kind if isinstance(volume, Population) else "InputLayer"
        group.attrs["name"] = volume.name
        group.attrs["layer"] = layer
        group.attrs["shape"] = np.array(volume.shape, np.int64)
        group.attrs["first_id"] = int(first_ids[number])
        if counts is not None:
            _write_counts(group, volume.name, counts)
        if isinstance(volume, Population):
            units = network.units(volume)
            _write_potentials(group, volume, units)
            senders = _write_connections(
                file,
                number,
                volume,
                ids,
                first_ids,
                pool_weight,
                units,
            )
            links += [(source, number, delay) for source, delay in senders]
            _write_biases(group, volume, units)
    table = np.array(links, np.int64).reshape(-1, 3)
    write_array(file, "projections", np.ascontiguousarray(table[:, :2]))
    if table[:, 2].any():
        write_array(file, "delays", np.ascontiguousarray(table[:, 2]))
    progress(total, total)


def _write_counts(
    group: Group,
    name: str,
    counts: SpikeCounts,
) -> None:
    """Write the spike counts of a population as int64, a current as float64."""
    is_input = name == INPUT
    default_coding = "current" if is_input else "spikes"
    group.attrs["coding"] = counts.coding.get(name, default_coding)
    kind = np.float64 if is_input else np.int64
    write_array(group, "spike_count", counts.counts[name].astype(kind, copy=False))


def _write_potentials(group: Group, population: Population, units: Units) -> None:
    """Write threshold, initial potential and window of a population that has them."""
    if population.integer_threshold is not None:
        write_array(group, "threshold", population.integer_threshold)
    if population.initial_potential is not None:
        potential = population.initial_potential / units.bias
        write_array(group, "initial_potential", potential)
    if population.window is not None:
        group.attrs["window"] = np.array(population.window, np.int64)


def _write_biases(group: Group, population: Population, units: Units) -> None:
    """Write biases and neuron model of a population that has them."""
    if population.bias is not None:
        write_array(group, "bias", population.bias / units.bias)
    if population.later_bias is not None:
        write_array(group, "later_bias", population.later_bias)
    if population.neuron is not None:
        neuron = group.create_group("neuron")
        neuron.attrs["spikes"] = population.neuron.is_spiking
        if population.neuron.fixed_point:
            neuron.attrs["fixed_point"] = True
        for name, values in population.neuron.stored_numbers.items():
            write_array(neuron, name, values)


def _write_connections(
    file: Group,
    number: int,
    population: Population,
    ids: Sequence[np.ndarray],
    first_ids: np.ndarray,
    pool_weight: str,
    units: Units,
) -> List[Tuple[int, int]]:
    """Write the connections onto a population.

    Return the number of each source population and the delay from it, ascending. `ids`
    has the neuron at each position of the input of each projection, `first_ids` the
    first id of each population.
    """
    senders: Set[Tuple[int, int]] = set()
    for i, (projection, input_ids) in enumerate(zip(population.projections, ids)):
        group = file.create_group(connection_name(number, i))
        neurons = input_ids[input_ids != PADDING]
        source_numbers = np.searchsorted(first_ids, neurons, side="right") - 1
        sources = np.unique(source_numbers).tolist()
        if len(ids) > 1:
            group.attrs["sources"] = np.array(sources, np.int64)
        if projection.delay:
            group.attrs["delay"] = projection.delay
        layer = projection.layer
        geometry = projection.geometry
        group.attrs.update(
            rule=layer.kind,
            geometry=json.dumps(layer.geometry_settings(), sort_keys=True),
            pairing=geometry.pairing,
            weighting=weighting(layer, pool_weight),
            input_volume=np.array(geometry.input_volume, np.int64),
            output_volume=np.array(geometry.output_volume, np.int64),
            taps=np.array(geometry.kernel_shape[:2], np.int64),
        )
        _write_axis(group, "rows", geometry.rows)
        _write_axis(group, "columns", geometry.columns)
        flat = input_ids.ravel()
        if flat[0] != PADDING and (np.diff(flat) == 1).all():
            group.attrs["first_id"] = int(flat[0])
            group.attrs["parallel"] = False
        else:
            id_dtype = index_dtype(int(first_ids[-1]))
            group.create_dataset(
                "ids",
                data=input_ids.astype(id_dtype),
                track_times=False,
                chunks=True,
                compression="gzip",
                shuffle=True,
            )
            group.attrs["parallel"] = bool((np.bincount(neurons) > 1).any())
        if projection.kernel is not None:
            weights = projection.weights()
            if population.integer_threshold is not None:
                weights = weights / geometry.spread_filters(units.weights[i])
            write_array(group, "kernel", weights)
        senders.update((source, projection.delay) for source in sources)
    return sorted(senders)


def _write_axis(group: Group, name: str, axis: Axis) -> None:
    """Write the triples of an axis: int32, shape (triples, 3)."""
    triples = np.stack([axis.input, axis.output, axis.tap], axis=1)
    write_array(group, name, triples.astype("<i4"))
