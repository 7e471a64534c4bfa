"""Accuracy, firing rates and operations of a simulation, the document `sim_accuracies.json`; warnings with remedies."""

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from pydantic import SerializerFunctionWrapHandler, model_serializer

from snnb.io.text import Document
from snnb.network.network import MEMBRANE, Network
from snnb.simulation.accuracy import TOP_FROM_CLASSES, wilson_interval
from snnb.simulation.simulation_settings import SimulationSettings

if TYPE_CHECKING:
    from snnb.simulation.job import Job, Totals


ACCURACIES = "sim_accuracies.json"
METRICS = (
    "ann_accuracy",
    "snn_accuracy",
    "readout_accuracy",
    "ann_mean_squared_error",
    "snn_mean_squared_error",
    "readout_mean_squared_error",
)
# A rate that is in the last quarter of the time above that of the quarter before by this factor still rises.
RISING = 1.05


class SimulationStatistics(Document):
    """The document `sim_accuracies.json`, whose keys docs/simulation.md describes.

    A classifier has accuracies, and a network that reproduces its input has mean squared errors. Files of older
    versions lack some of the fields with a default.
    """

    num_samples: int
    first_sample: int = 0
    num_timesteps: int
    duration: int
    latency_steps: Optional[int] = None
    interval_steps: Optional[int] = None
    warm_up: int
    dt_ms: float
    ann_accuracy: Optional[float] = None
    snn_accuracy: Optional[float] = None
    snn_accuracy_interval_95: Optional[Tuple[float, float]] = None
    snn_accuracy_by_timestep: Optional[List[float]] = None
    readout_accuracy: Optional[float] = None
    readout_accuracy_by_timestep: Optional[List[float]] = None
    disagreements: Optional[int] = None
    confusion: Optional[List[Tuple[int, int, int]]] = None
    ann_top5_accuracy: Optional[float] = None
    snn_top5_accuracy: Optional[float] = None
    ann_mean_squared_error: Optional[float] = None
    snn_mean_squared_error: Optional[float] = None
    snn_mean_squared_error_by_timestep: Optional[List[float]] = None
    readout_mean_squared_error: Optional[float] = None
    class_counts: Dict[str, int]
    coding: Dict[str, str]  # by population: spikes, current, random (spikes of a softmax layer) or membrane
    mean_rates: Dict[str, float]
    silent_neurons: Dict[str, float]
    saturated_neurons: Dict[str, float]
    rising_populations: List[str]
    spikes_per_sample: Optional[float] = None
    synaptic_operations_per_sample: float
    ann_multiply_accumulates_per_sample: int
    engine: str
    engine_reason: str
    seed: int

    @classmethod
    def of(
        cls, job: "Job", totals: "Totals", y: np.ndarray, class_names: Sequence[str], engine_reason: str
    ) -> "SimulationStatistics":
        """Return the statistics of a simulation of samples with the class ids `y`."""
        settings, network, quality, samples = job.settings, job.network, totals.quality, totals.samples
        final, by_step = float(quality.by_step[-1]), (quality.by_step / samples).tolist()
        readout = None if quality.readout is None else quality.readout / samples
        figures: Dict[str, Any]
        if job.classifies:
            read, ann, ann_top = quality.readout_by_step, quality.ann, quality.ann_top
            figures = {
                "ann_accuracy": None if ann is None else ann / samples,
                "snn_accuracy": final / samples,
                "snn_accuracy_interval_95": wilson_interval(final, samples),
                "snn_accuracy_by_timestep": by_step,
                "readout_accuracy": readout,
                "readout_accuracy_by_timestep": None if read is None else (read / samples).tolist(),
                "disagreements": quality.differ,
                "confusion": quality.confusions(),
                "class_counts": dict(zip(class_names, np.bincount(y, minlength=len(class_names)).tolist())),
            }
            if network.output.size >= TOP_FROM_CLASSES:
                figures["ann_top5_accuracy"] = None if ann_top is None else ann_top / samples
                figures["snn_top5_accuracy"] = quality.snn_top / samples
        else:
            assert quality.ann is not None
            figures = {
                "ann_mean_squared_error": quality.ann / samples,
                "snn_mean_squared_error": by_step[-1],
                "snn_mean_squared_error_by_timestep": by_step,
                "readout_mean_squared_error": readout,
                "class_counts": {},
            }
        coding = {network.input.name: "spikes" if settings.input in ("poisson", "events") else "current"}
        for population in network.populations:
            coding[population.name] = {"softmax": "random", MEMBRANE: MEMBRANE}.get(population.activation, "spikes")
            if population.neuron is not None and not population.neuron.spikes:
                coding[population.name] = MEMBRANE
        return cls(
            num_samples=samples,
            first_sample=settings.first,
            num_timesteps=settings.counted_steps,
            duration=settings.duration,
            latency_steps=network.latency(settings.duration),
            interval_steps=network.interval(settings.duration),
            warm_up=settings.warm_up,
            dt_ms=job.dt_ms,
            coding=coding,
            engine=job.engine,
            engine_reason=engine_reason,
            seed=settings.seed,
            **rate_statistics(network, totals, settings.counted_steps)._asdict(),
            **figures,
        )

    @property
    def by_step(self) -> List[float]:
        """Accuracy, or mean squared error, of the spiking network after each time step."""
        return self.snn_accuracy_by_timestep or self.snn_mean_squared_error_by_timestep or []

    @property
    def quoted_by_step(self) -> List[float]:
        """Accuracy, or error, to quote after each time step: of the read-out if the output's spikes are random."""
        random = "random" in self.coding.values()
        return (self.readout_accuracy_by_timestep if random else None) or self.by_step

    @model_serializer(mode="wrap")
    def _omit_absent(self, plain: SerializerFunctionWrapHandler) -> Dict[str, object]:
        """Omit absent figures, except those of a read-out that the engine does not provide, which are null."""
        values: Dict[str, object] = plain(self)
        readout = ("readout_accuracy", "readout_accuracy_by_timestep")
        null = readout if self.snn_accuracy is not None else ("readout_mean_squared_error",)
        return {name: value for name, value in values.items() if value is not None or name in null}

    def metrics(self) -> Dict[str, float]:
        """Return the figures that the manifest records."""
        figures = {name: getattr(self, name) for name in (*METRICS, "latency_steps", "interval_steps")}
        return {name: value for name, value in figures.items() if value is not None}

    def log_lines(self) -> List[str]:
        """Return the lines of the log."""
        lines = [f"engine: {self.engine} ({self.engine_reason})"]
        lines += [f"{name}: {getattr(self, name):.6g}" for name in METRICS if getattr(self, name) is not None]
        if self.snn_accuracy_interval_95 is not None:
            low, high = self.snn_accuracy_interval_95
            lines.append(f"snn_accuracy, 95 % interval: {low:.4f} to {high:.4f}")
        if self.disagreements is not None:
            lines.append(f"samples on which the two networks differ: {self.disagreements} of {self.num_samples}")
        lines.append(f"latency: {self.latency_steps} time steps; a sample every {self.interval_steps} time steps")
        lines.append(f"spikes per sample: {self.spikes_per_sample:.6g}")
        lines.append(f"synaptic operations per sample: {self.synaptic_operations_per_sample:.6g}")
        lines.append(f"multiply-accumulates of the analogue network: {self.ann_multiply_accumulates_per_sample}")
        for name, rate in self.mean_rates.items():
            shares = f"{self.silent_neurons[name]:.1%} of neurons silent, {self.saturated_neurons[name]:.1%} saturated"
            lines.append(f"{name}: {rate:.5f} spikes per step; {shares}")
        return lines


