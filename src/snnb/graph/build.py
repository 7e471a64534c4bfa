"""Build MODEL_graph.h5 from a parsed model and the spike counts of a simulation."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import List, Mapping, Optional, Sequence, Set, Tuple

import h5py
import numpy as np

from snnb.core.progress import Progress, silent
from snnb.graph.connection import index_dtype
from snnb.graph.populations import RECORDING, Recording
from snnb.graph.synapse_graph import (
    FORMAT,
    USER_BLOCK,
    VERSION,
    SynapseGraph,
    connection_name,
    seal,
    weighting,
)
from snnb.io.files import atomic_path, sha256_of
from snnb.io.hdf5 import write_array, writing
from snnb.io.npy import load_archive
from snnb.network.geometry import PADDING, Axis
from snnb.network.network import INPUT, Network, Population, Units
from snnb.network.read_network import read_network


def build_graph(
    parsed_file: Path,
    target: Path,
    *,
    counts: Optional[Path] = None,
    coding: Optional[Mapping[str, str]] = None,
    pool_weight: str = "mean",
    progress: Progress = silent,
) -> SynapseGraph:
    """Write the graph of a parsed model (MODEL_parsed.h5), and open it.

    The file appears when it is complete. `counts` is spike_rate_sums.npz of a
    simulation; without it the graph has weights only (edge = weight). `coding` is the
    coding of populations (`sim_accuracies.json`), by default `current` for the input
    and `spikes` for other populations. `pool_weight` is the weight of average-pooling
    synapses: `mean`, 1 / (taps in the window), as simulated, or `one`, as in
    snnbuilder's graphs.
    """
    network = read_network(parsed_file)
    names = [volume.name for volume in (network.input, *network.populations)]
    recording = arrays = None
    if counts is not None:
        keys = [*RECORDING, *names]
        arrays = load_archive(counts, names=keys, must=keys)
        recording = Recording(
            num_samples=int(arrays["num_samples"].item()),
            num_timesteps=int(arrays["num_timesteps"].item()),
            warm_up=int(arrays["warm_up"].item()),
            dt_ms=float(arrays["dt_ms"].item()),
        )
    if network.windowed and recording is not None:
        network = network.separated(recording.num_timesteps)
    with atomic_path(target, force=True) as temporary:
        with writing(temporary, userblock_size=USER_BLOCK) as file:
            file.attrs["format"] = FORMAT
            file.attrs["version"] = VERSION
            file.attrs["pool_weight"] = pool_weight
            file.attrs["parsed_sha256"] = sha256_of(parsed_file)
            unit = "currents" if network.trained_spiking else "thresholds"
            edge_unit = unit if recording is None else f"{unit} per time step"
            file.attrs["edge_unit"] = edge_unit
            if counts is not None and recording is not None:
                file.attrs["counts_sha256"] = sha256_of(counts)
                file.attrs["rate_unit"] = "spikes per time step"
                file.attrs.update(**asdict(recording))
            if network.weight_bits is not None:
                file.attrs["weight_bits"] = network.weight_bits
                file.attrs["pixel"] = network.pixel
            if network.zeros is not None:
                file.attrs["zeros"] = network.zeros
            _write_populations(
                file,
                network,
                arrays,
                coding or {},
                pool_weight,
                progress,
            )
        seal(temporary)
    return SynapseGraph.open(target)


def _write_populations(
    file: h5py.Group,
    network: Network,
    counts: Optional[Mapping[str, np.ndarray]],
    coding: Mapping[str, str],
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
            _write_counts(group, volume.name, counts[volume.name], coding)
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
    group: h5py.Group,
    name: str,
    counts: np.ndarray,
    coding: Mapping[str, str],
) -> None:
    """Write the spike counts of a population as int64, a current as float64."""
    is_input = name == INPUT
    default_coding = "current" if is_input else "spikes"
    group.attrs["coding"] = coding.get(name, default_coding)
    kind = np.float64 if is_input else np.int64
    write_array(group, "spike_count", counts.astype(kind, copy=False))


def _write_potentials(group: h5py.Group, population: Population, units: Units) -> None:
    """Write threshold, initial potential and window of a population that has them."""
    if population.integer_threshold is not None:
        write_array(group, "threshold", population.integer_threshold)
    if population.initial_potential is not None:
        potential = population.initial_potential / units.bias
        write_array(group, "initial_potential", potential)
    if population.window is not None:
        group.attrs["window"] = np.array(population.window, np.int64)


def _write_biases(group: h5py.Group, population: Population, units: Units) -> None:
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
    file: h5py.Group,
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


def _write_axis(group: h5py.Group, name: str, axis: Axis) -> None:
    """Write the triples of an axis: int32, shape (triples, 3)."""
    triples = np.stack([axis.input, axis.output, axis.tap], axis=1)
    write_array(group, name, triples.astype("<i4"))
