"""Compare the spikes of a simulation with those of another simulator, and judge the differences."""

from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np

from snnb.core.errors import UsageError, VerificationError
from snnb.core.progress import Progress, Say, say_nothing, silent
from snnb.crosscheck.consistency import Inconsistent, first_inconsistent
from snnb.crosscheck.exported import ExportedNetwork
from snnb.crosscheck.spike_differences import Compared, compare, few
from snnb.crosscheck.spike_rows import Simulate, Spikes, counts_of, in_order

AT_A_TIME = 1 << 21  # neurons × samples in a batch
FAR = 4.0  # largest difference of a membrane potential at the end of a sample, in thresholds; FAR √n for n samples
ONLY_RECORDED = "To check each spike, record them: `snnb simulate --record-spikes 5`, then again"
ALTERED = "`snnb verify` tells whether a file was altered; if none was, please report it"


@dataclass(frozen=True)
class Expected:
    """Inputs and spikes of a simulation.

    Attributes
    ----------
    steps : time steps of a sample
    counted_from : first step whose spikes are counted
    inputs : ndarray, as in `Simulate`
    spikes : recorded spikes, sorted
    sums : mapping of str to (neurons,) int64 array
        Spike counts over all samples if no spikes were recorded.
    """

    steps: int
    counted_from: int
    inputs: np.ndarray
    spikes: Optional[Spikes] = None
    sums: Optional[Mapping[str, np.ndarray]] = None


