"""Sums over the samples of a simulation, and figures computed from them: accuracy, firing rates, operations.

The document `sim_accuracies.json` has the accuracy, or the error of a reconstruction, rates and operations.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, TypeVar, Union, cast

import numpy as np
from pydantic import Field
from typing_extensions import Annotated

from snnb.core.quantities import Quantity, cells_of, percent, prefixed, rows, view
from snnb.io.text import JsonValue
from snnb.network.network import MEMBRANE, Network
from snnb.network.quantities import SYNAPSES
from snnb.network.trained import TrainedNetwork
from snnb.simulation.accuracy import wilson_interval
from snnb.simulation.operations import activation_sparsity, connection_sparsity, energy_45nm, footprint
from snnb.simulation.settings import SimulationSettings
from snnb.simulation.summary import STEPS, SimulationSummary

S = TypeVar("S")
Confusion = List[Tuple[int, int, int]]  # class, guess or -1 without any, number of samples

ACCURACIES = "sim_accuracies.json"
# A rate still rises if it is higher by this factor in the last quarter of the time than in the quarter before.
RISING = 1.05
TOP = 5
TOP_FROM_CLASSES = 100
# Errors are rounded to multiples of this number, so that sums up to 130,000 are exact in any order and any blocks.
UNIT = 2.0**-36
# By coding of the output: which of the two accuracies to quote, and why
QUOTED = {
    "random": "report the read-out accuracy: the softmax output is stochastic",
    "spikes": "report the SNN accuracy (output spikes); the read-out uses their input",
    MEMBRANE: "the output does not spike: both accuracies use its membrane potential",
}


@dataclass(frozen=True)
class Job:
    """Network and settings of a simulation, without the samples."""

    parsed: Path
    network: Network  # the network that is simulated
    # Reference of the outputs: the trained network in the file `parsed`, or the trained model if max pooling was
    # replaced. None if the network is from a NIR file
    trained: Union[Network, TrainedNetwork, None]
    settings: SimulationSettings
    engine: str
    scale: float  # divisor from stored values to pixels
    classifies: bool  # the output is a class, not a reconstruction of the image
    output_scale: float  # of a reconstruction: activation of the trained output that is a rate of 1
    dt_ms: float = 1.0  # time step
    # Of the trained network, see `operations.multiply_accumulates`; None: not known
    multiply_accumulates: Optional[int] = None

    def pixels(self, values: np.ndarray) -> np.ndarray:
        """Return images as float32 pixels."""
        pixels: np.ndarray = values.astype(np.float32) / np.float32(self.scale)
        return pixels


class Quality(NamedTuple):
    """Sums over samples: of right guesses for a classifier, of mean squared errors for a reconstruction."""

    by_step: np.ndarray  # of the spiking network after each step
    ann: Optional[float]  # None if there is no analogue network
    readout: Optional[float]  # of the output layer's accumulated input; None if the engine does not provide it
    readout_by_step: Optional[np.ndarray] = None  # of the read-out after each step; None for a reconstruction
    differ: Optional[int] = 0  # samples for which the two networks guess differently
    ann_top: Optional[int] = 0  # samples whose class is among the five best
    snn_top: int = 0
    # Samples by class and by the spiking network's guess after the last step, int64 (classes, classes + 1); the last
    # column has the samples without any spike. None for a reconstruction.
    confusion: Optional[np.ndarray] = None
    readout_confusion: Optional[np.ndarray] = None  # the same by class of the read-out; None without a read-out


class Totals(NamedTuple):
    """Sums over the samples of a block, or of all; see `engine.BlockCounts`."""

    samples: int
    counts: Dict[str, np.ndarray]  # int64, in the population's shape; of the input if it spikes (Poisson, events)
    quality: Quality
    late: Optional[np.ndarray]
    spikes: Dict[str, List[np.ndarray]]  # block by block
    ties: int = 0
    membrane_updates: Optional[int] = None


def added(one: S, two: S) -> S:
    """Add sums: numbers, arrays, lists, and dictionaries and named tuples of these; None plus any sum is None."""
    sums: Any = None
    if isinstance(one, dict) and isinstance(two, dict):
        sums = {**one, **two, **{name: added(one[name], two[name]) for name in one.keys() & two.keys()}}
    elif isinstance(one, tuple) and isinstance(two, tuple):
        sums = type(one)(*map(added, one, two))
    elif one is not None and two is not None:
        sums = one + two  # type: ignore[operator]
    return cast(S, sums)


class Classification:
    """Computes the quality of a block of samples with classes from the spikes of the output layer.

    The guess is the class with most spikes so far; without any spike there is none, which counts as wrong. With
    `membrane`, it is the class with the largest read-out instead.
    """

    def __init__(self, y: np.ndarray, units: int, membrane: bool = False) -> None:
        self._y, self._membrane = y, membrane
        self._read: List[np.ndarray] = []
        self._counts = np.zeros((len(y), units), np.int64)
        self._guess = np.full(len(y), -1)
        self._right: List[np.ndarray] = []

    def observe(self, spikes: np.ndarray, readout: Optional[np.ndarray] = None) -> None:
        """Take spikes and accumulated input of the output layer in the next steps; see `engine.Observe`."""
        cumulative = self._counts[:, np.newaxis] + np.cumsum(spikes, axis=1)
        guesses = np.where(cumulative.any(axis=2), cumulative.argmax(axis=2), -1)
        if readout is not None:
            best = readout.argmax(axis=2)
            self._read.append((best == self._y[:, np.newaxis]).sum(axis=0))
            guesses = best if self._membrane else guesses
        self._right.append((guesses == self._y[:, np.newaxis]).sum(axis=0))
        self._counts, self._guess = cumulative[:, -1], guesses[:, -1]

    def quality(self, ann: Optional[np.ndarray], readout: Optional[np.ndarray]) -> Quality:
        """Return the quality after the last step, given the analogue outputs and the read-out; each may be missing."""
        guess = None if ann is None else ann.argmax(axis=1)
        scores = readout if self._membrane and readout is not None else self._counts
        units = self._counts.shape[1]

        def confused(guesses: np.ndarray) -> np.ndarray:
            confusion = np.zeros((units, units + 1), np.int64)
            np.add.at(confusion, (self._y, guesses), 1)  # a guess of -1 is the last column
            return confusion

        return Quality(
            by_step=np.concatenate(self._right),
            ann=None if guess is None else int((guess == self._y).sum()),
            readout=None if readout is None else int((readout.argmax(axis=1) == self._y).sum()),
            readout_by_step=np.concatenate(self._read) if self._read else None,
            differ=None if guess is None else int((guess != self._guess).sum()),
            ann_top=None if ann is None else int(_among_best(ann, self._y).sum()),
            snn_top=int((_among_best(scores, self._y) & (self._guess >= 0)).sum()),
            confusion=confused(self._guess),
            readout_confusion=None if readout is None else confused(readout.argmax(axis=1)),
        )


class Reconstruction:
    """Computes the mean squared error over pixels of the output's spike rate, in the unit of the image."""

    def __init__(self, x: np.ndarray, scale: float, analogue_scale: float) -> None:
        self._x = x.reshape(len(x), -1).astype(np.float64)
        self._scale, self._analogue_scale = scale, analogue_scale
        self._counts = np.zeros(self._x.shape, np.int64)
        self._errors: List[float] = []

    def observe(self, spikes: np.ndarray, readout: Optional[np.ndarray] = None) -> None:
        """See `Classification`."""
        for step in range(spikes.shape[1]):
            self._counts += spikes[:, step]
            self._errors.append(self._error(self._counts * (self._scale / (len(self._errors) + 1))))

    def quality(self, ann: Optional[np.ndarray], readout: Optional[np.ndarray]) -> Quality:
        """See `Classification`."""
        assert ann is not None
        mean = None if readout is None else np.maximum(readout, 0) * (self._analogue_scale / len(self._errors))
        return Quality(
            by_step=np.array(self._errors),
            ann=self._error(ann * self._analogue_scale),
            readout=None if mean is None else self._error(mean),
        )

    def _error(self, reconstruction: np.ndarray) -> float:
        errors = ((reconstruction - self._x) ** 2).mean(axis=1)
        return float(np.rint(errors / UNIT).sum() * UNIT)