class RateStatistics(NamedTuple):
    """Firing rates and operations per sample: fields of `SimulationStatistics`, by population in network order."""

    mean_rates: Dict[str, float]  # spikes per neuron and step
    silent_neurons: Dict[str, float]  # share of the neurons that never spiked
    saturated_neurons: Dict[str, float]  # share of the neurons that spiked at every step of every sample
    rising_populations: List[str]  # populations whose rate still rose at the end
    spikes_per_sample: float
    # Sum over neurons of spikes times out-degree. The input's neurons count if they spike.
    synaptic_operations_per_sample: float
    # One for each synapse, including the synapses from the input.
    ann_multiply_accumulates_per_sample: int


def rate_statistics(network: Network, totals: "Totals", steps: int) -> RateStatistics:
    """Compute rates and operations from the sums of a simulation with a number of counted time steps."""
    possible, fan_out, rising = totals.samples * steps, network.fan_out(), []
    if totals.late is not None:
        before, last = totals.late.T
        # Three standard deviations of a Poisson count, so that few spikes do not look like a rise.
        risen = (last > RISING * before) & (last - before > 3 * np.sqrt(last))
        rising = [population.name for population, rises in zip(network.populations, risen) if rises]
    operations = sum(int((counts * fan_out[name]).sum()) for name, counts in totals.counts.items())
    return RateStatistics(
        mean_rates={name: float(counts.mean() / possible) for name, counts in totals.counts.items()},
        silent_neurons={name: float((counts == 0).mean()) for name, counts in totals.counts.items()},
        saturated_neurons={name: float((counts == possible).mean()) for name, counts in totals.counts.items()},
        rising_populations=rising,
        spikes_per_sample=sum(int(counts.sum()) for counts in totals.counts.values()) / totals.samples,
        synaptic_operations_per_sample=operations / totals.samples,
        ann_multiply_accumulates_per_sample=sum(int(leaving.sum()) for leaving in fan_out.values()),
    )


# Below this rate a pixel of 1 gives less than the spike a step that its current would be, but biases act in full.
FULL_RATE = 1000.0
# A population whose mean rate is above this share of the highest possible one spikes at nearly every step.
SATURATED = 0.99
FEW = 5  # names of layers in a message

