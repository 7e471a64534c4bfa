"""Compare the spikes of two simulators, and decide whether differences are due to rounding.

Two simulators of a deep network differ in many spikes: they add in different orders, or in float32 and float64. A
neuron whose potential is close to the threshold then spikes a step earlier in one of them, which shifts later spikes.
Total counts are therefore a weak check. But given the spikes that a neuron received and its own earlier spikes, its
membrane potential is one sum, and a spike is correct where this sum reaches the threshold, up to its rounding error.
"""

from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Optional, Protocol, Tuple

import numpy as np

from snnb.core.errors import ResourceError, UsageError, VerificationError
from snnb.core.machine import memory
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.crosscheck.exported import ExportedNetwork, ExportedPopulation, Simulate, Spikes, counts_of, in_order, largest
from snnb.graph.synapse_graph import SynapseGraph

# Bytes of memory a synapse, rounded up from measurements on lenet_mnist: 59, 650 (mapped 780) and 41.
SYNAPSE_BYTES = {"brian2": 70, "sanafe": 850, "scipy": 45}


def require_memory_of(graph: SynapseGraph, simulator: str) -> None:
    """Raise `ResourceError` if the simulation of a graph does not fit into memory."""
    from rich.filesize import decimal

    size, free = SYNAPSE_BYTES[simulator] * graph.number_of_edges(), memory().available
    if size > free:
        raise ResourceError(
            f"{simulator} takes about {decimal(size)} of memory for {graph.number_of_edges():,} synapses, "
            f"{decimal(free)} are free; "
            + ("" if simulator == "scipy" else "use --with scipy, which requires the least memory, or ")
            + "use a machine with more memory"
        )


PAIRS = 1000  # of sample and neuron, in which sums over the samples may differ by one spike without a reason


@dataclass(frozen=True)
class CountDifference:
    """Differences of the spike counts of a population in two simulators."""

    population: str
    pairs: int  # of sample and neuron
    differing: int  # pairs whose counts differ; if only sums over the samples are known, spikes by which these differ
    largest: int  # the largest difference
    spikes: int  # in the simulation


def count_differences(
    found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], samples: int
) -> List[CountDifference]:
    """Compare spike counts, population by population in the order of `found`.

    Counts are int64 (samples, neurons), or (neurons,) if they are summed over the samples.
    """
    compared = []
    for name, counts in found.items():
        difference = np.abs(counts - expected[name])
        differing = int(difference.sum() if difference.ndim == 1 else np.count_nonzero(difference))
        largest, spikes = int(difference.max(initial=0)), int(expected[name].sum())
        compared.append(CountDifference(name, samples * counts.shape[-1], differing, largest, spikes))
    return compared


