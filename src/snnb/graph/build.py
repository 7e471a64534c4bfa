"""Build MODEL_graph.h5 from a parsed model and the spike counts of a simulation, of all samples or of one class."""

import json
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

import h5py
import numpy as np

from snnb.core.errors import UsageError
from snnb.core.progress import Progress, silent
from snnb.graph.connection import index_dtype
from snnb.graph.populations import RECORDING, Recording
from snnb.graph.synapse_graph import (
    FORMAT,
    USER_BLOCK,
    VERSION,
    VERSION_WITH_NEURONS,
    VERSION_WITH_SUMS,
    SynapseGraph,
    connection_name,
    seal,
    weighting,
)
from snnb.io.files import atomic_path, sha256_of
from snnb.io.hdf5 import write_array
from snnb.io.npy import load_archive
from snnb.io.text import LONGEST_NAME, printable
from snnb.network.geometry import PADDING
from snnb.network.network import INPUT, NUMBERS, Network, Population, Units
from snnb.network.read_network import read_network

NAMES, SAMPLES = "class_names", "samples_by_class"
MOST_LISTED = 12  # names of classes in a message


@dataclass(frozen=True)
class SampleClass:
    """A class of samples: its row in the counts, its name and the number of its simulated samples."""

    number: int
    name: str
    samples: int

    @property
    def printable_name(self) -> str:
        """Name in one line of printable characters."""
        return printable(self.name).replace("\n", "\\n")[:LONGEST_NAME]


def read_classes(path: Path) -> List[SampleClass]:
    """Read the classes."""
    arrays = load_archive(path, names=[NAMES, SAMPLES], must=[NAMES, SAMPLES])
    pairs = zip(arrays[NAMES].tolist(), arrays[SAMPLES].tolist())
    return [SampleClass(number, name, count) for number, (name, count) in enumerate(pairs)]


def choose_class(classes: Sequence[SampleClass], wanted: str) -> SampleClass:
    """Return a class of which samples were simulated, by name, or by number."""
    chosen = next((one for one in classes if wanted in (one.name, one.printable_name)), None)
    if chosen is None and wanted.isdecimal() and int(wanted) < len(classes):
        chosen = classes[int(wanted)]
    if chosen is None:
        names = [one.printable_name for one in classes]
        near = get_close_matches(wanted, names, n=1)
        listed = ", ".join(names[:MOST_LISTED]) + (", …" if len(names) > MOST_LISTED else "")
        raise UsageError(
            f"--class {wanted}: there is no such class; "
            + (f"did you mean {near[0]}? " if near else "")
            + f"there are {len(names)}, named or numbered from 0: {listed}"
        )
    if chosen.samples < 1:
        raise UsageError(
            f"--class {chosen.printable_name}: none of the simulated samples is of this class; "
            "simulate more --samples, or others with --first"
        )
    return chosen


def read_counts(
    path: Path, names: Sequence[str], of_class: Optional[SampleClass] = None
) -> Tuple[Recording, Dict[str, np.ndarray]]:
    """Return the counts of each population: summed spikes (int64), or the summed current of the input (float64).

    Parameters
    ----------
    path : Path
        spike_rate_sums.npz, or spike_counts_by_class.npz for a class.
    names : names of the populations
    of_class : SampleClass, optional
    """
    scalars = load_archive(path, names=RECORDING, must=RECORDING)
    samples, timesteps, warm_up, dt_ms = (scalars[name].item() for name in RECORDING)
    recording = Recording(int(samples), int(timesteps), int(warm_up), float(dt_ms))
    if of_class is not None:
        recording = replace(recording, num_samples=of_class.samples)
    arrays = {}
    for name in names:
        values = load_archive(path, names=[name], must=[name])[name]
        values = values if of_class is None else values[of_class.number].copy()
        arrays[name] = values.astype(np.float64 if name == INPUT else np.int64, copy=False)
    return recording, arrays


