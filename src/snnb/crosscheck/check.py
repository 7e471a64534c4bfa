"""Compare the spikes of two simulators, and decide if differences are due to rounding.

Two simulators of a deep network differ in many spikes: they add in different orders, or
in float32 and float64. A neuron whose potential is close to the threshold then spikes a
step earlier in one of them, which shifts later spikes. Total counts are therefore a
weak check.

If the simulation has recorded its spikes, each spike of both simulators is checked (see
`consistency`). If only sums of spikes over all samples are known, they may differ as
far as shifted spikes explain.
"""

from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Protocol, Tuple

import numpy as np

from snnb.core.errors import ResourceError, UsageError, VerificationError
from snnb.core.machine import memory
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.crosscheck.consistency import Inconsistent, first_inconsistent
from snnb.crosscheck.counts import CountDifference, count_differences, within_rounding
from snnb.crosscheck.exported import (
    ExportedNetwork,
    Simulate,
    Spikes,
    counts_of,
    in_order,
)
from snnb.graph.synapse_graph import SynapseGraph

# Bytes of memory a synapse, rounded up from measurements on lenet_mnist: 59, 650
# (mapped 780) and 41.
SYNAPSE_BYTES = {"brian2": 70, "sanafe": 850, "scipy": 45}
# Largest number of neurons × samples in a batch; for Brian2, which copies the network
# for each sample, also synapses
BATCH_SIZES = {"scipy": 1 << 21, "brian2": 1 << 19}
# Largest difference of a membrane potential at the end of a sample, in thresholds;
# times √n for n samples
LARGEST_SHIFT = 4.0
RECORD_SPIKES = "simulate with --record-spikes 5 and repeat the crosscheck"
ONLY_RECORDED = f"To check each spike, {RECORD_SPIKES}"
ALTERED = "check whether a file of the run was altered; otherwise please report it"
EACH_FOLLOWS = "each spike follows from the exported weights and the preceding spikes"


def require_memory_of(graph: SynapseGraph, simulator: str) -> None:
    """Raise `ResourceError` if the simulation of a graph does not fit into memory."""
    from rich.filesize import decimal

    synapses = graph.number_of_edges()
    needed_bytes = SYNAPSE_BYTES[simulator] * synapses
    free_bytes = memory().available
    if needed_bytes > free_bytes:
        advice = "use a machine with more memory"
        if simulator != "scipy":
            advice = f"use --with scipy, which requires the least memory, or {advice}"
        raise ResourceError(
            f"{simulator} takes about {decimal(needed_bytes)} of memory for "
            f"{synapses:,} synapses, {decimal(free_bytes)} are free; {advice}"
        )