def _among_best(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return whether fewer than five classes precede the true one; of equal scores, the lower class comes first."""
    true_score = scores[np.arange(len(y)), y][:, np.newaxis]
    is_lower_class = np.arange(scores.shape[1]) < y[:, np.newaxis]
    n_better: np.ndarray = ((scores > true_score) | ((scores == true_score) & is_lower_class)).sum(axis=1)
    return n_better < TOP


class SimulationStatistics(SimulationSummary):
    """The document `sim_accuracies.json`, whose keys docs/simulation.md describes."""

    first_sample: int
    num_timesteps: Annotated[int, STEPS] = Field(description="steps that are counted, after the warm-up")
    duration: int
    warm_up: int
    dt_ms: float
    snn_accuracy_by_timestep: Optional[List[float]] = None
    readout_accuracy_by_timestep: Optional[List[float]] = None
    disagreements: Annotated[Optional[int], Quantity("ANN and SNN disagree", unit="samples")] = Field(
        default=None, description="samples that the two networks classify differently"
    )
    confusion: Optional[Confusion] = None
    readout_confusion: Optional[Confusion] = None
    ann_top5_accuracy: Annotated[Optional[float], Quantity("ANN top-5 accuracy", percent)] = Field(
        default=None, description="for 100 classes or more"
    )
    snn_top5_accuracy: Annotated[Optional[float], Quantity("SNN top-5 accuracy", percent)] = Field(
        default=None, description="for 100 classes or more"
    )
    snn_mean_squared_error_by_timestep: Optional[List[float]] = None
    class_counts: Dict[str, int]
    coding: Dict[str, str]  # by population: spikes, current, random (spikes of a softmax layer) or membrane
    mean_rates: Dict[str, float]  # spikes per neuron and step
    silent_neurons: Dict[str, float]  # fraction of the neurons that never spiked
    saturated_neurons: Dict[str, float]  # fraction of the neurons that spiked at every step of every sample
    rising_populations: List[str]  # populations whose rate still rose at the end
    spikes_per_sample: Annotated[float, Quantity("spikes", per="sample")] = Field(
        description="spikes of all populations; with Poisson input or events, the input's too"
    )
    ann_multiply_accumulates_per_sample: Annotated[Optional[int], Quantity("MACs of the ANN", per="sample")] = Field(
        default=None,
        description="of one inference of the trained network: one for each weight of each value that a convolution or "
        "a dense layer reads. Poolings and shortcuts multiply nothing, batch normalisation is part of the weights; "
        "zeros of a padding are not counted",
    )
    input_multiply_accumulates_per_sample: Annotated[int, Quantity("MACs of the input", per="sample")] = Field(
        description="one for each synapse of a constant input, whose current is computed once; with `--input steps`, "
        "one for each in every counted step; 0 if the input is spikes (Poisson, events), which are added"
    )
    energy_45nm_pj: Annotated[float, Quantity("energy at 45 nm", prefixed, unit="pJ", per="sample")] = Field(
        description="4.6 pJ · multiply-accumulates of the input + 0.9 pJ · additions"
    )
    energy_45nm_ann_pj: Annotated[
        Optional[float], Quantity("ANN energy at 45 nm", prefixed, unit="pJ", per="sample")
    ] = Field(
        default=None,
        description="4.6 pJ · multiply-accumulates of the trained network; not of a network from a NIR file",
    )
    synapses: Annotated[int, SYNAPSES] = Field(
        description="their number, as [graph-format.md](graph-format.md#definition-of-a-synapse) defines them, from "
        "the input too"
    )
    footprint: Annotated[int, Quantity("footprint", unit="bytes")] = Field(
        description="of the parameters: weights (once for all synapses that share one, also those of 0), biases, and "
        "thresholds, initial potentials and numbers of a neuron model where the network has them. Each takes 4 bytes, "
        "a weight of an [integer network](conversion.md#integer-networks) its bit width"
    )
    connection_sparsity: Annotated[float, Quantity("connection sparsity", percent)] = Field(
        description="fraction of the weights that are 0, each counted once; an average pooling has weights only after "
        "calibration, which makes it a depthwise convolution"
    )
    activation_sparsity: Annotated[float, Quantity("activation sparsity", percent)] = Field(
        description="fraction of (neuron, step, sample) without a spike, in the counted steps (with separated firing, "
        "of the window); without the input and an output that does not spike"
    )
    membrane_updates: Annotated[Optional[float], Quantity("membrane updates", per="sample")] = Field(
        default=None,
        description="changes of a membrane potential from the end of a step to that of the next, in the counted "
        "steps; in the first step of a sample that of each neuron counts. Max pooling has no membrane. Only of the "
        "engine `event`, without separated firing",
    )
    tie_share: Annotated[Optional[float], Quantity("ties with the threshold", percent)] = Field(
        default=None,
        description="fraction of the membrane potentials that equal the threshold "
        "[exactly](spiking-networks.md#numbers); only of a network from a NIR file",
    )
    engine: str
    engine_reason: str
    seed: int

    @classmethod
    def of(
        cls, job: Job, totals: Totals, y: np.ndarray, class_names: Sequence[str], engine_reason: str
    ) -> "SimulationStatistics":
        """Return the statistics of a simulation of samples with the class ids `y`."""
        settings = job.settings
        network = job.network
        samples = totals.samples
        coding = {network.input.name: "spikes" if settings.input in ("poisson", "events") else "current"}
        coding.update({population.name: population.coding for population in network.populations})
        if job.classifies:
            measured = _accuracies(totals, is_random="random" in coding.values())
            class_counts = np.bincount(y, minlength=len(class_names)).tolist()
            measured["class_counts"] = dict(zip(class_names, class_counts))
        else:
            measured = _errors(totals)
        # How often a synapse of the input multiplies a current in a sample.
        currents = {"constant": 1, "steps": settings.counted_steps}.get(settings.input, 0)
        trained_energy = None
        if job.multiply_accumulates is not None:
            trained_energy = energy_45nm(job.multiply_accumulates)
        tie_share = None
        if network.trained_spiking:
            spiking = sum(population.size for population in network.populations if population.spikes)
            tie_share = totals.ties / max(1, samples * settings.duration * spiking)
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
            ann_multiply_accumulates_per_sample=job.multiply_accumulates,
            energy_45nm_ann_pj=trained_energy,
            engine=job.engine,
            engine_reason=engine_reason,
            seed=settings.seed,
            tie_share=tie_share,
            **rate_statistics(network, totals, settings.counted_steps, currents),
            **measured,
        )

    @property
    def operations(self) -> str:
        """One line of operations and energy at 45 nm; the trained network in brackets."""
        cells = cells_of(self, OPERATIONS)
        spiking = f"{cells['synaptic_operations_per_sample']} additions"
        if self.input_multiply_accumulates_per_sample:
            spiking += f" and {cells['input_multiply_accumulates_per_sample']} MACs of the input"
        spiking += f", {cells['energy_45nm_pj']}"
        if self.energy_45nm_ann_pj is None:
            return f"per sample: {spiking}"
        trained = f"{cells['ann_multiply_accumulates_per_sample']} MACs, {cells['energy_45nm_ann_pj']}"
        return f"per sample: {spiking} (trained: {trained})"

    @property
    def by_step(self) -> List[float]:
        """Accuracy, or mean squared error, of the spiking network after each time step."""
        return self.snn_accuracy_by_timestep or self.snn_mean_squared_error_by_timestep or []

    @property
    def course(self) -> Tuple[List[float], Optional[float], str, Optional[List[float]]]:
        """Arguments of `plot_quality`."""
        if self.classifies:
            return self.by_step, self.ann_accuracy, "accuracy", self.readout_accuracy_by_timestep
        return self.by_step, self.ann_mean_squared_error, "mean squared error", None

    @property
    def is_random(self) -> bool:
        """Whether the spikes of the output, a softmax, are random."""
        return "random" in self.coding.values()

    @property
    def quoted_by_step(self) -> List[float]:
        """Accuracy, or error, to quote after each time step: of the read-out if the output's spikes are random."""
        return (self.readout_accuracy_by_timestep if self.is_random else None) or self.by_step

    @property
    def quoted_confusion(self) -> Optional[Confusion]:
        """Confusion matrix of the guesses whose accuracy is quoted, see `quoted_by_step`."""
        return (self.readout_confusion if self.is_random else None) or self.confusion

    def summary(self) -> SimulationSummary:
        """Return the quantities that the manifest records."""
        return SimulationSummary(**{name: getattr(self, name) for name in SimulationSummary.model_fields})

    def log_lines(self) -> List[str]:
        """Return the lines of the log."""
        lines = [f"engine: {self.engine} ({self.engine_reason})"]
        lines += [f"{row.title}: {row.measure}" for row in rows(self, LOG)]
        lines.append(self.operations)
        for name, rate in self.mean_rates.items():
            shares = f"{self.silent_neurons[name]:.1%} of neurons silent, {self.saturated_neurons[name]:.1%} saturated"
            lines.append(f"{name}: {rate:.5f} spikes per step; {shares}")
        return lines


# Of the line of operations
OPERATIONS = view(
    "synaptic_operations_per_sample",
    "input_multiply_accumulates_per_sample",
    "energy_45nm_pj",
    "ann_multiply_accumulates_per_sample",
    "energy_45nm_ann_pj",
    of=[SimulationStatistics],
)
# Of `log.txt`
LOG = view(
    "num_samples",
    "ann_accuracy",
    "ann_accuracy_interval_95",
    "readout_accuracy",
    "readout_accuracy_interval_95",
    "snn_accuracy",
    "snn_accuracy_interval_95",
    "ann_mean_squared_error",
    "readout_mean_squared_error",
    "snn_mean_squared_error",
    "disagreements",
    "latency_steps",
    "interval_steps",
    "mean_rate",
    "spikes_per_sample",
    "synaptic_operations_per_sample",
    "ann_multiply_accumulates_per_sample",
    "tie_share",
    of=[SimulationStatistics],
)


def _accuracies(totals: Totals, *, is_random: bool) -> Dict[str, JsonValue]:
    """Return the fields of `SimulationStatistics` that only a classifier has, without the counts of the classes.

    `is_random`: the spikes of the output are random, so that the read-out is to be quoted.
    """
    samples = totals.samples
    quality = totals.quality
    spiking = float(quality.by_step[-1])
    accuracies: Dict[str, JsonValue] = {
        "snn_accuracy": spiking / samples,
        "snn_accuracy_interval_95": wilson_interval(spiking, samples),
        "snn_accuracy_by_timestep": (quality.by_step / samples).tolist(),
        "disagreements": quality.differ,
        "confusion": _confusion_rows(quality.confusion),
        "readout_confusion": _confusion_rows(quality.readout_confusion),
    }
    if quality.ann is not None:
        accuracies["ann_accuracy"] = quality.ann / samples
        accuracies["ann_accuracy_interval_95"] = wilson_interval(quality.ann, samples)
    if quality.readout is not None:
        accuracies["readout_accuracy"] = quality.readout / samples
        if is_random:
            accuracies["readout_accuracy_interval_95"] = wilson_interval(quality.readout, samples)
    if quality.readout_by_step is not None:
        accuracies["readout_accuracy_by_timestep"] = (quality.readout_by_step / samples).tolist()
    assert quality.confusion is not None
    if len(quality.confusion) >= TOP_FROM_CLASSES:
        accuracies["snn_top5_accuracy"] = quality.snn_top / samples
        if quality.ann_top is not None:
            accuracies["ann_top5_accuracy"] = quality.ann_top / samples
    return accuracies


def _errors(totals: Totals) -> Dict[str, JsonValue]:
    """Return the fields of `SimulationStatistics` that differ for a network that reproduces its input."""
    samples = totals.samples
    quality = totals.quality
    assert quality.ann is not None
    by_step = (quality.by_step / samples).tolist()
    return {
        "ann_mean_squared_error": quality.ann / samples,
        "snn_mean_squared_error": by_step[-1],
        "snn_mean_squared_error_by_timestep": by_step,
        "readout_mean_squared_error": None if quality.readout is None else quality.readout / samples,
        "class_counts": {},
    }


def _confusion_rows(confusion: Optional[np.ndarray]) -> Optional[Confusion]:
    """Return class, guess and number of samples of each pair that occurs; a guess of -1 is a sample without spikes."""
    if confusion is None:
        return None
    classes, guesses = (indices.tolist() for indices in np.nonzero(confusion))
    undecided = confusion.shape[1] - 1
    return [
        (true, -1 if guess == undecided else guess, int(confusion[true, guess]))
        for true, guess in zip(classes, guesses)
    ]


def rate_statistics(network: Network, totals: Totals, steps: int, currents: int = 0) -> Dict[str, JsonValue]:
    """Compute fields of `SimulationStatistics`, rates and operations, from sums over a number of counted time steps.

    `currents` is the number of currents of each neuron of the input in a sample: 0 if it spikes.
    """
    possible = totals.samples * steps
    fan_out = network.fan_out()
    rising = []
    if totals.late is not None:
        before, last = totals.late.T
        # Three standard deviations of a Poisson count, so that few spikes do not look like a rise.
        risen = (last > RISING * before) & (last - before > 3 * np.sqrt(last))
        rising = [population.name for population, rises in zip(network.populations, risen) if rises]
    operations = sum(int((counts * fan_out[name]).sum()) for name, counts in totals.counts.items())
    multiplied = currents * int(fan_out[network.input.name].sum())
    of_neurons = [counts for name, counts in totals.counts.items() if name != network.input.name]
    neurons = sum(counts.size for counts in of_neurons)
    neuron_spikes = sum(int(counts.sum()) for counts in of_neurons)
    return {
        "mean_rate": neuron_spikes / max(1, neurons * possible),
        "mean_rates": {name: float(counts.mean() / possible) for name, counts in totals.counts.items()},
        "silent_neurons": {name: float((counts == 0).mean()) for name, counts in totals.counts.items()},
        "saturated_neurons": {name: float((counts == possible).mean()) for name, counts in totals.counts.items()},
        "rising_populations": rising,
        "spikes_per_sample": sum(int(counts.sum()) for counts in totals.counts.values()) / totals.samples,
        "synaptic_operations_per_sample": operations / totals.samples,
        "synapses": sum(int(leaving.sum()) for leaving in fan_out.values()),
        "input_multiply_accumulates_per_sample": multiplied,
        "energy_45nm_pj": energy_45nm(multiplied, operations / totals.samples),
        "footprint": footprint(network),
        "connection_sparsity": connection_sparsity(network),
        "activation_sparsity": activation_sparsity(network, totals.counts, possible),
        "membrane_updates": None if totals.membrane_updates is None else totals.membrane_updates / totals.samples,
    }
