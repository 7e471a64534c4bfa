"""`crosscheck`: another simulator, given the exported graph alone, against the spikes of the run's own simulation."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Mapping, Optional, Tuple

import numpy as np
from typing_extensions import Literal

from snnb.crosscheck.compare import ONE_IN, Compared, compare
from snnb.crosscheck.exported import ExportedNetwork
from snnb.errors import InputError, UsageError, VerificationError
from snnb.files import sha256_of
from snnb.numpy_file import load_archive
from snnb.progress import Progress, Say, say_nothing, silent
from snnb.rundir.directory import RunDirectory
from snnb.stages.dataset import dataset_array
from snnb.stages.exports import PICTURES, chosen_graph, graph_file, simulated_by
from snnb.stages.graph import WEIGHTS
from snnb.synapses import SynapseGraph
from snnb.synapses.export.simulated import Simulated
from snnb.synapses.export.spinemap import spikes_of

Simulator = Literal["brian2", "sanafe", "scipy"]
Run = Callable[[ExportedNetwork, np.ndarray, int, int, Progress], Dict[str, np.ndarray]]


@dataclass(frozen=True)
class Crosscheck:
    """What was compared.

    Attributes
    ----------
    stamp : str
        Of the graph.
    samples : int
    populations : tuple of Compared
    """

    stamp: str
    samples: int
    populations: Tuple[Compared, ...]


@dataclass(frozen=True)
class _Expected:
    """Spike counts of the simulation, and what it was fed with: see `compare` and the simulators."""

    counts: Mapping[str, np.ndarray]
    samples: int
    counted_from: int
    inputs: np.ndarray


def crosscheck(
    run: RunDirectory,
    simulator: Simulator,
    *,
    samples: Optional[int] = None,
    graph: Optional[str] = None,
    say: Say = say_nothing,
    progress: Progress = silent,
) -> Crosscheck:
    """Simulate the exported graph in another simulator, and compare all spike counts.

    Parameters
    ----------
    run : RunDirectory
    simulator : {"brian2", "sanafe", "scipy"}
    samples : int, optional
        The first so many; as many as have recorded spike times, or all. By default the recorded ones, or all.
    graph : str, optional
        Stamp of the graph; by default the latest.
    say : callable
    progress : Progress
        Told of the samples done.

    Raises
    ------
    VerificationError
        A population differs in more than one of a thousand pairs of sample and neuron, or by more than a spike.
    UsageError
        The graph has no spikes; so many samples cannot be compared; the simulator is not installed.
    InputError
        The pictures are not those that were simulated.
    """
    from snnb.crosscheck.exported import read_exported
    from snnb.synapses.export.write import export

    stamp = chosen_graph(run, graph, say)
    simulated = simulated_by(run, stamp)
    if stamp == WEIGHTS or simulated is None:
        raise UsageError(f"graph {stamp} has no simulation in this run to compare with; make the graph of one")
    path = run.path / graph_file(run, stamp)
    step = _simulator(simulator)
    with tempfile.TemporaryDirectory() as scratch, SynapseGraph.open(path) as opened:
        expected = _expected(run, stamp, simulated, opened, samples)
        folder = Path(scratch) / "graph"
        origin = {"stamp": stamp, "sha256": sha256_of(path)}
        export(opened, "sonata", folder, origin=origin, simulated=simulated)
        network = read_exported(folder)
    say(f"crosscheck: {simulator}, {expected.samples} samples, {simulated.duration} steps")
    counts = step(network, expected.inputs, simulated.duration, expected.counted_from, progress)
    random = [population.name for population in network.populations if population.coding == "random"]
    if random:
        say(f"crosscheck: the spikes of {', '.join(random)} are drawn at random, and not compared")
    populations = tuple(compare(counts, expected.counts, expected.samples))
    _refuse_difference(populations, simulator)
    return Crosscheck(stamp, expected.samples, populations)


def _simulator(name: Simulator) -> Run:
    if name == "scipy":
        from snnb.crosscheck import scipy

        return scipy.simulate
    if name == "brian2":
        from snnb.crosscheck import brian2

        return brian2.simulate
    from snnb.crosscheck import sanafe

    return sanafe.simulate


def _expected(
    run: RunDirectory, stamp: str, simulated: Simulated, graph: SynapseGraph, wanted: Optional[int]
) -> _Expected:
    """Return what the simulation counted, of the recorded samples one by one, or of all in one sum."""
    assert graph.recording is not None
    there, recorded = graph.recording.num_samples, simulated.recorded_samples
    samples = wanted or recorded or there
    if samples > recorded and samples != there:
        some = f"{recorded} samples or fewer, " if recorded else ""
        raise UsageError(
            f"--samples {samples}: spike times were recorded of {recorded} samples; compare {some}all {there}, or "
            f"simulate again with --record-spikes {samples}"
        )
    if samples > recorded and simulated.input == "poisson":
        raise UsageError(
            "the Poisson spikes of the input are known of recorded samples only; "
            + (f"give --samples {recorded}" if recorded else "simulate again with --record-spikes")
        )
    folder = run.path / run.directory_of("simulate", stamp)
    pixels = _pixels(run, simulated, samples)
    if samples > recorded:
        names, again = [p.name for p in graph.populations[1:]], f"`snnb simulate --repair {stamp}` makes it again"
        sums = load_archive(folder / "spike_rate_sums.npz", again, names=names, must=names)
        counts = {name: sums[name].ravel() for name in names}
        return _Expected(counts, samples, graph.recording.warm_up, pixels)
    per_sample: Dict[str, np.ndarray] = {}
    for population in graph.populations:
        spikes = spikes_of(folder / "spike_times.npz", population)[0]
        spikes = spikes[spikes[:, 0] < samples]
        if population.first == 0 and simulated.input == "poisson":
            pixels = np.zeros((samples, population.size, simulated.duration), bool)
            pixels[tuple(spikes.T)] = True
        counted = spikes[spikes[:, 2] >= graph.recording.warm_up]
        per_sample[population.name] = np.zeros((samples, population.size), np.int64)
        np.add.at(per_sample[population.name], (counted[:, 0], counted[:, 1]), 1)
    return _Expected(per_sample, samples, graph.recording.warm_up, pixels)


def _pixels(run: RunDirectory, simulated: Simulated, samples: int) -> np.ndarray:
    """Return the pictures as the simulation saw them: float64 of float32, shape (samples, inputs)."""
    pictures = run.path / PICTURES
    if not pictures.exists() or sha256_of(pictures) != simulated.samples_sha256 or simulated.pixel_scale is None:
        raise InputError(
            f"{pictures} is not what was simulated; prepare the data set as it was then, or simulate again"
        )
    first = simulated.first_sample
    values = np.asarray(dataset_array(run, "x_test")[first : first + samples], np.float32)
    values /= np.float32(simulated.pixel_scale)
    return values.reshape(samples, -1).astype(np.float64)


def _refuse_difference(populations: Tuple[Compared, ...], simulator: str) -> None:
    for compared in populations:
        if not compared.within:
            raise VerificationError(
                f"{compared.population} differs in {simulator}: {compared.differing:,} of {compared.pairs:,} pairs of "
                f"sample and neuron, by up to {compared.largest:,} spikes; at most one in {ONE_IN:,} by one spike may. "
                "`snnb verify` tells whether a file was altered; if none was, please report it"
            )