def within_rounding(compared: CountDifference, samples: int) -> bool:
    """Whether sums differ by one spike in `PAIRS`, or one in all, at most, and in each neuron by one per sample."""
    return compared.differing <= max(1, compared.pairs // PAIRS) and compared.largest <= samples


# Largest number of neurons × samples in a batch; for Brian2, which copies the network for each sample, also synapses
BATCH_SIZES = {"scipy": 1 << 21, "brian2": 1 << 19}
# Largest difference of a membrane potential at the end of a sample, in thresholds; times √n for n samples
LARGEST_SHIFT = 4.0
ONLY_RECORDED = "To check each spike, simulate with --record-spikes 5 and repeat the crosscheck"
ALTERED = "check whether a file of the run was altered; otherwise please report it"


UNIT = 2.0**-24  # the largest relative error of a rounding to float32


@dataclass(frozen=True)
class Inconsistent:
    """A spike, or a missing one, that does not follow from the weights.

    `potential` is the membrane potential by the exported weights, `rounding` a bound of its rounding error in float32.
    """

    population: str
    sample: int
    neuron: int
    step: int
    spiked: bool
    potential: float
    threshold: float
    rounding: float


class Inputs(Protocol):
    """Inputs of samples, as in `Simulate`; a slice has some of the samples."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice) -> np.ndarray: ...


@dataclass(frozen=True)
class Expected:
    """Inputs and spikes of a simulation."""

    steps: int  # time steps of a sample
    counted_from: int  # first step whose spikes are counted
    inputs: Inputs
    spikes: Optional[Spikes] = None  # recorded spikes, in order
    sums: Optional[Mapping[str, np.ndarray]] = None  # without them, counts over all samples: int64 (neurons,)


def samples_at_a_time(network: ExportedNetwork, simulator: str) -> int:
    """Return the number of samples in a batch of a simulator: at most 64, and 1 of one without batches."""
    size = sum(population.size for population in network.simulated)
    if simulator == "brian2":
        size += sum(projection.weights.nnz for projection in network.projections)
    return int(np.clip(BATCH_SIZES.get(simulator, 0) // size, 1, 64))


def check(
    network: ExportedNetwork,
    simulate: Simulate,
    expected: Expected,
    *,
    name: str,
    at_a_time: int = 1,
    say: Say = say_nothing,
    progress: Progress = silent,
) -> Tuple[CountDifference, ...]:
    """Simulate `at_a_time` samples at a time in the simulator `name`, and compare all spike counts.

    `say` is called with a message on differences that are not errors. Raise `VerificationError` with recorded spikes
    if some differ, and one of either simulator does not follow from the exported weights within the rounding of
    float32; with sums if integer sums differ, or other sums in more than one of a thousand pairs of sample and neuron,
    and a neuron's by more than its membrane potential at the end of each sample can make good. Raise `UsageError` if
    sums differ that much with reset to zero or a neuron model, where only recorded spikes can be checked.
    """
    samples, parts = len(expected.inputs), _parts(simulate, expected, at_a_time, progress)
    if expected.spikes is not None:
        compared = _compare_spikes(network, parts, expected, expected.spikes, name)
        why = "each spike follows from the exported weights and the preceding spikes"
    else:
        assert expected.sums is not None
        simulator_sums = {p.name: np.zeros(p.size, np.int64) for p in network.simulated}
        for part, spikes in parts:
            for population, total in simulator_sums.items():
                size, counted_from = part.stop - part.start, expected.counted_from
                total += counts_of(spikes[population], size, total.size, counted_from).sum(axis=0)
        compared = count_differences(simulator_sums, expected.sums, samples)
        if network.integers:
            for one in compared:
                if one.differing:
                    raise VerificationError(
                        f"{one.population} differs in {name} by {one.differing:,} spikes, and sums of integers are "
                        f"exact: rounding cannot explain the difference. {ALTERED}"
                    )
        if all(within_rounding(one, samples) for one in compared):
            return tuple(compared)
        _refuse_sums(network, compared, simulator_sums, expected.sums, samples, name)
        shift = LARGEST_SHIFT * samples**0.5
        why = (
            f"by the exported weights these spikes change no membrane potential by more than {shift:.3g} thresholds in "
            f"{samples} samples, but a small error would not either. {ONLY_RECORDED}"
        )
    differing = sum(one.differing for one in compared)
    if differing:
        largest = max(one.largest for one in compared)
        worst = max(compared, key=lambda one: one.differing / one.pairs)
        say(
            f"crosscheck: {differing / sum(one.pairs for one in compared):.3%} of pairs of sample and neuron differ "
            f"({worst.differing / worst.pairs:.3%} in {worst.population}), by up to {largest} spikes: rounding "
            f"differs where a membrane potential is close to the threshold, and one spike shifts others; {why}"
        )
    return tuple(compared)


def _parts(
    simulate: Simulate, expected: Expected, at_a_time: int, progress: Progress
) -> Iterator[Tuple[slice, Dict[str, np.ndarray]]]:
    """Simulate batches of samples; yield the range of each and its spikes, samples numbered from its first."""
    total = len(expected.inputs)
    for begin in range(0, total, at_a_time):
        part = slice(begin, min(begin + at_a_time, total))
        yield part, simulate(expected.inputs[part], expected.steps)
        progress(part.stop, total)


def _compare_spikes(
    network: ExportedNetwork,
    parts: Iterator[Tuple[slice, Dict[str, np.ndarray]]],
    expected: Expected,
    recorded: Spikes,
    name: str,
) -> List[CountDifference]:
    """Compare the counts of each sample; raise where a spike of either simulator does not follow from the weights."""
    sizes, first = {population.name: population.size for population in network.simulated}, expected.counted_from
    counts: Dict[str, List[np.ndarray]] = {population: [] for population in sizes}
    for part, spikes in parts:
        simulator_spikes, wanted, samples = {}, {}, part.stop - part.start
        for population, size in sizes.items():
            simulator_spikes[population], rows = in_order(spikes[population]), recorded[population]
            wanted[population] = rows[(rows[:, 0] >= part.start) & (rows[:, 0] < part.stop)] - [part.start, 0, 0]
            counts[population].append(counts_of(simulator_spikes[population], samples, size, first))
        if all(np.array_equal(simulator_spikes[population], wanted[population]) for population in sizes):
            continue
        for program, trains in (("the simulation", wanted), (name, simulator_spikes)):
            wrong = first_inconsistent(network, expected.inputs[part], trains, expected.steps)
            if wrong is not None:
                found = counts[wrong.population][-1]
                differing = found != counts_of(wanted[wrong.population], len(found), found.shape[1], first)
                event = "spikes" if wrong.spiked else "does not spike"
                raise VerificationError(
                    f"{wrong.population} differs in {name}: {np.count_nonzero(differing):,} of {found.size:,} pairs of "
                    f"sample and neuron; in {program}, neuron {wrong.neuron} {event} in step {wrong.step} of sample "
                    f"{part.start + wrong.sample}, where the exported weights give a membrane potential of "
                    f"{wrong.potential:.9g} (threshold {wrong.threshold:g}; rounding may move it by "
                    f"{wrong.rounding:.1g}). {ALTERED}"
                )
    samples = len(expected.inputs)
    joined = {population: np.concatenate(rows) for population, rows in counts.items()}
    return count_differences(
        joined, {p: counts_of(recorded[p], samples, size, first) for p, size in sizes.items()}, samples
    )


def _refuse_sums(
    network: ExportedNetwork,
    compared: List[CountDifference],
    simulator_sums: Mapping[str, np.ndarray],
    sums: Mapping[str, np.ndarray],
    samples: int,
    name: str,
) -> None:
    """Raise `VerificationError` where sums differ by more than shifted spikes explain.

    The input of a neuron minus its spikes is its membrane potential at the end. So the differences of both, of two
    simulators of one network, are that of two potentials, a threshold or two in each sample, however deep the network,
    up or down: over n samples their sum grows as √n, that of an error as n. (ResNet-20, 20 samples of 50 steps: 0.8 √n
    at most, in the layer where most counts differ.)
    """
    if network.leaky or any("reset" in population.numbers for population in network.simulated):
        worst = max(compared, key=lambda one: one.differing / one.pairs)
        raise UsageError(
            f"{worst.population} differs in {name} by {worst.differing:,} spikes in {worst.pairs:,} pairs of sample "
            f"and neuron, by rounding or an error: with reset to a value, or a leak, sums are not conclusive. "
            f"{ONLY_RECORDED}"
        )
    differences = {one.population: sums[one.population] - simulator_sums[one.population] for one in compared}
    for one in compared:
        if network.population(one.population).counts_largest:  # no sum of its inputs
            continue
        threshold = network.population(one.population).threshold
        moved = -threshold * differences[one.population]
        for projection in network.spiking_inbound(one.population):
            if projection.source in differences:
                moved = moved + projection.weights @ differences[projection.source]
        far = ~(np.abs(moved) <= LARGEST_SHIFT * threshold * samples**0.5)
        if far.any():
            neuron = int(np.flatnonzero(far)[0])
            raise VerificationError(
                f"{one.population} differs in {name}: by {one.differing:,} spikes, {one.largest:,} of one neuron; "
                f"by the exported weights the simulation's spikes leave neuron {neuron} a membrane potential that "
                f"differs by {moved[neuron] / samples:.3g} a sample (threshold {threshold[neuron]:g}). {ALTERED}"
            )


def first_inconsistent(
    network: ExportedNetwork, inputs: np.ndarray, spikes: Spikes, steps: int
) -> Optional[Inconsistent]:
    """Return the first spike of a simulator, or missing one, that does not follow from the weights, by population.

    `inputs` are as in `Simulate`, `spikes` in order.
    """
    inconsistent = (_of_population(network, population, inputs, spikes, steps) for population in network.simulated)
    return next((wrong for wrong in inconsistent if wrong is not None), None)


def _fired(network: ExportedNetwork, inputs: np.ndarray, spikes: Spikes, name: str, step: int) -> np.ndarray:
    """Return the neurons of a population that spike in a step, none before the first: shape (neurons, samples)."""
    fired = np.zeros((network.population(name).size, len(inputs)), bool)
    if step < 0:
        return fired
    if name == network.input.name:
        return inputs[:, :, step].T
    rows = spikes[name]
    of_step = rows[slice(*np.searchsorted(rows[:, 2], [step, step + 1]))]
    fired[of_step[:, 1], of_step[:, 0]] = True
    return fired


def _of_population(
    network: ExportedNetwork, population: ExportedPopulation, inputs: np.ndarray, spikes: Spikes, steps: int
) -> Optional[Inconsistent]:
    """Check a population, given the spikes of all.

    A sum of n numbers of magnitude a in all is rounded by about sqrt(n) · a units (Higham and Mary, SIAM J. Sci.
    Comput. 41(5), 2019), one added to a potential v by at most v; these are summed up over the steps.
    """
    if population.counts_largest:
        return _of_pooling(network, population, inputs, spikes, steps)
    current = network.input_current(population, inputs)
    inbound = network.spiking_inbound(population.name)
    received = [np.zeros((projection.weights.shape[1], len(inputs))) for projection in inbound]
    terms = np.sqrt(1 + sum(np.diff(p.weights.indptr) for p in network.inbound(population.name)))
    membrane, passed = np.repeat(population.start[:, None].astype(float), len(inputs), axis=1), np.zeros_like(current)
    threshold, synaptic, numbers = population.threshold[:, None], np.zeros_like(membrane), population.numbers
    decay = 1 - np.asarray(numbers.get("current_leak", 0.0))
    # A spike arrives as a current over many steps.
    gain = np.abs(numbers["gain"] * numbers.get("current_gain", 1.0)) / np.maximum(decay, 1 / steps)
    for step in range(steps):
        x = population.gathered(step, current)
        for projection, so_far in zip(inbound, received):
            arrived = _fired(network, inputs, spikes, projection.source, step - projection.delay)
            so_far += np.abs(arrived)
            x += projection.weights @ arrived
        if network.leaky:
            passed += np.abs(membrane)
        population.integrate(membrane, synaptic, x)
        passed += np.abs(numbers["gain"] * synaptic) + np.abs(numbers["offset"])
        passed += np.abs(membrane) + np.where(np.isfinite(threshold), threshold, 0)
        fired = _fired(network, inputs, spikes, population.name, step)
        beyond = np.where(fired, threshold - membrane, membrane - threshold)
        if not population.fires(step):
            beyond = np.where(fired, np.inf, -np.inf)
        right = np.where(fired, beyond <= 0, beyond < 0)  # False for NaN
        doubtful = np.flatnonzero(~right.all(axis=1))
        if doubtful.size:
            summed = (step + 1) * (np.abs(current[doubtful]) + np.abs(population.bias[doubtful, None]))
            for projection, so_far in zip(inbound, received):
                summed += abs(projection.weights[doubtful]) @ so_far
            summed *= gain[doubtful]
            unit = 0 if network.integers else UNIT
            rounding = unit * (passed[doubtful] + terms[doubtful, None] * summed)
            wrong = np.argwhere(~right[doubtful] & ~(beyond[doubtful] <= rounding))
            if wrong.size:
                row, sample = wrong[0].tolist()
                at = int(doubtful[row]), sample
                potential, bound = float(membrane[at]), float(rounding[row, sample])
                return Inconsistent(
                    population.name, sample, at[0], step, bool(fired[at]), potential, float(threshold[at[0], 0]), bound
                )
        population.reset(membrane, fired)
    return None


def _of_pooling(
    network: ExportedNetwork, population: ExportedPopulation, inputs: np.ndarray, spikes: Spikes, steps: int
) -> Optional[Inconsistent]:
    """Check a max pooling, given the spikes of all: its count is the largest of its inputs after each step."""
    projections = network.inbound(population.name)
    sources = {projection.source for projection in projections}
    counts = {name: np.zeros((network.population(name).size, len(inputs)), np.int64) for name in sources}
    own = np.zeros((population.size, len(inputs)), np.int64)
    for step in range(steps):
        for name in sources:
            counts[name] += _fired(network, inputs, spikes, name, step).astype(np.int64)
        fired = _fired(network, inputs, spikes, population.name, step)
        own += fired
        due = largest(projections, counts)
        wrong = np.argwhere(own != due)
        if wrong.size:
            neuron, sample = at = tuple(wrong[0].tolist())
            return Inconsistent(
                population.name, sample, neuron, step, bool(fired[at]), float(due[at]), float(own[at]), 0
            )
    return None
