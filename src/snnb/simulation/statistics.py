"""Figures of a simulation, computed from the sums over its samples.

They are the document `sim_accuracies.json`: accuracy, or the error of a reconstruction;
firing rates; operations and size of the network.
"""

from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
from pydantic import Field
from typing_extensions import Annotated

from snnb.core.quantities import Quantity, cells_of, percent, prefixed, rows, view
from snnb.io.text import JsonValue
from snnb.network.network import MEMBRANE, Network
from snnb.network.quantities import SYNAPSES
from snnb.simulation.accuracy import wilson_interval
from snnb.simulation.job import SimulationJob
from snnb.simulation.operations import (
    ADDITION_PJ,
    MULTIPLY_ACCUMULATE_PJ,
    activation_sparsity,
    connection_sparsity,
    energy_45nm,
    footprint,
)
from snnb.simulation.scorers import NO_GUESS
from snnb.simulation.summary import STEPS, SimulationSummary
from snnb.simulation.totals import Totals

# Class, guess (`NO_GUESS` without any), number of samples
Confusion = List[Tuple[int, int, int]]

ACCURACIES = "sim_accuracies.json"
# A rate still rises if it is higher by this factor in the last quarter of the time than
# in the quarter before.
RISING = 1.05
TOP_FROM_CLASSES = 100  # number of classes from which top-5 accuracies are reported
# By coding of the output: which accuracy is quoted, and why
QUOTED = {
    "random": (
        "the SNN accuracy is that of the read-out: the output spikes of a softmax are "
        "drawn at random"
    ),
    "spikes": "the SNN accuracy is that of the output spikes; the read-out is their input",
    MEMBRANE: (
        "the SNN accuracy is that of the membrane potential: the output does not spike"
    ),
}