class Inputs(Protocol):
    """Inputs of samples, as in `Simulate`; a slice has some of the samples."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice) -> np.ndarray: ...


@dataclass(frozen=True)
class Expectation:
    """Inputs and spikes of a simulation; either `spikes` or `sums` are given."""

    steps: int  # time steps of a sample
    first_counted_step: int  # first step whose spikes are counted
    inputs: Inputs
    spikes: Optional[Spikes] = None  # recorded spikes, in order
    # Spike counts over all samples: int64 (neurons,)
    sums: Optional[Mapping[str, np.ndarray]] = None


class _Batch(NamedTuple):
    """The spikes of some samples in a simulator, numbered from the first of them."""

    samples: slice
    inputs: np.ndarray
    spikes: Dict[str, np.ndarray]

    @property
    def size(self) -> int:
        """Number of samples."""
        return int(self.samples.stop - self.samples.start)


def samples_per_batch(network: ExportedNetwork, simulator: str) -> int:
    """Return the number of samples in a batch, 1 to 64.

    It is 1 in a simulator without batches.
    """
    size = sum(population.size for population in network.simulated_populations)
    if simulator == "brian2":
        size += sum(projection.weights.nnz for projection in network.projections)
    return int(np.clip(BATCH_SIZES.get(simulator, 0) // size, 1, 64))


def check(
    network: ExportedNetwork,
    simulate: Simulate,
    expectation: Expectation,
    *,
    name: str,
    batch_size: int = 1,
    say: Say = say_nothing,
    progress: Progress = silent,
) -> Tuple[CountDifference, ...]:
    """Simulate in the simulator `name`, and compare all spike counts.

    Parameters
    ----------
    network : ExportedNetwork
        The network that is simulated.
    simulate : Simulate
        Function of the simulator.
    expectation : Expectation
        Inputs and spikes of the simulation to compare with.
    name : str
        Name of the simulator, for messages.
    batch_size : int
        Number of samples that are simulated at a time.
    say : Say
        Called with a message on differences that are not errors.
    progress : Progress
        Called with the number of samples simulated, and of all.

    Raises
    ------
    VerificationError
        With recorded spikes if some differ, and one of either simulator does not follow
        from the exported weights within the rounding of float32. With sums if integer
        sums differ, or other sums in more than one of a thousand pairs of sample and
        neuron, and those of a neuron by more than its membrane potential at the end of
        each sample explains.
    UsageError
        Sums differ that much with reset to zero or a neuron model, where only recorded
        spikes can be checked.
    """
    batches = _simulate_batches(simulate, expectation, batch_size, progress)
    if expectation.spikes is not None:
        differences = _compare_spikes(
            network, batches, expectation, expectation.spikes, name
        )
        _report(differences, EACH_FOLLOWS, say)
        return tuple(differences)
    assert expectation.sums is not None
    samples = len(expectation.inputs)
    sums = _sum_counts(network, batches, expectation.first_counted_step)
    differences = count_differences(sums, expectation.sums, samples)
    if network.integers:
        _refuse_differences(differences, name)
    if not all(within_rounding(difference, samples) for difference in differences):
        _refuse_sums(network, differences, sums, expectation.sums, samples, name)
        shift = LARGEST_SHIFT * samples**0.5
        reason = (
            "by the exported weights these spikes change no membrane potential by "
            f"more than {shift:.3g} thresholds in {samples} samples, but a small "
            f"error would not either. {ONLY_RECORDED}"
        )
        _report(differences, reason, say)
    return tuple(differences)


def _report(differences: List[CountDifference], reason: str, say: Say) -> None:
    """Say how many counts differ, if any, and why this is not an error."""
    differing = sum(difference.differing for difference in differences)
    if not differing:
        return
    pairs = sum(difference.pairs for difference in differences)
    largest = max(difference.largest for difference in differences)
    worst = max(differences, key=lambda difference: difference.share)
    say(
        f"crosscheck: {differing / pairs:.3%} of pairs of sample and neuron differ "
        f"({worst.share:.3%} in {worst.population}), by up to {largest} spikes: "
        "rounding differs where a membrane potential is close to the threshold, and "
        f"one spike shifts others; {reason}"
    )


def _simulate_batches(
    simulate: Simulate,
    expectation: Expectation,
    batch_size: int,
    progress: Progress,
) -> Iterator[_Batch]:
    """Simulate batches of samples; yield each."""
    total = len(expectation.inputs)
    for begin in range(0, total, batch_size):
        samples = slice(begin, min(begin + batch_size, total))
        inputs = expectation.inputs[samples]
        yield _Batch(samples, inputs, simulate(inputs, expectation.steps))
        progress(samples.stop, total)


def _sum_counts(
    network: ExportedNetwork,
    batches: Iterator[_Batch],
    first_counted_step: int,
) -> Dict[str, np.ndarray]:
    """Return the spike counts of each population over all samples: int64 (neurons,)."""
    sums = {p.name: np.zeros(p.size, np.int64) for p in network.simulated_populations}
    for batch in batches:
        for name, total in sums.items():
            spikes = batch.spikes[name]
            counts = counts_of(spikes, batch.size, total.size, first_counted_step)
            total += counts.sum(axis=0)
    return sums


def _refuse_differences(differences: List[CountDifference], name: str) -> None:
    """Raise `VerificationError` if sums of a network of integers differ at all."""
    for difference in differences:
        if difference.differing:
            raise VerificationError(
                f"{difference.population} differs in {name} by "
                f"{difference.differing:,} spikes, and sums of integers are exact: "
                f"rounding cannot explain the difference. {ALTERED}"
            )


def _compare_spikes(
    network: ExportedNetwork,
    batches: Iterator[_Batch],
    expectation: Expectation,
    recorded_spikes: Spikes,
    name: str,
) -> List[CountDifference]:
    """Compare the counts of each sample.

    Raise `VerificationError` where a spike of either simulator does not follow from the
    weights.
    """
    sizes = {p.name: p.size for p in network.simulated_populations}
    first_counted_step = expectation.first_counted_step
    batch_counts: Dict[str, List[np.ndarray]] = {population: [] for population in sizes}
    for batch in batches:
        spikes = {}
        expected_spikes = {}
        for population, size in sizes.items():
            rows = in_order(batch.spikes[population])
            spikes[population] = rows
            expected_spikes[population] = _cut(
                recorded_spikes[population],
                batch.samples,
            )
            counts = counts_of(rows, batch.size, size, first_counted_step)
            batch_counts[population].append(counts)
        if not _are_equal(spikes, expected_spikes):
            _refuse_wrong_spikes(
                network, batch, expectation, spikes, expected_spikes, name
            )
    samples = len(expectation.inputs)
    simulator_counts = {}
    simulation_counts = {}
    for population, size in sizes.items():
        rows = recorded_spikes[population]
        simulator_counts[population] = np.concatenate(batch_counts[population])
        simulation_counts[population] = counts_of(
            rows, samples, size, first_counted_step
        )
    return count_differences(simulator_counts, simulation_counts, samples)


def _refuse_wrong_spikes(
    network: ExportedNetwork,
    batch: _Batch,
    expectation: Expectation,
    spikes: Spikes,
    expected_spikes: Spikes,
    name: str,
) -> None:
    """Raise `VerificationError` for a spike that does not follow from the weights.

    `expected_spikes` are those of the simulation, `spikes` those of the simulator
    `name`.
    """
    trains = {"the simulation": expected_spikes, name: spikes}
    for program, program_spikes in trains.items():
        wrong = first_inconsistent(
            network, batch.inputs, program_spikes, expectation.steps
        )
        if wrong is None:
            continue
        population = wrong.population
        size = network.population(population).size
        counts, expected_counts = (
            counts_of(
                rows[population], batch.size, size, expectation.first_counted_step
            )
            for rows in (spikes, expected_spikes)
        )
        differences = np.count_nonzero(counts != expected_counts)
        raise VerificationError(
            f"{population} differs in {name}: {differences:,} of {counts.size:,} pairs "
            f"of sample and neuron; in {program}, "
            f"{_explain(wrong, batch.samples.start)}. {ALTERED}"
        )


def _cut(rows: np.ndarray, samples: slice) -> np.ndarray:
    """Return the spikes of some samples, which are numbered from the first of them."""
    is_inside = (rows[:, 0] >= samples.start) & (rows[:, 0] < samples.stop)
    return rows[is_inside] - [samples.start, 0, 0]


def _are_equal(spikes: Spikes, expected_spikes: Spikes) -> bool:
    """Whether two simulators have the same spikes, all in order."""
    return all(np.array_equal(rows, expected_spikes[p]) for p, rows in spikes.items())


def _explain(wrong: Inconsistent, first_sample: int) -> str:
    """Return in words what is wrong; `first_sample` is the number of sample 0."""
    event = "spikes" if wrong.spiked else "does not spike"
    return (
        f"neuron {wrong.neuron} {event} in step {wrong.step} of sample "
        f"{first_sample + wrong.sample}, where the exported weights give a membrane "
        f"potential of {wrong.potential:.9g} (threshold {wrong.threshold:g}; rounding "
        f"may move it by {wrong.rounding:.1g})"
    )


def _refuse_sums(
    network: ExportedNetwork,
    differences: List[CountDifference],
    sums: Mapping[str, np.ndarray],
    expected_sums: Mapping[str, np.ndarray],
    samples: int,
    name: str,
) -> None:
    """Raise `VerificationError` where sums differ by more than shifted spikes explain.

    The input of a neuron minus its spikes is its membrane potential at the end. So the
    differences of both, of two simulators of one network, are that of two potentials, a
    threshold or two in each sample, however deep the network, up or down: over n
    samples their sum grows as √n, that of an error as n. (ResNet-20, 20 samples of 50
    steps: 0.8 √n at most, in the layer where most counts differ.)
    """
    populations = network.simulated_populations
    if network.leaky or any("reset" in p.numbers for p in populations):
        worst = max(differences, key=lambda difference: difference.share)
        raise UsageError(
            f"{worst.population} differs in {name} by {worst.differing:,} spikes in "
            f"{worst.pairs:,} pairs of sample and neuron, by rounding or an error: "
            "with reset to a value, or a leak, sums are not conclusive. "
            f"{ONLY_RECORDED}"
        )
    missing_spikes = {p: expected_sums[p] - sums[p] for p in sums}
    for difference in differences:
        population = network.population(difference.population)
        if population.counts_largest:  # no sum of its inputs
            continue
        threshold = population.threshold
        shift = -threshold * missing_spikes[population.name]  # of the potentials
        for projection in network.spiking_inbound(population.name):
            if projection.source in missing_spikes:
                shift = shift + projection.weights @ missing_spikes[projection.source]
        limit = LARGEST_SHIFT * threshold * samples**0.5
        neurons = np.flatnonzero(~(np.abs(shift) <= limit))
        if neurons.size:
            neuron = int(neurons[0])
            raise VerificationError(
                f"{population.name} differs in {name}: by {difference.differing:,} "
                f"spikes, {difference.largest:,} of one neuron; by the exported "
                f"weights the simulation's spikes leave neuron {neuron} a membrane "
                f"potential that differs by {shift[neuron] / samples:.3g} a sample "
                f"(threshold {threshold[neuron]:g}). {ALTERED}"
            )
