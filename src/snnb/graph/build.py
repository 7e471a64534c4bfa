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
from snnb.graph.synapse_graph import FORMAT, USER_BLOCK, VERSION, SynapseGraph, connection_name, seal, weighting
from snnb.io.files import atomic_path, sha256_of
from snnb.io.hdf5 import write_array, writing
from snnb.io.npy import load_archive
from snnb.network.geometry import PADDING
from snnb.network.network import INPUT, Network, Population, Units
from snnb.network.read_network import read_network


def build_graph(
    parsed: Path,
    target: Path,
    *,
    counts: Optional[Path] = None,
    coding: Optional[Mapping[str, str]] = None,
    pool_weight: str = "mean",
    progress: Progress = silent,
) -> SynapseGraph:
    """Write the graph of the synapses of a parsed model (MODEL_parsed.h5), and open it; it appears when it is complete.

    `counts` is spike_rate_sums.npz of a simulation; without it the graph has weights only (edge = weight). `coding` is
    that of populations (`sim_accuracies.json`), by default `current` for the input and `spikes` for others.
    `pool_weight` is the weight of average-pooling synapses: `mean`, 1 / (taps in the window), as simulated, or `one`,
    as in snnbuilder's graphs.
    """
    network = read_network(parsed)
    names = [volume.name for volume in (network.input, *network.populations)]
    recording = arrays = None
    if counts is not None:
        arrays = load_archive(counts, names=[*RECORDING, *names], must=[*RECORDING, *names])
        samples, timesteps, warm_up, dt_ms = (arrays[name].item() for name in RECORDING)
        recording = Recording(int(samples), int(timesteps), int(warm_up), float(dt_ms))
    if network.windowed and recording is not None:
        network = network.separated(recording.num_timesteps)
    with atomic_path(target, force=True) as temporary:
        with writing(temporary, userblock_size=USER_BLOCK) as file:
            file.attrs.update(format=FORMAT, version=VERSION, pool_weight=pool_weight, parsed_sha256=sha256_of(parsed))
            unit = "currents" if network.trained_spiking else "thresholds"
            file.attrs["edge_unit"] = unit if recording is None else f"{unit} per time step"
            if counts is not None and recording is not None:
                digest = sha256_of(counts)
                file.attrs.update(counts_sha256=digest, rate_unit="spikes per time step", **asdict(recording))
            if network.weight_bits is not None:
                file.attrs.update(weight_bits=network.weight_bits, pixel=network.pixel)
            if network.zeros is not None:
                file.attrs["zeros"] = network.zeros
            _write_populations(file, network, arrays, coding or {}, pool_weight, progress)
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
    firsts = np.cumsum([0, network.input.size, *(population.size for population in network.populations)])
    links: List[Tuple[int, int, int]] = []
    total = 1 + len(network.populations)
    for number, (volume, ids) in enumerate(network.ids()):
        progress(number, total, volume.name)
        group = file.create_group(f"populations/{number:04d}")
        layer = volume.kind if isinstance(volume, Population) else "InputLayer"
        shape = np.array(volume.shape, np.int64)
        group.attrs.update(name=volume.name, layer=layer, shape=shape, first_id=int(firsts[number]))
        if counts is not None:
            group.attrs["coding"] = coding.get(volume.name, "current" if volume.name == INPUT else "spikes")
            kind = np.float64 if volume.name == INPUT else np.int64  # a current, or spikes
            write_array(group, "spike_count", counts[volume.name].astype(kind, copy=False))
        if isinstance(volume, Population):
            units = network.units(volume)
            if volume.integer_threshold is not None:
                write_array(group, "threshold", volume.integer_threshold)
            if volume.initial_potential is not None:
                write_array(group, "initial_potential", volume.initial_potential / units.bias)
            if volume.window is not None:
                group.attrs["window"] = np.array(volume.window, np.int64)
            read = _write_connections(file, number, volume, ids, firsts, pool_weight, units)
            links += [(source, number, delay) for source, delay in read]
            if volume.bias is not None:
                write_array(group, "bias", volume.bias / units.bias)
            if volume.later_bias is not None:
                write_array(group, "later_bias", volume.later_bias)
            if volume.neuron is not None:
                neuron = group.create_group("neuron")
                neuron.attrs["spikes"] = volume.neuron.spikes
                for name, values in volume.neuron.given.items():
                    write_array(neuron, name, values)
    table = np.array(links, np.int64).reshape(-1, 3)
    write_array(file, "projections", np.ascontiguousarray(table[:, :2]))
    if table[:, 2].any():
        write_array(file, "delays", np.ascontiguousarray(table[:, 2]))
    progress(total, total)


def _write_connections(
    file: h5py.Group,
    number: int,
    population: Population,
    ids: Sequence[np.ndarray],
    firsts: np.ndarray,
    pool_weight: str,
    units: Units,
) -> List[Tuple[int, int]]:
    """Write the connections of a population; return numbers of its source populations, and delays, ascending."""
    senders: Set[Tuple[int, int]] = set()
    for i, (projection, read) in enumerate(zip(population.projections, ids)):
        group = file.create_group(connection_name(number, i))
        sources = np.unique(np.searchsorted(firsts, read[read != PADDING], side="right") - 1).tolist()
        if len(ids) > 1:
            group.attrs["sources"] = np.array(sources, np.int64)
        if projection.delay:
            group.attrs["delay"] = projection.delay
        layer, geometry = projection.layer, projection.geometry
        group.attrs.update(
            rule=layer.kind,
            geometry=json.dumps(layer.described(), sort_keys=True),
            pairing=geometry.pairing,
            weighting=weighting(layer, pool_weight),
            input_volume=np.array(geometry.input_volume, np.int64),
            output_volume=np.array(geometry.output_volume, np.int64),
            taps=np.array(geometry.kernel_shape[:2], np.int64),
        )
        for name, axis in (("rows", geometry.rows), ("columns", geometry.columns)):
            write_array(group, name, np.stack([axis.input, axis.output, axis.tap], axis=1).astype("<i4"))
        flat = read.ravel()
        if flat[0] != PADDING and (np.diff(flat) == 1).all():
            group.attrs.update(first_id=int(flat[0]), parallel=False)
        else:
            packed = {"track_times": False, "chunks": True, "compression": "gzip", "shuffle": True}
            group.create_dataset("ids", data=read.astype(index_dtype(int(firsts[-1]))), **packed)
            group.attrs["parallel"] = bool((np.bincount(read[read != PADDING]) > 1).any())
        if projection.kernel is not None:
            weights = projection.weights()
            if population.integer_threshold is not None:
                unit = units.weight.reshape(weights.shape[2:]) if geometry.pairing == "diagonal" else units.weight
                weights = weights / unit
            write_array(group, "kernel", weights)
        senders.update((source, projection.delay) for source in sources)
    return sorted(senders)