def build_graph(
    parsed: Path,
    target: Path,
    *,
    counts: Optional[Path] = None,
    coding: Optional[Mapping[str, str]] = None,
    of_class: Optional[SampleClass] = None,
    pool_weight: str = "mean",
    progress: Progress = silent,
) -> SynapseGraph:
    """Write the graph of a parsed model's synapses, and open it.

    Parameters
    ----------
    parsed : Path
        MODEL_parsed.h5, whose weights and biases are normalised to thresholds.
    target : Path
        The MODEL_graph.h5 to write; it appears when it is complete.
    counts : Path, optional
        spike_rate_sums.npz of a simulation. Without it the graph has weights only (edge = weight).
    coding : mapping of str to str, optional
        Coding of populations (`sim_accuracies.json`): `spikes`, `current` or `random`. By default `current` for the
        input and `spikes` for others.
    of_class : SampleClass, optional
        Class whose spikes are used; `counts` is then a spike_counts_by_class.npz.
    pool_weight : {"mean", "one"}
        Weight of average-pooling synapses: 1 / (taps in the window), as simulated, or 1 as in snnbuilder's graphs.
    progress : Progress
        Called for every population written.
    """
    network = read_network(parsed)
    names = [volume.name for volume in (network.input, *network.populations)]
    recording, arrays = (None, None) if counts is None else read_counts(counts, names, of_class)
    if network.windowed and recording is not None:
        network = network.separated(recording.num_timesteps)
    populations, version = network.populations, VERSION
    if any(p.neuron is not None or any(one.delay for one in p.projections) for p in populations):
        version = VERSION_WITH_NEURONS
    elif any(len(population.projections) > 1 for population in populations):
        version = VERSION_WITH_SUMS
    with atomic_path(target, force=True) as temporary:
        with h5py.File(str(temporary), "w", userblock_size=USER_BLOCK) as file:
            file.attrs["format"] = FORMAT
            file.attrs["version"] = version
            file.attrs["pool_weight"] = pool_weight
            file.attrs["parsed_sha256"] = sha256_of(parsed)
            unit = "currents" if network.trained_spiking else "thresholds"
            file.attrs["edge_unit"] = unit if recording is None else f"{unit} per time step"
            if counts is not None and recording is not None:
                file.attrs["counts_sha256"] = sha256_of(counts)
                file.attrs["rate_unit"] = "spikes per time step"
                file.attrs.update(asdict(recording))
                if of_class is not None:
                    file.attrs.update(class_number=of_class.number, class_name=of_class.printable_name)
            if network.weight_bits is not None:
                file.attrs.update(weight_bits=network.weight_bits, pixel=network.pixel)
            if network.zeros is not None:
                file.attrs["zeros"] = network.zeros
            _write_populations(file, network, arrays, coding or {}, pool_weight, progress)
        seal(temporary, version)
    return SynapseGraph.open(target)


def _write_populations(
    file: h5py.File,
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
        group.attrs["name"] = volume.name
        group.attrs["layer"] = volume.kind if isinstance(volume, Population) else "InputLayer"
        group.attrs["shape"] = np.array(volume.shape, np.int64)
        group.attrs["first_id"] = int(firsts[number])
        if counts is not None:
            group.attrs["coding"] = coding.get(volume.name, "current" if volume.name == INPUT else "spikes")
            write_array(group, "spike_count", counts[volume.name])
        if isinstance(volume, Population):
            units = network.units(volume)
            if volume.threshold is not None:
                write_array(group, "threshold", volume.threshold)
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
                for name in NUMBERS:
                    if getattr(volume.neuron, name) is not None:
                        write_array(neuron, name, getattr(volume.neuron, name))
    table = np.array(links, np.int64).reshape(-1, 3)
    write_array(file, "projections", np.ascontiguousarray(table[:, :2]))
    if table[:, 2].any():
        write_array(file, "delays", np.ascontiguousarray(table[:, 2]))
    progress(total, total)


def _write_connections(
    file: h5py.File,
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
        group.attrs["rule"] = layer.kind
        group.attrs["geometry"] = json.dumps(layer.described(), sort_keys=True)
        group.attrs["pairing"] = geometry.pairing
        group.attrs["weighting"] = weighting(layer, pool_weight)
        for name in ("input_volume", "output_volume"):
            group.attrs[name] = np.array(getattr(geometry, name), np.int64)
        group.attrs["taps"] = np.array(geometry.kernel_shape[:2], np.int64)
        for name, axis in (("rows", geometry.rows), ("columns", geometry.columns)):
            write_array(group, name, np.stack([axis.input, axis.output, axis.tap], axis=1).astype("<i4"))
        flat = read.ravel()
        if flat[0] != PADDING and (np.diff(flat) == 1).all():
            group.attrs["first_id"] = int(flat[0])
            group.attrs["parallel"] = False
        else:
            packed = {"track_times": False, "chunks": True, "compression": "gzip", "shuffle": True}
            group.create_dataset("ids", data=read.astype(index_dtype(int(firsts[-1]))), **packed)
            group.attrs["parallel"] = bool((np.bincount(read[read != PADDING]) > 1).any())
        if projection.kernel is not None:
            weights = projection.weights()
            if population.threshold is not None:
                unit = units.weight.reshape(weights.shape[2:]) if geometry.pairing == "diagonal" else units.weight
                weights = weights / unit
            write_array(group, "kernel", weights)
        senders.update((source, projection.delay) for source in sources)
    return sorted(senders)
