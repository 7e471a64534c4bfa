"""Simulate a converted network on test samples, and write the results."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from snnb.core.errors import InputError, UsageError
from snnb.core.options import FigureFormat
from snnb.core.progress import Progress, silent
from snnb.network.network import MEMBRANE, Network
from snnb.network.read_network import read_networks
from snnb.simulation.advice import loss_advice
from snnb.simulation.apart import require_room, write_by_bin, write_by_class
from snnb.simulation.engines.choose import choose_engine
from snnb.simulation.engines.engine import spike_table
from snnb.simulation.file_names import ACCURACIES, BY_BIN, BY_CLASS, SPIKE_TIMES, SUMS
from snnb.simulation.findings import findings
from snnb.simulation.job import Job
from snnb.simulation.results import accuracies, write_ini, write_spike_times, write_sums
from snnb.simulation.samples import run_job
from snnb.simulation.simulation_plots import plot_quality, plot_raster, plot_rates
from snnb.simulation.simulation_settings import SimulationSettings, refuse_classes, refuse_missing_samples
from snnb.simulation.totals import Totals

__all__ = ["SimulationResult", "SimulationSettings", "simulate"]

# Below this rate a pixel of 1 gives less than the spike a step that its current would be, but biases act in full.
FULL_RATE = 1000.0
METRICS = (
    "ann_accuracy",
    "snn_accuracy",
    "readout_accuracy",
    "ann_mean_squared_error",
    "snn_mean_squared_error",
    "readout_mean_squared_error",
    "latency_steps",
    "interval_steps",
)


@dataclass(frozen=True)
class SimulationResult:
    """Results of a simulation for the manifest and the log."""

    metrics: Dict[str, float]  # those of `METRICS` that the simulation has
    engine: str
    engine_reason: str
    mean_rates: Dict[str, float]  # by population, spikes per neuron and step
    output_coding: str  # coding of the output layer, as in `sim_accuracies.json`
    lines: List[str]  # for the log
    warnings: List[str]  # with what to try, one line each

    @property
    def ann_accuracy(self) -> Optional[float]:
        """Accuracy of the analogue network; None for a reconstruction."""
        return self.metrics.get("ann_accuracy")

    @property
    def snn_accuracy(self) -> Optional[float]:
        """Accuracy of the spiking network; None for a reconstruction."""
        return self.metrics.get("snn_accuracy")


def simulate(
    parsed: Path,
    target: Path,
    *,
    name: str,
    x: np.ndarray,
    y: np.ndarray,
    scale: float,
    class_names: Sequence[str],
    num_classes: Optional[int],
    settings: SimulationSettings,
    output_scale: float = 1.0,
    figures: FigureFormat = "png",
    progress: Progress = silent,
) -> SimulationResult:
    """Simulate and write `NAME_INI.h5`, `spike_rate_sums.npz`, `sim_accuracies.json` and plots into `target`.

    With `record_spikes` also `spike_times.npz` and `raster.*`, with `by="class"` and `bins` their separate counts.

    Parameters
    ----------
    parsed : Path
        The parsed, normalised model's file.
    target : Path
        An empty directory.
    name : str
        Of the network.
    x : ndarray of uint8 or float32, shape (samples, height, width, channels)
        Images; a pixel is value / `scale`.
    y : ndarray of int64, shape (samples,)
        Class ids.
    num_classes : int or None
        None for a network that reproduces its input.
    output_scale : float
        For a reconstruction: the output layer's scale factor, the activation that a rate of 1 stands for.

    Raises
    ------
    UsageError
        More samples than there are; options that the engine does not have; classes of a reconstruction.
    InputError
        The model cannot be simulated or does not fit the images; a pixel is outside [0, 1].
    ResourceError
        Memory or disk cannot hold the counts of so many classes or bins.
    """
    network, trained = read_networks(parsed)
    _check_calibrated(network, settings)
    network = _as_simulated(network, settings)
    engine, reason = choose_engine(network, settings)
    _check(network, x, settings, num_classes)
    if network.weight_bits is not None and (scale != network.pixel or x.dtype.kind not in "ui"):
        raise InputError(
            f"the integer network reads integers of 0 to {network.pixel}, not value / {scale:g}: parse again"
        )
    job = Job(parsed, network, trained, settings, engine, scale, num_classes is not None, output_scale)
    require_room(job, num_classes, target)
    samples = slice(settings.first, settings.first + settings.samples)
    x, y = x[samples], y[samples]
    totals = run_job(job, x, y, progress)
    found = findings(network, totals, settings.counted_steps)
    write_ini(network, target / f"{name}_INI.h5", settings)
    write_sums(target / SUMS, job, totals, x)
    if settings.by == "class":
        write_by_class(target / BY_CLASS, job, totals, x, y, class_names)
    if settings.bins:
        write_by_bin(target / BY_BIN, job, totals, x)
    classes = _class_counts(y, class_names) if job.classifies else {}
    values: Dict[str, Any] = accuracies(job, totals, found, classes=classes, engine_reason=reason)
    (target / ACCURACIES).write_text(json.dumps(values, indent=2, allow_nan=False) + "\n")
    _plot(target, job, totals, figures)
    if settings.record_spikes:
        spikes = {population: spike_table(parts) for population, parts in totals.spikes.items()}
        write_spike_times(target / SPIKE_TIMES, job, spikes)
        plot_raster(target / f"raster.{figures}", network, spikes, network.latency(settings.duration), settings.first)
    return SimulationResult(
        metrics={key: values[key] for key in METRICS if values.get(key) is not None},
        engine=engine,
        engine_reason=reason,
        mean_rates=found.mean_rates,
        output_coding=values["coding"][network.output.name],
        lines=_lines(values, engine),
        warnings=_input_warnings(settings) + found.warnings + loss_advice(values, settings, network, found.rising),
    )


def _check_calibrated(network: Network, settings: SimulationSettings) -> None:
    """Refuse options that contradict the initial potentials and firing windows of a calibrated network."""
    if network.steps is not None and settings.initial_potential:
        raise UsageError("--initial-potential: the calibrated network has initial potentials of its own; leave it out")
    if network.windowed and settings.warm_up:
        raise UsageError("--warm-up: a population with a firing window has no start to leave out; leave it out")
    if network.windowed and settings.reset != "subtraction":
        raise UsageError("--reset zero: a network with firing windows needs --reset subtraction")
    if network.weight_bits is not None and settings.threshold != 1:
        raise UsageError("--threshold: the integer network has thresholds of its own; leave it out")
    if settings.output == "softmax" and network.output.activation != "softmax":
        raise UsageError(f"--output softmax: layer {network.output.name} is no softmax; use spikes or membrane")


def _as_simulated(network: Network, settings: SimulationSettings) -> Network:
    """Return the network with windows of the simulated duration, and the output that is asked for."""
    if network.windowed:
        network = network.separated(settings.duration)
    if settings.output != "membrane":
        return network
    output = network.output
    silent = replace(output, activation=MEMBRANE, initial_potential=None)
    return replace(network, volumes=tuple(silent if volume is output else volume for volume in network.volumes))


def _check(network: Network, x: np.ndarray, settings: SimulationSettings, num_classes: Optional[int]) -> None:
    refuse_missing_samples(settings, len(x))
    refuse_classes(settings, num_classes)
    if num_classes is None and settings.output == "membrane":
        raise UsageError("--output membrane: a network that reproduces its input has no class to read; leave it out")
    if x.shape[1:] != network.input.shape:
        raise InputError(
            f"the model reads pictures of {network.input.shape}, the test set has {x.shape[1:]}: parse again"
        )
    outputs = network.input.size if num_classes is None else num_classes
    if network.output.size != outputs:
        raise InputError(f"layer {network.output.name} has {network.output.size} neurons, not {outputs}: train again")


def _plot(target: Path, job: Job, totals: Totals, figures: str) -> None:
    by_step, ann = totals.quality.by_step / totals.samples, totals.quality.ann / totals.samples
    label = "accuracy" if job.classifies else "mean squared error"
    read = totals.quality.readout_by_step
    readout = None if read is None else (read / totals.samples).tolist()
    plot_quality(target / f"{label.replace(' ', '_')}_by_timestep.{figures}", by_step.tolist(), ann, label, readout)
    most = totals.samples * job.settings.counted_steps
    plot_rates(target / f"rate_histogram.{figures}", {name: counts / most for name, counts in totals.counts.items()})


def _class_counts(y: np.ndarray, class_names: Sequence[str]) -> Dict[str, int]:
    numbers = np.bincount(y, minlength=len(class_names))
    return {str(name): int(number) for name, number in zip(class_names, numbers)}


def _input_warnings(settings: SimulationSettings) -> List[str]:
    warnings = []
    if settings.input == "poisson" and settings.input_rate < FULL_RATE:
        warnings.append(
            f"--input-rate {settings.input_rate:g} Hz: below {FULL_RATE:g} Hz the biases, which act at every step, "
            "outweigh the input: use 1000 Hz unless this is meant"
        )
    return warnings


def _lines(values: Dict[str, Any], engine: str) -> List[str]:
    """Return the lines of the log."""
    lines = [f"engine: {engine} ({values['engine_reason']})"]
    for key in METRICS[:-2]:
        if values.get(key) is not None:
            lines.append(f"{key}: {values[key]:.6g}")
    if "snn_accuracy_interval_95" in values:
        low, high = values["snn_accuracy_interval_95"]
        lines.append(f"snn_accuracy, 95 % interval: {low:.4f} to {high:.4f}")
        lines.append(f"samples on which the two networks differ: {values['disagreements']} of {values['num_samples']}")
    lines.append(f"latency: {values['latency_steps']} time steps; a sample every {values['interval_steps']} time steps")
    lines.append(f"spikes per sample: {values['spikes_per_sample']:.6g}")
    lines.append(f"synaptic operations per sample: {values['synaptic_operations_per_sample']:.6g}")
    lines.append(f"multiply-accumulates of the analogue network: {values['ann_multiply_accumulates_per_sample']}")
    for name, rate in values["mean_rates"].items():
        silent, saturated = values["silent_neurons"][name], values["saturated_neurons"][name]
        lines.append(f"{name}: {rate:.5f} spikes per step; {silent:.1%} of neurons silent, {saturated:.1%} saturated")
    return lines
