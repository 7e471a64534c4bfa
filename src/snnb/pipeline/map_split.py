"""`map --split-fan-in`: the graph of the network with relay neurons, and its spikes."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from snnb.core.errors import UsageError
from snnb.core.progress import Progress
from snnb.mapping.hardware import Hardware
from snnb.pipeline import graph, prepare, simulate
from snnb.pipeline.model import class_count
from snnb.pipeline.simulated_samples import inputs_of, simulated_by
from snnb.pipeline.stage import recorded_details, unaltered
from snnb.rundir.directory import RunDirectory
from snnb.simulation.simulation_files import SPIKE_TIMES

if TYPE_CHECKING:
    from snnb.graph.export.request import Simulated
    from snnb.graph.synapse_graph import SynapseGraph
    from snnb.mapping.mapping import SplitFanIn
    from snnb.mapping.traffic import PlacedNetwork
    from snnb.network.network import Network

UNKNOWN = "busiest time and steps of recorded samples: not known with --split-fan-in, as relays change the spikes"


@dataclass(frozen=True, eq=False)
class FanIn:
    """Layers to split, and the simulation of their graph."""

    graph: "SynapseGraph"
    simulation: str  # stamp
    simulated: "Simulated"
    layers: List[str]  # layers that have neurons with more sources than `limit`
    limit: int  # axons of a core
    inputs: Tuple[str, ...]  # paths in the run of the parsed network, pictures and classes


def fan_in_to_split(run: RunDirectory, name: str, network: "PlacedNetwork", hardware: Hardware) -> Optional[FanIn]:
    """Return the layers to split in the graph `name`; None if no neuron has more sources than a core has axons.

    Raise `UsageError` if spikes of the network with relays cannot be found.
    """
    limit = hardware.axons_per_core
    layers = [p.name for p in network.populations if network.fan_in[network.part(p)].max() > limit]
    if not layers:
        return None
    if run.manifest.run.imported:
        raise UsageError(
            "--split-fan-in: the spikes of relays come from simulating the network, and a graph from outside has none; "
            f"choose hardware with at least {network.fan_in.max():,} axons a core"
        )
    simulation, simulated = graph.simulation_of(run, name), simulated_by(run, name)
    if simulation is None or simulated is None:
        raise UsageError(f"--split-fan-in: the simulation of graph {name} is not in this run")
    reason = None
    if graph.recorded_class(run, name) is not None:
        reason = f"graph {name} has the spikes of one class, and all samples are simulated; give another --graph"
    elif network.graph.neuron_model:
        reason = "relays are neurons without a leak, and the network was trained as a spiking one"
    elif simulated.reset != "subtraction":
        reason = f"relays need reset by subtraction, and the simulation has reset to {simulated.reset}"
    elif any(c.layer.WEIGHTING == "maximum" for p in network.graph.projections for c in p.connections):
        reason = "no sum of weights gives max pooling; `snnb parse --max-pool average` replaces it"
    elif simulated.input == "poisson" and not simulated.recorded_samples:
        reason = "the Poisson spikes of the input are not known; simulate again with --record-spikes"
    if reason is not None:
        raise UsageError(f"--split-fan-in: {reason}")
    inputs = (
        f"{run.directory_of(simulate.KIND.name, simulation)}/{run.model}_parsed.h5",
        prepare.samples_file(run),
        "dataset/y_test.npy",
    )
    return FanIn(network.graph, simulation, simulated, layers, limit, inputs)


def split_graph(
    run: RunDirectory, fan_in: FanIn, target: Path, progress: Progress
) -> "Tuple[SynapseGraph, SplitFanIn]":
    """Write the graph of the network with relays to `target`, with its spikes; return it opened, and its figures."""
    from snnb.crosscheck.check import require_memory_of
    from snnb.crosscheck.exported import exported_network
    from snnb.crosscheck.split_counts import last_step, samples_of, split_counts
    from snnb.graph.build import build_graph
    from snnb.mapping.mapping import SplitFanIn
    from snnb.network.fan_in import split_fan_in
    from snnb.network.read_network import read_network

    original, simulated, stamp = fan_in.graph, fan_in.simulated, fan_in.simulation
    assert original.recording is not None  # a mapping needs spikes
    steps, warm_up, constant = simulated.duration, original.recording.warm_up, simulated.input == "constant"
    parsed = unaltered(run, fan_in.inputs[0])
    rates = {p.name: np.asarray(p.rate) for p in original.populations}
    network = read_network(parsed)
    with tempfile.TemporaryDirectory() as scratch:
        split = split_fan_in(network, fan_in.layers, fan_in.limit, rates, constant=constant)
        counts, exported = Path(scratch) / "counts.npz", []
        options: Dict[str, Any] = {"counts": counts, "coding": {p.name: p.coding for p in original.populations}}
        options.update(network=split, pool_weight=original.attributes["pool_weight"])
        _save_counts(counts, original, split, {}, 1)
        draft = Path(scratch) / "graph.h5"
        with build_graph(parsed, draft, **options) as opened:
            for one in (original, opened):
                require_memory_of(one, "scipy")
                exported.append(exported_network(one, simulated))
        last = last_step(exported[1], steps)
        there = original.recording.num_samples if constant else simulated.recorded_samples
        samples = samples_of(exported[1], last, there)
        times = run.path / run.directory_of(simulate.KIND.name, stamp) / SPIKE_TIMES
        inputs = inputs_of(run, times, simulated, original.inputs[0], (samples, last))[:]
        labels = None
        if class_count(run.manifest.run, recorded_details(run, prepare.KIND).class_names) is not None:
            labels = prepare.dataset_array(run, "y_test")[simulated.first_sample :][:samples]
        of_steps = {"duration": steps, "counted_from": warm_up}
        comparison = split_counts(exported[0], exported[1], inputs, labels, **of_steps, progress=progress)
        current = inputs.sum(axis=0) * original.recording.num_timesteps if constant else None
        sent = inputs[:, :, warm_up:].sum(axis=(0, 2)) if current is None else current
        _save_counts(counts, original, split, {**comparison.counts, network.input.name: sent}, samples)
        written = build_graph(parsed, target, **options)
    return written, SplitFanIn(
        layers=fan_in.layers,
        relays=written.number_of_neurons() - original.number_of_neurons(),
        neurons=written.number_of_neurons(),
        synapses=written.number_of_edges(),
        unsplit_neurons=original.number_of_neurons(),
        unsplit_synapses=original.number_of_edges(),
        samples=samples,
        differing_counts=comparison.differing_counts,
        mean_count_difference=comparison.mean_count_difference,
        mean_count=comparison.mean_count,
        readout_accuracy=comparison.readout_accuracy,
        unsplit_readout_accuracy=comparison.unsplit_readout_accuracy,
    )


def _save_counts(
    path: Path, original: "SynapseGraph", network: "Network", counts: Mapping[str, np.ndarray], samples: int
) -> None:
    """Write counts as a simulation does; randomly drawn spikes are the simulation's counts, in proportion."""
    assert original.recording is not None
    share, before = samples / original.recording.num_samples, {p.name: p.spike_count for p in original.populations}
    arrays = {
        volume.name: np.rint(np.asarray(before.get(volume.name, np.zeros(volume.size))) * share).reshape(volume.shape)
        for volume in (network.input, *network.populations)
    }
    arrays.update({name: values.reshape(arrays[name].shape) for name, values in counts.items()})
    steps = {name: getattr(original.recording, name) for name in ("num_timesteps", "warm_up", "dt_ms")}
    np.savez(path, **arrays, num_samples=samples, **steps)
