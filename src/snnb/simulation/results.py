"""A simulation's files: `spike_rate_sums.npz`, `sim_accuracies.json`, `spike_times.npz`, `NAME_INI.h5`."""

from pathlib import Path
from typing import Any, Dict, List

import h5py
import numpy as np

from snnb.network.network import MEMBRANE, Network
from snnb.network.read_network import write_network
from snnb.simulation.findings import Findings
from snnb.simulation.job import Job
from snnb.simulation.quality import TOP_FROM_CLASSES, Quality, wilson_interval
from snnb.simulation.simulation_settings import SimulationSettings
from snnb.simulation.totals import Totals

DT_MS = 1.0
INI_FORMAT, INI_VERSION = "snnb converted network", 2


def write_sums(path: Path, job: Job, totals: Totals, x: np.ndarray) -> None:
    """Write `spike_rate_sums.npz`: spikes of each population, int64; `input`, float64: spikes (Poisson), else current.

    `x` has the images before scaling.
    """
    if job.settings.input == "poisson":
        inputs = totals.counts[job.network.input.name].astype(np.float64)
    else:
        inputs = np.zeros(job.network.input.shape)
        for values in x:
            inputs += job.pixels(values, 0).astype(np.float64) * job.settings.counted_steps
    populations = {p.name: totals.counts[p.name] for p in job.network.populations}
    np.savez(path, input=inputs, **populations, **scalars(job, totals))


def scalars(job: Job, totals: Totals) -> Dict[str, float]:
    """Return what every file of counts states: how many samples and steps were counted, after which warm-up."""
    settings = job.settings
    return {
        "num_samples": totals.samples,
        "num_timesteps": settings.counted_steps,
        "warm_up": settings.warm_up,
        "dt_ms": DT_MS,
    }


def write_spike_times(path: Path, job: Job, spikes: Dict[str, np.ndarray]) -> None:
    """Write `spike_times.npz`: by population int32 (spikes, 3) with the columns sample, neuron, step."""
    settings = job.settings
    np.savez(
        path,
        **spikes,
        num_samples=settings.record_spikes,
        num_steps=job.network.latency(settings.duration),
        **({"first_sample": settings.first} if settings.first else {}),
    )


def write_ini(network: Network, path: Path, settings: SimulationSettings) -> None:
    """Write the simulated network, and the threshold, reset and initial potential of the simulation.

    The initial potential is a share of the threshold, for populations that have none of their own.
    """
    with h5py.File(path, "w") as file:
        file.attrs.update(format=INI_FORMAT, version=INI_VERSION, threshold=settings.threshold, reset=settings.reset)
        file.attrs.update(dt_ms=DT_MS, initial_potential=settings.initial_potential)
        write_network(network, file)


def accuracies(
    job: Job, totals: Totals, found: Findings, *, classes: Dict[str, int], engine_reason: str
) -> Dict[str, object]:
    """Return the content of `sim_accuracies.json`; `classes` has the number of samples of each class, by name."""
    settings, network = job.settings, job.network
    return {
        "num_samples": totals.samples,
        "first_sample": settings.first,
        "num_timesteps": settings.counted_steps,
        "duration": settings.duration,
        "latency_steps": network.latency(settings.duration),
        "interval_steps": network.interval(settings.duration),
        "warm_up": settings.warm_up,
        "dt_ms": DT_MS,
        **(_shares(totals.quality, totals.samples, network) if job.classifies else _errors(totals)),
        "class_counts": classes,
        "coding": _coding(network, settings),
        "mean_rates": found.mean_rates,
        "silent_neurons": found.silent,
        "saturated_neurons": found.saturated,
        "rising_populations": found.rising,
        "spikes_per_sample": sum(int(counts.sum()) for counts in totals.counts.values()) / totals.samples,
        "synaptic_operations_per_sample": found.synaptic_operations,
        "ann_multiply_accumulates_per_sample": found.synapses,
        "engine": job.engine,
        "engine_reason": engine_reason,
        "seed": settings.seed,
    }


def _shares(quality: Quality, samples: int, network: Network) -> Dict[str, Any]:
    right = float(quality.by_step[-1])
    by_step = quality.readout_by_step
    shares: Dict[str, Any] = {
        "ann_accuracy": quality.ann / samples,
        "snn_accuracy": right / samples,
        "snn_accuracy_interval_95": wilson_interval(right, samples),
        "snn_accuracy_by_timestep": (quality.by_step / samples).tolist(),
        "readout_accuracy": None if quality.readout is None else quality.readout / samples,
        "readout_accuracy_by_timestep": None if by_step is None else (by_step / samples).tolist(),
        "disagreements": quality.differ,
        "confusion": _confusion(quality),
    }
    if network.output.size >= TOP_FROM_CLASSES:
        shares.update(ann_top5_accuracy=quality.ann_top / samples, snn_top5_accuracy=quality.snn_top / samples)
    return shares


def _confusion(quality: Quality) -> List[List[int]]:
    """List class, guess and number of samples where there are any; a guess of -1 is none, for want of any spike."""
    assert quality.confusion is not None
    classes, guesses = np.nonzero(quality.confusion)
    numbers = quality.confusion[classes, guesses]
    undecided = quality.confusion.shape[1] - 1
    rows = np.stack([classes, np.where(guesses == undecided, -1, guesses), numbers], axis=1)
    return [[int(value) for value in row] for row in rows]


def _errors(totals: Totals) -> Dict[str, Any]:
    quality, samples = totals.quality, totals.samples
    by_step: List[float] = (quality.by_step / samples).tolist()
    return {
        "ann_mean_squared_error": quality.ann / samples,
        "snn_mean_squared_error": by_step[-1],
        "snn_mean_squared_error_by_timestep": by_step,
        "readout_mean_squared_error": None if quality.readout is None else quality.readout / samples,
    }


def _coding(network: Network, settings: SimulationSettings) -> Dict[str, str]:
    """Say what the numbers of each population are: spikes, current, or the random spikes of a softmax layer."""
    coding = {network.input.name: "spikes" if settings.input == "poisson" else "current"}
    for population in network.populations:
        coding[population.name] = {"softmax": "random", MEMBRANE: MEMBRANE}.get(population.activation, "spikes")
    return coding
