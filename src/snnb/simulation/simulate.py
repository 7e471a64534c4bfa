"""Simulate a converted network on samples, in memory."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Union

import numpy as np

from snnb.core.errors import InputError, UsageError
from snnb.core.progress import Progress, silent
from snnb.network.converted import ConvertedNetwork
from snnb.network.event_samples import EventSamples
from snnb.network.fidelity import Fidelity
from snnb.network.labels import label_outside
from snnb.network.network import MEMBRANE, Network, Population, Volume
from snnb.network.spike_counts import SUMS, Recording, SpikeCounts
from snnb.network.spike_times import SPIKE_TIMES, SpikeTimes
from snnb.simulation.advice import advice
from snnb.simulation.engines.engine import choose_engine, spike_table
from snnb.simulation.files import write_ini
from snnb.simulation.job import SimulationJob
from snnb.simulation.run_blocks import run_job
from snnb.simulation.scorers import NO_GUESS
from snnb.simulation.settings import SimulationSettings, refuse_unsuitable
from snnb.simulation.statistics import ACCURACIES, SimulationStatistics
from snnb.simulation.totals import Totals


@dataclass(frozen=True, eq=False, repr=False)
class Simulation:
    """A simulated network: its spikes, its outputs and its accuracy.

    Attributes
    ----------
    network : Network
        The network as it was simulated, with its firing windows.
    settings : SimulationSettings
    counts : SpikeCounts
        Spikes of each neuron, summed over the samples.
    outputs : ndarray, shape (samples, units)
        Output of each sample, from which its class follows: spikes of the last layer
        in the counted steps (int64), or its accumulated input (float) if it does not
        spike, or spikes at random (softmax).
    statistics : SimulationStatistics
        Accuracies, rates and operations, as in `sim_accuracies.json`.
    spike_times : SpikeTimes or None
        Spikes of the first `record_spikes` samples.
    warnings : list of str
        What is unusual, and what to change.
    fidelity : Fidelity or None
        Of the conversion.
    """

    network: Network
    settings: SimulationSettings
    counts: SpikeCounts
    outputs: np.ndarray
    statistics: SimulationStatistics
    spike_times: Optional[SpikeTimes]
    warnings: List[str]
    fidelity: Optional[Fidelity] = None

    def __repr__(self) -> str:
        statistics = self.statistics
        accuracy = "" if self.accuracy is None else f", accuracy {self.accuracy:.2%}"
        return (
            f"<Simulation of {statistics.num_samples:,} samples, {statistics.duration} "
            f"steps{accuracy}>"
        )

    @property
    def accuracy(self) -> Optional[float]:
        """Fraction of the samples that are classified correctly, the one to quote.

        It is None without labels, and for a network that reproduces its input.
        """
        return self.statistics.quoted_accuracy

    @property
    def rates(self) -> Dict[str, np.ndarray]:
        """By spiking population, spikes per step and neuron: float64, in its shape."""
        rates = self.counts.rates
        if self.counts.coding[self.network.input.name] == "current":
            del rates[self.network.input.name]
        return rates

    @property
    def predictions(self) -> np.ndarray:
        """Class with the largest output, by sample: int64 (samples,).

        It is -1 for a sample without an output spike, which counts as wrong.
        """
        classes = self.outputs.argmax(axis=1)
        if self.counts.coding[self.network.output.name] == "spikes":
            classes[~self.outputs.any(axis=1)] = NO_GUESS
        return classes

    def write(self, directory: Path, name: str) -> None:
        """Write `NAME_INI.h5`, `spike_rate_sums.npz` and `sim_accuracies.json`.

        With recorded spikes also `spike_times.npz`.
        """
        dt_ms = self.counts.recording.dt_ms
        write_ini(self.network, directory / f"{name}_INI.h5", self.settings, dt_ms)
        self.counts.write(directory / SUMS)
        self.statistics.write(directory / ACCURACIES)
        if self.spike_times is not None:
            self.spike_times.write(directory / SPIKE_TIMES)

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
    model: Union[Network, ConvertedNetwork],
    x: Union[np.ndarray, EventSamples],
    y: Optional[np.ndarray] = None,
    *,
    settings: SimulationSettings,
    scale: float = 1.0,
    class_names: Optional[Sequence[str]] = None,
    reconstructs: bool = False,
    dt_ms: float = 1.0,
    progress: Progress = silent,
) -> Simulation:
    """Simulate a network; nothing is read or written.

    Parameters
    ----------
    model : Network or ConvertedNetwork
        With a `ConvertedNetwork` the analogue network is evaluated too.
    x : ndarray or EventSamples
        Images, uint8 or float32 (samples, height, width, channels), whose pixels are
        value / `scale`, or samples that change from step to step, for the input
        `events` or `steps`. Poisson input and integer networks need pixels in [0, 1].
        The samples `first` to `first + samples` of the settings are simulated.
    y : ndarray of int, shape (samples,), optional
        Class ids; without them there are no accuracies.
    class_names : sequence of str, optional
        By default the numbers of the outputs.
    reconstructs : bool
        Whether the output is an image like the input, not classes.

    Raises
    ------
    UsageError
        Settings do not suit the network or the engine.
    InputError
        The network cannot be simulated, or does not fit the samples.
    """
    if isinstance(model, Network):
        model = ConvertedNetwork.of(model)
    network = model.network
    if class_names is None:
        class_names = [str(number) for number in range(network.output.size)]
    num_classes = None if reconstructs else len(class_names)
    rows = slice(settings.first, settings.first + settings.samples)
    samples = x.part(rows) if isinstance(x, EventSamples) else x[rows]
    labels = np.zeros(len(samples), np.int64) if y is None else y[rows]
    refuse_unsuitable(
        settings,
        is_integer=network.rounds_pixels,
        is_calibrated=network.steps is not None,
        has_windows=network.windowed,
        is_pruned=network.zeros is not None,
        trained_spiking=network.trained_spiking,
    )
    _check(network, x, labels, settings, num_classes, scale)
    if network.windowed:
        network = network.separated(settings.duration)
    if settings.output == "membrane":
        network = _with_membrane_output(network)
    engine, engine_reason = choose_engine(network, settings)
    job = SimulationJob(
        network,
        model.analogue,
        settings,
        engine,
        scale,
        classifies=not reconstructs,
        labelled=y is not None,
        output_scale=model.output_scale,
        dt_ms=dt_ms,
        multiply_accumulates=model.multiply_accumulates,
    )
    totals = run_job(job, samples, labels, progress)
    statistics = SimulationStatistics.compute(
        job, totals, labels, class_names, engine_reason
    )
    return Simulation(
        network=network,
        settings=settings,
        counts=_spike_counts(job, totals, samples, statistics.coding),
        outputs=np.concatenate(totals.outputs),
        statistics=statistics,
        spike_times=_spike_times(job, totals) if settings.record_spikes else None,
        warnings=[]
        if y is None
        else advice(statistics, settings, network, model.fidelity),
        fidelity=model.fidelity,
    )


def _spike_counts(
    job: SimulationJob,
    totals: Totals,
    x: Union[np.ndarray, EventSamples],
    coding: Dict[str, str],
) -> SpikeCounts:
    """Return the spikes of the populations, and spikes or currents of the input."""
    network_input = job.network.input
    if network_input.name in totals.counts:
        inputs = totals.counts[network_input.name].astype(np.float64)
    else:
        inputs = _sum_currents(job, x)
    populations = [population.name for population in job.network.populations]
    settings = job.settings
    return SpikeCounts(
        Recording(totals.samples, settings.counted_steps, settings.warm_up, job.dt_ms),
        {"input": inputs, **{name: totals.counts[name] for name in populations}},
        coding,
    )


def _sum_currents(
    job: SimulationJob,
    x: Union[np.ndarray, EventSamples],
) -> np.ndarray:
    """Sum the currents of the input over samples and counted steps.

    Return float64, in the shape of the input. One sample at a time is in memory.
    """
    settings = job.settings
    currents = np.zeros(job.network.input.shape)
    for index in range(len(x)):
        sample = x[index : index + 1]
        if isinstance(sample, np.ndarray):
            pixels = job.pixels(sample[0]).astype(np.float64)
            currents += settings.counted_steps * pixels
        else:
            currents += sample.sums(settings.warm_up, settings.duration)[0]
    return currents


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


def _spike_times(job: SimulationJob, totals: Totals) -> SpikeTimes:
    """Return the spikes of the recorded samples."""
    settings = job.settings
    tables = {name: spike_table(blocks) for name, blocks in totals.spikes.items()}
    samples = range(settings.first, settings.first + settings.record_spikes)
    return SpikeTimes(samples, job.network.latency(settings.duration), tables)


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
    if settings.output == "spikes" and output.activation == "softmax":
        raise UsageError(
            f"--output spikes: layer {output.name} is a softmax; replace it first, see "
            "`snnb.conversion.rewriting.spiking_output`",
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
