"""Simulate a converted network on test samples, and write the results."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import List, Optional, Sequence, Union

import numpy as np

from snnb.core.errors import InputError, UsageError
from snnb.core.options import FigureFormat
from snnb.core.progress import Progress, silent
from snnb.network.event_samples import EventSamples
from snnb.network.network import MEMBRANE, Network
from snnb.network.read_network import read_networks
from snnb.simulation.engines.choose import choose_engine
from snnb.simulation.engines.engine import spike_table
from snnb.simulation.job import Job, run_job
from snnb.simulation.simulation_files import (
    BY_BIN,
    BY_CLASS,
    SPIKE_TIMES,
    SUMS,
    require_room,
    write_by_bin,
    write_by_class,
    write_ini,
    write_spike_times,
    write_sums,
)
from snnb.simulation.simulation_plots import plot_quality, plot_raster, plot_rates
from snnb.simulation.simulation_settings import SimulationSettings, refuse_classes, refuse_missing_samples
from snnb.simulation.simulation_statistics import ACCURACIES, SimulationStatistics, advice

__all__ = ["SimulationResult", "SimulationSettings", "simulate"]


@dataclass(frozen=True)
class SimulationResult:
    """A simulated network, and the statistics and warnings of its simulation."""

    network: Network
    statistics: SimulationStatistics
    warnings: List[str]  # with remedies, one line each

    def log_lines(self) -> List[str]:
        """Return the lines of the log: shapes of the populations, size of the network, statistics."""
        volumes = [self.network.input, *self.network.populations]
        lines = [f"{v.name} {'×'.join(map(str, v.shape))}: {v.size:,} neurons" for v in volumes]
        lines.append(f"neurons, without the input: {self.network.neurons:,}")
        lines.append(f"synapses: {self.statistics.ann_multiply_accumulates_per_sample:,}")
        return [*lines, "", *self.statistics.log_lines()]


def simulate(
    parsed: Path,
    target: Path,
    *,
    name: str,
    x: Union[np.ndarray, EventSamples],
    y: np.ndarray,
    scale: float,
    class_names: Sequence[str],
    num_classes: Optional[int],
    settings: SimulationSettings,
    output_scale: float = 1.0,
    dt_ms: float = 1.0,
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
        Name of the network.
    x : ndarray of uint8 or float32, shape (samples, height, width, channels), or EventSamples
        Images; a pixel is value / `scale`. Or samples that change from step to step, for the input `events` or `steps`.
    y : ndarray of int64, shape (samples,)
        Class ids.
    num_classes : int or None
        None for a network that reproduces its input.
    output_scale : float
        For a reconstruction: the output layer's scale factor, the activation that a rate of 1 stands for.
    dt_ms : float
        Time step in ms.

    Raises
    ------
    UsageError
        More samples than there are; options that the engine does not have; classes of a reconstruction.
    InputError
        The model cannot be simulated or does not fit the images; a pixel is outside [0, 1].
    ResourceError
        Memory or disk cannot hold the counts of the classes or bins.
    """
    network, trained = read_networks(parsed)
    _check_calibrated(network, settings)
    if network.windowed:
        network = network.separated(settings.duration)
    if settings.output == "membrane":
        output = network.output
        reading = replace(output, activation=MEMBRANE, initial_potential=None)
        network = replace(network, volumes=tuple(reading if volume is output else volume for volume in network.volumes))
    engine, reason = choose_engine(network, settings)
    _check(network, x, settings, num_classes)
    if network.weight_bits is not None and (
        isinstance(x, EventSamples) or scale != network.pixel or x.dtype.kind not in "ui"
    ):
        raise InputError(
            f"the integer network reads integers of 0 to {network.pixel}, not value / {scale:g}: parse again"
        )
    job = Job(parsed, network, trained, settings, engine, scale, num_classes is not None, output_scale, dt_ms)
    require_room(job, num_classes, target)
    samples = slice(settings.first, settings.first + settings.samples)
    x, y = x.part(samples) if isinstance(x, EventSamples) else x[samples], y[samples]
    totals = run_job(job, x, y, progress)
    write_ini(network, target / f"{name}_INI.h5", settings, dt_ms)
    write_sums(target / SUMS, job, totals, x)
    if settings.by == "class":
        write_by_class(target / BY_CLASS, job, totals, x, y, class_names)
    if settings.bins:
        write_by_bin(target / BY_BIN, job, totals, x)
    statistics = SimulationStatistics.of(job, totals, y, class_names, reason)
    statistics.write(target / ACCURACIES)
    label, ann = "accuracy", statistics.ann_accuracy
    if num_classes is None:
        label, ann = "mean squared error", statistics.ann_mean_squared_error
    figure = target / f"{label.replace(' ', '_')}_by_timestep.{figures}"
    plot_quality(figure, statistics.by_step, ann, label, statistics.readout_accuracy_by_timestep)
    possible = totals.samples * settings.counted_steps
    plot_rates(
        target / f"rate_histogram.{figures}", {name: counts / possible for name, counts in totals.counts.items()}
    )
    if settings.record_spikes:
        spikes = {population: spike_table(parts) for population, parts in totals.spikes.items()}
        write_spike_times(target / SPIKE_TIMES, job, spikes)
        plot_raster(target / f"raster.{figures}", network, spikes, network.latency(settings.duration), settings.first)
    return SimulationResult(network, statistics, advice(statistics, settings, network))


def _check_calibrated(network: Network, settings: SimulationSettings) -> None:
    """Refuse options that contradict the initial potentials and firing windows of a calibrated network."""
    if network.steps is not None and settings.initial_potential:
        raise UsageError("--initial-potential: a calibrated network defines its initial potentials; leave it out")
    if network.windowed and settings.warm_up:
        raise UsageError("--warm-up: a population with a firing window has no start to leave out; leave it out")
    if network.windowed and settings.reset != "subtraction":
        raise UsageError("--reset zero: a network with firing windows needs --reset subtraction")
    if network.weight_bits is not None and settings.threshold != 1:
        raise UsageError("--threshold: an integer network defines its thresholds; leave it out")
    if settings.output == "softmax" and network.output.activation != "softmax":
        raise UsageError(f"--output softmax: layer {network.output.name} is not a softmax; use spikes or membrane")


def _check(
    network: Network, x: Union[np.ndarray, EventSamples], settings: SimulationSettings, num_classes: Optional[int]
) -> None:
    refuse_missing_samples(settings, len(x))
    refuse_classes(settings, num_classes)
    if num_classes is None and settings.output == "membrane":
        raise UsageError("--output membrane: a network that reproduces its input has no class to read; leave it out")
    shape = x.shape if isinstance(x, EventSamples) else x.shape[1:]
    if shape != network.input.shape:
        raise InputError(f"the model reads samples of {network.input.shape}, the test set has {shape}: parse again")
    if network.trained_spiking:
        if num_classes is not None and num_classes > network.output.size:
            raise InputError(
                f"layer {network.output.name} has {network.output.size} neurons, but there are {num_classes} classes: "
                "give another data set"
            )
        return
    outputs = network.input.size if num_classes is None else num_classes
    if network.output.size != outputs:
        raise InputError(f"layer {network.output.name} has {network.output.size} neurons, not {outputs}: train again")
