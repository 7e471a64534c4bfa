"""`map --split-fan-in`: the graph of the network with relay neurons, and its spikes."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence

import numpy as np

from snnb.core.errors import UsageError
from snnb.core.progress import Progress
from snnb.pipeline import graph, prepare, simulate
from snnb.pipeline.model import class_count
from snnb.pipeline.simulated_samples import PICTURES, inputs_of, simulated_by
from snnb.pipeline.stage import recorded, recorded_details, remedy, unaltered
from snnb.rundir.directory import RunDirectory

if TYPE_CHECKING:
    from snnb.crosscheck.split_counts import SplitCounts
    from snnb.graph import SynapseGraph
    from snnb.graph.export.simulated import Simulated
    from snnb.mapping.neurons import PlacedNetwork
    from snnb.network.network import Network

UNKNOWN = "busiest time and steps of recorded samples: not known with --split-fan-in, whose spikes are others"
LABELS = "dataset/y_test.npy"


@dataclass(frozen=True, eq=False)
class FanIn:
    """What is to be split."""

    original: "SynapseGraph"
    simulation: str  # its stamp
    simulated: "Simulated"
    layers: List[str]  # that have neurons with more sources than `limit`
    limit: int  # axons of a core

    def inputs(self, model: str) -> List[str]:
        """Return the paths of the files that the splitting reads, relative to the run."""
        return [f"simulations/{self.simulation}/{model}_parsed.h5", PICTURES, LABELS]


@dataclass(frozen=True, eq=False)
class Split:
    """A network with relays, and its spikes."""

    graph: "SynapseGraph"
    original: "SynapseGraph"
    layers: List[str]
    counts: "SplitCounts"

    @property
    def relays(self) -> int:
        """Number of relay neurons."""
        return self.graph.number_of_neurons() - self.original.number_of_neurons()

    @property
    def metrics(self) -> Dict[str, float]:
        """Figures for the manifest."""
        found = self.counts
        of_spikes = {"differing_counts": found.differing / found.pairs, "mean_count_difference": found.mean_difference}
        accuracy = found.accuracy
        read = {} if accuracy is None else {"unsplit_readout_accuracy": accuracy[0], "readout_accuracy": accuracy[1]}
        return {"relays": self.relays, **of_spikes, **read}

    def described(self) -> Dict[str, object]:
        """Return the entry of cost.json."""
        return {
            "layers": self.layers,
            "samples": self.counts.samples,
            "neurons": self.graph.number_of_neurons(),
            "synapses": self.graph.number_of_edges(),
            "unsplit_neurons": self.original.number_of_neurons(),
            "unsplit_synapses": self.original.number_of_edges(),
            "mean_count": self.counts.mean_count,
            **self.metrics,
        }

    def in_words(self) -> str:
        """Return the line of the log, which is a warning too."""
        found, accuracy = self.counts, self.counts.accuracy
        read = "" if accuracy is None else f"; read-out accuracy {accuracy[1]:.2%}, without relays {accuracy[0]:.2%}"
        return (
            f"--split-fan-in: {self.relays:,} relay neurons onto {', '.join(self.layers)}; the spikes are those of the "
            f"network with relays, in {found.samples:,} samples: {found.differing / found.pairs:.1%} of the counts of "
            f"other neurons differ from those without, by {found.mean_difference:.3g} of {found.mean_count:.3g} spikes "
            f"in the mean{read}"
        )


def fan_in_to_split(run: RunDirectory, name: str, network: "PlacedNetwork", limit: int) -> Optional[FanIn]:
    """Return what is to be split of the graph `name`; None if no neuron has more sources than `limit`.

    Raise `UsageError` if spikes of the network with relays cannot be found.
    """
    most = {p.name: int(network.fan_in[network.part(p)].max()) for p in network.populations}
    layers = [layer for layer, sources in most.items() if sources > limit]
    if not layers:
        return None
    simulation, simulated = graph.simulation_of(run, name), simulated_by(run, name)
    reason = None
    if simulation is None or simulated is None:
        reason = f"the simulation of graph {name} is not in this run"
    elif graph.recorded_class(run, name) is not None:
        reason = f"all samples are simulated, and graph {name} has the spikes of one class; give another --graph"
    elif simulated.reset != "subtraction":
        reason = f"relays need reset by subtraction, and the simulation has reset to {simulated.reset}"
    elif any(c.layer.WEIGHTING == "maximum" for p in network.graph.projections for c in p.connections):
        reason = (
            "the network has max pooling, which no sum of weights gives; `snnb parse --max-pool average` replaces it"
        )
    elif simulated.input == "poisson" and not simulated.recorded_samples:
        reason = "the Poisson spikes of the input are not known; simulate again with --record-spikes"
    if reason is not None or simulation is None or simulated is None:
        raise UsageError(f"--split-fan-in: {reason}")
    return FanIn(network.graph, simulation, simulated, layers, limit)


def split_graph(run: RunDirectory, fan_in: FanIn, target: Path, progress: Progress) -> Split:
    """Write the graph of the network with relays to `target`, with its spikes, and open it."""
    from snnb.crosscheck.exported import exported_network
    from snnb.crosscheck.room import require_room
    from snnb.crosscheck.split_counts import last_step, samples_of, split_counts
    from snnb.graph.build import write_graph
    from snnb.network.fan_in import split_fan_in
    from snnb.network.read_network import open_network

    original, simulated, stamp = fan_in.original, fan_in.simulated, fan_in.simulation
    mend, record = remedy(run, simulate.KIND.name, stamp), recorded(run, simulate.KIND, stamp)
    parsed = unaltered(run, record, fan_in.inputs(run.model)[0], mend)
    assert original.recording is not None  # a mapping needs spikes
    options = {
        "coding": {p.name: str(p.coding) for p in original.populations},
        "pool_weight": str(original.attributes["pool_weight"]),
    }
    constant = simulated.input == "constant"
    with open_network(parsed) as network, tempfile.TemporaryDirectory() as scratch:
        rates = {p.name: p.rate for p in original.populations if p.rate is not None}
        split = split_fan_in(network, fan_in.layers, fan_in.limit, rates, constant=constant)
        counts, zeros = Path(scratch) / "counts.npz", Path(scratch) / "graph.h5"
        _save(counts, original, split, {})
        exported = []
        with write_graph(split, parsed, zeros, counts=counts, **options) as opened:
            for one in (original, opened):
                require_room(one, "scipy", ("sonata",))
                exported.append(exported_network(one, simulated))
        steps = last_step(exported[1], simulated.duration)
        available = original.recording.num_samples if constant else simulated.recorded_samples
        samples = samples_of(exported[1], steps, available)
        inputs = inputs_of(run, stamp, simulated, original.populations[0], (samples, steps))
        found = split_counts(
            exported[0],
            exported[1],
            inputs,
            _labels(run, simulated.first_sample, samples),
            duration=simulated.duration,
            counted_from=original.recording.warm_up,
            progress=progress,
        )
        summed = inputs.sum(axis=0) * original.recording.num_timesteps
        if not constant:
            summed = inputs[:, :, original.recording.warm_up :].sum(axis=(0, 2))
        _save(counts, original, split, {**found.counts, network.input.name: summed}, samples)
        written = write_graph(split, parsed, target, counts=counts, **options)
    return Split(written, original, fan_in.layers, found)


def _labels(run: RunDirectory, first: int, samples: int) -> Optional[np.ndarray]:
    """Return the classes of samples; None for a model without classes."""
    if class_count(run.manifest.run, recorded_details(run, prepare.KIND).class_names) is None:
        return None
    return np.asarray(prepare.dataset_array(run, "y_test")[first : first + samples])


def _save(
    path: Path, original: "SynapseGraph", network: "Network", counts: Mapping[str, np.ndarray], samples: int = 1
) -> None:
    """Write counts as a simulation does; those of spikes drawn at random are the simulation's, in proportion."""
    assert original.recording is not None
    share, arrays = samples / original.recording.num_samples, {}
    before = {p.name: np.asarray(p.spike_count) for p in original.populations}
    for volume in (network.input, *network.populations):
        found = counts.get(volume.name)
        if found is None:
            found = np.rint(before.get(volume.name, np.zeros(volume.size)) * share)
        arrays[volume.name] = found.reshape(volume.shape)
    scalars: Sequence[str] = ("num_timesteps", "warm_up", "dt_ms")
    np.savez(path, **arrays, num_samples=samples, **{name: getattr(original.recording, name) for name in scalars})