class SimulationStatistics(SimulationSummary):
    """The document `sim_accuracies.json`, whose keys docs/simulation.md describes."""

    first_sample: int
    num_timesteps: Annotated[int, STEPS] = Field(
        description="steps that are counted, after the warm-up",
    )
    duration: int
    warm_up: int
    dt_ms: float
    snn_accuracy_by_timestep: Optional[List[float]] = None
    readout_accuracy_by_timestep: Optional[List[float]] = None
    disagreements: Annotated[
        Optional[int],
        Quantity("ANN and SNN disagree", unit="samples"),
    ] = Field(
        default=None,
        description="samples that the two networks classify differently",
    )
    confusion: Optional[Confusion] = None
    readout_confusion: Optional[Confusion] = None
    ann_top5_accuracy: Annotated[
        Optional[float],
        Quantity("ANN top-5 accuracy", percent),
    ] = Field(default=None, description="for 100 classes or more")
    snn_top5_accuracy: Annotated[
        Optional[float],
        Quantity("SNN top-5 accuracy", percent),
    ] = Field(default=None, description="for 100 classes or more")
    snn_mean_squared_error_by_timestep: Optional[List[float]] = None
    class_counts: Dict[str, int]
    # By population: spikes, current, random (spikes of a softmax layer) or membrane
    coding: Dict[str, str]
    mean_rates: Dict[str, float]  # spikes per neuron and step
    silent_neurons: Dict[str, float]  # fraction of the neurons that never spiked
    # Fraction of the neurons that spiked at every step of every sample
    saturated_neurons: Dict[str, float]
    rising_populations: List[str]  # populations whose rate still rose at the end
    spikes_per_sample: Annotated[float, Quantity("spikes", per="sample")] = Field(
        description=(
            "spikes of all populations; with Poisson input or events, the input's too"
        ),
    )
    ann_multiply_accumulates_per_sample: Annotated[
        Optional[int],
        Quantity("MACs of the ANN", per="sample"),
    ] = Field(
        default=None,
        description=(
            "of one inference of the trained network: one for each weight of each "
            "value that a convolution or a dense layer reads. Poolings and shortcuts "
            "multiply nothing, batch normalisation is part of the weights; zeros of a "
            "padding are not counted"
        ),
    )
    input_multiply_accumulates_per_sample: Annotated[
        int,
        Quantity("MACs of the input", per="sample"),
    ] = Field(
        description=(
            "one for each synapse of a constant input, whose current is computed once; "
            "with `--input steps`, one for each in every counted step; 0 if the input "
            "is spikes (Poisson, events), which are added"
        ),
    )
    energy_45nm_pj: Annotated[
        float,
        Quantity("energy at 45 nm", prefixed, unit="pJ", per="sample"),
    ] = Field(
        description="4.6 pJ · multiply-accumulates of the input + 0.9 pJ · additions",
    )
    energy_45nm_ann_pj: Annotated[
        Optional[float],
        Quantity("ANN energy at 45 nm", prefixed, unit="pJ", per="sample"),
    ] = Field(
        default=None,
        description=(
            "4.6 pJ · multiply-accumulates of the trained network; not of a network "
            "from a NIR file"
        ),
    )
    synapses: Annotated[int, SYNAPSES] = Field(
        description=(
            "their number, as "
            "[graph-format.md](graph-format.md#definition-of-a-synapse) defines them, "
            "from the input too"
        ),
    )
    footprint: Annotated[int, Quantity("footprint", unit="bytes")] = Field(
        description=(
            "of the parameters: weights (once for all synapses that share one, also "
            "those of 0), biases, and thresholds, initial potentials and numbers of a "
            "neuron model where the network has them. Each takes 4 bytes, a weight of "
            "an [integer network](conversion.md#integer-networks) its bit width"
        ),
    )
    connection_sparsity: Annotated[
        float,
        Quantity("connection sparsity", percent),
    ] = Field(
        description=(
            "fraction of the weights that are 0, each counted once; an average "
            "pooling has weights only after calibration, which makes it a "
            "depthwise convolution"
        ),
    )
    activation_sparsity: Annotated[
        float,
        Quantity("activation sparsity", percent),
    ] = Field(
        description=(
            "fraction of (neuron, step, sample) without a spike, in the counted "
            "steps (with separated firing, of the window); without the input and "
            "an output that does not spike"
        ),
    )
    membrane_updates: Annotated[
        Optional[float],
        Quantity("membrane updates", per="sample"),
    ] = Field(
        default=None,
        description=(
            "changes of a membrane potential from the end of a step to that of the "
            "next, in the counted steps; in the first step of a sample that of each "
            "neuron counts. Max pooling has no membrane. Only of the engine `event`, "
            "without separated firing"
        ),
    )
    tie_share: Annotated[
        Optional[float],
        Quantity("ties with the threshold", percent),
    ] = Field(
        default=None,
        description="fraction of the membrane potentials that equal the threshold "
        "[exactly](spiking-networks.md#numbers); only of a network from a NIR file",
    )
    engine: str
    engine_reason: str
    seed: int

    @classmethod
    def compute(
        cls,
        job: SimulationJob,
        totals: Totals,
        y: np.ndarray,
        class_names: Sequence[str],
        engine_reason: str,
    ) -> "SimulationStatistics":
        """Return the statistics of a simulation.

        `totals` are the sums over all samples, `y` their class ids, int64 (samples,).
        """
        settings = job.settings
        network = job.network
        coding = _coding(job)
        quality_fields: Dict[str, JsonValue] = {}
        if job.classifies and not job.labelled:
            quality_fields.update(class_counts={}, disagreements=totals.quality.differ)
        elif job.classifies:
            quality_fields = _accuracies(totals, is_random="random" in coding.values())
            class_counts = np.bincount(y, minlength=len(class_names)).tolist()
            quality_fields["class_counts"] = dict(zip(class_names, class_counts))
        else:
            quality_fields = _errors(totals)
        # How often a synapse of the input multiplies a current in a sample.
        currents_by_input = {"constant": 1, "steps": settings.counted_steps}
        currents = currents_by_input.get(settings.input, 0)
        trained_energy = None
        if job.multiply_accumulates is not None:
            trained_energy = energy_45nm(job.multiply_accumulates)
        return cls(
            num_samples=totals.samples,
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
            tie_share=_tie_share(job, totals),
            **rate_statistics(network, totals, settings.counted_steps, currents),
            **quality_fields,
        )

    @property
    def accuracy_lines(self) -> List[str]:
        """Line about the accuracy that is quoted, and the reason; none without a read-out."""
        if self.readout_accuracy is None:
            return []
        return [QUOTED[self.output_coding]]

    @property
    def operation_lines(self) -> List[str]:
        """Lines of operations and energy at 45 nm.

        If the energy is higher than that of the trained network, the second line says
        how many additions take the place of a multiply-accumulate. More than 4.6 / 0.9
        take more energy.
        """
        lines = [self._operations()]
        trained_energy = self.energy_45nm_ann_pj
        trained_macs = self.ann_multiply_accumulates_per_sample
        if (
            trained_energy is None
            or trained_macs is None
            or self.energy_45nm_pj <= trained_energy
        ):
            return lines
        replaced_macs = trained_macs - self.input_multiply_accumulates_per_sample
        if replaced_macs <= 0:
            cause = "the input alone needs as many MACs"
        else:
            additions = self.synaptic_operations_per_sample / replaced_macs
            equal = MULTIPLY_ACCUMULATE_PJ / ADDITION_PJ
            cause = (
                f"{additions:.1f} additions replace a MAC, and {equal:.1f} take as much "
                "energy"
            )
        return [*lines, f"more energy than trained: {cause}"]

    def _operations(self) -> str:
        """Return operations and energy, in brackets those of the trained network."""
        cells = cells_of(self, OPERATIONS)
        spiking = f"{cells['synaptic_operations_per_sample']} additions"
        if self.input_multiply_accumulates_per_sample:
            input_cell = cells["input_multiply_accumulates_per_sample"]
            spiking += f" and {input_cell} MACs of the input"
        spiking += f", {cells['energy_45nm_pj']}"
        if self.energy_45nm_ann_pj is None:
            return f"per sample: {spiking}"
        trained_macs = cells["ann_multiply_accumulates_per_sample"]
        trained_energy = cells["energy_45nm_ann_pj"]
        return f"per sample: {spiking} (trained: {trained_macs} MACs, {trained_energy})"

    @property
    def by_step(self) -> List[float]:
        """Accuracy, or mean squared error, of the spiking network after each step."""
        accuracy = self.snn_accuracy_by_timestep
        return accuracy or self.snn_mean_squared_error_by_timestep or []

    @property
    def course(self) -> Tuple[List[float], Optional[float], str, Optional[List[float]]]:
        """Arguments of `plot_quality`."""
        if self.classifies:
            return (
                self.by_step,
                self.ann_accuracy,
                "accuracy",
                self.readout_accuracy_by_timestep,
            )
        return self.by_step, self.ann_mean_squared_error, "mean squared error", None

    @property
    def is_random(self) -> bool:
        """Whether the spikes of the output, a softmax, are random."""
        return self.output_coding == "random"

    @property
    def output_coding(self) -> str:
        """Coding of the output: `spikes`, `random` (softmax) or `membrane`."""
        codings = self.coding.values()
        special = (coding for coding in ("random", MEMBRANE) if coding in codings)
        return next(special, "spikes")

    @property
    def quoted_by_step(self) -> List[float]:
        """Accuracy, or error, to quote after each time step.

        It is the accuracy of the read-out if the spikes of the output are random.
        """
        readout = self.readout_accuracy_by_timestep if self.is_random else None
        return readout or self.by_step

    @property
    def quoted_confusion(self) -> Optional[Confusion]:
        """Confusion matrix of the guesses with the accuracy of `quoted_by_step`."""
        readout = self.readout_confusion if self.is_random else None
        return readout or self.confusion

    def summary(self) -> SimulationSummary:
        """Return the quantities that the manifest records."""
        names = SimulationSummary.model_fields
        return SimulationSummary(**{name: getattr(self, name) for name in names})

    def log_lines(self) -> List[str]:
        """Return the lines of the log."""
        lines = [f"engine: {self.engine} ({self.engine_reason})"]
        lines += [f"{row.title}: {row.measure}" for row in rows(self, LOG)]
        lines += self.accuracy_lines
        lines += self.operation_lines
        for name, rate in self.mean_rates.items():
            lines.append(
                f"{name}: {rate:.5f} spikes per step; "
                f"{self.silent_neurons[name]:.1%} of neurons silent, "
                f"{self.saturated_neurons[name]:.1%} saturated",
            )
        return lines


