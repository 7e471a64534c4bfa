"""Build MODEL_graph.h5 from a parsed model and the spike counts of a simulation."""

import shutil
from pathlib import Path
from typing import List, Mapping, Optional

import h5py
import numpy as np

from snnb.errors import InputError, ResourceError, UsageError
from snnb.files import sha256_of, written_whole
from snnb.hdf5 import write_array
from snnb.progress import Progress, silent
from snnb.synapses import store
from snnb.synapses.counts import Counts, read_counts
from snnb.synapses.graph import SynapseGraph
from snnb.synapses.parsed_model import INPUT, ParsedModel, open_parsed_model
from snnb.synapses.plan import PlannedPopulation, consecutive, plan, sources
from snnb.synapses.rules import POOL_WEIGHTS

NODE_BYTES = 16  # at most: a count of 8 bytes, an id of 4 or 8


def build_graph(
    parsed: Path,
    target: Path,
    *,
    counts: Optional[Path] = None,
    coding: Optional[Mapping[str, str]] = None,
    pool_weight: str = "one",
    progress: Progress = silent,
) -> SynapseGraph:
    """Write the graph of a parsed model's synapses.

    Parameters
    ----------
    parsed : Path
        MODEL_parsed.h5: weights and biases as they stand there, that is, normalised to thresholds.
    target : Path
        The MODEL_graph.h5 to write; it appears whole or not at all.
    counts : Path, optional
        spike_rate_sums.npz of a simulation. Without it the graph holds weights only (edge = weight).
    coding : mapping of str to str, optional
        How populations code (`sim_accuracies.json`): `spikes` (which goes without saying), `current` or `random`. The
        input's default is `current`.
    pool_weight : {"one", "mean"}
        Weight of average-pooling synapses: 1, or 1 / (taps in the window).
    progress : Progress
        Told of every population written.

    Returns
    -------
    SynapseGraph
        The graph, opened.

    Raises
    ------
    UsageError
        If `pool_weight` is neither.
    InputError
        If a layer has no rule, the files do not fit together, or values cannot be right.
    ResourceError
        If the disk is too small for the file.
    """
    if pool_weight not in POOL_WEIGHTS:
        raise UsageError(f"pool weight {pool_weight!r} is unknown; use one of {', '.join(POOL_WEIGHTS)}")
    model = open_parsed_model(parsed)
    try:
        populations = plan(model, pool_weight)
        recorded = None if counts is None else read_counts(counts, populations, coding or {})
        _refuse_full_disk(target, parsed.stat().st_size + NODE_BYTES * sum(p.size for p in populations))
        with written_whole(target, force=True) as temporary:
            with store.create(temporary) as file:
                _write_head(file, model, counts, recorded, pool_weight)
                _write_populations(file, model, populations, recorded, progress)
            store.seal(temporary)
    finally:
        model.file.close()
    return SynapseGraph.open(target)


def _refuse_full_disk(target: Path, need: int) -> None:
    free = shutil.disk_usage(str(target.parent)).free
    if need > free:
        raise ResourceError(
            f"{target} will take up to {need / 1e6:,.0f} MB, the disk has {free / 1e6:,.0f} MB free; make room on it"
        )


def _write_head(
    file: h5py.File, model: ParsedModel, counts: Optional[Path], recorded: Optional[Counts], pool_weight: str
) -> None:
    file.attrs["format"] = store.FORMAT
    file.attrs["version"] = store.VERSION
    file.attrs["pool_weight"] = pool_weight
    file.attrs["parsed_sha256"] = sha256_of(model.path)
    file.attrs["edge_unit"] = "thresholds" if recorded is None else "thresholds per time step"
    if counts is not None and recorded is not None:
        file.attrs["counts_sha256"] = sha256_of(counts)
        file.attrs["rate_unit"] = "spikes per time step"
        file.attrs["num_samples"] = recorded.recording.num_samples
        file.attrs["num_timesteps"] = recorded.recording.num_timesteps
        file.attrs["warm_up"] = recorded.recording.warm_up
        file.attrs["dt_ms"] = recorded.recording.dt_ms


def _write_populations(
    file: h5py.File,
    model: ParsedModel,
    populations: List[PlannedPopulation],
    recorded: Optional[Counts],
    progress: Progress,
) -> None:
    firsts = np.array([population.first for population in populations])
    nodes = populations[-1].first + populations[-1].size
    links = []
    for number, population in enumerate(populations):
        progress(number, len(populations), population.layer.name)
        group = file.create_group(f"populations/{number:04d}")
        group.attrs["name"] = population.layer.name
        group.attrs["layer"] = population.layer.kind
        group.attrs["shape"] = np.array(population.shape, np.int64)
        group.attrs["first_id"] = population.first
        if recorded is not None:
            group.attrs["coding"] = recorded.coding[population.layer.name]
            write_array(group, "spike_count", recorded.read(population.layer.name))
        if population.layer.name != INPUT:
            links += [(source, number) for source in _write_connection(file, model, population, number, firsts, nodes)]
            if population.connection is not None and population.connection.kernel:
                write_array(group, "bias", _bias(model, population))
    write_array(file, "projections", np.array(links, np.int64).reshape(-1, 2))
    progress(len(populations), len(populations))


def _write_connection(
    file: h5py.File, model: ParsedModel, population: PlannedPopulation, number: int, firsts: np.ndarray, nodes: int
) -> List[int]:
    """Write what a population is computed from; return the numbers of the populations that feed it."""
    connection, ids = population.connection, population.ids
    assert connection is not None
    assert ids is not None
    group = file.create_group(f"connections/{number:04d}")
    store.write_connection(group, connection)
    first = consecutive(ids)
    if first is None:
        store.write_packed(group, "ids", ids.astype(store.index_dtype(nodes)))
        group.attrs["parallel"] = bool((np.bincount(ids[ids >= 0]) > 1).any())
    else:
        group.attrs["first_id"] = first
        group.attrs["parallel"] = False
    if connection.kernel:
        kernel = model.read(population.layer, connection.kernel)
        if connection.transposed:
            kernel = kernel.swapaxes(-1, -2)
        write_array(group, "kernel", kernel.reshape(connection.kernel_shape))
    return list(sources(ids, firsts))


def _bias(model: ParsedModel, population: PlannedPopulation) -> np.ndarray:
    filters = population.shape[-1]
    if not population.layer.config.get("use_bias", True):
        return np.zeros(filters, np.float32)
    bias = model.read(population.layer, "bias")
    if bias.shape != (filters,):
        raise InputError(
            f"{model.path}: bias of layer {population.layer.name} has shape {bias.shape}, not ({filters},); "
            "write the model again with `snnb parse`"
        )
    return bias