LEAST_LOSS = 0.01  # of the samples; a smaller loss is none, however many samples there are
# By coding of the output: which accuracy to quote, and why there are two.
QUOTED = {
    "random": "quote the read-out accuracy: this softmax draws its spikes at random",
    "spikes": "quote the SNN accuracy, of output spikes; the read-out is of their input",
    MEMBRANE: "the output does not spike: both are of its membrane potential",
}


def advice(statistics: SimulationStatistics, settings: SimulationSettings, network: Network) -> List[str]:
    """Return the warnings of a simulation of `network`, one line each."""
    lines = []
    if settings.input == "poisson" and settings.input_rate < FULL_RATE:
        lines.append(
            f"--input-rate {settings.input_rate:g} Hz: below {FULL_RATE:g} Hz the biases, which act at every step, "
            "outweigh the input: use 1000 Hz unless this is meant"
        )
    rates = statistics.mean_rates
    fire = [p for p in network.populations if p.activation != MEMBRANE and (p.neuron is None or p.neuron.spikes)]
    silent = [population.name for population in fire if rates[population.name] == 0]
    never = [f"layer {name} never spikes" for name in silent]
    if len(silent) > FEW:
        never = [f"{len(silent)} layers, first {silent[0]} and last {silent[-1]}, never spike"]
    if network.trained_spiking:
        return [*lines, *(f"{which}: check --time-step and --nir-reset, and --bin-us of events" for which in never)]
    lines += [f"{which}: simulate longer (--duration), or parse with a lower --percentile" for which in never]
    for population in network.populations:
        if rates[population.name] > SATURATED and population is not network.output:
            lines.append(
                f"layer {population.name} spikes nearly every step: raise --threshold, or parse with a higher "
                "--percentile"
            )
    return lines + loss_advice(statistics, settings, network)


def loss_advice(statistics: SimulationStatistics, settings: SimulationSettings, network: Network) -> List[str]:
    """Return a line for each cause of a loss that exceeds a point and the 95 % interval of the number of samples."""
    trained, spikes, samples = statistics.ann_accuracy, statistics.snn_accuracy, statistics.num_samples
    lost = 0.0
    if trained is not None and spikes is not None and _is_loss(trained, spikes, samples):
        lost = trained - spikes
    if network.steps not in (None, settings.duration):
        steps, points = settings.duration, f", which loses {100 * lost:.1f} points" if lost else ""
        return [
            f"--duration {steps}: the network is calibrated for {network.steps} time steps{points}; leave out "
            f"--duration, or calibrate for {steps} (parse --calibrate {steps}, or train --levels {steps})"
        ]
    if trained is None or spikes is None:
        rising = len(statistics.rising_populations)
        error = (statistics.snn_mean_squared_error or 0.0) > (statistics.ann_mean_squared_error or 0.0)
        return [f"the rate still rises in {rising} layers: simulate longer (--duration)"] if rising and error else []
    if not lost:
        return []
    readout, before = statistics.readout_accuracy, _remedies(statistics, settings, network)
    if readout is None or readout == spikes:
        return [f"{100 * lost:.1f} points lost ({spikes:.1%} of {trained:.1%}): {before}"]
    output = "--output membrane reads out"
    if "random" in statistics.coding.values():
        output = "random spikes of a softmax; take --output spikes or membrane"
    causes = [
        (readout - spikes, f"in the output ({spikes:.1%} by spikes, {readout:.1%} read out): {output}"),
        (trained - readout, f"before the output ({readout:.1%} read out, {trained:.1%} trained): {before}"),
    ]
    causes.sort(reverse=True)
    large = [cause for cause in causes if _is_loss(spikes + cause[0], spikes, samples)]
    return [f"{100 * points:.1f} points lost {where}" for points, where in large or causes[:1]]


def _is_loss(trained: float, spiking: float, samples: int) -> bool:
    """Whether a difference of accuracies exceeds a point, and the interval of the lower one does not explain it."""
    return trained - spiking >= LEAST_LOSS and trained > wilson_interval(spiking * samples, samples)[1]


def _remedies(statistics: SimulationStatistics, settings: SimulationSettings, network: Network) -> str:
    """Return remedies against a loss before the output: first a longer simulation, if the accuracy still rises."""
    remedies = []
    by_step = statistics.readout_accuracy_by_timestep or statistics.by_step
    # The accuracy gained in the last half of the time.
    gained = by_step[-1] - by_step[len(by_step) // 2 - 1] if len(by_step) > 1 else None
    if network.steps is not None:
        remedies.append("calibrate for more time steps (parse --calibrate, or train --levels)")
    elif gained is not None and gained >= LEAST_LOSS:
        remedies.append(f"simulate longer (--duration; the last half gained {100 * gained:.1f} points)")
    if network.weight_bits is not None:
        remedies.append("round weights to more bits (parse --weight-bits)")
    if network.zeros is not None:
        remedies.append("prune fewer weights (parse --prune)")
    if network.steps is None and not settings.initial_potential and settings.engine != "toolbox":
        remedies.append("start at half the threshold (--initial-potential 0.5)")
    if network.steps is None:
        remedies.append("calibrate (parse --calibrate)")
    return "; ".join(remedies)