def samples_at_a_time(network: ExportedNetwork) -> int:
    """Return the number of samples in a batch of the scipy simulator, at most 64."""
    return int(np.clip(AT_A_TIME // sum(population.size for population in network.simulated), 1, 64))


def check(
    network: ExportedNetwork,
    simulate: Simulate,
    expected: Expected,
    *,
    name: str,
    at_a_time: int = 1,
    say: Say = say_nothing,
    progress: Progress = silent,
) -> Tuple[Compared, ...]:
    """Simulate, and compare all spike counts.

    Parameters
    ----------
    network : ExportedNetwork
    simulate : the other simulator
    expected : Expected
    name : name of the other simulator in messages
    at_a_time : number of samples in a batch
    say : callable that is called with a message on differences that are no error
    progress : Progress

    Raises
    ------
    VerificationError
        With recorded spikes: some differ, and one of either simulator does not follow from the exported weights within
        the rounding of float32. With sums: they differ by more than one in a thousand pairs of sample and neuron, and a
        neuron's by more than its membrane potential at the end of each sample can make good.
    UsageError
        Sums differ that much with reset to zero, where only recorded spikes can be checked.
    """
    samples, parts = len(expected.inputs), _parts(simulate, expected, at_a_time, progress)
    if expected.spikes is not None:
        compared = _compare_spikes(network, parts, expected, expected.spikes, name)
        why = "each follows from the exported weights and the spikes before it"
    else:
        assert expected.sums is not None
        found = {p.name: np.zeros(p.size, np.int64) for p in network.simulated}
        for part, spikes in parts:
            for population, total in found.items():
                size, counted_from = part.stop - part.start, expected.counted_from
                total += counts_of(spikes[population], size, total.size, counted_from).sum(axis=0)
        compared = compare(found, expected.sums, samples)
        exact = not any(one.differing for one in compared)
        if exact or (not network.integers and all(few(one, samples) for one in compared)):
            return tuple(compared)
        _refuse_sums(network, compared, found, expected.sums, samples, name)
        why = (
            f"by the exported weights these spikes move no membrane potential by more than {FAR * samples**0.5:.3g} "
            f"thresholds in {samples} samples, but a small error would not either. {ONLY_RECORDED}"
        )
    differing = sum(one.differing for one in compared)
    if differing:
        largest = max(one.largest for one in compared)
        most = max(compared, key=lambda one: one.differing / one.pairs)
        say(
            f"crosscheck: {differing / sum(one.pairs for one in compared):.3%} of pairs of sample and neuron differ "
            f"({most.differing / most.pairs:.3%} in {most.population}), by up to {largest} spikes: the two round "
            f"otherwise where a membrane potential all but meets the threshold, and one spike shifts others; {why}"
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
) -> List[Compared]:
    """Compare the counts of each sample; raise where a spike of either simulator does not follow from the weights."""
    counts: Dict[str, Tuple[List[np.ndarray], List[np.ndarray]]] = {p.name: ([], []) for p in network.simulated}
    for part, spikes in parts:
        found = {population: in_order(rows) for population, rows in spikes.items()}
        wanted = {population: _of_samples(recorded[population], part) for population in found}
        for population, pair in counts.items():
            size = network.population(population).size
            for rows, one in zip(pair, (found[population], wanted[population])):
                rows.append(counts_of(one, part.stop - part.start, size, expected.counted_from))
        if any(not np.array_equal(found[population], wanted[population]) for population in found):
            for who, trains in (("the simulation", wanted), (name, found)):
                wrong = first_inconsistent(network, expected.inputs[part], trains, expected.steps)
                if wrong is not None:
                    there, here = (rows[-1] for rows in counts[wrong.population])
                    raise VerificationError(_described(wrong, there != here, name, who, part.start))
    joined = [{name: np.concatenate(pair[i]) for name, pair in counts.items()} for i in (0, 1)]
    return compare(joined[0], joined[1], len(expected.inputs))


def _refuse_sums(
    network: ExportedNetwork,
    compared: List[Compared],
    found: Mapping[str, np.ndarray],
    sums: Mapping[str, np.ndarray],
    samples: int,
    name: str,
) -> None:
    """Raise where sums differ by what no shifted spikes explain.

    What a neuron received less what it spiked is its membrane potential at the end. So the differences of both, of two
    simulators of one network, are that of two potentials, a threshold or two in each sample, however deep the network,
    up or down: over n samples their sum grows as √n, that of an error as n. (ResNet-20, 20 samples of 50 steps: 0.8 √n
    at most, in the layer where most counts differ.)
    """
    if network.resets_to_zero:
        worst = max(compared, key=lambda one: one.differing / one.pairs)
        raise UsageError(
            f"{worst.population} differs in {name} by {worst.differing:,} spikes in {worst.pairs:,} pairs of sample "
            f"and neuron, by rounding or an error: with reset to zero, sums do not tell. {ONLY_RECORDED}"
        )
    differences = {one.population: sums[one.population] - found[one.population] for one in compared}
    for one in compared:
        threshold = network.population(one.population).threshold
        moved = -threshold * differences[one.population]
        for projection in network.spiking_inbound(one.population):
            if projection.source in differences:
                amplitude = network.amplitude_of(projection.source)
                moved = moved + projection.weights @ (differences[projection.source] * amplitude)
        far = ~(np.abs(moved) <= FAR * threshold * samples**0.5)
        if far.any():
            neuron = int(np.flatnonzero(far)[0])
            raise VerificationError(
                f"{one.population} differs in {name}: by {one.differing:,} spikes, {one.largest:,} of one neuron; "
                f"by the exported weights the simulation's spikes leave neuron {neuron} a membrane potential that "
                f"differs by {moved[neuron] / samples:.3g} a sample (threshold {threshold[neuron]:g}). {ALTERED}"
            )


def _of_samples(spikes: np.ndarray, part: slice) -> np.ndarray:
    """Return the spikes of a range of samples, numbered from its first."""
    chosen = spikes[(spikes[:, 0] >= part.start) & (spikes[:, 0] < part.stop)]
    return chosen - [part.start, 0, 0]


def _described(wrong: Inconsistent, differing: np.ndarray, name: str, who: str, first: int) -> str:
    did = "spikes" if wrong.spiked else "does not spike"
    return (
        f"{wrong.population} differs in {name}: {np.count_nonzero(differing):,} of {differing.size:,} pairs of sample "
        f"and neuron; in {who}, neuron {wrong.neuron} {did} in step {wrong.step} of sample {first + wrong.sample}, "
        f"where the exported weights give a membrane potential of {wrong.potential:.9g} (threshold "
        f"{wrong.threshold:g}; rounding may move it by {wrong.rounding:.1g}). {ALTERED}"
    )