# Quantities of the line of operations
OPERATIONS = view(
    "synaptic_operations_per_sample",
    "input_multiply_accumulates_per_sample",
    "energy_45nm_pj",
    "ann_multiply_accumulates_per_sample",
    "energy_45nm_ann_pj",
    of=[SimulationStatistics],
)
# Quantities of `log.txt`
LOG = view(
    "num_samples",
    "ann_accuracy",
    "ann_accuracy_interval_95",
    "quoted_accuracy",
    "quoted_accuracy_interval_95",
    "readout_accuracy",
    "snn_accuracy",
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


def _coding(job: SimulationJob) -> Dict[str, str]:
    """Return the coding of the input and of each population, by its name."""
    is_spikes = job.settings.input in ("poisson", "events")
    coding = {job.network.input.name: "spikes" if is_spikes else "current"}
    for population in job.network.populations:
        coding[population.name] = population.coding
    return coding


def _tie_share(job: SimulationJob, totals: Totals) -> Optional[float]:
    """Return the fraction of membrane potentials that equal the threshold exactly.

    None for a converted network, whose ties are not counted.
    """
    network = job.network
    if not network.trained_spiking:
        return None
    sizes = (p.size for p in network.populations if p.is_spiking)
    steps = totals.samples * job.settings.duration
    return totals.ties / max(1, steps * sum(sizes))


def _accuracies(totals: Totals, *, is_random: bool) -> Dict[str, JsonValue]:
    """Return the fields of `SimulationStatistics` that only a classifier has.

    The counts of the classes are not among them. `is_random`: the spikes of the output
    are random, so that the read-out is to be quoted.
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
        interval = wilson_interval(quality.ann, samples)
        accuracies["ann_accuracy"] = quality.ann / samples
        accuracies["ann_accuracy_interval_95"] = interval
    if quality.readout is not None:
        accuracies["readout_accuracy"] = quality.readout / samples
        if is_random:
            interval = wilson_interval(quality.readout, samples)
            accuracies["readout_accuracy_interval_95"] = interval
    if quality.readout_by_step is not None:
        by_step = (quality.readout_by_step / samples).tolist()
        accuracies["readout_accuracy_by_timestep"] = by_step
    assert quality.confusion is not None
    if len(quality.confusion) >= TOP_FROM_CLASSES:
        accuracies["snn_top5_accuracy"] = quality.snn_top / samples
        if quality.ann_top is not None:
            accuracies["ann_top5_accuracy"] = quality.ann_top / samples
    return accuracies


def _errors(totals: Totals) -> Dict[str, JsonValue]:
    """Return the fields that differ for a network that reproduces its input."""
    samples = totals.samples
    quality = totals.quality
    ann_error = None if quality.ann is None else quality.ann / samples
    by_step = (quality.by_step / samples).tolist()
    readout_error = None
    if quality.readout is not None:
        readout_error = quality.readout / samples
    return {
        "ann_mean_squared_error": ann_error,
        "snn_mean_squared_error": by_step[-1],
        "snn_mean_squared_error_by_timestep": by_step,
        "readout_mean_squared_error": readout_error,
        "class_counts": {},
    }


def _confusion_rows(confusion: Optional[np.ndarray]) -> Optional[Confusion]:
    """Return class, guess and number of samples of each pair that occurs.

    `confusion` is int64 (classes, classes + 1), see `QualitySums`. The guess is
    `NO_GUESS` for samples without spikes, which are in the last column.
    """
    if confusion is None:
        return None
    classes, guesses = (indices.tolist() for indices in np.nonzero(confusion))
    last_column = confusion.shape[1] - 1
    table: Confusion = []
    for label, column in zip(classes, guesses):
        guess = NO_GUESS if column == last_column else column
        table.append((label, guess, int(confusion[label, column])))
    return table


def rate_statistics(
    network: Network,
    totals: Totals,
    steps: int,
    currents: int = 0,
) -> Dict[str, JsonValue]:
    """Return the fields of `SimulationStatistics` of rates, operations and sizes.

    `totals` are sums over `steps` counted time steps of each sample. `currents` is the
    number of currents of each neuron of the input in a sample: 0 if it spikes.
    """
    samples = totals.samples
    counts = totals.counts
    possible = samples * steps  # largest number of spikes of a neuron
    fan_out = network.fan_out()
    spikes = {name: int(numbers.sum()) for name, numbers in counts.items()}
    hidden = [name for name in counts if name != network.input.name]
    neurons = sum(counts[name].size for name in hidden)
    neuron_spikes = sum(spikes[name] for name in hidden)
    operations = 0  # additions: a spike of a neuron is one for each of its synapses
    for name, numbers in counts.items():
        operations += int((numbers * fan_out[name]).sum())
    input_macs = currents * int(fan_out[network.input.name].sum())
    membrane_updates = None
    if totals.membrane_updates is not None:
        membrane_updates = totals.membrane_updates / samples
    rates: Dict[str, float] = {}
    silent: Dict[str, float] = {}
    saturated_shares: Dict[str, float] = {}
    for name, numbers in counts.items():
        rates[name] = float(numbers.mean() / possible)
        silent[name] = float((numbers == 0).mean())
        saturated_shares[name] = float((numbers == possible).mean())
    return {
        "mean_rate": neuron_spikes / max(1, neurons * possible),
        "mean_rates": rates,
        "silent_neurons": silent,
        "saturated_neurons": saturated_shares,
        "rising_populations": _rising_populations(network, totals.late),
        "spikes_per_sample": sum(spikes.values()) / samples,
        "synaptic_operations_per_sample": operations / samples,
        "synapses": sum(int(degrees.sum()) for degrees in fan_out.values()),
        "input_multiply_accumulates_per_sample": input_macs,
        "energy_45nm_pj": energy_45nm(input_macs, operations / samples),
        "footprint": footprint(network),
        "connection_sparsity": connection_sparsity(network),
        "activation_sparsity": activation_sparsity(network, counts, possible),
        "membrane_updates": membrane_updates,
    }


def _rising_populations(network: Network, late: Optional[np.ndarray]) -> List[str]:
    """Return the populations whose rate still rises in the last quarter of the time.

    `late` has the spikes of each population in the last two quarters: int64
    (populations, 2); None if the engine does not count them.
    """
    if late is None:
        return []
    earlier_spikes, last_spikes = late.T
    # Three standard deviations of a Poisson count, so that few spikes do not look like
    # a rise.
    noise = 3 * np.sqrt(last_spikes)
    is_higher = last_spikes > RISING * earlier_spikes
    is_significant = last_spikes - earlier_spikes > noise
    rises = is_higher & is_significant
    populations = network.populations
    return [population.name for population, rise in zip(populations, rises) if rise]
