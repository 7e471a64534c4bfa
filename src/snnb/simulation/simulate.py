"""Simulate a converted network on test samples, and write the results."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Union

import numpy as np

from snnb.core.errors import InputError, UsageError
from snnb.core.progress import Progress, silent
from snnb.network.event_samples import EventSamples
from snnb.network.fidelity import Fidelity
from snnb.network.labels import label_outside
from snnb.network.network import MEMBRANE, Network, Population, Volume
from snnb.network.read_network import read_networks
from snnb.network.spike_times import SPIKE_TIMES, SpikeTimes
from snnb.network.trained import TrainedNetwork
from snnb.simulation.advice import advice
from snnb.simulation.engines.engine import choose_engine, spike_table
from snnb.simulation.files import SUMS, write_counts, write_ini
from snnb.simulation.job import SimulationJob
from snnb.simulation.run_blocks import run_job
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.statistics import ACCURACIES, SimulationStatistics
from snnb.simulation.totals import Totals


@dataclass(frozen=True)
class SimulationResult:
    """A simulated network, and the results and warnings of its simulation."""

    network: Network
    statistics: SimulationStatistics
    warnings: List[str]  # with remedies, one line each
    rates: Dict[str, np.ndarray]  # by population, spikes per step and neuron: float64
    # As in `spike_times.npz`; None if not recorded
    spikes: Optional[Dict[str, np.ndarray]]
    fidelity: Optional[Fidelity] = None  # of the conversion

    def log_lines(self) -> List[str]:
        """Return the lines of the log.

        They state the shapes of the populations, the size of the network, the
        statistics, and the changes by the conversion.
        """
        network = self.network
        lines = [_shape_line(network.input)]
        lines += [_population_line(population) for population in network.populations]
        lines.append(f"neurons, without the input: {network.neurons:,}")
        lines.append(f"synapses: {self.statistics.synapses:,}")
        lines.append("")
        lines += self.statistics.log_lines()
        if self.fidelity is not None:
            lines.append("")
            lines += self.fidelity.lines()
        return lines


def simulate(
    parsed_path: Path,
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
    trained_network: Optional[TrainedNetwork] = None,
    multiply_accumulates: Optional[int] = None,
    fidelity: Optional[Fidelity] = None,
    progress: Progress = silent,
) -> SimulationResult:
    """Simulate the network in the file `parsed_path`, and write results into `target`.

    These are `NAME_INI.h5`, `spike_rate_sums.npz` and `sim_accuracies.json`, with
    `record_spikes` also `spike_times.npz`.

    `x` are images, uint8 or float32 (samples, height, width, channels), whose pixels
    are value / `scale`, or samples that change from step to step, for the input
    `events` or `steps`. Poisson input and integer networks need pixels in [0, 1]. `y`
    are their class ids, int64 (samples,). `num_classes` is None for a network that
    reproduces its input; `output_scale` is the activation of its output at a rate of 1.
    The analogue network is `trained_network`, or by default the parsed model, which
    computes the same unless the conversion replaced max pooling; `fidelity` describes
    the changes by the conversion. `multiply_accumulates` is the number of those of the
    trained network.

    Raise `UsageError` for options that do not suit the network or the engine,
    `InputError` if the network cannot be simulated or does not fit the samples.
    """
    network, analogue = read_networks(parsed_path)
    _check(network, x, y, settings, num_classes, scale)
    if network.windowed:
        network = network.separated(settings.duration)
    if settings.output == "membrane":
        network = _with_membrane_output(network)
    engine, engine_reason = choose_engine(network, settings)
    job = SimulationJob(
        parsed_path,
        network,
        analogue if trained_network is None else trained_network,
        settings,
        engine,
        scale,
        classifies=num_classes is not None,
        output_scale=output_scale,
        dt_ms=dt_ms,
        multiply_accumulates=multiply_accumulates,
    )
    rows = slice(settings.first, settings.first + settings.samples)
    samples = x.part(rows) if isinstance(x, EventSamples) else x[rows]
    labels = y[rows]
    totals = run_job(job, samples, labels, progress)
    write_ini(network, target / f"{name}_INI.h5", settings, dt_ms)
    write_counts(target / SUMS, job, totals, samples)
    statistics = SimulationStatistics.compute(
        job,
        totals,
        labels,
        class_names,
        engine_reason,
    )
    statistics.write(target / ACCURACIES)
    possible = totals.samples * settings.counted_steps
    rates = {population: n / possible for population, n in totals.counts.items()}
    spikes: Optional[Dict[str, np.ndarray]] = None
    if settings.record_spikes:
        spikes = _write_spike_times(target / SPIKE_TIMES, job, totals)
    return SimulationResult(
        network=network,
        statistics=statistics,
        warnings=advice(statistics, settings, network, fidelity),
        rates=rates,
        spikes=spikes,
        fidelity=fidelity,
    )


def _shape_line(volume: Volume) -> str:
    """Return the name, the shape and the number of neurons of a volume."""
    shape = "×".join(map(str, volume.shape))
    return f"{volume.name} {shape}: {volume.size:,} neurons"


def _population_line(population: Population) -> str:
    """Return the line of a population, with threshold and reset of a neuron model."""
    line = _shape_line(population)
    if population.neuron is None:
        return line
    threshold, reset = population.neuron.describe()
    if not threshold:
        return f"{line}, without spikes"
    return f"{line}, threshold {threshold}, reset {reset}"


def _with_membrane_output(network: Network) -> Network:
    """Return the network with an output that accumulates its input, without spikes."""
    output = replace(network.output, activation=MEMBRANE, initial_potential=None)
    return network.with_populations([output])


def _write_spike_times(
    path: Path,
    job: SimulationJob,
    totals: Totals,
) -> Dict[str, np.ndarray]:
    """Write the spikes of the recorded samples; return their table by population."""
    settings = job.settings
    tables = {name: spike_table(blocks) for name, blocks in totals.spikes.items()}
    samples = range(settings.first, settings.first + settings.record_spikes)
    latency = job.network.latency(settings.duration)
    SpikeTimes(samples, latency, tables).write(path)
    return tables


def _check(
    network: Network,
    x: Union[np.ndarray, EventSamples],
    y: np.ndarray,
    settings: SimulationSettings,
    num_classes: Optional[int],
    scale: float,
) -> None:
    """Raise an error for options that contradict the network.

    Raise one also for samples or classes that do not fit it.
    """
    output = network.output
    use = "use spikes or membrane"
    if settings.output == "softmax" and output.activation != "softmax":
        raise UsageError(
            f"--output softmax: layer {output.name} is not a softmax; {use}",
        )
    if num_classes is None and settings.output == "membrane":
        raise UsageError("--output membrane: an autoencoder has no classes; omit it")
    if network.rounds_pixels and not _has_pixels(x, scale, network.pixel):
        raise InputError(
            f"the network reads integers of 0 to {network.pixel}, not value / "
            f"{scale:g}: parse again",
        )
    sample_shape = x.shape if isinstance(x, EventSamples) else x.shape[1:]
    input_shape = network.input.shape
    if sample_shape != input_shape:
        raise InputError(
            f"the model reads samples of {input_shape}, the test set has "
            f"{sample_shape}: parse again"
        )
    if network.trained_spiking:
        if num_classes is not None and num_classes > output.size:
            raise InputError(
                f"layer {output.name} has {output.size} neurons, "
                f"but there are {num_classes} classes: "
                f"give another data set{label_outside(y, output.size)}",
            )
        return
    outputs = network.input.size if num_classes is None else num_classes
    if output.size != outputs:
        raise InputError(
            f"layer {output.name} has {output.size} neurons, not {outputs}: train again"
        )


def _has_pixels(x: Union[np.ndarray, EventSamples], scale: float, pixel: int) -> bool:
    """Whether samples are images with integers of 0 to `pixel`, or with fractions."""
    if isinstance(x, EventSamples):
        return False
    return scale == pixel or x.dtype.kind == "f"
